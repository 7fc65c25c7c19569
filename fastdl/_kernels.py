"""Where the shell gets its kernels: the compiled module of a stem, or None, and then the reference does the work."""

from __future__ import annotations

import importlib
import importlib.resources
import os
from typing import Any

#: Set to 1 to run everything on the NumPy reference.
FORCED = os.environ.get("FASTDL_REFERENCE") == "1"


def load(stem: str) -> Any:
    """The compiled module `fastdl_ext.<stem>`, or None where it was not built or FASTDL_REFERENCE=1 is set."""
    if FORCED:
        return None
    try:
        return importlib.import_module(f"fastdl_ext.{stem}")
    except ImportError:
        return None


def stems() -> list[str]:
    """The names of the kernel modules: the Cython files, which are installed beside what is compiled from them."""
    files = importlib.resources.files("fastdl_ext").iterdir()
    return sorted(file.name.removesuffix(".pyx") for file in files if file.name.endswith(".pyx"))


def built() -> dict[str, bool]:
    """For every kernel module, whether it can be loaded."""
    return {stem: load(stem) is not None for stem in stems()}
