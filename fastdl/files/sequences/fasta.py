"""FASTA files, plain, gzip or bgzip: every sequence front to end, or any window by the .fai index."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastdl import _check, _kernels
from fastdl.files.atomic import replacing
from fastdl.files.sequences.compressed_text import Blocks, Text
from fastdl.reference import _records as reference

Array = np.ndarray
kernel = _kernels.load("files_sequences") or reference

SUFFIXES = (
    ".fa",
    ".fasta",
    ".fna",
    ".ffn",
    ".faa",
    ".frn",
    ".fas",
    ".fa.gz",
    ".fasta.gz",
    ".fna.gz",
    ".faa.gz",
    ".fa.bgz",
)

_TEXT = 1 << 22  # bytes read at once
_STRANGE = re.compile(rb"[^A-Za-z*.\-\r\n]")


class Piece(NamedTuple):
    """Some letters of one sequence."""

    name: str
    start: int  # their place in it
    letters: Array  # uint8


class Entry(NamedTuple):
    """A line of a .fai index: a sequence's length, where its letters begin, and the letters and bytes of its lines."""

    length: int
    offset: int
    bases: int
    width: int


class Fasta:
    """The sequences of a FASTA file.

    Parameters
    ----------
    path : str or Path
        Plain text, gzip or bgzip, whatever its name.

    Notes
    -----
    Reading front to end takes memory for one piece. A window is read by the index `path.fai` (as samtools writes it);
    where it is missing or older than the file it is made, and written where the folder allows. Windows of compressed
    files need bgzip. A header without a name, text before the first header, or a byte that is no letter (nor ``*``,
    ``-``, ``.``) is an error that names the line.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from fastdl.files import Fasta
    >>> path = pathlib.Path(tempfile.mkdtemp(), "a.fa")
    >>> _ = path.write_text(">one a comment\\nACGT\\nAC\\n>two\\nGG\\n")
    >>> with Fasta(path) as genome:
    ...     genome.lengths, genome.fetch("one", 2, 5).tobytes()
    ({'one': 6, 'two': 2}, b'GTA')
    """

    def __init__(self, path: str | Path):
        self.path = _check.existing(path)
        with Text(self.path) as text:
            self.packed = text.packed
        self.size = self.path.stat().st_size
        self.read = 0  # bytes of the file that chunks() has gone through
        self._index: dict[str, Entry] | None = None
        self._blocks: Blocks | None = None
        self._file = -1

    def __enter__(self) -> Fasta:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close what windows were read from."""
        if self._blocks is not None:
            self._blocks.close()
            self._blocks = None
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    @property
    def lengths(self) -> dict[str, int]:
        """The length of each sequence, in the order of the file."""
        return {name: entry.length for name, entry in self.index.items()}

    def chunks(self, bases: int = 1 << 20) -> Iterator[Piece]:
        """All sequences in pieces of at most `bases` letters; an empty sequence is one empty piece."""
        _check.integer("bases", bases, 1)
        name, start, fresh = "", 0, False
        for header, text, line, _ in self._parts():
            if header is not None:
                if fresh:
                    yield Piece(name, 0, np.zeros(0, np.uint8))
                name, start, fresh = header, 0, True
                continue
            letters = self._letters(text, line)
            for at in range(0, len(letters), bases):
                yield Piece(name, start + at, letters[at : at + bases])
            start, fresh = start + len(letters), fresh and not len(letters)
        if fresh:
            yield Piece(name, 0, np.zeros(0, np.uint8))

    def _letters(self, text: Any, line: int) -> Array:
        letters = np.empty(len(text), np.uint8)
        written, _, strange = kernel.letters(text, letters)
        if strange:
            place = _STRANGE.search(text) or re.search(rb"\r(?!\n)", text)
            at = place.start() if place else 0
            problem = f"{chr(text[at])!r} is no letter of a sequence"
            raise _check.FileError(self.path, problem, line=line + bytes(text[:at]).count(b"\n"))
        return letters[:written]

    def _parts(self) -> Iterator[tuple[str | None, Any, int, int]]:
        """(name, b"", line, offset) of each header, then (None, text, line, offset) of its lines, in pieces."""
        line, offset, head, seen = 1, 0, b"", False
        fresh = True  # at the start of a line
        with Text(self.path) as file:
            while block := file.read(_TEXT):
                while block.endswith(b"\r") and (more := file.read(1)):
                    block += more
                view, at = memoryview(block), 0
                self.read = file.tell()
                while at < len(block):
                    if head or (fresh and block[at] == 62):
                        end = block.find(b"\n", at) + 1 or len(block)
                        head += block[at:end]
                        at, fresh = end, True
                        if head.endswith(b"\n"):
                            offset += len(head)
                            yield self._name(head, line), b"", line, offset
                            line, head, seen = line + 1, b"", True
                        continue
                    end = _header(block, at)
                    text = view[at:end]
                    if not seen and bytes(text).strip():
                        raise _check.FileError(self.path, "not FASTA: text before the first line with >", line=line)
                    if seen:
                        yield None, text, line, offset
                    line, offset = line + _lines(text), offset + end - at
                    at, fresh = end, block[end - 1] == 10
            if head:
                yield self._name(head, line), b"", line, offset + len(head)
            elif not seen:
                raise _check.FileError(self.path, "holds no sequence: there is no line with >", line=line)

    def _name(self, head: bytes, line: int) -> str:
        words = head[1:].split(maxsplit=1)
        if not words or head[1:2].isspace():
            raise _check.FileError(self.path, "a header without a name", line=line)
        return words[0].decode("utf-8", "replace")

    @property
    def index(self) -> dict[str, Entry]:
        """The .fai index: read, or made."""
        if self._index is None:
            path = self.path.with_name(self.path.name + ".fai")
            if path.exists() and path.stat().st_mtime >= self.path.stat().st_mtime:
                self._index = self._read_index(path)
            else:
                self._index = self._make_index()
                with suppress(_check.FileError, OSError), replacing(path) as file:
                    for name, entry in self._index.items():
                        file.write("\t".join(map(str, (name, *entry))).encode() + b"\n")
        return self._index

    def _read_index(self, path: Path) -> dict[str, Entry]:
        index = {}
        for number, text in enumerate(path.read_text("utf-8", "replace").splitlines(), 1):
            name, *fields = text.split("\t")
            try:
                entry = Entry(*map(int, fields))
            except (TypeError, ValueError):
                raise _check.FileError(path, "must hold a name and four numbers, apart by tabs", line=number) from None
            if min(entry) < 0 or (entry.length and not 0 < entry.bases <= entry.width):
                raise _check.FileError(path, f"impossible numbers {tuple(entry)}", line=number)
            if not self.packed and entry.length and _place(entry, entry.length - 1) >= self.size:
                problem = f"{name!r} reaches beyond the end of {self.path.name}: an index of another file? remove it"
                raise _check.FileError(path, problem, line=number)
            index[name] = entry
        return index

    def _make_index(self) -> dict[str, Entry]:
        index: dict[str, Entry] = {}
        state = np.zeros(6, np.int64)
        name, start, head, at = "", 0, 0, 0  # of the sequence: where it begins, the lines of its header and its last

        def close() -> None:
            if kernel.shape(b"", state, True) >= 0:
                raise self._uneven(at)
            if name in index:
                raise _check.FileError(self.path, f"two sequences are called {name!r}", line=head)
            index[name] = Entry(int(state[0]), start, int(state[1]), int(state[2]))

        for header, text, line, offset in self._parts():
            if header is not None:
                if head:
                    close()
                name, start, head, at = header, offset, line, line
                state[:] = 0
                continue
            self._letters(text, line)
            lines = kernel.shape(text, state, False)
            if lines >= 0:
                raise self._uneven(line + lines)
            at = line + _lines(text)
        close()
        return index

    def _uneven(self, line: int) -> _check.FileError:
        problem = "is not as long as the lines before it, so that windows cannot be found by an index"
        return _check.FileError(self.path, problem, line=line)

    def fetch(self, name: str, start: int, stop: int) -> Array:
        """Letters start to stop of a sequence as uint8, without reading the rest; what lies outside it is left out."""
        if name not in self.index:
            raise _check.InputError(f"{self.path} holds no sequence {name!r}; it holds {some(self.index)}")
        entry = self.index[name]
        start, stop = max(start, 0), min(stop, entry.length)
        if start >= stop:
            return np.zeros(0, np.uint8)
        first, last = _place(entry, start), _place(entry, stop - 1) + 1
        text = self._bytes(first, last)
        letters = np.empty(len(text) or 1, np.uint8)
        written, _, strange = kernel.letters(text, letters) if text else (0, 0, False)
        if written != stop - start or strange:
            raise _check.FileError(self.path, f"does not match its index: no {stop - start} letters here", first)
        return letters[:written]

    def _bytes(self, start: int, stop: int) -> bytes:
        if self.packed:
            if self._blocks is None:
                self._blocks = Blocks(self.path)
            return self._blocks.read(start, stop)
        if self._file < 0:
            self._file = os.open(self.path, os.O_RDONLY)
        return os.pread(self._file, stop - start, start)


def _header(block: bytes, at: int) -> int:
    """Where the next line with > begins, or the end: a search for one byte is much faster than for two."""
    while (at := block.find(b">", at)) >= 0:
        if at and block[at - 1] == 10:
            return at
        at += 1
    return len(block)


def _lines(text: Any) -> int:
    """The number of line ends."""
    return int(np.count_nonzero(np.frombuffer(text, np.uint8) == 10))


def _place(entry: Entry, base: int) -> int:
    """Where in the text a base stands."""
    return entry.offset + base // entry.bases * entry.width + base % entry.bases


def some(names: Any) -> str:
    """A few names, for a message."""
    names = list(names)
    return ", ".join(map(str, names[:5])) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
