"""Commands whose disk is full: an error that names the file, nothing left behind, old files as they were."""

from __future__ import annotations

import hashlib
import random
import resource
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.attack import commands

_OLD = b"what was there before"


def attack(rng: random.Random, until: float) -> tuple[str, list[str]]:
    """Fill disks until the time is over: how many, and what went wrong."""
    problems: list[str] = []
    limits = disks = 0
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root)
        inputs = folder / "inputs"
        commands.make_inputs(inputs)
        whole = commands.expected(commands.COMMANDS, inputs, folder / "whole")
        largest = {c.name: _largest(folder / "whole" / c.name.replace(" ", "-")) for c in commands.COMMANDS}
        while time.monotonic() < until and len(problems) < 20:
            command = rng.choice(commands.COMMANDS)
            size = rng.randrange(0, max(2, largest[command.name]))
            results = folder / f"results{limits}"
            wrong = _limited(command, inputs, results, whole[command.name], size, rng.random() < 0.5)
            limits += 1
            problems += [f"FAILED {command.name}, files limited to {size} bytes: {w}" for w in wrong]
            with _small_disk(folder / "disk", rng.randrange(1 << 16, 1 << 22)) as disk:
                if disk is not None:
                    disks += 1
                    wrong = _full_temporary(command, inputs, folder / f"full{disks}", whole[command.name], disk)
                    problems += [f"FAILED {command.name}, full folder for temporary files: {w}" for w in wrong]
    return f"{limits} limits and {disks} small disks", problems


def _largest(folder: Path) -> int:
    return max((p.stat().st_size for p in folder.rglob("*") if p.is_file()), default=0)


def _limited(
    command: commands.Command, inputs: Path, results: Path, whole: dict[str, str], size: int, overwrite: bool
) -> list[str]:
    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    results.mkdir()
    for path in whole if overwrite else ():
        (results / path).parent.mkdir(parents=True, exist_ok=True)
        (results / path).write_bytes(_OLD)
    old = hashlib.sha256(_OLD).hexdigest()
    return _judge(
        command.start(inputs, results, preexec_fn=limit), results, whole, (lambda _: old) if overwrite else None
    )


def _full_temporary(
    command: commands.Command, inputs: Path, results: Path, whole: dict[str, str], disk: Path
) -> list[str]:
    results.mkdir()
    return _judge(command.start(inputs, results, environment={"TMPDIR": str(disk)}), results, whole, None)


def _judge(process: Any, results: Path, whole: dict[str, str], old: Any) -> list[str]:
    _, errors = process.communicate(timeout=120)
    wrong = commands.check(results, whole, old)
    if left := commands.leftovers(results):
        wrong.append(f"{left[0]} was left behind")
    if "Traceback" in errors or "Error:" in errors:
        wrong.append("raw: " + " ".join(errors.split())[-300:])
    if process.returncode == 0 and commands.contents(results) != whole:
        wrong.append("exit code 0 without all results")
    if process.returncode and "fastdl: " not in errors:
        wrong.append(f"exit code {process.returncode} without a word")
    return wrong


@contextmanager
def _small_disk(place: Path, size: int) -> Iterator[Path | None]:
    """A file system of so many bytes, where this process may mount one."""
    place.mkdir(exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        yield None
        return
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=False)
