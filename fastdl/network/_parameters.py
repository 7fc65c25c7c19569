"""The parameters of a network in one vector, as the kernels take them: values and gradients by it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from fastdl import _kernels, _threads
from fastdl._typing import Array
from fastdl.reference import network as reference

Window = tuple[Array, Array, Array | None]
kernel = _kernels.load("network")

ACTIVATIONS = ("identity", "tanh", "relu", "gelu")
_ROWS = 64  # that a kernel takes at a time
_BLOCK = 4096  # rows of a prediction


def generator(seed: int, *path: int) -> np.random.Generator:
    """Random numbers of their own for every use: they depend on nothing that was drawn before."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, *path])))


class ParameterLayout:
    """Parameters as one vector, layers and columns padded with zeros to what the kernels take.

    For each hidden layer weights (inputs, units) and biases; the weights and the bias of the output; then zeros.
    """

    def __init__(self, columns: int, hidden: tuple[int, ...], dtype: Any):
        self.columns, self.hidden, self.dtype = columns, hidden, np.dtype(dtype)
        self.lanes = 64 // self.dtype.itemsize
        padded = [-(-columns // 4) * 4, *(-(-h // self.lanes) * self.lanes for h in hidden)]
        self.sizes = np.array(padded, np.intp)
        self.size = sum((a + 1) * b for a, b in pairwise(padded)) + padded[-1] + self.lanes
        between = sum(a * b for a, b in pairwise(padded[1:]))
        self._work = self.size + between + _ROWS * (padded[0] + 2 * sum(padded[1:]) + 2 * max(padded[1:]))

    @classmethod
    def of(cls, weights: Any, dtype: Any) -> ParameterLayout:
        """That of given weights."""
        return cls(weights[0].shape[0], tuple(w.shape[1] for w in weights[:-1]), dtype)

    def work(self) -> Array:
        """Memory for a kernel to work in."""
        return np.empty(self._work, self.dtype)

    def views(self, flat: Array) -> tuple[list[Array], list[Array]]:
        """Weights and biases, without the padding, as views of the vector."""
        weights, biases, at, inputs = [], [], 0, self.columns
        for k, units in enumerate(self.hidden):
            rows, wide = self.sizes[k], self.sizes[k + 1]
            weights.append(flat[at : at + rows * wide].reshape(rows, wide)[:inputs, :units])
            at += rows * wide
            biases.append(flat[at : at + wide][:units])
            at, inputs = at + wide, units
        weights.append(flat[at : at + inputs])
        biases.append(flat[len(flat) - self.lanes :][:1].reshape(()))
        return weights, biases

    def each(self, flat: Array) -> list[Array]:
        """The weights, then the biases."""
        weights, biases = self.views(flat)
        return [*weights, *biases]

    def pack(self, weights: Any, biases: Any) -> Array:
        """The vector of given weights and biases."""
        flat = np.zeros(self.size, self.dtype)
        for view, given in zip(self.each(flat), [*weights, *biases]):
            view[...] = given
        return flat

    def rows(self, X: Array) -> Array:
        """X as the kernels take it: of the dtype, padded to a multiple of 4 columns; copied only where it must be."""
        if X.shape[1] == self.sizes[0]:
            return np.ascontiguousarray(X, self.dtype)
        padded = np.zeros((len(X), self.sizes[0]), self.dtype)
        padded[:, : X.shape[1]] = X
        return padded


def values(
    layout: ParameterLayout,
    activation: str,
    X: Array,
    flat: Array,
    out: Array | None,
    features: Array | None,
    *,
    threads: int | None = 1,
) -> None:
    """Write the output and the values of the last layer, each where there is an array for it."""

    def some(s: slice) -> None:
        y, z = (None if a is None else a[s] for a in (out, features))
        if kernel is None:
            result, layers = reference.values(X[s, : layout.columns], *layout.views(flat), activation)
            if y is not None:
                y[:] = result
            if z is not None:
                z[:] = layers[-1][0]
            return
        wide = int(layout.sizes[-1])
        room = z if z is None or z.shape[1] == wide else np.empty((len(z), wide), layout.dtype)
        which = ACTIVATIONS.index(activation)
        kernel.values(layout.rows(X[s]), layout.sizes, which, flat, layout.work(), y, room)
        if z is not None and room is not None and z is not room:
            z[:] = room[:, : z.shape[1]]

    with np.errstate(invalid="ignore", over="ignore"):
        _threads.split(len(X), threads, some, _BLOCK)


def gradient(layout: ParameterLayout, activation: str, p: Any, rows: Window, flat: Array) -> tuple[Array, Array]:
    """The sums over rows of loss and weights, and the gradient."""
    X, y, s = rows
    own = hasattr(p, "terms")
    total, grad = np.zeros(2), np.zeros(layout.size, layout.dtype)
    if kernel is None:
        X, s = X.astype(layout.dtype), np.ones(len(X)) if s is None else s
        terms = p.terms if own else p
        with np.errstate(over="ignore", invalid="ignore"):
            loss, *by = reference.network_loss_grad(
                X, y, *layout.views(flat), terms, activation=activation, sample_weight=s
            )
        total[:] = loss, s.sum()
        grad = layout.pack(*by)
        return total, grad
    which, address, power = ACTIVATIONS.index(activation), p.address if own else 0, 0.0 if own else p
    kernel.loss_grad(layout.rows(X), y, s, layout.sizes, which, power, address, flat, layout.work(), grad, total)
    return total, grad


def terms(r: Array, p: Any) -> tuple[Array, Array]:
    """The losses of residuals and their derivatives; not by NumPy's power, whose bits are the processor's."""
    own = hasattr(p, "terms")
    if kernel is None or not len(r):
        return reference.terms(r, p.terms if own else p)
    value, slope = np.empty(len(r)), np.empty(len(r))
    kernel.loss_terms(np.ascontiguousarray(r, float), 0.0 if own else p, p.address if own else 0, value, slope)
    return value, slope
