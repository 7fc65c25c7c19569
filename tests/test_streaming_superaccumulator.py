"""Sums without rounding: exact rationals are the oracle; and the states whose merges keep the bits by them."""

import math
import random
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import numpy as np
import pytest

import fastdl
from fastdl import _superaccumulator
from fastdl._superaccumulator import Superaccumulator


def exact(column):
    total = sum((Fraction(float(x)) for x in column), Fraction(0))
    try:
        return float(total)
    except OverflowError:
        return math.inf if total > 0 else -math.inf


def summed(rows, cuts):
    """As a tree of sums of parts."""
    states = []
    for part in np.split(rows, cuts):
        states.append(Superaccumulator(rows.shape[1]))
        for row in part:
            states[-1].add(row[None].copy())
    while len(states) > 1:
        states[0].merge(states.pop(len(states) // 2))
    return states[0].totals()


@pytest.mark.parametrize("full", [1 << 28, 40])
@pytest.mark.parametrize("spread", [3, 300])
def test_sums_are_those_of_exact_rationals_in_any_grouping(spread, full, monkeypatch):
    monkeypatch.setattr(_superaccumulator, "_BUFFER", 7)
    monkeypatch.setattr(_superaccumulator, "_FULL", full)
    rng = np.random.default_rng(spread)
    for _ in range(40):
        rows = rng.standard_normal((30, 3)) * 2.0 ** rng.integers(-spread, spread, (30, 3))
        rows = np.concatenate([rows, -rows[:10], rng.choice([5e-324, -2e-308, 1e308, 0.0, -0.0], (4, 3))])
        once = Superaccumulator(3)
        once.add(rows)
        got = once.totals()
        np.testing.assert_array_equal(got, summed(rows[rng.permutation(len(rows))], np.sort(rng.integers(0, 44, 5))))
        for value, column in zip(got, rows.T):
            assert value == (want := exact(column)) or abs(value - want) <= math.ulp(want)


def test_what_is_not_finite_comes_through():
    sums = Superaccumulator(4)
    sums.add(np.array([[np.inf, -np.inf, np.nan, 1.0], [1.0, np.inf, 2.0, 1e308]]))
    sums.add(np.array([[1.0, 1.0, 1.0, 1e308]]))
    np.testing.assert_array_equal(sums.totals(), [np.inf, np.nan, np.nan, np.inf])
    np.testing.assert_array_equal(Superaccumulator(2).totals(), [0.0, 0.0])


def grouped(fresh, chunks, rng):
    """The states of chunks, merged in a tree at random; half of them have been bytes in between."""
    states = [fresh().update(chunk) for chunk in chunks]
    states = [type(s).from_bytes(s.to_bytes()) if rng.random() < 0.5 else s for s in states]
    while len(states) > 1:
        k = rng.randrange(len(states) - 1)
        states[k : k + 2] = [states[k].merge(states[k + 1])]
    return states[0]


def chunked(rows, block, rng):
    """Chunks of whole blocks, but the last."""
    ends = sorted(rng.sample(range(1, len(rows[0]) // block + 1), 4))
    return [tuple(a[i * block : j * block] for a in rows) for i, j in zip([0, *ends], [*ends, len(rows[0])])]


@pytest.mark.parametrize("executor", [None, 1, 3])
def test_merged_polynomials_have_the_bits_of_one_state(executor):
    generator, rng = np.random.default_rng(1), random.Random(1)
    n = 12 * 4096 + 77
    rows = generator.uniform(-1, 1, n), generator.normal(1e6, 1, n), generator.uniform(0, 2, n)
    state = fastdl.PolynomialStats(5, folds=2, offset=1e6)
    want = state.fresh().update((*rows, np.arange(n) % 2)).sums()
    for _ in range(5):
        chunks = [(*chunk, np.arange(len(chunk[0])) % 2) for chunk in chunked(rows, 4096, rng)]
        if executor is None:
            got = grouped(state.fresh, chunks, rng).sums()
        else:
            with ThreadPoolExecutor(executor) as pool:
                to = state.fresh()
                fastdl.streaming.run(chunks, to, executor=pool)
                got = to.sums()
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("columns", [1, 9, 150])
def test_merged_products_have_the_bits_of_one_state(columns):
    generator, rng = np.random.default_rng(2), random.Random(2)
    begun = fastdl.GramAccumulator(0.5)
    width = {1: 65536, 9: 13056, 150: 1024}[columns]
    n = 6 * width + 5
    rows = generator.normal(100, 3, (n, columns)), generator.normal(-7, 1, n), generator.uniform(0, 2, n)
    begun.update(tuple(a[:width] for a in rows))
    assert begun.block == width
    want = fastdl.GramAccumulator(0.5).update(rows).finish()
    chunks = chunked(tuple(a[width:] for a in rows), begun.block, rng)
    got = fastdl.GramAccumulator(0.5).update(tuple(a[:width] for a in rows)).merge(grouped(begun.fresh, chunks, rng))
    fit = got.finish()
    np.testing.assert_array_equal(fit.w, want.w)
    assert (fit.b, fit.loss, fit.count) == (want.b, want.loss, want.count)


def test_a_state_made_of_another_takes_other_columns():
    begun = fastdl.GramAccumulator().update((np.ones((2000, 600)), np.ones(2000)))
    fit = begun.fresh().update((np.array([[0.0], [1.0], [2.0]]), np.array([1.0, 3.0, 5.0]))).finish()
    assert (fit.w.round(12).tolist(), round(fit.b, 12)) == ([2.0], 1.0)
