"""Several targets of the same rows: all their sums of products from one pass, and one factorisation of the columns.

Each target's sums have the same bits as in a fit of its own: no entry of a Gram matrix depends on other columns.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from fastdl import _check
from fastdl._rows import Rows
from fastdl._typing import Array, ArrayLike, RowsLike
from fastdl.linear._column_extents import extent_of_block
from fastdl.linear._coordinates import Coordinates, _solve
from fastdl.linear._matrix import gram
from fastdl.linear.methods.closed_form import fit_in_coordinates
from fastdl.linear.result import Certificate, LpFit


def target_columns(X: RowsLike, y: ArrayLike | None) -> Array | None:
    """The targets as an array (N, M) where there are several in y; None for one, or for chunks."""
    if y is None or getattr(y, "ndim", None) == 1 or hasattr(y, "dask") or hasattr(X, "dask"):
        return None
    columns = _check.asarray("y", y)
    if columns.ndim != 2:
        return None
    _check.dtype("y", columns.dtype, ("f", "i", "u", "b"))
    if not columns.shape[1]:
        raise _check.InputError(f"y must have at least one target, got shape {columns.shape}")
    return columns


def fit_targets(
    X: RowsLike,
    Y: Array,
    sample_weight: ArrayLike | None,
    fit: Callable[..., LpFit] | None,
    p: Any,
    settings: list[dict[str, Any]],
) -> list[tuple[Rows, LpFit]]:
    """The rows and the fit of each target, with the settings of each: by `fit`, one after the other; by least squares
    at once where that is None, with the settings of the first.
    """
    rows = [Rows(X, np.ascontiguousarray(column), sample_weight) for column in Y.T]
    if fit is not None:
        return [(some, fit(some, p, **own)) for some, own in zip(rows, settings)]
    each = share_coordinates(X, Y, sample_weight, rows, settings[0]["intercept"], settings[0]["threads"])
    return [(some, fit_in_coordinates(coordinates, some, p)) for coordinates, some in zip(each, rows)]


def join_fits(fits: list[LpFit]) -> LpFit:
    """The fits of several targets as one; its certificate is that of the sum of their losses."""
    first = fits[0]
    upper, lower = sum(fit.certificate.upper for fit in fits), sum(fit.certificate.lower for fit in fits)
    kinds = {fit.certificate.kind for fit in fits}
    certificate = Certificate.of(upper, lower, kinds.pop() if len(kinds) == 1 else "bound")
    if not 0 < upper < np.inf:  # where losses are beyond the range of floats, or below it, gaps are still known
        certificate = certificate._replace(gap=max(fit.certificate.gap for fit in fits))
    losses = np.array([fit.loss for fit in fits])
    return LpFit(
        np.stack([fit.w for fit in fits]),
        np.array([fit.b for fit in fits]),
        first.p,
        losses,
        certificate,
        first.method,
        {"loss": losses},
        first.rank,
        first.condition,
        targets=tuple(fits),
    )


def share_coordinates(
    X: RowsLike, Y: Array, s: ArrayLike | None, rows: list[Rows], intercept: bool, threads: int | None
) -> list[Coordinates]:
    """The coordinates of each target, by one pass over X and one factorisation."""
    numbered = Rows(X, np.arange(len(Y), dtype=np.float64), s)
    first = next(iter(numbered.blocks()), None)
    if first is None or not len(first[0]) or not np.isfinite(first[0]).all():
        return [Coordinates(some, intercept, threads) for some in rows]
    starts = []
    for j, some in enumerate(rows):
        start = Coordinates.__new__(Coordinates)
        start.rows, start.intercept, start.threads, start._raw_triangle = some, intercept, threads, None
        start.shift, start.factor = np.zeros(some.columns), np.ones(some.columns)
        start.y_shift, start.y_factor, start.again = 0.0, 1.0, 0
        start._set_units(*extent_of_block(first[0], _targets_of(Y, first[1])[:, j]))
        starts.append(start)
    shift = np.append(starts[0].shift, [start.y_shift for start in starts])
    factor = np.append(starts[0].factor, [start.y_factor for start in starts])

    def work(X: Array, y: Array, s: Array | None) -> Array:
        Z = np.column_stack([X, _targets_of(Y, y)])
        return np.append(gram(Z, np.zeros(len(Z)), s, shift, factor)[:-1, :-1], len(Z))

    with np.errstate(all="ignore"):
        total = numbered.total(work, threads)
    if total is None or not np.isfinite(total).all():
        return [Coordinates(some, intercept, threads) for some in rows]
    d, m = numbered.columns, 1 + len(factor)
    G = total[:-1].reshape(m, m)
    each: list[Coordinates] = []
    for j, start in enumerate(starts):
        columns = np.append(np.arange(d + 1), d + 1 + j)
        each.append(_finished(start, G[np.ix_(columns, columns)], int(total[-1]), each))
    return each


def _targets_of(Y: Array, numbers: Array) -> Array:
    """The rows of Y that these numbers, as floats, name."""
    return np.asarray(Y[numbers.astype(np.intp)], np.float64)


def _finished(coordinates: Coordinates, G: Array, count: int, before: list[Coordinates]) -> Coordinates:
    """The coordinates of one target from its Gram matrix; the Cholesky factor of an earlier target is used again."""
    coordinates.count, coordinates.weight = count, float(G[0, 0])
    G = coordinates._center_again(G)
    other = next((c for c in before if not c.again), None)  # those of other shifts have a factor of their own
    if coordinates.again or other is None or other.solver != "Cholesky":
        coordinates._choose_columns(G)
        return coordinates
    shared = copy.copy(other)
    for name in ("rows", "shift", "factor", "y_shift", "y_factor", "noise"):
        setattr(shared, name, getattr(coordinates, name))
    kept = np.arange(coordinates.rows.columns) if shared.kept is None else shared.kept
    use = np.append(np.zeros(int(shared.ones), int), 1 + kept)
    shared.gram = G[np.ix_(*[np.append(use, len(G) - 1)] * 2)]
    shared.least_squares = _solve(shared.R, shared.gram[:-1, -1])
    return shared
