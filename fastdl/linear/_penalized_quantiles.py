"""Quantiles with a penalty of squares: the interior point method of a quadratic program, and its dual as a proof.

min sum s (|r| + lean r) + l1' |w| + l2' |w|^2, twice the check loss and the penalties. Its dual (Koenker and Bassett,
1978, with the conjugate of the penalties): for alpha = s (a + lean), -1 <= a <= 1, of sum 0 where there is a constant,
no loss is below <y, alpha> - sum_j max(|x_j' alpha| - l1', 0)^2 / (4 l2').
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastdl._rows import Rows
from fastdl._typing import Array
from fastdl.linear import _exact_sums as exact_sums
from fastdl.linear._coordinates import EPS, power_of_two
from fastdl.linear._matrix import DesignMatrix, factorize
from fastdl.linear._robust_coordinates import middle_and_spread

_STEPS = 100
_SHORT = 0.9995  # of the way to the border
_GAP = 1e-13  # of the loss


@dataclass
class PenalizedQuantile:
    """The rows about their medians and in units of their spreads, and the penalties in these units."""

    rows: Rows
    tau: float
    l1: float
    l2: float
    intercept: bool

    def __post_init__(self) -> None:
        X, y, s = self.rows.gathered()
        self.X, self.y, n = X, y, len(y)
        weights = np.ones(n) if s is None else s
        #: Weights and penalties may have any common size.
        self.unit = float(power_of_two(np.maximum(weights.max(initial=0), 1e-300)))
        self.s, self.lean = weights * self.unit, 2 * self.tau - 1
        center, spread = middle_and_spread(np.column_stack([X, y]), self.intercept)
        self.center, self.factor = center[:-1], power_of_two(spread[:-1])
        self.y_center, self.y_factor = float(center[-1]), float(power_of_two(spread[-1]))
        self.first, self.second = 2 * self.l1 * self.unit, 2 * self.l2 * self.unit

    def solve(self) -> tuple[Array, Array, float]:
        """(a, w, b): dual values of the rows, and the model."""
        (n, d), ones = self.X.shape, self.intercept
        if not n or not d + ones:
            return np.sign(self.y), np.zeros(d), 0.0
        Z, t = (self.X - self.center) * self.factor, (self.y - self.y_center) * self.y_factor
        # The penalty of |w_j| is a row whose target is 0, as long as the weight of its column.
        A = np.concatenate([Z, np.eye(d)]) if self.l1 else Z
        t = np.append(t, np.zeros(len(A) - len(Z)))
        s = np.append(self.s, self.first * self.factor[: len(A) - len(Z)])
        column = np.append(np.ones(len(Z)), np.zeros(len(A) - len(Z)))[:, None]
        A = np.concatenate([column, A], axis=1) if ones else A
        lean = self.lean * column[:, 0]
        with np.errstate(all="ignore"):
            Q = np.append(np.zeros(int(ones)), 2 * self.second * (self.factor / self.y_factor) * self.factor)
            a, gamma = _interior(DesignMatrix(np.ascontiguousarray(A), False), t, s, lean, Q, ones)
        w = gamma[int(ones) :] * self.factor / self.y_factor
        b = self.y_center + float(gamma[0]) / self.y_factor - float(np.add.reduce(w * self.center)) if ones else 0.0
        return a[: len(Z)], w, b

    def lower_bound(self, a: Array) -> tuple[float, Array]:
        """(below which no penalised check loss is, x_j' alpha): by dual values a, brought to what they must be.

        Where alpha does not sum to 0 each a is moved by the same; mixed with -lean, of alpha 0, none exceeds 1.
        """
        s, lean = self.s, self.lean
        with np.errstate(all="ignore"):
            alpha = s * (np.clip(a, -1, 1) + lean)
            of_alpha, of_weights = (exact_sums.products(self.X, self.center, g) for g in (alpha, s))
            move = float(of_alpha[0] / of_weights[0]) if self.intercept and len(self.y) else 0.0
            v = (of_alpha - move * of_weights)[1:]
            given, middle = self.y[:, None], np.array([self.y_center])
            products = [exact_sums.products(given, middle, g)[1] for g in (alpha, s)]
            value = float(products[0] - move * products[1])
            rounding = 16 * EPS * (EPS + abs(move))
            change = abs(move) + 8 * EPS
            share = (1 - abs(lean)) / (1 + change - abs(lean))
            slopes = share * (np.abs(v) + rounding * (np.abs(self.X - self.center).T @ s)) * (1 + 8 * EPS)
            over = np.maximum(slopes - self.first, 0) / np.sqrt(self.second)
            squares = float(np.add.reduce(over * over)) / 4
            lower = share * value - squares - 16 * EPS * (abs(value) + squares)
            lower = (lower - rounding * float(s @ np.abs(self.y - self.y_center))) / 2 / self.unit
        return (max(0.0, lower) if np.isfinite(lower) else 0.0), v / self.unit


def _interior(A: DesignMatrix, t: Array, s: Array, lean: Array, Q: Array, ones: bool) -> tuple[Array, Array]:
    """(a, gamma) of the least sum s (|r| + lean r) + <gamma, Q gamma> / 2, r = t - A gamma.

    As `methods._interior_point`, whose dual values x = (a + 1) / 2 and multipliers these are, with Q beside the matrix
    of each step and one length for all that moves: the dual values depend on the model. Returned are the model of the
    least loss and the dual values of the highest bound, of any step: near the end the matrix of a step is so nearly
    singular that the dual values may get worse where `now`, the complementarity, still falls.
    """
    rhs, gamma = (A.products(s) - A.products(s * lean)) / 2, np.zeros(A.width)
    x = (1 - lean) / 2  # dual values that are feasible: of no bound, but within the borders
    v, r = 1 - x, s * A.minus(t, gamma)
    # z - w = -r, none far smaller than others: from a start near a border the steps would be short.
    size = np.hypot(r / 2, float(np.abs(r).mean()) + 1e-300)
    z, w = size - r / 2, size + r / 2
    ends, best, stalled = _Ends(A, t, s, lean, Q, ones), np.inf, 0
    for _ in range(_STEPS):
        now = float(np.add.reduce(x * z) + np.add.reduce(v * w))
        gap = ends.see(2 * x - 1, gamma, r)
        stalled = 0 if now < 0.9 * best else stalled + 1
        best = min(best, now)
        if not gap > _GAP * ends.loss or not 2 * now > EPS * _GAP * ends.loss or stalled > 5:
            break
        short = rhs + Q * gamma / 2 - A.products(s * x)
        q = 1 / (z / x + w / v)
        solve = factorize(A.gram(s * s * q) + np.diag(Q / 2))
        dy = solve(short - A.products(s * q * r))
        dx = q * (s * A.dot(dy) + r)
        dz, dw = -z * (1 + dx / x), -w * (1 - dx / v)
        reach = min(_reach(x, dx), _reach(v, -dx), _reach(z, dz), _reach(w, dw))
        after = float(np.add.reduce((x + reach * dx) * (z + reach * dz)))
        after += float(np.add.reduce((v - reach * dx) * (w + reach * dw)))
        mu = now * (after / now) ** 3 / (2 * len(t))
        xz, vw = dx * dz / x, dx * dw / v
        center = mu * (1 / x - 1 / v) - xz - vw
        dy = solve(short - A.products(s * q * (r + center)))
        dx = q * (s * A.dot(dy) + r + center)
        dz, dw = -z + (mu - z * dx) / x - xz, -w + (mu + w * dx) / v + vw
        reach = min(_reach(x, dx), _reach(v, -dx), _reach(z, dz), _reach(w, dw))
        if not (np.isfinite(dy).all() and np.isfinite(dx).all()):
            break
        x, v, z, w = x + reach * dx, v - reach * dx, z + reach * dz, w + reach * dw
        gamma = gamma - reach * dy
        r = s * A.minus(t, gamma)
    return ends.a, ends.gamma


class _Ends:
    """The best model and the best dual values so far, each by its own value."""

    def __init__(self, A: DesignMatrix, t: Array, s: Array, lean: Array, Q: Array, ones: bool):
        self.A, self.t, self.s, self.lean, self.Q, self.ones = A, t, s, lean, Q, ones
        self.a, self.gamma = np.zeros(len(t)), np.zeros(A.width)
        self.loss, self.bound = np.inf, -np.inf

    def see(self, a: Array, gamma: Array, r: Array) -> float:
        """The gap after these, r being the residuals times the weights.

        The bound is that of `PenalizedQuantile.lower_bound` but for rounding; the constant is the first column.
        """
        loss = float(np.add.reduce(np.abs(r) + self.lean * r) + np.add.reduce(gamma * self.Q * gamma) / 2)
        alpha, share = self.s * (a + self.lean), 1.0
        if self.ones:
            constant = self.s * self.A.Z[:, 0]
            move = float(np.add.reduce(alpha * self.A.Z[:, 0]) / np.add.reduce(constant))
            room = 1 - float(np.abs(self.lean).max())
            alpha, share = alpha - move * constant, room / (room + abs(move))
        slopes, penalized = share * self.A.products(alpha), self.Q > 0
        bound = share * float(np.add.reduce(self.t * alpha))
        bound -= float(np.add.reduce((slopes * slopes / self.Q)[penalized])) / 2
        if loss < self.loss:
            self.loss, self.gamma = loss, gamma
        if bound > self.bound:
            self.bound, self.a = bound, a
        return self.loss - self.bound


def _reach(x: Array, dx: Array) -> float:
    """How far to go, at most 1, for x + step dx to stay above 0."""
    return min(1.0, _SHORT / max(float((-dx / x).max()), 1e-300))
