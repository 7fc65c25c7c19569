"""Which columns of a table are the source, the target and the weight of an edge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fastdl._typing import Array
from fastdl.errors import FileError

#: Edges (2, n), and their weights or None.
Chunk = tuple[Array, Array | None]

SOURCES: tuple[str, ...] = (
    "source",
    "src",
    "from",
    "fromnodeid",
    "from_id",
    "fromid",
    "source_id",
    "sourceid",
    "u",
    "node1",
    "node_1",
)
TARGETS: tuple[str, ...] = (
    "target",
    "dst",
    "dest",
    "destination",
    "to",
    "tonodeid",
    "to_id",
    "toid",
    "target_id",
    "targetid",
    "v",
)
TARGETS += ("node2", "node_2")
WEIGHTS = ("weight", "weights", "w", "value", "edge_weight")


@dataclass(frozen=True)
class ColumnChoice:
    """The user's settings: which columns to read (by name or place), the delimiter, and the first node's number."""

    source: str | int | None = None
    target: str | int | None = None
    weight: str | int | None = None
    delimiter: str | None = None
    base: int = 0


@dataclass(frozen=True)
class ColumnLayout:
    """The places of source, target and weight in a row of `fields` columns; `heading` are the names of the columns."""

    fields: int
    source: int
    target: int
    weight: int | None
    heading: tuple[str, ...] | None = None

    def __str__(self) -> str:
        parts = [("source", self.source), ("target", self.target), ("weight", self.weight)]
        return ", ".join(f"{name}: {self._name(k)}" for name, k in parts if k is not None)

    def _name(self, k: int) -> str:
        return f"column {k}" if self.heading is None else repr(self.heading[k])


def choose_columns(
    path: Path, line: int, fields: int, heading: Sequence[str] | None, choice: ColumnChoice
) -> ColumnLayout:
    """The layout of a table: as the user chose, else by the usual names of such columns, else by their places."""
    names = None if heading is None else tuple(name.strip() for name in heading)
    given = (choice.source, choice.target, choice.weight)
    meant = {*SOURCES, *TARGETS, *WEIGHTS, *map(_folded, map(str, given))}
    if names is not None and (twice := sorted({n for n in names if _folded(n) in meant and names.count(n) > 1})):
        raise FileError(path, f"has the column {twice[0]!r} more than once", line=line)
    found = [_find(path, line, fields, names, wanted) for wanted in given]
    if names is not None:
        known = [_known(names, words) for words in (SOURCES, TARGETS, WEIGHTS)]
        if any(k is not None for k in known[:2]) or any(k is not None for k in found):
            found = [f if f is not None else k for f, k in zip(found, known)]
            if found[0] is None or found[1] is None:
                which = "source" if found[0] is None else "target"
                raise FileError(
                    path, f"no column is known as the {which} among {_list(names)}; say {which}=", line=line
                )
        elif any(not name for name in names):
            problem = f"columns without a name, and none that is known as source and target, in {_list(names)}"
            raise FileError(path, f"{problem}; say source= and target=", line=line)
    if found[0] is None and found[1] is None and fields in (2, 3):
        found = [0, 1, 2 if fields == 3 and found[2] is None else found[2]]
    if found[0] is None or found[1] is None:
        problem = f"must have 2 or 3 columns, got {fields}"
        raise FileError(path, f"{problem}; source= and target= choose among more", line=line)
    if found[0] == found[1] or found[2] in found[:2]:
        raise FileError(path, "source, target and weight must be different columns", line=line)
    return ColumnLayout(fields, found[0], found[1], found[2], names)


def _find(path: Path, line: int, fields: int, names: tuple[str, ...] | None, wanted: str | int | None) -> int | None:
    """The place of a column that the user chose by name or by number."""
    if wanted is None:
        return None
    if names is not None and str(wanted) in names:
        return names.index(str(wanted))
    digits = str(wanted)
    if digits.isascii() and digits.isdigit() and len(digits) < 10 and int(digits) < fields:
        return int(digits)
    has = f"{fields} columns and no heading" if names is None else f"the columns {_list(names)}"
    raise FileError(path, f"there is no column {wanted!r}, there are {has}", line=line)


def _known(names: tuple[str, ...], words: Sequence[str]) -> int | None:
    """The place of the one column whose name is among `words`; None if there is none or more than one."""
    places = [k for k, name in enumerate(names) if _folded(name) in words]
    return places[0] if len(places) == 1 else None


def _folded(name: str) -> str:
    return name.casefold().replace(" ", "").lstrip("~:")


def _list(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:12]))
    return shown + (", ..." if len(names) > 12 else "")
