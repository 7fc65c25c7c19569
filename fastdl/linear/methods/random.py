"""Random search: models drawn at random, scored many at a time, the best of them the centre of the next round."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Unpack

import numpy as np

from fastdl import _check
from fastdl._rows import Rows
from fastdl._typing import Array, ArrayLike, Loss, RowsLike
from fastdl.linear._standard_rows import StandardRows, block_sums
from fastdl.linear.methods._lower_bounds import certificate
from fastdl.linear.methods._pruned_search import PrunedSearch, TangentBound
from fastdl.linear.result import LpFit
from fastdl.linear.training_options import RunKeywords, TrainingOptions, merge_options
from fastdl.losses.custom import CustomLoss
from fastdl.losses.powers import PowerLoss, as_loss
from fastdl.streaming import ProgressEvent

_GROUP = 64  # candidates drawn from one counter of the generator: their numbers do not depend on the batch
_BATCH = 64 * _GROUP  # candidates scored at once


def random_search(
    X: RowsLike,
    y: ArrayLike | None = None,
    p: Loss = 2.0,
    *,
    candidates: int = 1024,
    refine: int = 10,
    keep: int = 1,
    scale: float = 1.0,
    shrink: float = 0.5,
    center: LpFit | tuple[ArrayLike, float] | None = None,
    sample_weight: ArrayLike | None = None,
    intercept: bool = True,
    prune: bool | None = None,
    options: TrainingOptions | None = None,
    **keywords: Unpack[RunKeywords],
) -> LpFit:
    """Minimize ``sum s |y - <w, x> - b|^p`` over linear models by random search, round by round.

    Parameters
    ----------
    X : array_like (N, D), or chunks
        The rows; or, without y, chunks (X, y) or (X, y, sample_weight): a list, or a function that returns an iterator.
    y : array_like, (N,)
        Targets.
    p : float or CustomLoss
        The power, above 0, or a loss of the user's own.
    candidates : int
        Models in a round.
    refine : int
        Rounds after the first, each centred at the best model so far and `shrink` times as wide as the one before.
    keep : int
        How many of the best models are returned in the history.
    scale : float
        The width of the first round: the root mean square difference between the predictions of a candidate and of the
        centre, as a multiple of the root mean square residual of the centre.
    shrink : float
        The factor of the width from one round to the next, above 0 and at most 1.
    center : LpFit or (w, b), optional
        The centre of the first round, by default the least squares model. It is a candidate itself.
    sample_weight : array_like, (N,), optional
        s: 0 counts as dropped, 2 as repeated.
    intercept : bool
        Whether the model has a constant b.
    prune : bool, optional
        Whether to drop a candidate once it cannot be among the best `keep`; the result is the same. By default done for
        powers; True for a custom loss states that the loss is never negative.
    options : TrainingOptions, optional
        Its `seed` (of the candidates), `threads` and `progress` (called after each round) are used.
    **keywords
        These three fields of `TrainingOptions`, which override those of `options`.

    Returns
    -------
    LpFit
        Its history has "loss", "scale" and "read" of each round, "read" being the share of the (row, candidate) pairs
        that was evaluated, and "top_w" (keep, D), "top_b", "top_loss": the best models.

    Raises
    ------
    InputError, InputTypeError
        For values that are not finite, shapes that do not fit, p <= 0.

    Notes
    -----
    Candidates are normally distributed in coordinates where the columns are uncorrelated and of unit variance, so that
    units do not matter. Candidate k of a round is the same for any batches, threads and chunks.
    Pruning is exact. Terms are never negative, so a candidate is dropped when its loss on some of the rows exceeds the
    smallest loss on all. For p >= 1 the loss on rows not yet read is bounded by the tangent at the round's centre as
    well, and most candidates are dropped after the first 2048 rows. For p = 2 all losses follow from the Gram matrix,
    and no rows are read.

    Examples
    --------
    >>> import fastdl
    >>> fit = fastdl.random_search([[0.0], [1.0], [2.0], [3.0]], [1.0, 3.0, 5.0, 17.0], p=1)
    >>> print(round(fit.loss, 1), fit.certificate.kind)
    10.0 dual
    """
    return fit(
        Rows(X, y, sample_weight), p, intercept=intercept, candidates=candidates, refine=refine, keep=keep, scale=scale,
        shrink=shrink, center=center, prune=prune, options=options, **keywords,
    )  # fmt: skip


def fit(
    rows: Rows,
    p: Loss,
    *,
    intercept: bool = True,
    candidates: int = 1024,
    refine: int = 10,
    keep: int = 1,
    scale: float = 1.0,
    shrink: float = 0.5,
    center: LpFit | tuple[ArrayLike, float] | None = None,
    prune: bool | None = None,
    options: TrainingOptions | None = None,
    **keywords: Unpack[RunKeywords],
) -> LpFit:
    """`random_search` for rows that are read already."""
    options = merge_options(random_search, options, keywords, RunKeywords)
    loss = as_loss(p)
    _check.integer("candidates", candidates, 1)
    _check.integer("refine", refine, 0)
    _check.integer("keep", keep, 1)
    seed, progress = _check.integer("seed", options.seed, 0, 2**63 - 1), options.progress
    _check.number("scale", scale, 0)
    _check.number("shrink", shrink, 0, 1, above=True)
    standard = StandardRows(rows, intercept, options.threads, scale_y=loss.is_homogeneous)
    prune = not loss.is_custom if prune is None else prune
    search = _Search(standard, loss, keep, prune, model(center, standard))
    width = scale * search.spread() / max(1, standard.rank) ** 0.5
    trace = []
    for turn in range(1 + refine):
        search.round(draw_candidates(seed, turn, candidates, standard.rank), width, candidates)
        trace.append((search.losses[0], width, search.share))
        width *= shrink
        if progress is not None:
            progress(ProgressEvent(turn + 1, 1 + refine, "rounds", search.losses[0]))
    return search.result(trace)


def model(given: LpFit | tuple[ArrayLike, float] | None, standard: StandardRows) -> tuple[Array, float] | None:
    """A fit, or (w, b), as a model in the coordinates of `standard`."""
    if given is None:
        return None
    w, b = (given.w, given.b) if isinstance(given, LpFit) else given
    w, b = _check.array("w", w, ("f", "i", "u"), 1).astype(float), _check.number("b", b)
    if len(w) != standard.rows.columns:
        raise _check.InputError(f"w must have {standard.rows.columns} values, got {len(w)}")
    _check.finite("w", w)
    if b and not standard.coordinates.intercept:
        raise _check.InputError(f"b must be 0 without an intercept, got {b}")
    return standard.from_users_units(w, b)


def draw_candidates(seed: int, turn: int, count: int, size: int) -> Iterator[Array]:
    """Standard normal numbers (K, size) of a round's candidates, by batches; the first candidate is 0, the centre."""
    for start in range(0, count, _BATCH):
        groups = range(start // _GROUP, -(-min(start + _BATCH, count) // _GROUP))
        z = np.concatenate([_group(seed, turn, group, size) for group in groups])[: count - start]
        if start == 0:
            z[0] = 0
        yield z


def _group(seed: int, turn: int, group: int, size: int) -> Array:
    bits = np.random.Philox(key=np.array([seed, (turn << 40) + group], np.uint64))
    return np.random.Generator(bits).standard_normal((_GROUP, size))


class _Search:
    """The best models so far, in the coordinates of `standard`, the best first."""

    def __init__(
        self,
        standard: StandardRows,
        loss: PowerLoss | CustomLoss,
        keep: int,
        prune: bool,
        center: tuple[Array, float] | None,
    ):
        self.standard, self.loss, self.keep, self.prune = standard, loss, keep, prune
        self.center = center or (standard.least_squares(), 0.0)
        self.W, self.b, self.losses = np.empty((0, standard.columns)), np.empty(0), np.empty(0)
        self.share = 0.0

    def spread(self) -> float:
        """The root mean square of the centre's residuals."""
        w, b = self.center
        total = self.standard.total(lambda Z, t, s: block_sums(Z, t, s, w[None], np.array([b]), 2.0)[0, 0])
        return float(np.sqrt(total / self.standard.weight)) if self.standard.weight else 0.0

    def round(self, numbers: Iterator[Array], width: float, candidates: int) -> None:
        """Score the candidates about the centre, which is the best model once there is one."""
        if len(self.W):
            self.center = self.W[0], float(self.b[0])
        w, b = self.center

        def batches() -> Iterator[tuple[Array, Array]]:
            for z in numbers:
                dw, db = self.standard.from_whitened(z * width)
                yield w + dw, b + db

        if self.loss.power == 2:
            W, c, values = self._by_products(batches())
        else:
            scores = PrunedSearch(self.standard, self.loss.p, keep=self.keep, prune=self.prune)
            tangent = TangentBound(self.standard, w, b, self.loss) if self.prune and self.standard.count else None
            known = self.losses if len(self.losses) or tangent is None else np.array([tangent.loss])
            _, W, c, values = scores.best(batches(), known, tangent)
            self.share = scores.read / max(1, candidates * self.standard.count)
        later = slice(1, None) if len(self.W) else slice(None)
        W, c, values = (
            np.concatenate(a) for a in ((W, self.W[later]), (c, self.b[later]), (values, self.losses[later]))
        )
        order = np.argsort(values, kind="stable")[: self.keep]
        self.W, self.b, self.losses = W[order], c[order], values[order]

    def _by_products(self, batches: Iterator[tuple[Array, Array]]) -> tuple[Array, Array, Array]:
        """For p = 2: by how much each candidate's loss exceeds the minimum, from the Gram matrix alone."""
        best, C = self.standard.least_squares(), self.standard.correlation
        found = []
        for W, b in batches:
            away = W - best
            more = ((away @ C) * away).sum(1) + b * b
            order = np.argsort(more, kind="stable")[: self.keep]
            found.append((W[order], b[order], self.standard.weight * more[order]))
        W, b, more = (np.concatenate(a) for a in zip(*found))
        return W, b, more

    def result(self, trace: list[tuple[float, float, float]]) -> LpFit:
        """The best model, with losses in the units of y."""
        models = [self.standard.to_users_units(w, float(b)) for w, b in zip(self.W, self.b)]
        W, b = np.array([w for w, _ in models]), np.array([b for _, b in models])
        total = self.standard.rows.total(
            lambda X, y, s: block_sums(X, y, s, W, b, self.loss)[:, 0], self.standard.threads
        )
        top = np.zeros(len(W)) if total is None else total
        loss, width, share = (np.array(column) for column in zip(*trace))
        if self.loss.power == 2:  # `round` recorded only how much losses exceed the minimum
            loss = loss - self.losses[0]
        factor = self.loss.scale(self.standard.scale)
        history = {"loss": loss * factor, "scale": width, "read": share, "top_w": W, "top_b": b, "top_loss": top}
        if self.loss.power == 2:
            history["loss"] = history["loss"] + top[0]
        known = certificate(float(top[0]), self.standard, W[0], float(b[0]), self.loss.p)
        return LpFit(W[0], float(b[0]), self.loss.p, float(top[0]), known, "random", history, self.standard.rank)
