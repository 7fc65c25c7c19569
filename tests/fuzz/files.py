"""Damaged files of every kind: each ends in success or in a FileError, within 5 s and 500 MB.

    python -m tests.fuzz files --seconds 120 --seed 1 [--kind layers.laz]
    python -m tests.fuzz files --kind layers.laz --seed 4711 --count 1        one damaged file again
    python -m tests.fuzz files --kind layers.laz --seed 4711 --keep x.laz     that file, to look at

A kind at a time is given to a process with a limit of memory; a seed makes one damaged file.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import os
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path

from tests.fuzz import _worker
from tests.fuzz._damage import damage
from tests.fuzz._samples import KINDS

MEMORY = 500 << 20
SECONDS = 5.0  # of processor time, for one file
SILENCE = 60.0  # of the clock, for one file on a machine with other work
SLICE = 400  # seeds a process is given at once


def work(kind_name: str, seeds: range) -> None:
    """Try damaged files of a kind, and tell each seed before it is tried."""
    from fastdl import FileError

    kind = KINDS[kind_name]
    data = kind.make()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / kind.name
        path.write_bytes(data)
        if kind.beside:
            kind.beside(path)
        _try(kind, path, FileError)  # what it imports is there before memory is limited
        _worker.limit_memory(MEMORY)
        for seed in seeds:
            print("seed", seed, flush=True)
            path.write_bytes(damage(data, seed))
            for left in Path(folder).iterdir():  # an index beside the last one is not this one's
                if left != path and not (kind.beside and left.name.endswith(".json")):
                    left.unlink()
            start = time.process_time()
            fault, end = _try(kind, path, FileError)
            taken = time.process_time() - start
            if fault:
                print("fault", fault, flush=True)
            elif taken > SECONDS:
                print("fault", f"{taken:.1f} s of processor time", flush=True)
            else:
                print("end", end, flush=True)


def _try(kind, path: Path, expected: type[Exception]) -> tuple[str, str]:
    """How reading ended, where that may not be, else nothing; and "read", or the place that refused."""
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stderr(io.StringIO()),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        try:
            kind.read(path)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            frame = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{os.path.basename(frame.filename)}:{frame.lineno}"
            if isinstance(error, expected):
                nameless = "" if path.name.split(".")[0] in str(error) else f"no name of the file: {str(error)[:150]!r}"
                return nameless, place
            return f"{type(error).__name__} at {place}: {str(error)[:150]!r}", ""
    return "", "read"


def main(arguments: list[str]) -> int:
    """Try every kind in turn until the time is over; 1 if there was a fault."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz files", description=__doc__.split("\n\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="for all kinds together (default: 60)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="the first seed (default: the time)")
    parser.add_argument("--count", type=int, help="seeds of each kind, instead of a time")
    parser.add_argument("--kind", choices=KINDS, help="only this kind")
    parser.add_argument("--keep", type=Path, help="write the damaged file of this kind and seed, and end")
    parser.add_argument("--ends", action="store_true", help="tell the places that refused, and how often each did")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.worker:
        work(options.kind, range(options.seed, options.seed + options.count))
        return 0
    if options.keep:
        options.keep.write_bytes(damage(KINDS[options.kind].make(), options.seed))
        return 0
    names = [options.kind] if options.kind else [n for n, k in KINDS.items() if not k.needs or _is_there(k.needs)]
    end, seed, tried, faults = time.monotonic() + options.seconds, options.seed, dict.fromkeys(names, 0), 0
    ends: dict[str, Counter[str]] = {name: Counter() for name in names}
    last, seen = seed, {}
    while True:
        size = min(SLICE, options.count - (seed - options.seed)) if options.count else 50
        for name in names:
            if not options.count and time.monotonic() > end:
                size = 0
            faults += _slice(name, seed, size, tried, seen, ends[name])
        last, seed = seed + size, seed + size
        if not size or (options.count and seed - options.seed >= options.count):
            break
    for name, number in tried.items():
        read, ways = ends[name]["read"], len(ends[name]) - ("read" in ends[name])
        print(f"{name:20s} {number:6d} damaged files, {read} read, the others refused at {ways} places")
        for place, count in ends[name].most_common() if options.ends else ():
            print(f"    {count:6d} {place}")
    print(f"{sum(tried.values())} damaged files of {len(names)} kinds, {faults} faults; seeds {options.seed} to {last}")
    return 1 if faults else 0


def _slice(name: str, seed: int, size: int, tried: dict[str, int], seen: dict[object, int], ends: Counter[str]) -> int:
    """Some seeds of a kind; a worker that dies is followed by one that begins behind the seed it died of.

    Of faults at one place the first is told.
    """
    faults, stop = 0, seed + size
    while seed < stop:
        arguments = ["files", "--worker", "--kind", name, "--seed", str(seed), "--count", str(stop - seed)]
        number, found = _worker.run(arguments, SILENCE, ends)
        tried[name] += number
        for fault in found:
            faults += 1
            what = (name, fault.how.split(":")[0], fault.how.split(":")[1][:5] if "at " in fault.how else "")
            seen[what] = seen.get(what, 0) + 1
            if seen[what] == 1:
                print(f"FAULT {name} seed {fault.seed}: {fault.how}")
                print(f"      python -m tests.fuzz files --kind {name} --seed {fault.seed} --count 1", flush=True)
        if not number:
            break
        seed += number
    return faults


def _is_there(module: str) -> bool:
    return importlib.util.find_spec(module) is not None
