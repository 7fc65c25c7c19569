"""FASTQ files, plain or gzip, in batches of reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fastdl import _check, _kernels
from fastdl.files.sequences.compressed_text import Text
from fastdl.reference import _records as reference

Array = np.ndarray
kernel = _kernels.load("files_sequences") or reference

SUFFIXES = (".fastq", ".fq", ".fastq.gz", ".fq.gz")

_TEXT = 1 << 22  # bytes read at once
_PROBLEMS = {
    1: "a read must begin with @",
    2: "the third line of a read must begin with + (reads of more than four lines are not read)",
    3: "as many qualities as bases are needed",
    4: "a byte that is no letter of a sequence",
}


class Reads(NamedTuple):
    """A batch of reads, end to end: read i is letters[offsets[i]:offsets[i + 1]]."""

    letters: Array  # uint8
    qualities: Array  # uint8, as they stand in the file: ASCII, 33 above the Phred score
    offsets: Array  # int64
    text: bytes
    spans: Array  # where the names are in the text

    @property
    def names(self) -> list[str]:
        """The header of each read, without @."""
        return [self.text[start:stop].decode("utf-8", "replace") for start, stop in self.spans]


class Fastq:
    """The reads of a FASTQ file.

    Parameters
    ----------
    path : str or Path
        Plain text or gzip, four lines a read.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from fastdl.files import Fastq
    >>> path = pathlib.Path(tempfile.mkdtemp(), "a.fq")
    >>> _ = path.write_text("@one\\nACGT\\n+\\nIIII\\n@two\\nGG\\n+\\nII\\n")
    >>> [(batch.names, batch.offsets.tolist()) for batch in Fastq(path).batches()]
    [(['one', 'two'], [0, 4, 6])]
    """

    def __init__(self, path: str | Path):
        self.path = _check.existing(path)
        self.size = self.path.stat().st_size
        self.read = 0  # bytes of the file that batches() has gone through

    def __enter__(self) -> Fastq:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing is held open between batches."""

    def batches(self, size: int = _TEXT) -> Iterator[Reads]:
        """All reads, in batches of about `size` bytes of text."""
        _check.integer("size", size, 1)
        line, rest, last, seen = 1, b"", False, False
        with Text(self.path) as file:
            while not last:
                block = file.read(size)
                last = len(block) == 0
                text = rest + block
                self.read = file.tell()
                if last:
                    text = text.rstrip(b"\r\n") + b"\n" if text.strip() else b""
                    if text.count(b"\n") == 3 and text.endswith(b"+\n"):
                        text += b"\n"  # a last read of no bases
                if not text:
                    break
                batch, taken, problem, place = self._parse(text)
                count = len(batch.offsets) - 1
                if problem:
                    raise _check.FileError(self.path, _PROBLEMS[problem], line=line + 4 * count + place)
                if last and taken < len(text):
                    raise _check.FileError(
                        self.path, "truncated: the last read has no four lines", line=line + 4 * count
                    )
                line, rest, seen = line + 4 * count, text[taken:], seen or count > 0
                if count:
                    yield batch
        if not seen:
            raise _check.FileError(self.path, "holds no reads", line=1)

    def _parse(self, text: bytes) -> tuple[Reads, int, int, int]:
        letters, qualities = np.empty(len(text), np.uint8), np.empty(len(text), np.uint8)
        most = text.count(b"\n") // 4 + 1
        offsets, spans = np.empty(most + 1, np.int64), np.empty((most + 1, 2), np.int64)
        count, taken, problem, place = kernel.reads(text, letters, qualities, offsets, spans)
        used = int(offsets[count])
        batch = Reads(letters[:used], qualities[:used], offsets[: count + 1], text, spans[:count])
        return batch, taken, problem, place
