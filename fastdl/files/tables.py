"""Tables of numbers with named columns: CSV and its kin, .npy and .npz, in blocks of rows."""

from __future__ import annotations

import csv
import gzip
import zipfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO

import numpy as np

from fastdl import _check
from fastdl.files.npy import NpyReader

Array = np.ndarray

#: The endings that are read; text may be compressed (.gz).
TEXT = (".csv", ".tsv", ".txt")
SUFFIXES = (*TEXT, ".npy", ".npz")

_ROWS = 1 << 15  # of a block
_DELIMITERS = ",;\t"


class Table:
    """A file with one row of numbers after the other.

    Text has a first line with the names of its columns, which are parted by commas, semicolons or tabs. An `.npy` file
    holds (N, C); an `.npz` file "X" (N, D) and perhaps "y" (N,) and "weight" (N,), or columns (N,) under their names.
    Columns without names are "x0", "x1", and so on.

    Parameters
    ----------
    path : path
        The file.

    Attributes
    ----------
    columns : list of str
        The names.

    Raises
    ------
    FileError
        For what is no table of numbers, naming the file and, in text, the line.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from fastdl.files.tables import Table
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "table.csv"
    >>> _ = path.write_text("height,weight\\n1.8,80\\n1.6,55\\n")
    >>> table = Table(path)
    >>> table.columns, next(table.blocks()).tolist()
    (['height', 'weight'], [[1.8, 80.0], [1.6, 55.0]])
    """

    def __init__(self, path: str | Path):
        self.path = _check.existing(path)
        suffix = next((s for s in map(str.lower, reversed(self.path.suffixes)) if s != ".gz"), "")
        if suffix not in SUFFIXES:
            raise _check.FileError(self.path, f"a table must end in {', '.join(SUFFIXES)} (text also in .gz)")
        self._text = suffix in TEXT
        if self._text:
            self.columns, self._delimiter = self._heading()
        elif suffix == ".npy":
            self._reader = NpyReader(self.path)
            if len(self._reader.shape) != 2 or self._reader.dtype.kind not in "fiub":
                raise _check.FileError(
                    self.path, f"must hold numbers (N, C), got {self._reader.dtype} {self._reader.shape}"
                )
            self.columns = _unnamed(self._reader.shape[1])
        else:
            self._arrays = self._held()

    def blocks(self) -> Iterator[Array]:
        """All rows in order, float64 (n, C)."""
        if self._text:
            yield from self._parsed()
        elif hasattr(self, "_reader"):
            for block in self._reader.chunks(_ROWS):
                yield block.astype(np.float64)
        else:
            for i in range(0, len(self._arrays[0]), _ROWS):
                yield np.column_stack([a[i : i + _ROWS] for a in self._arrays]).astype(np.float64)

    def _open(self) -> IO[str]:
        opener = gzip.open if self.path.suffix.lower() == ".gz" else open
        return opener(self.path, "rt", encoding="utf-8-sig", newline="")

    def _heading(self) -> tuple[list[str], str]:
        try:
            with self._open() as file:
                line = file.readline()
        except (OSError, EOFError, UnicodeDecodeError) as error:
            raise _check.FileError(self.path, f"is no text: {error}", line=1) from None
        if not line.strip():
            raise _check.FileError(self.path, "must begin with a line of column names", line=1)
        delimiter = max(_DELIMITERS, key=line.count)
        names = [name.strip() for name in next(csv.reader([line], delimiter=delimiter))]
        if any(map(_is_number, names)):
            raise _check.FileError(self.path, f"must begin with a line of column names, got {line.strip()!r}", line=1)
        twice = {name for name in names if names.count(name) > 1 or not name}
        if twice:
            raise _check.FileError(self.path, f"column names must be there and differ, got {sorted(twice)}", line=1)
        return names, delimiter

    def _parsed(self) -> Iterator[Array]:
        first = 2
        with self._open() as file:
            file.readline()
            try:
                while lines := list(islice(file, _ROWS)):
                    yield self._numbers(lines, first)
                    first += len(lines)
            except (OSError, EOFError, UnicodeDecodeError) as error:
                raise _check.FileError(self.path, f"is damaged: {error}", line=first) from None

    def _numbers(self, lines: list[str], first: int) -> Array:
        full = [line for line in lines if not line.isspace()]
        if not full:
            return np.empty((0, len(self.columns)))
        try:
            block = np.loadtxt(full, delimiter=self._delimiter, ndmin=2, comments=None, quotechar='"')
            if block.shape[1] == len(self.columns):
                return block
        except ValueError:
            pass
        raise self._fault(lines, first)

    def _fault(self, lines: list[str], first: int) -> _check.FileError:
        """What is wrong with the first line that is no row."""
        for number, line in enumerate(lines, first):
            fields = next(csv.reader([line], delimiter=self._delimiter), [])
            if line.isspace():
                continue
            if len(fields) != len(self.columns):
                problem = f"must have {len(self.columns)} fields, got {len(fields)}"
                return _check.FileError(self.path, problem, line=number)
            for name, text in zip(self.columns, fields):
                if not _is_number(text):
                    return _check.FileError(self.path, f"{name} must be a number, got {text!r}", line=number)
        return _check.FileError(self.path, "is no table of numbers", line=first)

    def _held(self) -> list[Array]:
        try:
            with np.load(self.path, allow_pickle=False) as held:
                arrays = {name: held[name] for name in held.files}
        except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
            raise _check.FileError(self.path, f"is no whole .npz file: {error}") from None
        X = arrays.pop("X", None)
        if X is not None and X.ndim == 2:
            arrays = {**dict(zip(_unnamed(X.shape[1]), X.T)), **arrays}
        shapes = {a.shape for a in arrays.values()}
        if len(shapes) != 1 or len(next(iter(shapes))) != 1 or any(a.dtype.kind not in "fiub" for a in arrays.values()):
            got = ", ".join(f"{name}: {a.dtype} {a.shape}" for name, a in arrays.items()) or "nothing"
            raise _check.FileError(self.path, f'must hold "X" (N, D) and columns (N,) of numbers, got {got}')
        self.columns = list(arrays)
        return list(arrays.values())


def _unnamed(count: int) -> list[str]:
    return [f"x{i}" for i in range(count)]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
