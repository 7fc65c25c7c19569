"""A file appears under its name whole, or not at all: written beside that name, and renamed when it is complete."""

from __future__ import annotations

import ctypes
import errno
import os
import threading
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from fastdl.errors import FileError
from fastdl.files import _small_files as small_files
from fastdl.files import temporaries
from fastdl.files._temporary_file import TemporaryFile, sync_file, unwritable

_SMALL = 1 << 20  # bytes of a file: for larger ones the wait for the disk is short beside the writing
_GROUP = 8  # files: from here on one syncfs costs less than an fsync of each (0.4 ms on ext4)
_FULL = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))

_local = threading.local()  # .group: the Group that gathers what the thread completes


@contextmanager
def replacing(path: str | Path, *, sync: bool = True) -> Iterator[IO[bytes]]:
    """A binary file beside `path`, renamed to it when the block ends well and removed when it does not.

    A file that is replaced keeps its mode; one that `path` links to is replaced where it is. What is there but is no
    regular file (a pipe, /dev/stdout) is written to when the block has ended. `sync` waits until the bytes are on the
    disk before the name points to them, so that a power cut leaves the old file or the new one.
    """
    with replacing_together(path, sync=sync) as (file,):
        yield file


@contextmanager
def replacing_together(*paths: str | Path, sync: bool = True) -> Iterator[tuple[IO[bytes], ...]]:
    """As `replacing`, for files that belong together, such as codes and their description.

    No other writer's files come between them, and at no time does a new first file stand beside another old one: the
    others are removed before the first is renamed, and get their names after it.
    """
    files: list[TemporaryFile] = []
    try:
        for path in paths:
            files.append(TemporaryFile(path))
        yield tuple(files)  # type: ignore[arg-type]
        _finish(files, sync)
    except BaseException as error:
        for file in files:
            file.discard()
        if isinstance(error, OSError) and error.filename is None and error.errno in _FULL:
            raise unwritable(paths[0], error) from None
        raise


def _finish(files: list[TemporaryFile], sync: bool) -> None:
    """Rename now, or leave it to the group that this thread's work belongs to."""
    group: Group | None = getattr(_local, "group", None)
    for file in files:
        file.close() if group is None else file.hold()
    if group is not None and sum(file.size for file in files) <= _SMALL:
        group.sets.append(files)
        return
    for file in files:
        file.close()
    if sync and (group is None or group.sync):
        for file in files:
            file.sync()
    _rename(files)


def _rename(files: list[TemporaryFile]) -> None:
    """Give files that belong together their names."""
    # The folder's lock first, as in commit_groups: in two orders, two threads could wait for each other.
    with _folder_lock(files[0].folder if len(files) > 1 else None), temporaries.lock:
        temporaries.check()
        for file in files[1:]:
            if os.access(file.target, os.F_OK) and not file.special:
                with suppress(FileNotFoundError):
                    os.unlink(file.target)
        for file in files:
            file.rename()


class Group:
    """Small files that get their names together, so that the disk is waited for once and not for each.

    ``with group: ...write files...``, for as many groups as there are; then `commit_groups`. What a thread completes
    within the block waits, if it is small.
    """

    def __init__(self, sync: bool = True):
        self.sync = sync
        self.sets: list[list[TemporaryFile]] = []  # files that belong together

    def __enter__(self) -> Group:
        self._before = getattr(_local, "group", None)
        _local.group = self
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        _local.group = self._before
        if kind is not None:
            self.discard()

    def commit(self, synced: Container[TemporaryFile] = ()) -> None:
        """Rename what waits; `synced` are on the disk."""
        try:
            self.sets = [files for files in self.sets if files]
            while self.sets:
                for file in (waiting := self.sets[0]):
                    is_new = file.settle()
                    if self.sync and (is_new or file not in synced):
                        file.sync()
                _rename(waiting)
                del self.sets[0]
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        """Remove what waits."""
        for file in (file for files in self.sets for file in files):
            file.discard()
        self.sets = []


def commit_groups(groups: Sequence[Group]) -> list[FileError | None]:
    """Give the files of all groups their names, after one wait for the disk: what went wrong with each, or None."""
    small_files.write([file for group in groups for files in group.sets for file in files])
    waiting = [file for group in groups if group.sync for files in group.sets for file in files if file.path]
    synced: set[TemporaryFile] = set()
    if len(waiting) >= _GROUP and _sync_folders({file.folder for file in waiting}):
        synced.update(waiting)
    else:
        for file in waiting:
            with suppress(FileError):  # said when it is tried again
                file.sync()
                synced.add(file)
    _name_small([files for g in groups for files in g.sets if not g.sync or synced.issuperset(files)])
    problems: list[FileError | None] = []
    for group in groups:
        try:
            group.commit(synced)
            problems.append(None)
        except FileError as error:
            problems.append(error)
    return problems


def _name_small(sets: Sequence[list[TemporaryFile]]) -> None:
    """Name those that have a temporary, folder by folder, and take what has its name out of its set."""
    ready: dict[str, list[list[TemporaryFile]]] = {}
    for files in sets:
        if all(file.path for file in files):
            ready.setdefault(files[0].folder, []).append(files)
    for folder, some in ready.items():
        with _folder_lock(folder if any(len(files) > 1 for files in some) else None):
            small_files.name(some)
    for files in sets:
        files[:] = [file for file in files if not file.is_named]


@contextmanager
def replacing_folder(path: str | Path, *, sync: bool = True) -> Iterator[Path]:
    """A folder beside `path`, renamed to it when the block ends well and removed when it does not."""
    path, target = Path(path), Path(os.path.realpath(path))
    name = temporaries.new(str(target.parent))
    folder = Path(name)
    try:
        folder.mkdir()
        yield folder
        if sync:
            for inside in folder.rglob("*"):
                if inside.is_file():
                    sync_file(inside)
        with temporaries.lock:
            temporaries.check()
            _swap(folder, target)
    except OSError as error:
        temporaries.remove(name)
        if error.filename is None or Path(os.fsdecode(error.filename)) == folder:
            raise unwritable(path, error) from None
        raise
    except BaseException:
        temporaries.remove(name)
        raise


def _swap(folder: Path, target: Path) -> None:
    """Give the folder its name, and remove what had that name."""
    if not os.path.lexists(target):
        os.replace(folder, target)
        temporaries.done(str(folder))
        return
    if not _exchange(folder, target):
        aside = temporaries.new(str(target.parent))
        os.replace(target, aside)
        try:
            os.replace(folder, target)
        except BaseException:
            os.replace(aside, target)
            raise
        temporaries.remove(aside)
    temporaries.remove(str(folder))


def _exchange(a: Path, b: Path) -> bool:
    """Two names change places at once, where the system can do that."""
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    here, swap = -100, 2  # AT_FDCWD, RENAME_EXCHANGE of Linux
    return call(here, os.fsencode(a), here, os.fsencode(b), swap) == 0


def _sync_folders(folders: set[str]) -> bool:
    """One wait for all files on the file systems of these folders; False where the system has none to offer."""
    try:
        call = ctypes.CDLL(None, use_errno=True).syncfs
    except (AttributeError, OSError, TypeError):
        return False
    systems = {os.stat(folder).st_dev: folder for folder in folders}
    for folder in systems.values():
        handle = os.open(folder, os.O_RDONLY)
        try:
            if call(handle) != 0:
                return False
        finally:
            os.close(handle)
    return True


@contextmanager
def _folder_lock(folder: str | None) -> Iterator[None]:
    """Alone among the processes that rename files of this folder together, where the system has such locks."""
    try:
        import fcntl
    except ImportError:
        folder = None
    if folder is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
