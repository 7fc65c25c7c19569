"""Spans of a genome, on either strand, to one-hot rows: what windows, batches and regions have in common."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastdl import _check, _kernels
from fastdl._threads import split
from fastdl._typing import Array, ArrayLike
from fastdl.reference import _sequence_kernels as reference
from fastdl.sequences._settings import Encoding, padding_row
from fastdl.sequences.packed import PackedSequence

kernel = _kernels.load("sequences_windows") or reference

_BLOCK = 1 << 18  # letters of a block: large enough to hide the cost of a call, small enough for an even split


class Windows(NamedTuple):
    """Windows of one length: B starts in the genome's letters; what is outside lows to highs is padding."""

    starts: Array  # int64
    lows: Array  # int64
    highs: Array  # int64
    backwards: Array  # uint8: 1 on the reverse strand
    length: int
    what: str = "window"  # what messages call one


def encode_windows(
    genome: Array | PackedSequence,
    windows: Windows,
    encoding: Encoding,
    pad: str | None,
    out: Array,
    threads: int | None,
) -> None:
    """Fill `out` (B, length, channels), or (B, channels, length), with the windows."""
    ahead = encoding.tables
    blank = padding_row(pad, ahead)
    if not out.size:
        return
    forward = ahead, blank.view(np.uint8)
    reverse = forward
    if windows.backwards.any():
        back = encoding.reverse_tables
        reverse = back, padding_row(pad, back).view(np.uint8)
    source = genome.parts() if isinstance(genome, PackedSequence) else (genome, None, None, None)
    flat, length = out.reshape(len(out), -1).view(np.uint8), windows.length
    block = max(1, _BLOCK // length)

    def run(s: slice) -> int:
        spans = windows.starts[s], windows.lows[s], windows.highs[s], windows.backwards[s]
        return kernel.encode_windows(source, spans, forward, reverse, encoding.first, length, flat[s])

    for k, found in enumerate(split(len(windows.starts), threads, run, block)):
        if found is not None:
            raise _unknown(genome, windows, found[0] + k * block, found[1])


def _unknown(genome: Array | PackedSequence, windows: Windows, which: int, place: int) -> _check.InputError:
    """The error that names a letter which is not in the alphabet."""
    inside = windows.length - 1 - place if windows.backwards[which] else place
    at = int(windows.starts[which]) + inside
    letter = chr(genome[at : at + 1][0])
    base = at - int(windows.lows[which])
    return _check.InputError(f"{windows.what} {which} holds {letter!r} at index {base}, which is not in the alphabet")


def strands(strand: ArrayLike | None, n: int) -> Array:
    """1 for each of n windows on the reverse strand, as uint8."""
    if strand is None or (isinstance(strand, str) and strand in ("+", ".")):
        return np.zeros(n, np.uint8)
    if isinstance(strand, str):
        each: Array = np.full(n, strand) if len(strand) == 1 else np.array(list(strand), "U1")
    else:
        texts = _check.texts("strand", strand)
        each = np.array(texts) if texts is not None else _check.asarray("strand", strand)
    if each.ndim == 0:
        each = np.full(n, each)
    if each.shape != (n,):
        raise _check.InputError(f"strand must be one or {n}, got shape {each.shape}")
    if each.dtype.kind == "S":
        each = each.astype("U")
    if not n:
        return np.zeros(0, np.uint8)
    allowed, reverse = (("+", "-", "."), "-") if each.dtype.kind == "U" else ((1, -1), -1)
    if each.dtype.kind not in "Uiuf":
        raise _check.InputTypeError(f"strand must be '+', '-' or '.' (or 1, -1), got {each.dtype}")
    wrong = ~np.isin(each, allowed)
    if wrong.any():
        raise _check.InputError(f"strand must be '+', '-' or '.' (or 1, -1), got {each[wrong][0].item()!r}")
    return (each == reverse).astype(np.uint8)


def window_starts(starts: ArrayLike, low: int, high: int) -> Array:
    """Starts as int64 within [low, high]: what lies farther out is padding all the same."""
    at = _check.array("starts", starts, ("i", "u"), 1) if np.size(starts) else np.zeros(0, np.int64)
    if at.dtype == np.uint64:
        at = np.minimum(at, np.uint64(max(high, 0)))
    return np.clip(at.astype(np.int64), low, high)
