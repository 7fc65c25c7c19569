"""Calls of public classes: made of arrays, fed with rows, asked for what they give; and of functions of a user."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

import fastdl
from tests.attack.magnitudes import LP_MODEL
from tests.case import Case
from tests.cases_graphs import random_graph

Make = Callable[[np.random.Generator, int], Any]
_FIT: dict[str, Any] = {"sizes": (0, 1, 5, 60), "threads": ()}


def _rows(rng: np.random.Generator, n: int) -> Any:
    X = rng.normal(size=(n + 4, 3))
    return (X, X @ [1.0, -2.0, 0.5] + rng.standard_t(2, n + 4)), {}


def _cloud(rng: np.random.Generator, n: int) -> Any:
    return (rng.normal(0, 3, (n, 4)).astype(np.float32),), {}


def _numbers(rng: np.random.Generator, n: int) -> Any:
    return (rng.normal(size=n + 1),), {}


def _labels(rng: np.random.Generator, n: int) -> Any:
    return (rng.integers(0, 2, n + 2),), {}


def _state_cases() -> list[Case]:
    def gram(X: Any, y: Any) -> Any:
        fit = fastdl.GramAccumulator(0.5).update((X, y)).finish()
        return [np.append(np.asarray(X, float) @ fit.w + fit.b, 1e-3 * np.abs(np.asarray(y, float)).max(initial=0))]

    def loss(X: Any, y: Any) -> Any:
        return fastdl.LpLoss(*LP_MODEL).update((X, y)).finish()

    def voxels(points: Any) -> Any:
        found = fastdl.VoxelAccumulator(0.5).update(points).finish()
        return [found.points, found.coords, found.counts]

    def fixed(points: Any) -> Any:
        found = fastdl.Voxelizer((0.5, 0.5, 1.0), (-4, -4, -2, 4, 4, 2), max_points=5, max_voxels=99)(points)
        return [found.voxels, found.coords, found.counts, found.true_counts, found.inverse]

    def quantiles(y: Any) -> Any:
        sketch = fastdl.QuantileSketch(64).update(y)
        return [sketch.quantile([0.0, 0.3, 1.0]), np.array([sketch.count, sketch.rank_error])]

    def labels(y: Any) -> Any:
        target = fastdl.BinaryTarget().fit(y)
        return [target.encode(y), np.asarray(target.classes_)]

    return [
        Case("linear", "GramAccumulator", _rows, rtol=1e-8, call=gram, **_FIT),
        Case("losses", "LpLoss", _rows, rtol=1e-9, call=loss, **_FIT),
        Case("points", "VoxelAccumulator", _cloud, rtol=1e-9, call=voxels, sizes=(0, 1, 7, 900), threads=()),
        Case("points", "Voxelizer", _cloud, call=fixed, sizes=(0, 1, 7, 900), threads=()),
        Case("targets", "QuantileSketch", _numbers, call=quantiles, sizes=(0, 1, 7, 900), threads=()),
        Case("targets", "BinaryTarget", _labels, call=labels, sizes=(0, 1, 7, 900), threads=()),
    ]


def _made_of_arrays() -> list[Case]:
    def csr(rng: np.random.Generator, n: int) -> Any:
        graph = random_graph(rng, n, "float64")
        return (graph.indptr, graph.indices, None, graph.weight), {}

    def graph(*args: Any) -> Any:
        made = fastdl.Graph(*args)
        back = made.transpose()
        return [made.indptr, made.indices, back.indptr, back.indices, back.add_self_loops().indices]

    def packed(rng: np.random.Generator, n: int) -> Any:
        ranges = np.sort(rng.integers(0, n + 1, (2, 2, 2)), axis=None).reshape(2, 2, 2)
        return (rng.integers(0, 256, -(-n // 4), np.uint8), np.array(n), ranges[0], ranges[1]), {}

    def letters(codes: Any, length: Any, unknown: Any, masked: Any) -> Any:
        sequence = fastdl.PackedSequence(codes, int(length), unknown, masked)
        return fastdl.one_hot_windows(sequence, [-2, 0, 5], 9)

    def codes(rng: np.random.Generator, n: int) -> Any:
        return (rng.integers(0, 3, n + 9),), {}

    def parts(labels: Any, of: str) -> Any:
        if of == "KFold":
            made = fastdl.k_fold(len(labels), 3, seed=5, stratify=labels)
            return [made.folds(), *made]
        cut = fastdl.split(len(labels), seed=5, groups=labels)
        return [cut.parts(), cut.train, cut.valid, cut.test]

    cases = [
        Case("graphs", "Graph", csr, call=graph, sizes=(0, 1, 7, 900), threads=()),
        Case("sequences", "PackedSequence", packed, call=letters, sizes=(0, 1, 7, 900), threads=()),
    ]
    for name in ("KFold", "Split"):
        call = functools.partial(parts, of=name)
        cases.append(Case("selection", name, codes, call=call, sizes=(0, 1, 7, 900), threads=()))
    return cases


@functools.cache
def _fitted() -> dict[str, Any]:
    """A fit of each kind, of the same rows: what is asked of it is what is attacked."""
    (X, y), _ = _rows(np.random.default_rng(0), 40)
    network: dict[str, Any] = {"hidden": (3,), "epochs": 2, "seed": 1}
    return {
        "LpFit": fastdl.fit_lp(X, y),
        "HuberFit": fastdl.fit_huber(X, y, delta=1.0),
        "QuantileFit": fastdl.fit_quantile(X, y, tau=0.5),
        "ElasticNetFit": fastdl.fit_elastic_net(X, y, l1=0.1),
        "LogisticFit": fastdl.fit_logistic(X, y > 0),
        "NetworkFit": fastdl.fit_network(X, y, **network),
        "NetworkClassifierFit": fastdl.fit_network_classifier(X, y > 0, **network),
        "LearnedFeatures": fastdl.LearnedFeatures(**network).fit(X, y),
    }


def _predictions() -> list[Case]:
    methods = dict.fromkeys(("LpFit", "HuberFit", "QuantileFit", "ElasticNetFit", "NetworkFit"), "predict")
    methods |= dict.fromkeys(("LogisticFit", "NetworkClassifierFit"), "predict_proba") | {
        "LearnedFeatures": "transform"
    }

    def predicted(X: Any, name: str) -> Any:
        return getattr(_fitted()[name], methods[name])(X)

    def rows(rng: np.random.Generator, n: int) -> Any:
        return (rng.normal(size=(n, 3)),), {}

    # The fits themselves agree to some digits only.
    calls = {name: functools.partial(predicted, name=name) for name in methods}
    return [Case("linear", name, rows, rtol=1e-4, call=calls[name], **_FIT) for name in methods]


def _more_fits() -> list[Case]:
    def intervals(*args: Any, **kwargs: Any) -> Any:
        found = fastdl.estimate_intervals(*args, **kwargs)
        if found.covariance in ("kernel", "rank"):  # of least absolute residuals several fits may be the best
            return [np.asarray(found.fit.loss), np.array(found.intervals.shape)]
        return [found.standard_errors, found.intervals]

    def network(*args: Any, **kwargs: Any) -> Any:
        return fastdl.fit_network(*args, (4,), epochs=1, batch_size=16, **kwargs).loss

    def classifier(X: Any, y: Any) -> Any:
        return fastdl.fit_network_classifier(X, y > 0, (4,), epochs=1, batch_size=16).loss

    def resampled(rng: np.random.Generator, n: int) -> Any:
        return _rows(rng, n)[0], {"p": 1.5, "resamples": 5}

    cases = [
        Case("network", "fit_network", _rows, rtol=1e-3, call=network, **_FIT),
        Case("network", "fit_network_classifier", _rows, rtol=1e-3, call=classifier, **_FIT),
        Case("linear", "estimate_intervals", resampled, "1.5", rtol=1e-3, call=intervals, **_FIT),
    ]
    for p, covariance in ((2.0, "classical"), (2.0, "HC3"), (1.0, "kernel"), (1.0, "rank")):

        def rows(rng: np.random.Generator, n: int, p: float = p, covariance: str = covariance) -> Any:
            return _rows(rng, n)[0], {"p": p, "covariance": covariance}

        cases.append(Case("linear", "estimate_intervals", rows, covariance, rtol=1e-6, call=intervals, **_FIT))
    return cases


def _log_cosh(r: float) -> float:
    return np.log(np.cosh(r))


def _greatest(state: Any, row: Any) -> None:
    state[0] = max(state[0], row[0])
    state[1] += 1


def _begin(state: Any) -> None:
    state[0] = -np.inf


def _end(state: Any, count: Any, out: Any) -> None:
    out[0] = state[0]
    out[1] = state[1] + count


def _compiled() -> list[Case]:
    def loss(X: Any, y: Any, make: Any) -> Any:
        return fastdl.lp_loss_grad(X, y, np.array([0.5, -1.0, 2.0]), 0.25, make(_log_cosh))

    def reduce(points: Any) -> Any:
        reducer = fastdl.VoxelReducer(_begin, _greatest, _end, state_size=2, columns=2)
        found = fastdl.voxel_reduce(points, 0.5, reduce=reducer)
        return [found.points, found.coords, found.counts]

    cases = [Case("points", "VoxelReducer", _cloud, call=reduce, sizes=(0, 1, 7, 900), threads=())]
    for name in ("custom_loss", "CustomLoss"):
        call = functools.partial(loss, make=getattr(fastdl, name))
        cases.append(Case("losses", name, _rows, rtol=1e-5, call=call, **_FIT))
    return cases


OBJECTS = [*_state_cases(), *_made_of_arrays(), *_predictions(), *_more_fits(), *_compiled()]

#: Classes of results, which hold what a function that is called has found, and of options, which fits take.
RETURNED = {
    "Certificate", "CoefficientIntervals", "DegreeSelection", "ElasticNetPath", "GramFit", "GraphBatch", "GraphSummary",
    "NeighborSample", "PolynomialPath", "TrainingOptions", "VoxelReduction", "VoxelSummary", "Voxels",
}  # fmt: skip
