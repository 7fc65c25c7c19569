"""Windows of a genome as one-hot rows: fetched, turned to their strand, encoded and padded in one pass."""

from __future__ import annotations

import numpy as np

from fastdl import _check
from fastdl._typing import Array, ArrayLike, DTypeLike
from fastdl.sequences import _settings
from fastdl.sequences._letters import as_letters
from fastdl.sequences._window_encoder import Windows, encode_windows, strands, window_starts
from fastdl.sequences.packed import PackedSequence


def one_hot_windows(
    genome: ArrayLike | PackedSequence,
    starts: ArrayLike,
    length: int,
    *,
    strand: ArrayLike | None = None,
    alphabet: str = "ACGT",
    unknown: str | None = None,
    case: str | None = None,
    layout: str | None = None,
    dtype: DTypeLike | None = None,
    ignore: str | None = None,
    like: str | None = None,
    pad: str | None = None,
    out: Array | None = None,
    threads: int | None = 1,
) -> Array:
    """Encode windows of a genome as one-hot rows, each on its strand.

    Parameters
    ----------
    genome : str, bytes, bytearray, memoryview, 1-D array of S1 or uint8 (memory-mapped ones too), or PackedSequence
        One sequence; a `PackedSequence` is read from its two bits a base.
    starts : array_like of int, shape (B,)
        The first base of each window, from 0; windows may reach, or lie, beyond the ends.
    length : int
        Bases of a window.
    strand : optional
        "+" or "-" for all windows, or for each (text in any container, also of pandas, polars and pyarrow); 1 and -1
        are the same, "." is "+". Windows of the reverse strand are encoded as their reverse complement, padding
        included. The forward strand by default. "both" gives each window and its reverse complement.
    alphabet, unknown, case, layout, dtype, ignore, like
        As in `one_hot`.
    pad : str, optional
        The letter that stands beyond the ends; by default they are rows of zeros.
    out : ndarray, optional
        Where to write.
    threads : int or None
        Threads to use; None means all this process may.

    Returns
    -------
    ndarray
        (B, length, A) or, with layout "first", (B, A, length); of strand "both" (B, 2, length, A) or (B, 2, A, length).

    Raises
    ------
    InputError
        For a strand that is none, an alphabet without complements with reverse windows, and as `one_hot`.

    See Also
    --------
    one_hot : whole sequences.
    fastdl.files.Genome : windows of genomes in files, by the names of their sequences.

    Examples
    --------
    >>> import fastdl
    >>> x = fastdl.one_hot_windows("AACGT", [0, 3], 3, strand="+-")
    >>> [fastdl.one_hot_decode(w, unknown_char="-").tobytes() for w in x]
    [b'AAC', b'-AC']
    """
    encoding = _settings.settings(
        alphabet, unknown=unknown, case=case, layout=layout, dtype=dtype, ignore=ignore, like=like
    )
    length = _check.integer("length", length, 0, 1 << 62)
    if not isinstance(genome, PackedSequence):
        genome = as_letters(genome, "genome")
        if genome.ndim != 1:
            raise _check.InputError(f"genome must have 1 dimension, got shape {genome.shape}")
    size = len(genome)
    at = window_starts(starts, -length, size)
    both = isinstance(strand, str) and strand == "both"
    shape: tuple[int, ...] = encoding.shape(len(at), length)
    if both:
        at, strand, shape = np.repeat(at, 2), "+-" * len(at), (shape[0], 2, *shape[1:])
    inputs = [] if isinstance(genome, PackedSequence) else [genome]
    result = _check.out("out", out, shape, encoding.dtype, *inputs)
    windows = Windows(at, np.zeros_like(at), np.full_like(at, size), strands(strand, len(at)), length)
    encode_windows(genome, windows, encoding, pad, result.reshape(len(at), *shape[-2:]), threads)
    return result
