"""Rows in blocks: the same blocks from arrays and from chunks of any size, checked, weight 0 left out."""

import numpy as np
import pytest

from fastdl import InputError, InputTypeError
from fastdl._rows import Rows
from fastdl.linear.result import Certificate, LpFit

rng = np.random.default_rng(0)
X, y = rng.standard_normal((9000, 40)).astype(np.float32), rng.standard_normal(9000)
s = rng.integers(1, 3, 9000)


def blocks(rows):
    return [tuple(None if a is None else a.copy() for a in block) for block in rows.blocks()]


@pytest.mark.parametrize("step", [1000, 3000, 3264, 9000, 20000])
def test_blocks_do_not_depend_on_the_chunks(step):
    chunks = [(X[i : i + step], y[i : i + step], s[i : i + step]) for i in range(0, len(X), step)]
    want, got = blocks(Rows(X, y, s)), blocks(Rows(chunks))
    assert len(want) == len(got) > 2
    for a, b in zip(want, got):
        assert all((p == q).all() and p.dtype == np.float64 for p, q in zip(a, b))


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_totals_do_not_depend_on_threads(threads):
    rows = Rows(lambda: ((X[i : i + 700], y[i : i + 700]) for i in range(0, len(X), 700)))
    got = rows.total(lambda X, y, s: np.array([np.add.reduce(y), len(y)]), threads)
    want = Rows(X, y).total(lambda X, y, s: np.array([np.add.reduce(y), len(y)]))
    assert (got == want).all() and got[1] == len(y)


def test_rows_of_weight_0_are_left_out_whatever_they_hold():
    bad, weight = X.copy(), s.copy()
    bad[17], weight[17] = np.nan, 0
    got = Rows(bad, y, weight).gathered()
    assert len(got[0]) == len(X) - 1 and np.isfinite(got[0]).all()


def test_errors_name_the_row():
    bad = y.copy()
    bad[8999] = np.inf
    with pytest.raises(InputError, match="y must be finite, got inf in row 8999"):
        blocks(Rows(X, bad))
    weight = s.astype(float)
    weight[4000] = -1
    with pytest.raises(InputError, match=r"sample_weight must be finite and not negative, got -1.0 in row 4000"):
        Rows(X, y, weight).total(lambda X, y, s: np.zeros(1), 2)


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ((iter([(X, y)]),), InputTypeError, "several times"),
        ((X,), InputTypeError, "without y"),
        (([],), InputError, "no chunks"),
        (([(X, y), (X[:, :3], y)],), InputError, "40 columns"),
        (([(X,)],), InputTypeError, "a chunk must be"),
        ((X, y[:5]), InputError, "lengths must agree"),
        ((X, ["a"] * len(X)), InputTypeError, "y must be"),
    ],
)
def test_what_is_refused(data, error, message):
    with pytest.raises(error, match=message):
        blocks(Rows(*data))


def test_no_rows():
    rows = Rows(X[:0], y[:0])
    assert rows.total(lambda X, y, s: np.zeros(1)) is None
    assert rows.gathered()[0].shape == (0, 40)


def test_certificates_and_fits_are_what_they_are_made_of():
    assert Certificate.of(2.0, 1.0, "dual") == (2.0, 1.0, 0.5, "dual")
    assert Certificate.of(0.0, 0.0, "interpolation").gap == 0
    assert Certificate.of(1.0, 1.0 + 1e-16, "dual").lower == 1.0
    fit = LpFit(np.ones(2), 1.0, 2.0, 0.0, Certificate.of(0, 0, "interpolation"), "by hand")
    assert fit.predict([[1, 2], [3, 4]]).tolist() == [4, 8]
    with pytest.raises(InputError, match="2 columns"):
        fit.predict([[1.0]])
