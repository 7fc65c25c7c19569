"""The .fai index of a FASTA file: read, checked against the file, and written."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from fastdl import _check
from fastdl.files.atomic import replacing

_LONGEST = 1 << 20  # bytes of a header line; `samtools faidx` and UniProt's longest stay below some thousand


class IndexIgnored(UserWarning):
    """An index beside a FASTA file that is not used, since it belongs to another file."""


class Entry(NamedTuple):
    """A line of a .fai index: a sequence's length, the offset of its letters, and the letters and bytes of a line."""

    length: int
    offset: int
    bases: int
    width: int
    obstacle: int = 0  # the number of the first line of another length, which makes windows impossible; 0 if none

    def place(self, base: int) -> int:
        """The offset of a base in the text."""
        return self.offset + base // self.bases * self.width + base % self.bases

    @property
    def stop(self) -> int:
        """The offset where the letters end, without the last line end."""
        return self.place(self.length - 1) + 1 if self.length else self.offset


class Mismatch(Exception):
    """Why an index does not belong to a file."""


def read_index(path: Path, size: int | None) -> dict[str, Entry]:
    """The lines of a .fai file, for a text of `size` bytes (None: not known); Mismatch where they cannot be right."""
    index: dict[str, Entry] = {}
    for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
        if not line.strip():
            continue
        name, *fields = line.rstrip(b"\r").split(b"\t")
        if len(fields) != 4 or not all(f.isdigit() and len(f) < 19 for f in fields):
            raise Mismatch(f"line {number} does not hold a name and four numbers, apart by tabs")
        entry = Entry(*map(int, fields))
        if entry.length and not 0 < entry.bases < entry.width <= entry.bases + 2:
            raise Mismatch(f"line {number} has impossible numbers {entry[:4]}")
        if size is not None and entry.stop > size:
            raise Mismatch(f"line {number} reaches beyond the end of the file")
        text = name.decode("utf-8", "replace")
        if text in index:
            raise Mismatch(f"line {number} names {text!r} a second time")
        index[text] = entry
    if not index:
        raise Mismatch("it is empty")
    return index


def check_index(index: dict[str, Entry], read: Callable[[int, int], bytes], size: int) -> None:
    """Raise Mismatch unless the sequences of the index, with their headers, make up the whole text.

    `read(start, stop)` returns a part of the text. Between two sequences must be just the header of the second, and the
    first and the last whole line of each must end where the index says: so an index of another file is detected
    without reading the letters.
    """
    before = 0
    for name, entry in sorted(index.items(), key=lambda item: item[1].offset):
        if not before <= entry.offset <= before + 2 * _LONGEST:
            raise Mismatch(f"{name!r} does not begin where its header ends")
        header = read(before, entry.offset).lstrip(b"\r\n")
        words = header[1:].split(maxsplit=1)
        found = words[0].decode("utf-8", "replace") if words else ""
        if header[:1] != b">" or not header.endswith(b"\n") or b"\n" in header[:-1] or found != name:
            raise Mismatch(f"the header of {name!r} is not where it should be")
        full = entry.length // entry.bases if entry.length else 0
        for line in {0, full - 1} if full and entry.length > entry.bases else ():
            stop = entry.offset + line * entry.width + entry.bases
            end = read(stop, min(stop + entry.width - entry.bases, size))
            # The end of the last whole line may be that of the sequence, and of the file.
            if end not in (b"\n", b"\r\n") and not (stop == entry.stop and end in (b"", b"\r")):
                raise Mismatch(f"a line of {name!r} does not end where it should")
        if entry.length and read(entry.stop - 1, entry.stop).isspace():
            raise Mismatch(f"{name!r} ends elsewhere")
        before = entry.stop
    rest = read(before, min(size, before + 2 * _LONGEST))
    if rest.strip():
        raise Mismatch("the file holds more than the index does")


def write_index(path: Path, index: dict[str, Entry]) -> None:
    """Write a .fai file, as samtools does."""
    uneven = next((entry for entry in index.values() if entry.obstacle), None)
    if uneven is not None:
        problem = f"cannot hold a sequence of unequal lines (line {uneven.obstacle} of the FASTA file)"
        raise _check.FileError(path, problem)
    with replacing(path) as file:
        for name, entry in index.items():
            file.write("\t".join(map(str, (name, *entry[:4]))).encode() + b"\n")


def first_strange(text: bytes) -> re.Match[bytes] | None:
    """The first byte that is not a letter of a sequence."""
    return re.search(rb"[^A-Za-z*.\-\r\n]", text) or re.search(rb"\r(?!\n)", text)
