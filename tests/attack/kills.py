"""Commands that a signal ends at a random moment: results are whole or absent, and nothing is left behind.

Most of them run in a fork of this process, which has imported what they need: starting Python takes ten times as long
as their work on small files. Every eighth is a process of its own, so that the signal may find it in its imports. In
some, what gives a file its name takes some milliseconds, so that signals find the moments between two of its steps.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import os
import pkgutil
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastdl
from tests.attack import commands

SIGNALS = [s for s in ("SIGINT", "SIGTERM", "SIGHUP", "SIGKILL") if hasattr(signal, s)]
_OLD = b"what was there before"
_STARTED = 0.03  # seconds until Python has come to our code
_STEPS = ("replace", "unlink", "fsync", "chmod", "open", "close")
_PATIENCE = 60.0


def attack(rng: random.Random, until: float) -> tuple[str, list[str]]:
    """Kill commands until the time is over, every command by every signal in turn: how often, and what went wrong."""
    counts: Counter[tuple[str, str, bool]] = Counter()
    problems: list[str] = []
    _import_all()
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root)
        inputs = folder / "inputs"
        commands.make_inputs(inputs, small=True)
        whole = commands.expected(commands.COMMANDS, inputs, folder / "whole")
        spans = {c.name: (_span(_fork, c, inputs, folder), _span(_start, c, inputs, folder)) for c in commands.COMMANDS}
        kinds = [(c, name, over) for c in commands.COMMANDS for name in SIGNALS for over in (False, True)]
        counts.update({(c.name, name, over): 0 for c, name, over in kinds})
        while time.monotonic() < until and len(problems) < 20:
            rng.shuffle(kinds)
            for command, name, overwrite in kinds:
                if time.monotonic() > until:
                    break
                forked, slow = rng.random() < 0.875, rng.random() < 0.5
                delay = rng.uniform(0 if forked else _STARTED, 1.2 * spans[command.name][not forked])
                kill = Kill(command, name, overwrite, forked, rng.uniform(0, 0.01) if forked and slow else 0.0)
                wrong = kill.judge(inputs, folder / "results", whole[command.name], delay * (1 + 4 * (kill.pause > 0)))
                counts[command.name, name, overwrite] += 1
                problems += [f"FAILED {kill} after {delay:.4f} s: {w}" for w in wrong]
    return _told(counts), problems


def _told(counts: Counter[tuple[str, str, bool]]) -> str:
    by_signal = ", ".join(f"{sum(n for (_, s, _), n in counts.items() if s == name)} {name}" for name in SIGNALS)
    least = min(counts.values())
    return f"{sum(counts.values())} kills ({by_signal}); each command by each signal, fresh and over old files: {least}"


class Kill:
    """How a command is killed."""

    def __init__(self, command: commands.Command, name: str, overwrite: bool, forked: bool, pause: float):
        self.command, self.name, self.overwrite, self.forked, self.pause = command, name, overwrite, forked, pause

    def __str__(self) -> str:
        over, fork = " over old files" * self.overwrite, " forked" * self.forked
        return f"{self.command.name}{over}{fork} by {self.name}" + (f", steps of {self.pause:.4f} s" * (self.pause > 0))

    def judge(self, inputs: Path, results: Path, whole: dict[str, str], delay: float) -> list[str]:
        """Run, kill, look; then run again to the end. What was wrong."""
        shutil.rmtree(results, ignore_errors=True)
        results.mkdir()
        for path in whole if self.overwrite else ():
            (results / path).parent.mkdir(parents=True, exist_ok=True)
            (results / path).write_bytes(_OLD)
        run = _fork(self.command, inputs, results, self.pause) if self.forked else _start(self.command, inputs, results)
        time.sleep(delay)
        number = getattr(signal, self.name)
        code, errors = run(number)
        old = hashlib.sha256(_OLD).hexdigest()
        wrong = commands.check(results, whole, (lambda _: old) if self.overwrite else None)
        left = commands.leftovers(results)
        if left and self.name != "SIGKILL":
            wrong.append(f"{left[0]} was left behind")
        if "Traceback" in errors and (self.forked or "fastdl/cli" in errors):  # before, Python is not in our code
            wrong.append("a traceback: " + " ".join(errors.split())[-200:])
        if code not in (0, -number):
            wrong.append(f"exit code {code}: {errors[-200:]}")
        code, errors = _fork(self.command, inputs, results)(0)
        if code or commands.contents(results) != whole:
            wrong.append(f"the next run does not make it good: {errors[-200:]}")
        return wrong


def _import_all() -> None:
    """What commands import when they run, so that a fork need not."""
    for part in ("cli", "files", "audio", "points", "sequences", "graphs", "features", "linear", "losses", "selection"):
        package = importlib.import_module(f"fastdl.{part}")
        for module in pkgutil.walk_packages(package.__path__, f"fastdl.{part}."):
            importlib.import_module(module.name)
    for name in fastdl.__all__:
        getattr(fastdl, name)
    for name in ("zarr", "pandas", "pyarrow.csv"):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def _span(
    begin: Callable[..., Callable[[int], tuple[int, str]]], command: commands.Command, inputs: Path, folder: Path
) -> float:
    results = folder / "spans"
    results.mkdir(exist_ok=True)
    start = time.perf_counter()
    begin(command, inputs, results)(0)
    taken = time.perf_counter() - start
    shutil.rmtree(results)
    return taken


def _start(command: commands.Command, inputs: Path, results: Path) -> Callable[[int], tuple[int, str]]:
    """The command as a process of its own; what is returned sends a signal, waits, and tells the end."""
    process = command.start(inputs, results)

    def end(number: int) -> tuple[int, str]:
        if number:
            process.send_signal(number)
        _, errors = process.communicate(timeout=_PATIENCE)
        return process.returncode, errors

    return end


def _fork(
    command: commands.Command, inputs: Path, results: Path, pause: float = 0.0
) -> Callable[[int], tuple[int, str]]:
    """As `_start`, in a fork."""
    told = results.with_name("told")
    sys.stdout.flush()
    # Until the child has given up Python's handler, an interrupt would unwind it to the end of this process' folders.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    pid = os.fork()
    if not pid:
        _be(command.filled(inputs, results), told, pause)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def end(number: int) -> tuple[int, str]:
        if number:
            os.kill(pid, number)
        late = time.monotonic() + _PATIENCE
        while not (found := os.waitpid(pid, os.WNOHANG))[0]:
            if time.monotonic() > late:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                return -1, f"no end within {_PATIENCE:g} s"
            time.sleep(0.001)
        return os.waitstatus_to_exitcode(found[1]), told.read_text() if told.exists() else ""

    return end


def _be(words: list[str], told: Path, pause: float) -> None:
    """Be a process that runs a command; does not return."""
    for name in SIGNALS:
        if name != "SIGKILL":
            signal.signal(getattr(signal, name), signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    code = 70
    try:
        os.dup2(os.open(told, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.argv = ["fastdl", *words]
        if pause:
            for name in _STEPS:
                setattr(os, name, _slowed(getattr(os, name), pause))
        code = importlib.import_module("fastdl.cli").command()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)


def _slowed(step: Callable[..., Any], pause: float) -> Callable[..., Any]:
    def slow(*args: Any, **kwargs: Any) -> Any:
        result = step(*args, **kwargs)
        time.sleep(pause)
        return result

    return slow
