"""PLY, the Stanford format of meshes and clouds: reads the vertices of ascii and binary files, writes binary clouds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO

import numpy as np

from fastdl import _check
from fastdl._typing import Array
from fastdl.errors import FileError, InputError
from fastdl.files.points.fields import unique
from fastdl.files.points.reader import PointReader, binary, check_room, decode, digits_value, fields_of, native_records
from fastdl.files.points.sorted_rows import CloudRows
from fastdl.files.points.text_rows import TextRows

_WORDS = ["char", "uchar", "short", "ushort", "int", "uint", "float", "double"]
_SIZED = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "float32", "float64"]
_CODES = ["i1", "u1", "i2", "u2", "i4", "u4", "f4", "f8"]
_TYPES = dict(zip(_WORDS + _SIZED, 2 * _CODES))
_NAMES = dict(zip(_CODES, _WORDS))
_ORDERS = {"ascii": "=", "binary_little_endian": "<", "binary_big_endian": ">"}
_LONGEST = 1 << 16  # bytes: a longer header line is an error
_LINES = 1 << 16  # a header of more lines is an error
_MOST = 1 << 12  # an element of more properties is an error


@dataclass(frozen=True)
class _Property:
    """A number of an element, or a list of numbers, whose length is stored before it as `length`."""

    name: str
    dtype: np.dtype
    length: np.dtype | None = None


@dataclass
class _Element:
    """A kind of item (vertex, face, ...), how many there are, and their properties."""

    name: str
    count: int
    properties: list[_Property] = field(default_factory=list)

    @property
    def has_lists(self) -> bool:
        return any(p.length is not None for p in self.properties)

    @property
    def least(self) -> int:
        """The fewest bytes of an item: its lists are empty."""
        return sum((p.length or p.dtype).itemsize for p in self.properties)


class PlyReader(PointReader):
    """The vertices of a PLY file. Elements after them (faces, edges) and lists among their properties are not read."""

    def __init__(self, path: str | Path):
        self.path = _check.existing(path)
        self._line = 0
        with open(self.path, "rb") as file:
            self._header(file)
            self.offset = file.tell()
        before = next(k for k, e in enumerate(self.elements) if e.name == "vertex")
        self.vertex, self._before = self.elements[before], self.elements[:before]
        numbers = [p for p in self.vertex.properties if p.length is None]
        names = [p.name for p in numbers]
        if len(set(names)) < len(names):
            raise FileError(self.path, f"a property is there twice: {' '.join(names)[:200]}", line=self._line)
        self.dtype = np.dtype([(p.name, p.dtype) for p in numbers])
        own = native_records(self.dtype)
        self._describe(fields_of(own), own.itemsize, self.vertex.count)
        if len(numbers) < len(self.vertex.properties):
            lists = ", ".join(p.name for p in self.vertex.properties if p.length is not None)
            self.remarks.append(f"lists of its vertices are not read: {lists}")
        if self.kind != "ascii":
            self._find_vertices()
            check_room(self.path, self.offset, self.vertex.least, self.vertex.count)

    def _header(self, file: IO[bytes]) -> None:
        self.kind = ""
        self.elements: list[_Element] = []
        while True:
            at = file.tell()
            raw = file.readline(_LONGEST)
            self._line += 1
            if self._line == 1 and raw.rstrip() != b"ply":
                raise FileError(self.path, "not a PLY file: it does not start with ply", 0)
            if not raw.endswith(b"\n") or self._line > _LINES:
                raise FileError(self.path, "truncated within its header", at + len(raw))
            words = [decode(word) for word in raw.split()]
            if self._line == 1 or not words or words[0] in ("comment", "obj_info"):
                continue
            if words[0] == "end_header":
                break
            if not self._take(words):
                raise FileError(self.path, f"not a line of a PLY header: {raw[:60]!r}", line=self._line)
        if not self.kind:
            raise FileError(self.path, "its header has no format", line=self._line)
        if not any(e.name == "vertex" for e in self.elements):
            raise FileError(self.path, "has no vertices", line=self._line)

    def _take(self, words: list[str]) -> bool:
        """Parse one line of the header; returns whether it is valid."""
        order = _ORDERS.get(self.kind, "=")
        if words[0] == "format" and len(words) == 3 and words[1] in _ORDERS and words[2] == "1.0" and not self.elements:
            self.kind = words[1]
        elif words[0] == "element" and len(words) == 3 and digits_value(words[2]) is not None:
            self.elements.append(_Element(words[1], int(words[2])))
        elif not self.elements or words[0] != "property" or len(self.elements[-1].properties) >= _MOST:
            return False
        elif len(words) == 3 and words[1] in _TYPES:
            self.elements[-1].properties.append(_Property(words[2], np.dtype(order + _TYPES[words[1]])))
        elif words[1:2] == ["list"] and len(words) == 5 and _TYPES.get(words[2], "f")[0] != "f" and words[3] in _TYPES:
            length = np.dtype(order + _TYPES[words[2]])
            self.elements[-1].properties.append(_Property(words[4], np.dtype(order + _TYPES[words[3]]), length))
        else:
            return False
        return True

    def _find_vertices(self) -> None:
        """Skip the elements before the vertices."""
        for element in self._before:
            check_room(self.path, self.offset, element.least, element.count)
            if not element.has_lists:
                self.offset += element.count * element.least
                continue
            with open(self.path, "rb") as file:
                file.seek(self.offset)
                for _ in self._walk(file, element):
                    pass
                self.offset = file.tell()

    def _walk(self, file: IO[bytes], element: _Element) -> Iterator[bytes]:
        """The bytes of the numbers of each item, without its lists."""
        size = self.path.stat().st_size
        for _ in range(element.count):
            numbers = []
            for p in element.properties:
                raw = file.read((p.length or p.dtype).itemsize)
                if p.length is None:
                    numbers.append(raw)
                    continue
                many = int(np.frombuffer(raw, p.length)[0]) if len(raw) == p.length.itemsize else -1
                at = file.tell() + many * p.dtype.itemsize
                if many < 0 or at > size:
                    problem = f"a list {p.name} of {many} values does not end before the file does"
                    raise FileError(self.path, problem, file.tell())
                file.seek(at)
            yield b"".join(numbers)

    def chunks(self, points: int) -> Iterator[Array]:
        """Structured arrays of at most `points` points."""
        if self.kind != "ascii" and not self.vertex.has_lists:
            yield from binary(self.path, self.dtype, self.offset, self.points, points)
            return
        with open(self.path, "rb") as file:
            file.seek(self.offset)
            if self.kind != "ascii":
                yield from self._with_lists(file, points)
                return
            skip = sum(e.count for e in self._before)
            for _ in islice(file, skip):
                pass
            if self.vertex.has_lists:
                yield from self._text_with_lists(file, points, self._line + skip)
            else:
                rows = TextRows(self.path, native_records(self.dtype), self._line + skip, self.points)
                yield from rows.chunks(file, points)

    def _with_lists(self, file: IO[bytes], points: int) -> Iterator[Array]:
        rows = self._walk(file, self.vertex)
        while data := b"".join(islice(rows, points)):
            whole = len(data) - len(data) % self.dtype.itemsize
            if whole < len(data):
                raise FileError(self.path, "truncated within its vertices", file.tell())
            yield np.frombuffer(bytearray(data), self.dtype).astype(native_records(self.dtype))

    def _text_with_lists(self, file: IO[bytes], points: int, line: int) -> Iterator[Array]:
        own, done, rows = native_records(self.dtype), 0, []
        while done < self.points:
            raw = file.readline(_LONGEST)
            line += 1
            if not raw:
                problem = f"truncated: {self.points} points announced, {done} there"
                raise FileError(self.path, problem, line=line)
            if raw.isspace():
                continue
            try:
                rows.append(self._numbers(raw.split()))
                if len(rows) == points or done + 1 == self.points:
                    yield np.array(rows, own)
                    rows = []
            except (ValueError, IndexError, OverflowError):
                wanted = ", ".join(p.name for p in self.vertex.properties)
                problem = f"{decode(raw).strip()[:80]!r} is not {wanted[:200]}"
                raise FileError(self.path, problem, line=line) from None
            done += 1

    def _numbers(self, words: list[bytes]) -> tuple[float, ...]:
        """The numbers of a vertex, without its lists."""
        at, found = 0, []
        for p in self.vertex.properties:
            if p.length is None:
                found.append(float(words[at]) if p.dtype.kind == "f" else int(words[at]))
                at += 1
            else:
                many = int(words[at])
                if many < 0:
                    raise ValueError
                at += 1 + many
        if at != len(words):
            raise ValueError
        return tuple(found)


def write_ply(file: IO[bytes], rows: CloudRows) -> dict[str, str]:
    """Write a binary little-endian PLY file with one property a column; names are UTF-8.

    Returns the new names of columns that had to be renamed: a property's name must not contain blanks. 64-bit
    integers, which PLY does not have, become 32-bit integers or float64 if that holds all values exactly.
    """
    taken: set[str] = set()
    renamed, given, fields = {}, {}, []
    wide = {name: rows.schema[name] for name in rows.schema.names or () if rows.schema[name].str[1:] in ("i8", "u8")}
    narrow = _narrow_types(rows, wide) if wide else {}
    for name in rows.schema.names or ():
        kind = narrow.get(name, rows.schema[name].newbyteorder("=")).str[1:]
        if kind not in _NAMES:
            raise InputError(f"a PLY file cannot hold column {name!r} of {rows.schema[name]}; write .npz or .npy")
        given[name] = unique("_".join(name.split()) or "property", taken)
        if given[name] != name:
            renamed[name] = given[name]
        fields.append((given[name], "<" + kind))
    lines = ["ply", "format binary_little_endian 1.0", f"element vertex {rows.count}"]
    lines += [f"property {_NAMES[kind[1:]]} {name}" for name, kind in fields]
    file.write("\n".join([*lines, "end_header", ""]).encode())
    little = np.dtype(fields)
    for block in rows.blocks():
        out = np.empty(len(block), little)
        for name in rows.schema.names or ():
            out[given[name]] = block[name]
        file.write(out.view(np.uint8).data)
    return renamed


def _narrow_types(rows: CloudRows, wide: dict[str, np.dtype]) -> dict[str, np.dtype]:
    """For columns of 64-bit integers, PLY types that hold all their values."""
    ends = dict.fromkeys(wide, (0, 0))
    for block in rows.blocks():
        for name, (low, high) in ends.items():
            if len(block):
                ends[name] = min(low, int(block[name].min())), max(high, int(block[name].max()))
    found = {}
    for name, (low, high) in ends.items():
        fits = [t for t in ("i4", "u4") if np.iinfo(t).min <= low and high <= np.iinfo(t).max]
        if not fits and max(high, -low) > 1 << 53:
            raise InputError(f"a PLY file cannot hold column {name!r} of integers to {high}; write .npz or .npy")
        found[name] = np.dtype(fits[0] if fits else "f8")
    return found
