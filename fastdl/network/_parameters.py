"""The parameters of a network in one vector, as the kernels take them: values and gradients by it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from fastdl import _check, _kernels, _threads
from fastdl._typing import Array, ArrayLike, DTypeLike
from fastdl.network._losses import Loss
from fastdl.reference import network as reference

TrainingRows = tuple[Array, Array, Array | None]
kernel = _kernels.load("network") or reference

ACTIVATIONS = ("identity", "tanh", "relu", "gelu")
_ROWS = 64  # rows that a kernel takes at a time
_BLOCK = 4096  # rows that a thread predicts at once


def generator(seed: int, *path: int) -> np.random.Generator:
    """A random generator for one purpose, named by `path`: its numbers do not depend on what else is drawn."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, *path])))


class ParameterLayout:
    """The positions of a network's parameters in one vector; layers and columns are padded with zeros for the kernels.

    The vector has for each hidden layer weights (inputs, units) and biases; then the weights and the bias of the
    output, padded; or, in a classifier, weights (inputs, classes) and biases of the logits.
    """

    def __init__(
        self, columns: int, hidden: tuple[int, ...], dtype: DTypeLike, activation: str = "tanh", *, classes: int = 0
    ):
        self.columns, self.hidden, self.dtype = columns, hidden, np.dtype(dtype)
        self.activation, self.activation_number = activation, ACTIVATIONS.index(activation)
        self.classes, self.lanes = classes, 64 // self.dtype.itemsize
        self.units = (*hidden, classes) if classes else hidden  # of the layers with matrices of weights
        padded = [-(-columns // 4) * 4, *(-(-h // self.lanes) * self.lanes for h in self.units)]
        self.sizes, self.widths = np.array(padded, np.intp), np.array([columns, *self.units], np.intp)
        self.size = sum((a + 1) * b for a, b in pairwise(padded)) + (0 if classes else padded[-1] + self.lanes)
        self.between = sum(a * b for a, b in pairwise(padded[1:]))  # weights of all layers but the first
        rows = padded[0] + 2 * sum(padded[1:]) + 2 * max(padded[1:])
        self._work = self.between + _ROWS * rows + 2 * classes

    @classmethod
    def of(cls, weights: Sequence[Array], dtype: DTypeLike, activation: str = "tanh") -> ParameterLayout:
        """The layout of given weights; where the last are a matrix, the network is a classifier."""
        classes = weights[-1].shape[1] if weights[-1].ndim == 2 else 0
        hidden = tuple(w.shape[1] for w in weights[:-1])
        return cls(weights[0].shape[0], hidden, dtype, activation, classes=classes)

    def work(self) -> Array:
        """Scratch memory for a kernel."""
        return np.empty(self._work, self.dtype)

    def views(self, flat: Array) -> tuple[list[Array], list[Array]]:
        """Weights and biases, without the padding, as views of the vector."""
        weights, biases, at, inputs = [], [], 0, self.columns
        for k, units in enumerate(self.units):
            rows, wide = self.sizes[k], self.sizes[k + 1]
            weights.append(flat[at : at + rows * wide].reshape(rows, wide)[:inputs, :units])
            at += rows * wide
            biases.append(flat[at : at + wide][:units])
            at, inputs = at + wide, units
        if not self.classes:
            weights.append(flat[at : at + inputs])
            biases.append(flat[len(flat) - self.lanes :][:1].reshape(()))
        return weights, biases

    def each(self, flat: Array) -> list[Array]:
        """The weights, then the biases."""
        weights, biases = self.views(flat)
        return [*weights, *biases]

    def pack(self, weights: Sequence[ArrayLike], biases: Sequence[ArrayLike]) -> Array:
        """The vector of given weights and biases."""
        flat = np.zeros(self.size, self.dtype)
        for view, given in zip(self.each(flat), [*weights, *biases]):
            view[...] = given
        return flat

    def rows(self, X: Array) -> Array:
        """X as the kernels take it: of the dtype, padded to a multiple of 4 columns; copied only where it must be."""
        if X.shape[1] == self.sizes[0]:
            return _check.contiguous(X, self.dtype)
        padded = np.zeros((len(X), self.sizes[0]), self.dtype)
        padded[:, : X.shape[1]] = X
        return padded


def values(
    layout: ParameterLayout,
    X: Array,
    flat: Array,
    out: Array | None,
    last: Array | None = None,
    *,
    threads: int | None = 1,
) -> None:
    """Write the network's output to `out`, and the values of the last layer (or the logits) to `last`, if given."""
    wide = int(layout.sizes[-1])

    def write(s: slice) -> None:
        y, z = (None if a is None else a[s] for a in (out, last))
        room = z if z is None or z.shape[1] == wide else np.empty((len(z), wide), layout.dtype)
        kernel.values(layout, layout.rows(X[s]), flat, y, room)
        if z is not None and room is not None and z is not room:
            z[:] = room[:, : z.shape[1]]

    with np.errstate(invalid="ignore", over="ignore"):
        _threads.split(len(X), threads, write, _BLOCK)


def gradient(layout: ParameterLayout, loss: Loss, rows: TrainingRows, flat: Array) -> tuple[Array, Array]:
    """The sums over rows of loss and weights, and the gradient."""
    X, y, s = rows
    total, grad = np.zeros(2), np.zeros(layout.size, layout.dtype)
    with np.errstate(invalid="ignore", over="ignore"):
        kernel.loss_grad(layout, loss, layout.rows(X), y, s, flat, grad, total)
    return total, grad


def terms(r: Array, loss: Loss) -> tuple[Array, Array]:
    """The losses of residuals and their derivatives; not by NumPy's power, whose last bits depend on the processor."""
    value, slope = np.empty(len(r)), np.empty(len(r))
    kernel.loss_terms(_check.contiguous(r, float), loss, value, slope)
    return value, slope


def softmax_terms(z: Array, y: Array) -> tuple[Array, Array]:
    """The cross-entropy of rows of logits and their class numbers, and the probabilities of the classes."""
    value, probabilities = np.empty(len(z)), np.empty(z.shape)
    z, y = _check.contiguous(z, np.float64), _check.contiguous(y, np.float64)
    kernel.softmax_terms(z, y, value, probabilities)
    return value, probabilities
