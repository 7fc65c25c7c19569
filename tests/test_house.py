"""The rules of the house (ARCHITECTURE.md): where a part stands, what may import what, how large a part may be."""

import ast
import inspect
import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

import fastdl
from fastdl import _kernels

ROOT = Path(fastdl.__file__).parent
CHECKOUT = ROOT.parent
SUBJECTS = (
    "audio", "points", "sequences", "graphs", "targets", "features", "losses", "linear", "network", "selection",
)  # fmt: skip
ROOMS = ("reference", "files", "estimators", "report", "cli", "torch")
GROUND = {
    "errors": 0,
    "_typing": 0,
    "_lazy": 0,
    "_memory": 0,
    "_frames": 1,
    "_state_bytes": 1,
    "_check": 1,
    "_threads": 2,
    "_kernels": 2,
    "_row_buffer": 2,
    "_superaccumulator": 2,
}
GROUND |= {"_dask": 1, "streaming": 2, "_rows": 3, "_bandwidth": 3}
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
# Arrows to a module with an underscore of another room: each is the wish for a public function.
PRIVATE = {
    ("linear", "losses._row_sums"),
    ("network", "linear._class_labels"),
    ("network", "linear._standard_rows"),
    ("network", "linear._matrix"),
    ("network", "linear._coordinates"),
    ("network", "losses._row_sums"),
    ("selection", "linear._coordinates"),
    ("files", "sequences._settings"),
    ("files", "sequences._letters"),
    ("files", "sequences._window_encoder"),
    ("cli", "sequences._settings"),
    ("estimators", "linear._class_labels"),
    ("estimators", "points._grid"),
    ("estimators", "points._reductions"),
    ("estimators", "features._function_blocks"),
}
OPTIONAL = {
    "scipy", "matplotlib", "sklearn", "zarr", "soundfile", "soxr", "laspy", "lazrs", "tqdm", "pandas", "polars",
    "pyarrow", "torch", "dask", "distributed", "networkx", "pye57", "shtab", "numba", "joblib",
}  # fmt: skip


def sources(folder=ROOT, pattern="*.py"):
    return sorted(path for path in folder.rglob(pattern) if "__pycache__" not in path.parts)


def module_of(path):
    return ".".join(path.relative_to(CHECKOUT).with_suffix("").parts).removesuffix(".__init__")


def trees():
    return [(path, ast.parse(path.read_text())) for path in sources()]


def imported(tree):
    """(name, node) of every module or name that a file imports, but for type checkers."""
    hidden = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            hidden |= {id(inner) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports name whole paths"
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node


def room_of(name):
    """The room of a dotted name: a subject, a face, "ground", or None for fastdl itself and what is not ours."""
    parts = name.split(".")
    if parts[0] != "fastdl" or len(parts) == 1:
        return None
    if parts[1] in SUBJECTS or parts[1] in ROOMS:
        return parts[1]
    return "ground" if parts[1] in GROUND else None


# 1. The subject is the first word.


def test_every_part_stands_under_its_subject():
    folders = {path.name for path in ROOT.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == {*SUBJECTS, *ROOMS}
    modules = {path.stem for path in ROOT.glob("*.py")} - {"__init__", "__main__"}
    assert modules == set(GROUND)
    for room in ("reference", "estimators"):
        for path in (ROOT / room).glob("[a-z]*.py"):
            assert path.stem in (*SUBJECTS, "files"), path


def test_flat_rooms_name_the_subject_first():
    free = ("cpu", "power", "files", "_", "wheel", "digest", "case", "conftest")
    for folder, prefix in (("fastdl_ext", ""), ("tests", "test_"), ("bench", "bench_")):
        for path in (CHECKOUT / folder).glob("*.p*"):
            if path.suffix in (".py", ".pyx", ".pxd") and path.name.startswith(prefix) and prefix:
                word = path.stem.removeprefix(prefix)
                beyond = ("house", "readme", "lowlevel", "streaming", "threads", "estimators", "equivalence", "rows")
                beyond += (
                    "check",
                    "errors",
                    "user",
                    "file",
                    "atomic",
                    "command",
                    "torch",
                    "fuzz",
                    "attack",
                    "packag",
                    "docs",
                )
                beyond += ("architecture", "wheel", "cluster", "typing", "bench", "job", "tables", "names", "kernels")
                beyond += ("report",)
                assert word.startswith((*SUBJECTS, *beyond)), path
            elif path.suffix in (".pyx", ".pxd"):
                assert path.stem.startswith((*SUBJECTS, *free)), path


# 2. Doors.


@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_door_is_a_docstring_and_one_line(subject):
    tree = ast.parse((ROOT / subject / "__init__.py").read_text())
    assert ast.get_docstring(tree)
    kinds = [type(node).__name__ for node in tree.body[1:]]
    assert kinds == ["ImportFrom", "Assign"], kinds
    for name in getattr(fastdl, subject).__all__:
        assert getattr(getattr(fastdl, subject), name) is not None


def stub_names(path):
    tree = ast.parse(path.read_text())
    return {alias.asname: node.module for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}


def test_the_stub_of_fastdl_repeats_those_of_the_subjects():
    top = stub_names(ROOT / "__init__.pyi")
    for name, module in top.items():
        parts = module.split(".")
        if len(parts) > 1 and parts[1] in SUBJECTS:
            assert stub_names(ROOT / parts[1] / "__init__.pyi").get(name) == module, name
    assert set(fastdl.__all__) <= set(top)
    assert not any(module.startswith(("fastdl.estimators", "fastdl.torch")) for name, module in top.items()
                   if name in fastdl.__all__)  # fmt: skip


# 3 and 4. Modules.


def test_no_module_has_the_name_of_what_it_defines():
    for path, tree in trees():
        names = {node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
        assert path.stem not in names, path


# 5. Imports run down.


@pytest.mark.parametrize("path", sources(), ids=lambda p: module_of(p))
def test_imports_run_down(path):
    module = module_of(path)
    room = room_of(module)
    for name, _ in imported(ast.parse(path.read_text())):
        top, other = name.split(".")[0], room_of(name)
        if room == "reference" and path.name != "__init__.py":
            assert top in ("numpy", "math", "itertools", "__future__", "typing", "collections", "functools") or (
                other == "reference"
            ), name
        elif room == "ground":
            assert other in (None, "ground", "reference"), f"{module} imports {name}"
            if other == "ground" and module.split(".")[1] != name.split(".")[1]:
                assert GROUND[name.split(".")[1]] <= GROUND[module.split(".")[1]], f"{module} imports {name}"
        elif room and other and other not in (room, "ground", "reference"):
            assert other in MAY_IMPORT[room], f"{module} imports {name}"
            private = ".".join(name.split(".")[1:3])
            if name.split(".")[2:3] and name.split(".")[2].startswith("_"):
                assert (room, private) in PRIVATE, f"{module} imports {name}"


def test_kernels_never_import_the_shell():
    for path in sources(CHECKOUT / "fastdl_ext"):
        for name, _ in imported(ast.parse(path.read_text())):
            assert name.split(".")[0] != "fastdl", path
            assert name.split(".")[0] != "numba" or path.parent.name == "user_functions", path


# 6. No import within a function, and none by a string.


def may_wait(name):
    """Whether a function may import this: what costs time, or may not be there."""
    if name.startswith("fastdl"):
        return name.startswith(("fastdl_ext.user_functions", "fastdl.linear.methods"))
    return name.split(".")[0] in OPTIONAL | set(sys.stdlib_module_names)


def test_imports_stand_at_the_head():
    late = []
    for path, tree in trees():
        if room_of(module_of(path)) in ("cli", "report") or path.name in ("_lazy.py", "_kernels.py"):
            continue
        for function in ast.walk(tree):
            if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
                where = f"{module_of(path)}.{function.name}"
                late += [f"{where}: {name}" for name, _ in imported(function) if not may_wait(name)]
    assert not late, "\n".join(sorted(set(late)))


def test_no_import_by_a_string():
    free = {"fastdl._lazy", "fastdl._kernels", "fastdl._check", "fastdl.cli", "fastdl.report"}
    for path, tree in trees():
        calls = [ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]
        assert module_of(path) in free or not any("import_module" in call for call in calls), path


# 7. No process-wide switch.


def test_no_process_wide_switch_at_work():
    switches = re.compile(
        r"warnings\.(catch_warnings|simplefilter|filterwarnings)|os\.umask|os\.environ\[[^]]*\] *=|os\.chdir"
    )
    for path in sources():
        found = switches.search(path.read_text())
        assert not found, f"{path}: {found and found[0]}"


# 8. Small parts.

LONGEST_FILE, LONGEST_FUNCTION, MOST_POSITIONAL = 400, 60, 6
# How often a shell still chooses the reference by hand, and names that stand twice: these numbers may only fall.
BRANCHES, REPEATED = 0, 1


def functions(tree):
    return [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]


def lines_of(function):
    """Lines of a function without its docstring."""
    text = ast.get_docstring(function, clean=False)
    return function.end_lineno - function.lineno + 1 - (len(text.splitlines()) + 1 if text else 0)


@pytest.mark.parametrize("path", sources(), ids=lambda p: module_of(p))
def test_every_module_says_what_it_is_and_is_short(path):
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree)
    assert len(path.read_text().splitlines()) <= LONGEST_FILE
    for function in functions(tree):
        assert lines_of(function) <= LONGEST_FUNCTION, f"{function.name} has {lines_of(function)} lines"
        if room_of(module_of(path)) == "reference" or function.name == "forward":
            continue  # a reference has the arguments of its kernel, autograd's forward those of what it differentiates
        positional = len(function.args.posonlyargs) + len(function.args.args)
        own = function.args.args[:1] and function.args.args[0].arg in ("self", "cls")
        assert positional - bool(own) <= MOST_POSITIONAL, f"{function.name} has {positional} positional arguments"


def test_the_reference_is_chosen_in_one_way():
    found = [f"{p}:{k}" for p in sources() for k, line in enumerate(p.read_text().splitlines(), 1)
             if re.search(r"if \w*kernel\w* is (not )?None", line)]  # fmt: skip
    assert len(found) <= BRANCHES, "\n".join(found)


def test_a_name_is_defined_once():
    homes = defaultdict(list)
    for path, tree in trees():
        if room_of(module_of(path)) in ("reference", "cli", "report", "torch"):
            continue
        for node in tree.body:
            if isinstance(node, ast.ClassDef) or (isinstance(node, ast.FunctionDef) and not node.name.startswith("__")):
                homes[node.name].append(module_of(path))
    again = {
        name: where
        for name, where in homes.items()
        if len(set(where)) > 1 and not name.startswith("_") and name != "fit"
    }
    assert len(again) <= REPEATED, again


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
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **environment}, timeout=120
    )


def test_import_is_cheap():
    heavy = {"numba", "scipy", "matplotlib", "sklearn", "torch", "pandas"}
    code = f"import sys, fastdl; fastdl.mu_law_encode; print(sorted({heavy} & {{*sys.modules}}))"
    done = python(code)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
    assert "numpy" not in python("import sys, fastdl; print(*sys.modules)").stdout


def test_first_calls_load_nothing_they_do_not_use():
    heavy = {"numpy.ma", "importlib.resources", "decimal", "fractions", "numba", "scipy", "pandas"}
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
