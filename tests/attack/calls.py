"""Random calls of every public function that has a case, on the kernels and on the NumPy reference.

A call is a line: the case, the number of items, the seed of its arguments, and the changes made to them. Two processes
make it, one with FASTDL_REFERENCE=1; they must give the same result within the promise of the case, or the same class
of fastdl's own errors. A failing call is made smaller as long as it fails, and printed as a command.
"""

from __future__ import annotations

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
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from tests.attack import changes
from tests.attack.more_cases import CALLS

ROOT = Path(__file__).parents[2]
_PATIENCE = 60.0  # seconds that a call may take
_MEMORY = 6 << 30  # bytes that a process may map
Call = dict[str, Any]


def make(call: Call) -> tuple[Any, Any, Any]:
    """The case and the arguments of a call; None where they cannot be made."""
    case = CALLS[call["case"]]
    args, kwargs = case.make(np.random.default_rng(call["seed"]), call["n"])
    given, named, problem = changes.make(args, kwargs, call["changes"])
    return case, given, None if problem else named


def run(call: Call) -> tuple[str, Any]:
    """("result", arrays), ("error", class, message) or ("skip", None)."""
    import fastdl
    from tests.test_equivalence import arrays

    case, args, kwargs = make(call)
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
        # A plain TypeError is what Python's own functions raise for an argument of the wrong type.
        raw = "" if issubclass(kind, (fastdl.FastdlError, TypeError)) else "raw "
        return "error", (raw + kind.__name__, str(error)[:300])
    for given, before in held:
        if not np.array_equal(given, before, equal_nan=given.dtype.kind in "fc"):
            return "error", ("raw", "an input was changed")
    return "result", found


def _written(function: Any, args: Any, kwargs: Any, made: list[list[Any]]) -> Any:
    """The result of a call; where the changes say so, as it is written to an array that is given."""
    result = function(*args, **kwargs)
    ways = [more[0] for _, kind, *more in made if kind == "out"]
    if not ways or not isinstance(result, np.ndarray) or "out" not in inspect.signature(function).parameters:
        return result
    out = changes.OUTS[ways[0]](result, args[0])
    again = function(*args, **kwargs, out=out)
    if again is not out:
        raise RuntimeError("out= is not what is returned")
    return again


def serve() -> None:
    """Calls from standard input, a line each; what they gave to standard output, pickled."""
    if sys.platform == "linux" and "asan" not in os.environ.get("LD_PRELOAD", ""):  # which maps terabytes
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    for line in sys.stdin:
        pickle.dump(run(json.loads(line)), out)
        out.flush()


class Server:
    """A process that makes calls; it is started again when it has died."""

    def __init__(self, reference: bool):
        path = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), str(ROOT))))
        self.environment = {**os.environ, "FASTDL_REFERENCE": "1" if reference else "0", "PYTHONPATH": path}
        self.process: Any = None

    def ask(self, call: Call) -> tuple[str, Any]:
        """What the call gives: as `run`, or ("died", how)."""
        if self.process is None or self.process.poll() is not None:
            command = [sys.executable, "-P", "-c", "from tests.attack.calls import serve; serve()"]
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self.environment, cwd=ROOT
            )
        try:
            self.process.stdin.write(json.dumps(call).encode() + b"\n")
            self.process.stdin.flush()
            with selectors.DefaultSelector() as ready:
                ready.register(self.process.stdout, selectors.EVENT_READ)
                if not ready.select(_PATIENCE):
                    self.close()
                    return "died", f"no answer in {_PATIENCE:g} s"
            return pickle.load(self.process.stdout)
        except (EOFError, BrokenPipeError, pickle.UnpicklingError):
            code = self.process.wait()
            self.process = None
            return "died", f"exit code {code}"

    def close(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None


def problem(call: Call, kernel: tuple[str, Any], reference: tuple[str, Any]) -> str:
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
    rtol = CALLS[call["case"]].rtol
    if rtol and any(a.dtype == np.float32 for a in kernel[1]):
        rtol = max(rtol, 2e-6)  # a change may have made the call one of float32
    try:
        assert_same(kernel[1], reference[1], rtol)
    except AssertionError as error:
        return " ".join(str(error).split())[:400]
    return ""


def _short(answer: tuple[str, Any]) -> str:
    return f"{answer[1][0]}: {answer[1][1]}" if answer[0] == "error" else "a result"


def shrink(call: Call, fails: Any, seconds: float = 20.0) -> Call:
    """A smaller call that fails, too; looked for no longer than so many seconds."""
    smaller, until = True, time.monotonic() + seconds
    while smaller and time.monotonic() < until:
        smaller = False
        fewer = [
            {**call, "changes": call["changes"][:k] + call["changes"][k + 1 :]} for k in range(len(call["changes"]))
        ]
        less = [{**call, "n": n} for n in (0, 1, 2, 3, call["n"] // 2, call["n"] - 1) if 0 <= n < call["n"]]
        for candidate in (*fewer, *less):
            if fails(candidate):
                call, smaller = candidate, True
                break
    return call


def invent(rng: random.Random, numbers: list[int]) -> Call:
    """A call at random, of one of the cases."""
    number = rng.choice(numbers)
    case = CALLS[number]
    n = rng.choice((0, 1, 2, 3, rng.randint(4, 200), rng.choice(case.sizes)))
    call: Call = {"case": number, "n": n, "seed": rng.randrange(1 << 31), "changes": []}
    args, kwargs = case.make(np.random.default_rng(call["seed"]), n)
    return {**call, "changes": changes.invent(rng, args, kwargs, case.threads)}


def attack(rng: random.Random, until: float, function: str = "") -> tuple[str, list[str]]:
    """Calls until the time is over, of one function or all: how many, and those that failed."""
    numbers = [k for k, case in enumerate(CALLS) if function in ("", case.function)]
    kernel, reference = Server(False), Server(True)
    done, problems, seen = 0, [], set()
    try:
        while time.monotonic() < until and len(problems) < 20:
            call = invent(rng, numbers)
            done += 1
            wrong = problem(call, kernel.ask(call), reference.ask(call))
            sort = (CALLS[call["case"]].function, wrong[:40])
            if wrong and sort not in seen:
                seen.add(sort)
                call = shrink(call, lambda c: bool(problem(c, kernel.ask(c), reference.ask(c))))
                wrong = problem(call, kernel.ask(call), reference.ask(call)) or wrong
                problems.append(report(call, wrong))
                print(f"  {problems[-1]}", flush=True)
    finally:
        kernel.close()
        reference.close()
    missing = untried()
    told = f"; without a case: {', '.join(missing)}" if missing else ""
    return f"{done} calls of {len({CALLS[k].function for k in numbers})} functions{told}", problems


def untried() -> list[str]:
    """Public functions that no case calls."""
    import fastdl

    names = (name for name in fastdl.__all__ if name[0].islower() and callable(getattr(fastdl, name)))
    called = {case.function for case in CALLS}
    return sorted(name for name in names if name not in called)


def report(call: Call, wrong: str) -> str:
    """A failure, and the command that shows it."""
    case = CALLS[call["case"]]
    return f"FAILED {case}: {wrong}\n  python -m tests.attack.calls '{json.dumps(call)}'"


def main() -> int:
    """Make the call of the command line here, and show what it gives."""
    call = json.loads(sys.argv[1])
    case, args, kwargs = make(call)
    print(f"fastdl.{case.function}", *args, kwargs, sep="\n")
    servers = Server(False), Server(True)
    answers = [server.ask(call) for server in servers]
    for server in servers:
        server.close()
    print(*answers, sep="\n")
    wrong = problem(call, *answers)
    print(wrong or "no difference")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(importlib.import_module("tests.attack.calls").main())
