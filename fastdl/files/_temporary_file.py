"""What is being written: in memory as long as it is small, then in a temporary beside the file that it is to become."""

from __future__ import annotations

import io
import os
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from fastdl.errors import FileError
from fastdl.files import temporaries

_BUFFER = 1 << 16  # bytes that are written at once
_COPY = 1 << 20  # bytes that are copied at once to what is no regular file


class TemporaryFile(io.BufferedIOBase):
    """What is open for writing, and the file that it is to become: in memory as long as it is small."""

    def __init__(self, path: str | Path):
        self.named = path
        self.target = os.fspath(path)
        self.permissions: int | None = None
        self.special = False  # no regular file: a pipe, a device
        self.folder = os.path.dirname(self.target) or "."
        self.path = ""  # of the temporary, once there is one
        self.size = 0
        self.is_named = False
        self.made: list[int] | None = None  # size and time of the file that has its name, where they are known
        self._memory: io.BytesIO | None = io.BytesIO()
        self._file: io.BytesIO | io.BufferedWriter = self._memory

    def write(self, data: Any) -> int:
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
        """The new size; bytes that were not there are zero."""
        if self._memory is not None:
            self._spill(self._memory)
        return self._file.truncate(size)

    def flush(self) -> None:
        """Pass on what the buffer holds."""
        if not self._file.closed:
            self._file.flush()

    def seekable(self) -> bool:
        """Yes."""
        return True

    def writable(self) -> bool:
        """Yes."""
        return True

    def fileno(self) -> int:
        """None: NumPy's tofile would write past this class, and not say where the disk refuses."""
        raise io.UnsupportedOperation("written through write() alone")

    def _resolve(self) -> None:
        """Find out what is there now: the temporary of a link's target stands beside that target."""
        self.target, there = _resolve(os.fspath(self.named))
        self.permissions = None if there is None else stat.S_IMODE(there)
        self.special = there is not None and not (stat.S_ISREG(there) or stat.S_ISDIR(there))
        self.folder = tempfile.gettempdir() if self.special else os.path.dirname(self.target) or "."

    def _create(self) -> int:
        """The temporary's handle."""
        self._resolve()
        self.path = temporaries.new(self.folder)
        try:
            # A new file gets what the process's umask leaves of this mode.
            return os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        except OSError as error:
            temporaries.done(self.path)
            self.path = ""
            raise unwritable(self.named, error) from None

    def _spill(self, memory: io.BytesIO) -> None:
        """From memory to a file."""
        self._file = io.BufferedWriter(_Raw(self._create(), self.named), _BUFFER)
        self._memory = None
        self._file.write(memory.getbuffer())
        self._file.seek(memory.tell())

    def hold(self) -> None:
        """Complete it, in memory if it is there: `settle` makes the temporary."""
        if self._memory is None:
            self.close()
        else:
            self.size = self._memory.getbuffer().nbytes

    @property
    def content(self) -> bytes | None:
        """All bytes of what is held in memory and has no temporary yet."""
        return None if self._memory is None or self.path else self._memory.getvalue()

    def settle(self) -> bool:
        """Make the temporary of what is held, anew where it stands beside a link; whether one was made."""
        if self._memory is None or (self.path and self.closed):
            return False
        if self.path:
            temporaries.remove(self.path)
            self.path = ""
        self.close()
        return True

    def close(self) -> None:
        """Complete the temporary: what the disk refuses is raised here at the latest."""
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
        """Nothing: what nobody completed is not to appear on the disk."""

    def sync(self) -> None:
        """Wait until the bytes are on the disk."""
        try:
            sync_file(self.path)
        except OSError as error:
            raise unwritable(self.named, error) from None

    def rename(self) -> None:
        """Become the target."""
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
        temporaries.done(self.path)

    def discard(self) -> None:
        """Close and remove; nothing that goes wrong here is worth hiding why."""
        if isinstance(self._file, io.BufferedWriter):
            with suppress(Exception):
                self._file.raw.close()
            with suppress(Exception):
                self._file.close()
        if self.path:
            temporaries.remove(self.path)


def _resolve(path: str) -> tuple[str, int | None]:
    """The file that `path` is, or links to, and its mode, or None where there is none."""
    try:
        mode = os.lstat(path).st_mode
        if not stat.S_ISLNK(mode):
            return path, mode
        path = os.path.realpath(path)
        return path, os.stat(path).st_mode
    except OSError:
        return path, None


class _Raw(io.FileIO):
    """The file below the buffer; its errors name the target."""

    def __init__(self, handle: int, named: str | Path):
        super().__init__(handle, "wb")
        self.named = named

    def write(self, data: object) -> int:
        try:
            return super().write(data)  # type: ignore[arg-type]
        except OSError as error:
            raise unwritable(self.named, error) from None


def _write_all(handle: int, data: memoryview) -> int:
    """Write and close: the number of bytes."""
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
