"""Samples without a header, whose format the user gives: `s16le,8000,1`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fastdl import _check
from fastdl._typing import Array
from fastdl.audio.mu_law import g711_decode
from fastdl.errors import FileError, InputError
from fastdl.files.audio._recording import Recording, read_values, unpack_24

#: The encodings of samples without a header, by the names of ffmpeg and SoX, and their dtypes.
ENCODINGS = {
    "s8": "i1",
    "u8": "u1",
    "s16le": "<i2",
    "s16be": ">i2",
    "s24le": "u1",
    "s24be": "u1",
    "s32le": "<i4",
    "s32be": ">i4",
    "f32le": "<f4",
    "f32be": ">f4",
    "f64le": "<f8",
    "f64be": ">f8",
    "mulaw": "u1",
    "alaw": "u1",
}
#: The format of files with these endings: G.711, one channel at the 8 kHz of telephone lines.
BY_SUFFIX = {".ul": "mulaw,8000,1", ".al": "alaw,8000,1"}


class RawReader(Recording):
    """The samples of a file without a header.

    Parameters
    ----------
    path : path
    layout : str
        "ENCODING,RATE,CHANNELS", such as "s16le,8000,1".
    """

    def __init__(self, path: str | Path, layout: str):
        self.path = _check.existing(path)
        self.encoding, self.rate, self.channels = parse_layout(layout)
        self.dtype = np.dtype(ENCODINGS[self.encoding])
        self.notes = []
        self._width = 3 if self.encoding.startswith("s24") else self.dtype.itemsize
        self._frame = self._width * self.channels
        size = self.path.stat().st_size
        if size % self._frame:
            raise FileError(self.path, f"truncated: ends within a frame of {self._frame} bytes ({layout})", size)
        self.frames = size // self._frame
        if self.channels == 1 and self._width == self.dtype.itemsize and self.encoding not in ("mulaw", "alaw"):
            self.plain = self.dtype

    def read(self, start: int = 0, frames: int | None = None) -> Array:
        """Samples of `frames` frames (by default all) from frame `start` on: (n,) mono or (n, channels)."""
        start, stop = self._span(start, frames)
        count = (stop - start) * self._frame // self.dtype.itemsize
        x = read_values(self.path, self.dtype, start * self._frame, count, self.files)
        if self._width == 3:
            x = unpack_24(x, self.encoding.endswith("le"))
        if self.encoding in ("mulaw", "alaw"):
            x = g711_decode(x, "mu" if self.encoding == "mulaw" else "a")
        return x if self.channels == 1 else x.reshape(-1, self.channels)


def parse_layout(layout: str) -> tuple[str, int, int]:
    """Encoding, rate and channels."""
    encoding, *numbers = layout.split(",")
    if encoding not in ENCODINGS or len(numbers) != 2 or not all(n.isascii() and n.isdigit() for n in numbers):
        raise InputError(
            f"samples without a header are described as ENCODING,RATE,CHANNELS with an encoding of "
            f"{', '.join(ENCODINGS)}, such as s16le,8000,1; got {layout!r}"
        )
    if max(map(len, numbers)) > 10:
        raise InputError(f"rate and channels must have at most 10 digits, got {layout!r}")
    rate, channels = map(int, numbers)
    return encoding, _check.integer("the rate", rate, 1), _check.integer("the channels", channels, 1, 65535)
