"""FASTA files, plain, gzip or bgzip: all sequences from beginning to end, or any window by an index."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fastdl import _check, _kernels
from fastdl._typing import Array
from fastdl.files.sequences.compressed_text import BgzipBlocks, CompressedText
from fastdl.files.sequences.fasta_index import Entry, IndexIgnored, Mismatch, check_index, first_strange, read_index
from fastdl.files.sequences.fasta_index import write_index as write_fai
from fastdl.files.sequences.names import missing
from fastdl.files.sequences.source_file import SourceFile
from fastdl.reference import _sequence_text as reference

kernel = _kernels.load("files_sequences") or reference

_PLAIN = (".fa", ".fasta", ".fna", ".ffn", ".faa", ".frn", ".fas", ".fsa", ".mfa")
SUFFIXES = (*_PLAIN, *(f"{suffix}{packed}" for suffix in _PLAIN for packed in (".gz", ".bgz")))

_TEXT = 1 << 22  # bytes read at once
_LONGEST = 1 << 20  # bytes of a header line
_HEADER_START, _HEADER_STOP, _LETTERS, _LINE, _OFFSET, _LENGTH, _BASES, _WIDTH, _UNEVEN = range(9)


class Piece(NamedTuple):
    """Some letters of one sequence."""

    name: str
    start: int  # position of the first of them
    letters: Array  # uint8


class Batch(NamedTuple):
    """Letters of many sequences end to end; those before the first start belong to the last sequence of before."""

    letters: Array  # uint8
    names: list[str]  # of the sequences that begin here
    starts: Array  # int64: where each of them begins in letters


class Fasta:
    """The sequences of a FASTA file.

    Parameters
    ----------
    path : str or Path
        Plain text, gzip or bgzip, whatever its name; lines may end in LF, CR LF or CR.
    loose : bool
        Whether blanks and numbers within a sequence are skipped, as GenBank writes them. By default they are errors.
    write_index : bool
        Whether an index that had to be made is written to `path.fai`. By default nothing is written.

    Notes
    -----
    Reading from beginning to end takes the memory of one piece; lines may be of any length, and names may be missing or
    repeated; lines that begin with ``;`` are comments. A window needs an index, as samtools writes it to `path.fai`. An
    index found there is checked against the file: if it belongs to another one, it is ignored with a warning
    (`IndexIgnored`), and an index is made in memory. A window of a sequence with unequal lines is an error that names
    the line. Windows of compressed files need bgzip. A reader is pickled as its path: a worker opens the file itself,
    and raises an error if it has changed.

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

    def __init__(self, path: str | Path, *, loose: bool = False, write_index: bool = False):
        self.source = SourceFile(path)
        self.path, self.size = self.source.path, self.source.size
        self.loose, self.write_index = bool(loose), bool(write_index)
        self.packed = self.source.identity.head[:2] == b"\x1f\x8b"
        self.read = 0  # bytes of the file that batches() has read
        self._returns = self._ends_in_returns()
        self._index: dict[str, Entry] | None = None
        self._blocks: BgzipBlocks | None = None

    def __enter__(self) -> Fasta:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; a later window opens it again."""
        self.source.close()

    def _ends_in_returns(self) -> bool:
        """Whether lines end in CR alone, as on the classic Mac OS: so does the first one."""
        with CompressedText(self.path) as file:
            head = file.read(_LONGEST)
        at = head.find(b"\r")
        return at >= 0 and head[at + 1 : at + 2] != b"\n" and b"\n" not in head[:at]

    @property
    def lengths(self) -> dict[str, int]:
        """The length of each sequence, in the order of the file."""
        return {name: entry.length for name, entry in self.index.items()}

    def _texts(self) -> Iterator[bytes]:
        """The text in pieces, none of which begins or ends within a header or comment."""
        rest, fresh = b"", True
        with CompressedText(self.path) as file:
            while block := file.read(_TEXT):
                self.read = file.tell()
                text = rest + (block.replace(b"\r", b"\n") if self._returns else block)
                cut = text.rfind(b"\n") + 1
                begins = text[cut : cut + 1] if cut or fresh else b""
                if begins not in (b">", b";"):
                    cut = len(text) - text.endswith(b"\r")
                elif len(text) - cut > _LONGEST:
                    raise _check.FileError(self.path, f"a line with > of more than {_LONGEST} bytes", file.tell())
                if cut:
                    fresh = text[cut - 1 : cut] == b"\n"
                    yield text[:cut]
                rest = text[cut:]
        if rest:
            yield rest

    def _parse(self) -> Iterator[tuple[bytes, Array, Array, Array]]:
        """(text, letters, records, state) of each piece; a last, empty piece completes the last sequence's record."""
        state = np.zeros(10, np.int64)
        state[reference.LINE] = state[reference.FRESH] = 1
        seen = False
        for text in self._texts():
            line, fresh = int(state[reference.LINE]), bool(state[reference.FRESH])
            letters = np.empty(len(text), np.uint8)
            records = np.empty((text.count(b">") + 1, 9), np.int64)
            count, written, strange = kernel.fasta(text, letters, records, state, self.loose, False)
            before = int(records[0, _LETTERS]) if count else written
            if not seen and before:
                raise _check.FileError(self.path, "not FASTA: text before the first line with >", line=line)
            if strange:
                raise self._strange(text, line, fresh)
            seen = seen or count > 0
            yield text, letters[:written], records[:count], state
        if not seen:
            raise _check.FileError(
                self.path, "holds no sequence: there is no line with >", line=int(state[reference.LINE])
            )
        kernel.fasta(b"", np.empty(0, np.uint8), np.empty((1, 9), np.int64), state, self.loose, True)
        yield b"", np.empty(0, np.uint8), np.empty((0, 9), np.int64), state

    def _strange(self, text: bytes, line: int, fresh: bool) -> _check.FileError:
        """The error for the first byte that is not a letter."""
        for number, row in enumerate(text.split(b"\n"), line):
            if row[:1] in (b">", b";") and (fresh or number > line):
                continue
            kept = row.translate(None, b" \t0123456789\v\f") if self.loose else row
            place = first_strange(kept + b"\n")
            if place:
                problem = f"{chr(kept[place.start()])!r} is no letter of a sequence"
                loosely = not self.loose and kept[place.start()] in b" \t0123456789"
                hint = "; loose=True (--loose) skips blanks and numbers" if loosely else ""
                return _check.FileError(self.path, problem + hint, line=number)
        return _check.FileError(self.path, "holds what is no letter of a sequence", line=line)

    def batches(self, bases: int | None = None) -> Iterator[Batch]:
        """All letters in batches of at most `bases`, by default some four million; a batch may hold many sequences."""
        if bases is not None:
            _check.integer("bases", bases, 1)
        for text, letters, records, _ in self._parse():
            names = [_name(text[start:stop]) for start, stop in records[:, :2].tolist()]
            starts = records[:, _LETTERS].copy()
            if bases is None or len(letters) <= bases:
                if text:
                    yield Batch(letters, names, starts)
                continue
            for at in range(0, len(letters), bases):
                stop = min(at + bases, len(letters))
                low = int(starts.searchsorted(at)) if at else 0
                high = int(starts.searchsorted(stop)) if stop < len(letters) else len(starts)
                yield Batch(letters[at:stop], names[low:high], starts[low:high] - at)

    def chunks(self, bases: int = 1 << 20) -> Iterator[Piece]:
        """All sequences, each in pieces of at most `bases` letters; an empty sequence gives one empty piece."""
        _check.integer("bases", bases, 1)
        name, done, empty = "", 0, False
        for batch in self.batches():
            ends = [*batch.starts.tolist(), len(batch.letters)]
            for k, (low, high) in enumerate(zip([0, *ends[:-1]], ends)):
                if k:
                    if empty:
                        yield Piece(name, 0, batch.letters[:0])
                    name, done, empty = batch.names[k - 1], 0, True
                for at in range(low, high, bases):
                    letters = batch.letters[at : min(at + bases, high)]
                    yield Piece(name, done, letters)
                    done, empty = done + len(letters), False
        if empty:
            yield Piece(name, 0, np.zeros(0, np.uint8))

    @property
    def index(self) -> dict[str, Entry]:
        """The .fai index, read from its file or made."""
        if self._index is None:
            path = self.path.with_name(self.path.name + ".fai")
            self._index = self._index_at(path) if path.is_file() else None
            if self._index is None:
                self._index = self._make_index()
                if self.write_index:
                    write_fai(path, self._index)
        return self._index

    @property
    def is_indexed(self) -> bool:
        """Whether there is an index beside the file, or one was made."""
        return self._index is not None or self.path.with_name(self.path.name + ".fai").is_file()

    def with_sequences(self, names: list[str]) -> Fasta:
        """The same reader with an index of only these sequences."""
        reader = copy.copy(self)
        reader._index = {name: self.index[name] for name in names}
        return reader

    def _index_at(self, path: Path) -> dict[str, Entry] | None:
        """The index in a file; None, with a warning, if it does not belong to this FASTA file."""
        size = self._text_size()
        try:
            index = read_index(path, size)
            check_index(index, self._bytes, size)
        except (Mismatch, OSError) as error:
            message = f"{path} does not belong to {self.path.name} ({error}); an index is made in memory instead"
            warnings.warn(message, IndexIgnored, stacklevel=4)
            return None
        return index

    def _text_size(self) -> int:
        if not self.packed:
            return self.size
        if self._blocks is None:
            self._blocks = BgzipBlocks(self.source)
        return self._blocks.size

    def _make_index(self) -> dict[str, Entry]:
        if self.packed:
            self._text_size()  # raises for gzip that is not bgzip, before all of it is read
        index: dict[str, Entry] = {}
        name, start, head = "", 0, 0  # of the current sequence; the offset of its letters and the line of its header
        for text, _, records, state in self._parse():
            for row in records.tolist():
                if head:
                    _enter(index, name, head, start, row[_LENGTH:])
                name, start, head = _name(text[row[_HEADER_START] : row[_HEADER_STOP]]), row[_OFFSET], row[_LINE]
            last = state.tolist()
        shape = last[reference.LENGTH], last[reference.LINE_BASES], last[reference.LINE_WIDTH], last[reference.UNEVEN]
        _enter(index, name, head, start, shape)
        return index

    def fetch(self, name: str, start: int, stop: int) -> Array:
        """Letters start to stop of a sequence as uint8, without reading the rest; positions outside are left out."""
        index = self._index or self.index
        entry = index.get(name)
        if entry is None:
            raise missing(self.path, name, index)
        start, stop = max(start, 0), min(stop, entry.length)
        if start >= stop:
            return np.zeros(0, np.uint8)
        if entry.obstacle:
            problem = "stands in the way of a window: it is not as long as the lines before it, or a second of its name"
            raise _check.FileError(self.path, problem, line=entry.obstacle)
        first, last = entry.place(start), entry.place(stop - 1) + 1
        text = self._bytes(first, last)
        state, letters = np.zeros(10, np.int64), np.empty(len(text), np.uint8)
        count, written, strange = kernel.fasta(text, letters, _NO_RECORDS, state, False, True)
        if written != stop - start or strange or count:
            raise _check.FileError(self.path, f"does not match its index: no {stop - start} letters here", first)
        return letters[:written]

    def _bytes(self, start: int, stop: int) -> bytes:
        if self.packed:
            if self._blocks is None:
                self._blocks = BgzipBlocks(self.source)
            text = self._blocks.read(start, stop)
        else:
            text = self.source.read(start, stop)
        return text.replace(b"\r", b"\n") if self._returns else text


_NO_RECORDS = np.empty((1, 9), np.int64)


def _enter(index: dict[str, Entry], name: str, line: int, start: int, shape: Sequence[int]) -> None:
    """Add a sequence to the index; a repeated name makes windows of that name an error."""
    length, bases, width, uneven = shape
    if name in index:
        index[name] = index[name]._replace(obstacle=index[name].obstacle or line)
    else:
        index[name] = Entry(length, start, bases, width, uneven)


def _name(header: bytes) -> str:
    """The first word of a header, without its >; it may be empty."""
    words = header.split(maxsplit=1)
    return words[0].decode("utf-8", "replace") if words else ""
