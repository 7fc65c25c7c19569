"""Immutable arrays: kernels rely on checks made when a graph was built, so its arrays must not change afterwards."""

from __future__ import annotations

import mmap
import os

import numpy as np

from fastdl._typing import Array
from fastdl.errors import FileError


def own(x: Array) -> Array:
    """`x` itself where its memory cannot change, else a copy of it that cannot."""
    return x if is_constant(x) else freeze(x.copy())


def freeze(x: Array) -> Array:
    """`x`, which nobody else holds, made permanently read-only: not even `flags.writeable` can undo it."""
    x = np.ascontiguousarray(x)
    x.flags.writeable = False
    return np.asarray(memoryview(x).toreadonly())


def is_constant(x: Array) -> bool:
    """Whether the memory is that of `freeze`, of bytes, or of a file mapped for reading."""
    base: object = x
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, memoryview):
        held = base.obj
        return base.readonly and (
            isinstance(held, bytes) or (isinstance(held, np.ndarray) and not held.flags.writeable)
        )
    return isinstance(base, bytes) or is_mapped(x)


def is_mapped(x: Array) -> bool:
    """Whether the memory is a file's, mapped for reading: other programs may write to it."""
    base: object = x
    while isinstance(base, np.ndarray):
        base = base.base
    return isinstance(base, mmap.mmap) and memoryview(base).readonly


def check_file(x: Array) -> None:
    """Raise where the file behind a mapped array has become shorter: reading it would kill the process (SIGBUS)."""
    root = x
    if root.base is None:  # memory of its own
        return
    while isinstance(root.base, np.ndarray):
        root = root.base
    if not isinstance(root, np.memmap) or root.filename is None:
        return
    wanted = root.offset + root.nbytes
    try:
        size = os.stat(root.filename).st_size
    except OSError:  # renamed or deleted; the mapping still works
        return
    if size < wanted:
        raise FileError(
            root.filename, f"has shrunk since it was mapped: {wanted} bytes are read of {size}", offset=size
        )
