"""Minimize the cross-entropy of a softmax model: L-BFGS preconditioned by the Hessian of a sample of the rows.

The Hessian of M logits and D columns costs M (M + 1) / 2 weighted Gram matrices, a gradient 2 M products with the
columns. So where rows are many, a sample is fitted first, and its Hessian approximates that of all rows: L-BFGS
(Nocedal and Wright, "Numerical Optimization", 7.2) starts from it instead of a multiple of the identity and corrects it
step by step. Where such steps gain too little, or rows are few, the steps are Newton's with the Hessian of all rows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from fastdl._rows import Rows, join_blocks
from fastdl._typing import Array, Progress
from fastdl.linear._coordinates import EPS
from fastdl.linear._matrix import factorize
from fastdl.linear._softmax_rows import SoftmaxPoint, SoftmaxRows
from fastdl.streaming import ProgressEvent

Solver = Callable[[Array], Array]  # solves H x = gradient for a fixed matrix H
# These thresholds decide how soon a fit converges, not what it converges to.
_DENSE = 1500  # coefficients up to which the Hessian of all rows is formed; above, conjugate gradients use its products
_DENSE_SAMPLE = 3000  # coefficients up to which the Hessian of a sample is formed
_CG_PASSES = 60  # passes over the rows that conjugate gradients take, about
_CG_AFTER = 30  # steps of L-BFGS before conjugate gradients are tried: it has mostly converged by then
_HALVINGS = 40  # of a step, until the loss falls
_MEMORY = 10  # steps that L-BFGS keeps
_ROWS_PER_COEFFICIENT = 64  # in a sample, for each coefficient of a class; and so many rows of each class at least
_SAMPLE_SHARE = 8  # of many rows, one in so many is in the sample
_SAMPLE_WORTH = 3  # a sample is not taken where there are fewer rows than this for each of its rows
_SLOW = 0.1  # L-BFGS is to divide the excess loss by ten in the time that a Hessian takes; otherwise one is formed
_WEIGHTS_TOL = 1e-5  # of the tolerance of the loss: the excess at which the weights, too, have settled
_IDLE_STEPS = 2  # steps at most whose gain is less than the rounding of the loss
LOSS_ROUNDING = 64 * EPS  # of the loss of the model without columns: a gap below this is rounding


@dataclass
class Descent:
    """The coefficients found, the lower bound of the loss, and the losses and gaps step by step."""

    theta: Array
    lower: float = 0.0
    losses: list[float] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)


@dataclass
class Goal:
    """When to stop: at a relative gap of `tol`, or before a step whose predicted gain is less than `fall`."""

    tol: float = 0.0
    fall: float = 0.0
    steps: int = 30
    progress: Progress | None = None


def minimize_softmax(sums: SoftmaxRows, goal: Goal) -> Descent:
    """The coefficients that minimize the loss, by steps that start at the model without columns."""
    theta = np.zeros((sums.models, sums.rows.columns + 1))
    if sums.intercept:
        logs = np.log(sums.counts / sums.counts.sum())
        theta[:, 0] = logs[1:] - logs[0] if sums.fixed else logs - logs.mean()
    dense, some = theta.size <= _DENSE, _sample(sums)
    sums.standardise(sums.rows if some is None else some)
    if some is None and dense:
        return _descend(sums, theta, None, goal)
    few = sums if some is None else sums.with_rows(some)
    solve = _first_solver(few)
    if some is not None and theta.size <= _DENSE_SAMPLE:
        # The expected excess loss, over all rows, of the model that is best for the sample: no need to fit it closer.
        noise = 0.5 * theta.size * float(sums.counts.sum()) / few.size()
        theta = _descend(few, theta, solve, Goal(fall=0.1 * noise)).theta
        solve = _solver(few, few.hessian(theta))
    return _descend(sums, theta, solve, goal)


def _sample(sums: SoftmaxRows) -> Rows | None:
    """A random sample, weighted by the rows each stands for, with all rows of a rare class; None where rows are few."""
    wanted = max(_ROWS_PER_COEFFICIENT * (sums.rows.columns + 1), sums.count // _SAMPLE_SHARE)
    if not sums.rows.in_memory or sums.count < _SAMPLE_WORTH * wanted:
        return None
    shares = np.minimum(1.0, np.maximum(wanted / sums.count, _ROWS_PER_COEFFICIENT / np.maximum(sums.class_sizes, 1)))
    chance = np.random.Generator(np.random.Philox(0))
    some = []
    for X, y, s in sums.rows.blocks():
        share = shares[y.astype(np.intp)]
        take = np.flatnonzero(chance.random(len(y)) < share)
        some.append((X[take], y[take], (1.0 if s is None else s[take]) / share[take]))
    return Rows(*join_blocks(some, sums.rows.columns))


def _descend(sums: SoftmaxRows, theta: Array, solve: Solver | None, goal: Goal) -> Descent:
    """Steps until the goal is reached, or rounding hides what they bring; without a solver, all are Newton's."""
    found, newton, about = Descent(theta), solve is None, solve
    dense = theta.size <= _DENSE
    price = sums.models + 1 if dense else _CG_PASSES  # of a Hessian, in steps
    pairs: deque[tuple[Array, Array]] = deque(maxlen=_MEMORY)
    point, left, hidden = sums.point(theta), np.inf, 0
    for done in range(1, goal.steps + 1):
        loss, slope = point.cross_entropy + sums.penalised(theta), sums.slope(point, theta)
        found.theta = theta
        if goal.tol:
            _record(sums, found, point, loss, done, goal)
        if newton or solve is None:
            solve = newton_solver(sums, theta, about)
        step = _lbfgs_direction(solve, pairs, slope)
        before, left = left, _inner(slope, step) / 2  # about what the loss is above its least
        if not newton and (dense or done > _CG_AFTER) and not left < _SLOW ** (1 / price) * before:
            solve = newton_solver(sums, theta, about)
            pairs.clear()
            step = solve(slope)
            left = _inner(slope, step) / 2
        if _reached(found, loss, left, newton, goal):
            break
        if left <= 8 * EPS * loss:  # the loss has converged; only the lower bound can still improve
            hidden = 0 if len(gaps := found.gaps) < 2 or gaps[-1] < gaps[-2] / 2 else hidden + 1
        share = 1.0
        for _ in range(_HALVINGS):
            point = sums.point(theta - share * step)
            after = point.cross_entropy + sums.penalised(theta - share * step)
            if after <= loss - 2e-4 * share * left + 4 * EPS * loss:
                break
            share /= 2
        else:
            break
        if hidden > _IDLE_STEPS or not left > 0:
            break
        if not newton:
            change = sums.slope(point, theta - share * step) - slope
            if share < 1:
                solve = None if dense else solve
                pairs.clear()
            elif _inner(change, step) < 0:
                pairs.append((-step, change))
        theta = theta - share * step
    return found


def _record(sums: SoftmaxRows, found: Descent, point: SoftmaxPoint, loss: float, done: int, goal: Goal) -> None:
    """Record the loss and the lower bound, and report them to `progress`."""
    found.lower = max(found.lower, sums.lower_bound(point, found.theta))
    found.losses.append(loss)
    found.gaps.append((loss - found.lower) / loss if loss > 0 else 0.0)
    if goal.progress is not None:
        goal.progress(ProgressEvent(done, goal.steps, "steps", loss, {"gap": found.gaps[-1]}))


def _reached(found: Descent, loss: float, left: float, newton: bool, goal: Goal) -> bool:
    """Whether the goal is reached; Newton's steps, which converge quadratically, go on to a far smaller gap."""
    if not goal.tol:
        return left <= goal.fall
    nothing, gap = LOSS_ROUNDING * found.losses[0], loss - found.lower
    if gap <= nothing:
        return True
    near = left <= max(_WEIGHTS_TOL * goal.tol, EPS) * loss
    return near and gap <= (_WEIGHTS_TOL if newton else 0.5) * goal.tol * loss


def _inner(a: Array, b: Array) -> float:
    return float(np.add.reduce((a * b).ravel()))


def _lbfgs_direction(solve: Solver, pairs: deque[tuple[Array, Array]], slope: Array) -> Array:
    """L-BFGS's two-loop recursion: its approximate inverse Hessian times the slope."""
    q, shares = slope, []
    for step, change in reversed(pairs):
        shares.append(_inner(step, q) / _inner(step, change))
        q = q - shares[-1] * change
    q = solve(q)
    for (step, change), share in zip(pairs, reversed(shares)):
        q = q + (share - _inner(change, q) / _inner(step, change)) * step
    return q


def newton_solver(sums: SoftmaxRows, theta: Array, about: Solver | None = None) -> Solver:
    """What a slope is solved for by the Hessian at theta: by conjugate gradients where that is large.

    These are few where a solver by about the same matrix is known.
    """
    if theta.size <= _DENSE:
        return _solver(sums, sums.hessian(theta))
    return _product_solver(sums, theta, about)


def _gauge(sums: SoftmaxRows) -> float:
    """The size of a term that makes the Hessian definite: adding the same to all classes' logits changes nothing."""
    return 0.0 if sums.fixed else float(sums.counts.sum()) / sums.classes


def _used(sums: SoftmaxRows) -> slice:
    return slice(None) if sums.intercept else slice(1, None)


def _solver(sums: SoftmaxRows, hessian: Array) -> Solver:
    """The solver by a Hessian of the cross-entropy, to which the penalty and `_gauge` are added."""
    M, D = hessian.shape[:2]
    hessian, used = hessian.copy(), _used(sums)
    for j in range(D):
        hessian[:, j, :, j] += _gauge(sums) / M + np.diag(np.full(M, sums.penalty[j]))
    matrix = hessian[:, used, :, used]
    inverse = factorize(matrix.reshape(M * matrix.shape[1], -1))

    def solve(slope: Array) -> Array:
        step = np.zeros_like(slope)
        step[:, used] = inverse(slope[:, used].ravel()).reshape(M, -1)
        return step

    return solve


def _first_solver(sums: SoftmaxRows) -> Solver:
    """The solver by the Hessian of the model without columns, which gives all rows the same probabilities.

    That Hessian is the Kronecker product of a matrix between classes and the Gram matrix of the columns: in the
    eigenvectors of the first it falls into one system of the size of the columns for each class.
    """
    shares = (sums.counts / sums.counts.sum())[sums.fixed :]
    sizes, vectors = np.linalg.eigh(np.diag(shares) - np.outer(shares, shares))
    G, used = sums.gram(), _used(sums)
    inverses = []
    for k, size in enumerate(sizes):
        gauge = _gauge(sums) if k == 0 else 0.0  # the smallest eigenvalue is 0: the same change for all classes
        inverses.append(factorize((size * G + np.diag(sums.penalty + gauge))[used, used]))

    def solve(slope: Array) -> Array:
        parts = vectors.T @ slope
        step = np.zeros_like(slope)
        for k, inverse in enumerate(inverses):
            step[k, used] = inverse(parts[k, used])
        return np.asarray(vectors @ step)

    return solve


def _product_solver(sums: SoftmaxRows, theta: Array, about: Solver | None) -> Solver:
    """By products with the Hessian."""
    used, products = _used(sums), sums.hessian_products(theta)

    def full(v: Array) -> Array:
        whole = np.zeros_like(theta)
        whole[:, used] = v.reshape(len(theta), -1)
        return whole

    def times(v: Array) -> Array:
        step = full(v)
        out = products(step) + step * sums.penalty + _gauge(sums) * step.mean(axis=0)
        return out[:, used].ravel()

    def roughly(v: Array) -> Array:
        return v if about is None else about(full(v))[:, used].ravel()

    return lambda slope: full(_conjugate_gradients(times, roughly, slope[:, used].ravel()))


def _conjugate_gradients(
    times: Callable[[Array], Array], roughly: Callable[[Array], Array], g: Array, steps: int = 200
) -> Array:
    """About A^-1 g (Hestenes and Stiefel, 1952), nearer the smaller g is; `roughly` is the preconditioner."""
    x, r = np.zeros_like(g), g.copy()
    z = roughly(r)
    p, size, length = z, _inner(r, z), _inner(r, r)
    enough = length * min(0.01, length**0.5) ** 2
    for _ in range(steps):
        if length <= enough or not size > 0:
            break
        Ap = times(p)
        a = size / _inner(p, Ap)
        x, r = x + a * p, r - a * Ap
        z = roughly(r)
        before, size, length = size, _inner(r, z), _inner(r, r)
        p = z + size / before * p
    return x
