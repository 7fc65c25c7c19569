"""Where the shell gets its kernels: the compiled module of a stem, or None, and then the reference does the work."""

from __future__ import annotations

import importlib
import os
from typing import Any

#: The stems that have a compiled module.
STEMS = (
    "aggregation",
    "audio",
    "bases",
    "bins",
    "cpu",
    "features",
    "gram",
    "graphs",
    "losses",
    "lzf",
    "models",
    "network",
    "partition",
    "points",
    "records",
    "sequences",
    "targets",
    "voxels",
    "windows",
)
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


def built() -> dict[str, bool]:
    """For every stem with compiled kernels, whether they can be loaded."""
    return {stem: load(stem) is not None for stem in STEMS}
