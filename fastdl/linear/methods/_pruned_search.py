"""The best of many models: their losses are summed piece by piece of the rows, and models that cannot win dropped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from fastdl import _threads
from fastdl._rows import Block
from fastdl.linear._standard_rows import LossLike, StandardRows, block_losses, block_sums
from fastdl.losses.custom import CustomLoss
from fastdl.losses.powers import PowerLoss

Array = np.ndarray

_PIECE = 2048  # rows of a piece, after which models are dropped
_GROUP = 256  # models a thread takes at a time
_MARGIN = 1e-9  # relative: a model must exceed the limit by more than this, which rounding may be, to be dropped


def cut_pieces(blocks: Iterable[Block]) -> Iterator[Block]:
    """The rows of blocks, fewer at a time."""
    for Z, t, s in blocks:
        for i in range(0, len(t), _PIECE):
            part = slice(i, i + _PIECE)
            yield Z[part], t[part], None if s is None else s[part]


class TangentBound:
    """A lower bound of models' losses on rows not yet read, from one model's loss and gradient on each piece.

    A convex loss lies above its tangent: on the rows to come, a model's loss is at least that of this model plus the
    gradient times the distance. For a loss that is not convex the bound is 0.
    """

    def __init__(self, standard: StandardRows, w: Array, b: float, loss: PowerLoss | CustomLoss):
        self.w, self.b, self.convex = w, b, loss.is_convex
        d = len(w)
        one, c = w[None], np.array([b])

        def piece(Z: Array, t: Array, s: Array | None) -> Array:
            part = block_sums(Z, t, s, one, c, loss, gradient=True)[0] if self.convex else np.zeros(d + 2)
            part[0] = block_losses(Z, t, s, one, c, loss)[0]
            return part

        blocks = standard.map(lambda *block: [piece(*part) for part in cut_pieces([block])])
        parts = np.array([*(part for block in blocks for part in block), np.zeros(d + 2)])
        self.loss = float(sum(parts[:, 0], 0.0))
        self.rest = np.cumsum(parts[::-1], axis=0)[::-1]  # sums over each piece and those after it

    def to_come(self, k: int, W: Array, b: Array) -> Array:
        """Lower bounds of the losses of models on the pieces after piece k."""
        after = self.rest[k + 1]
        if not self.convex:
            return np.zeros(len(W))
        return after[0] + (b - self.b) * after[1] + _dot(W - self.w, after[2:])


def _dot(W: Array, g: Array) -> Array:
    total = np.zeros(len(W))
    for j in range(len(g)):
        total += W[:, j] * g[j]
    return total


class PrunedSearch:
    """The search for the `keep` best models. Those still in it are (numbers, weights, constants, losses so far)."""

    def __init__(self, standard: StandardRows, p: LossLike, *, keep: int, prune: bool):
        self.standard, self.p, self.keep, self.prune = standard, p, keep, prune
        self.read = 0  # rows times models that were looked at

    def best(
        self, batches: Iterable[tuple[Array, Array]], known: Array, tangent: TangentBound | None
    ) -> tuple[Array, ...]:
        """Numbers, weights, constants and losses, the best first, of the `keep` best models of the batches.

        `known` are losses on all rows, which those of the batches must not exceed: of other models, and of model 0.
        """
        parts = cut_pieces(self.standard.blocks())
        limit = self._limit(known)
        alive = self._begin(batches, next(parts, None), limit, tangent)
        if self.prune and len(alive[0]) > 16 * self.keep:
            limit = self._limit(np.concatenate([known, self._leaders(alive)]))
            alive = self._still_possible(alive, 0, limit, tangent)
        for k, part in enumerate(parts, 1):
            alive = self._still_possible(self._take(alive, part), k, limit, tangent)
        order = np.lexsort((alive[0], alive[3]))[: self.keep]
        return tuple(a[order] for a in alive)

    def _limit(self, known: Array) -> float:
        return float(np.sort(known)[self.keep - 1]) if self.prune and len(known) >= self.keep else np.inf

    def _begin(
        self, batches: Iterable[tuple[Array, Array]], first: Block | None, limit: float, tangent: TangentBound | None
    ) -> tuple[Array, ...]:
        """The models that are left after the first piece of rows, batch by batch: the others are not kept in memory."""
        survivors, number = [], 0
        for W, b in batches:
            alive: tuple[Array, ...] = (np.arange(number, number + len(W)), W, b, np.zeros(len(W)))
            number += len(W)
            if first is not None:
                alive = self._still_possible(self._take(alive, first), 0, limit, tangent)
            survivors.append(alive)
        return tuple(np.concatenate(a) for a in zip(*survivors))

    def _take(self, alive: tuple[Array, ...], part: Block) -> tuple[Array, ...]:
        """The models with their losses on one more piece added."""
        number, W, b, so_far = alive
        if not len(W):
            return alive
        self.read += len(W) * len(part[1])
        starts = range(0, len(W), _GROUP)
        found = _threads.share(
            len(starts),
            _threads.count(self.standard.threads),
            lambda k: block_losses(*part, W[starts[k] : starts[k] + _GROUP], b[starts[k] : starts[k] + _GROUP], self.p),
        )
        return number, W, b, so_far + np.concatenate(found)

    def _still_possible(
        self, alive: tuple[Array, ...], k: int, limit: float, tangent: TangentBound | None
    ) -> tuple[Array, ...]:
        """The models whose loss on all rows may still be within the limit, after piece k."""
        if limit == np.inf or not self.prune:
            return alive
        least = alive[3] + tangent.to_come(k, alive[1], alive[2]) if tangent is not None else alive[3]
        keep = ~(least > limit * (1 + _MARGIN))
        return alive if keep.all() else tuple(a[keep] for a in alive)

    def _leaders(self, alive: tuple[Array, ...]) -> Array:
        """The losses on all rows of the best models after the first piece; without model 0, which `known` holds."""
        order = np.lexsort((alive[0], alive[3]))[: self.keep + 1]
        order = order[alive[0][order] > 0][: self.keep]
        W, b = alive[1][order], alive[2][order]
        blocks = self.standard.map(lambda *block: [block_losses(*part, W, b, self.p) for part in cut_pieces([block])])
        return np.asarray(sum((part for block in blocks for part in block), np.zeros(len(W))))
