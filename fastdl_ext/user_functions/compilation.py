"""What users bring, compiled by Numba: known by its content, compiled once a process, kept on disk.

Numba's own cache is made for functions in files that do not change: it finds no place for a function typed at a prompt,
warns or raises where no folder is writable, and takes a loop around a function for new in every process. Here a
function is known by its content: its code and every value it refers to. The same content is compiled once, whatever
object it comes in; changed content is compiled anew. The loops are in the modules beside this one.
"""

from __future__ import annotations

import hashlib
import os
import sys
import threading
import types
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

_MODULES = ("math", "cmath", "numpy", "numba")  # known by their versions
_KNOWN: dict[Any, Any] = {}
_lock = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: globals().__setitem__("_lock", threading.RLock()))


class CannotCompile(Exception):
    """Numba refused; the message names the function and is Numba's own, shortened to what a user can act on."""


def compiled(
    loop: tuple[Any, ...], functions: tuple[Any, ...], make: Callable[..., Any], signature: Any, hint: str
) -> Any:
    """The loop make(*functions), compiled for the argument types `signature`, releasing the GIL.

    `loop` names the loop, its version, and what else of it differs; `hint` is what the functions must be like. A
    signature with a result gives a C function, one without (a tuple) a function of arrays.
    """
    with _lock:
        key = content(functions)
        name = (loop, key or tuple(map(id, functions)))
        if key is None or name not in _KNOWN:
            known = _compile(loop, functions, make, signature, hint, key)
            if key is None:
                return known
            _KNOWN[name] = known
        return _KNOWN[name]


def _compile(loop: Any, functions: Any, make: Any, signature: Any, hint: str, key: str | None) -> Any:
    import numba
    from numba.core.ccallback import CFunc
    from numba.core.errors import NumbaError

    for function in functions:
        if not isinstance(getattr(function, "py_func", function), types.FunctionType):
            raise CannotCompile(f"{_name(function)} cannot be compiled by Numba: it is no Python function. {hint}")
    # A function the user compiled before keeps the values it referred to then: it is not for the disk.
    theirs = any(hasattr(f, "py_func") for f in functions)
    inner = [f if hasattr(f, "py_func") else numba.njit(f, error_model="numpy") for f in functions]
    if isinstance(signature, tuple):
        made = numba.njit(make(*inner), nogil=True, error_model="numpy")
    else:
        made = CFunc(make(*inner), (signature.args, signature.return_type), locals={}, options={"error_model": "numpy"})
    folder = _folder()
    if folder is not None and key is not None and not theirs:
        with suppress(Exception):  # Numba's cache is not a public interface: without it there is no cache
            made._cache = _disk(folder, hashlib.sha256(f"{loop} {key}".encode()).hexdigest())
    try:
        if isinstance(signature, tuple):
            made.compile(signature)
            made.disable_compile()
        else:
            made.compile()
    except NumbaError as error:
        named = [f for f in functions if repr(getattr(f, "py_func", f)) in str(error)] or functions
        raise CannotCompile(f"{_name(named[0])} cannot be compiled by Numba: {_short(str(error))}. {hint}") from error
    return made


def _name(function: Any) -> str:
    return getattr(function, "__name__", type(function).__name__)


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


def content(functions: tuple[Any, ...]) -> str | None:
    """A hash of everything the functions' results depend on, or None where that cannot be told."""
    digest = hashlib.sha256()
    try:
        import numba
        import numpy

        for part in (sys.version, numba.__version__, numpy.__version__):
            digest.update(part.encode())
        _add(digest, functions, set())
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
        names = sorted(_names(value.__code__))
        for name in names:
            if name in value.__globals__:
                _refer(digest, name, value.__globals__[name], names, seen)
    elif isinstance(value, types.CodeType):
        digest.update(value.co_code)
        shape = (value.co_names, value.co_varnames, value.co_freevars, value.co_argcount, value.co_flags)
        _add(digest, (*shape, value.co_consts), seen)
    elif isinstance(value, (tuple, list)):
        digest.update(str(len(value)).encode())
        for item in value:
            _add(digest, item, seen)
    elif value is None or isinstance(value, (bool, int, float, complex, str, bytes)):
        digest.update(repr(value).encode() + b";")
    elif isinstance(value, types.ModuleType) and value.__name__ in _MODULES:
        digest.update(value.__name__.encode())
    elif isinstance(value, types.BuiltinFunctionType) and value.__module__ in ("math", "cmath", "builtins"):
        digest.update(f"{value.__module__}.{value.__name__}".encode())
    elif type(value).__module__ == "numpy" and hasattr(value, "tobytes"):
        digest.update(f"{value.dtype.str}{value.shape}".encode() + value.tobytes())
    elif type(value).__module__ == "numpy" and callable(value):
        digest.update(value.__name__.encode())
    else:
        raise _Unknown


def _refer(digest: Any, name: str, value: Any, names: list[str], seen: set[int]) -> None:
    """Take what a function refers to; of a module of the user's, the values that the function may name."""
    if isinstance(value, types.ModuleType) and value.__name__ not in _MODULES:
        if id(value) not in seen:
            seen.add(id(value))
            for inner in names:
                if inner in vars(value):
                    _refer(digest, f"{value.__name__}.{inner}", vars(value)[inner], names, seen)
    else:
        _add(digest, (name, value), seen)


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
            self._filename_base = f"brought-{key[:32]}"

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
