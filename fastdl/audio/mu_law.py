"""Audio samples to mu-law or A-law codes, and back.

The encoders read integers or floats of any layout. Integers are fractions of their full scale: intN / 2^(N-1), unsigned
ones around their middle; floats are samples of [-1, 1].
"""

from __future__ import annotations

from typing import Any, Literal, overload

import numpy as np

from fastdl import _check, _kernels
from fastdl._threads import count, split
from fastdl.audio import _tables as tables
from fastdl.reference import audio as reference

Array = np.ndarray
kernel = _kernels.load("audio")

MU_LAW_DIALECTS = ("wavenet", "librosa", "nnmnkwii")
G711_DIALECTS = ("itu", "sun", "libsndfile", "ffmpeg")
LAWS = ("mu", "a")

_BLOCK = 1 << 19  # samples: large enough to hide the cost of a turn, small enough for an even split
_INT16, _UINT8, _UINT16 = np.dtype(np.int16), np.dtype(np.uint8), np.dtype(np.uint16)
_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


@overload
def mu_law_encode(
    x: Any,
    quantization_channels: int = 256,
    *,
    dialect: str = "wavenet",
    nan: int | None = None,
    return_clipped: Literal[False] = False,
    out: Array | None = None,
    threads: int | None = 1,
) -> Array: ...
@overload
def mu_law_encode(
    x: Any,
    quantization_channels: int = 256,
    *,
    dialect: str = "wavenet",
    nan: int | None = None,
    return_clipped: Literal[True],
    out: Array | None = None,
    threads: int | None = 1,
) -> tuple[Array, int]: ...
def mu_law_encode(
    x: Any,
    quantization_channels: int = 256,
    *,
    dialect: str = "wavenet",
    nan: int | None = None,
    return_clipped: bool = False,
    out: Array | None = None,
    threads: int | None = 1,
) -> Array | tuple[Array, int]:
    """Quantize audio to the mu-law classes of WaveNet.

    With mu = Q - 1 and ``y = sign(x) log1p(mu |x|) / log1p(mu)``, the class is ``trunc((y + 1) / 2 * mu + 0.5)`` in
    the dialect "wavenet"; the others round differently.

    Parameters
    ----------
    x : array_like, any shape
        int16 as fractions of 32768; other integers as fractions of their full scale (intN / 2^(N-1), unsigned ones
        around their middle); floats as samples of [-1, 1], clipped to it.
    quantization_channels : int
        Q, the number of classes, 2 to 65536.
    dialect : {"wavenet", "librosa", "nnmnkwii"}
        "wavenet" is the formula of the paper's implementations and of torchaudio; "librosa" takes the ceiling (its
        classes here start at 0); "nnmnkwii" the floor.
    nan : int, optional
        The class of a NaN; by default a NaN is an error.
    return_clipped : bool
        Whether to return also how many floats were outside [-1, 1].
    out : ndarray, optional
        Where to write: uint8 for Q <= 256, else uint16, of x's shape.
    threads : int or None
        Threads to use; None means all this process may.

    Returns
    -------
    ndarray of uint8 or uint16
        The classes, or (classes, count) with `return_clipped`.

    Raises
    ------
    InputError
        For a NaN without `nan`, Q out of range, an unknown dialect or an `out` that does not fit.
    InputTypeError
        For samples that are neither integers nor floats.

    See Also
    --------
    mu_law_decode : the way back.

    References
    ----------
    van den Oord et al., "WaveNet: a generative model for raw audio", 2016, section 2.2.

    Examples
    --------
    >>> import numpy as np, fastdl
    >>> fastdl.mu_law_encode(np.array([-32768, -1, 0, 1000, 32767], np.int16))
    array([  0, 127, 128, 177, 255], dtype=uint8)
    """
    threads, samples = count(threads), _samples(x)
    q = _channels(quantization_channels, dialect)
    result = _check.out("out", out, samples.shape, _UINT8 if q <= 256 else _UINT16, x)
    if nan is not None:
        nan = _check.integer("nan", nan, 0, q - 1)
    flat, codes, clipped = samples.reshape(-1), result.reshape(-1), 0
    if samples.dtype == _INT16:
        _encode_int16(flat, q, dialect, codes, threads)
    else:
        clipped = _encode_floats(flat, q, dialect, nan, codes, threads)
    return (result, clipped) if return_clipped else result


def _encode_int16(x: Array, q: int, dialect: str, codes: Array, threads: int) -> None:
    if kernel is None:
        codes[:] = tables.of_int16(q, dialect)[x.view(_UINT16)]
    elif q == 256 and dialect == "wavenet":
        split(len(x), threads, lambda s: kernel.mu_law_encode_256(x[s], codes[s]), _BLOCK)
    else:
        _by_table(x, tables.of_int16(q, dialect), codes, threads)


def _by_table(x: Array, table: Array, codes: Array, threads: int) -> None:
    bits = x.view(_UINT16)
    split(len(x), threads, lambda s: kernel.encode_by_table(bits[s], table, codes[s]), _BLOCK)


def _encode_floats(x: Array, q: int, dialect: str, nan: int | None, codes: Array, threads: int) -> int:
    """Fill `codes`; the number of samples that were clipped."""
    if kernel is None:
        missing = np.isnan(x)
        clipped, nans = int((np.abs(x) > 1).sum()), int(missing.sum())
        codes[:] = np.where(missing, nan or 0, reference.mu_law_encode(np.where(missing, 0, x), q, dialect=dialect))
    else:
        base, edge, first, shift = tables.of_float(q, dialect, x.dtype.name)
        counts = split(
            len(x),
            threads,
            lambda s: kernel.encode_by_edges(x[s], base, edge, first, shift, nan or 0, codes[s]),
            _BLOCK,
        )
        clipped, nans = (sum(c) for c in zip(*counts)) if counts else (0, 0)
    if nans and nan is None:
        raise InputNaN(nans, x)
    return clipped


def mu_law_decode(
    codes: Any,
    quantization_channels: int = 256,
    *,
    dialect: str = "wavenet",
    dtype: Any = np.float32,
    out: Array | None = None,
    threads: int | None = 1,
) -> Array:
    """Samples of mu-law classes: the inverse of `mu_law_encode`, at the middle of each class.

    Parameters
    ----------
    codes : array_like of integers, any shape
        Classes 0 to Q - 1.
    quantization_channels : int
        Q, 2 to 65536.
    dialect : {"wavenet", "librosa", "nnmnkwii"}
        The dialect they were encoded in.
    dtype : float32, float64 or int16
        Floats lie in [-1, 1]; int16 is the float times 32768, rounded, and clipped to 32767.
    out : ndarray, optional
        Where to write, of `dtype` and codes' shape.
    threads : int or None
        Threads to use; None means all this process may.

    Returns
    -------
    ndarray
        The samples. In the dialect "wavenet", encoding them gives the codes back.

    Raises
    ------
    InputError
        For a code outside 0..Q-1.

    Examples
    --------
    >>> import fastdl
    >>> fastdl.mu_law_decode([0, 128, 255], dtype="int16")
    array([-32768,      3,  32767], dtype=int16)
    """
    q = _channels(quantization_channels, dialect)
    dtype = np.dtype(dtype)
    _check.dtype("dtype", dtype, (*_FLOATS, _INT16))
    return _decode(codes, q, tables.of_code(q, dialect, dtype.name), out, threads)


def _decode(codes: Any, q: int, table: Array, out: Array | None, threads: int | None) -> Array:
    threads = count(threads)
    given = _check.array("codes", codes, ("u", "i")) if np.size(codes) else np.empty(np.shape(codes), _UINT8)
    narrow = _UINT8 if q <= 256 else _UINT16
    if given.size and not (given.dtype == narrow and q == len(table)):
        low, high = given.min(), given.max()
        if low < 0 or high >= q:
            raise _check.InputError(f"codes must be between 0 and {q - 1}, got {low if low < 0 else high}")
    result = _check.out("out", out, given.shape, table.dtype, codes)
    codes, flat = given.astype(narrow, copy=False).reshape(-1), result.reshape(-1)
    if kernel is None:
        flat[:] = table[codes]
    else:
        size = f"u{table.dtype.itemsize}"
        bits, values = flat.view(size), table.view(size)
        split(len(codes), threads, lambda s: kernel.decode(codes[s], values, bits[s]), _BLOCK)
    return result


def g711_encode(
    x: Any,
    law: str = "mu",
    *,
    dialect: str = "itu",
    out: Array | None = None,
    threads: int | None = 1,
) -> Array:
    """Encode audio as G.711 mu-law or A-law bytes.

    Parameters
    ----------
    x : array_like, any shape
        int16; other integers count by their upper 16 bits, floats of [-1, 1] times 32768, rounded and clipped.
    law : {"mu", "a"}
        North American and Japanese mu-law, or European A-law.
    dialect : {"itu", "sun", "libsndfile", "ffmpeg"}
        Encoders in use round differently: "itu" is the reference of ITU-T G.191; "sun" is Sun's g711.c and Python's
        audioop; "libsndfile" and "ffmpeg" are these libraries'. All decode alike.
    out : ndarray of uint8, optional
        Where to write, of x's shape.
    threads : int or None
        Threads to use; None means all this process may.

    Returns
    -------
    ndarray of uint8
        The codes as they stand in a file, bits complemented as the standard says.

    Raises
    ------
    InputError
        For NaN, an unknown law or dialect.

    References
    ----------
    ITU-T Recommendation G.711, 1988; ITU-T G.191, software tools library.

    Examples
    --------
    >>> import numpy as np, fastdl
    >>> [hex(c) for c in fastdl.g711_encode(np.array([-32768, -1, 0, 1000], np.int16))]
    ['0x0', '0x7f', '0xff', '0xce']
    """
    _check.one_of("law", law, LAWS)
    _check.one_of("dialect", dialect, G711_DIALECTS)
    threads = count(threads)
    given = _check.array("x", x, ("i", "u", "f")) if np.size(x) else np.empty(np.shape(x), _INT16)
    result = _check.out("out", out, given.shape, _UINT8, x)
    if given.dtype.kind == "f" and np.isnan(given).any():
        raise InputNaN(int(np.isnan(given).sum()), given.reshape(-1))
    samples = (given if given.dtype == _INT16 else reference.pcm16(given)).reshape(-1)
    codes = result.reshape(-1)
    if kernel is None:
        codes[:] = tables.g711_of_int16(law, dialect)[samples.view(_UINT16)]
        return result
    direct = getattr(kernel, f"g711_encode_{law}_{'itu' if law == 'a' and dialect == 'sun' else dialect}", None)
    if direct is None:
        _by_table(samples, tables.g711_of_int16(law, dialect), codes, threads)
    else:
        split(len(samples), threads, lambda s: direct(samples[s], codes[s]), _BLOCK)
    return result


def g711_decode(codes: Any, law: str = "mu", *, out: Array | None = None, threads: int | None = 1) -> Array:
    """Samples of G.711 mu-law or A-law bytes.

    Parameters
    ----------
    codes : array_like of integers, any shape
        Codes 0 to 255, as they stand in a file.
    law : {"mu", "a"}
        The law they were encoded by; every dialect decodes alike.
    out : ndarray of int16, optional
        Where to write, of codes' shape.
    threads : int or None
        Threads to use; None means all this process may.

    Returns
    -------
    ndarray of int16
        The samples: |x| <= 32124 for mu-law, <= 32256 for A-law.

    Raises
    ------
    InputError
        For a code outside 0..255 or an unknown law.

    Examples
    --------
    >>> import fastdl
    >>> fastdl.g711_decode([0x00, 0xFF, 0xCE])
    array([-32124,      0,    988], dtype=int16)
    """
    _check.one_of("law", law, LAWS)
    return _decode(codes, 256, tables.g711_of_code(law), out, threads)


def _channels(q: Any, dialect: str) -> int:
    _check.one_of("dialect", dialect, MU_LAW_DIALECTS)
    return _check.integer("quantization_channels", q, 2, 65536)


def _samples(x: Any) -> Array:
    """int16, float32 or float64 with the values of x."""
    if type(x) is not np.ndarray and not np.size(x):
        return np.empty(np.shape(x), np.float64)
    x = _check.array("x", x, ("i", "u", "f"))
    if x.dtype == _INT16 or x.dtype in _FLOATS:
        return x
    if x.dtype.kind != "f":
        return reference.pcm16(x) if x.dtype.itemsize <= 2 else reference.unit(x).astype(np.float64)
    return x.astype(np.float32 if x.dtype.itemsize == 2 else np.float64)


class InputNaN(_check.InputError):
    """A NaN where none is allowed."""

    def __init__(self, count: int, x: Array):
        first = int(np.flatnonzero(np.isnan(x))[0])
        super().__init__(
            f"x must not hold NaN (or name a class for it by nan=), got {count}, the first at index {first}"
        )
