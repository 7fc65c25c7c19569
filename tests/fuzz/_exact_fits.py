"""Least losses of small data sets in exact arithmetic: integers for the vertices, 50 digits for powers."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations, product

import mpmath
import numpy as np

_DIGITS = 50


class ExactRows:
    """Rows, targets and weights as they are, and each column as integers times a power of two.

    `ones` is the column of the constant, which of a row that stands for a penalty is 0; without an intercept it is all
    0, and models are still (b, w_1, w_2, ...), b being 0.
    """

    def __init__(self, X, y, s, intercept=True, ones=None):
        ones = [int(intercept)] * len(y) if ones is None else ones
        keep = [i for i, weight in enumerate(s) if weight]
        self.ones = [ones[i] for i in keep]
        self.rows = [[Fraction(float(v)) for v in X[i]] for i in keep]
        self.targets = [Fraction(float(y[i])) for i in keep]
        self.s = [s[i] if isinstance(s[i], Fraction) else Fraction(float(s[i])) for i in keep]
        self.intercept = bool(intercept)
        X, y = np.asarray(X, float)[keep], [float(y[i]) for i in keep]
        columns = [self.ones] * self.intercept + [_integers(column)[0] for column in X.T]
        self._A = list(zip(*columns))
        self._t, self._exponent = _integers(y)
        self._s, self._weight_exponent = _integers(self.s)
        self.width = len(columns)

    def _design(self):
        """[1, X], the first column with an intercept only."""
        return [[Fraction(c)] * self.intercept + row for c, row in zip(self.ones, self.rows)]

    def _full(self, model):
        """(b, w) of the coefficients of [1, X]."""
        return model if self.intercept or model is None else [Fraction(0), *model]

    def residuals(self, model):
        """Of a model (b, w_1, w_2, ...)."""
        return [
            t - c * model[0] - sum(w * v for w, v in zip(model[1:], row))
            for c, row, t in zip(self.ones, self.rows, self.targets)
        ]

    def vertices(self):
        """(d, d times the residuals), in the unit of y's last bit, of the models through independent rows.

        One of them has the least loss, for a loss that is linear or concave on both sides of 0.
        """
        for some in combinations(range(len(self._t)), self.width):
            d, model = _solve_integers([[*self._A[i], self._t[i]] for i in some])
            if d:
                yield d, [t * d - sum(m * v for m, v in zip(model, row)) for row, t in zip(self._A, self._t)]

    def least_piecewise_linear(self, above, below, l1=0):
        """The least sum of `above` r for r > 0, `below` |r| otherwise (integers), and of a penalty of the weights.

        None without vertices. A penalty is a row for each weight, with the target 0.
        """
        if l1:
            return self._with_rows_of_penalties(l1 / (above + below)).least_piecewise_linear(above, below)
        best = None
        for d, r in self.vertices():
            total = sum(s * (above * v if v > 0 else -below * v) for s, v in zip(self._s, r))
            if best is None or total * best[1] < best[0] * d:
                best = total, d
        return None if best is None else Fraction(*best) * Fraction(2) ** (self._exponent + self._weight_exponent)

    def _with_rows_of_penalties(self, weight):
        """These rows, and two for each weight w: 0 - w and 0 + w, so that the sides of the loss do not matter."""
        d = len(self.rows[0])
        units = [[float(i == j) * sign for i in range(d)] for j in range(d) for sign in (1, -1)]
        return ExactRows(
            [*self.rows, *units],
            [*self.targets, *[0.0] * len(units)],
            [*self.s, *[weight] * len(units)],
            self.intercept,
            [*self.ones, *[0] * len(units)],
        )

    def least_power(self, p):
        """The least sum of |r|^p for p < 1."""
        with mpmath.workdps(_DIGITS):
            sums = [
                sum(s * mpmath.mpf(abs(v)) ** p for s, v in zip(map(_decimal, self.s), r) if v) / mpmath.mpf(d) ** p
                for d, r in self.vertices()
            ]
            unit = mpmath.mpf(2) ** (self._exponent * mpmath.mpf(p))
            return _rational(min(sums) * unit * (1 + mpmath.mpf(10) ** -30)) if sums else None

    def sum_of(self, model, terms):
        """The sum of `terms`(r)[0] of the residuals of a model."""
        with mpmath.workdps(_DIGITS):
            residuals = map(_decimal, self.residuals(model))
            s = map(_decimal, self.s)
            return _rational(sum((weight * terms(r)[0] for weight, r in zip(s, residuals)), start=mpmath.mpf(0)))

    def sizes(self, model):
        """The sum of the sizes of the terms of each residual, times the weight."""
        return [
            s * (abs(t) + c * abs(model[0]) + sum(abs(w * v) for w, v in zip(model[1:], row)))
            for s, c, row, t in zip(self.s, self.ones, self.rows, self.targets)
        ]

    def least_squares(self, l2=Fraction(0), l1=Fraction(0), signs=None):
        """The model of the least sum of squares and penalties; None where the rows do not determine it.

        `signs` are those of the weights, 0 for weights that are 0; without any, l1 must be 0.
        """
        A, first = self._design(), int(self.intercept)
        signs = [1] * (self.width - first) if signs is None else signs
        use = [*range(first), *(first + j for j, sign in enumerate(signs) if sign)]
        G = [
            [sum(s * row[i] * row[j] for s, row in zip(self.s, A)) + (l2 if i == j >= first else 0) for j in use]
            for i in use
        ]
        pull = [sum(s * row[i] * t for s, row, t in zip(self.s, A, self.targets)) for i in use]
        pull = [v - (signs[i - first] * l1 / 2 if i >= first else 0) for i, v in zip(use, pull)]
        found = _solve([[*row, v] for row, v in zip(G, pull)])
        if found is None:
            return None
        model = [Fraction(0)] * self.width
        for i, v in zip(use, found):
            model[i] = v
        return self._full(model)

    def least_elastic_net(self, l1, l2):
        """The least sum of squares and of both penalties: over all signs that weights may have."""
        losses = []
        for signs in product((-1, 0, 1), repeat=self.width - self.intercept):
            model = self.least_squares(l2, l1, signs)
            if model is not None:
                squares = sum(s * r * r for s, r in zip(self.s, self.residuals(model)))
                losses.append(squares + l2 * sum(w * w for w in model[1:]) + l1 * sum(map(abs, model[1:])))
        return min(losses, default=None)

    def descend(self, model, terms, steps=4):
        """The least loss on the way of a few of Newton's steps from a model, `terms` giving loss, slope and curvature.

        No bound of the least loss may be above it.
        """
        with mpmath.workdps(_DIGITS):
            A = [list(map(_decimal, row)) for row in self._design()]
            t, weights = list(map(_decimal, self.targets)), list(map(_decimal, self.s))
            model = model if self.intercept else model[1:]
            size = [max(abs(row[j]) for row in A) or mpmath.mpf(1) for j in range(self.width)]
            A = [[v / m for v, m in zip(row, size)] for row in A]
            gamma = [_decimal(v) * m for v, m in zip(model, size)]
            losses = []
            for _ in range(steps):
                found = [terms(u - sum(c * v for c, v in zip(gamma, row))) for row, u in zip(A, t)]
                losses.append(sum(s * f[0] for s, f in zip(weights, found)))
                system = [
                    [sum(s * f[2] * row[i] * row[j] for s, f, row in zip(weights, found, A)) for j in range(self.width)]
                    + [sum(s * f[1] * row[i] for s, f, row in zip(weights, found, A))]
                    for i in range(self.width)
                ]
                step = _solve(system)
                if step is None:
                    break
                gamma = [c + v for c, v in zip(gamma, step)]
            return _rational(min(losses) * (1 + mpmath.mpf(10) ** -30))


def _integers(values):
    """(integers, exponent) of floats, or of their fractions, values = integers * 2^exponent."""
    parts = [Fraction(v).as_integer_ratio() for v in values]
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
