"""Compressed text: gzip from beginning to end, and any part of a bgzip file by its blocks."""

from __future__ import annotations

import gzip
import os
import threading
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from fastdl import _check
from fastdl.files.sequences.source_file import SourceFile

try:  # Intel's implementation inflates twice as fast as zlib, which does where it is not installed
    from isal.isal_zlib import decompress as inflate
except ImportError:
    from zlib import decompress as inflate

_CACHE = 1 << 27  # bytes of decompressed blocks that are kept: enough for all of a small genome
_LARGEST = 1 << 16  # bytes of a block, compressed or not: the format's limit (SAM specification, section 4.1)


class CompressedText:
    """The bytes of a plain or gzip file from beginning to end, and the position in the file for progress and errors."""

    def __init__(self, path: Path):
        self.path = path
        try:
            self.raw = open(path, "rb")  # noqa: SIM115  closed by close()
        except OSError as error:
            raise _check.FileError(path, f"cannot be read: {error.strerror}") from None
        self.packed = self.raw.read(2) == b"\x1f\x8b"
        self.raw.seek(0)
        self.file = gzip.GzipFile(fileobj=self.raw) if self.packed else self.raw

    def read(self, size: int) -> bytes:
        """At most `size` bytes; fewer at the end only."""
        try:
            return self.file.read(size)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise _check.FileError(self.path, f"truncated or corrupt: {error}", self.raw.tell()) from None
        except OSError as error:
            raise _check.FileError(self.path, f"cannot be read: {error.strerror}", self.raw.tell()) from None

    def tell(self) -> int:
        """The number of bytes of the file that have been read, compressed."""
        return self.raw.tell()

    def close(self) -> None:
        """Close the file."""
        self.file.close()
        self.raw.close()

    def __enter__(self) -> CompressedText:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class BgzipBlocks:
    """Random access to a bgzip file.

    The blocks are found by following the sizes in their headers, without decompressing them. The decompressed size that
    a block announces is checked when it is decompressed.
    """

    def __init__(self, source: SourceFile):
        self.source = source
        starts, sizes, at, end = [], [], 0, source.size
        while at < end:
            header = source.read(at, min(at + 18, end))
            if header[:4] != b"\x1f\x8b\x08\x04" or header[12:16] != b"BC\x02\x00":
                if at == 0:
                    advice = "is gzip, not bgzip: a window cannot be read without the rest; recompress it with bgzip"
                    raise _check.FileError(source.path, advice)
                raise _check.FileError(source.path, "not the header of a bgzip block", at)
            size = int.from_bytes(header[16:18], "little") + 1
            if at + size > end or size < 26:
                raise _check.FileError(source.path, f"truncated: a block of {size} bytes begins here", at)
            unpacked = int.from_bytes(source.read(at + size - 4, at + size), "little")
            if unpacked > _LARGEST:
                problem = f"a block that says it holds {unpacked} bytes; no block of bgzip holds more than {_LARGEST}"
                raise _check.FileError(source.path, problem, at)
            starts.append(at)
            sizes.append(unpacked)
            at += size
        self.starts = [*starts, end]
        self.offsets = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64)
        self._forget()

    def _forget(self) -> None:
        self._cache: dict[int, bytes] = {}
        self._cached, self._lock, self._process = 0, threading.Lock(), os.getpid()

    def __getstate__(self) -> dict[str, Any]:
        return {"source": self.source, "starts": self.starts, "offsets": self.offsets}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    @property
    def size(self) -> int:
        """The number of bytes, decompressed."""
        return int(self.offsets[-1])

    def read(self, start: int, stop: int) -> bytes:
        """The decompressed bytes from start to stop, fewer at the end of the file."""
        block = max(int(self.offsets.searchsorted(start, side="right")) - 1, 0)
        base = int(self.offsets[block])
        parts = []
        while block < len(self.starts) - 1 and base < stop:
            text = self._block(block)
            parts.append(text[max(start - base, 0) : stop - base])
            block, base = block + 1, base + len(text)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _block(self, k: int) -> bytes:
        text = self._cache.get(k)
        if text is not None:
            return text
        start, stop = self.starts[k], self.starts[k + 1]
        try:
            text = inflate(self.source.read(start, stop), 31)
        except _check.FileError:
            raise
        except Exception as error:  # zlib.error, or isal's own class
            raise _check.FileError(self.source.path, f"corrupt block: {error}", start) from None
        announced = int(self.offsets[k + 1] - self.offsets[k])
        if len(text) != announced:
            problem = f"a block that says it holds {announced} bytes holds {len(text)}"
            raise _check.FileError(self.source.path, problem, start)
        self._keep(k, text)
        return text

    def _keep(self, k: int, text: bytes) -> None:
        """Put a block into the cache, and drop the oldest ones where it is full."""
        if self._process != os.getpid():  # after a fork: another thread may have held the lock, which stays locked
            self._cached, self._lock, self._process = sum(map(len, self._cache.values())), threading.Lock(), os.getpid()
        with self._lock:
            if k not in self._cache:
                self._cache[k] = text
                self._cached += len(text)
            while self._cached > _CACHE:
                self._cached -= len(self._cache.pop(next(iter(self._cache))))

    def close(self) -> None:
        """Close the file."""
        self.source.close()
