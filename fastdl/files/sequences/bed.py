"""Regions of a genome: BED and narrowPeak files, and tables of regions."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastdl import _check
from fastdl._typing import Array
from fastdl.files.sequences.compressed_text import CompressedText

_CENTERS = ("middle", "summit")
_TABLES = (".csv", ".tsv", ".parquet", ".csv.gz", ".tsv.gz")
_LONGEST = 1 << 20  # bytes of a line
_FARTHEST = 1 << 60  # positions beyond are an error: no genome is so long, and sums of two stay within int64
_COLUMNS = {
    "name": ("chrom", "chr", "chromosome", "seqnames", "seqname", "contig", "sequence", "name"),
    "start": ("start", "chromstart", "begin"),
    "stop": ("end", "stop", "chromend"),
    "strand": ("strand",),
    "summit": ("summit", "peak"),
}


class Regions(NamedTuple):
    """Some regions, in the order of their file."""

    names: list[str]
    starts: Array  # int64, from 0
    stops: Array  # int64, not included
    strand: list[str]  # "+", "-" or "."
    lines: list[int]
    summits: Array  # int64, from 0; -1 where there is none

    def windows(self, length: int, center: str = "middle") -> Array:
        """The starts of windows of one length around the middles or summits of the regions."""
        _check.one_of("center", center, _CENTERS)
        middles = (self.starts + self.stops) // 2
        if center == "summit":
            middles = np.where(self.summits >= 0, self.summits, middles)
        return middles - length // 2


class _Row(NamedTuple):
    name: str
    start: int
    stop: int
    strand: str
    line: int
    summit: int


def read_bed(path: str | Path, count: int = 4096, *, negative: bool = False) -> Iterator[Regions]:
    """Read the regions of a BED or narrowPeak file (plain or gzip).

    Parameters
    ----------
    path : str or Path
        Columns are separated by tabs, or by blanks; the sixth is the strand, and the tenth of ten the summit
        (narrowPeak). Empty lines, and those that begin with #, or with the word track or browser, are skipped.
    count : int
        The number of regions of a batch.
    negative : bool
        Whether regions may begin before 0, as those that were widened do: bases before 0 are padding.

    Yields
    ------
    Regions
        `names`, `starts`, `stops`, `strand`, `lines` and `summits`, in the order of the file.

    Raises
    ------
    FileError
        For a line that is not a region, naming it.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from fastdl.files import read_bed
    >>> path = pathlib.Path(tempfile.mkdtemp(), "a.bed")
    >>> _ = path.write_text("chr1\\t5\\t10\\nchr2\\t0\\t3\\tpeak\\t0\\t-\\n")
    >>> [(r.names, r.starts.tolist(), r.strand) for r in read_bed(path)]
    [(['chr1', 'chr2'], [5, 0], ['.', '-'])]
    """
    path = _check.existing(path)
    return _batches(_bed_rows(path, negative), _check.integer("count", count, 1))


def read_regions(path: str | Path, count: int = 4096, *, negative: bool = False) -> Iterator[Regions]:
    """Read regions from a table with a heading (.csv, .tsv, .parquet), or from BED, by the name of the file.

    Parameters
    ----------
    path : str or Path
        The columns of a table are found by name, in any order: chrom, start, end, and optionally strand and summit (a
        position in the sequence, not a distance from the start).
    count, negative
        As in `read_bed`.

    Yields
    ------
    Regions
        As `read_bed`.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from fastdl.files import read_regions
    >>> path = pathlib.Path(tempfile.mkdtemp(), "a.csv")
    >>> _ = path.write_text("gene,chrom,start,end\\nx,chr1,5,10\\n")
    >>> [(r.names, r.starts.tolist(), r.stops.tolist()) for r in read_regions(path)]
    [(['chr1'], [5], [10])]
    """
    path = _check.existing(path)
    name = path.name.lower()
    if not name.endswith(_TABLES):
        return read_bed(path, count, negative=negative)
    rows = _parquet_rows(path) if name.endswith(".parquet") else _csv_rows(path)
    return _batches(_table_rows(path, rows, negative), _check.integer("count", count, 1))


def _batches(rows: Iterator[_Row], count: int) -> Iterator[Regions]:
    held: list[_Row] = []
    for row in rows:
        held.append(row)
        if len(held) == count:
            yield _regions(held)
            held = []
    if held:
        yield _regions(held)


def _regions(rows: list[_Row]) -> Regions:
    names, starts, stops, strand, lines, summits = zip(*rows)
    numbers = (np.array(each, np.int64) for each in (starts, stops, summits))
    first, last, summit = numbers
    return Regions(list(names), first, last, list(strand), list(lines), summit)


def text_lines(path: Path) -> Iterator[bytes]:
    """The lines of a plain or gzip file, without line ends; a line that is too long is an error."""
    with CompressedText(path) as file:
        rest, number = b"", 0
        while block := file.read(1 << 20):
            *lines, rest = (rest + block).split(b"\n")
            for line in lines:
                yield line.removesuffix(b"\r")
            number += len(lines)
            if len(rest) > _LONGEST:
                raise _check.FileError(path, f"a line of more than {_LONGEST} bytes", line=number + 1)
        if rest:
            yield rest.removesuffix(b"\r")


def _bed_rows(path: Path, negative: bool) -> Iterator[_Row]:
    for number, line in enumerate(text_lines(path), 1):
        fields = line.split(b"\t") if b"\t" in line else line.split()
        if not line.strip() or line.startswith(b"#") or fields[0].split()[:1] in ([b"track"], [b"browser"]):
            continue
        text = [field.decode("utf-8", "replace").strip(" ") for field in fields]
        if len(text) < 3:
            raise _check.FileError(path, "needs a name, a start and an end, apart by tabs", line=number)
        row = _row(path, number, text[:3], text[5] if len(text) > 5 else ".", negative)
        offset = text[9] if len(text) == 10 else "-1"
        if offset != "-1" and offset.isascii() and offset.isdigit():
            if len(offset) > 18 or int(offset) > row.stop - row.start:
                problem = f"a summit {offset[:20]} bases behind a start lies beyond the end of the region"
                raise _check.FileError(path, problem, line=number)
            row = row._replace(summit=row.start + int(offset))
        yield row


def _row(path: Path, number: int, fields: list[str], strand: str, negative: bool) -> _Row:
    name, *ends = fields
    start, stop = (_integer(path, number, each) for each in ends)
    if strand not in ("+", "-", "."):
        raise _check.FileError(path, f"strand must be +, - or ., got {strand!r}", line=number)
    if start > stop:
        raise _check.FileError(path, f"must not end before it starts, got {start} to {stop}", line=number)
    if start < 0 and not negative:
        hint = f"must start at 0 or later, got {start}; negative=True (--pad) fills what lies before"
        raise _check.FileError(path, hint, line=number)
    return _Row(name, start, stop, strand, number, -1)


def _integer(path: Path, number: int, text: str) -> int:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 19:
        raise _check.FileError(path, f"starts and ends must be whole numbers, got {text!r}", line=number)
    value = int(text)
    if not -_FARTHEST < value < _FARTHEST:
        raise _check.FileError(path, f"no genome has a place {value}", line=number)
    return value


def _csv_rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """(line number, row as a dict by column name) of a table in text; the separator is guessed from the first line."""
    lines = (line.decode("utf-8-sig", "replace") for line in text_lines(path))
    heading = next(lines, "")
    separator = max("\t,;", key=heading.count)
    try:
        names = next(csv.reader([heading], delimiter=separator), [])
        _check_names(path, names)
        reader = csv.reader(lines, delimiter=separator)
        for fields in reader:
            if fields and len(fields) != len(names):  # one comma too many would move every column behind it
                problem = f"must have {len(names)} fields, as its heading, got {len(fields)}"
                raise _check.FileError(path, problem, line=reader.line_num + 1)
            yield reader.line_num + 1, dict(zip(names, fields))
    except csv.Error as error:
        raise _check.FileError(path, f"cannot be read as a table: {error}") from None


def _parquet_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    parquet = _check.extra("pyarrow.parquet", "tables", "reading .parquet")
    try:
        file = parquet.ParquetFile(path)
        _check_names(path, file.schema_arrow.names)
        number = 2  # as in text, whose heading is line 1
        for batch in file.iter_batches():
            yield from enumerate(batch.to_pylist(), number)
            number += batch.num_rows
    except _check.FileError:
        raise
    except (OSError, ValueError) as error:  # what pyarrow raises for what is no Parquet
        raise _check.FileError(path, f"not a Parquet file: {error}") from None


def _check_names(path: Path, names: list[str]) -> None:
    """Raise where a column that could be meant is there twice."""
    known = [name.strip().lower() for name in names]
    twice = sorted({n for n in known if known.count(n) > 1 and any(n in some for some in _COLUMNS.values())})
    if twice:
        raise _check.FileError(path, f"has the column {twice[0]!r} more than once", line=1)


def _table_rows(path: Path, rows: Iterator[tuple[int, dict[str, Any]]], negative: bool) -> Iterator[_Row]:
    columns: dict[str, str] | None = None
    for number, row in rows:
        if not row:
            continue
        if columns is None:
            columns = _columns(path, list(row))
        cells = {what: str(row.get(column, "")) for what, column in columns.items()}
        ends = [cells["name"], cells["start"], cells["stop"]]
        found = _row(path, number, ends, cells.get("strand") or ".", negative)
        if cells.get("summit", "") not in ("", "-1", "None"):
            found = found._replace(summit=_integer(path, number, cells["summit"]))
        yield found


def _columns(path: Path, names: list[str]) -> dict[str, str]:
    """The columns of a table, by what they hold."""
    folded = {name.strip().lower(): name for name in names}
    found = {what: folded[n] for what, known in _COLUMNS.items() for n in reversed(known) if n in folded}
    for what in ("name", "start", "stop"):
        if what not in found:
            problem = f"needs a column {_COLUMNS[what][0]!r}; its heading names {', '.join(map(repr, names))}"
            raise _check.FileError(path, problem, line=1)
    return found
