"""Voxels of a LAS file, computed exactly from its integer coordinates.

Scales, offsets and sizes are taken as the decimals that people wrote, not as the nearest binary fractions: 0.2 is 200
times 0.001. With x = X scale + offset, the cell floor((x - origin) / size) is floor((X + r) / s) for the fractions
r = (offset - origin) / scale and s = size / scale = p / q. As q X and p are integers, that is
floor((q X + floor(q r)) / p), which is computed in integers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from fastdl._typing import Array
from fastdl.errors import InputError

_LARGEST = 1 << 62
_REACH = 1 << 31  # the integers of a LAS file are below this
_DOUBT = 1e-4  # so near a cell's border, as a share of its size, a float64 estimate is replaced by exact integers


@dataclass(frozen=True)
class Axis:
    """The cell of integer X is (multiply X + shift) // step."""

    multiply: int
    shift: int
    step: int

    @property
    def narrow(self) -> bool:
        """Whether 64-bit integers hold every intermediate result."""
        return self.multiply * _REACH + abs(self.shift) < _LARGEST and self.step < _LARGEST

    def cells(self, x: Array, out: Array) -> None:
        """The cells of int32 coordinates, exactly."""
        if self.narrow:
            if self.multiply == 1:
                np.add(x, self.shift, out=out, dtype=np.int64)
            else:
                np.multiply(x, self.multiply, out=out, dtype=np.int64)
                out += self.shift
            out //= self.step
            return
        # An estimate in float64; near the borders of cells it is replaced by Python's integers, which do not overflow.
        at = x * float(Fraction(self.multiply, self.step)) + float(Fraction(self.shift, self.step))
        if len(at) and not np.abs(at).max() < 2.0**52:
            raise InputError("a voxel's index must be within 2^52; the voxels are too small for the cloud")
        down = np.floor(at)
        inside = at - down
        out[:] = down
        room = np.maximum(_DOUBT, np.abs(at) * 1e-14)
        doubtful = np.flatnonzero((inside < room) | (inside > 1 - room))
        values, back = np.unique(x[doubtful], return_inverse=True)
        exact = [(self.multiply * int(v) + self.shift) // self.step for v in values]
        out[doubtful] = np.array(exact, np.int64)[back] if exact else 0


@dataclass(frozen=True)
class Lattice:
    """The three axes of a grid of voxels, in terms of a file's integers.

    Examples
    --------
    >>> from fastdl.files.points.voxel_lattice import lattice
    >>> lattice([0.001] * 3, [100.0005] * 3, [0.2, 0.0015, 1.0], [0.0] * 3).axes[0]
    Axis(multiply=1, shift=100000, step=200)
    >>> lattice([0.001] * 3, [100.0005] * 3, [0.2, 0.0015, 1.0], [0.0] * 3).axes[1]
    Axis(multiply=2, shift=200001, step=3)
    """

    axes: tuple[Axis, Axis, Axis]

    def cells(self, x: Array, y: Array, z: Array) -> Array:
        """(n, 3) int64 cells of int32 coordinates."""
        out = np.empty((len(x), 3), np.int64)
        for k, (axis, numbers) in enumerate(zip(self.axes, (x, y, z))):
            axis.cells(numbers, out[:, k])
        return out


def lattice(
    scales: Iterable[float], offsets: Iterable[float], voxel_size: Iterable[float], origin: Iterable[float]
) -> Lattice:
    """The grid of voxels of this size and origin, for a file of these scales and offsets."""
    axes = []
    for numbers in zip(scales, offsets, voxel_size, origin):
        scale, offset, size, start = (Fraction(repr(float(v))) for v in numbers)
        step, shift = size / scale, (offset - start) / scale
        axes.append(Axis(step.denominator, math.floor(shift * step.denominator), step.numerator))
    return Lattice((axes[0], axes[1], axes[2]))
