"""Powers of residuals of rows so far from the others that these would be lost in the sum.

|t - m|^p - |t|^p of a row's target t and what a model gives it, m: of t = 1e50 and p = 0.5 the powers are 1e25, and
their difference is some 1e-25 m. So the losses of models are compared less the sum of |t|^p of such rows.
"""

from __future__ import annotations

import numpy as np

from fastdl._typing import Array
from fastdl.linear._coordinates import EPS

FAR = 1e9  # spreads from the median


class FarRows:
    """Rows (A, t, s) whose targets are far, and powers of the residuals of models less those of the targets."""

    def __init__(self, A: Array, t: Array, s: Array, p: float):
        self.A, self.t, self.s, self.p = A, t, s, p
        with np.errstate(over="ignore"):
            self.powers = s * np.abs(t) ** p
        #: The sum of the powers of the targets.
        self.base = float(np.add.reduce(self.powers))

    def changes(self, m: Array) -> Array:
        """The sums over the rows for what models give them, m (K, rows)."""
        return np.asarray((self.powers * _relative_changes(m / self.t, self.p)).sum(axis=1))

    def of_models(self, gammas: Array) -> Array:
        """The sums for models (K, k)."""
        return self.changes(gammas @ self.A.T)

    def errors(self, gammas: Array, shifts: Array, error: float) -> Array:
        """How much these may be wrong, for values wrong by `shifts` a unit of length, and by `error` of them."""
        m, size = gammas @ self.A.T, np.sqrt((self.A**2).sum(axis=1))
        with np.errstate(all="ignore"):
            off = shifts[:, None] * size + error * np.abs(m)
            away = np.abs(m) < np.abs(self.t) / 2  # the row keeps half of its distance: its power is nearly linear
            slope = self.p * 2 * off * np.abs(self.t) ** (self.p - 1)
            each = self.s * np.where(away, slope, (off + error * np.abs(self.t)) ** self.p)
            each += 8 * EPS * self.powers * np.where(away, np.abs(m / self.t), 1)
        return np.asarray(each.sum(axis=1))


def _relative_changes(u: Array, p: float) -> Array:
    """|1 - u|^p - 1."""
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.where(np.abs(u) < 0.5, np.log1p(-np.clip(u, -0.5, 0.5)), np.log(np.abs(1 - u)))
    return np.expm1(p * logs)


def power_changes(r: Array, along: Array, steps: Array, s: Array | float, p: float) -> Array:
    """The sums of s (|r - step along|^p - |r|^p) for each step, of rows whose residuals r are far."""
    weights = s * np.abs(r) ** p
    return np.asarray((weights * _relative_changes(steps[:, None] * (along / r), p)).sum(axis=1))
