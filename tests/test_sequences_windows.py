"""Windows of genomes, of bytes and of two bits a base, against windows cut by hand."""

import numpy as np
import pytest

import fastdl
from fastdl.errors import InputError
from fastdl.sequences.complement import reverse_complement
from fastdl.sequences.decoding import one_hot_decode
from fastdl.sequences.encoding import one_hot
from fastdl.sequences.packed import PackedSequence
from fastdl.sequences.windows import one_hot_windows


def by_hand(genome, start, length, strand, pad="."):
    text = "".join(genome[i] if 0 <= i < len(genome) else pad for i in range(start, start + length))
    return reverse_complement(text) if strand == "-" else text


@pytest.mark.parametrize("kind", ["bytes", "2bit"])
@pytest.mark.parametrize("layout", ["last", "first"])
@pytest.mark.parametrize(
    "how", [{}, {"case": "strict"}, {"unknown": "iupac"}, {"dtype": "float64"}, {"unknown": "channel"}]
)
def test_windows_by_hand(kind, layout, how):
    rng = np.random.default_rng(1)
    genome = "".join(rng.choice(list("ACGT"), 9003))
    genome = genome[:5] + "NNNNN" + genome[10:4000] + genome[4000:6000].lower() + "N" * 100 + genome[6100:]
    source = genome if kind == "bytes" else packed(genome)
    starts = np.concatenate([[-50, -40, -39, 0, 8963, 8990, 9003, 10**15, -(10**15)], rng.integers(-40, 9040, 40)])
    strand = rng.choice(["+", "-", "."], len(starts))
    for length in (40, 5000):
        for pad in (None, "A"):
            got = one_hot_windows(source, starts, length, strand=strand, layout=layout, pad=pad, **how)
            for x, start, s in zip(got, starts, strand):
                # On the reverse strand a window is the reverse complement of all of it, padding too.
                inside = by_hand(genome, int(start), length, s, pad or ".")
                want = one_hot(inside, **how)
                if not pad:
                    want[[c == "." for c in inside]] = 0
                np.testing.assert_array_equal(x if layout == "last" else x.T, want)


def packed(text):
    codes = np.array(["TCAG".find(c) for c in text.upper()]).clip(0).astype(np.uint8)
    codes = np.append(codes, np.zeros(-len(codes) % 4, np.uint8)).reshape(-1, 4)
    runs = lambda which: np.flatnonzero(np.diff(np.concatenate([[0], which, [0]]))).reshape(-1, 2)  # noqa: E731
    letters = np.array(list(text))
    return PackedSequence(
        codes @ np.array([64, 16, 4, 1], np.uint8), len(text), runs(letters == "N"), runs(np.char.islower(letters))
    )


def test_packed_sequences_are_read_back():
    rng = np.random.default_rng(0)
    text = "".join(rng.choice(list("ACGTacgtN"), 10_001))
    source = packed(text)
    assert len(source) == len(text)
    for start, stop in [(0, None), (1, 10), (3, 3), (9, 4), (-7, None), (4095, 4098), (10, 99999)]:
        assert source[start:stop].tobytes().decode() == text[start:stop]
    for wrong in (5, slice(0, 9, 2)):
        with pytest.raises(fastdl.InputTypeError):
            source[wrong]
    for ranges in ([[0, 99999]], [[5, 4]], [[3, 9], [8, 10]], [[-1, 3]]):
        with pytest.raises(fastdl.InputError, match="sorted ranges"):
            PackedSequence(source.packed, len(text), np.array(ranges))
    with pytest.raises(fastdl.InputError, match="length"):
        PackedSequence(np.zeros(2, np.uint8), 9)


def test_starts_of_any_integer_type():
    for kind in ("i1", "u1", "i2", "u4", "u8", ">i4"):
        got = one_hot_windows("ACGTACGT" * 50, np.array([1, 100], kind), 3)
        assert [one_hot_decode(w).tobytes() for w in got] == [b"CGT", b"ACG"]
    huge = np.array([2**63 + 5], np.uint64)
    assert not one_hot_windows("ACGT", huge, 3).any()
    with pytest.raises(fastdl.InputTypeError):
        one_hot_windows("ACGT", [0.5], 3)


def test_ranges_that_wrap_are_refused():
    # np.diff of int64 wraps: -2**63 - 120 looks like a rise.
    ranges = np.array([[0, 10], [20, 100], [120, -(2**63)]])
    for name in ("unknown", "masked"):
        with pytest.raises(fastdl.InputError, match="sorted ranges"):
            PackedSequence(np.zeros(80, np.uint8), 320, **{name: ranges})
    with pytest.raises(fastdl.InputError, match="sorted ranges"):
        PackedSequence(np.zeros(80, np.uint8), 320, np.array([[0, 2**64 - 1]], np.uint64))
    with pytest.raises(fastdl.InputError, match="offsets must rise"):
        one_hot("ACGT", offsets=[0, 2**63 - 1, -(2**63), 4])
    with pytest.raises(fastdl.InputError, match="offsets must rise"):
        one_hot("ACGT", offsets=np.array([0, 2**64 - 1, 2], np.uint64))


def test_a_packed_sequence_owns_what_was_checked():
    import copy
    import pickle

    codes, ranges = np.zeros(80, np.uint8), np.array([[0, 10]])
    source = PackedSequence(codes, 320, ranges)
    codes[:], ranges[:] = 255, 10**9
    for each in (source, copy.copy(source), copy.deepcopy(source), pickle.loads(pickle.dumps(source))):
        assert each[0:12].tobytes() == b"NNNNNNNNNNTT"
        for array in (each.packed, each.unknown):
            with pytest.raises(ValueError, match="WRITEABLE"):
                array.flags.writeable = True
            with pytest.raises(ValueError, match="read-only"):
                array[...] = 0


def test_far_starts_are_padding():
    for starts in (np.array([2**64 - 1], np.uint64), [2**63 - 1], [-(2**63)], np.array([2**32 - 1], np.uint32)):
        assert not one_hot_windows("ACGT", starts, 3).any()


def test_no_windows_and_windows_of_no_letters():
    for starts, length, shape in (([], 0, (0, 0, 4)), ([], 7, (0, 7, 4)), ([1, 2], 0, (2, 0, 4))):
        assert one_hot_windows("ACGT", starts, length).shape == shape
    for starts, length in (([], 2**62), ([0], 2**60), ([], 2**63 - 1), ([], 2**70)):
        with pytest.raises(InputError, match=r"more than there are|length must be"):
            one_hot_windows("ACGT", starts, length)
