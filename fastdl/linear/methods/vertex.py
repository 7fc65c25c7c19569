"""p = 1: exact to a vertex. Few rows are solved at once; of many, all but a band about the solution are linear.

Rows whose residual is surely above 0, or below, add a linear term to the loss (Portnoy and Koenker, 1997). Signs that
turn out to be wrong put their rows into the band; until then the dual solution gives a lower bound of the whole loss.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from fastdl._rows import Rows
from fastdl.linear._coordinates import Frame, Matrix, sampled
from fastdl.linear.methods._interior_point import interior
from fastdl.linear.methods._vertices import Proof, vertex
from fastdl.linear.methods.closed_form import interpolation, result, started
from fastdl.linear.result import LpFit

Array = np.ndarray
Part = tuple[Array, Array, Array]

_WHOLE = 40_000  # rows that are solved at once
_WIDE = 2.5  # rows in the band, for each of the sample
_ROUNDS = 50
_PROVEN = 1e-9  # a gap up to this is rounding; above, no vertex was proven


def fit(rows: Rows, p: float = 1.0, *, intercept: bool, seed: int, threads: int | None) -> LpFit:
    """The fit of least absolute deviations."""
    frame = Frame(rows, intercept, threads)
    gamma, through = started(frame)
    if through:
        return interpolation(frame, gamma, p)
    if frame.count <= _WHOLE:
        gamma, steps = whole(frame, rows, gamma)
    else:
        gamma, steps = banded(frame, rows, gamma, seed)
    loss, gap = np.array(steps).T
    history = {"loss": loss, "gap": gap / loss}
    kind = "vertex" if gap[-1] <= _PROVEN * loss[-1] else "dual"
    return result(frame, gamma, p, float(loss[-1]), float(loss[-1] - gap[-1]), kind, "vertex", history)


def whole(frame: Frame, rows: Rows, gamma: Array) -> tuple[Array, list[tuple[float, float]]]:
    """The solution of all rows in memory, and (loss, gap) step by step."""
    A, t, s = in_memory(frame, [scaled(frame, *rows.gathered())])
    if not frame.rank:
        return gamma, [(float(np.add.reduce(s * np.abs(t))), 0.0)]
    found, steps = solved(A, t, s, np.zeros(A.width), gamma)
    if found is None:
        return gamma, steps
    loss = float(np.add.reduce(s * np.abs(A.minus(t, found.gamma))))
    return found.gamma, [*steps, (loss, found.gap(A, t, s, loss))]


def solved(A: Matrix, t: Array, s: Array, g: Array, gamma: Array) -> tuple[Proof | None, list[tuple[float, float]]]:
    """The optimal vertex of rows in memory, and (loss, gap) of each step of the interior method."""
    _, preference, dual, steps = interior(A, t, s, g, gamma)
    return vertex(A, t, s, g, preference, dual), steps


@dataclass
class Band:
    """Rows near the model `center`, in memory, and the slope of all others, whose residuals keep their signs."""

    frame: Frame
    rows: Rows
    center: Array
    reach: float
    parts: list[Part] = field(default_factory=list)
    tried: list[Array] = field(default_factory=list)
    slope: Array = field(default_factory=lambda: np.zeros(0))
    count: int = 0

    def collect(self) -> None:
        """One pass: the rows within `reach`, and the slope of the others."""
        self.slope = np.zeros(self.frame.rank)
        self.rows.each(lambda X, y, s: self._near(*scaled(self.frame, X, y, s)), self._take, self.frame.threads)

    def _near(self, Z: Array, t: Array, s: Array) -> tuple[Part, Array]:
        A = Matrix(Z, self.frame.ones)
        r = A.minus(t, self.center)
        near = np.abs(r) <= self.reach
        return (Z[near], t[near], s[near]), A.products(np.where(near, 0, s * np.sign(r)))

    def _take(self, found: tuple[Part, Array]) -> None:
        part, slope = found
        self.parts.append(part)
        self.count += len(part[1])
        self.slope += slope

    def check(self, gamma: Array) -> tuple[float, float, int]:
        """One pass: (loss, gap, wrong): the rows that are wrongly held for linear join the band."""
        sums: list[tuple[float, float]] = []
        wrong = 0

        def take(found: tuple[float, float, Part, Array]) -> None:
            nonlocal wrong
            sums.append(found[:2])
            wrong += len(found[2][1])
            if len(found[2][1]):
                self._take(found[2:])

        self.rows.each(lambda X, y, s: self._wrong(gamma, *scaled(self.frame, X, y, s)), take, self.frame.threads)
        self.tried.append(gamma)
        return sum(loss for loss, _ in sums), sum(gap for _, gap in sums), wrong

    def _wrong(self, gamma: Array, Z: Array, t: Array, s: Array) -> tuple[float, float, Part, Array]:
        A = Matrix(Z, self.frame.ones)
        before, now = A.minus(t, self.center), A.minus(t, gamma)
        turned = (np.abs(before) > self.reach) & (before * now < 0)
        for earlier in self.tried if turned.any() else ():
            turned &= before * A.minus(t, earlier) >= 0
        loss = s * np.abs(now)
        # The dual solution of the band with the old signs is one of all rows: the gap is what those signs cost.
        gap = 2 * float(np.add.reduce(loss[turned]))
        return (
            float(np.add.reduce(loss)),
            gap,
            (Z[turned], t[turned], s[turned]),
            A.products(np.where(turned, -s * np.sign(before), 0)),
        )


def banded(frame: Frame, rows: Rows, gamma: Array, seed: int) -> tuple[Array, list[tuple[float, float]]]:
    """The solution of many rows, and (loss, gap) round by round."""
    size = np.sqrt(frame.rank) * frame.count ** (2 / 3)
    A, t, s = in_memory(frame, [scaled(frame, *block) for block in sampled(rows, size / frame.count, seed).blocks()])
    gamma, *_ = interior(A, t, s, np.zeros(A.width), gamma, 1e-6)
    r = np.abs(A.minus(t, gamma))
    reach = max(float(np.quantile(r, min(1.0, _WIDE * size / frame.count))), 1e-6 * float(r.mean()))
    band = Band(frame, rows, gamma, reach)
    band.collect()
    steps: list[tuple[float, float]] = []
    for _ in range(_ROUNDS):
        A, t, s = in_memory(frame, band.parts)
        found, _ = solved(A, t, s, -band.slope, gamma)
        if found is None:  # the linear rows outweigh the band
            band = Band(frame, rows, band.center, 4 * band.reach)
            band.collect()
            continue
        gamma, before = found.gamma, band.count
        loss, gap, wrong = band.check(gamma)
        steps.append((loss, gap + found.gap(A, t, s, loss)))
        if not wrong:
            return gamma, steps
        if wrong > before:
            band = Band(frame, rows, gamma, 2 * band.reach)
            band.collect()
    return whole(frame, rows, gamma)


def scaled(frame: Frame, X: Array, y: Array, s: Array | None) -> Part:
    """The columns, scaled, the targets and the weights of a block."""
    Z = frame.dense(frame.columns(X))[:, int(frame.ones) :]
    return Z, frame.target(y), np.ones(len(y)) if s is None else s


def in_memory(frame: Frame, parts: list[Part]) -> tuple[Matrix, Array, Array]:
    Z, t, s = (np.concatenate(x) for x in zip(*parts))
    return Matrix(Z, frame.ones), t, s
