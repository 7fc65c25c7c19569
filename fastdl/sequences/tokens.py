"""Sequences as tokens: the numbers of their k-mers among special tokens, padded to one length."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from fastdl import _check
from fastdl._typing import Array, ArrayLike
from fastdl.sequences._letters import check_offsets, letters_and_offsets
from fastdl.sequences.kmers import kmer_index

#: The special tokens of BERT, in the order of its vocabularies.
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_MOST = 10  # letters of a k-mer: a vocabulary of a million


class KmerTokens(NamedTuple):
    """Sequences as numbers of tokens."""

    ids: Array  # int64 (B, T)
    mask: Array  # bool (B, T): False where there is padding


def kmer_tokens(
    seq: ArrayLike,
    k: int,
    *,
    stride: int = 1,
    letters: str = "ACGT",
    special: tuple[str, ...] = SPECIAL,
    begin: str | None = "[CLS]",
    end: str | None = "[SEP]",
    length: int | None = None,
) -> KmerTokens:
    """Number the k-mers of sequences as tokens of a DNA language model.

    Parameters
    ----------
    seq : str, bytes, array of S1 or uint8 (B, L), or a list of sequences
        Bases in either case; a single sequence is a batch of one.
    k : int
        1 to 10.
    stride : int
        Letters from one k-mer to the next: 1 for overlapping ones, k for ones side by side. Letters at the end that
        are no whole k-mer are left out.
    letters : str
        The order of the letters in the vocabulary: k-mers are numbered as `kmer_vocabulary` lists them.
    special : tuple of str
        The tokens before the k-mers. "[PAD]" and "[UNK]", which stands for k-mers with other letters, must be among
        them.
    begin, end : str or None
        Tokens, of `special`, at the begin and the end of each sequence.
    length : int, optional
        Tokens of a row; that of the longest by default. Longer sequences are errors.

    Returns
    -------
    KmerTokens
        `ids` (B, T) as int64, and `mask` (B, T), which is False at padding: a model's attention mask.

    Raises
    ------
    InputError
        For k, special tokens or letters that do not go together, or a sequence longer than `length`.

    Examples
    --------
    >>> import fastdl
    >>> tokens = fastdl.kmer_tokens(["ACGT", "ANCG"], 2)
    >>> tokens.ids.tolist()
    [[2, 6, 11, 16, 3], [2, 1, 1, 11, 3]]
    >>> [fastdl.sequences.kmer_vocabulary(2)[i] for i in tokens.ids[0]]
    ['[CLS]', 'AC', 'CG', 'GT', '[SEP]']
    """
    k, stride = _check.integer("k", k, 1, _MOST), min(_check.integer("stride", stride, 1), 1 << 62)
    _check_vocabulary(letters, special)
    for name, token in (("begin", begin), ("end", end)):
        if token is not None:
            _check.one_of(name, token, special)
    x, offsets = letters_and_offsets(seq)
    if offsets is None:
        x, offsets = x.reshape(-1), np.arange(math.prod(x.shape[:-1]) + 1, dtype=np.int64) * x.shape[-1]
    counts = np.maximum((offsets[1:] - offsets[:-1] - k) // stride + 1, 0)
    before, more = int(begin is not None), (begin is not None) + (end is not None)
    needed = int(counts.max(initial=0)) + more
    width = needed if length is None else _check.integer("length", length, 0)
    if width < needed:
        raise _check.InputError(f"length must be at least {needed}, the tokens of the longest sequence, got {width}")
    numbers = kmer_index(_by_rank(letters)[x], k)
    ids = np.full((len(counts), width), special.index("[PAD]"), np.int64)
    if begin is not None:
        ids[:, 0] = special.index(begin)
    row = np.repeat(np.arange(len(counts)), counts)
    column = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
    found = numbers[offsets[:-1][row] + column * stride] if len(row) else np.zeros(0, np.int64)
    ids[row, before + column] = np.where(found < 0, special.index("[UNK]"), found + len(special))
    if end is not None:
        ids[np.arange(len(counts)), before + counts] = special.index(end)
    return KmerTokens(ids, np.arange(width) < (counts + more)[:, None])


def kmer_vocabulary(k: int, *, letters: str = "ACGT", special: tuple[str, ...] = SPECIAL) -> list[str]:
    """The tokens of `kmer_tokens` by their numbers: special ones, then all k-mers.

    Parameters
    ----------
    k : int
        1 to 10.
    letters : str
        The order of the letters.
    special : tuple of str
        The tokens before the k-mers.

    Returns
    -------
    list of str

    Examples
    --------
    >>> from fastdl.sequences import kmer_vocabulary
    >>> kmer_vocabulary(1, letters="ATCG")
    ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', 'A', 'T', 'C', 'G']
    """
    k = _check.integer("k", k, 1, _MOST)
    _check_vocabulary(letters, special)
    return [*special, *("".join(word) for word in product(letters, repeat=k))]


def padding_mask(seq: ArrayLike, *, length: int | None = None, offsets: ArrayLike | None = None) -> Array:
    """Where a padded batch holds letters: the mask beside ``one_hot(seq, length=length, offsets=offsets)``.

    Parameters
    ----------
    seq : list of sequences, or bytes with `offsets`
        As in `one_hot`.
    length : int, optional
        What the batch is padded to; that of its longest sequence by default.
    offsets : array_like of int, shape (B + 1,), optional
        As in `one_hot`.

    Returns
    -------
    ndarray of bool, shape (B, length)
        False at padding.

    Examples
    --------
    >>> import fastdl
    >>> fastdl.padding_mask(["AC", "GTT"])
    array([[ True,  True, False],
           [ True,  True,  True]])
    """
    x, starts = letters_and_offsets(seq)
    if offsets is not None:
        starts = check_offsets(offsets, len(x))
    if starts is None:
        raise _check.InputError("seq must be a list of sequences, or flat with offsets")
    lengths = starts[1:] - starts[:-1]
    longest = int(lengths.max(initial=0))
    width = longest if length is None else _check.integer("length", length, longest)
    return np.arange(width) < lengths[:, None]


def _check_vocabulary(letters: str, special: Sequence[str]) -> None:
    if not isinstance(letters, str) or sorted(letters.upper()) not in (list("ACGT"), list("ACGU")):
        raise _check.InputError(f"letters must be A, C, G, T (or U) in some order, got {letters!r}")
    wrong = not isinstance(special, (tuple, list)) or len(set(special)) < len(special)
    if wrong or not {"[PAD]", "[UNK]"} <= set(special):
        raise _check.InputError(f"special must be distinct tokens with [PAD] and [UNK] among them, got {special!r}")


def _by_rank(letters: str) -> Array:
    """For each byte the base whose number is the rank of the letter; N for what is none."""
    table = np.full(256, ord("N"), np.uint8)
    for rank, letter in enumerate(letters.upper()):
        table[[ord(letter), ord(letter.lower())]] = ord("ACGT"[rank])
    return table
