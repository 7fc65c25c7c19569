"""Tables of text (CSV, TSV, ...): pyarrow parses them; here their dialect is guessed and the line of an error found."""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import IO, TYPE_CHECKING

from fastdl import _check

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow import csv as csv_reader

_DELIMITERS = (",", ";", "\t", "|")
_LINES = 20  # lines from which the delimiter and the decimal point are guessed
_COMMA = re.compile(r"[+-]?\d*,\d+(e[+-]?\d+)?", re.IGNORECASE)
_POINT = re.compile(r"[+-]?\d*\.\d+(e[+-]?\d+)?", re.IGNORECASE)
#: A number with a decimal comma or thousands separators: 1,5 or 1,000 or 1.000,5; not a date or a version.
_MARKED = re.compile(r"[+-]?(\d*,\d+(e[+-]?\d+)?|\d{1,3}([,' ]\d{3})+(\.\d+)?|\d{1,3}(\.\d{3})+,\d+)", re.IGNORECASE)
#: The errors that reading, unpacking and parsing a damaged file raise.
_DAMAGED = (OSError, EOFError, UnicodeDecodeError, zlib.error, csv.Error)
_BLOCK_BYTES = 1 << 20  # bytes of text that pyarrow parses at once


@dataclass(frozen=True)
class Dialect:
    """How a text is read; what is None is guessed from the first lines."""

    delimiter: str | None = None
    decimal: str | None = None
    header: bool | None = None  # whether the first line has the names; None: it has them, and a number is an error


class TextTable:
    """The rows of a text file as record batches of pyarrow, and the line of each row."""

    def __init__(self, path: Path, dialect: Dialect):
        self.path = path
        if dialect.decimal is not None:
            _check.one_of("decimal", dialect.decimal, (".", ","))
        lines = self._first_lines()
        self.delimiter = dialect.delimiter or _guess_delimiter(lines, dialect.decimal or ".")
        self.decimal = dialect.decimal or _guess_decimal(lines, self.delimiter)
        if len(self.delimiter) != 1:
            raise _check.InputError(f"delimiter must be one character, got {self.delimiter!r}")
        try:
            fields = [name.strip() for name in next(csv.reader(lines[:1], delimiter=self.delimiter))]
        except csv.Error as error:
            raise _check.FileError(path, f"has no line of column names: {error}", line=1) from None
        self.header = dialect.header is not False
        if dialect.header is None and any(self.is_number(f) for f in fields):
            raise _check.FileError(
                path,
                f"must begin with a line of column names, got {lines[0].strip()[:80]!r}; --header yes takes these as "
                "names, --header no as the first row",
                line=1,
            )
        self.columns = fields if self.header else [f"x{i}" for i in range(len(fields))]
        twice = {name for name in self.columns if self.columns.count(name) > 1 or not name}
        if twice:
            raise _check.FileError(path, f"column names must be there and differ, got {sorted(twice)}", line=1)

    def is_number(self, text: str) -> bool:
        """Whether pyarrow reads a field as a number; unlike Python it takes no underscores."""
        text = text.strip()
        if self.decimal == ",":
            text = text.replace(",", ".")
        try:
            float(text)
        except ValueError:
            return False
        return "_" not in text

    def has_marks(self, text: str) -> bool:
        """Whether a field would be a number with the other decimal point, or without its thousands separators."""
        return bool(_MARKED.fullmatch(text.strip())) and not self.is_number(text)

    def batches(
        self, columns: Sequence[str], types: dict[str, pa.DataType] | None = None, part: tuple[int, int] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Record batches of the named columns, each float64, bool or text: as `types` says, else by the first rows.

        `part` is a range of bytes between two of the `borders`; by default the whole file.
        """
        pa = _check.extra("pyarrow", "tables", "a table of text")
        try:
            if types is None:
                types = self.types(columns)
            with self._opened(pa, columns, types, part) as stream:
                yield from stream
        except pa.ArrowInvalid as error:
            if "Empty CSV" in str(error):
                return
            raise self._fault(columns, types, error) from None
        except _check.FileError:
            raise
        except _DAMAGED as error:
            raise _check.FileError(self.path, f"is damaged: {error}") from None

    def types(self, columns: Sequence[str]) -> dict[str, pa.DataType]:
        """The pyarrow types of the named columns, from the first rows; raises pyarrow's errors for a damaged file."""
        pa = _check.extra("pyarrow", "tables", "a table of text")
        with self._opened(pa, columns, None, None) as first:
            return {f.name: self._type(pa, f.type) for f in first.schema}

    def _opened(
        self, pa: ModuleType, columns: Sequence[str], types: dict[str, pa.DataType] | None, part: tuple[int, int] | None
    ) -> csv_reader.CSVStreamingReader:
        from pyarrow import csv as reader

        if part is None:
            source = pa.input_stream(str(self.path), compression="gzip" if self._compressed() else None)
        else:
            source = pa.BufferReader(self._bytes(*part))
        named = self.header and (part is None or part[0] == 0)
        return reader.open_csv(
            source,
            reader.ReadOptions(
                use_threads=False, block_size=_BLOCK_BYTES, skip_rows=int(named), column_names=self.columns
            ),
            reader.ParseOptions(delimiter=self.delimiter),
            reader.ConvertOptions(
                column_types=types, include_columns=list(columns), strings_can_be_null=True,
                decimal_point=self.decimal,
            ),
        )  # fmt: skip

    def borders(self, size: int) -> list[int] | None:
        """Offsets at the starts of lines that cut the file into parts of about `size` bytes; None if compressed."""
        if self._compressed():
            return None
        found = [0]
        with open(self.path, "rb") as file:
            end = file.seek(0, 2)
            while found[-1] + size < end:
                file.seek(found[-1] + size)
                file.readline()
                found.append(file.tell())
        return [*found, end] if found[-1] < end else found

    def _bytes(self, start: int, stop: int) -> bytes:
        """The bytes of a part. An odd number of quotes means that a border is within a quoted field: an error."""
        with open(self.path, "rb") as file:
            file.seek(start)
            data = file.read(stop - start)
        if len(data) < stop - start:
            raise EOFError("it became shorter while it was read")
        if data.count(b'"') % 2:
            raise _check.FileError(self.path, f"has a border of parts within quotes, after byte {start}")
        return data

    @staticmethod
    def _type(pa: ModuleType, kind: pa.DataType) -> pa.DataType:
        if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind):
            return pa.float64()
        return kind if pa.types.is_boolean(kind) else pa.string()

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """(line number, fields) of every row; blank lines are skipped."""
        line = 0
        try:
            with self._open() as file:
                reader = csv.reader(file, delimiter=self.delimiter)
                if self.header:
                    next(reader, None)
                for fields in reader:
                    line = reader.line_num
                    if fields:
                        yield line, fields
        except _DAMAGED as error:
            raise _check.FileError(self.path, f"is damaged: {error}", line=line + 1) from None

    def not_a_number(self, name: str, field: str) -> str:
        """The message for a field of a numeric column that is not a number."""
        other = "," if self.decimal == "." else "."
        hint = f"; --decimal {other} reads {other!r} as the decimal point, and marks of thousands are not read"
        return f"{name} must be a number, got {field!r}" + (hint if self.has_marks(field) else "")

    def line(self, row: int) -> int:
        """The line that a row, counted from 0, ends on."""
        return next((line for k, (line, _) in enumerate(self.rows()) if k == row), 0)

    def find(self, column: str, wrong: Callable[[str], bool]) -> tuple[int, str]:
        """The line and the text of the first field of a column for which `wrong` holds."""
        at = self.columns.index(column)
        return next(((line, f[at]) for line, f in self.rows() if len(f) > at and wrong(f[at].strip())), (0, ""))

    def _fault(
        self, columns: Sequence[str], types: dict[str, pa.DataType] | None, error: Exception
    ) -> _check.FileError:
        """The error for the first line that pyarrow cannot parse."""
        types = types or {}
        numeric = [(self.columns.index(c), c) for c in columns if str(types.get(c, "double")) == "double"]
        for line, fields in self.rows():
            if len(fields) != len(self.columns):
                problem = f"must have {len(self.columns)} fields, got {len(fields)}"
                return _check.FileError(self.path, problem, line=line)
            for k, name in numeric:
                if fields[k].strip() and not self.is_number(fields[k]):
                    return _check.FileError(self.path, self.not_a_number(name, fields[k]), line=line)
        return _check.FileError(self.path, f"is no table: {error}")

    def _compressed(self) -> bool:
        return self.path.suffix.lower() == ".gz"

    def _open(self) -> IO[str]:
        opener = gzip.open if self._compressed() else open
        return opener(self.path, "rt", encoding="utf-8-sig", newline="")

    def _first_lines(self) -> list[str]:
        try:
            with self._open() as file:
                lines = [line for line in (file.readline(1 << 20) for _ in range(_LINES)) if line]
        except _DAMAGED as error:
            raise _check.FileError(self.path, f"is no text: {error}", line=1) from None
        if not lines or not lines[0].strip():
            raise _check.FileError(self.path, "must begin with a line of column names", line=1)
        return lines


def _guess_decimal(lines: list[str], delimiter: str) -> str:
    """The decimal point: "," where numbers of the first lines have a comma and none has a point.

    At least one comma must not be followed by 3 digits: those may separate thousands.
    """
    if delimiter == ",":
        return "."
    fields = [field.strip() for line in lines[1:] for field in line.split(delimiter)]
    commas = [field for field in fields if _COMMA.fullmatch(field)]
    points = any(_POINT.fullmatch(field) for field in fields)
    clear = any(len(field.partition(",")[2].partition("e")[0]) != 3 for field in commas)
    return "," if clear and not points else "."


def _guess_delimiter(lines: list[str], decimal: str) -> str:
    """The delimiter that is most frequent in the first line, of those that each line has as often, if there are any."""
    found = [d for d in _DELIMITERS if d != decimal and d in lines[0]]
    even = [d for d in found if len({line.count(d) for line in lines if line.strip()}) == 1]
    return max(even or found or [","], key=lines[0].count)
