"""Degrees: what refitting every fold gives."""

import numpy as np
import pytest

import fastdl
from fastdl.reference import selection as reference


def wave(n=2000, noise=0.3, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 10, n)
    return x, np.sin(x) + noise * rng.standard_normal(n)


def drawn(n, k=5, seed=0, test=0.1):
    """The folds of select_degree, -1 for the test part."""
    size, rest = fastdl.split(n, (1 - test, test), seed=0).sizes
    codes = fastdl.Split(n, np.append(fastdl.k_fold(size, k, seed=0).sizes, rest), seed).parts().astype(int)
    assert (np.flatnonzero(codes == k) == fastdl.split(n, (1 - test, test), seed=seed).rows(1)).all()
    return np.where(codes == k, -1, codes)


def refits(x, y, degrees, s=None, domain=None, **more):
    s = np.ones(len(x)) if s is None else s
    return reference.curves(
        x, y, s, degrees, drawn(len(x), **more), more.get("k", 5), domain=domain or (x.min(), x.max())
    )


def assert_refits(choice, want, rtol=1e-9):
    np.testing.assert_allclose(choice.train_folds, want[0], rtol=rtol)
    np.testing.assert_allclose(choice.valid_folds, want[1], rtol=rtol)


class TestSelectDegree:
    @pytest.mark.parametrize(
        ("change", "rtol"),
        [
            (lambda x, y: (x, y), 1e-11),
            (lambda x, y: (x + 1e6, y), 1e-9),
            (lambda x, y: (x * 1e-8, y), 1e-11),
            (lambda x, y: (x, y * 1e-9), 1e-11),
            (lambda x, y: (x, y * 1e9), 1e-11),
            (lambda x, y: (x.astype(np.float32), y.astype(np.float32)), 1e-11),
        ],
        ids=["as it is", "x + 1e6", "x * 1e-8", "y * 1e-9", "y * 1e9", "float32"],
    )
    def test_equals_refits_of_every_fold(self, change, rtol):
        x, y = change(*wave())
        choice = fastdl.select_degree(x, y, range(16))
        assert_refits(choice, refits(x.astype(float), y.astype(float), range(16)), rtol)
        plain = fastdl.select_degree(*wave(), range(16))
        assert (choice.best, choice.one_se) == (plain.best, plain.one_se)
        assert choice.method == "moments" and choice.passes == 2

    def test_offset_of_y_changes_nothing(self):
        x, y = wave()
        plain, high = fastdl.select_degree(x, y), fastdl.select_degree(x, y + 1e6)
        np.testing.assert_allclose(high.valid, plain.valid, rtol=1e-8)  # y + 1e6 itself is rounded to 1e-10
        np.testing.assert_allclose(high.predict(x), plain.predict(x) + 1e6, atol=1e-7)

    def test_weights_degrees_folds_and_seeds(self):
        x, y = wave()
        s = np.random.default_rng(1).integers(0, 3, len(x)).astype(float)
        choice = fastdl.select_degree(x, y, [9, 2, 4], folds=3, test=0.25, seed=7, sample_weight=s)
        assert choice.degrees.tolist() == [2, 4, 9]
        assert_refits(choice, refits(x, y, [2, 4, 9], s, k=3, test=0.25, seed=7), 1e-11)
        x[s == 0], y[s == 0] = 5.0, np.nan
        again = fastdl.select_degree(x, y, [9, 2, 4], folds=3, test=0.25, seed=7, sample_weight=s)
        np.testing.assert_allclose(again.valid, choice.valid, rtol=1e-9)

    @pytest.mark.parametrize("top", [15, 22, 30])
    def test_high_degrees(self, top):
        x, y = wave(2500, 0.1)
        assert_refits(fastdl.select_degree(x, y, range(top + 1)), refits(x, y, range(top + 1)))

    def test_little_noise_takes_a_second_pass(self):
        x, y = wave(2000, 1e-6)
        choice = fastdl.select_degree(x, y, range(25))
        assert (choice.method, choice.passes) == ("moments, two passes", 3)
        assert_refits(choice, refits(x, y, range(25)))

    def test_first_y_may_be_an_outlier(self):
        x, y = wave(4000)
        folds = fastdl.k_fold(4000, 5, seed=0).folds()
        folds[0], y[0] = -1, 1e9
        want = reference.curves(x, y, np.ones(4000), range(12), folds, 5, domain=(x.min(), x.max()))
        assert_refits(fastdl.select_degree(x, y, range(12), folds=folds), want)

    def test_clustered_x_takes_orthogonal_factors(self):
        rng = np.random.default_rng(0)
        x = rng.standard_normal(3000) ** 3
        y = np.cos(x) + 0.1 * rng.standard_normal(len(x))
        choice = fastdl.select_degree(x, y, range(9))
        assert choice.method == "QR"
        assert_refits(choice, refits(x, y, range(9)), 1e-8)

    def test_few_rows_take_orthogonal_factors(self):
        x, y = wave(40)
        choice = fastdl.select_degree(x, y, range(7))
        assert choice.method == "QR"
        assert_refits(choice, refits(x, y, range(7)))

    def test_duplicates_are_handled_and_said(self):
        x, y = wave(2000)
        x = np.round(x)
        with pytest.warns(UserWarning, match="too few distinct values, .* for degrees above 10"):
            choice = fastdl.select_degree(x, y, range(14))
        assert choice.determined == 11 and choice.best <= 10 and "distinct" in choice.notes[0]
        with pytest.warns(Warning, match="poorly conditioned"):
            want = refits(x, y, range(14))
        np.testing.assert_allclose(choice.train_folds, want[0], rtol=1e-9)
        np.testing.assert_allclose(choice.valid_folds[:11], want[1][:11], rtol=1e-9)
        constant = np.full(50, 3.0)
        with pytest.warns(UserWarning, match="degrees above 0"):
            assert fastdl.select_degree(constant, np.arange(50.0), range(3)).best == 0

    @pytest.mark.parametrize("degree", [1, 3, 8])
    def test_degree_p_goes_through_p_plus_one_points(self, degree):
        rng = np.random.default_rng(degree)
        x, y = np.arange(degree + 1) + rng.uniform(0, 0.5, degree + 1), rng.standard_normal(degree + 1)
        x, y = np.tile(x, 12), np.tile(y, 12)  # so that every fold's fit sees all of them
        choice = fastdl.select_degree(x, y, [degree], test=0)
        assert choice.train_folds.max() <= 1e-24 * (y**2).mean()
        np.testing.assert_allclose(choice.predict(x), y, atol=1e-11)
        assert np.isnan(choice.test).all()

    def test_exact_polynomials_leave_nothing(self):
        x = np.linspace(-2, 5, 5000)
        y = 3 - x + 0.5 * x**3
        choice = fastdl.select_degree(x, y, range(8))
        assert (choice.valid[3:] < 1e-25 * (y**2).mean()).all() and choice.one_se >= 3

    def test_curves_and_choices(self):
        x, y = wave(2000)
        choice = fastdl.select_degree(x, y, range(16))
        np.testing.assert_allclose(choice.valid, choice.valid_folds.mean(axis=1))
        np.testing.assert_allclose(choice.valid_se, choice.valid_folds.std(axis=1, ddof=1) / np.sqrt(5))
        best = choice.valid.argmin()
        assert choice.best == best == choice.model.degree
        assert choice.one_se == np.flatnonzero(choice.valid <= choice.valid[best] + choice.valid_se[best])[0]
        assert fastdl.select_degree(x, y, range(16), rule="one_se").model.degree == choice.one_se
        assert (np.diff(choice.train_folds, axis=0) <= 1e-12).all()
        parts = fastdl.split(2000, (0.9, 0.1), seed=0)
        dev, test = parts.rows(0), parts.rows(1)
        for d, model in zip(choice.degrees, choice.models):
            f = np.polynomial.Chebyshev.fit(x[dev], y[dev], d, domain=(x.min(), x.max()))
            np.testing.assert_allclose(model.coefficients, f.coef, atol=1e-11)
            np.testing.assert_allclose(choice.test[d], ((y - f(x))[test] ** 2).mean(), rtol=1e-10)

    @pytest.mark.parametrize("k", [2, 3, 4, 60])
    def test_any_number_of_folds(self, k):
        x, y = wave(600 if k == 60 else 2000)
        for degrees in ([0, 3], [5]):
            assert_refits(fastdl.select_degree(x, y, degrees, folds=k), refits(x, y, degrees, k=k))

    def test_test_part_is_not_seen(self):
        x, y = wave(2000)
        choice = fastdl.select_degree(x, y)
        y[fastdl.split(2000, (0.9, 0.1), seed=0).test] += 100
        other = fastdl.select_degree(x, y)
        np.testing.assert_allclose(other.valid, choice.valid, rtol=1e-9)
        assert (other.test > 9000).all()

    def test_folds_of_the_user(self):
        x, y = wave(1000)
        codes = fastdl.k_fold(1000, 4, seed=3, groups=np.arange(1000) // 10)
        want = reference.curves(x, y, np.ones(1000), range(6), codes.folds(), 4, domain=(x.min(), x.max()))
        assert_refits(fastdl.select_degree(x, y, range(6), folds=codes), want)
        assert_refits(fastdl.select_degree(x, y, range(6), folds=codes.folds()), want)
        some = np.where(np.arange(1000) < 100, -1, codes.folds())
        choice = fastdl.select_degree(x, y, range(6), folds=some)
        assert_refits(choice, reference.curves(x, y, np.ones(1000), range(6), some, 4, domain=(x.min(), x.max())))
        assert np.isfinite(choice.test).all()

    def test_chunks_and_threads_give_the_same_bits(self):
        x, y = wave(50_000)
        s = np.random.default_rng(0).uniform(0, 1, 50_000)
        want = fastdl.select_degree(x, y, range(12), sample_weight=s)
        for size in (777, 10_000):
            chunks = [(x[i : i + size], y[i : i + size], s[i : i + size]) for i in range(0, 50_000, size)]
            for given in (chunks, lambda chunks=chunks: iter(chunks)):
                got = fastdl.select_degree(given, degrees=range(12), threads=2)
                np.testing.assert_array_equal(got.valid_folds, want.valid_folds)
                np.testing.assert_array_equal(got.model.coefficients, want.model.coefficients)
        once = fastdl.select_degree(lambda: iter(chunks), degrees=range(12), domain=(0, 10), n=50_000)
        assert once.passes == 1
        for n, words in ((49_999, "more rows than n = 49999"), (50_001, "only 50000 rows, but n = 50001")):
            with pytest.raises(fastdl.InputError, match=words):
                fastdl.select_degree(chunks, domain=(0, 10), n=n)

    def test_any_input_and_wrong_arguments(self):
        x, y = wave(500)
        want = fastdl.select_degree(x, y, range(5)).valid
        torch = pytest.importorskip("torch")
        for other in (x.tolist(), x.astype(">f8"), np.repeat(x, 2)[::2], torch.from_numpy(x)):
            np.testing.assert_array_equal(fastdl.select_degree(other, y, range(5)).valid, want)
        for call, words in (
            (lambda: fastdl.select_degree([], [], range(3)), "there are no rows"),
            (lambda: fastdl.select_degree([1.0], [2.0], range(3)), "folds must be at most"),
            (lambda: fastdl.select_degree(x, y[:-1]), "lengths must agree"),
            (lambda: fastdl.select_degree(np.where(x > 9, np.nan, x), y), "x must be finite"),
            (lambda: fastdl.select_degree(x, np.where(x > 9, np.inf, y)), "y must be finite"),
            (lambda: fastdl.select_degree(x[:40], np.where(x > 9, np.inf, y)[:40]), "y must be finite"),
            (lambda: fastdl.select_degree(x, y, []), "degrees must not be empty"),
            (lambda: fastdl.select_degree(x, y, [61]), "between 0 and 60"),
            (lambda: fastdl.select_degree(x, y, folds=1), "folds must be at least 2"),
            (lambda: fastdl.select_degree(x, y, folds=np.zeros(500, int)), "folds must be -1, or"),
            (lambda: fastdl.select_degree(x, y, folds=fastdl.k_fold(9, 2, seed=0)), "of 500 rows, got folds of 9"),
            (lambda: fastdl.select_degree(x, y, folds=[0, 1]), "one number for each of 500 rows"),
            (lambda: fastdl.select_degree(x, y, folds=np.arange(500) % 2 * 2), "got none in fold 1"),
            (lambda: fastdl.select_degree(x, y, test=1), "test must be below 1"),
            (lambda: fastdl.select_degree(x, y, p=0), "p must be above 0"),
            (lambda: fastdl.select_degree(x, y, rule="max"), "rule must be one of"),
            (lambda: fastdl.select_degree(x, y, sample_weight=-x), "sample_weight must be finite and not negative"),
            (lambda: fastdl.select_degree(x, y, sample_weight=0 * x), "no rows of weight above 0"),
        ):
            with pytest.raises(fastdl.InputError, match=words):
                call()
        with pytest.raises(fastdl.InputTypeError, match="chunks are gone through several times"):
            fastdl.select_degree(iter([(x, y)]))

    def test_the_plot_has_its_curves_and_a_legend(self):
        figure = pytest.importorskip("matplotlib.figure").Figure()
        choice = fastdl.select_degree(*wave(500), range(8))
        axes = choice.plot(figure.subplots())
        assert axes.get_xlabel() == "degree" and len(axes.get_legend_handles_labels()[1]) == 5


class TestOtherPowers:
    def check(self, p):
        x, y = wave(400)
        s = np.random.default_rng(0).integers(0, 3, 400).astype(float)
        choice = fastdl.select_degree(x, y, [0, 1, 4], folds=3, p=p, sample_weight=s)
        assert choice.method == "fit_lp" and choice.p == p
        from fastdl.linear.fit import fit_lp

        codes = drawn(400, 3)
        V = fastdl.vandermonde(x, 4, basis="chebyshev", domain=(x.min(), x.max()))[:, 1:]
        for i, d in enumerate((0, 1, 4)):
            for k in range(3):
                rows = (codes >= 0) & (codes != k) & (s > 0)
                fit = fit_lp(V[rows, :d], y[rows], p, sample_weight=s[rows])
                loss = np.abs(y - V[:, :d] @ fit.w - fit.b) ** p
                held = (codes == k) & (s > 0)
                assert choice.train_folds[i, k] == pytest.approx(np.average(loss[rows], weights=s[rows]), rel=1e-9)
                assert choice.valid_folds[i, k] == pytest.approx(np.average(loss[held], weights=s[held]), rel=1e-9)
        f = choice.models[2]
        test = fastdl.split(400, (0.9, 0.1), seed=0).test
        want = np.average(np.abs(y - f.predict(x))[test] ** p, weights=s[test])
        assert choice.test[2] == pytest.approx(want, rel=1e-9)
        return choice

    def test_degree_0_alone(self):
        only = fastdl.select_degree(*wave(100), [0], p=1.5, test=0)
        assert only.best == 0 and np.isnan(only.test).all()

    @pytest.mark.parametrize("p", [1, 1.5, 3])
    def test_with_fit_lp(self, p):
        self.check(p)


class TestSeveralColumns:
    def test_the_degree_of_products(self):
        rng = np.random.default_rng(0)
        X = rng.uniform(-1, 1, (400, 2))
        y = X[:, 0] * X[:, 1] + X[:, 1] ** 2 + 0.05 * rng.standard_normal(400)
        choice = fastdl.select_degree(X, y, range(5), seed=3)
        assert choice.one_se == 2 and choice.models[2].predict(X) == pytest.approx(y, abs=0.3)
        fold = fastdl.Split(400, [72, 72, 72, 72, 72, 40], 3).parts().astype(int)
        columns = np.column_stack([np.ones(400), X, X[:, 0] ** 2, X[:, 0] * X[:, 1], X[:, 1] ** 2])
        for k in range(5):
            rest, held = (fold != k) & (fold < 5), fold == k
            c = np.linalg.lstsq(columns[rest], y[rest])[0]
            assert choice.valid_folds[2, k] == pytest.approx(((y[held] - columns[held] @ c) ** 2).mean(), rel=1e-9)
        assert (choice.valid == fastdl.select_degree(X, y, range(5), folds=np.where(fold == 5, -1, fold)).valid).all()

    def test_degrees_that_are_not_determined_are_never_chosen(self):
        X = np.random.default_rng(0).uniform(size=(40, 3))
        with pytest.warns(UserWarning, match="degrees above 3"):
            choice = fastdl.select_degree(X, X.sum(1), range(6), test=0)
        assert choice.best <= 3 and np.isinf(choice.valid[4:]).all()

    def test_one_column_is_the_same_as_a_line(self):
        x, y = wave()
        assert (fastdl.select_degree(x[:, None], y).valid == fastdl.select_degree(x, y).valid).all()


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
def test_tiny_and_huge_targets(p):
    x, y = wave(300)
    want = fastdl.select_degree(x, y, range(5), p=p)
    for scale in (2.0**-700, 2.0**800):
        got = fastdl.select_degree(x, y * scale, range(5), p=p)
        assert got.best == want.best
        np.testing.assert_allclose(got.predict(x) / scale, want.predict(x), rtol=1e-9, atol=1e-12)


def test_a_power_that_no_float_takes_is_refused():
    with pytest.raises(fastdl.InputError, match="p must be between 0 and 1000"):
        fastdl.select_degree(np.arange(10.0), np.arange(10.0), [1], p=2**31 - 1)
