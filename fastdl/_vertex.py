"""From about the least sum of absolute deviations to a vertex of it: a model through k rows, proven by its dual."""

from __future__ import annotations

import numpy as np

from fastdl._gram import EPS, Matrix

Array = np.ndarray

_NUDGE = 1e-9  # of the residuals: what ties are broken by


class Vertex:
    """A model gamma through the k rows `basis`, and the proof that none is better.

    `excess` is the largest |a| / s of the dual solution over the basis less 1: where it is not above 0 (but for
    rounding), gamma is optimal.
    """

    def __init__(self, A: Matrix, t: Array, s: Array, g: Array, basis: Array, shake: Array | None = None):
        self.A, self.t, self.s, self.g, self.basis, self.shake = A, t, s, g, basis, shake
        self.inverse = np.linalg.inv(A.rows(basis))
        aim = t if shake is None else t + shake
        self.gamma = self._through(aim)
        self.r = A.minus(aim, self.gamma)
        self.r[basis] = 0
        self.signs = np.sign(self.r)
        self.dual = self.inverse.T @ (g - A.products(s * self.signs))
        ratio = np.abs(self.dual) / s[basis]
        self.worst = int(ratio.argmax())
        self.excess = float(ratio[self.worst]) - 1

    def _through(self, aim: Array) -> Array:
        gamma = self.inverse @ aim[self.basis]
        return gamma + self.inverse @ (aim[self.basis] - self.A.rows(self.basis) @ gamma)

    def plain(self) -> Array:
        """The model through the rows as they are."""
        return self._through(self.t)

    def certified(self, loss: float) -> tuple[float, float]:
        """(loss, gap) for the loss of `plain`: what the dual solution leaves open."""
        r = self.A.minus(self.t, self.plain())
        r[self.basis] = 0
        slack = float(np.add.reduce(self.s * (np.abs(r) - self.signs * r)))
        return loss, loss - (loss - slack) / (1 + max(self.excess, 0.0))

    def exchange(self, column: int) -> Array | None:
        """The basis after moving along the edge that leaves its row `column`, to the least loss on it.

        None where the edge does not end: the linear term is then not balanced by the rows.
        """
        side = np.sign(self.dual[column])
        edge = -side * self.inverse[:, column]  # the residual of that row becomes `side` times the step
        along = self.A.dot(edge)  # r - step * along
        along[self.basis] = 0
        with np.errstate(divide="ignore", invalid="ignore"):
            step = self.r / along
        ahead = np.flatnonzero((step > 0) & np.isfinite(step))
        slope = self.s[self.basis[column]] - abs(self.dual[column])  # of the loss: below 0
        order = ahead[np.argsort(step[ahead], kind="stable")]
        rise = slope + 2 * np.cumsum(self.s[order] * np.abs(along[order]))
        stop = int(np.searchsorted(rise, 0))
        if stop == len(order):
            return None
        basis = self.basis.copy()
        basis[column] = order[stop]
        return basis


def vertex(A: Matrix, t: Array, s: Array, g: Array, preference: Array) -> Vertex | None:
    """The optimal vertex, from the rows it most likely goes through; None where there is none."""
    basis = independent_rows(A, preference)
    start = Vertex(A, t, s, g, basis)
    tied = (
        np.abs(start.r) <= 64 * EPS * (np.abs(t) + np.abs(A.minus(t, start.gamma) - t)) + 1e-13 * np.abs(start.r).mean()
    )
    shake = None
    if np.count_nonzero(tied) > A.width:
        draw = np.random.Generator(np.random.Philox(0)).uniform(-1, 1, len(t))
        shake = _NUDGE * draw * (np.abs(start.r).mean() + EPS * np.abs(t).max())
    for _ in range(20 * A.width + 200):
        now = Vertex(A, t, s, g, basis, shake)
        if now.excess <= 1e-10:
            return now
        after = now.exchange(now.worst)
        if after is None:
            return None
        basis = after
    return now


def independent_rows(A: Matrix, preference: Array) -> Array:
    """k rows that determine a model, those of high preference first."""
    k = A.width
    order = np.argsort(-preference, kind="stable")
    for count in (8 * k, 64 * k, len(order)):
        some = order[:count]
        rows = A.rows(some)
        Q = rows * (preference[some] / preference[order[0]])[:, None]
        chosen: list[int] = []
        for _ in range(k):
            size = (Q * Q).sum(axis=1)
            size[chosen] = -1
            best = int(size.argmax())
            if not size[best] > 0:
                break
            chosen.append(best)
            q = Q[best] / np.sqrt(size[best])
            for _ in range(2):
                Q = Q - np.outer(Q @ q, q)
        if len(chosen) == k and np.linalg.cond(rows[chosen]) < 1e12:
            break
    return some[chosen]
