"""NumPy's own files, read whole or mapped; what NumPy and zipfile raise for damaged ones is an error of the file."""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import IO

import numpy as np

from fastdl._typing import Array
from fastdl.errors import FileError

#: What NumPy raises for a file that is cut or changed; its header is parsed as Python.
_DAMAGED = (ValueError, TypeError, EOFError, OSError, SyntaxError, tokenize.TokenError, MemoryError, OverflowError)
_DAMAGED_ZIP = (*_DAMAGED, KeyError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error)


def map_npy(path: Path) -> Array:
    """The array of a .npy file, mapped."""
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except _DAMAGED as error:
        raise FileError(path, f"is no whole .npy file: {error}") from None
    if not isinstance(found, np.ndarray):
        raise FileError(path, "is an .npz file by another name")
    return found


def load_npz(path: Path, without: Collection[str] = ()) -> dict[str, Array]:
    """All arrays of an .npz file, those of the names `without` empty.

    A member is read only where its size is that of its array: a header may announce what no memory holds.
    """
    try:
        with open(path, "rb") as raw, _archive(raw) as file:
            archive = file.zip
            assert archive is not None
            names = {name: name if name in archive.namelist() else f"{name}.npy" for name in file.files}
            wanted = [name for name in file.files if name not in without]
            for name in wanted:
                _check_member(archive, names[name])
            return {name: np.asarray(file[name]) for name in wanted} | {
                name: np.empty(0) for name in file.files if name in without
            }
    except _DAMAGED_ZIP as error:
        raise FileError(path, f"is no whole .npz file: {error}") from None


def _archive(raw: IO[bytes]) -> np.lib.npyio.NpzFile:
    file = np.load(raw, allow_pickle=False)
    if not isinstance(file, np.lib.npyio.NpzFile):
        raise ValueError("is a .npy file by another name")
    return file


def _check_member(archive: zipfile.ZipFile, name: str) -> None:
    """Raise where the header of an array announces more than its member holds."""
    with archive.open(name) as member:
        version = np.lib.format.read_magic(member)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(member)
        count = 1
        for n in shape:
            count *= n
        size, announced = archive.getinfo(name).file_size - member.tell(), count * dtype.itemsize
    if not dtype.hasobject and announced > size:
        raise ValueError(f"{name} announces {announced} bytes and has {size}")
