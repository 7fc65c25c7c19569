"""A file for random reads by many threads and processes, with an error if it is replaced or changed meanwhile."""

from __future__ import annotations

import os
import threading
import weakref
from pathlib import Path
from typing import Any, NamedTuple

from fastdl import _check

_MOST_OPEN = 64  # descriptors kept open, as a process may have some 1,024; further files are opened for each read
_HEAD = 64  # bytes of the beginning by which a file is recognised

_open = 0
_lock = threading.Lock()


def _forget_lock() -> None:
    """In a forked child: a lock that another thread held at the fork would never be released."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_lock)


class Identity(NamedTuple):
    """The properties by which a file that was replaced or changed is noticed."""

    size: int
    time: int  # of the last change, in nanoseconds
    inode: int
    head: bytes


def _close(descriptor: int) -> None:
    global _open
    os.close(descriptor)
    with _lock:
        _open -= 1


class SourceFile:
    """A file by its path and the identity that it had at first.

    It is pickled as these two: a worker opens the file itself, and raises an error if it has been replaced or changed.
    Reads are positioned (`pread`), so threads and forked processes share no position. The descriptor is closed when
    the object is deleted.
    """

    def __init__(self, path: str | Path):
        self.path = _check.existing(path)
        self._descriptor = -1
        self._finalizer: weakref.finalize | None = None
        descriptor = self._opened()
        try:
            self.identity = _identity(descriptor)
        finally:
            os.close(descriptor)

    @property
    def size(self) -> int:
        """The size in bytes."""
        return self.identity.size

    def __getstate__(self) -> dict[str, Any]:
        return {"path": Path(os.path.abspath(self.path)), "identity": self.identity}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _descriptor=-1, _finalizer=None)

    def _opened(self) -> int:
        try:
            return os.open(self.path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0))
        except OSError as error:
            raise _check.FileError(self.path, f"cannot be read: {error.strerror}") from None

    def read(self, start: int, stop: int) -> bytes:
        """The bytes from start to stop; an error if the file has become shorter, or is another one."""
        global _open
        if stop <= start:
            return b""
        descriptor = self._descriptor
        if descriptor >= 0:
            self._same(os.fstat(descriptor))
            return self._bytes(descriptor, start, stop)
        descriptor = self._opened()
        kept = False
        try:
            self._same(os.fstat(descriptor), _identity(descriptor).head)
            with _lock:
                if self._descriptor < 0 and _open < _MOST_OPEN:
                    self._descriptor, kept = descriptor, True
                    self._finalizer = weakref.finalize(self, _close, descriptor)
                    _open += 1
            return self._bytes(descriptor, start, stop)
        finally:
            if not kept:
                os.close(descriptor)

    def _same(self, now: os.stat_result, head: bytes | None = None) -> None:
        was = self.identity
        same = now.st_ino == was.inode and head in (None, was.head)
        if same and now.st_size < was.size:
            problem = f"has become shorter while it is read: {was.size} bytes before, {now.st_size} now"
            raise _check.FileError(self.path, problem, now.st_size)
        if not same or (now.st_size, now.st_mtime_ns) != (was.size, was.time):
            raise _check.FileError(self.path, "is another file than when it was opened, or has changed; open it again")

    def _bytes(self, descriptor: int, start: int, stop: int) -> bytes:
        data = os.pread(descriptor, stop - start, start)
        while len(data) < stop - start:
            more = os.pread(descriptor, stop - start - len(data), start + len(data))
            if not more:
                raise _check.FileError(
                    self.path, f"ends here, {stop - start - len(data)} bytes too soon", start + len(data)
                )
            data += more
        return data

    def close(self) -> None:
        """Close the file; a later read opens it again."""
        with _lock:
            finalizer, self._finalizer, self._descriptor = self._finalizer, None, -1
        if finalizer is not None:
            finalizer()


def _identity(descriptor: int) -> Identity:
    status = os.fstat(descriptor)
    return Identity(status.st_size, status.st_mtime_ns, status.st_ino, os.pread(descriptor, _HEAD, 0))
