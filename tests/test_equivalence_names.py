"""Every public function has a definition of the same name in `fastdl.reference`; here those that have no cases."""

import importlib

import numpy as np
import pytest

import fastdl
from fastdl import reference
from tests.cases_graphs import REDUCTIONS, random_graph

SUBJECTS = ["audio", "points", "sequences", "graphs", "targets", "features", "losses", "linear", "network", "selection"]
# Functions without a definition in NumPy: conversions, wrappers of functions that have one, and trainings, whose
# gradient and steps have one.
ITSELF = {"as_loss", "as_graph", "aggregate_blocks", "custom_loss", "estimate_intervals"}
ITSELF |= {"fit_network", "fit_network_classifier"}
rng = np.random.default_rng(0)


@pytest.mark.parametrize("subject", SUBJECTS)
def test_every_function_has_a_definition(subject):
    names = [name for name in importlib.import_module(f"fastdl.{subject}").__all__ if name.islower()]
    assert {name for name in names if not hasattr(reference, name)} <= ITSELF


@pytest.mark.parametrize("reduce", REDUCTIONS)
@pytest.mark.parametrize("heads", [None, 1, 3])
def test_derivatives_of_aggregation(reduce, heads):
    graph = random_graph(np.random.default_rng(1), 60, rectangular=True)
    shape = (graph.num_sources, 5) if heads is None else (graph.num_sources, heads, 2)
    x = rng.integers(-2, 3, shape).astype(float)  # equal ones, and zeros
    weight = None if heads is None else rng.uniform(0.5, 1.5, (graph.num_edges, heads))
    grad = rng.normal(size=(graph.num_targets, *shape[1:]))
    got = fastdl.aggregate_grad(graph, x, grad, reduce=reduce, weight=weight)
    for mine, want in zip(got, reference.aggregate_grad(graph, x, grad, reduce=reduce, weight=weight)):
        if want is None:
            assert mine is None
        else:
            np.testing.assert_allclose(mine, want, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("across", ["sum", "mean", "max", "min"])
def test_aggregation_over_relations(across):
    graphs = {
        ("a", "x", "b"): random_graph(np.random.default_rng(2), 30),
        ("c", "y", "b"): random_graph(np.random.default_rng(3), 30),
        ("b", "z", "a"): random_graph(np.random.default_rng(4), 30),
    }
    features = {name: rng.normal(size=(13, 3)) for name in "abc"}
    got = fastdl.aggregate_relations(graphs, features, reduce="mean", across=across)
    want = reference.aggregate_relations(graphs, features, reduce="mean", across=across)
    assert list(got) == list(want)
    for name in got:
        np.testing.assert_allclose(got[name], want[name], rtol=1e-12)


def test_batches_and_parts_of_graphs():
    graphs = [random_graph(np.random.default_rng(k), 30) for k in range(3)]
    batch = fastdl.batch_graphs(graphs)
    for mine, want in zip(
        (batch.graph.indptr, batch.graph.indices, batch.graph.edge_order, batch.graph_id),
        reference.batch_graphs(graphs),
        strict=True,
    ):
        np.testing.assert_array_equal(mine, want)
    nodes = [7, 2, 9, 0]
    indptr, indices, edges = reference.subgraph(graphs[0], nodes)
    part = fastdl.subgraph(graphs[0], nodes)
    np.testing.assert_array_equal(part.indptr, indptr)
    np.testing.assert_array_equal(part.indices, indices)
    np.testing.assert_array_equal(part.edge_order, graphs[0].edge_order[edges])


def test_names_of_nodes():
    edges = [["b", "a", "é"], ["a", "c", "b"]]
    for mine, want in zip(fastdl.number_nodes(edges), reference.number_nodes(edges), strict=True):
        np.testing.assert_array_equal(mine, want)


def test_splits_and_folds():
    for n in (1, 10, 1003):
        np.testing.assert_array_equal(fastdl.split(n, seed=3).parts(), reference.split(n, seed=3))
    np.testing.assert_array_equal(fastdl.k_fold(1003, 5, seed=3).folds(), reference.k_fold(1003, 5, seed=3))


def test_the_choice_of_a_degree():
    x = rng.uniform(-1, 1, 300)
    y = x**3 - x + 0.05 * rng.normal(size=300)
    folds = fastdl.k_fold(300, 5, seed=1)
    found = fastdl.select_degree(x, y, range(8), folds=folds, test=0)
    assert found.best == reference.select_degree(x, y, range(8), folds.folds())


def test_vocabularies():
    assert fastdl.sequences.kmer_vocabulary(2, letters="ATGC") == reference.kmer_vocabulary(2, letters="ATGC")


@pytest.mark.parametrize("tau", [0.1, 0.5, 0.9])
def test_quantiles(tau):
    X, y, s = rng.normal(size=(12, 2)), rng.normal(size=12), rng.integers(1, 4, 12)
    fit, want = fastdl.fit_quantile(X, y, tau, sample_weight=s), reference.fit_quantile(X, y, tau, sample_weight=s)
    assert fit.loss == pytest.approx(want[2], rel=1e-12)


@pytest.mark.parametrize(("l1", "l2"), [(3.0, 0.0), (0.0, 2.0), (5.0, 1.0)])
def test_penalties(l1, l2):
    X, y, s = rng.normal(size=(40, 4)), rng.normal(size=40), rng.uniform(0.5, 2, 40)
    fit = fastdl.fit_elastic_net(X, y, l1=l1, l2=l2, sample_weight=s)
    w, b, loss = reference.fit_elastic_net(X, y, l1=l1, l2=l2, sample_weight=s)
    np.testing.assert_allclose(fit.w, w, rtol=1e-9, atol=1e-10)
    assert (fit.b, fit.loss) == pytest.approx((b, loss), rel=1e-9)


def test_probabilities():
    X, s = rng.normal(size=(60, 3)), rng.uniform(0.5, 2, 60)
    y = (X[:, 0] + rng.normal(size=60) > 0).astype(int)
    fit, want = fastdl.fit_logistic(X, y, sample_weight=s), reference.fit_logistic(X, y, sample_weight=s)
    np.testing.assert_allclose(np.ravel(fit.w), want[0], rtol=1e-6)
    assert fit.loss == pytest.approx(want[2], rel=1e-9)
