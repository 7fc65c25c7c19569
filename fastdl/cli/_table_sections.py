"""Tables on a cluster: workers read sections and work on their rows, the results come back in order."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastdl.cli._cluster import CommandWork, cluster_of, run_command
from fastdl.cli._progress import ProgressBar
from fastdl.errors import FastdlError, FileError, InputError, InputTypeError
from fastdl.files.tables import Table, TableSection

_SIZE = 1 << 24  # bytes of a section


class UnreadSectionError(Exception):
    """A section that no worker could read: the table is read as a whole, which says what is wrong with it and where."""


@dataclass(frozen=True)
class TableSource:
    """A table as commands open it, here or on a worker."""

    path: Path
    delimiter: str | None
    decimal: str
    header: bool | None

    @classmethod
    def of(cls, options: argparse.Namespace) -> TableSource:
        """The table that a command was given."""
        header = None if options.header is None else options.header == "yes"
        delimiter = {"\\t": "\t", "tab": "\t"}.get(options.delimiter, options.delimiter)
        return cls(options.table, delimiter, options.decimal, header)

    def open(self) -> Table:
        """The table."""
        return Table(self.path, delimiter=self.delimiter, decimal=self.decimal, header=self.header)

    def there(self) -> TableSource:
        """For a process that works in another folder."""
        return TableSource(self.path.absolute(), self.delimiter, self.decimal, self.header)


@dataclass(frozen=True)
class SectionWork:
    """What a worker does with a section: step(table, columns) for each of its parts; None where it cannot be read."""

    source: TableSource
    names: Sequence[str]
    step: Callable[[Table, list[Any]], Any]

    def __call__(self, section: TableSection) -> list[Any] | None:
        table = self.source.open()
        try:
            return [self.step(table, part) for part in table.parts(self.names, section)]
        except Exception:  # is told by the machine that asks, which knows all rows before
            return None


def run_parts(
    source: TableSource,
    names: Sequence[str],
    step: Callable[[Table, list[Any]], Any],
    take: Callable[[Any], int],
    progress: ProgressBar,
) -> None:
    """take(step(table, columns)) in order, for all rows of a table by parts, read by the workers where there are some.

    `take` gives the number of rows, for the bar.
    """
    table = source.open()
    if progress.cluster is None:
        for part in table.parts(names):
            progress.advance(take(step(table, part)))
        return

    def take_section(found: list[Any] | None) -> None:
        if found is None:
            raise UnreadSectionError
        for some in found:
            progress.advance(take(some))

    sections = table.sections(names, _SIZE) or []
    progress.cluster.run(sections, SectionWork(source.there(), names, step), take_section, lambda event: None)


def run_sections(work: CommandWork, options: argparse.Namespace, unit: str, writes: Sequence[Path]) -> str:
    """As `run_command`; with --scheduler, the sections of a table that has several by all workers.

    What the columns of the table do not allow is an error that names it.
    """
    try:
        return _run_sections(work, options, unit, writes)
    except (InputError, InputTypeError) as error:
        if str(options.table) in str(error):
            raise
        raise FileError(options.table, str(error)) from None


def _run_sections(work: CommandWork, options: argparse.Namespace, unit: str, writes: Sequence[Path]) -> str:
    if not (options.scheduler and _has_sections(TableSource.of(options))):
        return run_command(work, options, unit, writes)
    from fastdl import _threads

    with cluster_of(options.scheduler, _threads.count(None)) as cluster:
        with ProgressBar(None, unit, options.quiet) as progress:
            progress.cluster = cluster
            try:
                return work(options, progress)
            except UnreadSectionError:
                pass
        with ProgressBar(None, unit, options.quiet) as progress:
            return work(options, progress)


def _has_sections(source: TableSource) -> bool:
    """Whether there is something to share out; what is wrong with a table is said by the command."""
    with suppress(FastdlError):
        return len(source.open().sections(size=_SIZE) or ()) > 1
    return False
