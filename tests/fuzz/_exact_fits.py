"""Least losses of small data sets in exact arithmetic: integers for the vertices, 50 digits for powers."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations

import mpmath
import numpy as np

_DIGITS = 50


class ExactRows:
    """Rows, targets and weights as they are, and each column as integers times a power of two."""

    def __init__(self, X, y, s):
        self.rows = [[Fraction(float(v)) for v in row] for row in X]
        self.targets = [Fraction(float(v)) for v in y]
        self.s = [int(v) for v in s]
        columns = [[1] * len(y), *(_integers(column)[0] for column in np.asarray(X, float).T)]
        self._A = list(zip(*columns))
        self._t, self._exponent = _integers(y)
        self.width = len(columns)

    def residuals(self, model):
        """Of a model (b, w_1, w_2, ...)."""
        return [t - model[0] - sum(w * v for w, v in zip(model[1:], row)) for row, t in zip(self.rows, self.targets)]

    def vertices(self):
        """(d, d times the residuals), in the unit of y's last bit, of the models through independent rows.

        One of them has the least loss, for a loss that is linear or concave on both sides of 0.
        """
        for some in combinations(range(len(self._t)), self.width):
            d, model = _solve_integers([[*self._A[i], self._t[i]] for i in some])
            if d:
                yield d, [t * d - sum(m * v for m, v in zip(model, row)) for row, t in zip(self._A, self._t)]

    def least_piecewise_linear(self, above, below):
        """The least sum of `above` r for r > 0, `below` |r| otherwise (integers); None without vertices."""
        best = None
        for d, r in self.vertices():
            total = sum(s * (above * v if v > 0 else -below * v) for s, v in zip(self.s, r))
            if best is None or total * best[1] < best[0] * d:
                best = total, d
        return None if best is None else Fraction(*best) * Fraction(2) ** self._exponent

    def least_power(self, p):
        """The least sum of |r|^p for p < 1."""
        with mpmath.workdps(_DIGITS):
            sums = [
                sum(s * mpmath.mpf(abs(v)) ** p for s, v in zip(self.s, r) if v) / mpmath.mpf(d) ** p
                for d, r in self.vertices()
            ]
            unit = mpmath.mpf(2) ** (self._exponent * mpmath.mpf(p))
            return _rational(min(sums) * unit * (1 + mpmath.mpf(10) ** -30)) if sums else None

    def sum_of(self, model, terms):
        """The sum of `terms`(r)[0] of the residuals of a model."""
        with mpmath.workdps(_DIGITS):
            residuals = map(_decimal, self.residuals(model))
            return _rational(sum((s * terms(r)[0] for s, r in zip(self.s, residuals)), start=mpmath.mpf(0)))

    def sizes(self, model):
        """The sum of the sizes of the terms of each residual, times the weight."""
        return [
            s * (abs(t) + abs(model[0]) + sum(abs(w * v) for w, v in zip(model[1:], row)))
            for s, row, t in zip(self.s, self.rows, self.targets)
        ]

    def least_squares(self, l2=Fraction(0)):
        """The model of the least sum of squares and penalty; None where the rows do not determine it."""
        A = [[Fraction(1), *row] for row in self.rows]
        k = self.width
        G = [
            [sum(s * row[i] * row[j] for s, row in zip(self.s, A)) + (l2 if i == j > 0 else 0) for j in range(k)]
            for i in range(k)
        ]
        return _solve([[*G[i], sum(s * row[i] * t for s, row, t in zip(self.s, A, self.targets))] for i in range(k)])

    def descend(self, model, terms, steps=4):
        """The least loss on the way of a few of Newton's steps from a model, `terms` giving loss, slope and curvature.

        No bound of the least loss may be above it.
        """
        with mpmath.workdps(_DIGITS):
            A = [[mpmath.mpf(1), *map(_decimal, row)] for row in self.rows]
            t = list(map(_decimal, self.targets))
            size = [max(abs(row[j]) for row in A) or mpmath.mpf(1) for j in range(self.width)]
            A = [[v / m for v, m in zip(row, size)] for row in A]
            gamma = [_decimal(v) * m for v, m in zip(model, size)]
            losses = []
            for _ in range(steps):
                found = [terms(u - sum(c * v for c, v in zip(gamma, row))) for row, u in zip(A, t)]
                losses.append(sum(s * f[0] for s, f in zip(self.s, found)))
                system = [
                    [sum(s * f[2] * row[i] * row[j] for s, f, row in zip(self.s, found, A)) for j in range(self.width)]
                    + [sum(s * f[1] * row[i] for s, f, row in zip(self.s, found, A))]
                    for i in range(self.width)
                ]
                step = _solve(system)
                if step is None:
                    break
                gamma = [c + v for c, v in zip(gamma, step)]
            return _rational(min(losses) * (1 + mpmath.mpf(10) ** -30))


def _integers(values):
    """(integers, exponent) of floats, values = integers * 2^exponent."""
    parts = [float(v).as_integer_ratio() for v in values]
    shift = max(den.bit_length() for _, den in parts)
    return [num << (shift - den.bit_length()) for num, den in parts], 1 - shift


def _decimal(v):
    return mpmath.mpf(v.numerator) / v.denominator


def _rational(v):
    return Fraction(*mpmath.libmp.to_rational(v._mpf_))


def _solve_integers(A):
    """(d, numerators) of the solution of a system [A | g], by elimination without fractions; d = 0 if singular."""
    k, before = len(A), 1
    for i in range(k):
        pivot = next((j for j in range(i, k) if A[j][i]), None)
        if pivot is None:
            return 0, []
        A[i], A[pivot] = A[pivot], A[i]
        for j in range(k):
            if j != i:
                A[j] = [(A[i][i] * u - A[j][i] * v) // before for u, v in zip(A[j], A[i])]
        before = A[i][i]
    return abs(before), [row[k] if before > 0 else -row[k] for row in A]


def _solve(A):
    """The solution of a small system [A | g] of numbers of any kind by elimination, or None where it is singular."""
    for i in range(len(A)):
        pivot = max(range(i, len(A)), key=lambda k: abs(A[k][i]))
        if not A[pivot][i]:
            return None
        A[i], A[pivot] = A[pivot], A[i]
        for k in range(len(A)):
            if k != i and A[k][i]:
                factor = A[k][i] / A[i][i]
                A[k] = [u - factor * v for u, v in zip(A[k], A[i])]
                A[k][i] = 0  # decimals would keep a rounding there, which later rows enlarge
    return [A[i][-1] / A[i][i] for i in range(len(A))]
