"""Streaming states fed in random groupings, merged in random trees, by no executor or by threads."""

from __future__ import annotations

import copy
import pickle
import random
import time
import warnings
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
    block: int = 1  # chunks are of whole blocks


def _cloud(rng: np.random.Generator, n: int) -> Any:
    return rng.normal(0, 3, (n, 5)).astype(np.float32)


def _labels(rng: np.random.Generator, n: int) -> Any:
    return rng.integers(0, 9, n)


def _numbers(rng: np.random.Generator, n: int) -> Any:
    return rng.normal(5, 2, (n, 3))


def _line(rng: np.random.Generator, n: int) -> Any:
    return np.clip(rng.normal(0, 0.4, (n, 2)), -1, 1)


class Columns:
    """A state that takes X and y as the columns of one array."""

    def __init__(self, state: Any):
        self.state = state

    def fresh(self) -> Columns:
        """As the state's."""
        return Columns(self.state.fresh())

    def update(self, rows: Any) -> Columns:
        """All columns but the last are X; of one only, x."""
        X = rows[:, 0] if rows.shape[1] == 2 else rows[:, :-1]
        self.state.update((X, rows[:, -1]))
        return self

    def merge(self, other: Columns) -> Columns:
        """As the state's."""
        self.state.merge(other.state)
        return self

    def finish(self) -> Any:
        """The numbers of the state's result."""
        found = self.state.finish()
        if isinstance(found, fastdl.PolynomialPath):
            return found.coefficients, found.loss
        return found if isinstance(found, tuple) else (found.w, np.asarray(found.b))


def _polynomials() -> Columns:
    return Columns(fastdl.PolynomialStats(3, offset=0.25))


def _loss() -> Columns:
    return Columns(fastdl.LpLoss([0.5, -1.0], 0.25, 1.5))


STREAMS = (
    Stream("PolynomialStats", _polynomials, _line, 1e-9),
    Stream("PolynomialStats of blocks", _polynomials, _line, block=4096),
    Stream("GramAccumulator", lambda: Columns(fastdl.GramAccumulator()), _numbers, 1e-9),
    Stream("LpLoss", _loss, _numbers, 1e-11),
    Stream("LpLoss of blocks", _loss, _numbers, block=fastdl.LpLoss([0.5, -1.0]).block(2, np.float64)),
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
        chunks = _cut(rng, rows, stream.block)
        way = rng.choice(("loop", "threads", "tree", "pickled"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a few rows do not determine every degree
            want, got = stream.make().update(rows).finish(), _fed(stream, chunks, way, rng)
        done += 1
        try:
            assert_same(*(x.encode(rows[:500]) if stream.encodes else x for x in (got, want)), stream.rtol)
        except AssertionError as error:
            sizes = [len(chunk) for chunk in chunks]
            said = " ".join(str(error).split())[:300]
            problems.append(f"FAILED {stream.name}, {n} rows of seed {seed} as {sizes[:20]} by {way}: {said}")
    return f"{done} groupings of {len(STREAMS)} states", problems


def _cut(rng: random.Random, rows: Any, block: int) -> list[Any]:
    cuts = sorted(rng.randint(0, len(rows) // block) * block for _ in range(rng.choice((0, 1, 3, 10, 40))))
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
