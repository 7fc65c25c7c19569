"""UCSC .2bit files: four bases a byte, memory-mapped."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fastdl import _check
from fastdl.files.sequences.fasta import Piece, some
from fastdl.sequences.windows import PackedSequence

Array = np.ndarray

SUFFIXES = (".2bit",)

_SIGNATURE = 0x1A412743


class TwoBit:
    """The sequences of a .2bit file.

    Parameters
    ----------
    path : str or Path
        Version 0 or 1 (64-bit offsets), of either byte order.

    Notes
    -----
    ``genome[name]`` is a `PackedSequence`, which `one_hot_windows` takes as it is. Blocks of N and of lower case are
    kept; the format holds no other ambiguity codes.
    """

    def __init__(self, path: str | Path):
        self.path = _check.existing(path)
        self.size = self.path.stat().st_size
        self.read = 0  # bytes of the file that chunks() has gone through
        if self.size < 16:
            raise _check.FileError(self.path, "truncated: no room for the header of a .2bit file", self.size)
        self._bytes = np.memmap(self.path, np.uint8, "r")
        self._order = "<"
        if self._number(0, "signature") != _SIGNATURE:
            self._order = ">"
            if self._number(0, "signature") != _SIGNATURE:
                raise _check.FileError(self.path, "not a .2bit file: its signature is missing", 0)
        version, count = self._number(4, "version"), self._number(8, "sequence count")
        if version not in (0, 1):
            raise _check.FileError(self.path, f"version must be 0 or 1, got {version}", 4)
        self._places = self._names(count, 8 if version else 4)
        self._cache: dict[str, PackedSequence] = {}

    def __enter__(self) -> TwoBit:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing is held open but the mapping, which ends with the last array of it."""

    def _number(self, at: int, what: str, size: int = 4) -> int:
        if at + size > self.size:
            raise _check.FileError(self.path, f"truncated: the {what} should be here", at)
        return struct.unpack(self._order + ("Q" if size == 8 else "I"), self._bytes[at : at + size].tobytes())[0]

    def _names(self, count: int, width: int) -> dict[str, int]:
        places, at = {}, 16
        for _ in range(count):
            length = int(self._bytes[at]) if at < self.size else 0
            offset = self._number(at + 1 + length, "index of sequences", width)
            name = self._bytes[at + 1 : at + 1 + length].tobytes().decode("utf-8", "replace")
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
        if at + 4 + 8 * count > self.size:
            raise _check.FileError(self.path, f"truncated: {count} {what} blocks should be here", at)
        numbers = self._bytes[at + 4 : at + 4 + 8 * count].view(f"{self._order}u4").reshape(2, count).astype(np.int64)
        ranges = np.stack([numbers[0], numbers[0] + numbers[1]], axis=1)
        flat = ranges.reshape(-1)
        if (np.diff(flat) < 0).any() or (len(flat) and flat[-1] > length):
            raise _check.FileError(self.path, f"{what} blocks overlap or lie beyond {length} bases", at)
        return ranges, at + 4 + 8 * count

    def __getitem__(self, name: str) -> PackedSequence:
        """One sequence, its bases still in the file."""
        if name not in self._places:
            raise _check.InputError(f"{self.path} holds no sequence {name!r}; it holds {some(self._places)}")
        if name not in self._cache:
            at = self._places[name]
            length = self._number(at, f"length of {name!r}")
            unknown, at = self._ranges(at + 4, length, "N")
            masked, at = self._ranges(at, length, "lower-case")
            self._number(at, "reserved field")
            packed = self._bytes[at + 4 : at + 4 + -(-length // 4)]
            if 4 * len(packed) < length:
                problem = f"truncated: {name!r} has {length} bases, {4 * len(packed)} are there"
                raise _check.FileError(self.path, problem, self.size)
            self._cache[name] = PackedSequence(packed.view(np.ndarray), length, unknown, masked)
        return self._cache[name]

    def fetch(self, name: str, start: int, stop: int) -> Array:
        """Letters start to stop of a sequence as uint8; what lies outside it is left out."""
        return self[name][max(start, 0) : max(stop, 0)]

    def chunks(self, bases: int = 1 << 20) -> Iterator[Piece]:
        """All sequences in pieces of at most `bases` letters; an empty sequence is one empty piece."""
        _check.integer("bases", bases, 1)
        for name in self._places:
            sequence = self[name]
            for start in range(0, max(len(sequence), 1), bases):
                piece = sequence[start : start + bases]
                self.read = min(self.read + len(piece) // 4, self.size)
                yield Piece(name, start, piece)
