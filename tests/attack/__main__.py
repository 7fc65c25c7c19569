"""`python -m tests.attack [KIND ...] --seconds S --seed N`: hostile use at random, a share of the time for each kind.

calls     random calls of every public function, on kernels and on the NumPy reference, in two processes
streams   streaming states fed in random groupings, by threads and processes
forks     threads, forks and spawned processes at the same time
kills     commands that a signal ends at a random moment
disks     commands whose disk, or folder for temporary files, is full

The seed is printed, so that a run can be repeated. A failure is printed with the command that shows it; the exit code
is then 1.
"""

from __future__ import annotations

import argparse
import importlib
import random
import sys
import time

KINDS = ("calls", "streams", "forks", "kills", "disks")


def main() -> int:
    """Run the kinds that were asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.attack", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)}; default: all")
    parser.add_argument("--seconds", type=float, default=300.0, help="for all kinds together (default: %(default)g)")
    parser.add_argument("--seed", type=int, help="default: a new one")
    parser.add_argument("--function", default="", metavar="NAME", help="calls of this function alone")
    options = parser.parse_args()
    kinds = options.kinds or KINDS
    if unknown := set(kinds) - set(KINDS):
        parser.error(f"KIND must be one of {', '.join(KINDS)}, got {', '.join(unknown)}")
    seed = random.SystemRandom().randrange(1 << 32) if options.seed is None else options.seed
    failures = 0
    for kind in kinds:
        until = time.monotonic() + options.seconds / len(kinds)
        print(f"{kind}: seed {seed}", flush=True)
        only = {"function": options.function} if kind == "calls" else {}
        done, problems = importlib.import_module(f"tests.attack.{kind}").attack(random.Random(seed), until, **only)
        print(f"{kind}: {done}, {len(problems)} failed", flush=True)
        if kind != "calls":  # which tells as it goes
            print(*problems, sep="\n", flush=True)
        failures += len(problems)
    print(f"seed {seed}: {failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
