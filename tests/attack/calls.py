"""Random calls of every public function that has a case, on the kernels and on the NumPy reference.

A call is a line: the case, the number of items, the seed of its arguments, and the changes made to them. Two processes
make it, one with FASTDL_REFERENCE=1; they must give the same result within the promise of the case, or the same class
of fastdl's own errors. A failing call is made smaller as long as it fails, and printed as a command.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import inspect
import json
import os
import pickle
import random
import selectors
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from tests.attack import changes, shrinking
from tests.attack.magnitudes import magnitudes
from tests.attack.more_cases import CALLS, arguments
from tests.attack.object_cases import RETURNED

ROOT = Path(__file__).parents[2]
_PATIENCE = 60.0  # seconds that a call may take
_MEMORY = 6 << 30  # bytes that a process may map
_BATCH = 200  # calls that a process is given at once
Call = dict[str, Any]
Answer = tuple[str, Any]


def run(call: Call) -> Answer:
    """("result", arrays), ("error", class, message) or ("skip", None)."""
    import fastdl
    from tests.test_equivalence import arrays

    case, args, kwargs = arguments(call)
    if kwargs is None:
        return "skip", None
    function = case.call or getattr(fastdl, case.function)
    held = [(a, a.copy()) for a in args if isinstance(a, np.ndarray) and a.dtype != object]
    try:
        with np.errstate(all="ignore"):
            found = [np.array(a) for a in arrays(_written(function, args, kwargs, call["changes"]))]
    except MemoryError:
        return "skip", None
    except Exception as error:
        kind = type(error)
        where = traceback.extract_tb(error.__traceback__)[-1].filename
        if kind.__module__ == "builtins" and Path(where).is_relative_to(ROOT / "tests"):
            return "skip", None  # the case's own code cannot take such arguments
        # A plain TypeError is what Python's own functions raise for an argument of the wrong type.
        raw = "" if issubclass(kind, (fastdl.FastdlError, TypeError)) else "raw "
        return "error", (raw + kind.__name__, str(error)[:300])
    for given, before in held:
        if not np.array_equal(given, before, equal_nan=given.dtype.kind in "fc"):
            return "error", ("raw", "an input was changed")
    return "result", found


def _written(function: Any, args: Any, kwargs: Any, made: list[list[Any]]) -> Any:
    """The result of a call; where the changes say so, as it is written to an array that is given."""
    import fastdl

    result = function(*args, **kwargs)
    ways = [more[0] for _, kind, *more in made if kind == "out"]
    if not ways or not isinstance(result, np.ndarray) or "out" not in inspect.signature(function).parameters:
        return result
    out = changes.OUTS[ways[0]](result, args[0])
    again = function(*args, **kwargs, out=out)
    if again is not out:
        raise RuntimeError("out= is not what is returned")
    if function is not fastdl.kmer_count and out.tobytes() != result.tobytes():  # which adds to it
        raise RuntimeError("out= does not hold what is returned without it")
    return again


def serve() -> None:
    """Calls from standard input, a line of some; what they gave to standard output, pickled.

    An answer is a result's digest, which is enough while both processes agree; or all of it, where it is asked for.
    """
    if sys.platform == "linux" and "asan" not in os.environ.get("LD_PRELOAD", ""):  # which maps terabytes
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    for line in sys.stdin:
        whole, calls = json.loads(line)
        answers = [run(call) for call in calls]
        pickle.dump(answers if whole else [_digest(answer) for answer in answers], out)
        out.flush()


def _digest(answer: Answer) -> Answer:
    if answer[0] != "result":
        return answer
    found = hashlib.blake2b()
    for array in answer[1]:
        found.update(f"{array.dtype.str}{array.shape}".encode())
        found.update(repr(array.tolist()).encode() if array.dtype.hasobject else np.ascontiguousarray(array).data)
    return "digest", found.digest()


class Server:
    """A process that makes calls; it is started again when it has died."""

    def __init__(self, reference: bool):
        path = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), str(ROOT))))
        self.environment = {**os.environ, "FASTDL_REFERENCE": "1" if reference else "0", "PYTHONPATH": path}
        self.process: Any = None

    def send(self, calls: list[Call], whole: bool) -> None:
        """Begin to make calls."""
        if self.process is None or self.process.poll() is not None:
            command = [sys.executable, "-P", "-c", "from tests.attack.calls import serve; serve()"]
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self.environment, cwd=ROOT
            )
        with contextlib.suppress(BrokenPipeError):  # `receive` tells
            self.process.stdin.write(json.dumps([whole, calls]).encode() + b"\n")
            self.process.stdin.flush()

    def receive(self) -> list[Answer] | str:
        """What the calls gave; a text where the process has died."""
        with selectors.DefaultSelector() as ready:
            ready.register(self.process.stdout, selectors.EVENT_READ)
            if not ready.select(_PATIENCE):
                self.close()
                return f"no answer in {_PATIENCE:g} s"
        try:
            return pickle.load(self.process.stdout)
        except (EOFError, pickle.UnpicklingError):
            code = self.process.wait()
            self.close()
            return f"exit code {code}"

    def close(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None


class Pair:
    """The process of the kernels and that of the reference, which make the same calls at the same time."""

    def __init__(self) -> None:
        self.servers = Server(False), Server(True)

    def answers(self, calls: list[Call], whole: bool = False) -> list[tuple[Answer, Answer]]:
        """What each call gives, by kernels and by the reference; of a process that died, ("died", how)."""
        for server in self.servers:
            server.send(calls, whole)
        both = []
        for server in self.servers:
            got = server.receive()
            if isinstance(got, str):  # which of the calls it was, one at a time tells
                got = [self._alone(server, call, whole) for call in calls] if len(calls) > 1 else [("died", got)]
            both.append(got)
        return list(zip(*both))

    @staticmethod
    def _alone(server: Server, call: Call, whole: bool) -> Answer:
        server.send([call], whole)
        got = server.receive()
        return ("died", got) if isinstance(got, str) else got[0]

    def wrong(self, calls: list[Call]) -> list[str]:
        """What is wrong with each call; nothing where both agree."""
        found = [_quick(kernel, reference) for kernel, reference in self.answers(calls)]
        return [self.problem(call) if wrong is None else wrong for call, wrong in zip(calls, found)]

    def problem(self, call: Call) -> str:
        """What is wrong with a call; nothing where both agree."""
        ((kernel, reference),) = self.answers([call], whole=True)
        return problem(call, kernel, reference)

    def close(self) -> None:
        """End both."""
        for server in self.servers:
            server.close()


def _quick(kernel: Answer, reference: Answer) -> str | None:
    """Nothing wrong; or None, where the whole results are needed to tell."""
    if kernel[0] == reference[0] == "digest" and kernel[1] == reference[1]:
        return ""
    if kernel[0] == reference[0] == "error" and kernel[1][0] == reference[1][0] and kernel[1][0][:3] != "raw":
        return ""
    return "" if "skip" in (kernel[0], reference[0]) and "died" not in (kernel[0], reference[0]) else None


def problem(call: Call, kernel: Answer, reference: Answer) -> str:
    """What is wrong with two answers to a call; nothing where they agree."""
    from tests.test_equivalence import assert_same

    for name, (kind, value) in (("kernel", kernel), ("reference", reference)):
        if kind == "died":
            return f"the {name}'s process died: {value}"
        if kind == "error" and value[0].startswith("raw"):
            return f"the {name} raised {value[0]}: {value[1]}"
    if "skip" in (kernel[0], reference[0]):
        return ""
    if kernel[0] != reference[0]:
        return f"the kernel gave {_short(kernel)}, the reference {_short(reference)}"
    if kernel[0] == "error":
        return "" if kernel[1][0] == reference[1][0] else f"errors differ: {kernel[1]} and {reference[1]}"
    case, args, kwargs = arguments(call)
    rtol = case.rtol
    if rtol and _single((*args, *(kwargs or {}).values())):
        rtol = max(2e-6, *(other.rtol for other in CALLS if other.function == case.function))
    if [a.shape for a in kernel[1]] != [a.shape for a in reference[1]]:
        return "shapes differ"
    first, others = magnitudes(case.function, args, kwargs or {}) if rtol else (0.0, 0.0)
    got, want = (
        [_beside(a, others if k else first) if rtol else a for k, a in enumerate(answer[1])]
        for answer in (kernel, reference)
    )
    try:
        assert_same(got, want, rtol)
    except AssertionError as error:
        return " ".join(str(error).split())[:400]
    return ""


def _beside(x: np.ndarray, terms: float) -> np.ndarray:
    """With the size of its terms, by which a tolerance is to go; and without the numbers of fewer bits than others."""
    if x.dtype.kind != "f":
        return x
    with np.errstate(over="ignore"):
        wide = np.append(x.reshape(-1), x.dtype.type(terms))
    return np.where(np.abs(wide) < 1e-36, np.zeros_like(wide), wide)


def _single(given: Iterable[Any]) -> bool:
    """Whether changes have made the call one of single precision."""
    return any(isinstance(x, np.ndarray) and x.dtype.kind == "f" and x.itemsize < 8 for x in given)


def _short(answer: tuple[str, Any]) -> str:
    return f"{answer[1][0]}: {answer[1][1]}" if answer[0] == "error" else "a result"


@functools.cache
def _places(number: int) -> tuple[Any, ...]:
    """Where a case has arguments, and which of them are arrays."""
    args, kwargs = CALLS[number].make(np.random.default_rng(0), 5)
    places = [*range(len(args)), *kwargs]
    arrays = [place for place in places if isinstance(changes.at(args, kwargs, place), np.ndarray)]
    # What `call` is given beside arrays is the case's own.
    return (arrays if CALLS[number].call else places), arrays


def invent(rng: random.Random, numbers: list[int]) -> Call:
    """A call at random, of one of the cases."""
    number = rng.choice(numbers)
    case = CALLS[number]
    n = rng.choice((0, 1, 2, 3, rng.randint(4, 200), rng.choice(case.sizes)))
    made = changes.invent(rng, *_places(number), case.threads)
    return {"case": number, "n": n, "seed": rng.randrange(1 << 31), "changes": made}


def attack(rng: random.Random, until: float, function: str = "") -> tuple[str, list[str]]:
    """Calls until the time is over, of one function or all: how many, and those that failed."""
    by_function: dict[str, list[int]] = {}
    for number, case in enumerate(CALLS):
        if function in ("", case.function):
            by_function.setdefault(case.function, []).append(number)
    pair, done, problems, seen = Pair(), 0, [], set()
    try:
        while time.monotonic() < until and len(problems) < 20:
            # One in eight from any function, for some have hundreds of cases, some one; some of those take long.
            calls = [
                invent(rng, rng.choice(list(by_function.values())) if k % 8 == 0 else [*range(len(CALLS))])
                if not function
                else invent(rng, by_function[function])
                for k in range(_BATCH)
            ]
            done += len(calls)
            for call, wrong in zip(calls, pair.wrong(calls)):
                sort = (CALLS[call["case"]].function, wrong[:40])
                if wrong and sort not in seen:
                    seen.add(sort)
                    problems.append(shrinking.report(call, wrong, pair.problem))
                    print(f"  {problems[-1]}", flush=True)
    finally:
        pair.close()
    missing = untried()
    told = f"; without a case: {', '.join(missing)}" if missing else ""
    return f"{done} calls of {len(by_function)} functions{told}", problems


def untried() -> list[str]:
    """Public functions and classes that no case calls, but errors and what is only ever returned."""
    import fastdl

    called = {case.function for case in CALLS} | RETURNED
    return sorted(name for name in fastdl.__all__ if name not in called and not _is_error(getattr(fastdl, name)))


def _is_error(x: Any) -> bool:
    return isinstance(x, type) and issubclass(x, Exception)


def main() -> int:
    """Make the call of the command line here, and show what it gives."""
    call = json.loads(sys.argv[1])
    case, args, kwargs = arguments(call)
    print(f"fastdl.{case.function}", *args, kwargs, sep="\n")
    pair = Pair()
    ((kernel, reference),) = pair.answers([call], whole=True)
    pair.close()
    print(kernel, reference, sep="\n")
    wrong = problem(call, kernel, reference)
    print(wrong or "no difference")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(importlib.import_module("tests.attack.calls").main())
