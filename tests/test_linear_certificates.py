"""Lower bounds and losses of hostile data sets, each once wrong, against exact arithmetic."""

from fractions import Fraction

import mpmath
import numpy as np
import pytest

import fastdl
from tests.fuzz import fits
from tests.fuzz._exact_fits import ExactRows
from tests.fuzz._fit_problems import Judged

#: (p, X, y): nearly dependent columns, far clusters, a far y at a far x.
LOW_POWERS = [
    (0.5, [[2, -1], [1, -1], [100000001, 100000002], [-2, -2], [0, -2], [1, 0]], [2, 0, -2, 0, -1, 2]),
    (0.5, [[1.247482733912847], [-1.458822239006094], [1e8]], [-1.347250165338197, -0.8613079650258768, 1e20]),
    (0.1, [[22.3, 72.140000001], [16, 60.799999999], [21.9, 71.42], [15.7, 60.26], [19.2, 66.56]], [-2, -1, -2, 1, 1]),
    (0.9, [[1], [1], [-1], [-2], [0]], [2, 2, 1, 0, -2]),
    (0.5, [[1e8], [0.3200557540721651], [-0.7877902282474625]], [0.036328724413027674, 0.6289083857698873, -1e300]),
]
HIGH_POWERS = [
    (10.0, [[-1], [1e8], [-0.8], [1], [0.5], [1.4], [-0.5]], [2, 1e20, 1.3, -0.5, -1, -1, 0.5]),
    (1.5, [[-0.9], [0.4], [-1], [0.5], [-0.3], [-0.2], [0.9], [1e8]], [1.6, -1, 0.6, 0.1, -0.3, -1.8, 1, 1e20]),
    (3.0, [[-0.8], [-0.1], [-9999]], [-0.6, -0.2, 1e20]),
    (3.0, [[10001], [-2], [9998]], [1, 2, 1]),
]


@pytest.mark.parametrize(("p", "X", "y"), LOW_POWERS)
def test_powers_below_1_have_a_true_bound_and_name_the_rows_they_go_through(p, X, y):
    exact, fit = ExactRows(X, y, np.ones(len(y))), fastdl.fit_lp(X, y, p)
    assert Fraction(fit.certificate.lower) <= exact.least_power(p)
    assert fit.certificate.upper == fit.loss
    residuals = exact.residuals([Fraction(float(v)) for v in (fit.b, *fit.w)])
    size = exact.sizes([Fraction(float(v)) for v in (fit.b, *fit.w)])
    assert len(fit.rows) >= fit.rank
    assert all(abs(residuals[i]) <= size[i] * Fraction(16, 2**52) for i in fit.rows)
    with mpmath.workdps(50):
        others = [abs(r) for i, r in enumerate(residuals) if i not in fit.rows]
        own = sum((mpmath.mpf(r.numerator) / r.denominator) ** mpmath.mpf(p) for r in others)
        assert abs(own - fit.loss) <= own * mpmath.mpf(10) ** -13


def test_rows_are_numbered_as_they_are_given():
    X, y, s = [[0.0], [5.0], [1.0], [2.0], [3.0]], [1.0, 9.0, 2.0, 3.0, 7.0], [1.0, 0.0, 1.0, 1.0, 1.0]
    assert fastdl.fit_lp(X, y, 0.5, sample_weight=s).rows.tolist() == [0, 2, 3]
    chunks = [(X[:2], y[:2], s[:2]), (X[2:], y[2:], s[2:])]
    assert fastdl.fit_lp(chunks, p=0.5).rows.tolist() == [0, 2, 3]
    assert fastdl.fit_lp(X[2:4], y[2:4], 0.5).rows.tolist() == [0, 1]
    assert fastdl.fit_lp(X, y, 1).rows is None


@pytest.mark.parametrize(("p", "X", "y"), HIGH_POWERS)
def test_powers_above_1_have_a_true_bound_beside_a_far_row(p, X, y):
    exact, fit = ExactRows(X, y, np.ones(len(y))), fastdl.fit_lp(X, y, p)

    def terms(r):
        u, power = abs(r), mpmath.mpf(p)
        return u**power, power * u ** (power - 1) * mpmath.sign(r), power * (power - 1) * u ** (power - 2)

    least = exact.descend([Fraction(float(v)) for v in (fit.b, *fit.w)], terms, steps=8)
    assert Fraction(fit.certificate.lower) <= least <= Fraction(fit.loss) * (1 + Fraction(1, 10**12))
    assert fit.certificate.gap <= 1e-7


def test_a_power_beyond_the_largest_float_is_infinite():
    X, y = [[-1.3], [-0.5], [-9999.0], [0.3]], [0.2, 1e300, 0.1, 0.4]
    assert fastdl.fit_lp(X, y, 3.0).loss == np.inf


@pytest.mark.parametrize("seed", [1, 2])
def test_some_data_sets_of_the_fuzzing(seed):
    assert not fits.failures(seed, 0)


def rounded_columns():
    """A temperature in two units, of which rounding leaves the second one more direction."""
    rng = np.random.default_rng(0)
    celsius = np.round(rng.normal(15, 8, 10), 1)
    return np.column_stack([celsius, celsius * 9 / 5 + 32]), np.round(2 * celsius + rng.standard_normal(10), 3)


@pytest.mark.parametrize("p", [1, 1.5, 2])
def test_a_gap_above_the_tolerance_is_warned_of(p):
    X, y = rounded_columns()
    with pytest.warns(
        fastdl.errors.NotConverged, match=r"fit_lp stopped with a gap of .* the columns have rank 2 of 3"
    ):
        fit = fastdl.fit_lp(X, y, p)
    assert not fit.converged
    assert fastdl.fit_lp(X[:, :1], y, p).converged


def test_quantiles_say_whether_they_converged():
    X, y = rounded_columns()
    with pytest.warns(fastdl.errors.NotConverged, match="fit_quantile stopped with a gap of"):
        assert not fastdl.fit_quantile(X, y).converged
    assert fastdl.fit_quantile(X[:, :1], y).converged


@pytest.mark.parametrize("far", [1e14, 1e20, 1e100])
def test_the_degree_is_chosen_by_the_rows_that_tell_degrees_apart(far):
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, 300)
    y = 1 + 2 * x - 3 * x**3 + rng.normal(0, 0.05, 300)
    y[17] = far
    assert fastdl.select_degree(x, y, range(8), p=1).best == 3


SMALL, TENTH = 1.1869459682199748e-66, 3.4063678720065206e-108
WRONG_ONCE = {
    "a loss that has only some of the digits of a float": (
        3.0,
        [[-2 * SMALL], [SMALL], [-2 * SMALL], [0], [0], [0], [-2 * SMALL], [-2 * SMALL]],
        [2 * TENTH, -2 * TENTH, -TENTH, 2 * TENTH, -TENTH, 2 * TENTH, 2 * TENTH, 0],
    ),
    "slopes beyond the largest float": (
        1.5,
        [[-9999, -9999], [1.1246760478, 1.1854767137], [-0.5021330423, -0.3650604487], [1.0817420859, 1.5805026074]],
        [0.5987578970950503, -1e300, 0.9529250586714338, 0.4895285587529913],
    ),
    "weights of 1e7, whose rounding is more than y": (
        0.5,
        [
            [1720000000, 3096000031.999], [1610000000.0000002, 2898000031.9990005], [1060000000, 1908000031.999],
            [1789999999.9999998, 3222000031.9999995], [1950000000, 3510000032], [2030000000, 3654000032],
            [2230000000, 4014000031.999], [2770000000, 4986000032.001],
        ],
        [1, -1, -2, -2, -2, 2, -1, 0],
    ),
}  # fmt: skip


@pytest.mark.parametrize("why", WRONG_ONCE)
@pytest.mark.filterwarnings("ignore::fastdl.errors.NotConverged")
def test_data_that_once_came_out_wrong(why):
    p, X, y = WRONG_ONCE[why]
    ones = np.ones(len(y))
    if p > 1 and max(map(abs, y)) == 1e300:
        assert fastdl.fit_lp(X, y, p).loss == np.inf
        return
    judged = Judged(why, fastdl.fit_lp(X, y, p), ExactRows(X, y, ones), p=p)
    least, own = judged.least(), judged.own_loss()
    assert Fraction(judged.fit.certificate.lower) <= min(least, own)
    assert abs(own - Fraction(judged.fit.loss)) <= own / 10**9 + judged.rounding() + Fraction(1, 2**1000)


def test_many_equal_squares_round_the_same_way():
    """Their plain sum was off by 8e-14 of it, more than the bound allowed for."""
    counts = (10896, 11000, 10991, 10832, 11045, 10771)
    values = ((1, 0), (-2, 2), (-2, 2), (1, -2), (1, -1), (1, 2))
    X, y = np.repeat(np.array(values, float), counts, axis=0).T
    xy, xx = (sum(n * v[0] * v[k] for n, v in zip(counts, values)) for k in (1, 0))
    least = sum(n * v[1] ** 2 for n, v in zip(counts, values)) - Fraction(xy * xy, xx)
    fit = fastdl.fit_lp(X[:, None], y, intercept=False)
    assert Fraction(fit.certificate.lower) <= least
    assert abs(Fraction(fit.loss) - least) <= least * Fraction(1, 10**15)


@pytest.mark.filterwarnings("ignore::fastdl.errors.NotConverged")
@pytest.mark.parametrize("p", [3.0, 8.0, 10.0])
def test_slopes_that_underflow_prove_nothing(p):
    X = np.array([[-0.9097811134217152, -0.1693924548143408], [1.5441570109368041, -1.1337926903433615], [-9999.0] * 2])
    y = np.array([9.96921e36, -0.7984356103589031, -1.027132665372192])
    fit = fastdl.fit_lp(X, y, p, sample_weight=[1.0, 32768.0, 1.0])
    assert fit.certificate.lower <= fit.loss


@pytest.mark.filterwarnings("ignore::fastdl.errors.NotConverged")
@pytest.mark.parametrize("p", [1.37, 3.0])
def test_powers_beside_a_heavy_row_have_the_loss_of_their_floats(p):
    X = np.array([[10000001.0, 9999999.0], [-2.0, -1.0], [10000000.0, 10000001.0]])
    y, s = np.array([0.0, -2.0, -1.0]), np.array([2.0**53, 1.0, 1.0])
    fit = fastdl.fit_lp(X, y, p, sample_weight=s)
    terms = [zip(map(Fraction, row), map(Fraction, fit.w.tolist())) for row in X.tolist()]
    r = [abs(Fraction(t) - Fraction(fit.b) - sum(a * w for a, w in row)) for t, row in zip(y.tolist(), terms)]
    with mpmath.workdps(40):
        exact = sum(weight * (mpmath.mpf(v.numerator) / v.denominator) ** p for weight, v in zip(s.tolist(), r))
    assert fit.loss == pytest.approx(float(exact), rel=1e-12)


def test_rounded_sums_of_the_one_model_without_columns():
    # 2^128 less a half is 2^128 as a float, and the bound was this.
    X, s = np.zeros((3, 1)), [3.0, 4.0, 3.0]
    rng = np.random.default_rng(5)
    for k in range(60, 129, 4):
        for y in ([2.0 * 2.0**k, 0.0, -2.0 * 2.0**k], rng.standard_normal(3) * 2.0**k):
            r, rows = [Fraction(abs(v)) for v in y], {"sample_weight": s, "intercept": False}
            huber = sum(Fraction(a) * (v - Fraction(1, 2) if v > 1 else v * v / 2) for a, v in zip(s, r))
            check = sum(Fraction(a) * abs(Fraction(v)) * (1 if v > 0 else 3) / 4 for a, v in zip(s, y))
            absolute = sum(Fraction(a) * v for a, v in zip(s, r))
            fits = [fastdl.fit_huber(X, y, 1.0, **rows), fastdl.fit_quantile(X, y, 0.25, **rows)]
            fits.append(fastdl.fit_lp(X, y, 1, **rows))
            for fit, least in zip(fits, (huber, check, absolute)):
                assert Fraction(fit.certificate.lower) <= least
                assert fit.certificate.gap < 1e-12
