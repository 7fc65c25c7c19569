"""FASTQ files, plain or gzip, in batches of reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fastdl import _check, _kernels
from fastdl._typing import Array
from fastdl.files.sequences.compressed_text import CompressedText
from fastdl.reference import _sequence_text as reference

kernel = _kernels.load("files_sequences") or reference

SUFFIXES = (".fastq", ".fq", ".fastq.gz", ".fq.gz")

_TEXT = 1 << 22  # bytes read at once
_LONGEST = 1 << 26  # bytes: a longer read is an error; the longest from sequencers have some 4 million bases
_PROBLEMS = {
    1: "a read must begin with @",
    2: "as many qualities as bases are needed",
    3: "a byte that is no letter of a sequence",
}


class Reads(NamedTuple):
    """A batch of reads, end to end: read i is letters[offsets[i]:offsets[i + 1]]."""

    letters: Array  # uint8
    qualities: Array  # uint8, as in the file: ASCII, 33 above the Phred score
    offsets: Array  # int64
    text: bytes
    spans: Array  # (start, stop) of each name in the text

    @property
    def names(self) -> list[str]:
        """The header of each read, without @."""
        return [self.text[start:stop].decode("utf-8", "replace") for start, stop in self.spans.tolist()]


class Fastq:
    """The reads of a FASTQ file.

    Parameters
    ----------
    path : str or Path
        Plain text or gzip; four lines a read, or more where bases and qualities are wrapped.

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
        self.read = 0  # bytes of the file that batches() has read

    def __enter__(self) -> Fastq:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing is held open between batches."""

    def batches(self, size: int = _TEXT) -> Iterator[Reads]:
        """All reads, in batches of about `size` bytes of text."""
        wanted = _check.integer("size", size, 1)
        line, rest, last, seen = 1, b"", False, False
        with CompressedText(self.path) as file:
            while not last:
                block = file.read(wanted)
                last = len(block) < wanted
                text = rest + block
                self.read = file.tell()
                if last and text:  # one more line end: a last read without bases has an empty line of qualities
                    text += b"\n" if text.endswith(b"\n") else b"\n\n"
                if not text:
                    break
                batch, taken, lines, problem, place = self._parse(text)
                count = len(batch.offsets) - 1
                if problem:
                    raise _check.FileError(self.path, _PROBLEMS[problem], line=line + place)
                if last and taken < len(text):
                    raise _check.FileError(self.path, "truncated: the last read is not whole", line=line + lines)
                if len(text) - taken > _LONGEST:
                    raise _check.FileError(self.path, f"a read of more than {_LONGEST} bytes", line=line + lines)
                # A read longer than a batch is parsed again with twice the text each time, which takes linear time.
                wanted = max(size, len(text) - taken) if not taken else size
                line, rest, seen = line + lines, text[taken:], seen or count > 0
                if count:
                    yield batch
        if not seen:
            raise _check.FileError(self.path, "holds no reads", line=1)

    def _parse(self, text: bytes) -> tuple[Reads, int, int, int, int]:
        letters, qualities = np.empty(len(text), np.uint8), np.empty(len(text), np.uint8)
        most = text.count(b"\n") // 4 + 1
        offsets, spans = np.empty(most + 1, np.int64), np.empty((most + 1, 2), np.int64)
        count, taken, lines, problem, place = kernel.reads(text, letters, qualities, offsets, spans)
        used = int(offsets[count])
        batch = Reads(letters[:used], qualities[:used], offsets[: count + 1], text, spans[:count])
        return batch, taken, lines, problem, place
