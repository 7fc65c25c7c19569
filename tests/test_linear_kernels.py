"""Products over the rows of a fit: the kernels against their definition, for any shape and layout of tiles."""

import numpy as np
import pytest

from fastdl import _kernels
from fastdl.linear._matrix import kernel
from fastdl.reference import _linear_kernels as newton_reference
from fastdl.reference import linear as reference

needs_kernel = pytest.mark.skipif(_kernels.load("linear") is None, reason="the kernels are not built")

SHAPES = [(n, d) for n in (1, 3, 64, 65, 200) for d in (0, 1, 5, 6, 7, 13, 14, 30, 70)]


def problem(n, d):
    rng = np.random.default_rng([n, d])
    X = rng.standard_normal((n, d)) + 5
    return (
        X,
        rng.standard_normal(n),
        rng.random(n),
        X.mean(axis=0),
        2.0 ** rng.integers(-3, 3, d),
        rng.standard_normal(d),
    )


@needs_kernel
@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_against_the_reference(n, d):
    X, y, s, shift, factor, w = problem(n, d)
    width = -(-(d + 2) // 8) * 8
    for weights in (None, s):
        got, want = np.zeros((width, width)), np.zeros((width, width))
        kernel.gram(X, y, weights, shift, factor, np.empty(128 * width), got)
        reference.gram(X, y, weights, shift, factor, None, want)
        np.testing.assert_allclose(np.triu(got)[: d + 2], want[: d + 2], rtol=1e-12, atol=1e-12 * np.abs(want).max())
    pairs = [(np.empty(n), np.empty(n)), (np.ones(d + 1), np.ones(d + 1))]
    for module, (r, g) in zip((kernel, reference), zip(*pairs)):
        module.residuals(X, y, w, 0.25, shift, r)
        module.products(X, y, shift, g)
    for got, want in pairs:
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12 * np.abs(want).max())


@needs_kernel
@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_rows_that_are_read_once(n, d):
    """Weights or none, rows of float32, and rows at the border of what counts as near."""
    X, y, s, shift, _, w = problem(n, d)
    for rows in (X, X.astype(np.float32)):
        for weights in (None, s):
            got, want = np.ones(d + 2), np.ones(d + 2)
            kernel.squares(rows, y, weights, w, 0.25, shift, got)
            reference.squares(rows.astype(float), y, weights, w, 0.25, shift, want)
            np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12 * np.abs(want).max())
            sums, single = np.zeros(d + 1), np.zeros(d + 1)
            kernel.products(rows, y, shift, sums)
            kernel.products(rows.astype(float), y, shift, single)
            assert (sums == single).all()
    r = np.empty(n)
    kernel.residuals(X, y, w, 0.25, shift, r)
    for weights in (None, s):
        for reach in (0.0, float(np.median(np.abs(r))), float(np.abs(r).max())):
            index, got, want = np.zeros(n, np.intp), np.zeros(d + 1), np.zeros(d + 1)
            found = kernel.near(X, y, weights, np.append(0.25, w), shift, reach, index, got)
            assert index[:found].tolist() == np.flatnonzero(np.abs(r) <= reach).tolist()
            far = np.where(np.abs(r) <= reach, 0, np.sign(r)) * (1 if weights is None else weights)
            kernel.products(X, far, shift, want)
            assert (got == want).all()


@needs_kernel
@pytest.mark.parametrize("e", [-1.9, -1.5, -0.5, 0.0, 0.3, 0.5, 1.0, 3.0, 3.5, 48.0])
def test_powers_of_residuals_equal_the_reference(e):
    r = np.concatenate([[0.0], np.logspace(-20, 20, 101), -np.logspace(-3, 3, 11)])
    got, want = np.empty(len(r)), np.empty(len(r))
    kernel.powers(r, e, got)
    reference.powers(r, e, want)
    np.testing.assert_allclose(got, want, rtol=1e-13)


@needs_kernel
@pytest.mark.parametrize(("n", "d"), [(200, 13), (64, 30)])
def test_sums_do_not_depend_on_what_else_is_summed(n, d):
    X, y, s, shift, factor, _ = problem(n, d)
    few = slice(None, 5)

    def gram(X, shift, factor):
        width = -(-(X.shape[1] + 2) // 8) * 8
        total = np.zeros((width, width))
        kernel.gram(X, y, s, shift, factor, np.empty(128 * width), total)
        return np.triu(total)

    part = gram(np.ascontiguousarray(X[:, few]), shift[few].copy(), factor[few].copy())
    np.testing.assert_array_equal(gram(X, shift, factor)[:6, :6], part[:6, :6])


@needs_kernel
@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_passes_of_newtons_method(n, d):
    """Powers with and without a root, with and without a floor."""
    passes = _kernels.load("linear_newton")
    X, y, s, shift, _, w = problem(n, d)
    models = np.array([np.append(0.25, w), np.append(0.3, 1.1 * w)])
    for p, floor in ((1.2, 0.05), (1.5, 1e-3), (1.5, 0.3), (2.0, 0.0), (2.7, 0.0), (3.0, 0.0)):
        for weights in (None, s):
            sums, curves = np.ones((2, d + 4)), np.empty((2, n))
            for module, total, curve in zip((passes, newton_reference), sums, curves):
                module.slopes(X, y, weights, models[0], shift, p, floor, curve, total)
            np.testing.assert_allclose(*curves, rtol=1e-12)
            np.testing.assert_allclose(*sums, rtol=1e-12, atol=1e-12 * np.abs(sums).max())
            sums = np.ones((2, d + 4))
            for module, total in zip((passes, newton_reference), sums):
                module.proof(X, y, weights, models, shift, p, floor, total)
            np.testing.assert_allclose(*sums, rtol=1e-12, atol=1e-12 * np.abs(sums).max())
