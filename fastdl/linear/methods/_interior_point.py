"""The Frisch-Newton interior point method for least absolute deviations.

The method of Portnoy and Koenker (1997) with Mehrotra's predictor and corrector, for weighted rows and a linear term:
min sum s |t - [1, Z] gamma| + <g, gamma>, whose dual is max <t, s a> for -1 <= a <= 1 and [1, Z]' (s a) = g.

A step takes one weighted Gram matrix, whose last column is the right side of the first system, three residuals and two
products with the columns; what it does to each row are five kernels (linear_interior).
"""

from __future__ import annotations

import numpy as np

from fastdl import _kernels
from fastdl.linear._coordinates import EPS
from fastdl.linear._matrix import DesignMatrix, factorize
from fastdl.reference import _linear_kernels

Array = np.ndarray
kernel = _kernels.load("linear_interior") or _linear_kernels

_STEPS = 100  # at most
_STALLED = 8  # steps in which the gap does not fall by a tenth: rounding dominates, and exchanges of rows do the rest
_SHORT = 0.99995  # of the way to where a variable becomes 0, as in Portnoy and Koenker's code


def interior(
    A: DesignMatrix, t: Array, s: Array, g: Array, gamma: Array, gap: float = 1e-10
) -> tuple[Array, Array, Array, list[tuple[float, float]]]:
    """(gamma, preference, dual, steps): preference is large for rows that gamma goes through; steps are (loss, gap)."""
    with np.errstate(all="ignore"):  # where there is no solution, the steps go to infinity
        return _interior(A, t, s, g, gamma, gap)


def _interior(
    A: DesignMatrix, t: Array, s: Array, g: Array, gamma: Array, gap: float
) -> tuple[Array, Array, Array, list[tuple[float, float]]]:
    rows = _Rows(A, t, s, gamma)
    rhs = (A.products(s) + g) / 2
    steps: list[tuple[float, float]] = []
    best, stalled, lacked = np.inf, 0, np.inf
    for _ in range(_STEPS):
        now, loss = rows.gap(), rows.loss()
        short = rhs - A.products(rows.after[1])
        steps.append((loss, 2 * now))
        lacks = float(np.abs(short).max())
        if not 2 * now > gap * loss and (lacks <= 1e-9 * rows.weight or lacks > lacked):  # or rounding has taken over
            break
        lacked = lacks
        stalled = 0 if 2 * now < 0.9 * best else stalled + 1
        if stalled > _STALLED or not np.isfinite(now):
            break
        best = min(best, 2 * now)
        step = rows.step(short, now)
        if step is None:
            break
        rows.advance(*step)
    x, q = rows.state[0], rows.by[2]
    return rows.gamma, np.sqrt(q) * s, 2 * x - 1, steps


class _Rows:
    """The model, the state of each row (x, v, z, w), and room for what the steps compute of it."""

    def __init__(self, A: DesignMatrix, t: Array, s: Array, gamma: Array):
        self.A, self.t, self.s, self.gamma = A, t, s, gamma
        n = len(t)
        self.r = A.minus(t, gamma)
        size = s * np.abs(self.r)
        least = 1e-3 * float(size.mean()) + EPS * float(np.abs(s * t).mean()) + 1e-300
        over, below = np.maximum(-s * self.r, 0) + least, np.maximum(s * self.r, 0) + least
        # The way of each dual value from -s to s, and the multipliers of x >= 0 and v = 1 - x >= 0.
        self.state = np.array([np.full(n, 0.5), np.full(n, 0.5), over, below])
        self.weight = float(np.add.reduce(s))
        self.by, self.affine, self.middle = np.ones((4, n)), np.empty((5, n)), np.zeros((4, n))
        self.direct = np.empty((5, n))
        self.after = np.array([0.5 * (over + below), 0.5 * s])  # x z + v w, and s x

    def gap(self) -> float:
        return float(np.add.reduce(self.after[0]))

    def loss(self) -> float:
        return float(np.add.reduce(self.s * np.abs(self.r)))

    def step(self, short: Array, now: float) -> tuple[Array, float, float] | None:
        """(change of the model, how far to go with x and v, and with the model, z and w): Mehrotra's."""
        A, s, n = self.A, self.s, len(self.t)
        kernel.scale(self.state, s, self.by)
        G, slope = A.gram_and_products(self.by[3], self.r)
        solve = factorize(G)
        dy = solve(short - slope)
        self._see_affine(dy)
        dx, ahead, back, gain, bend = self.affine
        ap, ad = _reach(ahead), _reach(back, 1.0)
        if min(ap, ad) < 1:
            along = float(np.add.reduce(gain))
            after = now + ap * along - ad * (now + along) - ap * ad * (along + float(np.add.reduce(bend)))
            mu = now * (after / now) ** 3 / (2 * n)
            kernel.center(self.state, s, self.by, dx, mu, self.middle)
            dy = solve(short - slope - A.products(self.middle[3]))
        else:
            mu = 0.0
            self.middle[:] = 0
        r = A.minus(self.t, self.gamma - dy)
        kernel.direct(self.state, s, self.by, r, self.middle, mu, self.direct)
        ap, ad = _reach(self.direct[3]), _reach(self.direct[4])
        finite = np.isfinite(dy).all() and np.isfinite(self.direct[0]).all()
        return (dy, ap, ad) if finite else None

    def _see_affine(self, dy: Array) -> None:
        r = self.A.minus(self.t, self.gamma - dy)
        kernel.affine(self.state, self.s, self.by, r, self.affine)

    def advance(self, dy: Array, primal: float, dual: float) -> None:
        self.gamma = self.gamma - dual * dy
        kernel.advance(self.state, self.direct, primal, dual, self.s, self.after)
        self.r = self.A.minus(self.t, self.gamma)


def _reach(shares: Array, more: float = 0.0) -> float:
    """How far to go, at most 1, for what is shortened by these shares to stay above 0."""
    return min(1.0, _SHORT / max(float(shares.max()) + more, 1e-300))
