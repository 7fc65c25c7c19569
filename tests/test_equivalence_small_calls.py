"""Calls of few items take one call of a kernel (docs/decisions/0010): what they give is what the usual way gives."""

import warnings

import numpy as np
import pytest

import fastdl
from fastdl.errors import InputError

SIZES = [0, 1, 2, 7, 31, 100, 4095, 4096, 4097]


def layouts(x):
    """`x` as it is, read-only, strided, reversed, in the other byte order, at an odd address, and of a subclass."""
    frozen = x.copy()
    frozen.flags.writeable = False
    odd = np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view(x.dtype).reshape(x.shape)
    wide = np.repeat(x, 2, axis=0)
    return [x, frozen, wide[::2], x[::-1].copy()[::-1], x.astype(x.dtype.newbyteorder()), odd, x.view(np.memmap)]


def same(few, usual):
    assert type(few) is type(usual)
    if isinstance(usual, np.ndarray):
        assert few.dtype == usual.dtype and few.shape == usual.shape and few.flags.writeable
        assert few.tobytes() == usual.tobytes()
    else:
        assert few == usual


@pytest.mark.parametrize("n", SIZES)
def test_the_other_strand(n):
    letters = np.random.default_rng(n).integers(33, 127, n, dtype=np.uint8)
    for x in [*layouts(letters), *layouts(letters.view("S1"))]:
        same(fastdl.reverse_complement(x), fastdl.reverse_complement(x, threads=2))
        same(fastdl.reverse_complement(x), fastdl.reverse_complement(x, alphabet="TGCA"))
    for text in (letters.tobytes(), letters.tobytes().decode(), bytearray(letters.tobytes())):
        same(fastdl.reverse_complement(text), fastdl.reverse_complement(text, threads=2))
    same(fastdl.reverse_complement(letters.reshape(1, n)), fastdl.reverse_complement(letters.reshape(1, n), threads=2))


def test_the_other_strand_of_a_string_is_ascii_and_its_own():
    text = "AC"
    turned = fastdl.reverse_complement(text)
    assert turned == "GT" and turned.isascii() and text == "AC" and hash(turned) == hash("GT")
    assert fastdl.reverse_complement(turned) == text
    with pytest.raises(InputError, match="ASCII"):
        fastdl.reverse_complement("AÖ")
    with pytest.raises(InputError, match="numbers 0 to 3"):
        fastdl.reverse_complement(np.array([0, 3, 1], np.uint8))


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("dtype", ["u1", "i1", "?", "i4", "f4"])
def test_letters_of_rows(n, dtype):
    letters = np.frombuffer(b"ACGTN", np.uint8)[np.random.default_rng(n).integers(0, 5, n)]
    rows = fastdl.one_hot(letters).astype(dtype)
    for x in layouts(rows):
        same(fastdl.one_hot_decode(x), letters.view("S1"))
        same(fastdl.one_hot_decode(x), fastdl.one_hot_decode(x, threads=2))


def test_rows_without_a_letter_are_told():
    rows = fastdl.one_hot("ACGT")
    for bad in ([1, 1, 0, 0], [2, 0, 0, 0], [0, 0, 0, 255]):
        rows[2] = bad
        with pytest.raises(InputError, match=r"no letter at \(2,\)"):
            fastdl.one_hot_decode(rows)
    with pytest.raises(InputError, match="4 channels"):
        fastdl.one_hot_decode(np.zeros((3, 5), np.uint8))


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("bins", [1, 5, 256, 300])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_of_bins(n, bins, dtype):
    rng = np.random.default_rng(n)
    target = fastdl.BinnedTarget(bins).fit(rng.normal(size=5000).astype(dtype))
    for kind in (np.uint8, np.uint16, np.int64):
        codes = rng.integers(0, min(target.bins_, 256), n).astype(kind)
        for z in layouts(codes):
            for value in ("mean", "median", "middle"):
                few = target.decode(z, value)
                same(few, target.decode(z, value, threads=2))
                np.testing.assert_array_equal(few, getattr(target, f"{value}s_").astype(dtype)[codes])
    same(target.decode(np.uint8([[0], [0]])), target.decode(np.uint8([[0], [0]]), threads=2))


def test_codes_that_are_no_bins_are_told():
    target = fastdl.BinnedTarget(5).fit(np.arange(100.0))
    for kind in (np.uint8, np.uint16, np.int16):
        with pytest.raises(InputError, match="got 5 at index"):
            target.decode(np.array([0, 5, 1], kind))


@pytest.mark.parametrize("n", [1, 2, 7, 63, 64, 65, 512, 1024, 1025])
@pytest.mark.parametrize("d", [1, 4, 7, 16, 64])
@pytest.mark.parametrize("p", [1, 2, 2.0, 1.37, 3.5, 0.5])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_loss_and_gradient(n, d, p, dtype):
    rng = np.random.default_rng(n * d)
    X, y, w = (rng.normal(size=shape).astype(dtype) for shape in ((n, d), n, d))
    few, usual = fastdl.lp_loss_grad(X, y, w, 0.25, p), fastdl.lp_loss_grad(X, y, w, 0.25, p, threads=2)
    for a, b in zip(few, usual):
        same(a, b)
    assert few[0] == fastdl.lp_loss(X, y, w, 0.25, p)


def test_loss_and_gradient_of_arrays_of_any_kind():
    rng = np.random.default_rng(0)
    X, y, w = rng.normal(size=(33, 5)), rng.normal(size=33), rng.normal(size=5)
    want = fastdl.lp_loss_grad(X, y, w, 0.25, 1.37, threads=2)
    for got in (
        *(fastdl.lp_loss_grad(x, y, w, 0.25, 1.37) for x in layouts(X)),
        *(fastdl.lp_loss_grad(X, x, w, 0.25, 1.37) for x in layouts(y)),
        *(fastdl.lp_loss_grad(X, y, x, 0.25, 1.37) for x in layouts(w)),
    ):
        for a, b in zip(got, want):
            same(a, b)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e30])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_loss_and_gradient_beyond_floats(bad, dtype):
    X, y, w = np.ones((9, 3), dtype), np.zeros(9, dtype), np.ones(3, dtype)
    X[4, 1] = bad
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        few, usual = fastdl.lp_loss_grad(X, y, w, 0.0, 3.0), fastdl.lp_loss_grad(X, y, w, 0.0, 3.0, threads=2)
    for a, b in zip(few, usual):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("p", [0, -1.0, np.nan, 10**400])
def test_powers_that_are_refused(p):
    X, y, w = np.ones((9, 3)), np.zeros(9), np.ones(3)
    with pytest.raises((fastdl.errors.FastdlError, TypeError, ValueError, OverflowError)) as few:
        fastdl.lp_loss_grad(X, y, w, 0.0, p)
    with pytest.raises(type(few.value)):
        fastdl.lp_loss_grad(X, y, w, 0.0, p, threads=2)
