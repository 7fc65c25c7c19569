"""Compressed text: gzip from front to end, and bgzip's blocks from any place."""

from __future__ import annotations

import gzip
import os
import zlib
from pathlib import Path

import numpy as np

from fastdl import _check


class Text:
    """The bytes of a plain or gzip file, front to end, with the place reached for progress and messages."""

    def __init__(self, path: Path):
        self.path = path
        self.raw = open(path, "rb")  # noqa: SIM115  closed by close()
        self.packed = self.raw.read(2) == b"\x1f\x8b"
        self.raw.seek(0)
        self.file = gzip.GzipFile(fileobj=self.raw) if self.packed else self.raw

    def read(self, size: int) -> bytes:
        """At most `size` bytes; fewer at the end only."""
        try:
            return self.file.read(size)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise _check.FileError(self.path, f"truncated or corrupt: {error}", self.raw.tell()) from None

    def tell(self) -> int:
        """Bytes of the file that have been read."""
        return self.raw.tell()

    def close(self) -> None:
        """Close the file."""
        self.file.close()
        self.raw.close()

    def __enter__(self) -> Text:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Blocks:
    """Random access to a bgzip file: its blocks are found by hopping from header to header, none is unpacked for it."""

    def __init__(self, path: Path):
        self.path = path
        starts, sizes = [], []
        end = path.stat().st_size
        with open(path, "rb") as file:
            at = 0
            while at < end:
                file.seek(at)
                header = file.read(18)
                if header[:4] != b"\x1f\x8b\x08\x04" or header[12:16] != b"BC\x02\x00":
                    if at == 0:
                        advice = (
                            "is gzip, not bgzip: a window cannot be read without the rest; recompress it with bgzip"
                        )
                        raise _check.FileError(path, advice)
                    raise _check.FileError(path, "not the header of a bgzip block", at)
                size = int.from_bytes(header[16:18], "little") + 1
                if at + size > end:
                    raise _check.FileError(path, f"truncated: a block of {size} bytes begins here", at)
                file.seek(at + size - 4)
                starts.append(at)
                sizes.append(int.from_bytes(file.read(4), "little"))
                at += size
        self.starts = [*starts, end]
        self.offsets = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64)
        self.file = os.open(path, os.O_RDONLY)
        self._last: tuple[int, bytes] = (-1, b"")

    def read(self, start: int, stop: int) -> bytes:
        """The unpacked bytes from start to stop, fewer at the end of the file."""
        parts = []
        block = max(int(np.searchsorted(self.offsets, start, side="right")) - 1, 0)
        while block < len(self.starts) - 1 and self.offsets[block] < stop:
            base = int(self.offsets[block])
            parts.append(self._block(block)[max(start - base, 0) : stop - base])
            block += 1
        return b"".join(parts)

    def _block(self, k: int) -> bytes:
        last, text = self._last
        if last != k:
            start, stop = self.starts[k], self.starts[k + 1]
            try:
                text = zlib.decompress(os.pread(self.file, stop - start, start), 31)
            except zlib.error as error:
                raise _check.FileError(self.path, f"corrupt block: {error}", start) from None
            self._last = (k, text)
        return text

    def close(self) -> None:
        """Close the file."""
        if self.file >= 0:
            os.close(self.file)
            self.file = -1
