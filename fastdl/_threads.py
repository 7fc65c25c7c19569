"""The thread pool, and how work is split among its threads; the only module that handles threads and forks.

Kernels are serial. `split` cuts the work at fixed block borders, whatever the number of threads, and returns the
blocks' results in block order: so the bits do not depend on the threads. One pool of Python threads serves everything;
a forked child starts a pool of its own.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fastdl import _check

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

#: The default of `threads`. Calls of a few items ask whether an argument is its default by identity, which takes some
#: nanoseconds; what is equal and not the same object goes the usual way, to the same result.
ONE = 1


def valid(threads: int | None) -> bool:
    """Whether `threads` is beyond doubt a number of threads; calls of a few items use one, whatever the number."""
    return threads is None or (type(threads) is int and threads > 0)


_pool: ThreadPoolExecutor | None = None
_lock = threading.Lock()


def _forget() -> None:
    """Forget the pool in a forked child: threads do not survive a fork, and their locks could never be released."""
    global _pool, _lock
    _pool, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def thread_pool() -> ThreadPoolExecutor:
    """The one pool; its threads start as they are needed and end with the interpreter."""
    global _pool
    from concurrent.futures import ThreadPoolExecutor  # takes 4 ms to load, which calls on one thread are spared

    with _lock:
        if _pool is None:
            _pool = ThreadPoolExecutor(max(32, available()), thread_name_prefix="fastdl")
        return _pool


def available() -> int:
    """The number of processors this process may use, by its affinity and its cgroup quota."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(count, _quota() or count))


def _quota() -> int | None:
    """The cgroup's processor quota, rounded up, or None where there is none."""
    try:
        limit, period = _text("cpu.max").split()
    except (OSError, ValueError):
        try:
            limit = _text("cpu/cpu.cfs_quota_us")
            period = _text("cpu/cpu.cfs_period_us")
        except OSError:
            return None
    if limit == "max" or int(limit) <= 0:
        return None
    return -(-int(limit) // int(period))


def _text(name: str) -> str:
    with open(f"/sys/fs/cgroup/{name}") as file:  # without pathlib, which takes milliseconds to load
        return file.read()


def count(threads: int | None) -> int:
    """The number of threads asked for; None means all this process may use."""
    return available() if threads is None else _check.integer("threads", threads, 1)


def split(n: int, threads: int | None, run: Callable[[slice], Any], block: int) -> list[Any]:
    """Call run(slice) for each block of `block` rows out of n, on `threads` threads; the results in block order.

    Serial where there is one block. Ctrl-C, like any error, takes effect at the next block border.
    """
    if type(threads) is not int or threads < 1:
        threads = count(threads)
    if n <= block:
        return [run(slice(0, n))] if n else []
    if threads == 1:
        return [run(slice(i, min(i + block, n))) for i in range(0, n, block)]
    starts = range(0, n, block)
    return share(len(starts), threads, lambda k: run(slice(starts[k], min(starts[k] + block, n))))


def split_rows(run: Callable[..., Any], arrays: tuple[Any, ...], threads: int | None, block: int) -> list[Any]:
    """As `split`, run(*parts) for each block of arrays of one length; a small call gets the arrays themselves."""
    n = len(arrays[0])
    if n <= block:
        if type(threads) is not int or threads < 1:
            count(threads)
        return [run(*arrays)] if n else []
    return split(n, threads, lambda s: run(*(array[s] for array in arrays)), block)


def share(jobs: int, threads: int, run: Callable[[int], Any]) -> list[Any]:
    """Call run(k) for k in range(jobs), each by whichever thread is free; the results in order of k."""
    results: list[Any] = [None] * jobs
    if threads == 1 or jobs <= 1:
        for k in range(jobs):
            results[k] = run(k)
        return results
    from concurrent.futures import wait

    todo = iter(range(jobs))
    turn = threading.Lock()
    stop = False

    def work() -> None:
        nonlocal stop
        while not stop:
            with turn:
                k = next(todo, None)
            if k is None:
                return
            try:
                results[k] = run(k)
            except BaseException:
                stop = True
                raise

    helpers = [thread_pool().submit(work) for _ in range(min(threads, jobs) - 1)]
    try:
        work()
    except BaseException:  # Ctrl-C may fall between two blocks, outside run
        stop = True
        raise
    finally:
        # A helper still queued has nothing left to do; waiting for it could deadlock when the pool itself calls share.
        running = [h for h in helpers if not h.cancel()]
        wait(running)
    for helper in running:
        helper.result()
    return results
