"""Fast look-up of a value's bin: a table of buckets that leaves only a short binary search, built once per dtype."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from fastdl import _kernels
from fastdl._typing import Array
from fastdl.reference import _target_kernels

kernel = _kernels.load("targets_bins") or _target_kernels

_FEW = 64  # bytes of edges, a cache line, up to which a value is compared with all of them
_BUCKETS = 1 << 16  # at most: a table of uint16 of 128 KiB, which stays in the second-level cache


class BinSearch(NamedTuple):
    """The kernel that finds the bins, by name, and its arguments between the values and the codes."""

    kernel: str
    arguments: tuple[Any, ...]

    def run(self, y: Array, codes: Array) -> int:
        """Write the codes; returns the number of NaNs, whose codes are undefined."""
        return getattr(kernel, self.kernel)(y, *self.arguments, codes)

    def run_few(self, y: Array, dtype: np.dtype) -> Array | None:
        """The codes of few values by one call of the kernel, or None where they are not for that."""
        found: Array | None = kernel.small_encode(y, self.kernel, self.arguments, dtype)
        return found


def bin_search(edges: Array, dtype: np.dtype) -> BinSearch:
    """The fastest search for values of `dtype`, float32 or float64, among float64 edges."""
    inner = rounded_up(edges[1:-1], dtype)
    if inner.nbytes <= _FEW:
        return BinSearch("encode_few", (_padded(inner, -len(inner) % 4 or 4 * (not len(inner))),))
    steps, below, name, arguments = min(_candidates(inner), key=lambda c: (c[0], len(c[1])))
    padded = _padded(inner, 1 << steps)
    return BinSearch(name, (*arguments, below, padded, steps))


def rounded_up(edges: Array, dtype: np.dtype) -> Array:
    """For each edge the smallest number of `dtype` that is at least the edge: comparisons then give the same."""
    with np.errstate(over="ignore"):
        near = edges.astype(dtype)
    return np.where(near < edges, np.nextafter(near, dtype.type(np.inf)), near).astype(dtype)


def _padded(edges: Array, count: int) -> Array:
    """The edges and `count` NaNs, which compare as above every value: a search may then read beyond the last edge."""
    return np.concatenate([edges, np.full(count, np.nan, edges.dtype)])


def _candidates(inner: Array) -> Iterator[tuple[int, Array, str, tuple[Any, ...]]]:
    """The possible searches: steps inside a bucket, edges below each bucket, the kernel and its arguments.

    The bucket is a monotone function of the value, computed here by the same operations as in the kernel.
    """
    yield len(inner).bit_length(), np.zeros(1, np.uint16), "encode_even", (0.0, 0.0)  # no buckets: a search of all
    if not np.isfinite(inner).all() or inner[0] == inner[-1]:
        return
    dtype, least = inner.dtype.type, 1 << max(6, len(inner).bit_length() + 1)
    with np.errstate(all="ignore"):
        width = inner[-1] - inner[0]
        count = least
        while count <= _BUCKETS and 0 < width < np.inf and np.isfinite(dtype(count) / width):
            inverse = dtype(count) / width
            bucket = np.minimum((inner - inner[0]) * inverse, dtype(count - 1)).astype(np.int64)
            yield *_searched(bucket, count), "encode_even", (inner[0].item(), inverse.item())
            count *= 4
        yield from _by_bits(inner)


def _by_bits(inner: Array) -> Iterator[tuple[int, Array, str, tuple[Any, ...]]]:
    """Buckets by the upper bits of the float distance from where edges are densest: finer the nearer a value is."""
    gaps = np.diff(inner)
    centre = inner[min(int(gaps.argmin()), len(inner) - 1)]
    bits = np.dtype(f"u{inner.itemsize}")
    distance = inner - centre
    magnitude = np.abs(distance).view(bits)
    smallest, largest = magnitude[magnitude > 0].min(), magnitude.max()
    for shift in range(np.finfo(inner.dtype).nmant, -1, -1):
        first, last = (int(smallest) >> shift) - 1, int(largest) >> shift
        first, half = max(0, first), last - max(0, first) + 1
        if 2 * half > _BUCKETS:
            return
        rank = np.clip(magnitude >> bits.type(shift), first, last).astype(np.int64) - first
        bucket = half + np.where(distance < 0, ~rank, rank)
        yield *_searched(bucket, 2 * half), "encode_float", (centre.item(), (first, last, shift))


def _searched(bucket: Array, count: int) -> tuple[int, Array]:
    """The steps of a binary search in the fullest bucket, and the number of edges in the buckets below each."""
    held = np.bincount(bucket, minlength=count)
    below = np.cumsum(held) - held
    return max(1, int(held.max()).bit_length()), below.astype(np.uint16)
