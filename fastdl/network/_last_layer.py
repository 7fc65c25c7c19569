"""The output layer of a network solved by least squares."""

from __future__ import annotations

import numpy as np

from fastdl._typing import Array
from fastdl.linear._matrix import gram


class LastLayer:
    """Least squares of the residuals by the features of the last layer: what its weights should change by."""

    def __init__(self, width: int):
        self.width = width
        self.sums = np.zeros((width + 2, width + 2))  # of the products of 1, the features and the residual

    def add(self, features: Array, residual: Array, s: Array | None) -> None:
        """Take in rows."""
        if len(residual):
            self.sums += gram(features, residual, s, np.zeros(self.width), np.ones(self.width))

    def change(self) -> tuple[Array, float]:
        """Of the weights and the bias.

        Elimination by hand, so that no LAPACK decides on the bits; along directions the features hardly have, the
        weights stay, for these would fit the rounding.
        """
        n, mean = self.width, self.sums[0] / self.sums[0, 0]
        system = (self.sums - self.sums[0, 0] * np.outer(mean, mean))[1:-1, 1:]
        system[:, :n][np.diag_indices(n)] += 1e-10 * np.trace(system[:, :n]) / n + 1e-300
        for k in range(n):
            system[k] /= system[k, k]
            others = np.arange(n) != k
            system[others] -= np.outer(system[others, k], system[k])
        return system[:, n], float(mean[-1] - (mean[1:-1] * system[:, n]).sum())
