"""One column of numbers, written chunk by chunk as .npy, CSV or Parquet."""

from __future__ import annotations

import csv
import io
from typing import IO

import numpy as np

from fastdl import _check
from fastdl._typing import Array
from fastdl.files.npy import NpyWriter

_GROUP = 1 << 18  # rows of a group of a Parquet file


class CsvColumn:
    """CSV with a header line; numbers have as many digits as restore them exactly, NaN is an empty field."""

    def __init__(self, file: IO[bytes], name: str):
        self.file = file
        heading = io.StringIO()
        csv.writer(heading, lineterminator="\n").writerow([name])
        file.write(heading.getvalue().encode())

    def write(self, values: Array) -> None:
        """Write numbers."""
        lines = ['""\n' if v != v else f"{v!r}\n" for v in values.tolist()]
        self.file.write("".join(lines).encode())

    def finish(self) -> None:
        """Does nothing: CSV has no footer."""


class ParquetColumn:
    """A column of float64, in groups of rows that do not depend on how the numbers come."""

    def __init__(self, file: IO[bytes], name: str):
        self.pa = _check.extra("pyarrow", "tables", "a .parquet file")
        from pyarrow import parquet

        self.schema = self.pa.schema([(name, self.pa.float64())])
        self.writer = parquet.ParquetWriter(file, self.schema)
        self.waiting: list[Array] = []

    def write(self, values: Array) -> None:
        """Write numbers."""
        self.waiting.append(values)
        if sum(map(len, self.waiting)) >= _GROUP:
            values = np.concatenate(self.waiting)
            whole = len(values) // _GROUP * _GROUP
            for start in range(0, whole, _GROUP):
                self._write(values[start : start + _GROUP])
            self.waiting = [values[whole:]]

    def _write(self, values: Array) -> None:
        self.writer.write_table(self.pa.table([self.pa.array(values)], schema=self.schema))

    def finish(self) -> None:
        """Write the remaining rows and the footer of the file."""
        values = np.concatenate([np.empty(0), *self.waiting])
        if len(values):
            self._write(values)
        self.writer.close()


def writer_of(suffix: str, file: IO[bytes], name: str) -> CsvColumn | ParquetColumn | NpyWriter:
    """The writer of the format of a suffix."""
    if suffix == ".csv":
        return CsvColumn(file, name)
    return ParquetColumn(file, name) if suffix == ".parquet" else NpyWriter(file, np.float64)
