"""Files of edges as other programs write them, read as those programs read them; and what is refused."""

import gzip
import threading
import warnings
from contextlib import suppress

import numpy as np
import pytest

import fastdl
from fastdl import Graph, aggregate
from fastdl.cli import main
from fastdl.errors import FileError
from fastdl.files import read_edges, read_graph, read_named_graph
from fastdl.reference.graphs import rows
from tests.graphs_edge_lists import listed


def dense(graph):
    """A, with the weights of equal edges added."""
    a = np.zeros(graph.shape)
    np.add.at(a, (rows(graph.indptr), graph.indices), 1 if graph.weight is None else graph.weight)
    return a


@pytest.mark.parametrize("kind", ["csr", "csc", "coo", "bsr", "dia"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bool"])
@pytest.mark.parametrize("shape", [(6, 6), (4, 8), (8, 4)])
def test_what_scipy_saves(tmp_path, kind, dtype, shape):
    sparse = pytest.importorskip("scipy.sparse")
    rng = np.random.default_rng(0)
    full = (rng.random(shape) < 0.3) * rng.uniform(0.5, 9, shape)
    full[-1] = full[:, -1] = 0  # isolated last nodes
    matrix = sparse.csr_array(full).astype(dtype)
    matrix = sparse.bsr_array(matrix, blocksize=(2, 2)) if kind == "bsr" else matrix.asformat(kind)
    sparse.save_npz(tmp_path / "a.npz", matrix)
    graph = read_graph(tmp_path / "a.npz")
    assert graph.shape == shape
    np.testing.assert_array_equal(dense(graph), matrix.toarray().astype(float))
    x = rng.standard_normal((shape[1], 3))
    np.testing.assert_allclose(aggregate(graph, x), matrix.astype(float) @ x, rtol=1e-12, atol=1e-14)
    edges = sum(e.shape[1] for e, _ in read_edges(tmp_path / "a.npz"))
    assert edges == graph.num_edges


def test_matrices_of_old_scipy_say_their_format_as_bytes(tmp_path):
    np.savez(tmp_path / "a.npz", format=b"csc", shape=(2, 3), data=[5.0], indices=[1], indptr=[0, 0, 0, 1])
    graph = read_graph(tmp_path / "a.npz")
    np.testing.assert_array_equal(dense(graph), [[0, 0, 0], [0, 0, 5]])


@pytest.mark.parametrize("name", ["weight", "edge_weight", "edge_attr"])
def test_arrays_by_their_names(tmp_path, name):
    w = np.array([[1.5], [2.5]]) if name == "edge_attr" else np.array([1.5, 2.5])
    np.savez(tmp_path / "e.npz", edge_index=[[0, 1], [1, 2]], num_nodes=9, x=np.ones((9, 2)), **{name: w})
    graph = read_graph(tmp_path / "e.npz")
    assert graph.num_nodes == 9
    assert graph.weight.tolist() == [1.5, 2.5]
    assert read_graph(tmp_path / "e.npz", 4).num_nodes == 4
    ogb = {"num_nodes_list": [5], "num_edges_list": [2], "node_feat": np.ones((5, 1)), "edge_feat": np.ones((2, 3))}
    np.savez(tmp_path / "data.npz", edge_index=np.array([[0, 1], [1, 2]]), **ogb)
    assert read_graph(tmp_path / "data.npz").num_nodes == 5


def test_our_own_rows_come_back(tmp_path):
    graph = Graph.from_edges([[4, 1, 1], [1, 0, 1]], (3, 6), weight=np.array([1.0, 2.0, 3.0]))
    (tmp_path / "e.csv").write_text("4,1,1\n1,0,2\n1,1,3\n")
    assert main(["graph", str(tmp_path / "e.csv"), "-o", str(tmp_path / "g.npz")]) == 0
    again = read_graph(tmp_path / "g.npz")
    np.testing.assert_array_equal(again.edge_order, [1, 0, 2])
    np.testing.assert_array_equal(again.weight, graph.weight)
    assert again.shape == (5, 5)


BAD_ARRAYS = {
    "unknown": ({"edges": [[0], [1]], "colour": [1]}, "holds colour, which is not known"),
    "weights": ({"edges": [[0], [1]], "weight": [1.0, 2.0]}, "one weight for each of 1 edges"),
    "two weights": ({"edges": [[0], [1]], "weight": [1.0], "edge_attr": [1.0]}, "only one can be the weight"),
    "nothing": ({"x": np.ones(2)}, "must hold"),
    "floats": ({"edges": [[0.5], [1]]}, "must hold integers"),
    "matrix": (
        {"format": "csr", "shape": (2, 2), "data": [1.0], "indices": [5], "indptr": [0, 1, 1]},
        "between 0 and 1, got 5",
    ),
    "rows": ({"format": "csr", "shape": (3, 2), "data": [1.0], "indices": [1], "indptr": [0, 1, 1]}, "has 3 rows"),
    "format": ({"format": "lil", "shape": (2, 2)}, "format 'lil'"),
    "complex": ({"format": "coo", "shape": (2, 2), "data": [1j], "row": [0], "col": [0]}, "real numbers"),
    "missing": ({"format": "coo", "shape": (2, 2), "data": [1.0], "row": [0]}, "without col"),
    "objects": ({"edges": np.array([[0], [None]])}, "is no whole .npz file"),
    "many": ({"edge_index": [[0], [0]], "num_nodes_list": [1, 1]}, "2 graphs in one list"),
}


@pytest.mark.parametrize("name", BAD_ARRAYS)
def test_arrays_that_are_refused(tmp_path, name):
    arrays, words = BAD_ARRAYS[name]
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(fastdl.FileError) as caught:
        read_graph(tmp_path / "bad.npz")
    assert words in str(caught.value)
    assert "bad.npz" in str(caught.value)


def test_nodes_by_names_are_numbered_in_order_or_as_given(tmp_path):
    path = tmp_path / "e.csv"
    path.write_text('source,target,weight\nann,"Lee, Bob",2\n"Lee, Bob",cy,3\n')
    graph, names = read_named_graph(path)
    assert names == ["ann", "Lee, Bob", "cy"]
    assert graph.indices.tolist() == [0, 1]
    assert graph.weight.tolist() == [2, 3]
    graph, names = read_named_graph(path, ["cy", "ann", "Lee, Bob", "nobody"], undirected=True)
    assert graph.num_nodes == 4
    assert graph.num_edges == 4
    with pytest.raises(fastdl.FileError, match="at line 3: 'cy' is not in the table of names"):
        read_named_graph(path, ["ann", "Lee, Bob"])
    path.write_text("ann bob\nbob 17\n")
    assert read_named_graph(path)[1] == ["ann", "bob", "17"]
    path.write_text("3000000000 7\n")
    assert read_named_graph(path)[0].num_nodes == 2


def test_one_large_id_in_a_file(tmp_path):
    (tmp_path / "e.csv").write_text("0,3000000000\n")
    (tmp_path / "e.mtx").write_text("%%MatrixMarket matrix coordinate pattern general\n3000000000 1 1\n1 1\n")
    for name in ("e.csv", "e.mtx"):
        with pytest.raises(fastdl.InputError, match=r"take 240000000(08|16) bytes, above max_bytes"):
            read_graph(tmp_path / name)


def test_undirected_merges_an_edge_that_is_listed_both_ways(tmp_path):
    path = tmp_path / "e.txt"
    path.write_text("0 1\n1 0\n2 2\n1 2\n1 2\n")
    graph = read_graph(path, undirected=True)
    np.testing.assert_array_equal(dense(graph), [[0, 1, 0], [1, 0, 2], [0, 2, 1]])
    path.write_text("0 1 5\n1 0 5\n")
    assert read_graph(path, undirected=True).weight.tolist() == [5, 5]
    path.write_text("0 1 5\n1 0 6\n")
    with pytest.raises(
        fastdl.InputError, match=r"between 0 and 1 is listed both ways with different weights, 5\.0 and 6\.0"
    ):
        read_graph(path, undirected=True)


def test_undirected_equals_networkx(tmp_path):
    networkx = pytest.importorskip("networkx")
    rng = np.random.default_rng(1)
    for n in (1, 4, 30):
        theirs = networkx.Graph()
        theirs.add_nodes_from(range(n))
        theirs.add_edges_from(rng.integers(0, n, (2 * n, 2)).tolist())

        def twice(a, b):
            return a != b and rng.random() < 0.4

        both = [p for a, b in theirs.edges() for p in ([(a, b), (b, a)] if twice(a, b) else [(a, b)])]
        rng.shuffle(both)
        np.savetxt(tmp_path / "e.txt", np.array(both).reshape(-1, 2), "%d")
        graph = read_graph(tmp_path / "e.txt", n, undirected=True)
        np.testing.assert_array_equal(dense(graph), networkx.to_numpy_array(theirs))


MARKET = {
    "pattern general": ("coordinate pattern general\n2 3 2\n1 3\n2 1\n", [[0, 0, 1], [1, 0, 0]]),
    "pattern skew-symmetric": ("coordinate pattern skew-symmetric\n2 2 1\n2 1\n", [[0, -1], [1, 0]]),
    "unsigned": ("coordinate unsigned-integer general\n2 2 1\n2 1 7\n", [[0, 0], [7, 0]]),
    "real symmetric": ("coordinate real symmetric\n2 2 2\n2 1 4.5\n2 2 1\n", [[0, 4.5], [4.5, 1]]),
    "array": ("array real general\n2 3\n1\n0\n2\n3\n0\n-4e0\n", [[1, 2, 0], [0, 3, -4]]),
    "array symmetric": ("array integer symmetric\n3 3\n1\n2\n3\n4\n5\n6\n", [[1, 2, 3], [2, 4, 5], [3, 5, 6]]),
    "array skew": ("array real skew-symmetric\n3 3\n2\n3\n5\n", [[0, -2, -3], [2, 0, -5], [3, 5, 0]]),
    "capitals": ("COORDINATE REAL GENERAL\n% a comment\n\n2 2 1\n1 2 3\n", [[0, 3], [0, 0]]),
    "empty": ("coordinate real general\n2 2 0\n", [[0, 0], [0, 0]]),
}


@pytest.mark.parametrize("name", MARKET)
@pytest.mark.parametrize("suffix", [".mtx", ".MTX", ".mtx.gz"])
def test_matrix_market(tmp_path, name, suffix):
    text, want = MARKET[name]
    path = tmp_path / f"a{suffix}"
    data = f"%%MatrixMarket matrix {text}".encode()
    path.write_bytes(gzip.compress(data) if suffix.endswith("gz") else data)
    graph = read_graph(path)
    assert graph.shape == np.shape(want)
    np.testing.assert_array_equal(dense(graph), want)
    scipy_io = pytest.importorskip("scipy.io")
    if name != "empty" and suffix == ".mtx":
        theirs = scipy_io.mmread(path)
        np.testing.assert_array_equal(np.asarray(theirs.todense() if hasattr(theirs, "todense") else theirs), want)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("coordinate real general\n2 2\n", "at line 2: must give rows, columns and entries"),
        ("array real general\n2 2 4\n", "at line 2: must give rows and columns"),
        ("coordinate real general\n2 \u00b2 2\n", "at line 2: must give rows, columns"),
        ("coordinate real symmetric\n2 3 0\n", "must be square"),
        ("coordinate hermitian general\n2 3 0\n", "at line 1"),
        ("array pattern general\n2 3\n", "at line 1"),
        ("coordinate real general\n2 2 1\n0 1 1\n", "at line 3: nodes must be at least 1, got 0"),
        ("array real general\n1 1\n1\n2\n", "must hold 1 numbers, got more"),
        ("array real general\n1 1\nx\n", "at line 3: must be a weight, got 'x'"),
    ],
)
def test_matrix_market_that_is_wrong(tmp_path, text, words):
    (tmp_path / "a.mtx").write_text(f"%%MatrixMarket matrix {text}")
    with pytest.raises(fastdl.FileError) as caught:
        read_graph(tmp_path / "a.mtx")
    assert words in str(caught.value)


def test_parquet(tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    path = tmp_path / "e.parquet"
    pandas.DataFrame({"w": [0.5, 2.0], "dst": [1, 2], "note": ["a", "b"], "src": [0.0, 1.0]}).to_parquet(path)
    assert listed(path) == ([[0, 1], [1, 2]], [0.5, 2])
    assert listed(path, source="dst", target="src") == ([[1, 0], [2, 1]], [0.5, 2])
    graph, names = read_named_graph(path, source="note", target="dst")
    assert names == ["a", "1", "b", "2"]
    assert graph.num_edges == 2
    pandas.DataFrame({"source": [0, None], "target": [1, 2]}).to_parquet(path)
    with pytest.raises(fastdl.FileError, match="empty cells"):
        listed(path)
    path.write_bytes(b"PAR1 nothing")
    with pytest.raises(fastdl.FileError, match="no whole Parquet file"):
        listed(path)


@pytest.mark.parametrize("seed", range(4))
def test_writers_of_pandas_networkx_and_scipy(tmp_path, seed):
    pandas = pytest.importorskip("pandas")
    networkx = pytest.importorskip("networkx")
    scipy_io = pytest.importorskip("scipy.io")
    sparse = pytest.importorskip("scipy.sparse")
    rng = np.random.default_rng(seed)
    for _ in range(8):
        n, e = int(rng.integers(1, 30)), int(rng.integers(0, 60))
        edges, weight = rng.integers(0, n, (2, e)), rng.standard_normal(e)
        want = np.zeros((n, n))
        np.add.at(want, (edges[1], edges[0]), weight)
        frame = pandas.DataFrame({"source": edges[0], "target": edges[1], "weight": weight})
        columns = rng.permutation(frame.columns)
        separator = rng.choice([",", ";", "\t", "|", " "])
        frame[columns].to_csv(tmp_path / "p.csv", sep=separator, index=separator != " " and rng.random() < 0.5)
        np.testing.assert_array_equal(dense(read_graph(tmp_path / "p.csv", n)), want)
        theirs = networkx.DiGraph()
        theirs.add_nodes_from(range(n))
        theirs.add_weighted_edges_from(zip(*edges.tolist(), weight.tolist()))
        networkx.write_weighted_edgelist(theirs, tmp_path / "n.edgelist")
        np.testing.assert_array_equal(dense(read_graph(tmp_path / "n.edgelist", n)), networkx.to_numpy_array(theirs).T)
        matrix = sparse.csr_array(want)
        scipy_io.mmwrite(tmp_path / "s.mtx", matrix, precision=17)
        np.testing.assert_array_equal(dense(read_graph(tmp_path / "s.mtx")), want)
        scipy_io.mmwrite(tmp_path / "d.mtx", want, precision=17)
        np.testing.assert_array_equal(dense(read_graph(tmp_path / "d.mtx")), want)


def test_reading_in_threads_leaves_warnings_as_they_are(tmp_path):
    path = tmp_path / "e.csv"
    path.write_text("source,target\n" + "".join(f"{i},{i + 1}\n" for i in range(500)))
    before = list(warnings.filters)
    threads = [threading.Thread(target=lambda: [listed(path) for _ in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(warnings.filters) == before


def test_a_file_that_announces_more_than_it_has(tmp_path):
    path = tmp_path / "e.npz"
    np.savez(path, edges=np.zeros((2, 30), np.int64))
    data = path.read_bytes()
    path.write_bytes(data.replace(b"(2, 30)", b"(2, 9999999999999)"[:7].ljust(7)))
    with pytest.raises(fastdl.FileError):
        read_graph(path)


@pytest.mark.parametrize("suffix", [".csv", ".npz", ".npy", ".mtx", ".csv.gz", ".parquet"])
def test_damaged_files_are_named(tmp_path, suffix):
    """A slice of the fuzzing: bytes changed, cut, repeated."""
    rng = np.random.default_rng(2)
    path = tmp_path / f"e{suffix}"
    edges = rng.integers(0, 50, (2, 60))
    if suffix == ".npz":
        np.savez_compressed(path, edges=edges, weight=rng.random(60))
    elif suffix == ".npy":
        np.save(path, edges)
    elif suffix == ".parquet":
        pandas = pytest.importorskip("pandas")
        pytest.importorskip("pyarrow")
        pandas.DataFrame({"source": edges[0], "target": edges[1]}).to_parquet(path)
    elif suffix == ".mtx":
        body = "".join(f"{a + 1} {b + 1} 0.5\n" for a, b in edges.T.tolist())
        path.write_text(f"%%MatrixMarket matrix coordinate real general\n50 50 60\n{body}")
    else:
        text = "".join(f"{a},{b},0.5\n" for a, b in edges.T.tolist()).encode()
        path.write_bytes(gzip.compress(text) if suffix.endswith("gz") else text)
    good = path.read_bytes()
    for _ in range(150):
        data = bytearray(good)
        for _ in range(int(rng.integers(1, 6))):
            data[int(rng.integers(len(data)))] = int(rng.integers(256))
        if rng.random() < 0.3:
            data = data[: int(rng.integers(len(data)))]
        path.write_bytes(data)
        with suppress(fastdl.FileError, fastdl.InputError):
            read_graph(path)


def test_the_command_counts_and_names(tmp_path, capsys):
    (tmp_path / "e.csv").write_text("from,to\nann,bob\nbob,ann\nann,ann\nann,bob\n")
    ids = tmp_path / "ids.txt"
    assert main(["graph", str(tmp_path / "e.csv"), "--ids", str(ids)]) == 0
    out = capsys.readouterr().out
    assert "2 nodes, 4 edges, 1 self loop, 1 duplicate, 0 isolated nodes, largest degree 2 (node 0)" in out
    assert ids.read_text() == "ann\nbob\n"
    np.save(tmp_path / "x.npy", np.array([[1.0], [10.0]]))
    arguments = ["graph", str(tmp_path / "e.csv"), "--ids", str(ids), "--features", str(tmp_path / "x.npy")]
    assert main([*arguments, "-o", str(tmp_path / "h.npy"), "--reduce", "std"]) == 0
    np.testing.assert_array_equal(np.load(tmp_path / "h.npy"), [[4.5], [0.0]])
    assert main(["graph", str(tmp_path / "e.csv"), "--reduce", "max"]) == 1
    assert "--reduce and --norm need --features" in capsys.readouterr().err
    assert main(["graph", str(tmp_path / "e.csv"), "--source", "to", "--target", "from", "--ids", str(ids)]) == 0


@pytest.mark.parametrize("kind", ["npy", "npz"])
@pytest.mark.parametrize(("node", "dtype"), [(-5, "int64"), (2**63, "uint64")])
def test_a_node_out_of_range_is_named_with_its_file_and_edge(tmp_path, kind, node, dtype):
    path = tmp_path / f"edges.{kind}"
    edges = np.array([[0, 1, node], [1, 2, 0]], dtype)
    np.save(path, edges) if kind == "npy" else np.savez(path, edges=edges)
    with pytest.raises(FileError, match=f"edges.{kind}.* got .{node}, 0. in edge 2"):
        read_graph(path)
