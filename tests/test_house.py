"""The rules of the house: what may import what, what an import may cost, and that every part has its documentation."""

import ast
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import fastdl

ROOT = Path(fastdl.__file__).parent
# From the top down: a module imports from its own level or lower ones only.
LEVELS = [
    ("fastdl.cli", "fastdl.report", "fastdl.estimators"),
    ("fastdl.files",),
    ("fastdl",),
    ("fastdl.reference",),
    ("fastdl_ext",),
]


def imports(path):
    """Every module that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def level(module):
    found = [(len(p), i) for i, names in enumerate(LEVELS) for p in names if f"{module}.".startswith(f"{p}.")]
    return max(found)[1]


def modules():
    for path in sorted(ROOT.rglob("*.py")):
        yield ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__"), path


@pytest.mark.parametrize(("module", "path"), list(modules()), ids=lambda x: x if isinstance(x, str) else "")
def test_imports_run_one_way(module, path):
    free = {"fastdl", "fastdl.__main__"}  # the lazy list of names, and the entry point
    for name in imports(path):
        top = name.split(".")[0]
        if module.startswith("fastdl.reference"):
            assert top in ("numpy", "math", "fastdl", "__future__", "typing") and (
                top != "fastdl" or "reference" in name
            ), name
        elif top in ("fastdl", "fastdl_ext") and module not in free and name != "fastdl.__version__":
            assert level(name) >= level(module), f"{module} imports {name}"


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_every_module_says_what_it_is_and_is_short(path):
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree)
    assert len(path.read_text().splitlines()) <= 460


@pytest.mark.parametrize("name", [n for n in dir(fastdl) if not inspect.ismodule(getattr(fastdl, n))])
def test_public_names_are_documented_with_an_example(name):
    thing = getattr(fastdl, name)
    text = inspect.getdoc(thing)
    assert text
    if inspect.isfunction(thing):
        for section in ("Parameters", "(Returns|Yields)", "Examples"):
            assert re.search(f"\n{section}\n---", text), f"{name} lacks {section}"


def python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **environment}, timeout=120
    )


def test_import_is_cheap():
    heavy = {"numba", "scipy", "matplotlib", "sklearn"}
    code = f"import sys, fastdl; fastdl.mu_law_encode; print(sorted({heavy} & {{*sys.modules}}))"
    done = python(code)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
    assert "numpy" not in python("import sys, fastdl; print(*sys.modules)").stdout


def test_reference_does_the_work_without_kernels():
    code = "import fastdl; print(fastdl.audio.mu_law.kernel, fastdl.mu_law_encode([0.5, -1.0]).tolist())"
    assert python(code, FASTDL_REFERENCE="1").stdout.strip() == "None [239, 0]"


def test_kernels_of_every_stem_are_built():
    from fastdl import _kernels

    sources = {p.stem for p in (ROOT.parent / "fastdl_ext").glob("*.pyx")}
    assert not sources or sources == set(_kernels.stems())
    if not _kernels.FORCED:
        assert all(_kernels.built().values())
