"""PCD, the point clouds of PCL and ROS: ascii, binary and binary_compressed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from fastdl import _check, _kernels
from fastdl.files.points.reader import PointReader, announced, binary, text
from fastdl.reference import _lzf as reference

Array = np.ndarray
kernel = _kernels.load("files_lzf")

_KEYS = ("VERSION", "FIELDS", "SIZE", "TYPE", "COUNT", "WIDTH", "HEIGHT", "VIEWPOINT", "POINTS", "DATA")
_TYPES = {"F": (4, 8), "I": (1, 2, 4, 8), "U": (1, 2, 4, 8)}
_LONGEST = 1 << 16  # bytes: a header line longer than this is not one
_LZF_RATIO = 100  # LZF makes at most 264 bytes of 3


class PcdReader(PointReader):
    """A PCD file. Fields of several values become name_0, name_1, ...; packed colours (rgb, rgba) are kept as uint32.

    A binary_compressed file is one compressed block: it is decompressed whole, and needs the memory of its points.
    """

    def __init__(self, path: str | Path):
        self.path = _check.existing(path)
        with open(self.path, "rb") as file:
            header, self._line = self._header(file)
            self.offset = file.tell()
        self.kind = header["DATA"][0]
        self.dtype, self._parts = self._fields(header)
        points = self._points(header)
        # A colour is four bytes in the guise of a float.
        packed = {name for name in self.dtype.names or () if name.lower() in ("rgb", "rgba")}
        self.plain = np.dtype([(n, "<u4" if n in packed else self.dtype[n]) for n in self.dtype.names or ()])
        self._describe(self.plain, points)
        if self.kind == "binary":
            announced(self.path, self.offset, self.record, points)
        elif self.kind == "binary_compressed":
            self._compressed()

    def _header(self, file: IO[bytes]) -> tuple[dict[str, list[str]], int]:
        header: dict[str, list[str]] = {}
        for number in range(1, 1000):
            at = file.tell()
            raw = file.readline(_LONGEST)
            if not raw.endswith(b"\n"):
                problem = "truncated within its header" if header else "not a PCD file: it has no PCD header"
                raise _check.FileError(self.path, problem, at)
            words = raw.decode("latin1").partition("#")[0].split()
            if not words:
                continue
            key, values = words[0].upper(), words[1:]
            if key == "COLUMNS":
                key = "FIELDS"
            if key not in _KEYS or not values:
                raise _check.FileError(self.path, f"not a line of a PCD header: {raw[:60]!r}", line=number)
            header[key] = values
            if key == "DATA":
                missing = [k for k in ("FIELDS", "SIZE", "TYPE") if k not in header]
                if missing:
                    raise _check.FileError(self.path, f"its header lacks {', '.join(missing)}", line=number)
                if values[0] not in ("ascii", "binary", "binary_compressed"):
                    raise _check.FileError(self.path, f"DATA {values[0]} is not a kind of PCD file", line=number)
                return header, number
        raise _check.FileError(self.path, "its header does not end", file.tell())

    def _fields(self, header: dict[str, list[str]]) -> tuple[np.dtype, list[tuple[str, np.dtype]]]:
        """The record on the disk without its padding, and every part of it in order, padding included."""
        names, sizes, types = header["FIELDS"], header["SIZE"], header["TYPE"]
        counts = header.get("COUNT", ["1"] * len(names))
        if not len(names) == len(sizes) == len(types) == len(counts):
            problem = f"{len(names)} FIELDS, {len(sizes)} SIZE, {len(types)} TYPE and {len(counts)} COUNT do not agree"
            raise _check.FileError(self.path, problem, line=self._line)
        parts: list[tuple[str, np.dtype]] = []
        for name, size, kind, count in zip(names, sizes, types, counts):
            if not size.isdigit() or not count.isdigit() or int(size) not in _TYPES.get(kind.upper(), ()):
                problem = f"field {name} of TYPE {kind}, SIZE {size}, COUNT {count} cannot be"
                raise _check.FileError(self.path, problem, line=self._line)
            if int(count) > _LONGEST:
                raise _check.FileError(self.path, f"field {name} has {count} values a point", line=self._line)
            dtype = np.dtype(f"<{kind.lower()}{size}")
            many = int(count) != 1
            parts += [(f"{name}_{k}" if many and name != "_" else name, dtype) for k in range(int(count))]
        offsets = np.cumsum([0, *(dtype.itemsize for _, dtype in parts)])
        self.record = int(offsets[-1])
        kept = [(name, dtype, int(at)) for (name, dtype), at in zip(parts, offsets) if name != "_"]
        if len({name for name, _, _ in kept}) < len(kept):
            raise _check.FileError(self.path, f"a field is there twice: {' '.join(names)}", line=self._line)
        record = {
            "names": [name for name, _, _ in kept],
            "formats": [dtype for _, dtype, _ in kept],
            "offsets": [at for _, _, at in kept],
            "itemsize": self.record,
        }
        return np.dtype(record), parts  # type: ignore[call-overload]

    def _points(self, header: dict[str, list[str]]) -> int:
        def number(key: str, default: str) -> int:
            value = header.get(key, [default])[0]
            if not value.isdigit():
                raise _check.FileError(self.path, f"{key} {value} is not a number", line=self._line)
            return int(value)

        area = number("WIDTH", "0") * number("HEIGHT", "1")
        points = number("POINTS", str(area))
        if "WIDTH" in header and area != points:
            raise _check.FileError(self.path, f"WIDTH x HEIGHT is {area} but POINTS is {points}", line=self._line)
        return points

    def _compressed(self) -> tuple[int, int]:
        """The sizes of the block, compressed and not, which must be possible."""
        with open(self.path, "rb") as file:
            file.seek(self.offset)
            raw = file.read(8)
        if len(raw) < 8:
            raise _check.FileError(self.path, "truncated before the sizes of its data", self.offset + len(raw))
        packed, size = (int(v) for v in np.frombuffer(raw, "<u4"))
        there = self.path.stat().st_size - self.offset - 8
        if there < packed:
            problem = f"truncated: {packed} bytes of compressed data announced, {there} there"
            raise _check.FileError(self.path, problem, self.offset + 8 + there)
        if size != self.points * self.record:
            problem = f"{size} bytes of data announced, but {self.points} points take {self.points * self.record}"
            raise _check.FileError(self.path, problem, self.offset + 4)
        if size > packed * _LZF_RATIO:
            raise _check.FileError(self.path, f"{packed} bytes cannot be {size} bytes of data compressed", self.offset)
        return packed, size

    def chunks(self, points: int) -> Iterator[Array]:
        """Structured arrays of at most `points` points."""
        if self.kind == "binary":
            for x in binary(self.path, self.dtype, self.offset, self.points, points):
                yield self._columns({name: x[name] for name in self.plain.names or ()}, len(x))
        elif self.kind == "ascii":
            row = np.dtype([(f"_{k}" if name == "_" else name, dtype) for k, (name, dtype) in enumerate(self._parts)])
            with open(self.path, "rb") as file:
                file.seek(self.offset)
                for x in text(self.path, file, self._line, row, self.points, points):
                    yield self._columns({name: x[name] for name in self.plain.names or ()}, len(x))
        else:
            yield from self._decompress(points)

    def _columns(self, columns: dict[str, Array], points: int) -> Array:
        chunk = np.empty(points, self.plain)
        for name, column in columns.items():
            chunk[name] = column.view(self.plain[name])
        return chunk

    def _decompress(self, points: int) -> Iterator[Array]:
        """The block holds each field of all points, one after the other."""
        packed, size = self._compressed()
        if not size:
            return
        source = np.fromfile(self.path, np.uint8, packed, offset=self.offset + 8)
        data = np.empty(size, np.uint8)
        place = (reference if kernel is None else kernel).decompress(source, data)
        if place >= 0:
            raise _check.FileError(self.path, "its compressed data are corrupt", self.offset + 8 + place)
        del source
        fields = [self.dtype.fields[name] for name in self.plain.names or ()]  # type: ignore[index]
        columns = {
            name: data[start * self.points : (start + dtype.itemsize) * self.points].view(dtype)
            for name, (dtype, start, *_) in zip(self.plain.names or (), fields)
        }
        for start in range(0, self.points, points):
            stop = min(start + points, self.points)
            yield self._columns({name: column[start:stop] for name, column in columns.items()}, stop - start)
