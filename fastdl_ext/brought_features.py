"""Loops around the feature functions that users bring, compiled by Numba once a process and kept on disk.

Numba's own cache is made for functions in files that do not change: it finds no place for a function typed at a prompt,
warns or raises where no folder is writable, and takes a loop around a function for new in every process. Here a
function is known by its content: its code and every value it refers to. The same content is compiled once, whatever
object it comes in; changed content is compiled anew.
"""

from __future__ import annotations

import hashlib
import os
import sys
import threading
import types
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Any

_VERSION = "features-1"  # of the loop below: part of what is remembered
_BY_CONTENT: dict[tuple[str, str], Any] = {}
_BY_OBJECT: weakref.WeakKeyDictionary[Any, dict[str, Any]] = weakref.WeakKeyDictionary()
_KEYS: weakref.WeakKeyDictionary[Any, tuple[Any, str | None]] = weakref.WeakKeyDictionary()
_lock = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: globals().__setitem__("_lock", threading.RLock()))


class CannotCompile(Exception):
    """Numba refused; the message is its own, shortened to what a user can act on."""


def loop(function: Any, arity: int, char: str) -> Any:
    """loop(x_1, ..., x_arity, y): y[i] = function(x_1[i], ..., x_arity[i]) for arrays of the dtype `char`.

    The function sees float64, its result is rounded to the dtype. The GIL is released.
    """
    with _lock:
        key = _key(function)
        known = _BY_OBJECT.setdefault(function, {}) if key is None else _BY_CONTENT
        name: Any = char if key is None else (key, char)
        if name not in known:
            known[name] = _compile(function, arity, char, key)
        return known[name]


def _compile(function: Any, arity: int, char: str, key: str | None) -> Any:
    import numba
    from numba.core.errors import NumbaError

    inner = function if hasattr(function, "py_func") else numba.njit(function, error_model="numpy")
    names = [f"x{k}" for k in range(arity)]
    source = (
        f"def feature({', '.join(names)}, y):\n"
        f"    for i in range(len(y)):\n"
        f"        y[i] = function({', '.join(f'float64({x}[i])' for x in names)})\n"
    )
    space: dict[str, Any] = {"__name__": __name__, "function": inner, "float64": numba.float64}
    exec(compile(source, __file__, "exec"), space)
    compiled = numba.njit(space["feature"], nogil=True, error_model="numpy")
    folder = _folder()
    if folder is not None and key is not None:
        with suppress(Exception):  # Numba's cache is not a public interface: without it there is no cache
            compiled._cache = _disk(folder, key)
    dtype = numba.float64 if char == "d" else numba.float32
    given, filled = numba.types.Array(dtype, 1, "C", readonly=True), numba.types.Array(dtype, 1, "C")
    try:
        compiled.compile((given,) * arity + (filled,))
    except NumbaError as error:
        raise CannotCompile(_short(str(error))) from error
    compiled.disable_compile()
    return compiled


def _short(message: str) -> str:
    """What a Numba error says of the user's function, in one line."""
    lines = [line.strip() for line in message.splitlines()]
    calls = [line.removeprefix(">>> ") for line in lines if line.startswith(">>>")]
    if any(call.startswith("setitem(array(") for call in calls):
        return "it does not return one number"
    for line in lines:
        if line.startswith("No implementation of function"):
            return f"there is no {calls[0]}" if calls else line
        if line.startswith(("Untyped", "Unknown", "NameError", "Use of unsupported")) or "nsupported" in line:
            return line.rstrip(".")
    return next((line for line in lines if line and not line.startswith("Failed in")), "no reason given")[:300]


def _key(function: Any) -> str | None:
    """content(function), looked up where what the function refers to is still the same objects."""
    python = getattr(function, "py_func", function)
    names = [python.__globals__.get(name) for name in python.__code__.co_names]
    cells = [cell.cell_contents for cell in python.__closure__ or ()]
    now = [python.__code__, python.__defaults__, *names, *cells]
    before, key = _KEYS.get(function, ((), None))
    if len(now) != len(before) or any(a is not b for a, b in zip(now, before)):
        key = content(function)
        _KEYS[function] = (now, key)
    return key


def content(function: Any) -> str | None:
    """A hash of everything the function's result depends on, or None where that cannot be told."""
    digest = hashlib.sha256()
    try:
        import numba
        import numpy

        for part in (_VERSION, sys.version, numba.__version__, numpy.__version__):
            digest.update(part.encode())
        _add(digest, function, set())
    except _Unknown:
        return None
    return digest.hexdigest()


class _Unknown(Exception):
    """A value whose content cannot be told."""


def _add(digest: Any, value: Any, seen: set[int]) -> None:
    """Take the content of `value` into the digest."""
    if id(value) in seen:
        digest.update(b"again")
        return
    digest.update(type(value).__name__.encode() + b":")
    if hasattr(value, "py_func"):  # a function that Numba compiled, and how it was told to
        seen.add(id(value))
        _add(digest, sorted((k, repr(v)) for k, v in value.targetoptions.items()), seen)
        _add(digest, value.py_func, seen)
    elif isinstance(value, types.FunctionType):
        seen.add(id(value))
        _add(digest, value.__code__, seen)
        _add(digest, value.__defaults__ or (), seen)
        with suppress(ValueError):  # a cell still empty
            _add(digest, tuple(cell.cell_contents for cell in value.__closure__ or ()), seen)
        for name in sorted(_names(value.__code__)):
            if name in value.__globals__:
                _add(digest, (name, value.__globals__[name]), seen)
    elif isinstance(value, types.CodeType):
        digest.update(value.co_code)
        names = (value.co_names, value.co_varnames, value.co_freevars, value.co_argcount, value.co_flags)
        _add(digest, (*names, value.co_consts), seen)
    elif isinstance(value, (tuple, list)):
        digest.update(str(len(value)).encode())
        for item in value:
            _add(digest, item, seen)
    elif value is None or isinstance(value, (bool, int, float, complex, str, bytes)):
        digest.update(repr(value).encode() + b";")
    elif isinstance(value, types.ModuleType) and value.__name__ in ("math", "cmath", "numpy", "numba"):
        digest.update(value.__name__.encode())
    elif isinstance(value, types.BuiltinFunctionType) and value.__module__ in ("math", "cmath", "builtins"):
        digest.update(f"{value.__module__}.{value.__name__}".encode())
    elif type(value).__module__ == "numpy" and hasattr(value, "tobytes"):
        digest.update(f"{value.dtype.str}{value.shape}".encode() + value.tobytes())
    elif type(value).__module__ == "numpy" and callable(value):
        digest.update(value.__name__.encode())
    else:
        raise _Unknown


def _names(code: types.CodeType) -> set[str]:
    """The names a function and the functions in it may look up."""
    inner = (c for c in code.co_consts if isinstance(c, types.CodeType))
    return set(code.co_names).union(*(_names(c) for c in inner))


def _folder() -> Path | None:
    """Where compiled functions are kept: NUMBA_CACHE_DIR, or the user's cache folder; None where none is writable."""
    given = os.environ.get("NUMBA_CACHE_DIR")
    try:
        base = os.environ.get("LOCALAPPDATA") if os.name == "nt" else os.environ.get("XDG_CACHE_HOME")
        folder = Path(given) if given else (Path(base) if base else Path.home() / ".cache") / "fastdl"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return None
    return folder if os.access(folder, os.W_OK | os.X_OK) else None


def _disk(folder: Path, key: str) -> Any:
    """Numba's cache of compiled functions, by content, in `folder`; it never raises and never warns."""
    from numba.core import caching

    class Implementation(caching.CompileResultCacheImpl):
        def __init__(self) -> None:
            self._filename_base = f"feature-{key[:32]}"

        def check_cachable(self, data: Any) -> bool:
            return not (any(not lifted.can_cache for lifted in data.lifted) or data.library.has_dynamic_globals)

    class Content(caching.FunctionCache):
        def __init__(self) -> None:
            self._name, self._impl, self._cache_path = key, Implementation(), str(folder)
            self._cache_file = caching.IndexDataCacheFile(str(folder), self._impl.filename_base, key)
            self.enable()

        def _index_key(self, sig: Any, codegen: Any) -> Any:
            return sig, codegen.magic_tuple(), key

        def load_overload(self, sig: Any, target_context: Any) -> Any:
            with suppress(Exception):  # a file of another version, cut short, or gone meanwhile: compile
                target_context.refresh()
                return self._load_overload(sig, target_context)
            return None

        def save_overload(self, sig: Any, data: Any) -> None:
            with suppress(Exception):  # a full disk, say
                if self._impl.check_cachable(data):
                    self._cache_file.save(self._index_key(sig, data.codegen), self._impl.reduce(data))

    return Content()
