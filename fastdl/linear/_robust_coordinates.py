"""Coordinates for fits of absolute, Huber and quantile losses: columns and y about their medians, in units of spread.

Means and root mean squares, which serve least squares, are dominated by a single outlier: with one x of 1e8 among
ordinary ones, the others differ only in the last digits of (x - mean) / scale. A median minus x is rounded by no more
than its own last bit, whatever the other rows are, so that bounds proven in these coordinates hold for the given rows.
"""

from __future__ import annotations

import numpy as np

from fastdl._rows import Rows, sample_rows
from fastdl._typing import Array
from fastdl.linear._coordinates import EPS, Coordinates, condition_of, power_of_two
from fastdl.linear._matrix import DesignMatrix

_SAMPLE = 4000  # rows that give the medians: their error is then a fiftieth of the spread
_SEEN = 20_000  # rows that tell whether some are far, where that matters
_OUTLIER = 1e4  # spreads: columns that reach farther are taken as they are rather than orthonormalised


class RobustCoordinates:
    """Rows as Z = (X - center) * factor and t = (y - y_center) * y_factor, factors being powers of two.

    The columns are those that `Coordinates` found independent. Where it orthonormalised nearly dependent columns, and
    there is no outlier, its orthonormal columns are used.
    """

    def __init__(self, coordinates: Coordinates, rows: Rows, seed: int = 0):
        self.coordinates, self.rank, self.ones = coordinates, coordinates.rank, coordinates.ones
        wanted = _SAMPLE if coordinates._raw_triangle is None else _SEEN
        some = rows if coordinates.count <= wanted else sample_rows(rows, wanted / coordinates.count, seed)
        X, y, _ = some.gathered()
        X = X if coordinates.kept is None else X[:, coordinates.kept]
        self.center, spread = middle_and_spread(X, bool(self.ones))
        self.factor = power_of_two(spread)
        y_center, y_spread = middle_and_spread(y[:, None], bool(self.ones))
        self.y_center, self.y_factor = float(y_center[0]), float(power_of_two(y_spread)[0])
        dependent = coordinates._raw_triangle is not None
        far = dependent and X.size > 0 and bool((np.abs(X - self.center) * self.factor).max() > _OUTLIER)
        self.orthonormal = dependent and not far
        self.whitening = self._whitening()

    def scaled(self, X: Array, y: Array, s: Array | None) -> tuple[Array, Array, Array]:
        """(Z, t, s) of a block."""
        Z, s = self.columns(X), np.ones(len(y)) if s is None else s
        if not self.orthonormal:
            Z = (Z - self.center) * self.factor
        return np.ascontiguousarray(Z), self.target(y), s

    def target(self, y: Array) -> Array:
        return (y - self.y_center) * self.y_factor

    def columns(self, X: Array) -> Array:
        """What Z is made of: the columns of a block that are fitted, not yet shifted and scaled."""
        if self.orthonormal:
            return self.coordinates.columns(X)
        return X if self.coordinates.kept is None else np.ascontiguousarray(X[:, self.coordinates.kept])

    def of_columns(self, gamma: Array) -> tuple[Array, Array]:
        """((b, w), shift) with [1, Z] gamma = b + (columns - shift) w; factors, being powers of two, round nothing."""
        model = gamma if self.ones else np.append(0.0, gamma)
        if self.orthonormal:
            return model, np.zeros(len(model) - 1)
        return np.append(model[:1], model[1:] * self.factor), self.center

    def slope(self, products: Array) -> Array:
        """[1, Z]' g of the products of columns less their shift with g, that of ones first."""
        slope = products if self.orthonormal else np.append(products[:1], products[1:] * self.factor)
        return slope if self.ones else slope[1:]

    def _whitening(self) -> Array:
        """T of the Gram matrix T'T in these coordinates: |T d| is the 2-norm of the predictions of a model d."""
        R = self.coordinates.R
        if self.orthonormal or not self.rank:
            return R
        first = int(self.ones)
        inner = self.coordinates._raw_triangle
        shift, factor = self.coordinates.raw_units()
        # z of least squares = z of these * ratio + offset
        ratio = factor / self.factor
        offset = (self.center - shift) * factor
        T = np.zeros((self.rank, self.rank))
        if first:
            T[0, 0] = 1
        T[first:, first:] = np.diag(ratio)
        # [1, z of `Coordinates`] = [1, z here] M: a model gamma there is M gamma here.
        M = T.copy()
        if first:
            M[0, 1:] = offset
        if inner is not None:
            M[first:, first:] = M[first:, first:] @ np.linalg.inv(inner)
            if first:
                M[0, 1:] = offset @ np.linalg.inv(inner)
        return R @ np.linalg.inv(M)

    def from_coordinates(self, gamma: Array) -> Array:
        """A model given in the coordinates of `Coordinates`, in these."""
        w, b = self.coordinates.model(gamma)
        return self.of_model(w, b)

    def of_model(self, w: Array, b: float) -> Array:
        """Coordinates of the model (w, b) in the user's units."""
        if self.orthonormal:
            gamma = self.coordinates.gamma(w, b) * (self.y_factor / self.coordinates.y_factor)
            if self.ones:
                gamma[0] += (self.coordinates.y_shift - self.y_center) * self.y_factor
            return gamma
        kept = w if self.coordinates.kept is None else w[self.coordinates.kept]
        weights = kept * (self.y_factor / self.factor)
        if not self.ones:
            return weights
        return np.append((b - self.y_center + float(np.add.reduce(kept * self.center))) * self.y_factor, weights)

    def model(self, gamma: Array) -> tuple[Array, float]:
        """(w, b) in the user's units; of equal models that with the smallest |w|."""
        if self.orthonormal:
            inside = gamma * (self.coordinates.y_factor / self.y_factor)
            if self.ones:
                inside[0] = (
                    gamma[0] / self.y_factor + self.y_center - self.coordinates.y_shift
                ) * self.coordinates.y_factor
            return self.coordinates.model(inside)
        first, weights = (float(gamma[0]), gamma[1:]) if self.ones else (0.0, gamma)
        w = np.zeros(self.coordinates.rows.columns)
        w[slice(None) if self.coordinates.kept is None else self.coordinates.kept] = weights * (
            self.factor / self.y_factor
        )
        kept = w if self.coordinates.kept is None else w[self.coordinates.kept]
        b = self.y_center + first / self.y_factor - float(np.add.reduce(kept * self.center)) if self.ones else 0.0
        return self.coordinates.minimum_norm_model(w, b)

    def term_sizes(self, A: DesignMatrix, gamma: Array) -> Array:
        """For each row the sum of the absolute terms of [1, Z] gamma, which bounds its rounding error.

        Orthonormal columns carry the rounding errors of those they were made of, whose weights are large where these
        are nearly dependent.
        """
        return DesignMatrix(np.abs(A.Z), A.ones).dot(self.term_weights(gamma))

    def term_weights(self, gamma: Array) -> Array:
        """What the sizes of a row's columns are multiplied by for that."""
        size = np.abs(gamma)
        inner = self.coordinates._raw_triangle
        if self.orthonormal and inner is not None:
            raw = np.linalg.solve(inner, gamma[int(self.ones) :])
            size[int(self.ones) :] = np.abs(inner) @ np.abs(raw)
        return size

    def condition(self) -> float:
        """The condition number of the columns (`condition_of`): by how much their rounding errors are amplified."""
        return condition_of(self.coordinates.raw_factor() if self.orthonormal else self.whitening)


def median_and_factor(coordinates: Coordinates, rows: Rows, seed: int = 0) -> tuple[float, float]:
    """The median of y (of a sample, where rows are many), and a power of two that brings the spread about it near 1."""
    some = rows if coordinates.count <= _SAMPLE else sample_rows(rows, _SAMPLE / coordinates.count, seed)
    middle, spread = middle_and_spread(some.gathered()[1][:, None], coordinates.intercept)
    return float(middle[0]), float(power_of_two(spread)[0])


def middle_and_spread(X: Array, centred: bool) -> tuple[Array, Array]:
    """Medians (0 where not `centred`) and the median distance from them; where that is 0, the mean or largest one."""
    if not len(X):
        return np.zeros(X.shape[1]), np.ones(X.shape[1])
    columns = np.ascontiguousarray(X.T)  # NumPy is slow on short rows
    center = np.median(columns, axis=1) if centred else np.zeros(X.shape[1])
    with np.errstate(over="ignore"):
        distance = np.abs(X - center)
        spread = np.median(np.abs(columns - center[:, None]), axis=1)
        zero = spread <= EPS * np.abs(center)
        spread[zero] = np.quantile(distance[:, zero], 0.9, axis=0) if zero.any() else 0
        zero = spread <= EPS * np.abs(center)
        spread[zero] = distance[:, zero].max(axis=0) if zero.any() else 0
    return center, spread
