"""fastdl graph, and the edge lists it reads: text, NumPy, MatrixMarket, good and bad."""

import gzip

import numpy as np
import pytest

from fastdl import Graph, aggregate
from fastdl.cli import main
from fastdl.files.graphs.edges import read_edges, read_graph

EDGES = np.array([[0, 1, 2, 2], [1, 2, 0, 1]])
TEXT = b"0,1\n1,2\n2,0\n2,1\n"


@pytest.fixture
def features(tmp_path):
    x = np.arange(6, dtype=np.float32).reshape(3, 2)
    np.save(tmp_path / "x.npy", x)
    return x


def write(tmp_path, kind):
    """The same edges in a file of each kind."""
    path = tmp_path / kind
    if kind.endswith(".npy"):
        np.save(path, EDGES if "row" in kind else EDGES.T)
    elif kind == "index.npz":
        np.savez(path, edge_index=EDGES)
    elif kind == "coo.npz":
        np.savez(path, row=EDGES[1], col=EDGES[0])
    elif kind == "csr.npz":
        graph = Graph.from_edges(EDGES)
        np.savez(path, indptr=graph.indptr, indices=graph.indices)
    elif kind.endswith(".mtx"):
        entries = "".join(f"{t + 1} {s + 1}\n" for s, t in EDGES.T)
        path.write_text(f"%%MatrixMarket matrix coordinate pattern general\n% a comment\n3 3 4\n{entries}")
    elif kind.endswith(".gz"):
        path.write_bytes(gzip.compress(TEXT))
    else:
        text = {
            "plain.csv": TEXT,
            "heading.csv": b"source,target\n" + TEXT,
            "crlf.csv": TEXT.replace(b"\n", b"\r\n"),
            "tabs.tsv": TEXT.replace(b",", b"\t"),
            "comments.txt": b"# nodes: 3\n\n" + TEXT.replace(b",", b" ") + b"% end\n",
            "no end.csv": TEXT[:-1],
        }[kind]
        path.write_bytes(text)
    return path


KINDS = ["plain.csv", "heading.csv", "crlf.csv", "tabs.tsv", "comments.txt", "no end.csv", "packed.csv.gz", "rows.npy"]
KINDS += ["columns.npy", "index.npz", "coo.npz", "csr.npz", "matrix.mtx"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_edge_list(tmp_path, features, kind, capsys):
    path = write(tmp_path, kind)
    target = tmp_path / "h.npy"
    arguments = ["graph", str(path), "--features", str(tmp_path / "x.npy"), "--reduce", "mean", "-o", str(target)]
    assert main(arguments) == 0
    assert "3 nodes, 4 edges" in capsys.readouterr().out
    np.testing.assert_array_equal(np.load(target), aggregate(Graph.from_edges(EDGES), features, reduce="mean"))
    assert main(arguments) == 1
    assert "--overwrite replaces it" in capsys.readouterr().err
    assert main([*arguments, "--overwrite"]) == 0


def test_norm_and_both_directions(tmp_path, features):
    path, target = write(tmp_path, "plain.csv"), tmp_path / "h.npy"
    once = np.array([[0, 1, 2], [1, 2, 0]])  # 1 - 2 is listed both ways, and is one edge
    both = Graph.from_edges(np.concatenate([once, once[::-1]], axis=1))
    options = ["graph", str(path), "--features", str(tmp_path / "x.npy"), "-o", str(target), "--norm", "gcn"]
    assert main([*options, "--undirected"]) == 0
    np.testing.assert_array_equal(np.load(target), aggregate(both, features, weight="gcn"))


def test_weights_and_symmetric_matrices(tmp_path):
    (tmp_path / "w.csv").write_text("from,to,weight\n0,1,0.5\n2,1,2\n")
    edges, weight = next(read_edges(tmp_path / "w.csv"))
    assert edges.tolist() == [[0, 2], [1, 1]]
    assert weight.tolist() == [0.5, 2]
    (tmp_path / "s.mtx").write_text("%%MatrixMarket matrix coordinate real symmetric\n3 3 2\n2 1 4.5\n3 3 1\n")
    graph = read_graph(tmp_path / "s.mtx")
    assert graph.indptr.tolist() == [0, 1, 2, 3]
    assert graph.weight.tolist() == [4.5, 4.5, 1]


def test_long_files_come_in_blocks(tmp_path):
    edges = np.random.default_rng(0).integers(0, 10**6, (500_000, 2))
    (tmp_path / "long.csv").write_bytes(b"".join(b"%d,%d\n" % (a, b) for a, b in edges.tolist()))
    blocks = [e for e, _ in read_edges(tmp_path / "long.csv")]
    assert len(blocks) > 1
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), edges.T)


BAD = {
    "word.csv": (b"0,1\n1,x\n", "at line 2: must be a node, got 'x'"),
    "columns.csv": (b"0,1\n1,2,3\n", "at line 2: must have 2 columns, as the lines before it, got 3"),
    "one.csv": (b"0\n", "at line 1: must have 2 or 3 columns, got 1"),
    "negative.csv": (b"0,1\n\n0,-1\n", "at line 3: nodes must be at least 0, got -1"),
    "half.csv": (b"0.5,1\n", "at line 1: must be a node, got '0.5'"),
    "large.csv": (b"0,1\n99999999999999999999,1\n", "at line 2: must be a node"),
    "cut.csv.gz": (gzip.compress(TEXT * 1000)[:30], "truncated or corrupt"),
    "cut.npy": (b"\x93NUMPY\x01\x00", "is no whole .npy file"),
    "cut.npz": (b"PK\x03\x04", "is no whole .npz file"),
    "kind.mtx": (b"%%MatrixMarket matrix coordinate complex general\n2 2 1\n", "at line 1"),
    "dense.mtx": (b"%%MatrixMarket matrix array real general\n2 2\n1\n", "must hold 4 numbers, got 1"),
    "few.mtx": (b"%%MatrixMarket matrix coordinate pattern general\n2 2 2\n1 1\n", "must hold 2 entries, got 1"),
    "out.mtx": (
        b"%%MatrixMarket matrix coordinate pattern general\n2 2 1\n3 1\n",
        "at line 3: entry (3, 1) is outside",
    ),
    "what.xls": (b"0,1\n", "an edge list must end in"),
    "many.csv": (b"0,7\n", "must be between 0 and 2, got 7"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files(tmp_path, features, name, capsys):
    data, words = BAD[name]
    (tmp_path / name).write_bytes(data)
    target = tmp_path / "out" / "h.npy"
    arguments = ["graph", str(tmp_path / name), "--features", str(tmp_path / "x.npy"), "-o", str(target)]
    assert main(arguments) == 1
    message = capsys.readouterr().err
    assert words in message
    assert not target.exists()
    if name != "many.csv":
        assert name in message


def test_bad_features(tmp_path, capsys):
    path = write(tmp_path, "plain.csv")
    (tmp_path / "x.npy").write_bytes(b"no")
    assert main(["graph", str(path), "--features", str(tmp_path / "x.npy"), "-o", str(tmp_path / "h.npy")]) == 1
    assert "is no whole .npy file" in capsys.readouterr().err
    assert not (tmp_path / "h.npy").exists()
