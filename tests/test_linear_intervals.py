"""Standard errors and intervals: against statsmodels, SciPy's Student, the definition, and how often they cover."""

import numpy as np
import pytest

import fastdl
from fastdl.linear._student import student_quantile


def problem(seed=0, n=60, d=3):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) * [1.0, 1e3, 1e-4][:d] + [0.0, 5e3, 1e-3][:d]
    y = X @ (rng.standard_normal(d) / np.abs(X).max(axis=0)) + rng.standard_normal(n) * (1 + np.abs(X[:, 0]))
    return X, y, rng.uniform(0.5, 2, n)


@pytest.mark.parametrize("freedom", [1, 2, 3, 7.5, 30, 500, 1999, 2001, 1e5])
@pytest.mark.parametrize("probability", [0.001, 0.3, 0.5, 0.9, 0.975, 0.9999])
def test_student_is_scipy_s(freedom, probability):
    stats = pytest.importorskip("scipy.stats")
    want = stats.t.ppf(probability, freedom)
    assert student_quantile(probability, freedom) == pytest.approx(want, rel=1e-10, abs=1e-12)


@pytest.mark.parametrize("covariance", ["classical", "HC0", "HC1", "HC2", "HC3"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("intercept", [True, False])
def test_least_squares_are_those_of_statsmodels(covariance, weighted, intercept):
    models = pytest.importorskip("statsmodels.api")
    X, y, s = problem()
    A = np.column_stack([np.ones(len(y)), X]) if intercept else X
    kind = "nonrobust" if covariance == "classical" else covariance
    peer = models.WLS(y, A, weights=s if weighted else 1.0).fit(cov_type=kind)
    found = fastdl.estimate_intervals(
        X, y, covariance=covariance, sample_weight=s if weighted else None, intercept=intercept, level=0.9
    )
    k = slice(int(not intercept), None)
    np.testing.assert_allclose(found.standard_errors[k], peer.bse, rtol=1e-8)
    np.testing.assert_allclose(found.covariance_matrix[k, k], peer.cov_params(), rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(found.intervals[k], peer.conf_int(0.1), rtol=1e-7, atol=1e-9)
    if not intercept:
        assert found.intervals[0].tolist() == [0, 0]


@pytest.mark.parametrize("n", [40, 501])
def test_kernel_is_that_of_statsmodels(n):
    models = pytest.importorskip("statsmodels.api")
    X, y, _ = problem(3, n)
    A = np.column_stack([np.ones(n), X / X.std(axis=0)])
    peer = models.QuantReg(y, A).fit(q=0.5, vcov="iid", max_iter=10_000, p_tol=1e-12)
    found = fastdl.estimate_intervals(X / X.std(axis=0), y, 1)
    np.testing.assert_allclose(found.standard_errors, peer.bse, rtol=2e-4)
    np.testing.assert_allclose(found.intervals, peer.conf_int(0.05), rtol=2e-3, atol=1e-4)


def test_bootstrap_is_its_definition():
    X, y, _ = problem(5, 30, 2)
    found = fastdl.estimate_intervals(X, y, 1.5, covariance="bootstrap", resamples=20, seed=3, level=0.8)
    drawn = []
    for k in range(20):
        rows = np.random.Generator(np.random.Philox(np.random.SeedSequence([3, k]))).integers(0, 30, 30)
        fit = fastdl.fit_lp(X[rows], y[rows], 1.5)
        drawn.append([fit.b, *fit.w])
    np.testing.assert_allclose(found.standard_errors, np.std(drawn, axis=0, ddof=1), rtol=1e-4)
    np.testing.assert_allclose(found.intervals.T, np.quantile(drawn, [0.1, 0.9], axis=0), rtol=1e-4, atol=1e-6)
    again = fastdl.estimate_intervals(X, y, 1.5, covariance="bootstrap", resamples=20, seed=3, level=0.8, threads=2)
    np.testing.assert_array_equal(again.intervals, found.intervals)


@pytest.mark.parametrize(("p", "covariance"), [(2, "classical"), (2, "HC3"), (1, "kernel"), (1, "bootstrap")])
def test_intervals_cover_as_often_as_they_say(p, covariance):
    rng, inside, trials = np.random.default_rng(7), 0, 40 if covariance == "bootstrap" else 200
    for _ in range(trials):
        X = rng.standard_normal((80, 1))
        y = 1 + 2 * X[:, 0] + rng.standard_normal(80)
        found = fastdl.estimate_intervals(X, y, p, covariance=covariance, level=0.9, resamples=60)
        inside += found.intervals[1, 0] < 2 < found.intervals[1, 1]
    assert 0.75 < inside / trials < 0.99


def test_chunks_and_threads_give_the_same_bits():
    X, y, s = problem(9, 20_000)
    want = fastdl.estimate_intervals(X, y, covariance="HC3", sample_weight=s)
    chunks = [(X[i : i + 777], y[i : i + 777], s[i : i + 777]) for i in range(0, len(y), 777)]
    got = fastdl.estimate_intervals(chunks, covariance="HC3", threads=3)
    np.testing.assert_array_equal(got.covariance_matrix, want.covariance_matrix)


def test_what_is_not_determined_is_nan():
    X, y, _ = problem(11, 40, 2)
    twice = np.column_stack([X, X[:, 0], np.full(40, 3.0)])
    found = fastdl.estimate_intervals(twice, y, covariance="HC1")
    assert np.isnan(found.standard_errors[[0, 1, 3, 4]]).all()
    assert found.standard_errors[2] == pytest.approx(
        fastdl.estimate_intervals(X, y, covariance="HC1").standard_errors[2]
    )
    for n in (1, 3):
        assert np.isnan(fastdl.estimate_intervals(X[:n], y[:n]).standard_errors).all()
    alone = np.column_stack([X[:, 0], np.arange(40) == 0])
    assert np.isnan(fastdl.estimate_intervals(alone, y, covariance="HC3").standard_errors).any()
    assert np.isfinite(fastdl.estimate_intervals(alone, y, covariance="HC1").standard_errors).all()


def test_far_off_means_keep_their_digits():
    X, y, _ = problem(13)
    near = fastdl.estimate_intervals(X[:, :1], y)
    far = fastdl.estimate_intervals(X[:, :1] + 2.0**20, y)
    np.testing.assert_allclose(far.standard_errors[1], near.standard_errors[1], rtol=1e-9)


@pytest.mark.parametrize("unit", [1e-250, 1e200])
@pytest.mark.parametrize(("p", "covariance"), [(2, "classical"), (2, "HC3"), (1, "kernel")])
def test_units_whose_squares_are_no_floats(unit, p, covariance):
    X, y, _ = problem(15)
    want = fastdl.estimate_intervals(X, y, p, covariance=covariance)
    got = fastdl.estimate_intervals(X, y * unit, p, covariance=covariance)
    np.testing.assert_allclose(got.standard_errors / unit, want.standard_errors, rtol=1e-9)
    np.testing.assert_allclose(got.intervals / unit, want.intervals, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"level": 1}, "level must be below 1"),
        ({"level": 0}, "level must be above 0"),
        ({"covariance": "HC4"}, "covariance must be one of"),
        ({"covariance": "HC0", "p": 1}, "covariance 'HC0' is for p = 2, got p = 1"),
        ({"covariance": "kernel"}, "covariance 'kernel' is for p = 1"),
        ({"p": 1, "sample_weight": np.ones(60)}, "without sample_weight"),
        ({"p": 1.5, "resamples": 1}, "resamples must be at least 2"),
    ],
)
def test_wrong_arguments_say_so(wrong, message):
    X, y, _ = problem()
    with pytest.raises(fastdl.FastdlError, match=message):
        fastdl.estimate_intervals(**{"X": X, "y": y, **wrong})
