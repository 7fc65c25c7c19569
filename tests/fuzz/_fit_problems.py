"""Fits of hostile data, each with the exact loss of its model and the least loss, or one that is not below it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any

import mpmath
import numpy as np

import fastdl
from tests.fuzz._exact_fits import ExactRows

EPS = Fraction(1, 2**52)
POWERS = (1.1, 1.37, 1.5, 3.0, 8.0, 10.0)
TAUS = (1, 8, 16, 24, 31)  # of 32
LOSSES = (
    *(
        "p = 1",
        "p = 1",
        "p = 2",
        "p = 2",
        "quantiles",
        "quantiles",
        "ridge",
        "lasso",
        "quantile lasso",
        "quantile ridge",
    ),
    *("low power", "power", "power", "huber", "targets", "logistic", "softmax"),
)


@dataclass
class Judged:
    """A model and what is said of it, to be compared with what is so."""

    name: str
    fit: Any
    exact: ExactRows
    p: float = 1.0
    l1: Fraction = Fraction(0)
    l2: Fraction = Fraction(0)
    tau: int = 0  # of 32; 0 for the absolute loss
    delta: float = 0.0
    model: tuple[Fraction, ...] = ()

    def __post_init__(self):
        if not self.model and np.isfinite([self.fit.b, *self.fit.w]).all():
            self.model = tuple(Fraction(float(v)) for v in (self.fit.b, *self.fit.w))

    def own_loss(self):
        """The loss of the model that is returned."""
        if self.delta:
            return self.exact.sum_of(self.model, self._huber)
        if self.p not in (1, 2):
            return self.exact.sum_of(self.model, self._power)
        return self._rational_loss(self.model)

    def _rational_loss(self, model):
        """That of p = 1 and 2, of quantiles and of penalties."""
        weighted = list(zip(self.exact.s, self.exact.residuals(model)))
        penalty = self.l2 * sum(w * w for w in model[1:]) + self.l1 * sum(map(abs, model[1:]))
        if self.p == 2:
            return sum(s * r * r for s, r in weighted) + penalty
        above, below = self._sides()
        return sum(s * (above * r if r > 0 else -below * r) for s, r in weighted) + penalty

    def _sides(self):
        return (Fraction(self.tau, 32), Fraction(32 - self.tau, 32)) if self.tau else (Fraction(1), Fraction(1))

    def _huber(self, r):
        """Loss, slope and curvature by the residual."""
        if abs(r) <= self.delta:
            return r * r / 2, r, mpmath.mpf(1)
        return self.delta * (abs(r) - mpmath.mpf(self.delta) / 2), self.delta * mpmath.sign(r), mpmath.mpf(0)

    def _power(self, r):
        u, p = abs(r), mpmath.mpf(self.p)
        if not u:
            return u, u, u
        return u**p, p * u ** (p - 1) * mpmath.sign(r), p * (p - 1) * u ** (p - 2)

    def least(self):
        """The least loss, or one that is not below it; None where none is known but the model's own."""
        exact = self.exact
        if self.delta:
            return exact.descend(self.model, self._huber)
        if self.p == 1:
            return self._least_piecewise_linear()
        if self.p == 2:
            return exact.least_elastic_net(self.l1, self.l2)
        return exact.least_power(self.p) if self.p < 1 else exact.descend(self.model, self._power)

    def _least_piecewise_linear(self):
        above, below = (self.tau, 32 - self.tau) if self.tau else (32, 32)
        if self.l2:
            return None
        least = self.exact.least_piecewise_linear(above, below, 32 * self.l1)
        return None if least is None else least / 32

    def rounding(self):
        """What the rounding of residuals to floats, of the size of their terms, may change of the loss."""
        exact, model = self.exact, self.model
        sizes = exact.sizes(model)
        if self.fit.certificate.kind == "interpolation" and exact.s:  # to the rounding of all rows' terms together
            sizes = [max(exact.s) * sum(size / s for size, s in zip(sizes, exact.s))] * len(sizes)
        error = 8 * EPS * sum(sizes)
        if self.delta:
            return error * Fraction(self.delta)
        if self.p == 1:
            return error
        if self.p == 2:
            # each s r^2 is wrong by 2 s |r| error + s error^2
            each = [8 * EPS * size for size in sizes]  # times the weight
            rest = zip(exact.s, exact.residuals(model), each)
            return 4 * sum(2 * abs(r) * e + e * e / s for s, r, e in rest)
        most = max((size / s for size, s in zip(sizes, exact.s)), default=Fraction(0)) * 8 * EPS
        return exact.sum_of(model, lambda r: [self._spread(abs(r), mpmath.mpf(most.numerator) / most.denominator)])

    def _spread(self, u, error):
        return (u + error) ** self.p - max(u - error, mpmath.mpf(0)) ** self.p


@dataclass
class JudgedClasses:
    """A logistic fit: its loss and the least one on the way of Newton's steps from it, in 50 digits."""

    name: str
    fit: Any
    X: Any
    codes: Any
    s: Any
    intercept: bool

    def own_loss(self):
        with mpmath.workdps(50):
            return self._rational(self._loss(self._start()))

    def least(self):
        """The least on some of Newton's steps."""
        with mpmath.workdps(50):
            theta = self._start()
            losses = [self._loss(theta)]
            for _ in range(3):
                step = self._newton(theta)
                if step is None:
                    break
                theta = [[c - v for c, v in zip(*pair)] for pair in zip(theta, step)]
                losses.append(self._loss(theta))
            return self._rational(min(losses)) * (1 + Fraction(1, 10**30))

    def rounding(self):
        """Of the logits, which enter the loss with slopes up to 1."""
        with mpmath.workdps(50):
            theta = self._start()
            sizes = sum(
                mpmath.mpf(float(s)) * sum(abs(c) * abs(v) for row in theta for c, v in zip(row, x))
                for s, x in zip(self.s, self._rows())
            )
            return self._rational(sizes) * 16 * EPS

    @staticmethod
    def _rational(v):
        return Fraction(*mpmath.libmp.to_rational(v._mpf_))

    def _rows(self):
        return [[mpmath.mpf(int(self.intercept)), *map(mpmath.mpf, map(float, x))] for x in self.X]

    def _start(self):
        """(K, 1 + D): of two classes that of the second, the first being 0."""
        w, b = np.atleast_2d(self.fit.w), np.atleast_1d(self.fit.b)
        return [[mpmath.mpf(float(c)), *map(mpmath.mpf, map(float, v))] for c, v in zip(b, w)]

    def _logits(self, theta):
        z = [[sum(c * v for c, v in zip(row, x)) for row in theta] for x in self._rows()]
        return [[mpmath.mpf(0), *row] for row in z] if len(theta) == 1 else z

    def _loss(self, theta):
        total = mpmath.mpf(0)
        for z, code, s in zip(self._logits(theta), self.codes, self.s):
            total += mpmath.mpf(float(s)) * mpmath.log(sum(mpmath.exp(v - z[code]) for v in z))
        return total + mpmath.mpf(self.fit.l2) / 2 * sum(v * v for row in theta for v in row[1:])

    def _newton(self, theta):
        """Newton's step; None where it cannot be found."""
        K, rows = len(theta), self._rows()
        D = len(rows[0])
        slope, H = mpmath.zeros(K * D, 1), mpmath.zeros(K * D, K * D)
        for z, x, code, s in zip(self._logits(theta), rows, self.codes, self.s):
            top = max(z)
            e = [mpmath.exp(v - top) for v in z]
            q = [v / sum(e) for v in e][-K:]
            first, s = len(z) - K, mpmath.mpf(float(s))
            for a in range(K):
                for i in range(D):
                    slope[a * D + i] += s * (q[a] - (code == a + first)) * x[i]
                    for b in range(K):
                        bend = s * q[a] * ((a == b) - q[b])
                        for j in range(D):
                            H[a * D + i, b * D + j] += bend * x[i] * x[j]
        for a in range(K):
            for i in range(D):
                # a little for what nothing determines: the intercepts of all classes, moved alike
                H[a * D + i, a * D + i] += mpmath.mpf(self.fit.l2) * (i > 0) + mpmath.mpf(10) ** -25
                slope[a * D + i] += mpmath.mpf(self.fit.l2) * theta[a][i] * (i > 0)
        try:
            step = mpmath.lu_solve(H, slope)
        except (ZeroDivisionError, TypeError):  # mpmath finds no pivot where a column is 0 in 50 digits
            return None
        return [[step[a * D + i] for i in range(D)] for a in range(K)]


def judged_fits(rng, data):
    """The fits of a data set by a loss drawn at random, several where one call gives several."""
    name = str(rng.choice(LOSSES))
    X, y, s = data.given
    rows = {"sample_weight": s, "intercept": data.intercept}
    exact = ExactRows(data.X, data.y, data.s, data.intercept)
    judged = partial(Judged, name, exact=exact)
    if name in ("logistic", "softmax"):
        return _classes(rng, data, name)
    if name == "quantiles":
        taus = np.sort(rng.choice(TAUS, int(rng.integers(1, 3)), replace=False))
        fits = fastdl.fit_quantile(X, y, taus / 32, **rows)
        return [judged(fit, tau=int(tau)) for fit, tau in zip(fits, taus)]
    if name == "quantile ridge":
        tau, l1 = int(rng.choice(TAUS)), 2.0 ** int(rng.integers(-10, 10)) * int(rng.integers(0, 2))
        l2 = 2.0 ** int(rng.integers(-30, 30))
        fit = fastdl.fit_quantile(X, y, tau / 32, l1=l1, l2=l2, **rows)
        return [judged(fit, tau=tau, l1=Fraction(l1), l2=Fraction(l2))]
    if name == "quantile lasso":
        tau, l1 = int(rng.choice(TAUS)), 2.0 ** int(rng.integers(-10, 10))
        return [judged(fastdl.fit_quantile(X, y, tau / 32, l1=l1, **rows), tau=tau, l1=Fraction(l1))]
    if name in ("ridge", "lasso"):
        l1 = 2.0 ** int(rng.integers(-20, 20)) if name == "lasso" else 0.0
        l2 = 2.0 ** int(rng.integers(-40, 40)) if name == "ridge" or rng.random() < 0.5 else 0.0
        fit = fastdl.fit_elastic_net(X, y, l1=l1, l2=l2, **rows)
        return [judged(fit, p=2.0, l1=Fraction(l1), l2=Fraction(l2))]
    if name == "huber":
        delta = 2.0 ** int(rng.integers(-10, 10))
        return [judged(fastdl.fit_huber(X, y, delta, **rows), delta=delta)]
    if name == "targets":
        p = float(rng.choice([1.0, 2.0]))
        many = fastdl.fit_lp(X, np.column_stack([y, y[::-1]]), p, **rows) if _both_finite(y, s) else None
        fits = [fastdl.fit_lp(X, y, p, **rows)] if many is None else list(many.targets)
        return [judged(fits[0], p=p)]
    p = float(
        rng.choice(POWERS) if name == "power" else rng.choice([0.3, 0.5, 0.9]) if name == "low power" else name[4:]
    )
    return [judged(fastdl.fit_lp(X, y, p, **rows), p=p)]


def _both_finite(y, s):
    """Whether the targets may be taken in two orders: rows of weight 0 may hold anything."""
    return s is None and np.isfinite(y).all()


def _classes(rng, data, name):
    """Of the rows given, with labels drawn anew."""
    X, _, s = data.given
    if len(X) > 100:
        X, s = data.X, data.s
    n, K = len(X), 2 if name == "logistic" else 3
    codes = rng.integers(0, K, n)
    weights = np.ones(n) if s is None else s
    known = [k for k in range(K) if weights[codes == k].sum() > 0]
    if len(known) < 2 or len(known) < len(np.unique(codes)):
        return []
    codes = np.searchsorted(known, codes)
    l2 = 2.0 ** int(rng.integers(-20, 20))
    fit = fastdl.fit_logistic(X, codes, l2=l2, sample_weight=s, intercept=data.intercept)
    used = weights > 0
    return [JudgedClasses(name, fit, np.asarray(X)[used], codes[used], weights[used], data.intercept)]
