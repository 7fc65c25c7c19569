"""`python -P tests/wheel.py CHECKOUT`: is the installed package whole, and do its kernels equal the reference?

The tests are copied to an empty folder first, so that `import fastdl` cannot find the checkout.
"""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

NEEDED = (
    "fastdl/py.typed",
    "fastdl/__init__.pyi",
    "fastdl/report/page.css",
    "fastdl/report/page.js",
    "fastdl/audio/__init__.pyi",
    "fastdl/reference/audio.py",
    "fastdl_ext/audio.pxd",
    "fastdl_ext/_common.pxd",
    "fastdl_ext/_neighbours.h",
)
TESTS = ("test_equivalence.py", "test_threads.py", "test_streaming.py")


def main() -> int:
    """Exit code 0 where all is there and passes."""
    import fastdl
    from fastdl import _kernels
    from fastdl.errors import DISTRIBUTION

    checkout = Path(sys.argv[1]).resolve()
    here = Path(fastdl.__file__).resolve()
    if checkout in here.parents and "site-packages" not in here.parts:
        raise SystemExit(f"{here} is the checkout, not an installed package")
    files = {str(file).replace("\\", "/") for file in importlib.metadata.files(DISTRIBUTION) or ()}
    if missing := [name for name in NEEDED if name not in files]:
        raise SystemExit(f"the package lacks {', '.join(missing)}")
    if strays := [name for name in files if name.startswith(("tests/", "bench/"))]:
        raise SystemExit(f"the package holds {strays[0]}")
    built = _kernels.built()
    if not all(built.values()):
        raise SystemExit(f"not compiled: {', '.join(name for name, there in built.items() if not there)}")
    for name in fastdl.__all__:
        getattr(fastdl, name)
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(checkout / "tests", Path(folder, "tests"), ignore=shutil.ignore_patterns("__pycache__"))
        tests = [str(Path("tests", name)) for name in TESTS]
        words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", *tests]
        code = subprocess.run(words, cwd=folder, check=False).returncode
    print(f"{DISTRIBUTION} {fastdl.__version__}, {here.parent}: {'passed' if code == 0 else 'failed'}")
    return code


if __name__ == "__main__":
    sys.exit(main())
