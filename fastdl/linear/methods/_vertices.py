"""From about the least sum of absolute deviations to a vertex of it: a model through k rows, proven by its dual."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastdl.linear._coordinates import EPS, Matrix, factorised

Array = np.ndarray

_NUDGE = 1e-9  # of the residuals: what ties are broken by
_TIGHT = 1e-10  # of a dual value: what it may exceed its bounds by


@dataclass
class Proof:
    """A model and a dual solution: [1, Z]' (s dual) = g, within -1 and 1 but for `excess`."""

    gamma: Array
    dual: Array
    excess: float

    def gap(self, A: Matrix, t: Array, s: Array, loss: float) -> float:
        """How far below `loss`, that of gamma on all rows, the dual bound is."""
        r = A.minus(t, self.gamma)
        slack = float(np.add.reduce(s * (np.abs(r) - self.dual * r)))
        return loss - (loss - slack) / (1 + max(self.excess, 0.0))


class Vertex:
    """The model through the k rows `basis`, where t is shaken by `shake`, and its dual solution.

    `excess` is the largest dual value less 1: where it is not above 0, but for rounding, no model is better.
    """

    def __init__(self, A: Matrix, t: Array, s: Array, g: Array, basis: Array, shake: Array | None = None):
        self.A, self.t, self.s, self.g, self.basis = A, t, s, g, basis
        self.inverse = np.linalg.inv(A.rows(basis))
        aim = t if shake is None else t + shake
        self.r = A.minus(aim, self._through(aim))
        self.r[basis] = 0
        self.dual = np.sign(self.r)
        self.dual[basis] = self.inverse.T @ (g - A.products(s * self.dual)) / s[basis]
        size = np.abs(self.dual[basis])
        self.worst = int(size.argmax())
        self.excess = float(size[self.worst]) - 1

    def _through(self, aim: Array) -> Array:
        gamma = self.inverse @ aim[self.basis]
        return gamma + self.inverse @ (aim[self.basis] - self.A.rows(self.basis) @ gamma)

    def plain(self) -> Array:
        """The model through the rows as they are."""
        return self._through(self.t)

    def proof(self) -> Proof:
        """Of the model through the rows as they are."""
        return Proof(self._through(self.t), self.dual, self.excess)

    def balanced(self, tied: Array, dual: Array) -> Proof:
        """With dual values for all `tied` rows, those the model goes through, from about such values."""
        dual = np.where(tied, np.clip(dual, -1, 1), np.sign(self.r))
        room = np.where(tied, 1 - dual * dual, 0.0)
        solve = factorised(self.A.gram(self.s * room))
        for _ in range(2):
            dual += room * self.A.dot(solve(self.g - self.A.products(self.s * dual)))
        return Proof(self._through(self.t), dual, float(np.abs(dual[tied]).max()) - 1)

    def exchange(self, column: int) -> Array | None:
        """The basis after moving along the edge that leaves its row `column`, to the least loss on it.

        None where the edge does not end: the linear term is then not balanced by the rows.
        """
        row = self.basis[column]
        side = np.sign(self.dual[row])
        edge = -side * self.inverse[:, column]  # the residual of that row becomes `side` times the step
        along = self.A.dot(edge)  # r - step * along
        along[np.abs(along) <= 1e-11 * np.abs(along).max()] = 0  # of rows that the edge is within
        along[self.basis] = 0
        with np.errstate(divide="ignore", invalid="ignore"):
            step = self.r / along
        ahead = np.flatnonzero((step > 0) & np.isfinite(step))
        slope = self.s[row] * (1 - abs(self.dual[row]))  # of the loss: below 0
        order = ahead[np.argsort(step[ahead], kind="stable")]
        rise = slope + 2 * np.cumsum(self.s[order] * np.abs(along[order]))
        stop = int(np.searchsorted(rise, 0))
        if stop == len(order):
            return None
        basis = self.basis.copy()
        basis[column] = order[stop]
        return basis


def vertex(A: Matrix, t: Array, s: Array, g: Array, preference: Array, dual: Array) -> Proof | None:
    """The optimal vertex, from how likely it goes through each row, and about its dual; None where there is none."""
    basis = independent_rows(A, preference)
    if basis is None:
        return None
    start = Vertex(A, t, s, g, basis)
    shake = None
    rounding = 64 * EPS * (np.abs(t) + np.abs(t - start.r))
    size = np.abs(start.r)
    tied = size <= rounding + 1e-13 * np.median(size)
    if start.excess > _TIGHT and np.count_nonzero(tied) > A.width:
        proof = start.balanced(tied, dual)
        if proof.excess <= _TIGHT:
            return proof
        draw = np.random.Generator(np.random.Philox(0)).uniform(-1, 1, len(t))
        shake = draw * (16 * rounding + (_NUDGE * np.median(size[~tied]) if not tied.all() else 0.0))
    seen: set[frozenset[int]] = set()
    for _ in range(20 * A.width + 200):
        now = Vertex(A, t, s, g, basis, shake)
        if now.excess <= _TIGHT:
            return now.proof()
        if (rows := frozenset(basis.tolist())) in seen:
            break
        seen.add(rows)
        after = now.exchange(now.worst)
        if after is None:
            return None
        basis = after
    return Proof(now.proof().gamma, np.clip(dual, -1, 1), 0.0)  # exchanges within rounding: what is known is the dual


def independent_rows(A: Matrix, preference: Array) -> Array | None:
    """k rows that determine a model, those of high preference first; None where no rows do."""
    k = A.width
    order = np.argsort(-preference, kind="stable")
    for count in (min(8 * k, len(order)), min(64 * k, len(order)), len(order)):
        some = order[:count]
        rows = A.rows(some)
        Q = rows * (preference[some] / preference[order[0]])[:, None]
        least = 1e-20 * (Q * Q).sum(axis=1)  # rounding, of a row that others determine
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
