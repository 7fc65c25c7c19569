"""A small multilayer perceptron for classes, trained on their cross-entropy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Unpack

import numpy as np

from fastdl import _check
from fastdl._rows import Rows
from fastdl._typing import Array, ArrayLike
from fastdl.linear._class_labels import class_weighted, number_classes, numbers_of
from fastdl.linear.training_options import TrainingKeywords, TrainingOptions, merge_options
from fastdl.network import _parameters
from fastdl.network._losses import CrossEntropy
from fastdl.network._parameters import ParameterLayout
from fastdl.network._scaling import Scaling
from fastdl.network._settings import TrainingSettings, Validation, validation_rows
from fastdl.network._training import train_network
from fastdl.network.result import network_input


@dataclass(frozen=True, eq=False)
class NetworkClassifierFit:
    """A classifier network: the softmax of its K outputs, the logits, gives the probabilities of the classes.

    Attributes
    ----------
    classes : ndarray (K,)
        The labels, sorted.
    weights : list of ndarray of float64
        (D, H1), (H1, H2), ... for the hidden layers, (H, K) for the logits; for X in its own units.
    biases : list of ndarray of float64
        (H1,), (H2,), ..., and (K,).
    activation : str
        The activation of all hidden layers.
    loss : float
        ``sum s (-log probability of the label)`` over the rows it was trained on.
    history : mapping of str to ndarray
        As in `NetworkFit`, of the mean cross-entropy.
    best_epoch : int
        The epoch the parameters are from, counted from 0.
    """

    classes: Array
    weights: list[Array]
    biases: list[Array]
    activation: str
    loss: float
    history: Mapping[str, Array] = field(default_factory=dict)
    best_epoch: int = 0

    def logits(self, X: ArrayLike, *, threads: int | None = 1) -> Array:
        """The network's outputs, float64 (N, K), of X (N, D); NaN where a row holds one."""
        x, layout = network_input(X, self.weights, self.activation)
        out = np.empty((len(x), len(self.classes)))
        _parameters.values(layout, x, layout.pack(self.weights, self.biases), None, out, threads=threads)
        return out

    def decision_function(self, X: ArrayLike, *, threads: int | None = 1) -> Array:
        """The logits, (N, K); for two classes that of the second less that of the first, (N,)."""
        z = self.logits(X, threads=threads)
        return z[:, 1] - z[:, 0] if z.shape[1] == 2 else z

    def predict_proba(self, X: ArrayLike, *, threads: int | None = 1) -> Array:
        """The probability of each class, float64 (N, K), of X (N, D)."""
        z = self.logits(X, threads=threads)
        return _parameters.softmax_terms(z, np.zeros(len(z)))[1]

    def predict(self, X: ArrayLike, *, threads: int | None = 1) -> Array:
        """The most probable label of each row of X (N, D), the first of equals."""
        return self.classes[self.logits(X, threads=threads).argmax(axis=1)]

    def features(self, X: ArrayLike, *, out: Array | None = None, threads: int | None = 1) -> Array:
        """The values of the last hidden layer, float64 (N, H), of X (N, D)."""
        x, _ = network_input(X, self.weights, self.activation)
        layout = ParameterLayout.of([*self.weights[:-1], np.zeros(0)], np.float64, self.activation)
        flat = layout.pack([*self.weights[:-1], 0.0], [*self.biases[:-1], 0.0])
        result = _check.out("out", out, (len(x), layout.hidden[-1]), np.float64, x)
        _parameters.values(layout, x, flat, None, result, threads=threads)
        return result


def fit_network_classifier(
    X: ArrayLike,
    y: ArrayLike,
    hidden: int | Sequence[int] = (32,),
    *,
    activation: str = "tanh",
    sample_weight: ArrayLike | None = None,
    class_weight: str | Mapping[Any, float] | None = None,
    valid: Validation = None,
    weight_decay: float = 0.0,
    options: TrainingOptions | None = None,
    **keywords: Unpack[TrainingKeywords],
) -> NetworkClassifierFit:
    """Train a small network on the cross-entropy of two or more classes, in mini-batches.

    Parameters
    ----------
    X : array_like, (N, D)
        float32 (or float16) is trained on in float32, all else in float64.
    y : array_like, (N,)
        Labels of any kind: numbers, bool, text.
    hidden : int or sequence of int
        The units of each hidden layer, at least one layer.
    activation, weight_decay, options, **keywords
        As in `fit_network`.
    sample_weight : array_like, (N,), optional
        s: finite, not negative; a row of weight 0 counts as dropped.
    class_weight : "balanced", or mapping of label to float, optional
        Factors of the rows' weights by class; "balanced" gives every class the same total weight. A class that the
        mapping does not name has the factor 1.
    valid : float, (X, y) or (X, y, sample_weight), optional
        The share of the rows to validate on (drawn by `seed`), or validation rows with labels of y. The fit is then
        that of the epoch with the smallest validation loss.

    Returns
    -------
    NetworkClassifierFit
        With `predict`, `predict_proba` and `features`.

    Raises
    ------
    InputError
        For shapes that do not fit, fewer than two classes, NaN or infinity (naming the row), an unknown name, a number
        out of its range; and where training diverges even at a rate 128 times smaller.
    InputTypeError
        For what is not numeric.

    Notes
    -----
    The loss is ``sum s (log sum_k exp(z_k) - z_y)`` of the logits z; two classes have two logits, too, whose difference
    is the logit of a logistic model. X is scaled to mean 0 and spread 1, and the parameters scaled back.
    The result has the same bits for any threads and any CPU, and depends on `seed` alone.

    Examples
    --------
    >>> import numpy as np, fastdl
    >>> X = np.random.default_rng(0).standard_normal((500, 2))
    >>> y = np.where((X**2).sum(axis=1) < 1.2, "inside", "outside")
    >>> fit = fastdl.fit_network_classifier(X, y, 16, epochs=60)
    >>> fit.predict([[0.1, 0.1], [2.0, 2.0]]).tolist(), bool((fit.predict(X) == y).mean() > 0.97)
    (['inside', 'outside'], True)
    """
    x = _check.rows("X", X)
    classes, codes = number_classes(y, len(x))
    s = class_weighted(class_weight, classes, codes, _check.sample_weight(sample_weight, len(x)))
    rows = Rows(x, codes, s, table=X)
    if not rows.columns:
        raise _check.InputError("X must have at least one column, got none")
    q = TrainingSettings.checked(
        CrossEntropy(), hidden, merge_options(fit_network_classifier, options, keywords),
        activation=activation, weight_decay=weight_decay,
    )  # fmt: skip
    if q.patience is not None and valid is None:
        raise _check.InputError("patience needs rows to validate on: give valid")
    if isinstance(valid, (tuple, list)) and len(valid) in (2, 3):
        other = _check.array("valid", valid[0], ("f", "i", "u", "b"), 2)
        valid = (other, numbers_of("valid", valid[1], len(other), classes), *valid[2:])
    part, others = validation_rows(valid, rows.columns)
    units = Scaling(rows, part, "a class", q.seed)
    weights, biases, history, best = train_network(
        rows, q, units, others, validated=valid is not None, classes=len(classes)
    )
    fit = NetworkClassifierFit(classes, weights, biases, q.activation, 0.0, history, best)
    loss = 0.0
    for part_X, part_y, part_s in units.parts():
        value = _parameters.softmax_terms(fit.logits(part_X, threads=q.threads), part_y)[0]
        loss += float(value.sum() if part_s is None else (part_s * value).sum())
    return replace(fit, loss=loss)
