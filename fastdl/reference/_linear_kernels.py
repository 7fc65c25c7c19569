"""The kernels of the interior point method and of Newton's in NumPy: fastdl_ext/linear_interior and linear_newton."""

import numpy as np


def scale(state, s, by):
    x, v, z, w = state
    by[0], by[1] = 1 / x, 1 / v
    by[2] = 1 / (z * by[0] + w * by[1])
    by[3] = s * s * by[2]


def affine(state, s, by, r, out):
    dx = by[2] * (s * r)
    ahead, behind = dx * by[0], dx * by[1]
    out[:] = dx, np.maximum(-ahead, behind), np.maximum(ahead, -behind), (state[2] - state[3]) * dx, s * r * dx


def center(state, s, by, dx, mu, out):
    ahead, behind = dx * by[0], dx * by[1]
    out[0], out[1] = -state[2] * (ahead * (1 + ahead)), -state[3] * (behind * (1 - behind))
    out[2] = mu * (by[0] - by[1]) - out[0] - out[1]
    out[3] = s * (by[2] * out[2])


def direct(state, s, by, r, middle, mu, out):
    z, w = state[2:]
    dx = by[2] * (s * r + middle[2])
    dz, dw = (mu - z * dx) * by[0] - z - middle[0], (mu + w * dx) * by[1] - w + middle[1]
    out[:] = dx, dz, dw, np.maximum(-dx * by[0], dx * by[1]), np.maximum(-dz / z, -dw / w)


def advance(state, step, primal, dual, s, out):
    state[0] += primal * step[0]
    state[1] -= primal * step[0]
    state[2] += dual * step[1]
    state[3] += dual * step[2]
    out[0], out[1] = state[0] * state[2] + state[1] * state[3], s * state[0]


def _bends(r, p, floor):
    """H = max(|r|, floor)^(p - 2), and the derivative of h r."""
    size = np.maximum(np.abs(r), floor)
    with np.errstate(divide="ignore", over="ignore", under="ignore"):
        h = size ** (p - 2)
    return h, h * np.where((size > floor) | (floor == 0), p - 1, 1)


def slopes(X, y, s, model, shift, p, floor, curve, total):
    r, s = y - model[0] - ((X - shift) * model[1:]).sum(axis=1), np.ones(len(y)) if s is None else s
    h, bend = _bends(r, p, floor)
    curve[:] = s * bend
    total[:3] += [(s * np.abs(r) ** p).sum(), s[np.abs(r) < floor].sum(), curve.sum()]
    g = s * h * r
    total[3:] += np.append(g.sum(), ((X - shift) * g[:, None]).sum(axis=0))


def proof(X, y, s, models, shift, p, floor, total):
    r, then = (y - model[0] - ((X - shift) * model[1:]).sum(axis=1) for model in models)
    s = np.ones(len(y)) if s is None else s
    h, bend = _bends(r, p, floor)
    a = h * r + bend * (then - r)
    total[:3] += [(s * a * r).sum(), (s * np.abs(a) ** (p / (p - 1))).sum(), (s * np.abs(then) ** p).sum()]
    total[3:] += np.append((s * a).sum(), ((X - shift) * (s * a)[:, None]).sum(axis=0))
