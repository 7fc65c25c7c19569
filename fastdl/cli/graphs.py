"""fastdl graph: features gathered over the edges of a file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def register(commands: Any) -> None:
    graph = commands.add_parser(
        "graph",
        help="sum, mean, max or min of the features of every node's neighbours",
        description="An edge (source, target) brings the features of its source to its target. Reads .csv, .tsv, .txt "
        "(.gz), .npy, .npz and MatrixMarket .mtx; features stay on disk, the result is written in blocks of rows.",
    )
    graph.add_argument("edges", type=Path, help="the edge list, or an .npz with indptr and indices")
    graph.add_argument("--features", required=True, type=Path, metavar="X.npy", help="one row for each node")
    graph.add_argument("-o", "--output", required=True, type=Path, metavar="H.npy", help="the file to write")
    graph.add_argument("--reduce", choices=("sum", "mean", "max", "min"), default="sum", help="default: %(default)s")
    graph.add_argument(
        "--norm", choices=("gcn",), help="gcn: self loops and symmetric normalisation, with --reduce sum"
    )
    graph.add_argument("--undirected", action="store_true", help="every edge counts in both directions")
    graph.add_argument(
        "--coalesce", choices=("sum", "mean", "max"), help="make one edge of equal ones (default: keep them)"
    )
    graph.add_argument("--threads", type=int, metavar="N", help="default: the processors this process has")
    graph.add_argument("--overwrite", action="store_true", help="replace a file that is there")
    graph.add_argument("--quiet", action="store_true", help="no progress bar")
    graph.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    import numpy as np

    from fastdl import _threads
    from fastdl.cli._progress import Progress
    from fastdl.cli._sources import check_output
    from fastdl.files.atomic import replacing
    from fastdl.files.graphs.edges import read_graph
    from fastdl.graphs.aggregation import aggregate_blocks

    threads = _threads.count(options.threads)
    features = load(options.features)
    check_output(options.output, (".npy",), reads=[options.edges, options.features], overwrite=options.overwrite)
    with Progress(None, "edge", options.quiet) as progress:
        graph = read_graph(
            options.edges,
            len(features),
            undirected=options.undirected,
            coalesce=options.coalesce,
            threads=threads,
            progress=progress,
        )
    reading = progress.seconds
    blocks = aggregate_blocks(graph, features, reduce=options.reduce, weight=options.norm, threads=threads)
    with replacing(options.output) as file, Progress(len(features), "node", options.quiet) as progress:
        for block in blocks:
            if not file.tell():
                header = {"descr": block.dtype.str, "fortran_order": False, "shape": features.shape}
                np.lib.format.write_array_header_2_0(file, header)
            file.write(block.data)
            progress(len(block))
    degrees = np.diff(graph.indptr)
    print(
        f"{graph.num_nodes} nodes, {graph.num_edges} edges (read in {reading:.2f} s), {(degrees == 0).sum()} nodes "
        f"without neighbours, at most {degrees.max(initial=0)}; {options.norm or options.reduce} of features "
        f"{features.shape} {features.dtype} in {progress.seconds:.2f} s; wrote {options.output}"
    )
    return 0


def load(path: Path) -> Any:
    """The features, left on disk."""
    import numpy as np

    from fastdl import _check

    try:
        features = np.load(_check.existing(path), mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise _check.FileError(path, f"is no whole .npy file: {error}") from None
    if not isinstance(features, np.ndarray) or features.ndim == 0:
        raise _check.FileError(path, "must be a .npy file with one row for each node")
    return features
