"""Bases: the other strand, and k-mer numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastdl import _check, _kernels
from fastdl._threads import split
from fastdl.reference import bases as reference
from fastdl.sequences import _settings as tables
from fastdl.sequences._letters import one

Array = np.ndarray
kernel = _kernels.load("sequences_bases")

_BLOCK = 1 << 18  # letters of a turn
_BYTE = np.dtype(np.uint8)


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
        Of the type given (bytes for what is no array). Case is kept; IUPAC codes have complements too; other
        characters, and further channels, stay what they are.

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
    target = result.view(_BYTE)
    if kernel is None:
        target[...] = reference.complement(alphabet)[x[..., ::-1]]
    elif x.size:
        length, t = x.shape[-1], ord("U" if "U" in alphabet.upper() else "T")
        for source, goal in zip(x.reshape(-1, length), target.reshape(-1, length)):
            _turn(source, t, goal, threads)
    if isinstance(seq, str):
        return target.tobytes().decode("ascii")
    return result if is_array or out is not None else target.tobytes()


def _turn(x: Array, t: int, out: Array, threads: int | None) -> None:
    n = len(x)
    split(n, threads, lambda s: kernel.reverse_complement(x[n - s.stop : n - s.start], t, out[s]), _BLOCK)


def _other_rows(seq: Any, alphabet: str, layout: str, out: Array | None, threads: int | None) -> Array:
    x = _check.array("seq", seq, ("b", "i", "u", "f"))
    axis = -1 if layout == "last" else -2
    if x.ndim < 2 or x.shape[axis] < 4:
        raise _check.InputError(f"seq must have 4 channels or more on axis {axis}, got shape {x.shape}")
    result = _check.out("out", out, x.shape, x.dtype, x)
    mirrored = x.shape[-1] == 4 and alphabet.upper() in ("ACGT", "ACGU")
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
