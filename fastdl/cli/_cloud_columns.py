"""The columns of a cloud in its voxels: which are kept, and how each is reduced."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastdl import _check
from fastdl.errors import FileError
from fastdl.files.points.fields import Field
from fastdl.files.points.reader import PointReader
from fastdl.points.record_accumulator import REDUCTIONS, RecordColumn

#: Columns of labels: the one that most points have. CloudCompare writes "scalar_" before the names of columns.
_LABELS = {
    "classification", "rawclassification", "class", "classes", "classid", "category", "categoryid", "label", "labels",
    "labelid", "semantic", "semantics", "semanticlabel", "semanticid", "sem", "instance", "instances", "instanceid",
    "instancelabel", "ins", "segment", "segmentid", "panoptic", "panopticlabel", "object", "objectid", "ring",
}  # fmt: skip
#: Columns of whole numbers that were measured: their mean.
_MEASURED = {
    "intensity", "reflectance", "reflectivity", "amplitude", "ambient", "nearir", "red", "green", "blue", "alpha",
    "nir", "r", "g", "b", "scanangle", "scananglerank",
}  # fmt: skip


def plain_name(name: str) -> str:
    """Letters and digits of a name in lower case, without CloudCompare's "scalar_"."""
    name = name.lower().removeprefix("scalar_")
    return "".join(c for c in name if c.isalnum())


def is_label(name: str) -> bool:
    """Whether a column of this name holds labels."""
    return plain_name(name) in _LABELS


def parse_rules(text: str) -> dict[str, str]:
    """The reductions that `--reduce` names by column, and under "" that of all other columns."""
    rules = {"": "mean"}
    for word in text.split(","):
        column, equals, name = word.rpartition("=")
        _check.one_of("--reduce", name, REDUCTIONS)
        rules[column if equals else ""] = name
    return rules


def chosen_columns(reader: PointReader, wanted: Sequence[str] | None) -> list[str]:
    """x, y, z and the attributes that are kept: all, or those of `wanted`."""
    for name in wanted or ():
        if name not in reader.columns:
            raise FileError(reader.path, f"has no column {name!r}; it has {', '.join(reader.columns)}")
    attributes = [n for n in reader.columns[3:] if wanted is None or n in wanted]
    return [*reader.columns[:3], *attributes]


def record_columns(reader: PointReader, names: Sequence[str], rules: dict[str, str]) -> list[RecordColumn]:
    """The columns of a reader's records with their reductions."""
    for name in rules:
        if name and name not in names:
            raise FileError(reader.path, f"--reduce: has no column {name!r}; it has {', '.join(names)}")
    return [_column(name, reader.fields[name], rules) for name in names]


def _column(name: str, field: Field, rules: dict[str, str]) -> RecordColumn:
    reduction = rules.get(name) or (rules[""] if rules[""] != "mean" else natural(name, field.kind))
    return RecordColumn(name, field.offset, field.dtype, reduction, field.shift, field.mask)


def natural(name: str, dtype: np.dtype) -> str:
    """The default reduction of a column: the mean for measured quantities, else the majority or the first value."""
    if is_label(name):
        return "majority"
    measured = dtype.kind == "f" or plain_name(name) in _MEASURED or name in ("x", "y", "z")
    return "mean" if measured else "first"
