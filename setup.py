"""The build of fastdl_ext, nothing else; metadata and settings are in pyproject.toml.

FASTDL_REQUIRE_EXT=1   a kernel that does not compile is an error (default: a warning; the reference does its work)
FASTDL_CPU=LEVEL       build for one CPU level only (default, x86-64-v3, x86-64-v4): how the tests compare levels
FASTDL_DEBUG=1         bounds checks on
"""

import os
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

# The same bits on every CPU: no contraction to FMA, no reordering of sums, no -march.
EXACT = ["-O3", "-g0", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-Wno-unreachable-code"]
# Only integers leave this module, and both roundings are proven to give the same ones (tests/test_audio.py).
CONTRACTED = {"audio": ["-ffp-contract=fast"]}
DEBUG = os.environ.get("FASTDL_DEBUG") == "1"
LEVEL = os.environ.get("FASTDL_CPU")


def extensions():
    try:
        from Cython.Build import cythonize
    except ImportError:
        return []
    flags = [] if sys.platform == "win32" else EXACT
    found = [
        Extension(
            f"fastdl_ext.{path.stem}",
            [path.as_posix()],
            include_dirs=["fastdl_ext"],
            depends=[header.as_posix() for header in Path("fastdl_ext").glob("*.h")],
            extra_compile_args=flags + (CONTRACTED.get(path.stem, []) if flags else []),
            define_macros=[("FASTDL_LEVEL", f'"arch={LEVEL}"' if LEVEL != "default" else '"default"')] if LEVEL else [],
        )
        for path in sorted(Path("fastdl_ext").glob("*.pyx"))
    ]
    directives = {
        "language_level": 3,
        "boundscheck": DEBUG,
        "wraparound": False,
        "initializedcheck": False,
        "cdivision": True,
        "freethreading_compatible": True,
    }
    return cythonize(found, build_dir="build/cython", compiler_directives=directives)


class Build(build_ext):
    """Without a compiler the package still installs; fastdl then runs on its NumPy reference and says so."""

    def build_extension(self, ext):
        try:
            super().build_extension(ext)
        except Exception as error:
            if os.environ.get("FASTDL_REQUIRE_EXT") == "1":
                raise
            print(f"warning: {ext.name} was not built ({error}); its functions will use NumPy", file=sys.stderr)

    def copy_extensions_to_source(self):
        self.extensions = [e for e in self.extensions if os.path.exists(self.get_ext_fullpath_built(e))]
        super().copy_extensions_to_source()

    def get_ext_fullpath_built(self, ext):
        return os.path.join(self.build_lib, self.get_ext_filename(ext.name))


# Objects of one CPU level must not serve another.
apart = {"build": {"build_base": f"build/{LEVEL}"}, "build_ext": {"force": True}} if LEVEL else {}
setup(ext_modules=extensions(), cmdclass={"build_ext": Build}, options=apart)
