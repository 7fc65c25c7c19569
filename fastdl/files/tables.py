"""Tables of named columns in files: CSV and its kin, Parquet, Arrow, .npy and .npz, a block of rows at a time."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastdl import _check
from fastdl._typing import Array
from fastdl.files._text_tables import Dialect, TextTable
from fastdl.files.npy import NpyReader

#: The endings that are read; text may be compressed (.gz).
TEXT = (".csv", ".tsv", ".txt")
ARROW = (".arrow", ".feather", ".ipc", ".arrows")
SUFFIXES = (*TEXT, ".parquet", *ARROW, ".npy", ".npz")

_ROWS = 1 << 15  # of a block


class Table:
    """A file of rows with named columns, as a source of chunks and of rows for `fit_lp` and the like.

    Text has a first line with the names of its columns; what parts them (comma, semicolon, tab or bar) is guessed from
    the first lines. An `.npy` file holds (N, C); an `.npz` file "X" (N, D) and perhaps "y" (N,) and "weight" (N,), or
    columns (N,) under their names. Columns without names are "x0", "x1", and so on. Text, Parquet (.parquet) and Arrow
    (.arrow, .feather) are read by pyarrow, which the extra `tables` brings. Columns not asked for are not parsed.

    Parameters
    ----------
    path : path
        The file.
    delimiter : str, optional
        What parts the columns of text.
    decimal : {".", ","}
        The decimal point of text.
    header : bool, optional
        Whether the first line of text has the names. By default it has, and must not hold numbers.

    Attributes
    ----------
    columns : list of str
        The names.

    Raises
    ------
    FileError
        For what is no table, naming the file and, in text, the line.

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
        self, path: str | Path, *, delimiter: str | None = None, decimal: str = ".", header: bool | None = None
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
            self.columns = list(_arrow_source(self.path, suffix)[0])

    def parts(self, columns: Sequence[str] | None = None) -> Iterator[list[Any]]:
        """All rows in order, at most some ten thousand at a time: a list of the columns, each as the file gives it.

        A column is an array of NumPy or of pyarrow: numbers, bool or text.
        """
        names = self._known(columns)
        if self._arrays is not None:
            for i in range(0, len(self._arrays[names[0]]) if names else 0, _ROWS):
                yield [self._arrays[name][i : i + _ROWS] for name in names]
        elif self._suffix == ".npy":
            which = [self.columns.index(name) for name in names]
            for block in NpyReader(self.path).chunks(_ROWS):
                yield [block[:, k] for k in which]
        else:
            batches = self.text.batches(names) if self.text else _arrow_batches(self.path, self._suffix, names)
            for batch in batches:
                for i in range(0, batch.num_rows, _ROWS):
                    some = batch.slice(i, _ROWS)
                    yield [some.column(name) for name in names]

    def chunks(self, columns: Sequence[str] | None = None) -> Iterator[Array]:
        """All rows in order, float64 (n, C), of the named columns (all by default); what is missing is NaN.

        Raises
        ------
        FileError
            For a column that holds no numbers, naming it and, in text, the line.
        """
        names = self._known(columns)
        for part in self.parts(names):
            yield np.column_stack([self._numbers(name, column) for name, column in zip(names, part)]).astype(np.float64)

    def rows(
        self, features: Sequence[str], target: str, sample_weight: str | None = None
    ) -> Callable[[], Iterator[tuple[Array, ...]]]:
        """A function that gives chunks (X, y) or (X, y, sample_weight): what `fit_lp` takes in the place of arrays."""
        names = self._known([*features, target, *([] if sample_weight is None else [sample_weight])])
        count = len(features)

        def read() -> Iterator[tuple[Array, ...]]:
            for block in self.chunks(names):
                yield (block[:, :count], *block[:, count:].T)

        return read

    def place(self, row: int) -> dict[str, Any]:
        """Where a row, counted from 0, is, for a `FileError`: its line in text."""
        return {} if self.text is None else {"line": self.text.line(row)}

    def _known(self, columns: Sequence[str] | None) -> list[str]:
        names = self.columns if columns is None else list(columns)
        for name in names:
            if name not in self.columns:
                raise _check.InputError(f"{self.path} has no column {name!r}; it has {', '.join(self.columns[:20])}")
        return names

    def _numbers(self, name: str, column: Any) -> Array:
        try:
            return _check.asarray(name, column)
        except _check.InputTypeError as error:
            if self.text is None:
                raise _check.FileError(self.path, str(error)) from None
            line, text = self.text.find(name, lambda field: bool(field) and not self.text.is_number(field))  # type: ignore[union-attr]
            raise _check.FileError(self.path, f"{name} must be a number, got {text!r}", line=line) from None

    def _held(self) -> dict[str, Array]:
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
        return arrays


def _arrow_batches(path: Path, suffix: str, names: list[str]) -> Iterator[Any]:
    """Batches of some columns of a Parquet or Arrow file; damage within it is an error that names the file."""
    pa = _check.extra("pyarrow", "tables", f"a {suffix} file")
    batches = iter(_arrow_source(path, suffix)[1](names))
    while True:
        try:
            batch = next(batches, None)
        except (pa.ArrowException, OSError) as error:
            raise _check.FileError(path, f"is no whole {suffix} file: {error}") from None
        if batch is None:
            return
        yield batch


def _arrow_source(path: Path, suffix: str) -> tuple[list[str], Callable[[list[str]], Iterator[Any]]]:
    """The column names of a Parquet or Arrow file, and what gives batches of some of them."""
    pa = _check.extra("pyarrow", "tables", f"a {suffix} file")
    try:
        if suffix == ".parquet":
            from pyarrow import parquet

            file = parquet.ParquetFile(path)
            return file.schema_arrow.names, lambda names: file.iter_batches(_ROWS, columns=names)
        source = pa.memory_map(str(path))
        try:
            whole = pa.ipc.open_file(source)
        except pa.ArrowInvalid:  # a stream, which has no table of contents
            return pa.ipc.open_stream(source).schema.names, lambda names: _stream(path, names)
        return whole.schema.names, lambda names: (
            whole.get_batch(k).select(names) for k in range(whole.num_record_batches)
        )
    except (pa.ArrowException, OSError) as error:
        raise _check.FileError(path, f"is no whole {suffix} file: {error}") from None


def _stream(path: Path, names: list[str]) -> Iterator[Any]:
    import pyarrow as pa

    for batch in pa.ipc.open_stream(pa.memory_map(str(path))):
        yield batch.select(names)


def _unnamed(count: int) -> list[str]:
    return [f"x{i}" for i in range(count)]
