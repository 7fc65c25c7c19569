"""Cases of the kernels of fits, which the shell calls block by block."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastdl.linear._matrix import kernel
from fastdl.linear.methods._interior_point import kernel as interior_kernel
from fastdl.reference import _linear_kernels
from fastdl.reference import linear as reference
from tests.case import Case

SIZES = (1, 2, 7, 160, 4099)


def rows(rng: np.random.Generator, n: int, d: int) -> tuple[np.ndarray, ...]:
    """X, y, weights, shifts and factors that are powers of two."""
    return rng.normal(size=(n, d)), rng.normal(size=n), rng.random(n), rng.normal(size=d), 2.0 ** rng.integers(-3, 4, d)


def plain(*arrays: Any) -> list[np.ndarray]:
    """As the shell gives them to kernels."""
    return [np.ascontiguousarray(a, np.float64) for a in arrays]


def gram_by(kernels: Any) -> Callable[..., np.ndarray]:
    def call(X: Any, y: Any, s: Any, shift: Any, factor: Any) -> np.ndarray:
        X, y, s, shift, factor = plain(X, y, s, shift, factor)
        width = -(-(X.shape[1] + 2) // 8) * 8
        total = np.zeros((width, width))
        kernels.gram(X, y, s, shift, factor, np.empty(128 * width), total)
        return np.triu(total)[: X.shape[1] + 2, : X.shape[1] + 2]

    return call


def residuals_by(kernels: Any) -> Callable[..., np.ndarray]:
    def call(X: Any, y: Any, s: Any, shift: Any, factor: Any) -> np.ndarray:
        X, y, shift, factor = plain(X, y, shift, factor)
        out = np.empty(len(X))
        kernels.residuals(X, y, factor, 0.5, shift, out)
        return out

    return call


def products_by(kernels: Any) -> Callable[..., np.ndarray]:
    def call(X: Any, y: Any, s: Any, shift: Any, factor: Any) -> np.ndarray:
        X, y, shift = plain(X, y, shift)
        total = np.zeros(X.shape[1] + 1)
        kernels.products(X, y, shift, total)
        return total

    return call


def squares_by(kernels: Any) -> Callable[..., np.ndarray]:
    def call(X: Any, y: Any, s: Any, shift: Any, factor: Any) -> np.ndarray:
        X, y, s, shift, factor = plain(X, y, s, shift, factor)
        total = np.ones(X.shape[1] + 2)
        kernels.squares(X, y, s, factor, 0.5, shift, total)
        return total

    return call


def near_by(kernels: Any) -> Callable[..., tuple[np.ndarray, ...]]:
    def call(X: Any, y: Any, s: Any, shift: Any, factor: Any) -> tuple[np.ndarray, ...]:
        X, y, s, shift, factor = plain(X, y, s, shift, factor)
        total, index = np.ones(X.shape[1] + 1), np.zeros(len(X), np.intp)
        found = kernels.near(X, y, s, np.append(0.5, factor), shift, 1.0, index, total)
        return index[:found], total

    return call


def clipped_by(kernels: Any) -> Callable[..., tuple[np.ndarray, ...]]:
    def call(X: Any, y: Any, s: Any, shift: Any, factor: Any) -> tuple[np.ndarray, ...]:
        X, y, s, shift, factor = plain(X, y, s, shift, factor)
        total, inside = np.ones(X.shape[1] + 5), np.empty(len(X))
        kernels.clipped(X, y, s, np.append(0.5, factor), shift, 0.75, inside, total)
        return inside, total

    return call


def residuals_of_models_by(kernels: Any) -> Callable[..., np.ndarray]:
    def call(X: Any, y: Any, s: Any, shift: Any, factor: Any) -> np.ndarray:
        X, y, s, shift, factor = plain(X, y, s, shift, factor)
        out = np.empty((2, len(X)))
        kernels.residuals_of_models(X, np.array([y, s]), np.array([factor, shift]), np.array([0.5, 0.0]),
                                    np.array([shift, factor]), out)  # fmt: skip
        return out

    return call


def powers_by(kernels: Any, exponent: float) -> Callable[..., np.ndarray]:
    def call(X: Any, y: Any, s: Any, shift: Any, factor: Any) -> np.ndarray:
        out = np.empty(len(y))
        kernels.powers(plain(y)[0], exponent, out)
        return out

    return call


def entropies_by(kernels: Any, classes: int) -> Callable[..., tuple[np.ndarray, ...]]:
    def call(X: Any, y: Any, s: Any, shift: Any, factor: Any) -> tuple[np.ndarray, ...]:
        X, s = plain(X, s)
        n = len(X)
        z, labels = np.ascontiguousarray(30 * X[:, :classes].T), np.arange(n) % max(2, classes) * 1.0
        g, loss, entropy = np.empty(z.shape), np.empty(n), np.empty(n)
        kernels.entropies(z, labels, s, g, loss, entropy)
        return z, g, loss, entropy

    return call


def interior_by(kernels: Any, step: str) -> Callable[..., np.ndarray]:
    """One of the kernels of the interior point method, on states within the bounds."""

    def call(X: Any, y: Any, s: Any, shift: Any, factor: Any) -> np.ndarray:
        X, y, s = plain(X, y, s)
        n = len(y)
        state = np.ascontiguousarray(np.array([s, 1 - s, np.exp(X[:, 0]), np.exp(X[:, 1])]))
        by, five, middle = np.empty((4, n)), np.empty((5, n)), np.empty((4, n))
        kernels.scale(state, s, by)
        if step == "scale":
            return by
        kernels.affine(state, s, by, y, five)
        if step == "affine":
            return five
        kernels.center(state, s, by, five[0].copy(), 0.01, middle)
        if step == "center":
            return middle
        kernels.direct(state, s, by, y, middle, 0.01, five)
        if step == "direct":
            return five
        kernels.advance(state, five, 0.25, 0.125, s, by[:2])
        return np.concatenate([state, by[:2]])

    return call


def linear_cases() -> list[Case]:
    cases = []
    for step in ("scale", "affine", "center", "direct", "advance"):

        def drawn(rng: np.random.Generator, n: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
            return rows(rng, n, 2), {}

        cases.append(
            Case(
                "linear", f"interior {step}", drawn, rtol=1e-12, moved=100, sizes=SIZES, threads=(),
                call=interior_by(interior_kernel, step), means=interior_by(_linear_kernels, step),
            )
        )  # fmt: skip
    for d in (1, 4, 13, 40):

        def make(rng: np.random.Generator, n: int, d: int = d) -> tuple[tuple[Any, ...], dict[str, Any]]:
            return rows(rng, n, d), {}

        by: dict[str, Any] = {
            "gram": gram_by,
            "residuals": residuals_by,
            "products": products_by,
            "squares": squares_by,
        }
        by |= {"near": near_by, "residuals_of_models": residuals_of_models_by, "clipped": clipped_by}
        for name, bound in by.items():
            cases.append(
                Case(
                    "linear", name, make, str(d), rtol=1e-12, moved=8 * d, sizes=SIZES, threads=(),
                    call=bound(kernel), means=bound(reference),
                )
            )  # fmt: skip
        if d < 40:
            cases.append(
                Case(
                    "linear", "entropies", make, str(d), rtol=1e-13, moved=16 * d + 32, sizes=SIZES, threads=(),
                    call=entropies_by(kernel, d), means=entropies_by(reference, d),
                )
            )  # fmt: skip
        if d == 1:
            for exponent in (-0.5, 0.37, 1.0, 2.5):
                cases.append(
                    Case(
                        "linear", "powers", make, f"{exponent:g}", rtol=1e-13, moved=16, sizes=SIZES, threads=(),
                        call=powers_by(kernel, exponent), means=powers_by(reference, exponent),
                    )
                )  # fmt: skip
    return cases


CASES_LINEAR = linear_cases()
