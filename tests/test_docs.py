"""The pages of the documentation: their code runs, their links lead somewhere, every public name has a page."""

import doctest
import importlib
import re
import shlex
import tomllib
from pathlib import Path

import pytest

import fastdl

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
FENCE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHOWN = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def name_of(page):
    return str(page.relative_to(ROOT))


def blocks(page):
    """(line, text) of each block of Python of a page."""
    text = page.read_text(encoding="utf-8")
    return [(text.count("\n", 0, match.start(1)), match[1]) for match in FENCE.finditer(text)]


def peers(page):
    """The libraries that a page compares with, from its front matter: `peers: torch, librosa`."""
    found = re.match(r"---\n.*?^peers: ([\w., ]+)$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return found[1].split(", ") if found else []


@pytest.mark.parametrize("page", [p for p in PAGES if p.parent != ROOT and blocks(p)], ids=name_of)
def test_the_code_of_a_page_runs_and_shows_what_the_page_says(page, tmp_path, monkeypatch):
    """Blocks of one page share their names; those with `>>>` are compared with what they show, others only run."""
    for peer in peers(page):
        pytest.importorskip(peer)
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    runner = doctest.DocTestRunner(optionflags=SHOWN)
    for line, text in blocks(page):
        if ">>>" in text:
            test = doctest.DocTestParser().get_doctest(text, names, page.name, str(page), line)
            runner.run(test, clear_globs=False)
            names = test.globs
        else:
            exec(compile("\n" * line + text, str(page), "exec"), names)
    assert runner.summarize(verbose=False).failed == 0


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_of_a_page_lead_to_files(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    targets += [f"{t}.md" for t in re.findall(r"\{doc\}`(?:[^`<]*<)?([\w/]+)>?`", text)]
    targets += [f"{t}.md" for t in re.findall(r"^:link: (\S+)\n:link-type: doc", text, re.MULTILINE)]
    missing = []
    for target in targets:
        path = target.partition("#")[0]
        if "://" in path or path.startswith(("mailto:", "auto_gallery/")) or not path:
            continue
        start = DOCS if path.startswith("/") else page.parent
        if not (start / path.lstrip("/")).exists():
            missing.append(target)
    assert not missing


def test_links_of_the_gallery_lead_to_examples():
    known = {path.stem for path in (DOCS / "gallery").glob("plot_*.py")} | {"index"}
    for page in PAGES:
        found = set(re.findall(r"auto_gallery/(\w+)", page.read_text(encoding="utf-8")))
        assert found <= known, page


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_of_a_page_parse(page):
    from fastdl.cli import parser

    text = page.read_text(encoding="utf-8")
    shell = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    for line in "\n".join(shell).replace("\\\n", " ").splitlines():
        if line.startswith("fastdl "):
            parser().parse_args(shlex.split(line.partition(" |")[0], comments=True)[1:])


def test_every_command_is_on_the_page_of_the_command_line():
    from fastdl.cli import parser

    commands = next(action for action in parser()._actions if action.choices).choices
    shown = re.findall(r"^```\{command-help\} (\S+)$", (DOCS / "command_line.md").read_text(), re.MULTILINE)
    assert set(shown) == set(commands)


def test_the_tests_that_hold_the_promises_exist():
    rows = re.findall(r"^\|.*$", (DOCS / "promises.md").read_text(encoding="utf-8"), re.MULTILINE)
    named = 0
    for row in rows:
        path = None
        for word in re.findall(r"`([^`]+)`", row):
            found = re.match(r"(tests/\w+\.py)(?:::(\w+))?$", word)
            path, name = (ROOT / found[1], found[2]) if found else (path, word)
            if found:
                assert path.exists(), word
            if name and name.startswith("test_"):
                assert f"def {name}(" in path.read_text(encoding="utf-8"), word
                named += 1
    assert named > 10


def test_every_extra_is_on_the_page_of_the_installation():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    page = (DOCS / "install.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"^\| `([\w-]+)` \|", page, re.MULTILINE))
    assert shown == set(extras) - {"test", "bench", "lint", "docs"}


@pytest.fixture(scope="module")
def api_pages():
    patch = pytest.MonkeyPatch()
    patch.syspath_prepend(str(DOCS / "_ext"))
    yield importlib.import_module("api_pages")
    patch.undo()


def test_every_public_name_has_a_page_in_the_reference(api_pages, tmp_path):
    root = Path(fastdl.__file__).parent
    found = api_pages.write(root, tmp_path)
    listed = {name.full for names in found.values() for name in names}
    for stub in root.rglob("__init__.pyi"):
        place = ".".join(("fastdl", *stub.parent.relative_to(root).parts))
        for name in api_pages.stub_names(stub.parent, place):
            places = (place, "fastdl", name.home.rpartition(".")[0], f"fastdl.{name.home.split('.')[1]}")
            assert listed & {f"{p}.{name.name}" for p in places}, f"{place}.{name.name}"
    for door, names in found.items():
        text = (tmp_path / f"fastdl.{door}.rst").read_text(encoding="utf-8")
        assert all(f"\n   {name.name}\n" in text for name in names), door
        assert f"\nfastdl.{door}\n" in (DOCS / "api" / "index.md").read_text(encoding="utf-8")


def test_pages_of_names_differ_in_more_than_case(api_pages):
    names = [n for door in api_pages.public_names(Path(fastdl.__file__).parent).values() for n in door]
    files = api_pages.file_names(names)
    pages = [files.get(name.full, name.full).lower() for name in names]
    assert len(set(pages)) == len(pages)


def test_every_example_of_the_gallery_has_a_title_and_a_picture():
    examples = sorted((DOCS / "gallery").glob("plot_*.py"))
    for path in examples:
        text = path.read_text(encoding="utf-8")
        assert re.match(r'"""\n[^\n]+\n=+\n\n', text), path.name
        assert "plt." in text, path.name
