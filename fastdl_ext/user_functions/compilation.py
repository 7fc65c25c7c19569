"""Users' functions, compiled by Numba: known by their content, compiled once a process, kept on disk.

Numba's own cache is made for functions in files that do not change: it finds no place for a function typed at a prompt,
warns or raises where no folder is writable, and takes a loop around a function for new in every process. Here a
function is known by its content: its code and every value it refers to. The same content is compiled once, whatever
object it comes in; changed content is compiled anew. The loops are in the other modules of this folder.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import threading
import types
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

_MODULES = ("math", "cmath", "numpy", "numba")  # known by their versions
_KNOWN: dict[Any, Any] = {}
_HELD: list[list[Any]] = []  # the objects that keys of _KNOWN name by their address
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
        found = content(functions)
        if found is None:
            return _compile(loop, functions, make, signature, hint, None)
        name = (loop, found.hexdigest(), *found.objects)
        if name not in _KNOWN:
            _KNOWN[name] = _compile(loop, functions, make, signature, hint, found)
            _HELD.append(found.held)
        return _KNOWN[name]


def _compile(loop: Any, functions: Any, make: Any, signature: Any, hint: str, found: Content | None) -> Any:
    import numba
    from numba.core.ccallback import CFunc
    from numba.core.errors import NumbaError

    for function in functions:
        if not isinstance(getattr(function, "py_func", function), types.FunctionType):
            raise CannotCompile(f"{_name(function)} cannot be compiled by Numba: it is no Python function. {hint}")
    inner = [f if hasattr(f, "py_func") else numba.njit(f, error_model="numpy") for f in functions]
    if isinstance(signature, tuple):
        made = numba.njit(make(*inner), nogil=True, error_model="numpy")
    else:
        made = CFunc(make(*inner), (signature.args, signature.return_type), locals={}, options={"error_model": "numpy"})
    folder = _folder() if found is not None and found.for_disk else None
    if folder is not None and found is not None:
        with suppress(Exception):  # Numba's cache is not a public interface: without it there is no cache
            made._cache = _disk(folder, hashlib.sha256(f"{loop} {found.hexdigest()}".encode()).hexdigest())
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


def content(functions: tuple[Any, ...]) -> Content | None:
    """What the functions' results depend on, or None where that cannot be told."""
    import numba
    import numpy

    found = Content()
    try:
        found.add((sys.version, numba.__version__, numpy.__version__))
        found.add(functions)
    except _Unknown:
        return None
    return found


class _Unknown(Exception):
    """A value whose content cannot be told."""


class Content:
    """A hash of the graph of functions, the values they refer to, and the functions in those.

    What can be met twice is numbered when it is met first, and is its number from then on: so (a, b, a) and (a, b, b)
    differ, and circles end.
    """

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._numbers: dict[Any, int] = {}
        self._values = 0  # variables that functions refer to
        self.held: list[Any] = []  # what has a number: it must not become that of another object
        self.objects: list[int] = []  # functions that are known by what they are, not by what they say
        self.for_disk = True  # False where the content holds in this process alone

    def hexdigest(self) -> str:
        """The hash of what was added."""
        return self._digest.hexdigest()

    def add(self, value: Any) -> None:
        """Take in a value and all it refers to."""
        kind = type(value)
        self._write(kind.__name__)
        if hasattr(value, "py_func"):
            self._once(value, self._compiled)
        elif kind is types.FunctionType:
            self._once(value, self._function)
        elif kind is types.CodeType:
            self._code(value)
        elif kind is list:
            self._once(value, self._items)
        elif kind is tuple:
            self._items(value)
        elif kind is frozenset:
            self._items(sorted(value, key=repr))
        elif value is None or value is ... or kind in (bool, int, float, complex, str, bytes):
            self._write(repr(value))
        elif kind is types.ModuleType and value.__name__ in _MODULES:
            self._write(value.__name__)
        elif isinstance(value, types.BuiltinFunctionType) and value.__module__ in ("math", "cmath", "builtins"):
            self._write(f"{value.__module__}.{value.__name__}")
        elif kind.__module__ == "numpy":
            self._of_numpy(value)
        else:
            raise _Unknown

    def _write(self, text: str) -> None:
        data = text.encode(errors="surrogatepass")
        self._digest.update(b"%d:%s" % (len(data), data))

    def _once(self, value: Any, take: Callable[[Any], None], key: Any = None) -> None:
        """Take in what may be met again."""
        key = id(value) if key is None else key
        if key in self._numbers:
            self._write(f"number {self._numbers[key]}")
            return
        self._numbers[key] = len(self._numbers)
        self.held.append(value)
        take(value)

    def _items(self, value: Any) -> None:
        self._write(str(len(value)))
        for item in value:
            self.add(item)

    def _compiled(self, value: Any) -> None:
        """A function that Numba compiled: what it referred to when it was called first may have changed since."""
        self.add(tuple(sorted((k, repr(v)) for k, v in value.targetoptions.items())))
        if not value._can_compile:
            self.add(tuple(map(str, value.signatures)))
        self.add(repr(sorted(value.locals.items(), key=repr)))
        before = self._values
        self.add(value.py_func)
        if self._values > before:
            self.objects.append(id(value))
            self.for_disk = self.for_disk and not value.signatures

    def _function(self, value: types.FunctionType) -> None:
        self.add(value.__code__)
        self.add(value.__defaults__)
        self.add(tuple(sorted((value.__kwdefaults__ or {}).items())))
        for cell in value.__closure__ or ():
            try:
                self._refer(cell.cell_contents, ())
            except ValueError:  # a cell still empty
                self._write("empty")
        names = sorted(_names(value.__code__))
        for name in names:
            if name in value.__globals__:
                self._write(name)
                self._refer(value.__globals__[name], names)

    def _code(self, value: types.CodeType) -> None:
        self._write(value.co_code.hex())
        counts = (value.co_argcount, value.co_posonlyargcount, value.co_kwonlyargcount, value.co_flags)
        names = (value.co_names, value.co_varnames, value.co_freevars, value.co_cellvars)
        self.add((counts, names, value.co_exceptiontable, value.co_consts))

    def _refer(self, value: Any, names: Sequence[str]) -> None:
        """Take in what a function refers to; of a module of the user's, the values that the function may name."""
        if isinstance(value, types.ModuleType) and value.__name__ not in _MODULES:
            self._write(value.__name__)
            for name in names:
                if name in vars(value):
                    self._write(name)
                    self._once(vars(value)[name], lambda found: self._refer(found, names), (id(value), name))
            return
        if not (hasattr(value, "py_func") or isinstance(value, (types.FunctionType, types.ModuleType))):
            self._values += 1
        self.add(value)

    def _of_numpy(self, value: Any) -> None:
        import numpy

        if isinstance(value, (numpy.ndarray, numpy.generic)) and not value.dtype.hasobject:
            self._write(f"{value.dtype.descr} {value.shape}")
            self._digest.update(value.tobytes())
            return
        name = getattr(value, "__name__", "")
        if not callable(value) or getattr(numpy, name, None) is not value:
            raise _Unknown
        self._write(name)


def _names(code: types.CodeType) -> set[str]:
    """The names a function and the functions in it may look up."""
    inner = (c for c in code.co_consts if isinstance(c, types.CodeType))
    return set(code.co_names).union(*(_names(c) for c in inner))


def _folder() -> Path | None:
    """Where compiled functions are kept: below NUMBA_CACHE_DIR, or the user's cache folder.

    What is read from there is run. So it is None where the folder is not the user's own, or others can write to it.
    """
    given = os.environ.get("NUMBA_CACHE_DIR")
    user = os.getuid() if hasattr(os, "getuid") else None
    try:
        base = os.environ.get("LOCALAPPDATA") if os.name == "nt" else os.environ.get("XDG_CACHE_HOME")
        above = Path(given) if given else (Path(base) if base else Path.home() / ".cache")
        folder = above / ("fastdl-compiled" if user is None else f"fastdl-compiled-{user}")
        above.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        there = os.lstat(folder)
    except (OSError, RuntimeError):
        return None
    alone = user is None or (there.st_uid == user and not there.st_mode & (stat.S_IWGRP | stat.S_IWOTH))
    return folder if alone and stat.S_ISDIR(there.st_mode) and os.access(folder, os.W_OK | os.X_OK) else None


def _disk(folder: Path, key: str) -> Any:
    """Numba's cache of compiled functions, by content, in `folder`; it never raises and never warns."""
    from numba.core import caching

    class Implementation(caching.CompileResultCacheImpl):
        def __init__(self) -> None:
            self._filename_base = f"function-{key[:32]}"

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
