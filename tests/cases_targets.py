"""The cases of targets and bins: fitted to fixed data, so that what is compared is the encoding and what was fitted."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

import numpy as np

import fastdl
from fastdl.reference import targets
from tests.case import Case

CLASSES: dict[str, Any] = {
    "int8": np.arange(-60, 60, 3, dtype=np.int8),
    "int32": np.arange(100, 3000, 29, dtype=np.int32),
    "int64": np.arange(-50, 50) ** 11 * 3,
    "float32": np.linspace(-1, 1, 40, dtype=np.float32),
    "float64": np.linspace(-1e9, 1e9, 300),
    "U": np.array([f"class {i}" for i in range(77)]),
    "S": np.array([f"chr{i}".encode() for i in range(23)]),
}


def labels(rng: np.random.Generator, n: int, kind: str) -> np.ndarray:
    return CLASSES[kind][rng.integers(0, len(CLASSES[kind]), n)]


def classes_encoded(y, kind, dtype, threads=1):
    return fastdl.ClassTarget(dtype=dtype).fit(CLASSES[kind]).encode(y, threads=threads)


def classes_defined(y, kind, dtype):
    classes = np.unique(np.asarray(CLASSES[kind]))
    return targets.encode_labels(y, classes, np.arange(len(classes), dtype=dtype), 0)


def standardised(y, threads=1):
    target = fastdl.StandardTarget()
    if not len(y):
        target.update(y[:0]).update(np.ones((1, *y.shape[1:]))).finish()
    else:
        target.fit(y, threads=threads)
    z = target.encode(y, threads=threads)
    return np.atleast_1d(target.mean_), np.atleast_1d(target.scale_), z, target.decode(z, threads=threads)


def standard_defined(y):
    columns = (y if len(y) else np.ones((1, *y.shape[1:]))).reshape(max(1, len(y)), -1)
    weight, high, low, squares = targets.moments(columns)
    scale = np.where(squares > 0, np.sqrt(squares / weight), 1)
    table = (high, low, scale) if y.ndim == 2 else (high[0], low[0], scale[0])
    z = targets.standardise(y, *table)
    return high, scale, z, targets.unstandardise(z, *table)


@cache
def fitted(strategy: str, count: int) -> fastdl.BinnedTarget:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fastdl.MergedBins)
        return fastdl.BinnedTarget(count, strategy).fit(np.random.default_rng(0).gamma(1, 2, 200_000) - 1)


def binned(y, strategy, count, threads=1):
    target = fitted(strategy, count)
    codes = target.encode(y, threads=threads)
    return codes, target.decode(codes, threads=threads)


def binned_defined(y, strategy, count):
    target = fitted(strategy, count)
    codes = targets.bin_encode(y, target.edges_)
    return codes, target.means_[codes]


def class_cases() -> list[Case]:
    cases = []
    for kind in CLASSES:
        for dtype in ("uint16", "int64"):

            def make(rng, n, kind=kind, dtype=dtype):
                return (labels(rng, n, kind), kind, dtype), {}

            label, moved = f"{kind}-{dtype}", CLASSES[kind].itemsize + np.dtype(dtype).itemsize
            more: dict[str, Any] = {"call": classes_encoded, "means": classes_defined}
            cases.append(Case("targets", "ClassTarget", make, label, moved=moved, **more))
    return cases


def standard_cases() -> list[Case]:
    cases = []
    for dtype in ("float32", "float64"):
        for columns in (0, 1, 3, 100):

            def make(rng, n, dtype=dtype, columns=columns):
                return ((rng.standard_normal((n, columns) if columns else n) + 5).astype(dtype),), {}

            label, moved = f"{dtype}-{columns}", 2 * np.dtype(dtype).itemsize
            rtol = 1e-6 if dtype == "float32" else 1e-12
            more: dict[str, Any] = {"call": standardised, "means": standard_defined}
            cases.append(Case("targets", "StandardTarget", make, label, rtol=rtol, moved=moved, **more))
    return cases


def bin_cases() -> list[Case]:
    cases = []
    for dtype in ("float32", "float64"):
        for strategy in ("uniform", "quantile", "mu-law", "kmeans"):
            for count in (8, 256, 3000):

                def make(rng, n, dtype=dtype, strategy=strategy, count=count):
                    return ((rng.gamma(1, 2.2, n) - 1.1).astype(dtype), strategy, count), {}

                moved = np.dtype(dtype).itemsize + (1 if count <= 256 else 2)
                label = f"{strategy}-{count}-{dtype}"
                more: dict[str, Any] = {"call": binned, "means": binned_defined}
                cases.append(Case("bins", "BinnedTarget", make, label, moved=moved, **more))
    return cases


CASES_TARGETS = [*class_cases(), *standard_cases(), *bin_cases()]
