"""The tables behind mu-law coding: one entry per sample value, edge or class, built from the reference and kept."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from fastdl._typing import Array
from fastdl.reference import audio as reference


def _frozen(x: Array) -> Array:
    x.flags.writeable = False
    return x


@cache
def of_int16(channels: int, dialect: str) -> Array:
    """The class of each int16, indexed by its bits as uint16."""
    samples = np.arange(65536, dtype=np.uint16).view(np.int16)
    return _frozen(reference.mu_law_encode(samples, channels, dialect=dialect))


@cache
def g711_of_int16(law: str, dialect: str) -> Array:
    """The G.711 code of each int16, indexed by its bits as uint16."""
    return _frozen(reference.g711_encode(np.arange(65536, dtype=np.uint16).view(np.int16), law, dialect=dialect))


@cache
def of_code(channels: int, dialect: str, dtype: str) -> Array:
    """The sample of each class; there are 256 or 65536 entries, so that no code of its dtype is out of bounds."""
    codes = np.minimum(np.arange(256 if channels <= 256 else 65536), channels - 1)
    return _frozen(reference.mu_law_decode(codes, channels, dialect=dialect, dtype=dtype))


@cache
def g711_of_code(law: str) -> Array:
    """The sample of each G.711 code."""
    return _frozen(reference.g711_decode(np.arange(256, dtype=np.uint8), law))


class Edges(NamedTuple):
    """A monotone step function of floats, by buckets that each hold at most one edge: base + (x >= edge)."""

    base: Array
    edge: Array
    first: int  # the bits of |x| below which all share the first bucket
    shift: int  # how many low bits of |x| a bucket spans


@cache
def of_float(channels: int, dialect: str, dtype: str) -> Edges:
    """The buckets for float32 or float64 samples of [-1, 1]."""
    real = np.dtype(dtype)
    bits = np.dtype(f"u{real.itemsize}")
    sign = 1 << (8 * real.itemsize - 1)
    edges = _edges(channels, dialect, real)
    edges[edges == 0] = -0.0  # which equals 0.0, and lies in the bucket of the small negative ones
    magnitude = np.abs(edges).view(bits)
    one = np.array(1, real).view(bits)
    tiny = magnitude[np.abs(edges) > 1e-12].min(initial=one)
    shift = np.finfo(real).nmant - 2
    while True:
        first = (int(tiny) >> shift) - 1 << shift  # one bucket below, for an edge that rounding puts beside 0
        bucket = (np.maximum(magnitude, first) - bits.type(first) >> shift).astype(np.int64)
        half = int(one - bits.type(first) >> shift) + 1
        bucket += np.where(np.signbit(edges), half, 0)
        if len(np.unique(bucket)) == len(bucket):
            break
        shift -= 1
    # The lowest float of a bucket has its lowest class; of negative floats, that is the one farthest from 0.
    low = (np.arange(half, dtype=np.uint64) << np.uint64(shift)).astype(bits) + bits.type(first)
    low[0] = 0
    high = np.append(low[1:], one + bits.type(1)) - bits.type(1)
    start = np.concatenate([low.view(real), (high | bits.type(sign)).view(real)])
    base = np.searchsorted(edges, start, side="right")
    edge = np.full(2 * half, 2, real)  # above every sample: no edge here
    edge[bucket] = edges
    base[bucket] = np.arange(channels - 1)
    return Edges(_frozen(base.astype(np.uint8 if channels <= 256 else np.uint16)), _frozen(edge), first, shift)


def _edges(channels: int, dialect: str, real: np.dtype) -> Array:
    """For each class but 0 the lowest float of [-1, 1] in it, by bisection over the floats themselves."""
    order = np.dtype(f"i{real.itemsize}")
    lowest = np.iinfo(order).min
    wanted = np.arange(1, channels)
    # The integers of `rank` are in the order of the floats: negative floats count downwards.
    one = int(np.array(1, real).view(order))
    below, at = np.full(len(wanted), -one, np.int64), np.full(len(wanted), one, np.int64)
    while (at - below > 1).any():
        middle = (below + at) // 2
        rank = np.where(middle < 0, lowest - middle, middle).astype(order)
        reached = reference.mu_law_encode(rank.view(real), channels, dialect=dialect) >= wanted
        below, at = np.where(reached, below, middle), np.where(reached, middle, at)
    return np.where(at < 0, lowest - at, at).astype(order).view(real)
