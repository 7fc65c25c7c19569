"""Audio samples to mu-law or A-law codes, and back.

The encoders read integers or floats of any layout. Integers are fractions of their full scale: intN / 2^(N-1), unsigned
ones around their middle; floats are samples of [-1, 1].
"""

from __future__ import annotations

from typing import Literal, overload

import numpy as np

from fastdl import _check, _kernels
from fastdl._threads import ONE, count, split, split_rows, valid
from fastdl._typing import Array, ArrayLike, DTypeLike
from fastdl.audio import _tables as tables
from fastdl.audio._samples import InputNaN as InputNaN
from fastdl.audio._samples import as_int16, as_samples, first_nan
from fastdl.errors import InputError
from fastdl.reference import audio as reference

kernel = _kernels.load("audio") or reference
small_kernel = _kernels.load("audio_small_calls") or reference

WAVENET, _CLASSES = "wavenet", 256  # the defaults
MU_LAW_DIALECTS = (WAVENET, "librosa", "nnmnkwii", "nsynth")
G711_DIALECTS, LAWS = ("itu", "sun", "libsndfile", "ffmpeg"), ("mu", "a")

_BLOCK = 1 << 19  # samples: large enough to hide the cost of a turn, small enough for an even split
_CACHED = 1 << 15  # samples of a block whose intermediate arrays stay in the second-level cache
_UNCACHED = 1 << 24  # bytes of a result of which next to nothing is still in a cache when it is done
_INT16, _INT32, _UINT8, _UINT16 = np.dtype(np.int16), np.dtype(np.int32), np.dtype(np.uint8), np.dtype(np.uint16)
_UNSIGNED = {size: np.dtype(f"u{size}") for size in (1, 2, 4, 8)}
_FLOATS = np.dtype(np.float32), np.dtype(np.float64)


@overload
def mu_law_encode(
    x: ArrayLike,
    quantization_channels: int = 256,
    *,
    dialect: str = "wavenet",
    bits: int | None = None,
    nan: int | None = None,
    return_clipped: Literal[False] = False,
    out: Array | None = None,
    threads: int | None = 1,
) -> Array: ...
@overload
def mu_law_encode(
    x: ArrayLike,
    quantization_channels: int = 256,
    *,
    dialect: str = "wavenet",
    bits: int | None = None,
    nan: int | None = None,
    return_clipped: Literal[True],
    out: Array | None = None,
    threads: int | None = 1,
) -> tuple[Array, int]: ...
def mu_law_encode(
    x: ArrayLike,
    quantization_channels: int = 256,
    *,
    dialect: str = "wavenet",
    bits: int | None = None,
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
        int16 as fractions of 32768; int8, uint8 and uint16 as fractions of their full scale (unsigned ones around
        their middle); floats as samples of [-1, 1], clipped to it. Integers of 32 bits or more need `bits`: they may
        hold 16-bit samples, which would all but vanish as fractions of 2^31. Bytes are read as uint8.
    quantization_channels : int
        Q, the number of classes, 2 to 65536.
    dialect : {"wavenet", "librosa", "nnmnkwii", "nsynth"}
        "wavenet" is the formula of the paper's implementations and of torchaudio; "librosa" takes the ceiling (its
        classes here start at 0); "nnmnkwii" the floor; "nsynth" (of Magenta) cuts [-1, 1] into Q bins of one width,
        ``floor(y Q / 2) + Q / 2`` and at most Q - 1 (its classes, too, start at 0 here).
    bits : int, optional
        Bits of the samples of integers, 2 to 32: x / 2^(bits - 1). 32 for what `soundfile` reads as int32.
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
        For a NaN without `nan`, Q out of range, an unknown dialect, a sample that `bits` do not hold, or an `out`
        that does not fit.
    InputTypeError
        For samples that are neither integers nor floats, and integers of 32 or 64 bits without `bits`.

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
    usual = bits is None and nan is None and out is None and not return_clipped and (threads is ONE or valid(threads))
    if usual and quantization_channels is _CLASSES and dialect is WAVENET:
        few = small_kernel.small_mu_law_encode_256(x)
        if few is None and type(x) is np.ndarray and x.dtype is _FLOATS[0]:
            few = small_kernel.small_encode_by_edges(x, tables.of_float(_CLASSES, WAVENET, "f"))
        if few is not None:
            return few
    q = _channels(quantization_channels, dialect)
    threads, (samples, full_scale) = count(threads), as_samples(x, bits)
    result = _check.out("out", out, samples.shape, _UINT8 if q <= 256 else _UINT16, x)
    if nan is not None:
        nan = _check.integer("nan", nan, 0, q - 1)
    flat, codes, clipped = samples.ravel(), result.ravel(), 0
    if samples.dtype == _INT16:
        _encode_int16(flat, q, dialect, codes, threads)
    elif samples.dtype == _INT32:
        edges = tables.of_float(q, dialect, "d")
        split(len(flat), threads, lambda s: kernel.encode_int32(flat[s], 1 / full_scale, edges, codes[s]), _BLOCK)
    else:
        clipped = _encode_floats(flat, q, dialect, nan, codes, threads)
    return (result, clipped) if return_clipped else result


def _encode_int16(x: Array, q: int, dialect: str, codes: Array, threads: int) -> None:
    if q == 256 and dialect == "wavenet":
        split_rows(kernel.mu_law_encode_256, (x, codes), threads, _BLOCK)
    else:
        _by_table(x, tables.of_int16(q, dialect), codes, threads)


def _by_table(x: Array, table: Array, codes: Array, threads: int) -> None:
    bits = x.view(_UINT16)
    split_rows(lambda some, to: kernel.encode_by_table(some, table, to), (bits, codes), threads, _BLOCK)


def _encode_floats(x: Array, q: int, dialect: str, nan: int | None, codes: Array, threads: int) -> int:
    """Fill `codes`; the number of samples that were clipped."""
    edges = tables.of_float(q, dialect, x.dtype.char)
    counts = split_rows(lambda some, to: kernel.encode_by_edges(some, edges, nan or 0, to), (x, codes), threads, _BLOCK)
    clipped, nans = sum(c for c, _ in counts), sum(c for _, c in counts)
    if nans and nan is None:
        raise InputNaN(nans, first_nan(x))
    return clipped


def mu_law_decode(
    codes: ArrayLike,
    quantization_channels: int = 256,
    *,
    dialect: str = "wavenet",
    dtype: DTypeLike = np.float32,
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
    dialect : {"wavenet", "librosa", "nnmnkwii", "nsynth"}
        The dialect they were encoded in. "nsynth" decodes at the centres of its bins, ``s = 2 (code + 0.5) / Q - 1``;
        the others at ``s = 2 code / mu - 1`` ("librosa": ``2 (code - Q // 2) / Q``), the first and the last class
        being -1 and 1.
    dtype : float32, float64 or int16
        Floats lie in [-1, 1]; int16 is the float times 32768, rounded, and clipped to 32767.
    out : ndarray, optional
        Where to write, of `dtype` and codes' shape.
    threads : int or None
        Threads to use; None means all this process may.

    Returns
    -------
    ndarray
        The samples. In the dialects "wavenet" and "nsynth", encoding them gives the codes back.

    Raises
    ------
    InputError
        For a code outside 0..Q-1.

    Examples
    --------
    >>> import fastdl
    >>> fastdl.mu_law_decode([0, 128, 255], dtype="int16")
    array([-32768,      3,  32767], dtype=int16)
    >>> fastdl.mu_law_decode([0, 127, 128, 255], dialect="nsynth", dtype="int16")
    array([-32063,     -3,      3,  32063], dtype=int16)
    """
    usual = out is None and (threads is ONE or valid(threads)) and dtype is np.float32
    if usual and quantization_channels is _CLASSES and dialect is WAVENET:
        few = small_kernel.small_decode(codes, tables.of_code(_CLASSES, WAVENET, "f"))
        if few is not None:
            return few
    q = _channels(quantization_channels, dialect)
    dtype = np.dtype(dtype)
    _check.dtype("dtype", dtype, (*_FLOATS, _INT16))
    return _decode(codes, q, tables.of_code(q, dialect, dtype.char), out, threads)


def _decode(codes: ArrayLike, q: int, table: Array, out: Array | None, threads: int | None) -> Array:
    threads = count(threads)
    if isinstance(codes, (bytes, bytearray)):
        codes = np.frombuffer(codes, _UINT8)
    if type(codes) is not np.ndarray and not np.size(codes):
        codes = np.empty(np.shape(codes), _UINT8)
    given = _check.array("codes", codes, ("u", "i"))
    narrow = _UINT8 if q <= 256 else _UINT16
    if given.size and not (given.dtype == narrow and q == len(table)):
        low, high = given.min(), given.max()
        if low < 0 or high >= q:
            raise InputError(f"codes must be between 0 and {q - 1}, got {low if low < 0 else high}")
    result = _check.out("out", out, given.shape, table.dtype, codes)
    narrowed, flat = given.astype(narrow, copy=False).ravel(), result.ravel()
    bits, past = _UNSIGNED[table.itemsize], flat.nbytes >= _UNCACHED
    values = table.view(bits)
    split_rows(lambda some, to: kernel.decode(some, values, to, past), (narrowed, flat.view(bits)), threads, _BLOCK)
    return result


@overload
def g711_encode(
    x: ArrayLike,
    law: str = "mu",
    *,
    dialect: str = "itu",
    bits: int | None = None,
    nan: int | None = None,
    return_clipped: Literal[False] = False,
    out: Array | None = None,
    threads: int | None = 1,
) -> Array: ...
@overload
def g711_encode(
    x: ArrayLike,
    law: str = "mu",
    *,
    dialect: str = "itu",
    bits: int | None = None,
    nan: int | None = None,
    return_clipped: Literal[True],
    out: Array | None = None,
    threads: int | None = 1,
) -> tuple[Array, int]: ...
def g711_encode(
    x: ArrayLike,
    law: str = "mu",
    *,
    dialect: str = "itu",
    bits: int | None = None,
    nan: int | None = None,
    return_clipped: bool = False,
    out: Array | None = None,
    threads: int | None = 1,
) -> Array | tuple[Array, int]:
    """Encode audio as G.711 mu-law or A-law bytes.

    Parameters
    ----------
    x : array_like, any shape
        int16; other integers count by their upper 16 bits (those of 32 bits or more need `bits`), floats of [-1, 1]
        times 32768, rounded and clipped.
    law : {"mu", "a"}
        North American and Japanese mu-law, or European A-law.
    dialect : {"itu", "sun", "libsndfile", "ffmpeg"}
        Encoders in use round differently: "itu" is the reference of ITU-T G.191; "sun" is Sun's g711.c and Python's
        audioop; "libsndfile" and "ffmpeg" are these libraries'. All decode alike.
    bits : int, optional
        Bits of the samples of integers, 2 to 32; see `mu_law_encode`.
    nan : int, optional
        The code of a NaN, 0 to 255; by default a NaN is an error.
    return_clipped : bool
        Whether to return also how many floats were outside [-1, 1].
    out : ndarray of uint8, optional
        Where to write, of x's shape.
    threads : int or None
        Threads to use; None means all this process may.

    Returns
    -------
    ndarray of uint8
        The codes as they stand in a file, bits complemented as the standard says, or (codes, count) with
        `return_clipped`.

    Raises
    ------
    InputError
        For a NaN without `nan`, an unknown law or dialect, a sample that `bits` do not hold.
    InputTypeError
        For integers of 32 or 64 bits without `bits`.

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
    usual = bits is None and nan is None and out is None and not return_clipped and (threads is ONE or valid(threads))
    few = small_kernel.small_g711_encode(x, law == "a", dialect) if usual and type(dialect) is str else None
    if few is not None:
        return few
    _check.one_of("dialect", dialect, G711_DIALECTS)
    threads = count(threads)
    given, full_scale = as_samples(x, bits)
    result = _check.out("out", out, given.shape, _UINT8, x)
    if nan is not None:
        nan = _check.integer("nan", nan, 0, 255)
    flat, codes = given.reshape(-1), result.reshape(-1)
    direct = getattr(kernel, f"g711_encode_{law}_{'itu' if law == 'a' and dialect == 'sun' else dialect}", None)
    table = None if direct is not None else tables.g711_of_int16(law, dialect)

    def encode(block: slice) -> tuple[int, int]:
        samples, clipped, missing = as_int16(flat[block], full_scale)
        if direct is not None:
            direct(samples, codes[block])
        else:
            kernel.encode_by_table(samples.view(_UINT16), table, codes[block])
        if missing is not None:
            codes[block][missing] = nan or 0
        return clipped, 0 if missing is None else int(missing.sum())

    counts = split(len(flat), threads, encode, _BLOCK if given.dtype == _INT16 else _CACHED)
    clipped, nans = sum(c for c, _ in counts), sum(c for _, c in counts)
    if nans and nan is None:
        raise InputNaN(nans, first_nan(flat))
    return (result, clipped) if return_clipped else result


def g711_decode(codes: ArrayLike, law: str = "mu", *, out: Array | None = None, threads: int | None = 1) -> Array:
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
    table = tables.g711_of_code(law)
    few = small_kernel.small_decode(codes, table) if out is None and (threads is ONE or valid(threads)) else None
    return _decode(codes, 256, table, out, threads) if few is None else few


def _channels(q: int, dialect: str) -> int:
    _check.one_of("dialect", dialect, MU_LAW_DIALECTS)
    return _check.integer("quantization_channels", q, 2, 65536)
