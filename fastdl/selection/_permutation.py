"""What `split` and `k_fold` return: the part of any row, without index arrays where none are needed."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from fastdl import _check, _kernels, _threads
from fastdl.reference import selection as reference

Array = np.ndarray
kernel = _kernels.load("selection")

_BLOCK = 1 << 18  # rows whose parts are found in one go
_MANY = 64  # parts from which on a binary search is faster than a comparison with every bound
_BYTE = 256


class Split:
    """The part of each of n rows: what `split` returns.

    Attributes
    ----------
    n : int
        Rows.
    sizes : ndarray of int64
        Rows of each part.
    seed : int
        What the permutation is keyed by.

    Examples
    --------
    >>> import fastdl
    >>> parts = fastdl.split(10, seed=0)
    >>> parts.sizes
    array([7, 2, 1])
    >>> len(parts.train), len(parts.valid), len(parts.test)
    (7, 2, 1)
    >>> bool((parts.parts(4, 8) == parts.part([4, 5, 6, 7])).all())
    True
    """

    _stream = 0

    def __init__(self, n: int, sizes: Array, seed: int, codes: Array | None = None):
        self.n, self.seed = n, seed
        self.sizes = np.asarray(sizes, np.int64)
        self._bounds = np.cumsum(self.sizes)[:-1]
        self._keys = reference.keys(seed, self._stream)
        self._codes = codes  # of every row, where labels or groups decide

    def __len__(self) -> int:
        return len(self.sizes)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(n={self.n}, sizes={self.sizes.tolist()}, seed={self.seed})"

    def part(self, i: Any) -> Any:
        """The part of row i: an int, or an array for an array of row numbers.

        Raises
        ------
        InputError
            For a number outside 0..n-1.
        """
        rows = _check.array("i", i, ("i", "u")) if np.size(i) else np.empty(np.shape(i), np.int64)
        if rows.size and not (rows.min() >= 0 and rows.max() < self.n):
            raise _check.InputError(f"i must be between 0 and {self.n - 1}, got {rows.min()} to {rows.max()}")
        if self._codes is not None:
            codes = self._codes[rows]
        else:
            codes = self._part_of(ranks(rows.astype(np.int64).reshape(-1), self.n, self._keys)).reshape(rows.shape)
        return codes if rows.ndim else int(codes)

    def parts(
        self, start: int = 0, stop: int | None = None, *, out: Array | None = None, threads: int | None = 1
    ) -> Array:
        """The parts of rows start to stop (n by default), uint8, or int32 where there are more than 256 parts."""
        return self._range(start, stop, np.uint8 if len(self.sizes) <= _BYTE else np.int32, out, threads)

    def rows(self, part: int) -> Array:
        """The numbers of the rows of a part, int64, ascending."""
        part = _check.integer("part", part, 0, len(self.sizes) - 1)
        return np.flatnonzero(self.parts() == part)

    @property
    def train(self) -> Array:
        """The rows of the first part."""
        return self.rows(0)

    @property
    def valid(self) -> Array:
        """The rows of the second part, of three."""
        if len(self.sizes) != 3:
            raise _check.InputError(f"there is no validation part: the number of parts is {len(self.sizes)}, not 3")
        return self.rows(1)

    @property
    def test(self) -> Array:
        """The rows of the last part."""
        return self.rows(len(self.sizes) - 1)

    def _part_of(self, places: Array) -> Array:
        dtype = np.uint8 if len(self.sizes) <= _BYTE else np.int32
        return np.searchsorted(self._bounds, places, side="right").astype(dtype)

    def _range(self, start: Any, stop: Any, dtype: Any, out: Array | None, threads: int | None) -> Array:
        start = _check.integer("start", start, 0, self.n)
        stop = self.n if stop is None else _check.integer("stop", stop, start, self.n)
        codes = _check.out("out", out, (stop - start,), dtype)
        if self._codes is not None:
            codes[:] = self._codes[start:stop]
            return codes

        def run(s: slice) -> None:
            if kernel is None or len(self.sizes) > _MANY:
                places = ranks(range(start + s.start, start + s.stop), self.n, self._keys)
                codes[s] = self._part_of(places)
            else:
                size = reference.grid(self.n)
                kernel.part_codes(start + s.start, self.n, *size, self._keys, self._bounds, codes[s])

        _threads.split(stop - start, threads, run, _BLOCK)
        return codes


class KFold(Split):
    """The fold of each of n rows: what `k_fold` returns.

    It serves as scikit-learn's ``cv=``, and its numbers as the `folds` of `lp_loss` and `select_degree`.

    Examples
    --------
    >>> import fastdl
    >>> folds = fastdl.k_fold(7, 3, seed=0)
    >>> [(len(train), len(test)) for train, test in folds]
    [(4, 3), (5, 2), (5, 2)]
    """

    _stream = 1

    def fold(self, i: Any) -> Any:
        """The fold of row i: an int, or an array for an array of row numbers."""
        return self.part(i)

    def folds(
        self, start: int = 0, stop: int | None = None, *, out: Array | None = None, threads: int | None = 1
    ) -> Array:
        """The folds of rows start to stop (n by default), int32."""
        return self._range(start, stop, np.int32, out, threads)

    def __iter__(self) -> Iterator[tuple[Array, Array]]:
        codes = self.parts()
        for k in range(len(self.sizes)):
            held = codes == k
            yield np.flatnonzero(~held), np.flatnonzero(held)

    def split(self, X: Any = None, y: Any = None, groups: Any = None) -> Iterator[tuple[Array, Array]]:
        """(train, test) row numbers of each fold, as scikit-learn calls for them; X must have n rows."""
        if X is not None and (X.shape[0] if hasattr(X, "shape") else len(X)) != self.n:
            raise _check.InputError(f"X must have the {self.n} rows of the folds, got {X.shape[0]}")
        return iter(self)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """The number of folds."""
        return len(self.sizes)


def ranks(rows: Any, n: int, keys: Array) -> Array:
    """The places of rows, an int64 array or a range, in the keyed permutation of n."""
    if kernel is None or not len(rows):
        return reference.ranks(np.asarray(rows, np.int64), n, keys)
    out = np.empty(len(rows), np.int64)
    start, numbers = (rows.start, None) if isinstance(rows, range) else (0, rows)
    kernel.ranks(start, numbers, n, *reference.grid(n), keys, out)
    return out


def whole(ratios: list[float]) -> list[int]:
    """Ratios, as the decimals they are written as, in whole numbers: what is a tie on paper is one here."""
    exact = [Fraction(repr(r)) for r in ratios]
    unit = math.lcm(*(r.denominator for r in exact))
    return [int(r * unit) for r in exact]


def numbered(name: str, labels: Any, n: int) -> Array:
    """Labels or groups as 0..m-1, in sorted order."""
    labels = _check.asarray(name, labels)
    if labels.shape != (n,):
        raise _check.InputError(f"{name} must have shape ({n},), got {labels.shape}")
    if labels.dtype.kind == "f":
        _check.finite(name, labels)
    return np.unique(labels, return_inverse=True)[1]


def stratified(labels: Array, ratios: Any, keys: Array) -> Array:
    """Every class split by itself, its rows in the order of the permutation."""
    order = _by_class(labels, keys)
    codes = np.empty(len(labels), np.uint8 if len(ratios) <= _BYTE else np.int32)
    sizes = [reference.part_sizes(m, ratios) for m in np.bincount(labels)]
    codes[order] = np.repeat(np.tile(np.arange(len(ratios)), len(sizes)), np.concatenate(sizes)) if sizes else 0
    return codes


def stratified_folds(labels: Array, k: int, keys: Array) -> Array:
    """Rows dealt out one by one, class after class: folds, and the classes in them, differ by a row at most."""
    codes = np.empty(len(labels), np.int32)
    codes[_by_class(labels, keys)] = np.arange(len(labels)) % k
    return codes


def _by_class(labels: Array, keys: Array) -> Array:
    return np.lexsort((ranks(range(len(labels)), len(labels), keys), labels))


def grouped(groups: Array, ratios: Any, keys: Array) -> Array:
    """Groups in the order of the permutation, each to the part in which the middle of its rows falls."""
    count = np.bincount(groups)
    order = np.argsort(ranks(range(len(count)), len(count), keys))
    middle = np.cumsum(count[order]) - count[order] / 2
    bounds = np.cumsum(reference.part_sizes(len(groups), ratios))[:-1]
    part = np.empty(len(count), np.uint8 if len(ratios) <= _BYTE else np.int32)
    part[order] = np.searchsorted(bounds, middle, side="right")
    return part[groups]


def grouped_folds(groups: Array, k: int, keys: Array) -> Array:
    """The largest group first, each to the fold that has the fewest rows; equals in the order of the permutation."""
    count = np.bincount(groups)
    part = np.empty(len(count), np.int32)
    have = [(0, fold) for fold in range(k)]
    for g in np.lexsort((ranks(range(len(count)), len(count), keys), -count)):
        rows, fold = have[0]
        part[g] = fold
        heapq.heapreplace(have, (rows + int(count[g]), fold))
    return part[groups]
