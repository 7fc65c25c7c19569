"""The output layer of a network solved by least squares."""

from __future__ import annotations

import numpy as np

from fastdl._typing import Array
from fastdl.linear._matrix import gram


class LastLayer:
    """The least squares fit of the residuals by the features of the last layer: the change of its weights."""

    def __init__(self, width: int):
        self.width = width
        self.sums = np.zeros((width + 2, width + 2))  # the Gram matrix of [1, features, residual]

    def add(self, features: Array, residual: Array, s: Array | None) -> None:
        """Take in rows."""
        if len(residual):
            self.sums += gram(features, residual, s, np.zeros(self.width), np.ones(self.width))

    def change(self) -> tuple[Array, float]:
        """The change of the weights and of the bias.

        Gaussian elimination in NumPy, so that the bits do not depend on a LAPACK. Weights are not changed in directions
        in which the features hardly vary, as that would fit rounding errors.
        """
        n, mean = self.width, self.sums[0] / self.sums[0, 0]
        system = (self.sums - self.sums[0, 0] * np.outer(mean, mean))[1:-1, 1:]
        system[:, :n][np.diag_indices(n)] += 1e-10 * np.trace(system[:, :n]) / n + 1e-300
        for k in range(n):
            system[k] /= system[k, k]
            others = np.arange(n) != k
            system[others] -= np.outer(system[others, k], system[k])
        return system[:, n], float(mean[-1] - (mean[1:-1] * system[:, n]).sum())
