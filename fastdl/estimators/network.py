"""Small networks, for numbers and for classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from fastdl.estimators._validation import Array, seed_of, validated_table, weights
from fastdl.network.classification import fit_network_classifier
from fastdl.network.fit import fit_network

_SETTINGS = ("activation", "batch_size", "epochs", "learning_rate", "optimizer", "schedule", "weight_decay")


class NetworkRegressor(RegressorMixin, BaseEstimator):
    """A small multilayer perceptron trained with any Lp loss: `fastdl.fit_network`.

    Parameters
    ----------
    hidden : int or sequence of int
        The units of each hidden layer.
    p : float or CustomLoss
        The loss is |y - f(x)|^p, or your own.
    activation, batch_size, epochs, learning_rate, optimizer, schedule, weight_decay, patience, refit
        As in `fastdl.fit_network`.
    validation_fraction : float, optional
        The part of the rows to validate on; the fit is then that of the epoch with the least validation loss.
    random_state : int, RandomState or None
        Of the first weights, the order of the rows, and those held out; None is 0.
    threads : int or None
        Threads to use, for batches of more than 128 rows; None means all this process may.

    Attributes
    ----------
    model_ : NetworkFit
        The network; ``model_.features(X)`` are the values of its last hidden layer.
    loss_ : float
        The sum over the rows it was trained on.
    history_ : mapping of str to ndarray
        Epoch by epoch.
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
        hidden: Any = (32,),
        p: Any = 2.0,
        *,
        activation: str = "tanh",
        batch_size: int = 64,
        epochs: int | None = None,
        learning_rate: float | None = None,
        optimizer: str = "adam",
        schedule: Any = "cosine",
        weight_decay: float = 0.0,
        patience: int | None = None,
        refit: bool = False,
        validation_fraction: float | None = None,
        random_state: Any = None,
        threads: int | None = 1,
    ):
        self.hidden, self.p, self.activation, self.batch_size, self.epochs = hidden, p, activation, batch_size, epochs
        self.learning_rate, self.optimizer, self.schedule = learning_rate, optimizer, schedule
        self.weight_decay, self.patience, self.refit = weight_decay, patience, refit
        self.validation_fraction, self.random_state, self.threads = validation_fraction, random_state, threads

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> NetworkRegressor:
        """Train on X (N, D) and y (N,): in float32 where X is, else in float64; returns itself."""
        X, y = validated_table(self, X, y, reset=True, y_numeric=True)
        settings = {name: getattr(self, name) for name in (*_SETTINGS, "patience", "refit", "threads")}
        settings |= {"valid": self.validation_fraction, "seed": seed_of(self.random_state)}
        settings["sample_weight"] = weights(sample_weight, len(X))
        self.model_ = fit_network(X, y, self.hidden, self.p, **settings)
        self.loss_, self.history_ = self.model_.loss, self.model_.history
        return self

    def predict(self, X: Any) -> Array:
        """The network's values, float64 (N,), of X (N, D)."""
        check_is_fitted(self)
        return self.model_.predict(validated_table(self, X, reset=False), threads=self.threads)


class NetworkClassifier(ClassifierMixin, BaseEstimator):
    """A small multilayer perceptron of classes, trained on their cross-entropy: `fastdl.fit_network_classifier`.

    Parameters
    ----------
    hidden : int or sequence of int
        The units of each hidden layer.
    activation, batch_size, epochs, learning_rate, optimizer, schedule, weight_decay, patience
        As in `fastdl.fit_network`.
    class_weight : "balanced", or dict of label to float, optional
        What the weights of a class's rows are multiplied by; "balanced" gives every class the same sum.
    validation_fraction : float, optional
        The part of the rows to validate on; the fit is then that of the epoch with the least validation loss.
    random_state : int, RandomState or None
        Of the first weights, the order of the rows, and those held out; None is 0.
    threads : int or None
        Threads to use, for batches of more than 128 rows; None means all this process may.

    Attributes
    ----------
    classes_ : ndarray (K,)
        The labels, sorted.
    model_ : NetworkClassifierFit
        The network; ``model_.features(X)`` are the values of its last hidden layer.
    loss_ : float
        The cross-entropy over the rows it was trained on.
    history_ : mapping of str to ndarray
        Epoch by epoch.
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
        hidden: Any = (32,),
        *,
        activation: str = "tanh",
        batch_size: int = 64,
        epochs: int | None = None,
        learning_rate: float | None = None,
        optimizer: str = "adam",
        schedule: Any = "cosine",
        weight_decay: float = 0.0,
        patience: int | None = None,
        class_weight: Any = None,
        validation_fraction: float | None = None,
        random_state: Any = None,
        threads: int | None = 1,
    ):
        self.hidden, self.activation, self.batch_size, self.epochs = hidden, activation, batch_size, epochs
        self.learning_rate, self.optimizer, self.schedule = learning_rate, optimizer, schedule
        self.weight_decay, self.patience, self.class_weight = weight_decay, patience, class_weight
        self.validation_fraction, self.random_state, self.threads = validation_fraction, random_state, threads

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> NetworkClassifier:
        """Train on X (N, D) and labels y (N,): in float32 where X is, else in float64; returns itself."""
        X, y = validated_table(self, X, y, reset=True)
        labels = np.array(y.tolist()) if y.dtype == object else y
        check_classification_targets(labels)
        settings = {name: getattr(self, name) for name in (*_SETTINGS, "patience", "class_weight", "threads")}
        settings |= {"valid": self.validation_fraction, "seed": seed_of(self.random_state)}
        settings["sample_weight"] = weights(sample_weight, len(X))
        self.model_ = fit_network_classifier(X, labels, self.hidden, **settings)
        self.classes_ = self.model_.classes
        self.loss_, self.history_ = self.model_.loss, self.model_.history
        return self

    def decision_function(self, X: Any) -> Array:
        """Of two classes the logit of the second less that of the first, (N,); else the logits, (N, K)."""
        check_is_fitted(self)
        return self.model_.decision_function(validated_table(self, X, reset=False), threads=self.threads)

    def predict_proba(self, X: Any) -> Array:
        """The probability of each class, (N, K), for X (N, D)."""
        check_is_fitted(self)
        return self.model_.predict_proba(validated_table(self, X, reset=False), threads=self.threads)

    def predict(self, X: Any) -> Array:
        """The most probable label of each row of X (N, D)."""
        check_is_fitted(self)
        return self.model_.predict(validated_table(self, X, reset=False), threads=self.threads)
