"""Many rows in memory, of which most keep the signs of their residuals: those near the model of a sample are solved.

A row whose residual keeps its sign adds a linear term to the loss (Portnoy and Koenker, 1997). The model of m of n rows
is about sqrt(k / m) / (2 f) off, k its coefficients and f the density of residuals at 0: so of the rows a share of
sqrt(k / m), times how many such distances are to be safe, may change theirs, whatever f is. What is left is a problem
of the same kind, with fewer rows, and solved in the same way; signs that turn out to be wrong put their rows into it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastdl._typing import Array
from fastdl.linear._matrix import DesignMatrix
from fastdl.linear.methods._interior_point import interior
from fastdl.linear.methods._vertices import Proof, vertex

_FEW = 4000  # rows, and for each coefficient, that are solved at once
_FEW_OF_EACH = 60
_WIDE = 4.0  # distances between the models of a sample and of all rows
_ROUNDS = 4
_HEAVY = 16  # times the mean weight: such rows are in every sample and never left out
_SHARE = 2.7  # of sqrt(k) n rows, to the power 2/3, in a sample: then it takes as long as what it leaves
_ROUGH = 1e-5  # a gap that is far below what a sample's model is off
_PROVEN = 1e-10  # of the loss

#: (loss, gap), step by step
LossesAndGaps = list[tuple[float, float]]


@dataclass
class AbsoluteProblem:
    """The least of sum s (|r| + lean r) + <g, gamma>, r = t - [1, Z] gamma."""

    A: DesignMatrix
    t: Array
    s: Array
    g: Array
    lean: Array | None = None

    def linear(self) -> Array:
        """The whole linear term."""
        return self.g if self.lean is None else self.g - self.A.products(self.lean * self.s)

    def part(self, which: Array, s: Array, g: Array, lean: Array | None = None) -> AbsoluteProblem:
        """The problem of some rows, with weights and a linear term of its own."""
        return AbsoluteProblem(DesignMatrix(self.A.Z[which], self.A.ones), self.t[which], s, g, lean)

    def is_small(self) -> bool:
        return len(self.t) <= max(_FEW, _FEW_OF_EACH * self.A.width)


@dataclass
class NearRows:
    """The rows near the model of a sample, and the signs of the residuals of the others (0 of those near)."""

    near: Array
    sign: Array
    gamma: Array

    def reduced(self, problem: AbsoluteProblem) -> AbsoluteProblem:
        """The problem of the rows near, the others being linear."""
        which = np.flatnonzero(self.near)
        slope = problem.A.products(problem.s * self.sign)
        return problem.part(which, problem.s[which], problem.linear() - slope)

    def join_wrong(self, wrong: Array) -> None:
        self.near = self.near | wrong
        self.sign = np.where(wrong, 0, self.sign)


def rows_near_model(problem: AbsoluteProblem, gamma: Array) -> NearRows | None:
    """By the model of a sample; None where that leaves most of the rows."""
    n, k = len(problem.t), problem.A.width
    rows = int((_SHARE * np.sqrt(k) * n) ** (2 / 3))
    many = n // max(rows, 4 * k)
    if many < 2:
        return None
    heavy = problem.s > _HEAVY * problem.s.mean()
    first = np.arange(0, n - many + 1, many)
    chance = np.random.Generator(np.random.Philox(n))
    which = first + (chance.random(len(first)) * many).astype(np.intp)
    which = np.concatenate([which[~heavy[which]], np.flatnonzero(heavy)])
    s = problem.s[which] * np.where(heavy[which], 1, many)
    sample = problem.part(which, s, problem.g, None if problem.lean is None else problem.lean[which])
    gamma = near_model(sample, gamma)
    r = problem.A.minus(problem.t, gamma)
    size = np.abs(r)
    share = _WIDE * np.sqrt(k / len(which) * (1 - 1 / many))
    if not (share < 0.5 and np.isfinite(size).all()):
        return None
    last = int(share * n)
    near = (size <= np.partition(size, last)[last]) | heavy
    if np.count_nonzero(near) > n // 2:
        return None
    return NearRows(near, np.where(near, 0, np.sign(r)), gamma)


def near_model(problem: AbsoluteProblem, gamma: Array) -> Array:
    """About the best model: what a sample is good for."""
    split = None if problem.is_small() else rows_near_model(problem, gamma)
    if split is not None:
        problem, gamma = split.reduced(problem), split.gamma
    found = interior(problem.A, problem.t, problem.s, problem.linear(), gamma, _ROUGH)[0]
    return found if np.isfinite(found).all() else gamma


def solve_vertex(problem: AbsoluteProblem, gamma: Array) -> tuple[Proof | None, LossesAndGaps]:
    """The optimal vertex, None where the loss has no least, and (loss, gap) step by step."""
    split = None if problem.is_small() else rows_near_model(problem, gamma)
    if split is not None:
        proof, steps = _solve_split(problem, split)
        if proof is not None:
            return proof, steps
    A, t, s, g = problem.A, problem.t, problem.s, problem.linear()
    _, preference, dual, steps = interior(A, t, s, g, gamma)
    return vertex(A, t, s, g, preference, dual), steps


def _solve_split(problem: AbsoluteProblem, split: NearRows) -> tuple[Proof | None, LossesAndGaps]:
    """By rounds, until all signs are right; None where they do not come to be so, or there is no vertex."""
    steps: LossesAndGaps = []
    for _ in range(_ROUNDS):
        found, _ = solve_vertex(split.reduced(problem), split.gamma)
        if found is None or found.basis is None:
            return None, steps
        which = np.flatnonzero(split.near)
        r = problem.A.minus(problem.t, found.gamma)
        wrong = split.sign * r < 0
        size = problem.s * np.abs(r)
        loss = float(np.add.reduce(size))
        steps.append((loss, 2 * float(np.add.reduce(size[wrong]))))
        if not wrong.any():
            dual = split.sign.copy()
            dual[which] = found.dual
            proof = Proof(found.gamma, dual, which[found.basis])
            return (proof if _is_proven(problem, proof, loss) else None), steps
        if np.count_nonzero(split.near | wrong) > len(r) // 2:
            break
        split.join_wrong(wrong)
        split.gamma = found.gamma
    return None, steps


def _is_proven(problem: AbsoluteProblem, proof: Proof, loss: float) -> bool:
    """Whether the rows near were solved: otherwise all rows may be, at once."""
    return proof.slack(problem.A, problem.t, problem.s) <= _PROVEN * loss
