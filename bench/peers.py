"""Print the peers of the benchmarks, a line each, as the extra `bench` of pyproject.toml lists them."""

import tomllib
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
# Peers that must be installed together stand on one line.
TOGETHER = {"spconv": "cumm"}


def main() -> None:
    """Print them."""
    names = [name.replace(" ", "") for name in PROJECT["optional-dependencies"]["bench"]]
    names = [name for name in names if not name.startswith((PROJECT["name"], "torch"))]
    for name in names:
        partner = TOGETHER.get(name)
        if name.split(">")[0] in TOGETHER.values():
            continue
        print(name, *[other for other in names if partner and other.startswith(partner)])


if __name__ == "__main__":
    main()
