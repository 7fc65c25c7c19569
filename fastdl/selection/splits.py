"""Splits into training, validation and test rows, and into folds; random ones without an index array."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, overload

import numpy as np

from fastdl import _check, _threads
from fastdl._typing import Array, ArrayLike, DTypeLike
from fastdl.reference import selection as reference
from fastdl.selection import _permutation

_MOST = 1 << 62  # rows: arithmetic on their numbers stays within 64 bits
_BLOCK = 1 << 18  # rows whose parts a thread computes at once


class Split:
    """The part of each of n rows: what `split` returns.

    Attributes
    ----------
    n : int
        Rows.
    sizes : ndarray of int64
        Rows of each part.
    seed : int
        The key of the permutation.

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
        self._codes = codes  # the part of every row, where classes, groups or an order decide

    def __len__(self) -> int:
        return len(self.sizes)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(n={self.n}, sizes={self.sizes.tolist()}, seed={self.seed})"

    @overload
    def part(self, i: int | np.integer) -> int: ...
    @overload
    def part(self, i: Sequence[int] | Array) -> Array: ...
    def part(self, i: ArrayLike) -> int | Array:
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
            codes = self._part_of(_permutation.ranks(rows.astype(np.int64).reshape(-1), self.n, self._keys)).reshape(
                rows.shape
            )
        return codes if rows.ndim else int(codes)

    def parts(
        self, start: int = 0, stop: int | None = None, *, out: Array | None = None, threads: int | None = 1
    ) -> Array:
        """The parts of rows start to stop (n by default), uint8, or int32 where there are more than 256 parts."""
        return self._range(start, stop, np.uint8 if len(self.sizes) <= _permutation.BYTE else np.int32, out, threads)

    def rows(self, part: int) -> Array:
        """The numbers of the rows of a part, int64, ascending."""
        part = _check.integer("part", part, 0, len(self.sizes) - 1)
        if self._codes is None and self.n <= _BLOCK:
            self._codes = self.parts()  # of few rows they are kept: who asks for one part asks for the others next
        return np.flatnonzero((self.parts() if self._codes is None else self._codes) == part)

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
        dtype = np.uint8 if len(self.sizes) <= _permutation.BYTE else np.int32
        return np.searchsorted(self._bounds, places, side="right").astype(dtype)

    def _range(self, start: int, stop: int | None, dtype: DTypeLike, out: Array | None, threads: int | None) -> Array:
        start = _check.integer("start", start, 0, self.n)
        stop = self.n if stop is None else _check.integer("stop", stop, start, self.n)
        codes = _check.out("out", out, (stop - start,), dtype)
        if self._codes is not None:
            codes[:] = self._codes[start:stop]
            return codes

        def run(s: slice) -> None:
            _permutation.part_codes(start + s.start, self.n, self._keys, self._bounds, codes[s])

        _threads.split(stop - start, threads, run, _BLOCK)
        return codes


class KFold(Split):
    """The fold of each of n rows: what `k_fold` returns.

    It can be given to scikit-learn as ``cv=``, and its fold numbers to `lp_loss` and `select_degree` as `folds`.

    Examples
    --------
    >>> import fastdl
    >>> folds = fastdl.k_fold(7, 3, seed=0)
    >>> [(len(train), len(test)) for train, test in folds]
    [(4, 3), (5, 2), (5, 2)]
    """

    _stream = 1

    @overload
    def fold(self, i: int | np.integer) -> int: ...
    @overload
    def fold(self, i: Sequence[int] | Array) -> Array: ...
    def fold(self, i: int | np.integer | Sequence[int] | Array) -> int | Array:
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

    def split(self, X: Any = None, y: object = None, groups: object = None) -> Iterator[tuple[Array, Array]]:
        """(train, test) row numbers of each fold, with the signature of scikit-learn; X must have n rows."""
        if X is not None and (X.shape[0] if hasattr(X, "shape") else len(X)) != self.n:
            raise _check.InputError(f"X must have the {self.n} rows of the folds, got {X.shape[0]}")
        return iter(self)

    def get_n_splits(self, X: object = None, y: object = None, groups: object = None) -> int:
        """The number of folds."""
        return len(self.sizes)


def split(
    n: int,
    ratios: Iterable[float] = (0.7, 0.2, 0.1),
    *,
    seed: int | None = None,
    stratify: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    order: ArrayLike | None = None,
) -> Split:
    """Split rows 0..n-1 into random parts of exact sizes, without an index array.

    The part of a row is computed from its number by a keyed permutation; the seed is the key. So a stream can be split
    chunk by chunk, in any order and by many processes, and a row is always in the same part.

    Parameters
    ----------
    n : int
        The number of rows, at most 2^62.
    ratios : sequence of float
        The sizes of the parts, in proportion: (0.7, 0.2, 0.1) for training, validation and test, or (4, 1).
    seed : int
        At least 0. Only a split by `order` needs none.
    stratify : array_like, (n,), optional
        Labels (numbers, text, categories, dates): the parts keep their sizes, and in each every class has its share,
        to within one row.
    groups : array_like, (n,), optional
        Rows of one group get the same part; sizes are then as near as whole groups allow, and with `stratify` too the
        class counts.
    order : array_like, (n,), or "rows", optional
        Times, or other sort keys: the first part then has the earliest rows, the last part the latest; rows of equal
        time keep their order. "rows" means the order they are in.

    Returns
    -------
    Split
        ``.part(i)``, ``.parts(start, stop)``, ``.rows(part)``, ``.train``, ``.valid``, ``.test``, ``.sizes``.

    Raises
    ------
    InputError
        For n < 0, ratios that are negative or all 0, labels of another length or with a missing one, no seed.

    Notes
    -----
    Sizes are found by the method of largest remainders: rounded down, and the rows left over given to the parts that
    lost most, the first among equals; 0.7 means exactly seven tenths, not the nearest float. A row takes some
    nanoseconds, and no memory; with labels or groups one byte.

    References
    ----------
    Black and Rogaway, "Ciphers with arbitrary finite domains", 2002: the generalised Feistel cipher and cycle walking.

    Examples
    --------
    >>> import fastdl
    >>> parts = fastdl.split(1000, seed=1)
    >>> parts.sizes
    array([700, 200, 100])
    >>> len(parts.train), parts.parts(0, 5).dtype
    (700, dtype('uint8'))
    >>> fastdl.split(10**15, seed=1).part(123456789) in (0, 1, 2)
    True
    """
    n = _check.integer("n", n, 0, _MOST)
    given = [_check.number(f"ratios[{i}]", r, 0) for i, r in enumerate(_permutation.items("ratios", ratios))]
    if not sum(given) > 0:
        raise _check.InputError(f"ratios must have a sum above 0, got {given}")
    whole = _permutation.whole_ratios(tuple(given))
    sizes, codes = reference.part_sizes(n, whole), None
    if order is not None:
        if stratify is not None or groups is not None:
            raise _check.InputError("order goes with neither stratify nor groups")
        codes = _permutation.ordered(_permutation.sort_order(order, n), sizes)
        return Split(n, sizes, 0, codes)
    if seed is None:
        raise _check.InputTypeError("seed must be an integer, got None; only a split by order needs none")
    seed = _check.integer("seed", seed, 0)
    if stratify is None and groups is None:
        return Split(n, sizes, seed)
    keys = reference.keys(seed, Split._stream)
    labels = None if stratify is None else _permutation.class_numbers("stratify", stratify, n)
    if groups is not None:
        numbers = _permutation.class_numbers("groups", groups, n)
        if labels is None:
            codes = _permutation.grouped(numbers, sizes, keys)
        else:
            codes = _permutation.stratified_groups(labels, numbers, sizes, keys)
        sizes = np.bincount(codes, minlength=len(sizes))
    elif labels is not None:
        codes = _permutation.stratified(labels, sizes, whole, keys)
    return Split(n, sizes, seed, codes)


def k_fold(n: int, k: int, *, seed: int, stratify: ArrayLike | None = None, groups: ArrayLike | None = None) -> KFold:
    """Rows 0..n-1 in k random folds whose sizes differ by one at most, without an index array.

    Parameters
    ----------
    n : int
        The number of rows, at most 2^62.
    k : int
        The number of folds, 2 to n.
    seed : int
        At least 0.
    stratify : array_like, (n,), optional
        Labels: the rows of every class are then spread evenly over the folds.
    groups : array_like, (n,), optional
        Rows of one group get the same fold: groups are assigned from the largest on, each to the fold with the fewest
        rows or, with `stratify`, to the fold whose class counts it makes most even.

    Returns
    -------
    KFold
        ``.fold(i)``, ``.folds(start, stop)`` for `lp_loss`; iteration gives (train, test) row numbers, and it serves
        as scikit-learn's ``cv=``.

    Raises
    ------
    InputError
        For k outside 2..n (or above the number of groups), labels of another length or with a missing one.

    Examples
    --------
    >>> import fastdl
    >>> folds = fastdl.k_fold(10, 3, seed=0)
    >>> folds.sizes
    array([4, 3, 3])
    >>> folds.folds(0, 4).dtype, folds.get_n_splits()
    (dtype('int32'), 3)
    """
    n, seed = _check.integer("n", n, 0, _MOST), _check.integer("seed", seed, 0)
    k = _check.integer("k", k, 2)
    if k > n:
        raise _check.InputError(f"k must be at most the number of rows, {n}, got {k}")
    if groups is None:
        if stratify is None:
            return KFold(n, _permutation.even_sizes(n, k), seed)
        labels = _permutation.class_numbers("stratify", stratify, n)
        codes = _permutation.stratified_folds(labels, k, reference.keys(seed, KFold._stream))
    else:
        codes = _fold_groups(n, k, seed, stratify, groups)
    return KFold(n, np.bincount(codes, minlength=k), seed, codes)


def _fold_groups(n: int, k: int, seed: int, stratify: ArrayLike | None, groups: ArrayLike) -> Array:
    """The fold of each row, int32, where the rows of a group stay together."""
    numbers, keys = _permutation.class_numbers("groups", groups, n), reference.keys(seed, KFold._stream)
    if k > numbers.max() + 1:
        raise _check.InputError(f"k must be at most the number of groups, {numbers.max() + 1}, got {k}")
    if stratify is None:
        return _permutation.grouped_folds(numbers, k, keys)
    labels = _permutation.class_numbers("stratify", stratify, n)
    parts = _permutation.stratified_groups(labels, numbers, _permutation.even_sizes(n, k), keys)
    return parts.astype(np.int32, copy=False)
