"""Sequences in whatever form they are given, as bytes: one array of letters, or many end to end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastdl import _check
from fastdl._typing import Array, ArrayLike

_BYTE = np.dtype(np.uint8)
_FIRST_PRINTED = 32  # of ASCII: smaller numbers are no letters


def letters_and_offsets(seq: ArrayLike, name: str = "seq") -> tuple[Array, Array | None]:
    """(bytes, None): uint8 of the shape given, letters on the last axis; or (bytes end to end, offsets) of a list."""
    if type(seq) is str or type(seq) is bytes or (type(seq) is np.ndarray and seq.dtype == _BYTE):
        return as_letters(seq, name), None
    if isinstance(seq, np.ndarray) and seq.dtype.kind in "US" and seq.dtype.itemsize != 1:
        if seq.ndim > 1:
            raise _check.InputError(f"{name} of strings must have 1 dimension, got shape {seq.shape}")
        return (as_letters(seq.item(), name), None) if seq.ndim == 0 else _join(seq.tolist(), name)
    if not (type(seq) is np.ndarray and seq.dtype.kind in "uS"):
        texts = _check.texts(name, seq)
        if texts is not None:
            return _join(texts, name)
    if isinstance(seq, (list, tuple)):
        return _join(seq, name)
    return as_letters(seq, name), None


def as_letters(seq: ArrayLike, name: str = "seq") -> Array:
    """One sequence, or an array of them, as uint8; a copy only of a str and of what is not contiguous."""
    if isinstance(seq, str):
        return np.frombuffer(_ascii(seq, name), _BYTE)
    if isinstance(seq, (bytes, bytearray)):
        return np.frombuffer(seq, _BYTE)
    if type(seq) is np.ndarray and seq.dtype == _BYTE and seq.flags.c_contiguous and seq.ndim:
        return _no_numbers(seq, name)
    x = _check.asarray(name, seq)
    if x.dtype.kind in "SU" and x.dtype.itemsize != 1:
        raise _check.InputTypeError(f"{name} must hold single letters (S1) or uint8, got {x.dtype}")
    if x.size == 0 and x.dtype.kind == "f" and not isinstance(seq, np.ndarray):
        x = x.astype(_BYTE)
    _check.dtype(name, x.dtype, (_BYTE, "S"))
    if x.ndim == 0:
        x = x.reshape(1)
    letters = np.ascontiguousarray(x).view(_BYTE)
    return _no_numbers(letters, name) if x.dtype == _BYTE else letters


def _no_numbers(x: Array, name: str) -> Array:
    """`x`, unless all of it are small numbers, as of classes or tokens: they are no letters."""
    if x.size > 1 and x.item(0) < _FIRST_PRINTED and x.max() < _FIRST_PRINTED:
        raise _check.InputError(
            f"{name} holds numbers {x.min()} to {x.max()}, not letters in ASCII; where they number the letters of an "
            f"alphabet, np.frombuffer(b'ACGT', np.uint8)[{name}] are the letters"
        )
    return x


def _ascii(seq: str, name: str) -> bytes:
    try:
        return seq.encode("ascii")
    except UnicodeEncodeError as error:
        letter = seq[error.start]
        raise _check.InputError(f"{name} must be ASCII, got {letter!r} at index {error.start}") from None


def _join(seqs: Sequence[Any], name: str) -> tuple[Array, Array]:
    if all(isinstance(s, str) for s in seqs):
        text = "".join(seqs)
        if not text.isascii():
            which = next(i for i, s in enumerate(seqs) if not s.isascii())
            _ascii(seqs[which], f"{name}[{which}]")
        data, lengths = np.frombuffer(text.encode("ascii"), _BYTE), [len(s) for s in seqs]
    else:
        if any(isinstance(s, (int, float)) for s in seqs):
            raise _check.InputTypeError(f"{name} must be a list of str, bytes or arrays, got one of numbers")
        parts = [as_letters(s, f"{name}[{i}]") for i, s in enumerate(seqs)]
        for i, part in enumerate(parts):
            if part.ndim != 1:
                raise _check.InputError(f"{name}[{i}] must have 1 dimension, got shape {part.shape}")
        data, lengths = np.concatenate(parts), [len(p) for p in parts]
    return data, offsets_of(lengths)


def offsets_of(lengths: Sequence[int] | Array) -> Array:
    """Where sequences of these lengths begin end to end, and the end: int64, one more than the lengths."""
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def check_offsets(given: ArrayLike, size: int) -> Array:
    """Where each of the sequences in `size` bytes begins, and the end: checked."""
    at = _check.array("offsets", given, ("i", "u"), 1)
    # Compared, not subtracted: a difference of integers may wrap.
    if len(at) == 0 or at[0] < 0 or at[-1] > size or (at[1:] < at[:-1]).any():
        raise _check.InputError(f"offsets must rise from 0 or more to at most {size}, the number of letters")
    return at.astype(np.int64)
