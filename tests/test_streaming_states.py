"""States of streams as bytes: written, read in another process's place, and gone on with."""

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
    "losses": (lambda: fastdl.LpLoss([0.5], 1.0, 1.5), [(X[:5000, None], Y[:5000]), (X[5000:, None], Y[5000:])], 1),
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
    results = [s.finish() for s in (again.update(chunks[1]), want)]
    got, expected = (r[attribute] if isinstance(attribute, int) else getattr(r, attribute) for r in results)
    assert np.asarray(got).tobytes() == np.asarray(expected).tobytes()


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


def test_a_function_of_ones_own_is_no_bytes():
    with pytest.raises(fastdl.InputError, match="what bytes cannot say"):
        fastdl.LpLoss([1.0], p=fastdl.custom_loss(lambda r: r * r)).to_bytes()
