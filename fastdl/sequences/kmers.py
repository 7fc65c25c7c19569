"""Words of k letters: their numbers, their counts, and the few that stand for a neighbourhood (minimizers)."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np

from fastdl import _check, _kernels
from fastdl._threads import split
from fastdl._typing import Array, ArrayLike
from fastdl.reference import _sequence_kernels as reference
from fastdl.sequences._letters import as_letters, letters_and_offsets

kernel = _kernels.load("sequences_bases") or reference

_BLOCK = 1 << 18  # letters of a block
_MOST_DENSE = 13  # 4^13 counts take 512 MiB
_CODE = np.full(256, 4, np.uint8)
_CODE[list(b"ACGTacgt")] = [0, 1, 2, 3] * 2


def kmer_index(
    seq: ArrayLike, k: int, *, canonical: bool = False, out: Array | None = None, threads: int | None = 1
) -> Array:
    """Number every k-mer of a sequence: its bases as digits of base 4, the first the highest, A, C, G, T = 0..3.

    Parameters
    ----------
    seq : str, bytes, bytearray, memoryview, or array of S1 or uint8 of shape (..., L)
        Bases in either case.
    k : int
        1 to 31.
    canonical : bool
        Whether to take the smaller number of a k-mer and of its reverse complement, so that both strands count as one.
    out : ndarray, optional
        Where to write.
    threads : int or None
        Threads to use; None means all this process may.

    Returns
    -------
    ndarray of int32 (k <= 15) or int64, shape (..., max(L - k + 1, 0))
        Numbers below 4^k; -1 where a k-mer holds another letter than A, C, G or T.

    Raises
    ------
    InputError
        For k out of range.

    Examples
    --------
    >>> import fastdl
    >>> fastdl.kmer_index("ACGNAC", 2)
    array([ 1,  6, -1, -1,  1], dtype=int32)
    """
    k = _check.integer("k", k, 1, 31)
    if isinstance(seq, (list, tuple)):
        raise _check.InputTypeError("seq must be one sequence or an array, got a list; call for each of its sequences")
    x = as_letters(seq)
    n = max(x.shape[-1] - k + 1, 0)
    result = _check.out("out", out, (*x.shape[:-1], n), np.int32 if k <= 15 else np.int64, x)
    if result.size:
        for source, goal in zip(x.reshape(-1, x.shape[-1]), result.reshape(-1, n)):
            _number(source, k, bool(canonical), goal, threads)
    return result


def _number(x: Array, k: int, canonical: bool, out: Array, threads: int | None) -> None:
    split(
        len(out),
        threads,
        lambda s: kernel.number_kmers(x[s.start : s.stop + k - 1], _CODE, k, canonical, out[s]),
        _BLOCK,
    )


class KmerCounts(NamedTuple):
    """The k-mers that occur, by their numbers, and how often."""

    numbers: Array  # int64, rising
    counts: Array  # int64


def kmer_count(
    seq: ArrayLike, k: int, *, canonical: bool = False, sparse: bool = False, out: Array | None = None
) -> Array | KmerCounts:
    """Count the k-mers of a sequence, or of many.

    Parameters
    ----------
    seq : str, bytes, bytearray, memoryview, array of S1 or uint8, or a list of sequences
        Bases in either case; no k-mer spans two sequences, and those with another letter than A, C, G, T do not count.
    k : int
        1 to 13, or 1 to 31 with `sparse`.
    canonical : bool
        Whether a k-mer and its reverse complement count as one, the smaller number of the two (as jellyfish's -C).
    sparse : bool
        Whether to give only the k-mers that occur.
    out : ndarray of int64, shape (4^k,), optional
        Counts to add to; not with `sparse`.

    Returns
    -------
    ndarray of int64, shape (4^k,), or KmerCounts
        How often each number of `kmer_index` occurs; with `sparse` the numbers that occur, rising, and their counts.

    Raises
    ------
    InputError
        For k out of range.

    Examples
    --------
    >>> import fastdl
    >>> fastdl.kmer_count("ACGTAC", 1)
    array([2, 2, 1, 1])
    >>> fastdl.kmer_count(["ACAC", "NGT"], 2, canonical=True, sparse=True)
    KmerCounts(numbers=array([1, 4]), counts=array([3, 1]))
    """
    k = _check.integer("k", k, 1, 31 if sparse else _MOST_DENSE)
    x, offsets = letters_and_offsets(seq)
    rows = x.reshape(-1, x.shape[-1]) if x.size else ()
    parts = rows if offsets is None else [x[a:b] for a, b in itertools.pairwise(offsets)]
    if sparse:
        if out is not None:
            raise _check.InputError("out takes the counts of all 4^k k-mers: sparse must be False")
        found = [kmer_index(part, k, canonical=canonical) for part in parts]
        numbers = np.concatenate([np.zeros(0, np.int64), *found])
        return KmerCounts(*np.unique(numbers[numbers >= 0].astype(np.int64, copy=False), return_counts=True))
    counts = _check.out("out", out, (4**k,), np.int64, x)
    if out is None:
        counts[:] = 0
    for part in parts:
        if len(part) >= k:
            kernel.count_kmers(part, _CODE, k, bool(canonical), counts)
    return counts


class Minimizers(NamedTuple):
    """The k-mers that stand for their neighbourhoods."""

    positions: Array  # int64, rising: where each begins
    numbers: Array  # int32 or int64, as of kmer_index
    strands: Array  # int8: 1, or -1 where the number is that of the reverse complement


def minimizers(seq: ArrayLike, k: int, w: int, *, canonical: bool = True, order: str = "hash") -> Minimizers:
    """The (w, k)-minimizers of a sequence: of each w neighbouring k-mers the least, the first of equals.

    Two sequences that share w + k - 1 bases share a minimizer, so that a small part of all k-mers, some 2 / (w + 1),
    finds what is common.

    Parameters
    ----------
    seq : str, bytes, bytearray, memoryview, or 1-D array of S1 or uint8
        Bases in either case; k-mers with another letter than A, C, G, T are in no window.
    k : int
        1 to 31.
    w : int
        K-mers of a window.
    canonical : bool
        Whether a k-mer and its reverse complement are one, so that both strands have the same minimizers.
    order : {"hash", "lexicographic"}
        What is least: by minimap2's hash, which does not prefer runs of A, or by the number.

    Returns
    -------
    Minimizers
        `positions`, `numbers` (as of `kmer_index`) and `strands`.

    Raises
    ------
    InputError
        For k or w out of range.

    References
    ----------
    Roberts et al., "Reducing storage requirements for biological sequence comparison", Bioinformatics 20, 2004.
    Li, "Minimap and miniasm", Bioinformatics 32, 2016, for the hash.

    Examples
    --------
    >>> import fastdl
    >>> fastdl.minimizers("TTACGTTGCA", 3, 4, order="lexicographic").positions
    array([2, 4])
    """
    k, w = _check.integer("k", k, 1, 31), _check.integer("w", w, 1, 1 << 24)
    _check.one_of("order", order, ("hash", "lexicographic"))
    x = as_letters(seq)
    if x.ndim != 1:
        raise _check.InputError(f"seq must have 1 dimension, got shape {x.shape}")
    numbers = kmer_index(x, k, canonical=canonical)
    places = np.empty(len(numbers), np.int64)
    count = 0
    if len(numbers) >= w:
        keys, queue = np.empty(w, np.uint64), np.empty(w, np.int64)
        count = kernel.minimizers(numbers, k, keys, queue, order == "hash", places)
    positions = places[:count].copy()
    found = numbers[positions]
    forward = kmer_index(x, k)[positions] if canonical else found
    return Minimizers(positions, found, np.where(found == forward, 1, -1).astype(np.int8))
