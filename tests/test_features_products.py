"""Products of columns beyond the reference: the columns and bits of scikit-learn, edges, sizes without bounds."""

import numpy as np
import pytest

import fastdl


@pytest.mark.parametrize("interaction_only", [False, True])
@pytest.mark.parametrize("include_bias", [False, True])
@pytest.mark.parametrize(("d", "degree"), [(1, 1), (1, 5), (2, 2), (3, 4), (4, 5), (10, 3)])
def test_columns_and_bits_of_scikit_learn(d, degree, interaction_only, include_bias):
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    X = np.random.default_rng(3).standard_normal((57, d))
    peer = preprocessing.PolynomialFeatures(degree, interaction_only=interaction_only, include_bias=include_bias)
    got = fastdl.polynomial_features(X, degree, interaction_only=interaction_only, include_bias=include_bias)
    np.testing.assert_array_equal(got, peer.fit_transform(X))


def test_products_at_the_edges():
    assert fastdl.polynomial_features(np.empty((0, 3)), 2).shape == (0, 10)
    assert fastdl.polynomial_features(np.empty((4, 0)), 2).tolist() == [[1.0]] * 4
    assert fastdl.polynomial_features(np.empty((4, 0)), 2, include_bias=False).shape == (4, 0)
    assert fastdl.polynomial_features([[2, 3]], 0).tolist() == [[1.0]]
    assert fastdl.polynomial_features([[2, 3]], 5, interaction_only=True).tolist() == [[1, 2, 3, 6]]
    with pytest.raises(fastdl.InputError, match="no column"):
        fastdl.polynomial_features([[2, 3]], 0, include_bias=False)
    with pytest.raises(fastdl.InputError, match="2 dimension"):
        fastdl.polynomial_features([2, 3], 2)


def test_a_product_of_nothing_bad_is_never_lost():
    got = fastdl.polynomial_features([[np.nan, 0.0], [np.inf, 2.0]], 2)
    np.testing.assert_array_equal(got, [[1, np.nan, 0, np.nan, np.nan, 0], [1, np.inf, 2, np.inf, np.inf, 4]])


@pytest.mark.parametrize("interaction_only", [False, True])
@pytest.mark.parametrize("shape", [(3, 2), (1, 1), (2, 1000), (0, 40)])
def test_a_degree_without_bounds_is_answered_at_once(shape, interaction_only):
    X = np.ones(shape)
    if interaction_only and shape[1] < 3:
        assert fastdl.polynomial_features(X, 2**31 - 1, interaction_only=True).shape == (shape[0], 2 ** shape[1])
        return
    with pytest.raises(fastdl.InputError, match=r"make .* columns, .* bytes in all, above 16777216 columns"):
        fastdl.polynomial_features(X, 2**31 - 1, interaction_only=interaction_only)


def test_a_result_above_the_limit_is_refused_with_its_size():
    X = np.ones((1000, 30))
    with pytest.raises(fastdl.InputError, match="30 columns to degree 4 make 46376 columns, 371008000 bytes in all"):
        fastdl.polynomial_features(X, 4, max_bytes=10**8)
    with pytest.raises(fastdl.InputError, match=r"takes [0-9]* bytes, more than there are"):
        fastdl.vandermonde(np.ones(2**20), 2**62)
    assert fastdl.polynomial_features(np.ones((2, 0)), 2**31 - 1).tolist() == [[1], [1]]
