"""The cases of selection: splits and folds to the bit, sums and series of polynomials, the losses of every degree."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

import fastdl
from fastdl.reference import selection
from tests.case import Case

DOMAIN = (-2.0, 5.0)


def split_parts(n: int, ratios: tuple[int, ...], seed: int, threads: int = 1) -> np.ndarray:
    return fastdl.split(n, ratios, seed=seed).parts(threads=threads)


def split_defined(n: int, ratios: tuple[int, ...], seed: int) -> np.ndarray:
    return selection.split(n, ratios, seed=seed).astype(np.uint8)


def folds_of(n: int, k: int, seed: int, threads: int = 1) -> np.ndarray:
    return fastdl.k_fold(n, k, seed=seed).folds(threads=threads)


def folds_defined(n: int, k: int, seed: int) -> np.ndarray:
    return selection.k_fold(n, k, seed=seed).astype(np.int32)


def points(rng: np.random.Generator, n: int, dtype: str) -> tuple[np.ndarray, ...]:
    x = rng.uniform(*DOMAIN, n).astype(dtype)
    return x, (np.sin(x) + rng.normal(0, 0.3, n)).astype(dtype), rng.integers(0, 3, n).astype(dtype)


def sums_of(
    x: np.ndarray, y: np.ndarray, s: np.ndarray | None, fold: np.ndarray | None, degree: int, threads: int = 1
) -> np.ndarray:
    state = fastdl.PolynomialStats(degree, domain=DOMAIN, folds=3, offset=0.25, threads=threads)
    for start in range(0, len(x), 1500):
        rows = slice(start, start + 1500)
        state.update((x[rows], y[rows], None if s is None else s[rows], None if fold is None else fold[rows]))
    return state.sums()


def sums_defined(
    x: np.ndarray, y: np.ndarray, s: np.ndarray | None, fold: np.ndarray | None, degree: int
) -> np.ndarray:
    return selection.sums(x, y, s, fold, 3, degree, domain=DOMAIN, offset=0.25)


def series_of(x: np.ndarray, coefficients: np.ndarray, threads: int = 1) -> np.ndarray:
    return fastdl.Polynomial(coefficients, DOMAIN).predict(x, threads=threads)


def series_defined(x: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    return selection.series(x, DOMAIN, coefficients)


def curves_of(
    x: np.ndarray, y: np.ndarray, s: np.ndarray, folds: np.ndarray, degrees: tuple[int, ...], threads: int = 1
) -> tuple[np.ndarray, ...]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        choice = fastdl.select_degree(
            x, y, degrees, folds=folds, sample_weight=s, domain=DOMAIN, test=0, threads=threads
        )
    return choice.train_folds, choice.valid_folds


def curves_defined(
    x: np.ndarray, y: np.ndarray, s: np.ndarray, folds: np.ndarray, degrees: tuple[int, ...]
) -> tuple[np.ndarray, ...]:
    return selection.curves(x, y, s.astype(float), degrees, folds, 4, domain=DOMAIN)


def _cases() -> list[Case]:
    cases = []
    for ratios in ((7, 2, 1), (1, 1), (0, 5)):

        def parts(rng: np.random.Generator, n: int, ratios: tuple[int, ...] = ratios) -> Any:
            return (n, ratios, int(rng.integers(2**31))), {}

        label = "-".join(map(str, ratios))
        cases.append(Case("selection", "split", parts, label, moved=1, call=split_parts, means=split_defined))
    for k in (2, 70, 300):

        def folds(rng: np.random.Generator, n: int, k: int = k) -> Any:
            return (n, k, int(rng.integers(2**31))), {}

        sizes: tuple[int, ...] = (k, k + 1, 4099)
        cases.append(Case("selection", "k_fold", folds, str(k), 0.0, 4, sizes, call=folds_of, means=folds_defined))
    for dtype in ("float32", "float64"):
        for degree in (0, 1, 5, 20):
            for weighted in (False, True):

                def rows(
                    rng: np.random.Generator, n: int, dtype: str = dtype, degree: int = degree, w: bool = weighted
                ) -> Any:
                    x, y, s = points(rng, n, dtype)
                    return (x, y, s if w else None, rng.integers(-1, 4, n) if w else None, degree), {}

                label = f"{degree}-{weighted}-{dtype}"
                more: dict[str, Any] = {"call": sums_of, "means": sums_defined}
                sizes = (1, 2, 7, 160, 9001)
                cases.append(Case("selection", "PolynomialStats", rows, label, 1e-12, sizes=sizes, **more))

            def numbers(rng: np.random.Generator, n: int, dtype: str = dtype, degree: int = degree) -> Any:
                return (points(rng, n, dtype)[0], rng.standard_normal(degree + 1)), {}

            more = {"call": series_of, "means": series_defined}
            cases.append(Case("selection", "Polynomial", numbers, f"{degree}-{dtype}", **more))

        def choice(rng: np.random.Generator, n: int, dtype: str = dtype) -> Any:
            return (*points(rng, n, dtype)[:2], np.ones(n), np.arange(n) % 4, (0, 1, 2, 4)), {}

        more = {"call": curves_of, "means": curves_defined}
        cases.append(Case("selection", "select_degree", choice, dtype, 1e-6, sizes=(160, 4099), **more))
    return cases


CASES_SELECTION = _cases()
