"""Fits of hostile data against exact rationals: no bound above the optimum, no loss that is not the model's.

`python -m tests.fuzz fits --seconds 600 --seed 1` prints every failure with the number that makes it again, and the
counts. `--only NUMBER` runs one data set.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from fractions import Fraction
from itertools import combinations

import numpy as np

import fastdl

EPS = Fraction(1, 2**52)


def data(rng):
    """(X, y) of a few rows and one or two columns, of one of the hostile kinds, which may be mixed."""
    n, d = int(rng.integers(2, 9)), int(rng.choice([1, 1, 1, 2]))
    X = rng.integers(-2, 3, (n, d)).astype(float)
    y = rng.integers(-2, 3, n).astype(float)
    kind = str(rng.choice(["integers", "ties", "clusters", "sentinel", "collinear", "scales", "normal"]))
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
    elif kind == "scales":
        X *= 2.0 ** rng.integers(-450, 450, d)  # so that weights, y / X, are not below the least float
        y *= 2.0 ** int(rng.integers(-450, 450))
    elif kind == "normal":
        X, y = rng.standard_normal((n, d)) + rng.choice([0, 1e6]), rng.standard_normal(n) + rng.choice([0, 1e6])
    return kind, X, y


def rational(X, y):
    return [[Fraction(float(v)) for v in row] for row in X], [Fraction(float(v)) for v in y]


def solve(A, g):
    """The solution of a small system by elimination, or None where it is singular."""
    A = [[*row, v] for row, v in zip(A, g)]
    for i in range(len(A)):
        pivot = next((k for k in range(i, len(A)) if A[k][i]), None)
        if pivot is None:
            return None
        A[i], A[pivot] = A[pivot], A[i]
        for k in range(len(A)):
            if k != i and A[k][i]:
                factor = A[k][i] / A[i][i]
                A[k] = [u - factor * v for u, v in zip(A[k], A[i])]
    return [A[i][-1] / A[i][i] for i in range(len(A))]


def residuals(rows, targets, model):
    return [t - model[0] - sum(w * v for w, v in zip(model[1:], row)) for row, t in zip(rows, targets)]


def vertices(rows, targets):
    """The models through as many independent rows as there are coefficients; one of them has the least loss."""
    A = [[Fraction(1), *row] for row in rows]
    for some in combinations(range(len(A)), len(A[0])):
        model = solve([A[i] for i in some], [targets[i] for i in some])
        if model is not None:
            yield model


def least_squares(rows, targets, l2=Fraction(0)):
    A = [[Fraction(1), *row] for row in rows]
    k = len(A[0])
    G = [[sum(row[i] * row[j] for row in A) + (l2 if i == j > 0 else 0) for j in range(k)] for i in range(k)]
    return solve(G, [sum(row[i] * t for row, t in zip(A, targets)) for i in range(k)])


def check_quantile(tau):
    return lambda r: tau * r if r > 0 else (tau - 1) * r


def problem(rng, X, y):
    """(name, fit, exact loss of a model, least loss or None where the rows do not determine it)."""
    rows, targets = rational(X, y)
    choice = str(rng.choice(["p=1", "p=1", "p=2", "quantile", "ridge"]))
    if choice == "p=1":

        def loss(m):
            return sum(map(abs, residuals(rows, targets, m)))

        fit, models = fastdl.fit_lp(X, y, 1), vertices(rows, targets)
    elif choice == "quantile":
        tau = float(rng.choice([0.03125, 0.25, 0.75]))
        one = check_quantile(Fraction(tau))

        def loss(m):
            return sum(map(one, residuals(rows, targets, m)))

        fit, models = fastdl.fit_quantile(X, y, tau), vertices(rows, targets)
    else:
        l2 = 2.0 ** int(rng.integers(-40, 40)) if choice == "ridge" else 0.0
        weight = Fraction(l2)

        def loss(m):
            return sum(r * r for r in residuals(rows, targets, m)) + weight * sum(w * w for w in m[1:])

        fit = fastdl.fit_elastic_net(X, y, l2=l2) if choice == "ridge" else fastdl.fit_lp(X, y, 2)
        models = [model] if (model := least_squares(rows, targets, weight)) else []
    return choice, fit, loss, min(map(loss, models), default=None)


def failure(seed, number):
    """What is wrong with the fit of data set `number`, or None."""
    rng = np.random.default_rng([seed, number])
    kind, X, y = data(rng)
    try:
        choice, fit, loss, least = problem(rng, X, y)
    except fastdl.errors.InputError as error:
        return f"{kind}: refused: {error}"
    upper, lower, gap, _ = fit.certificate
    name = f"{kind}, {choice}, {X.tolist()}, {y.tolist()}"
    if not (np.isfinite([upper, lower, gap]).all() and np.isfinite([*fit.w, fit.b]).all()) and np.abs(y).max() < 1e150:
        return f"{name}: not finite: {fit.certificate}"
    if not (np.isfinite(upper) and np.isfinite(fit.w).all() and np.isfinite(fit.b)):
        return None  # squares beyond the largest float
    if least is not None and Fraction(lower) > least:
        return f"{name}: lower {lower} above the least {float(least)}"
    model = [Fraction(float(fit.b)), *(Fraction(float(w)) for w in fit.w)]
    own = loss(model)
    rows, targets = rational(X, y)
    sizes = [abs(t) + abs(model[0]) + sum(abs(w * v) for w, v in zip(model[1:], r)) for r, t in zip(rows, targets)]
    if choice in ("p=1", "quantile"):
        rounding = 8 * EPS * sum(sizes)
    else:
        e = 16 * EPS * sum(sizes)
        rounding = 2 * e * sum(map(abs, residuals(rows, targets, model))) + e * e
    if abs(own - Fraction(fit.loss)) > own / 10**9 + rounding + Fraction(1, 2**1000):
        return f"{name}: the loss of (w, b) is {float(own)}, not {fit.loss}"
    return None


def main(arguments):
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz fits", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int)
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore", RuntimeWarning)  # of gaps above the tolerance: the bound is what is looked at here
    end, number, failures = time.monotonic() + options.seconds, options.only or 0, 0
    while True:
        found = failure(options.seed, number)
        number += 1
        if found:
            failures += 1
            print(f"--seed {options.seed} --only {number - 1}: {found}", file=sys.stderr)
        if options.only is not None or time.monotonic() > end:
            break
    print(f"fits: {number} data sets, seed {options.seed}, {failures} failures")
    return int(failures > 0)
