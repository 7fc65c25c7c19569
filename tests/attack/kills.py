"""Commands that a signal ends at a random moment: results are whole or absent, and nothing is left behind."""

from __future__ import annotations

import hashlib
import random
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.attack import commands

_SIGNALS = [s for s in ("SIGINT", "SIGTERM", "SIGHUP", "SIGKILL") if hasattr(signal, s)]
_OLD = b"what was there before"
_STARTED = 0.03  # seconds until Python has come to our code


def attack(rng: random.Random, until: float) -> tuple[str, list[str]]:
    """Kill commands until the time is over: how often, and what went wrong."""
    counts: Counter[str] = Counter()
    problems: list[str] = []
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root)
        inputs = folder / "inputs"
        commands.make_inputs(inputs)
        whole = commands.expected(commands.COMMANDS, inputs, folder / "whole")
        spans = {command.name: _span(command, inputs, folder / "spans") for command in commands.COMMANDS}
        while time.monotonic() < until and len(problems) < 20:
            command = rng.choice(commands.COMMANDS)
            name = rng.choice(_SIGNALS)
            delay = rng.uniform(_STARTED, 1.2 * spans[command.name])
            overwrite = rng.random() < 0.5
            results = folder / f"results{sum(counts.values())}"
            wrong = _kill(command, inputs, results, whole[command.name], name, delay, overwrite)
            counts[name] += 1
            problems += [
                f"FAILED {command.name} {'over old files ' * overwrite}{name} after {delay:.4f} s: {w}" for w in wrong
            ]
    return f"{sum(counts.values())} kills ({', '.join(f'{n} {s}' for s, n in sorted(counts.items()))})", problems


def _span(command: commands.Command, inputs: Path, folder: Path) -> float:
    folder.mkdir(exist_ok=True)
    start = time.perf_counter()
    command.start(inputs, folder).communicate()
    return time.perf_counter() - start


def _kill(
    command: commands.Command,
    inputs: Path,
    results: Path,
    whole: dict[str, str],
    name: str,
    delay: float,
    overwrite: bool,
) -> list[str]:
    results.mkdir()
    for path in whole if overwrite else ():
        (results / path).parent.mkdir(parents=True, exist_ok=True)
        (results / path).write_bytes(_OLD)
    process = command.start(inputs, results)
    time.sleep(delay)
    process.send_signal(getattr(signal, name))
    _, errors = process.communicate(timeout=60)
    old = hashlib.sha256(_OLD).hexdigest()
    wrong = commands.check(results, whole, (lambda _: old) if overwrite else None)
    left = commands.leftovers(results)
    if left and name != "SIGKILL":
        wrong.append(f"{left[0]} was left behind")
    if "Traceback" in errors and "fastdl/cli" in errors:  # before, Python itself has not come to our code
        wrong.append("a traceback: " + " ".join(errors.split())[-200:])
    if process.returncode not in (0, -getattr(signal, name)):
        wrong.append(f"exit code {process.returncode}: {errors[-200:]}")
    process = command.start(inputs, results)
    _, errors = process.communicate(timeout=60)
    if process.returncode or commands.contents(results) != whole:
        wrong.append(f"the next run does not make it good: {errors[-200:]}")
    return wrong
