"""The record of a folder of results: which of them are complete and up to date, so that a job can be resumed."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import fastdl

#: Beside the results: lines of what was begun, and of what each result was made from and how.
NAME = ".fastdl-record.jsonl"
_quoted = json.encoder.encode_basestring_ascii
#: Options that do not change what is written.
_FREE = {"sources", "output", "output_is_folder", "jobs", "overwrite", "quiet", "json", "skip_existing", "sync"}
_FREE |= {"scheduler", "threads", "run", "max_bytes", "parser"}


class JobRecord:
    """The record of a folder; several jobs may append to it at once."""

    def __init__(self, folder: Path, options: argparse.Namespace, reads: Sequence[Path] = ()):
        self.folder, self.path = folder, folder / NAME
        settings = {name: str(value) for name, value in vars(options).items() if name not in _FREE}
        known = [fastdl.__version__, sorted(settings.items()), [stamp_of(path) for path in reads]]
        self.options = hashlib.sha256(repr(known).encode()).hexdigest()[:16]
        self._lines: dict[str, dict[str, Any]] | None = None
        self._new = not self.path.exists()

    def is_finished(self, source: str, target: Path) -> bool:
        """Whether `target` was made from `source` as it is now, with the same options, and not changed since."""
        known = self._read().get(self._key(target))
        return known is not None and known == json.loads(self._line(source, stamp_of(source), target))

    def is_unfinished(self, target: Path) -> bool:
        """Whether an earlier run began to write `target`, which did not exist before, and never finished it."""
        return self._read().get(self._key(target), {}).get("result", ()) is None

    def begin(self, targets: Iterable[Path]) -> None:
        """Record targets that will be written."""
        self._append([f'{{"output": {_quoted(self._key(target))}, "result": null}}\n' for target in targets])

    def finish(self, results: Iterable[tuple[str, list[int] | None, Path, list[int] | None]]) -> None:
        """Record complete results: (source, its stamp before it was read, target, its stamp if known)."""
        self._append([self._line(source, stamp, target, made) for source, stamp, target, made in results])

    def close(self) -> None:
        """At the end of a job: a record without a result is removed."""
        if self._new:
            with suppress(OSError, ValueError):
                if all(json.loads(line)["result"] is None for line in self.path.read_bytes().splitlines()):
                    self.path.unlink()

    def _append(self, lines: list[str]) -> None:
        if not lines:
            return
        with suppress(OSError):  # without a record, the only loss is that a later run cannot resume
            handle = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
            try:
                os.write(handle, "".join(lines).encode())
            finally:
                os.close(handle)

    def _key(self, target: Path) -> str:
        above = f"{self.folder}{os.sep}"
        name = str(target)
        return name.removeprefix(above) if name.startswith(above) else os.path.relpath(target, self.folder)

    def _line(self, source: str, stamp: list[int] | None, target: Path, made: list[int] | None = None) -> str:
        """As json.dumps would write it, in a third of the time."""
        read = f'"input": {_quoted(os.path.basename(source))}, "source": {_number_list(stamp)}'
        result = f'"output": {_quoted(self._key(target))}, "result": {_number_list(made or stamp_of(str(target)))}'
        return f'{{{result}, {read}, "options": "{self.options}"}}\n'

    def _read(self) -> dict[str, dict[str, Any]]:
        if self._lines is None:
            self._lines = {}
            with suppress(OSError):
                data = self.path.read_bytes()
                for text in data.splitlines():
                    with suppress(ValueError, TypeError, KeyError, RecursionError):
                        line = json.loads(text)
                        self._lines[str(line["output"])] = line
                if data and not data.endswith(b"\n"):  # a killed process left an incomplete line
                    with open(self.path, "ab") as file:
                        file.write(b"\n")
        return self._lines


def stamp_of(path: str | Path) -> list[int] | None:
    """The size and modification time of a file, by which changes are noticed."""
    try:
        entry = os.stat(path)
    except (OSError, ValueError):
        return None
    return [entry.st_size, entry.st_mtime_ns]


def _number_list(stamp: list[int] | None) -> str:
    return "null" if stamp is None else f"[{stamp[0]}, {stamp[1]}]"
