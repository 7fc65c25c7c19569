"""What the targets of labels and the standardised one promise: round trips, streams, accuracy, and what is refused."""

import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fastdl
from fastdl import streaming

RNG = np.random.default_rng(0)
LABELS = {
    "int8": RNG.integers(-100, 100, 5000).astype(np.int8),
    "int64": RNG.integers(-1000, 100_000, 5000),
    "wide": RNG.integers(-(2**63), 2**63 - 1, 300)[RNG.integers(0, 300, 5000)],
    "uint64": RNG.integers(0, 2**64 - 1, 300, dtype=np.uint64)[RNG.integers(0, 300, 5000)],
    "uint8": RNG.integers(0, 256, 5000).astype(np.uint8),
    "ends": np.array([-(2**63), 2**63 - 1, 0]),
    "bool": RNG.random(5000) < 0.5,
    "float32": RNG.standard_normal(200).astype(np.float32)[RNG.integers(0, 200, 5000)],
    "float64": np.array([-0.0, 0.0, 1.5, np.inf, -np.inf, 1e-310])[RNG.integers(0, 6, 5000)],
    "float16": RNG.integers(0, 50, 5000).astype(np.float16),
    "str": np.array([f"label {i * 7919 % 1000}" for i in RNG.integers(0, 700, 5000)]),
    "short str": np.array(list("zebra"))[RNG.integers(0, 5, 5000)],
    "greek": np.array(["αβγ", "α", "", "ß"])[RNG.integers(0, 4, 5000)],
    "bytes": np.array([b"chr1", b"chr10", b"chrX", b""])[RNG.integers(0, 4, 5000)],
    "one": np.zeros(10, np.int32),
}
every = pytest.mark.parametrize("kind", LABELS)


# --- classes


@every
@pytest.mark.parametrize("threads", [1, 3])
def test_classes_are_those_of_np_unique(kind, threads):
    y = LABELS[kind]
    classes, codes = np.unique(y, return_inverse=True)
    target = fastdl.ClassTarget().fit(y)
    np.testing.assert_array_equal(target.classes_, classes)
    got = target.encode(y, threads=threads)
    assert got.dtype == np.int64
    np.testing.assert_array_equal(got, codes)
    np.testing.assert_array_equal(target.decode(got), y)


@every
@pytest.mark.parametrize("dtype", ["int16", "uint16", "int32", "uint32", "uint64"])
def test_classes_in_any_dtype(kind, dtype):
    y = LABELS[kind][:200]
    target = fastdl.ClassTarget(dtype=dtype).fit(y)
    out = np.empty(y.shape, dtype)
    assert target.encode(y, out=out) is out
    np.testing.assert_array_equal(out, np.unique(y, return_inverse=True)[1])


def test_all_codes_of_a_byte():
    y = np.arange(256)
    target = fastdl.ClassTarget(dtype=np.uint8).fit(y)
    np.testing.assert_array_equal(target.encode(y[::-1]), y[::-1])
    with pytest.raises(fastdl.InputError, match="got 256 at index 3"):
        target.encode([1, 2, 3, 256])
    with pytest.raises(fastdl.InputError, match="int8 cannot count 256"):
        fastdl.ClassTarget(dtype=np.int8).fit(y)


@every
def test_streams_and_merges_equal_one_fit(kind):
    y = LABELS[kind]
    whole = fastdl.ClassTarget().fit(y)
    for size in (1, 17, 4999):
        chunks = [y[i : i + size] for i in range(0, min(len(y), 50 * size), size)]
        seen = np.concatenate(chunks)
        with ThreadPoolExecutor(2) as pool:
            for executor in (None, pool):
                got = streaming.run(chunks, fastdl.ClassTarget(), executor=executor)
                np.testing.assert_array_equal(got.classes_, np.unique(seen))
                assert got.classes_.dtype == fastdl.ClassTarget().fit(seen).classes_.dtype
    left, right = fastdl.ClassTarget().update(y[:7]), fastdl.ClassTarget().update(y[7:])
    merged = right.merge(left).merge(whole.fresh()).finish()
    np.testing.assert_array_equal(merged.classes_, whole.classes_)
    np.testing.assert_array_equal(merged.encode(y), whole.encode(y))


def test_unseen_labels():
    target = fastdl.ClassTarget().fit([3, 5, 9])
    with pytest.raises(fastdl.InputError, match=r"labels seen \(3, 5, 9\), got 4 at index 1"):
        target.encode([3, 4])
    with pytest.raises(fastdl.InputError, match=r"got 10 at index \(1, 0\)"):
        target.encode([[3, 5], [10, 9]])
    words = fastdl.ClassTarget(unknown=-1).fit(["a", "bb"])
    np.testing.assert_array_equal(words.encode(["bb", "a", "bbb", "", "aa"]), [1, 0, -1, -1, -1])
    np.testing.assert_array_equal(
        fastdl.ClassTarget(unknown=-1).fit([5, 7]).encode([-(2**63), 6, 7, 2**40]), [-1, -1, 1, -1]
    )
    with pytest.raises(fastdl.InputError, match=r"got 'c' at index \(\)"):
        fastdl.ClassTarget().fit(["a", "bb"]).encode("c")
    assert words.encode(["a long word that no class is as long as"]) == -1
    assert fastdl.ClassTarget(unknown=-1).fit([0.5]).encode([np.nan]) == -1


def test_labels_are_equal_by_value_in_any_dtype():
    target = fastdl.ClassTarget(unknown=-1).fit(np.array([-1, 0, 1, 2**53 + 1]))
    np.testing.assert_array_equal(target.encode([True, False]), [2, 1])
    np.testing.assert_array_equal(target.encode([1.0, -0.0, 0.5, np.nan, np.inf, 2.0**53]), [2, 1, -1, -1, -1, -1])
    np.testing.assert_array_equal(target.encode(np.array([1, 255, 0], np.uint8)), [2, -1, 1])
    np.testing.assert_array_equal(target.encode(np.array([2**64 - 1, 1], np.uint64)), [-1, 2])
    floats = fastdl.ClassTarget(unknown=-1).fit([0.0, 1.5, 3.0, 1e300])
    np.testing.assert_array_equal(floats.encode([3, 1, 0]), [2, -1, 0])
    assert fastdl.ClassTarget().fit(np.array([2**53 + 1])).update([2**60]).finish().classes_.dtype == np.int64
    with pytest.raises(fastdl.InputTypeError, match="fits no dtype exactly"):
        fastdl.ClassTarget().update(np.array([2**63 + 1], np.uint64)).update([-1])
    mixed = fastdl.ClassTarget().update(np.array([7], np.uint64)).update([-1]).finish()
    np.testing.assert_array_equal(mixed.classes_, [-1, 7])
    assert mixed.classes_.dtype == np.int64


def test_labels_that_are_refused():
    for bad in ([1, "a"], np.array([1, "a"], object), [None, "a"], np.array([1j]), [["a", "b"], ["c", 1]]):
        with pytest.raises(fastdl.InputTypeError, match="y must"):
            fastdl.ClassTarget().fit(bad)
    with pytest.raises(fastdl.InputError, match="NaN, which is no label, got one at index 4999"):
        fastdl.ClassTarget().fit(np.r_[np.zeros(4999), np.nan])
    with pytest.raises(fastdl.InputTypeError, match="must hold numbers, as the labels before did, got str"):
        fastdl.ClassTarget().fit([1, 2]).encode(["1"])
    with pytest.raises(fastdl.InputTypeError, match="must hold str"):
        fastdl.ClassTarget().update(["a"]).update([1])
    with pytest.raises(fastdl.InputError, match="no labels"):
        fastdl.ClassTarget().fit([])
    for target in (fastdl.ClassTarget(), fastdl.BinaryTarget(), fastdl.StandardTarget(), fastdl.BinnedTarget(2)):
        for call in (target.encode, target.decode):
            with pytest.raises(fastdl.InputError, match="not fitted"):
                call([1])


def test_objects_and_shapes():
    y = np.array(["b", "a", "b"], object)
    target = fastdl.ClassTarget().fit(y)
    np.testing.assert_array_equal(target.encode(y), [1, 0, 1])
    np.testing.assert_array_equal(target.encode([["a"], ["b"]]), [[0], [1]])
    assert target.encode([]).shape == (0,)
    assert target.decode([]).shape == (0,)
    assert target.encode(np.empty((2, 0))).shape == (2, 0)
    assert target.encode("a").shape == ()


def test_scores_decode_to_the_largest_and_ties_to_the_lowest():
    target = fastdl.ClassTarget().fit([10, 20, 30])
    scores = np.random.default_rng(1).standard_normal((100, 3)).astype(np.float32)
    np.testing.assert_array_equal(target.decode(scores), np.array([10, 20, 30])[scores.argmax(1)])
    np.testing.assert_array_equal(target.decode([[1.0, 1.0, 0.0], [0.0, 2.0, 2.0]]), [10, 20])
    with pytest.raises(fastdl.InputError, match="NaN, got one in row 1"):
        target.decode([[1.0, 1.0, 0.0], [0.0, np.nan, 2.0]])
    with pytest.raises(fastdl.InputError, match=r"scores of shape \(N, 3\)"):
        target.decode([0.0, 1.0])
    with pytest.raises(fastdl.InputError, match="between 0 and 2, got -1 at index 1"):
        target.decode([0, -1])


# --- two labels


@pytest.mark.parametrize(
    "labels", [(0, 1), (-1, 1), (False, True), ("no", "yes"), (b"a", b"b"), (-2.5, 1e300), (3, 2**62)]
)
@pytest.mark.parametrize("values", [(0, 1), (-1, 1), (1, -1), (0.25, 0.5), (0.1, -7), (-1000, 1000)])
def test_two_labels(labels, values):
    low, high = labels
    y = np.array([high, low, high, high])
    target = fastdl.BinaryTarget(values).fit(y)
    assert target.positive_ == high
    z = target.encode(y)
    np.testing.assert_array_equal(z, np.array(values)[[1, 0, 1, 1]])
    np.testing.assert_array_equal(target.decode(z), y)
    assert target.decode(z).dtype == y.dtype
    middle = (values[0] + values[1]) / 2
    scores = [
        middle,
        np.nextafter(middle, values[1]),
        np.nextafter(middle, values[0]),
        np.copysign(np.inf, values[1] - middle),
    ]
    np.testing.assert_array_equal(target.decode(scores), np.array([low, high, low, high]))
    flipped = fastdl.BinaryTarget(values, positive=low).fit(y)
    np.testing.assert_array_equal(flipped.encode(y), np.array(values)[[0, 1, 0, 0]])
    np.testing.assert_array_equal(flipped.decode(flipped.encode(y)), y)


def test_dtype_of_two_values():
    def dtype(*values, **more):
        return fastdl.BinaryTarget(values, **more).fit([0, 1]).encode([0, 1]).dtype

    assert dtype(0, 1) == np.int8
    assert dtype(-1, 1) == np.int8
    assert dtype(0, 1000) == np.int16
    assert dtype(0.0, 1.0) == np.float32
    assert dtype(0.1, 0.9) == np.float64
    assert dtype(-1, 1, dtype="float32") == np.float32
    assert dtype(0, 1, unknown=0.5, dtype="float16") == np.float16
    with pytest.raises(fastdl.InputError, match="uint8 does not hold"):
        fastdl.BinaryTarget((-1, 1), dtype=np.uint8)
    with pytest.raises(fastdl.InputError, match="int8 does not hold"):
        fastdl.BinaryTarget((0, 1), unknown=0.5, dtype=np.int8)


def test_two_labels_refused():
    with pytest.raises(fastdl.InputError, match="two distinct labels, got 3: 1, 2, 3"):
        fastdl.BinaryTarget().fit([1, 2, 3])
    with pytest.raises(fastdl.InputError, match="got 1: 'a'"):
        fastdl.BinaryTarget().fit(["a"])
    with pytest.raises(fastdl.InputError, match="got 0: none"):
        fastdl.BinaryTarget().fit([])
    with pytest.raises(fastdl.InputError, match="positive must be one of 0, 1, got 2"):
        fastdl.BinaryTarget(positive=2).fit([0, 1])
    with pytest.raises(fastdl.InputError, match="values must differ"):
        fastdl.BinaryTarget((1, 1))
    with pytest.raises(fastdl.InputError, match="got 7 at index 2"):
        fastdl.BinaryTarget((-1, 1)).fit([0, 1]).encode([0, 1, 7])
    np.testing.assert_array_equal(fastdl.BinaryTarget((-1, 1), unknown=0).fit([0, 1]).encode([0, 7, 1]), [-1, 0, 1])
    np.testing.assert_array_equal(fastdl.BinaryTarget(unknown=1).fit(["a", "b"]).encode(["c", "a"]), [1, 0])
    with pytest.raises(fastdl.InputError, match="NaN, got one at index 1"):
        fastdl.BinaryTarget().fit([0, 1]).decode([0.2, np.nan])
    streamed = streaming.run([["a"], ["a"], ["b"]], fastdl.BinaryTarget((-1, 1), positive="a"))
    np.testing.assert_array_equal(streamed.encode(["a", "b"]), [1, -1])


def test_a_loss_on_two_values_differs_by_two_to_the_p():
    y, score = RNG.random(100) < 0.4, RNG.standard_normal((100, 1))
    zero_one, plus_minus = fastdl.BinaryTarget().fit(y), fastdl.BinaryTarget((-1, 1)).fit(y)
    for p in (0.5, 1, 2, 3):
        a = fastdl.lp_loss(score, zero_one.encode(y), [1.0], 0.0, p)
        b = fastdl.lp_loss(score, plus_minus.encode(y), [2.0], -1.0, p)
        assert b == pytest.approx(2**p * a)


# --- what all share


def fitted():
    y = np.random.default_rng(5).standard_normal(3000)
    labels = (y > 0).astype(int)
    return [
        (fastdl.BinaryTarget().fit(labels), labels),
        (fastdl.ClassTarget().fit(labels), labels),
        (fastdl.StandardTarget().fit(y), y),
        (fastdl.BinnedTarget(16).fit(y), y),
    ]


@pytest.mark.parametrize("which", range(4))
def test_out_layouts_tensors_threads_and_pickles(which):
    target, y = fitted()[which]
    want = target.encode(y)
    for other in (np.repeat(y, 2)[::2], y.astype(y.dtype.newbyteorder(">")), y.tolist()):
        np.testing.assert_array_equal(target.encode(other), want)
    frozen = y.copy()
    frozen.flags.writeable = False
    np.testing.assert_array_equal(target.encode(frozen), want)
    out = np.empty_like(want)
    assert target.encode(y, out=out, threads=2) is out
    np.testing.assert_array_equal(out, want)
    for bad in (np.empty(3, want.dtype), np.empty(want.shape, np.complex64), out[::-1], [0]):
        with pytest.raises(fastdl.InputError, match="out must be a writable"):
            target.encode(y, out=bad)
    if want.dtype == y.dtype:
        with pytest.raises(fastdl.InputError, match="out must not overlap"):
            target.encode(y, out=y)
    again = pickle.loads(pickle.dumps(target))
    np.testing.assert_array_equal(again.encode(y), want)
    np.testing.assert_array_equal(again.decode(want), target.decode(want))
    results = [None] * 8
    work = [threading.Thread(target=lambda i=i: results.__setitem__(i, target.encode(y, threads=2))) for i in range(8)]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    for result in results:
        np.testing.assert_array_equal(result, want)
    with pytest.raises(fastdl.InputError, match="threads must be at least 1"):
        target.encode(y, threads=0)


def test_torch_tensors():
    torch = pytest.importorskip("torch")
    y = torch.tensor([1.0, 2.0, 4.0])
    assert fastdl.StandardTarget().fit(y).encode(y).dtype == np.float32
    assert fastdl.BinnedTarget(2).fit(y).encode(y).tolist() == [0, 1, 1]
    assert fastdl.ClassTarget().fit(y).encode(y).tolist() == [0, 1, 2]


def test_labels_of_every_library():
    pd, pa, pl = (pytest.importorskip(m) for m in ("pandas", "pyarrow", "polars"))
    names, numbers = ["dog", "cat", "dog"], [2, 1, 2]
    texts = [pd.Series(names), pd.Series(names, dtype="category"), pd.Series(names, dtype="string[pyarrow]")]
    texts += [pa.array(names), pa.chunked_array([names]), pa.array(names).dictionary_encode(), pl.Series(names)]
    whole = [pd.Series(numbers, dtype="Int8"), pd.Series(numbers, dtype="int64[pyarrow]"), pa.array(numbers)]
    whole += [pd.Series(numbers, dtype="category"), pl.Series(numbers)]
    for columns, classes in ((texts, ["cat", "dog"]), (whole, [1, 2])):
        for y in columns:
            for target in (fastdl.ClassTarget(), fastdl.BinaryTarget()):
                target.fit(y)
                assert target.classes_.tolist() == classes and target.encode(y).tolist() == [1, 0, 1]
                assert target.classes_.dtype.kind in "Uiu"
    for y in (
        pd.Series(["a", None]),
        pa.array(["a", None]),
        pl.Series(["a", None]),
        pd.Series([1, None], dtype="Int8"),
    ):
        with pytest.raises(fastdl.InputError, match="index 1"):
            fastdl.ClassTarget().fit(y)


@pytest.mark.parametrize("labels", [[b"a", b"a\0"], ["a", "a\0"]])
def test_text_that_ends_in_nul_is_not_made_another_label(labels):
    with pytest.raises(fastdl.InputError, match="must not end in NUL"):
        fastdl.ClassTarget().fit(labels)


def test_masked_arrays_are_refused():
    masked = np.ma.array([1.0, 2.0, 99999.0], mask=[0, 0, 1])
    for target in (fastdl.StandardTarget(), fastdl.ClassTarget(), fastdl.BinnedTarget(2)):
        with pytest.raises(fastdl.InputTypeError, match="masked array"):
            target.fit(masked)


def test_float_labels_equal_integer_classes_exactly():
    target = fastdl.ClassTarget(dtype="int64").fit(np.array([2**53, 2**53 + 1, 2**53 + 3, 2**53 + 4]))
    assert target.encode(np.array([2.0**53, 2.0**53 + 4])).tolist() == [0, 3]
    with pytest.raises(fastdl.InputError, match=r"got 2.7878812184136684e\+18 at index 1"):
        target.encode(np.array([2.0**53, 2.7878812184136684e18]))
    with pytest.raises(fastdl.InputError, match=r"got 9007199254740994.0 at index 0"):
        target.encode(np.array([2.0**53 + 2]))  # a float of which 2^53 + 3 is not
