"""Names of files and folders that are still being written, and their removal when their process ends.

A temporary is named ``.fastdl-HOST-PID-START.N.part``, after the process that writes it: HOST is a hash of the
machine's name and its process namespace, START the time when the process began. So the next run in a folder can tell
what a killed process left there (no process of that number and start is alive on this machine) from what another one is
still writing. The name does not contain the target's, which may use all 255 bytes that file systems allow.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import platform
import re
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

_NAME = re.compile(r"\.fastdl-([0-9a-f]{8})-(\d{1,10})-(\d{1,20})\.\d{1,20}\.part")

_ROUNDS, _ROUND = 20, 0.01  # how often `abandon` removes a folder again, and the seconds between

_numbers = itertools.count()
_live: set[str] = set()  # the temporaries of this process
_swept: set[str] = set()  # the folders that `sweep` has been through
_abandoned = False

#: Held while a temporary gets its final name; reentrant, as a signal handler may run while its own thread holds it.
lock = threading.RLock()


def _forget() -> None:
    """In a forked child: its parent's temporaries are not its own, and its parent's lock may never be released."""
    global lock
    lock = threading.RLock()
    _live.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def reserve(folder: str) -> str:
    """A path for a temporary in `folder`; what a killed process left there is removed first."""
    if folder not in _swept:
        sweep(folder)
    with lock:
        check()
        # next() under the lock, too: in free-threaded Python two threads may be given the same number.
        path = f"{folder}{os.sep}{_beginning(os.getpid())}.{next(_numbers)}.part"
        _live.add(path)
    return path


def reserve_each(folders: Sequence[str]) -> list[str]:
    """As `reserve`, for each of these folders. Hold the lock until the files are written, so that `abandon` waits."""
    for folder in set(folders) - _swept:
        sweep(folder)
    check()
    beginning = _beginning(os.getpid())
    paths = [f"{folder}{os.sep}{beginning}.{next(_numbers)}.part" for folder in folders]
    _live.update(paths)
    return paths


def check() -> None:
    """Raise KeyboardInterrupt if `abandon` was called; call it with the lock held."""
    if _abandoned:
        raise KeyboardInterrupt


def release(path: str) -> None:
    """Forget a temporary, which has its final name or is gone."""
    _live.discard(path)


def release_all(paths: Iterable[str]) -> None:
    """As `release`, of several."""
    _live.difference_update(paths)


def remove(path: str) -> None:
    """Remove a temporary, file or folder; errors are ignored."""
    with suppress(OSError):
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            os.unlink(path)
    release(path)


def abandon() -> None:
    """Remove every temporary of this process, which is about to end; from now on none can be made or renamed."""
    global _abandoned
    with lock:
        _abandoned = True
        folders = [path for path in _live if os.path.isdir(path)]
        for path in list(_live):
            remove(path)
    # Another thread may be writing into a folder, and zarr creates missing folders: so remove them again for a while.
    for _ in range(_ROUNDS if folders else 0):
        time.sleep(_ROUND)
        for path in folders:
            remove(path)


def sweep(folder: str) -> None:
    """Remove the temporaries that killed processes left in `folder`."""
    _swept.add(folder)
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            found = _NAME.fullmatch(entry.name)
            if found and found[1] == _host() and not _is_running(int(found[2]), found[3]):
                remove(entry.path)


def is_temporary(name: str) -> bool:
    """Whether this is the name of a temporary, still being written or left behind."""
    return _NAME.fullmatch(name) is not None


@contextmanager
def folder() -> Iterator[Path]:
    """A temporary folder, removed at the end of the block and when the command is interrupted."""
    path = reserve(tempfile.gettempdir())
    os.mkdir(path, 0o700)
    try:
        yield Path(path)
    finally:
        remove(path)


@lru_cache(4)
def _beginning(pid: int) -> str:
    """The beginning of the names of a process."""
    return f".fastdl-{_host()}-{pid}-{_start_of(pid) or '0'}"


@lru_cache(1)
def _host() -> str:
    """A hash of the machine and its process namespace, within which process numbers are unique."""
    try:
        table = os.readlink("/proc/self/ns/pid")
    except OSError:
        table = ""
    return hashlib.sha256(f"{platform.node()} {table}".encode()).hexdigest()[:8]


def _start_of(pid: int) -> str | None:
    """When a process began, in clock ticks since the boot; None if it is not alive, or where there is no /proc."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    return None if fields[0] in (b"Z", b"X") else fields[19].decode()  # proc(5): state, and starttime, field 22


def _is_running(pid: int, start: str) -> bool:
    if os.path.exists("/proc/self/stat"):
        return _start_of(pid) == start
    if sys.platform == "win32":
        return False  # a file that is open cannot be removed there, so trying to does no harm
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
