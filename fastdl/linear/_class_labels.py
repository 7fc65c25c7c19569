"""Labels of any kind as class numbers, and the weights that rows have by their classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastdl import _check
from fastdl._typing import Array, ArrayLike


def read_labels(name: str, y: ArrayLike, n: int) -> Array:
    """The labels of n rows as an array: numbers, bool or text."""
    labels = _check.texts(name, y)
    values = np.array(labels) if labels is not None else _check.array(name, y, ("i", "u", "f", "b"), 1)
    if values.shape != (n,):
        raise _check.InputError(f"{name} must have a label for each of {n} rows, got shape {values.shape}")
    if values.dtype.kind == "f":
        _check.finite(name, values)
    return values


def number_classes(y: ArrayLike, n: int) -> tuple[Array, Array]:
    """The distinct labels, sorted, and for each row the index of its label among them."""
    classes, codes = np.unique(read_labels("y", y, n), return_inverse=True)
    if len(classes) < 2:
        raise _check.InputError(f"y must hold at least two classes, got one class: {classes.tolist()}")
    return classes, codes.astype(np.float64)


def numbers_of(name: str, y: ArrayLike, n: int, classes: Array) -> Array:
    """The indices of labels in `classes`, sorted and known already; a label that is not among them is an error."""
    labels = read_labels(name, y, n)
    if (labels.dtype.kind in "US") != (classes.dtype.kind in "US"):
        raise _check.InputTypeError(f"{name} must hold labels like those of y, got {labels.dtype} for {classes.dtype}")
    codes = np.minimum(np.searchsorted(classes, labels), len(classes) - 1)
    unknown = classes[codes] != labels
    if unknown.any():
        k = int(unknown.argmax())
        raise _check.InputError(f"{name} must hold labels of y, got {labels[k].item()!r} at index {k}")
    return codes.astype(np.float64)


def class_weighted(
    given: str | Mapping[Any, float] | None, classes: Array, codes: Array, s: Array | None
) -> Array | None:
    """The weights s of the rows (None: all 1), each multiplied by the weight of the row's class."""
    if given is None:
        return s
    each = np.ones(len(classes))
    if isinstance(given, str):
        _check.one_of("class_weight", given, ("balanced",))
        sums = np.bincount(codes.astype(np.intp), weights=s, minlength=len(classes))
        with np.errstate(divide="ignore"):
            each = np.where(sums > 0, sums.sum() / (len(classes) * sums), 1.0)
    elif isinstance(given, Mapping):
        known = {label: k for k, label in enumerate(classes.tolist())}
        for label, weight in given.items():
            if label not in known:
                raise _check.InputError(f"class_weight names {label!r}, which is no label of y")
            each[known[label]] = _check.number(f"class_weight of {label!r}", weight, 0)
    else:
        raise _check.InputTypeError(f"class_weight must be 'balanced' or a mapping, got {type(given).__name__}")
    weights = each[codes.astype(np.intp)]
    return weights if s is None else s * weights
