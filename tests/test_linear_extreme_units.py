"""Fits whose weights and targets are extreme each, and whose losses are not: against sums of 50 digits."""

from fractions import Fraction

import mpmath
import numpy as np
import pytest

import fastdl
from tests.fuzz._exact_fits import ExactRows

#: Units of y and of the weights: squares or tenth powers of the one are beyond any float, times the other they are not.
UNITS = [(1e37, 1e-151), (1e31, 1e-20), (1e-37, 1e151), (1e170, 1e-200), (1e-170, 1e200), (1e250, 1e-300), (1.0, 1e300)]
PENALTIES = [(0.0, 1.0), (3.0, 0.0), (3.0, 1.0)]


def rows(unit):
    rng = np.random.default_rng(0)
    return rng.standard_normal((20, 2)), rng.standard_normal(20) * unit


def total(fit, X, y, weight, term):
    """The sum of the terms of a model's residuals, in 50 digits."""
    with mpmath.workdps(50):
        w, b = list(map(mpmath.mpf, fit.w.tolist())), mpmath.mpf(fit.b)
        r = [mpmath.mpf(t) - mpmath.fdot(w, map(mpmath.mpf, x)) - b for x, t in zip(X.tolist(), y.tolist())]
        return mpmath.mpf(weight) * sum(map(term, r))


def penalty(fit, l1, l2):
    with mpmath.workdps(50):
        w = list(map(mpmath.mpf, fit.w.tolist()))
        return mpmath.mpf(l1) * sum(map(abs, w)) + mpmath.mpf(l2) * sum(v * v for v in w)


def judge(fit, own, base, unit):
    """The loss is that of the model, which is the one of rows without such units; proven, if floats hold the loss."""
    if 1e-300 < own < 1e300:
        assert float(fit.loss / own) == pytest.approx(1, rel=1e-12)
        assert fit.certificate.upper == fit.loss
        assert 0 < fit.certificate.lower <= fit.loss
        assert np.isfinite(getattr(fit, "history", {}).get("loss", 0)).all()
    assert fit.certificate.gap <= 1e-6
    np.testing.assert_allclose(fit.w / unit, base.w, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("method", ["auto", "random", "gradient"])
@pytest.mark.parametrize("p", [1.5, 2.0, 3.0, 10.0])
@pytest.mark.parametrize(("unit", "weight"), UNITS)
def test_powers(unit, weight, p, method):
    X, y = rows(unit)
    options = {"gradient": {"epochs": 2000}, "random": {"candidates": 3000, "refine": 20}}.get(method, {})
    fit = fastdl.fit_lp(X, y, p, method=method, sample_weight=np.full(20, weight), **options)
    judge(fit, total(fit, X, y, weight, lambda r: abs(r) ** p), fastdl.fit_lp(*rows(1.0), p), unit)


def test_powers_beyond_any_float():
    X, y = rows(1e200)
    for p in (2.0, 3.0, 10.0):
        fit, base = fastdl.fit_lp(X, y, p), fastdl.fit_lp(*rows(1.0), p)
        assert fit.loss == np.inf
        assert fit.certificate.gap < 1e-8
        np.testing.assert_allclose(fit.w * 1e-200, base.w, rtol=1e-6)
        many = fastdl.fit_lp(X, np.column_stack([y, y * 1e-200]), p)
        np.testing.assert_allclose(many.w, [fit.w, base.w], rtol=1e-6)
        assert many.certificate.gap < 1e-8
        given = fastdl.fit_lp(X, y, p, method="gradient", start=fit, valid=(X, y), epochs=0)
        np.testing.assert_allclose(given.w, fit.w, rtol=1e-12)
    with pytest.raises(fastdl.errors.InputError, match="y varies by less than"):
        fastdl.fit_lp(X, y * 1e-255 * 1e-255, 10.0)


@pytest.mark.parametrize(("unit", "weight"), UNITS)
@pytest.mark.parametrize("share", [0.1, 1.0, 10.0])
def test_huber(unit, weight, share):
    X, y = rows(unit)
    delta = share * unit
    fit = fastdl.fit_huber(X, y, delta, sample_weight=np.full(20, weight))
    own = total(fit, X, y, weight, lambda r: r * r / 2 if abs(r) < delta else delta * (abs(r) - mpmath.mpf(delta) / 2))
    judge(fit, own, fastdl.fit_huber(*rows(1.0), share), unit)
    assert fit.delta == delta


@pytest.mark.parametrize(("unit", "weight"), UNITS)
@pytest.mark.parametrize(("l1", "l2"), PENALTIES)
def test_elastic_net(unit, weight, l1, l2):
    X, y = rows(unit)
    first, second = float(mpmath.mpf(l1) * unit * weight), l2 * weight
    folds, s = np.arange(20) % 4, np.full(20, weight)
    fit = fastdl.fit_elastic_net(X, y, l1=first, l2=second, sample_weight=s)
    base = fastdl.fit_elastic_net(*rows(1.0), l1=l1, l2=l2)
    judge(fit, total(fit, X, y, weight, lambda r: r * r) + penalty(fit, first, second), base, unit)
    assert (fit.l1, fit.l2) == (first, second)
    if unit == 1:  # test losses are means, which the weights' unit does not change
        path = fastdl.fit_elastic_net(X, y, l1=first, l2=second, sample_weight=s, folds=folds)
        known = fastdl.fit_elastic_net(X, y, l1=l1, l2=l2, folds=folds)
        np.testing.assert_allclose(path.test_losses, known.test_losses, rtol=1e-9)


@pytest.mark.parametrize(("unit", "weight"), [*UNITS[:3], UNITS[-1], (1e200, 1.0), (1e-200, 1.0)])
@pytest.mark.parametrize(("l1", "l2"), [(0.0, 0.0), *PENALTIES])
def test_quantiles(unit, weight, l1, l2):
    X, y = rows(unit)
    first, second = l1 * weight, float(mpmath.mpf(l2) * weight / mpmath.mpf(unit))
    fit = fastdl.fit_quantile(X, y, 0.25, l1=first, l2=second, sample_weight=np.full(20, weight))
    own = total(fit, X, y, weight, lambda r: r / 4 if r > 0 else -3 * r / 4) + penalty(fit, first, second)
    judge(fit, own, fastdl.fit_quantile(*rows(1.0), 0.25, l1=l1, l2=l2), unit)
    assert (fit.l1, fit.l2) == (first, second)


@pytest.mark.parametrize("weight", [1e-300, 1e-60, 1e60, 1e300])
def test_classes(weight):
    rng = np.random.default_rng(1)
    X, codes = rng.standard_normal((50, 2)), rng.integers(0, 3, 50)
    base = fastdl.fit_logistic(X, codes, l2=1.0)
    fit = fastdl.fit_logistic(X, codes, l2=weight, sample_weight=np.full(50, weight))
    assert fit.converged
    assert fit.loss / weight == pytest.approx(base.loss, rel=1e-9)
    assert fit.certificate.gap < 1e-8
    np.testing.assert_allclose(fit.w, base.w, rtol=1e-5, atol=1e-8)


def test_ridge_of_columns_beside_which_the_penalty_is_beyond_any_float():
    X = [[0.0, -2.0], [0.0, -1.0], [0.0, -2.0], [-1.0, 1.0], [0.0, 2.0], [2.0, 1.0]] * np.array([2.0**236, 2.0**-379])
    y, s = np.array([-1.0, 1.0, 1.0, 1.0, 2.0, 2.0]) * 2.0**-20, np.array([1.0, 3, 3, 1, 1, 1]) * 2.0**-500
    for l1, l2 in ((0.0, 2.0**-38), (2.0**-300, 2.0**-38)):
        fit = fastdl.fit_elastic_net(X, y, l1=l1, l2=l2, sample_weight=s)
        least = float(ExactRows(X, y, s).least_elastic_net(Fraction(l1), Fraction(l2)) * 2**500)
        assert fit.certificate.lower * 2.0**500 <= least * (1 + 1e-15)
        assert fit.loss * 2.0**500 == pytest.approx(least, rel=1e-9)
        assert fit.certificate.gap < 1e-8


def test_targets_beside_one_of_extreme_size_keep_their_bits():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(50, 3)), rng.normal(size=50)
    both = fastdl.fit_lp(X, np.column_stack([y, np.ldexp(y, 540)]), 2)
    alone = fastdl.fit_lp(X, y, 2)
    assert both.targets[0].loss == alone.loss
    np.testing.assert_array_equal(both.w[0], alone.w)


@pytest.mark.parametrize("exponent", [0, 300, 550, -550, 900])
def test_folds_choose_the_same_penalty_in_any_units(exponent):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    y, l1 = X @ [1, 0, 2] + rng.normal(size=60), np.array([500, 50, 5, 0.5])
    folds = np.arange(60) % 4
    path = fastdl.fit_elastic_net(X, np.ldexp(y, exponent), l1=np.ldexp(l1, exponent), l2=np.zeros(4), folds=folds)
    assert path.best.l1 == np.ldexp(5, exponent)


@pytest.mark.parametrize("penalties", [{"l1": 1e10}, {"l2": 1e10}, {"l1": 1e300, "l2": 1e300}])
def test_penalties_that_are_huge_beside_the_weights_of_rows(penalties):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 3)), rng.normal(size=60)
    fit = fastdl.fit_elastic_net(X, y, sample_weight=np.full(60, 1e-300), **penalties)
    assert np.isfinite([*fit.w, fit.b, fit.loss, *fit.certificate[:3]]).all()
    assert np.abs(fit.w).max() < 1e-290
