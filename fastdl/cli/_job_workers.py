"""The files of a job, done by threads of this process or by the workers of a cluster."""

from __future__ import annotations

import argparse
import json
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from itertools import starmap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastdl.cli._cluster import Cluster, cluster_of
from fastdl.cli._job_record import stamp_of
from fastdl.cli._progress import ProgressBar
from fastdl.cli._sources import Source
from fastdl.errors import FastdlError

#: work(source, target, progress) turns a file into a file and returns details to report.
Work = Callable[[Path, Path, ProgressBar], dict[str, Any]]
if TYPE_CHECKING:  # it imports NumPy, which `--help` need not wait for
    from fastdl.files import atomic

_SMALL, _SAMPLED = 1 << 17, 32  # bytes up to which a file is small; files whose sizes decide whether all are
_LARGE = 1 << 26  # bytes from which on the parts of a file are sent to several workers
_AHEAD = 16  # files submitted for each worker
_TOGETHER, _DELAY = 256, 0.25  # small files that are renamed to their targets at once; seconds until that is done
_BATCHES = 2  # groups of small files that may wait for the disk while others are processed


@dataclass
class Result:
    """The result of the work on a file."""

    source: Source
    target: Path
    details: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    error: str | None = None
    skipped: bool = False
    group: atomic.Group | None = None  # of small files that are not yet renamed to their targets
    stamp: list[int] | None = None  # of the source, before it was read
    made: list[int] | None = None  # stamp of the target when it was written, if known

    def json(self) -> str:
        """One line."""
        details = self.details
        known = dict.fromkeys(("items", "rate", "clipped", "dropped"))  # null where a kind of work has none
        known["items"] = details.get("voxels", details.get("letters"))
        if "kept" in details:  # of tiles that share voxels it is not known
            known["dropped"] = details["in"] - details["kept"]
        fields = {"input": str(self.source), "output": str(self.target), **known, **details}
        fields["skipped"] = self.skipped
        return json.dumps({**fields, "seconds": round(self.seconds, 6), "error": self.error}, default=_plain)


def attempt(work: Work, source: Source, target: Path, progress: ProgressBar, sync: bool, together: bool) -> Result:
    """Do the work on one file; any error becomes a sentence that names the file."""
    from fastdl.files import atomic

    result = Result(source, target, stamp=stamp_of(source.name))
    group = atomic.Group(sync)
    start = time.perf_counter()
    try:
        with group:
            result.details = work(source.path, target, progress)
        if together:
            result.group = group
        else:
            group.commit()
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
        text = text.replace(source.name, source.label)
    elif source.name not in text:
        text = f"{source}: {text}"
    return " ".join(text.split()) if "\n" in text else text


def run_all(
    pairs: Sequence[tuple[Source, Path]],
    work: Work,
    options: argparse.Namespace,
    progress: ProgressBar,
    parts: Callable[[Path], float] | None = None,
) -> Iterator[Result]:
    """Yields the result of each file once it is written; `parts` are the bytes that `work` divides, or 0."""
    from fastdl import _threads  # imports NumPy, which would double the time of --help

    if options.scheduler:
        with cluster_of(options.scheduler, _threads.count(options.jobs)) as cluster:
            pairs = [(_absolute(source), target.absolute()) for source, target in pairs]
            yield from _on_cluster(pairs, _Remote(work, options.sync), cluster, progress, parts)
        return
    workers = _threads.count(options.jobs)
    if options.jobs is None and _are_small(pairs):
        workers = 1  # for small files Python threads would only wait for the interpreter lock
    progress.workers = workers = max(1, min(len(pairs), workers))
    with ExitStack() as stack:
        executor = stack.enter_context(ThreadPoolExecutor(workers))
        progress.helper = stack.enter_context(ThreadPoolExecutor(workers))

        def one(source: Source, target: Path) -> Result:
            return attempt(work, source, target, progress, options.sync, together=True)

        results = starmap(one, pairs) if workers == 1 else _share(pairs, one, executor, progress, workers)
        yield from _rename_in_groups(results, stack.enter_context(ThreadPoolExecutor(1)))


def _on_cluster(
    pairs: Sequence[tuple[Source, Path]],
    remote: _Remote,
    cluster: Cluster,
    progress: ProgressBar,
    parts: Callable[[Path], float] | None,
) -> Iterator[Result]:
    """Large files are divided into parts and written here; each other file is done by one worker."""
    sizes = [amount(parts, source.path) if parts is not None else 0 for source, _ in pairs]
    least = max(_LARGE, sum(sizes) / cluster.threads)
    for (source, target), size in zip(pairs, sizes):
        if size > least:
            progress.cluster = cluster
            yield attempt(remote.work, source, target, progress, remote.sync, together=False)
    progress.cluster = None
    whole = [pair for pair, size in zip(pairs, sizes) if size <= least]
    yield from _share(whole, remote, cluster.executor, progress, cluster.threads)


def _are_small(pairs: Sequence[tuple[Source, Path]]) -> bool:
    """Whether the files are so small that opening and renaming them takes longer than processing their bytes."""
    some = pairs[:: max(1, len(pairs) // _SAMPLED)]
    return sum(amount(size_of, source.path) for source, _ in some) < _SMALL * len(some)


def size_of(path: Path) -> int:
    return path.stat().st_size


def _share(
    pairs: Sequence[tuple[Source, Path]],
    one: Callable[[Source, Path], Result],
    executor: Executor,
    progress: ProgressBar,
    workers: int,
) -> Iterator[Result]:
    """Call one(source, target) for all pairs in an executor; Ctrl-C stops each at its next report of progress."""
    todo = iter(pairs)
    submitted: dict[Future[Result], tuple[Source, Path]] = {}
    try:
        while True:
            while len(submitted) < workers * _AHEAD and (pair := next(todo, None)) is not None:
                submitted[executor.submit(one, *pair)] = pair
            if not submitted:
                return
            for future in wait(submitted, return_when=FIRST_COMPLETED).done:
                source, target = submitted.pop(future)
                try:
                    yield future.result()
                except Exception as error:  # the worker itself died, or the result could not be sent
                    yield Result(source, target, error=_sentence(error, source))
    except BaseException:
        progress.stopped = True
        for future in submitted:
            future.cancel()
        raise


def _rename_in_groups(results: Iterator[Result], renamer: Executor) -> Iterator[Result]:
    """The results; small files are written and renamed in groups, by another thread, while the next are processed."""
    ready: list[Result] = []
    renaming: deque[Future[list[Result]]] = deque()
    since = time.perf_counter()
    try:
        for result in results:
            while renaming and (renaming[0].done() or len(renaming) > _BATCHES):
                yield from renaming.popleft().result()
            if result.group is None or not result.group.sets:
                yield result
                continue
            if not ready:
                since = time.perf_counter()
            ready.append(result)
            if len(ready) >= _TOGETHER or time.perf_counter() - since > _DELAY:
                renaming.append(renamer.submit(_rename_group, ready))
                ready = []
        while renaming:
            yield from renaming.popleft().result()
        yield from _rename_group(ready)
        ready = []
    finally:
        for result in ready:
            if result.group is not None:
                result.group.discard()


def _rename_group(results: list[Result]) -> list[Result]:
    """Write and rename the small files of some results; what fails becomes the error of a result."""
    from fastdl.files import atomic

    groups = [result.group for result in results if result.group is not None]
    first = [group.sets[0][0] for group in groups]
    for result, problem, file in zip(results, atomic.commit_groups(groups), first):
        result.group = None
        if file.named is result.target:
            result.made = file.made
        if problem is not None:
            result.error = _sentence(problem, result.source)
    return results


@dataclass(frozen=True)
class _Remote:
    """The work on a file, as it is sent to another process."""

    work: Work
    sync: bool

    def __call__(self, source: Source, target: Path) -> Result:
        with ThreadPoolExecutor(1) as helper:
            progress = ProgressBar(quiet=True, helper=helper)
            return attempt(self.work, source, target, progress, self.sync, together=False)


def _absolute(source: Source) -> Source:
    """The source with an absolute path, for a process with another working folder."""
    return Source(str(source.path.absolute()), source.relative, source.searched, source.label)


def amount(total: Callable[[Path], float], source: Path) -> float:
    """The amount of a source; 0 if that fails, as the error is reported when the file's turn comes."""
    with suppress(Exception):
        return total(source)
    return 0


def _plain(value: Any) -> Any:
    """A value for JSON: NumPy's numbers as Python's, paths as text."""
    return value.item() if hasattr(value, "item") else str(value)
