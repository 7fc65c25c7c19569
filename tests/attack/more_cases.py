"""Calls of functions that tests/cases_*.py leave out, for their reference is themselves without kernels."""

from __future__ import annotations

import base64
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np

import fastdl
from tests.attack import changes
from tests.attack.object_cases import OBJECTS
from tests.case import Case
from tests.cases import CASES
from tests.cases_graphs import random_graph


def _fit(function: Callable[..., Any], loss_alone: bool = False) -> Callable[..., Any]:
    """The numbers of a fit; the loss alone where the best model is flat, as it is for p > 2 at a residual of 0,
    or where there are several, as there may be for p = 1 where rows are alike."""

    def call(*args: Any, p: float = 2.0, **kwargs: Any) -> list[Any]:
        fit = function(*args, p=p, **kwargs)
        model = [] if loss_alone else [*np.ravel(fit.w), float(np.asarray(fit.b))]
        # In the units of y, beside its scale: a loss of 1e-31 is one of 0.
        return [np.array([*model, fit.loss ** (1 / p), 1e-3 * np.abs(np.asarray(args[1], float)).max(initial=0)])]

    return call


def _rows(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    X = rng.normal(size=(n + 4, 3))
    return X, X @ [1.0, -2.0, 0.5] + rng.standard_t(2, n + 4)


def _fit_case(function: str, label: str, rtol: float, **settings: Any) -> Case:
    def make(rng: np.random.Generator, n: int) -> Any:
        X, y = _rows(rng, n)
        return (X, y), {"sample_weight": rng.uniform(0.5, 2, len(y)), **settings}

    call = _fit(getattr(fastdl, function), settings["p"] == 1 or settings["p"] > 2)
    return Case("linear", function, make, label, rtol=rtol, sizes=(0, 1, 5, 60), threads=(), call=call)


def _split(rng: np.random.Generator, n: int) -> Any:
    return (n,), {"seed": int(rng.integers(9))}


MORE = [
    _fit_case("fit_lp", "2", 1e-9, p=2.0),
    _fit_case("fit_lp", "1", 1e-9, p=1.0),
    _fit_case("fit_lp", "3", 1e-6, p=3.0),
    Case(
        "selection",
        "split",
        _split,
        sizes=(0, 1, 5, 1000),
        threads=(),
        call=lambda *args, **kwargs: list(fastdl.split(*args, **kwargs)),
    ),
    Case(
        "selection",
        "select_degree",
        lambda rng, n: ((x := rng.uniform(-1, 1, n + 12), x**2 + rng.normal(0, 0.1, n + 12), [1, 2, 3]), {"folds": 3}),
        rtol=1e-8,
        sizes=(0, 5, 200),
        threads=(),
        call=lambda *args, **kwargs: [int(fastdl.select_degree(*args, **kwargs).best)],
    ),
]


def _graph_cases() -> list[Case]:
    makes: dict[str, Any] = {
        "as_graph": lambda rng, n: ((random_graph(rng, n, "float64"),), {}),
        "subgraph": lambda rng, n: ((g := random_graph(rng, n), rng.permutation(g.num_nodes)[: n // 4]), {}),
        "number_nodes": lambda rng, n: ((rng.integers(-9, 9, (2, n)),), {}),
        "batch_graphs": lambda rng, n: (([random_graph(rng, n // k, "float32") for k in (1, 2, 3)],), {}),
        "aggregate_blocks": lambda rng, n: (_featured(rng, n, 3), {"reduce": "mean", "max_bytes": 500}),
        "aggregate_relations": _relations,
    }
    calls: dict[str, Any] = {"aggregate_blocks": lambda *args, **more: list(fastdl.aggregate_blocks(*args, **more))}
    cases = [Case("graphs", name, make, sizes=(0, 1, 7, 900), call=calls.get(name)) for name, make in makes.items()]
    for how in ("symmetric", "target", "source"):
        cases.append(
            Case("graphs", "normalize_edges", lambda rng, n, how=how: ((random_graph(rng, n, "float32"), how), {}), how)
        )
    for reduce in ("sum", "mean", "max", "mul", "std", "softmax"):

        def back(rng: np.random.Generator, n: int, reduce: str = reduce) -> Any:
            graph, features = _featured(rng, n, 5)
            return (graph, features, rng.standard_normal(features.shape)), {"reduce": reduce}

        cases.append(Case("graphs", "aggregate_grad", back, reduce, rtol=1e-9, sizes=(0, 1, 7, 900)))
    return cases


def _featured(rng: np.random.Generator, n: int, columns: int) -> Any:
    graph = random_graph(rng, n, "float64")
    return graph, rng.standard_normal((graph.num_nodes, columns))


def _relations(rng: np.random.Generator, n: int) -> Any:
    graph, features = _featured(rng, n, 3)
    return ({("a", "to", "b"): graph, ("a", "from", "b"): graph}, {"a": features}), {"across": "mean"}


def _sequence_cases() -> list[Case]:
    def variants(rng: np.random.Generator, n: int) -> Any:
        seq = rng.choice(np.frombuffer(b"ACGT", np.uint8), n + 3)
        places = np.flatnonzero(rng.random(len(seq)) < 0.1)
        return (seq, places, [chr(seq[k]) for k in places], ["ACG"[k % 3 :] for k in places]), {}

    def texts(rng: np.random.Generator, n: int) -> Any:
        return (["A" * int(k) for k in rng.integers(0, 30, min(n, 50))],), {}

    return [Case("sequences", "apply_variants", variants), Case("sequences", "padding_mask", texts)]


def _voxel_cases() -> list[Case]:
    cases = []
    for kind in ("mean", "voxelnet", "pillars"):

        def features(rng: np.random.Generator, n: int, kind: str = kind) -> Any:
            voxels = rng.standard_normal((n, 5, 4)).astype(np.float32)
            coords = rng.integers(0, 9, (n, 3)).astype(np.int32)
            args = voxels, rng.integers(1, 6, n).astype(np.int32), coords, (0.5, 0.5, 1.0), (-4, -4, -2, 4, 4, 2)
            return args, {"kind": kind}

        cases.append(Case("points", "voxel_features", features, kind, rtol=1e-6, sizes=(0, 1, 7, 900)))
    return cases


def _more_fits() -> list[Case]:
    def classes(rng: np.random.Generator, n: int) -> Any:
        X, y = _rows(rng, n)
        return (X, (y > 0).astype(int) if n % 2 else np.arange(len(y)) % 3), {}

    def searched(rng: np.random.Generator, n: int) -> Any:
        return _rows(rng, n), {"p": 1.0, "candidates": 64, "refine": 2, "seed": 3}

    def descended(rng: np.random.Generator, n: int) -> Any:
        return _rows(rng, n), {"p": 1.5, "epochs": 3, "batch_size": 16}

    def folds(rng: np.random.Generator, n: int) -> Any:
        return (n, 3), {"seed": 5, "stratify": rng.integers(0, 3, n)}

    fit: dict[str, Any] = {"sizes": (0, 1, 5, 60), "threads": ()}
    logistic = _numbers_of("fit_logistic", "W", "b", "loss")
    huber = _numbers_of("fit_huber", "loss")
    k_fold = _numbers_of("k_fold", "folds")
    return [
        Case("linear", "fit_quantile", lambda rng, n: (_rows(rng, n), {"tau": 0.3}), rtol=1e-6, call=_quantile, **fit),
        Case("linear", "fit_elastic_net", lambda rng, n: (_rows(rng, n), {"l1": 0.1, "l2": 0.2}), rtol=1e-5, **fit),
        Case("linear", "fit_huber", lambda rng, n: (_rows(rng, n), {"delta": 0.7}), rtol=1e-5, call=huber, **fit),
        Case("linear", "fit_logistic", classes, rtol=1e-5, call=logistic, **fit),
        Case("linear", "random_search", searched, rtol=1e-3, call=_fit(fastdl.random_search, loss_alone=True), **fit),
        Case("linear", "gradient_descent", descended, rtol=1e-6, call=_fit(fastdl.gradient_descent), **fit),
        Case("selection", "k_fold", folds, call=k_fold, **fit),
    ]


def _numbers_of(name: str, *fields: str) -> Callable[..., Any]:
    return lambda *args, **kwargs: [
        np.asarray(getattr(getattr(fastdl, name)(*args, **kwargs), field)) for field in fields
    ]


def _quantile(*args: Any, **kwargs: Any) -> float:
    return float(fastdl.fit_quantile(*args, **kwargs).loss)


def _is_public(case: Case) -> bool:
    """Whether a user can call it: kernels trust the shell, and states have an attack of their own."""
    return hasattr(fastdl, case.function) and not case.label.startswith("stream")


CALLS = [
    *filter(_is_public, CASES),
    *MORE,
    *_graph_cases(),
    *_sequence_cases(),
    *_voxel_cases(),
    *_more_fits(),
    *OBJECTS,
]


def arguments(call: dict[str, Any]) -> tuple[Case, Any, Any]:
    """The case and the arguments of a call; None where they cannot be made."""
    case = CALLS[call["case"]]
    if "values" in call:  # shrinking made them smaller
        args, kwargs = pickle.loads(base64.b64decode(call["values"]))
    else:
        args, kwargs = case.make(np.random.default_rng(call["seed"]), call["n"])
    given, named, problem = changes.make(args, kwargs, call["changes"])
    return case, given, None if problem else named
