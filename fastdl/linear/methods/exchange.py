"""p < 1: the loss is concave as long as no residual changes sign, so a model through k rows minimizes it.

All such models are tried where they are few. Otherwise the method starts at many models, moves each to a vertex (a
model through k rows) and exchanges rows while that lowers the loss; up to three coefficients, branch and bound gives a
bound.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import comb

import numpy as np

from fastdl import _check
from fastdl._rows import Block, Rows
from fastdl._typing import ArrayLike
from fastdl.linear._coordinates import EPS
from fastdl.linear._standard_rows import StandardRows
from fastdl.linear.methods._branch_and_bound import least_in_boxes
from fastdl.linear.methods._elemental_fits import ElementalFits
from fastdl.linear.methods._exact_vertices import ExactVertices
from fastdl.linear.methods._lower_bounds import least_absolute
from fastdl.linear.methods.closed_form import interpolating_fit, interpolating_model, refine
from fastdl.linear.methods.random import model
from fastdl.linear.methods.vertex import fit as least_absolute_fit
from fastdl.linear.result import Certificate, LpFit

Array = np.ndarray

_ALL = 2e8  # rows times models up to which every model through k rows is tried: seconds
_BOX_ROWS = 4e7  # rows times boxes of branch and bound, unless the user asks for more boxes
_POLISHED = 16  # random models that are moved to a vertex
_CLIMBED = 3  # best vertices from which rows are exchanged


def fit(
    rows: Rows,
    p: float,
    *,
    intercept: bool = True,
    seed: int = 0,
    threads: int | None = 1,
    starts: int | None = None,
    start: LpFit | tuple[ArrayLike, float] | None = None,
    boxes: int | None = None,
) -> LpFit:
    """The best model that is found, and a lower bound.

    `starts` is the number of random models through k rows. By default there are as many as draw k inliers at least once
    with probability 0.999 if half of the rows are inliers (as RANSAC chooses it), from 64 to 4096. `start` is a further
    model. `boxes` limits branch and bound for up to three coefficients: by default 20,000, fewer above 2,000 rows.
    """
    if starts is not None:
        _check.integer("starts", starts, 0)
    if boxes is not None:
        _check.integer("boxes", boxes, 0)
    standard = StandardRows(rows, intercept, threads, median=True)
    first = model(start, standard)
    coordinates = standard.coordinates
    gamma, squares, _, _ = refine(coordinates)
    if (through := interpolating_model(coordinates, gamma, squares)) is not None:
        return replace(interpolating_fit(coordinates, through, p, "exchange"), rows=rows.numbers())
    fits = ElementalFits(standard, p, seed)
    k, n = standard.rank, standard.count
    if k == 0 or comb(n, k) * n <= _ALL:
        vertex, least = fits.best_of_all()
        history = {"loss": np.array([vertex.loss])}
        if np.isinf(least):
            least = _bound_of_rank(k, rows, p, intercept, threads)
    else:
        count = _starts(k) if starts is None else starts
        absolute = least_absolute(standard)
        basis, loss, history = _climb(fits, _first_vertices(fits, absolute, first, count))
        least = _bound_of_rank(k, rows, p, intercept, threads)
        if k <= 3:
            most = int(min(20_000, _BOX_ROWS / n)) if boxes is None else boxes
            least = max(least, least_in_boxes(fits, loss + fits.base, most) * standard.scale**p)
        vertex = ExactVertices(fits).judge(basis, mends=3)
        unit = standard.scale**p
        history = {name: (v + fits.base) * unit if "loss" in name else v for name, v in history.items()}
        history["loss"][-1] = vertex.loss
    known = Certificate.of(vertex.loss, least, "bound")
    found = LpFit(vertex.w, vertex.b, p, vertex.loss, known, "exchange", history, standard.rank, coordinates.condition)
    return replace(found, rows=rows.numbers()[vertex.rows])


def _bound_of_rank(rank: int, rows: Rows, p: float, intercept: bool, threads: int | None) -> float:
    """The bound by a fit with p = 1, or 0: its weights, to the power of 1/p, may leave fewer independent columns."""
    least, found = bound_by_absolute(rows, p, intercept, threads)
    return least if found == rank else 0.0


def bound_by_absolute(rows: Rows, p: float, intercept: bool, threads: int | None) -> tuple[float, int]:
    """A lower bound from a fit with p = 1, and the rank of the columns.

    By subadditivity of the p-th power, sum s |r|^p >= (sum s^(1/p) |r|)^p.
    """
    most = max((float(s.max()) for _, _, s in rows.blocks() if s is not None and len(s)), default=1.0)

    def chunks() -> Iterator[Block]:
        for X, y, s in rows.blocks():
            yield X, y, None if s is None else (s / most) ** (1 / p)

    fit = least_absolute_fit(Rows(chunks), intercept=intercept, seed=0, threads=threads)
    return most * fit.certificate.lower**p * (1 - 64 * EPS), fit.rank or 0


def _starts(k: int) -> int:
    """The default number of random models, as `fit` explains it."""
    return int(min(4096, max(64, np.ceil(np.log(0.001) / np.log1p(-(0.5**k))))))


def _first_vertices(fits: ElementalFits, absolute: LpFit, start: tuple[Array, float] | None, count: int) -> list[Array]:
    """The first vertices: near the fits of p = 1 and p = 2, the user's model, and random models, polished or not."""
    given = [(absolute.w, absolute.b)] if start is None else [(absolute.w, absolute.b), start]
    vertices = [fits.gamma(v, c) for v, c in given]
    smooth = [fits.gamma(fits.standard.least_squares(), 0.0), *vertices, *fits.screen(count, _POLISHED)]
    return [*map(fits.nearest_rows, vertices), *map(fits.polish, smooth)]


def _climb(fits: ElementalFits, bases: list[Array]) -> tuple[Array, float, dict[str, Array]]:
    """The best vertex that exchanges reach, its loss, and the history of all starts."""
    before = np.array([fits.loss(basis) for basis in bases])
    reached: dict[tuple[int, ...], tuple[float, Array]] = {}
    for k in np.argsort(before, kind="stable"):
        key = tuple(sorted(bases[k].tolist()))
        if key not in reached and len(reached) < _CLIMBED:
            basis, loss = fits.exchange(bases[k], float(before[k]))
            reached[key] = loss, basis
    loss, basis = min(reached.values(), key=lambda end: end[0])
    ends = np.sort([end for end, _ in reached.values()])
    hits = np.array(int((ends <= loss + 1e-9 * abs(loss)).sum()))
    return basis, loss, {"loss": np.append(ends[::-1], loss), "start_loss": before, "hits": hits}
