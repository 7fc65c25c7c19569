"""The rules of the house, second part: imports run down, stand at the head, and name whole paths."""

import ast
import re
import sys

import pytest

from tests.house import (
    CHECKOUT,
    GROUND,
    ROOT,
    SUBJECTS,
    dotted_uses,
    flat,
    functions,
    imported,
    is_module,
    module_of,
    private_part,
    room_of,
    sources,
    stub_names,
    tree_of,
    trees,
)

INPUTS = {"audio", "points", "sequences", "graphs", "targets", "features", "losses"}
# What each room may import of the rooms beside it; the ground, reference and itself are always allowed.
MAY_IMPORT = {
    **{subject: set() for subject in INPUTS},
    "linear": {"losses"},
    "network": {"linear", "losses", "features"},
    "selection": {"linear", "losses", "features"},
    "files": {"audio", "points", "sequences", "graphs", "features", "linear", "selection"},
    "estimators": {*SUBJECTS, "files"},
    "report": {*SUBJECTS, "files"},
    "torch": {*SUBJECTS, "files"},
    "cli": {*SUBJECTS, "files", "estimators", "report"},
}
# Arrows to what begins with an underscore in another room: each is the wish for a public function.
PRIVATE = {
    ("linear", "losses._row_sums"),
    ("network", "linear._class_labels"),
    ("network", "linear._matrix"),
    ("files", "sequences._settings"),
    ("files", "sequences._letters"),
    ("files", "sequences._window_encoder"),
    ("cli", "sequences._settings"),
    ("cli", "files.audio._raw"),
    ("torch", "files.audio._open_files"),
    ("estimators", "linear._class_labels"),
    ("estimators", "points._grid"),
    ("estimators", "points._reductions"),
    ("estimators", "features._function_blocks"),
}
# What one subject imports of another that the door of that one does not show: wishes too.
BEYOND_THE_DOOR = {
    "fastdl.audio.mu_law.InputNaN",
    "fastdl.graphs.conversion.both_directions",
    "fastdl.graphs.graph.MAX_BYTES",
    "fastdl.linear.fit.find_fit",
    "fastdl.linear.training_options.TrainingKeywords",
    "fastdl.linear.training_options.merge_options",
    "fastdl.sequences.variants.alter_window",
}
# What definitions may import: NumPy, and what of the standard library says something about numbers or types.
OF_DEFINITIONS = {
    "numpy", "math", "itertools", "collections", "functools", "typing", "__future__",
}  # fmt: skip
# Optional libraries may be missing or slow to load: within functions alone, but in the rooms that are about them.
OPTIONAL = {
    "scipy", "matplotlib", "sklearn", "zarr", "soundfile", "soxr", "laspy", "lazrs", "tqdm", "pandas", "polars",
    "pyarrow", "isal", "torch", "dask", "distributed", "networkx", "pye57", "shtab", "numba", "joblib",
}  # fmt: skip
ABOUT = {"estimators": {"sklearn"}, "torch": {"torch"}}
# Modules of the standard library that load late: slow ones, and one that Windows has not.
SLOW = {"concurrent.futures", "ctypes", "datetime", "difflib", "fcntl", "importlib", "importlib.resources", "pathlib"}
SLOW |= {"platform", "zipfile"}


# Imports run down.


def check_arrow(module, room, name):
    """Assert that a module of `room` may import the dotted `name`."""
    top, other = name.split(".")[0], room_of(name)
    if room == "reference":
        assert top in OF_DEFINITIONS or other == "reference", f"{module} imports {name}"
    elif room == "ground":
        assert other in ("ground", "reference") or top != "fastdl", f"{module} imports {name}"
        if other == "ground" and module.split(".")[1] != name.split(".")[1]:
            assert GROUND[name.split(".")[1]] <= GROUND[module.split(".")[1]], f"{module} imports {name}"
    elif room:
        if room not in ("cli", "report", "torch"):  # below the faces, `fastdl` itself would hide what is imported
            assert other or top != "fastdl" or name == "fastdl.__version__", f"{module} imports {name}"
        if other not in (None, room, "ground", "reference"):
            assert other in MAY_IMPORT[room], f"{module} imports {name}"
            private = private_part(name)
            assert private is None or (room, private) in PRIVATE, f"{module} imports {name}"


@pytest.mark.parametrize("path", sources(), ids=module_of)
def test_imports_run_down(path):
    module = module_of(path)
    room = room_of(module)
    if path == ROOT / "reference/__init__.py":
        return  # a door
    for name, _ in imported(tree_of(path)):
        check_arrow(module, room, name)


def test_every_arrow_to_a_private_module_is_still_there():
    found = set()
    for path, tree in trees():
        room = room_of(module_of(path))
        found |= {(room, private_part(name)) for name, _ in imported(tree)}
    assert found >= PRIVATE, f"no longer needed: {PRIVATE - found}"


def test_another_subject_is_imported_from_the_module_that_defines_it():
    """Not through its door, which would load it by a string, and only what that door shows or a list above allows."""
    beyond = set()
    shown = {subject: stub_names(ROOT / subject / "__init__.pyi") for subject in SUBJECTS}
    for path, tree in trees():
        module = module_of(path)
        room = room_of(module)
        if room in ("cli", "report", "torch", "estimators", "ground", None):
            continue
        for name, _ in imported(tree):
            other = room_of(name)
            if other in (room, None) or other not in SUBJECTS or is_module(name):
                continue
            home, _, what = name.rpartition(".")
            assert home != f"fastdl.{other}", f"{module} imports {name} through the door"
            if private_part(home) is None and shown[other].get(what) != home:
                beyond.add(name)
    assert beyond == BEYOND_THE_DOOR


KERNELS = [*flat("fastdl_ext", ".py", ".pyx", ".pxd", ".pxi", ".h"), *sources(CHECKOUT / "fastdl_ext/user_functions")]


@pytest.mark.parametrize("path", KERNELS, ids=lambda path: path.name)
def test_kernels_never_import_the_shell(path):
    """Nor Numba, but in user_functions: what is built in is compiled before it is installed."""
    words = re.findall(r"^\s*(?:from|c?import)\s+([\w.]+)|\bc?import\s+([\w.]+)", path.read_text(), re.M)
    tops = {name.split(".")[0] for pair in words for name in pair if name}
    assert "fastdl" not in tops
    assert "numba" not in tops or path.parent.name == "user_functions"
    assert not re.search(r"import_module|__import__|PyImport_", path.read_text())


def test_numba_is_loaded_in_user_functions_alone():
    for path, tree in trees():
        assert not any(name.split(".")[0] == "numba" for name, _ in imported(tree)), path


# No import within a function, and none by a string.


def may_wait(module, name):
    """Whether a function may import this: what costs time, or may not be there."""
    if name.startswith("fastdl.linear.methods."):
        return module == "fastdl.linear.fit"  # one of six
    if name.split(".")[0] in ("fastdl", "fastdl_ext"):
        return name.startswith("fastdl_ext.user_functions")  # Numba
    return name.split(".")[0] in OPTIONAL or name in SLOW or name.rpartition(".")[0] in SLOW


def test_imports_stand_at_the_head():
    late = []
    for path, tree in trees():
        module = module_of(path)
        if room_of(module) == "cli" or module in ("fastdl._lazy", "fastdl.report", "fastdl.report.inspection"):
            continue  # a command, a chapter loads what it needs when it runs
        if module == "fastdl.report.page":
            continue  # the machine's description alone
        for function in functions(tree):
            where = f"{module}.{function.name}"
            late += [f"{where}: {name}" for name, _ in imported(function) if not may_wait(module, name)]
        for kind in (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)):
            late += [f"{module}.{kind.name}: {name}" for node in kind.body for name, _ in imported_by(node)]
    assert not late, "\n".join(sorted(set(late)))


def imported_by(node):
    """What a statement imports itself."""
    return imported(ast.Module([node], [])) if isinstance(node, (ast.Import, ast.ImportFrom)) else ()


def test_optional_libraries_are_imported_within_functions():
    """Or in a try, which goes on without them."""
    for path, tree in trees():
        room = room_of(module_of(path))
        tries = [node for node in ast.walk(tree) if isinstance(node, ast.Try)]
        inner = {id(node) for part in (*functions(tree), *tries) for node in ast.walk(part)}
        for name, node in imported(tree):
            top = name.split(".")[0]
            known = top in ("fastdl", "fastdl_ext", "numpy", "__future__") or top in sys.stdlib_module_names
            assert known or id(node) in inner or top in ABOUT.get(room, ()), f"{path} imports {name}"
            assert known or top in OPTIONAL, f"{path} imports {name}, which is in no list"


BY_STRING = re.compile(
    r"^(importlib\.(import_module|reload|util|machinery|_bootstrap)|__import__|builtins\.__import__"
    r"|pkgutil\.|runpy\.|imp\.|exec$|eval$|compile$|pydoc\.locate|sys\.modules)"
)
# The door, the kernels, optional libraries, the list of commands and that of chapters.
LISTS = {"fastdl._lazy", "fastdl._kernels", "fastdl._check", "fastdl.cli", "fastdl.report"}


def test_no_import_by_a_string():
    for path, tree in trees():
        found = [name for name, _ in dotted_uses(tree) if BY_STRING.match(name)]
        assert module_of(path) in LISTS or not found, f"{path}: {found}"
