"""The sums behind the losses: checked arguments, blocks of rows, and the choice of the kernel."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdl import _check, _kernels, _threads
from fastdl._typing import Array, ArrayLike, FloatOrArray
from fastdl.reference import losses as reference

if TYPE_CHECKING:
    from fastdl.losses.custom import CustomLoss
    from fastdl.losses.powers import PowerLoss

kernel, many_kernel = _kernels.load("losses"), _kernels.load("losses_many")

_FLOAT32, _FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)
_ALL = slice(None)
_FEW = 4  # models from which on the kernel for many models is used
_BLOCK = 1 << 22  # bytes of X in a block


def loss(sums: RowSums, out: Array | None, threads: int | None) -> FloatOrArray:
    """The result of `lp_loss`."""
    losses = _check.out("out", out, (len(sums.W),), _FLOAT64, sums.X, sums.y) if sums.many else None
    total = sums.run(False, threads)
    if losses is None:
        return float(total[0, 0])
    losses[:] = total[:, 0]
    return losses


def loss_grad(sums: RowSums, curvature: bool | Array, out: Array | None, threads: int | None) -> tuple[Any, ...]:
    """The result of `lp_loss_grad`."""
    gradient = _check.out("out", out, sums.shape, _FLOAT64, sums.X, sums.y)
    h = None
    if curvature is not False:
        rows = (len(sums.X), len(sums.W)) if sums.many else (len(sums.X),)
        h = _check.out("curvature", None if curvature is True else curvature, rows, sums.dtype, sums.X, sums.y)
    value, by_w, by_b = sums.result(sums.run(True, threads, h))
    gradient[...] = by_w
    return (value, gradient, by_b) if h is None else (value, gradient, by_b, h)


class RowSums:
    """The checked arguments of a call, and the sums over any of its rows, of a loss as `as_loss` gives it."""

    def __init__(
        self,
        X: ArrayLike,
        y: ArrayLike,
        W: ArrayLike,
        b: ArrayLike,
        loss: PowerLoss | CustomLoss,
        *,
        sample_weight: ArrayLike | None = None,
        folds: ArrayLike | None = None,
        held_out: ArrayLike | None = None,
        part: str = "train",
        reduction: str = "sum",
    ):
        self.X, self.y = _numbers("X", X, (1, 2)), _numbers("y", y, (1,))
        if self.X.ndim == 1:
            self.X = self.X[:, None]
        W, b = _numbers("W", W, (1, 2)), b if type(b) is float else _numbers("b", b, (0, 1))
        n, d = self.X.shape
        self.many, self.shape = W.ndim == 2, W.shape
        models = len(W) if self.many else 1
        if len(self.y) != n:
            raise _check.InputError(f"y has {len(self.y)} values but X has {n} rows")
        if W.shape[-1] != d:
            raise _check.InputError(f"W has {W.shape[-1]} columns but X has {d}")
        if type(b) is not float and b.ndim and b.shape != (models,):
            raise _check.InputError(f"b must be a number or have shape ({models},), got {b.shape}")
        kind = self.X.dtype
        self.dtype = _FLOAT32 if kind is _FLOAT32 or (kind.kind == "f" and kind.itemsize <= 4) else _FLOAT64
        self.loss = loss
        self.floor = 0.0
        self.mean = _check.one_of("reduction", reduction, ("sum", "mean")) == "mean"
        self.W = _as(W, self.dtype).reshape(models, d)
        self.b = np.empty(models)
        self.b[...] = b
        self.s = self.folds = self.held = None
        self.inside = _check.one_of("part", part, ("train", "test")) == "test"
        if sample_weight is not None:
            self.s = _check.asarray("sample_weight", sample_weight)
            _check.dtype("sample_weight", self.s.dtype, ("f", "i", "u", "b"))
            if self.s.shape != (n,):
                raise _check.InputError(f"sample_weight must have shape ({n},), got {self.s.shape}")
        if folds is not None:
            self.folds = _ints("folds", folds, n)
            self.held = np.arange(models, dtype=np.int32) if held_out is None else _ints("held_out", held_out, models)
        # The number of rows in a block depends on the shapes alone, so that bits do not depend on threads.
        most = _BLOCK // max(1, d * self.dtype.itemsize) // max(1, -(-models // 16))
        self.block = max(1024, most // 64 * 64)

    def run(self, gradient: bool, threads: int | None, h: Array | None = None) -> Array:
        """The sums over all rows, (K, 1 + 1 + D): the loss, and its derivatives by b and W."""
        if threads != 1:
            _threads.count(threads)
        if 0 < len(self.X) <= self.block:
            return self.divided(self.block_of(_ALL, gradient, h))
        total = self.zeros(gradient)
        for part in _threads.split(len(self.X), threads, lambda s: self.block_of(s, gradient, h), self.block):
            total += part
        return self.divided(total)

    def zeros(self, gradient: bool) -> Array:
        return np.zeros((len(self.W), (self.X.shape[1] + 2 if gradient else 2) + self.mean))

    def divided(self, total: Array) -> Array:
        """The sums; or, with reduction "mean", the sums divided by their last column, the weights."""
        if not self.mean:
            return total
        with np.errstate(invalid="ignore"):
            return total[:, :-1] / total[:, -1:]

    def result(self, total: Array) -> tuple[FloatOrArray, Array, FloatOrArray]:
        """(loss, gradient by W, gradient by b) of sums."""
        by_w = total[:, 2:].reshape(self.shape)
        return (total[:, 0], by_w, total[:, 1]) if self.many else (float(total[0, 0]), by_w, float(total[0, 1]))

    def block_of(self, rows: slice, gradient: bool, h: Array | None = None) -> Array:
        """The sums over one block of rows."""
        X, y, s, folds = self.X, self.y, self.s, self.folds
        if rows is not _ALL:
            X, y = X[rows], y[rows]
            s, folds = (None if a is None else a[rows] for a in (s, folds))
        X, y, s = _as(X, self.dtype), _as(y, self.dtype), None if s is None else _as(s, self.dtype)
        if s is not None and not (s.min() >= 0 and s.max() < np.inf):
            bad = int(np.flatnonzero(~((s >= 0) & (s < np.inf)))[0])
            raise _check.InputError(
                f"sample_weight must be finite and not negative, got {s[bad]} at index {(rows.start or 0) + bad}"
            )
        h = None if h is None else h[rows]
        total = self._sums(X, y, s, folds, self.held, models=(self.W, self.b), gradient=gradient, h=h)
        if gradient and (s is not None or folds is not None) and not np.isfinite(total).all():
            total = self._without_dropped(X, y, s, folds, total)
        if self.dtype is _FLOAT32 and h is None and not np.isfinite(total).all():
            total = self._in_float64(X, y, s, folds, gradient, total)
        return np.column_stack([total, self.weights(len(X), s, folds)]) if self.mean else total

    def _in_float64(
        self, X: Array, y: Array, s: Array | None, folds: Array | None, gradient: bool, total: Array
    ) -> Array:
        """The sums of a block whose powers left the range of float32, though its values are finite."""
        if not all(np.isfinite(a).all() for a in (X, y, self.W, self.b)):
            return total
        wide = copy.copy(self)
        wide.dtype, wide.W = _FLOAT64, self.W.astype(np.float64)
        X, y = X.astype(np.float64), y.astype(np.float64)
        s = None if s is None else s.astype(np.float64)
        return wide._sums(X, y, s, folds, self.held, models=(wide.W, self.b), gradient=gradient, h=None)

    def _without_dropped(self, X: Array, y: Array, s: Array | None, folds: Array | None, total: Array) -> Array:
        """The sums with the rows of weight 0 set to 0: their NaN or infinities, times 0, made the gradients NaN."""
        for held in {None} if self.held is None else set(self.held.tolist()):
            models = slice(None) if self.held is None else self.held == held
            kept = np.ones(len(X), bool) if s is None else s != 0
            if held is not None and folds is not None:
                kept &= (folds == held) == self.inside
            zeroed = np.where(kept[:, None], X, X.dtype.type(0))
            some = None if self.held is None else np.ascontiguousarray(self.held[models])
            total[models] = self._sums(
                zeroed, y, s, folds, some, models=(self.W[models], self.b[models]), gradient=True, h=None
            )
        return total

    def _sums(
        self,
        X: Array,
        y: Array,
        s: Array | None,
        folds: Array | None,
        held: Array | None,
        *,
        models: tuple[Array, Array],
        gradient: bool,
        h: Array | None,
    ) -> Array:
        """The sums of a block for some models (W, b); with h, the curvatures of its rows are written there."""
        W, b = models
        count, d = W.shape
        chosen = kernel if count < _FEW else many_kernel
        if chosen is None or not d:
            return self._by_reference(X, y, s, folds, held, models=(W, b), gradient=gradient, h=h)
        own, p, floor = self.loss.address, self.loss.power, self.floor
        if count < _FEW:
            total = np.zeros((count, d + 2 if gradient else 2))
            for k in range(count):
                hold = 0 if held is None else held[k]
                bend = None if h is None else h if h.ndim == 1 else np.empty(len(X), self.dtype)
                chosen.one_model(X, y, s, folds, hold, self.inside, W[k], b[k], p, own, floor, bend, total[k])
                if h is not None and bend is not h:
                    h[:, k] = bend
            return total
        lanes = 64 // self.dtype.itemsize
        tiles = -(-count // lanes)
        packed, shift, hold = (
            np.zeros((tiles * lanes, d), self.dtype),
            np.zeros(tiles * lanes),
            np.zeros(tiles * lanes, np.int32),
        )
        packed[:count], shift[:count], hold[:count] = W, b, 0 if held is None else held
        packed = np.ascontiguousarray(packed.reshape(tiles, lanes, d).swapaxes(1, 2))
        sums = np.zeros((tiles, d + 2 if gradient else 2, lanes))
        packed_models, seen = (packed, shift, count), (folds, hold, self.inside)
        chosen.many_models(X, y, s, seen, packed_models, (p, own, floor), h, sums)
        return sums.swapaxes(1, 2).reshape(tiles * lanes, -1)[:count]

    def _by_reference(
        self,
        X: Array,
        y: Array,
        s: Array | None,
        folds: Array | None,
        held: Array | None,
        *,
        models: tuple[Array, Array],
        gradient: bool,
        h: Array | None,
    ) -> Array:
        W, b = models
        rows = {"sample_weight": s, "folds": folds, "held_out": held, "part": "test" if self.inside else "train"}
        loss, by_w, by_b = reference.lp_loss_grad(X, y, W, b, self.loss.definition, **rows)
        if h is not None:
            bend = reference.curvature(X, y, W, b, self.loss.power, **rows, floor=self.floor)
            h[:] = bend if h.ndim == 2 else bend[:, 0]
        return np.column_stack([loss, by_b, by_w]) if gradient else np.column_stack([loss, by_b])

    def weights(self, n: int, s: Array | None, folds: Array | None) -> Array:
        """The sum of the weights each model sees."""
        s = np.ones(n) if s is None else s.astype(float)
        if folds is None or self.held is None:
            return np.full(len(self.W), s.sum())
        return np.array([s[(folds == k) == self.inside].sum() for k in self.held])


def _numbers(name: str, value: ArrayLike, ndim: tuple[int, ...]) -> Array:
    """A value as an array of numbers of any dtype."""
    x = _check.asarray(name, value)
    if x.dtype is not _FLOAT32 and x.dtype is not _FLOAT64:
        _check.dtype(name, x.dtype, ("f", "i", "u", "b"))
    if x.ndim not in ndim:
        raise _check.InputError(f"{name} must have {' or '.join(map(str, ndim))} dimension(s), got shape {x.shape}")
    return x


def _as(x: Array, dtype: np.dtype) -> Array:
    """x as a C-contiguous, aligned array of `dtype`; this check is faster than NumPy's where nothing is to be done."""
    return x if x.dtype is dtype and x.flags.c_contiguous and x.flags.aligned else _check.contiguous(x, dtype)


def _ints(name: str, value: ArrayLike, n: int) -> Array:
    """n integers as int32."""
    x = _check.asarray(name, value)
    if x.size:
        _check.dtype(name, x.dtype, ("i", "u"))
        if x.min() < -(2**31) or x.max() >= 2**31:
            raise _check.InputError(f"{name} must fit in 32 bits, got {x.min()} to {x.max()}")
    if x.shape != (n,):
        raise _check.InputError(f"{name} must have shape ({n},), got {x.shape}")
    return _check.contiguous(x, np.int32)
