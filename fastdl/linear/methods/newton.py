"""p > 1: Newton's method, with a lower bound of the loss from Hoelder's inequality at each step.

For any a with [1, Z]' a = 0 and any model, with q = p / (p - 1),
sum a t = sum a r <= (sum s |r|^p)^(1/p) (sum s |a / s|^q)^(1/q).
The slopes a = s |r|^(p-1) sgn r, plus their change by Newton's step to first order, satisfy [1, Z]' a = 0 and give a
bound that equals the loss at the minimum. For p < 2, whose second derivative is infinite at 0, the loss is replaced by
a parabola where |r| is below a floor, which is lowered as the steps go on. For p > 2 the power is raised in stages.

Passes over the rows are what a fit costs: the Gram matrix of least squares; a first step with that matrix in the place
of the second derivatives; one pass of these, usually; and one that evaluates the next model and the bound together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastdl import _kernels
from fastdl._rows import Rows, sample_rows
from fastdl.linear._coordinates import EPS, Coordinates, condition_of
from fastdl.linear._matrix import factorize, gram_sums, kernel, whole_matrix
from fastdl.linear.methods._exact_bounds import EXACT, judge_power, needs_exact_sums
from fastdl.linear.methods.closed_form import fit_in_users_units, interpolating_fit, least_squares_start
from fastdl.linear.result import LpFit
from fastdl.reference import _linear_kernels as reference

Array = np.ndarray

passes = _kernels.load("linear_newton") or reference

_STEPS = 200  # at most
_SAMPLE = 20_000  # rows of a sample that is solved first, where there are many times more
_MANY = 20
_ALIKE = 3  # standard errors: a model of the sample this near to least squares is no better start
_NEAR = 100  # times tol: where the next step gains no more of the loss, the model after it is likely to be the last
_SOFT = 1e-2  # of the loss: where steps gain less, the floor may follow their length
_PLAIN = 1.2  # powers from which on it may
_BELOW = 0.1  # of the length of a step: where the floor then is
_SPAN = 1e12  # of residuals: their powers up to the eighth are floats
_STAGE = 1.5  # factor from one power to the next: a model of the one is then a good start for the other
_LENGTHS = 2.0 ** np.arange(1, 7)  # of a step, tried in one pass of the line search
_SEARCHES = 8  # passes of a line search
_BLUR = 1e-2  # of tol: where rounding takes more of a bound, sums of twice the precision are worth their time
_FAR = 1e-11  # of the root of a loss: where rounding of a model changes it by more
_CURVATURE = 0.4  # the strong Wolfe condition: how large the slope may be at a step's end, relative to its start


def fit(rows: Rows, p: float, *, intercept: bool, seed: int, threads: int | None, tol: float = 1e-8) -> LpFit:
    """The fit that minimizes the sum of |r|^p."""
    coordinates = Coordinates(rows, intercept, threads)
    gamma, through = least_squares_start(coordinates)
    if through is not None:
        return interpolating_fit(coordinates, through, p)
    powers = [p]
    while powers[0] > 2 * _STAGE:
        powers.insert(0, powers[0] / _STAGE)
    if coordinates.count > _MANY * _SAMPLE:
        gamma, powers = _start_of_sample(coordinates, rows, powers, gamma, seed), [p]
    for power in powers[:-1]:
        gamma = NewtonSteps(coordinates, rows, power, gamma).approach(gamma, 1e-2)
    steps = NewtonSteps(coordinates, rows, p, gamma)
    gamma, loss, lower, history = steps.run(gamma, tol)
    lower *= max(0.0, 1 - 8 * p * EPS * condition_of(coordinates.raw_factor()))
    lower, before = steps.less_rounding(lower, gamma), lower
    found = fit_in_users_units(
        coordinates, gamma, p, loss=loss, lower=lower, kind="dual", method="newton", history=history, unit=steps.unit
    )
    few = coordinates.count * (coordinates.rank + 1) <= EXACT
    # Without a bound above 0, rounding may have taken the digits of the loss as well; columns that are left out get
    # weights again, of which rows have what they had but for rounding.
    short = coordinates.rank < rows.columns + coordinates.ones
    blurred = short or not lower > 0 or not lower >= (1 - _BLUR * tol) * before or not np.isfinite(loss)
    # The floats of a model far from 0 are rounded: rows then have another loss than by the coordinates.
    far = abs(found.b) + float(np.add.reduce(np.abs(found.w * coordinates.shift)))
    blurred |= not EPS * far * coordinates.weight ** (1 / p) <= _FAR * found.loss ** (1 / p)
    return judge_power(coordinates, rows, found) if (few and blurred) or needs_exact_sums(coordinates) else found


def _start_of_sample(coordinates: Coordinates, rows: Rows, powers: list[float], gamma: Array, seed: int) -> Array:
    """The model of a sample, started from least squares; or least squares of all rows where chance alone parts them."""
    some, start = sample_rows(rows, _SAMPLE / coordinates.count, seed), gamma
    for power in powers:
        gamma = NewtonSteps(coordinates, some, power, gamma).approach(gamma, 1e-3)
    apart = float(np.linalg.norm(coordinates.R @ (gamma - start)))
    chance = np.sqrt(coordinates.rank / _SAMPLE) * _left_squares(coordinates, start) ** 0.5
    return start if apart <= _ALIKE * chance else gamma


def _left_squares(coordinates: Coordinates, gamma: Array) -> float:
    """The sum of s r^2 of a model by the Gram matrix; roughly, where little is left of that of y."""
    G = coordinates.gram
    return float(G[-1, -1] - 2 * gamma @ G[:-1, -1] + gamma @ G[:-1, :-1] @ gamma)


@dataclass
class Point:
    """One pass over the rows at a model: its loss, the negative gradient (the slope), and Newton's step."""

    gamma: Array
    loss: float
    slope: Array
    step: Array
    low: float  # for p < 2: at most so much of the loss is due to the parabolas below the floor


class NewtonSteps:
    """Newton's method for one power. Residuals are divided by `unit`, about the largest, so that powers are finite."""

    def __init__(self, coordinates: Coordinates, rows: Rows, p: float, gamma: Array):
        self.coordinates, self.rows, self.p = coordinates, rows, p
        self.least_weight = coordinates.least_weight
        self.unit, self.floor = self._sizes(gamma)
        self.least = 1e-14 * self.floor
        #: What (sum s r^2)^(1/2) is at most for 1 of (sum s |r|^p)^(1/p).
        self.norms = (coordinates.weight if p >= 2 else self.least_weight) ** (0.5 - 1 / p)

    def run(self, gamma: Array, tol: float) -> tuple[Array, float, float, dict[str, Array]]:
        """(gamma, loss, lower bound, history), the losses of residuals in the unit."""
        here = self._start(gamma / self.unit)
        best, least = here.gamma, here.loss
        lower, still = 0.0, 0
        losses: list[float] = []
        gaps: list[float] = []
        for turn in range(_STEPS):
            if here.loss <= least:
                best, least = here.gamma, here.loss
            gain = float(here.slope @ here.step)
            losses.append(here.loss)
            slow = turn > 0 and not losses[-1] < (1 - 1e-12) * losses[-2]
            if slow or turn == _STEPS - 1 or self.p / 2 * gain <= _NEAR * tol * here.loss:
                bound, after, loss = self._prove(here)
                lower = max(lower, bound)
                if loss < least:
                    best, least = after, loss
            gaps.append(1 - lower / least if least else 0.0)
            if gaps[-1] <= tol or still == 8:
                break
            still = still + 1 if slow and gaps[-1] > 0.9 * gaps[-2] else 0
            here = self._next(here, gain)
        if least < losses[-1]:
            losses.append(least)
            gaps.append(1 - lower / least if least else 0.0)
        return best * self.unit, least, lower, {"loss": np.array(losses), "gap": np.array(gaps)}

    def approach(self, gamma: Array, near: float) -> Array:
        """A model about so near to the least loss, relatively, without a proof."""
        here = self._start(gamma / self.unit)
        for _ in range(_STEPS):
            gain = float(here.slope @ here.step)
            if not self.p / 2 * gain > near * here.loss:
                break
            here = self._next(here, gain)
        return (here.gamma + here.step) * self.unit

    def _start(self, gamma: Array) -> Point:
        """The point after a first step, for which curvature is taken to be the same in all directions."""
        rough = self._evaluate(gamma, rough=True)
        self._lower(rough, float(rough.slope @ rough.step))
        here = self._evaluate(gamma + rough.step)
        return here if here.loss <= rough.loss else self._evaluate(gamma)

    def _next(self, here: Point, gain: float) -> Point:
        """The point after Newton's step, at which the floor is lower where the step gains less than it adds."""
        floor = self.floor
        if gain <= 0.05 * here.low and floor > self.least:
            self.floor *= 0.1
        self._lower(here, gain)
        return self._step(here, gain) if self.floor == floor else self._evaluate(here.gamma + here.step)

    def _lower(self, here: Point, gain: float) -> None:
        """Let the floor follow the length of steps, when these are short."""
        if self.floor > self.least and self.p >= _PLAIN and self.p / 2 * gain <= _SOFT * here.loss:
            length = np.linalg.norm(self.coordinates.R @ here.step) / np.sqrt(self.coordinates.weight)
            self.floor = min(self.floor, max(self.least, float(_BELOW * length)))

    def less_rounding(self, lower: float, gamma: Array) -> float:
        """The lower bound less what the rounding of rows into the coordinates may have added to it.

        By the triangle inequality, rounding changes the p-norm of the residuals by at most the p-norm of its errors,
        which is bounded by their 2-norm.
        """
        p = self.p
        weight = self.coordinates.weight if p < 2 else self.least_weight
        off = 3 * self.coordinates.rounding(gamma) / self.unit * weight ** (1 / p - 0.5)
        norm = lower ** (1 / p)
        return max(0.0, norm - off) ** p if np.isfinite(off) else 0.0

    def _step(self, here: Point, gain: float) -> Point:
        """Take Newton's step; where the loss along it is still steep at its end, a line search changes its length."""
        after = self._evaluate(here.gamma + here.step)
        end = -float(after.slope @ here.step) if after.loss < np.inf else np.inf
        if abs(end) <= _CURVATURE * gain:
            return after
        return self._evaluate(here.gamma + self._search(here, -gain, end) * here.step)

    def _sizes(self, gamma: Array) -> tuple[float, float]:
        """The unit, a power of two, and the floor, from the residuals of the start."""
        coordinates = self.coordinates
        left = _left_squares(coordinates, gamma)
        mean, most = (left / coordinates.weight) ** 0.5, (left / self.least_weight) ** 0.5
        if not (left > 1e-6 * coordinates.gram[-1, -1] and most <= _SPAN * mean and self.p <= 8):
            mean, most = self._measure(gamma)
        unit = float(np.ldexp(1.0, np.frexp(most if self.p > 8 else min(most, 8 * mean))[1]))
        if self.p >= 2:
            return unit, 0.0
        share = min(0.1, 0.3 * (coordinates.rank / coordinates.count) ** 0.5) if self.p >= _PLAIN else 0.1
        return unit, share * mean / unit

    def _measure(self, gamma: Array) -> tuple[float, float]:
        """The mean and the largest residual."""
        parts: list[tuple[float, float, int]] = []

        def work(X: Array, y: Array, s: Array | None) -> tuple[float, float, int]:
            r = np.abs(self.coordinates.residuals(self.coordinates.columns(X), self.coordinates.target(y), gamma))
            return float(r.max()), float(np.add.reduce(r)), len(r)

        self.rows.each(work, parts.append, self.coordinates.threads)
        return sum(part[1] for part in parts) / sum(part[2] for part in parts), max(part[0] for part in parts)

    def _block(self, X: Array, y: Array, gamma: Array) -> tuple[Array, Array]:
        """The columns of a block, and its residuals in the unit."""
        X = self.coordinates.columns(X)
        return X, self.coordinates.residuals(X, self.coordinates.target(y) / self.unit, gamma)

    def _evaluate(self, gamma: Array, *, rough: bool = False) -> Point:
        """One pass: loss, slope and the matrix of second derivatives; `rough`: that of equal ones instead."""
        coordinates, k = self.coordinates, self.coordinates.rank
        model, shift, factor = coordinates.of_columns(gamma)

        def work(X: Array, y: Array, s: Array | None) -> tuple[Array, Array]:
            X, t = coordinates.columns(X), coordinates.target(y) / self.unit
            curve, total = np.empty(len(t)), np.zeros(len(model) + 3)
            passes.slopes(X, t, s, model, shift, self.p, self.floor, curve, total)
            return total, np.zeros(()) if rough else gram_sums(X, t, curve, shift, factor)

        total, H = np.zeros(len(model) + 3), np.zeros(())

        def take(part: tuple[Array, Array]) -> None:
            nonlocal total, H
            total, H = total + part[0], H + part[1]

        with np.errstate(all="ignore"):
            self.rows.each(work, take, coordinates.threads)
            (loss, below, curve), slope = total[:3], coordinates.slope(total[3:])
            if not np.isfinite(total).all() or not np.isfinite(H).all():  # a step far too long
                return Point(gamma, np.inf, np.full(k, np.nan), np.zeros(k), 0.0)
            if rough:
                step = coordinates.solve(slope) * (coordinates.weight / curve)
                step = step if np.isfinite(step).all() else np.zeros(k)
            else:
                first = int(not coordinates.ones)
                step = factorize(whole_matrix(H, len(model) + 1)[first:-1, first:-1])(slope)
        return Point(gamma, float(loss), slope, step, float(below) * (1 - self.p / 2) * self.floor**self.p)

    def _weights(self, r: Array, s: Array | None) -> tuple[Array, Array | float]:
        """(h, bend): the slope of a row's loss is p h r, its second derivative p h bend."""
        h = np.empty(len(r))
        if not self.floor:
            kernel.powers(r, self.p - 2, h)
            return (h if s is None else s * h), self.p - 1
        size = np.maximum(np.abs(r), self.floor)
        kernel.powers(size, self.p - 2, h)
        return (h if s is None else s * h), np.where(size > self.floor, self.p - 1, 1.0)

    def _prove(self, here: Point) -> tuple[float, Array, float]:
        """One pass: the lower bound of the loss; the model after the step, and its loss."""
        coordinates, p = self.coordinates, self.p
        after, (model, shift, _) = here.gamma + here.step, coordinates.of_columns(here.gamma)
        models = np.array([model, coordinates.of_columns(after)[0]])

        def work(X: Array, y: Array, s: Array | None) -> Array:
            X, total = coordinates.columns(X), np.zeros(models.shape[1] + 3)
            passes.proof(X, coordinates.target(y) / self.unit, s, models, shift, p, self.floor, total)
            return total

        with np.errstate(over="ignore", invalid="ignore"):
            total = self.rows.total(work, coordinates.threads)
            assert total is not None
            product, conjugate, loss = total[:3]
            # [1, Z]' a is 0 but for rounding: what that can make between this model and the best, both of which have
            # residuals of no more than this p-norm, and of no more than so many times it in squares.
            reach = 2 * here.loss ** (1 / p) * self.norms
            off = coordinates.solve_transposed(coordinates.slope(total[3:]))
            product -= reach * np.sqrt(np.sum(off * off))
            if not (product > 0 and 0 < conjugate < np.inf):
                return 0.0, after, float(loss)
            return float(np.exp(p * np.log(product) - (p - 1) * np.log(conjugate))), after, float(loss)

    def _search(self, here: Point, first: float, end: float) -> float:
        """The length of the step at which the slope is about 0."""
        low, high = ((0.0, first), (1.0, end)) if end > 0 else ((1.0, end), (np.inf, np.inf))
        for _ in range(_SEARCHES):
            if not low[0]:
                lengths = high[0] / _LENGTHS[::-1]
            elif np.isinf(high[0]):
                lengths = low[0] * _LENGTHS
            else:
                lengths = np.linspace(low[0], high[0], 8)[1:-1]
            for length, slope in zip(lengths, self._slopes(here, lengths)):
                if slope > 0:
                    high = (length, slope)
                    break
                low = (length, slope)
            if high[0] <= 2 * low[0]:
                return low[0] + (high[0] - low[0]) * low[1] / (low[1] - high[1])
        return low[0] or high[0]

    def _slopes(self, here: Point, lengths: Array) -> Array:
        """One pass: the slopes of the loss at several lengths of the step."""

        def work(X: Array, y: Array, s: Array | None) -> Array:
            X, r = self._block(X, y, here.gamma)
            change = self.coordinates.residuals(X, np.zeros(len(r)), here.step)
            after = [r + length * change for length in lengths]
            return np.array([np.add.reduce(self._weights(x, s)[0] * x * change) for x in after])

        with np.errstate(over="ignore", invalid="ignore"):
            total = self.rows.total(work, self.coordinates.threads)
        assert total is not None
        return np.where(np.isnan(total), np.inf, total)
