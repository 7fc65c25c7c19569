"""Serialised states of streams, with a version, so that another machine can continue where one stopped."""

from __future__ import annotations

import io
import pickle
from typing import Any, Self

from fastdl.errors import InputError, InputTypeError

_MAGIC, _VERSION = b"fastdl state ", 1
#: The classes that serialised states may contain: arrays and states, nothing that opens files or runs commands.
_ROOMS = (
    "fastdl.targets.",
    "fastdl.selection.",
    "fastdl.linear.",
    "fastdl.losses.",
    "fastdl._row_buffer",
    "fastdl._superaccumulator",
)
_ALLOWED = {
    "builtins": {"object", "set", "frozenset", "slice", "range", "bytearray"},
    "copyreg": {"_reconstructor"},
    "numpy": {"ndarray", "dtype"},
    "numpy._core.multiarray": {"_reconstruct", "scalar"},
    "numpy.core.multiarray": {"_reconstruct", "scalar"},
    "numpy._core.numeric": {"_frombuffer"},
    "numpy.core.numeric": {"_frombuffer"},
}


class StateBytes:
    """A mixin that gives a state `to_bytes` and `from_bytes`."""

    def to_bytes(self) -> bytes:
        """The state as bytes, which `from_bytes` of this and later versions can read on any machine."""
        return _MAGIC + bytes([_VERSION]) + pickle.dumps(self, protocol=4)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The state that `to_bytes` wrote; its sums have the same bits.

        Raises
        ------
        InputError
            For bytes that `to_bytes` of this class did not write.
        """
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise InputTypeError(f"data must be bytes, got {type(data).__name__}")
        data = bytes(data)
        if not data.startswith(_MAGIC) or len(data) <= len(_MAGIC):
            raise InputError("data must be what to_bytes gives, got something else")
        if data[len(_MAGIC)] != _VERSION:
            raise InputError(f"data must have version {_VERSION}, got {data[len(_MAGIC)]}: a newer fastdl wrote it")
        try:
            state = _Reader(io.BytesIO(data[len(_MAGIC) + 1 :])).load()
        except InputError:
            raise
        except Exception as error:  # of damaged bytes, pickle raises nearly anything
            raise InputError(f"data is damaged: {error}") from None
        if type(state) is not cls:
            raise InputError(f"data must hold a {cls.__name__}, got a {type(state).__name__}")
        return state


class _Reader(pickle.Unpickler):
    """An unpickler that accepts only the classes of states and arrays."""

    def find_class(self, module: str, name: str) -> Any:
        if name in _ALLOWED.get(module, ()):
            return super().find_class(module, name)
        if module.startswith(_ROOMS) and "." not in name:
            found = super().find_class(module, name)
            if isinstance(found, type):
                return found
        raise InputError(f"data names {module}.{name}, which no state holds")
