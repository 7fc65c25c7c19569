"""p = 1: an optimal vertex, a model through k rows. Where rows are many, only a band of them is solved for.

Rows whose residual is surely above 0, or below, add a linear term to the loss (Portnoy and Koenker, 1997). Signs that
turn out to be wrong put their rows into the band; until then the dual solution gives a lower bound of the whole loss.

Of many rows three passes read all: for the Gram matrix, which tells the rank and bounds what rounding does; for the
band, with the slope of all others; and for the check of their signs, with the loss of the model as it is returned. Of a
million rows with 20 columns, 160 MB each, a pass takes 5 ms at the speed of memory. The rest is some twelve small
problems of the interior method, of a few thousand rows each (_kept_signs): there were two of 46,000 and 113,000 rows.
"""

from __future__ import annotations

import numpy as np

from fastdl._rows import Rows, sample_rows
from fastdl._typing import Array
from fastdl.linear import _exact_sums as exact_sums
from fastdl.linear._coordinates import EPS, Coordinates
from fastdl.linear._matrix import DesignMatrix, kernel
from fastdl.linear._robust_coordinates import RobustCoordinates
from fastdl.linear.methods._band import Band, Part
from fastdl.linear.methods._exact_bounds import judge_absolute, needs_exact_sums
from fastdl.linear.methods._kept_signs import AbsoluteProblem, near_model, solve_vertex
from fastdl.linear.methods._vertices import Proof, vertex
from fastdl.linear.methods.closed_form import interpolating_fit, least_squares_start
from fastdl.linear.result import Certificate, LpFit

#: The coordinates, (loss, gap) step by step, the dual value of each row where all were in memory, and the loss in the
#: user's units of the model as it is returned where it is known.
Solution = tuple[Array, list[tuple[float, float]], Array | None, float | None]

_WHOLE = 40_000  # rows that are solved at once
_WIDE = 4.25  # distances between the models of a sample and of all rows: how far the band reaches (see _kept_signs)
_SAMPLE = 0.5  # of sqrt(k) n^(2/3) rows
_ROUNDS = 50
_OUTLIER = 1e4  # spreads from the median: rows that rule least squares
_CLIPPED = 1e9  # spreads from the median: beyond, the size of a residual is left out
_BLUR = 1e-11  # of a loss: where rounding may change it by more, sums of twice the precision are worth their time
_PROVEN = 1e-9  # a gap up to this is rounding; above, no vertex was proven


def fit(rows: Rows, p: float = 1.0, *, intercept: bool, seed: int, threads: int | None) -> LpFit:
    """The fit of least absolute deviations."""
    coordinates = Coordinates(rows, intercept, threads)
    gamma, through = least_squares_start(coordinates)
    if through is not None:
        return interpolating_fit(coordinates, through, p)
    robust = RobustCoordinates(coordinates, rows, seed)
    gamma, steps, dual, known = (solve_in_memory if coordinates.count <= _WHOLE else solve_by_band)(
        robust, rows, robust.from_coordinates(gamma), seed
    )
    loss, gap = np.array(steps).T
    w, b = robust.model(gamma)
    unit = 1 / robust.y_factor
    if dual is not None and needs_exact_sums(coordinates):
        upper, lower = judge_absolute(coordinates, rows, (w, b), dual)
    else:
        upper = evaluate_loss(rows, w, b, threads) if known is None else known
        lower = max(0.0, float(loss[-1] - gap[-1])) * unit
    proven = upper - lower <= _PROVEN * upper
    history = {"loss": np.append(loss[:-1] * unit, upper), "gap": gap / np.where(loss > 0, loss, 1)}
    certificate = Certificate.of(upper, lower, "vertex" if proven else "dual")
    return LpFit(w, b, p, upper, certificate, "vertex", history, coordinates.rank, coordinates.condition)


def evaluate_loss(rows: Rows, w: Array, b: float, threads: int | None) -> float:
    """The sum of absolute residuals of the model as it is returned, on the rows as they were given.

    Residuals that are far smaller than their terms have few digits left: where that shows in the loss of a block, they
    are computed by sums of twice the precision.
    """
    nothing, one = np.zeros(len(w)), np.asarray(w, np.float64)

    def work(X: Array, y: Array, s: Array | None) -> Array:
        r = np.empty(len(y))
        kernel.residuals(X, y, one, b, nothing, r)
        loss = np.add.reduce(np.abs(r) if s is None else s * np.abs(r))
        terms = np.abs(X) @ np.abs(one) + np.abs(y) + abs(b)
        if EPS * np.add.reduce(terms if s is None else s * terms) <= _BLUR * loss:
            return loss
        r = np.abs(exact_sums.residuals(X, y, one, b))
        exact = exact_sums.total(r if s is None else s * r)
        return np.asarray(exact if np.isfinite(exact) else loss)

    total = rows.total(work, threads)
    return 0.0 if total is None else float(total)


def solve_in_memory(robust: RobustCoordinates, rows: Rows, gamma: Array, seed: int = 0) -> Solution:
    """The solution with all rows in memory, and (loss, gap) step by step."""
    A, t, s = in_memory(robust, [robust.scaled(*rows.gathered())])
    if not robust.rank:  # one model, whose loss may not be a float
        product, rest = exact_sums.two_product(s, np.abs(t))
        terms = np.concatenate([product, rest])
        loss = exact_sums.total(terms)
        is_above = not exact_sums.total(np.append(terms, -loss)) >= 0
        return gamma, [(loss, 2 * EPS * loss * is_above)], None, None
    g = np.zeros(A.width)
    far = max(float(np.abs(A.Z).max(initial=0)), float(np.abs(t).max())) > _OUTLIER
    if far or not np.isfinite(gamma).all():  # outliers dominate the least squares model: begin at the median
        gamma = np.zeros(A.width)
    # A residual that is far out on one side is there for every model near: its size does not matter to the solution.
    near = np.clip(t, -_CLIPPED, _CLIPPED)
    proof, steps = solve_vertex(AbsoluteProblem(A, near, s, g), gamma)
    best = _judge(robust, A, t, s, proof, gamma)
    if far and not best[1] <= _PROVEN * best[0]:
        again = _judge(robust, A, t, s, *_solve_by_exchanges(A, t, s, g, gamma))
        best = min(best, again, key=lambda found: found[1])
    return best[2], [*steps, best[:2]], best[3], None


def _solve_by_exchanges(A: DesignMatrix, t: Array, s: Array, g: Array, gamma: Array) -> tuple[Proof | None, Array]:
    """The solution by exchanges alone, beginning with the rows nearest to the start."""
    near = s / (np.abs(A.minus(t, gamma)) + 1e-6)
    return vertex(A, t, s, g, near, np.zeros(len(t))), gamma


def _judge(
    robust: RobustCoordinates, A: DesignMatrix, t: Array, s: Array, proof: Proof | None, gamma: Array
) -> tuple[float, float, Array, Array | None]:
    """(loss, gap, gamma, dual values) on all rows of a proof; without one, of the model gamma, whose gap is inf."""
    if proof is None:
        return float(np.add.reduce(s * np.abs(A.minus(t, gamma)))), float("inf"), gamma, None
    loss = float(np.add.reduce(s * np.abs(A.minus(t, proof.gamma))))
    off = proof.imbalance(A, s, np.zeros(A.width))
    T = robust.whitening
    with np.errstate(all="ignore"):
        try:
            u = A.dot(np.linalg.solve(T, np.linalg.solve(T.T, off)))
            leverage = np.sqrt(((A.rows(np.arange(len(t))) @ np.linalg.inv(T)) ** 2).sum(axis=1).max())
        except np.linalg.LinAlgError:
            return loss, float("inf"), proof.gamma, proof.dual
        shift = 2 * loss * (float(np.abs(u).max()) + _rounding(robust, float(np.add.reduce(s)), float(leverage)))
        values = np.add.reduce(s * (np.abs(t) + robust.term_sizes(A, proof.gamma)))
        gap = proof.slack(A, t, s) + shift + EPS * (A.width + 4) * float(values)
    return loss, gap if np.isfinite(gap) else float("inf"), proof.gamma, proof.dual


def _rounding(robust: RobustCoordinates, weight: float, leverage: float) -> float:
    """A bound of the change of dual values that makes up for rounding in the columns and in [1, Z]' (s dual)."""
    return 8 * EPS * np.sqrt(weight) * robust.condition() * leverage


def solve_by_band(robust: RobustCoordinates, rows: Rows, gamma: Array, seed: int) -> Solution:
    """The solution of many rows, and (loss, gap) round by round."""
    coordinates = robust.coordinates
    k = coordinates.rank
    some = sample_rows(rows, _SAMPLE * np.sqrt(k) * coordinates.count ** (-1 / 3), seed)
    A, t, s = in_memory(robust, [robust.scaled(*block) for block in some.blocks()])
    if max(float(np.abs(A.Z).max(initial=0)), float(np.abs(t).max())) > _OUTLIER or not np.isfinite(gamma).all():
        gamma = np.zeros(A.width)
    gamma = near_model(AbsoluteProblem(A, np.clip(t, -_CLIPPED, _CLIPPED), s, np.zeros(A.width)), gamma)
    r = np.abs(A.minus(t, gamma))
    share = min(1.0, _WIDE * np.sqrt(k / len(t)))
    reach = max(float(np.quantile(r, share)), 1e-6 * float(np.quantile(r, 0.9)))
    if not reach > 0:
        return solve_in_memory(robust, rows, gamma)
    band = Band(robust, rows, gamma, reach)
    band.collect()
    steps: list[tuple[float, float]] = []
    for _ in range(_ROUNDS):
        if band.count > coordinates.count // 2:  # most rows are near the model: a band would save little
            return solve_in_memory(robust, rows, gamma)
        A, t, s = in_memory(robust, band.parts)
        found, _ = solve_vertex(AbsoluteProblem(A, t, s, -band.slope), gamma)
        if found is None:  # the linear rows outweigh the band
            band = Band(robust, rows, band.center, 4 * band.reach)
            band.collect()
            continue
        gamma, before = found.gamma, band.count
        slope = band.slope.copy()
        seen = band.check(gamma)
        shift = _shift(robust, band, found.imbalance(A, s, -slope), seen.loss)
        steps.append((seen.loss, seen.gap + found.slack(A, t, s) + shift))
        if not seen.wrong:
            if steps[-1][1] <= 1e-6 * seen.loss or coordinates.count > 50 * _WHOLE:
                return gamma, steps, None, seen.upper
            break
        if seen.wrong > before:
            band = Band(robust, rows, gamma, 2 * band.reach)
            band.collect()
    return solve_in_memory(robust, rows, gamma)


def _shift(robust: RobustCoordinates, band: Band, imbalance: Array, loss: float) -> float:
    """A bound of what an imbalance of the dual values, and rounding, may take from the lower bound."""
    T, weight = robust.whitening, robust.coordinates.weight
    with np.errstate(all="ignore"):
        try:
            off = np.linalg.solve(T.T, imbalance)
        except np.linalg.LinAlgError:
            return float("inf")
        most = 1 / np.sqrt(band.least_weight)  # |T'^-1 (1, z)| of a row is at most this
        off = float(np.sqrt((off * off).sum())) * most
        values = EPS * (len(imbalance) + 4) * 4 * loss
        return 2 * loss * (off + _rounding(robust, weight, most)) + values


def in_memory(robust: RobustCoordinates, parts: list[Part]) -> tuple[DesignMatrix, Array, Array]:
    Z, t, s = (np.concatenate(x) for x in zip(*parts))
    return DesignMatrix(Z, robust.ones), t, s
