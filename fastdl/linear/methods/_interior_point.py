"""The Frisch-Newton interior point method for least absolute deviations.

The method of Portnoy and Koenker (1997) with Mehrotra's predictor and corrector, for weighted rows and a linear term:
min sum s |t - [1, Z] gamma| + <g, gamma>, whose dual is max <t, s a> for -1 <= a <= 1 and [1, Z]' (s a) = g.
"""

from __future__ import annotations

import numpy as np

from fastdl.linear._coordinates import EPS
from fastdl.linear._matrix import DesignMatrix, factorize

Array = np.ndarray

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
    n = len(t)
    rhs = (A.products(s) + g) / 2
    x = np.full(n, 0.5)  # the dual value of each row, as a share of the way from -s to s
    v = x.copy()
    r = s * A.minus(t, gamma)
    least = 1e-3 * float(np.abs(r).mean()) + EPS * float(np.abs(s * t).mean()) + 1e-300
    z, w = np.maximum(-r, 0) + least, np.maximum(r, 0) + least  # the multipliers of x >= 0 and v = 1 - x >= 0
    steps: list[tuple[float, float]] = []
    q = np.ones(n)
    best, stalled = np.inf, 0
    for _ in range(_STEPS):
        now, loss = _inner(x, z) + _inner(v, w), float(np.abs(r).sum())
        short = rhs - A.products(s * x)
        steps.append((loss, 2 * now))
        if not 2 * now > gap * loss and np.abs(short).max() <= 1e-9 * s.sum():
            break
        stalled = 0 if 2 * now < 0.9 * best else stalled + 1
        if stalled > _STALLED or not np.isfinite(now):
            break
        best = min(best, 2 * now)
        q = 1 / (z / x + w / v)
        solve = factorize(A.gram(s * s * q))
        dy = solve(short - A.products(s * q * r))
        dx = q * (s * A.dot(dy) + r)
        dz, dw = -z * (1 + dx / x), -w * (1 - dx / v)
        ap, ad = min(_reach(x, dx), _reach(v, -dx)), min(_reach(z, dz), _reach(w, dw))
        if min(ap, ad) < 1:
            after = _inner(x + ap * dx, z + ad * dz) + _inner(v - ap * dx, w + ad * dw)
            mu = now * (after / now) ** 3 / (2 * n)
            xz, vw = dx * dz / x, dx * dw / v
            center = mu * (1 / x - 1 / v) - xz - vw
            dy = solve(short - A.products(s * q * (r + center)))
            dx = q * (s * A.dot(dy) + r + center)
            dz, dw = -z + (mu - z * dx) / x - xz, -w + (mu + w * dx) / v + vw
            ap, ad = min(_reach(x, dx), _reach(v, -dx)), min(_reach(z, dz), _reach(w, dw))
        if not (np.isfinite(dy).all() and np.isfinite(dx).all()):
            break
        x, v, z, w = x + ap * dx, v - ap * dx, z + ad * dz, w + ad * dw
        gamma = gamma - ad * dy
        r = s * A.minus(t, gamma)
    return gamma, np.sqrt(q) * s, 2 * x - 1, steps


def _inner(a: Array, b: Array) -> float:
    """The inner product; not by BLAS, which would sum long vectors on several threads, in an order of its own."""
    return float(np.add.reduce(a * b))


def _reach(x: Array, dx: Array) -> float:
    """The longest step, at most 1, for which x + step dx stays above 0."""
    return min(1.0, _SHORT / max(float((-dx / x).max()), 1e-300))
