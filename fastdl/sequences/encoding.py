"""Letters of DNA, RNA and proteins to one-hot rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastdl import _check, _kernels
from fastdl._threads import ONE, split, valid
from fastdl._typing import Array, ArrayLike, DTypeLike
from fastdl.reference import _sequence_kernels as reference
from fastdl.reference.sequences import LIKE as _LIKE
from fastdl.sequences import _settings
from fastdl.sequences._letters import check_offsets, letters_and_offsets
from fastdl.sequences._window_encoder import Windows, encode_windows

kernel = _kernels.load("sequences") or reference

DNA, RNA, PROTEIN = "ACGT", "ACGU", "ACDEFGHIKLMNPQRSTVWY"
LIKE = tuple(_LIKE)

_BLOCK = 1 << 18  # letters of a block: large enough to hide the cost of a call, small enough for an even split
_BYTE = np.dtype(np.uint8)


def one_hot(
    seq: ArrayLike,
    *,
    alphabet: str = "ACGT",
    unknown: str | None = None,
    case: str | None = None,
    layout: str | None = None,
    dtype: DTypeLike | None = None,
    ignore: str | None = None,
    like: str | None = None,
    offsets: ArrayLike | None = None,
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
        Letters in ASCII. A list is a batch; its sequences may differ in length. Text in other containers (pandas,
        polars, pyarrow, arrays of str) is a list too.
    alphabet : str
        The letters of the channels, in order: "ACGT"; `fastdl.sequences.RNA` and `PROTEIN` are others.
    unknown : {"zero", "uniform", "n-uniform", "iupac", "channel", "raise"}
        What another letter becomes: zeros (default); 1/A in every channel; the same for N, zeros for others; the
        fractions of the IUPAC code (R is half A, half G; of proteins, B is half D, half N), zeros for others; a 1 in
        one channel more; an error.
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
    encoding = _settings.settings(
        alphabet, unknown=unknown, case=case, layout=layout, dtype=dtype, ignore=ignore, like=like
    )
    usual = (
        offsets is None
        and length is None
        and pad is None
        and out is None
        and not ragged
        and (threads is ONE or valid(threads))
    )
    if usual and encoding.tables.known is None:
        few = kernel.small_one_hot(seq, encoding.tables, encoding.channels, encoding.dtype, encoding.first)
        if few is not None:
            return few
    x, starts = letters_and_offsets(seq)
    if offsets is not None:
        if starts is not None or x.ndim != 1:
            raise _check.InputError("offsets need a flat seq, got a list or an array of more dimensions")
        starts = check_offsets(offsets, len(x))
    if starts is None:
        if ragged or length is not None:
            raise _check.InputError("ragged and length need a list of sequences, or offsets")
    elif not ragged:
        inputs = (seq, x) if isinstance(seq, np.ndarray) and seq.dtype != object else (x,)
        return _padded(x, starts, encoding, length=length, pad=pad, out=out, inputs=inputs, threads=threads)
    else:
        x, starts = x[starts[0] : starts[-1]], starts - starts[0]
    channels = encoding.channels
    shape = (*x.shape[:-1], channels, x.shape[-1]) if encoding.first else (*x.shape, channels)
    result = _check.out("out", out, shape, encoding.dtype, x)
    if x.size:
        _encode(x, encoding, result, threads)
    return result if starts is None else (result, starts)


def _encode(x: Array, encoding: _settings.Encoding, out: Array, threads: int | None) -> None:
    tables, length = encoding.tables, x.shape[-1]
    flat = x.reshape(-1)
    if tables.known is not None:
        _refuse_unknown(flat, tables.known, length, threads)
    if not encoding.first:
        width, target = tables.row_bytes.shape[1], out.reshape(-1).view(_BYTE)
        if len(flat) <= _BLOCK:
            kernel.one_hot_rows(flat, tables, target)
            return
        split(
            len(flat),
            threads,
            lambda s: kernel.one_hot_rows(flat[s], tables, target[s.start * width : s.stop * width]),
            _BLOCK,
        )
        return
    batch, planes = x.reshape(-1, length), out.reshape(-1, len(tables.column_bytes), length).view(_BYTE)
    if len(batch) == 1:
        split(length, threads, lambda s: kernel.one_hot_planes(batch, tables, planes, s.start, s.stop), _BLOCK)
    else:
        block = max(1, _BLOCK // length)
        split(len(batch), threads, lambda s: kernel.one_hot_planes(batch[s], tables, planes[s], 0, length), block)


def _refuse_unknown(x: Array, known: Array, length: int, threads: int | None) -> None:
    """An error for the first letter that is not known."""
    for block, found in enumerate(split(len(x), threads, lambda s: kernel.find_unknown(x[s], known), _BLOCK)):
        if found >= 0:
            at = block * _BLOCK + found
            place = f"index {at}" if len(x) == length else f"index {at % length} of sequence {at // length}"
            raise _check.InputError(f"seq holds {chr(x[at])!r} at {place}, which is not in the alphabet")


def _padded(
    x: Array,
    starts: Array,
    encoding: _settings.Encoding,
    *,
    length: int | None,
    pad: str | None,
    out: Array | None,
    inputs: tuple[Array, ...],
    threads: int | None,
) -> Array:
    lengths = starts[1:] - starts[:-1]
    longest = int(lengths.max(initial=0))
    length = longest if length is None else _check.integer("length", length, 0)
    if longest > length:
        which = int(np.argmax(lengths))
        raise _check.InputError(f"length must be at least {longest}, that of sequence {which}, got {length}")
    result = _check.out("out", out, encoding.shape(len(lengths), length), encoding.dtype, *inputs)
    forward = np.zeros(len(lengths), np.uint8)
    windows = Windows(starts[:-1], starts[:-1], starts[1:], forward, length, "sequence")
    encode_windows(x, windows, encoding, pad, result, threads)
    return result
