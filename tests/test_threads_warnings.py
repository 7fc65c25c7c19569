"""Public functions called by many threads leave no warning filter of the process changed."""

import inspect
import threading
import warnings
from functools import partial

import numpy as np
import pytest

import fastdl
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


def calls():
    """A call of every public function, on few items; kernels of the user's functions are compiled before."""
    found = dict(MORE)
    for case in CASES:
        if case.call is None and case.function not in found:
            args, kwargs = arguments(case, sorted(case.sizes)[min(2, len(case.sizes) - 1)])
            found[case.function] = partial(getattr(fastdl, case.function), *args, **kwargs)
    return found


def test_every_public_function_is_called():
    functions = {name for name in fastdl.__all__ if inspect.isfunction(getattr(fastdl, name))}
    assert functions <= set(calls())


@pytest.mark.parametrize("name", sorted(calls()))
def test_filters_are_those_of_before(name):
    call, failed = calls()[name], []
    call()
    before, shown = list(warnings.filters), warnings.showwarning

    def work():
        try:
            for _ in range(CALLS // THREADS):
                call()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert list(warnings.filters) == before
    assert warnings.showwarning is shown
