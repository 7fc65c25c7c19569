"""The errors that fastdl raises on purpose, and the warning of fits."""

from __future__ import annotations

#: What pip knows fastdl as; every message that tells how to install something takes it from here.
DISTRIBUTION = "fastdl-kernels"


class FastdlError(Exception):
    """The root of every error fastdl raises on purpose."""

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle with all attributes, so that an error of a worker process reaches the calling one unchanged."""
        return _same_error, (type(self), self.args, self.__dict__)


def _same_error(kind: type[FastdlError], args: tuple[object, ...], state: dict[str, object]) -> FastdlError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class InputError(FastdlError, ValueError):
    """A value or a shape that the function does not accept."""


class InputTypeError(FastdlError, TypeError):
    """A type or dtype that the function does not accept."""


class FileError(FastdlError, ValueError):
    """A file that is truncated, corrupt, or of a kind that is not read."""

    def __init__(self, path: object, problem: str, offset: int | None = None, line: int | None = None):
        place = f" at byte {offset}" if offset is not None else f" at line {line}" if line is not None else ""
        super().__init__(f"{path}{place}: {problem}")
        self.path, self.offset, self.line = path, offset, line


class MissingExtra(FastdlError, ImportError):
    """A library that an optional part of fastdl needs is not installed."""


class NotConverged(RuntimeWarning):
    """A fit whose certificate leaves a gap above its tolerance: a better model may exist."""
