"""The quantile sketch: its bound against exact ranks, its definition, chunks, merges, processes."""

import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest

import fastdl
from fastdl import reference, streaming

STREAMS = {
    "random": lambda n: np.random.default_rng(0).standard_normal(n),
    "rising": lambda n: np.arange(n, dtype=np.float64),
    "falling": lambda n: -np.arange(n, dtype=np.float64),
    "zigzag": lambda n: np.where(np.arange(n) % 2, 1.0, -1.0) * np.arange(n),
    "few": lambda n: np.random.default_rng(0).integers(0, 5, n).astype(np.float64),
    "heavy": lambda n: np.random.default_rng(0).standard_cauchy(n),
}
Q = np.linspace(0, 1, 41)


def check_bound(sketch, values):
    """Ranks and quantiles are within the error that the sketch states."""
    exact = np.sort(values)
    x = np.concatenate([exact[:: max(1, len(exact) // 500)], exact[-1:] + 1, exact[:1] - 1])
    assert np.abs(sketch.rank(x) - np.searchsorted(exact, x, side="right")).max() <= sketch.rank_error
    found, place = sketch.quantile(Q), Q * (len(exact) - 1)
    below, upto = np.searchsorted(exact, found), np.searchsorted(exact, found, side="right")
    wrong = np.maximum(0, np.maximum(below - place, place - upto))
    assert wrong.max() <= sketch.rank_error + 1
    assert (found[0], found[-1]) == (exact[0], exact[-1]) == (sketch.min_, sketch.max_)
    assert (np.diff(found) >= 0).all()


@pytest.mark.parametrize("size", [2, 7, 64, 1000])
@pytest.mark.parametrize("name", STREAMS)
def test_ranks_are_within_the_error_that_is_stated(name, size):
    values = STREAMS[name](30_011)
    sketch = streaming.run(np.array_split(values, 17), fastdl.QuantileSketch(size))
    check_bound(sketch, values)
    n = len(values)
    assert sketch.count == n
    assert 0 < sketch.rank_error <= n * (np.log2(n / size) + 2) / (4 * size)
    kept, weights = reference.targets.quantile_sketch(values, size)
    mine = sketch._sample.sorted()
    assert mine.weights.sum() == n
    np.testing.assert_array_equal(mine.values, kept)
    order = np.lexsort((weights, kept))
    np.testing.assert_array_equal(mine.weights[np.lexsort((mine.weights, mine.values))], weights[order])


@pytest.mark.parametrize("name", STREAMS)
def test_chunks_change_no_bit(name):
    values = STREAMS[name](5000).astype(np.float32)
    rng = np.random.default_rng(1)
    whole = fastdl.QuantileSketch(50).update(values)
    for _ in range(3):
        parts = np.split(values, np.sort(rng.integers(0, 5000, 40)))
        again = streaming.run(parts, fastdl.QuantileSketch(50))
        assert again.quantile(Q).tobytes() == whole.quantile(Q).tobytes()
        assert again.rank_error == whole.rank_error


@pytest.mark.parametrize("name", STREAMS)
def test_merged_states_keep_their_bound(name):
    values = STREAMS[name](30_000)
    parts = np.split(values, np.sort(np.random.default_rng(2).integers(0, 30_000, 12)))
    total = fastdl.QuantileSketch(64)
    for part in parts:
        total.merge(total.fresh().update(part))
    check_bound(total, values)
    n = len(values)
    assert total.rank_error <= 2 * n * (np.log2(n / 64) + 2) / (4 * 64)


def test_few_values_are_exact():
    values = np.random.default_rng(3).standard_normal((9, 11))
    sketch = fastdl.QuantileSketch(100).update(values)
    assert sketch.rank_error == 0
    np.testing.assert_array_equal(sketch.quantile(Q.reshape(-1, 1)), np.quantile(values, Q.reshape(-1, 1)))
    np.testing.assert_array_equal(sketch.rank(values), values.ravel().argsort().argsort().reshape(9, 11) + 1)
    assert isinstance(sketch.rank(0.0), np.integer)
    assert sketch.quantile(0.5) == np.median(values)


def test_states_come_back_from_processes_and_bytes():
    values = STREAMS["random"](20_000)
    parts = np.array_split(values, 8)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        many = streaming.run(parts, fastdl.QuantileSketch(100), executor=pool)
    one = fastdl.QuantileSketch(100)
    for part in parts:
        one.merge(one.fresh().update(part))
    for again in (many, pickle.loads(pickle.dumps(one)), fastdl.QuantileSketch.from_bytes(one.to_bytes())):
        assert again.quantile(Q).tobytes() == one.quantile(Q).tobytes()
        assert (again.count, again.rank_error) == (20_000, one.rank_error)
    assert one.to_bytes() == fastdl.QuantileSketch.from_bytes(one.to_bytes()).to_bytes()


def test_what_is_refused():
    sketch = fastdl.QuantileSketch(4)
    for question in (lambda: sketch.quantile(0.5), lambda: sketch.rank(1), lambda: sketch.min_, sketch.finish):
        with pytest.raises(fastdl.InputError, match="has seen no values"):
            question()
    sketch.update([1.0, 2.0]).update([])
    for bad in (np.nan, np.inf):
        with pytest.raises(fastdl.InputError, match=f"values must be finite, got {bad} at index 3"):
            sketch.update([3.0, bad])
    for bad in (-0.1, 1.1, np.nan):
        with pytest.raises(fastdl.InputError, match="q must be between 0 and 1"):
            sketch.quantile([0.5, bad])
    with pytest.raises(fastdl.InputError, match="of size 4, got size 5"):
        sketch.merge(fastdl.QuantileSketch(5))
    with pytest.raises(fastdl.InputError, match="of size 4, got list"):
        sketch.merge([])
    with pytest.raises(fastdl.InputError, match="size must be at least 2"):
        fastdl.QuantileSketch(1)
