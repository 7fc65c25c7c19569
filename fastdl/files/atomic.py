"""A file appears under its name whole, or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from fastdl import _check


@contextmanager
def replacing(path: str | Path) -> Iterator[IO[bytes]]:
    """A binary file beside `path`, renamed to it when the block ends well and removed when it does not."""
    path = Path(path)
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    except OSError as error:
        raise _check.FileError(path, f"cannot be written: {error.strerror}") from None
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise


def _umask() -> int:
    """The mode that mkstemp's privacy must be undone to; the process's umask can only be read by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


@contextmanager
def replacing_folder(path: str | Path) -> Iterator[Path]:
    """A folder beside `path`, renamed to it when the block ends well and removed when it does not."""
    path = Path(path)
    try:
        folder = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part"))
    except OSError as error:
        raise _check.FileError(path, f"cannot be written: {error.strerror}") from None
    old = folder.with_suffix(".old")
    try:
        yield folder
        os.chmod(folder, 0o777 & ~_umask())
        if path.exists():
            os.replace(path, old)
        os.replace(folder, path)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        if old.exists() and not path.exists():
            os.replace(old, path)
        raise
    if old.is_dir():
        shutil.rmtree(old, ignore_errors=True)
    elif old.exists():
        old.unlink()
