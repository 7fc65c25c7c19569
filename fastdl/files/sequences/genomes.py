"""Whatever holds sequences: the reader of a file by what is in it, and its letters cut for encoding."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fastdl import _check
from fastdl.files.sequences import fasta, fastq, twobit
from fastdl.files.sequences.compressed_text import Text

Array = np.ndarray

SUFFIXES = (*fasta.SUFFIXES, *fastq.SUFFIXES, *twobit.SUFFIXES)

_SIGNATURES = (b"\x43\x27\x41\x1a", b"\x1a\x41\x27\x43")


def open_sequences(path: str | Path) -> fasta.Fasta | fastq.Fastq | twobit.TwoBit:
    """A reader, by what the file begins with."""
    path = _check.existing(path)
    with Text(path) as text:
        head = text.read(4)
    if head in _SIGNATURES or path.suffix == ".2bit":
        return twobit.TwoBit(path)
    return fastq.Fastq(path) if head[:1] == b"@" else fasta.Fasta(path)


def whole(reader: Any, bases: int, places: list[dict]) -> Iterator[Array]:
    """All letters of a FASTA or 2bit file end to end, in pieces; `places` takes where each sequence begins."""
    at = 0
    for piece in reader.chunks(bases):
        if piece.start == 0:
            places.append({"name": piece.name, "start": at})
        at += len(piece.letters)
        yield piece.letters


def tiles(reader: Any, bases: int, length: int, places: list[dict]) -> Iterator[tuple[Array, Array]]:
    """(letters, offsets) of windows one after the other, of `length` letters or fewer at the end of a sequence."""
    if isinstance(reader, fastq.Fastq):
        for reads in reader.batches():
            yield reads.letters, _cut(reads.offsets, length)
        return
    rest, windows = np.zeros(0, np.uint8), 0
    for piece in reader.chunks(bases):
        if piece.start == 0:
            if len(rest):
                yield rest, np.array([0, len(rest)])
                windows += 1
            rest = rest[:0]
            places.append({"name": piece.name, "start": windows})
        letters = np.concatenate([rest, piece.letters]) if len(rest) else piece.letters
        count = len(letters) // length
        if count:
            yield letters, np.arange(0, count * length + 1, length)
        windows, rest = windows + count, letters[count * length :]
    if len(rest):
        yield rest, np.array([0, len(rest)])


def _cut(offsets: Array, length: int) -> Array:
    """Offsets with those of windows in reads that are longer than one."""
    long = np.flatnonzero(np.diff(offsets) > length)
    inner = [np.arange(offsets[i] + length, offsets[i + 1], length) for i in long]
    return np.sort(np.concatenate([offsets, *inner]))
