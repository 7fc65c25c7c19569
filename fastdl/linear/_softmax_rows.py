"""Sums over the rows of a softmax model: cross-entropy, its derivatives, and the dual bound that proves a fit.

A model has the logits z = theta [1, (x - shift) * factor]; of two classes the first has logit 0. The Fenchel dual of
the cross-entropy (Boyd and Vandenberghe, "Convex Optimization", 5.7): for any probabilities q of a row,
log sum exp(z) >= <q, z> + H(q), H the entropy, with equality where q is the softmax of z. So with G the sum over the
rows of s (q - onehot(y)) [1, x], no model's penalised loss is below sum s H(q) - |G|^2 / (2 l2), where the part of G
that belongs to coefficients without a penalty is 0.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fastdl import _threads
from fastdl._rows import Rows
from fastdl._typing import Array
from fastdl.linear._column_extents import column_extents
from fastdl.linear._coordinates import EPS, power_of_two
from fastdl.linear._matrix import gram, kernel

_CACHED_ROWS = 256  # rows taken together for all classes: they stay in the cache
_REACH = (
    40.0  # standardised coefficients of the least loss that rounding errors of G are multiplied by: e^-40 is rounding
)


@dataclass
class SoftmaxPoint:
    """One model's cross-entropy, and the dual solution its probabilities q make: sums over rows, weighted by s.

    Attributes
    ----------
    cross_entropy, entropy : float
        The sums of s times the cross-entropy, and of s H(q).
    gradient : Array
        G, the sum of s (q - onehot(y)) [1, x].
    size : Array
        The sum of s |q - onehot(y)|, by which rounding errors of G are bounded.
    """

    cross_entropy: float
    entropy: float
    gradient: Array
    size: Array


class SoftmaxRows:
    """Rows with class numbers for y; theta is (1, D + 1) for two classes and (K, D + 1) for K, intercepts first."""

    def __init__(self, rows: Rows, classes: int, *, intercept: bool, l2: float, threads: int | None):
        self.rows, self.classes, self.intercept, self.threads = rows, classes, intercept, threads
        self.fixed = int(classes == 2)  # logits that are 0 whatever the model
        self.models = classes - self.fixed
        self.l2, d = l2, rows.columns
        self.counts = np.zeros(classes)  # the sum of the weights of each class
        self.class_sizes = np.zeros(classes, np.int64)  # the number of rows of each class
        self._find_extents()
        self.use_units(np.zeros(d), power_of_two(np.maximum(np.abs(self.low), np.abs(self.high))))
        self._of_class: Array | None = None

    def _find_extents(self) -> None:
        """One pass: the least and greatest value of each column, and the rows and weights of each class."""
        d = self.rows.columns
        self.low, self.high = np.full(d, np.inf), np.full(d, -np.inf)

        def work(X: Array, y: Array, s: Array | None) -> tuple[Array, ...]:
            codes = y.astype(np.intp)
            sizes = np.bincount(codes, minlength=self.classes)
            counts = sizes if s is None else np.bincount(codes, weights=s, minlength=self.classes)
            return *column_extents(X), counts, sizes

        def take(part: tuple[Array, ...]) -> None:
            self.low, self.high = np.minimum(self.low, part[0]), np.maximum(self.high, part[1])
            self.counts = self.counts + part[2]
            self.class_sizes = self.class_sizes + part[3]

        self.rows.each(work, take, self.threads)

    def use_units(self, shift: Array, factor: Array) -> None:
        """Take the columns as (x - shift) * factor."""
        self.shift, self.factor = shift, factor
        self.penalty = np.append(0.0, self.l2 * factor**2)
        far = np.maximum(self.high - shift, shift - self.low)
        self.largest = np.append(1.0, np.abs(far * factor))  # values of [1, x]

    def standardise(self, rows: Rows) -> None:
        """Center and scale the columns by their means and standard deviations in these rows."""
        d, shift, factor = self.rows.columns, self.shift, self.factor
        reach = np.maximum(np.abs(self.low), np.abs(self.high))
        for _ in range(2):  # deviations about a value of the data, then about the mean

            def moments(X: Array, y: Array, s: Array | None, shift: Array = shift, factor: Array = factor) -> Array:
                G = gram(X, np.zeros(len(X)), s, shift, factor)
                return np.concatenate([G[0, : d + 1], G.diagonal()[1 : d + 1]])

            total = rows.total(moments, self.threads)
            if total is None:
                return
            mean, square = total[1 : d + 1] / total[0], total[d + 1 :] / total[0]
            if self.intercept:
                shift = shift + mean / factor
                square = square - mean * mean
            spread = np.sqrt(np.maximum(square, 0)) / factor
            spread = np.where(spread > 1e-12 * np.maximum(np.abs(shift), reach), spread, reach)
            factor = 1 / np.where(spread > 0, spread, 1.0)
        self.use_units(shift, factor)

    def with_rows(self, rows: Rows) -> SoftmaxRows:
        """The same problem in the same units for other rows."""
        other = copy.copy(self)
        other._of_class = None
        other.rows = rows
        return other

    @property
    def count(self) -> int:
        """How many rows there are."""
        return int(self.class_sizes.sum())

    def size(self) -> int:
        """How many rows there are, counted anew."""
        return sum(len(y) for _, y, _ in self.rows.blocks())

    def _products(self, X: Array, g: Array) -> Array:
        """The rows of g, (K, n), times [1, x]: (K, D + 1)."""
        out = np.zeros((len(g), X.shape[1] + 1))
        for i in range(0, len(X), _CACHED_ROWS):  # rows that are still in the cache for the next class
            for k in range(len(g)):
                kernel.products(X[i : i + _CACHED_ROWS], g[k, i : i + _CACHED_ROWS], self.shift, out[k])
        out[:, 1:] *= self.factor
        return out

    def logits(self, X: Array, theta: Array) -> Array:
        """(models, n)."""
        z = np.empty((self.models, len(X)))
        shift = np.repeat(self.shift[None], self.models, 0)
        weights, constants = -theta[:, 1:] * self.factor, -theta[:, 0]
        kernel.residuals_of_models(X, np.zeros(z.shape), weights, constants, shift, z)
        return z

    def _entropies(self, X: Array, y: Array, s: Array | None, theta: Array) -> tuple[Array, Array, Array, Array]:
        """(probabilities, s (q - onehot(y)), s times cross-entropy, s times entropy) of a block's rows."""
        z, n = self.logits(X, theta), len(X)
        g, loss, entropy = np.empty(z.shape), np.empty(n), np.empty(n)
        kernel.entropies(z, y, np.ones(n) if s is None else s, g, loss, entropy)
        return z, g, loss, entropy

    def point(self, theta: Array) -> SoftmaxPoint:
        """One pass over the rows: the loss of a model, its gradient, and its dual solution."""
        M, D = theta.shape

        def work(X: Array, y: Array, s: Array | None) -> Array:
            _, g, loss, entropy = self._entropies(X, y, s, theta)
            sums = [np.add.reduce(loss), np.add.reduce(entropy)]
            return np.concatenate([sums, np.abs(g).sum(axis=1), self._products(X, g).ravel()])

        total = self._total(work, 2 + M + M * D)
        return SoftmaxPoint(float(total[0]), float(total[1]), total[2 + M :].reshape(M, D), total[2 : 2 + M])

    def cross_entropy(self, theta: Array) -> float:
        """The sum of s times the cross-entropy."""

        def work(X: Array, y: Array, s: Array | None) -> Array:
            return np.add.reduce(self._entropies(X, y, s, theta)[2], keepdims=True)

        return float(self._total(work, 1)[0])

    def hessian(self, theta: Array) -> Array:
        """Of the cross-entropy, (models, D + 1, models, D + 1)."""
        M, D = theta.shape
        pairs = [(k, j) for k in range(M) for j in range(k, M)]

        def work(X: Array, y: Array, s: Array | None) -> Array:
            q, nothing = self._entropies(X, y, s, theta)[0], np.zeros(len(X))
            grams = []
            for k, j in pairs:
                weight = q[k] * ((k == j) - q[j])
                weight = weight if s is None else s * weight
                grams.append(gram(X, nothing, weight, self.shift, self.factor)[:D, :D])
            return np.array(grams)

        hessian = np.zeros((M, D, M, D))
        for (k, j), block in zip(pairs, self._total(work, len(pairs) * D * D).reshape(-1, D, D)):
            hessian[k, :, j] = hessian[j, :, k] = block
        return hessian

    def gram(self) -> Array:
        """The sum of s [1, x]' [1, x]."""

        def work(X: Array, y: Array, s: Array | None) -> Array:
            return gram(X, np.zeros(len(X)), s, self.shift, self.factor)[:-1, :-1]

        D = self.rows.columns + 1
        return self._total(work, D * D).reshape(D, D)

    def hessian_products(self, theta: Array) -> Callable[[Array], Array]:
        """What multiplies a step with the Hessian of the cross-entropy; the probabilities are kept."""
        blocks: list[tuple[Array, Array, Array | None]] = []
        self.rows.each(lambda X, y, s: (X, self._entropies(X, y, s, theta)[0], s), blocks.append, self.threads)

        def of_block(X: Array, q: Array, s: Array | None, step: Array) -> Array:
            change = self.logits(X, step)
            g = q * (change - (q * change).sum(axis=0))
            return self._products(X, g if s is None else g * s)

        def times(step: Array) -> Array:
            parts = _threads.share(len(blocks), _threads.count(self.threads), lambda k: of_block(*blocks[k], step))
            return np.asarray(sum(parts, np.zeros(step.shape)))

        return times

    def _total(self, work: object, size: int) -> Array:
        total = self.rows.total(work, self.threads)  # type: ignore[arg-type]
        return np.zeros(size) if total is None else total

    def penalised(self, theta: Array) -> float:
        """What the penalty adds to the loss."""
        return float(0.5 * np.add.reduce((theta * theta * self.penalty).ravel()))

    def slope(self, point: SoftmaxPoint, theta: Array) -> Array:
        """The gradient of the penalised loss by the coefficients that are fitted."""
        slope = point.gradient + theta * self.penalty
        if not self.intercept:
            slope[:, 0] = 0
        return slope

    def lower_bound(self, point: SoftmaxPoint, theta: Array) -> float:
        """A lower bound of the loss of all models: the dual objective at the probabilities of the model theta.

        Intercepts have no penalty, so a dual solution must give every class probabilities that sum to its weight. To
        satisfy that, the probabilities are mixed with a constant c, as little as it takes; entropy is concave, so the
        mixture's is at least the mixture of the entropies.
        """
        value, G, size = point.entropy, point.gradient, point.size
        free = self.penalty == 0
        if self.intercept and not free[1:].any():
            have = self.counts
            sums = np.append(-G[:, 0].sum() if self.fixed else np.zeros(0), G[:, 0]) + have
            mixed = float(np.clip(1 - np.min(have / np.where(sums > 0, sums, have)), 0, 1))
            if mixed:
                c = np.maximum(have - (1 - mixed) * sums, 0)
                c /= c.sum()
                of_class = self._class_sums()
                constant = c[:, None] * of_class.sum(axis=0) - of_class
                G = (1 - mixed) * G + mixed * constant[self.fixed :]
                with np.errstate(divide="ignore", invalid="ignore"):
                    mean = -float(np.where(c > 0, c * np.log(c), 0.0).sum())
                value = (1 - mixed) * value + mixed * mean * float(have.sum())
                size = (1 - mixed) * size + mixed * 2 * have.sum()
        used = slice(None) if self.intercept else slice(1, None)
        rounding = 32 * EPS * np.outer(size, self.largest)
        G, penalty, free = (np.abs(G) + rounding)[:, used], self.penalty[used], free[used]
        # Divided before it is squared: squares of sums of weights of 1e-160 are 0.
        squares = float(np.add.reduce(((G[:, ~free] / np.sqrt(penalty[~free])) ** 2).ravel()))
        unbalanced = float(G[:, free].sum()) * (_REACH + 4 * float(np.abs(theta).max(initial=0)))
        return max(0.0, value - 64 * EPS * (value + point.cross_entropy) - squares / 2 - unbalanced)

    def _class_sums(self) -> Array:
        """The sums of s [1, x] of each class."""
        if self._of_class is None:

            def work(X: Array, y: Array, s: Array | None) -> Array:
                s = np.ones(len(y)) if s is None else s
                return self._products(X, np.where(y == np.arange(self.classes)[:, None], s, 0.0))

            self._of_class = self._total(work, self.classes * (self.rows.columns + 1))
        return self._of_class

    def model(self, theta: Array) -> tuple[Array, Array]:
        """(w, b) in the users' units."""
        w = theta[:, 1:] * self.factor
        return w, theta[:, 0] - w @ self.shift if self.intercept else np.zeros(len(w))


def softmax(z: Array) -> Array:
    """The probabilities of logits (n, K)."""
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))
