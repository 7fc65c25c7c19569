"""Many small files at once: a kernel makes the system calls that write and rename them, without Python's lock.

What the kernel does not do (the folder is missing, the disk is full, the target is a link or a pipe) is left to
`TemporaryFile`, which does it or raises the error.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from fastdl import _kernels
from fastdl._typing import Array
from fastdl.files import temporaries
from fastdl.files._temporary_file import TemporaryFile
from fastdl.reference import files as reference

kernel = _kernels.load("files_small") or reference

_PART = 1 << 22  # bytes written in one hold of the lock: a signal handler that ends the process waits for it


def write_temporaries(files: Sequence[TemporaryFile]) -> None:
    """Write to the disk, under temporary names, the files that are still held in memory."""
    part: list[tuple[TemporaryFile, bytes]] = []
    size = 0
    for file in files:
        content = file.content
        if content is None:
            continue
        part.append((file, content))
        size += len(content)
        if size >= _PART:
            _write(part)
            part, size = [], 0
    if part:
        _write(part)


def _write(part: list[tuple[TemporaryFile, bytes]]) -> None:
    ends = np.cumsum([len(content) for _, content in part], dtype=np.int64)
    data = np.frombuffer(b"".join([*(content for _, content in part), b"\0"]), np.uint8)
    done = np.zeros(len(part), np.int64)
    with temporaries.lock:
        paths = temporaries.reserve_each([file.folder for file, _ in part])
        kernel.write_files(_texts(paths), data, ends, done)
    for (file, _), path, is_written in zip(part, paths, done.tolist()):
        if is_written:
            file.path = path
    temporaries.release_all(path for path, is_written in zip(paths, done.tolist()) if not is_written)


def rename_sets(sets: Sequence[Sequence[TemporaryFile]]) -> None:
    """Give temporaries their final names, one set of files that belong together after the other.

    The caller holds the lock of their folder.
    """
    files = [file for together in sets for file in together]
    if not files:
        return
    ends = np.cumsum([len(together) for together in sets], dtype=np.int64)
    found = np.zeros((len(files), 4), np.int64)
    with temporaries.lock:
        temporaries.check()
        targets = _texts([os.fspath(file.named) for file in files])
        kernel.name_files(_texts([file.path for file in files]), targets, ends, found)
    for file, (is_named, size, seconds, nanoseconds) in zip(files, found.tolist()):
        if is_named:
            file.is_named = True
            file.made = [size, seconds * 10**9 + nanoseconds] if seconds else None
    temporaries.release_all(file.path for file in files if file.is_named)


def _texts(paths: Sequence[str]) -> Array:
    """Paths as C strings, one after the other."""
    return np.frombuffer(os.fsencode("\0".join([*paths, ""])), np.uint8)
