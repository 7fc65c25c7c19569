"""States of streams as bytes: written, read as another process would, and continued."""

import pickle

import numpy as np
import pytest

import fastdl

rng = np.random.default_rng(0)
X, Y = rng.uniform(-1, 1, 9000), rng.standard_normal(9000)
STATES = {
    "classes": (lambda: fastdl.ClassTarget(), [np.arange(9), np.arange(5, 20)], "classes_"),
    "texts": (lambda: fastdl.BinaryTarget(), [["b"], ["a", "b"]], "classes_"),
    "standard": (lambda: fastdl.StandardTarget(), [Y[:5000], Y[5000:]], "mean_"),
    "bins": (lambda: fastdl.BinnedTarget(7), [Y[:5000], Y[5000:]], "edges_"),
    "sketch": (lambda: fastdl.BinnedTarget(7, sketch=100), [Y[:5000], Y[5000:]], "edges_"),
    "quantiles": (lambda: fastdl.QuantileSketch(100), [Y[:5000], Y[5000:]], "rank_error"),
    "squares": (
        lambda: fastdl.GramAccumulator(0.5),
        [(np.column_stack([X, Y])[:5000], Y[:5000], X[:5000] + 2), (np.column_stack([X, Y])[5000:], Y[5000:])],
        "w",
    ),
    "losses": (
        lambda: fastdl.LpLoss([0.5, 1.0], 0.25, 1.5),
        [(np.column_stack([X, Y])[:5000], Y[:5000]), (np.column_stack([X, Y])[5000:], Y[5000:], X[5000:] + 2)],
        None,
    ),
    "polynomials": (lambda: fastdl.PolynomialStats(4), [(X[:5000], Y[:5000]), (X[5000:], Y[5000:])], "coefficients"),
}


@pytest.mark.parametrize("name", STATES)
@pytest.mark.parametrize("way", ["bytes", "pickle"])
def test_a_state_goes_on_from_its_bytes(name, way):
    new, chunks, attribute = STATES[name]
    want = new()
    for chunk in chunks:
        want.update(chunk)
    state = new().update(chunks[0])
    data = state.to_bytes() if way == "bytes" else pickle.dumps(state)
    again = type(state).from_bytes(data) if way == "bytes" else pickle.loads(data)
    got, expected = (s.finish() for s in (again.update(chunks[1]), want))
    if attribute is None:
        got, expected = np.hstack(got), np.hstack(expected)
    else:
        got, expected = getattr(got, attribute), getattr(expected, attribute)
    assert np.asarray(got).tobytes() == np.asarray(expected).tobytes()


def test_a_state_of_a_custom_loss_has_no_bytes():
    state = fastdl.LpLoss([1.0], p=fastdl.custom_loss(lambda r: r * r, lambda r: 2 * r))
    with pytest.raises(fastdl.InputError, match="custom loss"):
        state.to_bytes()


@pytest.mark.parametrize("name", STATES)
def test_bytes_of_something_else_are_refused(name):
    new, chunks, _ = STATES[name]
    state = new().update(chunks[0])
    data, kind = state.to_bytes(), type(state)
    for wrong in (b"", b"fastdl state ", b"x" + data, data[:-3], data[:13] + b"\x09" + data[14:]):
        with pytest.raises(fastdl.InputError, match="data"):
            kind.from_bytes(wrong)
    with pytest.raises(fastdl.InputError, match="which no state holds"):
        kind.from_bytes(data[:14] + pickle.dumps(print, protocol=4))
    with pytest.raises(fastdl.InputTypeError, match="data must be bytes"):
        kind.from_bytes("text")
    other = fastdl.StandardTarget if kind is not fastdl.StandardTarget else fastdl.BinnedTarget
    with pytest.raises(fastdl.InputError, match=f"must hold a {other.__name__}"):
        other.from_bytes(data)
