"""The other strand, and k-mers."""

import numpy as np
import pytest

import fastdl
from fastdl.sequences.complement import reverse_complement
from fastdl.sequences.encoding import RNA, one_hot
from fastdl.sequences.kmers import kmer_index
from tests.test_sequences_encoding import TEXT


def test_reverse_complement_of_every_code():
    assert reverse_complement("ACTGNYRWSKMDVHBX") == "XVDBHKMSWYRNCAGT"
    assert reverse_complement(b"acug") == b"cagt"
    assert reverse_complement("ACGU", alphabet=RNA) == "ACGU"
    assert reverse_complement(np.array([b"A", b"c"])).tolist() == [b"g", b"T"]
    text = TEXT.replace("U", "T")
    assert reverse_complement(reverse_complement(text)) == text
    x = np.frombuffer(b"AACCGGTTNN", np.uint8).reshape(2, 5)
    assert [row.tobytes() for row in reverse_complement(x)] == [b"CGGTT", b"NNAAC"]


@pytest.mark.parametrize("layout", ["last", "first"])
@pytest.mark.parametrize("alphabet", ["ACGT", "TGCA", "AGCT"])
@pytest.mark.parametrize("unknown", ["zero", "channel", "iupac"])
def test_reverse_complement_of_rows_is_that_of_letters(layout, alphabet, unknown):
    how = {"layout": layout, "alphabet": alphabet, "unknown": unknown}
    x = np.stack([one_hot(text, **how) for text in ("ACGTNRA", "AACCNNY")])
    want = np.stack([one_hot(reverse_complement(text), **how) for text in ("ACGTNRA", "AACCNNY")])
    np.testing.assert_array_equal(reverse_complement(x, layout=layout, alphabet=alphabet), want)


def test_kmers_by_hand():
    assert kmer_index("ACG", 3).tolist() == [6]
    assert kmer_index("acgT", 1).tolist() == [0, 1, 2, 3]
    assert kmer_index("ACGNACGT", 3).tolist() == [6, -1, -1, -1, 6, 27]
    assert kmer_index("T" * 40, 31).tolist() == [4**31 - 1] * 10
    text = "".join(np.random.default_rng(0).choice(list("ACGT"), 500))
    for k in (3, 15, 16, 31):
        both = kmer_index(text, k, canonical=True)
        np.testing.assert_array_equal(both, kmer_index(reverse_complement(text), k, canonical=True)[::-1])
        np.testing.assert_array_equal(
            both, np.minimum(kmer_index(text, k), kmer_index(reverse_complement(text), k)[::-1])
        )
        assert both.dtype == (np.int32 if k <= 15 else np.int64)


def test_tokens_of_a_sequence_without_letters_and_of_strides_beyond_it():
    for stride in (1, 2**63 - 1, 2**63):
        tokens = fastdl.kmer_tokens("", 3, stride=stride)
        assert tokens.ids.tolist() == [[2, 3]]
        assert fastdl.kmer_tokens(["ACGT"], 2, stride=stride).ids.shape[1] == (5 if stride == 1 else 3)
    assert fastdl.kmer_tokens(np.zeros((3, 0), np.uint8), 2).ids.tolist() == [[2, 3]] * 3
