"""Newton's method on a Huber loss, and the dual bound that proves how near to the least loss it is.

A Newton step takes one pass: residuals, sums and products with the columns as the rows come from memory, 8 (D + 1)
bytes each, and the Gram matrix of those within delta, (D + 2) (D + 3) / 2 multiply-adds, while they are in the
second-level cache. Of 100,000 rows and 10 columns a pass takes some 2 ms, where memory would allow 0.3; the model of a
sample saves three of six. The bound takes no pass of its own but where what it makes up for is more than rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastdl import _threads
from fastdl._rows import Rows, sample_rows
from fastdl._typing import Array, Progress
from fastdl.linear._column_extents import column_extents
from fastdl.linear._coordinates import EPS
from fastdl.linear._matrix import factorize, gram_sums, kernel, whole_matrix
from fastdl.linear._robust_coordinates import RobustCoordinates
from fastdl.streaming import ProgressEvent

_CLIPPED = 1e9  # spreads from the median: beyond, how far a target is does not matter to the model
_OUTLIER = 1e4  # spreads from the median: rows that rule least squares, which is then no start
_BRACKETINGS = 60  # cuts of the bracket of a line search
_LEVEL = 0.4  # of the slope at the start of a step: with less at its end, no better length is looked for
_SAMPLE = 4000  # rows of a sample, and for each coefficient, whose model is the start
_SAMPLE_OF_EACH = 50
_MANY = 5  # with fewer rows for each of the sample, there is none
_STEPS_OF_SAMPLE = 10
_ROUGH = 1e-5  # of the loss: what is below how far a sample's model is off
_ALIKE = 4  # times the share of coefficients among rows: how much of a loss chance takes, at most
_ENOUGH = 0.1  # of the weight within delta: with less, these rows are hardly spread as all are
_LAST = 1e-6  # a gap: Newton's method ends with the step from there, mostly
_LEAST = 1e-10  # of the Gram matrix of all rows, added to that of the rows within delta: few of these may be singular


@dataclass
class HuberSums:
    """Over the rows of a model with residuals r, and a = r cut at delta: the sums of s a r, s a^2, s |r| and s |a|.

    And the products of s a with the columns, and the Gram matrix of the rows within delta where it was asked for.
    """

    product: float
    square: float
    absolute: float
    size: float
    off: Array
    inside: Array | None
    within: float  # the sum of s of these rows

    @property
    def loss(self) -> float:
        return self.product - self.square / 2


class HuberProblem:
    """The rows about their medians, delta in their units, and what the method asks of them.

    Rows stay where they are: a pass reads X once for the residuals, the sums and the products with the columns, and
    a block of it again, from the second-level cache, for the Gram matrix.
    """

    def __init__(self, robust: RobustCoordinates, rows: Rows, delta: float):
        self.robust, self.delta, self.threads = (
            robust,
            delta * robust.y_factor,
            _threads.count(robust.coordinates.threads),
        )
        #: Columns, which may be float32, t and the weights.
        self.blocks: list[tuple[Array, Array, Array | None]] = []
        rows.each(self._block, self.blocks.append, self.threads, raw=True)
        self.width, self.reach = robust.rank, self._reach()
        targets = max((float(np.abs(t).max()) for _, t, _ in self.blocks), default=0.0)
        self.far = max(targets, float(self.reach.max(initial=0))) > _OUTLIER
        self.clips = targets > _CLIPPED
        self.least_weight = min((1.0 if s is None else float(s.min()) for _, _, s in self.blocks), default=1.0)

    def _block(self, X: Array, y: Array, s: Array | None) -> tuple[Array, Array, Array | None]:
        return self.robust.columns(X), self.robust.target(y), s

    def _reach(self) -> Array:
        """The largest sizes of the columns of [1, Z]."""
        ones, robust = np.ones(int(self.robust.ones)), self.robust
        if not self.blocks or robust.rank == len(ones):
            return ones
        low, high = (np.array(ends) for ends in zip(*(column_extents(X) for X, _, _ in self.blocks)))
        shift, factor = (0.0, 1.0) if robust.orthonormal else (robust.center, robust.factor)
        return np.append(ones, np.maximum(high.max(axis=0) - shift, shift - low.min(axis=0)) * factor)

    def _leverage(self, inverse: Array) -> float:
        """What no row of [1, Z] times the inverse of the whitening is longer than."""
        corner = self.reach @ np.abs(inverse)
        return min(float(np.sqrt((corner * corner).sum())), 1 / np.sqrt(self.least_weight))

    def _map(self, work: Callable[[Array, Array, Array | None], Any]) -> list[Any]:
        """Of every block, with targets that are cut where they are far out."""

        def one(k: int) -> Any:
            X, t, s = self.blocks[k]
            return work(X, np.clip(t, -_CLIPPED, _CLIPPED) if self.clips else t, s)

        return _threads.share(len(self.blocks), self.threads, one)

    def sums(self, gamma: Array, *, given: bool = False, hessian: bool = True) -> HuberSums:
        """One pass; with the targets as they are given if `given`."""
        robust, k = self.robust, self.width
        model, shift = robust.of_columns(gamma)
        factor = np.ones(len(shift)) if robust.orthonormal else robust.factor

        def work(X: Array, t: Array, s: Array | None) -> tuple[Array, Array]:
            total, inside = np.zeros(len(model) + 5), np.empty(len(t))
            kernel.clipped(X, t, s, model, shift, self.delta, inside, total[:-1])
            total[-1] = np.add.reduce(inside)
            return total, gram_sums(X, t, inside, shift, factor) if hessian else np.zeros(())

        if given and self.clips:
            parts = _threads.share(len(self.blocks), self.threads, lambda i: work(*self.blocks[i]))
        else:
            parts = self._map(work)
        total = sum((part[0] for part in parts), np.zeros(len(model) + 5))
        inside = np.zeros((k, k)) if hessian else None
        if hessian and parts:
            G = whole_matrix(sum((part[1] for part in parts[1:]), parts[0][1]), len(model) + 1)
            inside = G[int(not robust.ones) : -1, int(not robust.ones) : -1]
        product, square, absolute, size = total[:4].tolist()
        return HuberSums(product, square, absolute, size, robust.slope(total[4:-1]), inside, float(total[-1]))

    def proven_bound(self, gamma: Array, known: HuberSums | None = None) -> float:
        """Below which no loss of the rows as they were given is, rounding taken off; `known` are the sums there."""
        robust = self.robust
        s = self.sums(gamma, given=True, hessian=False) if known is None or self.clips else known
        with np.errstate(all="ignore"):
            leverage = self._leverage(np.linalg.pinv(robust.whitening))
            weight, most = robust.coordinates.weight, self._change(s.off)
            rounding = 8 * EPS * np.sqrt(weight) * robust.condition() * leverage * self.delta
            # The sum of s |z gamma| over the rows is at most the root of the weight times that of s (z gamma)^2.
            terms = np.sqrt(weight) * float(
                (np.sqrt((robust.whitening**2).sum(axis=0)) * robust.term_weights(gamma)).sum()
            )
            lost = 2 * EPS * (self.width + 4) * self.delta * (self._targets() + terms)
        return self.lower_bound(s, most, rounding=rounding, lost=lost)

    def _targets(self) -> float:
        """The sum of s |t|."""
        return sum(float(np.add.reduce(np.abs(t) if s is None else s * np.abs(t))) for _, t, s in self.blocks)

    def _change(self, off: Array, enough: float = np.inf) -> float:
        """By how much dual values change, at most, that make up for products with the columns that are not 0.

        Found by a pass over the rows; roughly, without one, where these are rounding, or are so large that the loss is
        by more than `enough` above the least one: it falls by at least half of |T'^-1 off|^2.
        """
        T = self.robust.whitening
        with np.errstate(all="ignore"):
            try:
                half = np.linalg.solve(T.T, off)
                roughly = float(np.sqrt((half * half).sum() / self.least_weight))  # of a row, |T'^-1 (1, z)|^2 s <= 1
                if roughly <= 64 * EPS * self.delta or (half * half).sum() / 2 > enough:
                    return roughly
                change = np.linalg.solve(T, half)
            except np.linalg.LinAlgError:
                return float("nan")
            model, shift = self.robust.of_columns(change)

            def work(X: Array, t: Array, s: Array | None) -> float:
                out = np.empty(len(t))
                kernel.residuals(X, np.zeros(len(t)), np.ascontiguousarray(model[1:]), model[0], shift, out)
                return float(np.abs(out, out=out).max())

            return max(self._map(work))

    def lower_bound(self, s: HuberSums, change: float, *, rounding: float = 0.0, lost: float = 0.0) -> float:
        """Below which no loss is, by dual values near a, which `change` makes orthogonal to the columns."""
        with np.errstate(all="ignore"):
            change = change + rounding
            share = self.delta / (self.delta + change)
            value = s.product - change * s.absolute
            square = s.square + 2 * change * s.size + change * change * self.robust.coordinates.weight
            lower = share * value - share * share * square / 2 - lost
            lower -= (rounding > 0) * 64 * EPS * (abs(value) + square)
        return max(0.0, lower) if np.isfinite(lower) else 0.0

    def bound(self, s: HuberSums, enough: float) -> float:
        """`lower_bound` but for rounding; roughly, where the loss is by more than `enough` above the least."""
        return self.lower_bound(s, self._change(s.off, enough))

    def direction(self, s: HuberSums) -> Array:
        """Newton's step: least squares of the rows within delta."""
        T = self.robust.whitening
        return factorize(s.inside + _LEAST * (T.T @ T))(s.off)

    def begin(self, gamma: Array) -> tuple[Array, HuberSums]:
        """A first step, as if the rows within delta were spread as all are, which needs no Gram matrix of theirs."""
        T, here = self.robust.whitening, self.sums(gamma, hessian=False)
        weight = self.robust.coordinates.weight
        if self.far or not weight or not here.within >= _ENOUGH * weight:
            return gamma, self.sums(gamma)
        step = factorize(T.T @ T)(here.off) * (weight / here.within)
        after = self.sums(gamma + step)
        return (gamma + step, after) if after.loss < here.loss else (gamma, self.sums(gamma))

    def advance(self, gamma: Array, here: HuberSums, *, last: bool = False) -> tuple[Array, HuberSums]:
        """Newton's step, of another length where the loss along it is still steep at its end, and the sums there.

        Where it is likely to be the last one, the Gram matrix there is left to the next step.
        """
        here = self.sums(gamma) if here.inside is None else here
        step = self.direction(here)
        after = self.sums(gamma + step, hessian=not last)
        if not (abs(float(after.off @ step)) <= _LEVEL * float(here.off @ step) and after.loss < here.loss):
            step = self.length(gamma, step) * step
            after = self.sums(gamma + step)
        return gamma + step, after

    def length(self, gamma: Array, step: Array) -> float:
        """How far along a step the loss is least: where its derivative, which rises, is 0."""
        models = [self.robust.of_columns(gamma), self.robust.of_columns(step)]

        def work(X: Array, t: Array, s: Array | None) -> tuple[Array, Array, Array]:
            out = np.empty((2, len(t)))
            for (model, shift), y, r in zip(models, (t, np.zeros(len(t))), out):
                kernel.residuals(X, y, np.ascontiguousarray(model[1:]), model[0], shift, r)
            return out[0], -out[1], np.ones(len(t)) if s is None else s

        r, change, weights = (np.concatenate(parts) for parts in zip(*self._map(work)))
        return _least_share(r, change, weights, self.delta)


def start_near(robust: RobustCoordinates, rows: Rows, problem: HuberProblem, gamma: Array, seed: int) -> Array:
    """Least squares, or the medians where far rows rule that; of many rows the model of a sample from there."""
    if problem.far or not np.isfinite(gamma).all():
        gamma = np.zeros(problem.width)
    count = robust.coordinates.count
    wanted = max(_SAMPLE, _SAMPLE_OF_EACH * problem.width)
    if count < _MANY * wanted or not problem.width:
        return gamma
    some = HuberProblem(robust, sample_rows(rows, wanted / count, seed), problem.delta / robust.y_factor)
    start, (gamma, here) = gamma, some.begin(gamma)
    for _ in range(_STEPS_OF_SAMPLE):
        before = here.loss
        gamma, here = some.advance(gamma, here)
        if not before - here.loss > _ROUGH * before:
            break
    # The loss of the sample at the model of all rows exceeds the least by chance alone, or by more.
    excess = some.sums(start, hessian=False).loss - here.loss
    return start if excess <= _ALIKE * problem.width / wanted * here.loss and not problem.far else gamma


def _least_share(r: Array, change: Array, s: Array, delta: float) -> float:
    """How far to go along the change of residuals r for the least loss."""

    def falls(share: float) -> float:
        return float(np.add.reduce(s * np.clip(r - share * change, -delta, delta) * change))

    low, high, at_low, at_high = 0.0, 1.0, falls(0.0), falls(1.0)
    enough = 1e-9 * abs(at_low)
    if abs(at_high) <= enough:
        return 1.0
    while at_high > 0 and high < 1e12:
        low, high, at_low = high, 4 * high, at_high
        at_high = falls(high)
    side = 0
    for _ in range(_BRACKETINGS):  # regula falsi; an end that stays twice counts half (Dowell and Jarratt, 1971)
        middle = low + (high - low) * at_low / (at_low - at_high) if at_low > at_high else (low + high) / 2
        here = falls(middle)
        if abs(here) <= enough or not low < middle < high:
            return middle
        if here > 0:
            low, at_low = middle, here
            at_high = at_high / 2 if side > 0 else at_high
            side = 1
        else:
            high, at_high = middle, here
            at_low = at_low / 2 if side < 0 else at_low
            side = -1
    return (low + high) / 2


def newton(
    problem: HuberProblem, gamma: Array, tol: float, steps: int, progress: Progress | None
) -> tuple[Array, float, dict[str, Array]]:
    """(gamma, lower bound, history)."""
    if not problem.width:
        loss = problem.sums(gamma, given=True, hessian=False).loss
        return gamma, loss * (1 - 64 * EPS), {"loss": np.array([loss]), "gap": np.zeros(1)}  # sums are rounded
    gamma, here = problem.begin(gamma)
    known, loss, best, lower, losses, gaps = here, here.loss, gamma, 0.0, [], []
    for done in range(1, steps + 1):
        lower = max(lower, problem.bound(here, 1e-3 * tol * loss))
        losses.append(loss)
        gaps.append((loss - lower) / loss if loss > 0 else 0.0)
        if progress is not None:
            with np.errstate(over="ignore", under="ignore"):
                users = float(np.float64(loss) / problem.robust.y_factor / problem.robust.y_factor)
            progress(ProgressEvent(done, steps, "steps", users, {"gap": gaps[-1]}))
        if loss - lower <= 1e-3 * tol * loss:
            break
        gamma, here = problem.advance(gamma, here, last=gaps[-1] <= _LAST)
        if not here.loss < loss:
            if loss - lower <= tol * loss or not here.loss <= loss * (1 + 4 * EPS) or done > steps // 2:
                break
        else:
            best, known = gamma, here
        loss = min(loss, here.loss)
    return best, problem.proven_bound(best, known), {"loss": np.array(losses), "gap": np.array(gaps)}
