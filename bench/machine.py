"""What a run was measured on: processor, versions, and what memory and arithmetic can do here at most."""

from __future__ import annotations

import os
import platform
import re
import sys
from functools import cache
from importlib import metadata
from pathlib import Path

import numpy as np

import fastdl
from bench import peers
from fastdl import _bandwidth
from fastdl_ext import cpu

# What the peers of pyproject.toml stand on, or is installed with the tests.
OTHERS = (
    "numpy",
    "numba",
    "scipy",
    "scikit-learn",
    "torch",
    "pandas",
    "polars",
    "pyarrow",
    "laspy",
    "lazrs",
    "soundfile",
)


@cache
def machine() -> dict:
    """Processor, system, versions of what takes part, how busy it was before; nothing that names this one machine."""
    return {
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else 0.0,
        "processor": f"{processor()}, {os.cpu_count()} cores, {cpu.level()}",
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "versions": {"fastdl": fastdl.__version__, **versions()},
    }


def processor() -> str:
    """The processor's name as its maker gives it."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or "unknown processor"
    name = re.search(r"model name\s*: (.*)", text)
    family = re.search(r"cpu family\s*: (\d+)", text)
    zen = {"23": "Zen to Zen 2", "25": "Zen 3 or 4", "26": "Zen 5"}.get(family[1] if family else "")
    name = re.sub(r"\s+", " ", name[1]) if name else platform.machine()
    return f"{name} ({zen})" if zen and name.startswith("AMD") else name


def versions() -> dict[str, str]:
    """Of the peers that are installed."""
    found = {}
    named = [re.split(r"[=<>;\[ ]", line)[0] for line in peers.names()]
    for name in dict.fromkeys([*OTHERS, *named]):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


@cache
def limits() -> dict[str, float]:
    """Bytes per second of copying, reading and writing, multiply-adds per second of BLAS, on one thread."""
    return {
        "copy": _bandwidth.copy_bandwidth(),
        "read": _bandwidth.read_bandwidth(),
        "write": _bandwidth.write_bandwidth(),
        "float32 products": products(np.float32),
        "float64 products": products(np.float64),
    }


def products(dtype: type, n: int = 768) -> float:
    """Multiply-adds per second of a product of square matrices, which is the most that arithmetic reaches."""
    a = np.ones((n, n), dtype)
    with one_blas_thread():
        return n**3 / _bandwidth.best(lambda: a @ a)


def one_blas_thread():
    """BLAS on one thread, as all that is compared; with more, small products take longer."""
    try:
        import threadpoolctl
    except ImportError:
        sys.exit("the benchmarks need threadpoolctl (it comes with scikit-learn) to hold BLAS to one thread")
    return threadpoolctl.threadpool_limits(1)
