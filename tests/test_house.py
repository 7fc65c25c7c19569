"""The rules of the house (ARCHITECTURE.md), first part: where a file stands, what it is called, what its door shows.

What may import what is in test_house_imports.py, how large a part may be in test_house_parts.py.
"""

import ast
import inspect
import os
import re
import subprocess
import sys

import pytest

import fastdl
from fastdl import _kernels
from tests.house import (
    CHECKOUT,
    GROUND,
    ROOMS,
    ROOT,
    SUBJECTS,
    flat,
    module_of,
    private_part,
    sources,
    stub_names,
    tree_of,
    trees,
)

# The first words of files in the rooms with a file for each subject, that are no subject's.
FREE = {
    "reference": {"files"},
    "estimators": set(),
    "torch": set(),
    "report": {"figures", "inspection", "listings", "page", "samples", "scenes", "sounds", "table"},
    "cli": {"about"},
    "fastdl_ext": {"cpu", "files", "power"},
    "bench": {"files", "torch"},
    "tests": {
        "architecture", "atomic", "attack", "bench", "check", "cluster", "command", "docs", "equivalence", "errors",
        "estimators", "file", "files", "house", "lowlevel", "readme", "report", "rows", "streaming", "threads", "torch",
        "typing", "user",
    },
}  # fmt: skip
# Helpers begin with an underscore and are named after what they hold, so the subject may be in the singular.
SINGULAR = {subject.removesuffix("s"): subject for subject in SUBJECTS}
# Files of a flat room that hold neither tests nor benchmarks.
HELPERS = {
    "tests": {
        "__init__", "case", "cases", "cases_streams", "conftest", "digest", "house", "local_clusters", "wheel",
    },
    "bench": {
        "__init__", "conftest", "goal_rows", "goals", "instructions", "machine", "peers", "readme_rows", "revisions",
        "shown", "tables",
    },
}  # fmt: skip


def first_word(stem):
    return stem.removeprefix("_").split("_")[0]


# 1. The subject is the first word.


def test_every_part_stands_under_its_subject():
    folders = {path.name for path in ROOT.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == {*SUBJECTS, *ROOMS}
    modules = {path.stem for path in ROOT.glob("*.py")} - {"__init__", "__main__"}
    assert modules == set(GROUND)


@pytest.mark.parametrize("room", ["reference", "estimators", "torch", "report", "cli"])
def test_a_room_has_a_file_for_each_subject(room):
    for path in (ROOT / room).glob("[a-z]*.py"):
        assert first_word(path.stem) in {*SUBJECTS, *FREE[room]}, path
    if room == "reference":
        for path in (ROOT / room).glob("_[a-z]*.py"):
            assert first_word(path.stem) in {*SUBJECTS, *SINGULAR}, path


@pytest.mark.parametrize(("room", "prefix"), [("fastdl_ext", ""), ("tests", "test_"), ("bench", "bench_")])
def test_flat_rooms_name_the_subject_first(room, prefix):
    for path in flat(room, ".py", ".pyx", ".pxd", ".h"):
        if path.stem.startswith(prefix) and path.stem != "__init__":
            helper = room == "fastdl_ext" and path.stem.startswith("_")  # cimported by several subjects' kernels
            word = first_word(path.stem.removeprefix(prefix))
            assert helper or word in {*SUBJECTS, *FREE[room]}, path
        elif path.stem not in HELPERS.get(room, {"__init__"}):
            assert first_word(path.stem.removeprefix("cases_")) in SUBJECTS, path


# 2. Doors.

DOORS = sorted(path.parent for path in sources(pattern="__init__.pyi") if path.parent != ROOT)
LINES = ["from fastdl import _lazy", "__getattr__, __dir__, __all__ = _lazy.door(__name__)"]
# What a door says more: why.
MORE = {
    "reference": [LINES[0], "__getattr__, __dir__, __all__ = _lazy.door(__name__, search=True)"],  # all NumPy, no cost
    "estimators": [
        "from fastdl import _check, _lazy",
        "_check.extra('sklearn', 'fit', 'fastdl.estimators')",  # says which extra is missing before anything is loaded
        LINES[1],
    ],
}
# Rooms without a list of names: the commands and the chapters are lists of their own, methods are for fit_lp alone.
WITHOUT = {ROOT / "cli", ROOT / "report", ROOT / "linear/methods"}


@pytest.mark.parametrize("folder", DOORS, ids=lambda folder: folder.relative_to(ROOT).as_posix())
def test_a_door_is_a_docstring_and_one_line(folder):
    tree = tree_of(folder / "__init__.py")
    assert ast.get_docstring(tree)
    assert [ast.unparse(node) for node in tree.body[1:]] == MORE.get(folder.name, LINES)


def test_every_package_has_a_door():
    packages = {path.parent for path in sources(pattern="__init__.py")} - {ROOT, *WITHOUT}
    assert packages == set(DOORS)


@pytest.mark.parametrize("folder", [ROOT, *DOORS], ids=lambda folder: folder.relative_to(CHECKOUT).as_posix())
def test_a_stub_is_lines_whose_targets_exist(folder):
    for node in tree_of(folder / "__init__.pyi").body:
        text = ast.unparse(node)
        if isinstance(node, ast.ImportFrom):
            assert all(alias.asname == alias.name for alias in node.names), f"a type checker would not show: {text}"
        else:
            assert isinstance(node, (ast.Expr, ast.AnnAssign)), text
    for name, module in stub_names(folder / "__init__.pyi").items():
        path = CHECKOUT.joinpath(*module.split("."))
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        assert path.is_file(), f"{name}: there is no {module}"
        if path.parent.joinpath("__init__.pyi").is_file() and path.name == "__init__.py":
            assert (path.parent / f"{name}.py").is_file() or name in stub_names(path.with_suffix(".pyi")), name
            continue
        defined = {word for _, words in defined_names(tree_of(path)) for word in words}
        assert name in defined, f"{module} has no {name}"


def test_the_stub_of_fastdl_repeats_those_of_the_subjects():
    """But for names that say `# not in fastdl`: constants, records that calls give, and what few people need."""
    top = stub_names(ROOT / "__init__.pyi")
    assert set(fastdl.__all__) <= set(top)
    assert not any(top[name].startswith(("fastdl.estimators", "fastdl.torch")) for name in fastdl.__all__)
    for subject in SUBJECTS:
        stub = ROOT / subject / "__init__.pyi"
        alone = set(re.findall(r" as (\w+)  # not in fastdl$", stub.read_text(), re.MULTILINE))
        shown = {name: module for name, module in top.items() if module.startswith(f"fastdl.{subject}.")}
        assert shown == {name: module for name, module in stub_names(stub).items() if name not in alone}, subject


# 3 and 4. Modules.


@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_module_without_an_underscore_defines_what_the_door_shows(subject):
    shown = set(stub_names(ROOT / subject / "__init__.pyi").values())
    assert {module_of(path) for path in (ROOT / subject).glob("[a-z]*.py")} <= shown
    assert not any(private_part(module) for module in shown), "a helper defines what the door shows"


def defined_names(tree):
    """(node, names) of what stands at the head of a module, within conditions too: functions, classes, variables."""
    for node in tree.body:
        inner = ast.walk(node) if isinstance(node, (ast.If, ast.Try, ast.With)) else [node]
        for part in inner:
            if isinstance(part, (ast.FunctionDef, ast.ClassDef)):
                yield part, {part.name}
            elif isinstance(part, (ast.Assign, ast.AnnAssign)):
                targets = part.targets if isinstance(part, ast.Assign) else [part.target]
                yield part, {n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)}


def test_no_module_has_the_name_of_what_it_defines():
    """Otherwise fastdl.points.voxelize would be the module or the function, depending on what was imported before."""
    for path, tree in trees():
        names = set().union(*(names for _, names in defined_names(tree)))
        assert path.stem not in names, path


@pytest.mark.parametrize("folder", [ROOT, *DOORS], ids=lambda folder: folder.relative_to(CHECKOUT).as_posix())
def test_no_module_has_the_name_of_what_its_door_shows(folder):
    modules = {path.stem for path in folder.glob("*.py")} | {p.name for p in folder.iterdir() if p.is_dir()}
    for name, module in stub_names(folder / "__init__.pyi").items():
        assert name not in modules or module == module_of(folder), f"{folder}: {name}"


# Documentation, the cost of an import, the kernels.


@pytest.mark.parametrize("name", [n for n in dir(fastdl) if not inspect.ismodule(getattr(fastdl, n))])
def test_public_names_are_documented_with_an_example(name):
    thing = getattr(fastdl, name)
    text = inspect.getdoc(thing)
    assert text
    if inspect.isfunction(thing):
        for section in ("Parameters", "(Returns|Yields)", "Examples"):
            assert re.search(f"\n{section}\n---", text), f"{name} lacks {section}"


def python(code, **environment):
    """What another interpreter says to a program."""
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **environment}, timeout=120
    )


def test_import_is_cheap():
    heavy = {"numba", "scipy", "matplotlib", "sklearn", "torch", "pandas"}
    code = f"import sys, fastdl; fastdl.mu_law_encode; print(sorted({heavy} & {{*sys.modules}}))"
    done = python(code)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
    loaded = python("import sys, fastdl; print(*sys.modules)").stdout.split()
    assert "fastdl" in loaded
    assert "numpy" not in loaded


def test_first_calls_load_nothing_they_do_not_use():
    heavy = {
        "concurrent.futures",
        "logging",
        "numpy.ma",
        "importlib.resources",
        "decimal",
        "fractions",
        "numba",
        "scipy",
        "pandas",
    }
    code = (
        "import sys, numpy as np, fastdl; X = np.random.default_rng(0).standard_normal((200, 3)); "
        "fastdl.fit_lp(X, X.sum(1)); fastdl.voxelize(X, 0.5, (-3, -3, -3, 3, 3, 3)); "
        f"print(sorted({heavy} & {{*sys.modules}}))"
    )
    done = python(code)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_reference_does_the_work_without_kernels():
    code = "import fastdl; print(fastdl.mu_law_encode([0.5, -1.0]).tolist())"
    assert python(code, FASTDL_REFERENCE="1").stdout.strip() == "[239, 0]"


def test_the_reference_gives_every_public_function():
    for name in ("mu_law_encode", "voxelize", "one_hot", "aggregate", "lp_loss", "fit_lp"):
        assert callable(getattr(fastdl.reference, name)), name


def test_kernels_of_every_stem_are_built():
    files = {p.stem for p in (CHECKOUT / "fastdl_ext").glob("*.pyx")}
    assert not files or files == set(_kernels.stems())
    if not _kernels.FORCED:
        assert all(_kernels.built().values())


def test_every_kernel_that_is_asked_for_is_there():
    """`_kernels.load` gives None for a name that no file has, and the reference would silently do the work."""
    files = {path.stem for path in flat("fastdl_ext", ".pyx")}
    asked = set()
    for _, tree in trees():
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            if ast.unparse(call.func) == "_kernels.load":
                asked.add(ast.literal_eval(call.args[0]))
    assert asked == files
