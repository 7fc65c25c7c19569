"""How large the terms are that a result is the sum of: rounding is of their size, not of that of the sum."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

import fastdl
from fastdl.reference import losses, network

#: (W, b, p) of the case of the state `LpLoss`.
LP_MODEL = ([0.5, -1.0, 2.0], 0.25, 1.5)


def magnitudes(function: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[float, float]:
    """Of the first array of a result and of the others; 0 where it is not known; infinity where the terms are."""
    if function not in _OF:
        return 0.0, 0.0
    try:
        name, more = _STATES.get(function, (function, {}))
        bound = inspect.signature(getattr(fastdl, name)).bind(*args, **more, **kwargs)
        bound.apply_defaults()
        with np.errstate(all="ignore"):
            first, others = _OF[function](bound.arguments)
            return float(first), float(others)
    except Exception:  # the arguments are not such as the function takes
        return 0.0, 0.0


def _of_losses(given: dict[str, Any]) -> Any:
    """Of the loss and of its derivatives, by residuals whose terms do not cancel."""
    rows = [given[name] for name in ("sample_weight", "folds", "held_out", "part")]
    X, y, W, b = (np.abs(np.asarray(given[name], float)) for name in ("X", "y", "W", "b"))
    slope, value, s = losses._terms(X, y, -W, -b, given["p"], *rows)
    weight = s.sum(axis=0) if given["reduction"] == "mean" else 1
    slopes = np.abs(slope).sum(axis=0) * max(1.0, X.max(initial=0)) / weight
    return (value.sum(axis=0) / weight).max(initial=0), slopes.max(initial=0)


def _of_networks(given: dict[str, Any]) -> Any:
    """Of the derivatives as they are before the slopes of the activations, which are 1 or so at most."""
    X, y = (np.asarray(given[name], float) for name in ("X", "y"))
    weights, biases = ([np.asarray(a, float) for a in given[name]] for name in ("weights", "biases"))
    s = np.ones(len(X)) if given["sample_weight"] is None else np.asarray(given["sample_weight"], float)
    out, _ = network.layer_values(X, weights, biases, given["activation"])
    _, slope = losses.residual_terms(y - out, given["p"])
    size = np.abs(s * slope).sum() * max(1.0, np.abs(X).max(initial=0))
    for w in weights[1:]:
        size *= max(1.0, np.abs(w).max(initial=0))
    return 0.0, size / (s.sum() if given["reduction"] == "mean" else 1)


#: The function that is the same as a state, and what the cases of the state set it to.
_STATES: dict[str, tuple[str, dict[str, Any]]] = {
    "LpLoss": ("lp_loss", {"W": LP_MODEL[0], "b": LP_MODEL[1], "p": LP_MODEL[2]})
}
_OF: dict[str, Callable[[dict[str, Any]], Any]] = {
    "lp_loss": _of_losses,
    "lp_loss_grad": _of_losses,
    "LpLoss": _of_losses,
    "network_loss_grad": _of_networks,
}
