"""p = 1: exact to a vertex. Few rows are solved at once; of many, all but a band about the solution is linear."""

from __future__ import annotations

import numpy as np

from fastdl._fit import LpFit
from fastdl._gram import Frame, Matrix
from fastdl._interior import interior
from fastdl._least_squares import interpolates, refined, result
from fastdl._passes import Rows
from fastdl._vertex import Vertex, vertex

Array = np.ndarray


def fit(rows: Rows, p: float = 1.0, *, intercept: bool, seed: int, threads: int | None) -> LpFit:
    """The fit of least absolute deviations."""
    frame = Frame(rows, intercept, threads)
    gamma, squares, _, _ = refined(frame)
    if interpolates(frame, gamma, squares):
        return result(frame, gamma, p, 0.0, 0.0, "interpolation", f"closed form, {frame.solver}", {"loss": np.zeros(1)})
    X, y, s = rows.gathered()
    A = Matrix(frame.dense(frame.columns(X))[:, int(intercept) :], intercept)
    t, s = frame.target(y), np.ones(len(y)) if s is None else s
    found, history = solve(A, t, s, np.zeros(A.width), gamma)
    assert found is not None
    gamma = found.plain()
    loss = float(np.add.reduce(s * np.abs(A.minus(t, gamma))))
    lower = loss / (1 + max(found.excess, 0.0))
    return result(frame, gamma, p, loss, lower, "vertex", "vertex", history)


def solve(A: Matrix, t: Array, s: Array, g: Array, gamma: Array) -> tuple[Vertex | None, dict[str, Array]]:
    """The optimal vertex of rows in memory, and the interior method's history."""
    gamma, preference, steps = interior(A, t, s, g, gamma)
    loss, gap = np.array(steps).T
    return vertex(A, t, s, g, gamma, preference), {"loss": loss, "gap": gap / np.where(loss > 0, loss, 1)}
