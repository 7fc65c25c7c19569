"""The pages of `fastdl demo` (a chapter per subject) and `fastdl report` (a chapter per file), each one HTML file."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from pathlib import Path

from fastdl._typing import Progress
from fastdl.report.page import Chapter, machine, render
from fastdl.streaming import ProgressEvent

#: The modules of this package that hold a chapter of the demo, in the order of the page.
CHAPTERS = (
    "audio",
    "points",
    "sequences",
    "graphs",
    "targets",
    "features",
    "losses",
    "linear",
    "linear_methods",
    "selection",
    "network",
)
TITLE = "Every subject at work"
LEAD = (
    "fastdl turns audio, point clouds, sequences, graphs and tables into arrays for a model, and fits and judges the "
    "first model on them. Each chapter says one thing, shows it, and gives the code that made it, with its time beside "
    "the same call in plain NumPy."
)


def build(path: str | Path, chapters: Iterable[str] = CHAPTERS, progress: Progress | None = None) -> Path:
    """Run chapters of the demo and write the page, one self-contained HTML file, to `path`."""
    pages: list[Chapter] = []
    chapters = list(chapters)
    for done, name in enumerate(chapters):
        if progress is not None:
            progress(ProgressEvent(done, len(chapters), "chapters", details={"chapter": name}))
        pages.append(importlib.import_module(f"fastdl.report.{name}").chapter())
    return write(path, pages, TITLE, LEAD)


def write(path: str | Path, chapters: list[Chapter], title: str, lead: str) -> Path:
    """Write the page; after an error there is no file, never a part of one."""
    from fastdl.files.atomic import replacing

    with replacing(Path(path)) as file:
        file.write(render(chapters, title, lead, machine()).encode())
    return Path(path)
