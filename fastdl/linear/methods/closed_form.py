"""p = 2: one pass sums the Gram matrix, which is factorised; a second pass refines the solution and proves it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fastdl._rows import Rows
from fastdl._typing import Array
from fastdl.linear import _exact_sums as exact_sums
from fastdl.linear._coordinates import EPS, Coordinates
from fastdl.linear._matrix import kernel
from fastdl.linear.methods._exact_bounds import EXACT, blurs, judge_squares, needs_exact_sums
from fastdl.linear.result import Certificate, LpFit, round_down, times_power

#: (w, b)
Model = tuple[Array, float]

_SMALL = 1e-6  # of the deviation of y: a model goes through the rows only if it misses them by less
_CORRECTIONS = 3  # of a model that goes through every row, at most
_PASSES = 4  # of refinement, at most: one is enough unless columns are nearly dependent


def fit(rows: Rows, p: float = 2.0, *, intercept: bool, seed: int = 0, threads: int | None) -> LpFit:
    """The least squares fit."""
    return fit_in_coordinates(Coordinates(rows, intercept, threads), rows, p)


def fit_in_coordinates(coordinates: Coordinates, rows: Rows, p: float = 2.0) -> LpFit:
    """The least squares fit in given coordinates."""
    gamma, loss, lower, history = refine(coordinates)
    if (model := interpolating_model(coordinates, gamma, loss)) is not None:
        return interpolating_fit(coordinates, model, p)
    found = fit_in_users_units(
        coordinates,
        gamma,
        p,
        loss=loss,
        lower=lower,
        kind="closed form",
        method=f"closed form, {coordinates.solver}",
        history=history,
    )
    if needs_exact_sums(coordinates):
        return judge_squares(coordinates, rows, found)
    blurred = blurs(coordinates, gamma, loss)
    if blurred and coordinates.count * (coordinates.rank + 1) <= EXACT:
        return judge_squares(coordinates, rows, found)
    # Of columns left out, weights of the least norm give rows what they had but for rounding.
    short = coordinates.rank < rows.columns + coordinates.ones
    return evaluated(coordinates, rows, found) if blurred or short else found


def evaluated(coordinates: Coordinates, rows: Rows, fit: LpFit) -> LpFit:
    """The fit with the loss of its floats on the rows as they were given."""
    nothing = np.zeros(len(fit.w))

    def squares(X: Array, y: Array, s: Array | None) -> Array:
        r = np.empty(len(y))
        kernel.residuals(X, y, fit.w, fit.b, nothing, r)
        return np.add.reduce(r * r if s is None else s * r * r)

    with np.errstate(over="ignore", under="ignore"):
        total = rows.total(squares, coordinates.threads)
    loss = 0.0 if total is None else float(total)
    known = Certificate.of(loss, fit.certificate.lower, fit.certificate.kind)
    history = {**fit.history, "loss": np.append(fit.history["loss"][:-1], loss)}
    return replace(fit, loss=loss, certificate=known, history=history)


def refine(coordinates: Coordinates) -> tuple[Array, float, float, dict[str, Array]]:
    """(gamma, loss, lower bound, history): iterative refinement of the solution by its residuals."""
    gamma, history, gain = coordinates.least_squares, [], np.inf
    for _ in range(_PASSES):
        before = gain
        loss, slope = residual_sums(coordinates, gamma)
        step = coordinates.solve(slope)
        gain = float(slope @ step)
        history.append(loss)
        gamma = gamma + step
        if gain <= 1e-3 * EPS * loss or not gain < min(loss, before / 2):
            break
    loss = max(loss - gain, 0.0)
    # The loss is a parabola, and this is its minimum; a bound of its rounding errors is subtracted.
    error = coordinates.rounding(gamma)
    lower = loss - 2 * np.sqrt(loss) * error - error * error - 256 * EPS * loss
    if gain > EPS * loss:  # steps did not come to an end: neither is known what is left to gain
        lower -= gain
    losses = np.array([*history[1:], loss])
    return gamma, loss, max(lower, 0.0), {"loss": losses, "gap": (losses - lower) / np.where(losses > 0, losses, 1)}


def least_squares_start(coordinates: Coordinates) -> tuple[Array, Model | None]:
    """The least squares solution, where other methods start; and the model (w, b), if it goes through every row."""
    gamma, squares = coordinates.least_squares, coordinates.gram[-1, -1]
    if squares - gamma @ coordinates.gram[:-1, -1] > 1e-6 * squares:  # far more than rounding
        return gamma, None
    gamma, loss, _, _ = refine(coordinates)
    return gamma, interpolating_model(coordinates, gamma, loss)


def residual_sums(coordinates: Coordinates, gamma: Array) -> tuple[float, Array]:
    """The sum of squares of the residuals, and their products with the columns."""

    def work(X: Array, y: Array, s: Array | None) -> Array:
        return coordinates.squares(coordinates.columns(X), coordinates.target(y), s, gamma)

    total = coordinates.rows.total(work, coordinates.threads, raw=True)
    return (0.0, np.zeros(coordinates.rank)) if total is None else (float(total[0]), total[1:])


def interpolating_model(coordinates: Coordinates, gamma: Array, squares: float) -> Model | None:
    """The model (w, b) through every row, if the residuals, of this sum of squares, are no more than rounding errors.

    It is corrected and judged in the form it is returned in: floats, in the user's units.
    """
    if not np.sqrt(squares) <= 8 * coordinates.rounding(gamma):
        return None
    w, b = coordinates.model(gamma)
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(1 + _CORRECTIONS):
            off, size, given, beside = _distance(coordinates, w, b)
            if not np.isfinite(size) or (off <= 8 * EPS * size and off <= given and not beside):
                return w, b
            step = coordinates.move_model(np.zeros(len(w)), 0.0, _step_to_rows(coordinates, w, b))
            change = coordinates.minimum_norm_model(*step)
            w, b = w + change[0], b + change[1]
    return None


def _distance(coordinates: Coordinates, w: Array, b: float) -> Array:
    """For a model as returned, over the rows: sums of |r|, of its absolute terms, of what is small beside y; a count.

    Where columns are nearly dependent, weights can be so large that the rounding of their terms exceeds y: the third
    sum keeps such a model from counting as one that goes through the rows. One row can be so far out that the residuals
    of all others are small beside its terms: so rows are counted whose residual exceeds the rounding of their own.
    """
    nothing, size = np.zeros(len(w)), np.abs(w)

    def work(X: Array, y: Array, s: Array | None) -> Array:
        r = np.empty(len(y))
        kernel.residuals(X, y, w, b, nothing, r)
        small = _SMALL * np.abs(y - coordinates.y_shift).sum() + 8 * EPS * np.abs(y).sum()
        terms = np.abs(y) + np.abs(X) @ size + abs(b)
        beside = np.count_nonzero(np.abs(r) > 4 * (len(w) + 4) * EPS * terms)
        return np.array([np.abs(r).sum(), terms.sum(), small, beside])

    total = coordinates.rows.total(work, coordinates.threads)
    return np.zeros(4) if total is None else total


def _step_to_rows(coordinates: Coordinates, w: Array, b: float) -> Array:
    """The least squares fit of the residuals of (w, b), by sums of twice the precision, as a step for `move_model`."""

    def work(X: Array, y: Array, s: Array | None) -> Array:
        r = exact_sums.residuals(X, y, w, b) * coordinates.y_factor
        return coordinates.products(coordinates.columns(X), r if s is None else s * r)

    total = coordinates.rows.total(work, coordinates.threads)
    return coordinates.raw_step(np.zeros(coordinates.rank) if total is None else coordinates.solve(total))


def interpolating_fit(coordinates: Coordinates, model: Model, p: float, method: str | None = None) -> LpFit:
    """The fit of a model that goes through every row: its loss is given as 0."""
    history = {"loss": np.zeros(1), "gap": np.zeros(1)}
    certificate = Certificate.of(0.0, 0.0, "interpolation")
    method = method or f"closed form, {coordinates.solver}"
    return LpFit(*model, p, 0.0, certificate, method, history, coordinates.rank, coordinates.condition)


def fit_in_users_units(
    coordinates: Coordinates,
    gamma: Array,
    p: float,
    *,
    loss: float,
    lower: float,
    kind: str,
    method: str,
    history: dict[str, Array],
    unit: float = 1.0,
) -> LpFit:
    """The fit in the users' units. Losses are those of residuals in units of `unit` times that of the coordinates."""
    w, b = coordinates.model(gamma)
    certificate = Certificate.of(loss, lower, kind)

    def users(loss: Array) -> Array:
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            return np.where(np.equal(loss, 0), 0.0, times_power(loss, unit / coordinates.y_factor, p))

    upper, lower = (float(users(np.array(bound))) for bound in certificate[:2])
    certificate = certificate._replace(upper=upper, lower=round_down(lower))
    history = {**history, "loss": users(history["loss"])}
    return LpFit(w, b, p, upper, certificate, method, history, coordinates.rank, coordinates.condition)
