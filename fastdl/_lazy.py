"""Lazy packages: public names are listed in the stub beside `__init__.py`, and imported at first use."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from typing import Any


def door(
    package: str, optional: tuple[str, ...] = (), *, search: bool = False
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """`__getattr__`, `__dir__` and `__all__` of a package, from its stub `__init__.pyi`.

    The stub is the one list of the package's names, a line a name: `from fastdl.audio.mu_law import mu_law_encode as
    mu_law_encode`. Type checkers and editors read the same file. Names from the modules `optional` need a library that
    may not be there: `__all__` leaves them out, so that a star import works without it. With `search` a name that has
    no line is looked for in the modules that have one.
    """
    module = sys.modules[package]
    homes = {name: home for home, name in _names(module)}

    def load(name: str) -> Any:
        home = homes.get(name) or (package if _is_module(package, name) else None)
        if home is None and search:
            home = _home_of(name, sorted({*homes.values()}))
        if home == package:
            value = importlib.import_module(f"{package}.{name}")
        elif home is not None:
            value = getattr(importlib.import_module(home), name)
        else:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        setattr(module, name, value)
        return value

    shown = [name for name, home in homes.items() if home != package and not home.startswith(optional or ("\0",))]
    return load, lambda: sorted({*homes, *(name for name in vars(module) if not name.startswith("_"))}), sorted(shown)


def _names(module: Any) -> list[tuple[str, str]]:
    """(module, name) for each line `from module import name as name` of a package's stub."""
    stub = module.__spec__.loader.get_data(module.__file__.removesuffix(".py") + ".pyi").decode()
    words = [line.split() for line in stub.splitlines() if line.startswith("from ")]
    return [(line[1], line[3]) for line in words]


def _home_of(name: str, modules: list[str]) -> str | None:
    """The first of the modules that defines a public name."""
    if name.startswith("_"):
        return None
    return next((home for home in modules if hasattr(importlib.import_module(home), name)), None)


def _is_module(package: str, name: str) -> bool:
    """Whether package.name is a module: `fastdl.audio.mu_law` works without an import of its own."""
    return not name.startswith("__") and importlib.util.find_spec(f"{package}.{name}") is not None
