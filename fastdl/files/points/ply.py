"""PLY, the Stanford format of meshes and clouds: the vertices of ascii and binary files; and a writer of clouds."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO

import numpy as np

from fastdl import _check
from fastdl.files.points.reader import PointReader, announced, binary, text
from fastdl.files.points.sorted_rows import Rows

Array = np.ndarray

_WORDS = ["char", "uchar", "short", "ushort", "int", "uint", "float", "double"]
_SIZED = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "float32", "float64"]
_CODES = ["i1", "u1", "i2", "u2", "i4", "u4", "f4", "f8"]
_TYPES = dict(zip(_WORDS + _SIZED, 2 * _CODES))
_NAMES = dict(zip(_CODES, _WORDS))
_ORDERS = {"ascii": "=", "binary_little_endian": "<", "binary_big_endian": ">"}
_LONGEST = 1 << 16  # bytes: a header line longer than this is not one


class PlyReader(PointReader):
    """The vertex element of a PLY file; elements after it (faces, edges) are not read."""

    def __init__(self, path: str | Path):
        self.path = _check.existing(path)
        self._line = 0
        with open(self.path, "rb") as file:
            self._header(file)
            self.offset = file.tell()
        before = self.elements.index(next(e for e in self.elements if e[0] == "vertex"))
        _, count, properties = self.elements[before]
        for name, kind in properties:
            if kind is None:
                raise _check.FileError(self.path, f"vertices with a list ({name}) are not read")
        order = _ORDERS[self.kind]
        try:
            self.dtype = np.dtype([(name, order + str(kind)) for name, kind in properties])
        except ValueError as error:
            raise _check.FileError(self.path, f"its vertices have no such properties: {error}") from None
        self._skip = 0
        for name, number, others in self.elements[:before]:
            if self.kind == "ascii":
                self._skip += number
            elif any(kind is None for _, kind in others):
                raise _check.FileError(self.path, f"element {name} has lists and stands before the vertices: not read")
            else:
                self.offset += number * sum(np.dtype(kind).itemsize for _, kind in others)
        self._describe(self.dtype, count)
        if self.kind != "ascii":
            announced(self.path, self.offset, self.dtype.itemsize, count)

    def _header(self, file: IO[bytes]) -> None:
        self.kind = ""
        self.elements: list[tuple[str, int, list[tuple[str, str | None]]]] = []
        while True:
            at = file.tell()
            raw = file.readline(_LONGEST)
            self._line += 1
            if self._line == 1 and raw.rstrip() != b"ply":
                raise _check.FileError(self.path, "not a PLY file: it does not start with ply", 0)
            if not raw.endswith(b"\n"):
                raise _check.FileError(self.path, "truncated within its header", at + len(raw))
            words = raw.decode("latin1").split()
            if self._line == 1 or not words or words[0] in ("comment", "obj_info"):
                continue
            if words[0] == "end_header":
                break
            if not self._take(words):
                raise _check.FileError(self.path, f"not a line of a PLY header: {raw[:60]!r}", line=self._line)
        if not self.kind:
            raise _check.FileError(self.path, "its header has no format", line=self._line)
        if not any(name == "vertex" for name, _, _ in self.elements):
            raise _check.FileError(self.path, "has no vertices", line=self._line)

    def _take(self, words: list[str]) -> bool:
        """Take in one line of the header; whether it is one."""
        if words[0] == "format" and len(words) == 3 and words[1] in _ORDERS and words[2] == "1.0":
            self.kind = words[1]
        elif words[0] == "element" and len(words) == 3 and words[2].isdigit():
            self.elements.append((words[1], int(words[2]), []))
        elif words[0] == "property" and self.elements and len(words) == 3 and words[1] in _TYPES:
            self.elements[-1][2].append((words[2], _TYPES[words[1]]))
        elif words[:2] == ["property", "list"] and self.elements and len(words) == 5:
            self.elements[-1][2].append((words[4], None))
        else:
            return False
        return True

    def chunks(self, points: int) -> Iterator[Array]:
        """Structured arrays of at most `points` points."""
        if self.kind != "ascii":
            yield from binary(self.path, self.dtype, self.offset, self.points, points)
            return
        with open(self.path, "rb") as file:
            file.seek(self.offset)
            for _ in islice(file, self._skip):
                pass
            yield from text(self.path, file, self._line + self._skip, self.dtype, self.points, points)


def write_ply(file: IO[bytes], rows: Rows) -> None:
    """A binary little-endian PLY file with one property a column."""
    kinds = {name: rows.schema[name].newbyteorder("=").str[1:] for name in rows.schema.names or ()}
    for name, kind in kinds.items():
        if kind not in _NAMES or len(name.split()) != 1:
            raise _check.InputError(
                f"a PLY file cannot hold column {name!r} of {rows.schema[name]}; write .npz or .npy"
            )
    lines = ["ply", "format binary_little_endian 1.0", f"element vertex {rows.count}"]
    lines += [f"property {_NAMES[kind]} {name}" for name, kind in kinds.items()]
    file.write("\n".join([*lines, "end_header", ""]).encode())
    little = np.dtype([(name, "<" + kind) for name, kind in kinds.items()])
    for block in rows.blocks():
        file.write(block.astype(little, copy=False).view(np.uint8).data)
