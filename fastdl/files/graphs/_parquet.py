"""Edges in Parquet files, by pyarrow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fastdl import _check
from fastdl._typing import Array
from fastdl.errors import FileError
from fastdl.files.graphs._columns import Chunk, ColumnChoice, ColumnLayout, choose_columns

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS = 1 << 20  # rows read at once


def parquet_chunks(path: Path, choice: ColumnChoice) -> Iterator[Chunk]:
    """The edges of a file, by the names of its columns."""
    for layout, batch in _batches(path, choice):
        ends = [_nodes(path, batch.column(k), choice.base) for k in (0, 1)]
        yield np.stack(ends), _weights(path, batch, layout)


def named_parquet_chunks(path: Path, choice: ColumnChoice, names: dict[str, int], grow: bool) -> Iterator[Chunk]:
    """The edges of a file whose nodes have names."""
    for layout, batch in _batches(path, choice):
        ends = np.empty((2, batch.num_rows), np.int64)
        for k, name in enumerate(
            pair for pairs in zip(*(map(str, batch.column(j).to_pylist()) for j in (0, 1))) for pair in pairs
        ):
            if not grow and name not in names:
                raise FileError(path, f"{name!r} is not in the table of names")
            ends[k % 2, k // 2] = names.setdefault(name, len(names))
        yield ends, _weights(path, batch, layout)


def _batches(path: Path, choice: ColumnChoice) -> Iterator[tuple[ColumnLayout, pa.RecordBatch]]:
    """Batches of the columns source, target and, if there is one, weight, in this order."""
    parquet = _check.extra("pyarrow.parquet", "tables", "reading Parquet files")
    arrow = _check.extra("pyarrow", "tables", "reading Parquet files")
    try:
        file = parquet.ParquetFile(path)
        names = [field.name for field in file.schema_arrow]
        layout = choose_columns(path, 0, len(names), names, choice)
        wanted = [names[k] for k in (layout.source, layout.target, layout.weight) if k is not None]
        if any(names.count(name) > 1 for name in wanted):  # as chosen by place
            raise FileError(path, f"has columns of one name, of which one is chosen: {', '.join(wanted)}")
        for batch in file.iter_batches(_ROWS, columns=wanted):
            if any(batch.column(k).null_count for k in range(batch.num_columns)):
                raise FileError(path, "has empty cells among the edges")
            yield layout, batch.select(wanted)
    except (arrow.lib.ArrowException, OSError, UnicodeDecodeError) as error:  # names that are no UTF-8, too
        raise FileError(path, f"is no whole Parquet file: {error}") from None


def _nodes(path: Path, column: pa.Array, base: int) -> Array:
    x = column.to_numpy(zero_copy_only=False)
    if x.dtype.kind == "f" and np.isfinite(x).all() and (x == np.trunc(x)).all() and (np.abs(x) < 2.0**53).all():
        x = x.astype(np.int64)
    if x.dtype.kind not in "iu" or (x.dtype == np.uint64 and len(x) and x.max() > np.iinfo(np.int64).max):
        raise FileError(path, f"nodes must be integers, got {column.type}; read_named_graph (--ids) reads names")
    nodes = x.astype(np.int64)
    if len(nodes) and nodes.min() < base:
        raise FileError(path, f"nodes must be at least {base}, got {nodes.min()}")
    return nodes - base


def _weights(path: Path, batch: pa.RecordBatch, layout: ColumnLayout) -> Array | None:
    if layout.weight is None:
        return None
    x = batch.column(2).to_numpy(zero_copy_only=False)
    if x.dtype.kind not in "fiub":
        raise FileError(path, f"weights must be numbers, got {batch.column(2).type}")
    return x.astype(np.float64)
