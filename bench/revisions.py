"""What a change did: the benchmarks on this tree and on a revision, beside each other.

python -m bench.revisions BASE [pytest's arguments: -k encode, bench/bench_audio.py, --quick ...]

The base is built in a worktree of its own under build/ and measured with this tree's benchmarks; each half runs twice,
in turns, and pytest-benchmark shows the lines together.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TREE = ROOT / "build" / "base"


def run(*command: str | Path, at: Path = ROOT, check: bool = True) -> None:
    """Run a command in a tree with that tree's fastdl."""
    environment = {**os.environ, "PYTHONPATH": str(at), "FASTDL_REQUIRE_EXT": "1"}
    if command[0] == "pytest-benchmark":  # it loads pytest's plugins, all that are installed, and needs none
        environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    subprocess.run([str(part) for part in command], cwd=at, env=environment, check=check)


def measure(tree: Path, name: str, arguments: list[str]) -> Path:
    """The benchmarks on a tree; lines of functions that it does not have fail and are left out."""
    written = ROOT / "build" / f"{name}.json"
    written.unlink(missing_ok=True)
    quiet = ("--benchmark-quiet", "-q", "--no-header", "--tb=no", "-p", "no:cacheprovider")
    given = arguments if any(a.startswith("bench") for a in arguments) else ["bench", *arguments]
    run(sys.executable, "-m", "pytest", *given, *quiet, f"--benchmark-json={written}", at=tree, check=False)
    if not written.exists() or not written.stat().st_size:
        sys.exit(f"no benchmark of {name} ran")
    return written


def main(arguments: list[str]) -> None:
    """Build the base, measure both, compare."""
    if not arguments or arguments[0].startswith("-"):
        sys.exit("usage: python -m bench.revisions BASE [pytest's arguments]")
    base, *rest = arguments
    if TREE.exists():
        run("git", "worktree", "remove", "--force", TREE)
    run("git", "worktree", "prune")
    run("git", "worktree", "add", "--quiet", "--detach", TREE, base)
    try:
        run(sys.executable, "setup.py", "-q", "build_ext", "--inplace", at=TREE)
        shutil.rmtree(TREE / "bench")
        shutil.copytree(ROOT / "bench", TREE / "bench")
        found = []
        for turn in (1, 2):
            found += [measure(TREE, f"base-{turn}", rest), measure(ROOT, f"now-{turn}", rest)]
        run("pytest-benchmark", "compare", *found, "--group-by=fullname", "--columns=min,median", "--sort=name")
    finally:
        run("git", "worktree", "remove", "--force", TREE)


if __name__ == "__main__":
    main(sys.argv[1:])
