"""The other strand, of letters and of one-hot rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastdl import _check, _kernels
from fastdl._threads import ONE, split, valid
from fastdl._typing import Array, ArrayLike
from fastdl.reference import _sequence_kernels as reference
from fastdl.reference.sequences import reverse_complement as reference_reverse_complement
from fastdl.sequences import _settings
from fastdl.sequences._letters import as_letters

kernel = _kernels.load("sequences_bases") or reference

_BLOCK = 1 << 18  # letters of a block
_BYTE = np.dtype(np.uint8)
_DNA, _T = "ACGT", ord("T")  # the default, and what A becomes in it


def reverse_complement(
    seq: ArrayLike,
    *,
    alphabet: str = "ACGT",
    layout: str | None = None,
    out: Array | None = None,
    threads: int | None = 1,
) -> Any:
    """The other strand of bases or of one-hot rows.

    Parameters
    ----------
    seq : str, bytes, bytearray, array, or a list of str or bytes (text in any container, a list comes back)
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
    if alphabet is _DNA and layout is None and out is None and (threads is ONE or valid(threads)):
        few = kernel.small_complement(seq, _T)
        if few is not None:
            return few
    _settings.check_complementary(alphabet)
    if layout is not None:
        return _reverse_rows(seq, alphabet, _check.one_of("layout", layout, _settings.LAYOUTS), out, threads)
    texts = _check.texts("seq", seq) if not isinstance(seq, (str, bytes, bytearray)) else None
    if texts is not None and not (isinstance(seq, np.ndarray) and seq.dtype.kind == "S" and seq.dtype.itemsize == 1):
        if out is not None:
            raise _check.InputError("out is for one sequence or an array of letters, got a list of sequences")
        return [reverse_complement(each, alphabet=alphabet, threads=threads) for each in texts]
    if isinstance(seq, (list, tuple)):
        raise _check.InputTypeError(
            "seq must be one sequence, an array, or a list of str or bytes, got a list of others"
        )
    x, is_array = as_letters(seq), hasattr(seq, "dtype")
    dtype = np.dtype("S1") if is_array and np.asarray(seq).dtype.kind == "S" else _BYTE
    result = _check.out("out", out, x.shape, dtype, x)
    target = result.view(_BYTE)
    if x.size:
        length, t = x.shape[-1], ord("U" if "U" in alphabet.upper() else "T")
        for source, goal in zip(x.reshape(-1, length), target.reshape(-1, length)):
            _reverse(source, t, goal, threads)
    if isinstance(seq, str):
        return target.tobytes().decode("ascii")
    return result if is_array or out is not None else target.tobytes()


def _reverse(x: Array, t: int, out: Array, threads: int | None) -> None:
    n = len(x)
    split(n, threads, lambda s: kernel.complement_letters(x[n - s.stop : n - s.start], t, out[s]), _BLOCK)


def _reverse_rows(seq: ArrayLike, alphabet: str, layout: str, out: Array | None, threads: int | None) -> Array:
    x = _check.array("seq", seq, ("b", "i", "u", "f"))
    axis = -1 if layout == "last" else -2
    if x.ndim < 2 or x.shape[axis] < 4:
        raise _check.InputError(f"seq must have 4 channels or more on axis {axis}, got shape {x.shape}")
    result = _check.out("out", out, x.shape, x.dtype, x)
    mirrored = x.shape[-1] == 4 and alphabet.upper() in ("ACGT", "ACGU")
    if layout == "first" or x.itemsize != 1 or not mirrored or not x.size:
        # Two reversed axes of a copy run at memory speed in NumPy too; only rows of four bytes do not.
        result[...] = reference_reverse_complement(x, alphabet=alphabet, layout=layout)
        return result
    width = 4 * x.shape[-2]
    for source, goal in zip(x.view(_BYTE).reshape(-1, width), result.view(_BYTE).reshape(-1, width)):
        kernel.complement_rows_of_4(source, goal)
    return result
