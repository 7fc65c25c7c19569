"""Small neural networks with scikit-learn's interface: a regressor and a classifier."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from fastdl import _check
from fastdl._typing import Array, ArrayLike, Loss
from fastdl.estimators._validation import RandomState, seed_of, validated_table, weights
from fastdl.linear.training_options import TrainingOptions
from fastdl.network.classification import fit_network_classifier
from fastdl.network.fit import fit_network

# The fields of `TrainingOptions` that are parameters of the estimators under the same name.
_OPTIONS = (
    "batch_size", "epochs", "learning_rate", "optimizer", "momentum", "schedule", "threads",
)  # fmt: skip
_VALIDATED = 100  # rows at least, of which a fifth is kept for validation by default: fewer are all trained on


class _Network(BaseEstimator):
    """The base of the network estimators: training with their parameters, and predictions."""

    def _train(
        self,
        train: Callable[..., Any],
        X: Array,
        y: Array,
        s: ArrayLike | None,
        **more: Any,
    ) -> Self:
        """Fit X (N, D) by `train`, `fit_network` or `fit_network_classifier`, and keep its results as attributes."""
        valid, used = self.validation_fraction, weights(s, len(X))
        if isinstance(valid, str):
            _check.one_of("validation_fraction", valid, ("auto",))
            valid = 0.2 if (len(X) if used is None else np.count_nonzero(used)) >= _VALIDATED else None
        options = TrainingOptions(
            **{name: getattr(self, name) for name in _OPTIONS},
            patience=None if valid is None else self.patience,
            seed=seed_of(self.random_state),
        )
        self.model_ = train(
            X, y, self.hidden, activation=self.activation, weight_decay=self.weight_decay,
            valid=valid, sample_weight=used, options=options, **more,
        )  # fmt: skip
        self.loss_, self.history_ = self.model_.loss, self.model_.history
        return self

    def _call_model(self, method: str, X: ArrayLike) -> Array:
        """The result of a method of the network for X (N, D)."""
        check_is_fitted(self)
        return getattr(self.model_, method)(validated_table(self, X, reset=False), threads=self.threads)


class NetworkRegressor(RegressorMixin, _Network):
    """A small multilayer perceptron trained with any Lp loss: `fastdl.fit_network`.

    Parameters
    ----------
    hidden : int or sequence of int
        The units of each hidden layer.
    p : float or CustomLoss
        The loss is |y - f(x)|^p, or your own.
    activation, weight_decay, refit
        As in `fastdl.fit_network`.
    batch_size, epochs, learning_rate, optimizer, momentum, schedule
        As in `fastdl.TrainingOptions`.
    patience : int, optional
        Epochs without a smaller validation loss after which training ends; None means never.
    validation_fraction : float, "auto" or None
        The share of the rows to validate on; the fit is then that of the epoch with the smallest validation loss.
        "auto" is 0.2 from 100 rows on; below, and with None, all epochs train on all rows.
    random_state : int, RandomState or None
        The seed of the initial weights, the order of the rows, and the validation rows; None is 0.
    threads : int or None
        Threads to use, for batches of more than 128 rows; None means all this process may.

    Attributes
    ----------
    model_ : NetworkFit
        The network; ``model_.features(X)`` are the values of its last hidden layer.
    loss_ : float
        The sum of the losses over the training rows.
    history_ : mapping of str to ndarray
        Values recorded epoch by epoch.
    n_features_in_ : int
        D.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdl.estimators import NetworkRegressor
    >>> x = np.linspace(-2, 2, 500)[:, None]
    >>> model = NetworkRegressor().fit(x, np.sin(3 * x[:, 0]))
    >>> bool(model.score(x, np.sin(3 * x[:, 0])) > 0.99)
    True
    """

    def __init__(
        self,
        hidden: int | Sequence[int] = (32,),
        p: Loss = 2.0,
        *,
        activation: str = "tanh",
        batch_size: int | None = None,
        epochs: int | None = None,
        learning_rate: float | None = None,
        optimizer: str = "adam",
        momentum: float = 0.9,
        schedule: str | Callable[[float], float] = "cosine",
        weight_decay: float = 0.0,
        patience: int | None = 20,
        refit: bool = False,
        validation_fraction: float | Literal["auto"] | None = "auto",
        random_state: RandomState = None,
        threads: int | None = 1,
    ):
        self.hidden, self.p, self.activation, self.batch_size, self.epochs = hidden, p, activation, batch_size, epochs
        self.learning_rate, self.optimizer, self.momentum, self.schedule = learning_rate, optimizer, momentum, schedule
        self.weight_decay, self.patience, self.refit = weight_decay, patience, refit
        self.validation_fraction, self.random_state, self.threads = validation_fraction, random_state, threads

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> NetworkRegressor:
        """Train on X (N, D) and y (N,): in float32 where X is, else in float64; returns itself."""
        rows, targets = validated_table(self, X, y, reset=True, y_numeric=True)
        return self._train(fit_network, rows, targets, sample_weight, p=self.p, refit=self.refit)

    def predict(self, X: ArrayLike) -> Array:
        """The network's values, float64 (N,), of X (N, D)."""
        return self._call_model("predict", X)


class NetworkClassifier(ClassifierMixin, _Network):
    """A small multilayer perceptron that predicts classes: `fastdl.fit_network_classifier`.

    Parameters
    ----------
    hidden : int or sequence of int
        The units of each hidden layer.
    activation, weight_decay
        As in `fastdl.fit_network`.
    batch_size, epochs, learning_rate, optimizer, momentum, schedule
        As in `fastdl.TrainingOptions`.
    patience : int, optional
        Epochs without a smaller validation loss after which training ends; None means never.
    class_weight : "balanced", or dict of label to float, optional
        What the weights of a class's rows are multiplied by; "balanced" gives every class the same sum.
    validation_fraction : float, "auto" or None
        The share of the rows to validate on; the fit is then that of the epoch with the smallest validation loss.
        "auto" is 0.2 from 100 rows on; below, and with None, all epochs train on all rows.
    random_state : int, RandomState or None
        The seed of the initial weights, the order of the rows, and the validation rows; None is 0.
    threads : int or None
        Threads to use, for batches of more than 128 rows; None means all this process may.

    Attributes
    ----------
    classes_ : ndarray (K,)
        The labels, sorted.
    model_ : NetworkClassifierFit
        The network; ``model_.features(X)`` are the values of its last hidden layer.
    loss_ : float
        The cross-entropy over the training rows.
    history_ : mapping of str to ndarray
        Values recorded epoch by epoch.
    n_features_in_ : int
        D.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdl.estimators import NetworkClassifier
    >>> X = np.random.default_rng(0).standard_normal((500, 2))
    >>> model = NetworkClassifier(epochs=60).fit(X, (X**2).sum(axis=1) < 1.2)
    >>> model.predict([[0.1, 0.1], [2.0, 2.0]]).tolist()
    [True, False]
    """

    def __init__(
        self,
        hidden: int | Sequence[int] = (32,),
        *,
        activation: str = "tanh",
        batch_size: int | None = None,
        epochs: int | None = None,
        learning_rate: float | None = None,
        optimizer: str = "adam",
        momentum: float = 0.9,
        schedule: str | Callable[[float], float] = "cosine",
        weight_decay: float = 0.0,
        patience: int | None = 20,
        class_weight: str | Mapping[Any, float] | None = None,
        validation_fraction: float | Literal["auto"] | None = "auto",
        random_state: RandomState = None,
        threads: int | None = 1,
    ):
        self.hidden, self.activation, self.batch_size, self.epochs = hidden, activation, batch_size, epochs
        self.learning_rate, self.optimizer, self.momentum, self.schedule = learning_rate, optimizer, momentum, schedule
        self.weight_decay, self.patience, self.class_weight = weight_decay, patience, class_weight
        self.validation_fraction, self.random_state, self.threads = validation_fraction, random_state, threads

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> NetworkClassifier:
        """Train on X (N, D) and labels y (N,): in float32 where X is, else in float64; returns itself."""
        rows, labels = validated_table(self, X, y, reset=True)
        labels = np.array(labels.tolist()) if labels.dtype == object else labels
        check_classification_targets(labels)
        self._train(fit_network_classifier, rows, labels, sample_weight, class_weight=self.class_weight)
        self.classes_ = self.model_.classes
        return self

    def decision_function(self, X: ArrayLike) -> Array:
        """The logits, (N, K); for two classes that of the second less that of the first, (N,)."""
        return self._call_model("decision_function", X)

    def predict_proba(self, X: ArrayLike) -> Array:
        """The probability of each class, float64 (N, K), of X (N, D)."""
        return self._call_model("predict_proba", X)

    def predict(self, X: ArrayLike) -> Array:
        """The most probable label of each row of X (N, D)."""
        return self._call_model("predict", X)
