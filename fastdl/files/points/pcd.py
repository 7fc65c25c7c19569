"""PCD, the file format of PCL and ROS: ascii, binary and binary_compressed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from fastdl import _check, _kernels
from fastdl._typing import Array
from fastdl.errors import FileError, InputError
from fastdl.files.points.fields import Field, unique
from fastdl.files.points.reader import PointReader, binary, check_room, decode, digits_value
from fastdl.files.points.sorted_rows import CloudRows
from fastdl.files.points.text_rows import TextRows
from fastdl.reference import files as reference

kernel = _kernels.load("files_lzf") or reference

_KEYS = ("VERSION", "FIELDS", "SIZE", "TYPE", "COUNT", "WIDTH", "HEIGHT", "VIEWPOINT", "POINTS", "DATA")
_TYPES = {"F": (4, 8), "I": (1, 2, 4, 8), "U": (1, 2, 4, 8)}
_LONGEST = 1 << 16  # bytes: a longer header line is an error
_LZF_RATIO = 100  # above LZF's highest compression ratio: 264 bytes from 3
_COLOURS = ("red", "green", "blue")


class PcdReader(PointReader):
    """A PCD file. Fields of several values become name_0, name_1, ...; packed colours (rgb, rgba) red, green and blue.

    A binary_compressed file is one compressed block: it is decompressed whole, and needs the memory of its points.
    """

    def __init__(self, path: str | Path):
        self.path = _check.existing(path)
        with open(self.path, "rb") as file:
            header, self._line = self._header(file)
            self.offset = file.tell()
        self.kind = header["DATA"][0]
        self.parts = self._parts(header)
        size = sum(part.size for part in self.parts)
        points = self._points(header)
        self._describe(list(self._columns()), size, points)
        if self.kind == "binary":
            check_room(self.path, self.offset, size, points)
        elif self.kind == "binary_compressed":
            self._sizes()

    def _header(self, file: IO[bytes]) -> tuple[dict[str, list[str]], int]:
        header: dict[str, list[str]] = {}
        for number in range(1, 1000):
            at = file.tell()
            raw = file.readline(_LONGEST)
            if not raw.endswith(b"\n"):
                problem = "truncated within its header" if header else "not a PCD file: it has no PCD header"
                raise FileError(self.path, problem, at)
            words = [decode(word) for word in raw.partition(b"#")[0].split()]
            if not words:
                continue
            key, values = words[0].upper(), words[1:]
            if key == "COLUMNS":
                key = "FIELDS"
            if key not in _KEYS or not values:
                raise FileError(self.path, f"not a line of a PCD header: {raw[:60]!r}", line=number)
            header[key] = values
            if key == "DATA":
                missing = [k for k in ("FIELDS", "SIZE", "TYPE") if k not in header]
                if missing:
                    raise FileError(self.path, f"its header lacks {', '.join(missing)}", line=number)
                if values[0] not in ("ascii", "binary", "binary_compressed"):
                    raise FileError(self.path, f"DATA {values[0]} is not a kind of PCD file", line=number)
                return header, number
        raise FileError(self.path, "its header does not end", file.tell())

    def _parts(self, header: dict[str, list[str]]) -> list[_Part]:
        """All fields of the header, including padding, in the order of the record."""
        names, sizes, types = header["FIELDS"], header["SIZE"], header["TYPE"]
        counts = header.get("COUNT", ["1"] * len(names))
        if not len(names) == len(sizes) == len(types) == len(counts):
            problem = f"{len(names)} FIELDS, {len(sizes)} SIZE, {len(types)} TYPE and {len(counts)} COUNT do not agree"
            raise FileError(self.path, problem, line=self._line)
        parts, at = [], 0
        for name, size, kind, many in zip(names, sizes, types, counts):
            number = digits_value(many)
            if number is None or digits_value(size) not in _TYPES.get(kind.upper(), ()):
                problem = f"field {name} of TYPE {kind}, SIZE {size}, COUNT {many} cannot be"
                raise FileError(self.path, problem, line=self._line)
            if number > _LONGEST:
                raise FileError(self.path, f"field {name} has {many} values a point", line=self._line)
            parts.append(_Part(name, np.dtype(f"<{kind.lower()}{size}"), number, at))
            at += parts[-1].size
        kept = [part.name for part in parts if part.name != "_"]
        if len(set(kept)) < len(kept):
            raise FileError(self.path, f"a field is there twice: {' '.join(names)}", line=self._line)
        return parts

    def _columns(self) -> Iterator[Field]:
        """A column for every number of the record but padding; for a packed colour, one a channel."""
        taken: set[str] = {part.name for part in self.parts if part.count == 1}
        for part in self.parts:
            if part.name == "_":
                continue
            if part.name.lower() in ("rgb", "rgba") and part.dtype.itemsize == 4 and part.count == 1:
                # Four bytes, declared as one float or integer: blue, green, red, alpha.
                channels = ["red", "green", "blue", "alpha"][: len(part.name)]
                for name, place in zip(channels, (2, 1, 0, 3)):
                    yield Field(unique(name, taken), part.offset + place, np.dtype(np.uint8))
                continue
            for k in range(part.count):
                name = part.name if part.count == 1 else unique(f"{part.name}_{k}", taken)
                yield Field(name, part.offset + k * part.dtype.itemsize, part.dtype)

    def _points(self, header: dict[str, list[str]]) -> int:
        def number(key: str, default: str) -> int:
            value = header.get(key, [default])[0]
            found = digits_value(value)
            if found is None:
                raise FileError(self.path, f"{key} {value[:40]} is not a number of points", line=self._line)
            return found

        area = number("WIDTH", "0") * number("HEIGHT", "1")
        points = number("POINTS", str(min(area, 10**17)))
        if "WIDTH" in header and area != points:
            raise FileError(self.path, f"WIDTH x HEIGHT is {area} but POINTS is {points}", line=self._line)
        return points

    def _sizes(self) -> tuple[int, int]:
        """The compressed and the decompressed size of the block; raises if they are impossible."""
        with open(self.path, "rb") as file:
            file.seek(self.offset)
            raw = file.read(8)
        if len(raw) < 8:
            raise FileError(self.path, "truncated before the sizes of its data", self.offset + len(raw))
        packed, size = (int(v) for v in np.frombuffer(raw, "<u4"))
        there = self.path.stat().st_size - self.offset - 8
        if there < packed:
            problem = f"truncated: {packed} bytes of compressed data announced, {there} there"
            raise FileError(self.path, problem, self.offset + 8 + there)
        if size != self.points * self.record.itemsize:
            problem = (
                f"{size} bytes of data announced, but {self.points} points take {self.points * self.record.itemsize}"
            )
            raise FileError(self.path, problem, self.offset + 4)
        if size > packed * _LZF_RATIO:
            raise FileError(self.path, f"{packed} bytes cannot be {size} bytes of data compressed", self.offset)
        return packed, size

    def chunks(self, points: int) -> Iterator[Array]:
        """Records of at most `points` points."""
        if self.kind == "binary":
            yield from binary(self.path, self.record, self.offset, self.points, points)
        elif self.kind == "ascii":
            yield from self._text(points)
        else:
            yield from self._decompress(points)

    def _text(self, points: int) -> Iterator[Array]:
        numbers = [(f"{k}_{i}", part, i) for k, part in enumerate(self.parts) for i in range(part.count)]
        # A packed colour of TYPE F is written as that float, or as the integer of the same bytes.
        rows = TextRows(
            self.path, np.dtype([(name, _read_as(part)) for name, part, _ in numbers]), self._line, self.points
        )
        whole = np.dtype([(name, part.dtype) for name, part, _ in numbers])
        with open(self.path, "rb") as file:
            file.seek(self.offset)
            for x in rows.chunks(file, points):
                out = np.empty(len(x), whole)
                for name, part, _ in numbers:
                    out[name] = _colour(x[name]) if _read_as(part) != part.dtype else x[name]
                yield out.view(self.record)

    def _decompress(self, points: int) -> Iterator[Array]:
        """The points of a binary_compressed file, whose block holds one field of all points after the other."""
        packed, size = self._sizes()
        if not size:
            return
        source = np.fromfile(self.path, np.uint8, packed, offset=self.offset + 8)
        if len(source) < packed:
            raise FileError(self.path, "became shorter while it was read", self.offset + 8 + len(source))
        data = np.empty(size, np.uint8)
        place = kernel.decompress(source, data)
        if place >= 0:
            raise FileError(self.path, "its compressed data are corrupt", self.offset + 8 + place)
        del source
        n, width = self.points, self.record.itemsize
        for start in range(0, n, points):
            stop = min(start + points, n)
            out = np.empty((stop - start, width), np.uint8)
            for part in self.parts:
                plane = data[part.offset * n : (part.offset + part.size) * n].reshape(n, part.size)
                out[:, part.offset : part.offset + part.size] = plane[start:stop]
            yield out.reshape(-1).view(self.record)


@dataclass(frozen=True)
class _Part:
    """A field of the header, of `count` numbers a point."""

    name: str
    dtype: np.dtype
    count: int
    offset: int

    @property
    def size(self) -> int:
        return self.count * self.dtype.itemsize


def _read_as(part: _Part) -> np.dtype:
    """The dtype to parse a field as: float64 for a packed colour of TYPE F, which may be written as an integer."""
    packed = part.name.lower() in ("rgb", "rgba") and part.dtype == np.float32
    return np.dtype(np.float64) if packed else part.dtype


def _colour(x: Array) -> Array:
    """Packed colours, as floats of the same four bytes, of text that has these floats or the integers of their bytes.

    The floats are tiny or around 1e38, never whole numbers from 1 to 2^32; PCL 1.8 and later writes integers.
    """
    whole = (x >= 1) & (x < 2**32) & (x == np.rint(x))
    with np.errstate(over="ignore"):
        bits = x.astype("<f4").view("<u4").copy()
    bits[whole] = x[whole].astype("<u4")
    return bits.view("<f4")


def write_pcd(file: IO[bytes], rows: CloudRows) -> dict[str, str]:
    """Write a binary PCD file with one field a column; 8-bit red, green and blue become one field rgb, as in PCL.

    Returns the new names of columns that had to be renamed: a field's name must not contain blanks.
    """
    schema, taken, renamed = rows.schema, {"rgb", "_"}, {}
    packed = all(schema.fields and c in schema.fields and schema[c] == np.uint8 for c in _COLOURS)
    fields: list[tuple[str, str, np.dtype]] = []
    for name in schema.names or ():
        if packed and name in _COLOURS:
            continue
        kind = schema[name].newbyteorder("<")
        if kind.kind not in "iuf" or kind.itemsize not in _TYPES[kind.kind.upper()]:
            raise InputError(f"a PCD file cannot hold column {name!r} of {kind}; write .npz or .npy")
        given = unique("_".join(name.replace("#", "_").split()) or "field", taken)
        if given != name:
            renamed[name] = given
        fields.append((name, given, kind))
    out = np.dtype([(given, kind) for _, given, kind in fields] + [("rgb", "<u4")] * packed)
    words = [
        ("F" if out[n].kind == "f" or n == "rgb" else out[n].kind.upper(), out[n].itemsize) for n in out.names or ()
    ]
    lines = [
        "# .PCD v0.7 - Point Cloud Data file format", "VERSION 0.7", f"FIELDS {' '.join(out.names or ())}",
        f"SIZE {' '.join(str(size) for _, size in words)}", f"TYPE {' '.join(kind for kind, _ in words)}",
        f"COUNT {' '.join('1' for _ in words)}", f"WIDTH {rows.count}", "HEIGHT 1", "VIEWPOINT 0 0 0 1 0 0 0",
        f"POINTS {rows.count}", "DATA binary", "",
    ]  # fmt: skip
    file.write("\n".join(lines).encode())
    for block in rows.blocks():
        records = np.empty(len(block), out)
        for name, given, _ in fields:
            records[given] = block[name]
        if packed:
            red, green, blue = (block[c].astype("<u4") for c in _COLOURS)
            records["rgb"] = red << 16 | green << 8 | blue
        file.write(records.view(np.uint8).data)
    return renamed
