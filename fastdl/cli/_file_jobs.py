"""What file commands share: which files, where to, how many at once, how it is shown."""

from __future__ import annotations

import argparse
import glob
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastdl import _check, _threads


def add_arguments(command: argparse.ArgumentParser, output: str = "folder or file to write to") -> None:
    """SRC... -o DST --jobs N --overwrite --quiet: the same for every command that turns files into files."""
    command.add_argument("sources", nargs="+", metavar="SRC", help="files, folders or globs")
    command.add_argument("-o", "--output", required=True, metavar="DST", type=Path, help=output)
    command.add_argument(
        "--jobs", type=int, metavar="N", help="files at once (default: the processors this process has)"
    )
    command.add_argument("--overwrite", action="store_true", help="replace files that are there")
    command.add_argument("--quiet", action="store_true", help="no progress bar")


def find(sources: Iterable[str], suffixes: Sequence[str]) -> list[tuple[Path, Path]]:
    """(file, its path relative to its source) for files as named, globs, and folders searched for `suffixes`."""
    found: list[tuple[Path, Path]] = []
    for source in sources:
        path = Path(source)
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.is_file() and p.name.lower().endswith(tuple(suffixes)))
            if not inside:
                raise _check.FileError(path, f"holds no file ending in {', '.join(suffixes)}")
            found += [(p, p.relative_to(path)) for p in inside]
        elif path.exists():
            found.append((path, Path(path.name)))
        else:
            matches = sorted(Path(m) for m in glob.glob(source, recursive=True))
            if not matches:
                raise _check.FileError(source, "no such file")
            found += [(p, Path(p.name)) for p in matches if p.is_file()]
    return found


def plan(files: Sequence[tuple[Path, Path]], output: Path, suffix: str, *, overwrite: bool) -> list[tuple[Path, Path]]:
    """(source, target) pairs: into a folder, or one file to one name; refuses to replace and to collide."""
    one = len(files) == 1 and not output.is_dir() and output.suffix != ""
    pairs = [(source, output if one else output / relative.with_suffix(suffix)) for source, relative in files]
    seen: dict[Path, Path] = {}
    for source, target in pairs:
        if target in seen:
            raise _check.InputError(f"{seen[target]} and {source} would both be written to {target}")
        seen[target] = source
        if target.exists() and (not overwrite or target.resolve() == source.resolve()):
            hint = "is the input itself" if target.resolve() == source.resolve() else "exists; --overwrite replaces it"
            raise _check.FileError(target, hint)
    for _, target in pairs:
        target.parent.mkdir(parents=True, exist_ok=True)
    return pairs


@dataclass
class Progress:
    """A bar where a terminal and tqdm are there, and nothing where not; counts from any thread, and stops them."""

    total: float | None
    unit: str
    quiet: bool = False
    scale: bool = True
    bar: Any = field(default=None, init=False)
    stopped: bool = field(default=False, init=False)
    start: float = field(default_factory=time.perf_counter, init=False)

    def __enter__(self) -> Progress:
        if not self.quiet and sys.stderr.isatty():
            try:
                from tqdm import tqdm
            except ImportError:
                return self
            self.bar = tqdm(total=self.total, unit=self.unit, unit_scale=self.scale, leave=False)
        return self

    def __call__(self, amount: float) -> None:
        if self.stopped:
            raise KeyboardInterrupt
        if self.bar is not None:
            self.bar.update(amount)

    def say(self, text: str) -> None:
        """A remark beside the bar."""
        if not self.quiet:
            print(text, file=sys.stderr)

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.start


def each(
    pairs: Sequence[tuple[Path, Path]],
    jobs: int | None,
    work: Callable[[Path, Path], Any],
    progress: Progress,
) -> tuple[list[Any], int]:
    """work(source, target) for every pair, `jobs` at once: the results of those that went well, and how many did not.

    A file that fails says so and does not stop the others; Ctrl-C stops each when it next tells its `progress`.
    """
    results, failed = [], 0
    with ThreadPoolExecutor(max_workers=min(len(pairs), _threads.count(jobs))) as executor:
        futures = [executor.submit(work, source, target) for source, target in pairs]
        try:
            for future in as_completed(futures):
                try:
                    results.append(future.result())
                except (_check.FastdlError, OSError) as error:
                    failed += 1
                    print(f"fastdl: {error}", file=sys.stderr)
        except BaseException:
            progress.stopped = True
            executor.shutdown(cancel_futures=True, wait=False)
            raise
    return results, failed
