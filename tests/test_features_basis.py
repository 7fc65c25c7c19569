"""Polynomial bases beyond the reference: the peers' columns, exact ends, numbers that are not finite, chunks."""

import math

import numpy as np
import pytest

import fastdl
from fastdl import streaming


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bases_equal_numpys(dtype):
    x = np.random.default_rng(0).uniform(-1, 1, 501).astype(dtype)
    wide = x.astype(np.float64)
    rtol = 100 * np.finfo(dtype).eps
    powers = wide[:, None] ** np.arange(13)
    np.testing.assert_allclose(fastdl.vandermonde(x, 12), powers, rtol=rtol, atol=1e-30)
    chebyshev = np.polynomial.chebyshev.chebvander(wide, 12)
    np.testing.assert_allclose(fastdl.vandermonde(x, 12, basis="chebyshev"), chebyshev, atol=20 * rtol)
    legendre = np.polynomial.legendre.legvander(wide, 12)
    np.testing.assert_allclose(fastdl.vandermonde(x, 12, basis="legendre"), legendre, atol=20 * rtol)


def test_powers_and_chebyshev_have_numpys_bits():
    x = np.random.default_rng(1).standard_normal(1000)
    np.testing.assert_array_equal(fastdl.vandermonde(x, 9), np.polynomial.polynomial.polyvander(x, 9))
    np.testing.assert_array_equal(fastdl.vandermonde(x, 9, basis="chebyshev"), np.polynomial.chebyshev.chebvander(x, 9))


@pytest.mark.parametrize("basis", ["chebyshev", "legendre"])
@pytest.mark.parametrize("domain", [(0.1, 0.7), (-1e6, 3e6), (1e6, 1e6 + 1), (-1e300, 1e-300)])
def test_ends_of_the_domain_are_exact(basis, domain):
    ends = fastdl.vandermonde(domain, 30, basis=basis, domain=domain)
    np.testing.assert_array_equal(ends[0], (-1.0) ** np.arange(31))
    np.testing.assert_array_equal(ends[1], np.ones(31))


def test_domain_maps_monomials_too():
    np.testing.assert_array_equal(fastdl.vandermonde([0, 5, 10], 2, domain=(0, 10)), [[1, -1, 1], [1, 0, 0], [1, 1, 1]])


def test_any_shape_and_dtype():
    x = np.arange(6).reshape(2, 3)
    assert fastdl.vandermonde(x, 2).shape == (2, 3, 3)
    assert fastdl.vandermonde(x, 2).dtype == np.float64
    assert fastdl.vandermonde(np.int8([100]), 2)[0, 2] == 10000
    assert fastdl.vandermonde([True, False], 1).dtype == np.float64
    assert fastdl.vandermonde(2.0, 3).tolist() == [1, 2, 4, 8]
    assert fastdl.vandermonde([], 3).shape == (0, 4)
    assert fastdl.vandermonde(np.empty((0, 2), np.float32), 3).shape == (0, 2, 4)
    for dtype in (np.float16, np.longdouble):
        assert fastdl.vandermonde(np.ones(3, dtype), 2).dtype == dtype
        assert fastdl.polynomial_features(np.ones((3, 2), dtype), 2).dtype == dtype


def test_numbers_that_are_not_finite_go_through():
    got = fastdl.vandermonde([np.nan, np.inf, -np.inf, 1e300, -0.0], 2)
    np.testing.assert_array_equal(got[:, 0], 1)
    np.testing.assert_array_equal(got[:, 2], [np.nan, np.inf, np.inf, np.inf, 0])
    assert np.signbit(got[4, 1])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([1.0], -1), "degree must be at least 0"),
        (([1.0], 2.5), "degree must be an integer"),
        (([1j], 2), "x must be floats, signed integers"),
        ((["a"], 2), "x must be floats"),
    ],
)
def test_vandermonde_refuses(arguments, words):
    with pytest.raises((fastdl.InputError, fastdl.InputTypeError), match=words):
        fastdl.vandermonde(*arguments)


@pytest.mark.parametrize(
    "domain", [(1, 1), (2, 1), (0, math.inf), (0, math.nan), 3, (1, 2, 3), ("a", "b"), (-1e308, 1e308)]
)
def test_domain_without_width(domain):
    with pytest.raises((fastdl.InputError, fastdl.InputTypeError), match="domain"):
        fastdl.vandermonde([1.0], 2, domain=domain)
    with pytest.raises(fastdl.InputError, match="basis must be one of"):
        fastdl.vandermonde([1.0], 2, basis="hermite")


def test_domain_too_narrow_for_float32():
    with pytest.raises(fastdl.InputError, match="float32"):
        fastdl.vandermonde(np.float32([1]), 2, domain=(1e8, 1e8 + 1))


def test_out_is_filled_and_must_fit():
    x = np.linspace(0, 1, 9)
    out = np.empty((9, 3))
    assert fastdl.vandermonde(x, 2, out=out) is out
    with pytest.raises(fastdl.InputError, match="out must be a writable"):
        fastdl.vandermonde(x, 3, out=out)
    both = np.zeros(27)
    with pytest.raises(fastdl.InputError, match="overlap"):
        fastdl.vandermonde(both[:9], 2, out=both.reshape(9, 3))


def test_chunks_give_the_rows_of_the_whole():
    x = np.random.default_rng(2).standard_normal(1000)
    X = x.reshape(-1, 4)
    parts = streaming.run(np.split(x, [3, 500]), lambda c: fastdl.vandermonde(c, 7, basis="legendre"))
    np.testing.assert_array_equal(np.concatenate(parts), fastdl.vandermonde(x, 7, basis="legendre"))
    functions = ["exp", "log", "sin", np.sqrt]
    parts = streaming.run(np.split(X, [1, 2, 97]), lambda c: fastdl.feature_map(c, functions))
    np.testing.assert_array_equal(np.concatenate(parts), fastdl.feature_map(X, functions))
