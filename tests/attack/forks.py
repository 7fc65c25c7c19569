"""Threads, forks and spawned processes that all call fastdl at the same time: every one gets the same bits."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import random
import threading
import time
import warnings
from typing import Any

import numpy as np

import fastdl
from tests.cases import CASES

_SIZE = 5_000  # items: enough for several blocks of most kernels
_PATIENCE = 60.0  # seconds for a child


def digest(number: int, threads: int) -> str:
    """A hash of what a case gives."""
    from tests.test_equivalence import arrays

    case = CASES[number]
    args, kwargs = case.make(np.random.default_rng(0), _SIZE)
    named = {**kwargs, "threads": threads} if case.threads else kwargs
    found = hashlib.sha256()
    for array in arrays((case.call or getattr(fastdl, case.function))(*args, **named)):
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def _child(numbers: list[int], threads: int, queue: Any) -> None:
    queue.put([digest(number, threads) for number in numbers])


def attack(rng: random.Random, until: float) -> tuple[str, list[str]]:
    """Threads call without pause while processes are forked and spawned beside them."""
    numbers = rng.sample(range(len(CASES)), min(24, len(CASES)))
    want = {number: digest(number, 1) for number in numbers}
    problems: list[str] = []
    counts = {"calls": 0, "fork": 0, "spawn": 0}
    stop = threading.Event()

    def call(seed: int) -> None:
        mine = random.Random(seed)
        while not stop.is_set() and time.monotonic() < until:
            number, threads = mine.choice(numbers), mine.randint(1, 4)
            if digest(number, threads) != want[number]:
                problems.append(f"FAILED {CASES[number]} in a thread, threads={threads}")
            counts["calls"] += 1

    callers = [threading.Thread(target=call, args=(rng.random(),)) for _ in range(3)]
    for caller in callers:
        caller.start()
    methods = [m for m in ("fork", "fork", "fork", "spawn") if m in multiprocessing.get_all_start_methods()]
    try:
        while time.monotonic() < until and len(problems) < 20:
            method = rng.choice(methods)
            counts[method] += 1
            problems += _process(method, rng.sample(numbers, 4), rng.randint(1, 4), want)
    finally:
        stop.set()
        for caller in callers:
            caller.join()
    return ", ".join(f"{n} {what}" for what, n in counts.items()), problems


def _process(method: str, numbers: list[int], threads: int, want: dict[int, str]) -> list[str]:
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    with warnings.catch_warnings():  # of Python 3.12: that forking beside threads is what this does
        warnings.simplefilter("ignore", DeprecationWarning)
        child = context.Process(target=_child, args=(numbers, threads, queue))
        child.start()
    try:
        found = queue.get(timeout=_PATIENCE)
    except Exception as error:
        os.kill(child.pid or 0, 9)
        child.join()
        return [f"FAILED {method}: no answer ({type(error).__name__}) to {[str(CASES[n]) for n in numbers]}"]
    child.join(_PATIENCE)
    return [
        f"FAILED {CASES[number]} in a {method}ed process, threads={threads}"
        for number, got in zip(numbers, found)
        if got != want[number]
    ]
