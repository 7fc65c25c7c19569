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

_SMALL = 1 << 20  # bytes: files up to here wait for their group; writing a larger one takes longer than its fsync
_GROUP = 8  # files: from this number on, one syncfs costs less than an fsync of each (0.4 ms on ext4)
_FULL = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))

_local = threading.local()  # .group: the Group that gathers what the thread completes


@contextmanager
def replacing(path: str | Path, *, sync: bool = True) -> Iterator[IO[bytes]]:
    """A binary file beside `path`, renamed to it when the block ends, or removed when the block raises.

    The new file has the mode of the one it replaces; where `path` is a link, the file that it points to is replaced.
    A pipe or a device (/dev/stdout) is written to when the block has ended. With `sync`, the bytes are on the disk
    before the file gets its name, so that a power cut leaves the old file or the new one.
    """
    with replacing_together(path, sync=sync) as (file,):
        yield file


@contextmanager
def replacing_together(*paths: str | Path, sync: bool = True) -> Iterator[tuple[IO[bytes], ...]]:
    """As `replacing`, for files that belong together, such as codes and their description.

    Nobody sees the new first file beside an old second one: the old others are removed before the first is renamed,
    and the new ones get their names after it. A lock keeps two writers of the same files from mixing theirs.
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
    """Rename the files now, or leave that to the `Group` that the thread is in."""
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
    # The folder's lock first, as in commit_groups: threads that take the two in different orders could deadlock.
    with _folder_lock(files[0].folder if len(files) > 1 else None), temporaries.lock:
        temporaries.check()
        for file in files[1:]:
            if os.access(file.target, os.F_OK) and not file.special:
                with suppress(FileNotFoundError):
                    os.unlink(file.target)
        for file in files:
            file.rename()


class Group:
    """Small files that are synced and renamed together, with one wait for the disk instead of one for each.

    ``with group: ...write files...`` for each of several groups, then `commit_groups`. Small files that the thread
    completes within the block are kept for that call.
    """

    def __init__(self, sync: bool = True):
        self.sync = sync
        self.sets: list[list[TemporaryFile]] = []  # each the files of one `replacing_together`

    def __enter__(self) -> Group:
        self._before = getattr(_local, "group", None)
        _local.group = self
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        _local.group = self._before
        if kind is not None:
            self.discard()

    def commit(self, synced: Container[TemporaryFile] = ()) -> None:
        """Rename the files, of which `synced` are on the disk already."""
        try:
            self.sets = [files for files in self.sets if files]
            while self.sets:
                for file in (together := self.sets[0]):
                    is_new = file.settle()
                    if self.sync and (is_new or file not in synced):
                        file.sync()
                _rename(together)
                del self.sets[0]
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        """Remove the files that were not renamed."""
        for file in (file for files in self.sets for file in files):
            file.discard()
        self.sets = []


def commit_groups(groups: Sequence[Group]) -> list[FileError | None]:
    """Sync and rename the files of all groups, with one wait for the disk; returns the error of each group, or None."""
    small_files.write_temporaries([file for group in groups for files in group.sets for file in files])
    unsynced = [file for group in groups if group.sync for files in group.sets for file in files if file.path]
    synced: set[TemporaryFile] = set()
    if len(unsynced) >= _GROUP and _sync_folders({file.folder for file in unsynced}):
        synced.update(unsynced)
    else:
        for file in unsynced:
            with suppress(FileError):  # Group.commit tries again, and raises
                file.sync()
                synced.add(file)
    _rename_small([files for g in groups for files in g.sets if not g.sync or synced.issuperset(files)])
    problems: list[FileError | None] = []
    for group in groups:
        try:
            group.commit(synced)
            problems.append(None)
        except FileError as error:
            problems.append(error)
    return problems


def _rename_small(sets: Sequence[list[TemporaryFile]]) -> None:
    """Rename the sets whose temporaries are written, folder by folder; renamed files are taken out of their sets."""
    ready: dict[str, list[list[TemporaryFile]]] = {}
    for files in sets:
        if all(file.path for file in files):
            ready.setdefault(files[0].folder, []).append(files)
    for folder, some in ready.items():
        with _folder_lock(folder if any(len(files) > 1 for files in some) else None):
            small_files.rename_sets(some)
    for files in sets:
        files[:] = [file for file in files if not file.is_named]


@contextmanager
def replacing_folder(path: str | Path, *, sync: bool = True) -> Iterator[Path]:
    """A folder beside `path`, renamed to it when the block ends, or removed when the block raises."""
    path, target = Path(path), Path(os.path.realpath(path))
    name = temporaries.reserve(str(target.parent))
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
    """Rename the folder to the target, and remove what had that name before."""
    if not os.path.lexists(target):
        os.replace(folder, target)
        temporaries.release(str(folder))
        return
    if not _exchange(folder, target):
        aside = temporaries.reserve(str(target.parent))
        os.replace(target, aside)
        try:
            os.replace(folder, target)
        except BaseException:
            os.replace(aside, target)
            raise
        temporaries.remove(aside)
    temporaries.remove(str(folder))


def _exchange(a: Path, b: Path) -> bool:
    """Swap two names in one system call; False where the system cannot."""
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    here, swap = -100, 2  # AT_FDCWD, RENAME_EXCHANGE of Linux
    return call(here, os.fsencode(a), here, os.fsencode(b), swap) == 0


def _sync_folders(folders: set[str]) -> bool:
    """Sync the whole file systems of these folders, by `syncfs`; False where the system has no such call."""
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
    """Hold a lock that keeps other processes from renaming sets of files in the folder; needs the module `fcntl`."""
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
