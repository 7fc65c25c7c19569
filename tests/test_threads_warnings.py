"""Public functions called by many threads leave no warning filter of the process changed.

Left out is `fastdl.estimators`: scikit-learn's own checks use `warnings.catch_warnings`.
"""

import inspect
import struct
import sys
import threading
import warnings
from functools import partial

import numpy as np
import pytest

import fastdl
from fastdl import files
from fastdl.files.points.sorted_rows import TableRows
from tests.cases import CASES
from tests.test_equivalence import arguments

CALLS, THREADS = 1000, 8
X = np.linspace(-1, 1, 24).reshape(12, 2) ** 3 + np.eye(12, 2)
Y = np.sin(np.arange(12.0))
EDGES = np.array([[0, 1, 2, 0], [1, 2, 0, 2]])
GRAPH = fastdl.Graph.from_edges(EDGES)
FEW = {"epochs": 1, "threads": 1}
#: Calls of the functions that have no case of their own name.
MORE = {
    "aggregate_blocks": lambda: list(fastdl.aggregate_blocks(GRAPH, X[:3])),
    "aggregate_grad": lambda: fastdl.aggregate_grad(GRAPH, X[:3], X[:3]),
    "aggregate_relations": lambda: fastdl.aggregate_relations({("a", "to", "a"): GRAPH}, {"a": X[:3]}),
    "apply_variants": lambda: fastdl.apply_variants("ACGT", [1], ["C"], ["T"]),
    "as_graph": lambda: fastdl.as_graph(GRAPH),
    "batch_graphs": lambda: fastdl.batch_graphs([GRAPH, GRAPH]),
    "custom_loss": lambda: fastdl.custom_loss(abs),
    "estimate_intervals": lambda: fastdl.estimate_intervals(X, Y, resamples=2),
    "fit_elastic_net": lambda: fastdl.fit_elastic_net(X, Y, l2=1.0),
    "fit_huber": lambda: fastdl.fit_huber(X, Y, 10.0),
    "fit_logistic": lambda: fastdl.fit_logistic(X, np.arange(12) % 2),
    "fit_lp": lambda: fastdl.fit_lp(X, Y),
    "fit_network": lambda: fastdl.fit_network(X, Y, (2,), **FEW),
    "fit_network_classifier": lambda: fastdl.fit_network_classifier(X, np.arange(12) % 2, (2,), **FEW),
    "fit_quantile": lambda: fastdl.fit_quantile(X, Y),
    "gcn_norm": lambda: fastdl.gcn_norm(GRAPH),
    "gradient_descent": lambda: fastdl.gradient_descent(X, Y, epochs=1),
    "k_fold": lambda: fastdl.k_fold(12, 3, seed=0).folds(),
    "normalize_edges": lambda: fastdl.normalize_edges(GRAPH),
    "number_nodes": lambda: fastdl.number_nodes(EDGES),
    "padding_mask": lambda: fastdl.padding_mask(["AC", "A"]),
    "random_search": lambda: fastdl.random_search(X, Y, candidates=2, refine=1),
    "sample_neighbors": lambda: fastdl.sample_neighbors(GRAPH, [0], 1, seed=0),
    "select_degree": lambda: fastdl.select_degree(Y, Y, (1,), folds=2),
    "split": lambda: fastdl.split(12, seed=0).parts(),
    "subgraph": lambda: fastdl.subgraph(GRAPH, [0, 1]),
    "voxel_features": lambda: fastdl.voxel_features(
        np.zeros((1, 2, 4), np.float32), [1], [[0, 0, 0]], 1.0, (0, 0, 0, 1, 1, 1)
    ),
}


def npy_header():
    """A .npy file of 0 rows of 2 numbers."""
    text = "{'descr': '<f8', 'fortran_order': False, 'shape': (0, 2)}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


ROWS = TableRows(np.zeros((2, 3)), np.dtype([(axis, "f8") for axis in "xyz"]))
BED = b"chr1\t0\t3\tpeak\t0\t-\n"
FASTA = b">chr1\nACGTACGT\n"
PCD = b"VERSION 0.7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nWIDTH 1\nHEIGHT 1\nPOINTS 1\nDATA ascii\n1 2 3\n"
TWOBIT = struct.pack("<4I", 0x1A412743, 0, 1, 0) + b"\4chr1" + struct.pack("<6I", 25, 4, 0, 0, 0, 0)
VCF = b"#CHROM\tPOS\tID\tREF\tALT\nchr1\t2\t.\tC\tT\n"
WAV = struct.pack("<4sI8sIHHIIHH4sI4h", b"RIFF", 44, b"WAVEfmt ", 16, 1, 1, 8000, 16000, 2, 16, b"data", 8, 1, 2, 3, 4)
#: Functions and readers of `fastdl.files`: the name of a file, what it holds, and a call with its path.
FILES = {
    "open_audio": ("a.wav", WAV, lambda path: files.open_audio(path)[1:3]),
    "read_audio": ("a.wav", WAV, files.read_audio),
    "read_edges": ("a.csv", b"0,1\n1,2\n", lambda path: list(files.read_edges(path))),
    "read_graph": ("a.csv", b"0,1\n1,2\n", lambda path: files.read_graph(path, undirected=True)),
    "read_named_graph": ("a.csv", b"a,b\nb,c\n", files.read_named_graph),
    "open_points": ("a.pcd", PCD, lambda path: list(files.open_points(path).chunks(8))),
    "write_points": ("a.npz", b"", lambda path: files.write_points(path, ROWS)),
    "read_bed": ("a.bed", BED, lambda path: list(files.read_bed(path))),
    "read_regions": ("a.csv", b"chrom,start,end\nchr1,0,3\n", lambda path: list(files.read_regions(path))),
    "one_hot_regions": ("a.fa", FASTA, lambda path: files.one_hot_regions(files.Fasta(path), ["chr1"], [1], 4)),
    "open_sequences": ("a.fa", FASTA, lambda path: list(files.open_sequences(path).chunks())),
    "read_vcf": ("a.vcf", VCF, files.read_vcf),
    "Fastq": ("a.fq", b"@one\nAC\n+\nII\n", lambda path: list(files.Fastq(path).batches())),
    "TwoBit": ("a.2bit", TWOBIT, lambda path: files.TwoBit(path).fetch("chr1", 0, 4)),
    "NpyReader": ("a.npy", npy_header(), lambda path: list(files.NpyReader(path).chunks(8))),
    "Table": ("a.npy", npy_header(), lambda path: list(files.Table(path).chunks())),
}


def calls():
    """A call of every public function and of every state, on few items, by its name."""
    found = dict(MORE)
    for case in CASES:
        if case.function not in found:
            args, kwargs = arguments(case, sorted(case.sizes)[min(2, len(case.sizes) - 1)])
            found[case.function] = partial(case.call or getattr(fastdl, case.function), *args, **kwargs)
    return found


def changes(monkeypatch, call):
    """The changes of warning filters that many threads see or leave behind while each makes a call many times."""
    call()  # kernels of the user's functions are compiled, and modules imported, before
    failed, entered = [], []
    before, shown = warnings.filters, warnings.showwarning
    kept = list(before)
    enter = warnings.catch_warnings.__enter__
    monkeypatch.setattr(warnings.catch_warnings, "__enter__", lambda self: entered.append("entered") or enter(self))

    def work():
        try:
            for _ in range(CALLS // THREADS):
                call()
        except BaseException as error:
            failed.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # in place of 5 ms, within which a thread makes all its calls
    try:
        threads = [threading.Thread(target=work) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
        monkeypatch.undo()
    assert not failed
    after, warnings.filters[:] = list(warnings.filters), kept
    showed, warnings.showwarning = warnings.showwarning, shown
    return entered[:1] + ["filters"] * (after != kept) + ["showwarning"] * (showed is not shown)


def test_every_public_function_is_called():
    functions = {name for name in fastdl.__all__ if inspect.isfunction(getattr(fastdl, name))}
    assert functions <= set(calls())
    readers = {name for name in files.__all__ if inspect.isfunction(getattr(files, name))}
    assert readers <= set(FILES)


@pytest.mark.parametrize("name", sorted(calls()))
def test_filters_are_those_of_before(name, monkeypatch):
    assert not changes(monkeypatch, calls()[name])


@pytest.mark.parametrize("name", FILES)
def test_filters_are_those_of_before_files_were_read(name, tmp_path, monkeypatch):
    named, content, read = FILES[name]
    path = tmp_path / named
    path.write_bytes(content)
    assert not changes(monkeypatch, partial(read, path))


def test_a_change_is_seen(monkeypatch):
    """What `voxel_grid` once did."""

    def careless():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fastdl.voxel_grid(X[:, [0, 1, 1]], 1.0, (-2, -2, -2, 2, 2, 2))

    assert "entered" in changes(monkeypatch, careless)
