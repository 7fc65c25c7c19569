"""Windows of a genome as one-hot rows: fetched, turned to their strand, encoded and padded in one pass."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastdl import _check, _kernels
from fastdl._threads import split
from fastdl.reference import windows as reference
from fastdl.sequences import _settings as tables
from fastdl.sequences._letters import one

Array = np.ndarray
kernel = _kernels.load("sequences_windows")

_BLOCK = 1 << 18  # letters of a turn
_NONE = np.zeros((0, 2), np.int64)


@dataclass(frozen=True)
class PackedSequence:
    """A sequence of two bits a base, as .2bit files hold it: a quarter of the memory of bytes.

    Parameters
    ----------
    packed : ndarray of uint8, shape (ceil(length / 4),)
        Four bases a byte, the first in the high bits; T, C, A, G = 0..3.
    length : int
        Bases.
    unknown, masked : ndarray of int64, shape (n, 2)
        Sorted ranges, start and stop, that are N, and that are in lower case.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdl.sequences import PackedSequence
    >>> genome = PackedSequence(np.array([0b10011100], np.uint8), 4)
    >>> genome[1:4].tobytes()
    b'CGT'
    """

    packed: Array
    length: int
    unknown: Array = field(default_factory=lambda: _NONE)
    masked: Array = field(default_factory=lambda: _NONE)

    def __post_init__(self) -> None:
        packed = _check.array("packed", self.packed, (np.uint8,), 1)
        object.__setattr__(self, "packed", packed)
        _check.integer("length", self.length, 0, 4 * len(packed))
        for name in ("unknown", "masked"):
            ranges = _check.array(name, getattr(self, name), ("i",)).astype(np.int64, copy=False)
            flat = ranges.reshape(-1)
            wrong = len(flat) and (flat[0] < 0 or flat[-1] > self.length or (np.diff(flat) < 0).any())
            if ranges.ndim != 2 or ranges.shape[1] != 2 or wrong:
                raise _check.InputError(f"{name} must be sorted ranges (n, 2) within {self.length} bases")
            object.__setattr__(self, name, ranges)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, which: slice) -> Array:
        """Letters as uint8."""
        if not isinstance(which, slice) or which.step not in (None, 1):
            raise _check.InputTypeError(f"a packed sequence is read by slices of step 1, got {which!r}")
        start, stop, _ = which.indices(self.length)
        letters = np.empty(max(stop - start, 0), np.uint8)
        if kernel is None:
            letters[:] = reference.unpack(self.packed, self.length, self.unknown, self.masked)[start:stop]
        elif len(letters):
            kernel.unpack(self.packed, tables.quads(), self.unknown, self.masked, start, letters)
        return letters


def one_hot_windows(
    genome: Any,
    starts: Any,
    length: int,
    *,
    strand: Any = None,
    alphabet: str = "ACGT",
    unknown: str | None = None,
    case: str | None = None,
    layout: str | None = None,
    dtype: Any = None,
    ignore: str | None = None,
    like: str | None = None,
    pad: str | None = None,
    out: Array | None = None,
    threads: int | None = 1,
) -> Array:
    """Encode windows of a genome as one-hot rows, each on its strand.

    Parameters
    ----------
    genome : str, bytes, bytearray, memoryview, 1-D array of S1 or uint8 (memory-mapped ones too), or PackedSequence
        One sequence; a `PackedSequence` is read from its two bits a base.
    starts : array_like of int, shape (B,)
        The first base of each window, from 0; windows may reach, or lie, beyond the ends.
    length : int
        Bases of a window.
    strand : optional
        "+" or "-" for all windows, or for each; 1 and -1 are the same, "." is "+". Windows of the reverse strand are
        encoded as their reverse complement. The forward strand by default.
    alphabet, unknown, case, layout, dtype, ignore, like
        As in `one_hot`.
    pad : str, optional
        The letter that stands beyond the ends; by default they are rows of zeros.
    out : ndarray, optional
        Where to write.
    threads : int or None
        Threads to use; None means all this process may.

    Returns
    -------
    ndarray
        (B, length, A) or, with layout "first", (B, A, length).

    Raises
    ------
    InputError
        For a strand that is none, an alphabet without complements with reverse windows, and as `one_hot`.

    See Also
    --------
    one_hot : whole sequences.
    fastdl.files.fasta.Fasta, fastdl.files.twobit.TwoBit : genomes in files.

    Examples
    --------
    >>> import fastdl
    >>> x = fastdl.one_hot_windows("AACGT", [0, 3], 3, strand="+-")
    >>> [fastdl.one_hot_decode(w, unknown_char="-").tobytes() for w in x]
    [b'AAC', b'-AC']
    """
    how = tables.settings(alphabet, unknown, case, layout, dtype, ignore, like)
    length = _check.integer("length", length, 0)
    size = len(genome) if isinstance(genome, PackedSequence) else 0
    if not isinstance(genome, PackedSequence):
        genome = one(genome, "genome")
        if genome.ndim != 1:
            raise _check.InputError(f"genome must have 1 dimension, got shape {genome.shape}")
        size = len(genome)
    at = _check.array("starts", starts, ("i", "u"), 1) if np.size(starts) else np.zeros(0, np.int64)
    if at.dtype == np.uint64:
        at = np.minimum(at, np.uint64(size))
    at = np.clip(at.astype(np.int64), -length, size)  # what lies farther out is padding all the same
    backwards = strands(strand, len(at))
    coder = how.coder
    pair = (coder, how.other if backwards.any() else coder)
    channels = coder.rows.shape[1]
    shape = (len(at), channels, length) if how.first else (len(at), length, channels)
    result = _check.out("out", out, shape, how.dtype, *([] if isinstance(genome, PackedSequence) else [genome]))
    ends = np.zeros_like(at), np.full_like(at, size)
    windows_into(genome, at, *ends, length, backwards, pair, pad_row(pad, coder), result, how.first, threads)
    return result


def strands(strand: Any, n: int) -> Array:
    """1 for each of n windows on the reverse strand, as uint8."""
    if strand is None or (isinstance(strand, str) and strand in ("+", ".")):
        return np.zeros(n, np.uint8)
    each = np.asarray(list(strand) if isinstance(strand, str) and len(strand) != 1 else strand)
    if each.ndim == 0:
        each = np.full(n, each)
    if each.shape != (n,):
        raise _check.InputError(f"strand must be one or {n}, got shape {each.shape}")
    if each.dtype.kind == "S":
        each = each.astype("U")
    allowed, reverse = (("+", "-", "."), "-") if each.dtype.kind == "U" else ((1, -1), -1)
    wrong = ~np.isin(each, allowed)
    if wrong.any():
        raise _check.InputError(f"strand must be '+', '-' or '.' (or 1, -1), got {each[wrong][0].item()!r}")
    return (each == reverse).astype(np.uint8)


def pad_row(pad: str | None, coder: tables.Coder) -> Array:
    """The row of padding."""
    if pad is None:
        return np.zeros_like(coder.rows[0])
    if not isinstance(pad, str) or len(pad) != 1 or not pad.isascii():
        raise _check.InputError(f"pad must be one ASCII character, got {pad!r}")
    return coder.rows[ord(pad)]


def windows_into(
    genome: Any,
    starts: Array,
    lows: Array,
    highs: Array,
    length: int,
    backwards: Array,
    coders: tuple[tables.Coder, tables.Coder],
    blank: Array,
    out: Array,
    first: bool,
    threads: int | None,
    what: str = "window",
) -> None:
    """Fill `out` with the windows; what is outside lows to highs becomes `blank`."""
    if not out.size:
        return
    packed = isinstance(genome, PackedSequence)
    ahead, back = coders
    if kernel is None:
        spans = starts, length, lows, highs, backwards.astype(bool)
        _by_reference(genome[:] if packed else genome, spans, coders, blank, out, first, what)
        return
    x, unknown, masked = (genome.packed, genome.unknown, genome.masked) if packed else (genome, None, None)
    letters = tables.quads() if packed else None
    flat, pad = out.reshape(len(out), -1).view(np.uint8), blank.view(np.uint8)
    block = max(1, _BLOCK // length)

    def run(s: slice) -> Any:
        ends = starts[s], lows[s], highs[s], backwards[s]
        return kernel.one_hot_windows(
            x,
            letters,
            unknown,
            masked,
            *ends,
            *ahead.by_rows[:1],
            *ahead.by_planes,
            *back.by_rows[:1],
            *back.by_planes,
            pad,
            ahead.known,
            length,
            first,
            flat[s],
        )

    for k, found in enumerate(split(len(starts), threads, run, block)):
        if found is not None:
            _refuse(genome, starts, length, lows, backwards, found[0] + k * block, found[1], what)


def _by_reference(genome: Array, spans: tuple, coders: Any, blank: Array, out: Array, first: bool, what: str) -> None:
    ahead, back = coders
    starts, length, lows, highs, backwards = spans
    if ahead.known is not None:
        wrong = 1 - ahead.known[:, None]
        bad = reference.encode(genome, starts, length, lows, highs, backwards, wrong, wrong, np.zeros(1, np.uint8))
        if bad.any():
            window, place, _ = np.argwhere(bad)[0]
            _refuse(genome, starts, length, lows, backwards, window, place, what)
    rows = reference.encode(genome, starts, length, lows, highs, backwards, ahead.rows, back.rows, blank)
    out[...] = np.swapaxes(rows, -1, -2) if first else rows


def _refuse(
    genome: Any, starts: Array, length: int, lows: Array, backwards: Array, window: Any, place: Any, what: str
) -> None:
    at = int(starts[window]) + (length - 1 - int(place) if backwards[window] else int(place))
    letter = chr(genome[at : at + 1][0])
    base = at - int(lows[window])
    raise _check.InputError(f"{what} {window} holds {letter!r} at index {base}, which is not in the alphabet")
