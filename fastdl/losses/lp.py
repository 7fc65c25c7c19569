"""Losses of linear models, |y - X w - b|^p and custom ones, and their gradients, in one read of X.

Products with X are computed in its own precision, in short sums of a fixed order; residuals, their powers and all sums
over rows in float64. Work is cut into blocks by the shapes alone, so that threads and chunks do not change a bit.
"""

from __future__ import annotations

import math
from typing import Any, TypedDict

import numpy as np

from fastdl import _check, _kernels
from fastdl._row_buffer import RowBuffer
from fastdl._state_bytes import StateBytes
from fastdl._threads import ONE, split, valid
from fastdl._typing import Array, ArrayLike, DTypeLike, FloatOrArray, Loss
from fastdl.losses._row_sums import RowSums, loss, loss_grad
from fastdl.losses.powers import as_loss
from fastdl.reference import losses as reference

kernel = _kernels.load("losses") or reference
_SUM, _TRAIN = "sum", "train"  # the defaults
_MOST = 1e300  # larger powers, which may not be floats, go the general way


class _Rows(TypedDict):
    """The rows that each model sees."""

    sample_weight: ArrayLike | None
    folds: ArrayLike | None
    held_out: ArrayLike | None
    part: str


def lp_loss(
    X: ArrayLike,
    y: ArrayLike,
    W: ArrayLike,
    b: ArrayLike = 0.0,
    p: Loss = 2.0,
    *,
    sample_weight: ArrayLike | None = None,
    folds: ArrayLike | None = None,
    held_out: ArrayLike | None = None,
    part: str = "train",
    reduction: str = "sum",
    out: Array | None = None,
    threads: int | None = 1,
) -> FloatOrArray:
    """Sum over rows of ``s |y - <w, x> - b|^p``, for one model or for many in one read of X.

    Parameters
    ----------
    X : array_like, (N, D)
        float32 or float64; float16 counts as float32, other numbers as float64.
    y : array_like, (N,)
        Targets.
    W : array_like, (D,) or (K, D)
        The weights of one model, or of K.
    b : float or array_like, (K,)
        Intercepts.
    p : float
        The power, above 0.
    sample_weight : array_like, (N,), optional
        s: finite, not negative; a row of weight 0 counts as dropped (whatever it holds), one of weight 2 as repeated.
    folds : array_like of integers, (N,), optional
        The fold of each row: model k then sees the rows that are not in fold ``held_out[k]``.
    held_out : array_like of integers, (K,), optional
        The fold that each model does not see, by default 0, 1, ..., K-1; a number that no row has holds out nothing.
    part : {"train", "test"}
        With `folds`: whether a model's rows are those outside its fold, or those inside.
    reduction : {"sum", "mean"}
        Whether to divide by the sum of the weights a model sees.
    out : ndarray of float64, (K,), optional
        Where to write the losses of K models.
    threads : int or None
        Threads to use; None means all this process may.

    Returns
    -------
    float, or ndarray of float64 (K,)
        The loss of the model, or of each.

    Raises
    ------
    InputError
        For shapes that do not fit, p <= 0, a negative or non-finite weight, an unknown name.
    InputTypeError
        For what is not numeric.

    Notes
    -----
    NaN and infinities in X and y give NaN or infinity in the sums they belong to. With float32 X, W, y and the weights
    are rounded to float32, and ``<w, x>`` is formed in it: its error is some 1e-7 of the sum of ``|w x|``. Where
    residuals are not far larger than that, give X as float64.
    The result has the same bits for any number of threads and, through `LpLoss`, for any chunks.

    See Also
    --------
    lp_loss_grad : with the gradient.

    Examples
    --------
    >>> import fastdl
    >>> X, y = [[0.0], [1.0], [2.0]], [1.0, 2.0, 5.0]
    >>> fastdl.lp_loss(X, y, [1.0], 1.0, p=2)
    4.0
    >>> fastdl.lp_loss(X, y, [[1.0], [2.0]], [1.0, 0.5], p=1)
    array([2. , 1.5])
    """
    usual = sample_weight is None and folds is None and held_out is None and part is _TRAIN and reduction is _SUM
    if (
        usual
        and out is None
        and (threads is ONE or valid(threads))
        and type(b) is float
        and type(p) is float
        and 0 < p < math.inf
    ):
        few = kernel.small_loss(X, y, W, b, p)
        if few is not None:
            return few
    rows: _Rows = {"sample_weight": sample_weight, "folds": folds, "held_out": held_out, "part": part}
    return loss(RowSums(X, y, W, b, as_loss(p), **rows, reduction=reduction), out, threads)


def lp_loss_grad(
    X: ArrayLike,
    y: ArrayLike,
    W: ArrayLike,
    b: ArrayLike = 0.0,
    p: Loss = 2.0,
    *,
    sample_weight: ArrayLike | None = None,
    folds: ArrayLike | None = None,
    held_out: ArrayLike | None = None,
    part: str = "train",
    reduction: str = "sum",
    curvature: bool | Array = False,
    floor: float = 0.0,
    out: Array | None = None,
    threads: int | None = 1,
) -> tuple[Any, ...]:
    """The loss of `lp_loss` and its gradient, from the same read of X.

    Parameters
    ----------
    X, y, W, b, p, sample_weight, folds, held_out, part, reduction, threads
        As in `lp_loss`.
    curvature : bool or ndarray, optional
        Whether to return also the second derivative by the residual of each row, ``s p (p-1) max(|r|, floor)^(p-2)``:
        the weights of the rows in Newton's method. An array of X's dtype, (N,) or (N, K), is written to.
    floor : float
        The smallest |r| in the curvature, which for p < 2 is infinite at 0.
    out : ndarray of float64, of W's shape, optional
        Where to write the gradient by W.

    Returns
    -------
    loss : float or ndarray (K,)
    grad_W : ndarray of float64, of W's shape
    grad_b : float or ndarray (K,)
    curvature : ndarray of X's dtype, (N,) or (N, K)
        Where asked for; never divided by `reduction`.

    Raises
    ------
    InputError, InputTypeError
        As `lp_loss`.

    Notes
    -----
    A residual of 0 has gradient 0, for p <= 1 too (where 0 is one of the subgradients for p = 1, and for p < 1
    the slope is infinite on both sides).

    Examples
    --------
    >>> import fastdl
    >>> fastdl.lp_loss_grad([[0.0], [1.0], [2.0]], [1.0, 2.0, 5.0], [1.0], 1.0, p=2)
    (4.0, array([-8.]), -4.0)
    """
    usual = sample_weight is None and folds is None and held_out is None and part is _TRAIN and reduction is _SUM
    usual = (
        usual
        and out is None
        and (threads is ONE or valid(threads))
        and curvature is False
        and not floor
        and type(b) is float
    )
    if usual and (type(p) is float or type(p) is int) and 0 < p < _MOST:
        few: tuple[float, Array, float] | None = kernel.small_loss_grad(X, y, W, b, p)
        if few is not None:
            return few
    rows: _Rows = {"sample_weight": sample_weight, "folds": folds, "held_out": held_out, "part": part}
    sums = RowSums(X, y, W, b, as_loss(p), **rows, reduction=reduction)
    sums.floor = _check.number("floor", floor, 0) if floor else 0.0
    return loss_grad(sums, curvature, out, threads)


class LpLoss(StateBytes):
    """`lp_loss_grad` of a stream of chunks: the same bits as in one call, wherever the chunks are cut.

    Parameters
    ----------
    W, b, p, held_out, part, reduction, threads
        As in `lp_loss`; p may be a `CustomLoss`.

    Notes
    -----
    Rows are buffered until they fill a block (of at most 4 MiB, or 1024 rows). Merged states agree to the bit with a
    single one where each but the last took a multiple of `block(D)` rows, and up to rounding otherwise. States of a
    power have `to_bytes`; those of a `CustomLoss` hold code, which cannot be stored.

    Examples
    --------
    >>> import numpy as np, fastdl
    >>> state = fastdl.LpLoss([1.0], 1.0, p=2)
    >>> state = state.update((np.array([[0.0], [1.0]]), np.array([1.0, 2.0])))
    >>> state.update((np.array([[2.0]]), np.array([5.0]))).finish()
    (4.0, array([-8.]), -4.0)
    """

    def __init__(
        self,
        W: ArrayLike,
        b: ArrayLike = 0.0,
        p: Loss = 2.0,
        *,
        held_out: ArrayLike | None = None,
        part: str = "train",
        reduction: str = "sum",
        threads: int | None = 1,
    ):
        W = _check.array("W", W)
        self.settings: dict[str, Any] = {
            "W": W,
            "b": b,
            "loss": as_loss(p),
            "held_out": held_out,
            "part": part,
            "reduction": reduction,
        }
        self.threads = threads
        # Rows of chunks without weights have weight 1; rows without a fold are held out by no model.
        self._buffer = RowBuffer((None, None, 1.0, -1))
        self._parts: list[Array] = []  # the sums of blocks, in order; the first may be that of many blocks
        self._leads = True  # whether the stream begins here: then the sums of blocks can be added at once

    def to_bytes(self) -> bytes:
        """The state as bytes; an error for a custom loss, whose code cannot be stored."""
        if self.settings["loss"].is_custom:
            raise _check.InputError("a state of a custom loss holds code and has no bytes: pickle it")
        return super().to_bytes()

    def fresh(self) -> LpLoss:
        """An empty state with the same settings."""
        state = LpLoss(self.settings["W"], threads=self.threads)
        state.settings, state._leads = self.settings, False
        return state

    def block(self, columns: int, dtype: DTypeLike = np.float32) -> int:
        """The number of rows in a block, for X of this many columns."""
        return self._sums((np.empty((0, columns), dtype), np.empty(0), None, None)).block

    def _sums(self, rows: tuple[Any, ...]) -> RowSums:
        X, y, s, folds = rows
        return RowSums(X, y, sample_weight=s, folds=folds, **self.settings)

    def update(self, chunk: tuple[Any, ...]) -> LpLoss:
        """Take in (X, y), (X, y, sample_weight) or (X, y, sample_weight or None, folds); returns itself."""
        rows: Any = tuple(None if a is None else _check.asarray("chunk", a) for a in (*chunk, None, None)[:4])
        sums = self._sums(rows)  # the checks, before anything is kept
        if not (len(rows[0]) or len(self._buffer) or self._parts):
            self._parts.append(sums.zeros(True))
        for whole in self._buffer.push(rows, sums.block):
            self._add(whole)
        return self

    def _add(self, rows: tuple[Any, ...]) -> None:
        sums = self._sums(rows)
        if not self._parts:
            self._parts.append(sums.zeros(True))
        for part in split(len(sums.X), self.threads, lambda s: sums.block_of(s, True), sums.block):
            self._take(part)

    def _take(self, part: Array) -> None:
        if self._leads:
            self._parts[0] += part
        else:
            self._parts.append(part)

    def merge(self, other: LpLoss) -> LpLoss:
        """Take in a state that saw the rows after this one's; returns itself."""
        if len(self._buffer) and other._parts:
            self._add(self._buffer.drain())
        if other._parts and not self._parts:
            self._parts.append(np.zeros_like(other._parts[0]))
        for part in other._parts[1:] or (other._parts if other._leads else []):
            self._take(part)
        for rows in other._buffer.parts:
            self.update(rows)
        return self

    def finish(self) -> tuple[FloatOrArray, Array, FloatOrArray]:
        """(loss, gradient by W, gradient by b) of all rows so far."""
        if not (self._parts or len(self._buffer)):
            raise _check.InputError("there were no chunks: the number of columns is not known")
        columns = self.settings["W"].shape[-1]
        rest = self._buffer.peek() if len(self._buffer) else (np.empty((0, columns)), np.empty(0), None, None)
        sums = self._sums(rest)
        total = sums.zeros(True)
        for part in self._parts:
            total += part
        if len(rest[0]):
            total += sums.block_of(slice(0, len(rest[0])), True)
        return sums.result(sums.divided(total))
