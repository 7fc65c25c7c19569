"""Tables and columns of pandas, polars and pyarrow as arrays of numbers, for `_check.asarray`.

These libraries are imported only where one of their values (or an Arrow stream) is given.
"""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias, cast

import numpy as np

from fastdl._typing import Array
from fastdl.errors import InputTypeError, MissingExtra

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_NUMERIC = "fiub"
PandasColumn: TypeAlias = "pd.Series | pd.Index"
ArrowColumn: TypeAlias = "pa.Array | pa.ChunkedArray"
PolarsColumn: TypeAlias = Any  # polars.Series; to know it, type checkers would read all of polars, for ten seconds
PolarsFrame: TypeAlias = Any
Frame: TypeAlias = "pd.DataFrame | pa.Table | PolarsFrame"
Column: TypeAlias = "PandasColumn | ArrowColumn | PolarsColumn"


def kind_of(value: object) -> str | None:
    """ "table" or "column" for values that this module reads, else None."""
    module, kind = type(value).__module__.partition(".")[0], type(value)
    if module in ("pandas", "polars", "pyarrow"):
        if hasattr(kind, "columns") or hasattr(kind, "column_names"):
            return "table"
        if hasattr(value, "dtype") or hasattr(value, "to_pylist"):
            return "column"
        return "table" if hasattr(value, "read_all") else None  # a stream of batches
    if isinstance(value, type) or hasattr(value, "__array__"):
        return None
    return "table" if hasattr(value, "__arrow_c_stream__") or hasattr(value, "__dataframe__") else None


def column_names(value: Any) -> list[str] | None:
    """The names of a table's columns; None for what has none."""
    if isinstance(value, (np.ndarray, list, tuple)) or kind_of(value) != "table":
        return None
    if hasattr(value, "read_all"):  # a stream of pyarrow, to be read by others
        return [str(name) for name in value.schema.names]
    value = _known(value)
    return [str(name) for name in getattr(value, "column_names", getattr(value, "columns", ()))]


def read_frame(name: str, value: Any, kind: str) -> Array:
    """A table as (N, D), a column as (N,)."""
    if kind == "column":
        return read_column(name, value)
    value = _known(value)
    names, columns = _columns(value)
    arrays = [read_column(f"{name} column {n!r}", c) for n, c in zip(names, columns)]
    if not arrays:
        return np.empty((len(value), 0))
    dtypes = {a.dtype for a in arrays}
    if len(dtypes) == 1:
        dtype = dtypes.pop()
    else:
        dtype = np.dtype(np.float32 if all(d.kind == "f" and d.itemsize <= 4 for d in dtypes) else np.float64)
    out = np.empty((len(arrays[0]), len(arrays)), dtype)
    for k, a in enumerate(arrays):
        out[:, k] = a
    return out


def read_column(name: str, column: Column) -> Array:
    """A Series, Index or array of numbers or bool; missing values are NaN, and make floats of integers."""
    module = type(column).__module__.partition(".")[0]
    if module == "polars":
        return _from_polars(name, column)
    if module == "pyarrow":
        return _from_arrow(name, column)
    return _from_pandas(name, column)


def _known(value: Any) -> Frame:
    """A table of pandas, polars or pyarrow, or what gives an Arrow stream as a table of pyarrow."""
    module = type(value).__module__.partition(".")[0]
    if module == "polars" and hasattr(value, "collect"):  # a LazyFrame
        return value.collect()
    if module == "pyarrow" and hasattr(value, "read_all"):  # a stream, which can be read once
        return value.read_all()
    if module in ("pandas", "polars", "pyarrow"):
        return value
    try:
        import pyarrow
        from pyarrow import interchange
    except ImportError:
        what = type(value).__name__
        raise MissingExtra(f"a {what} is read through pyarrow; install it with: pip install pyarrow") from None
    if hasattr(value, "__arrow_c_stream__"):
        return pyarrow.table(value)
    return interchange.from_dataframe(value)


def _columns(value: Frame) -> tuple[list[str], list[Column]]:
    if hasattr(value, "column_names"):  # pyarrow
        return list(value.column_names), list(value.columns)
    if hasattr(value, "get_columns"):  # polars
        return list(value.columns), list(value.get_columns())
    frame = cast("pd.DataFrame", value)
    return [str(n) for n in frame.columns], [frame.iloc[:, k] for k in range(frame.shape[1])]


def _from_pandas(name: str, column: PandasColumn) -> Array:
    dtype = column.dtype
    if isinstance(dtype, np.dtype):
        if dtype.kind in _NUMERIC:
            return np.asarray(column)
        if dtype.kind != "O":
            _refuse(name, str(dtype))
        return _from_objects(name, column, str(dtype))
    if hasattr(dtype, "categories"):
        return _from_categories(name, column, read_column(f"{name}, by its categories,", dtype.categories))
    inner = getattr(dtype, "numpy_dtype", None)  # of nullable and of Arrow-backed columns
    arrow = str(getattr(dtype, "pyarrow_dtype", ""))
    if inner is None and hasattr(dtype, "subtype") and hasattr(dtype, "fill_value"):  # sparse
        inner = dtype.subtype
    if arrow.startswith("decimal"):
        return _from_objects(name, column.astype(object), arrow)
    if inner is None or inner.kind not in _NUMERIC or arrow.startswith(("string", "large_string", "dictionary")):
        return _from_objects(name, column.astype(object), str(dtype))
    missing = column.isna()
    if not bool(missing.any()):
        return np.asarray(column.to_numpy(dtype=inner))
    return np.asarray(column.to_numpy(dtype=_with_nan(inner), na_value=np.nan))


def _from_categories(name: str, column: PandasColumn, categories: Array) -> Array:
    """Numbers that a Categorical of pandas, or a Series or Index of one, stands for."""
    codes = np.asarray(column.cat.codes if hasattr(column, "cat") else column.codes)
    if not len(codes) or codes.min() >= 0:
        return categories[codes]
    values = np.append(categories.astype(_with_nan(categories.dtype)), np.nan)
    return values[codes]


def _from_polars(name: str, column: PolarsColumn) -> Array:
    kind = str(column.dtype)
    if not (column.dtype.is_numeric() or kind in ("Boolean", "Null")):
        _refuse(name, kind, next((v for v in column.head(100).to_list() if v is not None), None))
    if kind == "Null" or kind.startswith(("Decimal", "Int128")):
        column = column.cast(type(column)("", [1.0]).dtype)
    if column.null_count():
        missing = column.is_null().to_numpy()
        values = column.fill_null(False if kind == "Boolean" else 0).to_numpy()
        values = values.astype(_with_nan(values.dtype))
        values[missing] = np.nan
        return values
    return np.asarray(column.to_numpy())


def _from_arrow(name: str, column: ArrowColumn) -> Array:
    import pyarrow as pa

    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
        if isinstance(column, pa.ChunkedArray):  # of no chunk, or of more rows than an array of its type can have
            column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    if pa.types.is_decimal(kind) or pa.types.is_null(kind):
        column = column.cast(pa.float64())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        _refuse(name, str(kind), next((v for v in column.slice(0, 100).to_pylist() if v is not None), None))
    if not column.null_count:
        return np.asarray(column.to_numpy(zero_copy_only=False))
    missing = np.asarray(column.is_null())
    values = column.fill_null(False if pa.types.is_boolean(kind) else 0).to_numpy(zero_copy_only=False)
    values = values.astype(_with_nan(values.dtype))
    values[missing] = np.nan
    return values


def _with_nan(dtype: np.dtype) -> np.dtype:
    """The float that holds values of `dtype` and NaN."""
    return dtype if dtype.kind == "f" else np.dtype(np.float64)


def _from_objects(name: str, column: PandasColumn, dtype: str) -> Array:
    """Python's numbers, None and NA as float64."""
    out = np.empty(len(column))
    for k, v in enumerate(column):
        if isinstance(v, (numbers.Real, np.bool_)) or type(v).__name__ == "Decimal":
            out[k] = float(v)
        elif v is None or type(v).__name__ in ("NAType", "NaTType"):
            out[k] = np.nan
        else:
            _refuse(name, dtype, v, k)
    return out


def _refuse(name: str, dtype: str, value: object = None, row: int | None = None) -> NoReturn:
    seen = "" if value is None else f": {value!r}" + ("" if row is None else f" in row {row}")
    raise InputTypeError(f"{name} must be numeric, got {dtype}{seen}")
