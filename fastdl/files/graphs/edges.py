"""Edge lists and matrices, as chunks of edges and as graphs: text, NumPy, SciPy, OGB, MatrixMarket, Parquet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from fastdl import _check
from fastdl._typing import Array, Progress
from fastdl.errors import FileError, InputError
from fastdl.files.graphs import _arrays, _matrix_market, _parquet, _text
from fastdl.files.graphs._columns import Chunk, ColumnChoice
from fastdl.graphs.conversion import both_directions
from fastdl.graphs.graph import MAX_BYTES, Graph
from fastdl.streaming import ProgressEvent

#: The endings of files that are read; text and MatrixMarket may be compressed (.gz).
TEXT = (".csv", ".tsv", ".txt", ".edges", ".edgelist", ".el")
SUFFIXES = (*TEXT, ".npy", ".npz", ".mtx", ".parquet")


def read_edges(
    path: str | Path,
    *,
    source: str | int | None = None,
    target: str | int | None = None,
    weight: str | int | None = None,
    delimiter: str | None = None,
    one_based: bool = False,
) -> Iterator[Chunk]:
    """The edges of a file, chunk by chunk.

    Parameters
    ----------
    path : path
        Text with a line for each edge; the first line may be a heading, and lines that begin with # or % are comments.
        Or `.npy` with an array (2, E) or (E, 2); `.npz` with "edges" or "edge_index", and perhaps "weight",
        "edge_weight" or "edge_attr", as OGB and others write; what ``scipy.sparse.save_npz`` writes; `.parquet`; or
        `.mtx`, a MatrixMarket matrix. A matrix A is that of ``A @ X``: entry (i, j) is the edge from j into i, its
        value the weight. Text and `.mtx` may end in `.gz`.
    source, target, weight : str or int, optional
        The names of the columns of text or Parquet, or their places, the first being 0. By default they are found by
        their usual names (source, src, from; target, dst, to; weight, w, ...); without such names or without a
        heading, they are the first two, and the third of three.
    delimiter : str, optional
        The character between the columns of text: by default the tab, comma, semicolon or bar in its first line, else
        blanks.
    one_based : bool
        Whether nodes are numbered from 1, as in R and Matlab; in MatrixMarket files they always are.

    Yields
    ------
    (ndarray of integers (2, n), ndarray of float64 (n,) or None)
        Edges and weights.

    Raises
    ------
    FileError
        For anything that is not an edge, naming the file and the line.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from fastdl.files import read_edges
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "edges.csv"
    >>> _ = path.write_text("target,source\\n1,0\\n1,2\\n")
    >>> next(read_edges(path))[0].tolist()
    [[0, 2], [1, 1]]
    """
    path = _check.existing(path)
    choice = ColumnChoice(source, target, weight, delimiter, int(bool(one_based)))
    kind = suffix(path)
    if kind == ".npy":
        return _arrays.from_npy(path, choice.base)
    if kind == ".npz":
        return _arrays.npz_chunks(path, choice.base)
    if kind == ".mtx":
        return _matrix_market.matrix_chunks(path)
    if kind == ".parquet":
        return _parquet.parquet_chunks(path, choice)
    return _text.text_chunks(path, choice)


def suffix(path: Path) -> str:
    """The ending of a file's name in lower case, without .gz; raises for one that is not read."""
    endings = [s.lower() for s in path.suffixes if s.lower() != ".gz"][-1:]
    ending = endings[0] if endings else ""
    if ending in (".graphml", ".gexf", ".gml"):
        raise FileError(path, "is read by networkx; give its graph to fastdl.as_graph")
    if ending and ending not in SUFFIXES:
        raise FileError(path, f"an edge list must end in {', '.join(SUFFIXES)}")
    return ending


def read_graph(
    path: str | Path,
    num_nodes: int | Sequence[int] | None = None,
    *,
    source: str | int | None = None,
    target: str | int | None = None,
    weight: str | int | None = None,
    delimiter: str | None = None,
    one_based: bool = False,
    undirected: bool = False,
    coalesce: str | None = None,
    max_bytes: int = MAX_BYTES,
    threads: int | None = 1,
    progress: Progress | None = None,
) -> Graph:
    """The graph of a file.

    Parameters
    ----------
    path : path
        What `read_edges` reads, or an `.npz` that holds "indptr" and "indices".
    num_nodes : int or (int, int), optional
        N, or (targets, sources); by default what the file says (the shape of a matrix, "num_nodes"), or the largest
        node + 1.
    source, target, weight, delimiter, one_based
        As in `read_edges`.
    undirected : bool
        Whether every edge is taken in both directions. A self-loop is taken once, and an edge that the file lists in
        both directions is not doubled.
    coalesce, max_bytes, threads
        As in `Graph.from_edges`.
    progress : callable, optional
        Called with a `ProgressEvent` after each chunk: its `done` is the number of edges that were read.

    Returns
    -------
    Graph

    Raises
    ------
    FileError
        For a file that cannot be read, naming the line or the array.
    InputError
        For nodes beyond `num_nodes`, for more nodes than `max_bytes` allows, and with `undirected` for an edge that is
        listed in both directions with different weights.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from fastdl.files import read_graph
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "edges.tsv"
    >>> _ = path.write_text("1\\t2\\n2\\t3\\n")
    >>> read_graph(path, one_based=True, undirected=True)
    Graph(num_nodes=3, num_edges=4)
    """
    path = _check.existing(path)
    shape: int | Sequence[int] | None = num_nodes
    if suffix(path) == ".npz":
        held = _arrays.read_npz(path, int(bool(one_based)))
        if isinstance(held, Graph) and not undirected and coalesce is None and num_nodes is None:
            return held
        shape = num_nodes if num_nodes is not None else held.shape
        parts = iter(_arrays.edge_chunks(held))
    else:
        if num_nodes is None and suffix(path) == ".mtx":
            shape = _matrix_market.shape(path)
        names = {"source": source, "target": target, "weight": weight}
        parts = read_edges(path, **names, delimiter=delimiter, one_based=one_based)
    edges, weights = _joined(parts, progress)
    if undirected:
        edges, weights = undirected_edges(edges, weights)
    try:
        return Graph.from_edges(edges, shape, coalesce=coalesce, weight=weights, max_bytes=max_bytes, threads=threads)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def read_named_graph(
    path: str | Path,
    names: Sequence[str] | None = None,
    *,
    source: str | int | None = None,
    target: str | int | None = None,
    weight: str | int | None = None,
    delimiter: str | None = None,
    undirected: bool = False,
    coalesce: str | None = None,
    threads: int | None = 1,
) -> tuple[Graph, list[str]]:
    """The graph of a file whose nodes have names, and the list of the names.

    Parameters
    ----------
    path : path
        Text or Parquet, as in `read_edges`; a node's name may be any text.
    names : sequence of str, optional
        The names in the order of the nodes; another name in the file is an error. By default nodes are numbered in the
        order in which their names first appear.
    source, target, weight, delimiter, undirected, coalesce, threads
        As in `read_graph`.

    Returns
    -------
    graph : Graph
    names : list of str
        Node k is ``names[k]``.

    Raises
    ------
    FileError
        For lines that are not an edge, and names that are not in `names`.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from fastdl.files import read_named_graph
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "friends.csv"
    >>> _ = path.write_text('from,to\\nann,"Lee, Bob"\\ncy,ann\\n')
    >>> read_named_graph(path)
    (Graph(num_nodes=3, num_edges=2), ['ann', 'Lee, Bob', 'cy'])
    """
    path = _check.existing(path)
    choice = ColumnChoice(source, target, weight, delimiter, 0)
    kind = suffix(path)
    if kind in (".npy", ".npz", ".mtx"):
        raise FileError(path, "holds numbers; read_graph reads it, and number_nodes makes a table of large ones")
    table = {} if names is None else {name: k for k, name in enumerate(names)}
    if names is not None and len(table) < len(names):
        raise InputError("names must be different")
    reader = _parquet.named_parquet_chunks if kind == ".parquet" else _text.named_text_chunks
    edges, weights = _joined(reader(path, choice, table, names is None), None)
    if undirected:
        edges, weights = undirected_edges(edges, weights)
    graph = Graph.from_edges(edges, len(table), coalesce=coalesce, weight=weights, threads=threads)
    return graph, list(table)


def _joined(chunks: Iterator[Chunk], progress: Progress | None) -> tuple[Array, Array | None]:
    parts, done = [], 0
    for chunk in chunks:
        parts.append(chunk)
        done += chunk[0].shape[1]
        if progress is not None:
            progress(ProgressEvent(done, None, "edges"))
    edges = np.concatenate([e for e, _ in parts], axis=1) if parts else np.empty((2, 0), np.int64)
    weights = [w for _, w in parts if w is not None]
    return edges, np.concatenate(weights) if weights else None


def undirected_edges(edges: Array, weight: Array | None) -> tuple[Array, Array | None]:
    """Every edge in both directions; one that is listed in both is not doubled.

    Of repeated edges, the k-th (a, b) and the k-th (b, a) are taken for one edge, and the first of the two is kept.
    """
    low, high = edges.min(axis=0), edges.max(axis=0)
    forward = edges[0] <= edges[1]
    if forward.all() or not forward.any():
        return both_directions(edges, weight)
    # The rank of each edge among the equal ones of its direction.
    order = np.lexsort((forward, high, low))
    same = np.zeros(len(order), bool)
    for x in (low, high, forward):
        same[1:] |= x[order[1:]] != x[order[:-1]]
    starts = np.flatnonzero(np.concatenate([[True], same[1:]]))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order)) - np.repeat(starts, np.diff([*starts, len(order)]))
    order = np.lexsort((np.arange(len(order)), rank, high, low))
    again = np.zeros(len(order), bool)
    again[1:] = True
    for x in (low, high, rank):
        again[1:] &= x[order[1:]] == x[order[:-1]]
    if weight is not None:
        first, second = order[:-1][again[1:]], order[1:][again[1:]]
        wrong = np.flatnonzero(weight[first] != weight[second])
        if len(wrong):
            a, b = edges[:, first[wrong[0]]].tolist()
            values = f"{weight[first[wrong[0]]]} and {weight[second[wrong[0]]]}"
            raise InputError(f"the edge between {a} and {b} is listed both ways with different weights, {values}")
    keep = np.sort(order[~again])
    return both_directions(edges[:, keep], None if weight is None else weight[keep])
