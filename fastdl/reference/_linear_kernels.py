"""The kernels of the interior point method in NumPy; fastdl_ext/linear_interior.pyx describes the method."""

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
