"""p > 1: Newton's method, each step with the lower bound of Hoelder's inequality.

For any a with [1, Z]' a = 0 and any model, with q = p / (p - 1),
sum a t = sum a r <= (sum s |r|^p)^(1/p) (sum s |a / s|^q)^(1/q).
The slopes a = s |r|^(p-1) sgn r, less what Newton's step changes them by, give a bound that meets the loss at the
minimum. For p < 2 the loss is a parabola where |r| is below a floor, which goes to 0 as the steps go on; for p > 2 the
power goes up in stages.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastdl._fit import LpFit
from fastdl._gram import Frame, factorised, kernel, sampled
from fastdl._least_squares import interpolates, refined, result
from fastdl._passes import Rows

Array = np.ndarray

_STEPS = 200
_SAMPLE = 100_000  # rows; of many more, so many are solved first
_STAGE = 1.5  # from one power to the next
_GRID = 2.0 ** np.arange(1, 7)
_SEARCHES = 8


def fit(rows: Rows, p: float, *, intercept: bool, seed: int, threads: int | None, tol: float = 1e-8) -> LpFit:
    """The fit of least |r|^p."""
    frame = Frame(rows, intercept, threads)
    gamma, squares, _, _ = refined(frame)
    if interpolates(frame, gamma, squares):
        history = {"loss": np.zeros(1), "gap": np.zeros(1)}
        return result(frame, gamma, p, 0.0, 0.0, "interpolation", f"closed form, {frame.solver}", history)
    powers = [p]
    while powers[0] > 2 * _STAGE:
        powers.insert(0, powers[0] / _STAGE)
    if frame.count > 4 * _SAMPLE:
        some = sampled(rows, _SAMPLE / frame.count, seed)
        for power in powers:
            gamma, _, _, _ = Descent(frame, some, power).run(gamma, 1e-3)
        powers = [p]
    for power in powers[:-1]:
        gamma, _, _, _ = Descent(frame, rows, power).run(gamma, 1e-2)
    gamma, loss, lower, history = Descent(frame, rows, p).run(gamma, tol)
    return result(frame, gamma, p, loss, lower, "dual", "newton", history)


@dataclass
class Place:
    """What a pass over the rows says of a model: its loss, the slope against the columns, Newton's step."""

    loss: float
    slope: Array
    step: Array
    largest: float


class Descent:
    """Newton's steps on one loss. Residuals are divided by `unit`, about the largest, so that powers stay in range."""

    def __init__(self, frame: Frame, rows: Rows, p: float):
        self.frame, self.rows, self.p = frame, rows, p
        self.unit, self.floor = 1.0, 0.0

    def run(self, gamma: Array, tol: float) -> tuple[Array, float, float, dict[str, Array]]:
        """(gamma, loss, lower bound, history), the losses in the frame's units."""
        self._measure(gamma)
        losses, gaps, best, still = [], [], 0.0, 0
        for _ in range(_STEPS):
            here = self._place(gamma)
            scale = np.float64(self.unit) ** self.p
            lower, end = self._bound(gamma, here)
            best = max(best, lower * scale)
            losses.append(here.loss * scale)
            gaps.append(1 - best / losses[-1])
            if gaps[-1] <= tol or still == 8:
                break
            slow = len(losses) > 1 and gaps[-1] > 0.9 * gaps[-2] and not losses[-1] < (1 - 1e-12) * losses[-2]
            still = still + 1 if slow else 0
            first = -float(here.slope @ here.step)
            length = 1.0 if abs(end) <= 0.4 * abs(first) else self._search(gamma, here.step, first, end)
            gamma = gamma + length * self.unit * here.step
            if -first <= 0.05 * (losses[-1] - best) / scale:
                self.floor *= 0.1
        return gamma, losses[-1], best, {"loss": np.array(losses), "gap": np.array(gaps)}

    def _measure(self, gamma: Array) -> None:
        """The unit and the floor, from the residuals of the start."""
        parts: list[tuple[float, float]] = []

        def work(X: Array, y: Array, s: Array | None) -> tuple[float, float]:
            r = np.abs(self._residuals(X, y, gamma))
            return float(r.max()), float(np.add.reduce(r))

        self.rows.each(work, parts.append, self.frame.threads)
        self.unit = max(largest for largest, _ in parts)
        self.floor = 0.1 * sum(total for _, total in parts) / self.frame.count / self.unit if self.p < 2 else 0.0

    def _residuals(self, X: Array, y: Array, gamma: Array) -> Array:
        return self.frame.residuals(self.frame.columns(X), self.frame.target(y), gamma)

    def _place(self, gamma: Array) -> Place:
        """One pass: loss, slope and the matrix of second derivatives."""
        frame = self.frame
        parts: list[tuple[Array, float, float]] = []

        def work(X: Array, y: Array, s: Array | None) -> tuple[Array, float, float]:
            r = self._residuals(X, y, gamma) / self.unit
            h, bend = self._weights(r, s)
            loss = float(np.add.reduce(h * r * r)) + self._below(r, h, s)
            return frame.grams(frame.columns(X), h * r / bend, bend), loss, float(np.abs(r).max())

        self.rows.each(work, parts.append, frame.threads)
        G = np.add.reduce([part[0] for part in parts])
        slope = G[:-1, -1]
        step = factorised(G[:-1, :-1])(slope)
        return Place(sum(part[1] for part in parts), slope, step, max(part[2] for part in parts))

    def _weights(self, r: Array, s: Array | None) -> tuple[Array, Array]:
        """(h, bend): the slope of a row's loss is p h r, its second derivative p bend."""
        size = np.maximum(np.abs(r), self.floor)
        h = np.empty(len(r))
        kernel.powers(size, self.p - 2, h)
        if s is not None:
            h *= s
        h = np.maximum(h, 1e-300)
        return h, h * np.where(size > self.floor, self.p - 1, 1.0) if self.floor else h * (self.p - 1)

    def _below(self, r: Array, h: Array, s: Array | None) -> float:
        """What the parabolas are below the powers."""
        low = np.flatnonzero(np.abs(r) < self.floor)
        if not len(low):
            return 0.0
        value = np.empty(len(low))
        kernel.powers(r[low], self.p, value)
        return float(np.add.reduce((value if s is None else s[low] * value) - h[low] * r[low] ** 2))

    def _bound(self, gamma: Array, here: Place) -> tuple[float, float]:
        """One pass: the lower bound of the loss, and the slope of it at the end of Newton's step."""
        frame, p = self.frame, self.p

        def work(X: Array, y: Array, s: Array | None) -> Array:
            r, change = self._along(X, y, gamma, here.step)
            h, bend = self._weights(r, s)
            a = h * r - bend * change
            size = np.empty(len(r))
            kernel.powers(a if s is None else a / s, p / (p - 1), size)
            after = r - change
            sums = [a * r, size if s is None else s * size, -self._weights(after, s)[0] * after * change]
            sums.append(r * r if s is None else s * r * r)
            return np.append([np.add.reduce(x) for x in sums], frame.products(frame.columns(X), a))

        with np.errstate(over="ignore", invalid="ignore"):
            total = self.rows.total(work, frame.threads)
            assert total is not None
            product, conjugate, end, squares = total[:4]
            # [1, Z]' a is 0 but for rounding: what that can make between this model and the best.
            product -= 2 * np.sqrt(squares) * np.sqrt(np.sum(frame.halfway(total[4:]) ** 2))
            if not (product > 0 and 0 < conjugate < np.inf):
                return 0.0, float(end)
            return float(np.exp(p * np.log(product) - (p - 1) * np.log(conjugate))), float(end)

    def _along(self, X: Array, y: Array, gamma: Array, step: Array) -> tuple[Array, Array]:
        """The residuals, and how much each falls along the step."""
        change = -self.frame.residuals(self.frame.columns(X), np.zeros(len(X)), step)
        return self._residuals(X, y, gamma) / self.unit, change

    def _search(self, gamma: Array, step: Array, first: float, end: float) -> float:
        """The length of the step at which the slope is about 0."""
        low, high = ((0.0, first), (1.0, end)) if end > 0 else ((1.0, end), (np.inf, np.inf))
        for _ in range(_SEARCHES):
            if not low[0]:
                lengths = high[0] / _GRID[::-1]
            elif np.isinf(high[0]):
                lengths = low[0] * _GRID
            else:
                lengths = np.linspace(low[0], high[0], 8)[1:-1]
            for length, slope in zip(lengths, self._slopes(gamma, step, lengths)):
                if slope > 0:
                    high = (length, slope)
                    break
                low = (length, slope)
            if high[0] <= 2 * low[0]:
                return low[0] + (high[0] - low[0]) * low[1] / (low[1] - high[1])
        return low[0] or high[0]

    def _slopes(self, gamma: Array, step: Array, lengths: Array) -> Array:
        """One pass: the slopes of the loss at several lengths of the step."""

        def work(X: Array, y: Array, s: Array | None) -> Array:
            r, change = self._along(X, y, gamma, step)
            after = [r - length * change for length in lengths]
            return np.array([-np.add.reduce(self._weights(x, s)[0] * x * change) for x in after])

        total = self.rows.total(work, self.frame.threads)
        assert total is not None
        return total
