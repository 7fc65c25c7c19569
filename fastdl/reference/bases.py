"""Bases: what the other strand and the numbers of k-mers are."""

import numpy as np

from fastdl.reference.sequences import data


def complement(alphabet="ACGT"):
    """The complement of each byte: bases and IUPAC codes in both cases; others are their own."""
    t = "U" if "U" in alphabet.upper() else "T"
    pairs = dict(zip("ATUCGYRWSKMDHBVN", f"{t}AAGCRYWSMKHDVBN"))
    other = np.arange(256, dtype=np.uint8)
    for one, two in pairs.items():
        other[ord(one)], other[ord(one.lower())] = ord(two), ord(two.lower())
    return other


def reverse_complement(seq, *, alphabet="ACGT", layout=None):
    """The other strand, of bytes along the last axis or of one-hot rows; further channels stay where they are."""
    if layout is None:
        return complement(alphabet)[data(seq)[..., ::-1]]
    other = [alphabet.upper().index(chr(c)) for c in complement(alphabet)[data(alphabet.upper())]]
    channels = [*other, *range(len(other), seq.shape[-1 if layout == "last" else -2])]
    return seq[..., ::-1, :][..., channels] if layout == "last" else seq[..., channels, ::-1]


def kmer_index(seq, k, *, canonical=False):
    """Numbers of the k-mers, base 4, the first base the highest digit; -1 where one holds an unknown base."""
    dtype = np.int32 if k <= 15 else np.int64
    x = data(seq)
    code = np.full(256, -1, np.int64)
    for i, base in enumerate("ACGT"):
        code[[ord(base), ord(base.lower())]] = i
    n = max(x.shape[-1] - k + 1, 0)
    digits = [code[x[..., j : j + n]] for j in range(k)]
    forward = sum((d << 2 * (k - 1 - j) for j, d in enumerate(digits)), np.zeros((*x.shape[:-1], n), np.int64))
    if canonical:
        forward = np.minimum(forward, sum((3 - d) << 2 * j for j, d in enumerate(digits)))
    return np.where(np.any([d < 0 for d in digits], axis=0), -1, forward).astype(dtype)
