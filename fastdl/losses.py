"""Losses of linear models, |y - X w - b|^p and the user's own, and their gradients, in one read of X.

Products with X are in its own precision, in short sums of a fixed order; residuals, their powers, and all sums over rows are
in float64. Work is cut at borders that depend on the shapes alone: threads and chunks do not change a bit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastdl import _check, _kernels
from fastdl._threads import split
from fastdl.reference import losses as reference

Array = np.ndarray
kernel = _kernels.load("losses")

_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
_FLOAT32, _FLOAT64 = _FLOATS
_FEW = 4  # models from which on they are taken many at a time
_BLOCK = 1 << 22  # bytes of X in a block


def lp_loss(
    X: Any,
    y: Any,
    W: Any,
    b: Any = 0.0,
    p: float = 2.0,
    *,
    sample_weight: Any = None,
    folds: Any = None,
    held_out: Any = None,
    part: str = "train",
    reduction: str = "sum",
    out: Array | None = None,
    threads: int | None = 1,
) -> Any:
    """Sum over rows of ``s |y - <w, x> - b|^p``, for one model or for many in one read of X.

    Parameters
    ----------
    X : array_like, (N, D)
        float32 or float64; other numbers count as float64.
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
        0, 1, ... K-1 by default; a number that no row has holds out nothing.
    part : {"train", "test"}
        With `folds`: the rows outside the model's fold, or those inside.
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
    NaN and infinities in X and y give NaN or infinity in the sums they belong to. With float32 X, ``<w, x>`` is formed in
    float32: its error is some 1e-7 of the sum of ``|w x|``. Where residuals are far smaller than that, give X as float64.
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
    return _loss(_Work(X, y, W, b, p, sample_weight, folds, held_out, part, reduction), out, threads)


def lp_loss_grad(
    X: Any,
    y: Any,
    W: Any,
    b: Any = 0.0,
    p: float = 2.0,
    *,
    sample_weight: Any = None,
    folds: Any = None,
    held_out: Any = None,
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
        Whether to return also the second derivative by the residual, ``s p (p-1) max(|r|, floor)^(p-2)``, row by row: what
        Newton's method weighs the rows by. An array of X's dtype, (N,) or (N, K), is written to.
    floor : float
        The least |r| of the curvature, which for p < 2 is infinite at 0.
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
    A residual of 0 has gradient 0, for p <= 1 too (where 0 is one of the subgradients for p = 1, and the limit from both
    sides does not exist for p < 1).

    Examples
    --------
    >>> import fastdl
    >>> fastdl.lp_loss_grad([[0.0], [1.0], [2.0]], [1.0, 2.0, 5.0], [1.0], 1.0, p=2)
    (4.0, array([-8.]), -4.0)
    """
    work = _Work(X, y, W, b, p, sample_weight, folds, held_out, part, reduction)
    work.floor = _check.number("floor", floor, 0)
    return _loss_grad(work, curvature, out, threads)


def _loss(work: _Work, out: Array | None, threads: int | None) -> Any:
    loss = _check.out("out", out, (len(work.W),), _FLOAT64, work.X, work.y) if work.many else None
    total = work.run(False, threads)
    if loss is None:
        return float(total[0, 0])
    loss[:] = total[:, 0]
    return loss


def _loss_grad(work: _Work, curvature: Any, out: Array | None, threads: int | None) -> tuple[Any, ...]:
    gradient = _check.out("out", out, work.shape, _FLOAT64, work.X, work.y)
    h = None
    if curvature is not False:
        rows = (len(work.X), len(work.W)) if work.many else (len(work.X),)
        h = _check.out("curvature", None if curvature is True else curvature, rows, work.dtype, work.X, work.y)
    loss, by_w, by_b = work.result(work.run(True, threads, h))
    gradient[...] = by_w
    return (loss, gradient, by_b) if h is None else (loss, gradient, by_b, h)


class _Work:
    """The checked arguments of a call, and the sums over any of its rows."""

    def __init__(self, X, y, W, b, p, sample_weight, folds, held_out, part, reduction):
        self.X, self.y = _check.asarray("X", X), _check.asarray("y", y)
        W, b = _check.asarray("W", W), _check.asarray("b", b)
        for name, x, ndim in (("X", self.X, (2,)), ("y", self.y, (1,)), ("W", W, (1, 2)), ("b", b, (0, 1))):
            if x.ndim not in ndim:
                raise _check.InputError(f"{name} must have {' or '.join(map(str, ndim))} dimension(s), got shape {x.shape}")
            _check.dtype(name, x.dtype, ("f", "i", "u", "b"))
        n, d = self.X.shape
        self.many, self.shape = W.ndim == 2, W.shape
        models = len(W) if self.many else 1
        if len(self.y) != n:
            raise _check.InputError(f"y has {len(self.y)} values but X has {n} rows")
        if W.shape[-1] != d:
            raise _check.InputError(f"W has {W.shape[-1]} columns but X has {d}")
        if b.ndim and b.shape != (models,):
            raise _check.InputError(f"b must be a number or have shape ({models},), got {b.shape}")
        self.dtype = _FLOAT32 if self.X.dtype.itemsize <= 4 and self.X.dtype.kind == "f" else _FLOAT64
        self.own = p if isinstance(p, CustomLoss) else None
        self.p = 0.0 if self.own else _check.number("p", p, 0, above=True)
        self.floor = 0.0
        self.mean = _check.one_of("reduction", reduction, ("sum", "mean")) == "mean"
        self.W = np.ascontiguousarray(W, self.dtype).reshape(models, d)
        self.b = np.empty(models)
        self.b[:] = b
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
        # Rows in a block: by the shapes alone.
        most = _BLOCK // max(1, d * self.dtype.itemsize) // -(-models // 16)
        self.block = max(1024, most // 64 * 64)

    def run(self, gradient: bool, threads: int | None, h: Array | None = None) -> Array:
        """(K, 1 + 1 + D): loss, and derivatives by b and W."""
        total = self.zeros(gradient)
        for part in split(len(self.X), threads, lambda s: self.sums(s, gradient, h), self.block):
            total += part
        return self.divided(total)

    def zeros(self, gradient: bool) -> Array:
        return np.zeros((len(self.W), (self.X.shape[1] + 2 if gradient else 2) + self.mean))

    def divided(self, total: Array) -> Array:
        """The means, where these were asked for, of sums whose last column holds the weights."""
        if not self.mean:
            return total
        with np.errstate(invalid="ignore"):
            return total[:, :-1] / total[:, -1:]

    def result(self, total: Array) -> tuple[Any, Array, Any]:
        """Loss, gradient by W, gradient by b."""
        by_w = total[:, 2:].reshape(self.shape)
        return (total[:, 0], by_w, total[:, 1]) if self.many else (float(total[0, 0]), by_w, float(total[0, 1]))

    def sums(self, rows: slice, gradient: bool, h: Array | None = None) -> Array:
        """The sums over one block of rows."""
        X, y = (np.ascontiguousarray(a[rows], self.dtype) for a in (self.X, self.y))
        s = None if self.s is None else np.ascontiguousarray(self.s[rows], self.dtype)
        if s is not None and not (s.min() >= 0 and s.max() < np.inf):
            bad = int(np.flatnonzero(~((s >= 0) & (s < np.inf)))[0])
            raise _check.InputError(
                f"sample_weight must be finite and not negative, got {s[bad]} at index {rows.start + bad}"
            )
        folds = None if self.folds is None else self.folds[rows]
        h = None if h is None else h[rows]
        total = self._sums(X, y, s, folds, self.held, self.W, self.b, gradient, h)
        if gradient and (s is not None or folds is not None) and not np.isfinite(total).all():
            total = self._without_dropped(X, y, s, folds, total)
        return np.column_stack([total, self.weights(len(X), s, folds)]) if self.mean else total

    def _without_dropped(self, X: Array, y: Array, s: Array | None, folds: Array | None, total: Array) -> Array:
        """The gradients where a dropped row holds a NaN, which times 0 is NaN: with such rows set to 0."""
        for held in {None} if self.held is None else set(self.held.tolist()):
            models = slice(None) if self.held is None else self.held == held
            kept = np.ones(len(X), bool) if s is None else s != 0
            if held is not None and folds is not None:
                kept &= (folds == held) == self.inside
            zeroed = np.where(kept[:, None], X, X.dtype.type(0))
            some = None if self.held is None else np.ascontiguousarray(self.held[models])
            total[models] = self._sums(zeroed, y, s, folds, some, self.W[models], self.b[models], True, None)
        return total

    def _sums(self, X, y, s, folds, held, W, b, gradient, h) -> Array:
        models, d = W.shape
        if kernel is None or not d:
            return self._by_reference(X, y, s, folds, held, W, b, gradient, h)
        own, p, floor = (self.own.address if self.own else 0), self.p, self.floor
        if models < _FEW:
            total = np.zeros((models, d + 2 if gradient else 2))
            for k in range(models):
                hold = 0 if held is None else held[k]
                bend = None if h is None else h if h.ndim == 1 else np.empty(len(X), self.dtype)
                kernel.one_model(X, y, s, folds, hold, self.inside, W[k], b[k], p, own, floor, bend, total[k])
                if h is not None and bend is not h:
                    h[:, k] = bend
            return total
        lanes = 64 // self.dtype.itemsize
        tiles = -(-models // lanes)
        packed, shift, hold = np.zeros((tiles * lanes, d), self.dtype), np.zeros(tiles * lanes), np.zeros(tiles * lanes, np.int32)
        packed[:models], shift[:models], hold[:models] = W, b, 0 if held is None else held
        packed = np.ascontiguousarray(packed.reshape(tiles, lanes, d).swapaxes(1, 2))
        sums = np.zeros((tiles, d + 2, lanes))
        kernel.many_models(X, y, s, folds, hold, self.inside, packed, shift, models, p, own, floor, h, sums, gradient)
        return sums.swapaxes(1, 2).reshape(tiles * lanes, d + 2)[:models, : None if gradient else 2]

    def _by_reference(self, X, y, s, folds, held, W, b, gradient, h) -> Array:
        rows = {"sample_weight": s, "folds": folds, "held_out": held, "part": "test" if self.inside else "train"}
        p = self.own.terms if self.own else self.p
        loss, by_w, by_b = reference.lp_loss_grad(X, y, W, b, p, **rows)
        if h is not None:
            bend = reference.curvature(X, y, W, b, self.p, **rows, floor=self.floor)
            h[:] = bend if h.ndim == 2 else bend[:, 0]
        return np.column_stack([loss, by_b, by_w]) if gradient else np.column_stack([loss, by_b])

    def weights(self, n: int, s: Array | None, folds: Array | None) -> Array:
        """The sum of the weights each model sees."""
        s = np.ones(n) if s is None else s.astype(float)
        if folds is None or self.held is None:
            return np.full(len(self.W), s.sum())
        return np.array([s[(folds == k) == self.inside].sum() for k in self.held])


class LpLoss:
    """`lp_loss_grad` of a stream of chunks: the same bits as in one call, wherever the chunks are cut.

    Parameters
    ----------
    W, b, p, held_out, part, reduction, threads
        As in `lp_loss`; p may be a `CustomLoss`.

    Notes
    -----
    Rows are kept until they fill a block (of at most 4 MiB). States that are merged agree to the bit with one state where each
    but the last took a multiple of `block(D)` rows, and to rounding elsewhere.

    Examples
    --------
    >>> import numpy as np, fastdl
    >>> state = fastdl.LpLoss([1.0], 1.0, p=2)
    >>> state.update((np.array([[0.0], [1.0]]), np.array([1.0, 2.0]))).update((np.array([[2.0]]), np.array([5.0]))).finish()
    (4.0, array([-8.]), -4.0)
    """

    def __init__(self, W: Any, b: Any = 0.0, p: Any = 2.0, *, held_out: Any = None, part: str = "train", reduction: str = "sum",
                 threads: int | None = 1):  # fmt: skip
        self.settings = {"W": _check.array("W", W), "b": b, "p": p, "held_out": held_out, "part": part, "reduction": reduction}
        self.threads = threads
        self._waiting: list[tuple[Any, ...]] = []  # rows that do not fill a block yet
        self._parts: list[Array] = []  # the sums of blocks, in order; the first is all before
        self._leads = True  # whether it starts the stream, so that blocks can be added at once

    def fresh(self) -> LpLoss:
        """An empty state with the same settings."""
        state = LpLoss(self.settings["W"], threads=self.threads)
        state.settings, state._leads = self.settings, False
        return state

    def block(self, columns: int, dtype: Any = np.float32) -> int:
        """The number of rows in a block, for X of so many columns."""
        return self._work((np.empty((0, columns), dtype), np.empty(0), None, None)).block

    def _work(self, rows: tuple[Any, ...]) -> _Work:
        X, y, s, folds = rows
        return _Work(X, y, sample_weight=s, folds=folds, **self.settings)

    def update(self, chunk: tuple[Any, ...]) -> LpLoss:
        """Take in (X, y), (X, y, sample_weight) or (X, y, sample_weight or None, folds); returns itself."""
        rows = tuple(None if a is None else _check.asarray("chunk", a) for a in (*chunk, None, None)[:4])
        work = self._work(rows)  # the checks, before anything is kept
        have = sum(len(r[0]) for r in self._waiting)
        if have + len(rows[0]) >= work.block:
            if have:
                head = _cut(rows, slice(0, work.block - have))
                self._add(_joined([*self._waiting, head]))
                rows = _cut(rows, slice(work.block - have, None))
            whole = len(rows[0]) // work.block * work.block
            if whole:
                self._add(_cut(rows, slice(0, whole)))
            rows, self._waiting = _cut(rows, slice(whole, None)), []
        if len(rows[0]) or not (self._waiting or self._parts):
            self._waiting.append(tuple(None if a is None else a.copy() for a in rows))
        return self

    def _add(self, rows: tuple[Any, ...]) -> None:
        work = self._work(rows)
        if not self._parts:
            self._parts.append(work.zeros(True))
        for part in split(len(work.X), self.threads, lambda s: work.sums(s, True), work.block):
            self._take(part)

    def _take(self, part: Array) -> None:
        if self._leads:
            self._parts[0] += part
        else:
            self._parts.append(part)

    def merge(self, other: LpLoss) -> LpLoss:
        """Take in a state that saw the rows after this one's; returns itself."""
        if self._waiting and other._parts:
            self._add(_joined(self._waiting))
            self._waiting = []
        if other._parts and not self._parts:
            self._parts.append(np.zeros_like(other._parts[0]))
        for part in other._parts[1:] or (other._parts if other._leads else []):
            self._take(part)
        for rows in other._waiting:
            self.update(rows)
        return self

    def finish(self) -> tuple[Any, Array, Any]:
        """Loss, gradient by W, gradient by b, of all rows so far."""
        if not (self._parts or self._waiting):
            raise _check.InputError("there were no chunks: the number of columns is not known")
        rest = _joined(self._waiting) if self._waiting else None
        columns = self.settings["W"].shape[-1]
        work = self._work(rest or (np.empty((0, columns)), np.empty(0), None, None))
        total = work.zeros(True)
        for part in self._parts:
            total += part
        if rest is not None and len(rest[0]):
            total += work.sums(slice(0, len(rest[0])), True)
        return work.result(work.divided(total))


def _cut(rows: tuple[Any, ...], where: slice) -> tuple[Any, ...]:
    return tuple(None if a is None else a[where] for a in rows)


def _joined(chunks: list[tuple[Any, ...]]) -> tuple[Any, ...]:
    return chunks[0] if len(chunks) == 1 else tuple(None if a[0] is None else np.concatenate(a) for a in zip(*chunks))


@dataclass(frozen=True)
class CustomLoss:
    """A loss of the user's own: made by `custom_loss`, used like `lp_loss` and `lp_loss_grad`, or as their p."""

    function: Callable[[float], float]
    derivative: Callable[[float], float] | None = None
    _compiled: list[Any] = field(default_factory=list, repr=False, compare=False)

    def loss(self, X: Any, y: Any, W: Any, b: Any = 0.0, *, sample_weight: Any = None, folds: Any = None, held_out: Any = None,
             part: str = "train", reduction: str = "sum", out: Array | None = None, threads: int | None = 1) -> Any:  # fmt: skip
        """As `lp_loss`, with ``function(r)`` for ``|r|^p``."""
        return _loss(_Work(X, y, W, b, self, sample_weight, folds, held_out, part, reduction), out, threads)

    def loss_grad(self, X: Any, y: Any, W: Any, b: Any = 0.0, *, sample_weight: Any = None, folds: Any = None, held_out: Any = None,
                  part: str = "train", reduction: str = "sum", out: Array | None = None, threads: int | None = 1) -> Any:  # fmt: skip
        """As `lp_loss_grad`, with ``function(r)`` for ``|r|^p``."""
        return _loss_grad(_Work(X, y, W, b, self, sample_weight, folds, held_out, part, reduction), False, out, threads)

    @property
    def address(self) -> int:
        """Where the compiled function is: void (const double* r, ssize_t n, double* value, double* slope)."""
        return self._compile().address

    def terms(self, r: Array) -> tuple[Array, Array]:
        """The losses and their derivatives of residuals, as the compiled function gives them."""
        r = np.ascontiguousarray(r, np.float64)
        value, slope = np.empty(r.shape), np.empty(r.shape)
        if r.size:
            r_at, value_at, slope_at = (a.ctypes.data_as(_double_pointer()) for a in (r, value, slope))
            self._compile().ctypes(r_at, r.size, value_at, slope_at)
        return value, slope

    def _compile(self) -> Any:
        if not self._compiled:
            from fastdl_ext import brought

            try:
                self._compiled.append(brought.pointwise(self.function, self.derivative))
            except brought.NotCompiled as error:
                raise _check.InputError(str(error)) from None
        return self._compiled[0]

    def check(self, residuals: Any = None, *, rtol: float = 1e-4) -> float:
        """Compare the derivative with differences of the function.

        Parameters
        ----------
        residuals : array_like, optional
            Where; by default 200 values from -10 to 10, none of them 0.
        rtol : float
            The largest deviation allowed, relative to the largest slope.

        Returns
        -------
        float
            The largest deviation found.

        Raises
        ------
        InputError
            Where it is larger than `rtol`, naming the residual.
        """
        r = np.linspace(-10, 10, 200) if residuals is None else _check.array("residuals", residuals, ndim=1).astype(float)
        step = 1e-4 * np.maximum(1, np.abs(r))
        # Fourth order, as the kinks of a loss are few and its steep parts many.
        f = [self.terms(r + k * step)[0] for k in (-2, -1, 1, 2)]
        slope = (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * step)
        given = self.terms(r)[1]
        scale = np.abs(slope).max(initial=1e-300)
        off = np.abs(given - slope) / scale
        k = int(off.argmax())
        if not off[k] <= rtol:
            raise _check.InputError(
                f"derivative must be that of function: at r = {r[k]:g} it is {given[k]:g}, differences give {slope[k]:g}"
            )
        return float(off[k])


def custom_loss(function: Callable[[float], float], derivative: Callable[[float], float] | None = None) -> CustomLoss:
    """A loss of your own, compiled into the loop of the built-in ones.

    Parameters
    ----------
    function : callable
        The loss of one residual, r = y - prediction: float to float, of what Numba compiles (arithmetic, `math`, NumPy's
        functions of numbers, if and for).
    derivative : callable, optional
        Its derivative by r. By default a central difference of the function, good to some eight digits.

    Returns
    -------
    CustomLoss
        With ``loss(X, y, W, b, ...)``, ``loss_grad(X, y, W, b, ...)`` and ``check()``, which compares the derivative with
        differences of the function. It also stands for p in `LpLoss`.

    Raises
    ------
    InputTypeError
        For what is not callable.
    InputError
        At its first use, where Numba cannot compile it, saying what it could not.

    Notes
    -----
    Compiled at its first use, once per process, and kept on disk where Numba finds a folder to write to (NUMBA_CACHE_DIR).

    Examples
    --------
    >>> import fastdl
    >>> huber = fastdl.custom_loss(lambda r: r * r / 2 if abs(r) < 1 else abs(r) - 0.5, lambda r: min(max(r, -1.0), 1.0))
    >>> huber.loss_grad([[0.0], [1.0], [2.0]], [1.0, 2.0, 5.0], [1.0], 1.0)
    (1.5, array([-2.]), -1.0)
    """
    for name, given in (("function", function), ("derivative", derivative)):
        if not (callable(given) or (given is None and name == "derivative")):
            raise _check.InputTypeError(f"{name} must be a function of one residual, got {type(given).__name__}")
    return CustomLoss(function, derivative)


def _double_pointer() -> Any:
    import ctypes

    return ctypes.POINTER(ctypes.c_double)


def _ints(name: str, value: Any, n: int) -> Array:
    x = _check.asarray(name, value)
    if x.size:
        _check.dtype(name, x.dtype, ("i", "u"))
        if x.min() < -(2**31) or x.max() >= 2**31:
            raise _check.InputError(f"{name} must fit in 32 bits, got {x.min()} to {x.max()}")
    if x.shape != (n,):
        raise _check.InputError(f"{name} must have shape ({n},), got {x.shape}")
    return np.ascontiguousarray(x, np.int32)
