"""What the networks are made of: parameters in one vector, and rows in units of their spread."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from fastdl import _check, _kernels, _threads
from fastdl._rows import Rows
from fastdl.reference import network as reference

Array = np.ndarray
Window = tuple[Array, Array, Array | None]
kernel = _kernels.load("network")

ACTIVATIONS = ("identity", "tanh", "relu", "gelu")
_ROWS = 64  # that a kernel takes at a time
_BLOCK = 4096  # rows of a prediction
_SAMPLE = 1 << 16  # targets whose quartiles stand for those of all


def generator(seed: int, *path: int) -> np.random.Generator:
    """Random numbers of their own for every use: they depend on nothing that was drawn before."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, *path])))


class Layout:
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
    def of(cls, weights: Any, dtype: Any) -> Layout:
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
    layout: Layout, activation: str, X: Array, flat: Array, out: Array | None, features: Array | None, threads: Any = 1
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


def gradient(
    layout: Layout, activation: str, p: Any, X: Array, y: Array, s: Array | None, flat: Array
) -> tuple[Array, Array]:
    """The sums over rows of loss and weights, and the gradient."""
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


class Moments:
    """Mean and spread of columns, about their first row and in units of the range of the first block.

    So squares neither overflow nor vanish, and an offset costs no digits.
    """

    total = 0.0

    def update(self, a: Array, s: Array | None) -> None:
        """Take in rows."""
        if not self.total:
            self.origin, width = a[0], np.max(a, axis=0) - np.min(a, axis=0)
            self.width = np.where((width > 0) & np.isfinite(_inverse(width)), width, 1.0)
            self.first, self.second = np.zeros(len(width)), np.zeros(len(width))
        u = a - self.origin
        u *= _inverse(self.width)
        weighted = u if s is None else s[:, None] * u
        # Sums of arrays, not BLAS, whose order of summation is the processor's.
        self.total += float(len(u) if s is None else s.sum())
        self.first += weighted.sum(axis=0)
        u *= weighted
        self.second += u.sum(axis=0)

    def finish(self) -> tuple[Array, Array]:
        """Mean and spread."""
        mean = self.first / self.total
        spread = np.sqrt(np.maximum(self.second / self.total - mean * mean, 0))
        return self.origin + self.width * mean, self.width * spread


class Sample:
    """Every 1st, 2nd, 4th, ... of a stream of numbers: some 65,000 of them, over all of it."""

    def __init__(self) -> None:
        self.kept, self.step, self.seen = np.empty(0), 1, 0

    def update(self, y: Array) -> None:
        """Take in numbers."""
        self.kept = np.concatenate([self.kept, y[-self.seen % self.step :: self.step]])
        self.seen += len(y)
        while len(self.kept) > 2 * _SAMPLE:
            self.kept, self.step = self.kept[::2].copy(), 2 * self.step


class Units:
    """Shift and spread of every column and of y: what makes the fit independent of their units."""

    def __init__(self, rows: Rows, valid: float | None, robust: bool, seed: int):
        self.rows, self.held = rows, None
        if valid is not None:
            n = sum(len(y) for _, y, _ in rows.blocks())
            out = round(valid * n)
            if n and not 0 < out < n:
                raise _check.InputError(f"valid must leave rows on both sides, got {valid} of {n} rows")
            self.held = np.zeros(n, bool)
            self.held[generator(seed, 1).permutation(n)[:out]] = True
        x_moments, y_moments = Moments(), Moments()
        sample = Sample()
        self.count, self.weighted = 0, False
        for X, y, s in self.parts():
            if len(y):
                x_moments.update(X, s)
                y_moments.update(y[:, None], s)
                self.count += len(y)
                self.weighted |= s is not None
                if robust:
                    sample.update(y)
        if not self.count:
            raise _check.InputError("there must be at least one row with a weight above 0, got none")
        self.weight = x_moments.total / self.count
        self.mean, spread = x_moments.finish()
        self.centre, self.spread = (float(a[0]) for a in y_moments.finish())
        if robust:
            low, centre, high = np.quantile(sample.kept, [0.25, 0.5, 0.75])
            if high > low:
                self.centre, self.spread = float(centre), float(high - low) / 1.35
        self.inverse, self.y_inverse = _inverse(spread), float(_inverse(np.array([self.spread]))[0])

    def parts(self, inside: bool = False) -> Iterator[Window]:
        """The blocks of the rows to train on, or of those held out."""
        start = 0
        for X, y, s in self.rows.blocks():
            if self.held is None:
                yield X, y, s
            else:
                keep = self.held[start : start + len(y)] == inside
                start += len(y)
                yield X[keep], y[keep], None if s is None else s[keep]

    def apply(self, X: Array, y: Array, s: Array | None, to: Window) -> None:
        """Write rows in these units to the arrays of `to`."""
        u = X - self.mean
        np.multiply(u, self.inverse, out=to[0][:, : X.shape[1]], casting="same_kind")
        to[1][:] = (y - self.centre) * self.y_inverse
        if to[2] is not None:
            to[2][:] = 1.0 if s is None else s / self.weight

    def undone(self, layout: Layout, flat: Array) -> tuple[list[Array], list[Array]]:
        """Weights and biases, float64, for X and y in the user's units."""
        weights, biases = ([np.array(a, float) for a in part] for part in layout.views(flat))
        weights[0] *= self.inverse[:, None]
        biases[0] -= (self.mean[:, None] * weights[0]).sum(axis=0)
        weights[-1] *= self.spread
        biases[-1] = biases[-1] * self.spread + self.centre
        return weights, biases


def _inverse(spread: Array) -> Array:
    with np.errstate(divide="ignore", over="ignore"):
        inverse = 1 / spread
    return np.where(np.isfinite(inverse), inverse, 0.0)


class Windows:
    """The rows to train on, in units of their spread, as many at a time as a window holds."""

    def __init__(self, units: Units, layout: Layout, window: int):
        self.units, self.layout, self.window = units, layout, min(window, units.count)
        self._room = self.room(self.window)
        self._all: Window | None = None

    def lengths(self) -> list[int]:
        """The number of rows of each."""
        n = self.units.count
        return [min(self.window, n - i) for i in range(0, n, self.window)]

    def room(self, n: int) -> Window:
        """Arrays for n rows."""
        wide, dtype = int(self.layout.sizes[0]), self.layout.dtype
        weights = np.empty(n, dtype) if self.units.weighted else None
        return np.zeros((n, wide), dtype), np.empty(n, dtype), weights

    def __iter__(self) -> Iterator[Window]:
        if self._all is not None:
            yield self._all
            return
        room, have = self._room, 0
        for X, y, s in self.units.parts():
            start = 0
            while start < len(y):
                n = min(len(y) - start, self.window - have)
                cut = slice(start, start + n)
                self.units.apply(X[cut], y[cut], None if s is None else s[cut], _cut(room, slice(have, have + n)))
                start, have = start + n, have + n
                if have == self.window:
                    if have == self.units.count:
                        self._all = room
                    yield room
                    have = 0
        if have:
            yield _cut(room, slice(0, have))

    def held(self, valid: Rows | None) -> Window:
        """The rows to validate on, all in memory: those held out, or others."""
        try:
            parts = [p for p in (self.units.parts(True) if valid is None else valid.blocks()) if len(p[1])]
        except _check.InputError as error:
            raise _check.InputError(f"valid: {error}") from None
        if not parts:
            raise _check.InputError("valid must have at least one row with a weight above 0, got none")
        room, start = self.room(sum(len(p[1]) for p in parts)), 0
        if room[2] is None and any(p[2] is not None for p in parts):
            room = (*room[:2], np.empty(len(room[1]), room[1].dtype))
        for X, y, s in parts:
            self.units.apply(X, y, s, _cut(room, slice(start, start := start + len(y))))
        return room


def _cut(rows: Window, s: slice) -> Window:
    return rows[0][s], rows[1][s], None if rows[2] is None else rows[2][s]
