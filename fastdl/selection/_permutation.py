"""The part of each row in a split: by a keyed permutation, or stratified by classes and kept together by groups."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Sized
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np

from fastdl import _check, _kernels
from fastdl._typing import Array, ArrayLike
from fastdl.reference import _selection_kernels
from fastdl.reference import selection as reference

kernel = _kernels.load("selection") or _selection_kernels

BYTE = 256  # parts that one byte can number
_MANY = 64  # parts from which on a binary search is faster than a comparison with every bound
_MOVES = 10_000  # of groups between parts, at most; each is an improvement, and some ten are made


def ranks(rows: Array | range, n: int, keys: Array) -> Array:
    """The ranks of rows, an int64 array or a range, in the keyed permutation of n."""
    out = np.empty(len(rows), np.int64)
    start, numbers = (rows.start, None) if isinstance(rows, range) else (0, rows)
    if len(rows):
        kernel.ranks(start, numbers, n, *reference.grid(n), keys, out)
    return out


def part_codes(start: int, n: int, keys: Array, bounds: Array, codes: Array) -> None:
    """The parts of rows from `start` on, as many as `codes` has places."""
    if len(bounds) >= _MANY:
        places = ranks(range(start, start + len(codes)), n, keys)
        codes[:] = np.searchsorted(bounds, places, side="right")
    else:
        kernel.part_codes(start, n, *reference.grid(n), keys, bounds, codes)


def items(name: str, value: Iterable[Any]) -> list[Any]:
    """A sequence that is not empty, as a list."""
    try:
        found = list(value)
    except TypeError:
        raise _check.InputTypeError(f"{name} must be a sequence, got {value!r}") from None
    if not found:
        raise _check.InputError(f"{name} must not be empty")
    return found


def even_sizes(n: int, k: int) -> Array:
    """n in k parts that differ by one at most, the larger ones first."""
    return n // k + (np.arange(k) < n % k)


@lru_cache(16)  # fractions take most of the time of a split of a thousand rows
def whole_ratios(ratios: tuple[float, ...]) -> tuple[int, ...]:
    """Ratios as whole numbers, from the decimals they are written as, so that ties on paper are ties here."""
    exact = [Fraction(repr(r)) for r in ratios]
    unit = math.lcm(*(r.denominator for r in exact))
    return tuple(int(r * unit) for r in exact)


def class_numbers(name: str, labels: ArrayLike, n: int) -> Array:
    """Labels or groups (numbers, bool, text, categories, dates) as 0..m-1, in sorted order."""
    values = _sortable(name, labels)
    if values.shape != (n,):
        raise _check.InputError(f"{name} must have shape ({n},), got {values.shape}")
    if values.dtype.kind == "O":
        found = sorted(set(values.tolist()))
        place = {label: k for k, label in enumerate(found)}
        return np.array([place[label] for label in values.tolist()], np.intp)
    return np.unique(values, return_inverse=True)[1]


def sort_order(order: ArrayLike, n: int) -> Array:
    """The row numbers that sort `order`; equal values keep their order."""
    if isinstance(order, str):
        _check.one_of("order", order, ("rows",))
        return np.arange(n)
    values = _sortable("order", order)
    if values.shape != (n,):
        raise _check.InputError(f"order must have shape ({n},), got {values.shape}")
    return np.argsort(values, kind="stable")


def _sortable(name: str, labels: ArrayLike) -> Array:
    """Labels as an array that can be sorted: numbers, dates, or an object array of texts; missing ones are errors."""
    texts = _check.texts(name, labels)
    if texts is not None:
        if len(set(map(type, texts))) > 1:
            raise _check.InputTypeError(f"{name} must be all str or all bytes, got both")
        values = np.empty(len(texts), object)
        values[:] = texts
        return values
    if hasattr(labels, "categories") or hasattr(getattr(labels, "dtype", None), "categories"):
        labels = np.asarray(labels)  # pandas categories that are not text
    try:
        values = np.asarray(labels)
        if values.dtype.kind not in "mM":
            values = _check.asarray(name, labels)
    except TypeError as error:
        raise _check.InputTypeError(str(error)) from None
    missing = np.isnat(values) if values.dtype.kind in "mM" else None
    if missing is not None and missing.any():
        raise _check.InputError(f"{name} must not be missing, got NaT at index {int(missing.argmax())}")
    if values.dtype.kind == "f":
        _check.finite(name, values)
    return values


def ordered(order: Array, sizes: Array) -> Array:
    """The part of each row: the first sizes[0] rows of `order` are part 0, and so on."""
    codes = np.empty(len(order), _dtype(sizes))
    codes[order] = np.repeat(np.arange(len(sizes)), sizes)
    return codes


def stratified(labels: Array, sizes: Array, ratios: tuple[int, ...], keys: Array) -> Array:
    """Parts of the given sizes, in each of which every class has its share, rounded down or up.

    Shares are rounded down first. The rest of each class goes to the parts that lack most rows; among equals, to that
    where rounding took most from the class. This is Gale and Ryser's construction of a 0/1 matrix with given row and
    column sums.
    """
    counts = np.bincount(labels)
    total = sum(ratios)
    shares = [[int(m) * r for r in ratios] for m in counts]  # Python integers: products may exceed 64 bits
    dealt = np.array([[share // total for share in row] for row in shares], np.int64).reshape(len(counts), len(ratios))
    lack = np.asarray(sizes) - dealt.sum(axis=0)
    for c in np.flatnonzero(counts - dealt.sum(axis=1)):
        for _ in range(int(counts[c] - dealt[c].sum())):
            taken = [dealt[c, j] > shares[c][j] // total for j in range(len(ratios))]
            to = min(range(len(ratios)), key=lambda j: (taken[j], -lack[j], -(shares[c][j] % total), j))
            dealt[c, to] += 1
            lack[to] -= 1
    while lack.any():  # rounding up alone could not fill every part: move rows from the fullest to the emptiest
        high, low = int(lack.argmin()), int(lack.argmax())
        over = np.array([dealt[c, high] * total - shares[c][high] for c in range(len(counts))], float)
        row = int(np.where(dealt[:, high] > 0, over, -np.inf).argmax())
        dealt[row, high], dealt[row, low] = dealt[row, high] - 1, dealt[row, low] + 1
        lack[high], lack[low] = lack[high] + 1, lack[low] - 1
    codes = np.empty(len(labels), _dtype(sizes))
    if len(labels):
        codes[_by_class(labels, keys)] = np.repeat(np.tile(np.arange(len(ratios)), len(counts)), dealt.reshape(-1))
    return codes


def stratified_folds(labels: Array, k: int, keys: Array) -> Array:
    """Deal rows to the folds in turn, class after class: sizes, of classes too, differ by at most 1."""
    codes = np.empty(len(labels), np.int32)
    codes[_by_class(labels, keys)] = np.arange(len(labels)) % k
    return codes


def _by_class(labels: Array, keys: Array) -> Array:
    return np.lexsort((ranks(range(len(labels)), len(labels), keys), labels))


def grouped(groups: Array, sizes: Array, keys: Array) -> Array:
    """Whole groups in parts whose sizes are near the given ones.

    At first each group, in the order of the permutation, goes to the part where the middle of its rows would be. Then
    groups are moved or swapped between too full and too empty parts as long as that lowers sum (rows - size)^2 / size.
    """
    count = np.bincount(groups)
    order = np.argsort(ranks(range(len(count)), len(count), keys))
    middle = np.cumsum(count[order]) - count[order] / 2
    part = np.empty(len(count), _dtype(sizes))
    part[order] = np.searchsorted(np.cumsum(sizes)[:-1], middle, side="right")
    size = np.maximum(np.asarray(sizes, float), 1e-9)
    for _ in range(_MOVES):
        excess = (np.bincount(part, count, len(size)) - sizes) / size
        if not _move(part, count, excess, 1 / size):
            break
    return part[groups]


def _move(part: Array, count: Array, excess: Array, inverse: Array) -> bool:
    """Move a group, or swap two, between the most uneven pair of parts for which that helps; whether there was one."""
    pairs = np.argwhere(excess[:, None] > excess)
    for j, i in sorted(pairs.tolist(), key=lambda p: excess[p[1]] - excess[p[0]])[:32]:
        best = (excess[j] - excess[i]) / (inverse[j] + inverse[i])  # rows to move; less than twice as many still help
        here, there = np.flatnonzero(part == j), np.flatnonzero(part == i)
        if not len(here):
            continue
        change = count[here].astype(float)
        off = np.abs(change - best)
        k, other = int(off.argmin()), -1
        least = float(off[k])
        if len(there) and least > 0.5:
            sorting = np.argsort(count[there], kind="stable")
            sizes = count[there][sorting]
            at = np.searchsorted(sizes, change - best)
            for near in (np.maximum(at - 1, 0), np.minimum(at, len(sizes) - 1)):
                off = np.abs(change - sizes[near] - best)
                if off.min() < least:
                    k = int(off.argmin())
                    other, least = int(sorting[near[k]]), float(off[k])
        if least < best * (1 - 1e-12):
            part[here[k]] = i
            if other >= 0:
                part[there[other]] = j
            return True
    return False


def stratified_groups(labels: Array, groups: Array, sizes: Array, keys: Array) -> Array:
    """Assign whole groups, large ones first, each to the part whose class counts it brings nearest to their share.

    Groups of similar size (the same power of two) are taken in the order of the permutation.
    """
    classes, number, parts = int(labels.max()) + 1 if len(labels) else 0, int(groups.max(initial=-1)) + 1, len(sizes)
    held = np.bincount(groups * classes + labels, minlength=number * classes).reshape(number, classes)
    share = np.asarray(sizes, float) / max(1, len(labels))
    want = np.outer(share, held.sum(axis=0))
    scale = 1 / np.maximum(want, 1e-9)
    have = np.zeros((parts, classes))
    part = np.empty(number, _dtype(sizes))
    size = held.sum(axis=1)
    for g in np.lexsort((ranks(range(number), number, keys), -np.frexp(size.astype(float))[1])):
        after, now = have + held[g] - want, have - want
        to = int((scale * (after * after - now * now)).sum(axis=1).argmin())
        part[g] = to
        have[to] += held[g]
    return part[groups]


def _dtype(sizes: Sized) -> np.dtype:
    """The dtype of the numbers of so many parts."""
    return np.dtype(np.uint8 if len(sizes) <= BYTE else np.int32)


def grouped_folds(groups: Array, k: int, keys: Array) -> Array:
    """Assign groups, the largest first, each to the fold with the fewest rows; equals in the permutation's order."""
    count = np.bincount(groups)
    part = np.empty(len(count), np.int32)
    have = [(0, fold) for fold in range(k)]
    for g in np.lexsort((ranks(range(len(count)), len(count), keys), -count)):
        rows, fold = have[0]
        part[g] = fold
        heapq.heapreplace(have, (rows + int(count[g]), fold))
    return part[groups]
