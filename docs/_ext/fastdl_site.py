"""What the site needs beyond Sphinx: formulas without a script, the help of commands, docstrings in plain text."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import api_pages
from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList
from latex2mathml.converter import convert
from sphinx.errors import ExtensionError

PACKAGE = Path(__file__).parents[2] / "fastdl"
#: The functions that `fastdl.reference` defines.
DEFINED = {name.name for name in api_pages.stub_names(PACKAGE / "reference", "fastdl.reference")}


def inline_formula(translator: Any, node: nodes.math) -> None:
    """A formula in a line as MathML, which browsers show by themselves: a script would come from the network."""
    translator.body.append(convert(node.astext()))
    raise nodes.SkipNode


def displayed_formula(translator: Any, node: nodes.math_block) -> None:
    """A formula on a line of its own."""
    translator.body.append(f'<div class="formula">{convert(node.astext(), display="block")}</div>')
    raise nodes.SkipNode


class CommandHelp(Directive):
    """`.. command-help:: voxelize` shows what `fastdl voxelize --help` prints."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Run the command, so that the page cannot differ from it."""
        words = [*self.arguments, "--help"]
        environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "100"}
        done = subprocess.run(
            [sys.executable, "-m", "fastdl", *words], capture_output=True, text=True, check=True, env=environment
        )
        text = f"$ fastdl {' '.join(words)}\n{done.stdout}"
        block = nodes.literal_block(text, text)
        block["language"] = "text"
        return [block]


class ChangeFragments(Directive):
    """`.. change-fragments::` shows the files of changes/, which the next release gathers."""

    def run(self) -> list[nodes.Node]:
        """A list a subject."""
        found: list[nodes.Node] = []
        for path in sorted((Path(__file__).parents[2] / "changes").glob("*.md")):
            lines = path.read_text(encoding="utf-8").splitlines()
            entries = [line for line in lines if not line.startswith("#")]
            if path.name != "README.md":
                self.state.document.settings.record_dependencies.add(str(path))
                part = nodes.container()
                part += nodes.rubric(text=path.stem.replace("_", " ").replace("-", " "))
                self.state.nested_parse(StringList(entries, str(path)), 0, part)
                found.append(part)
        return found


class Measured(Directive):
    """`.. measured::` shows BENCHMARKS.md, which `make bench` writes, or else the table of the README."""

    def run(self) -> list[nodes.Node]:
        """The page's tables and headings; links are those of the repository's root."""
        root = PACKAGE.parent
        page = root / "BENCHMARKS.md"
        if page.exists():
            text = page.read_text(encoding="utf-8").partition("\n")[2]
        else:
            text = re.split(r"^## ", (root / "README.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
            text = next((part.partition("\n")[2] for part in text if part.startswith("How fast")), "")
        self.state.document.settings.record_dependencies.add(str(page if page.exists() else root / "README.md"))
        found: list[nodes.Node] = []
        for k, part in enumerate(re.split(r"^## ", text.replace("](docs/", "]("), flags=re.MULTILINE)):
            title, _, body = part.partition("\n") if k else ("", "", part)
            place: nodes.Element = nodes.section(ids=[nodes.make_id(f"measured-{title}")]) if k else nodes.container()
            if k:
                place += nodes.title(text=title)
            self.state.nested_parse(StringList(body.splitlines(), str(page)), 0, place)
            found.append(place)
        return found


class DefinitionSource(Directive):
    """`.. definition-source:: fastdl.reference.degree` shows the code of a definition, which is what it means."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The source of the function or class."""
        module, _, name = self.arguments[0].rpartition(".")
        text = inspect.getsource(getattr(importlib.import_module(module), name))
        block = nodes.literal_block(text, text)
        block["language"] = "python"
        return [block]


def link_definitions(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """A line that leads from a function to its definition in NumPy."""
    short = name.removeprefix("fastdl.")
    if what == "function" and short in DEFINED:
        lines += ["", f"The definition, in NumPy: :py:obj:`fastdl.reference.{short}`.", ""]


def sign_datasets(
    app: Any, what: str, name: str, thing: Any, options: Any, signature: str | None, returned: str | None
) -> tuple[str | None, str | None]:
    """Where torch is not installed, the class that stands in for its Dataset hides what ours take."""
    if what != "class" or signature != "(*args, **kwargs)" or not name.startswith("fastdl.torch."):
        return signature, returned
    given = list(inspect.signature(thing.__init__).parameters.values())[1:]
    return str(inspect.Signature([p.replace(annotation=p.empty) for p in given])), returned


def escape_marks(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Docstrings say |r|^p, (*shape, 2) and bins_, as one would on a board; reStructuredText takes those for markup."""
    example = False
    for i, line in enumerate(lines):
        example = bool(line.strip()) and (example or line.lstrip().startswith(">>>"))
        if not example:
            parts = re.split(r"(`+[^`]*`+)", line)
            marks = r"([|*]|(?<=\w)_(?!\w))"
            lines[i] = "".join(part if part.startswith("`") else re.sub(marks, r"\\\1", part) for part in parts)


def skip_request_methods(app: Any, what: str, name: str, thing: Any, skip: bool, options: Any) -> bool:
    """scikit-learn gives its estimators methods such as set_fit_request, which its own site explains."""
    return skip or re.fullmatch(r"set_\w+_request", name) is not None


def refuse_remote_parts(app: Any, problem: Exception | None) -> None:
    """A page that loads a script, a style or a picture from elsewhere fails the build."""
    remote = re.compile(r'<(?:script|img|iframe)\b[^>]*\bsrc="(?:https?:)?//|<link\b[^>]*\bhref="(?:https?:)?//')
    if problem is None and app.builder.format == "html":
        pages = sorted(Path(app.outdir).rglob("*.html"))
        found = [str(page) for page in pages if remote.search(page.read_text(encoding="utf-8"))]
        if found:
            raise ExtensionError(f"pages that load something from the network: {', '.join(found)}")


def setup(app: Any) -> dict[str, bool]:
    """Add them to Sphinx."""
    app.setup_extension("sphinx.ext.autodoc")
    app.add_html_math_renderer("mathml", (inline_formula, None), (displayed_formula, None))
    app.add_directive("command-help", CommandHelp)
    app.add_directive("change-fragments", ChangeFragments)
    app.connect("autodoc-process-docstring", escape_marks, priority=100)
    app.add_directive("measured", Measured)
    app.add_directive("definition-source", DefinitionSource)
    app.connect("autodoc-process-docstring", link_definitions, priority=900)
    app.connect("autodoc-process-signature", sign_datasets)
    app.connect("build-finished", refuse_remote_parts)
    app.connect("autodoc-skip-member", skip_request_methods)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
