"""Recordings at another rate or with one channel, chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np

from fastdl import _check, _kernels
from fastdl._typing import Array
from fastdl.audio.mu_law import InputNaN
from fastdl.files.audio._recording import Recording
from fastdl.reference import audio as reference

kernel = _kernels.load("audio") or reference
_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


class SampleSource(Protocol):
    """An object that yields samples in chunks of frames."""

    path: Path
    rate: int
    channels: int
    frames: int
    notes: list[str]
    dropped: int

    def chunks(self, frames: int) -> Iterator[Array]:
        """Samples of at most `frames` frames."""


def as_floats(x: Array) -> Array:
    """Samples in [-1, 1]: float32 where that is exact or x is float32, else float64."""
    if x.dtype.kind == "f":
        return _check.native(x)
    half = 1 << (8 * x.dtype.itemsize - 1)
    floats: Array = x.astype(np.float32 if x.dtype.itemsize <= 2 else np.float64)
    number = floats.dtype.type
    return (floats - number(half if x.dtype.kind == "u" else 0)) / number(half)


class MonoMix:
    """The mean of a recording's channels."""

    def __init__(self, source: Recording):
        self.path, self.rate, self.channels, self.frames = source.path, source.rate, 1, source.frames
        self.source, self.notes, self.dropped = source, source.notes, source.dropped

    def chunks(self, frames: int) -> Iterator[Array]:
        """Samples of at most `frames` frames."""
        for x in self.source.chunks(frames):
            yield x if x.ndim == 1 else as_floats(x).mean(axis=1)

    def read(self, start: int, frames: int) -> Array:
        """The samples of `frames` frames from frame `start` on."""
        x = self.source.read(start, frames)
        return x if x.ndim == 1 else as_floats(x).mean(axis=1)


class Resampled:
    """A recording at another rate, by soxr's high quality filter as a stream: memory for one chunk."""

    def __init__(self, source: SampleSource, rate: int):
        self._soxr = _check.extra("soxr", "audio", "--rate")
        self.path, self.rate, self.channels = source.path, rate, source.channels
        self.source, self.notes, self.dropped = source, source.notes, source.dropped
        self.frames = -(-source.frames * rate // source.rate)

    def chunks(self, frames: int) -> Iterator[Array]:
        """Samples of about `frames` frames."""
        if self.rate == self.source.rate:
            yield from self.source.chunks(frames)
            return
        stream = self._soxr.ResampleStream(self.source.rate, self.rate, self.channels, dtype="float32")
        empty = np.empty((0,) if self.channels == 1 else (0, self.channels), np.float32)
        for x in self.source.chunks(frames):
            out = stream.resample_chunk(np.ascontiguousarray(as_floats(x), np.float32))
            if len(out):
                yield out
        out = stream.resample_chunk(empty, last=True)
        if len(out):
            yield out


def count_nan(x: Array) -> int:
    """How many samples are NaN."""
    return int(np.isnan(x).sum()) if x.dtype.kind == "f" else 0


def to_samples(x: Array, dtype: str, nan: int | None = None) -> tuple[Array, int]:
    """Samples as int16 or float32, and how many floats were outside [-1, 1] and clipped.

    A NaN is an error, or becomes the int16 sample `nan`.
    """
    clipped = 0
    if x.dtype.kind == "f" and dtype == "int16":
        return _rounded(x if x.dtype in _FLOATS else x.astype(np.float64), nan)
    if x.dtype.kind == "f":
        missing = np.isnan(x)
        if missing.any():
            if nan is None:
                raise InputNaN(int(missing.sum()), int(np.flatnonzero(missing)[0]))
            x = np.where(missing, x.dtype.type(nan / 32768), x)
        clipped = int(np.count_nonzero(np.abs(x) > 1))
    if dtype == "float32":
        return np.clip(as_floats(x), -1, 1).astype(np.float32), clipped
    return (x if x.dtype.str == "<i2" else reference.pcm16(x)), clipped


def _rounded(x: Array, nan: int | None) -> tuple[Array, int]:
    """Floats rounded to int16, and how many were clipped; one pass where none is NaN."""
    out = np.empty(x.shape, np.int16)
    clipped, nans = kernel.round_to_int16(np.ascontiguousarray(x).reshape(-1), out.reshape(-1)) if x.size else (0, 0)
    if nans:
        if nan is None:
            raise InputNaN(nans, int(np.flatnonzero(np.isnan(x))[0]))
        out[np.isnan(x)] = nan
    return out, clipped
