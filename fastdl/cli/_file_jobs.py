"""The common part of commands that turn files into files: sources, targets, options and reports."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastdl.cli import _sources
from fastdl.cli._job_record import JobRecord
from fastdl.cli._job_workers import Result, Work, amount, run_all, size_of
from fastdl.cli._progress import ProgressBar
from fastdl.cli._sources import Source
from fastdl.files import temporaries

_DELAY = 0.25  # seconds between two writes to the record of finished files


def add_arguments(command: argparse.ArgumentParser, output: str = "folder or file to write to") -> None:
    """Add SRC... -o DST and the options that all commands have that turn files into files."""
    command.add_argument("sources", nargs="+", metavar="SRC", help="files, folders or globs; - for standard input")
    command.add_argument("-o", "--output", required=True, action=_Output, metavar="DST", help=output)
    group = command.add_argument_group("the job")
    group.add_argument("--jobs", type=int, metavar="N", help="files at once (default: the processors this process has)")
    group.add_argument("--overwrite", action="store_true", help="replace files that are there")
    group.add_argument(
        "--skip-existing",
        action="store_true",
        help="leave out results that an earlier run wrote from the same sources with the same options",
    )
    group.add_argument(
        "--no-sync", dest="sync", action="store_false", help="do not wait until results are safe from a power cut"
    )
    group.add_argument("--scheduler", metavar="ADDRESS|local", help="a Dask cluster whose workers take the files")
    group.add_argument("--json", action="store_true", help="a JSON object for each file, a line each")
    group.add_argument("--quiet", action="store_true", help="print errors only")


class _Output(argparse.Action):
    """An output path, and whether it ended with a slash, which `Path` drops."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        if values in ("", "-"):
            parser.error(f"argument {option_string}: name a file or a folder, got {values!r}")
        namespace.output = Path(values)
        namespace.output_is_folder = values.endswith((os.sep, os.altsep or os.sep))


@dataclass
class Totals:
    """Totals over all files that were done."""

    results: list[Result]
    seconds: float

    @property
    def files(self) -> str:
        """The number of files, in words."""
        return f"{len(self.results)} file{'s' * (len(self.results) != 1)}"

    def sum(self, name: str) -> Any:
        """The sum over the files of a detail that the work reported."""
        return sum(result.details.get(name, 0) for result in self.results)

    def rate(self, amount: float) -> float:
        """An amount per second."""
        return amount / max(self.seconds, 1e-9)

    def mixed(self, names: Sequence[str]) -> list[str]:
        """Sentences on details that differ between the files: "2 rates: 8000 (3 files), 16000 (1 file)"."""
        told = []
        for name in names:
            counts = Counter(_text(r.details[name]) for r in self.results if name in r.details)
            if len(counts) > 1:
                few = ", ".join(f"{value} ({n} file{'s' * (n != 1)})" for value, n in counts.most_common(4))
                told.append(f"{len(counts)} {name.rstrip('s')}s: {few}{', ...' if len(counts) > 4 else ''}")
        return told


class FileJobs:
    """The files of one command.

    Parameters
    ----------
    options
        The parsed options of `add_arguments`.
    kinds
        The suffixes of files that are searched for in a folder.
    formats
        The suffixes that a result can be written with.
    suffix
        The suffix of a source's result, where the output is a folder.
    companions
        The suffixes of further files written beside a target.
    reads
        Files that the job reads beside its sources.
    """

    def __init__(
        self,
        options: argparse.Namespace,
        kinds: Sequence[str],
        formats: Sequence[str],
        suffix: str | Callable[[Path], str],
        *,
        companions: Callable[[Path], Sequence[str]] = lambda target: (),
        reads: Sequence[Path] = (),
    ):
        self.options, self.kinds, self.formats = options, kinds, formats
        self.suffix: Callable[[Path], str] = suffix if callable(suffix) else lambda source: suffix
        self.companions, self.reads = companions, reads
        self.results: list[Result] = []
        self.failed = self.skipped = 0
        self.alike: list[Path] = []  # targets whose names keep the endings of their sources
        self._unrecorded: list[Result] = []
        self._recorded = time.perf_counter()

    def run(
        self,
        work: Work,
        summary: Callable[[Totals], str],
        *,
        unit: str = "B",
        total: Callable[[Path], float] = size_of,
        mixed: Sequence[str] = (),
        parts: Callable[[Path], float] | None = None,
    ) -> int:
        """Call work(source, target, progress) for each file; returns the command's exit code.

        A file that fails is reported and does not stop the others. `summary` gives the text of what was done; `total`
        the amount of a source in the unit of the bar; `mixed` names details that should be the same for all files.
        `parts` gives the bytes of a source that `work` divides among the workers of `progress.cluster`, 0 for one that
        it does not divide.
        """
        options = self.options
        with ExitStack() as stack:
            spool = stack.enter_context(temporaries.folder()) if _any_pipe(options.sources) else None
            pairs, record = self._plan(spool)
            progress = ProgressBar(None, unit, options.quiet or options.json)
            if progress.shown:
                progress.total = sum(amount(total, source.path) for source, _ in pairs)
            stack.enter_context(progress)
            stack.callback(self._record, record)
            for result in run_all(pairs, work, options, progress, parts):
                self._count(result)
                # On a cluster, files take so long that each is recorded at once, so that none is done again.
                if options.scheduler or time.perf_counter() - self._recorded > _DELAY:
                    self._record(record)
                self._tell(result)
            seconds = progress.seconds
        if options.scheduler:
            for folder in {target.parent for _, target in pairs}:
                temporaries.sweep(str(folder))  # remove unfinished files of workers that died
        if not (options.quiet or options.json):
            self._summarize(Totals(self.results, seconds), summary, mixed)
        return 1 if self.failed else 0

    def _plan(self, spool: Path | None) -> tuple[list[tuple[Source, Path]], JobRecord | None]:
        """The (source, target) pairs to do, and the record of finished ones; makes the folders of the targets."""
        options = self.options
        sources, problems = _sources.find(options.sources, self.kinds, options.output, spool)
        for problem in problems:
            self._fail(str(problem))
        folder = _sources.is_folder(options.output, options.output_is_folder, sources, self.formats, self.kinds)
        root = options.output if folder else options.output.parent
        record = JobRecord(root, options, self.reads) if folder or options.skip_existing else None

        def replace(source: Source, target: Path) -> bool:
            known = record is not None and (record.is_finished(source.name, target) or record.is_unfinished(target))
            return bool(options.overwrite or (options.skip_existing and known))

        plan = _sources.plan(
            sources, options.output, folder, self.suffix, replace=replace, companions=self.companions, reads=self.reads
        )
        self.alike = plan.alike
        pairs = []
        for source, target in plan:
            if record is not None and options.skip_existing and record.is_finished(source.name, target):
                skipped = Result(source, target, skipped=True)
                self._count(skipped)
                self._tell(skipped)
            else:
                pairs.append((source, target))
        for parent in {target.parent for _, target in pairs}:
            parent.mkdir(parents=True, exist_ok=True)
        if record is not None:
            record.begin(target for _, target in pairs if target not in plan.there)
        return pairs, record

    def _record(self, record: JobRecord | None) -> None:
        """Write the files finished since the last call to the record."""
        if record is not None:
            record.finish((r.source.name, r.stamp, r.target, r.made) for r in self._unrecorded)
            if not self.results:
                record.close()
        self._unrecorded = []
        self._recorded = time.perf_counter()

    def _count(self, result: Result) -> None:
        if result.error is None and result.skipped:
            self.skipped += 1
        elif result.error is None:
            self.results.append(result)
            if not result.source.label:
                self._unrecorded.append(result)

    def _tell(self, result: Result) -> None:
        if self.options.json:
            print(result.json())
        if result.error is not None:
            self._fail(result.error)

    def _fail(self, message: str) -> None:
        self.failed += 1
        print(f"fastdl: {message}", file=sys.stderr)

    def _summarize(self, totals: Totals, summary: Callable[[Totals], str], mixed: Sequence[str]) -> None:
        parts = [f"{summary(totals)} -> {self.options.output}", *totals.mixed(mixed)]
        if self.alike:
            parts.append(f"{len(self.alike)} of sources called alike keep their endings, such as {self.alike[0].name}")
        if self.skipped:
            parts.append(f"{self.skipped} were there already")
        if self.failed:
            parts.append(f"{self.failed} failed")
        print("; ".join(parts))


def _any_pipe(sources: Sequence[str]) -> bool:
    return any(source == "-" or _sources.is_pipe(source) for source in sources)


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
