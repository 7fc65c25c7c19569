"""WAV files and their 64-bit variants RF64, BW64 and W64, read and written in chunks of frames."""

from __future__ import annotations

import io
import os
import struct
from functools import lru_cache
from pathlib import Path
from typing import IO

import numpy as np

from fastdl import _check
from fastdl.audio.mu_law import g711_decode
from fastdl.errors import FileError, InputError
from fastdl.files.audio._recording import Recording, read_values, unpack_24
from fastdl.files.audio._wav_header import ALAW, DTYPES, FLOAT, PCM, ULAW, UNKNOWN, HeaderParser


class WavReader(Recording):
    """The samples of a WAV, RF64, BW64 or W64 file.

    Parameters
    ----------
    path : path
    allow_truncated : bool
        Whether a file that ends before its announced end is read as far as it goes; `notes` then says so.

    Attributes
    ----------
    rate, channels, frames : int
    offset, size : int
        Where the samples stand in the file, in bytes.
    notes : list of str
        What is wrong with the file and was read all the same.
    dropped : int
        Frames that were announced or begun and are not there.

    Examples
    --------
    >>> import io, numpy as np, os, tempfile
    >>> from fastdl.files import WavReader, WavWriter
    >>> path = os.path.join(tempfile.mkdtemp(), "x.wav")
    >>> with open(path, "wb") as file:
    ...     writer = WavWriter(file, rate=8000, channels=1)
    ...     writer.write(np.arange(100, dtype=np.int16))
    ...     writer.finish()
    >>> WavReader(path)[10:14]
    array([10, 11, 12, 13], dtype=int16)
    """

    _data: bytes | None = None  # the whole file, where `of_bytes` was given it

    def __init__(self, path: str | Path, *, allow_truncated: bool = False):
        path = _check.existing(path)
        with open(path, "rb") as file:
            self._begin(path, file, os.fstat(file.fileno()).st_size, allow_truncated)

    @classmethod
    def of_bytes(cls, path: Path, data: bytes, *, allow_truncated: bool = False) -> WavReader:
        """A reader of a small file whose bytes were read already."""
        reader = cls.__new__(cls)
        reader._begin(path, io.BytesIO(data), len(data), allow_truncated)
        reader._data, reader.plain = data, None
        return reader

    def _begin(self, path: Path, file: IO[bytes], total: int, allow_truncated: bool) -> None:
        self.path, self.total, self.notes, self.dropped = path, total, [], 0
        self.format, self.order, self.offset, announced = HeaderParser(path, file, total).parse()
        self.rate, self.channels = self.format.rate, self.format.channels
        self._frame = self.format.width * self.channels  # bytes
        self.size = self._size(announced, allow_truncated)
        self.frames = self.size // self._frame
        self._dtype = _dtype_of(self.order, self.format.tag, self.format.width)
        if self.channels == 1 and self.format.width != 3 and self.format.tag not in (ULAW, ALAW):
            self.plain = self._dtype

    def _size(self, announced: int | None, allow_truncated: bool) -> int:
        """The bytes of whole frames."""
        there = max(0, self.total - self.offset)
        size = there if announced is None else announced
        if there - size >= 1 << 32 and self.order == "<":
            size += (there - size) >> 32 << 32  # the upper bits, which the header's 32-bit field lost
            self.notes.append(f"{size} bytes of samples, {announced} announced: the size wrapped at 4 GiB")
        if size > there:
            problem = f"{size} bytes of samples announced, {there} there"
            if not allow_truncated:
                raise FileError(self.path, f"truncated: {problem}", self.total)
            self.notes.append(f"truncated: {problem}")
            self.dropped = size // self._frame - there // self._frame
            announced, size = None, there
        cut = size % self._frame
        if cut and announced is not None and not allow_truncated:
            problem = f"truncated: the samples end within a frame of {self._frame} bytes"
            raise FileError(self.path, problem, self.offset + size)
        if cut:
            self.dropped = max(self.dropped, 1)
            self.notes.append(f"the last frame is cut: {cut} of {self._frame} bytes, dropped")
        return size - cut

    def read(self, start: int = 0, frames: int | None = None) -> np.ndarray:
        """Samples of `frames` frames (by default all) from frame `start` on: (n,) mono or (n, channels).

        As in the file: uint8, int16, int32 (24-bit samples in the upper bits), float32, float64; G.711 decoded.
        """
        start, stop = self._span(start, frames)
        dtype = self._dtype
        count = (stop - start) * self._frame // dtype.itemsize
        at = self.offset + start * self._frame
        if self._data is None:
            x = read_values(self.path, dtype, at, count, self.files)
        else:
            x = np.frombuffer(self._data, dtype, count, at).copy() if count else np.empty(0, dtype)
        x = self._widen(x)
        return x if self.channels == 1 else x.reshape(-1, self.channels)

    def _widen(self, x: np.ndarray) -> np.ndarray:
        tag, width = self.format.tag, self.format.width
        if tag in (ULAW, ALAW):
            return g711_decode(x, "mu" if tag == ULAW else "a")
        if width == 3:
            return unpack_24(x, self.order == "<")
        return x


@lru_cache(32)
def _dtype_of(order: str, tag: int, width: int) -> np.dtype:
    """The dtype of the samples in the file."""
    return np.dtype(order + DTYPES[tag, width])


#: The (format tag, dtype) of each encoding that WavWriter writes.
ENCODINGS = {
    "pcm16": (PCM, np.int16),
    "float32": (FLOAT, np.float32),
    "mu": (ULAW, np.uint8),
    "a": (ALAW, np.uint8),
}


class WavWriter:
    """Writes a WAV file in chunks of frames; above 4 GiB it becomes an RF64 file."""

    def __init__(self, file: IO[bytes], rate: int, channels: int, encoding: str = "pcm16"):
        self.file, self.rate, self.channels = file, rate, channels
        self.tag, dtype = ENCODINGS[_check.one_of("encoding", encoding, tuple(ENCODINGS))]
        self.dtype = np.dtype(dtype).newbyteorder("<")
        self.size = 0
        frame = channels * self.dtype.itemsize
        if frame > 0xFFFF or rate * frame > UNKNOWN:
            raise InputError(f"a WAV file has no room in its header for {channels} channels at {rate} Hz as {encoding}")
        file.write(self._header())

    def _header(self) -> bytes:
        frame = self.channels * self.dtype.itemsize
        fmt = struct.pack(
            "<HHIIHHH", self.tag, self.channels, self.rate, self.rate * frame, frame, 8 * self.dtype.itemsize, 0
        )
        frames = self.size // frame
        fact = struct.pack("<4sII", b"fact", 4, min(frames, UNKNOWN))
        size = 4 + 36 + 8 + len(fmt) + len(fact) + 8 + self.size + self.size % 2
        if size < UNKNOWN:
            # Room for what RF64 needs is kept as padding, so that the samples never have to move.
            start = struct.pack("<4sI4s4sI28x", b"RIFF", size, b"WAVE", b"JUNK", 28)
            data = self.size
        else:
            start = struct.pack("<4sI4s4sIQQQI", b"RF64", UNKNOWN, b"WAVE", b"ds64", 28, size, self.size, frames, 0)
            data = UNKNOWN
        return start + struct.pack("<4sI", b"fmt ", len(fmt)) + fmt + fact + struct.pack("<4sI", b"data", data)

    def write(self, x: np.ndarray) -> None:
        """Append samples, (n,) or (n, channels), in the dtype of the encoding."""
        x = np.ascontiguousarray(x, self.dtype)
        self.file.write(x.data.cast("B") if x.size else b"")
        self.size += x.nbytes

    def finish(self) -> None:
        """Pad, and fill in the sizes."""
        if self.size % 2:
            self.file.write(b"\0")
        self.file.seek(0)
        self.file.write(self._header())
