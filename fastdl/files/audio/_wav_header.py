"""The header of WAV, RF64, BW64 and W64 files: the format of a frame, and the place of the samples."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import IO, NamedTuple

from fastdl.errors import FileError

PCM, FLOAT, ALAW, ULAW, EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
UNKNOWN = 0xFFFFFFFF
# W64 names its chunks by GUIDs instead of four letters: that of the file, and the last 12 bytes of the others; and the
# last 12 bytes of the GUID that WAVE_FORMAT_EXTENSIBLE has in place of a format tag.
W64_RIFF = bytes.fromhex("72696666 2e91cf11 a5d628db 04c10000")
W64_TAIL = bytes.fromhex("f3acd311 8cd100c0 4f8edb8a")
GUID_TAIL = bytes.fromhex("0000 1000 8000 00aa 0038 9b71")

#: Names of chunks, by which a chunk that lacks its padding byte (0) is noticed.
_NAMES = (b"fmt ", b"data", b"fact", b"LIST", b"bext", b"cue ", b"JUNK", b"PEAK", b"smpl", b"ds64")

#: The dtype in the file by (format tag, bytes of a sample); 24-bit samples, which NumPy lacks, are read as bytes.
DTYPES = {
    (PCM, 1): "u1",
    (PCM, 2): "i2",
    (PCM, 3): "u1",
    (PCM, 4): "i4",
    (FLOAT, 4): "f4",
    (FLOAT, 8): "f8",
    (ALAW, 1): "u1",
    (ULAW, 1): "u1",
}


class UnreadFormatError(FileError):
    """A WAV file with samples of another kind (ADPCM, GSM, MP3, ...), which soundfile may be able to read."""


class Format(NamedTuple):
    """The format of a frame: `channels` samples of `width` bytes each, of which `bits` are used."""

    tag: int
    channels: int
    rate: int
    bits: int
    width: int


class WavHeader(NamedTuple):
    """The format and place of the samples; `size` is that of the header, None where the writer did not know it."""

    format: Format
    order: str
    offset: int
    size: int | None


class HeaderParser:
    """Walks the chunks of an open file up to its samples."""

    def __init__(self, path: Path, file: IO[bytes], total: int):
        self.path, self.file, self.total = path, file, total
        self.order, self.wide, self.end = "<", False, total

    def parse(self) -> WavHeader:
        """The header."""
        head = self.file.read(16)
        if head == W64_RIFF:
            self.wide = True
            return self._walk(40)
        order = {b"RIFF": "<", b"RF64": "<", b"BW64": "<", b"RIFX": ">"}.get(head[:4])
        if order is None or head[8:12] != b"WAVE":
            raise FileError(self.path, "not a WAV file: it starts with neither RIFF, RF64, BW64 nor W64", 0)
        self.order = order
        self.end = 8 + struct.unpack(order + "I", head[4:8])[0]  # as announced, which may be wrong
        return self._walk(12)

    def _walk(self, at: int) -> WavHeader:
        """Go from chunk to chunk up to the samples.

        W64 has GUIDs for names, 64-bit sizes that include the chunk's header, and chunks aligned to 8 bytes.
        """
        head, align = (24, 8) if self.wide else (8, 2)
        form, size64 = None, None
        while True:
            self.file.seek(min(at, self.total))  # a size in a damaged file may be more than a seek can take
            raw = self.file.read(head)
            if len(raw) < head:
                raise FileError(self.path, "truncated: the file ends before its samples (no data chunk)", at)
            name = b"????" if self.wide and raw[4:16] != W64_TAIL else raw[:4]
            size = struct.unpack("<Q", raw[16:])[0] - head if self.wide else struct.unpack(self.order + "I", raw[4:])[0]
            if size < 0 and name == b"data":
                size = 0
            if size < 0:
                raise FileError(self.path, f"chunk {name!r} has an impossible size", at)
            at += head
            if name == b"fmt ":
                form = self._read_format(self.file.read(min(size, 40)), at)
            elif name == b"ds64":
                size64 = self._unpack("<QQ", self.file.read(16), at)[1]
            elif name == b"data":
                if form is None:
                    raise FileError(self.path, "the samples come before their format (no fmt chunk)", at)
                if size64 and size in (0, UNKNOWN):
                    size = size64
                if self.wide and size == 0 and self._is_w64(at):
                    at += 40  # libsndfile writes its header twice to a pipe, and once more after the samples
                    continue
                return WavHeader(form, self.order, at, self._announced(size, at))
            at += -(-size // align) * align
            if size % 2 and not self.wide and self._is_unpadded(at - 1):
                at -= 1

    def _is_unpadded(self, at: int) -> bool:
        """Whether a chunk begins where the padding byte of the one before should be: some writers leave it out."""
        self.file.seek(min(at, self.total))
        return self.file.read(4) in _NAMES

    def _announced(self, size: int, at: int) -> int | None:
        """The size of the samples, or None for the placeholder of a writer to a pipe, which cannot correct its header.

        0 is a placeholder, unless chunks follow up to the end that RIFF announces: then there are no samples.
        """
        if size == 0 and self.wide and self._is_w64(self.total - at // 2):
            return self.total - at // 2 - at
        if size == 0:
            return 0 if self._chunks_follow(at) else None
        if size > self.total - at and _is_placeholder(size):
            return None
        return size

    def _is_w64(self, at: int) -> bool:
        """Whether a W64 header begins at a byte."""
        self.file.seek(max(0, min(at, self.total)))
        return self.file.read(16) == W64_RIFF

    def _chunks_follow(self, at: int) -> bool:
        if self.wide or not at < self.end <= self.total:
            return False
        while at + 8 <= self.end:
            self.file.seek(at)
            name, size = struct.unpack(self.order + "4sI", self.file.read(8))
            if not all(32 <= letter < 127 for letter in name):
                return False
            at += 8 + size + size % 2
        return at in (self.end, self.end + 1)

    def _read_format(self, raw: bytes, at: int) -> Format:
        tag, channels, rate, _, align, bits = self._unpack(self.order + "HHIIHH", raw[:16], at)
        if tag == EXTENSIBLE:
            if len(raw) < 40:
                raise FileError(self.path, "truncated within a header", at + len(raw))
            if raw[28:40] != GUID_TAIL:
                raise UnreadFormatError(self.path, "WAVE_FORMAT_EXTENSIBLE of an unknown kind", at)
            tag = struct.unpack("<I" if self.order == "<" else self.order + "I", raw[24:28])[0]
        if channels == 0 or rate == 0:
            raise FileError(self.path, f"{channels} channels at {rate} Hz cannot be", at)
        width = (bits + 7) // 8
        if tag in (ULAW, ALAW) and (bits in (0, 8) or align == channels):
            width = 1  # some writers give the bits of the decoded samples, or 0
        elif tag == PCM and align > channels * width and align % channels == 0 and align // channels <= 4:
            width = align // channels  # 24 bits in the upper bytes of 4
        if (tag, width) not in DTYPES:
            raise UnreadFormatError(self.path, f"samples of format {tag:#x} with {bits} bits are not read", at)
        return Format(tag, channels, rate, bits, width)

    def _unpack(self, layout: str, raw: bytes, at: int) -> tuple:
        if len(raw) < struct.calcsize(layout):
            raise FileError(self.path, "truncated within a header", at + len(raw))
        return struct.unpack(layout, raw)


def _is_placeholder(size: int) -> bool:
    """Whether a size that is larger than the file is the placeholder of a writer that did not know it yet.

    SoX: 0x7FFFFFFF or 0x7FFFF000 less the header; arecord: 2,000,000,000 or 2^31; others: within 64 KiB of 2^31 or
    2^32, or of 2^63 or 2^64 where sizes have 64 bits.
    """
    near = 1 << 16
    powers = any(abs(size - (1 << bits)) <= near for bits in (31, 32, 63, 64))
    return powers or 0 <= 2_000_000_000 - size <= 64
