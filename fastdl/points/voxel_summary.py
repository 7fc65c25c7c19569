"""The result of a `VoxelAccumulator`, put together from parts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fastdl._typing import Array
from fastdl.points import _grid


@dataclass
class VoxelSummary:
    """One row per occupied voxel.

    Attributes
    ----------
    points : ndarray, shape (M, K), or records (M,)
        The reductions, in the dtype that `voxel_reduce` gives.
    coords : ndarray of int64, shape (M, 3)
        Cells as (x, y, z).
    counts : ndarray of int64, shape (M,)
        Points per voxel.
    accounting : dict
        "in" = "kept" + "out_of_range" + "non_finite".
    """

    points: Array
    coords: Array
    counts: Array
    accounting: dict[str, int]


def _inverse(order: Array) -> Array:
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return rank


def _place(parts: list[list[Any]], field: int, rank: Array | None) -> Array:
    """One field of all parts, each row at its rank; parts drop the field as it is copied, to save memory."""
    if len(parts) == 1 and rank is None:
        return parts[0][field]
    rows = sum(len(part[field]) for part in parts)
    out = np.empty((rows, *parts[0][field].shape[1:]), parts[0][field].dtype)
    at = 0
    for part in parts:
        values, part[field] = part[field], None
        place = slice(at, at + len(values))
        out[place if rank is None else rank[place]] = values
        at += len(values)
    return out


class SummaryPart(NamedTuple):
    """Some of the voxels, in order of first appearance; `when` is each one's first point."""

    when: Array
    points: Array
    coords: Array
    counts: Array


def summary_of(found: Iterable[SummaryPart], order: str, out_of_range: int, non_finite: int) -> VoxelSummary:
    """All parts as one, in order of first appearance or sorted by (z, y, x)."""
    parts: list[list[Any]] = [list(part) for part in found]
    common = np.result_type(*(part[1].dtype for part in parts))  # large counts may need a wider dtype in some parts
    rank = None
    if order == "sorted":
        coords = np.concatenate([part[2] for part in parts])
        rank = _inverse(_grid.sort_cells(coords))
        del coords
    else:
        when = np.concatenate([part[0] for part in parts])
        if (when[1:] < when[:-1]).any():
            rank = _inverse(np.argsort(when))
        del when
    for part in parts:
        part[0], part[1] = None, part[1].astype(common, copy=False)
    points, coords, counts = (_place(parts, k, rank) for k in (1, 2, 3))
    kept = int(counts.sum())
    accounting = {
        "in": kept + out_of_range + non_finite,
        "kept": kept,
        "out_of_range": out_of_range,
        "non_finite": non_finite,
    }
    return VoxelSummary(points, coords, counts, accounting)
