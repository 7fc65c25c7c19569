"""Losses of models through k rows for p < 1, and lower bounds of them, by sums of twice the precision.

The p-th power of a residual that is only a rounding error is not small: (1e-16)^0.1 is 0.025. So the residuals of the
model exactly through k rows are computed as those of its floats, corrected by what these miss the k rows by, with a
bound of their error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fastdl._typing import Array
from fastdl.linear import _exact_sums as exact_sums
from fastdl.linear._coordinates import EPS, condition_of, power_of_two
from fastdl.linear._dependent_columns import PRIMES, Elimination
from fastdl.linear.methods._far_rows import FarRows

if TYPE_CHECKING:
    from fastdl.linear.methods._elemental_fits import ElementalFits

_PART = 1024  # models whose residuals are in memory at once
_SMALL = 1e-6  # of the mean deviation of y: only residuals up to this can count as rounding errors
_INVERSE_ERROR = 1e-5  # relative error of a product with an inverse, as determinants of unit rows are above 1e-10


class ExactVertex(NamedTuple):
    """A model through k rows: its coefficients rounded to floats, and bounds of the exact model's loss.

    Attributes
    ----------
    w, b : Array (D,), float
        The coefficients, rounded.
    rows : Array of int
        The rows it goes through: the k, and any others whose residuals are rounding errors.
    loss : float
        The loss of the rounded coefficients on the other rows.
    lower : float
        What the loss of the model through the k rows is not below.
    compared : float
        The loss less the powers of targets that are far, which are those of all models.
    """

    w: Array
    b: float
    rows: Array
    loss: float
    lower: float
    compared: float


class ExactVertices:
    """The rows as given, and what evaluates models through k of them."""

    def __init__(self, fits: ElementalFits):
        self.fits, standard = fits, fits.standard
        self.X, y, s = standard.rows.gathered()
        self.s = np.ones(len(y)) if s is None else s
        # Powers of two, so that no product overflows; they change no digit.
        self.unit = float(power_of_two(np.abs(y).max(initial=0)))
        self.units = power_of_two(np.abs(self.X).max(axis=0, initial=0))
        self.y, self.scaled = y * self.unit, self.X * self.units
        self.small = _SMALL * float(np.abs(self.y - np.median(self.y)).mean()) + 64 * EPS * np.abs(self.y)
        coordinates = standard.coordinates
        self.condition = condition_of(coordinates.raw_factor())
        doubt = 1.0 if "QR" in coordinates.solver else 0.0  # columns are orthonormalised
        #: The relative error of the terms of a residual in the coordinates.
        self.error = 8 * EPS * (fits.k + 4) * (1 + doubt * self.condition)
        self._size = np.sqrt((fits.A.rows(np.arange(fits.n)) ** 2).sum(axis=1))
        self._near = np.flatnonzero(~fits.is_far)
        near, targets = self.s[self._near], np.abs(fits.t[self._near])
        self._sums = float(near @ self._size[self._near]), float(near @ targets), float(near.sum())

    def judge(self, basis: Array, mends: int = 0) -> ExactVertex:
        """The model through the rows `basis`; its floats are corrected up to `mends` times to come nearer to them."""
        fits, p = self.fits, self.fits.p
        gamma = fits.through(basis)
        c, v = (float(gamma[0]), gamma[1:]) if fits.standard.intercept else (0.0, gamma)
        w, b = fits.standard.to_users_units(v, c)
        with np.errstate(all="ignore"):
            inverse = np.linalg.inv(fits.A.rows(basis))
            r, size = self._residuals(w, b)
            for _ in range(mends):
                after = self._mend(basis, inverse, w, b)
                now, around = self._residuals(*after)
                if not (np.abs(now) / around)[basis].sum() < (np.abs(r) / size)[basis].sum():
                    break
                (w, b), r, size = after, now, around
            A = fits.A.rows(np.arange(fits.n))
            missed = r[basis]
            doubt = min(1.0, _INVERSE_ERROR + 64 * EPS * self.condition)
            error = doubt * (np.abs(A) @ (np.abs(inverse) @ np.abs(missed))) + 2 * EPS * np.abs(r)
            least = np.maximum(np.abs(r - A @ (inverse @ missed)) - error - 64 * EPS * EPS * size, 0)
            least[basis] = 0
            # Weights can be so large that their rounding exceeds y: such a model must not count as through all rows.
            others = ~((least <= 0) & (np.abs(r) <= self.small))
            unit = np.float64(self.unit) ** p
            loss = float(exact_sums.total(self.s[others] * np.abs(r[others]) ** p) / unit)
            lower = exact_sums.total(self.s * least**p) * (1 - 8 * EPS) / unit
        loss, rows = loss if loss >= 0 else np.inf, np.flatnonzero(~others)
        compared = loss if fits.far is None else self._compared(w, b, r, others) / float(unit)
        return ExactVertex(w, b, rows, loss, max(0.0, float(lower)), compared)

    def _compared(self, w: Array, b: float, r: Array, others: Array) -> float:
        """The loss less the powers of targets that are far, times the p-th power of the unit."""
        fits, p = self.fits, self.fits.p
        assert fits.far is not None
        far = fits.is_far
        middle = float(np.median(self.y)) if fits.standard.intercept else 0.0
        m = -exact_sums.residuals(
            self.scaled[far], np.full(len(fits.far.t), middle), w * self.unit / self.units, b * self.unit
        )
        t = self.y[far] - middle
        m = np.where(others[far], m, t)
        with np.errstate(all="ignore"):
            near = exact_sums.total((self.s * np.abs(r) ** p)[others & ~far])
            return near + float(FarRows(fits.far.A, t, fits.far.s, p).changes(m[None])[0])

    def _residuals(self, w: Array, b: float) -> tuple[Array, Array]:
        """The residuals of (w, b), times the unit, and for each the sum of its absolute terms."""
        shares = w * self.unit / self.units
        r = exact_sums.residuals(self.scaled, self.y, shares, b * self.unit)
        return r, np.abs(self.y) + np.abs(self.scaled) @ np.abs(shares) + abs(b * self.unit)

    def _mend(self, basis: Array, inverse: Array, w: Array, b: float) -> tuple[Array, float]:
        """(w, b) corrected by their residuals in the rows of the basis."""
        standard = self.fits.standard
        step = inverse @ (self._residuals(w, b)[0][basis] / self.unit / standard.scale)
        w = w + standard.weights_of_step(step[int(standard.intercept) :])
        if standard.intercept:  # the residuals in these rows now differ by rounding alone: b takes them away
            r, size = self._residuals(w, b)
            b = b + float(r[basis[size[basis].argmin()]] / self.unit)
        return w, b

    def shifts(self, gammas: Array, bases: Array, determinants: Array) -> Array:
        """Error bounds of the residuals of models (K, k) through rows (K, k), divided by the length of a row."""
        length = np.hypot.reduce(gammas, axis=1)  # squares may overflow
        with np.errstate(all="ignore"):
            terms = (np.abs(self.fits.t[bases]) / self._size[bases]).max(axis=1, initial=0) + length
            return self.error * (self.fits.k**1.5 * terms / np.abs(determinants) + length)

    def errors(self, shifts: Array, gammas: Array) -> Array:
        """How much the losses of such models may be wrong, at most."""
        p, (sizes, targets, weight) = self.fits.p, self._sums
        with np.errstate(all="ignore"):
            near = weight ** (1 - p) * (shifts * sizes + self.error * targets) ** p
            far = 0.0 if self.fits.far is None else self.fits.far.errors(gammas, shifts, self.error)
            return np.asarray(near + far)

    def bounds(self, gammas: Array, bases: Array, shifts: Array) -> tuple[Array, Array]:
        """The least and the most that the losses of such models may be, residual by residual; less their base."""
        fits, p = self.fits, self.fits.p
        A, bound = fits.A.rows(np.arange(fits.n)), np.empty((2, len(gammas)))
        s = np.where(fits.is_far, 0.0, self.s)
        for start in range(0, len(gammas), _PART):
            some = slice(start, start + _PART)
            r = np.abs(fits.t - np.einsum("ki,ni->kn", gammas[some], A))
            error = shifts[some, None] * self._size + self.error * np.abs(fits.t)
            for k, size in enumerate((np.maximum(r - error, 0), r + error)):
                np.put_along_axis(size, bases[some], 0, axis=1)
                bound[k, some] = (s * np.where(fits.is_far, 0.0, size) ** p).sum(axis=1)
        if fits.far is not None:
            changes, errors = fits.far.of_models(gammas), fits.far.errors(gammas, shifts, self.error)
            bound += changes + np.array([[-1.0], [1.0]]) * errors
        return bound[0], bound[1]

    def are_singular(self, bases: Array) -> Array:
        """Whether rows (Q, k) of the columns as given determine no model, by determinants modulo two primes."""
        coordinates = self.fits.standard.coordinates
        kept = np.arange(self.X.shape[1]) if coordinates.kept is None else coordinates.kept
        found = np.ones(len(bases), bool)
        for prime in PRIMES:
            rows = Elimination(prime, coordinates.ones, kept, np.zeros(0, int)).residues(self.X)
            found &= _singular(rows[bases], np.uint64(prime))
        return found


def _singular(A: Array, prime: np.uint64) -> Array:
    """Whether matrices (Q, k, k) of residues are singular, by elimination without divisions."""
    singular, A = np.zeros(len(A), bool), A.copy()
    every = np.arange(len(A))
    for i in range(A.shape[1]):
        pivot = i + (A[:, i:, i] != 0).argmax(axis=1)
        A[every, pivot], A[:, i] = A[:, i].copy(), A[every, pivot]
        singular |= A[:, i, i] == 0
        for j in range(i + 1, A.shape[1]):
            minus = A[:, i] * (prime - A[:, j, i : i + 1]) % prime
            A[:, j] = (A[:, j] * A[:, i, i : i + 1] % prime + minus) % prime
    return singular
