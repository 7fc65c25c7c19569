"""Every case of cases.py: the public function against its reference, for any size, layout and number of threads."""

import importlib

import numpy as np
import pytest

import fastdl
from tests.cases import CASES

everything = pytest.mark.parametrize("case", CASES, ids=str)


def arguments(case, n, seed=0):
    return case.make(np.random.default_rng(seed), n)


def called(case, args, kwargs):
    return (case.call or getattr(getattr(fastdl, case.stem), case.function))(*args, **kwargs)


def expected(case, args, kwargs):
    if case.means:
        return case.means(*args, **kwargs)
    return getattr(importlib.import_module(f"fastdl.reference.{case.stem}"), case.function)(*args, **kwargs)


def arrays(result):
    """The arrays of a result, in order: of an array, a tuple, or an object with fields."""
    if isinstance(result, np.ndarray):
        return [result]
    if isinstance(result, (int, float, np.generic)):
        return [np.asarray(result)]
    if isinstance(result, dict):
        return [a for value in result.values() for a in arrays(value)]
    if isinstance(result, (tuple, list)):
        return [a for value in result if value is not None for a in arrays(value)]
    return arrays(tuple(vars(result).values()))


def assert_same(got, want, rtol=0.0):
    got, want = arrays(got), arrays(want)
    assert len(got) == len(want)
    for g, w in zip(got, want):
        assert g.shape == w.shape
        assert g.dtype == w.dtype
        if rtol == 0:
            np.testing.assert_array_equal(g, w)
        else:
            scale = np.abs(w[np.isfinite(w)]).max(initial=0)
            np.testing.assert_allclose(g, w, rtol=rtol, atol=rtol * scale)


@everything
def test_equals_reference(case):
    for n in case.sizes:
        args, kwargs = arguments(case, n)
        assert_same(called(case, args, kwargs), expected(case, args, kwargs), case.rtol)


@pytest.mark.parametrize("case", [case for case in CASES if case.threads], ids=str)
def test_same_bits_for_any_threads(case):
    args, kwargs = arguments(case, 1_200_000 if case.stem == "audio" else case.sizes[-1])
    first = called(case, args, {**kwargs, "threads": case.threads[0]})
    for threads in case.threads[1:]:
        assert_same(called(case, args, {**kwargs, "threads": threads}), first)


@pytest.mark.parametrize("case", [case for case in CASES if case.threads], ids=str)
def test_small_calls_are_those_of_any_size(case):
    for n in case.sizes:  # with more threads than one nothing takes the way of small calls
        args, kwargs = arguments(case, n, 1)
        assert_same(called(case, args, kwargs), called(case, args, {**kwargs, "threads": 2}))


def layouts(x):
    """The same values in other memory: strided, reversed, read-only, big-endian, Fortran order."""
    wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)
    wide[..., ::2] = x
    yield "strided", wide[..., ::2]
    yield "reversed", np.ascontiguousarray(x[::-1])[::-1]
    frozen = x.copy()
    frozen.flags.writeable = False
    yield "read-only", frozen
    yield "big-endian", x.astype(x.dtype.newbyteorder(">"))
    if x.ndim == 2:
        yield "fortran", np.asfortranarray(x)


@everything
def test_any_layout(case):
    args, kwargs = arguments(case, case.sizes[-1])
    want = called(case, args, kwargs)
    for name, other in layouts(args[0]) if isinstance(args[0], np.ndarray) else ():
        before = other.copy()
        assert_same(called(case, (other, *args[1:]), kwargs), want)
        np.testing.assert_array_equal(other, before, err_msg=f"{name} input was modified")
