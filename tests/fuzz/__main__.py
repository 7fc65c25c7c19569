"""`python -m tests.fuzz PART ...`: every module of this package but those with an underscore is a part."""

import importlib
import pkgutil
import sys

import tests.fuzz

PARTS = sorted(m.name for m in pkgutil.iter_modules(tests.fuzz.__path__) if not m.name.startswith("_"))

if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in PARTS:
        sys.exit(f"usage: python -m tests.fuzz {{{','.join(PARTS)}}} [options]")
    sys.exit(importlib.import_module(f"tests.fuzz.{sys.argv[1]}").main(sys.argv[2:]))
