"""Files that stay open between reads."""

from __future__ import annotations

import io
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any


class OpenFiles:
    """The files that were read last, held open: opening one takes longer than reading a short window of it.

    Each thread and each process has its own: a file has one place at which it is read. What is pickled holds none.
    """

    def __init__(self, most: int = 64):
        self.most = most
        self._of = threading.local()

    def __reduce__(self) -> tuple[Any, ...]:
        return OpenFiles, (self.most,)

    def get(self, path: Path, opener: Callable[[Path], Any]) -> Any:
        """The file of a path, opened by `opener` where it is not."""
        return next(self.each((path,), opener))

    def each(self, paths: Iterable[Path], opener: Callable[[Path], Any]) -> Iterator[Any]:
        """The files of paths in their order; each is open at least until the next is asked for."""
        files = self._mine()
        for path in paths:
            file = files.get(path)
            if file is None:
                while len(files) >= self.most:
                    files.popitem(last=False)[1].close()
                file = files[path] = opener(path)
            else:
                files.move_to_end(path)
            yield file

    def close(self, path: Path) -> None:
        """Close the file of a path, if it is open: after an error in it."""
        file = self._mine().pop(path, None)
        if file is not None:
            file.close()

    def _mine(self) -> OrderedDict[Path, Any]:
        """Those of this thread; a process that was forked within it opens them anew."""
        if getattr(self._of, "process", None) != os.getpid():
            self._of.process, self._of.files = os.getpid(), OrderedDict()
        files: OrderedDict[Path, Any] = self._of.files
        return files


class RawFile(io.FileIO):
    """A file without a buffer that closes without a warning when nobody holds it any more."""

    def __del__(self) -> None:
        self.close()
