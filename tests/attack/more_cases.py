"""Calls of functions that tests/cases_*.py leave out, for their reference is themselves without kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import fastdl
from tests.case import Case
from tests.cases import CASES


def _fit(function: Callable[..., Any]) -> Callable[..., Any]:
    """The numbers of a fit."""

    def call(*args: Any, **kwargs: Any) -> list[Any]:
        fit = function(*args, **kwargs)
        return [np.asarray(fit.w, float), float(np.asarray(fit.b)), float(fit.loss)]

    return call


def _rows(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    X = rng.normal(size=(n + 4, 3))
    return X, X @ [1.0, -2.0, 0.5] + rng.standard_t(2, n + 4)


def _fit_case(function: str, label: str, rtol: float, **settings: Any) -> Case:
    def make(rng: np.random.Generator, n: int) -> Any:
        X, y = _rows(rng, n)
        return (X, y), {"sample_weight": rng.uniform(0.5, 2, len(y)), **settings}

    call = _fit(getattr(fastdl, function))
    return Case("linear", function, make, label, rtol=rtol, sizes=(0, 1, 5, 60), threads=(), call=call)


def _split(rng: np.random.Generator, n: int) -> Any:
    return (n,), {"seed": int(rng.integers(9))}


MORE = [
    _fit_case("fit_lp", "2", 1e-9, p=2.0),
    _fit_case("fit_lp", "1", 1e-9, p=1.0),
    _fit_case("fit_lp", "3", 1e-6, p=3.0),
    Case(
        "selection",
        "split",
        _split,
        sizes=(0, 1, 5, 1000),
        threads=(),
        call=lambda *args, **kwargs: list(fastdl.split(*args, **kwargs)),
    ),
    Case(
        "selection",
        "select_degree",
        lambda rng, n: ((x := rng.uniform(-1, 1, n + 12), x**2 + rng.normal(0, 0.1, n + 12), [1, 2, 3]), {"folds": 3}),
        rtol=1e-8,
        sizes=(0, 5, 200),
        threads=(),
        call=lambda *args, **kwargs: [int(fastdl.select_degree(*args, **kwargs).degree)],
    ),
]
CALLS = [*CASES, *MORE]
