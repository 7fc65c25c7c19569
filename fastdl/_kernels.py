"""Loads the compiled kernels; where one is missing, `load` returns None and callers use the NumPy reference."""

from __future__ import annotations

import importlib
import importlib.util
import os
import warnings
from functools import cache
from types import ModuleType

from fastdl.errors import DISTRIBUTION

#: Set to 1 to run everything on the NumPy reference.
FORCED = os.environ.get("FASTDL_REFERENCE") == "1"


def load(stem: str) -> ModuleType | None:
    """The compiled module `fastdl_ext.<stem>`, or None where it was not built or FASTDL_REFERENCE=1 is set."""
    if FORCED:
        return None
    try:
        return importlib.import_module(f"fastdl_ext.{stem}")
    except ImportError:
        _warn()
        return None


@cache
def _warn() -> None:
    """Warn once that no kernel was compiled: the results are the same, but many times slower."""
    if importlib.util.find_spec("fastdl_ext.cpu") is None:
        warnings.warn(
            "fastdl was installed without a C compiler and runs on NumPy, many times slower. With one: "
            f"pip install --force-reinstall --no-cache-dir --no-binary :all: --no-deps {DISTRIBUTION}",
            RuntimeWarning,
            stacklevel=3,
        )


def stems() -> list[str]:
    """The names of the kernel modules, from their Cython sources, which are installed beside the compiled files."""
    from importlib.resources import files  # takes some milliseconds, as it imports zipfile and others

    found = files("fastdl_ext").iterdir()
    return sorted(file.name.removesuffix(".pyx") for file in found if file.name.endswith(".pyx"))


def built() -> dict[str, bool]:
    """For every kernel module, whether it can be loaded."""
    return {stem: load(stem) is not None for stem in stems()}
