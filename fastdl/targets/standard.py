"""Standardised targets: numbers with mean 0 and variance 1, and predictions turned back into their own units."""

from __future__ import annotations

import numpy as np

from fastdl import _check
from fastdl._state_bytes import StateBytes
from fastdl._threads import ONE, split_rows, valid
from fastdl._typing import Array, ArrayLike, FloatOrArray
from fastdl.targets._column_moments import ColumnMoments, Standardizer

_BLOCK = 1 << 18  # values of a block that a thread standardises


class StandardTarget(StateBytes):
    """Standardise numbers to mean 0 and variance 1, and turn predictions back.

    Parameters
    ----------
    nan : "error" or "skip"
        What to do with NaN in `fit` and `update`: "skip" leaves them out, in each column. They pass through `encode`
        and `decode` as NaN either way. Infinite values are errors.

    Attributes
    ----------
    mean_, var_, scale_ : float, or ndarray (D,)
        The mean, the variance (divided by the sum of weights) and its root, or 1 where all values are equal.
    weight_ : float, or ndarray (D,)
        The sum of the weights; without weights the number of values.

    Raises
    ------
    InputError
        For no values, NaN and infinities (naming their index), negative weights, and values whose deviations are too
        large to be squared, above 1e154; deviations below 1e-154 count as 0.

    Notes
    -----
    Sums are in float64, of deviations from the mean of a few thousand rows at a time, merged pairwise; the mean is kept
    as a sum of two floats. So a large offset costs no accuracy: encoded values of y + 1e9 have mean 0 and variance 1 to
    1e-12. Rows are buffered until they fill a block, whose size depends on the number of columns alone: a stream in
    chunks gives the bits of one array, for any threads. Merging states made by `fresh` gives the same bits where each
    but the last took a multiple of `block(D)` rows of weight above 0; otherwise it agrees up to rounding.
    float32 stays float32 (and float16 becomes it); other numbers become float64.

    References
    ----------
    Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979.

    Examples
    --------
    >>> import fastdl
    >>> price = fastdl.StandardTarget().fit([10.0, 20.0, 30.0, 40.0])
    >>> price.encode([25.0, 40.0]).round(3)
    array([0.   , 1.342])
    >>> price.decode([0.0, 1.0]).round(3)
    array([25.  , 36.18])
    """

    mean_: FloatOrArray
    var_: FloatOrArray
    scale_: FloatOrArray
    weight_: FloatOrArray

    def __init__(self, *, nan: str = "error"):
        self._table: Standardizer | None = None
        self.nan = _check.one_of("nan", nan, ("error", "skip"))
        self._moments = ColumnMoments(nan == "skip", leads=True)

    def block(self, columns: int = 1) -> int:
        """The number of rows in a block."""
        return ColumnMoments.block(columns)

    def fresh(self) -> StandardTarget:
        """An empty state with the same settings."""
        state = StandardTarget(nan=self.nan)
        state._moments = ColumnMoments(self.nan == "skip", leads=False)
        return state

    def update(
        self, chunk: ArrayLike | tuple[ArrayLike, ArrayLike | None], *, threads: int | None = 1
    ) -> StandardTarget:
        """Take in y, (N,) or (N, D), or a tuple (y, sample_weight); returns itself."""
        if isinstance(chunk, tuple) and len(chunk) != 2:
            raise _check.InputError(f"chunk must be y or (y, sample_weight), got a tuple of {len(chunk)}")
        y, weight = chunk if isinstance(chunk, tuple) else (chunk, None)
        self._moments.add(y, weight, threads)
        return self

    def merge(self, other: StandardTarget) -> StandardTarget:
        """Take in a state that saw the rows after this one's; returns itself."""
        self._moments.merge(other._moments)
        return self

    def finish(self) -> StandardTarget:
        """Compute mean and scale from the rows so far; returns itself."""
        self._table, (weight, mean, variance, scale) = self._moments.result()
        single = self._moments.single
        self.weight_, self.mean_, self.var_, self.scale_ = (
            float(a[0]) if single else a for a in (weight, mean, variance, scale)
        )
        return self

    def fit(self, y: ArrayLike, *, sample_weight: ArrayLike | None = None, threads: int | None = 1) -> StandardTarget:
        """Learn mean and scale from `y`, (N,) or (N, D), alone; returns itself.

        A row of weight 0 counts as dropped, one of weight 2 as repeated.
        """
        self._moments = ColumnMoments(self.nan == "skip", leads=True)
        if sample_weight is None and threads is ONE:
            at_once = self._moments.fit_block(y)
            if at_once is not None:
                self._table, (self.weight_, self.mean_, self.var_, self.scale_) = at_once
                return self
        return self.update((y, sample_weight), threads=threads).finish()

    def encode(self, y: ArrayLike, *, out: Array | None = None, threads: int | None = 1) -> Array:
        """``(y - mean) / scale``.

        Parameters
        ----------
        y : array_like
            Any shape after a fit of (N,); (..., D) after one of (N, D).
        out : ndarray, optional
            Where to write: of y's shape; float32 for float32 y, else float64.
        threads : int or None
            Threads to use; None means all this process may.

        Returns
        -------
        ndarray of float32 or float64, of y's shape
        """
        return self._apply("y", y, False, out, threads)

    def decode(self, z: ArrayLike, *, out: Array | None = None, threads: int | None = 1) -> Array:
        """``z * scale + mean``: the inverse of `encode`, to rounding. Parameters as there."""
        return self._apply("z", z, True, out, threads)

    def _apply(self, name: str, y: ArrayLike, back: bool, out: Array | None, threads: int | None) -> Array:
        if self._table is None:
            raise _check.InputError("the StandardTarget is not fitted: call fit(y) or finish() first")
        table = self._table
        one = self._moments.single or (table.columns == 1 and getattr(y, "shape", ())[-1:] == (1,))
        if one and out is None and (threads is ONE or valid(threads)):
            few = table.apply_few(y, back)
            if few is not None:
                return few
        values = _check.array(name, y, ("f", "i", "u", "b"))
        if not self._moments.single and values.shape[-1:] != (table.columns,):
            raise _check.InputError(f"{name} must have {table.columns} columns, got shape {values.shape}")
        values = values.astype(
            np.float32 if values.dtype.kind == "f" and values.itemsize <= 4 else np.float64, copy=False
        )
        result = _check.out("out", out, values.shape, values.dtype, y)
        arrays = values.ravel(), result.ravel()
        block = max(1, _BLOCK // table.columns) * table.columns
        split_rows(lambda some, to: table.apply(some, back, to), arrays, threads, block)
        return result
