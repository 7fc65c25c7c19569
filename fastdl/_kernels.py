"""Where the shell gets its kernels: the compiled module of a stem, or None, and then the reference does the work."""

from __future__ import annotations

import importlib
import importlib.util
import os
import warnings
from functools import cache
from typing import Any

from fastdl.errors import DISTRIBUTION

#: Set to 1 to run everything on the NumPy reference.
FORCED = os.environ.get("FASTDL_REFERENCE") == "1"


def load(stem: str) -> Any:
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
    """Say once that no kernel was compiled: results are the same, and come many times later."""
    if importlib.util.find_spec("fastdl_ext.cpu") is None:
        warnings.warn(
            "fastdl was installed without a C compiler and runs on NumPy, many times slower. With one: "
            f"pip install --force-reinstall --no-cache-dir --no-binary :all: --no-deps {DISTRIBUTION}",
            RuntimeWarning,
            stacklevel=3,
        )


def stems() -> list[str]:
    """The names of the kernel modules: the Cython files, which are installed beside what is compiled from them."""
    from importlib.resources import files  # which loads the standard library's archives: some milliseconds

    found = files("fastdl_ext").iterdir()
    return sorted(file.name.removesuffix(".pyx") for file in found if file.name.endswith(".pyx"))


def built() -> dict[str, bool]:
    """For every kernel module, whether it can be loaded."""
    return {stem: load(stem) is not None for stem in stems()}
