"""One-hot rows back to letters."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from fastdl import _check, _kernels
from fastdl._threads import ONE, split, valid
from fastdl._typing import Array, ArrayLike
from fastdl.reference import _sequence_kernels as reference_kernels
from fastdl.reference import sequences as reference
from fastdl.sequences import _settings

kernel = _kernels.load("sequences") or reference_kernels

_BLOCK = 1 << 18  # letters of a block
_BYTE, _S1 = np.dtype(np.uint8), np.dtype("S1")
_DNA, _ZERO, _LAST = "ACGT", "zero", "last"  # the defaults, their letters, and that of rows of zeros
_LETTERS, _N = np.frombuffer(b"ACGT", _BYTE), ord("N")
_MOST_TABULATED = 8  # channels: the kernel's table has a place for each set of them


def one_hot_decode(
    x: ArrayLike,
    *,
    alphabet: str = "ACGT",
    unknown: str = "zero",
    layout: str = "last",
    unknown_char: str | None = None,
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
    unknown_char : str, optional
        One letter that is not in the alphabet: "N" by default, or "X" where N is one of its letters, as for proteins.
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
    usual = alphabet is _DNA and unknown is _ZERO and layout is _LAST and unknown_char is None
    if usual and out is None and (threads is ONE or valid(threads)):
        few = kernel.small_decode(x, _LETTERS, _N, _S1)
        if few is not None:
            return few
    _check.one_of("unknown", unknown, _settings.UNKNOWN)
    _check.one_of("layout", layout, _settings.LAYOUTS)
    _settings.settings(alphabet, unknown=unknown, case="fold", layout=layout)
    unknown_char = _unknown_char(unknown_char, alphabet)
    x = _check.array("x", x, ("b", "i", "u", "f"))
    axis = -1 if layout == "last" else -2
    channels = len(alphabet) + (unknown == "channel")
    if x.ndim < 2 or x.shape[axis] != channels:
        raise _check.InputError(f"x must have {channels} channels on axis {axis}, got shape {x.shape}")
    shape = x.shape[:-1] if layout == "last" else (*x.shape[:-2], x.shape[-1])
    letters = _check.out("out", out, shape, "S1", x)
    if letters.size:
        _decode(x, _choices(alphabet, unknown, unknown_char), layout == "first", unknown, letters.view(_BYTE), threads)
        if letters.view(_BYTE).min() == 0:  # the kernels' sign that a row stands for no letter
            place = tuple(int(i) for i in np.argwhere(letters.view(_BYTE) == 0)[0])
            row = np.swapaxes(x, -1, -2)[place] if layout == "first" else x[place]
            raise _check.InputError(f"x holds no letter at {place}, for unknown={unknown!r}: {row.tolist()}")
    return letters


def _unknown_char(given: str | None, alphabet: str) -> str:
    """The letter for what is unknown: one that no row of the alphabet has."""
    if given is None:
        return next(c for c in "NX?-*." if c not in alphabet.upper())
    if not isinstance(given, str) or len(given) != 1 or not given.isascii():
        raise _check.InputError(f"unknown_char must be one ASCII character, got {given!r}")
    if given in alphabet:
        raise _check.InputError(f"unknown_char must not be a letter of the alphabet {alphabet!r}, got {given!r}")
    return given


def _decode(
    x: Array, choices: tuple[Array, str], first: bool, unknown: str, letters: Array, threads: int | None
) -> None:
    rows, names = choices
    chars = np.frombuffer(names.encode("ascii"), _BYTE)
    zero = 0 if unknown in ("raise", "channel") else int(chars[rows.shape[1]])
    flat, channels, length = letters.reshape(-1), rows.shape[1], x.shape[-1]
    if channels > _MOST_TABULATED and unknown in ("uniform", "n-uniform", "iupac"):
        values = np.swapaxes(x, -1, -2) if first else x
        letters[...] = 0
        for row, name in zip(rows.astype(x.dtype if x.dtype.kind == "f" else float), chars):
            letters[(values == row).all(axis=-1)] = name
        return
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
        if channels <= _MOST_TABULATED:
            kernel.decode(values, rows, chars, _row_of_channels(rows), row, channel, target)
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


def _row_of_channels(rows: Array) -> Array:
    """The row for each set of channels that are not 0; the first for none, which differs from it in a channel."""
    choice = np.zeros(256, np.uint8)
    choice[(rows != 0) @ (1 << np.arange(rows.shape[1]))] = np.arange(len(rows))
    return choice
