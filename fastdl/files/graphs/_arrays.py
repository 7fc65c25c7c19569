"""Edges in NumPy's files: .npy, and .npz as SciPy, OGB and others write it, whose arrays are told apart by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fastdl._typing import Array
from fastdl.errors import FastdlError, FileError
from fastdl.files.graphs._columns import Chunk
from fastdl.files.numpy_files import load_npz, map_npy
from fastdl.graphs.graph import Graph

_INT64 = np.iinfo(np.int64).max
_EDGES = 1 << 20  # edges of a chunk
_EDGE_NAMES = ("edges", "edge_index")
_WEIGHT_NAMES = ("weight", "edge_weight", "edge_attr")
_SIZE_NAMES = ("num_nodes", "num_nodes_list", "shape")
_ROWS = ("indptr", "indices", "edge_order", "num_sources")
#: Arrays of other data that graph files hold beside the edges; they are ignored.
_OTHER: tuple[str, ...] = (
    "node_feat",
    "edge_feat",
    "num_edges_list",
    "x",
    "y",
    "pos",
    "node_year",
    "node_species",
    "node_reltype",
)
_OTHER += ("train_mask", "val_mask", "test_mask", "features", "labels", "names")
_SPARSE = {
    "csr": ("data", "indices", "indptr"),
    "csc": ("data", "indices", "indptr"),
    "bsr": ("data", "indices", "indptr"),
    "coo": ("data", "row", "col"),
    "dia": ("data", "offsets"),
}


@dataclass(frozen=True)
class EdgeArrays:
    """Edges (2, E), their weights or None, and the numbers of (targets, sources) or None if the file does not say."""

    edges: Array
    weight: Array | None
    shape: tuple[int, int] | None


def from_npy(path: Path, base: int) -> Iterator[Chunk]:
    """The edges of a .npy file, which is memory-mapped."""
    first = 0
    for part, weight in edge_chunks(EdgeArrays(_oriented(path, map_npy(path)), None, None), base):
        _check_nodes(path, part, first)
        first += part.shape[1]
        yield part, weight


def npz_chunks(path: Path, base: int) -> Iterator[Chunk]:
    """The edges of an .npz file."""
    yield from edge_chunks(read_npz(path, base))


def edge_chunks(held: EdgeArrays | Graph, base: int = 0) -> Iterator[Chunk]:
    """The edges and weights in chunks."""
    if isinstance(held, Graph):
        targets = np.repeat(np.arange(held.num_targets), np.diff(held.indptr))
        held = EdgeArrays(np.stack([held.indices.astype(np.int64), targets]), held.weight, held.shape)
    for i in range(0, held.edges.shape[1], _EDGES):
        edges = held.edges[:, i : i + _EDGES]
        yield edges - base if base else edges, None if held.weight is None else held.weight[i : i + _EDGES]


def read_npz(path: Path, base: int = 0) -> EdgeArrays | Graph:
    """What an .npz file holds: a Graph where it has rows (CSR), else its edges."""
    held = load_npz(path, _OTHER)
    try:
        if "format" in held:
            return _sparse(path, held)
        if "indptr" in held:
            return _rows(path, held)
        if "row" in held and "col" in held:
            _only(path, held, ("row", "col", *_WEIGHT_NAMES, *_SIZE_NAMES))
            edges = _oriented(path, np.stack([held["col"], held["row"]]))
        else:
            name = next((name for name in _EDGE_NAMES if name in held), None)
            if name is None:
                wanted = '"edges", "edge_index", "row" and "col", "indptr" and "indices", or what SciPy writes'
                raise FileError(path, f"must hold {wanted}, got {', '.join(held) or 'nothing'}")
            _only(path, held, (*_EDGE_NAMES, *_WEIGHT_NAMES, *_SIZE_NAMES))
            edges = _oriented(path, held[name])
    except FileError:
        raise
    except (FastdlError, ValueError, IndexError, TypeError, OverflowError) as error:
        raise FileError(path, f"holds arrays that do not fit: {error}") from None
    edges = edges - base if base else edges
    _check_nodes(path, edges, 0)
    edges, shape = _nodes(path, held, edges)
    return EdgeArrays(edges, _weight(path, held, edges.shape[1]), shape)


def _only(path: Path, held: Mapping[str, Array], known: tuple[str, ...]) -> None:
    unknown = sorted(set(held) - {*known, *_OTHER})
    if unknown:
        raise FileError(path, f"holds {', '.join(unknown)}, which is not known; known are {', '.join(known)}")


def _oriented(path: Path, edges: Array) -> Array:
    """Edges as (2, E), given as that or as (E, 2)."""
    if edges.ndim != 2 or 2 not in edges.shape or edges.dtype.kind not in "iu":
        raise FileError(path, f"must hold integers of shape (2, E) or (E, 2), got {edges.dtype} {edges.shape}")
    return edges if len(edges) == 2 else edges.T


def _check_nodes(path: Path, edges: Array, first: int) -> None:
    """Raise for a node that is negative or beyond int64; `first` is the place of these edges in the file."""
    if not edges.size or (edges.min() >= 0 and edges.max() <= _INT64):
        return
    wrong = edges < 0 if edges.min() < 0 else edges > _INT64
    place = int(wrong.any(axis=0).argmax())
    raise FileError(path, f"nodes must be from 0 to 2^63 - 1, got {edges[:, place].tolist()} in edge {first + place}")


def _weight(path: Path, held: Mapping[str, Array], edges: int) -> Array | None:
    names = [name for name in _WEIGHT_NAMES if name in held]
    if not names:
        return None
    if len(names) > 1:
        raise FileError(path, f"holds {' and '.join(names)}, and only one can be the weight")
    weight = held[names[0]]
    if weight.ndim == 2 and weight.shape[1] == 1:
        weight = weight[:, 0]
    if weight.shape != (edges,) or weight.dtype.kind not in "fiub":
        raise FileError(path, f"must hold one weight for each of {edges} edges, got {weight.dtype} {weight.shape}")
    return weight if weight.dtype == np.float32 else weight.astype(np.float64)


def _nodes(path: Path, held: Mapping[str, Array], edges: Array) -> tuple[Array, tuple[int, int] | None]:
    """The edges, and the shape if the file says it; OGB's lists of several graphs are an error."""
    if "shape" in held:
        n, m = (int(k) for k in held["shape"])
        return edges, (n, m)
    if "num_nodes" in held:
        n = int(held["num_nodes"].reshape(()))
        return edges, (n, n)
    if "num_nodes_list" not in held:
        return edges, None
    counts = held["num_nodes_list"].ravel().astype(np.int64)
    total = int(counts.sum())
    if len(counts) == 1:
        return edges, (total, total)
    raise FileError(path, f"holds {len(counts)} graphs in one list; fastdl.batch_graphs puts graphs side by side")


def _rows(path: Path, held: Mapping[str, Array]) -> Graph:
    """The graph of rows (CSR), whose arrays have the names of `Graph`'s attributes."""
    _only(path, held, (*_ROWS, *_WEIGHT_NAMES, "shape"))
    if "indices" not in held:
        raise FileError(path, 'holds "indptr" without "indices"')
    sources = None
    if "shape" in held:
        sources = int(held["shape"][1])
        if int(held["shape"][0]) != len(held["indptr"]) - 1:
            raise FileError(path, f"has shape {tuple(held['shape'].tolist())} and {len(held['indptr']) - 1} rows")
    elif "num_sources" in held:
        sources = int(held["num_sources"].reshape(()))
    order, weight = held.get("edge_order"), _weight(path, held, len(held["indices"]))
    return Graph(held["indptr"], held["indices"], order, weight, num_sources=sources)


def _sparse(path: Path, held: Mapping[str, Array]) -> EdgeArrays | Graph:
    """A matrix A that scipy.sparse.save_npz wrote, as the graph of ``A @ X``: each stored value is an edge."""
    name = held["format"].item()
    kind = name.decode("ascii", "replace") if isinstance(name, bytes) else str(name)
    if kind not in _SPARSE:
        raise FileError(path, f"is a sparse matrix in the format {kind!r}; {', '.join(_SPARSE)} are read")
    _only(path, held, ("format", "shape", "_is_array", *_SPARSE[kind]))
    missing = [array for array in ("shape", *_SPARSE[kind]) if array not in held]
    if missing or held["shape"].shape != (2,):
        raise FileError(path, f"is a {kind} matrix without {', '.join(missing) or 'two dimensions'}")
    n, m = (int(k) for k in held["shape"])
    data = held["data"]
    if data.dtype.kind not in "fiub":
        raise FileError(path, f"must hold real numbers, got {data.dtype}")
    weight = data if data.dtype == np.float32 else data.astype(np.float64)
    if kind == "csr":
        if len(held["indptr"]) != n + 1:
            raise FileError(path, f"has {n} rows and an indptr of {len(held['indptr'])}")
        return Graph(held["indptr"], held["indices"], None, weight, num_sources=m)
    if kind == "coo":
        edges = np.stack([held["col"], held["row"]])
    elif kind == "csc":
        other = Graph(held["indptr"], held["indices"], num_sources=n)
        edges = np.stack([np.repeat(np.arange(other.num_targets), np.diff(other.indptr)), other.indices])
    elif kind == "bsr":
        edges, weight = _block_edges(held["indptr"], held["indices"], weight)
    else:
        edges, weight = _diagonal_edges(held["offsets"], weight, n, m)
    _oriented(path, edges)
    return EdgeArrays(edges, weight, (n, m))


def _block_edges(indptr: Array, indices: Array, data: Array) -> tuple[Array, Array]:
    """Edges and weights of a matrix of dense blocks (BSR), row by row."""
    count, height, width = data.shape
    block_rows = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    rows = block_rows[:, None, None] * height + np.arange(height)[None, :, None]
    columns = indices.astype(np.int64)[:, None, None] * width + np.arange(width)[None, None, :]
    shape = (count, height, width)
    edges = np.stack([np.broadcast_to(columns, shape).ravel(), np.broadcast_to(rows, shape).ravel()])
    return edges, data.ravel()


def _diagonal_edges(offsets: Array, data: Array, n: int, m: int) -> tuple[Array, Array]:
    """Edges and weights of a matrix of diagonals (DIA): data[k, j] is entry (j - offsets[k], j); zeros are padding."""
    columns = np.broadcast_to(np.arange(data.shape[1]), data.shape)
    rows = columns - offsets.astype(np.int64)[:, None]
    inside = (rows >= 0) & (rows < n) & (columns < m) & (data != 0)
    return np.stack([columns[inside], rows[inside]]), data[inside]
