"""p > 1: Newton's method, with a lower bound of the loss from Hoelder's inequality at each step.

For any a with [1, Z]' a = 0 and any model, with q = p / (p - 1),
sum a t = sum a r <= (sum s |r|^p)^(1/p) (sum s |a / s|^q)^(1/q).
The slopes a = s |r|^(p-1) sgn r, plus their change by Newton's step to first order, satisfy [1, Z]' a = 0 and give a
bound that equals the loss at the minimum. For p < 2, whose second derivative is infinite at 0, the loss is replaced by
a parabola where |r| is below a floor, which is lowered as the steps go on. For p > 2 the power is raised in stages.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastdl._rows import Rows, sample_rows
from fastdl.linear._coordinates import EPS, Coordinates, condition_of
from fastdl.linear._matrix import factorize, kernel
from fastdl.linear.methods._exact_bounds import EXACT, judge_power, needs_exact_sums
from fastdl.linear.methods.closed_form import fit_in_users_units, interpolating_fit, least_squares_start
from fastdl.linear.result import LpFit

Array = np.ndarray

_STEPS = 200  # at most
_SAMPLE = 100_000  # rows of a sample that is solved first, where there are more than four times as many
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
    if coordinates.count > 4 * _SAMPLE:
        some = sample_rows(rows, _SAMPLE / coordinates.count, seed)
        for power in powers:
            gamma, *_ = NewtonSteps(coordinates, some, power, gamma).run(gamma, 1e-3)
        powers = [p]
    for power in powers[:-1]:
        gamma, *_ = NewtonSteps(coordinates, rows, power, gamma).run(gamma, 1e-2)
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
        self.unit, self.floor, self.least_weight = self._measure(gamma)
        self.least = 1e-14 * self.floor
        #: What (sum s r^2)^(1/2) is at most for 1 of (sum s |r|^p)^(1/p).
        self.norms = (coordinates.weight if p >= 2 else self.least_weight) ** (0.5 - 1 / p)

    def run(self, gamma: Array, tol: float) -> tuple[Array, float, float, dict[str, Array]]:
        """(gamma, loss, lower bound, history), the losses of residuals in the unit."""
        best = here = self._evaluate(gamma / self.unit)
        lower, still = 0.0, 0
        losses: list[float] = []
        gaps: list[float] = []
        for _ in range(_STEPS):
            best = here if here.loss <= best.loss else best
            lower = max(lower, self._bound(here))
            losses.append(here.loss)
            gaps.append(1 - lower / here.loss if here.loss else 0.0)
            if gaps[-1] <= tol or still == 8:
                break
            slow = len(losses) > 1 and gaps[-1] > 0.9 * gaps[-2] and not losses[-1] < (1 - 1e-12) * losses[-2]
            still = still + 1 if slow else 0
            gain = float(here.slope @ here.step)
            if self.floor > self.least and gain <= 0.05 * here.low:  # steps gain less than the floor adds: lower it
                self.floor *= 0.1
                here = self._evaluate(here.gamma + here.step)
            else:
                here = self._step(here, gain)
        if best.loss < losses[-1]:  # usually by rounding only
            losses.append(best.loss)
            gaps.append(1 - lower / best.loss if best.loss else 0.0)
        return best.gamma * self.unit, best.loss, lower, {"loss": np.array(losses), "gap": np.array(gaps)}

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

    def _measure(self, gamma: Array) -> tuple[float, float, float]:
        """The unit, a power of two, and the floor, from the residuals of the start; and the smallest weight."""
        parts: list[tuple[float, float, float]] = []

        def work(X: Array, y: Array, s: Array | None) -> tuple[float, float, float]:
            r = np.abs(self.coordinates.residuals(self.coordinates.columns(X), self.coordinates.target(y), gamma))
            return float(r.max()), float(np.add.reduce(r)), 1.0 if s is None else float(s.min())

        self.rows.each(work, parts.append, self.coordinates.threads)
        unit = float(np.ldexp(1.0, np.frexp(max(part[0] for part in parts))[1]))
        mean = sum(part[1] for part in parts) / self.coordinates.count / unit
        return unit, 0.1 * mean if self.p < 2 else 0.0, min(part[2] for part in parts)

    def _block(self, X: Array, y: Array, gamma: Array) -> tuple[Array, Array]:
        """The columns of a block, and its residuals in the unit."""
        X = self.coordinates.columns(X)
        return X, self.coordinates.residuals(X, self.coordinates.target(y) / self.unit, gamma)

    def _evaluate(self, gamma: Array) -> Point:
        """One pass: loss, slope and the matrix of second derivatives."""
        k = self.coordinates.rank

        def work(X: Array, y: Array, s: Array | None) -> Array:
            X, r = self._block(X, y, gamma)
            h, bend = self._weights(r, s)
            G = self.coordinates.grams(X, r / bend, h * bend)
            if not self.floor:
                return np.append(G[:, :-1], [G[-1, -1] * bend, 0.0])
            loss = np.add.reduce(h * r * r) + self._below(r, h, s)
            return np.append(G[:, :-1], [loss, self._low(r, s)])

        with np.errstate(over="ignore", invalid="ignore"):
            total = self.rows.total(work, self.coordinates.threads)
        assert total is not None
        if not np.isfinite(total).all():  # a step far too long
            return Point(gamma, np.inf, np.full(k, np.nan), np.zeros(k), 0.0)
        H, slope, (loss, low) = total[: k * k].reshape(k, k), total[k * k : -2], total[-2:]
        return Point(gamma, float(loss), slope, factorize(H)(slope), float(low))

    def _weights(self, r: Array, s: Array | None) -> tuple[Array, Array | float]:
        """(h, bend): the slope of a row's loss is p h r, its second derivative p h bend."""
        h = np.empty(len(r))
        if not self.floor:
            kernel.powers(r, self.p - 2, h)
            return (h if s is None else s * h), self.p - 1
        size = np.maximum(np.abs(r), self.floor)
        kernel.powers(size, self.p - 2, h)
        return (h if s is None else s * h), np.where(size > self.floor, self.p - 1, 1.0)

    def _below(self, r: Array, h: Array, s: Array | None) -> float:
        """The difference of the powers and the parabolas, over rows below the floor."""
        low = np.flatnonzero(np.abs(r) < self.floor)
        if not len(low):
            return 0.0
        value = np.empty(len(low))
        kernel.powers(r[low], self.p, value)
        return float(np.add.reduce((value if s is None else s[low] * value) - h[low] * r[low] ** 2))

    def _low(self, r: Array, s: Array | None) -> float:
        """A bound of how much the parabolas exceed the powers."""
        low = np.abs(r) < self.floor
        count = np.count_nonzero(low) if s is None else np.add.reduce(s[low])
        return float(count * (1 - self.p / 2) * self.floor**self.p)

    def _bound(self, here: Point) -> float:
        """One pass: the lower bound of the loss."""
        coordinates, p = self.coordinates, self.p

        def work(X: Array, y: Array, s: Array | None) -> Array:
            X, r = self._block(X, y, here.gamma)
            h, bend = self._weights(r, s)
            a = h * (r + bend * coordinates.residuals(X, np.zeros(len(r)), here.step))
            size = np.empty(len(r))
            kernel.powers(a if s is None else a / s, p / (p - 1), size)
            sums = [a * r, size] if s is None else [a * r, s * size]
            return np.append([np.add.reduce(x) for x in sums], coordinates.products(X, a))

        with np.errstate(over="ignore", invalid="ignore"):
            total = self.rows.total(work, coordinates.threads)
            assert total is not None
            product, conjugate = total[:2]
            # [1, Z]' a is 0 but for rounding: what that can make between this model and the best, both of which have
            # residuals of no more than this p-norm, and of no more than so many times it in squares.
            reach = 2 * here.loss ** (1 / p) * self.norms
            product -= reach * np.sqrt(np.sum(coordinates.solve_transposed(total[2:]) ** 2))
            if not (product > 0 and 0 < conjugate < np.inf):
                return 0.0
            return float(np.exp(p * np.log(product) - (p - 1) * np.log(conjugate)))

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
