"""A trained network: its parameters, what it predicts, and the features that it learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from fastdl import _check
from fastdl._typing import Array, ArrayLike, Loss
from fastdl.network import _parameters
from fastdl.network._parameters import ParameterLayout


@dataclass(frozen=True, eq=False)
class NetworkFit:
    """A trained network f(x) = <w, a(... a(x W1 + b1) ...)> + b.

    Attributes
    ----------
    weights : list of ndarray of float64
        (D, H1), (H1, H2), ... for the hidden layers, (H,) for the output; for X in its own units.
    biases : list of ndarray of float64
        (H1,), (H2,), ..., and () for the output.
    activation : str
        The a of all hidden layers.
    p : float or CustomLoss
        The loss it was trained with.
    loss : float
        Its sum over the rows it was trained on, weighted.
    history : mapping of str to ndarray
        For each epoch "train": the mean loss of the batches, each before its step; "valid": the mean loss of the
        validation rows after the epoch (where there are any); "learning_rate": the rate of its first step.
    best_epoch : int
        The epoch the parameters are from, counted from 0: that of the smallest validation loss, or the last.
    """

    weights: list[Array]
    biases: list[Array]
    activation: str
    p: Loss
    loss: float
    history: Mapping[str, Array] = field(default_factory=dict)
    best_epoch: int = 0

    def predict(self, X: ArrayLike, *, threads: int | None = 1) -> Array:
        """The network's values, float64 (N,), of X (N, D); NaN where a row holds one."""
        x, layout = network_input(X, self.weights, self.activation)
        out = np.empty(len(x))
        _parameters.values(layout, x, layout.pack(self.weights, self.biases), out, None, threads=threads)
        return out

    def features(self, X: ArrayLike, *, out: Array | None = None, threads: int | None = 1) -> Array:
        """The values of the last hidden layer, float64 (N, H), of X (N, D): the columns of a linear fit."""
        x, layout = network_input(X, self.weights, self.activation)
        result = _check.out("out", out, (len(x), layout.hidden[-1]), np.float64, x)
        _parameters.values(layout, x, layout.pack(self.weights, self.biases), None, result, threads=threads)
        return result


def network_input(X: ArrayLike, weights: list[Array], activation: str) -> tuple[Array, ParameterLayout]:
    """The rows that a network of given weights takes, and its layout in float64."""
    x = _check.asarray("X", X)
    _check.dtype("X", x.dtype, ("f", "i", "u", "b"))
    x = x[:, None] if x.ndim == 1 else x
    layout = ParameterLayout.of(weights, np.float64, activation)
    if x.ndim != 2 or x.shape[1] != layout.columns:
        raise _check.InputError(f"X must have shape (N, {layout.columns}), got {x.shape}")
    return x, layout
