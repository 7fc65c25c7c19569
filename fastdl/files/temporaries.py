"""Names of files and folders that are still being written, and what becomes of them when their process ends.

``.fastdl-HOST-PID-START.N.part`` says who writes: HOST is a hash of the machine's name and its process table, START
when the process began. So the next run in a folder can tell what a killed process left there (no process of that number
and start is alive on this machine) from what another one is still writing. The name has the same short length whatever
the target is called, so that a target may use all 255 bytes that file systems allow.
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

_ROUNDS, _ROUND = 20, 0.01  # times that a folder is looked for again, and the seconds between them

_numbers = itertools.count()
_live: set[str] = set()  # of this process
_swept: set[str] = set()  # folders whose leftovers were looked for
_abandoned = False

#: Held while a temporary gets its final name; reentrant, as a signal handler may run while its own thread holds it.
lock = threading.RLock()


def _forget() -> None:
    """A forked child has none of its parent's temporaries, and must not wait for a lock that a lost thread held."""
    global lock
    lock = threading.RLock()
    _live.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def new(folder: str) -> str:
    """A path in `folder` that no other temporary has; what a killed process left there is removed first."""
    if folder not in _swept:
        sweep(folder)
    with lock:
        check()  # and the number: without Python's own lock two threads may be given the same
        path = f"{folder}{os.sep}{_beginning(os.getpid())}.{next(_numbers)}.part"
        _live.add(path)
    return path


def several(folders: Sequence[str]) -> list[str]:
    """As `new`, a path in each of these folders; call it with the lock held, and none is removed before it is there."""
    for folder in set(folders) - _swept:
        sweep(folder)
    check()
    beginning = _beginning(os.getpid())
    paths = [f"{folder}{os.sep}{beginning}.{next(_numbers)}.part" for folder in folders]
    _live.update(paths)
    return paths


def check() -> None:
    """Raise KeyboardInterrupt where the process is about to end; call it with the lock held."""
    if _abandoned:
        raise KeyboardInterrupt


def done(path: str) -> None:
    """The temporary has its final name, or is gone."""
    _live.discard(path)


def all_done(paths: Iterable[str]) -> None:
    """As `done`, of several."""
    _live.difference_update(paths)


def remove(path: str) -> None:
    """Remove a temporary, file or folder, as far as that can be done."""
    with suppress(OSError):
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            os.unlink(path)
    done(path)


def abandon() -> None:
    """Remove every temporary of this process; from now on none gets its final name. For a process about to end."""
    global _abandoned
    with lock:
        _abandoned = True
        folders = [path for path in _live if os.path.isdir(path)]
        for path in list(_live):
            remove(path)
    # What another thread has begun to write into a folder may come back: zarr makes folders that are missing.
    for _ in range(_ROUNDS if folders else 0):
        time.sleep(_ROUND)
        for path in folders:
            remove(path)


def sweep(folder: str) -> None:
    """Remove what killed processes left in `folder`."""
    _swept.add(folder)
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            found = _NAME.fullmatch(entry.name)
            if found and found[1] == _host() and not _is_running(int(found[2]), found[3]):
                remove(entry.path)


def is_temporary(name: str) -> bool:
    """Whether a file of this name is one that is still being written, or was left behind."""
    return _NAME.fullmatch(name) is not None


@contextmanager
def folder() -> Iterator[Path]:
    """A folder for what need not outlive the block; gone with it, and when the command is interrupted."""
    path = new(tempfile.gettempdir())
    os.mkdir(path, 0o700)
    try:
        yield Path(path)
    finally:
        remove(path)


@lru_cache(4)
def _beginning(pid: int) -> str:
    """How the names of this process begin."""
    return f".fastdl-{_host()}-{pid}-{_start_of(pid) or '0'}"


@lru_cache(1)
def _host() -> str:
    """This machine and its process table: numbers of processes mean nothing elsewhere."""
    try:
        table = os.readlink("/proc/self/ns/pid")
    except OSError:
        table = ""
    return hashlib.sha256(f"{platform.node()} {table}".encode()).hexdigest()[:8]


def _start_of(pid: int) -> str | None:
    """When a living process began, in the system's own count; None where there is none, or it cannot be told."""
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
