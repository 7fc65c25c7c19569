"""Intervals of the coefficients of a quantile by inverting rank tests (Koenker, "Confidence intervals for regression
quantiles", 1994).

The test of a value b of coefficient j is x_j'(a - (1 - tau)), a being the regression rank scores of the fit with this
coefficient held at b. That is the slope, by b, of the least check loss with the coefficient at b: convex and piecewise
linear. So the value at which the test exceeds its limit is that coefficient in the fit of check loss less a multiple of
the coefficient: a linear term, and one fit for each end. How long that vertex stays the best as the multiple changes is
the step of the test there, and its neighbour is the value before, between which the ends are interpolated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastdl._rows import Rows
from fastdl._typing import Array
from fastdl.linear._coordinates import Coordinates
from fastdl.linear._robust_coordinates import RobustCoordinates
from fastdl.linear.methods import vertex as least_absolute
from fastdl.linear.methods._kept_signs import AbsoluteProblem, solve_vertex
from fastdl.linear.methods._vertices import Vertex, VertexRows

_CLIPPED = 1e9  # spreads from the median: beyond, the size of a residual is left out
_SHAKE = 1e-10  # of the median residual, so that no two values of the tests are the same
_TURNS = 1000  # values that are taken for one


def rank_intervals(coordinates: Coordinates, rows: Rows, tau: float, reach: Array) -> Array:
    """(D + 1, 2): from and to, of b and the weights; `reach` is how far test by test slopes go, NaN for none."""
    robust = RobustCoordinates(coordinates, rows)
    A, t, s = least_absolute.in_memory(robust, [robust.scaled(*rows.gathered())])
    intervals = np.full((len(reach), 2), np.nan)
    if not robust.rank:
        return intervals
    nothing = np.append(*robust.model(np.zeros(robust.rank))[::-1])
    change = np.array([np.append(*robust.model(unit)[::-1]) - nothing for unit in np.eye(robust.rank)]).T
    t = np.clip(t, -_CLIPPED, _CLIPPED)
    shake = np.random.Generator(np.random.Philox(0)).uniform(-1, 1, len(t))
    t = t + _SHAKE * float(np.median(np.abs(t - np.median(t)))) * shake
    problem = VertexRows(A, t, s, -A.products((2 * tau - 1) * s))
    for j in np.flatnonzero(np.isfinite(reach) & (np.abs(change).max(axis=1) > 0)):
        for side, sign in enumerate((-1.0, 1.0)):
            # Twice the check loss, in the unit of t, less this times the coordinates.
            pull = sign * 2 * reach[j] * robust.y_factor * change[j]
            coefficient = Coefficient(problem, pull, change[j], sign)
            intervals[j, side] = nothing[j] + coefficient.end()
    return intervals


@dataclass
class Coefficient:
    """A coefficient <change, gamma> of vertices, and the linear term `pull` of its test at the limit."""

    rows: VertexRows
    pull: Array
    change: Array
    sign: float

    def end(self) -> float:
        """The end of the interval; infinite where no value exceeds the limit."""
        rows = self._pulled(1.0)
        proof, _ = solve_vertex(AbsoluteProblem(rows.A, rows.t, rows.s, rows.g), np.zeros(rows.A.width))
        if proof is None or proof.basis is None:
            return self.sign * np.inf
        value = self._value(proof.basis)
        low, inside = self._walk(proof.basis, value, -1)
        high, _ = self._walk(proof.basis, value, 1)
        if low <= 0 or inside is None or not low < high < np.inf:
            return value
        return inside + (value - inside) * (1 - low) / (high - low)

    def _walk(self, basis: Array, value: float, way: int) -> tuple[float, float | None]:
        """Up (1) or down (-1) to which share of the pull a value is the best, and the value beyond."""
        share = 1.0
        for _ in range(_TURNS):  # over vertices that ties make the same
            share = self._reach(basis)[way > 0]
            if not 0 < share < np.inf:
                return share, None
            neighbour = self._beyond(basis, share)
            if neighbour is None:
                return share, None
            beyond = self._value(neighbour)
            if not self._is_same(beyond, value):
                return share, beyond
            basis = neighbour
        return share, None

    def _pulled(self, share: float) -> VertexRows:
        rows = self.rows
        return VertexRows(rows.A, rows.t, rows.s, rows.g - share * self.pull)

    def _value(self, basis: Array) -> float:
        return float(self.change @ Vertex(self.rows, basis).proof().gamma)

    def _is_same(self, a: float, b: float) -> bool:
        """Whether values are the same but for the shaking."""
        return abs(a - b) <= 1e4 * _SHAKE * float(np.abs(self.change).sum())

    def _reach(self, basis: Array) -> tuple[float, float]:
        """From which share of the pull to which the vertex is the best."""
        now = Vertex(self.rows, basis)
        dual, slope = now.dual[basis], -now.inverse.T @ self.pull / self.rows.s[basis]
        with np.errstate(divide="ignore", invalid="ignore"):
            ends = np.sort(np.array([(-1 - dual) / slope, (1 - dual) / slope]), axis=0)
        ends = ends[:, slope != 0]
        return float(ends[0].max(initial=-np.inf)), float(ends[1].min(initial=np.inf))

    def _beyond(self, basis: Array, share: float) -> Array | None:
        """The basis after the vertex, for shares below this at which its dual values come to 1."""
        now = Vertex(self._pulled(share), basis)
        return now.exchange(now.worst)
