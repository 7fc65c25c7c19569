"""How many instructions kernels take: a count that repeats where a time does not.

`python -m bench.instructions` runs one call of each kernel under valgrind and fails where a count is more than 5 %
above that in `bench/instructions.json`; `--record` writes the file. Valgrind shows programs a CPU without AVX-512, so
that every machine with AVX2 runs the same code. Counts belong to a compiler: under another one nothing is compared.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

RECORD = Path(__file__).with_name("instructions.json")
MOST = 1.05  # times the recorded count
_LEAST = 250_000  # instructions: what takes fewer is setting up
_FUNCTION = re.compile(
    r"([\d,]+) \([ \d.]+%\) .*:(?:__pyx_fuse_[\d_]+)?__pyx_pw_\d+fastdl_ext_\d+([a-z_0-9]+?)_\d+([a-z]\w*)"
)


def run_kernels() -> None:
    """One call of each, on data that are always the same."""
    import numpy as np

    import fastdl

    rng = np.random.default_rng(0)
    samples = rng.integers(-32768, 32768, 200_000, dtype=np.int16)
    fastdl.g711_encode(samples)
    fastdl.mu_law_decode(fastdl.mu_law_encode(samples))
    cloud = rng.uniform(-10, 10, (20_000, 4)).astype(np.float32)
    fastdl.voxelize(cloud, (0.5, 0.5, 0.5), (-10, -10, -10, 10, 10, 10), max_points=8)
    fastdl.voxel_downsample(cloud, 0.5)
    letters = rng.choice(np.frombuffer(b"ACGTN", np.uint8), 200_000)
    fastdl.one_hot(letters)
    fastdl.kmer_index(letters, 8, canonical=True)
    graph = fastdl.Graph.from_edges(rng.integers(0, 5000, (2, 50_000)))
    fastdl.aggregate(graph, rng.normal(size=(5000, 8)).astype(np.float32))
    X, y = rng.normal(size=(20_000, 16)), rng.normal(size=20_000)
    for p in (1.0, 2.0, 1.37):
        fastdl.lp_loss_grad(X, y, X[0], 0.0, p)
    fastdl.fit_lp(X, y)
    fastdl.vandermonde(y, 8)
    fastdl.polynomial_features(X[:, :4], 3)
    fastdl.BinnedTarget(64).fit(y).encode(y)
    fastdl.split(200_000, seed=0).parts()


def count() -> dict[str, int]:
    """Instructions of every kernel that `run_kernels` calls, those of what it calls among them."""
    with tempfile.TemporaryDirectory() as folder:
        out = f"{folder}/counts"
        words = [sys.executable, "-m", "bench.instructions", "--run"]
        valgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--quiet"]
        subprocess.run([*valgrind, *words], check=True, cwd=Path(__file__).parents[1], stderr=subprocess.DEVNULL)
        told = ["callgrind_annotate", "--inclusive=yes", "--threshold=100", out]
        text = subprocess.run(told, check=True, capture_output=True, text=True).stdout
    found: Counter[str] = Counter()
    for n, stem, name in _FUNCTION.findall(text):  # one line for each dtype
        found[f"{stem}.{name}"] += int(n.replace(",", ""))
    return {name: n for name, n in sorted(found.items()) if n >= _LEAST}


def compare(counts: dict[str, int], recorded: dict[str, int]) -> list[str]:
    """What has become worse, a line each, with both numbers."""
    return [
        f"{name}: {counts[name]:,} instructions, {n:,} recorded ({counts[name] / n - 1:+.1%})"
        for name, n in recorded.items()
        if name in counts and counts[name] > n * MOST
    ] + [f"{name}: is not called any more" for name in recorded if name not in counts]


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 1 where a kernel takes more than it did."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true", help="keep the counts as those to compare with")
    parser.add_argument("--run", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.run:
        run_kernels()
        return 0
    compiler = f"{platform.python_compiler()} {platform.machine()}"
    known = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    if not shutil.which("valgrind") or not shutil.which("callgrind_annotate"):
        print("not counted: valgrind is not installed")
        return 0
    if not options.record and known.get("compiler") != compiler:
        print(f"not compared: counts were recorded with {known.get('compiler')}, this is {compiler}")
        return 0
    counts = count()
    if options.record:
        RECORD.write_text(json.dumps({"compiler": compiler, "counts": counts}, indent=1) + "\n")
        return 0
    worse = compare(counts, known["counts"])
    print("\n".join(worse) or f"{len(counts)} kernels take no more instructions than recorded")
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
