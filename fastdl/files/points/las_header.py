"""The header of a LAS file, as in the ASPRS specification, versions 1.0 to 1.5.

Every count is checked against the size of the file before it is used. The bytes of texts, of variable length records
(VLRs) and of unknown fields are kept as they are, so that a file written from another one carries them unchanged.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

import numpy as np

from fastdl._typing import Array
from fastdl.errors import FileError

#: The least size of a header, by minor version.
HEADER_SIZES = {0: 227, 1: 227, 2: 227, 3: 235, 4: 375, 5: 393}
#: The bytes of a record of each point format, extra bytes not counted.
RECORD_SIZES = (20, 28, 26, 34, 57, 63, 30, 36, 38, 59, 67)
_VLR, _EVLR = 54, 60  # bytes of the headers of a VLR and of an extended VLR (EVLR)
_COMPRESSED = 0x80  # the bit of the point format that LASzip sets
_WAVEFORM_BITS = 0x06  # of the global encoding: waveforms in this file, waveforms in another file


@dataclass(frozen=True)
class Vlr:
    """A variable length record: its user id, its record id, and all its bytes, header included."""

    user: bytes
    number: int
    raw: bytes

    @property
    def data(self) -> bytes:
        """The bytes after the header."""
        return self.raw[_VLR:]


@dataclass(frozen=True)
class Evlr:
    """An extended VLR, which stands after the points: its user id, its record id, and the place of its bytes."""

    user: bytes
    number: int
    start: int
    size: int


@dataclass(frozen=True)
class LasHeader:
    """A checked header; `raw` is the public header block, as it is in the file."""

    raw: bytes
    vlrs: tuple[Vlr, ...] = ()
    evlrs: tuple[Evlr, ...] = ()
    between: bytes = field(default=b"", repr=False)  # the bytes between the last VLR and the points

    def _number(self, kind: str, at: int) -> int:
        return int(struct.unpack_from("<" + kind, self.raw, at)[0])

    @property
    def minor(self) -> int:
        """The version is 1.minor."""
        return self.raw[25]

    @property
    def point_offset(self) -> int:
        """The byte where the points begin."""
        return self._number("I", 96)

    @property
    def point_format(self) -> int:
        """0 to 10."""
        return self.raw[104] & 0x3F

    @property
    def compressed(self) -> bool:
        """Whether the points are compressed by LASzip."""
        return bool(self.raw[104] & 0xC0)

    @property
    def record_size(self) -> int:
        """Bytes of a point."""
        return self._number("H", 105)

    @property
    def points(self) -> int:
        """How many points the header announces."""
        wide = self._number("Q", 247) if self.minor >= 4 else 0
        return wide or self._number("I", 107)

    @property
    def scales(self) -> Array:
        """The scale factors of x, y, z."""
        return np.frombuffer(self.raw, "<f8", 3, 131).astype(np.float64)

    @property
    def offsets(self) -> Array:
        """The offsets of x, y, z: the coordinates of the integer 0."""
        return np.frombuffer(self.raw, "<f8", 3, 155).astype(np.float64)

    @property
    def low(self) -> Array:
        """The least x, y, z, as the header says."""
        return np.frombuffer(self.raw, "<f8", 6, 179)[1::2].astype(np.float64)

    @property
    def high(self) -> Array:
        """The greatest x, y, z, as the header says."""
        return np.frombuffer(self.raw, "<f8", 6, 179)[::2].astype(np.float64)

    def vlr(self, user: bytes, number: int) -> Vlr | None:
        """The first VLR of this user and number."""
        return next((v for v in self.vlrs if v.user.lower() == user and v.number == number), None)


def read_header(path: Path) -> LasHeader:
    """Read and check the header of a file; a FileError names the byte that is wrong."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        raw = file.read(227)
        if raw[:4] != b"LASF":
            raise FileError(path, "not a LAS file: it does not start with LASF", 0)
        if len(raw) < 227:
            raise FileError(path, "truncated within its header", len(raw))
        if raw[24] != 1 or raw[25] not in HEADER_SIZES:
            raise FileError(path, f"LAS {raw[24]}.{raw[25]} is not a version that is read (1.0 to 1.5)", 24)
        length = struct.unpack_from("<H", raw, 94)[0]
        least = HEADER_SIZES[raw[25]]
        if length < least:
            raise FileError(path, f"a header of LAS 1.{raw[25]} takes {least} bytes, {length} announced", 94)
        raw += file.read(length - len(raw))
        if len(raw) < length:
            raise FileError(path, "truncated within its header", len(raw))
        header = LasHeader(raw)
        _check_numbers(path, header, size)
        vlrs = tuple(_vlrs(path, file, header))
        between = file.read(header.point_offset - file.tell())
    header = replace(header, vlrs=vlrs, between=between)
    evlrs = tuple(_evlrs(path, header, size)) if header.minor >= 4 else ()
    header = replace(header, evlrs=evlrs)
    if not header.compressed:
        _check_records(path, header, size)
    return header


def _check_numbers(path: Path, header: LasHeader, size: int) -> None:
    start, kind = header.point_offset, header.point_format
    if start > size:
        raise FileError(path, f"truncated: its points are said to begin at byte {start}", size)
    if start < len(header.raw):
        raise FileError(path, f"its points are said to begin at byte {start}, within its header", 96)
    if kind >= len(RECORD_SIZES) or (kind > 5 and header.minor < 4):
        raise FileError(path, f"point format {kind} is not one of LAS 1.{header.minor}", 104)
    if header.record_size < RECORD_SIZES[kind]:
        problem = f"points of format {kind} take {RECORD_SIZES[kind]} bytes, {header.record_size} announced"
        raise FileError(path, problem, 105)
    scales, offsets = header.scales, header.offsets
    if not (np.isfinite(scales).all() and np.isfinite(offsets).all() and (scales > 0).all()):
        raise FileError(path, f"scales {scales}, offsets {offsets} cannot be", 131)


def _vlrs(path: Path, file: IO[bytes], header: LasHeader) -> Iterator[Vlr]:
    count, at = struct.unpack_from("<I", header.raw, 100)[0], len(header.raw)
    room = header.point_offset - at
    if count * _VLR > room:
        problem = f"{count} VLRs announced, but only {room} bytes before the points"
        raise FileError(path, problem, 100)
    for k in range(count):
        raw = file.read(_VLR)
        length = struct.unpack_from("<H", raw, 20)[0] if len(raw) == _VLR else 0
        if len(raw) < _VLR or at + _VLR + length > header.point_offset:
            raise FileError(path, f"VLR {k + 1} of {count} does not end before the points", at)
        raw += file.read(length)
        yield Vlr(raw[2:18].partition(b"\0")[0], struct.unpack_from("<H", raw, 18)[0], raw)
        at += len(raw)


def _evlrs(path: Path, header: LasHeader, size: int) -> Iterator[Evlr]:
    at, count = struct.unpack_from("<QI", header.raw, 235)
    if not count:
        return
    if at < header.point_offset or at > size or count * _EVLR > size - at:
        problem = f"{count} EVLRs announced at byte {at}, of which a file of {size} bytes has no room"
        raise FileError(path, problem, 235)
    with open(path, "rb") as file:
        for k in range(count):
            file.seek(at)
            raw = file.read(_EVLR)
            length = struct.unpack_from("<Q", raw, 20)[0] if len(raw) == _EVLR else 0
            if len(raw) < _EVLR or length > size - at - _EVLR:
                raise FileError(path, f"EVLR {k + 1} of {count} does not end before the file does", at)
            yield Evlr(raw[2:18].partition(b"\0")[0], struct.unpack_from("<H", raw, 18)[0], at, _EVLR + length)
            at += _EVLR + length


def _check_records(path: Path, header: LasHeader, size: int) -> None:
    """Raise if a file of uncompressed points holds fewer than it announces, or announces none and holds some."""
    room = size - header.point_offset
    if room < header.points * header.record_size:
        problem = f"truncated: {header.points} points of {header.record_size} bytes announced"
        raise FileError(path, f"{problem}, {room // header.record_size} there", size)
    end = min([size, *(e.start for e in header.evlrs), *_waveforms(header)])
    behind = (end - header.point_offset) // header.record_size
    if not header.points and behind:
        problem = f"announces 0 points, but {behind} records stand behind its header: its writer did not finish"
        raise FileError(path, problem, 107)


def _waveforms(header: LasHeader) -> list[int]:
    """The byte where waveforms begin, if the file has any."""
    start = struct.unpack_from("<Q", header.raw, 227)[0] if header.minor >= 3 else 0
    return [start] if start >= header.point_offset and start else []
