"""Clouds in plain text (.xyz, .txt, .pts, .asc, .csv): one point a line, perhaps after a line of column names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import numpy as np

from fastdl import _check
from fastdl._typing import Array
from fastdl.errors import FileError
from fastdl.files.points.arrays import layout_names
from fastdl.files.points.fields import unique
from fastdl.files.points.reader import PointReader, decode, digits_value, fields_of
from fastdl.files.points.sorted_rows import CloudRows
from fastdl.files.points.text_rows import TextRows

_LINE = 1 << 16  # bytes: a longer first line is an error
_READ = 1 << 20  # bytes read at once
#: The columns of files with Open3D's endings.
_LAYOUTS = {".xyzn": ("x", "y", "z", "nx", "ny", "nz"), ".xyzrgb": ("x", "y", "z", "red", "green", "blue")}
_EXACT = 15  # digits: float64 represents all integers of so many


class TextReader(PointReader):
    """Lines of numbers separated by blanks, tabs, commas or semicolons.

    A line of names may come first, with or without `#` or `//` before it; otherwise the columns are x, y, z, column3,
    ... or those of the layout. A first line of one integer is the number of points, as in .pts files; it is ignored.
    """

    def __init__(self, path: str | Path, layout: Sequence[str] | None = None):
        self.path = _check.existing(path)
        layout = layout or _LAYOUTS.get(self.path.suffix.lower())
        with open(self.path, "rb") as file:
            names, first = self._start(file, layout)
        whole = [len(word.lstrip("+-")) > _EXACT and word.lstrip("+-").isdigit() for word in first]
        dtype = np.dtype([(n, np.int64 if w and n not in "xyz" else np.float64) for n, w in zip(names, whole)])
        self._describe([f for f in fields_of(dtype) if not f.name.startswith("_")], dtype.itemsize, self._rows())
        self.dtype = dtype

    def _start(self, file: IO[bytes], layout: Sequence[str] | None) -> tuple[list[str], list[str]]:
        """The names and the first row; sets `offset` and `line` to those of the first row."""
        named: list[str] = []
        self.offset, self.line, self.separator, self.heading = 0, 0, "", False
        while True:
            raw = file.readline(_LINE)
            if len(raw) == _LINE:
                raise FileError(self.path, f"a line of more than {_LINE} bytes", line=self.line + 1)
            if not raw:
                if self.offset and named:
                    return self._names(named, len(named), layout), [""] * len(named)
                raise FileError(self.path, "holds no line of numbers", line=self.line + 1)
            self._check_line(raw)
            text = decode(raw).lstrip("\ufeff").strip()
            self.separator = next((s for s in ",;" if s in text), "")  # tabs are blanks
            words = [w.strip() for w in text.lstrip("#/ ").split(self.separator or None)]
            if text.startswith(("#", "//")):
                named = words or named  # the column names, or a comment
            elif words and not self.heading and not _is_number(words[0]):
                named, self.heading = words, True
            elif len(words) == 1 and digits_value(words[0]) is not None and not named:
                pass  # .pts: the number of points
            elif words:
                if ";" in text and "," in text:
                    problem = "has ; and , between numbers; decimal commas are not read"
                    raise FileError(self.path, problem, line=self.line + 1)
                return self._names(named, len(words), layout), words
            self.offset, self.line = file.tell(), self.line + 1

    def _check_line(self, raw: bytes) -> None:
        """Raise for encodings and line ends that would be misread."""
        problem = ""
        if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
            problem = "is UTF-16; text is read as UTF-8"
        elif b"\r" in raw.rstrip():
            problem = "its lines end with a carriage return alone; a line ends with a line feed"
        if problem:
            raise FileError(self.path, problem, line=self.line + 1)

    def _names(self, named: list[str], columns: int, layout: Sequence[str] | None) -> list[str]:
        if layout and len(layout) != columns:
            raise FileError(self.path, f"has {columns} columns, the layout names {len(layout)}", line=self.line + 1)
        if layout:
            return layout_names(self.path, layout)
        if columns < 3:
            raise FileError(self.path, f"a point takes 3 numbers or more, a line has {columns}", line=self.line + 1)
        if self.heading and len(named) != columns:
            problem = f"{len(named)} names stand before {columns} numbers"
            raise FileError(self.path, problem, line=self.line + 1)
        taken: set[str] = set()
        if len(named) == columns:
            return [unique(n.strip('"') or f"column{k}", taken) for k, n in enumerate(named)]
        return ["x", "y", "z", *(f"column{k}" for k in range(3, columns))]

    def _rows(self) -> int:
        """The number of lines that are not blank."""
        rows, rest = 0, b""
        with open(self.path, "rb") as file:
            file.seek(self.offset)
            while data := file.read(_READ):
                *lines, rest = (rest + data).split(b"\n")
                rows += sum(map(bool, map(bytes.strip, lines)))
                if len(rest) > _READ:
                    problem = f"a line of more than {_READ} bytes"
                    raise FileError(self.path, problem, file.tell() - len(rest))
        return rows + bool(rest.strip())

    def chunks(self, points: int) -> Iterator[Array]:
        """Structured arrays of at most `points` points."""
        rows = TextRows(self.path, self.dtype, self.line, self.points, self.separator)
        with open(self.path, "rb") as file:
            file.seek(self.offset)
            yield from rows.chunks(file, points)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def write_text(file: IO[bytes], rows: CloudRows, kind: str) -> dict[str, str]:
    """Write one point a line: .csv with commas and a line of names, .txt with blanks and names after a #, .xyz with
    blanks and no names. Numbers have the fewest digits that read back to the same value.

    Returns the new names of columns that had to be renamed: they must not contain blanks or separators.
    """
    separator = "," if kind == ".csv" else " "
    taken: set[str] = set()
    renamed = {}
    for name in rows.schema.names or ():
        clean = "".join("_" if c.isspace() or c in ',;"' else c for c in name) or "column"
        given = unique(clean, taken)
        if given != name:
            renamed[name] = given
    names = [renamed.get(n, n) for n in rows.schema.names or ()]
    if kind != ".xyz":
        file.write(("# " * (kind == ".txt") + separator.join(names) + "\n").encode())
    for block in rows.blocks():
        columns = [_words(block[name]) for name in block.dtype.names or ()]
        file.write("".join(separator.join(row) + "\n" for row in zip(*columns)).encode())
    return renamed


def _words(column: Array) -> list[str]:
    """Numbers as text."""
    if column.dtype.kind != "f":
        return list(map(str, column.tolist()))
    return [w.removesuffix(".0") for w in map(str, column)]
