"""The HTML report of `fastdl demo`: a chapter a subject, each a module here with a function chapter() -> Chapter."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from pathlib import Path

from fastdl._typing import Progress
from fastdl.report.page import Chapter, render
from fastdl.streaming import ProgressEvent

#: The modules of this package that hold a chapter, in the order of the report.
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


def build(path: str | Path, chapters: Iterable[str] = CHAPTERS, progress: Progress | None = None) -> Path:
    """Run the chapters and write the report, one self-contained HTML file, to `path`."""
    from fastdl.files.atomic import replacing

    pages: list[Chapter] = []
    chapters = list(chapters)
    for done, name in enumerate(chapters):
        if progress is not None:
            progress(ProgressEvent(done, len(chapters), "chapters", details={"chapter": name}))
        pages.append(importlib.import_module(f"fastdl.report.{name}").chapter())
    path = Path(path)
    with replacing(path) as file:
        file.write(render(pages).encode())
    return path
