"""Intervals of quantiles by inverting rank tests: R's published figures, and profiles of HiGHS' dual solutions."""

import numpy as np
import pytest

import fastdl


def test_quantreg_s_figures_for_engel():
    """summary(rq(foodexp ~ income, tau, data = engel)), whose level is 0.9: manual and vignette of R's quantreg."""
    data = pytest.importorskip("statsmodels.api").datasets.engel.load_pandas().data
    X, y = data[["income"]].to_numpy(), data["foodexp"].to_numpy()
    found = fastdl.estimate_intervals(X, y, 1, covariance="rank", level=0.9)
    np.testing.assert_allclose([found.fit.b, *found.fit.w], [81.48225, 0.56018], atol=5e-6)
    np.testing.assert_allclose(found.intervals, [[53.25915, 114.01156], [0.48702, 0.60199]], atol=6e-6)
    assert np.isnan(found.standard_errors).all()


class Profile:
    """The rank test of a coefficient, from the dual solution of the fit with the coefficient held at a value."""

    def __init__(self, A, y, tau, j):
        self.A, self.y, self.tau, self.j = A, y, tau, j
        self.variance = tau * (1 - tau) / np.linalg.inv(A.T @ A)[j, j]

    def test(self, value):
        optimize = pytest.importorskip("scipy.optimize")
        others, n = np.delete(self.A, self.j, axis=1), len(self.y)
        aim = self.y - value * self.A[:, self.j]
        done = optimize.linprog(
            -aim, A_eq=others.T, b_eq=(1 - self.tau) * others.sum(axis=0), bounds=[(0, 1)] * n, method="highs-ds"
        )
        return float(self.A[:, self.j] @ (done.x - (1 - self.tau)) / np.sqrt(self.variance))

    def end(self, start, sign, limit):
        """By bisection the value at which the test exceeds its limit, and the one before at which it changes."""
        inside, outside = self._cut(start, start + sign, lambda test: abs(test) < limit, sign)
        low, high = self.test(inside), self.test(outside)
        if abs(self.test(start + sign * 1e-9)) >= limit:
            return start
        before, _ = self._cut(outside, start, lambda test: abs(test) > abs(low) - 1e-6, -sign)
        return before + (outside - before) * (limit - abs(low)) / (abs(high) - abs(low))

    def _cut(self, at, beyond, holds, sign):
        while holds(self.test(beyond)) and abs(beyond - at) < 1e6:
            beyond += sign * abs(beyond - at)
        for _ in range(60):
            middle = (at + beyond) / 2
            at, beyond = (middle, beyond) if holds(self.test(middle)) else (at, middle)
        return at, beyond


@pytest.mark.parametrize("seed", range(4))
def test_ends_are_where_the_test_exceeds_its_limit(seed):
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(seed)
    n, d, tau = int(rng.integers(20, 40)), int(rng.integers(1, 3)), float(rng.choice([0.3, 0.5]))
    X = rng.standard_normal((n, d)) + 1
    y = X.sum(axis=1) + rng.standard_t(3, n)
    intercept = bool(seed % 2)
    found = fastdl.estimate_intervals(X, y, 1, covariance="rank", tau=tau, level=0.8, intercept=intercept)
    A = np.column_stack([np.ones(n), X]) if intercept else X
    limit = stats.t.ppf(0.9, n - A.shape[1])
    model = np.append(found.fit.b, found.fit.w)[int(not intercept) :]
    for j, (low, high) in enumerate(found.intervals[int(not intercept) :]):
        profile = Profile(A, y, tau, j)
        np.testing.assert_allclose([low, high], [profile.end(model[j], s, limit) for s in (-1.0, 1.0)], atol=1e-6)


@pytest.mark.parametrize("tau", [0.25, 0.5, 0.9])
def test_kernel_of_a_quantile_is_that_of_statsmodels(tau):
    models = pytest.importorskip("statsmodels.api")
    rng = np.random.default_rng(4)
    X = rng.standard_normal((300, 2))
    y = X @ [1.0, -2.0] + rng.standard_t(3, 300)
    peer = models.QuantReg(y, models.add_constant(X)).fit(q=tau, vcov="iid", max_iter=10_000, p_tol=1e-12)
    found = fastdl.estimate_intervals(X, y, 1, tau=tau)
    np.testing.assert_allclose(found.standard_errors, peer.bse, rtol=1e-3)


def test_infinite_ends_and_refusals():
    """Of five rows no value of a coefficient is refused at 0.999."""
    X, y = [[0.0], [1.0], [2.0], [3.0], [5.0]], [1.0, 0.0, 2.0, 5.0, 4.0]
    found = fastdl.estimate_intervals(X, y, 1, covariance="rank", level=0.999)
    assert np.isinf(found.intervals).all()
    for kwargs in ({"p": 2}, {"p": 1, "sample_weight": [1, 2, 1, 1, 1]}):
        with pytest.raises(fastdl.errors.InputError, match="rank"):
            fastdl.estimate_intervals(X, y, covariance="rank", **kwargs)
    with pytest.raises(fastdl.errors.InputError, match="tau is for p = 1"):
        fastdl.estimate_intervals(X, y, tau=0.3)
    with pytest.raises(fastdl.errors.InputError, match="tau must be below 1"):
        fastdl.estimate_intervals(X, y, 1, tau=1.0)


def test_ties_and_columns_that_are_not_determined():
    rng = np.random.default_rng(5)
    X = rng.integers(-2, 3, (60, 2)).astype(float)
    y = (X[:, 0] + rng.integers(-1, 2, 60)).astype(float)
    found = fastdl.estimate_intervals(np.column_stack([X, X[:, 0]]), y, 1, covariance="rank")
    assert np.isnan(found.intervals[[1, 3]]).all()
    assert found.intervals[2, 0] <= found.intervals[2, 1]


def test_resamples_of_a_quantile():
    rng = np.random.default_rng(6)
    X = rng.standard_normal((80, 1))
    y = X[:, 0] + rng.exponential(size=80)
    found = fastdl.estimate_intervals(X, y, 1, tau=0.8, covariance="bootstrap", resamples=30)
    assert found.fit.tau == 0.8
    assert (found.intervals[:, 0] < [found.fit.b, found.fit.w[0]]).all()
