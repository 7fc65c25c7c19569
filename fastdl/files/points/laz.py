"""The compressed points of a LAZ file, decoded by lazrs in whole chunks.

A LAZ file has its points in chunks, each compressed on its own, and after them a table of the chunks' sizes. Both are
checked against the file before anything is decoded: lazrs allocates what they announce, and aborts the process if that
fails.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import IO, TypeVar

import numpy as np

from fastdl import _check, _threads
from fastdl._typing import Array
from fastdl.errors import FileError
from fastdl.files.points.las_header import LasHeader

Result = TypeVar("Result")

LASZIP = (b"laszip encoded", 22204)  # user id and record id of the VLR that describes the compression
#: Bytes of an item by its type; -1: any number.
_ITEMS = {0: -1, 6: 20, 7: 8, 8: 6, 9: 29, 10: 30, 11: 6, 12: 8, 13: 29, 14: -1}
#: Layers of an item by its type; an item of type 14 (extra bytes) has one layer a byte.
_LAYERS = {10: 9, 11: 1, 12: 2, 13: 1}
_VARIABLE = 0xFFFFFFFF  # the chunk size of files whose chunks have different numbers of points
_LARGEST = 1 << 28  # bytes: a chunk that is larger when decoded is decoded in parts
POINTWISE, CHUNKED, LAYERED = 1, 2, 3


@dataclass(frozen=True)
class Chunk:
    """Points that are compressed together."""

    points: int
    start: int
    size: int


def import_lazrs(purpose: object) -> ModuleType:
    """The module lazrs, or the error that says how to install it."""
    return _check.extra("lazrs", "points", f"{purpose}: a compressed LAS file")


class LazPoints:
    """The chunks of a file's points, and readers of their records."""

    def __init__(self, path: Path, header: LasHeader):
        self.path, self.header = path, header
        self.lazrs = import_lazrs(path)
        self.start, self.end = header.point_offset + 8, path.stat().st_size
        vlr = header.vlr(*LASZIP)
        if vlr is None:
            raise FileError(path, "is compressed, but has no VLR that says how", 104)
        self.record = vlr.data
        self._check_record(len(header.raw))
        self.chunks = self._table()

    def _check_record(self, place: int) -> None:
        data = self.record
        if len(data) < 34 or len(data) < 34 + 6 * struct.unpack_from("<H", data, 32)[0]:
            raise FileError(self.path, f"the VLR of its compression ends after {len(data)} bytes", place)
        self.kind, coder = struct.unpack_from("<HH", data, 0)
        self.chunk_size = struct.unpack_from("<I", data, 12)[0]
        items = [struct.unpack_from("<HHH", data, 34 + 6 * k) for k in range(struct.unpack_from("<H", data, 32)[0])]
        if self.kind not in (POINTWISE, CHUNKED, LAYERED) or coder or not (self.chunk_size or self.kind == POINTWISE):
            raise FileError(self.path, f"compression {self.kind} by coder {coder} is not known", place)
        for kind, size, _ in items:
            if kind not in _ITEMS or _ITEMS[kind] not in (-1, size):
                raise FileError(self.path, f"a compressed item of type {kind}, {size} bytes cannot be", place)
        if sum(size for _, size, _ in items) != self.header.record_size:
            sizes = f"{sum(size for _, size, _ in items)} bytes compressed, {self.header.record_size} in its header"
            raise FileError(self.path, f"a point has {sizes}", place)
        if self.kind == POINTWISE:
            # All points are one chunk. Writers leave a meaningless chunk size here, which lazrs would follow.
            self.record = data[:12] + struct.pack("<I", _VARIABLE - 1) + data[16:]
        self.layers = sum(_LAYERS.get(kind, size) for kind, size, _ in items) if self.kind == LAYERED else 0

    def guard(self, run: Callable[[], Result], problem: str, place: int) -> Result:
        """run(), with every failure, also a panic of lazrs, raised as a `FileError`."""
        try:
            return run()
        except BaseException as error:
            if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                raise
            raise FileError(self.path, f"truncated or corrupt, {problem}: {error}", place) from None

    def _table(self) -> list[Chunk]:
        """The chunks of the table; none for pointwise compression, which has no table and is read from the start."""
        points = self.header.points
        if self.kind == POINTWISE:
            return []
        if self.end < self.start + 8:
            raise FileError(self.path, "truncated before its points", self.end)
        with open(self.path, "rb") as file:
            file.seek(self.start - 8)
            at = struct.unpack("<q", file.read(8))[0]
            if at == -1:  # the writer could not seek back: the place of the table is at the end of the file
                file.seek(self.end - 8)
                at = struct.unpack("<q", file.read(8))[0]
            if not self.start <= at <= self.end - 8:
                problem = f"truncated or corrupt: the table of its chunks is said to be at byte {at}"
                raise FileError(self.path, problem, self.start - 8)
            file.seek(at)
            version, count = struct.unpack("<II", file.read(8))
            if version or count > at - self.start:
                raise FileError(self.path, f"{count} chunks of points announced, in {at - self.start} bytes", at)
            if not points and count:
                problem = f"announces 0 points, but {count} chunks of them stand behind its header"
                raise FileError(self.path, f"{problem}: its writer did not finish", 107)
            file.seek(self.start - 8)
            vlr = self.guard(lambda: self.lazrs.LazVlr(self.record), "its VLR", len(self.header.raw))
            found = self.guard(lambda: self.lazrs.read_chunk_table(file, vlr), "the table of its chunks", at)
        return self._checked_chunks(found, at)

    def _checked_chunks(self, found: list[tuple[int, int]], at: int) -> list[Chunk]:
        """The chunks; their points must add up to the header's number, and their bytes must end before the table."""
        points, place, left, chunks = self.header.points, self.start, self.header.points, []
        for number, size in found:
            n = number if self.chunk_size == _VARIABLE else min(left, self.chunk_size)
            if not 0 <= size <= at - place or not 0 <= n <= left:
                raise FileError(self.path, f"a chunk of {n} points in {size} bytes cannot be", at)
            chunks.append(Chunk(n, place, size))
            place, left = place + size, left - n
        if left:
            raise FileError(self.path, f"truncated: {points} points announced, {points - left} there", at)
        return [chunk for chunk in chunks if chunk.points]

    def read(self, points: int) -> Iterator[tuple[Array, int]]:
        """(records of at most `points` points as bytes, the place of their chunk in the file), in order."""
        if not self._has_parts():
            yield from self._in_order(points)
            return
        # lazrs decodes a chunk on a thread: of five chunks on two processors, one would wait for the last.
        together = _threads.available()
        with open(self.path, "rb") as file:
            for group in self._groups(points, together):
                yield from self._slices(self._decode(file, group), points, group[0].start)

    def _has_parts(self) -> bool:
        """Whether the points are in chunks that fit in memory."""
        large = any(c.points * self.header.record_size > _LARGEST for c in self.chunks)
        return self.kind != POINTWISE and not large

    def _groups(self, points: int, together: int = 1) -> Iterator[list[Chunk]]:
        """Groups of chunks with at most `points` points together; a larger chunk is a group of its own.

        Groups of more than `together` chunks have a multiple of so many.
        """
        group: list[Chunk] = []
        for chunk in self.chunks:
            if group and sum(c.points for c in group) + chunk.points > points:
                whole = len(group) - len(group) % together if len(group) > together else len(group)
                yield group[:whole]
                group = group[whole:]
            group.append(chunk)
        if group:
            yield group

    def borders(self, points: int) -> list[int] | None:
        """The first point of each group of chunks, and the number of all points."""
        if not self._has_parts():
            return None
        counts = [sum(c.points for c in group) for group in self._groups(points)]
        return [0, *np.cumsum(counts).tolist()]

    def part(self, start: int, stop: int) -> tuple[Array, int]:
        """The records of the points between two borders as bytes, and their place in the file."""
        ends = np.cumsum([0, *(c.points for c in self.chunks)])
        group = self.chunks[int(np.searchsorted(ends, start)) : int(np.searchsorted(ends, stop))]
        with open(self.path, "rb") as file:
            return self._decode(file, group), group[0].start

    def _slices(self, records: Array, points: int, place: int) -> Iterator[tuple[Array, int]]:
        for start in range(0, len(records), points):
            yield records[start : start + points], place

    def _decode(self, file: IO[bytes], group: list[Chunk]) -> Array:
        """The records of consecutive chunks, decoded on all processors."""
        first = group[0].start
        file.seek(first)
        packed = file.read(sum(c.size for c in group))
        if len(packed) < sum(c.size for c in group):
            raise FileError(self.path, "became shorter while it was read", first + len(packed))
        for chunk in group:
            self._check_layers(packed[chunk.start - first : chunk.start - first + chunk.size], chunk)
        size = self.header.record_size
        out = np.empty((sum(c.points for c in group), size), np.uint8)
        table = [(c.points, c.size) for c in group]
        data = np.frombuffer(packed, np.uint8)
        decode = self.lazrs.decompress_points_with_chunk_table
        self.guard(lambda: decode(data, self.record, out.reshape(-1), table), "in a chunk of points", first)
        return out

    def _check_layers(self, packed: bytes, chunk: Chunk) -> None:
        """Raise if the layers of a chunk do not fit in it, or if its number of points is not that of the table."""
        size = self.header.record_size
        if len(packed) < size:
            raise FileError(self.path, f"a chunk of {len(packed)} bytes cannot hold a point", chunk.start)
        if self.kind != LAYERED:
            return
        if len(packed) < size + 4 + 4 * self.layers:
            raise FileError(self.path, f"a chunk of {len(packed)} bytes has no room for its sizes", chunk.start)
        points, *sizes = struct.unpack_from(f"<{1 + self.layers}I", packed, size)
        if points != chunk.points or sum(sizes) > len(packed) - size - 4 - 4 * self.layers:
            problem = f"a chunk of {points} points in layers of {sum(sizes)} bytes"
            raise FileError(self.path, f"{problem}; {chunk.points} in {chunk.size} announced", chunk.start)

    def _in_order(self, points: int) -> Iterator[tuple[Array, int]]:
        """The points by lazrs's streaming decoder, which needs no table and holds no chunk in memory."""
        place, size = self.start - 8 * (self.kind == POINTWISE), self.header.record_size
        with open(self.path, "rb") as file:
            file.seek(place)
            make = self.lazrs.LasZipDecompressor
            decoder = self.guard(lambda: make(file, self.record), "its first point", place)
            for start in range(0, self.header.points, points):
                out = np.empty((min(points, self.header.points - start), size), np.uint8)
                at = max(place, file.tell())
                self.guard(lambda o=out: decoder.decompress_many(o.reshape(-1)), f"after point {start}", at)  # type: ignore[misc]
                yield out, at
