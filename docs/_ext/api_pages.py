"""The pages of the API reference: a page a door, its names as the stubs list them. Needs neither Sphinx nor fastdl."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

#: The doors in the order of the work: inputs, outputs, training, features, evaluation; then files and faces.
DOORS = (
    "audio", "points", "sequences", "graphs", "targets", "losses", "linear", "network", "features", "selection",
    "files", "streaming", "errors", "estimators", "torch", "report", "reference",
)  # fmt: skip


_HEAD = ".. This page is written by docs/_ext/api_pages.py from the stubs.\n\n"


@dataclass(frozen=True)
class Name:
    """One public name: where a user finds it, and the module that defines it."""

    place: str  # fastdl, fastdl.audio, ...
    name: str
    home: str  # fastdl.audio.mu_law

    @property
    def full(self) -> str:
        """The name as it is documented: fastdl.mu_law_encode."""
        return f"{self.place}.{self.name}"


def stub_names(package: Path, name: str) -> list[Name]:
    """The names of the stub of a door; modules, which stubs list too, are left out."""
    stub = (package / "__init__.pyi").read_text(encoding="utf-8")
    words = [line.split() for line in stub.splitlines() if line.startswith("from ")]
    return [Name(name, line[3], line[1]) for line in words if line[1] != "fastdl"]


def module_names(path: Path, name: str) -> list[Name]:
    """The public classes and functions that a module without a stub defines, and its constants in capitals."""
    names = []
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.append(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names += [t.id for t in targets if isinstance(t, ast.Name) and t.id.isupper() and len(t.id) > 1]
    return [Name(name, n, name) for n in dict.fromkeys(names) if not n.startswith("_")]  # once, whatever its overloads


def public_names(root: Path) -> dict[str, list[Name]]:
    """The names of each door, each once: as `fastdl.name` where it is one of the top names, but for estimators."""
    top = {(n.home, n.name) for n in stub_names(root, "fastdl")}
    found: dict[str, list[Name]] = {}
    for door in DOORS:
        path, place = root / door, f"fastdl.{door}"
        if not path.is_dir():
            found[door] = module_names(path.with_suffix(".py"), place)
        elif not (path / "__init__.pyi").exists():
            found[door] = module_names(path / "__init__.py", place)
        else:
            names = stub_names(path, place)
            for inner in sorted(path.glob("*/__init__.pyi")):
                known = {(n.home, n.name) for n in names}
                inner_names = stub_names(inner.parent, f"{place}.{inner.parent.name}")
                names += [n for n in inner_names if (n.home, n.name) not in known]
            found[door] = names
        if door not in ("estimators", "errors"):
            found[door] = [Name("fastdl", n.name, n.home) if (n.home, n.name) in top else n for n in found[door]]
    return found


def summary(root: Path, module: str) -> str:
    """The first line of a module's docstring."""
    path = root.parent.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(text.split("\n\n")[0].split()).replace("|", r"\|")


def door_page(root: Path, door: str, names: list[Name]) -> str:
    """The page of a door in reStructuredText: what it is for, then its names by the module that defines them."""
    title = f"fastdl.{door}"
    lines = [title, "=" * len(title), "", summary(root, title), ""]
    homes = list(dict.fromkeys(n.home for n in names))
    for home in homes:
        members = [n for n in names if n.home == home]
        if len(homes) > 1:
            heading = home.removeprefix(f"fastdl.{door}.").replace(".", ": ").replace("_", " ").strip()
            lines += [heading, "-" * len(heading), "", summary(root, home), ""]
        for place in dict.fromkeys(n.place for n in members):
            lines += [f".. currentmodule:: {place}", "", ".. autosummary::", "   :toctree: generated"]
            lines += ["   :template: autosummary/definition.rst"] if door == "reference" else []
            lines += ["", *(f"   {n.name}" for n in members if n.place == place), ""]
    return _HEAD + "\n".join(lines)


def file_names(names: list[Name]) -> dict[str, str]:
    """Other file names for those that differ in case alone (split, Split), which some file systems take for one."""
    seen: set[str] = set()
    other = {}
    for name in sorted(names, key=lambda n: n.full, reverse=True):
        if name.full.lower() in seen:
            other[name.full] = f"{name.full}-class"
        seen.add(name.full.lower())
    return other


def write(root: Path, folder: Path) -> dict[str, list[Name]]:
    """Write the page of each door that has changed, and return the names of each."""
    found = public_names(root)
    folder.mkdir(exist_ok=True)
    for door, names in found.items():
        path, text = folder / f"fastdl.{door}.rst", door_page(root, door, names)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    return found
