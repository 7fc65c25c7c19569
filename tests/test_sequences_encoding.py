"""What sequences promise beyond equality with their reference: inputs, batches, strands, errors."""

import mmap
import threading

import numpy as np
import pytest

import fastdl
from fastdl.sequences.complement import reverse_complement
from fastdl.sequences.decoding import one_hot_decode
from fastdl.sequences.encoding import LIKE, PROTEIN, RNA, one_hot
from fastdl.sequences.kmers import kmer_index
from fastdl.sequences.windows import one_hot_windows

EVERY = np.arange(256, dtype=np.uint8)
TEXT = "ACGTNacgtnRYKMSWBDHVXU-. *" * 5


# What counts as a sequence.


def test_every_kind_of_sequence(tmp_path):
    text, want = TEXT, one_hot(np.frombuffer(TEXT.encode(), np.uint8))
    file = tmp_path / "genome"
    file.write_bytes(text.encode())
    mapped = np.memmap(file, np.uint8, "r")
    letters = np.array(list(text), "S1")
    with open(file, "rb") as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as raw:
        for x in (text, text.encode(), bytearray(text.encode()), memoryview(text.encode()), letters, mapped, raw[:]):
            np.testing.assert_array_equal(one_hot(x), want)
    np.testing.assert_array_equal(one_hot(np.array(text)), want)
    np.testing.assert_array_equal(one_hot(memoryview(text.encode())[::2]), want[::2])
    np.testing.assert_array_equal(one_hot(letters[::-1]), want[::-1])


def test_torch_tensors_are_taken():
    torch = pytest.importorskip("torch")
    x = torch.tensor(list(b"ACGT"), dtype=torch.uint8)
    np.testing.assert_array_equal(one_hot(x), np.eye(4))
    assert one_hot_decode(torch.eye(4)).tobytes() == b"ACGT"


@pytest.mark.parametrize("empty", ["", b"", bytearray(), np.zeros(0, np.uint8), np.zeros(0, "S1")])
def test_empty_sequences(empty):
    for layout, shape in (("last", (0, 4)), ("first", (4, 0))):
        got = one_hot(empty, layout=layout, dtype="float32")
        assert (got.shape, got.dtype) == (shape, np.float32)
    assert kmer_index(empty, 3).shape == (0,)
    assert len(reverse_complement(empty)) == 0
    assert one_hot_windows(empty, [0, 5], 3).tolist() == np.zeros((2, 3, 4)).tolist()
    assert one_hot([]).shape == (0, 0, 4)
    assert one_hot(["", ""]).shape == (2, 0, 4)
    assert one_hot_decode(np.zeros((0, 4))).shape == (0,)


# Batches.


@pytest.mark.parametrize("layout", ["last", "first"])
@pytest.mark.parametrize(
    "make", [list, lambda s: [x.encode() for x in s], lambda s: np.array(s), lambda s: np.array(s, "S")]
)
def test_lists_are_padded_or_ragged(layout, make):
    texts = ["ACGT", "", "NNa", "CCCCCCCA"]
    channels = (lambda x: x) if layout == "last" else np.transpose
    for pad, row in ((None, [0, 0, 0, 0]), ("N", [0.25] * 4), ("g", [0, 0, 1, 0])):
        got = one_hot(make(texts), layout=layout, unknown="uniform", pad=pad, length=9)
        for rows, text in zip(got, texts):
            np.testing.assert_array_equal(channels(rows)[: len(text)], one_hot(text, unknown="uniform"))
            assert (channels(rows)[len(text) :] == row).all()
    flat, offsets = one_hot(make(texts), layout=layout, ragged=True)
    assert offsets.tolist() == [0, 4, 4, 7, 15]
    np.testing.assert_array_equal(channels(flat), one_hot("".join(texts)))
    data = np.frombuffer("".join(texts).encode(), np.uint8)
    np.testing.assert_array_equal(one_hot(data, offsets=offsets, layout=layout), one_hot(texts, layout=layout))
    flat, offsets = one_hot(data, offsets=[4, 7, 8], layout=layout, ragged=True)
    assert offsets.tolist() == [0, 3, 4]
    np.testing.assert_array_equal(channels(flat), one_hot("NNaC"))


def test_large_inputs_have_the_same_bits_for_any_threads():
    x = np.random.default_rng(0).choice(np.frombuffer(b"ACGTN", np.uint8), 1_500_001)
    for run in (
        lambda t: one_hot(x, threads=t),
        lambda t: one_hot(x, dtype="float16", layout="first", threads=t),
        lambda t: one_hot(x[:-1].reshape(4, -1), layout="first", threads=t),
        lambda t: kmer_index(x, 12, canonical=True, threads=t),
        lambda t: reverse_complement(x, threads=t),
        lambda t: one_hot_decode(one_hot(x), threads=t).view(np.uint8),
        lambda t: one_hot_decode(one_hot(x, dtype="float32"), threads=t).view(np.uint8),
        lambda t: one_hot_windows(x, np.arange(0, 1_500_000, 1000), 1200, strand="-", threads=t),
    ):
        want = run(1)
        for threads in (2, 3, None):
            np.testing.assert_array_equal(run(threads), want)
    np.testing.assert_array_equal(one_hot_decode(one_hot(x)).view(np.uint8), x)
    np.testing.assert_array_equal(kmer_index(x, 12)[1000:2000], kmer_index(x[1000:2011], 12))
    # Every window of the other strand is the other strand of the window.
    ahead = one_hot_windows(x, np.arange(0, 1_500_000, 1000), 1200)
    behind = one_hot_windows(x, np.arange(0, 1_500_000, 1000), 1200, strand="-")
    np.testing.assert_array_equal(behind, ahead[:, ::-1, ::-1])


def test_many_callers_at_once():
    x = np.random.default_rng(0).choice(np.frombuffer(b"ACGT", np.uint8), 300_000)
    want, wrong = one_hot(x), []

    def work():
        for _ in range(5):
            if not np.array_equal(one_hot(x, threads=2), want):
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


# Decoding.


@pytest.mark.parametrize("layout", ["last", "first"])
@pytest.mark.parametrize("dtype", ["uint8", "int8", "int32", "float16", "float32", "float64"])
def test_decode_is_strict(layout, dtype):
    good = one_hot("ACGTN" * 100)
    for row in (
        [1, 1, 0, 0],
        [2, 0, 0, 0],
        [0, 0, 0, 255],
        *([[0.5, 0, 0, 0], [np.nan, 0, 0, 0]] if dtype[0] == "f" else []),
    ):
        bad = good.astype(dtype)
        bad[321] = np.array(row).astype(dtype)
        bad = bad if layout == "last" else np.ascontiguousarray(bad.T)
        with pytest.raises(fastdl.InputError, match="321"):
            one_hot_decode(bad, layout=layout)
    with pytest.raises(fastdl.InputError, match="4"):
        one_hot_decode(good if layout == "last" else good.T, unknown="raise", layout=layout)


def test_decode_gives_back_what_was_encoded():
    for unknown, text in (("iupac", "ACGTRYKMSWBDHVN"), ("uniform", "ACGTN"), ("channel", "ACNGT"), ("raise", "ACGT")):
        for dtype in ("float16", "float32", "float64"):
            for layout in ("last", "first"):
                x = one_hot(text, unknown=unknown, dtype=dtype, layout=layout)
                assert one_hot_decode(x, unknown=unknown, layout=layout).tobytes().decode() == text
    x = one_hot(PROTEIN + "X", alphabet=PROTEIN)
    assert one_hot_decode(x, alphabet=PROTEIN, unknown_char="X").tobytes().decode() == PROTEIN + "X"
    x = one_hot("AX", alphabet=PROTEIN, unknown="uniform")
    assert one_hot_decode(x, alphabet=PROTEIN, unknown="uniform", unknown_char="X").tobytes() == b"AX"
    assert one_hot_decode(np.array([[-0.0, 0, 1, 0]])).tobytes() == b"G"
    assert one_hot_decode(one_hot("ACU", alphabet=RNA), alphabet=RNA).tobytes() == b"ACU"


# Errors.


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: one_hot("ACGN", unknown="raise"), "'N' at index 3"),
        (
            lambda: one_hot(np.frombuffer(b"ACGX", np.uint8).reshape(2, 2), unknown="raise"),
            "'X' at index 1 of sequence 1",
        ),
        (lambda: one_hot("A" * 300_000 + "?", unknown="raise", threads=2), "'\\?' at index 300000"),
        (lambda: one_hot(["AC", "GN"], unknown="raise"), "sequence 1 holds 'N' at index 1"),
        (lambda: one_hot_windows("ACGN", [0, 2], 2, unknown="raise", strand="-"), "window 1 holds 'N' at index 3"),
        (lambda: one_hot("ACéG"), "must be ASCII, got 'é' at index 2"),
        (lambda: one_hot(["A", "Cé"]), r"seq\[1\] must be ASCII, got 'é' at index 1"),
        (lambda: one_hot("A", unknown="none"), "unknown must be one of"),
        (lambda: one_hot("A", case="upper"), "case must be one of"),
        (lambda: one_hot("A", layout="middle"), "layout must be one of"),
        (lambda: one_hot("A", like="seqpr"), "like must be one of"),
        (lambda: one_hot("A", alphabet="ACGTa"), "distinct"),
        (lambda: one_hot("A", alphabet=""), "distinct"),
        (lambda: one_hot("A", ignore="A"), "distinct"),
        (lambda: one_hot("A", alphabet="ACDE", unknown="iupac"), "DNA or RNA"),
        (lambda: one_hot(np.array([0, 1, 2, 3, 3], np.uint8)), "numbers 0 to 3, not letters"),
        (lambda: one_hot_decode(np.zeros((2, 20)), alphabet=PROTEIN, unknown_char="N"), "must not be a letter"),
        (lambda: one_hot_windows("ACGT", [0], 2, strand=["x"]), "got 'x'"),
        (lambda: one_hot_windows("ACGT", [0], 2, strand=[0]), "got 0"),
        (lambda: one_hot("A", alphabet=PROTEIN, unknown="n-uniform"), "without N"),
        (lambda: one_hot("A", ragged=True), "list"),
        (lambda: one_hot(["AAA"], length=2), "at least 3"),
        (lambda: one_hot(["A"], pad="NN"), "pad must be one"),
        (lambda: one_hot("AC", offsets=[0, 3]), "offsets must rise"),
        (lambda: one_hot("AC", offsets=[2, 0]), "offsets must rise"),
        (lambda: one_hot("AC", out=np.zeros((2, 4))), "out must be"),
        (lambda: one_hot_windows("AC", [0], 1, strand="x"), "strand must be"),
        (lambda: one_hot_windows("AC", [0], 1, strand=["+", "-"]), "one or 1"),
        (lambda: one_hot_windows("AC", [0], -1), "between 0 and"),
        (lambda: one_hot_windows("AC", [0], 1, strand="-", alphabet=PROTEIN), "DNA or RNA"),
        (lambda: one_hot_windows(np.full((2, 2), 65, np.uint8), [0], 1), "1 dimension"),
        (lambda: one_hot_decode(np.zeros((3, 5))), "4 channels"),
        (lambda: one_hot_decode(np.zeros((3, 4)), unknown_char="NN"), "one ASCII"),
        (lambda: reverse_complement("A", alphabet=PROTEIN), "DNA or RNA"),
        (lambda: reverse_complement(np.zeros((3, 3)), layout="last"), "4 channels"),
        (lambda: kmer_index("A", 0), "between 1 and 31"),
        (lambda: kmer_index("A", 32), "between 1 and 31"),
    ],
)
def test_wrong_values_say_so(call, words):
    with pytest.raises(fastdl.InputError, match=words):
        call()


@pytest.mark.parametrize(
    "call",
    [
        lambda: one_hot(5),
        lambda: one_hot(np.zeros(3)),
        lambda: one_hot([1, 2]),
        lambda: one_hot(np.zeros(3, "S2").reshape(1, 3)),
        lambda: one_hot("A", dtype="int64"),
        lambda: one_hot("A", dtype="nonsense"),
        lambda: one_hot("A", unknown="uniform", dtype="uint8"),
        lambda: one_hot("A", alphabet=["A", "C"]),
        lambda: reverse_complement([1]),
        lambda: one_hot_windows("ACGT", [0], 2, strand=[{"a"}]),
        lambda: one_hot_windows("ACGT", [0], 2, strand=[True]),
        lambda: one_hot_windows("ACGT", [0], 2, strand=["+", 3]),
        lambda: kmer_index(["A"], 1),
        lambda: kmer_index("A", 1.5),
    ],
)
def test_wrong_types_say_so(call):
    with pytest.raises((fastdl.InputTypeError, fastdl.InputError)):
        call()


def test_out_must_not_overlap_and_is_returned():
    buffer = np.full(50, 65, np.uint8)
    with pytest.raises(fastdl.InputError, match="overlap"):
        one_hot(buffer[:10], out=buffer[5:45].reshape(10, 4))
    with pytest.raises(fastdl.InputError, match="overlap"):
        reverse_complement(buffer[:10], out=buffer[5:15])
    target = np.empty(41, np.uint8)[1:].reshape(10, 4)  # at an odd address
    assert one_hot(buffer[:10], out=target) is target
    np.testing.assert_array_equal(one_hot("ACGTACGTAC", out=target), one_hot("ACGTACGTAC"))
    frozen = np.zeros((2, 4), np.uint8)
    frozen.flags.writeable = False
    with pytest.raises(fastdl.InputError, match="read-only"):
        one_hot("AC", out=frozen)


def test_the_chapter_shows_the_gene_and_the_peers():
    pytest.importorskip("matplotlib")
    from fastdl.report.sequences import chapter

    page = "".join(chapter().blocks)
    assert page.count("<figure>") == 5
    for name in LIKE:
        assert f"like=&#x27;{name}&#x27;" in page
    assert "0.5 0 0.5 0" in page
    assert "error" in page


def test_amino_acids_have_ambiguous_letters():
    x = one_hot("BZJXn*", alphabet=PROTEIN, unknown="iupac")
    want = np.zeros((6, 20))
    for row, letters in enumerate(("DN", "EQ", "IL", PROTEIN, "N")):
        want[row, [PROTEIN.index(c) for c in letters]] = 1 / len(letters)
    np.testing.assert_array_equal(x, want.astype(np.float32))
    for layout in ("last", "first"):
        rows = one_hot("BZJXNACD", alphabet=PROTEIN, unknown="iupac", layout=layout)
        assert one_hot_decode(rows, alphabet=PROTEIN, unknown="iupac", layout=layout).tobytes() == b"BZJXNACD"


def test_unknown_amino_acids_are_not_asparagine():
    x = one_hot("ANX-", alphabet=PROTEIN)
    assert one_hot_decode(x, alphabet=PROTEIN).tobytes() == b"ANXX"
    assert one_hot_decode(x, alphabet=PROTEIN, unknown_char="-").tobytes() == b"AN--"


def test_text_in_every_container():
    from tests.test_check_texts import WORDS, containers

    want = one_hot(WORDS)
    for label, value in containers():
        np.testing.assert_array_equal(one_hot(value), want, err_msg=label)
        assert reverse_complement(value) == ["GT", "AAC", "", "N"], label


def test_strands_in_every_container():
    pandas = pytest.importorskip("pandas")
    want = one_hot_windows("ACGTT", [0, 1, 2], 3, strand=["+", "-", "."])
    signs = ["+", "-", "."]
    for strand in (
        pandas.Series(signs, index=[5, 4, 3]),
        pandas.Series(signs, dtype="category"),
        pandas.Series(signs, dtype="string"),
        np.array(signs, object),
        np.array(signs, "S1"),
        np.array(signs, np.dtypes.StringDType()),
        pandas.Series([1, -1, 1]),
        "+-.",
    ):
        np.testing.assert_array_equal(one_hot_windows("ACGTT", pandas.Series([0, 1, 2]), 3, strand=strand), want)
    both = one_hot_windows("ACGTT", [0, 1], 3, strand="both", layout="first")
    assert both.shape == (2, 2, 4, 3)
    np.testing.assert_array_equal(both[:, 1], both[:, 0, ::-1, ::-1])
    np.testing.assert_array_equal(both[:, 0], one_hot_windows("ACGTT", [0, 1], 3, layout="first"))
