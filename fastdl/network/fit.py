"""`fit_network`: a small multilayer perceptron, trained with any Lp loss or a custom one.

Matrix products are our kernels', in a fixed order, not BLAS: the same bits for any threads, any chunks, on any CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Unpack

import numpy as np

from fastdl import _check
from fastdl._rows import Rows
from fastdl._typing import Array, ArrayLike, Loss, RowsLike
from fastdl.linear.training_options import TrainingKeywords, TrainingOptions, merge_options
from fastdl.network import _parameters
from fastdl.network._last_layer import LastLayer
from fastdl.network._losses import ResidualLoss
from fastdl.network._scaling import Scaling
from fastdl.network._settings import TrainingSettings, Validation, validation_rows
from fastdl.network._training import train_network
from fastdl.network.result import NetworkFit


class NetworkKeywords(TrainingKeywords, total=False):
    """The keywords of `fit_network`, without `sample_weight`."""

    activation: str
    valid: Validation
    weight_decay: float
    refit: bool
    max_bytes: int | None
    options: TrainingOptions | None


def fit_network(
    X: RowsLike,
    y: ArrayLike | None = None,
    hidden: int | Sequence[int] = (32,),
    p: Loss = 2.0,
    *,
    activation: str = "tanh",
    sample_weight: ArrayLike | None = None,
    valid: Validation = None,
    weight_decay: float = 0.0,
    refit: bool = False,
    max_bytes: int | None = None,
    options: TrainingOptions | None = None,
    **keywords: Unpack[TrainingKeywords],
) -> NetworkFit:
    """Train a small network by mini-batches on ``sum s |y - f(x)|^p``.

    Parameters
    ----------
    X : array_like, (N, D), or chunks
        float32 (or float16) is trained on in float32, all else in float64. Without y: chunks (X, y) or
        (X, y, sample_weight), in a list, an iterable that can be gone through again, or a function that returns an
        iterator.
    y : array_like, (N,)
        Targets.
    hidden : int or sequence of int
        The units of each hidden layer, at least one layer.
    p : float or CustomLoss
        The power, above 0; or a loss of your own from `custom_loss`, of the residual in y's units.
    activation : {"tanh", "relu", "gelu", "identity"}
        The activation of the hidden layers. "gelu" is ``z/2 (1 + tanh(sqrt(2/pi) (z + 0.044715 z^3)))``.
    sample_weight : array_like, (N,), optional
        s: finite, not negative; a row of weight 0 counts as dropped.
    valid : float, (X, y) or (X, y, sample_weight), optional
        The share of the rows to validate on (drawn by `seed`), or validation rows; they are kept in memory. The fit is
        then that of the epoch with the smallest validation loss.
    weight_decay : float
        Decoupled weight decay (AdamW): in each step the weights, not the biases, lose this share times the rate.
    refit : bool
        For p = 2: solve the output layer by least squares at the end, and keep the solution if it is better, on the
        validation rows if there are any.
    max_bytes : int, optional
        Memory for the rows that are shuffled together, by default 256 MiB. If rows are sorted over longer stretches,
        shuffle them before.
    options : TrainingOptions, optional
        How to train: `optimizer` ("adam" or "sgd"), `learning_rate`, `momentum`, `schedule`, `batch_size`, `epochs`,
        `patience` (needs `valid`), `seed`, `threads`, `progress`.
    **keywords
        Fields of `TrainingOptions`, which override those of `options`.

    Returns
    -------
    NetworkFit

    Raises
    ------
    InputError
        For shapes that do not fit, no row of weight above 0, NaN or infinity (naming the row), an unknown name, a
        number out of its range; and where training diverges even at a rate 128 times smaller.
    InputTypeError
        For what is not numeric.

    Notes
    -----
    Batches of more than 128 rows are trained on by several threads: their gradients are summed in pieces of 128 rows.
    The `details` of `progress` events have "train", "learning_rate", and "valid" if there are validation rows.
    X and y are scaled to mean 0 and spread 1 (y, for p < 2, by its median and quartiles), and the parameters scaled
    back: units do not matter. An epoch whose loss is not finite, or a thousand times that of a constant, is undone, and
    the learning rate halved from there; the history shows it.
    The result has the same bits for any threads, any chunks and any CPU, and depends on `seed` alone.

    References
    ----------
    Kingma and Ba, "Adam: a method for stochastic optimization", 2015. Loshchilov and Hutter, "Decoupled weight decay
    regularization", 2019. Hendrycks and Gimpel, "Gaussian error linear units", 2016.

    Examples
    --------
    >>> import numpy as np, fastdl
    >>> x = np.linspace(-2, 2, 500)[:, None]
    >>> fit = fastdl.fit_network(x, np.sin(3 * x[:, 0]))
    >>> bool(np.abs(fit.predict(x) - np.sin(3 * x[:, 0])).max() < 0.1)
    True
    >>> fit.features(x).shape
    (500, 32)
    """
    rows = Rows(X, y, sample_weight)
    if not rows.columns:
        raise _check.InputError("X must have at least one column, got none")
    q = TrainingSettings.checked(
        ResidualLoss.checked(p), hidden, merge_options(fit_network, options, keywords),
        activation=activation, weight_decay=weight_decay, max_bytes=max_bytes,
    )  # fmt: skip
    if q.patience is not None and valid is None:
        raise _check.InputError("patience needs rows to validate on: give valid")
    if refit and q.loss.power != 2:
        raise _check.InputError(f"refit is for p = 2, got {p!r}")
    part, others = validation_rows(valid, rows.columns)
    units = Scaling(rows, part, "median" if not q.loss.custom and q.loss.power < 2 else "mean", q.seed)
    weights, biases, history, best = train_network(rows, q, units, others, validated=valid is not None)
    fit = NetworkFit(weights, biases, q.activation, p if q.loss.custom else q.loss.power, 0.0, history, best)
    loss = _loss(fit, units.each, q.threads)
    if refit:
        fit, loss = _refitted(fit, loss, units, others, q.threads)
    return replace(fit, loss=loss)


def _refitted(
    fit: NetworkFit, loss: float, units: Scaling, others: Rows | None, threads: int
) -> tuple[NetworkFit, float]:
    """The fit with its output layer solved by least squares, if that is better; and its loss."""
    last = LastLayer(len(fit.weights[-1]))
    for X, y, s in units.parts():
        last.add(fit.features(X), y - fit.predict(X), s)
    by_weights, by_bias = last.change()
    again = replace(
        fit,
        weights=[*fit.weights[:-1], fit.weights[-1] + by_weights],
        biases=[*fit.biases[:-1], fit.biases[-1] + by_bias],
    )
    new = _loss(again, units.each, threads)
    if "valid" in fit.history:
        held = partial(units.each, inside=True) if others is None else others.each
        old, now = (_loss(f, held, threads) for f in (fit, again))
    else:
        old, now = loss, new
    return (again, new) if now <= old else (fit, loss)


def _loss(fit: NetworkFit, each: Callable[..., None], threads: int) -> float:
    """The sum of the losses, by blocks that threads share and whose sums are added in the order of the rows."""
    loss, total = ResidualLoss.checked(fit.p), 0.0

    def of(X: Array, y: Array, s: Array | None) -> float:
        with np.errstate(over="ignore"):
            value = _parameters.terms(y - fit.predict(X), loss)[0]
        return float(value.sum() if s is None else (s * value).sum())

    def add(part: float) -> None:
        nonlocal total
        total += part

    each(of, add, threads)
    return total
