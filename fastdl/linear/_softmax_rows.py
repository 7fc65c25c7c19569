"""Sums over the rows of a softmax model: cross-entropy, its derivatives, and the dual bound that proves a fit.

A model has the logits z = theta [1, (x - shift) * factor]; of two classes the first has logit 0. The Fenchel dual of
the cross-entropy (Boyd and Vandenberghe, "Convex Optimization", 5.7): for any probabilities q of a row,
log sum exp(z) >= <q, z> + H(q), H the entropy, with equality where q is the softmax of z. So with G the sum over the
rows of s (q - onehot(y)) [1, x], no model's penalised loss is below sum s H(q) - |G|^2 / (2 l2), where the part of G
that belongs to coefficients without a penalty is 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastdl._rows import Rows
from fastdl._typing import Array
from fastdl.linear._coordinates import EPS, power_of_two
from fastdl.linear._matrix import gram, kernel

_REACH = (
    40.0  # standardised coefficients of the least loss that rounding errors of G are multiplied by: e^-40 is rounding
)


@dataclass
class DualPoint:
    """Sums over the rows for probabilities q: s H(q), G = s (q - onehot(y)) [1, x], and s |q - onehot(y)|."""

    entropy: float
    gradient: Array
    size: Array

    @classmethod
    def of(cls, sums: Array, models: int) -> DualPoint:
        """From the sums that `SoftmaxRows.dual_sums` gives for blocks."""
        return cls(float(sums[0]), sums[1 + models :].reshape(models, -1), sums[1 : 1 + models])


class SoftmaxRows:
    """Rows with class numbers for y; theta is (1, D + 1) for two classes and (K, D + 1) for K, intercepts first."""

    def __init__(self, rows: Rows, classes: int, *, intercept: bool, l2: float, threads: int | None):
        self.rows, self.classes, self.intercept, self.threads = rows, classes, intercept, threads
        self.fixed = int(classes == 2)  # logits that are 0 whatever the model
        self.models = classes - self.fixed
        d = rows.columns
        self.shift, self.factor = np.zeros(d), np.ones(d)
        self._standardise()
        self.penalty = np.append(0.0, l2 * self.factor**2)
        far = np.maximum(self.high - self.shift, self.shift - self.low)
        self.largest = np.append(1.0, np.abs(far * self.factor))  # values of [1, x]
        self.of_class = np.zeros((classes, d + 1))  # sums of s [1, x] of each class
        self._sum_classes()

    def _standardise(self) -> None:
        d = self.rows.columns
        low, high = np.full(d, np.inf), np.full(d, -np.inf)
        for X, _, _ in self.rows.blocks():
            low, high = np.minimum(low, X.min(axis=0, initial=np.inf)), np.maximum(high, X.max(axis=0, initial=-np.inf))
        self.low, self.high = low, high
        reach = np.maximum(np.abs(low), np.abs(high))
        self.factor = power_of_two(reach)
        for _ in range(2):  # deviations about a value of the data, then about the mean

            def moments(X: Array, y: Array, s: Array | None) -> Array:
                G = gram(X, np.zeros(len(X)), s, self.shift, self.factor)
                return np.concatenate([G[0, : d + 1], G.diagonal()[1 : d + 1]])

            total = self.rows.total(moments, self.threads)
            if total is None:
                return
            count = float(total[0])
            mean, square = total[1 : d + 1] / count, total[d + 1 :] / count
            if self.intercept:
                self.shift = self.shift + mean / self.factor
                square = square - mean * mean
            spread = np.sqrt(np.maximum(square, 0)) / self.factor
            spread = np.where(spread > 1e-12 * np.maximum(np.abs(self.shift), reach), spread, reach)
            self.factor = 1 / np.where(spread > 0, spread, 1.0)

    def _sum_classes(self) -> None:
        def work(X: Array, y: Array, s: Array | None) -> Array:
            s = np.ones(len(y)) if s is None else s
            return self._products(X, np.where(y[:, None] == np.arange(self.classes), s[:, None], 0.0))

        total = self.rows.total(work, self.threads)
        if total is not None:
            self.of_class = total

    def _products(self, X: Array, g: Array) -> Array:
        """The columns of g, (n, K), times those of [1, x]: (K, D + 1)."""
        out = np.zeros((g.shape[1], X.shape[1] + 1))
        for k in range(g.shape[1]):
            kernel.products(X, np.ascontiguousarray(g[:, k]), self.shift, out[k])
        out[:, 1:] *= self.factor
        return out

    def logits(self, X: Array, theta: Array) -> Array:
        """(n, K), with the logits that are 0."""
        z = np.zeros((len(X), self.classes))
        nothing, one = np.zeros(len(X)), np.empty(len(X))
        for k, coefficients in enumerate(theta):
            kernel.residuals(X, nothing, coefficients[1:] * self.factor, float(coefficients[0]), self.shift, one)
            z[:, self.fixed + k] = -one
        return z

    def dual_sums(self, X: Array, y: Array, s: Array, q: Array) -> Array:
        """What a `DualPoint` is made of, for a block."""
        g, h = distances(q, y)
        g = s[:, None] * g[:, self.fixed :]
        sizes = np.abs(g).sum(axis=0)
        return np.concatenate([[np.add.reduce(s * h)], sizes, self._products(X, g).ravel()])

    def slopes(self, theta: Array, with_hessian: bool) -> tuple[float, DualPoint, Array | None]:
        """(cross-entropy, dual point of the model's own probabilities, Hessian or None), in one pass."""
        M, D = theta.shape

        def work(X: Array, y: Array, s: Array | None) -> Array:
            s = np.ones(len(y)) if s is None else s
            loss, q = cross_entropy(self.logits(X, theta), y)
            parts = [np.array([np.add.reduce(s * loss)]), self.dual_sums(X, y, s, q)]
            if with_hessian:
                q, nothing = q[:, self.fixed :], np.zeros(len(X))
                for k in range(M):
                    for j in range(k, M):
                        weight = s * q[:, k] * ((k == j) - q[:, j])
                        parts.append(gram(X, nothing, weight, self.shift, self.factor)[:D, :D].ravel())
            return np.concatenate(parts)

        size = 2 + M + M * D
        total = self._total(work, size + (M * (M + 1) // 2 * D * D if with_hessian else 0))
        hessian = None
        if with_hessian:
            hessian = np.zeros((M, D, M, D))
            blocks = iter(total[size:].reshape(-1, D, D))
            for k in range(M):
                for j in range(k, M):
                    hessian[k, :, j] = hessian[j, :, k] = next(blocks)
        return float(total[0]), DualPoint.of(total[1:size], M), hessian

    def hessian_times(self, theta: Array, step: Array) -> Array:
        """The Hessian of the cross-entropy times a step."""

        def work(X: Array, y: Array, s: Array | None) -> Array:
            q = cross_entropy(self.logits(X, theta), y)[1]
            change = self.logits(X, step)
            g = q * (change - (q * change).sum(axis=1, keepdims=True))
            return self._products(X, (g if s is None else g * s[:, None])[:, self.fixed :]).ravel()

        return self._total(work, step.size).reshape(step.shape)

    def along(self, theta: Array, step: Array, share: float) -> tuple[float, DualPoint | None]:
        """(loss after a share of a step, the dual point that the whole step moves q to, None where that is none).

        Newton's step moves q by its derivative: q (1 + dz - <q, dz>), whose gradient is 0 for coefficients without a
        penalty. It is a dual point where nothing becomes negative.
        """

        def work(X: Array, y: Array, s: Array | None) -> Array:
            s = np.ones(len(y)) if s is None else s
            z, change = self.logits(X, theta), self.logits(X, step)
            q = cross_entropy(z, y)[1]
            moved = q * (1 + (change - (q * change).sum(axis=1, keepdims=True)))
            below = np.count_nonzero(moved < 0)
            moved = np.maximum(moved, 0)
            loss = np.add.reduce(s * cross_entropy(z + share * change, y)[0])
            return np.concatenate([[loss, below], self.dual_sums(X, y, s, moved)])

        total = self._total(work, 3 + len(step) + step.size)
        return float(total[0]), None if total[1] else DualPoint.of(total[2:], self.models)

    def _total(self, work: object, size: int) -> Array:
        total = self.rows.total(work, self.threads)  # type: ignore[arg-type]
        return np.zeros(size) if total is None else total

    def penalised(self, theta: Array) -> float:
        """What the penalty adds to the loss."""
        return float(0.5 * np.add.reduce((theta * theta * self.penalty).ravel()))

    def lower_bound(self, point: DualPoint, theta: Array) -> float:
        """What no loss is below, by a dual point near the probabilities of the model theta.

        Intercepts, which have no penalty, ask that every class has the sum of probabilities that it has of rows: the
        probabilities are mixed with a constant c, as little as that takes, and the entropy is concave.
        """
        value, G, size = point.entropy, point.gradient, point.size
        free = self.penalty == 0
        if self.intercept and not free[1:].any():
            have = self.of_class[:, 0]
            sums = np.append(-G[:, 0].sum() if self.fixed else np.zeros(0), G[:, 0]) + have
            mixed = float(np.clip(1 - np.min(have / np.where(sums > 0, sums, have)), 0, 1))
            if mixed:
                c = np.maximum(have - (1 - mixed) * sums, 0)
                c /= c.sum()
                constant = c[:, None] * self.of_class.sum(axis=0) - self.of_class
                G = (1 - mixed) * G + mixed * constant[self.fixed :]
                value = (1 - mixed) * value + mixed * float(entropy(c[None])[0]) * float(have.sum())
                size = (1 - mixed) * size + mixed * 2 * have.sum()
        used = slice(None) if self.intercept else slice(1, None)
        rounding = 32 * EPS * np.outer(size, self.largest)
        G, penalty, free = (np.abs(G) + rounding)[:, used], self.penalty[used], free[used]
        squares = float(np.add.reduce((G[:, ~free] ** 2 / penalty[~free]).ravel()))
        unbalanced = float(G[:, free].sum()) * (_REACH + 4 * float(np.abs(theta).max(initial=0)))
        return max(0.0, value * (1 - 64 * EPS) - squares / 2 - unbalanced)

    def model(self, theta: Array) -> tuple[Array, Array]:
        """(w, b) in the users' units."""
        w = theta[:, 1:] * self.factor
        return w, theta[:, 0] - w @ self.shift if self.intercept else np.zeros(len(w))


def cross_entropy(z: Array, y: Array) -> tuple[Array, Array]:
    """Row by row -log of the probability of class y, and the probabilities: the softmax of logits (n, K)."""
    own = (np.arange(len(y)), y.astype(np.intp))
    z = z - z.max(axis=1, keepdims=True)
    e = np.exp(z)
    others = e.copy()
    others[own] = 0
    mine, rest = z[own], others.sum(axis=1)
    # Where the row's class has nearly all probability, the little that is left is kept to full precision.
    loss = np.where(mine == 0, np.log1p(rest), np.log(e[own] + rest) - mine)
    return loss, e / e.sum(axis=1, keepdims=True)


def distances(q: Array, y: Array) -> tuple[Array, Array]:
    """(q - onehot(y), entropy of q) row by row, where the probability of class y is what the others leave of 1."""
    own = (np.arange(len(y)), y.astype(np.intp))
    g = q.copy()
    g[own] = 0
    left = np.minimum(g.sum(axis=1), 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        h = entropy(g) - np.where(left < 1, (1 - left) * np.log1p(-left), 0.0)
    g[own] = -left
    return g, h


def entropy(q: Array) -> Array:
    """Row by row -sum q log q, 0 log 0 being 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return -np.where(q > 0, q * np.log(q), 0.0).sum(axis=1)
