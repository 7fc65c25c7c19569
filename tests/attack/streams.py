"""Streaming states fed in random groupings, merged in random trees, by no executor or by threads."""

from __future__ import annotations

import copy
import pickle
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

import fastdl
from fastdl.streaming import run
from tests.test_equivalence import assert_same


@dataclass(frozen=True)
class Stream:
    """A state, the rows it is fed, and the tolerance of its result: 0 where the same bits are promised."""

    name: str
    make: Callable[[], Any]
    rows: Callable[[np.random.Generator, int], Any]
    rtol: float = 0.0
    encodes: bool = False  # the result is what a fitted target makes of the first rows


def _cloud(rng: np.random.Generator, n: int) -> Any:
    return rng.normal(0, 3, (n, 5)).astype(np.float32)


def _labels(rng: np.random.Generator, n: int) -> Any:
    return rng.integers(0, 9, n)


def _numbers(rng: np.random.Generator, n: int) -> Any:
    return rng.normal(5, 2, (n, 3))


STREAMS = (
    Stream("VoxelAccumulator mean", lambda: fastdl.VoxelAccumulator(0.5), _cloud, 1e-12),
    Stream("VoxelAccumulator first", lambda: fastdl.VoxelAccumulator(0.5, reduce="first"), _cloud),
    Stream("VoxelAccumulator max", lambda: fastdl.VoxelAccumulator(0.5, reduce="max"), _cloud),
    Stream("VoxelAccumulator last", lambda: fastdl.VoxelAccumulator(1.0, reduce="last"), _cloud),
    Stream("ClassTarget", fastdl.ClassTarget, _labels, encodes=True),
    Stream("StandardTarget", fastdl.StandardTarget, _numbers, 1e-12, encodes=True),
)


def attack(rng: random.Random, until: float) -> tuple[str, list[str]]:
    """Group rows at random until the time is over."""
    done, problems = 0, []
    while time.monotonic() < until and len(problems) < 20:
        stream = rng.choice(STREAMS)
        seed, n = rng.randrange(1 << 31), rng.choice((1, 2, 7, 100, 5_000, 70_000))
        rows = stream.rows(np.random.default_rng(seed), n)
        chunks = _cut(rng, rows)
        way = rng.choice(("loop", "threads", "tree", "pickled"))
        want, got = stream.make().update(rows).finish(), _fed(stream, chunks, way, rng)
        done += 1
        try:
            assert_same(*(x.encode(rows[:500]) if stream.encodes else x for x in (got, want)), stream.rtol)
        except AssertionError as error:
            sizes = [len(chunk) for chunk in chunks]
            said = " ".join(str(error).split())[:300]
            problems.append(f"FAILED {stream.name}, {n} rows of seed {seed} as {sizes[:20]} by {way}: {said}")
    return f"{done} groupings of {len(STREAMS)} states", problems


def _cut(rng: random.Random, rows: Any) -> list[Any]:
    cuts = sorted(rng.randint(0, len(rows)) for _ in range(rng.choice((0, 1, 3, 10, 40))))
    return [rows[a:b] for a, b in zip([0, *cuts], [*cuts, len(rows)])]


def _fed(stream: Stream, chunks: list[Any], way: str, rng: random.Random) -> Any:
    if way == "loop":
        return run(chunks, stream.make())
    if way == "threads":
        with ThreadPoolExecutor(rng.randint(1, 4)) as executor:
            return run(chunks, stream.make(), executor=executor)
    states = [stream.make().update(chunk) for chunk in chunks]
    if way == "pickled":
        states = [pickle.loads(pickle.dumps(copy.deepcopy(state))) for state in states]
    while len(states) > 1:
        k = rng.randrange(len(states) - 1)
        states[k : k + 2] = [states[k].merge(states[k + 1])]
    return states[0].finish()
