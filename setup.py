"""The build of fastdl_ext, nothing else; metadata and settings are in pyproject.toml.

FASTDL_REQUIRE_EXT=1   a kernel that does not compile is an error (default: a warning; the reference does its work)
FASTDL_CPU=LEVEL       build for one CPU level only (default, x86-64-v3, x86-64-v4): how the tests compare levels
FASTDL_DEBUG=1         bounds checks on, symbols, and no optimisation: a debugger shows every line
FASTDL_SANITIZE=1      with the address and undefined-behaviour sanitizers (make sanitize)
FASTDL_KERNELS=A,B     these kernels alone
"""

import os
import sys
import tempfile
from pathlib import Path

from setuptools import Distribution, Extension, setup
from setuptools.command.build_ext import build_ext

# The same bits on every CPU: no contraction to FMA, no reordering of sums, no -march.
EXACT = ["-O3", "-g0", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-Wno-unreachable-code"]
# The same for Windows. clang-cl takes GNU's flags behind /clang:, cl none of them; /fp:precise contracts nothing.
EXACT_CLANG_CL = ["/O2", "/clang:-O3", "/clang:-ffp-contract=off", "/clang:-fno-math-errno"]
EXACT_CL = ["/O2", "/fp:precise"]
# Only integers leave this module, and both roundings are proven to give the same ones (tests/test_audio.py).
CONTRACTED = {"audio": ["-ffp-contract=fast"]}
SANITIZERS = [
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=undefined",
    "-fno-omit-frame-pointer",
    "-g1",
    "-O1",
]
NUMPY_API = [("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION"), ("NPY_TARGET_VERSION", "NPY_2_0_API_VERSION")]
UNOPTIMISED = ["-O0", "-g"]
DEBUG = os.environ.get("FASTDL_DEBUG") == "1"
REQUIRED = os.environ.get("FASTDL_REQUIRE_EXT") == "1"
SANITIZE = os.environ.get("FASTDL_SANITIZE") == "1"
LEVEL = os.environ.get("FASTDL_CPU")
ONLY = set(filter(None, os.environ.get("FASTDL_KERNELS", "").split(",")))
WINDOWS = sys.platform == "win32"


def extensions():
    """A kernel for each .pyx; none where nothing can be compiled, so that the wheel is a pure one.

    A wheel without kernels that is tagged for this platform would be taken for the compiled one by every later install.
    """
    try:
        import numpy
        from Cython.Build import cythonize
    except ImportError:
        if REQUIRED:
            raise
        return []
    if not REQUIRED and not compiler_works():
        print("warning: there is no working C compiler; fastdl will run on NumPy, many times slower", file=sys.stderr)
        return []
    level = f'"arch={LEVEL}"' if LEVEL not in (None, "default") else '"default"'
    found = [
        Extension(
            f"fastdl_ext.{path.stem}",
            [path.as_posix()],
            include_dirs=["fastdl_ext", numpy.get_include()],
            depends=[header.as_posix() for header in Path("fastdl_ext").glob("*.h")],
            extra_compile_args=flags(path.stem),
            extra_link_args=SANITIZERS[:1] if SANITIZE else [],
            define_macros=NUMPY_API + ([("FASTDL_LEVEL", level)] if LEVEL else []),
        )
        for path in sorted(Path("fastdl_ext").glob("*.pyx"))
        if not ONLY or path.stem in ONLY
    ]
    directives = {
        "language_level": 3,
        "boundscheck": DEBUG,
        "wraparound": False,
        "initializedcheck": False,
        "cdivision": True,
        "freethreading_compatible": True,
    }
    return cythonize(found, build_dir=f"build/cython{'-debug' * DEBUG}", compiler_directives=directives)


def flags(stem):
    """For GNU's and LLVM's compilers; those of Windows are chosen when the compiler is known."""
    if WINDOWS:
        return []
    return EXACT + CONTRACTED.get(stem, []) + (SANITIZERS if SANITIZE else []) + (UNOPTIMISED if DEBUG else [])


class Build(build_ext):
    """Without a compiler the package still installs; fastdl then runs on its NumPy reference and says so."""

    def build_extensions(self):
        """On Windows by clang-cl, where it is there: the kernels use GNU C's vectors, which cl has not."""
        if WINDOWS:
            self.compiler.initialize()
            clang = self.compiler.find_exe("clang-cl.exe") if hasattr(self.compiler, "find_exe") else None
            clang = clang if clang and os.path.isfile(clang) else os.environ.get("FASTDL_CLANG_CL")
            if clang:
                self.compiler.cc = clang
            for extension in self.extensions:
                extension.extra_compile_args = list(EXACT_CLANG_CL if clang else EXACT_CL)
        super().build_extensions()

    def build_extension(self, ext):
        """Compile one kernel."""
        try:
            super().build_extension(ext)
        except Exception as error:
            if REQUIRED:
                raise
            print(f"warning: {ext.name} was not built ({error}); its functions will use NumPy", file=sys.stderr)

    def copy_extensions_to_source(self):
        """Those that were compiled."""
        self.extensions = [e for e in self.extensions if os.path.exists(self.get_ext_fullpath_built(e))]
        super().copy_extensions_to_source()

    def get_ext_fullpath_built(self, ext):
        """Where a compiled kernel is."""
        return os.path.join(self.build_lib, self.get_ext_filename(ext.name))


def compiler_works():
    """Whether a module of one line can be compiled and linked against Python."""
    source = "#include <Python.h>\nPyMODINIT_FUNC PyInit_probe(void) { return NULL; }\n"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "probe.c")
        path.write_text(source)
        command = build_ext(Distribution({"ext_modules": [Extension("probe", [str(path)])]}))
        command.build_lib, command.build_temp = folder, folder
        silent, kept = os.open(os.devnull, os.O_WRONLY), os.dup(2)
        os.dup2(silent, 2)
        try:
            command.ensure_finalized()
            command.run()
        except Exception:
            return False
        finally:
            os.dup2(kept, 2)
            os.close(silent)
            os.close(kept)
    return True


# Objects of one CPU level, with sanitizers or bounds checks must not serve another build.
APART = f"build/{LEVEL or 'default'}{'-sanitize' * SANITIZE}{'-debug' * DEBUG}" if LEVEL or SANITIZE or DEBUG else None
options: dict = {"build_ext": {"parallel": os.cpu_count()}}  # kernels compile side by side
if APART:
    options["build_ext"]["force"] = True
    options["build"] = {"build_base": APART}
setup(ext_modules=extensions(), cmdclass={"build_ext": Build}, options=options)
