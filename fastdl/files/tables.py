"""Tables of named columns in files: CSV and other text, Parquet, Arrow, .npy and .npz, read in chunks of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastdl import _check
from fastdl._typing import Array
from fastdl.files._text_tables import Dialect, TextTable
from fastdl.files.npy import NpyReader
from fastdl.files.numpy_files import load_npz

#: The endings that are read; text may be compressed (.gz).
TEXT = (".csv", ".tsv", ".txt")
ARROW = (".arrow", ".feather", ".ipc", ".arrows")
SUFFIXES = (*TEXT, ".parquet", *ARROW, ".npy", ".npz")

_ROWS = 1 << 15  # rows read at once


@dataclass(frozen=True)
class TableSection:
    """A part of a table that can be read alone.

    `start` and `stop` count bytes of text, rows of .npy, row groups of Parquet or batches of Arrow; `types` are the
    pyarrow types of the columns of text, so that all sections have the same.
    """

    start: int
    stop: int
    types: dict[str, Any] | None = None


class Table:
    """A file of rows with named columns, read in chunks: also the rows of a fit, as `fit_lp` takes them.

    Text has a first line with the names of its columns; the delimiter (comma, semicolon, tab or bar) is guessed from
    the first lines. An `.npy` file holds (N, C); an `.npz` file "X" (N, D) and perhaps "y" (N,) and "weight" (N,), or
    columns (N,) under their names. Columns without names are "x0", "x1", and so on. Text, Parquet (.parquet) and Arrow
    (.arrow, .feather) are read by pyarrow, which the extra `tables` installs. Columns not asked for are not parsed.

    Parameters
    ----------
    path : path
        The file.
    delimiter : str, optional
        The character between the columns of text.
    decimal : {".", ","}, optional
        The decimal point of text; by default a comma where numbers of the first lines have a comma and none a point.
    header : bool, optional
        Whether the first line of text has the names. By default it has them, and numbers in it are an error.

    Attributes
    ----------
    columns : list of str
        The names.

    Raises
    ------
    FileError
        For a file that is not a table, naming the file and, in text, the line.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import fastdl
    >>> from fastdl.files import Table
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "table.csv"
    >>> _ = path.write_text("height,city,weight\\n1.8,Oslo,80\\n1.6,Rome,60\\n1.7,Bern,70\\n")
    >>> table = Table(path)
    >>> table.columns, next(table.chunks(["height", "weight"])).tolist()
    (['height', 'city', 'weight'], [[1.8, 80.0], [1.6, 60.0], [1.7, 70.0]])
    >>> fastdl.fit_lp(table.rows(["height"], "weight")).w.round(3)
    array([100.])
    """

    def __init__(
        self, path: str | Path, *, delimiter: str | None = None, decimal: str | None = None, header: bool | None = None
    ):
        self.path = _check.existing(path)
        suffix = next((s for s in map(str.lower, reversed(self.path.suffixes)) if s != ".gz"), "")
        if suffix not in SUFFIXES:
            raise _check.FileError(self.path, f"a table must end in {', '.join(SUFFIXES)} (text also in .gz)")
        self.text = TextTable(self.path, Dialect(delimiter, decimal, header)) if suffix in TEXT else None
        self._arrays: dict[str, Array] | None = None
        self._suffix = suffix
        if self.text is not None:
            self.columns = self.text.columns
        elif suffix == ".npz":
            self._arrays = self._held()
        elif suffix == ".npy":
            reader = NpyReader(self.path)
            if len(reader.shape) != 2 or reader.dtype.kind not in "fiub":
                raise _check.FileError(self.path, f"must hold numbers (N, C), got {reader.dtype} {reader.shape}")
            self.columns = _unnamed(reader.shape[1])
        else:
            self.columns = list(_arrow_source(self.path, suffix).names)
            if twice := sorted({name for name in self.columns if self.columns.count(name) > 1}):
                raise _check.FileError(self.path, f"column names must differ, got {twice} more than once")

    def parts(self, columns: Sequence[str] | None = None, section: TableSection | None = None) -> Iterator[list[Any]]:
        """All rows in order, at most 32,768 at a time: each time a list of the columns.

        A column is an array of NumPy or of pyarrow: numbers, bool or text. With a `section` (one of `sections`), only
        its rows are read.
        """
        names = self._known(columns)
        if self._arrays is not None:
            for i in range(0, len(self._arrays[names[0]]) if names else 0, _ROWS):
                yield [self._arrays[name][i : i + _ROWS] for name in names]
        elif self._suffix == ".npy":
            which = [self.columns.index(name) for name in names]
            for block in self._blocks(section):
                yield [block[:, k] for k in which]
        else:
            for batch in self._batches(names, section):
                for i in range(0, batch.num_rows, _ROWS):
                    some = batch.slice(i, _ROWS)
                    yield [some.column(name) for name in names]

    def sections(self, columns: Sequence[str] | None = None, size: int = 1 << 24) -> list[TableSection] | None:
        """Sections of about `size` bytes, for workers that each read one; None where no part can be read alone.

        `columns` are those that the workers will read. Divided are .npy, Parquet (by row groups), Arrow files (by
        batches), and text that is not compressed.
        """
        names = self._known(columns)
        if self.text is not None:
            borders = self.text.borders(size)
            if borders is None:
                return None
            with _named_errors(self.path, self._suffix):
                types = self.text.types(names)
            return [TableSection(a, b, types) for a, b in pairwise(borders)]
        if self._suffix == ".npy":
            reader = NpyReader(self.path)
            rows = max(_ROWS, size // max(reader.shape[1] * reader.dtype.itemsize, 1))
            return [TableSection(a, min(a + rows, reader.shape[0])) for a in range(0, reader.shape[0], rows)]
        if self._arrays is not None:
            return None
        count = _arrow_source(self.path, self._suffix).units
        step = max(1, count * size // max(self.path.stat().st_size, 1)) if count else 1
        return None if count is None else [TableSection(a, min(a + step, count)) for a in range(0, count, step)]

    def _blocks(self, section: TableSection | None) -> Iterator[Array]:
        """The rows of an .npy file, or of a section."""
        reader = NpyReader(self.path)
        start, stop = (0, reader.shape[0]) if section is None else (section.start, section.stop)
        for i in range(start, stop, _ROWS):
            yield reader.read(i, min(_ROWS, stop - i))

    def _batches(self, names: list[str], section: TableSection | None) -> Iterator[Any]:
        if self.text is None:
            return _arrow_batches(self.path, self._suffix, names, section)
        if section is None:
            return self.text.batches(names)
        return self.text.batches(names, section.types, (section.start, section.stop))

    def chunks(self, columns: Sequence[str] | None = None) -> Iterator[Array]:
        """All rows in order, float64 (n, C), of the named columns (all by default); what is missing is NaN.

        Raises
        ------
        FileError
            For a column that holds no numbers, naming it and, in text, the line.
        """
        names = self._known(columns)
        for part in self.parts(names):
            yield np.column_stack([self.numbers(name, column) for name, column in zip(names, part)]).astype(np.float64)

    def rows(
        self, features: Sequence[str], target: str, sample_weight: str | None = None
    ) -> Callable[[], Iterator[tuple[Array, ...]]]:
        """A function that returns an iterator of chunks (X, y) or (X, y, sample_weight), which `fit_lp` takes as X."""
        names = self._known([*features, target, *([] if sample_weight is None else [sample_weight])])
        count = len(features)

        def read() -> Iterator[tuple[Array, ...]]:
            for block in self.chunks(names):
                yield (block[:, :count], *block[:, count:].T)

        return read

    def place(self, row: int) -> dict[str, Any]:
        """Keywords for a `FileError` about a row, counted from 0: of text its line."""
        return {} if self.text is None else {"line": self.text.line(row)}

    def _known(self, columns: Sequence[str] | None) -> list[str]:
        names = self.columns if columns is None else list(columns)
        for name in names:
            if name not in self.columns:
                raise _check.InputError(f"{self.path} has no column {name!r}; it has {', '.join(self.columns[:20])}")
        return names

    def numbers(self, name: str, column: Any) -> Array:
        """A column of a part as numbers; an error names the column and, in text, the line."""
        try:
            return _check.asarray(name, column)
        except _check.InputTypeError as error:
            if self.text is None:
                raise _check.FileError(self.path, str(error)) from None
            line, text = self.text.find(name, lambda field: bool(field) and not self.text.is_number(field))  # type: ignore[union-attr]
            raise _check.FileError(self.path, self.text.not_a_number(name, text), line=line) from None

    def _held(self) -> dict[str, Array]:
        arrays = load_npz(self.path)
        X = arrays.pop("X", None)
        if X is not None and X.ndim == 2:
            arrays = {**dict(zip(_unnamed(X.shape[1]), X.T)), **arrays}
        shapes = {a.shape for a in arrays.values()}
        if len(shapes) != 1 or len(next(iter(shapes))) != 1 or any(a.dtype.kind not in "fiub" for a in arrays.values()):
            got = ", ".join(f"{name}: {a.dtype} {a.shape}" for name, a in arrays.items()) or "nothing"
            raise _check.FileError(self.path, f'must hold "X" (N, D) and columns (N,) of numbers, got {got}')
        self.columns = list(arrays)
        return arrays


@contextmanager
def _named_errors(path: Path, suffix: str) -> Iterator[None]:
    """Turn pyarrow's errors into a `FileError` that names the file."""
    pa = _check.extra("pyarrow", "tables", f"a {suffix} file")
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # names that are no UTF-8, too
        if isinstance(error, _check.FileError):
            raise
        raise _check.FileError(path, f"is no whole {suffix} file: {error}") from None


def _arrow_batches(path: Path, suffix: str, names: list[str], section: TableSection | None) -> Iterator[Any]:
    """Batches of some columns of a Parquet or Arrow file; for damage anywhere in it, an error that names the file."""
    batches = iter(_arrow_source(path, suffix).batches(names, section))
    while True:
        with _named_errors(path, suffix):
            batch = next(batches, None)
        if batch is None:
            return
        yield batch


class _ArrowSource(NamedTuple):
    """A file's column names, a function that reads batches of some of them, and how many units can be read alone."""

    names: list[str]
    batches: Callable[[list[str], TableSection | None], Iterator[Any]]
    units: int | None


def _arrow_source(path: Path, suffix: str) -> _ArrowSource:
    pa = _check.extra("pyarrow", "tables", f"a {suffix} file")
    with _named_errors(path, suffix):
        if suffix == ".parquet":
            from pyarrow import parquet

            file = parquet.ParquetFile(path)

            def groups(names: list[str], section: TableSection | None) -> Iterator[Any]:
                which = None if section is None else range(section.start, section.stop)
                return file.iter_batches(_ROWS, row_groups=which, columns=names)

            return _ArrowSource(file.schema_arrow.names, groups, file.num_row_groups)
        source = pa.memory_map(str(path))
        try:
            whole = pa.ipc.open_file(source)
        except pa.ArrowInvalid:  # Arrow's streaming format, which has no index of its batches
            return _ArrowSource(pa.ipc.open_stream(source).schema.names, lambda names, _: _stream(path, names), None)

        def some(names: list[str], section: TableSection | None) -> Iterator[Any]:
            start, stop = (0, whole.num_record_batches) if section is None else (section.start, section.stop)
            return (whole.get_batch(k).select(names) for k in range(start, stop))

        return _ArrowSource(whole.schema.names, some, whole.num_record_batches)


def _stream(path: Path, names: list[str]) -> Iterator[Any]:
    import pyarrow as pa

    for batch in pa.ipc.open_stream(pa.memory_map(str(path))):
        yield batch.select(names)


def _unnamed(count: int) -> list[str]:
    return [f"x{i}" for i in range(count)]
