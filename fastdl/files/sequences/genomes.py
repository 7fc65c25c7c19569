"""Files of sequences of any format: the choice of a reader, and the letters in chunks for encoding."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fastdl import _check
from fastdl._typing import Array
from fastdl.files.sequences import fasta, fastq, twobit
from fastdl.files.sequences.compressed_text import CompressedText

SUFFIXES = (*fasta.SUFFIXES, *fastq.SUFFIXES, *twobit.SUFFIXES)

_SIGNATURES = (b"\x43\x27\x41\x1a", b"\x1a\x41\x27\x43")


#: What `open_sequences` returns.
SequenceReader = fasta.Fasta | fastq.Fastq | twobit.TwoBit


def open_sequences(path: str | Path, *, loose: bool = False, write_index: bool = False) -> SequenceReader:
    """A reader of a FASTA, FASTQ or 2bit file, chosen by its first bytes; for an empty file by its name.

    Parameters
    ----------
    path : str or Path
        The file.
    loose, write_index : bool
        As in `Fasta`.

    Returns
    -------
    Fasta, Fastq or TwoBit

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from fastdl.files import open_sequences
    >>> path = pathlib.Path(tempfile.mkdtemp(), "a.txt")
    >>> _ = path.write_text("@one\\nACGT\\n+\\nIIII\\n")
    >>> type(open_sequences(path)).__name__
    'Fastq'
    """
    path = _check.existing(path)
    with CompressedText(path) as text:
        head = text.read(1 << 12)
    if head[:4] in _SIGNATURES or path.suffix == ".2bit":
        return twobit.TwoBit(path)
    text_begins = head.lstrip()[:1]
    if text_begins == b"@" or (not text_begins and path.name.lower().endswith(fastq.SUFFIXES)):
        return fastq.Fastq(path)
    return fasta.Fasta(path, loose=loose, write_index=write_index)


class Places:
    """The names of sequences or reads, and the row at which each begins in the written array."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.starts: list[int] = []

    def add(self, names: list[str], starts: Array) -> None:
        """Add some sequences."""
        self.names += names
        self.starts += starts.tolist()


class Tiles(NamedTuple):
    """Letters of windows end to end, and the offset of each window."""

    letters: Array
    offsets: Array


def count_letters(reader: fasta.Fasta | twobit.TwoBit, by_index: bool = False) -> int:
    """The number of letters of a file; with `by_index` (see `has_parts`) without reading them."""
    if by_index or isinstance(reader, twobit.TwoBit):
        return sum(reader.lengths.values())
    return sum(len(batch.letters) for batch in reader.batches())


def all_letters(reader: fasta.Fasta | twobit.TwoBit, bases: int, places: Places) -> Iterator[Array]:
    """All letters of a FASTA or 2bit file end to end, in chunks; where each sequence begins is added to `places`."""
    at = 0
    for batch in reader.batches(bases):
        places.add(batch.names, batch.starts + at)
        at += len(batch.letters)
        yield batch.letters


class LetterPart(NamedTuple):
    """Consecutive letters of a file, and a reader that can read them without the rest."""

    reader: fasta.Fasta | twobit.TwoBit
    ranges: list[tuple[str, int, int]]  # (name, start, stop)
    size: int

    def read(self) -> Array:
        """The letters end to end."""
        pieces = [self.reader.fetch(*some) for some in self.ranges]
        return pieces[0] if len(pieces) == 1 else np.concatenate([np.zeros(0, np.uint8), *pieces])


def has_parts(reader: fasta.Fasta | fastq.Fastq | twobit.TwoBit) -> bool:
    """Whether any letters of a file can be read without those before: of 2bit, and of FASTA with an index beside it."""
    if isinstance(reader, fasta.Fasta):
        index = reader.index if reader.is_indexed and not reader.loose else {}
        offsets = [entry.offset for entry in index.values()]
        return offsets == sorted(offsets) and bool(index) and not any(entry.obstacle for entry in index.values())
    return isinstance(reader, twobit.TwoBit)


def letter_parts(reader: fasta.Fasta | twobit.TwoBit, bases: int, places: Places) -> Iterator[LetterPart]:
    """As `all_letters`, but in parts of `bases` letters that are read later, by workers; see `has_parts`."""
    at = size = 0
    ranges: list[tuple[str, int, int]] = []
    for name, length in reader.lengths.items():
        places.names.append(name)
        places.starts.append(at)
        at += length
        start = 0
        while start < length:
            stop = min(length, start + bases - size)
            ranges.append((name, start, stop))
            size, start = size + stop - start, stop
            if size == bases:
                yield LetterPart(_reader_of(reader, ranges), ranges, size)
                ranges, size = [], 0
    if ranges:
        yield LetterPart(_reader_of(reader, ranges), ranges, size)


def _reader_of(reader: fasta.Fasta | twobit.TwoBit, ranges: list[tuple[str, int, int]]) -> fasta.Fasta | twobit.TwoBit:
    """A reader with only these sequences in its index, since it is pickled with each part."""
    return reader.with_sequences([name for name, _, _ in ranges]) if isinstance(reader, fasta.Fasta) else reader


def tiles(
    reader: fasta.Fasta | fastq.Fastq | twobit.TwoBit, bases: int, length: int, places: Places
) -> Iterator[Tiles]:
    """Adjacent windows of `length` letters (fewer at the end of a sequence), in chunks."""
    if isinstance(reader, fastq.Fastq):
        rows = 0
        for reads in reader.batches():
            offsets, first = _cut(reads.offsets, length, 1)
            places.add(reads.names, rows + first[:-1])
            rows += int(first[-1])
            yield Tiles(reads.letters, offsets)
        return
    rest, rows = np.zeros(0, np.uint8), 0
    for batch in reader.batches(bases):
        letters = np.concatenate([rest, batch.letters]) if len(rest) else batch.letters
        starts = batch.starts + len(rest)
        # The last sequence may continue in the next batch: letters after its last whole window are kept for that.
        last = int(starts[-1]) if len(starts) else 0
        stop = last + (len(letters) - last) // length * length
        offsets, first = _cut(np.array([0, *starts.tolist(), stop], np.int64), length)
        places.add(batch.names, rows + first[1:-1])
        rest = letters[stop:]
        rows += int(first[-1])
        if len(offsets) > 1:
            yield Tiles(letters[:stop], offsets)
    if len(rest):
        yield Tiles(rest, np.array([0, len(rest)]))


def _cut(offsets: Array, length: int, least: int = 0) -> tuple[Array, Array]:
    """Offsets of windows, at least `least` for each sequence, and the number of each sequence's first window."""
    counts = np.maximum(-(-(offsets[1:] - offsets[:-1]) // length), least)
    first = np.concatenate([[0], np.cumsum(counts)])
    within = np.arange(first[-1]) - np.repeat(first[:-1], counts)
    return np.append(np.repeat(offsets[:-1], counts) + within * length, offsets[-1]), first
