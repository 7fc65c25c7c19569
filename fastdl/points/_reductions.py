"""The state of every voxel's reductions: folds points in by their voxel's id, in input order."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastdl import _check
from fastdl.points._grid import Array, Geometry, Table, by_voxel
from fastdl.reference import points as reference

REDUCTIONS = ("count", "sum", "mean", "min", "max", "first", "last", "nearest", "majority", "consensus")
_OPS = {"sum": 0, "min": 1, "max": 2}
_START = {"sum": 0.0, "min": np.inf, "max": -np.inf}
_PARTS = {"mean": ("sum",), "consensus": ("min", "max")}

Plan = tuple[tuple[int, str], ...]


def plan_of(reduce: Any, columns: int) -> Plan:
    """(column, name) for every column of the result."""
    try:
        if not isinstance(reduce, (str, list, tuple)):
            raise TypeError
        plan = tuple(reference.plan_of(reduce, columns))
        pairs = [(column, name) for column, name in plan]
    except (TypeError, ValueError):
        raise _check.InputTypeError(
            f"reduce must be a name, a name per column or (column, name) pairs, got {reduce!r}"
        ) from None
    listed = isinstance(reduce, (list, tuple))
    if listed and not any(isinstance(r, (list, tuple)) for r in reduce) and len(plan) != columns:
        raise _check.InputError(f"reduce must name one reduction for each of {columns} columns, got {len(plan)}")
    for column, name in pairs:
        _check.integer("column", column, 0, columns - 1)
        _check.one_of("reduce", name, REDUCTIONS)
    return plan


class Grown:
    """Named arrays with a row per voxel, and room for more."""

    def __init__(self) -> None:
        self.arrays: dict[Any, Array] = {}
        self.starts: dict[Any, float] = {}
        self.room = 0

    def add(self, name: Any, start: float, dtype: Any = np.float64, width: tuple[int, ...] = ()) -> None:
        if name not in self.arrays:
            self.arrays[name], self.starts[name] = np.full((self.room, *width), start, dtype), start

    def reserve(self, rows: int) -> None:
        if rows > self.room:
            room = rows if not self.room else max(rows, self.room + self.room // 2, 1024)
            for name, old in self.arrays.items():
                new = np.empty((room, *old.shape[1:]), old.dtype)
                new[: self.room] = old
                new[self.room :] = self.starts[name]
                self.arrays[name] = new
            self.room = room

    def __getitem__(self, name: Any) -> Array:
        return self.arrays[name]

    @property
    def nbytes(self) -> int:
        return sum(a.nbytes for a in self.arrays.values())


class Fold:
    """Reductions by a plan over points of `columns` columns; `dtype` is what the points were given as."""

    def __init__(self, reduce: Any, columns: int, dtype: np.dtype, ignore: float = -1):
        self.reducer = reduce if hasattr(reduce, "update") else None
        self.plan: Plan = () if self.reducer else plan_of(reduce, columns)
        self.columns, self.dtype, self.ignore = columns, dtype, ignore
        self.size = 0
        self.clock = 0
        self.state = state = Grown()
        state.add("counts", 0, np.int64)
        state.add("when", 0, np.int64)
        self.votes: dict[int, tuple[Table, Table, Grown]] = {}
        self.rows = not self.reducer and {name for _, name in self.plan} <= {"sum", "mean", "count"}
        if self.rows:
            state.add("rows", 0.0, width=(columns,))
        elif self.reducer:
            state.add("user", 0.0, width=(self.reducer.state_size,))
        for column, name in self.plan if not self.rows else ():
            for part in _PARTS.get(name, (name,)):
                if part in _START:
                    state.add((part, column), _START[part])
                elif part in ("first", "last", "nearest"):
                    state.add((part, column), 0.0)
                elif part == "majority":
                    votes = Grown()
                    votes.add("counts", 0, np.int64)
                    self.votes[column] = Table(np.dtype(np.uint64), 32), Table(np.dtype(np.uint64), 32), votes
            if name == "nearest":
                state.add("best", np.inf)
                state.add("pick", -1, np.int64)

    @property
    def nbytes(self) -> int:
        tables = sum(a.slots.nbytes + b.slots.nbytes + g.nbytes for a, b, g in self.votes.values())
        return self.state.nbytes + tables

    def update(
        self, points: Array, ids: Array, size: int, keys: Array, geometry: Geometry, index: Array | None = None
    ) -> None:
        """Fold in points; there are `size` voxels now, and `index` tells the points' places in the whole input."""
        if not len(points):
            return
        state, known = self.state, self.size
        state.reserve(size)
        first = np.empty(max(size - known, 1), np.int64)
        by_voxel.tally(ids, known, first, state["counts"])
        first = first[: size - known]
        state["when"][known:size] = first + self.clock if index is None else index[first]
        if self.rows:
            by_voxel.fold_rows(points, ids, state["rows"])
        elif self.reducer:
            self.reducer.fold(points, ids, state["user"], known, size)
        else:
            self._columns(points, ids, known, size, first, keys, geometry)
        self.size = size
        self.clock += len(points)

    def _columns(
        self, points: Array, ids: Array, known: int, size: int, first: Array, keys: Array, geometry: Geometry
    ) -> None:
        state = self.state
        inside: Array | None = None
        if "pick" in state.arrays:
            by_voxel.nearest(self._distance(points, keys, geometry), ids, state["best"], state["pick"], self.clock)
        done = set()
        for column, name in self.plan:
            for part in _PARTS.get(name, (name,)):
                if (part, column) in done:
                    continue
                done.add((part, column))
                if part in _OPS:
                    by_voxel.fold_column(points, column, _OPS[part], ids, state[part, column])
                elif part == "first":
                    state[part, column][known:size] = points[first, column]
                elif part in ("last", "nearest", "majority"):
                    if inside is None:
                        inside = np.flatnonzero(ids >= 0)
                    if part == "last":  # of repeated indices the last assignment stays
                        state[part, column][ids[inside]] = points[inside, column]
                    elif part == "nearest":
                        chosen = inside[state["pick"][ids[inside]] == inside + self.clock]
                        state[part, column][ids[chosen]] = points[chosen, column]
                    else:
                        self._vote(column, points[inside, column], ids[inside])

    @staticmethod
    def _distance(points: Array, keys: Array, geometry: Geometry) -> Array:
        with np.errstate(invalid="ignore", over="ignore"):
            step = (points[:, :3] - ((geometry.decode(keys) + 0.5) * geometry.size + geometry.low)) ** 2
            return step[:, 0] + step[:, 1] + step[:, 2]

    def _vote(self, column: int, labels: Array, ids: Array) -> None:
        labels = labels.astype(np.float64) + 0.0  # -0 and 0 are one label
        keep = (labels == labels) & (labels != self.ignore)
        if keep.any():
            self._count_votes(column, np.ascontiguousarray(labels[keep]), ids[keep])

    def _count_votes(self, column: int, labels: Array, ids: Array, votes: Array | None = None) -> None:
        names, pairs, counts = self.votes[column]
        numbers = np.empty(len(labels), np.int32)
        names.assign(labels.view(np.uint64), numbers)
        pairs.assign(ids.astype(np.uint64) << np.uint64(32) | numbers.astype(np.uint64), numbers)
        counts.reserve(len(pairs))
        np.add.at(counts["counts"], numbers, 1 if votes is None else votes)

    def _ballots(self, column: int) -> tuple[Array, Array, Array]:
        """(voxel, label, votes) for every pair that was seen."""
        names, pairs, counts = self.votes[column]
        keys = pairs.keys()
        labels = names.keys().view(np.float64)
        label = labels[(keys & np.uint64(2**32 - 1)).astype(np.int64)] if len(keys) else np.zeros(0)
        return (keys >> np.uint64(32)).astype(np.int64), label, counts["counts"][: len(keys)]

    def finish(self) -> Array:
        """The values, a row per voxel."""
        m, state = self.size, self.state
        if self.reducer:
            return self.reducer.values(state["user"][:m], state["counts"][:m])
        values = np.empty((m, len(self.plan)), reference.result_dtype(self.dtype, [name for _, name in self.plan]))
        with np.errstate(invalid="ignore", over="ignore"):
            for j, (column, name) in enumerate(self.plan):
                values[:, j] = self._column(column, name, m)
        return values

    def _column(self, column: int, name: str, m: int) -> Array:
        state = self.state
        if name == "count":
            return state["counts"][:m]
        if name in ("sum", "mean"):
            total = state["rows"][:m, column] if self.rows else state["sum", column][:m]
            return total / state["counts"][:m] if name == "mean" else total
        if name == "consensus":
            low, high = state["min", column][:m], state["max", column][:m]
            return np.where(low == high, low, self.ignore)
        if name == "majority":
            voxel, label, votes = self._ballots(column)
            order = np.lexsort((label, -votes, voxel))
            value = np.full(m, self.ignore, np.float64)
            value[voxel[order][::-1]] = label[order][
                ::-1
            ]  # of repeated indices the last assignment stays: the first in order
            return value
        return state[name, column][:m]

    def merge(self, other: Fold, ids: Array, size: int) -> None:
        """Take in a state that saw later points; `ids` are its voxels' numbers here, of `size` in all."""
        a, b, m, known = self.state, other.state, other.size, self.size
        a.reserve(size)
        old = ids < known
        new = ~old
        a["when"][ids[new]] = b["when"][:m][new] + self.clock
        a["counts"][ids] += b["counts"][:m]
        closer = b["best"][:m] < a["best"][ids] if "best" in a.arrays else old
        for name in a.arrays:
            if name in ("when", "counts"):
                continue
            mine, theirs = a[name], b[name][:m]
            part = name[0] if isinstance(name, tuple) else name
            if part in ("sum", "rows"):
                mine[ids] += theirs
            elif part in ("min", "max"):
                mine[ids] = (np.minimum if part == "min" else np.maximum)(mine[ids], theirs)
            elif part == "first":
                mine[ids[new]] = theirs[new]
            elif part == "last":
                mine[ids] = theirs
            elif part == "pick":
                mine[ids[closer]] = theirs[closer] + self.clock
            elif part == "user":
                self.reducer.join(mine, theirs, ids, new)  # type: ignore[union-attr]
            else:
                mine[ids[closer]] = theirs[closer]
        for column in self.votes:
            voxel, label, votes = other._ballots(column)
            if len(voxel):
                self._count_votes(column, label, ids[voxel], votes)
        self.size = size
        self.clock += other.clock
