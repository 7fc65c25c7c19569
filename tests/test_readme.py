"""The Python of the README and the tour runs as it stands."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"


@pytest.mark.parametrize("page", [README, README.parent / "docs" / "tour.md"], ids=lambda page: page.name)
def test_python_of_the_page_runs(page):
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, str(page), "exec"), {})


def test_commands_of_the_readme_exist():
    from fastdl.cli import parser

    commands = {line.split()[1] for line in README.read_text().splitlines() if line.startswith("fastdl ")}
    known = next(a for a in parser()._actions if a.choices).choices
    assert commands <= set(known)
    assert len(commands) >= 7
