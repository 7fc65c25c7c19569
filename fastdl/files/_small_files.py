"""Small files by the many: written and named by a kernel, which makes their system calls without Python's lock.

What the kernel cannot do (a folder that is not there, a full disk, a target that is a link or a pipe) it leaves to
`TemporaryFile`, which does it or says what is wrong.
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

_PART = 1 << 22  # bytes that are written while a process that is to end must wait


def write(files: Sequence[TemporaryFile]) -> None:
    """Make the temporaries of files that are held in memory."""
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
        paths = temporaries.several([file.folder for file, _ in part])
        kernel.write_files(_texts(paths), data, ends, done)
    for (file, _), path, there in zip(part, paths, done.tolist()):
        if there:
            file.path = path
    temporaries.all_done(path for path, there in zip(paths, done.tolist()) if not there)


def name(sets: Sequence[Sequence[TemporaryFile]]) -> None:
    """Rename files that belong together, in sets; the lock of their folder is held by the caller."""
    files = [file for together in sets for file in together]
    if not files:
        return
    ends = np.cumsum([len(together) for together in sets], dtype=np.int64)
    told = np.zeros((len(files), 4), np.int64)
    with temporaries.lock:
        temporaries.check()
        targets = _texts([os.fspath(file.named) for file in files])
        kernel.name_files(_texts([file.path for file in files]), targets, ends, told)
    for file, (there, size, seconds, nanoseconds) in zip(files, told.tolist()):
        if there:
            file.is_named = True
            file.made = [size, seconds * 10**9 + nanoseconds] if seconds else None
    temporaries.all_done(file.path for file in files if file.is_named)


def _texts(paths: Sequence[str]) -> Array:
    """Paths, each with a zero at its end."""
    return np.frombuffer(os.fsencode("\0".join([*paths, ""])), np.uint8)
