"""WAV and its 64-bit kin (RF64, BW64, W64): samples in and out by chunks of frames."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from fastdl import _check
from fastdl.audio.mu_law import g711_decode

_PCM, _FLOAT, _ALAW, _ULAW, _EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
_UNKNOWN = 0xFFFFFFFF
# The GUIDs that W64 has where WAV has a four-letter name, and the tail of the one EXTENSIBLE has for its format tag.
_W64_RIFF = bytes.fromhex("72696666 2e91cf11 a5d628db 04c10000")
_W64_TAIL = bytes.fromhex("f3acd311 8cd100c0 4f8edb8a")
_GUID_TAIL = bytes.fromhex("0000 1000 8000 00aa 0038 9b71")


class Format(NamedTuple):
    """What a frame is."""

    tag: int
    channels: int
    rate: int
    bits: int

    @property
    def width(self) -> int:
        """Bytes of one sample."""
        return (self.bits + 7) // 8


#: (tag, bytes a sample) -> the dtype in the file; 24-bit samples have none.
_DTYPES = {
    (_PCM, 1): "u1",
    (_PCM, 2): "i2",
    (_PCM, 3): "u1",
    (_PCM, 4): "i4",
    (_FLOAT, 4): "f4",
    (_FLOAT, 8): "f8",
    (_ALAW, 1): "u1",
    (_ULAW, 1): "u1",
}


class WavReader:
    """The samples of a WAV, RF64, BW64 or W64 file.

    Attributes
    ----------
    rate, channels, frames : int
    offset, size : int
        Where the samples stand in the file, in bytes.
    """

    def __init__(self, path: str | Path):
        self.path = _check.existing(path)
        self.total = self.path.stat().st_size
        with open(self.path, "rb") as file:
            self.format, self.order, self.offset, size = self._parse(file)
        self.rate, self.channels = self.format.rate, self.format.channels
        there = self.total - self.offset
        # A writer that could not seek back leaves 0 or all ones: the samples go on to the end of the file.
        self.size = there if size in (0, _UNKNOWN, (1 << 64) - 1) else size
        if self.size > there:
            problem = f"truncated: {self.size} bytes of samples announced, {there} there"
            raise _check.FileError(self.path, problem, self.total)
        frame = self.format.width * self.channels
        if self.size % frame:
            problem = f"truncated: the samples end within a frame of {frame} bytes"
            raise _check.FileError(self.path, problem, self.offset + self.size)
        self.frames = self.size // frame

    def _parse(self, file: IO[bytes]) -> tuple[Format, str, int, int]:
        """The format, the byte order, and where the samples start and how many bytes they are said to be."""
        head = file.read(16)
        if head == _W64_RIFF:
            return self._chunks(file, "<", 40, wide=True)
        order = {b"RIFF": "<", b"RF64": "<", b"BW64": "<", b"RIFX": ">"}.get(head[:4])
        if order is None or head[8:12] != b"WAVE":
            raise _check.FileError(self.path, "not a WAV file: it starts with neither RIFF, RF64, BW64 nor W64", 0)
        return self._chunks(file, order, 12, wide=False)

    def _chunks(self, file: IO[bytes], order: str, at: int, *, wide: bool) -> tuple[Format, str, int, int]:
        """Walk the chunks up to the samples. W64: GUIDs, 64-bit sizes that count the header, 8-byte alignment."""
        head, align = (24, 8) if wide else (8, 2)
        form, size64 = None, None
        while True:
            file.seek(at)
            raw = file.read(head)
            if len(raw) < head:
                raise _check.FileError(self.path, "truncated: the file ends before its samples (no data chunk)", at)
            name = raw[:4]
            if wide and raw[4:16] != _W64_TAIL:
                name = b"????"
            size = struct.unpack("<Q", raw[16:])[0] - head if wide else struct.unpack(order + "I", raw[4:])[0]
            if size < 0 and name == b"data":
                size = 0
            if size < 0:
                raise _check.FileError(self.path, f"chunk {name!r} has an impossible size", at)
            at += head
            if name == b"fmt ":
                form = self._read_format(file.read(min(size, 40)), order, at)
            elif name == b"ds64":
                size64 = self._unpack("<QQ", file.read(16), at)[1]
            elif name == b"data":
                if form is None:
                    raise _check.FileError(self.path, "the samples come before their format (no fmt chunk)", at)
                return form, order, at, size64 if size == _UNKNOWN and size64 is not None else size
            at += -(-size // align) * align

    def _read_format(self, raw: bytes, order: str, at: int) -> Format:
        tag, channels, rate, _, _, bits = self._unpack(order + "HHIIHH", raw[:16], at)
        if tag == _EXTENSIBLE:
            if len(raw) < 40 or raw[28:40] != _GUID_TAIL:
                raise _check.FileError(self.path, "WAVE_FORMAT_EXTENSIBLE of an unknown kind", at)
            tag = struct.unpack(order + "I" if order == "<" else "<I", raw[24:28])[0]
        form = Format(tag, channels, rate, bits)
        if channels == 0 or rate == 0:
            raise _check.FileError(self.path, f"{channels} channels at {rate} Hz cannot be", at)
        if (tag, form.width) not in _DTYPES:
            raise _check.FileError(self.path, f"samples of format {tag:#x} with {bits} bits are not read", at)
        return form

    def _unpack(self, layout: str, raw: bytes, at: int) -> tuple:
        if len(raw) < struct.calcsize(layout):
            raise _check.FileError(self.path, "truncated within a header", at + len(raw))
        return struct.unpack(layout, raw)

    def chunks(self, frames: int) -> Iterator[np.ndarray]:
        """Samples of at most `frames` frames, in order: (n,) mono or (n, channels).

        As in the file: uint8, int16, int32 (24-bit samples in the upper bits), float32, float64; G.711 decoded.
        """
        form = self.format
        dtype = np.dtype(self.order + _DTYPES[form.tag, form.width])
        per_frame = self.channels * form.width // dtype.itemsize
        with open(self.path, "rb", buffering=0) as file:
            file.seek(self.offset)
            for start in range(0, self.frames, frames):
                n = min(frames, self.frames - start)
                x = np.fromfile(file, dtype, n * per_frame)
                if len(x) < n * per_frame:
                    raise _check.FileError(self.path, "became shorter while it was read", self.offset + x.nbytes)
                x = self._widen(x)
                yield x if self.channels == 1 else x.reshape(n, self.channels)

    def _widen(self, x: np.ndarray) -> np.ndarray:
        tag, width = self.format.tag, self.format.width
        if tag in (_ULAW, _ALAW):
            return g711_decode(x, "mu" if tag == _ULAW else "a")
        if width == 3:
            four = np.zeros((len(x) // 3, 4), np.uint8)
            if self.order == "<":
                four[:, 1:] = x.reshape(-1, 3)
            else:
                four[:, :3] = x.reshape(-1, 3)
            return four.reshape(-1).view(self.order + "i4")
        return x


#: What WavWriter writes: name -> (format tag, dtype).
ENCODINGS = {
    "pcm16": (_PCM, np.int16),
    "float32": (_FLOAT, np.float32),
    "mu": (_ULAW, np.uint8),
    "a": (_ALAW, np.uint8),
}


class WavWriter:
    """Writes a WAV file in chunks of frames; above 4 GiB it becomes an RF64 file."""

    def __init__(self, file: IO[bytes], rate: int, channels: int, encoding: str = "pcm16"):
        self.file, self.rate, self.channels = file, rate, channels
        self.tag, dtype = ENCODINGS[_check.one_of("encoding", encoding, tuple(ENCODINGS))]
        self.dtype = np.dtype(dtype).newbyteorder("<")
        self.size = 0
        file.write(self._header())

    def _header(self) -> bytes:
        frame = self.channels * self.dtype.itemsize
        fmt = struct.pack(
            "<HHIIHHH", self.tag, self.channels, self.rate, self.rate * frame, frame, 8 * self.dtype.itemsize, 0
        )
        frames = self.size // frame
        fact = struct.pack("<4sII", b"fact", 4, min(frames, _UNKNOWN))
        size = 4 + 36 + 8 + len(fmt) + len(fact) + 8 + self.size + self.size % 2
        if size < _UNKNOWN:
            # Room for what RF64 needs is kept as padding, so that the samples never have to move.
            start = struct.pack("<4sI4s4sI28x", b"RIFF", size, b"WAVE", b"JUNK", 28)
            data = self.size
        else:
            start = struct.pack("<4sI4s4sIQQQI", b"RF64", _UNKNOWN, b"WAVE", b"ds64", 28, size, self.size, frames, 0)
            data = _UNKNOWN
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
