"""Types of arguments and results that many modules name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from fastdl.graphs.graph import Graph
    from fastdl.streaming import ProgressEvent

Array = np.ndarray
#: What NumPy can make an array from: arrays and their likes, buffers, nested lists of numbers.
ArrayLike = npt.ArrayLike
#: What NumPy can make a dtype from.
DTypeLike = npt.DTypeLike
#: The type of `progress=`: a function that is called with a `fastdl.streaming.ProgressEvent`.
Progress = Callable[["ProgressEvent"], Any]


class ArrowTable(Protocol):
    """A table that gives its columns as an Arrow stream: of pyarrow, polars, pandas, DuckDB."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object: ...


class DataFrameLike(Protocol):
    """A table of the `__dataframe__` protocol."""

    def __dataframe__(self, nan_as_null: bool = False, allow_copy: bool = True) -> object: ...


class DLPackLike(Protocol):
    """A tensor of another library, whose memory DLPack describes."""

    def __dlpack__(self, *, stream: None = None) -> Any: ...

    def __dlpack_device__(self) -> tuple[int, int]: ...


#: A table of numbers (N, D).
TableLike = ArrayLike | ArrowTable | DataFrameLike | DLPackLike
#: A stream of chunks that can be read several times: a list or other iterable, or a function that returns an iterator.
Chunks = Iterable[Any] | Callable[[], Iterable[Any]]
#: The rows of a fit: a table, or chunks (X, y) or (X, y, sample_weight).
RowsLike = TableLike | Chunks


class SparseMatrix(Protocol):
    """A sparse matrix or array of SciPy."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def tocoo(self) -> Any: ...

    def tocsr(self) -> Any: ...


class GeometricGraph(Protocol):
    """A graph of PyTorch Geometric: `Data`."""

    @property
    def edge_index(self) -> Any: ...

    @property
    def num_nodes(self) -> int | None: ...


class NetworkxGraph(Protocol):
    """A graph of networkx."""

    @property
    def adj(self) -> Any: ...

    @property
    def nodes(self) -> Any: ...

    def is_directed(self) -> bool: ...


#: What `fastdl.as_graph` takes: a graph of fastdl, SciPy, PyTorch Geometric or networkx.
GraphLike: TypeAlias = "Graph | SparseMatrix | GeometricGraph | NetworkxGraph"


class CustomLossLike(Protocol):
    """A custom loss, which may be given in place of a power p: `fastdl.custom_loss` makes one."""

    def terms(self, r: Array) -> tuple[Array, Array]:
        """The losses of residuals, and their derivatives."""


#: A float, or an array where there are several targets, columns or models. For type checkers it is Any: callers know
#: which of the two it is, and a union would ask for a cast at each use.
FloatOrArray = Any
#: A power p > 0 of |y - f(x)|^p, or a custom loss.
Loss = float | CustomLossLike
