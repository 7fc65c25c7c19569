"""Letters of DNA, RNA and proteins to one-hot rows and back, the other strand, and k-mer numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastdl import _check, _kernels
from fastdl import _sequence_tables as tables
from fastdl._sequence_input import offsets as check_offsets
from fastdl._sequence_input import one, read
from fastdl._threads import split
from fastdl.reference import sequences as reference
from fastdl.windows import pad_row, windows_into

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
        What another letter becomes: zeros (default); 1/A in every channel; the same for N, zeros for others; the fractions
        of the IUPAC code (R is half A, half G), zeros for others; a 1 in one channel more; an error.
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
        (..., L, A) or (..., A, L); of a batch (B, length, A) or (B, A, length); with `ragged` (total, A) or (A, total), and
        the offsets (B + 1,) as int64. A is one more with ``unknown="channel"``.

    Raises
    ------
    InputError
        For an unknown letter with ``unknown="raise"``, non-ASCII text, settings that do not go together, or an `out` that
        does not fit.
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
    coder = how.coder()
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
            lambda s: kernel.one_hot_rows(flat[s], *coder.parts, target[s.start * width : s.stop * width]),
            _BLOCK,
        )
        return
    batch, planes = x.reshape(-1, length), out.reshape(-1, channels, length).view(_BYTE)
    if len(batch) == 1:
        split(
            length,
            threads,
            lambda s: kernel.one_hot_planes(batch, *coder.parts, planes, s.start, s.stop),
            _BLOCK,
        )
    else:
        split(
            len(batch),
            threads,
            lambda s: kernel.one_hot_planes(batch[s], *coder.parts, planes[s], 0, length),
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
    coder = how.coder()
    channels, n = coder.rows.shape[1], len(lengths)
    shape = (n, channels, length) if how.first else (n, length, channels)
    result = _check.out("out", out, shape, how.dtype, *([seq] if isinstance(seq, np.ndarray) else []), x)
    blank = pad_row(pad, coder)
    ahead = np.zeros(n, np.uint8)
    windows_into(x, starts[:-1], starts[:-1], starts[1:], length, ahead, (coder, coder), blank, result, how.first, threads)
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
        ("channel") become `unknown_char`; the fractions of "iupac" become their code. With "raise" there are none of them.
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
        bad = letters.view(_BYTE) == 0 if not letters.view(_BYTE).all() else np.zeros(0, bool)
        if bad.any():
            place = tuple(int(i) for i in np.argwhere(bad)[0])
            row = np.swapaxes(x, -1, -2)[place] if layout == "first" else x[place]
            raise _check.InputError(f"x holds no letter at {place}, for unknown={unknown!r}: {row.tolist()}")
    return letters


def _decode(
    x: Array, alphabet: str, unknown: str, first: bool, unknown_char: str, letters: Array, threads: int | None
) -> None:
    if kernel is None:
        how = {"alphabet": alphabet, "unknown": unknown, "layout": "first" if first else "last"}
        letters[...] = reference.one_hot_decode(x, **how, unknown_char=unknown_char).view(_BYTE)
        return
    rows, names = reference.choices(alphabet, unknown, unknown_char)
    chars = np.frombuffer(names.encode("ascii"), _BYTE)
    flat = letters.reshape(-1)
    if x.dtype.itemsize == 1 and not first and len(alphabet) == 4 and unknown in ("zero", "raise"):
        zero = ord(unknown_char) if unknown == "zero" else 0
        bits = x.reshape(-1).view(_BYTE)
        split(
            len(flat), threads, lambda s: kernel.decode_4(bits[4 * s.start : 4 * s.stop], chars, zero, flat[s]), _BLOCK
        )
        return
    if x.dtype.kind == "f":
        rows = rows.astype(x.dtype)  # a third is another number in float16 than in float64
    real = np.dtype(x.dtype if x.dtype in (np.float32, np.float64) else np.float32 if x.itemsize <= 2 else np.float64)
    rows = rows.astype(real)
    channels, length = rows.shape[1], x.shape[-1]
    if not first:
        values = x.reshape(-1)
        split(
            len(flat),
            threads,
            lambda s: kernel.decode(
                values[s.start * channels : s.stop * channels].astype(real, copy=False), rows, chars, channels, 1, flat[s]
            ),
            _BLOCK,
        )
        return
    for planes, target in zip(x.reshape(-1, channels, length), flat.reshape(-1, length)):
        kernel.decode(planes.reshape(-1).astype(real, copy=False), rows, chars, 1, length, target)


def reverse_complement(
    seq: Any,
    *,
    alphabet: str = "ACGT",
    layout: str | None = None,
    out: Array | None = None,
    threads: int | None = 1,
) -> Any:
    """The other strand of bases or of one-hot rows.

    Parameters
    ----------
    seq : str, bytes, bytearray, or array
        Bases as S1 or uint8 of shape (..., L); or, with `layout`, one-hot rows (..., L, A) or (..., A, L) of any dtype.
    alphabet : str
        "ACGT", or "ACGU" for RNA; in any order for one-hot rows.
    layout : {"last", "first"}, optional
        Where the channels of one-hot rows are; without it `seq` holds bases.
    out : ndarray, optional
        Where to write, of seq's shape and dtype; for arrays only.
    threads : int or None
        Threads to use; None means all this process may.

    Returns
    -------
    str, bytes or ndarray
        Of the type given (bytes for what is no array). Case is kept; IUPAC codes have complements too; other characters,
        and further channels, stay what they are.

    Raises
    ------
    InputError
        For an alphabet without complements, or one-hot rows with fewer channels than it has letters.

    References
    ----------
    Cornish-Bowden, "Nomenclature for incompletely specified bases in nucleic acid sequences", 1985.

    Examples
    --------
    >>> import fastdl
    >>> fastdl.reverse_complement("AACgn")
    'ncGTT'
    >>> fastdl.reverse_complement(fastdl.one_hot("AC"), layout="last").tolist()
    [[0, 0, 1, 0], [0, 0, 0, 1]]
    """
    tables.complementary(alphabet)
    if layout is not None:
        return _other_rows(seq, alphabet, _check.one_of("layout", layout, tables.LAYOUTS), out, threads)
    if isinstance(seq, (list, tuple)):
        raise _check.InputTypeError("seq must be one sequence or an array, got a list; call for each of its sequences")
    x, is_array = one(seq), hasattr(seq, "dtype")
    dtype = np.dtype("S1") if is_array and np.asarray(seq).dtype.kind == "S" else _BYTE
    result = _check.out("out", out, x.shape, dtype, x)
    other, target = reference.complement(alphabet), result.view(_BYTE)
    if kernel is None:
        target[...] = other[x[..., ::-1]]
    elif x.size:
        length = x.shape[-1]
        for source, goal in zip(x.reshape(-1, length), target.reshape(-1, length)):
            _turn(source, other, goal, threads)
    if isinstance(seq, str):
        return target.tobytes().decode("ascii")
    return result if is_array or out is not None else target.tobytes()


def _turn(x: Array, other: Array, out: Array, threads: int | None) -> None:
    n = len(x)
    split(n, threads, lambda s: kernel.reverse_complement(x[n - s.stop : n - s.start], other, out[s]), _BLOCK)


def _other_rows(seq: Any, alphabet: str, layout: str, out: Array | None, threads: int | None) -> Array:
    x = _check.array("seq", seq, ("b", "i", "u", "f"))
    axis = -1 if layout == "last" else -2
    if x.ndim < 2 or x.shape[axis] < 4:
        raise _check.InputError(f"seq must have 4 channels or more on axis {axis}, got shape {x.shape}")
    result = _check.out("out", out, x.shape, x.dtype, x)
    mirrored = x.shape[-1] == 4 and alphabet.upper() in (DNA, RNA)
    if kernel is None or layout == "first" or x.itemsize != 1 or not mirrored or not x.size:
        result[...] = reference.reverse_complement(x, alphabet=alphabet, layout=layout)
        return result
    width = 4 * x.shape[-2]
    for source, goal in zip(x.view(_BYTE).reshape(-1, width), result.view(_BYTE).reshape(-1, width)):
        kernel.turn_4(source, goal)
    return result


def kmer_index(
    seq: Any, k: int, *, canonical: bool = False, out: Array | None = None, threads: int | None = 1
) -> Array:
    """Number every k-mer of a sequence: its bases as digits of base 4, the first the highest, A, C, G, T = 0..3.

    Parameters
    ----------
    seq : str, bytes, bytearray, memoryview, or array of S1 or uint8 of shape (..., L)
        Bases in either case.
    k : int
        1 to 31.
    canonical : bool
        Whether to take the smaller number of a k-mer and of its reverse complement, so that both strands count as one.
    out : ndarray, optional
        Where to write.
    threads : int or None
        Threads to use; None means all this process may.

    Returns
    -------
    ndarray of int32 (k <= 15) or int64, shape (..., max(L - k + 1, 0))
        Numbers below 4^k; -1 where a k-mer holds another letter than A, C, G or T.

    Raises
    ------
    InputError
        For k out of range.

    Examples
    --------
    >>> import fastdl
    >>> fastdl.kmer_index("ACGNAC", 2)
    array([ 1,  6, -1, -1,  1], dtype=int32)
    """
    k = _check.integer("k", k, 1, 31)
    if isinstance(seq, (list, tuple)):
        raise _check.InputTypeError("seq must be one sequence or an array, got a list; call for each of its sequences")
    x = one(seq)
    n = max(x.shape[-1] - k + 1, 0)
    result = _check.out("out", out, (*x.shape[:-1], n), np.int32 if k <= 15 else np.int64, x)
    if kernel is None:
        result[...] = reference.kmer_index(x, k, canonical=canonical)
    elif result.size:
        for source, goal in zip(x.reshape(-1, x.shape[-1]), result.reshape(-1, n)):
            _number(source, k, bool(canonical), goal, threads)
    return result


_CODE = np.full(256, 4, np.uint8)
_CODE[list(b"ACGTacgt")] = [0, 1, 2, 3] * 2


def _number(x: Array, k: int, canonical: bool, out: Array, threads: int | None) -> None:
    split(
        len(out),
        threads,
        lambda s: kernel.kmer_index(x[s.start : s.stop + k - 1], _CODE, k, canonical, out[s]),
        _BLOCK,
    )
