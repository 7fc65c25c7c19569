"""The progress bar of a command."""

from __future__ import annotations

import sys
import threading
import time
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastdl.cli._cluster import Cluster


@dataclass
class ProgressBar:
    """A bar with rate and remaining time on a terminal, if tqdm is installed; it also stops the threads that report.

    `workers` is the number of files at once in this process; `helper` an executor for work beside reading and writing,
    which all files share; `cluster` is set for a file whose parts are sent to the workers of a cluster.
    """

    total: float | None = None
    unit: str = "B"
    quiet: bool = False
    scale: bool = True
    helper: Executor | None = None
    workers: int = 1
    cluster: Cluster | None = None
    bar: Any = field(default=None, init=False)
    stopped: bool = field(default=False, init=False)
    start: float = field(default_factory=time.perf_counter, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def __enter__(self) -> ProgressBar:
        if self.shown:
            try:
                from tqdm import tqdm
            except ImportError:
                return self
            self.bar = tqdm(total=self.total, unit=self.unit, unit_scale=self.scale, leave=False, dynamic_ncols=True)
        return self

    def advance(self, amount: float) -> None:
        """Report work done, in `unit`; raises KeyboardInterrupt once the command has been stopped."""
        if self.stopped:
            raise KeyboardInterrupt
        if self.bar is not None:
            with self._lock:
                self.bar.update(amount)

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()

    @property
    def shown(self) -> bool:
        """Whether there is a terminal to show a bar on."""
        return not self.quiet and sys.stderr.isatty()

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.perf_counter() - self.start
