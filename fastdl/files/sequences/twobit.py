"""UCSC .2bit files, of four bases a byte: any part of a sequence is read without the rest."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastdl import _check, _kernels
from fastdl._typing import Array
from fastdl.files.sequences.fasta import Batch, Piece
from fastdl.files.sequences.names import missing
from fastdl.files.sequences.source_file import SourceFile
from fastdl.reference import _sequence_kernels as reference
from fastdl.sequences._settings import letters_of_packed_byte
from fastdl.sequences.packed import PackedSequence

kernel = _kernels.load("sequences_windows") or reference

SUFFIXES = (".2bit",)

_SIGNATURE = 0x1A412743
_BUFFER = 1 << 16  # bytes of the index of names that are read at once


class _Record(NamedTuple):
    """The header of a sequence: its length, its blocks of N and of lower case, and the offset of its bases."""

    length: int
    unknown: Array  # int64 (n, 2)
    masked: Array
    offset: int  # of its packed bases


class TwoBit:
    """The sequences of a .2bit file.

    Parameters
    ----------
    path : str or Path
        Version 0 or 1 (64-bit offsets), of either byte order.

    Notes
    -----
    ``genome[name]`` is a `PackedSequence`, of a quarter of a byte a base, which `one_hot_windows` takes directly; it is
    kept in memory until `close`. `fetch` reads only the bases asked for. Blocks of N and of lower case are kept; the
    format has no other ambiguity codes. A reader is pickled as its path, as `Fasta` is.
    """

    def __init__(self, path: str | Path):
        self.source = SourceFile(path)
        self.path, self.size = self.source.path, self.source.size
        self.read = 0  # bytes of the file that chunks() has read
        self._forget()
        if self.size < 16:
            raise _check.FileError(self.path, "truncated: no room for the header of a .2bit file", self.size)
        self._order = "<"
        if self._number(0, "signature") != _SIGNATURE:
            self._order = ">"
            if self._number(0, "signature") != _SIGNATURE:
                raise _check.FileError(self.path, "not a .2bit file: its signature is missing", 0)
        version, count = self._number(4, "version"), self._number(8, "sequence count")
        if version not in (0, 1):
            raise _check.FileError(self.path, f"version must be 0 or 1, got {version}", 4)
        self._places = self._names(count, 8 if version else 4)

    def _forget(self) -> None:
        self._records: dict[str, _Record] = {}
        self._sequences: dict[str, PackedSequence] = {}
        self._buffer = 0, b""

    def __getstate__(self) -> dict[str, Any]:
        kept = self.__dict__.copy()
        for name in ("_records", "_sequences", "_buffer"):
            del kept[name]
        return kept

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    def __enter__(self) -> TwoBit:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, and forget the sequences in memory."""
        self._forget()
        self.source.close()

    def _small(self, at: int, size: int) -> bytes:
        """Some bytes of a header, read through a buffer; fewer at the end of the file."""
        start, held = self._buffer
        if not start <= at <= at + size <= start + len(held):
            start, held = at, self.source.read(at, min(at + max(size, _BUFFER), self.size))
            self._buffer = start, held
        return held[at - start : at - start + size]

    def _number(self, at: int, what: str, size: int = 4) -> int:
        if at + size > self.size:
            raise _check.FileError(self.path, f"truncated: the {what} should be here", at)
        return int(struct.unpack(self._order + ("Q" if size == 8 else "I"), self._small(at, size))[0])

    def _names(self, count: int, width: int) -> dict[str, int]:
        places: dict[str, int] = {}
        at = 16
        for _ in range(count):
            head = self._small(at, 1) if at < self.size else b""
            length = head[0] if head else 0
            offset = self._number(at + 1 + length, "index of sequences", width)
            name = self._small(at + 1, length).decode("utf-8", "replace")
            if name in places:
                raise _check.FileError(self.path, f"two sequences are called {name!r}", at)
            if offset >= self.size:
                raise _check.FileError(self.path, f"{name!r} should begin at byte {offset}, beyond the end", at)
            places[name] = offset
            at += 1 + length + width
        return places

    @property
    def lengths(self) -> dict[str, int]:
        """The length of each sequence, in the order of the file."""
        return {name: self._number(at, f"length of {name!r}") for name, at in self._places.items()}

    def _ranges(self, at: int, length: int, what: str) -> tuple[Array, int]:
        count = self._number(at, f"number of {what} blocks")
        stop = at + 4 + 8 * count
        if stop > self.size:
            raise _check.FileError(self.path, f"truncated: {count} {what} blocks should be here", at)
        numbers = np.frombuffer(self.source.read(at + 4, stop), f"{self._order}u4").reshape(2, count).astype(np.int64)
        ranges = np.stack([numbers[0], numbers[0] + numbers[1]], axis=1)
        flat = ranges.reshape(-1)
        if (flat[1:] < flat[:-1]).any() or (len(flat) and flat[-1] > length):
            raise _check.FileError(self.path, f"{what} blocks overlap or lie beyond {length} bases", at)
        return ranges, stop

    def _record(self, name: str) -> _Record:
        record = self._records.get(name)
        if record is None:
            if name not in self._places:
                raise missing(self.path, name, self._places)
            at = self._places[name]
            length = self._number(at, f"length of {name!r}")
            unknown, at = self._ranges(at + 4, length, "N")
            masked, at = self._ranges(at, length, "lower-case")
            self._number(at, "reserved field")
            if at + 4 + -(-length // 4) > self.size:
                problem = f"truncated: {name!r} has {length} bases, {4 * (self.size - at - 4)} are there"
                raise _check.FileError(self.path, problem, self.size)
            record = self._records[name] = _Record(length, unknown, masked, at + 4)
        return record

    def __getitem__(self, name: str) -> PackedSequence:
        """One sequence in memory, of a quarter of a byte a base."""
        if name not in self._sequences:
            record = self._record(name)
            packed = self.source.read(record.offset, record.offset + -(-record.length // 4))
            codes = np.frombuffer(packed, np.uint8)
            self._sequences[name] = PackedSequence(codes, record.length, record.unknown, record.masked)
        return self._sequences[name]

    def fetch(self, name: str, start: int, stop: int) -> Array:
        """Letters start to stop of a sequence as uint8, without reading the rest; positions outside are left out."""
        record = self._record(name)
        start, stop = max(start, 0), min(stop, record.length)
        letters = np.empty(max(stop - start, 0), np.uint8)
        if len(letters):
            first = start // 4
            packed = np.frombuffer(self.source.read(record.offset + first, record.offset + -(-stop // 4)), np.uint8)
            unknown, masked = _within(record.unknown, start, stop), _within(record.masked, start, stop)
            parts = packed, letters_of_packed_byte(), unknown - 4 * first, masked - 4 * first
            kernel.unpack(parts, start - 4 * first, letters)
        return letters

    def batches(self, bases: int | None = None) -> Iterator[Batch]:
        """All sequences in batches of at most `bases` letters, as `Fasta` gives them."""
        for piece in self.chunks(1 << 20 if bases is None else bases):
            new = piece.start == 0
            yield Batch(piece.letters, [piece.name] * new, np.zeros(int(new), np.int64))

    def chunks(self, bases: int = 1 << 20) -> Iterator[Piece]:
        """All sequences, each in pieces of at most `bases` letters; an empty sequence gives one empty piece."""
        _check.integer("bases", bases, 1)
        for name in self._places:
            length = self._record(name).length
            for start in range(0, max(length, 1), bases):
                piece = self.fetch(name, start, start + bases)
                self.read = min(self.read + len(piece) // 4, self.size)
                yield Piece(name, start, piece)


def _within(ranges: Array, start: int, stop: int) -> Array:
    """The ranges that overlap start to stop."""
    flat = ranges.reshape(-1)  # starts and stops in turn, ascending: an odd insertion point is within a range
    low, high = int(flat.searchsorted(start, side="right")) // 2, (int(flat.searchsorted(stop)) + 1) // 2
    return ranges[low:high]
