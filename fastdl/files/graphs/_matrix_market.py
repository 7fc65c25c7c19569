"""MatrixMarket files: coordinate and array matrices of real numbers, integers or patterns, with their symmetries.

Boisvert, Pozo and Remington, "The Matrix Market exchange formats", NISTIR 5935, 1996.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from fastdl._typing import Array
from fastdl.errors import FileError
from fastdl.files.graphs._columns import Chunk, ColumnLayout
from fastdl.files.graphs._text import EdgeLines, lines, open_text

_FIELDS = ("pattern", "integer", "unsigned-integer", "real", "double")
_SYMMETRIES = ("general", "symmetric", "skew-symmetric")
_HEADER = 1 << 16  # bytes: a longer line of the header is an error
_INT63 = (1 << 63) - 1


@dataclass(frozen=True)
class MatrixHeader:
    """The header of a file; `line` is the number of its last line."""

    dense: bool
    field: str
    symmetry: str
    rows: int
    columns: int
    entries: int
    line: int


def shape(path: Path) -> tuple[int, int]:
    """(rows, columns) of a matrix, which are (targets, sources) of its graph."""
    with open_text(path) as file:
        header = read_matrix_header(path, file)
    return header.rows, header.columns


def read_matrix_header(path: Path, file: IO[bytes]) -> MatrixHeader:
    """Read the header, so that the file is at its first entry."""
    words = _line(path, file, 1).lower().split()
    if len(words) != 5 or words[:2] != [b"%%matrixmarket", b"matrix"]:
        raise FileError(path, "must begin with %%MatrixMarket matrix ...", line=1)
    kind, field, symmetry = (w.decode(errors="replace") for w in words[2:])
    if kind not in ("coordinate", "array") or field not in _FIELDS or (kind == "array" and field == "pattern"):
        wanted = f"a coordinate or array matrix of {', '.join(_FIELDS)}"
        raise FileError(path, f"must be {wanted}, got {kind} {field}", line=1)
    if symmetry not in _SYMMETRIES:
        raise FileError(path, f"must be {', '.join(_SYMMETRIES)}, got {symmetry}", line=1)
    number, sizes = 1, b""
    while not sizes.strip() or sizes.lstrip().startswith(b"%"):
        number += 1
        sizes = _line(path, file, number)
        if not sizes:
            raise FileError(path, "ends before the line of sizes", line=number)
    found = sizes.split()
    if len(found) != (2 if kind == "array" else 3) or not all(w.isdigit() and len(w) < 19 for w in found):
        what = "rows and columns" if kind == "array" else "rows, columns and entries"
        raise FileError(path, f"must give {what}, got {sizes[:80].decode(errors='replace').strip()!r}", line=number)
    rows, columns = int(found[0]), int(found[1])
    if symmetry != "general" and rows != columns:
        raise FileError(path, f"a {symmetry} matrix must be square, got {rows} x {columns}", line=number)
    stored = rows * columns if kind == "array" else int(found[-1])
    if kind == "array" and symmetry != "general":  # the lower triangle, without its diagonal where that is 0
        stored = rows * (rows + (1 if symmetry == "symmetric" else -1)) // 2
    return MatrixHeader(kind == "array", field, symmetry, rows, columns, stored, number)


def _line(path: Path, file: IO[bytes], number: int) -> bytes:
    try:
        line = file.readline(_HEADER)
    except (EOFError, OSError) as error:
        raise FileError(path, f"is truncated or corrupt: {error}", line=number) from None
    if len(line) == _HEADER:
        raise FileError(path, f"a line of more than {_HEADER} bytes", line=number)
    return line


def matrix_chunks(path: Path) -> Iterator[Chunk]:
    """The edges of a matrix: row i gathers from column j."""
    with open_text(path) as file:
        header = read_matrix_header(path, file)
        yield from _dense(path, file, header) if header.dense else _coordinates(path, file, header)


def _coordinates(path: Path, file: IO[bytes], header: MatrixHeader) -> Iterator[Chunk]:
    pattern = header.field == "pattern"
    table = EdgeLines(path, b"", ColumnLayout(2, 1, 0, None) if pattern else ColumnLayout(3, 1, 0, 2), 1)
    found = 0
    for first, block in lines(path, file, header.line + 1):
        edges, weight = table.edges(first, block)
        found += edges.shape[1]
        outside = (edges[1] >= header.rows) | (edges[0] >= header.columns)
        if outside.any():
            k = int(outside.argmax())
            entry = tuple((edges[::-1, k] + 1).tolist())
            message = f"entry {entry} is outside the matrix of {header.rows} x {header.columns}"
            raise FileError(path, message, line=line_of(block, first, k))
        if pattern and header.symmetry == "skew-symmetric":
            weight = np.ones(edges.shape[1])
        yield edges, weight
        yield from _mirrored(edges, weight, header.symmetry)
    if found != header.entries:
        raise FileError(path, f"must hold {header.entries} entries, got {found}")


def _mirrored(edges: Array, weight: Array | None, symmetry: str) -> Iterator[Chunk]:
    if symmetry != "general":
        other = edges[0] != edges[1]
        sign = -1.0 if symmetry == "skew-symmetric" else 1.0
        yield edges[::-1, other], None if weight is None else sign * weight[other]


def _dense(path: Path, file: IO[bytes], header: MatrixHeader) -> Iterator[Chunk]:
    """The edges of a dense matrix, which stands column by column: each entry that is not zero."""
    lower = header.symmetry != "general"
    skip = 1 if header.symmetry == "skew-symmetric" else 0
    table = EdgeLines(path, b"", ColumnLayout(1, 0, 0, 0), 0)
    # Where each column begins among the numbers, and the row that it begins with.
    heights = np.arange(header.rows - skip, 0 - skip, -1) if lower else None
    ends = None if heights is None else np.cumsum(heights)
    done = 0
    for first, block in lines(path, file, header.line + 1):
        values = table.numbers(first, block)
        at = np.arange(done, done + len(values))
        done += len(values)
        if done > header.entries:
            break
        if ends is None:
            columns, rows = np.divmod(at, max(header.rows, 1))
        else:
            columns = np.searchsorted(ends, at, "right")
            rows = at - np.concatenate([[0], ends])[columns] + columns + skip
        some = values != 0
        edges, weight = np.stack([columns[some], rows[some]]), values[some]
        yield edges, weight
        yield from _mirrored(edges, weight, header.symmetry)
    if done != header.entries:
        raise FileError(path, f"must hold {header.entries} numbers, got {'more' if done > header.entries else done}")


def line_of(text: bytes, first: int, k: int) -> int:
    """The line of the k-th row that is not empty."""
    filled = [number for number, row in enumerate(text.split(b"\n"), first) if row.split()]
    return filled[k]
