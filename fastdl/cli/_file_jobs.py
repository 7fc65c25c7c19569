"""What commands that turn files into files share: which files, where to, how many at once, and what is told of it."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import starmap
from pathlib import Path
from typing import Any

from fastdl.cli import _sources
from fastdl.cli._job_record import JobRecord
from fastdl.cli._progress import Progress
from fastdl.cli._sources import Source
from fastdl.errors import FastdlError, InputError
from fastdl.files import _temporaries, atomic

#: work(source, target, progress): what is to be said of the file.
Work = Callable[[Path, Path, Progress], dict[str, Any]]
_SMALL, _SAMPLED = 1 << 17, 32  # bytes of a file that is small; files that are looked at to tell
_AHEAD = 16  # files for each worker that are begun or wait
_TOGETHER, _DELAY = 256, 0.25  # small files that get their names at once; seconds that the first of them waits


def add_arguments(command: argparse.ArgumentParser, output: str = "folder or file to write to") -> None:
    """SRC... -o DST and the options that every command has that turns files into files."""
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
    """A path, and whether it was written as a folder's; Path forgets the slash at the end."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: Any = None) -> None:
        if values in ("", "-"):
            parser.error(f"argument {option_string}: name a file or a folder, got {values!r}")
        namespace.output = Path(values)
        namespace.output_is_folder = values.endswith((os.sep, os.altsep or os.sep))


@dataclass
class Result:
    """What became of a file."""

    source: Source
    target: Path
    details: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    error: str | None = None
    skipped: bool = False
    group: atomic.Group | None = None  # of small files that still wait for their names

    def json(self) -> str:
        """One line."""
        fields = {"input": str(self.source), "output": str(self.target), **self.details, "skipped": self.skipped}
        return json.dumps({**fields, "seconds": round(self.seconds, 6), "error": self.error}, default=_plain)


@dataclass
class Totals:
    """Of all files that were done."""

    results: list[Result]
    seconds: float

    @property
    def files(self) -> str:
        """So many files."""
        return f"{len(self.results)} file{'s' * (len(self.results) != 1)}"

    def sum(self, name: str) -> Any:
        """Of a number that the work said."""
        return sum(result.details.get(name, 0) for result in self.results)

    def rate(self, amount: float) -> float:
        """For each second."""
        return amount / max(self.seconds, 1e-9)

    def mixed(self, names: Sequence[str]) -> list[str]:
        """What differs between the files: "2 rates: 8000 (3 files), 16000 (1 file)"."""
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
        What `add_arguments` parsed.
    kinds
        The endings that a folder is searched for.
    formats
        The endings that a result can be written with.
    suffix
        That of the result of a source, where the output is a folder.
    companions
        What is written beside a target.
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
        companions: Callable[[Path], Sequence[Path]] = lambda target: (),
        reads: Sequence[Path] = (),
    ):
        self.options, self.kinds, self.formats = options, kinds, formats
        self.suffix: Callable[[Path], str] = suffix if callable(suffix) else lambda source: suffix
        self.companions, self.reads = companions, reads
        self.results: list[Result] = []
        self.failed = self.skipped = 0
        self._unrecorded: list[Result] = []
        self._recorded = time.perf_counter()

    def run(
        self,
        work: Work,
        summary: Callable[[Totals], str],
        *,
        unit: str = "B",
        total: Callable[[Path], float] = lambda source: _size(source),
        mixed: Sequence[str] = (),
    ) -> int:
        """work(source, target, progress) for each file: the command's exit code.

        A file that fails says so and does not stop the others. `summary` says what was done; `total` gives the amount
        of a source in the unit of the bar; `mixed` are details that should be the same for all files.
        """
        options = self.options
        with ExitStack() as stack:
            spool = stack.enter_context(_temporaries.folder()) if _any_pipe(options.sources) else None
            pairs, record = self._plan(spool)
            progress = Progress(None, unit, options.quiet or options.json)
            if progress.shown:
                progress.total = sum(_quietly(total, source.path) for source, _ in pairs)
            stack.enter_context(progress)
            stack.callback(self._record, record)
            for result in _attempts(pairs, work, options, progress):
                self._tell(result)
                if time.perf_counter() - self._recorded > _DELAY:
                    self._record(record)
            seconds = progress.seconds
        if options.scheduler:
            for folder in {target.parent for _, target in pairs}:
                _temporaries.sweep(str(folder))  # what workers that died were writing
        if not (options.quiet or options.json):
            self._summarize(Totals(self.results, seconds), summary, mixed)
        return 1 if self.failed else 0

    def _plan(self, spool: Path | None) -> tuple[list[tuple[Source, Path]], JobRecord | None]:
        """What is to be done, and where it is recorded; targets' folders are made."""
        options = self.options
        sources, problems = _sources.find(options.sources, self.kinds, options.output, spool)
        for problem in problems:
            self._fail(str(problem))
        folder = _sources.is_folder(options.output, options.output_is_folder, sources, self.formats, self.kinds)
        root = options.output if folder else options.output.parent
        record = JobRecord(root, options, self.reads) if folder or options.skip_existing else None

        def replace(source: Source, target: Path) -> bool:
            known = record is not None and (record.is_finished(source.path, target) or record.is_unfinished(target))
            return bool(options.overwrite or (options.skip_existing and known))

        plan = _sources.plan(
            sources, options.output, folder, self.suffix, replace=replace, companions=self.companions, reads=self.reads
        )
        pairs = []
        for source, target in plan:
            if record is not None and options.skip_existing and record.is_finished(source.path, target):
                self._tell(Result(source, target, skipped=True))
            else:
                pairs.append((source, target))
        for parent in {target.parent for _, target in pairs}:
            parent.mkdir(parents=True, exist_ok=True)
        if record is not None:
            record.begin(target for _, target in pairs if target not in plan.there)
        return pairs, record

    def _record(self, record: JobRecord | None) -> None:
        """Remember what was finished since the last time."""
        if record is not None:
            record.finish((result.source.path, result.target) for result in self._unrecorded)
            if not self.results:
                record.close()
        self._unrecorded = []
        self._recorded = time.perf_counter()

    def _tell(self, result: Result) -> None:
        if self.options.json:
            print(result.json())
        if result.error is not None:
            self._fail(result.error)
        elif result.skipped:
            self.skipped += 1
        else:
            self.results.append(result)
            if not result.source.label:
                self._unrecorded.append(result)

    def _fail(self, message: str) -> None:
        self.failed += 1
        print(f"fastdl: {message}", file=sys.stderr)

    def _summarize(self, totals: Totals, summary: Callable[[Totals], str], mixed: Sequence[str]) -> None:
        parts = [f"{summary(totals)} -> {self.options.output}", *totals.mixed(mixed)]
        if self.skipped:
            parts.append(f"{self.skipped} were there already")
        if self.failed:
            parts.append(f"{self.failed} failed")
        print("; ".join(parts))


def attempt(work: Work, source: Source, target: Path, progress: Progress, sync: bool, together: bool) -> Result:
    """One file; whatever goes wrong becomes a sentence that names it."""
    result = Result(source, target)
    group = atomic.Group(sync)
    start = time.perf_counter()
    try:
        with group.gathering():
            result.details = work(source.path, target, progress)
        if together:
            result.group = group
        else:
            group.commit(synced=False)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        # Libraries written in Rust end in a PanicException, which is no Exception.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        result.error = _sentence(error, source)
    result.seconds = time.perf_counter() - start
    return result


def _sentence(error: BaseException, source: Source) -> str:
    """What went wrong with a file, in one line that names the file."""
    text = str(error).strip() or "no reason given"
    if isinstance(error, OSError) and not isinstance(error, FastdlError):
        text = f"{error.filename or source}: {error.strerror or text}"
    elif isinstance(error, MemoryError):
        text = f"{source}: does not fit in memory" + (f": {error}" if str(error) else "")
    elif not isinstance(error, FastdlError):
        text = f"{source}: {type(error).__name__}: {text}"
    if source.label:
        text = text.replace(str(source.path), source.label)
    elif str(source.path) not in text:
        text = f"{source}: {text}"
    return " ".join(text.split()) if "\n" in text else text


def _attempts(
    pairs: Sequence[tuple[Source, Path]], work: Work, options: argparse.Namespace, progress: Progress
) -> Iterator[Result]:
    """The result of each file, when it has its name."""
    from fastdl import _threads  # NumPy's import would double the time of --help

    if options.scheduler:
        with _cluster(options.scheduler, _threads.count(options.jobs)) as executor:
            pairs = [(_absolute(source), target.absolute()) for source, target in pairs]
            yield from _share(pairs, _Remote(work, options.sync), executor, progress, _threads.count(options.jobs))
        return
    workers = _threads.count(options.jobs)
    if options.jobs is None and _are_small(pairs):
        workers = 1  # Python threads would only wait for each other
    progress.workers = workers = max(1, min(len(pairs), workers))
    with ThreadPoolExecutor(workers) as executor, ThreadPoolExecutor(workers) as progress.helper:

        def one(source: Source, target: Path) -> Result:
            return attempt(work, source, target, progress, options.sync, together=True)

        yield from _named(starmap(one, pairs) if workers == 1 else _share(pairs, one, executor, progress, workers))


def _are_small(pairs: Sequence[tuple[Source, Path]]) -> bool:
    """Whether opening and naming the files takes longer than what is done with their bytes."""
    some = pairs[:: max(1, len(pairs) // _SAMPLED)]
    return sum(_quietly(_size, source.path) for source, _ in some) < _SMALL * len(some)


def _size(path: Path) -> int:
    return path.stat().st_size


def _share(
    pairs: Sequence[tuple[Source, Path]],
    one: Callable[[Source, Path], Result],
    executor: Executor,
    progress: Progress,
    workers: int,
) -> Iterator[Result]:
    """one(source, target) for all pairs, by the workers of an executor; Ctrl-C stops each when it next tells."""
    todo = iter(pairs)
    waiting: dict[Future[Result], tuple[Source, Path]] = {}
    try:
        while True:
            while len(waiting) < workers * _AHEAD and (pair := next(todo, None)) is not None:
                waiting[executor.submit(one, *pair)] = pair
            if not waiting:
                return
            for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                source, target = waiting.pop(future)
                try:
                    yield future.result()
                except Exception as error:  # the worker itself died, or the result could not be sent
                    yield Result(source, target, error=_sentence(error, source))
    except BaseException:
        progress.stopped = True
        for future in waiting:
            future.cancel()
        raise


def _named(results: Iterator[Result]) -> Iterator[Result]:
    """The results, small files having got their names together."""
    waiting: list[Result] = []
    since = time.perf_counter()
    try:
        for result in results:
            if result.group is None or not result.group.sets:
                yield result
                continue
            if not waiting:
                since = time.perf_counter()
            waiting.append(result)
            if len(waiting) >= _TOGETHER or time.perf_counter() - since > _DELAY:
                yield from _name(waiting)
                waiting = []
        yield from _name(waiting)
        waiting = []
    finally:
        for result in waiting:
            if result.group is not None:
                result.group.discard()


def _name(results: list[Result]) -> Iterator[Result]:
    groups = [result.group for result in results if result.group is not None]
    for result, problem in zip(results, atomic.commit_groups(groups)):
        result.group = None
        if problem is not None:
            result.error = _sentence(problem, result.source)
        yield result


@dataclass(frozen=True)
class _Remote:
    """The work on a file, as it is sent to another process."""

    work: Work
    sync: bool

    def __call__(self, source: Source, target: Path) -> Result:
        with ThreadPoolExecutor(1) as helper:
            progress = Progress(quiet=True, helper=helper)
            return attempt(self.work, source, target, progress, self.sync, together=False)


def _absolute(source: Source) -> Source:
    """For a process that works in another folder."""
    return Source(source.path.absolute(), source.relative, source.searched, source.label)


@contextmanager
def _cluster(address: str, workers: int) -> Iterator[Executor]:
    """An executor whose workers are those of a Dask cluster; one on this machine is started for "local"."""
    from fastdl import _check

    distributed = _check.extra("distributed", "scale", "--scheduler")
    with ExitStack() as stack:
        if address == "local":
            with _undisturbed():
                cluster = distributed.LocalCluster(
                    n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None
                )
            address = stack.enter_context(cluster).scheduler_address
        try:
            client = stack.enter_context(distributed.Client(address, timeout=10, set_as_default=False))
        except (OSError, ValueError) as error:
            raise InputError(f"--scheduler: there is no Dask scheduler at {address}: {error}") from None
        # A worker that dies costs its file: another worker begins it anew, three times at most.
        yield client.get_executor(pure=False, retries=3)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Processes that are started within leave Ctrl-C to this one, and end when it ends."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # which they inherit
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _any_pipe(sources: Sequence[str]) -> bool:
    return any(source == "-" or _sources.is_pipe(source) for source in sources)


def _quietly(total: Callable[[Path], float], source: Path) -> float:
    """Zero for a file that fails; that is said when its turn comes."""
    with suppress(Exception):
        return total(source)
    return 0


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _plain(value: Any) -> Any:
    """NumPy's numbers as Python's, paths as text."""
    return value.item() if hasattr(value, "item") else str(value)
