"""p = 1: an optimal vertex, a model through k rows. Where rows are many, only a band of them is solved for.

Rows far from the solution keep the sign of their residual, so they add a linear term to the loss, and only a band of
rows near it stays in memory (Portnoy and Koenker, 1997). A pass over all rows then checks the signs: rows with a wrong
one join the band, and meanwhile the band's dual solution gives a lower bound of the whole loss.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from fastdl._rows import Rows, sample_rows
from fastdl._typing import Array
from fastdl.linear._coordinates import EPS, Coordinates
from fastdl.linear._matrix import DesignMatrix, kernel
from fastdl.linear._robust_coordinates import RobustCoordinates
from fastdl.linear.methods._exact_bounds import judge_absolute, needs_exact_sums
from fastdl.linear.methods._interior_point import interior
from fastdl.linear.methods._vertices import Proof, vertex
from fastdl.linear.methods.closed_form import interpolating_fit, least_squares_start
from fastdl.linear.result import Certificate, LpFit

Part = tuple[Array, Array, Array]
#: The coordinates, (loss, gap) step by step, and the dual value of each row where all were in memory.
Solution = tuple[Array, list[tuple[float, float]], Array | None]

_WHOLE = 40_000  # rows up to which all are solved for in memory
_WIDE = 2.5  # rows in the band for each row of the sample that gave its center
_ROUNDS = 50  # solutions of a band, at most
_OUTLIER = 1e4  # spreads from the median: rows farther out dominate least squares, which is then no start
_CLIPPED = 1e9  # spreads from the median: targets farther out are moved here, to keep the digits of the others
_PROVEN = 1e-9  # a gap up to this is rounding; above it, no vertex was proven


def fit(rows: Rows, p: float = 1.0, *, intercept: bool, seed: int, threads: int | None) -> LpFit:
    """The fit of least absolute deviations."""
    coordinates = Coordinates(rows, intercept, threads)
    gamma, through = least_squares_start(coordinates)
    if through is not None:
        return interpolating_fit(coordinates, through, p)
    robust = RobustCoordinates(coordinates, rows, seed)
    gamma, steps, dual = (solve_in_memory if coordinates.count <= _WHOLE else solve_by_band)(
        robust, rows, robust.from_coordinates(gamma), seed
    )
    loss, gap = np.array(steps).T
    w, b = robust.model(gamma)
    unit = 1 / robust.y_factor
    if dual is not None and needs_exact_sums(coordinates):
        upper, lower = judge_absolute(coordinates, rows, (w, b), dual)
    else:
        upper = evaluate_loss(rows, w, b, threads)
        lower = max(0.0, float(loss[-1] - gap[-1])) * unit
    proven = upper - lower <= _PROVEN * upper
    history = {"loss": np.append(loss[:-1] * unit, upper), "gap": gap / np.where(loss > 0, loss, 1)}
    certificate = Certificate.of(upper, lower, "vertex" if proven else "dual")
    return LpFit(w, b, p, upper, certificate, "vertex", history, coordinates.rank, coordinates.condition)


def evaluate_loss(rows: Rows, w: Array, b: float, threads: int | None) -> float:
    """The sum of absolute residuals of the model as it is returned, on the rows as they were given."""
    nothing, one = np.zeros(len(w)), np.asarray(w, np.float64)

    def work(X: Array, y: Array, s: Array | None) -> Array:
        r = np.empty(len(y))
        kernel.residuals(X, y, one, b, nothing, r)
        np.abs(r, out=r)
        return np.add.reduce(r if s is None else s * r)

    total = rows.total(work, threads)
    return 0.0 if total is None else float(total)


def solve_in_memory(robust: RobustCoordinates, rows: Rows, gamma: Array, seed: int = 0) -> Solution:
    """The solution with all rows in memory, and (loss, gap) step by step."""
    A, t, s = in_memory(robust, [robust.scaled(*rows.gathered())])
    if not robust.rank:
        return gamma, [(float(np.add.reduce(s * np.abs(t))), 0.0)], None
    g = np.zeros(A.width)
    far = max(float(np.abs(A.Z).max(initial=0)), float(np.abs(t).max())) > _OUTLIER
    if far or not np.isfinite(gamma).all():  # outliers dominate the least squares model: begin at the median
        gamma = np.zeros(A.width)
    # A residual far out keeps its sign for all models near the solution, and then its size does not change the
    # solution.
    near = np.clip(t, -_CLIPPED, _CLIPPED)
    proof, steps = solve_vertex(A, near, s, g, gamma)
    best = _judge(robust, A, t, s, proof, gamma)
    if far and not best[1] <= _PROVEN * best[0]:
        again = _judge(robust, A, t, s, *_solve_by_exchanges(A, t, s, g, gamma))
        best = min(best, again, key=lambda found: found[1])
    return best[2], [*steps, best[:2]], best[3]


def _solve_by_exchanges(A: DesignMatrix, t: Array, s: Array, g: Array, gamma: Array) -> tuple[Proof | None, Array]:
    """The solution by exchanges alone, beginning with the rows nearest to the start."""
    near = s / (np.abs(A.minus(t, gamma)) + 1e-6)
    return vertex(A, t, s, g, near, np.zeros(len(t))), gamma


def _judge(
    robust: RobustCoordinates, A: DesignMatrix, t: Array, s: Array, proof: Proof | None, gamma: Array
) -> tuple[float, float, Array, Array | None]:
    """(loss, gap, gamma, dual values) on all rows of a proof; without one, of the model gamma, whose gap is inf."""
    if proof is None:
        return float(np.add.reduce(s * np.abs(A.minus(t, gamma)))), float("inf"), gamma, None
    loss = float(np.add.reduce(s * np.abs(A.minus(t, proof.gamma))))
    off = proof.imbalance(A, s, np.zeros(A.width))
    T = robust.whitening
    with np.errstate(all="ignore"):
        try:
            u = A.dot(np.linalg.solve(T, np.linalg.solve(T.T, off)))
            leverage = np.sqrt(((A.rows(np.arange(len(t))) @ np.linalg.inv(T)) ** 2).sum(axis=1).max())
        except np.linalg.LinAlgError:
            return loss, float("inf"), proof.gamma, proof.dual
        shift = 2 * loss * (float(np.abs(u).max()) + _rounding(robust, float(np.add.reduce(s)), float(leverage)))
        values = np.add.reduce(s * (np.abs(t) + robust.term_sizes(A, proof.gamma)))
        gap = proof.slack(A, t, s) + shift + EPS * (A.width + 4) * float(values)
    return loss, gap if np.isfinite(gap) else float("inf"), proof.gamma, proof.dual


def _rounding(robust: RobustCoordinates, weight: float, leverage: float) -> float:
    """A bound of the change of dual values that makes up for rounding in the columns and in [1, Z]' (s dual)."""
    return 8 * EPS * np.sqrt(weight) * robust.condition() * leverage


def solve_vertex(
    A: DesignMatrix, t: Array, s: Array, g: Array, gamma: Array
) -> tuple[Proof | None, list[tuple[float, float]]]:
    """The optimal vertex of rows in memory, and (loss, gap) of each step of the interior point method."""
    _, preference, dual, steps = interior(A, t, s, g, gamma)
    return vertex(A, t, s, g, preference, dual), steps


@dataclass
class Band:
    """Rows near the model `center`, in memory, and the slope of all others, whose residuals keep their signs."""

    robust: RobustCoordinates
    rows: Rows
    center: Array
    reach: float
    parts: list[Part] = field(default_factory=list)
    tried: list[Array] = field(default_factory=list)
    slope: Array = field(default_factory=lambda: np.zeros(0))
    count: int = 0
    least_weight: float = np.inf

    def collect(self) -> None:
        """One pass: gather the rows within `reach` of the center, and sum the slope of the others."""
        self.slope = np.zeros(self.robust.rank)
        self.rows.each(
            lambda X, y, s: self._near(*self.robust.scaled(X, y, s)), self._take, self.robust.coordinates.threads
        )

    def _near(self, Z: Array, t: Array, s: Array) -> tuple[Part, Array, float]:
        A = DesignMatrix(Z, self.robust.ones)
        r = A.minus(t, self.center)
        near = np.abs(r) <= self.reach
        return (Z[near], t[near], s[near]), A.products(np.where(near, 0, s * np.sign(r))), float(s.min(initial=np.inf))

    def _take(self, found: tuple[Part, Array, float]) -> None:
        part, slope, least = found
        self.least_weight = min(self.least_weight, least)
        self.parts.append(part)
        self.count += len(part[1])
        self.slope += slope

    def check(self, gamma: Array) -> tuple[float, float, int]:
        """One pass: (loss, gap, number of rows whose sign was wrong); those rows join the band."""
        sums: list[tuple[float, float]] = []
        wrong = 0

        def take(found: tuple[float, float, Part, Array, float]) -> None:
            nonlocal wrong
            sums.append(found[:2])
            wrong += len(found[2][1])
            if len(found[2][1]):
                self._take(found[2:])

        self.rows.each(
            lambda X, y, s: self._wrong(gamma, *self.robust.scaled(X, y, s)), take, self.robust.coordinates.threads
        )
        self.tried.append(gamma)
        return sum(loss for loss, _ in sums), sum(gap for _, gap in sums), wrong

    def _wrong(self, gamma: Array, Z: Array, t: Array, s: Array) -> tuple[float, float, Part, Array, float]:
        A = DesignMatrix(Z, self.robust.ones)
        before, now = A.minus(t, self.center), A.minus(t, gamma)
        turned = (np.abs(before) > self.reach) & (before * now < 0)
        for earlier in self.tried if turned.any() else ():
            turned &= before * A.minus(t, earlier) >= 0
        loss = s * np.abs(now)
        # The band's dual with the old signs is a dual solution of all rows; each wrong sign costs twice its residual.
        gap = 2 * float(np.add.reduce(loss[turned]))
        return (
            float(np.add.reduce(loss)),
            gap,
            (Z[turned], t[turned], s[turned]),
            A.products(np.where(turned, -s * np.sign(before), 0)),
            np.inf,
        )


def solve_by_band(robust: RobustCoordinates, rows: Rows, gamma: Array, seed: int) -> Solution:
    """The solution of many rows, and (loss, gap) round by round."""
    coordinates = robust.coordinates
    size = np.sqrt(coordinates.rank) * coordinates.count ** (2 / 3)
    some = sample_rows(rows, size / coordinates.count, seed)
    A, t, s = in_memory(robust, [robust.scaled(*block) for block in some.blocks()])
    if max(float(np.abs(A.Z).max(initial=0)), float(np.abs(t).max())) > _OUTLIER or not np.isfinite(gamma).all():
        gamma = np.zeros(A.width)
    gamma, *_ = interior(A, np.clip(t, -_CLIPPED, _CLIPPED), s, np.zeros(A.width), gamma, 1e-6)
    r = np.abs(A.minus(t, gamma))
    reach = max(float(np.quantile(r, min(1.0, _WIDE * size / coordinates.count))), 1e-6 * float(np.quantile(r, 0.9)))
    if not reach > 0:
        return solve_in_memory(robust, rows, gamma)
    band = Band(robust, rows, gamma, reach)
    band.collect()
    steps: list[tuple[float, float]] = []
    for _ in range(_ROUNDS):
        if band.count > coordinates.count // 2:  # most rows are near the model: a band would save little
            return solve_in_memory(robust, rows, gamma)
        A, t, s = in_memory(robust, band.parts)
        found, _ = solve_vertex(A, t, s, -band.slope, gamma)
        if found is None:  # unbounded: the rows outside outweigh the band, which must be wider
            band = Band(robust, rows, band.center, 4 * band.reach)
            band.collect()
            continue
        gamma, before = found.gamma, band.count
        slope = band.slope
        loss, gap, wrong = band.check(gamma)
        steps.append((loss, gap + found.slack(A, t, s) + _shift(robust, band, found.imbalance(A, s, -slope), loss)))
        if not wrong:
            if steps[-1][1] <= 1e-6 * loss or coordinates.count > 50 * _WHOLE:
                return gamma, steps, None
            break
        if wrong > before:
            band = Band(robust, rows, gamma, 2 * band.reach)
            band.collect()
    return solve_in_memory(robust, rows, gamma)


def _shift(robust: RobustCoordinates, band: Band, imbalance: Array, loss: float) -> float:
    """A bound of what an imbalance of the dual values, and rounding, may take from the lower bound."""
    T, weight = robust.whitening, robust.coordinates.weight
    with np.errstate(all="ignore"):
        try:
            off = np.linalg.solve(T.T, imbalance)
        except np.linalg.LinAlgError:
            return float("inf")
        most = 1 / np.sqrt(band.least_weight)  # |T'^-1 (1, z)| of a row is at most this
        off = float(np.sqrt((off * off).sum())) * most
        values = EPS * (len(imbalance) + 4) * 4 * loss
        return 2 * loss * (off + _rounding(robust, weight, most)) + values


def in_memory(robust: RobustCoordinates, parts: list[Part]) -> tuple[DesignMatrix, Array, Array]:
    Z, t, s = (np.concatenate(x) for x in zip(*parts))
    return DesignMatrix(Z, robust.ones), t, s
