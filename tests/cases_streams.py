"""The cases of states that stream: chunks of uneven sizes, the first half written to bytes and read back.

What a state finishes with is what the definition gives for all rows at once.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import fastdl
from fastdl.reference import losses, points, targets
from tests.case import Case
from tests.cases_points import SIZE, cloud

SIZES = (2, 7, 160, 4099)
W = np.array([0.5, -1.0, 2.0])


def streamed(state: Any, *columns: np.ndarray) -> Any:
    """The state after all rows, in chunks of 1, 2, 4, ... rows; half way it goes through its bytes."""
    start, size, n = 0, 1, len(columns[0])
    while start < n:
        chunk = tuple(column[start : start + size] for column in columns)
        state = state.update(chunk if len(chunk) > 1 else chunk[0])
        if start <= n // 2 < start + size and hasattr(state, "to_bytes"):
            state = type(state).from_bytes(state.to_bytes())
        start, size = start + size, 2 * size
    return state.finish()


def standard(y: np.ndarray) -> tuple[Any, ...]:
    target = streamed(fastdl.StandardTarget(), y)
    return target.mean_, target.scale_


def standard_defined(y: np.ndarray) -> tuple[Any, ...]:
    weight, high, _, squares = targets.moments(y)
    return high, np.where(squares > 0, np.sqrt(squares / weight), 1.0)


def classes(y: np.ndarray) -> np.ndarray:
    return streamed(fastdl.ClassTarget(), y).classes_


def two_classes(y: np.ndarray) -> np.ndarray:
    return streamed(fastdl.BinaryTarget(), y).classes_


def bins(y: np.ndarray) -> tuple[np.ndarray, ...]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fastdl.MergedBins)
        target = streamed(fastdl.BinnedTarget(5, "uniform", sketch=1 << 16), y)
    return target.edges_, target.counts_


def bins_defined(y: np.ndarray) -> tuple[np.ndarray, ...]:
    edges = targets.uniform(np.sort(y), 5)
    return edges, targets.bin_values(np.sort(y), edges)[0]


def lp_sums(X: np.ndarray, y: np.ndarray, s: np.ndarray, p: float, threads: int = 1) -> tuple[Any, ...]:
    return streamed(fastdl.LpLoss(W, 0.25, p, threads=threads), X, y, s)


def lp_defined(X: np.ndarray, y: np.ndarray, s: np.ndarray, p: float) -> tuple[Any, ...]:
    return losses.lp_loss_grad(X, y, W, 0.25, p, sample_weight=s)


def least_squares(X: np.ndarray, y: np.ndarray, s: np.ndarray) -> tuple[Any, ...]:
    fit = streamed(fastdl.GramAccumulator(l2=0.5), X, y, s)
    return fit.w, fit.b


def least_squares_defined(X: np.ndarray, y: np.ndarray, s: np.ndarray) -> tuple[Any, ...]:
    """The normal equations of the weighted rows, with the penalty as three rows more and no penalty of b."""
    root = np.sqrt(s)
    rows = np.column_stack([X * root[:, None], root])
    rows = np.vstack([rows, np.sqrt(0.5) * np.eye(3, 4)])
    found = np.linalg.lstsq(rows, np.append(y * root, np.zeros(3)), rcond=None)[0]
    return found[:3], found[3]


def voxels(x: np.ndarray, reduce: str, order: str) -> tuple[np.ndarray, ...]:
    found = streamed(fastdl.VoxelAccumulator(SIZE, reduce=reduce, order=order), x)
    return found.points, found.coords, found.counts


def voxels_defined(x: np.ndarray, reduce: str, order: str) -> tuple[np.ndarray, ...]:
    return points.voxel_reduce(x, SIZE, reduce=reduce, order=order)[:3]


def labels(rng: np.random.Generator, n: int) -> Any:
    return (rng.integers(-5, 40, n),), {}


def two_labels(rng: np.random.Generator, n: int) -> Any:
    return (np.resize([3, 8], n),), {}


def numbers(rng: np.random.Generator, n: int) -> Any:
    return (rng.gamma(2.0, 1.0, n),), {}


def columns(rng: np.random.Generator, n: int) -> Any:
    return (rng.standard_normal((n, 3)) + 100,), {}


def rows(rng: np.random.Generator, n: int) -> tuple[np.ndarray, ...]:
    X = rng.standard_normal((n, 3))
    return X, X @ W + rng.standard_normal(n), rng.integers(1, 4, n).astype(float)


def _cases() -> list[Case]:
    cases = []

    def add(
        stem: str, name: str, make: Callable, call: Callable, means: Callable, rtol: float = 0.0, **more: Any
    ) -> None:
        more = {"sizes": SIZES, "threads": (), **more}
        cases.append(Case(stem, name, make, "stream" + more.pop("label", ""), rtol, call=call, means=means, **more))

    add("targets", "StandardTarget", columns, standard, standard_defined, 1e-12)
    add("targets", "ClassTarget", labels, classes, np.unique)
    add("targets", "BinaryTarget", two_labels, two_classes, np.unique)
    add("targets", "BinnedTarget", numbers, bins, bins_defined)
    for p in (1.0, 1.5, 2.0):
        label = f"-{p:g}"

        def lp(rng: np.random.Generator, n: int, p: float = p) -> Any:
            return (*rows(rng, n), p), {}

        add("losses", "LpLoss", lp, lp_sums, lp_defined, 1e-11, label=label, threads=(1, 2, 3))
    add("linear", "GramAccumulator", lambda rng, n: (rows(rng, n), {}), least_squares, least_squares_defined, 1e-9)
    for reduce in ("mean", "min", "last"):
        for order in ("first", "sorted"):

            def scan(rng: np.random.Generator, n: int, reduce: str = reduce, order: str = order) -> Any:
                return (cloud(rng, n), reduce, order), {}

            add("points", "VoxelAccumulator", scan, voxels, voxels_defined, label=f"-{reduce}-{order}")
    return cases


CASES_STREAMS = _cases()
