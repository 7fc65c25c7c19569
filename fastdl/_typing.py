"""Types of arguments and results that many modules name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from fastdl.streaming import ProgressEvent

Array = np.ndarray
#: What NumPy makes an array of: arrays and their likes, buffers, nested lists of numbers.
ArrayLike = npt.ArrayLike
#: What NumPy makes a dtype of.
DTypeLike = npt.DTypeLike
#: What a `progress=` argument takes: it is called with a `fastdl.streaming.ProgressEvent`.
Progress = Callable[["ProgressEvent"], Any]


class ArrowTable(Protocol):
    """A table that gives its columns as an Arrow stream: of pyarrow, polars, pandas, DuckDB."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object: ...


class DataFrameLike(Protocol):
    """A table of the `__dataframe__` protocol."""

    def __dataframe__(self, nan_as_null: bool = False, allow_copy: bool = True) -> Any: ...


#: A table of numbers (N, D).
TableLike = ArrayLike | ArrowTable | DataFrameLike
#: A stream of chunks that can be gone through again: a list or other iterable, or a function that returns an iterator.
Chunks = Iterable[Any] | Callable[[], Iterable[Any]]
#: The rows of a fit: a table, or chunks (X, y) or (X, y, sample_weight).
RowsLike = TableLike | Chunks


class CustomLossLike(Protocol):
    """What a loss must offer where a power p may stand: `fastdl.custom_loss` makes one."""

    def terms(self, residual: Array) -> Array:
        """The loss of each residual."""


#: A power p > 0 of |y - f(x)|^p, or a loss of the user's own.
Loss = float | CustomLossLike
