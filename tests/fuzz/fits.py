"""Fits of hostile data against exact arithmetic: no bound above the optimum, no loss that is not the model's.

`python -m tests.fuzz fits --count 100000 --seed 1` prints every failure with the number that makes it again, and the
counts. `--only NUMBER` runs one data set.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
import warnings
from fractions import Fraction
from functools import cached_property, partial

import mpmath
import numpy as np

import fastdl
from tests.fuzz._exact_fits import ExactRows

EPS = Fraction(1, 2**52)
KINDS = ("integers", "ties", "clusters", "sentinel", "collinear", "rounded", "scales", "normal")
LOSSES = ("p=1", "p=1", "p=1", "p=2", "p=2", "quantile", "quantile", "ridge", "p=0.5", "power", "huber")
BORDERS = (4096, 16384, 20000, 40000, 65536, 131072)  # where blocks, bands and samples begin
_PART = 50  # data sets that a process takes at once


def data(rng):
    """(kind, X, y, s) of a few rows and one or two columns, of one of the hostile kinds."""
    n, d = int(rng.integers(2, 9)), int(rng.choice([1, 1, 1, 2]))
    X = rng.integers(-2, 3, (n, d)).astype(float)
    y = rng.integers(-2, 3, n).astype(float)
    kind = str(rng.choice(KINDS))
    if kind == "ties":
        k = rng.integers(0, n, n)
        X, y = X[k], y[k]
    elif kind == "clusters":
        X += np.where(rng.random(n) < 0.5, 0.0, 10.0 ** rng.integers(2, 9))[:, None]
    elif kind == "sentinel":
        X, y = rng.standard_normal((n, d)), rng.standard_normal(n)
        y[rng.integers(n)] = rng.choice([-9999, 1e14, 1e20, -1e300])
        if rng.random() < 0.3:
            X[rng.integers(n)] = rng.choice([-9999, 1e6, 1e8])
    elif kind == "collinear" and d == 2:
        X[:, 1] = X[:, 0] * 3 + rng.integers(-2, 3, n) * 2.0 ** -int(rng.integers(10, 41))
    elif kind == "rounded" and d == 2:  # one column in two units
        X[:, 0] = np.round(rng.normal(20, 5, n), 1) * rng.choice([1, 1e8])
        X[:, 1] = X[:, 0] * 1.8 + 32 + rng.choice([0, 1e-9, 1e-3]) * rng.integers(-2, 3, n)
    elif kind == "scales":
        X *= 2.0 ** rng.integers(-450, 450, d)  # so that weights, y / X, are not below the least float
        y *= 2.0 ** int(rng.integers(-450, 450))
    elif kind == "normal":
        X, y = rng.standard_normal((n, d)) + rng.choice([0, 1e6]), rng.standard_normal(n) + rng.choice([0, 1e6])
    s = rng.integers(1, 6, n) if rng.random() < 0.3 else np.ones(n, int)
    return kind, X, y, s


def as_given(rng, X, y, s):
    """(X, y, weights) for the fit: weights as weights, or as rows in any order, rarely as many as fill a block."""
    if rng.random() < 0.003:
        N = int(rng.choice(BORDERS)) + int(rng.integers(-1, 2))
        k = np.concatenate([np.arange(len(y)), rng.integers(0, len(y), N - len(y))])
        k = rng.permutation(k)
        return X[k], y[k], None, np.bincount(k, minlength=len(y))
    if rng.random() < 0.5:
        k = rng.permutation(np.repeat(np.arange(len(y)), s))
        return X[k], y[k], None, s
    return X, y, s.astype(float), s


class Problem:
    """A fit, the exact loss of a model, and the least loss, or one that is not below it; None where it is not known."""

    def __init__(self, rng, X, y, s):
        self.name = str(rng.choice(LOSSES))
        X_given, y_given, weights, s = as_given(rng, X, y, s)
        self.exact = ExactRows(X, y, s)
        self.p, self.l2, self.sides, self.unit = 1.0, 0.0, (1, 1), 1
        rows = {"sample_weight": weights}
        if self.name == "quantile":
            tau = float(rng.choice([0.03125, 0.25, 0.75]))
            self.sides, self.unit = (int(tau * 32), 32 - int(tau * 32)), 32
            self.fit = fastdl.fit_quantile(X_given, y_given, tau, **rows)
        elif self.name == "ridge":
            self.p, self.l2 = 2.0, 2.0 ** int(rng.integers(-40, 40))
            self.fit = fastdl.fit_elastic_net(X_given, y_given, l2=self.l2, **rows)
        elif self.name == "huber":
            self.delta = 2.0 ** int(rng.integers(-4, 4))
            self.fit = fastdl.fit_huber(X_given, y_given, self.delta, **rows)
        else:
            power = rng.choice([1.1, 1.5, 3.0, 10.0]) if self.name == "power" else float(self.name[2:])
            self.p = float(power)
            self.fit = fastdl.fit_lp(X_given, y_given, self.p, **rows)

    @cached_property
    def model(self):
        """(b, w) of the fit as rationals; they must be finite."""
        return [Fraction(float(v)) for v in (self.fit.b, *self.fit.w)]

    def own_loss(self):
        """The loss of the model that is returned."""
        if self.name == "huber":
            return self.exact.sum_of(self.model, self._huber)
        if self.p not in (1, 2):
            return self.exact.sum_of(self.model, self._power)
        return self._rational_loss(self.model)

    def _rational_loss(self, model):
        """That of p = 1 and 2, of quantiles and of a ridge."""
        weighted = list(zip(self.exact.s, self.exact.residuals(model)))
        if self.p == 2:
            return sum(s * r * r for s, r in weighted) + Fraction(self.l2) * sum(w * w for w in model[1:])
        above, below = (Fraction(side, self.unit) for side in self.sides)
        return sum(s * (above * r if r > 0 else -below * r) for s, r in weighted)

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
        """The least loss, or for powers above 1 and Huber's one near it; None where it is not known."""
        exact = self.exact
        if self.name == "huber":
            return exact.descend(self.model, self._huber)
        if self.p == 1:
            least = exact.least_piecewise_linear(*self.sides)
            return None if least is None else least / self.unit
        if self.p == 2:
            model = exact.least_squares(Fraction(self.l2))
            return None if model is None else self._rational_loss(model)
        return exact.least_power(self.p) if self.p < 1 else exact.descend(self.model, self._power)

    def rounding(self):
        """What the rounding of residuals to floats, of the size of their terms, may change of the loss."""
        exact, model = self.exact, self.model
        error = 8 * EPS * sum(exact.sizes(model))
        if self.name == "huber":
            return error * Fraction(self.delta)
        if self.p == 1:
            return error
        if self.p == 2:
            return 4 * error * sum(map(abs, exact.residuals(model))) + 4 * error * error
        return exact.sum_of(model, lambda r: [self._spread(abs(r), mpmath.mpf(error.numerator) / error.denominator)])

    def _spread(self, u, error):
        return (u + error) ** self.p - max(u - error, mpmath.mpf(0)) ** self.p


def failure(seed, number):
    """What is wrong with the fit of data set `number`, or None."""
    rng = np.random.default_rng([seed, number])
    kind, X, y, s = data(rng)
    try:
        problem = Problem(rng, X, y, s)
    except Exception as error:  # any: the number of the data set must be told
        return f"{kind}: {type(error).__name__}: {error}"
    fit, p = problem.fit, problem.p
    upper, lower, gap, _ = fit.certificate
    name = f"{kind}, {problem.name} {p}, {X.tolist()}, {y.tolist()}, {s.tolist()}"
    if not np.isfinite([upper, lower, gap, *fit.w, fit.b]).all():
        if np.abs(y).max() < 10.0 ** (300 / max(p, 2)):
            return f"{name}: not finite: {fit}"
        return None  # powers beyond the largest float
    if upper != fit.loss:
        return f"{name}: upper {upper} is not the loss {fit.loss}"
    least = problem.least()
    if least is not None and Fraction(lower) > least:
        return f"{name}: lower {lower!r} above the least {float(least)!r} by {float(Fraction(lower) / least - 1):.1e}"
    own = problem.own_loss()
    if abs(own - Fraction(fit.loss)) > own / 10**9 + problem.rounding() + Fraction(1, 2**1000):
        return f"{name}: the loss of (w, b) is {float(own)}, not {fit.loss}"
    return None


def failures(seed, first):
    """The failures of the data sets from `first` on that a process takes at once."""
    warnings.simplefilter("ignore")  # of gaps above the tolerance: the bound is what is looked at here
    found = ((number, failure(seed, number)) for number in range(first, first + _PART))
    return [(number, text) for number, text in found if text]


def main(arguments):
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz fits", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--count", type=int, default=sys.maxsize, help="data sets at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int)
    options = parser.parse_args(arguments)
    if options.only is not None:
        print(failure(options.seed, options.only))
        return 0
    end, done, failed = time.monotonic() + options.seconds, 0, 0
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        parts = pool.imap_unordered(partial(failures, options.seed), range(0, options.count, _PART))
        for found in parts:
            done += _PART
            failed += len(found)
            for number, text in found:
                print(f"--seed {options.seed} --only {number}: {text}", file=sys.stderr)
            if time.monotonic() > end:
                pool.terminate()
                break
    print(f"fits: {done} data sets, seed {options.seed}, {failed} failures")
    return int(failed > 0)
