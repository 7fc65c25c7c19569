"""Fits of several targets at once: to the bit those of one target each."""

import numpy as np
import pytest

import fastdl


def problem(n=500, d=4, m=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) * 10.0 ** rng.integers(-3, 4, d) + rng.integers(-5, 5, d)
    return X, X @ rng.standard_normal((d, m)) + rng.standard_normal((n, m)) * [1.0, 1e4, 1e-3][:m]


def assert_targets(fit, singles):
    np.testing.assert_array_equal(fit.w, [one.w for one in singles])
    np.testing.assert_array_equal(fit.b, [one.b for one in singles])
    np.testing.assert_array_equal(fit.loss, [one.loss for one in singles])
    assert [one.certificate for one in fit.targets] == [one.certificate for one in singles]
    assert [one.method for one in fit.targets] == [one.method for one in singles]
    assert [one.condition for one in fit.targets] == [one.condition for one in singles]
    assert fit.certificate.upper == sum(fit.loss)
    assert fit.certificate.lower <= fit.certificate.upper


@pytest.mark.parametrize("p", [2, 1, 1.5, 3, 0.5])
@pytest.mark.parametrize("intercept", [True, False])
def test_equal_to_single_fits_to_the_bit(p, intercept):
    X, Y = problem(80 if p == 0.5 else 500)
    s = np.random.default_rng(1).integers(0, 3, len(X))
    how = {"intercept": intercept, "sample_weight": s}
    fit = fastdl.fit_lp(X, Y, p, **how)
    assert_targets(fit, [fastdl.fit_lp(X, column, p, **how) for column in Y.T])
    np.testing.assert_allclose(fit.predict(X), X @ fit.w.T + fit.b)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 40_000])
@pytest.mark.parametrize("threads", [1, 3])
def test_any_number_of_rows_and_threads(n, threads):
    X, Y = problem(n)
    fit = fastdl.fit_lp(X, Y, threads=threads)
    assert_targets(fit, [fastdl.fit_lp(X, column) for column in Y.T])


@pytest.mark.filterwarnings("ignore::fastdl.errors.NotConverged")  # of what rounding left of a column
@pytest.mark.parametrize("kind", ["dependent", "nearly dependent", "constant", "constant target", "huge", "no columns"])
def test_dependent_constant_and_badly_scaled_columns(kind):
    X, Y = problem(200)
    if kind == "dependent":
        X = np.column_stack([X, X[:, 0] + X[:, 1]])
    if kind == "nearly dependent":
        X = np.column_stack([X, X[:, 0] * (1 + 1e-9 * np.arange(200))])
    if kind == "constant":
        X[:, 1] = 3.0
    if kind == "constant target":
        Y[:, 1] = 7.0
    if kind == "huge":
        X[150, 0], Y[160, 2] = 1e200, 1e200
    if kind == "no columns":
        X = X[:, :0]
    fit = fastdl.fit_lp(X, Y)
    assert_targets(fit, [fastdl.fit_lp(X, column) for column in Y.T])


def test_weights_of_a_common_size_and_tables():
    pandas = pytest.importorskip("pandas")
    X, Y = problem()
    s = np.random.default_rng(2).uniform(1, 2, len(X)) * 1e-200
    assert_targets(fastdl.fit_lp(X, Y, sample_weight=s), [fastdl.fit_lp(X, column, sample_weight=s) for column in Y.T])
    table = fastdl.fit_lp(pandas.DataFrame(X), pandas.DataFrame(Y, columns=["a", "b", "c"]))
    np.testing.assert_array_equal(table.w, fastdl.fit_lp(X, Y).w)
    lists = fastdl.fit_lp(X.tolist(), Y.tolist())
    np.testing.assert_array_equal(lists.w, fastdl.fit_lp(X, Y).w)
    one = fastdl.fit_lp(X, Y[:, :1])
    assert one.w.shape == (1, X.shape[1])
    assert one.b.shape == (1,)


def test_equals_numpy():
    X, Y = problem(300)
    fit = fastdl.fit_lp(X, Y)
    want = np.linalg.lstsq(np.column_stack([np.ones(len(X)), X]), Y)[0]
    np.testing.assert_allclose(np.column_stack([fit.b, fit.w]).T, want, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(
    ("X", "Y", "message"),
    [
        (np.ones((3, 1)), np.ones((3, 0)), "y must have at least one target"),
        (np.ones((3, 1)), np.ones((2, 2)), "lengths must agree"),
        (np.ones((3, 1)), np.array([[1.0, 2.0], [np.nan, 1.0], [0.0, 0.0]]), "y must be finite, got nan in row 1"),
        (np.array([[1.0], [np.inf], [0.0]]), np.ones((3, 2)), "X must be finite, got inf in row 1"),
        (np.ones((3, 1)), np.ones((3, 2, 2)), "y must have 1 dimension"),
        (np.ones((3, 1)), np.array([["a", "b"]] * 3), "y must be"),
    ],
)
def test_wrong_arguments_say_so(X, Y, message):
    with pytest.raises(fastdl.FastdlError, match=message):
        fastdl.fit_lp(X, Y)
