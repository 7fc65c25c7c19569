"""An accumulator's state as bytes: a line with the format's name, a checksum, a line of JSON, and arrays as .npz."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdl import _check
from fastdl._typing import Array
from fastdl.errors import FastdlError
from fastdl.points._grid import Grid
from fastdl.points._key_table import KeyTable
from fastdl.points._point_table import point_table
from fastdl.points._spill import PARTS, Spill

if TYPE_CHECKING:
    from fastdl.points.accumulator import VoxelAccumulator

MAGIC = b"fastdl voxels 1\n"  # the number is the version of the format
#: The exceptions that NumPy, zipfile and json raise for damaged bytes.
_DAMAGE = (
    ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, OSError, RuntimeError, TypeError, ValueError,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip
_LONG = np.dtype(np.uint64)
_COUNTS = ("_seen", "_out_of_range", "_non_finite", "_depth", "_holds")


def to_bytes(state: VoxelAccumulator) -> bytes:
    """The state as bytes, for `from_bytes`."""
    if hasattr(state.reduce, "state_size"):
        raise _check.InputTypeError("a custom VoxelReducer cannot be written as bytes; pickle the state instead")
    head: dict[str, Any] = {
        "settings": {
            "voxel_size": state.voxel_size.tolist(),
            "point_range": None if state.point_range is None else state.point_range.reshape(6).tolist(),
            "origin": state.origin.tolist(),
            **{name: getattr(state, name) for name in ("order", "max_bytes", "arithmetic", "ignore", "seed")},
            "reduce": state.reduce,
        },
        "counts": {name: int(getattr(state, name)) for name in _COUNTS},
        "columns": state._columns,
        "clock": 0,
        "cells": [c is not None for _, c in state._held],
    }
    arrays: dict[str, Array] = {}
    if state._empty is not None:
        arrays["empty"] = state._empty.given
    for k, (points, cells) in enumerate(state._held):
        arrays[f"held {k}"] = points.given
        if cells is not None:
            arrays[f"cells {k}"] = cells
    if state._state is not None:
        _reductions(state, head, arrays)
    if state._spill is not None:
        rows = [np.concatenate([np.zeros(0, state._spill.row), *state._spill.rows(k)]) for k in range(PARTS)]
        head["spilled"] = state._spill.depth
        arrays["spilled"] = np.concatenate(rows)
    packed = io.BytesIO()
    np.savez(packed, allow_pickle=False, **arrays)
    body = json.dumps(head).encode() + b"\n" + packed.getvalue()
    return MAGIC + b"%08x\n" % zlib.crc32(body) + body


def _reductions(state: VoxelAccumulator, head: dict[str, Any], arrays: dict[str, Array]) -> None:
    found = state._state
    assert found is not None
    m = len(state._table)
    found.state.reserve(m)
    head["clock"] = found.clock
    if state._box is not None:
        box = state._box
        head["box"] = [box.low.tolist(), box.size.tolist(), list(box.base), list(box.shape), bool(box.single)]
    arrays["keys"] = state._table.keys()
    for k, name in enumerate(found.state.arrays):
        arrays[f"column {k}"] = found.state[name][:m]
    for column, votes in found.votes.items():
        for part, x in zip(("voxel", "label", "points"), votes.rows()):
            arrays[f"votes {column} {part}"] = x
    for column, parts in found.values.items():
        arrays[f"ids {column}"] = np.concatenate([np.zeros(0, np.int32), *(i for i, _ in parts)])
        arrays[f"values {column}"] = np.concatenate([np.zeros(0, found.dtypes[column]), *(x for _, x in parts)])


def from_bytes(data: bytes, make: type[VoxelAccumulator]) -> VoxelAccumulator:
    """The state that `to_bytes` wrote."""
    data = bytes(data)
    if not data.startswith(MAGIC):
        got = data[: len(MAGIC)]
        raise _check.InputError(f"data must begin with {MAGIC!r}, as VoxelAccumulator.to_bytes writes, got {got!r}")
    checksum, _, body = data[len(MAGIC) :].partition(b"\n")
    if checksum != b"%08x" % zlib.crc32(body):
        raise _check.InputError(f"data is damaged: its checksum is {zlib.crc32(body):08x}, not {checksum[:8]!r}")
    text, _, packed = body.partition(b"\n")
    try:
        head = json.loads(text)
        with np.load(io.BytesIO(packed), allow_pickle=False) as found:
            arrays = {name: _check.native(found[name]) for name in found.files}
        return _restore(head, arrays, make)
    except _DAMAGE as error:
        if isinstance(error, FastdlError):
            raise
        raise _check.InputError(f"data is damaged, or not of VoxelAccumulator.to_bytes: {error}") from error


def _restore(head: dict[str, Any], arrays: dict[str, Array], make: type[VoxelAccumulator]) -> VoxelAccumulator:
    settings = dict(head["settings"])
    reduce = settings["reduce"]
    if isinstance(reduce, list):
        settings["reduce"] = [tuple(r) if isinstance(r, list) else r for r in reduce]
    state = make(settings.pop("voxel_size"), settings.pop("point_range"), **settings)
    if "empty" in arrays:
        state._start(arrays["empty"].dtype, int(head["columns"]))
    for k, known in enumerate(head["cells"]):
        state._held.append((point_table(arrays[f"held {k}"]), arrays[f"cells {k}"] if known else None))
    if state._state is not None:
        _fill(state, head, arrays)
    if "spilled" in head:
        rows = arrays["spilled"]
        width = rows["point"].shape[1]
        state._spill = Spill(width, rows["point"].dtype, int(head["spilled"]))
        state._spill.write(rows["when"], rows["cell"], rows["point"])
    for name in _COUNTS:
        setattr(state, name, type(getattr(state, name))(head["counts"][name]))
    return state


def _fill(state: VoxelAccumulator, head: dict[str, Any], arrays: dict[str, Array]) -> None:
    found, keys = state._state, arrays["keys"].astype(_LONG)
    assert found is not None
    m = len(keys)
    if "box" in head:
        low, size, base, grid, single = head["box"]
        state._box = Grid(np.array(low), np.array(size), tuple(base), tuple(grid), single, long_keys=True)
    if m:
        state._table = KeyTable(_LONG, m)
        state._table.assign(keys, np.empty(m, np.int32))
    found.clock, found.size = int(head["clock"]), m
    found.state.reserve(m)
    for k, name in enumerate(found.state.arrays):
        column, room = arrays[f"column {k}"], found.state[name][:m]
        if column.shape != room.shape or column.dtype != room.dtype or len(state._table) != m:
            raise ValueError(f"column {k} has shape {column.shape} where {room.shape} is wanted")
        room[:] = column
    for c, votes in found.votes.items():
        voxel, label, points = (arrays[f"votes {c} {part}"] for part in ("voxel", "label", "points"))
        _within(voxel, m)
        votes.add(label, voxel, points)
    for c, parts in found.values.items():
        _within(arrays[f"ids {c}"], m)
        parts.append((arrays[f"ids {c}"], arrays[f"values {c}"]))


def _within(ids: Array, m: int) -> None:
    if len(ids) and (ids.min() < 0 or ids.max() >= m):
        raise ValueError(f"voxels must be numbered from 0 to {m - 1}, got {ids.min()} to {ids.max()}")
