"""Letters of DNA, RNA and proteins to one-hot rows, and back."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from fastdl import _check, _kernels
from fastdl._threads import split
from fastdl.reference import sequences as reference
from fastdl.sequences import _settings as tables
from fastdl.sequences._letters import offsets as check_offsets
from fastdl.sequences._letters import read
from fastdl.sequences.windows import pad_row, windows_into

Array = np.ndarray
kernel = _kernels.load("sequences")

DNA, RNA, PROTEIN = "ACGT", "ACGU", "ACDEFGHIKLMNPQRSTVWY"
LIKE = tuple(reference.LIKE)

_BLOCK = 1 << 18  # letters: large enough to hide the cost of a turn, small enough for an even split
_BYTE = np.dtype(np.uint8)


def one_hot(
    seq: Any,
    *,
    alphabet: str = "ACGT",
    unknown: str | None = None,
    case: str | None = None,
    layout: str | None = None,
    dtype: Any = None,
    ignore: str | None = None,
    like: str | None = None,
    offsets: Any = None,
    ragged: bool = False,
    length: int | None = None,
    pad: str | None = None,
    out: Array | None = None,
    threads: int | None = 1,
) -> Any:
    """Encode sequences as one-hot rows.

    Parameters
    ----------
    seq : str, bytes, bytearray, memoryview, array of S1 or uint8 of shape (..., L), or a list of sequences
        Letters in ASCII. A list is a batch; its sequences may differ in length.
    alphabet : str
        The letters of the channels, in order: "ACGT"; `fastdl.sequences.RNA` and `PROTEIN` are others.
    unknown : {"zero", "uniform", "n-uniform", "iupac", "channel", "raise"}
        What another letter becomes: zeros (default); 1/A in every channel; the same for N, zeros for others; the
        fractions of the IUPAC code (R is half A, half G), zeros for others; a 1 in one channel more; an error.
    case : {"fold", "strict"}
        Whether lower case counts as upper (default) or as unknown.
    layout : {"last", "first"}
        (L, A), the default, or (A, L).
    dtype : bool, uint8, int8, float16, float32 or float64
        uint8 by default; float32 where `unknown` gives fractions.
    ignore : str
        Letters that become zeros, whatever `unknown` is.
    like : {"seqpro", "tangermeme", "selene", "kipoiseq", "enformer", "basenji"}, optional
        Encode as that library does; what is given beside it still counts.
    offsets : array_like of int, shape (B + 1,), optional
        Where each of B sequences in a flat `seq` begins, and the end.
    ragged : bool
        For a list or with `offsets`: sequences end to end instead of padded.
    length : int, optional
        What a batch is padded to; that of its longest sequence by default.
    pad : str, optional
        The letter a batch is padded with; by default padding is zeros.
    out : ndarray, optional
        Where to write.
    threads : int or None
        Threads to use; None means all this process may.

    Returns
    -------
    ndarray or (ndarray, ndarray)
        (..., L, A) or (..., A, L); of a batch (B, length, A) or (B, A, length); with `ragged` (total, A) or (A, total),
        and the offsets (B + 1,) as int64. A is one more with ``unknown="channel"``.

    Raises
    ------
    InputError
        For an unknown letter with ``unknown="raise"``, non-ASCII text, settings that do not go together, or an `out`
        that does not fit.
    InputTypeError
        For what is no sequence, or fractions in an integer dtype.

    See Also
    --------
    one_hot_decode : the way back.
    one_hot_windows : pieces of a genome, on either strand.

    Notes
    -----
    The presets are the defaults of seqpro 0.23 ``ohe`` (DNA), tangermeme 1.6 ``one_hot_encode``, selene 0.6
    ``sequence_to_encoding``, kipoiseq 0.7 ``one_hot_dna``, Enformer's ``one_hot_encode`` and basenji's ``dna_1hot``.
    IUPAC codes are those of Cornish-Bowden, Nucleic Acids Research 13, 1985.

    Examples
    --------
    >>> import fastdl
    >>> fastdl.one_hot("ACgN")
    array([[1, 0, 0, 0],
           [0, 1, 0, 0],
           [0, 0, 1, 0],
           [0, 0, 0, 0]], dtype=uint8)
    >>> fastdl.one_hot(["AC", "GTT"], layout="first", unknown="uniform", pad="N")[0]
    array([[1.  , 0.  , 0.25],
           [0.  , 1.  , 0.25],
           [0.  , 0.  , 0.25],
           [0.  , 0.  , 0.25]], dtype=float32)
    """
    how = tables.settings(alphabet, unknown, case, layout, dtype, ignore, like)
    coder = how.coder
    x, starts = read(seq)
    if offsets is not None:
        if starts is not None or x.ndim != 1:
            raise _check.InputError("offsets need a flat seq, got a list or an array of more dimensions")
        starts = check_offsets(offsets, len(x))
    if starts is None and (ragged or length is not None):
        raise _check.InputError("ragged and length need a list of sequences, or offsets")
    if starts is not None and not ragged:
        return _padded(seq, x, starts, how, length, pad, out, threads)
    if starts is not None:
        x, starts = x[starts[0] : starts[-1]], starts - starts[0]
    channels = coder.rows.shape[1]
    shape = (*x.shape[:-1], channels, x.shape[-1]) if how.first else (*x.shape, channels)
    result = _check.out("out", out, shape, how.dtype, x)
    if x.size:
        _encode(x, coder, result, how.first, threads)
    return result if starts is None else (result, starts)


def _encode(x: Array, coder: tables.Coder, out: Array, first: bool, threads: int | None) -> None:
    flat, length = x.reshape(-1), x.shape[-1]
    if kernel is None:
        if coder.known is not None:
            _refuse(flat, int(np.argmin(coder.known[flat])), coder.known, length)
        out[...] = np.swapaxes(coder.rows[x], -1, -2) if first else coder.rows[x]
        return
    if coder.known is not None:
        known = coder.known
        for block, at in enumerate(split(len(flat), threads, lambda s: kernel.find_unknown(flat[s], known), _BLOCK)):
            if at >= 0:
                _refuse(flat, block * _BLOCK + at, known, length)
    channels, size = out.shape[-2 if first else -1], out.itemsize
    if not first:
        width, target = channels * size, out.reshape(-1).view(_BYTE)
        split(
            len(flat),
            threads,
            lambda s: kernel.one_hot_rows(flat[s], *coder.by_rows, target[s.start * width : s.stop * width]),
            _BLOCK,
        )
        return
    batch, planes = x.reshape(-1, length), out.reshape(-1, channels, length).view(_BYTE)
    if len(batch) == 1:
        split(
            length,
            threads,
            lambda s: kernel.one_hot_planes(batch, *coder.by_planes, planes, s.start, s.stop),
            _BLOCK,
        )
    else:
        split(
            len(batch),
            threads,
            lambda s: kernel.one_hot_planes(batch[s], *coder.by_planes, planes[s], 0, length),
            max(1, _BLOCK // length),
        )


def _refuse(x: Array, at: int, known: Array, length: int) -> None:
    if known[x[at]]:
        return
    place = f"index {at}" if len(x) == length else f"index {at % length} of sequence {at // length}"
    raise _check.InputError(f"seq holds {chr(x[at])!r} at {place}, which is not in the alphabet")


def _padded(
    seq: Any, x: Array, starts: Array, how: tables.How, length: Any, pad: Any, out: Array | None, threads: int | None
) -> Array:
    lengths = np.diff(starts)
    longest = int(lengths.max(initial=0))
    length = longest if length is None else _check.integer("length", length, 0)
    if longest > length:
        which = int(np.argmax(lengths))
        raise _check.InputError(f"length must be at least {longest}, that of sequence {which}, got {length}")
    coder = how.coder
    channels, n = coder.rows.shape[1], len(lengths)
    shape = (n, channels, length) if how.first else (n, length, channels)
    result = _check.out("out", out, shape, how.dtype, *([seq] if isinstance(seq, np.ndarray) else []), x)
    blank = pad_row(pad, coder)
    spans, ahead = (starts[:-1], starts[:-1], starts[1:]), np.zeros(n, np.uint8)
    windows_into(x, *spans, length, ahead, (coder, coder), blank, result, how.first, threads, "sequence")
    return result


def one_hot_decode(
    x: Any,
    *,
    alphabet: str = "ACGT",
    unknown: str = "zero",
    layout: str = "last",
    unknown_char: str = "N",
    out: Array | None = None,
    threads: int | None = 1,
) -> Array:
    """The letters of one-hot rows, each of which must be one that `one_hot` makes.

    Parameters
    ----------
    x : array_like of bool, integers or floats, shape (..., L, A) or, with layout "first", (..., A, L)
        One-hot rows.
    alphabet : str
        The letters of the channels.
    unknown : {"zero", "uniform", "n-uniform", "iupac", "channel", "raise"}
        How unknown letters were encoded. Rows of zeros, rows of 1/A ("uniform", "n-uniform") and the last channel
        ("channel") become `unknown_char`; the fractions of "iupac" become their code. With "raise", and rows of zeros
        with "channel", they are errors.
    layout : {"last", "first"}
        Where the channels are.
    unknown_char : str
        One letter.
    out : ndarray of S1, optional
        Where to write.
    threads : int or None
        Threads to use; None means all this process may.

    Returns
    -------
    ndarray of S1, shape (..., L)
        Letters; ``.tobytes().decode()`` makes a str of one sequence.

    Raises
    ------
    InputError
        For a row that stands for no letter (two ones, other numbers, NaN), naming the first.

    Examples
    --------
    >>> import fastdl
    >>> fastdl.one_hot_decode([[0, 1, 0, 0], [0, 0, 0, 0]]).tobytes()
    b'CN'
    """
    _check.one_of("unknown", unknown, tables.UNKNOWN)
    _check.one_of("layout", layout, tables.LAYOUTS)
    tables.settings(alphabet, unknown, "fold", layout, None, None, None)
    if not isinstance(unknown_char, str) or len(unknown_char) != 1 or not unknown_char.isascii():
        raise _check.InputError(f"unknown_char must be one ASCII character, got {unknown_char!r}")
    x = _check.array("x", x, ("b", "i", "u", "f"))
    axis = -1 if layout == "last" else -2
    channels = len(alphabet) + (unknown == "channel")
    if x.ndim < 2 or x.shape[axis] != channels:
        raise _check.InputError(f"x must have {channels} channels on axis {axis}, got shape {x.shape}")
    shape = x.shape[:-1] if layout == "last" else (*x.shape[:-2], x.shape[-1])
    letters = _check.out("out", out, shape, "S1", x)
    if letters.size:
        _decode(x, alphabet, unknown, layout == "first", unknown_char, letters.view(_BYTE), threads)
        if letters.view(_BYTE).min() == 0:  # the kernels' sign that a row stands for no letter
            place = tuple(int(i) for i in np.argwhere(letters.view(_BYTE) == 0)[0])
            row = np.swapaxes(x, -1, -2)[place] if layout == "first" else x[place]
            raise _check.InputError(f"x holds no letter at {place}, for unknown={unknown!r}: {row.tolist()}")
    return letters


def _decode(
    x: Array, alphabet: str, unknown: str, first: bool, unknown_char: str, letters: Array, threads: int | None
) -> None:
    if kernel is None or (unknown in ("uniform", "n-uniform") and len(alphabet) > 8):
        how = {"alphabet": alphabet, "unknown": unknown, "layout": "first" if first else "last"}
        letters[...] = reference.one_hot_decode(x, **how, unknown_char=unknown_char).view(_BYTE)
        return
    rows, names = _choices(alphabet, unknown, unknown_char)
    chars = np.frombuffer(names.encode("ascii"), _BYTE)
    zero = ord(unknown_char) if unknown not in ("raise", "channel") else 0
    flat, channels, length = letters.reshape(-1), rows.shape[1], x.shape[-1]
    if x.dtype.itemsize == 1 and not first and channels == 4 and unknown in ("zero", "raise"):
        bits = x.reshape(-1).view(_BYTE)
        split(
            len(flat), threads, lambda s: kernel.decode_4(bits[4 * s.start : 4 * s.stop], chars, zero, flat[s]), _BLOCK
        )
        return
    if x.dtype.kind == "f":
        rows = rows.astype(x.dtype)  # a third is another number in float16 than in float64
    real = np.dtype(x.dtype if x.dtype in (np.float32, np.float64) else np.float32 if x.itemsize <= 2 else np.float64)
    rows = rows.astype(real)

    def run(values: Array, row: int, channel: int, target: Array) -> None:
        values = values.astype(real, copy=False)
        if channels <= 8:
            kernel.decode(values, rows, chars, _choice(rows), row, channel, target)
        else:
            kernel.decode_many(values, chars, channels, zero, row, channel, target)

    if first:
        for planes, target in zip(x.reshape(-1, channels * length), flat.reshape(-1, length)):
            run(planes, 1, length, target)
    else:
        values = x.reshape(-1)
        split(
            len(flat),
            threads,
            lambda s: run(values[s.start * channels : s.stop * channels], channels, 1, flat[s]),
            _BLOCK,
        )


_choices = lru_cache(64)(reference.choices)


def _choice(rows: Array) -> Array:
    """The row for each set of channels that are not 0; the first for none, which differs from it in a channel."""
    choice = np.zeros(256, np.uint8)
    choice[(rows != 0) @ (1 << np.arange(rows.shape[1]))] = np.arange(len(rows))
    return choice
