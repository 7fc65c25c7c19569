"""What all readers of recordings share: frames by number, slices, chunks."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fastdl import _check, _kernels
from fastdl.errors import FileError, InputError, InputTypeError
from fastdl.files.audio._open_files import OpenFiles, RawFile
from fastdl.reference import audio as reference

kernel = _kernels.load("audio") or reference


def read_values(path: Path, dtype: np.dtype, offset: int, count: int, files: OpenFiles | None = None) -> np.ndarray:
    """`count` values of a file from a byte on; `np.fromfile` takes twice as long for a short window.

    Raises
    ------
    FileError
        Where the file has become shorter than it was.
    """
    x = np.empty(count, dtype)
    into = memoryview(x.view(np.uint8))
    if files is not None:
        fill(into, path, files.get(path, RawFile), offset)
        return x
    with open(path, "rb", buffering=0) as file:
        fill(into, path, file, offset)
    return x


def _read_at(file: io.RawIOBase, into: memoryview, offset: int) -> int:
    """Read into a buffer from a byte on, in one call of the system where it has one; how many came."""
    if hasattr(os, "preadv"):
        return os.preadv(file.fileno(), [into], offset)
    file.seek(offset)
    return file.readinto(into) or 0


def fill(into: memoryview, path: Path, file: io.RawIOBase, offset: int) -> None:
    """Fill a buffer with the bytes of a file from one on."""
    done = 0
    while done < len(into):
        got = _read_at(file, into[done:] if done else into, offset + done)
        if not got:
            raise FileError(path, "became shorter while it was read", offset + done)
        done += got


def unpack_24(x: np.ndarray, little: bool) -> np.ndarray:
    """Bytes, three a sample, as int32 that hold the samples in their upper bits."""
    out = np.empty(len(x) // 3, np.int32)
    if len(out):
        kernel.unpack_24(x if little else x.reshape(-1, 3)[:, ::-1].reshape(-1), out)
    return out


class Recording:
    """Samples of a file, any part of them without the rest: `recording[1000:2000]`."""

    path: Path
    rate: int
    channels: int
    frames: int
    notes: list[str]
    dropped: int = 0  # frames that were announced or begun and are not there
    files: OpenFiles | None = None  # where files stay open between reads; without, each read opens its file
    plain: np.dtype | None = None  # of mono samples that `read` gives as they stand in the file, from `offset` on
    offset: int = 0

    def __len__(self) -> int:
        return self.frames

    def __getitem__(self, part: slice) -> np.ndarray:
        """The frames of a slice of step 1."""
        if not isinstance(part, slice) or part.step not in (None, 1):
            raise InputTypeError(f"a recording takes slices of step 1, such as [1000:2000], got [{part!r}]")
        start, stop, _ = part.indices(self.frames)
        return self.read(start, max(0, stop - start))

    def read(self, start: int = 0, frames: int | None = None) -> np.ndarray:
        """Samples of `frames` frames (by default all) from frame `start` on: (n,) mono or (n, channels)."""
        raise NotImplementedError

    def chunks(self, frames: int) -> Iterator[np.ndarray]:
        """Samples of at most `frames` frames, in order: (n,) mono or (n, channels)."""
        for start in range(0, self.frames, frames):
            yield self.read(start, min(frames, self.frames - start))

    def _span(self, start: int, frames: int | None) -> tuple[int, int]:
        """First frame and the one after the last; both are in the file."""
        start = _check.integer("start", start, 0, self.frames)
        stop = self.frames if frames is None else start + _check.integer("frames", frames, 0)
        if stop > self.frames:
            raise InputError(f"frames {start} to {stop} asked of {self.path}, which has {self.frames}")
        return start, stop
