"""What the encoders take: samples of any dtype as those that kernels read."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastdl import _check, _kernels
from fastdl._typing import Array, ArrayLike
from fastdl.errors import InputError, InputTypeError
from fastdl.reference import audio as reference

kernel = _kernels.load("audio") or reference

_INT16, _INT32, _UINT8 = np.dtype(np.int16), np.dtype(np.int32), np.dtype(np.uint8)
_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def as_samples(x: ArrayLike, bits: int | None) -> tuple[Array, float]:
    """int16, int32, float32 or float64 with the values of x, and what stands for 1 in an int32."""
    if type(x) is np.ndarray and x.dtype is _INT16 and bits is None and x.flags.carray:
        return x, 1  # no question is left
    if isinstance(x, (bytes, bytearray)):
        x = np.frombuffer(x, _UINT8)
    if bits is not None:
        bits = _check.integer("bits", bits, 2, 32)
    if type(x) is not np.ndarray and not np.size(x):
        return np.empty(np.shape(x), np.float64), 1
    x = _check.array("x", x, ("i", "u", "f"))
    if x.dtype.kind == "f":
        if bits is not None:
            raise InputTypeError(f"bits is for integers, got {x.dtype}")
        return (x if x.dtype in _FLOATS else x.astype(np.float32 if x.dtype.itemsize == 2 else np.float64)), 1
    if bits is not None:
        return _of_bits(x, bits), 2.0 ** (bits - 1)
    if x.dtype.itemsize > 2:
        raise InputTypeError(
            f"x must be int16, int8, uint8, uint16 or floats, got {x.dtype}, which may hold samples of any size: "
            "x.astype(np.int16) for 16-bit samples, bits=24 or bits=32 for larger ones"
        )
    return (x if x.dtype == _INT16 else reference.pcm16(x)), 1


def _of_bits(x: Array, bits: int) -> Array:
    """Integers as int32 within the range of so many bits, unsigned ones around their middle."""
    half = 1 << (bits - 1)
    low, high = (0, 2 * half - 1) if x.dtype.kind == "u" else (-half, half - 1)
    if x.size and not (x.dtype == _INT32 and bits == 32) and (x.min() < low or x.max() > high):
        wrong = x.min() if x.min() < low else x.max()
        raise InputError(f"x must be between {low} and {high} with bits={bits}, got {wrong}")
    if x.dtype.kind == "u":
        return (x.astype(np.int64) - half).astype(_INT32)
    return x.astype(_INT32, copy=False)


class InputNaN(InputError):
    """A NaN where none is allowed."""

    def __init__(self, count: int, first: int):
        self.count, self.first = count, first
        super().__init__(
            f"x must not hold NaN (or name a class for it by nan=), got {count}, the first at index {first}"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return InputNaN, (self.count, self.first)  # an error pickles with its message otherwise


def first_nan(x: Array) -> int:
    """The index of the first NaN."""
    return int(np.flatnonzero(np.isnan(x))[0])


def as_int16(x: Array, full_scale: float) -> tuple[Array, int, Array | None]:
    """What `as_samples` gives as int16, how many floats were outside [-1, 1], and which are NaN, if any."""
    if x.dtype == _INT16:
        return x, 0, None
    if x.dtype == _INT32:
        shift = int(np.log2(full_scale)) - 15
        return (x >> shift if shift > 0 else x << -shift).astype(_INT16), 0, None
    out = np.empty(len(x), _INT16)
    clipped, nans = kernel.round_to_int16(x, out)
    return out, clipped, np.isnan(x) if nans else None
