"""Instructions that kernels take, counted by Callgrind: repeatable where times are not.

python -m bench.instructions            counts, and compares with bench/instructions.json: 5 % more is an error
python -m bench.instructions --record   counts and keeps the counts

Counted is what the functions of a kernel's module execute themselves; Python, NumPy and start-up are left out. Counts
belong to a compiler and a CPU level: where these differ from what was recorded, or Valgrind is missing, nothing is
compared, and the command says so.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

import fastdl
from fastdl_ext import cpu

ROOT = Path(__file__).parents[1]
KEPT = ROOT / "bench" / "instructions.json"
MOST = 1.05  # of what was recorded
# Kernel, module of fastdl_ext, and what the names of its functions hold ("" is all of the module).
KERNELS = {
    "mu_law_encode": ("audio", "mu_law_256"),
    "mu_law_decode": ("audio", "decode"),
    "voxelize": ("points_hard_voxels", ""),
    "voxel_downsample": ("points_reduction", ""),
    "one_hot": ("sequences", ""),
    "aggregate": ("graphs_aggregation", ""),
    "vandermonde": ("features", ""),
    "lp_loss_grad": ("losses", ""),
    "lp_loss_grad of 32 models": ("losses_many", ""),
    "fit_lp": ("linear", ""),
    "BinnedTarget.encode": ("targets_bins", ""),
    "PolynomialStats": ("selection_polynomials", ""),
    "network_loss_grad": ("network", ""),
}


def work() -> None:
    """Call each kernel once, on arrays that are the same in every run."""
    rng = np.random.default_rng(0)
    x = rng.integers(-32768, 32768, 200_000, dtype=np.int16)
    fastdl.mu_law_decode(fastdl.mu_law_encode(x))
    points = rng.uniform(-20, 20, (20_000, 4)).astype(np.float32)
    fastdl.voxelize(points, (0.4, 0.4, 0.8), (-20, -20, -3, 20, 20, 1), max_points=10)
    fastdl.voxel_downsample(points[:, :3].copy(), 0.5)
    fastdl.one_hot(np.frombuffer(b"ACGT", np.uint8)[rng.integers(0, 4, 200_000)])
    graph = fastdl.Graph.from_edges(rng.integers(0, 2000, (2, 20_000)), 2000)
    fastdl.aggregate(graph, rng.standard_normal((2000, 64)).astype(np.float32))
    fastdl.vandermonde(rng.uniform(-1, 1, 20_000), 15)
    X, y = rng.standard_normal((10_000, 16)).astype(np.float32), rng.standard_normal(10_000).astype(np.float32)
    fastdl.lp_loss_grad(X, y, X[0], 0.0, 1.37)
    fastdl.lp_loss_grad(X, y, X[:32], np.zeros(32), 1.0)
    fastdl.fit_lp(X.astype(np.float64), y.astype(np.float64))
    fastdl.BinnedTarget(256, "uniform").fit(y).encode(y)
    fastdl.PolynomialStats(10).update((X[:, 0].clip(-1, 1).astype(np.float64), y.astype(np.float64))).sums()
    weights, biases = [X[:16, :16].astype(np.float64), X[0].astype(np.float64)], [np.zeros(16), np.zeros(())]
    fastdl.network_loss_grad(X[:2000].astype(np.float64), y[:2000].astype(np.float64), weights, biases)


def count() -> dict:
    """The CPU level and the instructions of each kernel in one run of `work`."""
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder, "counts")
        tool = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={found}", "--compress-strings=no"]
        environment = {**os.environ, "PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        command = [*tool, sys.executable, "-m", "bench.instructions", "--work"]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"the run under Valgrind failed:\n{done.stderr[-2000:]}")
        with found.open(errors="replace") as lines:
            functions = executed(lines)
    counts = {}
    for name, (module, part) in KERNELS.items():
        own = (n for (stem, function), n in functions.items() if stem == module and part in function)
        counts[name] = sum(own)
    return {"level": done.stdout.strip(), "counts": counts}


def executed(lines: Iterable[str]) -> Counter[tuple[str, str]]:
    """Instructions by module of fastdl_ext and function, from a Callgrind profile; what they call is not counted."""
    found: Counter[tuple[str, str]] = Counter()
    module, function, called = "", "", False
    for line in lines:
        if line.startswith("ob="):
            inside = re.search(r"fastdl_ext/(\w+)\.[^/]*$", line)
            module = inside[1] if inside else ""
        elif line.startswith("fn="):
            function = line[3:].strip()
        elif line.startswith("calls="):
            called = True  # the next line is what the called function took
        elif line[:1] in "0123456789+-*":
            own = "fastdl_ext" in function or not function.startswith("_")  # what Cython adds begins with it
            if module and not called and own:
                found[module, function] += int(line.split()[1])
            called = False
    return found


def compare(kept: dict, new: dict, show: Callable[[str], None] = print) -> list[str]:
    """Show each count beside the one that was kept; what grew by more than 5 %, a line each."""
    worse = []
    for name, now in new["counts"].items():
        before = kept["counts"].get(name)
        line = f"{name}: {now:,}" + (f", was {before:,} ({now / before - 1:+.1%})" if before else ", was not recorded")
        show(line)
        if before and now > MOST * before:
            worse.append(line)
    return worse


def main(arguments: list[str]) -> int:
    """Count, then compare or keep."""
    parser = argparse.ArgumentParser(prog="python -m bench.instructions", description="Count instructions of kernels.")
    parser.add_argument("--record", action="store_true", help="keep the counts")
    parser.add_argument("--work", action="store_true", help="what is counted: called under Valgrind")
    given = parser.parse_args(arguments)
    if given.work:
        print(cpu.level())
        work()
        return 0
    if shutil.which("valgrind") is None:
        print("nothing compared: Valgrind is not installed")
        return 0
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {"counts": {}}
    if not given.record and kept.get("compiler") != cpu.compiler():
        print(f"nothing compared: recorded with {kept.get('compiler')}, built with {cpu.compiler()}")
        return 0
    new = {"compiler": cpu.compiler(), **count()}
    if given.record:
        KEPT.write_text(json.dumps(new, indent=1) + "\n")
    elif kept["level"] != new["level"]:
        print(f"nothing compared: recorded at CPU level {kept['level']}, this run is at {new['level']}")
        return 0
    worse = compare(kept, new)
    for line in worse:
        print(f"more instructions than recorded: {line}", file=sys.stderr)
    return bool(worse) and not given.record


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
