"""Edge lists: text (CSV and its kin), NumPy (.npy, .npz) and MatrixMarket (.mtx), as blocks of edges."""

from __future__ import annotations

import gzip
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np

from fastdl import _check
from fastdl.graphs.graph import Graph

Array = np.ndarray
Block = tuple[Array, Array | None]

#: The endings that are read; text may be compressed (.gz).
TEXT = (".csv", ".tsv", ".txt", ".edges", ".el")
SUFFIXES = (*TEXT, ".npy", ".npz", ".mtx")

_BYTES = 1 << 22  # text read at once
_EDGES = 1 << 20  # edges of an array handed on at once
_SPACE = bytes.maketrans(b",;|\t\r", b"     ")
_COMMENTS = (b"#", b"%")


def read_edges(path: str | Path) -> Iterator[Block]:
    """The edges of a file, block by block.

    Parameters
    ----------
    path : path
        Text with two columns (source, target) or three (and a weight), parted by commas, semicolons, tabs or spaces;
        the first line may be a heading, and lines that begin with # or % are comments. Or `.npy` with an array (2, E)
        or (E, 2); `.npz` with "edges" or "edge_index", or "row" (targets) and "col" (sources), and perhaps "weight".
        Or `.mtx`, a MatrixMarket coordinate matrix A for ``A @ X``: entry (i, j) is the edge from j into i. Text and
        `.mtx` may end in `.gz`.

    Yields
    ------
    (ndarray of integers (2, n), ndarray of float64 (n,) or None)
        Edges and weights.

    Raises
    ------
    FileError
        For anything that is no edge, naming the file and the line.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from fastdl.files import read_edges
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "edges.csv"
    >>> _ = path.write_text("source,target\\n0,1\\n2,1\\n")
    >>> next(read_edges(path))[0].tolist()
    [[0, 2], [1, 1]]
    """
    path = _check.existing(path)
    suffixes = [s.lower() for s in path.suffixes if s.lower() != ".gz"][-1:]
    if suffixes == [".npy"]:
        return _from_npy(path)
    if suffixes == [".npz"]:
        return _from_npz(path)
    if suffixes == [".mtx"]:
        return _from_matrix_market(path)
    if suffixes and suffixes[0] not in TEXT:
        raise _check.FileError(path, f"an edge list must end in {', '.join(SUFFIXES)}")
    return _from_text(path)


def read_graph(
    path: str | Path,
    num_nodes: int | None = None,
    *,
    undirected: bool = False,
    coalesce: str | None = None,
    threads: int | None = 1,
    progress: Callable[[int], Any] | None = None,
) -> Graph:
    """The graph of an edge-list file, or of an `.npz` that holds "indptr" and "indices".

    Parameters
    ----------
    path : path
        What `read_edges` reads.
    num_nodes : int, optional
        N; by default the largest node + 1, or what a MatrixMarket file says.
    undirected : bool
        Whether every edge counts in both directions; a self loop still counts once.
    coalesce, threads
        As in `Graph.from_edges`.
    progress : callable, optional
        Called with the number of edges of each block that was read.

    Returns
    -------
    Graph

    Raises
    ------
    FileError
        For a file that is no edge list.
    """
    path = _check.existing(path)
    if path.suffix.lower() == ".npz":
        with _npz(path) as held:
            if "indptr" in held and "indices" in held and not undirected and coalesce is None:
                return Graph(*(held.get(k) for k in ("indptr", "indices", "edge_order", "weight")))
    if num_nodes is None and ".mtx" in path.suffixes:
        with _open(path) as file:
            num_nodes = max(_market_header(path, file)[2:4])
    blocks = []
    for block in read_edges(path):
        blocks.append(block)
        if progress is not None:
            progress(block[0].shape[1])
    edges = np.concatenate([e for e, _ in blocks], axis=1) if blocks else np.empty((2, 0), np.int64)
    weights = [w for _, w in blocks if w is not None]
    weight = np.concatenate(weights) if weights else None
    del blocks, weights
    if undirected:
        other = edges[0] != edges[1]
        edges = np.concatenate([edges, edges[::-1, other]], axis=1)
        weight = None if weight is None else np.concatenate([weight, weight[other]])
    return Graph.from_edges(edges, num_nodes, coalesce=coalesce, weight=weight, threads=threads)


def _pieces(edges: Array, weight: Array | None) -> Iterator[Block]:
    for i in range(0, edges.shape[1], _EDGES):
        yield edges[:, i : i + _EDGES], None if weight is None else weight[i : i + _EDGES]


def _oriented(path: Path, edges: Array) -> Array:
    """(2, E), whichever way it stands."""
    if edges.ndim != 2 or 2 not in edges.shape or edges.dtype.kind not in "iu":
        raise _check.FileError(path, f"must hold integers of shape (2, E) or (E, 2), got {edges.dtype} {edges.shape}")
    return edges if len(edges) == 2 else edges.T


def _from_npy(path: Path) -> Iterator[Block]:
    try:
        edges = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise _check.FileError(path, f"is no whole .npy file: {error}") from None
    yield from _pieces(_oriented(path, edges), None)


@contextmanager
def _npz(path: Path) -> Iterator[Any]:
    with open(path, "rb") as file:
        try:
            held = np.load(file, allow_pickle=False)
        except (ValueError, EOFError, zipfile.BadZipFile) as error:
            raise _check.FileError(path, f"is no whole .npz file: {error}") from None
        with held:
            yield held


def _from_npz(path: Path) -> Iterator[Block]:
    with _npz(path) as held:
        weight = held["weight"].astype(np.float64) if "weight" in held else None
        for name in ("edges", "edge_index"):
            if name in held:
                edges = _oriented(path, held[name])
                break
        else:
            if "indptr" in held and "indices" in held:
                graph = Graph(held["indptr"], held["indices"])
                edges = np.stack([graph.indices, np.repeat(np.arange(graph.num_nodes), np.diff(graph.indptr))])
            elif "row" in held and "col" in held:
                edges = _oriented(path, np.stack([held["col"], held["row"]]))
            else:
                raise _check.FileError(path, f'must hold "edges", "edge_index", or "row" and "col", got {held.files}')
    if weight is not None and weight.shape != edges.shape[1:]:
        raise _check.FileError(path, f"must hold one weight for each of {edges.shape[1]} edges, got {weight.shape}")
    yield from _pieces(edges, weight)


def _open(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if path.suffix.lower() == ".gz" else open(path, "rb")  # type: ignore[return-value]


def _from_text(path: Path) -> Iterator[Block]:
    columns = 0
    for first, block in _lines(path):
        text = block.translate(_SPACE)
        if not columns:
            heading, columns = _heading(path, first, text)
            if heading:
                text = b"\n" * heading + text.split(b"\n", heading)[heading]
        if columns:
            yield _edges(path, first, text, columns)


def _lines(path: Path, line: int = 1, file: IO[bytes] | None = None) -> Iterator[tuple[int, bytes]]:
    """(number of the first line, whole lines) for blocks of the file; comments left empty."""
    rest = b""
    with file or _open(path) as source:
        while True:
            try:
                data = source.read(_BYTES)
            except (EOFError, gzip.BadGzipFile, OSError) as error:
                raise _check.FileError(path, f"is truncated or corrupt: {error}", line=line) from None
            if not data and not rest:
                return
            whole, mark, tail = (rest + data).rpartition(b"\n")
            block, rest = (whole + mark, tail) if data else (rest, b"")
            if not block:
                continue
            yield line, _uncommented(block)
            line += block.count(b"\n")


def _uncommented(block: bytes) -> bytes:
    if not any(mark in block for mark in _COMMENTS):
        return block
    return b"\n".join(b"" if row.lstrip().startswith(_COMMENTS) else row for row in block.split(b"\n"))


def _heading(path: Path, first: int, text: bytes) -> tuple[int, int]:
    """(lines up to and with a heading, number of columns); the columns are 0 while there are only empty lines."""
    heading = 0
    for number, row in enumerate(text.split(b"\n"), 1):
        words = row.split()
        if not words:
            continue
        if not heading and not any(_number(word) for word in words):
            heading = number
            continue
        if len(words) not in (2, 3):
            raise _check.FileError(path, f"must have 2 or 3 columns, got {len(words)}", line=first + number - 1)
        return heading, len(words)
    return heading, 0


def _number(word: bytes) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _edges(path: Path, first: int, text: bytes, columns: int, base: int = 0) -> Block:
    """The rows of whole lines, all of them with `columns` numbers."""
    raw = np.frombuffer(text, np.uint8)
    word = raw > 32
    begins = word.copy()
    begins[1:] &= ~word[:-1]
    stops = np.flatnonzero(raw == 10)
    counts = np.diff(np.cumsum(begins, dtype=np.int64)[stops], prepend=0) if len(stops) else np.empty(0, np.int64)
    last = int(begins.sum() - counts.sum())  # a last line without an end
    counts = np.append(counts, last) if last else counts
    wrong = np.flatnonzero((counts != columns) & (counts != 0))
    if len(wrong):
        message = f"must have {columns} columns, as the lines before it, got {counts[wrong[0]]}"
        raise _check.FileError(path, message, line=first + int(wrong[0]))
    if not begins.any():
        return np.empty((2, 0), np.int64), None if columns == 2 else np.empty(0)
    try:
        table = _parse(text, np.int64 if columns == 2 else np.float64).reshape(-1, columns)
        nodes = table[:, :2].T
        if (np.abs(nodes) >= 2.0**53).any() or (columns == 3 and (nodes != np.trunc(nodes)).any()):
            raise ValueError
    except ValueError:
        raise _not_a_number(path, first, text) from None
    edges = nodes.astype(np.int64) - base
    if base == 0 and edges.min() < 0:
        k = int((edges < 0).any(0).argmax())
        raise _check.FileError(
            path, f"nodes must be at least 0, got {edges[:, k].min()}", line=_line_of(text, first, k)
        )
    return edges, None if columns == 2 else np.ascontiguousarray(table[:, 2])


def _parse(text: bytes, dtype: Any) -> Array:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # NumPy's way to say that not all of it is numbers
        try:
            return np.fromstring(text, dtype, sep=" ")
        except DeprecationWarning:
            raise ValueError from None


def _line_of(text: bytes, first: int, k: int) -> int:
    """The line of the k-th row that is not empty."""
    lines = (number for number, row in enumerate(text.split(b"\n"), first) if row.split())
    return next(islice(lines, k, None))


def _not_a_number(path: Path, first: int, text: bytes) -> _check.FileError:
    """The error of the first line that is not: node, node and perhaps weight."""
    for number, row in enumerate(text.split(b"\n"), first):
        for kind, name, word in zip((int, int, float), ("a node", "a node", "a weight"), row.split()):
            try:
                if kind is int and abs(int(word)) >= 1 << 53:
                    raise ValueError
                kind(word)
            except ValueError:
                return _check.FileError(path, f"must be {name}, got {word.decode(errors='replace')!r}", line=number)
    return _check.FileError(path, "cannot be read as edges", line=first)


def _market_header(path: Path, file: IO[bytes]) -> tuple[str, str, int, int, int, int]:
    """(kind, symmetry, rows, columns, entries, lines read)."""
    words = file.readline().lower().split()
    if len(words) != 5 or words[:2] != [b"%%matrixmarket", b"matrix"]:
        raise _check.FileError(path, "must begin with %%MatrixMarket matrix ...", line=1)
    shape, kind, symmetry = (w.decode(errors="replace") for w in words[2:])
    if shape != "coordinate" or kind not in ("pattern", "integer", "real", "double"):
        raise _check.FileError(
            path, f"must be a real, integer or pattern coordinate matrix, got {shape} {kind}", line=1
        )
    if symmetry not in ("general", "symmetric", "skew-symmetric"):
        raise _check.FileError(path, f"must be general, symmetric or skew-symmetric, got {symmetry}", line=1)
    number, sizes = 1, b""
    while not sizes.strip() or sizes.startswith(b"%"):
        sizes = file.readline()
        number += 1
        if not sizes:
            raise _check.FileError(path, "ends before the line of sizes", line=number)
    try:
        rows, columns, entries = map(int, sizes.split())
    except ValueError:
        raise _check.FileError(path, "must give rows, columns and entries", line=number) from None
    return kind, symmetry, rows, columns, entries, number


def _from_matrix_market(path: Path) -> Iterator[Block]:
    with _open(path) as file:
        kind, symmetry, rows, columns, entries, number = _market_header(path, file)
        found = 0
        for first, block in _lines(path, number + 1, file):
            text = block.translate(_SPACE)
            places, weight = _edges(path, first, text, 2 if kind == "pattern" else 3, base=1)
            found += places.shape[1]
            outside = (places < 0).any(0) | (places[0] >= rows) | (places[1] >= columns)
            if outside.any():
                k = int(outside.argmax())
                message = f"entry {tuple((places[:, k] + 1).tolist())} is outside the matrix of {rows} x {columns}"
                raise _check.FileError(path, message, line=_line_of(text, first, k))
            yield places[::-1], weight  # row i of A gathers from column j
            if symmetry != "general":
                other = places[0] != places[1]
                sign = -1.0 if symmetry == "skew-symmetric" else 1.0
                yield places[:, other], None if weight is None else sign * weight[other]
        if found != entries:
            raise _check.FileError(path, f"must hold {entries} entries, got {found}")
