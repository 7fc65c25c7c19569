"""Print the peers of the benchmarks, a line each, as the extra `bench` of pyproject.toml lists them."""

import tomllib
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
# Peers that must be installed together stand on one line.
TOGETHER = {"spconv": "cumm"}


def names() -> list[str]:
    """A line for each peer that pip is asked for."""
    names = [name.replace(" ", "") for name in PROJECT["optional-dependencies"]["bench"]]
    names = [name for name in names if not name.startswith((PROJECT["name"], "torch"))]
    lines = []
    for name in names:
        partner = TOGETHER.get(name)
        if name.split(">")[0] not in TOGETHER.values():
            lines.append(" ".join([name, *[other for other in names if partner and other.startswith(partner)]]))
    return lines


if __name__ == "__main__":
    print("\n".join(names()))
