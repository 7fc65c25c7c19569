"""The gradient of a network: finite differences, residuals of 0, the accuracy of tanh, messages."""

import numpy as np
import pytest

import fastdl
from fastdl.network import _parameters
from fastdl.reference import network as reference
from tests.cases_network import ACTIVATIONS, problem

needs_kernel = pytest.mark.skipif(_parameters.kernel is reference, reason="the kernels are not built")


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("p", [0.5, 1, 1.5, 2, 3])
@pytest.mark.parametrize("hidden", [(5,), (19, 6)])
def test_gradient_by_finite_differences(activation, p, hidden):
    rng = np.random.default_rng(1)
    X, y, weights, biases = problem(rng, 100, 3, hidden)
    s = rng.uniform(0.5, 2, 100)

    def loss(by, t):
        moved = [[a + t * d for a, d in zip(part, ds)] for part, ds in zip((weights, biases), by)]
        return fastdl.network_loss_grad(X, y, *moved, p, activation=activation, sample_weight=s)[0]

    _, by_weights, by_biases = fastdl.network_loss_grad(
        X, y, weights, biases, p, activation=activation, sample_weight=s
    )
    for k in range(len(hidden) + 1):
        for which, grads in ((0, by_weights), (1, by_biases)):
            # Along the gradient itself, where it is as large as it gets, and along a random direction.
            for direction in (grads[k], rng.standard_normal(grads[k].shape)):
                zero = [[np.zeros_like(a) for a in part] for part in (weights, biases)]
                zero[which][k] = direction / np.linalg.norm(direction)
                want = float((grads[k] * zero[which][k]).sum())
                h = 1e-3 if activation != "relu" else 1e-5  # short of the bends
                numeric = (loss(zero, -2 * h) - 8 * loss(zero, -h) + 8 * loss(zero, h) - loss(zero, 2 * h)) / (12 * h)
                assert numeric == pytest.approx(want, rel=1e-6, abs=1e-6 * np.linalg.norm(grads[k]))


@pytest.mark.parametrize("p", [0.5, 1, 1.5, 2])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_residual_zero_has_gradient_zero(p, dtype):
    X = np.ones((5, 2), dtype)
    loss, *grads = fastdl.network_loss_grad(
        X, np.full(5, 3.0), [np.ones((2, 1)), np.ones(1)], [np.ones(1), np.zeros(())], p, activation="identity"
    )
    assert loss == 0
    assert not any(np.any(g) for part in grads for g in part)


@needs_kernel
@pytest.mark.parametrize(("dtype", "bound"), [(np.float32, 4), (np.float64, 4)])
def test_tanh_is_within_a_few_units_in_the_last_place(dtype, bound):
    tiny = np.finfo(dtype).tiny
    x = np.concatenate([np.geomspace(tiny, 40, 200_000), np.linspace(0, 3, 200_000), [0, 1e-40, 700, 1e30]])
    x = np.concatenate([x, -x]).astype(dtype)[:, None]
    layout = _parameters.ParameterLayout(1, (1,), dtype)
    flat = layout.pack([np.ones((1, 1)), np.ones(1)], [np.zeros(1), np.zeros(())])
    got = np.empty((len(x), 1), dtype)
    _parameters.values(layout, x, flat, None, got)
    want = np.tanh(x.astype(np.longdouble))
    ulp = np.abs(got - want) / np.spacing(np.abs(want).astype(dtype))
    assert ulp.max() <= bound
    assert np.abs(got).max() <= 1
    # Its neighbours in a layer are NaN, not lost.
    _parameters.values(layout, np.array([[np.nan], [np.inf], [-np.inf]], dtype), flat, None, got[:3])
    np.testing.assert_array_equal(got[:3, 0], [np.nan, 1, -1])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"weights": [[[1.0]]], "biases": [0.0]}, "a hidden layer or more and the output, got 1 and 1"),
        ({"weights": [np.ones((2, 3)), np.ones(3)]}, r"weights\[0\] must have shape \(1, 3\), got \(2, 3\)"),
        ({"biases": [np.ones(2), 0.0]}, r"biases\[0\] must have shape \(3,\), got \(2,\)"),
        ({"biases": [np.ones(3), [0.0]]}, r"biases\[1\] must have shape \(\), got \(1,\)"),
        ({"sample_weight": [1.0, np.nan]}, "sample_weight must be finite and not negative, got nan at index 1"),
        ({"y": [1.0]}, "lengths must agree"),
        ({"reduction": "none"}, "reduction must be one of"),
    ],
)
def test_messages_of_the_gradient(wrong, message):
    right = {
        "X": np.ones((2, 1)),
        "y": [1.0, 2.0],
        "weights": [np.ones((1, 3)), np.ones(3)],
        "biases": [np.ones(3), 0.0],
    }
    with pytest.raises(fastdl.FastdlError, match=message):
        fastdl.network_loss_grad(**{**right, **wrong})


def test_gradient_of_the_mean_and_of_no_rows():
    X, y, weights, biases = problem(np.random.default_rng(10), 50, 2, (4,))
    s = np.arange(50.0)
    total, mean = (
        fastdl.network_loss_grad(X, y, weights, biases, sample_weight=s, reduction=r) for r in ("sum", "mean")
    )
    assert mean[0] == pytest.approx(total[0] / s.sum())
    np.testing.assert_allclose(mean[1][0], total[1][0] / s.sum())
    loss, by_weights, _ = fastdl.network_loss_grad(X[:0], y[:0], weights, biases)
    assert loss == 0
    assert not by_weights[0].any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_relu_passes_nothing_back_where_it_is_zero(dtype):
    """As torch's: a unit below its bend is constant, and an infinite derivative by it changes nothing."""
    X, y = np.array([[1.0, -1.0]], dtype), np.array([np.inf], dtype)
    weights, biases = [np.array([[1.0, -1.0], [0.0, 0.0]]), np.ones(2)], [np.zeros(2), np.zeros(())]
    for gradient in (fastdl.network_loss_grad, fastdl.reference.network_loss_grad):
        with np.errstate(invalid="ignore"):
            loss, by_weights, by_biases = gradient(X, y, weights, biases, activation="relu")
        assert loss == np.inf
        np.testing.assert_array_equal(by_weights[0], [[-np.inf, 0], [np.inf, 0]])
        np.testing.assert_array_equal(by_biases[0], [-np.inf, 0])
    nan = fastdl.network_loss_grad(np.full((1, 2), np.nan, dtype), y, weights, biases, activation="relu")
    assert np.isnan(nan[1][0]).all()


@pytest.mark.parametrize("hidden", [1, 3, 16, 17, 32, 40])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_infinite_numbers_stay_out_of_the_padding(dtype, hidden):
    """What is added to fill whole vectors is zero, and infinity times that is NaN: no result may have it."""
    X, y = np.array([[np.inf, 1.0], [1.0, 2.0], [0.0, 1.0]], dtype), np.zeros(3, dtype)
    weights, biases = [np.ones((2, hidden)), np.full(hidden, 2.0)], [np.zeros(hidden), np.zeros(())]
    loss, by_weights, by_biases = fastdl.network_loss_grad(X, y, weights, biases, 1.0, activation="identity")
    assert loss == np.inf
    np.testing.assert_array_equal(by_weights[0], np.repeat([[np.inf], [8.0]], hidden, axis=1))
    np.testing.assert_array_equal(by_weights[1], np.full(hidden, np.inf))
    np.testing.assert_array_equal(by_biases[0], np.full(hidden, 6.0))
    assert by_biases[1] == 3
    biases[0] = np.full(hidden, np.inf)  # of tanh it is 1, with slope 0: rows that are added have it, too
    loss, by_weights, by_biases = fastdl.network_loss_grad(X[1:], y[1:], weights, biases, 1.0, activation="tanh")
    assert loss == pytest.approx(4 * hidden)
    np.testing.assert_array_equal(by_weights[0], np.zeros((2, hidden)))
    np.testing.assert_array_equal(by_weights[1], np.full(hidden, 2.0))
    assert by_biases[1] == 2


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("z", [20.0, 99.0, 101.0, 1e10, 1e20, 1e38])
def test_gelu_is_a_number_however_large(dtype, z):
    """For large z it is z, with the slope 1; for large -z it is 0, with the slope 0."""
    one = np.ones(1, dtype)
    for sign, value in ((1, dtype(z)), (-1, dtype(0))):
        X, weights = np.array([[sign * z]], dtype), [one[:, None], one]
        loss, by_weights, by_biases = fastdl.network_loss_grad(
            X, np.zeros(1, dtype), weights, [np.zeros(1, dtype), dtype(0)], p=1.0, activation="gelu"
        )
        assert loss == value
        assert by_weights[0][0, 0] == value and by_weights[1][0] == value
        assert by_biases[0][0] == (sign > 0)
