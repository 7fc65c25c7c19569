"""What fits promise: the least loss, proven; the same whatever the units, the order of work and the form of data."""

import os
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import numpy as np
import pytest

import fastdl
from fastdl.linear.methods import vertex
from fastdl.reference import linear as reference
from tests import linear_nist_filip

POWERS = [1, 1.001, 1.2, 1.5, 2, 2.5, 3, 4, 10, 50]
powers = pytest.mark.parametrize("p", POWERS)
EXACT = 1e-12


def problem(kind="normal", n=300, d=4, seed=0):
    rng = np.random.default_rng([seed, n, d])
    X = rng.standard_normal((n, d))
    y = X @ np.arange(1, d + 1) + 3 + rng.standard_normal(n)
    if kind == "integers":
        X, y = rng.integers(-2, 3, (n, d)).astype(float), rng.integers(-3, 4, n).astype(float)
    elif kind == "repeated":
        X, y = np.repeat(X[: n // 2], 2, 0), np.repeat(y[: n // 2], 2)
    elif kind == "heavy":
        X, y = rng.standard_cauchy((n, d)), rng.standard_cauchy(n)
    elif kind == "through most":
        y = X @ np.arange(1, d + 1) + (rng.random(n) < 0.3) * rng.standard_normal(n)
    elif kind == "classes":
        X = (rng.integers(0, d, n)[:, None] == np.arange(d)).astype(float)
    return X, y


KINDS = ["normal", "integers", "repeated", "heavy", "through most", "classes"]


def loss(fit, X, y, p, s=1.0):
    return (s * np.abs(y - X @ fit.w - fit.b) ** p).sum()


def proven(fit, X, y, p, tol=1e-8, s=1.0):
    assert fit.loss == pytest.approx(loss(fit, X, y, p, s), rel=1e-9)
    upper, lower, gap, kind = fit.certificate
    assert upper == fit.loss >= lower
    assert 0 <= gap <= tol
    assert kind in ("closed form", "vertex", "dual")
    assert len(fit.history["loss"]) == len(fit.history["gap"]) > 0
    assert fit.history["loss"][-1] == pytest.approx(fit.loss, rel=1e-12)
    return fit


@powers
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("intercept", [True, False])
def test_proven_and_no_better_near_by(p, kind, intercept):
    X, y = problem(kind)
    fit = proven(fastdl.fit_lp(X, y, p, intercept=intercept), X, y, p, tol=1e-11 if p <= 2 and p in (1, 2) else 1e-8)
    rng = np.random.default_rng(1)
    for size in (1e-1, 1e-3, 1e-5):
        for _ in range(20):
            near = fit.w + size * rng.standard_normal(4), fit.b + size * intercept * rng.standard_normal()
            assert (np.abs(y - X @ near[0] - near[1]) ** p).sum() >= fit.loss * (1 - 1e-8)


@pytest.mark.parametrize("n", [3, 4, 7, 12])
@pytest.mark.parametrize("d", [0, 1, 2])
@pytest.mark.parametrize("kind", ["normal", "integers", "repeated"])
@pytest.mark.parametrize("intercept", [True, False])
def test_least_absolute_against_every_vertex(n, d, kind, intercept):
    X, y = problem(kind, n, d, seed=n)
    s = np.random.default_rng(n).integers(0, 3, len(y))
    A = np.column_stack([X, np.ones((len(y), int(intercept)))])[s > 0]
    if not 0 < np.linalg.matrix_rank(A) == d + intercept:
        return
    fit = fastdl.fit_lp(X, y, 1, intercept=intercept, sample_weight=s)
    best = reference.fit_lp(X, y, 1, intercept=intercept, sample_weight=s)[2]
    assert fit.loss == pytest.approx(best, rel=EXACT, abs=1e-12)
    assert fit.certificate.gap <= EXACT


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weighted", [False, True])
def test_least_absolute_against_linear_programming(kind, weighted):
    optimize = pytest.importorskip("scipy.optimize")
    X, y = problem(kind, 200, 3)
    n = len(y)
    s = np.random.default_rng(0).random(n) if weighted else np.ones(n)
    A = np.column_stack([np.ones(n), X, np.eye(n), -np.eye(n)])
    bounds = [(None, None)] * 4 + [(0, None)] * (2 * n)
    want = optimize.linprog(np.r_[np.zeros(4), s, s], A_eq=A, b_eq=y, bounds=bounds, method="highs").fun
    fit = fastdl.fit_lp(X, y, 1, sample_weight=s if weighted else None)
    assert fit.loss == pytest.approx(want, rel=1e-9)
    assert fit.certificate.gap <= 1e-11 and fit.certificate.kind == "vertex"


@pytest.mark.parametrize("p", [1.2, 1.5, 3, 4, 10])
def test_other_powers_against_scipy(p):
    optimize = pytest.importorskip("scipy.optimize")
    X, y = problem(n=200, d=3)

    def value(v):
        return fastdl.lp_loss_grad(X, y, v[1:], v[0], p)

    def both(v):
        loss, by_w, by_b = value(v)
        return loss, np.append(by_b, by_w)

    want = optimize.minimize(both, np.zeros(4), jac=True, options={"gtol": 1e-10}).fun
    fit = fastdl.fit_lp(X, y, p)
    assert fit.loss <= want * (1 + 1e-8)
    assert fit.certificate.lower <= want * (1 + 1e-12)
    assert fit.loss == pytest.approx(want, rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("intercept", [True, False])
def test_least_squares_against_lstsq(kind, intercept):
    X, y = problem(kind)
    shift, up = (X.mean(0), y.mean()) if intercept else (0, 0)
    w, _, rank, _ = np.linalg.lstsq(X - shift, y - up, rcond=1e-12)
    fit = fastdl.fit_lp(X, y, intercept=intercept)
    np.testing.assert_allclose(fit.w, w, rtol=1e-9, atol=1e-12 * np.abs(w).max())
    assert fit.rank == rank + intercept
    assert fit.b == pytest.approx(up - np.sum(shift * w), rel=1e-9, abs=1e-12)


def test_least_squares_against_fractions():
    rng = np.random.default_rng(2)
    X, y = rng.integers(-50, 50, (30, 4)), rng.integers(-50, 50, 30)
    rows = [[Fraction(1), *map(Fraction, row)] for row in X.tolist()]
    system = [[sum(r[i] * r[j] for r in rows) for j in range(5)] for i in range(5)]
    for line, i in zip(system, range(5)):
        line.append(sum(r[i] * v for r, v in zip(rows, y.tolist())))
    for i in range(5):
        for k in set(range(5)) - {i}:
            system[k] = [a - system[k][i] / system[i][i] * b for a, b in zip(system[k], system[i])]
    want = [float(system[i][5] / system[i][i]) for i in range(5)]
    fit = fastdl.fit_lp(X, y)
    np.testing.assert_allclose(np.append(fit.b, fit.w), want, rtol=1e-13)


def test_filip_has_nists_certified_digits():
    V = np.vander(linear_nist_filip.X, 11, increasing=True)
    for X, intercept in ((V[:, 1:], True), (V, False)):
        fit = fastdl.fit_lp(X, linear_nist_filip.Y, intercept=intercept)
        np.testing.assert_allclose(
            fit.w, linear_nist_filip.CERTIFIED[int(intercept) :], rtol=1e-7
        )  # lstsq: no digit is right
        assert fit.loss == pytest.approx(linear_nist_filip.RESIDUAL, rel=1e-7)
        assert fit.rank == 11 and fit.condition > 1e9 and "QR" in fit.method
        assert fit.certificate.gap < 1e-10
    for p in (1, 1.5, 4):
        assert fastdl.fit_lp(V[:, 1:], linear_nist_filip.Y, p).certificate.gap <= 1e-6


def test_many_rows_of_float32():
    # scikit-learn 1.6 to 1.8 cut singular values at max(N, D) eps: nothing was left above some 5e5 rows (issue 33032).
    rng = np.random.default_rng(3)
    X = rng.random((600_000, 2), dtype=np.float32)
    X[:, 1] = X[:, 0] + 0.01 * X[:, 1]
    y = (X @ np.float32([3, -2]) + 5).astype(np.float32)
    fit = fastdl.fit_lp(X, y)
    np.testing.assert_allclose(fit.w, [3, -2], atol=1e-3)
    assert fit.rank == 3


@pytest.mark.parametrize("p", [1, 1.5, 2, 4])
@pytest.mark.parametrize(
    ("x", "shift", "unit"), [(1, 0, 1e-9), (1, 0, 1e9), (1, 1e6, 1), (1e-6, 0, 1), (1e150, 0, 1e30)]
)
def test_units_do_not_matter(p, x, shift, unit):
    X, y = problem()
    want = fastdl.fit_lp(X, y, p, tol=1e-13)
    scales = x ** np.array([1, 0, -1, 0.5])
    fit = fastdl.fit_lp((X + shift) * scales, y * unit, p, tol=1e-13)
    np.testing.assert_allclose(fit.w * scales / unit, want.w, rtol=1e-9)
    assert fit.loss == pytest.approx(want.loss * unit**p, rel=1e-9)
    assert fit.certificate.gap == pytest.approx(want.certificate.gap, abs=1e-9)  # residuals round by the shift


@pytest.mark.parametrize("p", [1, 1.5, 2, 4])
def test_weight_zero_drops_and_two_repeats(p):
    X, y = problem()
    s = np.random.default_rng(4).integers(0, 3, len(y))
    want = fastdl.fit_lp(np.repeat(X, s, 0), np.repeat(y, s), p, tol=1e-12)
    X[s == 0], y[np.flatnonzero(s == 0)[:3]] = np.nan, np.inf
    fit = fastdl.fit_lp(X, y, p, sample_weight=s, tol=1e-12)
    np.testing.assert_allclose(fit.w, want.w, rtol=1e-6)
    assert fit.loss == pytest.approx(want.loss, rel=1e-11)


@pytest.mark.parametrize("p", [1, 1.3, 2, 3])
@pytest.mark.parametrize("n", [20_000, 60_000])
def test_same_bits_for_any_chunks_and_threads(p, n):
    X, y = problem("normal", n, 13)
    s = np.random.default_rng(5).random(n)
    want = fastdl.fit_lp(X, y, p, sample_weight=s)
    for step, threads in ((7777, 1), (n, 2), (3001, 3)):
        chunks = [(X[i : i + step], y[i : i + step], s[i : i + step]) for i in range(0, n, step)]
        fit = fastdl.fit_lp(lambda chunks=chunks: iter(chunks), p=p, threads=threads)
        assert (fit.w == want.w).all() and fit.b == want.b and fit.certificate == want.certificate


@pytest.mark.parametrize("kind", KINDS)
def test_band_is_exact(kind, monkeypatch):
    X, y = problem(kind, 4000, 3)
    want = fastdl.fit_lp(X, y, 1)
    monkeypatch.setattr(vertex, "_WHOLE", 100)
    fit = proven(fastdl.fit_lp(X, y, 1), X, y, 1, tol=1e-11)
    assert fit.loss == pytest.approx(want.loss, rel=1e-12)
    order = np.argsort(y)
    assert fastdl.fit_lp(X[order], y[order], 1).loss == pytest.approx(want.loss, rel=1e-12)
    monkeypatch.setattr(vertex, "_WIDE", 0.2)  # too narrow: wrong signs, and rounds of more rows
    fit = proven(fastdl.fit_lp(X, y, 1), X, y, 1, tol=1e-11)
    assert fit.loss == pytest.approx(want.loss, rel=1e-12)


def test_rounds_of_the_band_have_true_bounds(monkeypatch):
    monkeypatch.setattr(vertex, "_WHOLE", 100)
    X, y = problem("normal", 20_000, 4)
    rounds = []
    for wide in (0.3, 0.6, 1.0, 1.4):
        monkeypatch.setattr(vertex, "_WIDE", wide)
        history = fastdl.fit_lp(X, y, 1).history
        assert (history["loss"] * (1 - history["gap"]) <= history["loss"][-1] * (1 + 1e-12)).all()
        rounds.append(len(history["loss"]))
    assert max(rounds) > 1


@powers
def test_as_many_columns_as_rows_go_through_every_row(p):
    rng = np.random.default_rng(6)
    for n, d in ((5, 4), (5, 9), (1, 0), (1, 3), (2, 1)):
        X, y = rng.standard_normal((n, d)), rng.standard_normal(n)
        fit = fastdl.fit_lp(X, y, p)
        assert fit.loss == 0 and fit.certificate == (0, 0, 0, "interpolation") and fit.rank == n
        np.testing.assert_allclose(fit.predict(X), y, atol=1e-12)


@powers
def test_degree_through_as_many_points(p):
    x = np.linspace(-1, 1, 8)
    y = np.random.default_rng(7).standard_normal(8)
    fit = fastdl.fit_lp(fastdl.vandermonde(x, 7)[:, 1:], y, p)
    assert fit.loss == 0 and fit.certificate.kind == "interpolation"
    np.testing.assert_allclose(fit.predict(fastdl.vandermonde(x, 7)[:, 1:]), y, atol=1e-12)


@powers
def test_columns_that_others_determine(p):
    X, y = problem()
    X = np.round(X * 2**20) / 2**20  # so that the combinations are exact; test_linear_dependent_columns has others
    want = fastdl.fit_lp(X, y, p)
    wide = np.column_stack([X, X[:, 0] - 2 * X[:, 1], np.full(len(y), 0.1), np.zeros(len(y)), 1e6 * X[:, 2] + 7])
    fit = proven(fastdl.fit_lp(wide, y, p), wide, y, p)
    assert fit.rank == 5 and fit.loss == pytest.approx(want.loss, rel=1e-7)
    np.testing.assert_allclose(fit.predict(wide), want.predict(X), rtol=1e-5, atol=1e-5)
    if p == 2:
        least = np.linalg.lstsq(wide - wide.mean(0), y - y.mean(), rcond=1e-10)[0]
        np.testing.assert_allclose(fit.w, least, rtol=1e-6, atol=1e-9)


def test_only_an_intercept_is_a_median():
    y = np.array([5.0, 1, 9, 2, 100])
    assert fastdl.fit_lp(np.zeros((5, 0)), y, 1).b == 5
    assert fastdl.fit_lp(np.ones((5, 2)), y, 1).b == 5
    assert fastdl.fit_lp(np.zeros((5, 0)), y, 1, sample_weight=[1, 1, 1, 1, 9]).b == 100
    assert fastdl.fit_lp(np.zeros((5, 0)), y).b == pytest.approx(y.mean())
    fit = fastdl.fit_lp(np.zeros((5, 0)), y, 1, intercept=False)
    assert fit.b == 0 and fit.loss == 117 and fit.certificate.gap == 0 and fit.rank == 0


@powers
def test_nothing_to_fit(p):
    for X, y, s in ((np.zeros((0, 3)), np.zeros(0), None), (np.ones((2, 3)), [np.nan, 1.0], [0, 0])):
        fit = fastdl.fit_lp(X, y, p, sample_weight=s)
        assert (fit.w == 0).all() and fit.b == 0 and fit.loss == 0 and fit.rank == 0
    fit = fastdl.fit_lp([[1.0], [2.0], [3.0]], [0.0, 0.0, 0.0], p)
    assert fit.w == 0 and fit.loss == 0
    fit = fastdl.fit_lp([[1.0], [2.0], [3.0]], [7.1, 7.1, 7.1], p)
    assert fit.w == 0 and fit.b == pytest.approx(7.1) and fit.loss == 0


def test_lists_layouts_dtypes_and_tensors_give_the_same_fit():
    X, y = problem(n=50)
    want = fastdl.fit_lp(X, y, 1)
    frozen = X.copy()
    frozen.flags.writeable = False
    wide = np.zeros((50, 8))
    wide[:, ::2] = X
    torch = pytest.importorskip("torch")
    for form in (X.tolist(), X.astype(">f8"), np.asfortranarray(X), frozen, wide[:, ::2], torch.from_numpy(X.copy())):
        fit = fastdl.fit_lp(form, y, 1)
        assert (fit.w == want.w).all()
    assert fastdl.fit_lp(X.astype(np.float16), y > 0, 2).rank == 5
    before = X.copy(), y.copy()
    fastdl.fit_lp(X, y, 3)
    assert (before[0] == X).all() and (before[1] == y).all()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"p": 0}, "p must be above 0"),
        ({"p": np.inf}, "p must be finite"),
        ({"p": "x"}, "p must be a number"),
        ({"method": "best"}, "method must be one of 'auto', 'closed form'"),
        ({"method": "vertex"}, "method 'vertex' must have p = 1, got p = 2.0"),
        ({"method": "newton", "p": 1}, "method 'newton' must have p > 1"),
        ({"tol": 0}, "tol must be above 0"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"threads": 0}, "threads must be at least 1"),
        ({"X": np.zeros((3, 1, 1))}, "X must have 2 dimension"),
        ({"y": [1.0]}, "lengths must agree"),
        ({"y": [1.0, np.nan, 0.0]}, "y must be finite, got nan in row 1"),
        ({"X": [[1.0], [2.0], [np.inf]]}, "X must be finite"),
        ({"sample_weight": [1.0, -1.0, 1.0]}, "sample_weight must be finite and not negative"),
        ({"X": [["a"], ["b"], ["c"]]}, "X must be"),
        ({"y": None}, "chunk"),
    ],
)
def test_wrong_arguments_say_so(wrong, message):
    arguments = {"X": [[1.0], [2.0], [4.0]], "y": [1.0, 2.0, 5.0], **wrong}
    with pytest.raises(fastdl.FastdlError, match=message):
        fastdl.fit_lp(**arguments)


def test_from_many_threads_at_once():
    X, y = problem(n=3000)
    want = [fastdl.fit_lp(X, y, p).loss for p in (1, 1.5, 2)]
    with ThreadPoolExecutor(8) as executor:
        for got in executor.map(lambda _: [fastdl.fit_lp(X, y, p, threads=2).loss for p in (1, 1.5, 2)], range(8)):
            assert got == want


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_fits_with_threads():
    X, y = problem("normal", 60_000, 4)
    want = fastdl.fit_lp(X, y, 1, threads=2).loss
    child = os.fork()
    if not child:
        os._exit(int(fastdl.fit_lp(X, y, 1, threads=2).loss != want))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_the_reference_agrees():
    X, y = problem(n=60, d=2)
    for p in (1, 1.5, 2, 3):
        w, b, best = reference.fit_lp(X, y, p)
        fit = fastdl.fit_lp(X, y, p, tol=1e-12)
        np.testing.assert_allclose(fit.w, w, rtol=1e-5)
        assert fit.b == pytest.approx(b, rel=1e-5) and fit.loss == pytest.approx(best, rel=1e-9)


def test_options_a_method_does_not_know_are_refused():
    with pytest.raises(fastdl.InputTypeError, match="'closed form' knows no option 'epochs'; it has none"):
        fastdl.fit_lp([[1.0], [2.0]], [1.0, 2.0], epochs=3)
    with pytest.raises(fastdl.InputTypeError, match=r"'gradient' knows no option 'epoch'; its options are .*epochs"):
        fastdl.fit_lp([[1.0], [2.0]], [1.0, 2.0], method="gradient", epoch=3)
