"""The last hidden layer of a network as columns of a linear fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

from fastdl import _check
from fastdl._typing import Array, ArrayLike, Loss, RowsLike
from fastdl.network.fit import NetworkKeywords, fit_network
from fastdl.network.result import NetworkFit


class LearnedFeatures:
    """The last hidden layer of a trained network as features of a linear fit, like the columns of `vandermonde`.

    Parameters
    ----------
    hidden : int or sequence of int
        The units of each hidden layer; the last gives the features.
    p : float or CustomLoss
        The loss of the training.
    **keywords
        Those of `fit_network`: `activation`, `valid`, `weight_decay`, `refit`, `max_bytes`, `options`, and the fields
        of `TrainingOptions`.

    Attributes
    ----------
    network : NetworkFit
        After `fit`.

    Examples
    --------
    >>> import numpy as np, fastdl
    >>> x = np.linspace(-1, 1, 300)[:, None]
    >>> y = np.abs(x[:, 0])
    >>> columns = fastdl.LearnedFeatures(hidden=8).fit(x, y).transform(x)
    >>> columns.shape
    (300, 8)
    >>> residual = np.linalg.lstsq(np.column_stack([columns, np.ones(300)]), y)[1]
    >>> bool(residual[0] < 0.1)
    True
    """

    network: NetworkFit

    def __init__(self, hidden: int | Sequence[int] = (32,), p: Loss = 2.0, **keywords: Unpack[NetworkKeywords]):
        self.hidden, self.p, self.keywords = hidden, p, keywords

    def fit(self, X: RowsLike, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None) -> LearnedFeatures:
        """Train the network by `fit_network`; returns itself."""
        self.network = fit_network(X, y, self.hidden, self.p, sample_weight=sample_weight, **self.keywords)
        return self

    def transform(self, X: ArrayLike, *, out: Array | None = None, threads: int | None = 1) -> Array:
        """The features, float64 (N, H), of X (N, D)."""
        if not hasattr(self, "network"):
            raise _check.InputError("the features must be learned first: call fit(X, y)")
        return self.network.features(X, out=out, threads=threads)
