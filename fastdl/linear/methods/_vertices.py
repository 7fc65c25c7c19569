"""The last steps of least absolute deviations: exchange rows until a model through k of them is optimal by its dual."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fastdl._typing import Array
from fastdl.linear._coordinates import EPS
from fastdl.linear._matrix import DesignMatrix, factorize

_NUDGE = 1e-11  # of the median residual: breaks ties; far above rounding, and far below the gap to be proven
_TIGHT = 1e-10  # by so much a dual value may exceed 1: rounding
_MOST = 1e100  # a preference is no larger, nor smaller than the largest by this: their squares are added
_DRAWS = 4  # random perturbations that are tried before the dual of the interior point method is used


@dataclass
class Proof:
    """A model and dual values, which give a lower bound of the loss if [1, Z]' (s dual) = g; near it, about one."""

    gamma: Array
    dual: Array
    basis: Array | None = None

    def slack(self, A: DesignMatrix, t: Array, s: Array) -> float:
        """How much the loss of gamma exceeds <s dual, residuals>, the lower bound that a dual solution gives."""
        r = A.minus(t, self.gamma)
        return float(np.add.reduce(s * (np.abs(r) - self.dual * r)))

    def imbalance(self, A: DesignMatrix, s: Array, g: Array) -> Array:
        """[1, Z]' (s dual) - g, which is 0 for a dual solution."""
        return A.products(s * self.dual) - g


class Vertex:
    """The model through the k rows `basis`, t perturbed by `shake`, and its dual values.

    `excess` is the largest absolute dual value less 1: where it is 0 or less, up to rounding, the model is optimal.
    """

    def __init__(self, rows: VertexRows, basis: Array, shake: Array | None = None):
        self.rows, self.basis = rows, basis
        A, t, s = rows.A, rows.t, rows.s
        self.inverse = np.linalg.inv(A.rows(basis))
        aim = t if shake is None else t + shake
        self.r = A.minus(aim, self._through(aim))
        self.r[basis] = 0
        self.dual = np.sign(self.r)
        self.dual[basis] = self.inverse.T @ (rows.g - A.products(s * self.dual)) / s[basis]
        size = np.abs(self.dual[basis])
        self.worst = int(size.argmax())
        self.excess = float(size[self.worst]) - 1

    def _through(self, aim: Array) -> Array:
        gamma = self.inverse @ aim[self.basis]
        return gamma + self.inverse @ (aim[self.basis] - self.rows.A.rows(self.basis) @ gamma)

    def proof(self) -> Proof:
        """The proof for the model through the rows of the basis, without the perturbation."""
        return Proof(self._through(self.rows.t), np.clip(self.dual, -1, 1), self.basis)

    def balance(self, tied: Array, dual: Array) -> Proof | None:
        """A proof where the model goes through more than k rows: `dual`, about right for the `tied` rows, is corrected.

        None where no dual values within -1 and 1 are found.
        """
        A, s, g = self.rows.A, self.rows.s, self.rows.g
        dual = np.where(tied, np.clip(dual, -1, 1), np.sign(self.r))
        room = np.where(tied, 1 - dual * dual, 0.0)
        solve = factorize(A.gram(s * room))
        for _ in range(2):
            dual += room * A.dot(solve(g - A.products(s * dual)))
        if not np.abs(dual[tied]).max() <= 1 + _TIGHT:
            return None
        proof = Proof(self._through(self.rows.t), np.clip(dual, -1, 1), self.basis)
        return proof if self.rows.shift(proof.imbalance(A, s, g)) <= _TIGHT else None

    def exchange(self, column: int) -> Array | None:
        """The basis after the model leaves the row at `column` and moves along the edge to the minimum on it.

        None where the loss falls without end: the linear term then outweighs the rows.
        """
        s = self.rows.s
        row = self.basis[column]
        side = np.sign(self.dual[row])
        edge = -side * self.inverse[:, column]  # the residual of that row becomes `side` times the step
        along = self.rows.A.dot(edge)  # r - step * along
        along[np.abs(along) <= 1e-13 * self.rows.sizes(edge)] = 0  # rounding: the residual is constant along the edge
        along[self.basis] = 0
        with np.errstate(divide="ignore", invalid="ignore"):
            step = self.r / along
        ahead = np.flatnonzero((step > 0) & np.isfinite(step))
        slope = s[row] * (1 - abs(self.dual[row]))  # of the loss: below 0
        order = ahead[np.argsort(step[ahead], kind="stable")]
        rise = slope + 2 * np.cumsum(s[order] * np.abs(along[order]))
        stop = int(np.searchsorted(rise, 0))
        if stop == len(order):
            return None
        basis = self.basis.copy()
        basis[column] = order[stop]
        return basis


class VertexRows:
    """The rows of a problem min sum s |t - [1, Z] gamma| + <g, gamma>, and what their vertices share."""

    def __init__(self, A: DesignMatrix, t: Array, s: Array, g: Array):
        self.A, self.t, self.s, self.g = A, t, s, g
        self._absolute: DesignMatrix | None = None
        self._solve: Callable[[Array], Array] | None = None

    def sizes(self, gamma: Array) -> Array:
        """For each row the sum of the absolute terms of [1, Z] gamma, which bounds its rounding error."""
        if self._absolute is None:
            self._absolute = DesignMatrix(np.abs(self.A.Z), self.A.ones)
        return self._absolute.dot(np.abs(gamma))

    def shift(self, imbalance: Array) -> float:
        """The largest change of a dual value in the correction that takes an imbalance away."""
        if self._solve is None:
            self._solve = factorize(self.A.gram(self.s))
        return float(np.abs(self.A.dot(self._solve(imbalance))).max(initial=0))

    def improve(self, basis: Array, shake: Array | None) -> tuple[Vertex | None, bool]:
        """The vertex where exchanges from `basis` end, and whether it is optimal; None if the loss is unbounded."""
        seen: set[frozenset[int]] = set()
        for _ in range(20 * self.A.width + 200 + len(self.t) // 8):
            now = Vertex(self, basis, shake)
            if now.excess <= _TIGHT:
                return now, True
            if (rows := frozenset(basis.tolist())) in seen:
                break
            seen.add(rows)
            after = now.exchange(now.worst)
            if after is None:
                return None, False
            basis = after
        return now, False


def vertex(A: DesignMatrix, t: Array, s: Array, g: Array, preference: Array, dual: Array) -> Proof | None:
    """The optimal vertex; `preference` is large for rows it may go through, `dual` about its dual. None: unbounded."""
    basis = independent_rows(A, _bounded(preference))
    if basis is None:
        return None
    rows = VertexRows(A, t, s, g)
    try:
        return _optimal_vertex(rows, basis, dual)
    except np.linalg.LinAlgError:  # rows that are dependent up to rounding
        return None


def _bounded(preference: Array) -> Array:
    """Preferences that can be divided and squared: the interior point method's go to infinity for rows it comes to."""
    known = np.nan_to_num(preference, nan=0.0, posinf=_MOST, neginf=0.0).clip(0, _MOST)
    return np.maximum(known, 1e-100 * known.max(initial=0) or 1.0)


def _optimal_vertex(rows: VertexRows, basis: Array, dual: Array) -> Proof | None:
    start = Vertex(rows, basis)
    if start.excess <= _TIGHT:
        return start.proof()
    size = np.abs(start.r)
    rounding = 64 * EPS * (np.abs(rows.t) + rows.sizes(start.proof().gamma))
    tied = size <= rounding + 1e-13 * np.median(size)
    many = np.count_nonzero(tied) > rows.A.width
    if many and np.isfinite(dual).all() and (proof := start.balance(tied, dual)):
        return proof
    nudge = 16 * rounding + (_NUDGE * np.median(size[~tied]) if not tied.all() else 0.0)
    end: Vertex | None = start
    for draw in range(_DRAWS + 1):
        shake = None
        if draw or many:
            shake = np.random.Generator(np.random.Philox(draw)).uniform(-1, 1, len(rows.t)) * nudge * 4**draw
        end, optimal = rows.improve(basis, shake)
        if end is None:
            return None
        if optimal:
            return end.proof()
        basis = end.basis
    # Exchanges cycled within rounding: the dual of the interior point method is the best that is known.
    known = np.clip(np.where(np.isfinite(dual), dual, 0.0), -1, 1)
    assert end is not None
    return Proof(end.proof().gamma, known, end.basis)


def independent_rows(A: DesignMatrix, preference: Array) -> Array | None:
    """k independent rows, which determine a model, chosen by pivoting in order of preference; None where none are."""
    k = A.width
    order = np.argsort(-preference, kind="stable")
    for count in (min(8 * k, len(order)), min(64 * k, len(order)), len(order)):
        some = order[:count]
        rows = A.rows(some)
        Q = rows * (preference[some] / preference[order[0]])[:, None]
        least = 1e-20 * (Q * Q).sum(axis=1)  # squared length below which a row is dependent on those chosen: rounding
        chosen: list[int] = []
        for _ in range(k):
            size = (Q * Q).sum(axis=1)
            size[size <= least] = 0
            size[chosen] = 0
            best = int(size.argmax())
            if not size[best]:
                break
            chosen.append(best)
            q = Q[best] / np.sqrt(size[best])
            for _ in range(2):
                Q = Q - np.outer(Q @ q, q)
        if len(chosen) == k and (count == len(order) or np.linalg.cond(rows[chosen]) < 1e12):
            return some[chosen]
    return None
