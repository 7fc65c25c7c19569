"""A file being written: held in memory while it is small, then in a temporary beside the target that it replaces."""

from __future__ import annotations

import io
import os
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from fastdl.errors import FileError
from fastdl.files import temporaries

if TYPE_CHECKING:
    from collections.abc import Buffer

_BUFFER = 1 << 16  # bytes of one write; a file that is smaller stays in memory
_COPY = 1 << 20  # bytes of one copy, to a target that is a pipe or a device


class TemporaryFile(io.BufferedIOBase):
    """A file open for writing, which `rename` puts in the place of its target."""

    def __init__(self, path: str | Path):
        self.named = path
        self.target = os.fspath(path)
        self.permissions: int | None = None
        self.special = False  # whether the target is a pipe or a device
        self.folder = os.path.dirname(self.target) or "."
        self.path = ""  # of the temporary; "" while the content is in memory
        self.size = 0
        self.is_named = False
        self.made: list[int] | None = None  # size and modification time of the renamed file, where they are known
        self._memory: io.BytesIO | None = io.BytesIO()
        self._file: io.BytesIO | io.BufferedWriter = self._memory

    def write(self, data: Buffer) -> int:
        """Append, or replace where the position is not the end."""
        if self._memory is not None and self._memory.tell() + memoryview(data).nbytes > _BUFFER:
            self._spill(self._memory)
        return self._file.write(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """The new position."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """The position."""
        return self._file.tell()

    def truncate(self, size: int | None = None) -> int:
        """Cut or extend to a size, with zeros; returns it."""
        if self._memory is not None:
            self._spill(self._memory)
        return self._file.truncate(size)

    def flush(self) -> None:
        """Write what the buffer holds."""
        if not self._file.closed:
            self._file.flush()

    def seekable(self) -> bool:
        """Yes."""
        return True

    def writable(self) -> bool:
        """Yes."""
        return True

    def fileno(self) -> int:
        """Not offered: through a descriptor, NumPy's tofile would bypass this class and hide errors of a full disk."""
        raise io.UnsupportedOperation("written through write() alone")

    def _resolve(self) -> None:
        """Follow links: the temporary is made beside the file that a link points to, and takes over its mode."""
        self.target, there = _resolve(os.fspath(self.named))
        self.permissions = None if there is None else stat.S_IMODE(there)
        self.special = there is not None and not (stat.S_ISREG(there) or stat.S_ISDIR(there))
        self.folder = tempfile.gettempdir() if self.special else os.path.dirname(self.target) or "."

    def _create(self) -> int:
        """Create the temporary; returns its file descriptor."""
        self._resolve()
        self.path = temporaries.reserve(self.folder)
        try:
            # A new file gets what the process's umask leaves of this mode.
            return os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        except OSError as error:
            temporaries.release(self.path)
            self.path = ""
            raise unwritable(self.named, error) from None

    def _spill(self, memory: io.BytesIO) -> None:
        """Move the content from memory to a temporary."""
        self._file = io.BufferedWriter(_Raw(self._create(), self.named), _BUFFER)
        self._memory = None
        self._file.write(memory.getbuffer())
        self._file.seek(memory.tell())

    def hold(self) -> None:
        """End the writing; content in memory stays there until `settle` or `write_temporaries`."""
        if self._memory is None:
            self.close()
        else:
            self.size = self._memory.getbuffer().nbytes

    @property
    def content(self) -> bytes | None:
        """The bytes held in memory; None once there is a temporary."""
        return None if self._memory is None or self.path else self._memory.getvalue()

    def settle(self) -> bool:
        """Make the temporary of content held in memory; returns whether one was made.

        One that `write_temporaries` made is made anew, as that did not follow links.
        """
        if self._memory is None or (self.path and self.closed):
            return False
        if self.path:
            temporaries.remove(self.path)
            self.path = ""
        self.close()
        return True

    def close(self) -> None:
        """End the writing with a complete temporary; an error of the disk is raised here at the latest."""
        if self.closed:
            return
        try:
            if self._memory is not None:
                self.size = _write_all(self._create(), self._memory.getbuffer())
            else:
                self._file.flush()
                self.size = os.fstat(self._file.fileno()).st_size
                self._file.close()
        except OSError as error:
            if isinstance(error, FileError):
                raise
            raise unwritable(self.named, error) from None
        super().close()

    def __del__(self) -> None:
        """Does nothing: the inherited method calls `close`, which would write an unfinished file to the disk."""

    def sync(self) -> None:
        """Wait until the bytes are on the disk."""
        try:
            sync_file(self.path)
        except OSError as error:
            raise unwritable(self.named, error) from None

    def rename(self) -> None:
        """Put the temporary in the place of the target."""
        try:
            if self.special:
                with open(self.path, "rb") as source, open(self.target, "wb", buffering=0) as target:
                    shutil.copyfileobj(source, target, _COPY)
                os.unlink(self.path)
            else:
                if self.permissions is not None:
                    os.chmod(self.path, self.permissions)
                os.replace(self.path, self.target)
        except OSError as error:
            raise unwritable(self.named, error) from None
        temporaries.release(self.path)

    def discard(self) -> None:
        """Close and remove the temporary. Errors are ignored: they would hide the one that led here."""
        if isinstance(self._file, io.BufferedWriter):
            with suppress(Exception):
                self._file.raw.close()
            with suppress(Exception):
                self._file.close()
        if self.path:
            temporaries.remove(self.path)


def _resolve(path: str) -> tuple[str, int | None]:
    """`path`, or the file that it links to, and the mode of that file; None where there is no file."""
    try:
        mode = os.lstat(path).st_mode
        if not stat.S_ISLNK(mode):
            return path, mode
        path = os.path.realpath(path)
        return path, os.stat(path).st_mode
    except OSError:
        return path, None


class _Raw(io.FileIO):
    """An unbuffered file whose errors name the target instead of the temporary."""

    def __init__(self, handle: int, named: str | Path):
        super().__init__(handle, "wb")
        self.named = named

    def write(self, data: object) -> int:
        try:
            return super().write(data)  # type: ignore[arg-type]
        except OSError as error:
            raise unwritable(self.named, error) from None


def _write_all(handle: int, data: memoryview) -> int:
    """Write all bytes and close the descriptor; returns their number."""
    done = 0
    try:
        while done < len(data):
            done += os.write(handle, data[done:] if done else data)
    finally:
        os.close(handle)
    return done


def sync_file(path: str | Path) -> None:
    handle = os.open(path, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def unwritable(path: str | Path, error: OSError) -> FileError:
    return FileError(path, f"cannot be written: {error.strerror or error}")
