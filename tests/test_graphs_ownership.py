"""The arrays that a graph has checked cannot change: by the caller's arrays, flags, copies, pickles or files."""

import copy
import pickle

import numpy as np
import pytest

import fastdl
from fastdl import Graph, aggregate

INDPTR = np.arange(0, 50_001, 50)


def large():
    return INDPTR.copy(), np.zeros(50_000, np.int32)


def test_the_callers_array_is_not_the_graphs():
    indptr, indices = large()
    graph = Graph(indptr, indices)
    indices[:] = 10**9
    indptr[:] = 10**9
    np.testing.assert_array_equal(aggregate(graph, np.ones(1000)), np.full(1000, 50.0))


def test_views_and_read_only_views_of_the_callers_memory_are_copied():
    _, indices = large()
    view = indices[:]
    view.flags.writeable = False
    graph = Graph(INDPTR, view)
    indices[:] = 7
    assert (graph.indices == 0).all()
    graph = Graph(INDPTR, memoryview(indices))
    indices[:] = 9
    assert (graph.indices == 7).all()


@pytest.mark.parametrize("of", [lambda g: g, copy.copy, copy.deepcopy, lambda g: pickle.loads(pickle.dumps(g))])
@pytest.mark.parametrize("name", ["indptr", "indices", "edge_order", "weight"])
def test_no_array_of_a_graph_can_be_written_to(of, name):
    weight = np.ones(3, np.float32)
    for graph in (
        Graph.from_edges([[0, 1, 1], [1, 0, 2]], weight=weight),
        Graph.from_edges([[0, 1, 1], [0, 1, 2]], weight=weight),
        Graph([0, 1, 2, 3], [0, 1, 2], [0, 1, 2], weight),
        fastdl.gcn_norm(Graph.from_edges([[0, 1, 1], [1, 0, 2]])),
        Graph.from_edges([[0, 1, 1], [1, 0, 2]], weight=weight).transpose(),
    ):
        x = getattr(of(graph), name)
        assert not x.flags.writeable
        with pytest.raises(ValueError, match="WRITEABLE"):
            x.flags.writeable = True
        with pytest.raises(ValueError, match="read-only"):
            x[0] = 99
        with pytest.raises(AttributeError, match="cannot be changed"):
            setattr(of(graph), name, x)
    assert (weight == 1).all()
    weight[0] = 3  # the caller's array is still the caller's


def test_copies_are_equal():
    graph = Graph.from_edges([[0, 5, 1], [1, 0, 2]], (4, 9), weight=np.ones(3))
    for other in (copy.deepcopy(graph), pickle.loads(pickle.dumps(graph))):
        assert repr(other) == repr(graph) == "Graph(num_targets=4, num_sources=9, num_edges=3, weighted)"
        for name in ("indptr", "indices", "edge_order", "weight"):
            np.testing.assert_array_equal(getattr(other, name), getattr(graph, name))


def test_a_forged_pickle_is_refused():
    _, arguments = Graph.from_edges([[0, 1], [1, 0]]).__reduce__()
    forged = pickle.dumps(_Forged((arguments[0], np.array([5, 10**9]), *arguments[2:])))
    with pytest.raises(fastdl.InputError, match="indices must be between 0 and 1"):
        pickle.loads(forged)


class _Forged:
    def __init__(self, arguments):
        self.arguments = arguments

    def __reduce__(self):
        rebuild, _ = Graph.from_edges([[0], [0]]).__reduce__()
        return rebuild, self.arguments


@pytest.mark.parametrize("name", ["indices", "indptr"])
def test_a_mapped_graph_whose_file_is_overwritten_says_so(tmp_path, name):
    indptr, indices = large()
    np.save(tmp_path / "indptr.npy", indptr)
    np.save(tmp_path / "indices.npy", indices)
    graph = Graph(*(np.load(tmp_path / f"{n}.npy", mmap_mode="r") for n in ("indptr", "indices")))
    assert isinstance(graph.indices.base, np.memmap) or isinstance(graph.indices, np.memmap)
    writer = np.load(tmp_path / f"{name}.npy", mmap_mode="r+")
    writer[3:] = 10**9
    writer.flush()
    with pytest.raises(fastdl.InputError, match=f"the file behind the {name} of the graph has changed"):
        aggregate(graph, np.ones(1000))


def test_a_map_that_can_be_written_to_is_read_into_memory(tmp_path):
    _, indices = large()
    np.save(tmp_path / "indices.npy", indices)
    mapped = np.load(tmp_path / "indices.npy", mmap_mode="r+")
    graph = Graph(INDPTR, mapped)
    mapped[:] = 10**9
    assert (graph.indices == 0).all()


@pytest.mark.parametrize(
    "make",
    [
        lambda: Graph.from_edges([[0], [3_000_000_000]]),
        lambda: Graph.from_edges([[3_000_000_000], [0]]),
        lambda: Graph.from_edges([[0], [2**63 - 1]]),
        lambda: Graph.from_edges([[0], [2**63 - 1]], coalesce="sum"),
        lambda: Graph.from_edges([[0], [1]], 2**40),
        lambda: Graph.from_edges([[2**40], [1]], (2, 2**41), coalesce="max"),
        lambda: fastdl.pool([1.0], [2**50]),
    ],
)
def test_one_large_id_is_refused_with_what_it_would_take(make):
    with pytest.raises(fastdl.InputError, match=r"rows take [0-9]+ bytes, above max_bytes=1073741824"):
        make()


def test_a_larger_limit_and_a_table_of_ids_allow_it():
    edges = [[0, 3_000_000_000], [3_000_000_000, 7]]
    ids, numbered = fastdl.number_nodes(edges)
    assert ids.tolist() == [0, 7, 3_000_000_000]
    assert Graph.from_edges(numbered, len(ids)).indices.tolist() == [2, 0]
    assert Graph.from_edges([[0], [5]], max_bytes=56).num_nodes == 6
    with pytest.raises(fastdl.InputError, match=r"rows take 56 bytes, above max_bytes=55"):
        Graph.from_edges([[0], [5]], max_bytes=55)


def test_unsigned_numbers_do_not_wrap():
    with pytest.raises(fastdl.InputError, match="below 2\\^63"):
        Graph.from_edges(np.array([[0], [2**64 - 1]], np.uint64))
    with pytest.raises(fastdl.InputError, match="below 2\\^63"):
        Graph(np.array([0, 2**64 - 1, 1], np.uint64), [0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_features_at_odd_addresses(dtype):
    n = 3000
    graph = Graph.from_edges(np.random.default_rng(0).integers(0, n, (2, 3 * n)), n)
    x = np.random.default_rng(1).standard_normal(n).astype(dtype)
    for shift in range(1, x.itemsize):
        raw = np.zeros(x.nbytes + 8, np.uint8)
        odd = raw[shift : shift + x.nbytes].view(dtype)
        odd[:] = x
        np.testing.assert_array_equal(aggregate(graph, odd), aggregate(graph, x))
        with pytest.raises(fastdl.InputError, match="out must be"):
            aggregate(graph, x, out=np.zeros(x.nbytes + 8, np.uint8)[shift : shift + x.nbytes].view(dtype))


def test_out_overlaps_no_input():
    graph = Graph.from_edges([[0, 1], [1, 0]], weight=np.ones(2))
    x = np.ones(2)
    weight = np.ones(2)
    for call in (
        lambda: aggregate(graph, x, out=x),
        lambda: aggregate(graph, x, weight=weight, out=weight),
        lambda: aggregate(graph, x.view(">f8"), out=x),
        lambda: fastdl.edge_softmax(graph, x, out=x),
        lambda: fastdl.degree(graph, weight=weight, out=weight),
    ):
        with pytest.raises(fastdl.InputError, match="overlap"):
            call()


def test_masked_arrays_are_refused():
    edges = np.ma.masked_array([[0, 1], [1, 0]], [[False, True], [False, False]])
    graph = Graph.from_edges([[0, 1], [1, 0]])
    for call in (
        lambda: Graph.from_edges(edges),
        lambda: Graph([0, 1, 2], edges[0]),
        lambda: aggregate(graph, np.ma.masked_array([1.0, 2.0], [True, False])),
    ):
        with pytest.raises((fastdl.InputError, fastdl.InputTypeError), match="mask"):
            call()


def test_a_mapped_file_that_shrinks_is_an_error_and_no_crash(tmp_path):
    indptr, indices = large()
    np.save(tmp_path / "indices.npy", indices)
    np.save(tmp_path / "x.npy", np.ones(1000))
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    graph = Graph(indptr, np.load(tmp_path / "indices.npy", mmap_mode="r"))
    assert aggregate(graph, x)[0] == 50
    for name in ("x.npy", "indices.npy"):
        data = (tmp_path / name).read_bytes()
        with open(tmp_path / name, "r+b") as file:
            file.truncate(200)
        with pytest.raises(fastdl.FileError, match=r"npy at byte 200: has shrunk since it was mapped"):
            aggregate(graph, x)
        (tmp_path / name).write_bytes(data)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda g: fastdl.sample_neighbors(g, [0], 2**62, seed=0, replace=True), "more than memory can hold"),
        (lambda g: fastdl.sample_neighbors(g, [0], 2**48, seed=0, replace=True), "takes [0-9]+ bytes"),
        (lambda g: fastdl.random_walks(g, [0], 2**50, seed=1), "the walks of shape .* takes [0-9]+ bytes"),
        (lambda g: fastdl.number_nodes([[1.5], [2.5]]), "edges must be integers or text, got float64"),
        (lambda g: fastdl.number_nodes([[None, "a"], ["b", "c"]]), "edges must be integers or text, got object"),
        (
            lambda g: fastdl.aggregate_grad(g, np.ones(3), np.ones(3), weight="gcn"),
            "weight must be an array, got 'gcn'",
        ),
        (lambda g: fastdl.gcn_norm(g, dtype="nonsense"), "dtype must be float32 or float64, got 'nonsense'"),
        (lambda g: Graph([0, 1], [0], num_sources=2**70), "num_sources must be between 0 and"),
        (lambda g: aggregate(g, np.ones(3), reduce={"a"}), "reduce must be one of"),
    ],
)
def test_wrong_arguments_say_what_is_wrong(call, words):
    with pytest.raises((fastdl.InputError, fastdl.InputTypeError), match=words):
        call(Graph.from_edges([[0, 1, 2], [1, 2, 0]]))
