"""The rows of a fit with columns and y centred and scaled, so that a method does not depend on their units."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fastdl import _threads
from fastdl._rows import Block, Rows, join_blocks
from fastdl._typing import Loss
from fastdl.linear._coordinates import Coordinates
from fastdl.linear._robust_coordinates import median_and_factor
from fastdl.losses._row_sums import RowSums
from fastdl.losses.powers import PowerLoss, as_loss

Array = np.ndarray

_ALL = slice(None)
#: A power, or a loss as `as_loss` gives it.
LossLike = Loss | PowerLoss


def block_sums(
    X: Array, y: Array, s: Array | None, W: Array, b: Array, p: LossLike, *, gradient: bool = False
) -> Array:
    """For every model the loss on one block and, with `gradient`, its derivatives by b and w: (K, 1 + 1 + D)."""
    return RowSums(X, y, W, b, as_loss(p), sample_weight=s).block_of(_ALL, gradient)


def block_losses(X: Array, y: Array, s: Array | None, W: Array, b: Array, p: LossLike) -> Array:
    """The loss of one block for every model; its bits do not depend on which other models there are."""
    few = max(0, 4 - len(W))  # `RowSums` takes fewer than four models one by one, and sums in another order
    if few:
        W, b = np.concatenate([W, np.repeat(W[:1], few, 0)]), np.concatenate([b, np.repeat(b[:1], few)])
    return block_sums(X, y, s, W, b, p)[: len(W) - few, 0]


class StandardRows:
    """Rows (Z, t, s) with columns of mean 0 and mean square 1, and t likewise; without an intercept only scaled.

    Columns that are combinations of others are left out. With `scale_y` false, for a loss that has units of its own, t
    is only centred; with `median` it is centred and scaled by the median and the spread about it, so that an outlier
    does not cost the other values their digits. A model of them is (v, c), the constant c being 0 without an intercept.
    Rows in memory are kept as float64; a stream is gone through anew at each pass.

    Attributes
    ----------
    columns, rank : int
        The number of columns of Z; the same with the column of ones.
    count, weight : int, float
        The number of rows, and the sum of their weights.
    correlation : Array, (columns, columns)
        Z'SZ / weight.
    unit, scale : float
        The root mean square of t, which is 1 where it is scaled; the size in y of a difference of 1 in t.
    """

    def __init__(
        self, rows: Rows, intercept: bool, threads: int | None = 1, *, scale_y: bool = True, median: bool = False
    ):
        self.coordinates = coordinates = Coordinates(rows, intercept, threads)
        self.rows, self.threads = rows, threads
        self.count, self.weight, self.rank = coordinates.count, coordinates.weight, coordinates.rank
        self.intercept = bool(intercept and coordinates.rank)
        self.columns = self.rank - self.intercept
        G = coordinates.gram[int(self.intercept) :, int(self.intercept) :] / (self.weight or 1)
        size = np.sqrt(G.diagonal())
        size[size == 0] = 1
        self.correlation = G[:-1, :-1] / np.outer(size[:-1], size[:-1])
        #: Upper triangular, its product with itself is the correlation.
        self._factor = (
            coordinates.R[int(self.intercept) :, int(self.intercept) :] / np.sqrt(self.weight or 1) / size[:-1]
        )
        self._size, y_size = size[:-1], float(size[-1])
        self._y_size = y_size if scale_y else coordinates.y_factor
        self.scale = self._y_size / coordinates.y_factor
        self.unit = y_size / self._y_size
        self._middle, self._t_factor = coordinates.y_shift, coordinates.y_factor / self._y_size
        self._median = median and bool(coordinates.rank)
        if self._median:
            self._middle, self._t_factor = median_and_factor(coordinates, rows)
            self._y_size, self.scale = coordinates.y_factor / self._t_factor, 1 / self._t_factor
        self._blocks: list[Block] | None = None
        if rows.in_memory:
            self._blocks = []
            rows.each(self._standardise, self._blocks.append, threads)

    def _standardise(self, X: Array, y: Array, s: Array | None) -> Block:
        coordinates = self.coordinates
        Z = coordinates.dense(coordinates.columns(X))[:, int(coordinates.intercept) :][:, : self.columns] / self._size
        t = (y - self._middle) * self._t_factor if self._median else coordinates.target(y) / self._y_size
        return np.ascontiguousarray(Z), t, s

    def blocks(self) -> Iterator[Block]:
        """The blocks, in order; some may have no rows."""
        if self._blocks is not None:
            yield from self._blocks
        else:
            for block in self.rows.blocks():
                yield self._standardise(*block)

    def gathered(self) -> Block:
        """All rows as one block, which must fit in memory."""
        return join_blocks(self.blocks(), self.columns)

    def map(self, work: Callable[[Array, Array, Array | None], Any]) -> list[Any]:
        """work(Z, t, s) of every block that has rows, in order."""
        if self._blocks is not None:
            blocks = self._blocks
            return _threads.share(len(blocks), _threads.count(self.threads), lambda k: work(*blocks[k]))
        results: list[Any] = []
        self.rows.each(lambda *block: work(*self._standardise(*block)), results.append, self.threads)
        return results

    def total(self, work: Callable[[Array, Array, Array | None], Any]) -> Any:
        """The sum of work(Z, t, s) over the blocks, in order; 0.0 where there are no rows."""
        return sum(self.map(work), 0.0)

    def to_users_units(self, v: Array, c: float) -> tuple[Array, float]:
        """The model of the rows as they were given."""
        gamma = v / self._size
        if self.intercept:
            gamma = np.append(0.0 if self._median else c, gamma)
        w, b = self.coordinates.model(gamma * self._y_size)
        if self._median and self.intercept:
            b = self._middle + c / self._t_factor - float(np.add.reduce(w * self.coordinates.shift))
        return w, b

    def weights_of_step(self, v: Array) -> Array:
        """The change of the weights, in the user's units, by a change of those of the standard rows."""
        gamma = np.append(np.zeros(int(self.intercept)), v / self._size)
        return self.coordinates.model(gamma * self._y_size)[0]

    def from_users_units(self, w: Array, b: float) -> tuple[Array, float]:
        """The model (v, c) of these rows from (w, b) of the rows as given; exact where no columns are left out."""
        if not self.rank:
            return np.zeros(0), 0.0
        gamma = self.coordinates.gamma(w, b) / self._y_size
        if self._median and self.intercept:
            gamma[0] = (b - self._middle + float(np.add.reduce(w * self.coordinates.shift))) * self._t_factor
        return gamma[int(self.intercept) :] * self._size, float(gamma[0]) if self.intercept else 0.0

    def least_squares(self) -> Array:
        """The weights of the least squares fit; its constant is 0."""
        return self.coordinates.least_squares[int(self.intercept) :] * self._size / self._y_size

    def from_whitened(self, z: Array) -> tuple[Array, Array]:
        """Weights and constants of models (K, rank) whose predictions have mean square |z|^2."""
        v = np.linalg.solve(self._factor, z[:, : self.columns].T).T if self.columns else z[:, :0]
        return v, z[:, -1] if self.intercept else np.zeros(len(z))

    def whitened_length(self, gradient: Array) -> float:
        """The length of a vector of derivatives, by the constant first, in coordinates where Z'SZ / weight is 1."""
        k = int(self.intercept)
        half = np.linalg.solve(self._factor.T, gradient[k:]) if self.columns else gradient[:0]
        return float(np.sqrt((half * half).sum() + (gradient[:k] ** 2).sum()))
