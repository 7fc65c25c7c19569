"""The page of `fastdl report`: a chapter for each of a user's own files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fastdl import _check, report
from fastdl._typing import Progress
from fastdl.errors import FastdlError, FileError, InputError
from fastdl.files.audio import recordings
from fastdl.files.sequences import genomes
from fastdl.report.page import Chapter
from fastdl.streaming import ProgressEvent

#: What a file can be taken for.
KINDS = ("audio", "points", "sequences", "graph", "table")
_CLOUDS = (".las", ".laz", ".pcd", ".ply", ".e57", ".xyz", ".pts", ".bin")
_GRAPHS = (".mtx", ".edges", ".edgelist")
_TABLES = (".csv", ".tsv", ".txt", ".parquet", ".arrow", ".feather", ".npy", ".npz")
_ENDS = {"source", "src", "from", "target", "dst", "to", "sender", "receiver"}
#: Bytes that the sounds, scenes and pictures of all files together may take of the page's six million.
_ROOM = 3_000_000


@dataclass(frozen=True)
class Inspection:
    """The request for a chapter on a file.

    Parameters
    ----------
    path : Path
        The file.
    key : str
        The key of the chapter.
    target : str, optional
        For a table, the column to predict.
    room : int
        Bytes that its sound or scene may take.
    tell : callable
        Called with the share of the work that is done, 0 to 1.
    """

    path: Path
    key: str
    target: str | None
    room: int
    tell: Callable[[float], None]


def kind_of(path: Path) -> str:
    """The kind of a file, by the ending of its name, or by its columns or arrays where kinds share an ending."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    suffix = next((s for s in reversed(suffixes) if s not in (".gz", ".bgz", ".bz2", ".xz")), "")
    if suffix in recordings.SUFFIXES:
        return "audio"
    if suffix in _CLOUDS:
        return "points"
    if suffix in _GRAPHS:
        return "graph"
    if suffix in _TABLES:
        return _kind_of_table(_check.existing(path), suffix)
    if path.name.lower().removesuffix(".gz").endswith(genomes.SUFFIXES):
        return "sequences"
    known = " ".join(sorted({*recordings.SUFFIXES, *_CLOUDS, *_GRAPHS, *_TABLES, *genomes.SUFFIXES}))
    raise FileError(path, f"its name does not say what it is: name it by --as {', '.join(KINDS)} (known: {known})")


def _kind_of_table(path: Path, suffix: str) -> str:
    if suffix == ".npz":
        import zipfile

        try:
            names = {name.removesuffix(".npy") for name in zipfile.ZipFile(path).namelist()}
        except (zipfile.BadZipFile, OSError) as error:
            raise FileError(path, f"is no whole .npz file: {error}") from None
        return "graph" if names & {"indptr", "edge_index", "edges", "row"} else "table"
    if suffix in (".csv", ".tsv", ".txt"):
        with open(path, "rb") as file:
            head = file.read(4096).splitlines()[:1]
        line = head[0].decode("utf-8", "replace").lower() if head else ""
        for mark in ("\t", ";", "|", " "):
            line = line.replace(mark, ",")
        words = {word.strip('"') for word in line.split(",")}
        return "graph" if len(words & _ENDS) >= 2 else "points" if {"x", "y", "z"} <= words else "table"
    return "table"


def build(
    path: str | Path,
    files: Sequence[str | Path],
    *,
    target: str | None = None,
    kind: str | None = None,
    progress: Progress | None = None,
) -> list[FastdlError]:
    """Write the page of some files; what could not be read is left out, and returned.

    Raises
    ------
    InputError
        Where no file could be read; nothing is written then.
    """
    if kind is not None:
        _check.one_of("--as", kind, KINDS)
    chapters: list[Chapter] = []
    failed: list[FastdlError] = []
    for k, file in enumerate(map(Path, files)):

        def tell(part: float, k: int = k, file: Path = file) -> None:
            if progress is not None:
                progress(ProgressEvent(k + part, len(files), "files", details={"file": str(file)}))

        tell(0.0)
        asked = Inspection(file, f"file-{k + 1}", target, _ROOM // len(files), tell)
        try:
            chapters.append(_chapter(asked, kind))
        except FastdlError as error:
            failed.append(error if str(file) in str(error) else FileError(file, str(error)))
        except MemoryError:
            failed.append(FileError(file, "does not fit into memory"))
        except OSError as error:
            failed.append(FileError(file, error.strerror or str(error)))
    if not chapters:
        raise failed[0] if len(failed) == 1 else InputError("; ".join(str(error) for error in failed))
    if failed:
        page = Chapter(
            "failed", "Files that could not be read", "They are left out of this page, the others are whole."
        )
        page.table(["number", "problem"], [[k, str(error)] for k, error in enumerate(failed, 1)], "What was wrong")
        chapters.append(page)
    names = f"{len(chapters) - bool(failed)} file{'s' * (len(chapters) - bool(failed) != 1)}"
    lead = "What is in each file, what fastdl makes of it, and what was left out and why."
    report.write(path, chapters, f"A look into {names}", lead)
    return failed


def _chapter(asked: Inspection, kind: str | None) -> Chapter:
    _check.existing(asked.path)
    if asked.path.is_dir():
        raise FileError(asked.path, "is a folder; name the files in it")
    kind = kind or kind_of(asked.path)
    if kind == "audio":
        from fastdl.report.audio_file import chapter
    elif kind == "points":
        from fastdl.report.points_file import chapter
    elif kind == "sequences":
        from fastdl.report.sequences_file import chapter
    elif kind == "graph":
        from fastdl.report.graphs_file import chapter
    else:
        from fastdl.report.table_file import chapter
    return chapter(asked)
