"""Elemental fits: models through as many rows as they have coefficients, one of which minimizes a loss with p < 1."""

from __future__ import annotations

from itertools import combinations, islice

import numpy as np

from fastdl import _threads
from fastdl.linear._coordinates import EPS, power_of_two
from fastdl.linear._matrix import DesignMatrix
from fastdl.linear._standard_rows import StandardRows
from fastdl.linear.methods._exact_vertices import ExactVertex, ExactVertices
from fastdl.linear.methods._far_rows import FAR, FarRows, power_changes
from fastdl.linear.methods._vertices import independent_rows
from fastdl.losses._row_sums import RowSums
from fastdl.losses.powers import as_loss

Array = np.ndarray

_SINGULAR = -23.0  # log of 1e-10: rows of unit length with a smaller determinant count as dependent
_SAMPLE = 4096  # rows of the first round that screens random models
_POLISH = 1 << 16  # rows that models are polished on, at most
_TRIED = 32  # rows on either side that are tried in place of another
_BATCH = 1 << 14  # models that are evaluated at once
_CORRECTIONS = 3  # of the coefficients of the best model, whose floats miss the rows they should go through
_CANDIDATES = 512  # models that are judged by sums of twice the precision, at most


class _Candidates:
    """Models that may be the best within the errors of their losses; `dropped` is a lower bound of all others."""

    def __init__(self, exact: ExactVertices):
        self.exact, self.dropped = exact, np.inf
        self.least, self.most, self.bases = np.zeros(0), np.zeros(0), np.zeros((0, exact.fits.k), np.intp)

    def add(self, losses: Array, gammas: Array, bases: Array, determinants: Array) -> None:
        """Add models through the rows `bases`, by their losses and the determinants of those rows at unit length."""
        shifts = self.exact.shifts(gammas, bases, determinants)
        errors = self.exact.errors(shifts, gammas)
        least, most = losses - errors, losses + errors
        best = min(self.most.min(initial=np.inf), most.min(initial=np.inf))
        able = np.flatnonzero(~(least > best))  # NaN stays: nothing is known of it
        least, most = least[able], most[able]
        if len(able) > _CANDIDATES:
            least, most = self.exact.bounds(gammas[able], bases[able], shifts[able])
        least, most = np.append(self.least, least), np.append(self.most, most)
        bases = np.concatenate([self.bases, bases[able]])
        able = np.flatnonzero(~(least > most.min(initial=np.inf)))
        able = able[np.argsort(most[able], kind="stable")]
        left = least[able[_CANDIDATES:]]
        if len(left):
            self.dropped = min(self.dropped, float(np.where(np.isnan(left), -np.inf, left).min()))
        self.least, self.most, self.bases = (
            least[able[:_CANDIDATES]],
            most[able[:_CANDIDATES]],
            bases[able[:_CANDIDATES]],
        )


class ElementalFits:
    """The rows in memory, [1, Z] and t, and searches among the models gamma through k of them."""

    def __init__(self, standard: StandardRows, p: float, seed: int):
        self.standard, self.p, self.threads = standard, p, standard.threads
        self.Z, self.t, self.s = standard.gathered()
        self.A = DesignMatrix(self.Z, standard.intercept)
        self.n, self.k = len(self.t), self.A.width
        self.random = np.random.Generator(np.random.Philox(seed))
        self.order = self.random.permutation(self.n)
        far = np.abs(self.t) > FAR
        s = np.ones(self.n) if self.s is None else self.s
        self.far = FarRows(self.A.rows(np.flatnonzero(far)), self.t[far], s[far], p) if far.any() else None
        self.is_far = far
        #: What the losses below are less than those of models.
        self.base = 0.0 if self.far is None else self.far.base

    def gamma(self, v: Array, c: float) -> Array:
        return np.append(c, v) if self.standard.intercept else v

    def losses(self, gammas: Array, rows: Array | None = None) -> Array:
        """The losses of models (K, k) on all rows, or on some; less `base`."""
        Z, t, s = self.Z, self.t, self.s
        if rows is None and self.far is not None:
            rows = np.flatnonzero(~self.is_far)
        if rows is not None:
            Z, t, s = Z[rows], t[rows], None if s is None else s[rows]
        W, b = (gammas[:, 1:], gammas[:, 0]) if self.standard.intercept else (gammas, 0.0)
        losses = RowSums(Z, t, W, b, as_loss(self.p), sample_weight=s).run(False, self.threads)[:, 0]
        return losses if self.far is None else losses + self.far.of_models(gammas)

    def models(self, bases: Array) -> tuple[Array, Array, Array]:
        """The models (K, k) through rows (Q, k), which of the Q have one, and their determinants at unit length."""
        rows = self.A.rows(bases.ravel()).reshape(len(bases), self.k, self.k)
        with np.errstate(divide="ignore", invalid="ignore"):
            # Rows beside one of a huge weight are as long as 1e8: at about one length each is met as well as another.
            unit = power_of_two(np.abs(rows).max(2, initial=0))
            rows, aims = rows * unit[..., None], self.t[bases] * unit
            size = np.log((rows * rows).sum(2)).sum(1) / 2
            determinants = np.linalg.slogdet(rows)[1] - size
            fine = np.flatnonzero(determinants > _SINGULAR)
        gammas = np.linalg.solve(rows[fine], aims[fine][..., None])[..., 0]
        return gammas, fine, np.exp(determinants[fine])

    def through(self, basis: Array) -> Array:
        """The model through these rows, its rounding errors corrected once."""
        rows = self.A.rows(basis)
        unit = power_of_two(np.abs(rows).max(1, initial=0))
        rows, aim = rows * unit[:, None], self.t[basis] * unit
        gamma = np.linalg.solve(rows, aim)
        return gamma + np.linalg.solve(rows, aim - rows @ gamma)

    def loss(self, basis: Array) -> float:
        """The loss of the model through these rows, which do not add to it: (1e-16)^p may be much; less `base`."""
        gamma = self.through(basis)
        r = np.abs(self.A.minus(self.t, gamma))
        r[r <= 64 * EPS * (np.abs(self.t) + np.abs(gamma).sum())] = 0
        r[basis] = 0
        value = r**self.p
        value = value if self.s is None else self.s * value
        if self.far is None:
            return float(np.add.reduce(value))
        through = np.isin(np.flatnonzero(self.is_far), basis)
        m = np.where(through, self.far.t, self.far.A @ gamma)
        return float(np.add.reduce(value[~self.is_far]) + self.far.changes(m[None])[0])

    def best_of_all(self) -> tuple[ExactVertex, float]:
        """The best of all models through k rows, and a lower bound of their losses: -inf if rounding may hide one."""
        exact = ExactVertices(self)
        if not self.k:
            vertex = exact.judge(np.zeros(0, np.intp))
            return vertex, vertex.lower
        found = _Candidates(exact)
        every = combinations(range(self.n), self.k)
        hidden = False
        while batch := list(islice(every, _BATCH)):
            bases = np.array(batch, np.intp)
            gammas, fine, determinants = self.models(bases)
            if len(gammas):
                found.add(self.losses(gammas), gammas, bases[fine], determinants)
            others = np.delete(bases, fine, axis=0)
            hidden = hidden or bool(len(others) and not exact.are_singular(others).all())
        judged = [exact.judge(basis) for basis in found.bases]
        factor = self.standard.scale**self.p
        dropped = (found.dropped + self.base) * (1 if self.far is None else 1 - 16 * EPS)
        lower = min(dropped * factor, *(vertex.lower for vertex in judged))
        best = int(np.argmin([vertex.loss if self.far is None else vertex.compared for vertex in judged]))
        return exact.judge(found.bases[best], _CORRECTIONS), -np.inf if hidden else lower

    def screen(self, count: int, keep: int) -> list[Array]:
        """The best `keep` of `count` random models through k rows: ever fewer models are compared on ever more rows."""
        gammas, *_ = self.models(self.random.integers(0, self.n, (count, self.k)))
        rows = _SAMPLE
        while len(gammas) > keep:
            some = self.order[:rows] if rows < self.n else None
            left = max(keep, len(gammas) // 4) if some is not None else keep
            gammas = gammas[np.argsort(self.losses(gammas, some), kind="stable")[:left]]
            rows *= 4
        return list(gammas)

    def polish(self, gamma: Array) -> Array:
        """The rows of a vertex near a model, by reweighted least squares of a loss that is smoothed less and less.

        Each step minimizes a parabola above the smoothed loss, which therefore falls (majorisation).
        """
        some = np.sort(self.order[:_POLISH])
        A, t = (self.A, self.t) if len(some) == self.n else (DesignMatrix(self.Z[some], self.A.ones), self.t[some])
        s = 1.0 if self.s is None else self.s[some]
        r = A.minus(t, gamma)
        middle = float(np.median(np.abs(r))) or float(np.abs(r).mean())
        for smooth in middle * 0.3 ** np.arange(16):
            size = np.hypot(r, smooth)
            h = s * (size / size.min()) ** (self.p - 2)
            h /= h.max()
            gamma = gamma + np.linalg.lstsq(A.gram(h), A.products(h * r), rcond=None)[0]
            r = A.minus(t, gamma)
        basis = independent_rows(A, 1 / (np.abs(r) + 1e-12 * middle))
        return self.nearest_rows(gamma) if basis is None else some[basis]  # a column may be all 0 in the sample

    def nearest_rows(self, gamma: Array) -> Array:
        """The rows nearest to a model."""
        r = np.abs(self.A.minus(self.t, gamma))
        return self.determining_rows(1 / (r + 1e-12 * (r.mean() or 1.0)))

    def determining_rows(self, preference: Array) -> Array:
        """Rows that determine a model, if possible those of high preference; some do, as columns are independent."""
        basis = independent_rows(self.A, preference)
        if basis is None:
            basis = independent_rows(self.A, np.ones(self.n))
        assert basis is not None
        return basis

    def exchange(self, basis: Array, loss: float) -> tuple[Array, float]:
        """Exchange single rows of a vertex while that lowers the loss: the rows it ends with, and their loss."""
        basis, still, column = basis.copy(), 0, 0
        while still < self.k:
            row, after = self._neighbour(basis, column, loss)
            if after < loss - 1e-12 * abs(loss):
                basis[column], loss, still = row, after, 0
            else:
                still += 1
            column = (column + 1) % self.k
        return basis, loss

    def _neighbour(self, basis: Array, column: int, loss: float) -> tuple[int, float]:
        """The best row in place of basis[column], and the loss with it."""
        edge = np.ascontiguousarray(np.linalg.inv(self.A.rows(basis))[:, column])
        r, along = self.A.minus(self.t, self.through(basis)), self.A.dot(edge)
        r[basis] = 0
        along[np.delete(basis, column)] = 0
        able = np.flatnonzero(np.abs(along) > 1e-9 * np.abs(along).max())
        steps = r[able] / along[able]
        if self.n > _SAMPLE:
            able, steps = self._promising_rows(r, along, able, steps)
        losses = self._on_edge(r, along, self.s, steps)
        for k in np.argsort(losses, kind="stable")[:4]:
            other = basis.copy()
            other[column] = able[k]
            after = self.loss(other)
            if after < loss:
                return int(able[k]), after
        return int(basis[column]), loss

    def _promising_rows(self, r: Array, along: Array, able: Array, steps: Array) -> tuple[Array, Array]:
        """The rows, and steps, worth trying: the shortest steps, and those near the best of a sample of the rows."""
        some = self.order[: _SAMPLE // 2]
        some = some[along[some] != 0]
        best = r[some] / along[some]
        if len(some):
            losses = self._on_edge(r[some], along[some], None if self.s is None else self.s[some], best)
            best = best[np.argsort(losses, kind="stable")[:8]]
        order = np.argsort(steps, kind="stable")
        far = np.searchsorted(steps[order], best)[:, None] + np.arange(-_TRIED // 8, _TRIED // 8)
        near = np.searchsorted(steps[order], 0.0) + np.arange(-_TRIED, _TRIED)
        chosen = order[np.unique(np.clip(np.append(far, near), 0, len(order) - 1))]
        return able[chosen], steps[chosen]

    def _on_edge(self, r: Array, along: Array, s: Array | None, steps: Array) -> Array:
        """The losses at steps along an edge, less what does not depend on the step."""
        far = np.abs(r) > FAR if self.far is not None else np.zeros(0, bool)
        if far.any():
            weights = 1.0 if s is None else s[far]
            more = power_changes(r[far], along[far], steps, weights, self.p)
            near = ~far
            return more + self._on_edge(r[near], along[near], None if s is None else s[near], steps)
        return RowSums(along[:, None], r, steps[:, None], 0.0, as_loss(self.p), sample_weight=s).run(
            False, _threads.count(self.threads)
        )[:, 0]
