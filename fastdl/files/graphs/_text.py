"""Edges in text (CSV, TSV, ...), in chunks; an error names the line that is not an edge."""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from fastdl import _kernels
from fastdl._typing import Array
from fastdl.errors import FileError
from fastdl.files.graphs._columns import SOURCES, TARGETS, Chunk, ColumnChoice, ColumnLayout, choose_columns
from fastdl.files.points.text_rows import powers_of_five
from fastdl.reference import files as reference

kernel = _kernels.load("files_numbers") or reference

_READ = 1 << 18  # bytes read at once: with what is made of them, no more than the second-level cache holds
_LINE = 1 << 20  # bytes: a longer line is an error
_LARGEST = (1 << 63) - 1
_COMMENTS = (b"#", b"%")
_DELIMITERS = (b"\t", b",", b";", b"|")
_QUOTED = re.compile(rb'"([ \t]*[-+.\w]*[ \t]*)"')
_WHOLE = re.compile(r"([-+]?[0-9]{1,19})(\.0*)?")
_NUMBER = re.compile(r"[-+]?(([0-9]+\.?[0-9]*|\.[0-9]+)(e[-+]?[0-9]+)?|nan|inf(inity)?)", re.IGNORECASE | re.ASCII)


def open_text(path: Path) -> IO[bytes]:
    """The bytes of a file, decompressed where its name ends in .gz."""
    return gzip.open(path, "rb") if path.suffix.lower() == ".gz" else open(path, "rb")  # type: ignore[return-value]


def lines(path: Path, file: IO[bytes], line: int = 1) -> Iterator[tuple[int, bytes]]:
    """The rest of a file in blocks: (number of the first line, whole lines, each of which ends in a newline)."""
    rest, returns = b"", None
    while True:
        try:
            data = file.read(_READ)
        except (EOFError, OSError, zlib.error) as error:
            raise FileError(path, f"is truncated or corrupt: {error}", line=line) from None
        if returns is None:  # whether lines end in a carriage return alone, as on the classic Mac OS
            returns = b"\r" in data and b"\n" not in data
        if returns:
            data = data.replace(b"\r", b"\n")
        if not data and not rest:
            return
        end = data.rfind(b"\n") + 1 if data else 0
        if end:
            block, rest = rest + data[:end], data[end:]
        else:
            block, rest = (b"", rest + data) if data else (rest + b"\n", b"")
        if len(rest) > _LINE:
            raise FileError(path, f"a line of more than {_LINE} bytes is no edge", line=line + _lines_of(block))
        if block:
            yield line, uncommented(block)
            line += _lines_of(block)


def _lines_of(block: bytes) -> int:
    return int(np.count_nonzero(np.frombuffer(block, np.uint8) == ord("\n")))  # ten times as fast as bytes.count


def uncommented(block: bytes) -> bytes:
    """The lines, those of comments made empty."""
    if not any(mark in block for mark in _COMMENTS):
        return block
    return b"\n".join(b"" if row.lstrip().startswith(_COMMENTS) else row for row in block.split(b"\n"))


def text_chunks(path: Path, choice: ColumnChoice) -> Iterator[Chunk]:
    """The edges of a file, by their columns."""
    for number, block, table in _tables(path, choice):
        yield table.edges(number, block)


def named_text_chunks(path: Path, choice: ColumnChoice, names: dict[str, int], grow: bool) -> Iterator[Chunk]:
    """The edges between named nodes, numbered by `names`; a new name is added with `grow`, else it is an error."""
    for number, block, table in _tables(path, choice, named=True):
        yield table.named_edges(number, block, names, grow)


def layout_of(path: Path, choice: ColumnChoice, *, named: bool = False) -> ColumnLayout | None:
    """Which columns of a file are read; None for an empty file."""
    for _, _, table in _tables(path, choice, named=named):
        return table.layout
    return None


def _tables(path: Path, choice: ColumnChoice, *, named: bool = False) -> Iterator[tuple[int, bytes, EdgeLines]]:
    """Blocks of (number of the first line, lines, how to read them), without the heading."""
    table = None
    with open_text(path) as file:
        for number, block in lines(path, file):
            block = block.removeprefix(b"\xef\xbb\xbf") if number == 1 else block
            if table is None:
                stripped = block.lstrip(b" \t\r\n")
                if not stripped:
                    continue
                skipped = block[: len(block) - len(stripped)].count(b"\n")
                block = block.split(b"\n", skipped)[skipped] if skipped else block
                number += skipped
                end = block.index(b"\n")
                table, heading = _first_table(path, number, block[:end], choice, named)
                if heading:
                    number, block = number + 1, block[end + 1 :]
            yield number, block, table


def _first_table(path: Path, line: int, row: bytes, choice: ColumnChoice, named: bool) -> tuple[EdgeLines, bool]:
    """How to read a file whose first line is `row`, and whether that is a heading."""
    if choice.delimiter is not None:
        delimiter = choice.delimiter.encode()
        if len(delimiter) != 1 or delimiter in b'"\n\r':
            raise FileError(path, f"delimiter must be one character, got {choice.delimiter!r}")
        delimiter = b"" if delimiter == b" " else delimiter
    else:
        bare = re.sub(rb'"[^"]*"', b"", row)
        delimiter = next((d for d in _DELIMITERS if d in bare), b"")
    table = EdgeLines(path, delimiter, ColumnLayout(0, 0, 0, None), choice.base)
    words = table.fields(line, row)
    numbers = [_is_number(word) for word in words]
    heading = is_heading(words) if named else not any(numbers)
    table.layout = choose_columns(path, line, len(words), words if heading else None, choice)
    return table, heading


def is_heading(words: list[str]) -> bool:
    """Whether the first line of a file whose nodes have names is a heading: it names a source and a target column."""
    folded = [word.strip().casefold() for word in words]
    return any(word in SOURCES for word in folded) and any(word in TARGETS for word in folded)


def _is_number(word: str) -> bool:
    return _NUMBER.fullmatch(word) is not None


class EdgeLines:
    """Parses lines of one layout to edges: by the kernel, and lines that it does not parse one by one."""

    def __init__(self, path: Path, delimiter: bytes, layout: ColumnLayout, base: int):
        self.path, self.delimiter, self.layout, self.base = path, delimiter, layout, base

    def fields(self, line: int, row: bytes) -> list[str]:
        """The fields of a line, without quotes and blanks around them."""
        text = row.decode("utf-8", "replace").strip("\r")
        if not self.delimiter:
            text = " ".join(text.split())
        try:
            if not self.delimiter:
                return next(csv.reader([text], delimiter=" "))
            return [
                f.strip() for f in next(csv.reader([text], delimiter=self.delimiter.decode(), skipinitialspace=True))
            ]
        except csv.Error as error:
            raise FileError(self.path, f"cannot be read as columns: {error}", line=line) from None

    def edges(self, first: int, block: bytes) -> Chunk:
        """The edges of whole lines."""
        layout = self.layout
        kinds = np.zeros(layout.fields, np.uint8)
        kinds[[layout.source, layout.target]] = 1
        words = self._words(first, block, kinds)
        edges = words[layout.source :: layout.target - layout.source][:2].view(np.int64)
        if self.base or layout.fields > 3:  # other columns need not be kept
            edges = edges - self.base
        if layout.weight is None:
            return edges, None
        weights = words[layout.weight].view(np.float64)
        if layout.fields > 3:
            weights = weights.copy()
        if np.isnan(weights).any():
            self._missing(first, block, int(np.isnan(weights).argmax()))
        return edges, weights

    def numbers(self, first: int, block: bytes) -> Array:
        """The numbers of lines that hold one each."""
        return self._words(first, block, np.zeros(1, np.uint8))[0].view(np.float64)

    def _words(self, first: int, block: bytes, kinds: Array) -> Array:
        """The columns as words of 8 bytes: int64 in those of kind 1 (nodes), float64 in those of kind 0 (numbers)."""
        plain = _QUOTED.sub(rb"\1", block) if b'"' in block else block
        if self.delimiter not in (b"", b","):
            plain = plain.replace(b",", b"\0").replace(self.delimiter, b",")
        columns = np.zeros((len(kinds), 3), np.int64)
        columns[kinds == 1] = 1, self.base, _LARGEST
        words = np.empty((len(kinds), _lines_of(block)), np.uint64)
        text, state = np.frombuffer(plain, np.uint8), np.zeros(3, np.int64)
        separator = ord(",") if self.delimiter else 0
        rows: list[bytes] | None = None
        while not kernel.parse_rows(text, separator, columns, powers_of_five(), words.T, state):
            rows = block.split(b"\n") if rows is None else rows
            at, done, passed = (int(s) for s in state)
            self._fill(words[:, done], first + passed, rows[passed], kinds)
            state[:] = plain.index(b"\n", at) + 1, done + 1, passed + 1
        return words[:, : state[1]]

    def _fill(self, words: Array, line: int, row: bytes, kinds: Array) -> None:
        """Parse a row that the kernel does not: it has quotes, text in columns that are not read, or an error."""
        fields, layout = self._checked_fields(line, row), self.layout
        if not kinds.any():
            words[:1].view(np.float64)[0] = self._weight(line, fields[0])
            return
        words[layout.source], words[layout.target] = (
            self._node(line, fields[k]) for k in (layout.source, layout.target)
        )
        if layout.weight is not None:
            words[layout.weight : layout.weight + 1].view(np.float64)[0] = self._weight(line, fields[layout.weight])

    def _checked_fields(self, line: int, row: bytes) -> list[str]:
        words = self.fields(line, row)
        if len(words) != self.layout.fields:
            problem = f"must have {self.layout.fields} columns, as the lines before it, got {len(words)}"
            raise FileError(self.path, problem, line=line)
        return words

    def _node(self, line: int, word: str) -> int:
        match = _WHOLE.fullmatch(word)
        value = int(match[1]) if match else None
        if match is None and _is_number(word) and float(word).is_integer() and abs(float(word)) < 2.0**53:
            value = int(float(word))  # 1e3
        if value is None or value > _LARGEST:
            hint = "" if _is_number(word) else "; read_named_graph (--ids) reads names"
            raise FileError(self.path, f"must be a node, got {word!r}{hint if word else ''}", line=line)
        if value < self.base:
            raise FileError(self.path, f"nodes must be at least {self.base}, got {value}", line=line)
        return value

    def _weight(self, line: int, word: str) -> float:
        if not _is_number(word):
            raise FileError(self.path, f"must be a weight, got {word!r}", line=line)
        return float(word)

    def _missing(self, first: int, block: bytes, k: int) -> None:
        """Raise if the weight of a row from the k-th on is empty, which the kernel reads as NaN."""
        assert self.layout.weight is not None
        filled = [(n, row) for n, row in enumerate(block.split(b"\n"), first) if row.strip()]
        for number, row in filled[k:]:
            words = self.fields(number, row)
            if words[self.layout.weight] == "":
                raise FileError(self.path, "must be a weight, got ''", line=number)

    def named_edges(self, first: int, block: bytes, names: dict[str, int], grow: bool) -> Chunk:
        """The edges of whole lines between nodes that have names."""
        ends: list[int] = []
        weights: list[float] = []
        for number, row in enumerate(block.split(b"\n"), first):
            if not row.strip():
                continue
            words = self._checked_fields(number, row)
            for word in (words[self.layout.source], words[self.layout.target]):
                if not word:
                    raise FileError(self.path, "must be a node, got ''", line=number)
                if grow:
                    ends.append(names.setdefault(word, len(names)))
                elif word in names:
                    ends.append(names[word])
                else:
                    raise FileError(self.path, f"{word!r} is not in the table of names", line=number)
            if self.layout.weight is not None:
                weights.append(self._weight(number, words[self.layout.weight]))
        edges: Array = np.array(ends, np.int64).reshape(-1, 2).T
        return edges, None if self.layout.weight is None else np.array(weights)
