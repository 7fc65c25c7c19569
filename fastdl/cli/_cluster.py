"""The command line on a Dask cluster: the files of a job on its workers, or a whole command on one of them."""

from __future__ import annotations

import argparse
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from operator import getitem
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastdl.cli._progress import ProgressBar
from fastdl.errors import InputError

if TYPE_CHECKING:
    from fastdl.streaming import ProgressEvent

_RETRIES = 3  # times that work is repeated after its worker died
#: work(options, progress): what a command does after its checks; it returns the text to print.
CommandWork = Callable[[argparse.Namespace, ProgressBar], str]


def add_scheduler(command: argparse.ArgumentParser) -> None:
    """--scheduler of a command that one worker does as a whole."""
    command.add_argument("--scheduler", metavar="ADDRESS|local", help="a Dask cluster, one of whose workers does it")


def run_command(work: CommandWork, options: argparse.Namespace, unit: str, writes: Sequence[Path]) -> str:
    """Do a command's work here or, with --scheduler, on a worker; if that dies, on another.

    `writes` are the files it writes: temporary files that a dead worker left beside them are removed.
    """
    if not options.scheduler:
        with ProgressBar(None, unit, options.quiet) as progress:
            return work(options, progress)
    from fastdl.files import temporaries

    there = argparse.Namespace(**{name: _sendable(value) for name, value in vars(options).items()})
    there.quiet = True
    with cluster_of(options.scheduler, 1) as cluster:
        told = cluster.executor.submit(_Remote(work), there).result()
    for folder in {path.absolute().parent for path in writes}:
        temporaries.sweep(str(folder))
    return told


class _Remote:
    """A command's work, as it is sent to another process."""

    def __init__(self, work: CommandWork):
        self.work = work

    def __call__(self, options: argparse.Namespace) -> str:
        return self.work(options, ProgressBar(quiet=True))


def _sendable(value: object) -> object:
    """An option for a process that works in another folder; parsers and functions stay here."""
    if isinstance(value, Path):
        return value.absolute()
    return None if callable(value) or isinstance(value, argparse.ArgumentParser) else value


@dataclass(frozen=True)
class Cluster:
    """A client of the cluster, and the number of threads of its workers."""

    executor: Executor
    threads: int
    client: Any

    def run(
        self,
        parts: Iterable[Any],
        work: Callable[[Any], Any],
        writer: Callable[[Any], Any],
        progress: Callable[[ProgressEvent], Any],
    ) -> None:
        """Have workers read and process the parts of a file; the results are written here, in order."""
        from fastdl.streaming import run

        run(parts, work, writer, executor=self.executor, in_flight=2 * self.threads, progress=progress)

    def exchange(
        self,
        parts: Sequence[Any],
        divide: Callable[[Any], Sequence[Any]],
        gather: Callable[[Any], Any],
        places: int,
    ) -> Generator[Any, None, None]:
        """A shuffle: yields first the account of each part, then the result of each place (partition).

        `divide(part)` gives an account and a piece for each place, `gather` turns all pieces of a place, in order, into
        its result. Pieces go from worker to worker, not through this process; those of a worker that dies are made
        again by others.
        """
        client, sent = self.client, {"pure": False, "retries": _RETRIES}
        divided = [client.submit(divide, part, **sent) for part in parts]
        told = deque(client.submit(getitem, some, 0, **sent) for some in divided)
        found = deque(
            client.submit(gather, [client.submit(getitem, some, k, **sent) for some in divided], **sent)
            for k in range(1, places + 1)
        )
        del divided  # a reference would keep all pieces in the workers' memory
        try:
            for waiting in (told, found):
                while waiting:
                    yield waiting.popleft().result()
        finally:
            client.cancel([*told, *found])


@dataclass(frozen=True)
class PartWork:
    """The work on a part of a file, which the worker reads itself."""

    read: Callable[[Any], Any]
    step: Callable[[Any], Any]

    def __call__(self, part: Any) -> Any:
        return self.step(self.read(part))


@contextmanager
def cluster_of(address: str, workers: int) -> Iterator[Cluster]:
    """The Dask cluster at an address; for "local" one is started on this machine."""
    from fastdl import _check

    distributed = _check.extra("distributed", "scale", "--scheduler")
    with ExitStack() as stack:
        if address == "local":
            with _undisturbed():
                cluster = distributed.LocalCluster(
                    n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=":0"
                )
            address = stack.enter_context(cluster).scheduler_address
        try:
            client = stack.enter_context(distributed.Client(address, timeout=10, set_as_default=False))
        except (OSError, ValueError) as error:
            raise InputError(f"--scheduler: there is no Dask scheduler at {address}: {error}") from None
        # A worker that dies costs its file, or part of a file: another begins it anew, three times at most.
        threads = sum(client.nthreads().values()) or workers
        yield Cluster(client.get_executor(pure=False, retries=_RETRIES), threads, client)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Child processes started in this context ignore Ctrl-C, which this process handles."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # children inherit it
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
