"""Which files a command reads, and which it writes."""

from __future__ import annotations

import glob
import os
import shutil
import stat
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from fastdl.errors import FastdlError, FileError, InputError
from fastdl.files import temporaries

#: The first bytes of each kind of file, by which data from a pipe are recognised.
_BEGINNINGS = (
    (b"RIFF", ".wav"),
    (b"RIFX", ".wav"),
    (b"RF64", ".rf64"),
    (b"BW64", ".bw64"),
    (b"riff", ".w64"),
    (b"fLaC", ".flac"),
    (b"OggS", ".ogg"),
    (b"FORM", ".aiff"),
    (b".snd", ".au"),
    (b"caff", ".caf"),
    (b"ID3", ".mp3"),
    *((bytes([0xFF, second]), ".mp3") for second in (0xFB, 0xFA, 0xF3, 0xF2, 0xE3, 0xE2)),  # MPEG 1, 2, 2.5; layer III
    (b"LASF", ".las"),
    (b"ply", ".ply"),
    (b"# .PCD", ".pcd"),
    (b"VERSION", ".pcd"),
    (b"\x93NUMPY", ".npy"),
    (b"PK\x03\x04", ".npz"),
    (b">", ".fa"),
    (b"@", ".fastq"),
    (b"\x43\x27\x41\x1a", ".2bit"),
    (b"\x1a\x41\x27\x43", ".2bit"),
    (b"\x1f\x8b", ".fa.gz"),
)
_NAMED = 5  # files that an error names
_FEW = 64  # targets that are looked for one by one; for more, their folders are listed


@dataclass
class Source:
    """A file to read: its path, and its path relative to the folder or glob that it was found by."""

    name: str
    relative: str
    searched: bool = False  # found in a folder, rather than named
    label: str = ""  # the name that the user gave, where that is not its path

    def __str__(self) -> str:
        return self.label or self.name

    @cached_property
    def path(self) -> Path:
        """The path, made only when it is used: making a hundred thousand takes a while."""
        return Path(self.name)


def find(
    sources: Iterable[str], suffixes: Sequence[str], output: Path | None = None, spool: Path | None = None
) -> tuple[list[Source], list[FastdlError]]:
    """The files that are named, match a glob, or end in `suffixes` in a folder; and the errors of other sources.

    Folders that links lead to are searched once each. Files in `output` and `._*` files, which macOS writes beside
    others, are left out. Pipes, and - for standard input, are copied into the folder `spool` first.
    """
    found: dict[tuple[str, str], Source] = {}
    problems: list[FastdlError] = []
    words: list[str] = []
    for source in sources:
        try:
            words += _expand(source)
        except FileError as error:
            problems.append(error)
    for one in words:
        try:
            if one == "-" or is_pipe(one):
                files = [_spooled(one, suffixes, spool)]
            elif os.path.isdir(one):
                files = _search(Path(one), tuple(suffixes), output, problems)
            else:
                files = [Source(str(Path(one)), os.path.basename(one))]
        except FileError as error:
            problems.append(error)
            continue
        place = os.path.realpath(one) if len(words) > 1 else one  # a file may be given twice, by different names
        for file in files:
            found.setdefault((os.path.join(place, file.relative) if file.searched else place, file.relative), file)
    if not found and problems:
        raise problems.pop()
    return list(found.values()), problems


def _expand(source: str) -> list[str]:
    """The paths that a word of the command line stands for: itself, or the matches of a glob."""
    if source == "-" or os.path.lexists(source):
        return [source]
    matches = sorted(glob.glob(source, recursive=True))
    if not matches:
        raise FileError(source, "no such file")
    return matches


def is_pipe(name: str) -> bool:
    try:
        mode = os.stat(name).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISSOCK(mode)


def _search(top: Path, suffixes: tuple[str, ...], output: Path | None, problems: list[FastdlError]) -> list[Source]:
    found: list[Source] = []
    before = len(problems)
    seen: set[tuple[int, int]] = set()
    todo = [(str(top), "")]
    while todo:
        folder, below = todo.pop()
        try:
            place = os.stat(folder)
            with os.scandir(folder) as entries:
                inside = list(entries)
        except OSError as error:
            problems.append(FileError(error.filename, f"cannot be searched: {error.strerror}"))
            continue
        if (place.st_dev, place.st_ino) in seen or (below and output is not None and _same(folder, output)):
            continue
        seen.add((place.st_dev, place.st_ino))
        for entry in inside:
            name = entry.name
            if _is_folder(entry):
                todo.append((entry.path, f"{below}{name}{os.sep}"))
            elif (
                name.lower().endswith(suffixes)
                and not (name.startswith("._") or temporaries.is_temporary(name))
                and (entry.is_file() or not is_pipe(entry.path))
            ):
                found.append(Source(entry.path, below + name, searched=True))
    if not found and len(problems) == before:
        raise FileError(top, f"holds no file ending in {', '.join(suffixes)}")
    return sorted(found, key=lambda source: source.relative.split(os.sep))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _same(a: str | Path, b: str | Path) -> bool:
    try:
        return os.path.samefile(a, b)
    except OSError:
        return False


def _spooled(name: str, suffixes: Sequence[str], spool: Path | None) -> Source:
    """The bytes of a pipe as a file, with the suffix of the format that their first bytes show."""
    label = "standard input" if name == "-" else name
    if spool is None:
        raise FileError(label, "is a pipe; this command reads files")
    stem = "stdin" if name == "-" else Path(name).stem
    path = spool / f"{len(list(spool.iterdir()))}"
    with open(sys.stdin.fileno() if name == "-" else name, "rb", closefd=name != "-") as pipe, open(path, "wb") as file:
        try:
            shutil.copyfileobj(pipe, file, 1 << 20)
        except OSError as error:
            raise FileError(label, f"cannot be kept in {spool.parent}: {error.strerror}") from None
    suffix = Path(name).suffix.lower()
    if suffix not in suffixes:
        with open(path, "rb") as file:
            head = file.read(128)
        suffix = next((s for start, s in _BEGINNINGS if head.startswith(start) and s in suffixes), "")
        if suffix == ".las" and head[104:105] >= b"\x80":  # bit 7 of the point format marks LAZ
            suffix = ".laz"
        if not suffix and head:
            raise FileError(label, f"begins like none of the kinds read: {', '.join(suffixes)}", 0)
    final = path.with_name(f"{path.name}-{stem}{suffix}")
    os.rename(path, final)
    return Source(str(final), stem + suffix, label=label)


def is_folder(
    output: Path, said: bool, sources: Sequence[Source], formats: Sequence[str], kinds: Sequence[str]
) -> bool:
    """Whether `output` is a folder for results, or the file of one result.

    `said` is true where the name ends with a slash; `formats` are the suffixes that can be written, `kinds` those that
    are read.
    """
    ending = output.suffix.lower()
    store = ending == ".zarr" and ending in formats  # a folder, but a single result
    if (said or output.is_dir()) and not store:
        return True
    hint = f"for a folder of that name write {output}{os.sep}"
    if ending in formats:
        if len(sources) > 1:
            raise InputError(f"{output} takes one file, got {len(sources)}; {hint}")
        return False
    found = len(sources) > 1 or all(source.searched for source in sources)
    if ending in kinds or (ending and not found):
        raise InputError(f"{output} must end in {' or '.join(formats)}; {hint}")
    return True


def check_output(
    output: Path,
    formats: Sequence[str],
    *,
    reads: Sequence[Path],
    overwrite: bool,
    make_folder: bool = True,
    option: str = "--output",
) -> None:
    """Raise, before any work is done, where a command's only result cannot be written to `output`.

    `formats` are the endings that can be written; `reads` are the files that the command reads.
    """
    if any(_same(output, path) for path in reads):
        raise FileError(output, "is the input itself; write to another folder or name")
    if formats and output.suffix.lower() not in formats:
        raise InputError(f"{option} must end in {' or '.join(formats)}, got {output}")
    if output.is_dir():
        raise FileError(output, "is a folder; a file is to be written there")
    if os.path.lexists(output) and not overwrite and not is_pipe(str(output)):
        raise FileError(output, "exists; --overwrite replaces it")
    folder = output.parent
    if make_folder:
        folder.mkdir(parents=True, exist_ok=True)
    if not folder.is_dir():
        raise FileError(output, f"there is no folder {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise FileError(output, f"the folder {folder} cannot be written to")


@dataclass(frozen=True)
class Plan:
    """The sources and their targets."""

    pairs: list[tuple[Source, Path]]
    there: set[Path]  # targets that will be replaced
    alike: list[Path]  # targets of sources that differ in their endings alone, which these keep

    def __iter__(self) -> Iterator[tuple[Source, Path]]:
        return iter(self.pairs)


def plan(
    sources: Sequence[Source],
    output: Path,
    folder: bool,
    suffix: Callable[[Path], str],
    *,
    replace: Callable[[Source, Path], bool],
    companions: Callable[[Path], Sequence[str]] = lambda target: (),
    reads: Sequence[Path] = (),
) -> Plan:
    """A target for each source, which keeps its ending where others differ in theirs alone.

    Refused where two results, or a result and what the job reads, would be one file.

    `replace(source, target)` says whether what is there may be replaced; `companions(target)` are the files written
    beside it; `reads` what the job reads beside its sources.
    """
    pairs = [(source, output) for source in sources]
    alike: list[Path] = []
    if folder:
        endings = [suffix(source.path) for source in sources]
        names = [_with_suffix(source.relative, ending) for source, ending in zip(sources, endings)]
        twice = {name for name, count in Counter(names).items() if count > 1}
        kept = [s.relative + e if n in twice else n for s, e, n in zip(sources, endings, names)]
        pairs = [(source, Path(output, name)) for source, name in zip(sources, kept)]
        alike = [target for (_, target), name in zip(pairs, names) if name in twice]
    written: dict[str, Source] = {}
    there: list[tuple[Path, Source, Path]] = []
    may_exist = _Existing(len(pairs))
    for source, target in pairs:
        for name in (str(target), *companions(target)):
            if name in written:
                raise InputError(f"{written[name]} and {source} would both be written to {name}")
            written[name] = source
            if may_exist(name) and os.path.lexists(name):
                there.append((Path(name), source, target))
    if there:
        _refuse(there, [*reads, *(source.path for source in sources)], replace)
    return Plan(pairs, {path for path, _, _ in there}, alike)


class _Existing:
    """Whether a file may be there: by one listing of its folder where many are asked for."""

    def __init__(self, files: int):
        self.lists = files > _FEW
        self.folders: dict[str, set[str] | None] = {}  # None: there may be anything

    def __call__(self, name: str) -> bool:
        parent, base = os.path.split(name)
        if parent not in self.folders:
            self.folders[parent] = self._names(parent or os.curdir)
        names = self.folders[parent]
        return names is None or _folded(base) in names

    def _names(self, folder: str) -> set[str] | None:
        try:
            return set(map(_folded, os.listdir(folder))) if self.lists else None
        except FileNotFoundError:
            return set()
        except OSError:
            return None


def _folded(name: str) -> str:
    """The same for all names that some file system takes for one."""
    return (name if name.isascii() else unicodedata.normalize("NFKC", name)).casefold()


def _with_suffix(relative: str, suffix: str) -> str:
    """As Path.with_suffix: a dot at the beginning or end of a name does not begin a suffix."""
    folder, slash, name = relative.rpartition(os.sep)
    stem, dot, ending = name.rpartition(".")
    return folder + slash + (stem if dot and stem and ending else name) + suffix


def _refuse(
    there: Sequence[tuple[Path, Source, Path]], reads: Sequence[Path], replace: Callable[[Source, Path], bool]
) -> None:
    """Raise where what is there is read, is a folder, or must not be replaced."""
    read = {_identity(path) for path in reads}
    kept: list[Path] = []
    for path, source, target in there:
        if _identity(path) in read:
            what = "the input itself" if _same(path, source.path) else "read by this job, too"
            raise FileError(path, f"is {what}; write to another folder or name")
        if path.is_dir() and path.suffix.lower() != ".zarr":
            raise FileError(path, "is a folder; a file is to be written there")
        if not is_pipe(str(path)) and not replace(source, target):
            kept.append(path)
    if kept:
        more = f" (and {len(kept) - _NAMED} more)" if len(kept) > _NAMED else ""
        raise FileError(", ".join(map(str, kept[:_NAMED])) + more, "exists; --overwrite replaces it")


def _identity(path: Path) -> object:
    """A key that is the same for all names (hard links, symbolic links) of a file."""
    try:
        entry = os.stat(path)
    except OSError:
        return str(path)
    return entry.st_dev, entry.st_ino
