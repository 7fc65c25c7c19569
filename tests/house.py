"""Where the rooms of the house are and how its files are read, for tests/test_house*.py."""

import ast
from pathlib import Path

import fastdl

ROOT = Path(fastdl.__file__).parent
CHECKOUT = ROOT.parent
SUBJECTS = (
    "audio", "points", "sequences", "graphs", "targets", "features", "losses", "linear", "network", "selection",
)  # fmt: skip
ROOMS = ("reference", "files", "estimators", "report", "cli", "torch")
# The modules that every subject may use, by floor: each imports from its own floor and those below.
GROUND = {
    "errors": 0, "_typing": 0, "_lazy": 0, "_memory": 0,
    "_frames": 1, "_state_bytes": 1, "_check": 1, "_dask": 1,
    "_threads": 2, "_kernels": 2, "_row_buffer": 2, "_superaccumulator": 2, "streaming": 2,
    "_rows": 3, "_bandwidth": 3,
}  # fmt: skip


def sources(folder=ROOT, pattern="*.py"):
    """The files of a folder and its subfolders, without what Python keeps there."""
    return sorted(path for path in folder.rglob(pattern) if "__pycache__" not in path.parts)


def flat(folder, *suffixes):
    """The files of a flat room: fastdl_ext, tests or bench."""
    return sorted(path for path in (CHECKOUT / folder).iterdir() if path.suffix in suffixes)


def module_of(path):
    """The dotted name of a file below the checkout."""
    return ".".join(path.relative_to(CHECKOUT).with_suffix("").parts).removesuffix(".__init__")


def tree_of(path):
    """The syntax tree of a Python file."""
    return ast.parse(path.read_text())


def trees():
    """(path, tree) of every module of fastdl."""
    return [(path, tree_of(path)) for path in sources()]


def functions(tree):
    """Every function and method of a tree, those within others among them."""
    return [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]


def imported(tree):
    """(name, node) of every module or name that a file imports, but for type checkers."""
    hidden = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            hidden |= {id(inner) for branch in node.body for inner in ast.walk(branch)}
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


def private_part(name):
    """Of a dotted name of ours, what follows `fastdl.` up to the first part with an underscore; None without one."""
    parts = name.split(".")[1:]
    hidden = [k for k, part in enumerate(parts) if part.startswith("_") and not part.startswith("__")]
    return ".".join(parts[: hidden[0] + 1]) if hidden else None


def is_module(name):
    """Whether a dotted name of ours is a file or a folder, and not what a module defines."""
    path = CHECKOUT.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def stub_names(path):
    """{name: the module that defines it} of a door's stub."""
    return {
        alias.asname: node.module
        for node in tree_of(path).body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


BUILT_IN = {"__import__", "compile", "eval", "exec"}


def dotted_uses(tree):
    """(dotted name, node) of what a tree uses of its imports, by the names that it was imported from."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname or alias.name.split(".")[0]: alias.asname and alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, (ast.Name, ast.Attribute)):
            first, *rest = ast.unparse(node).split(".")
            if first in names or first in BUILT_IN:  # other names are of variables
                yield ".".join([names.get(first) or first, *rest]), node
