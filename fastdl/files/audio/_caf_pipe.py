"""CAF files whose size of samples is not known: what writes to a pipe leaves -1, which libsndfile does not read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastdl.files.audio._open_files import RawFile

_CHUNKS = 64  # before the samples; a file has some ten


class SizedCaf(RawFile):
    """A CAF file, as if its samples had their size: up to the end of the file."""

    def __init__(self, path: Path, place: int, size: int):
        super().__init__(path, "rb")
        self._place, self._size = place, size.to_bytes(8, "big")

    def readinto(self, buffer: Any) -> int:
        """Read, and put the size in its place."""
        start = self.tell()
        count = super().readinto(buffer) or 0
        first, last = max(start, self._place), min(start + count, self._place + 8)
        if first < last:
            memoryview(buffer)[first - start : last - start] = self._size[first - self._place : last - self._place]
        return count


def size_place(path: Path) -> tuple[int, int] | None:
    """Where a CAF file has the size of its samples, and what it should be; None where it is there, or no CAF."""
    with open(path, "rb") as file:
        if file.read(4) != b"caff":
            return None
        at, end = 8, path.stat().st_size
        for _ in range(_CHUNKS):
            file.seek(at)
            head = file.read(12)
            size = int.from_bytes(head[4:], "big", signed=True)
            if len(head) < 12 or head[:4] == b"data" or size < 0:
                return (at + 4, end - at - 12) if head[:4] == b"data" and size == -1 else None
            at += 12 + size
            if at > end:
                return None
    return None
