"""The loss of a network and its gradient by every parameter, for an optimizer of your own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastdl import _check, _threads
from fastdl._typing import Array, ArrayLike, Loss
from fastdl.network._losses import ResidualLoss
from fastdl.network._parameters import ACTIVATIONS, ParameterLayout, gradient

_BLOCK = 1024  # rows whose gradients are summed in the network's precision


def network_loss_grad(
    X: ArrayLike,
    y: ArrayLike,
    weights: Sequence[ArrayLike],
    biases: Sequence[ArrayLike],
    p: Loss = 2.0,
    *,
    activation: str = "tanh",
    sample_weight: ArrayLike | None = None,
    reduction: str = "sum",
    threads: int | None = 1,
) -> tuple[float, list[Array], list[Array]]:
    """The loss of a network and its gradient by every parameter.

    Parameters
    ----------
    X : array_like, (N, D)
        float32 or float64; other numbers count as float64.
    y : array_like, (N,)
        Targets.
    weights : sequence of array_like
        (D, H1), (H1, H2), ... of the hidden layers, at least one; (H,) of the output.
    biases : sequence of array_like
        (H1,), (H2,), ..., and the number of the output.
    p : float or CustomLoss
        The power, above 0, or a loss of your own.
    activation : {"tanh", "relu", "gelu", "identity"}
        The activation of the hidden layers.
    sample_weight : array_like, (N,), optional
        Finite, not negative.
    reduction : {"sum", "mean"}
        Whether to divide by the sum of the weights.
    threads : int or None
        Threads to use; None means all this process may.

    Returns
    -------
    loss : float
    by_weights, by_biases : list of ndarray of X's dtype
        The derivatives, of the shapes of weights and biases.

    Raises
    ------
    InputError
        For shapes that do not fit, p <= 0, a negative or non-finite weight, an unknown name.
    InputTypeError
        For what is not numeric.

    Notes
    -----
    A residual of 0 has slope 0, for p <= 1 too. A unit of "relu" that is 0 passes no derivative back, not even an
    infinite one: the loss does not change with its inputs. Gradients of 1024 rows at a time are summed in X's dtype,
    these sums in float64, in their order: the same bits for any number of threads.

    Examples
    --------
    >>> import fastdl
    >>> loss, by_weights, by_biases = fastdl.network_loss_grad(
    ...     [[1.0], [2.0]], [1.0, 0.0], [[[1.0, -1.0]], [1.0, 1.0]], [[0.0, 0.0], 0.0], activation="relu"
    ... )
    >>> loss, by_weights[0], by_weights[1]
    (4.0, array([[8., 0.]]), array([8., 0.]))
    """
    X, y = _check.rows("X", X), _check.array("y", y, ("f", "i", "u", "b"), 1)
    _check.same_length(X=X, y=y)
    _check.one_of("activation", activation, ACTIVATIONS)
    loss = ResidualLoss.checked(p)
    mean = _check.one_of("reduction", reduction, ("sum", "mean")) == "mean"
    dtype = np.float32 if X.dtype == np.float32 else np.float64
    weights, biases = _parameters(X.shape[1], weights, biases)
    layout = ParameterLayout.of(weights, dtype, activation)
    flat, y = layout.pack(weights, biases), y.astype(dtype, copy=False)
    s: Array | None = None
    if sample_weight is not None:
        s = _check.array("sample_weight", sample_weight, ("f", "i", "u", "b"), 1).astype(dtype, copy=False)
        _check.same_length(X=X, sample_weight=s)
        bad = ~((s >= 0) & (s < np.inf))
        if bad.any():
            k = int(bad.argmax())
            raise _check.InputError(f"sample_weight must be finite and not negative, got {s[k]} at index {k}")

    def some(rows: slice) -> tuple[Array, Array]:
        return gradient(layout, loss, (X[rows], y[rows], None if s is None else s[rows]), flat)

    total, grad = np.zeros(2), np.zeros(layout.size)
    for part, by in _threads.split(len(X), threads, some, _BLOCK):
        total, grad = total + part, grad + by
    if mean:
        with np.errstate(invalid="ignore", divide="ignore"):
            total, grad = total / total[1], grad / total[1] if len(X) else grad
    by_weights, by_biases = layout.views(grad.astype(dtype))
    return float(total[0]), by_weights, by_biases


def _parameters(
    columns: int, weights: Sequence[ArrayLike], biases: Sequence[ArrayLike]
) -> tuple[list[Array], list[Array]]:
    """The weights and biases as arrays, whose shapes must fit together."""
    weights, biases = (
        [_check.array(f"{name}[{k}]", a, ("f", "i", "u", "b")) for k, a in enumerate(given)]
        for name, given in (("weights", weights), ("biases", biases))
    )
    if len(weights) < 2 or len(weights) != len(biases):
        raise _check.InputError(
            f"weights and biases must be of a hidden layer or more and the output, got {len(weights)} and {len(biases)}"
        )
    for k, (w, b) in enumerate(zip(weights, biases)):
        wide = () if k == len(weights) - 1 else w.shape[-1:]
        for name, a, shape in (("weights", w, (columns, *wide)), ("biases", b, wide)):
            if a.shape != shape:
                raise _check.InputError(f"{name}[{k}] must have shape {shape}, got {a.shape}")
        columns = wide[0] if wide else 0
    return weights, biases
