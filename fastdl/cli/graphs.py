"""fastdl graph: count the edges of a file, write the graph's rows, and aggregate features over its edges."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastdl.cli import _parser
from fastdl.cli._cluster import add_scheduler, run_command
from fastdl.cli._progress import ProgressBar

if TYPE_CHECKING:
    from fastdl._typing import Array
    from fastdl.graphs.graph import Graph
    from fastdl.streaming import ProgressEvent

REDUCTIONS = ("sum", "mean", "max", "min", "mul", "var", "std", "softmax")
NORMS = ("gcn", "symmetric", "target", "source")


def register(commands: _parser.Commands) -> None:
    graph = commands.add_parser(
        "graph",
        help="count a graph, write its rows, or reduce the features of every node's neighbours",
        description="An edge (source, target) brings the features of its source to its target. Reads text (.csv, .tsv, "
        ".txt, .edges; .gz too), .npy, .npz (of NumPy, SciPy, OGB), MatrixMarket .mtx and .parquet. Prints what is in "
        "the file; with --features also writes what every node gathers from its neighbours, the features staying on "
        "disk.",
        examples=(
            "fastdl graph edges.csv",
            "fastdl graph edges.csv --features x.npy -o h.npy --reduce mean",
            "fastdl graph edges.npz --features x.npy -o h.npy --norm gcn --undirected",
        ),
    )
    graph.add_argument("edges", type=Path, help="the edges")
    graph.add_argument("--features", type=Path, metavar="X.npy", help="one row for each node (each source)")
    graph.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="H.npy with --features, else G.npz for the rows of the graph"
    )
    graph.add_argument("--reduce", choices=REDUCTIONS, default="sum", help="default: %(default)s")
    graph.add_argument("--norm", choices=NORMS, help="weights by degrees; gcn: self loops too, with --reduce sum")
    reading = graph.add_argument_group("the edges")
    reading.add_argument("--source", metavar="COLUMN", help="the name or place (from 0) of the column of sources")
    reading.add_argument("--target", metavar="COLUMN", help="that of the targets")
    reading.add_argument("--weight", metavar="COLUMN", help="that of the weights")
    reading.add_argument("--delimiter", metavar="CHAR", help="what parts columns (default: seen in the first line)")
    reading.add_argument("--one-based", action="store_true", help="nodes count from 1")
    reading.add_argument("--nodes", type=int, metavar="N", help="how many (default: the features', or the file's)")
    reading.add_argument(
        "--ids",
        type=Path,
        metavar="NAMES.txt",
        help="nodes have names: the table that numbers them, a name a line; written where it is not there",
    )
    reading.add_argument("--undirected", action="store_true", help="every edge counts in both directions")
    reading.add_argument(
        "--coalesce", choices=("sum", "mean", "max"), help="make one edge of equal ones (default: keep them)"
    )
    reading.add_argument(
        "--max-bytes", type=_parser.size, metavar="SIZE", help="for the rows of the graph (default: 1GiB)"
    )
    graph.add_argument("--threads", type=int, metavar="N", help="default: the processors this process has")
    add_scheduler(graph)
    graph.add_argument("--overwrite", action="store_true", help="replace files that are there")
    graph.add_argument("--quiet", action="store_true", help="print errors only")
    graph.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from fastdl.cli._sources import check_output
    from fastdl.errors import InputError

    features = options.features
    if features is None and (options.norm is not None or options.reduce != "sum"):
        raise InputError("--reduce and --norm need --features")
    if features is not None and options.output is None:
        raise InputError("--features needs --output, the .npy file to write")
    writes = [] if options.output is None else [options.output]
    reads = [path for path in (options.edges, features, options.ids) if path is not None]
    if options.ids is not None and not options.ids.exists():
        writes.append(options.ids)
        check_output(options.ids, (), reads=[options.edges], overwrite=False)
    if options.output is not None:
        ending = ".npz" if features is None else ".npy"
        check_output(options.output, (ending,), reads=reads, overwrite=options.overwrite)
    told = run_command(work, options, "edge", writes)
    if not options.quiet:
        print(told)
    return 0


def work(options: argparse.Namespace, progress: ProgressBar) -> str:
    """Read the graph, and write what the options ask for; returns the text to print."""
    from fastdl import _threads

    threads = _threads.count(options.threads)
    features = None if options.features is None else load(options.features)
    writes_ids = options.ids is not None and not options.ids.exists()
    graph, names, seconds = read(options, features, threads, progress)
    told = f"{graph.summary()} (read in {seconds:.2f} s)"
    if writes_ids:
        write_names(options, names)
        told += f"; wrote {len(names)} names to {options.ids}"
    if features is not None:
        told += f"; {gather(options, graph, features, threads)}; wrote {options.output}"
    elif options.output is not None:
        write_rows(options.output, graph)
        told += f"; wrote {options.output}"
    return told


def read(
    options: argparse.Namespace, features: Array | None, threads: int, progress: ProgressBar
) -> tuple[Graph, list[str], float]:
    """The graph, the names of its nodes where --ids asks for them, and the seconds it took."""
    from fastdl.files.graphs.edges import read_graph, read_named_graph

    columns = {name: getattr(options, name) for name in ("source", "target", "weight", "delimiter")}
    same = {"undirected": options.undirected, "coalesce": options.coalesce, "threads": threads}
    count = options.nodes if options.nodes is not None else None if features is None else len(features)
    limit = {} if options.max_bytes is None else {"max_bytes": options.max_bytes}
    if options.ids is not None:
        table = read_names(options.ids) if options.ids.exists() else None
        graph, names = read_named_graph(options.edges, table, **columns, **same)
        return graph, names, progress.seconds
    seen = 0.0

    def tell(event: ProgressEvent) -> None:
        nonlocal seen
        progress.advance(event.done - seen)
        seen = event.done

    graph = read_graph(options.edges, count, **columns, **same, **limit, one_based=options.one_based, progress=tell)
    return graph, [], progress.seconds


def gather(options: argparse.Namespace, graph: Graph, features: Array, threads: int) -> str:
    """Write the aggregated features, in blocks; returns the text to print."""
    import numpy as np

    from fastdl.files.atomic import replacing
    from fastdl.graphs.aggregation import aggregate_blocks

    blocks = aggregate_blocks(graph, features, reduce=options.reduce, weight=options.norm, threads=threads)
    shape = (graph.num_targets, *features.shape[1:])
    with replacing(options.output) as file, ProgressBar(graph.num_targets, "node", options.quiet) as progress:
        for block in blocks:
            if not file.tell():
                header = {"descr": block.dtype.str, "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_2_0(file, header)
            file.write(block.data)
            progress.advance(len(block))
    what = f"{options.norm or options.reduce} of features {features.shape} {features.dtype}"
    return f"{what} in {progress.seconds:.2f} s"


def write_rows(path: Path, graph: Graph) -> None:
    """Write the graph so that `read_graph` can read it."""
    import numpy as np

    from fastdl.files.atomic import replacing

    arrays: dict[str, Any] = {"indptr": graph.indptr, "indices": graph.indices, "shape": np.array(graph.shape)}
    if graph.edge_order is not None:
        arrays["edge_order"] = graph.edge_order
    if graph.weight is not None:
        arrays["weight"] = graph.weight
    with replacing(path) as file:
        np.savez(file, **arrays)


def read_names(path: Path) -> list[str]:
    """The names in a file, one per line."""
    from fastdl.errors import FileError

    try:  # a name may hold what other than a line feed ends lines for Python
        lines = path.read_bytes().decode().removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        raise FileError(path, f"is no text in UTF-8: {error.reason}", offset=error.start) from None
    names = [line.removesuffix("\r") for line in lines]
    lines_of: dict[str, int] = {}
    for number, name in enumerate(names, 1):
        if lines_of.setdefault(name, number) != number:
            raise FileError(path, f"has the name {name[:80]!r} of line {lines_of[name]} again", line=number)
    return names


def write_names(options: argparse.Namespace, names: list[str]) -> None:
    """Write the table of names, which later runs read."""
    from fastdl.files.atomic import replacing

    with replacing(options.ids) as file:
        file.write("".join(f"{name}\n" for name in names).encode())


def load(path: Path) -> Array:
    """The features, memory-mapped."""
    from fastdl import _check
    from fastdl.errors import FileError
    from fastdl.files.numpy_files import map_npy

    features = map_npy(_check.existing(path))
    if features.ndim == 0:
        raise FileError(path, "must be a .npy file with one row for each node")
    return features
