"""The reductions of every voxel: a state that takes in points with the ids of their voxels, in input order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from fastdl import _check, _kernels
from fastdl._typing import Array
from fastdl.points import _grid, _point_table
from fastdl.points._label_counts import GrowingColumns, LabelCounts
from fastdl.points._point_table import PointTable
from fastdl.reference import _point_reductions as reference_kernel
from fastdl.reference import points as reference

kernel = _kernels.load("points_reduction") or reference_kernel

REDUCTIONS = reference.REDUCTIONS
_EXTREMES = {"consensus": ("min", "max"), "min": ("min",), "max": ("max",)}
_KEPT = ("first", "last", "nearest", "random")

Pair = tuple[Array, Array]  # this state's column, and the other's
Plan = tuple[tuple[int, str], ...]


class CustomReducer(Protocol):
    """The interface of a custom reduction: `fastdl.VoxelReducer` implements it."""

    state_size: int
    columns: int

    def fold(self, points: Array, ids: Array, states: Array, known: int, size: int) -> None:
        """Take in points by their voxel's id; voxels from `known` on are new."""

    def values(self, states: Array, counts: Array) -> Array:
        """The results, a row per voxel."""

    def join(self, states: Array, others: Array, ids: Array, new: Array) -> None:
        """Merge other states into those of their voxels `ids`; where `new`, the voxel had none."""


#: A reduction for all columns, one for each, (column, name) pairs, or a custom one.
Reduce = str | Sequence[str | tuple[int | str, str]] | CustomReducer
#: The function that gives the centres of the voxels of some points, which it takes as indices into the chunk.
Centres = Callable[[Array], Array]


def column_reductions(reduce: Reduce, columns: int, names: tuple[str, ...] | None = None) -> Plan:
    """(column, name) for every column of the result."""
    try:
        if not isinstance(reduce, (str, list, tuple)):
            raise TypeError
        pairs = [(column, name) for column, name in reference.column_reductions(reduce, columns)]
    except (TypeError, ValueError):
        raise _check.InputTypeError(
            f"reduce must be a name, a name per column or (column, name) pairs, got {reduce!r}"
        ) from None
    listed = isinstance(reduce, (list, tuple))
    if listed and not any(isinstance(r, (list, tuple)) for r in reduce) and len(pairs) != columns:
        raise _check.InputError(f"reduce must name one reduction for each of {columns} columns, got {len(pairs)}")
    plan = []
    for column, name in pairs:
        if names is not None and isinstance(column, str):
            column = names.index(_check.one_of("column", column, names))
        plan.append((_check.integer("column", column, 0, columns - 1), _check.one_of("reduce", name, REDUCTIONS)))
    return tuple(plan)


class VoxelReductions:
    """Reductions of points of one `dtype`: a matrix of `columns` columns, or records.

    A column's state has a type that holds its values exactly: int64, uint64, float32 or float64; sums are float64.
    """

    def __init__(self, reduce: Reduce, columns: int, dtype: np.dtype, ignore: float = -1, seed: int = 0):
        self.reducer: CustomReducer | None = reduce if hasattr(reduce, "state_size") else None  # type: ignore[assignment]
        self.plan: Plan = () if self.reducer else column_reductions(reduce, columns, dtype.names)
        self.columns, self.dtype = columns, dtype
        self.ignore, self.seed = _grid.plain_number("ignore", ignore), _check.integer("seed", seed, 0, 2**64 - 1)
        self.dtypes = _point_table.column_dtypes(dtype, columns)
        self.size = 0
        self.clock = 0
        self.votes: dict[int, LabelCounts] = {}
        self.values: dict[int, list[tuple[Array, Array]]] = {}
        self.state = state = GrowingColumns()
        state.add("counts", 0, np.int64)
        state.add("when", 0, np.int64)
        names = {name for _, name in self.plan}
        self.rows = not self.reducer and dtype.names is None and names <= {"sum", "mean", "count"}
        if self.rows:
            state.add("rows", 0.0, width=(columns,))
        elif self.reducer:
            state.add("user", 0.0, width=(self.reducer.state_size,))
        else:
            for column, name in self.plan:
                self._prepare(column, name)

    def _prepare(self, column: int, name: str) -> None:
        state, exact = self.state, _state_dtype(self.dtypes[column])
        for part in _EXTREMES.get(name, ()):
            state.add((part, column), 0, exact)
        if name in ("sum", "mean"):
            state.add(("sum", column), 0.0)
        elif name in _KEPT:
            state.add((name, column), 0, exact)
        elif name == "std":
            state.add(("n", column), 0, np.int64)
            state.add(("centre", column), 0.0)
            state.add(("squares", column), 0.0)
        elif name == "majority":
            self.votes.setdefault(column, LabelCounts(exact))
        elif name == "median":
            self.values.setdefault(column, [])
        if name == "nearest":
            state.add("centres", 0.0, width=(3,))
            state.add("distance", np.inf)
            state.add("nearest pick", -1, np.int64)
        elif name == "random":
            state.add("rank", 0, np.uint64)
            state.add("random pick", -1, np.int64)

    @property
    def nbytes(self) -> int:
        """Bytes of the state."""
        held = sum(ids.nbytes + x.nbytes for parts in self.values.values() for ids, x in parts)
        return self.state.nbytes + held + sum(v.nbytes for v in self.votes.values())

    def update(self, points: PointTable, ids: Array, size: int, centres: Centres, index: Array | None = None) -> None:
        """Take in points; there are now `size` voxels. `index` are the points' indices in the whole input."""
        if not len(points):
            return
        state, known = self.state, self.size
        state.reserve(size)
        first = np.empty(max(size - known, 1), np.int64)
        kernel.tally(ids, known, first, state["counts"])
        first = first[: size - known]
        state["when"][known:size] = first + self.clock if index is None else index[first]
        if self.rows:
            kernel.fold_rows(points.floats, ids, state["rows"])
        elif self.reducer:
            self.reducer.fold(points.floats, ids, state["user"], known, size)
        else:
            if "nearest pick" in state and len(first):
                state["centres"][known:size] = centres(first)
            self._columns(points, ids, slice(known, size), first, index)
        self.size = size
        self.clock += len(points)

    def _columns(self, points: PointTable, ids: Array, new: slice, first: Array, index: Array | None) -> None:
        state = self.state
        chosen: dict[str, tuple[Array, Array]] = {}
        if "nearest pick" in state:
            pick = state["nearest pick"]
            kernel.nearest_points(points.floats, ids, state["centres"], state["distance"], pick, self.clock)
            chosen["nearest"] = self._chosen(ids, pick, new.stop)
        if "random pick" in state:
            numbers = np.arange(self.clock, self.clock + len(ids)) if index is None else index
            ranks, pick = reference.point_hash(self.seed, numbers), state["random pick"]
            kernel.least_ranks(ranks, ids, state["rank"], pick, self.clock)
            chosen["random"] = self._chosen(ids, pick, new.stop)
        for column, name in dict.fromkeys(self.plan):
            if name == "count":
                continue
            own = points.column(column)
            x = own.astype(_state_dtype(own.dtype), copy=False)
            if name in ("sum", "mean"):
                if (column, "sum") not in self.plan or name == "sum":  # "sum" and "mean" share one sum
                    kernel.add_column(_as_floats(own), ids, state["sum", column])
            elif name in _EXTREMES:
                self._extremes(column, name, x, ids, new, first)
            elif name == "std":
                n, centre, squares = (state[part, column] for part in ("n", "centre", "squares"))
                kernel.fold_spread(own.astype(np.float64, copy=False), ids, n, centre, squares)
            elif name == "first":
                state[name, column][new] = x[first]
            elif name == "last":
                kernel.keep_last(x, ids, state[name, column])
            elif name in chosen:
                voxels, picked = chosen[name]
                state[name, column][voxels] = x[picked]
            else:
                inside = np.flatnonzero(ids >= 0)
                if name == "median":
                    self.values[column].append((ids[inside], own[inside]))
                else:
                    self._vote(column, x[inside], ids[inside])

    def _extremes(self, column: int, name: str, x: Array, ids: Array, new: slice, first: Array) -> None:
        for part in _EXTREMES[name]:
            if name == "consensus" and (column, part) in self.plan:
                continue  # that reduction updates the same state
            state = self.state[part, column]
            state[new] = x[first]
            kernel.fold_extremes(x, part == "max", ids, state)

    def _chosen(self, ids: Array, pick: Array, size: int) -> tuple[Array, Array]:
        """The voxels whose picked point is in this chunk, and the indices of those points."""
        if size > 4 * len(ids):  # few points among many voxels
            here = np.flatnonzero(ids >= 0)
            points = here[pick[ids[here]] == here + self.clock]
            return ids[points], points
        voxels = np.flatnonzero(pick[:size] >= self.clock)
        return voxels, pick[voxels] - self.clock

    def _vote(self, column: int, labels: Array, ids: Array) -> None:
        keep = labels != self.ignore
        if labels.dtype.kind == "f":
            labels = labels + 0.0  # -0 and 0 are one label
            keep &= labels == labels
        self.votes[column].add(np.ascontiguousarray(labels[keep]), ids[keep])

    def finish(self) -> Array:
        """The values, a row per voxel: a matrix, or records where records were given."""
        m, state = self.size, self.state
        if self.reducer:
            return self.reducer.values(state["user"][:m], state["counts"][:m])
        most = int(state["counts"][:m].max(initial=0))
        dtype = reference.result_dtype(self.dtype, self.plan, self.ignore, most)
        with np.errstate(invalid="ignore", over="ignore"):
            if dtype.names is not None:
                records = np.empty(m, dtype)
                for field, (column, name) in zip(dtype.names, self.plan):
                    records[field] = self._column(column, name, m)
                return records
            values = np.empty((m, len(self.plan)), dtype)
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
        if name == "std":
            return np.sqrt(state["squares", column][:m] / state["n", column][:m])
        if name == "median":
            parts = self.values[column]
            ids = np.concatenate([np.zeros(0, np.int32), *(i for i, _ in parts)])
            return reference.medians(np.concatenate([np.zeros(0, self.dtypes[column]), *(x for _, x in parts)]), ids, m)
        if name not in ("consensus", "majority"):
            return state[name, column][:m]
        if name == "majority":
            label, known = self.votes[column].winners(m)
        else:
            label = state["min", column][:m]
            known = label == state["max", column][:m]
        return self._or_ignored(column, label, known)

    def _or_ignored(self, column: int, labels: Array, known: Array) -> Array:
        """The labels, `ignore` where not `known`, in a dtype that holds both."""
        try:
            with np.errstate(invalid="ignore"):
                return reference.or_ignored(labels.astype(self.dtypes[column], copy=False), known, self.ignore)
        except OverflowError as error:  # there is no dtype that holds them all
            raise _check.InputError(str(error)) from None

    def merge(self, other: VoxelReductions, ids: Array, size: int) -> None:
        """Merge a state of later points; `ids` are its voxels' ids here, and `size` is the number of voxels then."""
        a, b, m, known = self.state, other.state, other.size, self.size
        a.reserve(size)
        new = ids >= known
        seen = np.flatnonzero(~new)
        a["when"][ids[new]] = b["when"][:m][new] + self.clock
        for column, name in dict.fromkeys(self.plan):
            if name == "std":
                n, centre, squares = ((a[p, column], b[p, column][:m]) for p in ("n", "centre", "squares"))
                _join_spread(n, centre, squares, ids)
        a["counts"][ids] += b["counts"][:m]
        closer = {
            name: (new | (b[by][:m] < a[by][ids])) if by in a else new
            for name, by in (("nearest", "distance"), ("random", "rank"))
        }
        for key in a.arrays:
            part = key[0] if isinstance(key, tuple) else key
            if part in ("when", "counts", "n", "centre", "squares"):
                continue
            mine, theirs = a[key], b[key][:m]
            if part in ("sum", "rows"):
                mine[ids] += theirs
            elif part in ("min", "max"):
                mine[ids[new]] = theirs[new]
                v, s = theirs[seen], mine[ids[seen]]
                wins = (v > s if part == "max" else v < s) | ((v != v) & (s == s))
                mine[ids[seen[wins]]] = v[wins]
            elif part in ("first", "centres"):
                mine[ids[new]] = theirs[new]
            elif part == "last":
                mine[ids] = theirs
            elif part == "user":
                self.reducer.join(mine, theirs, ids, new)  # type: ignore[union-attr]
            else:
                wins = closer["nearest" if part in ("nearest", "distance", "nearest pick") else "random"]
                mine[ids[wins]] = theirs[wins] + (self.clock if part.endswith("pick") else mine.dtype.type(0))
        for column, votes in self.votes.items():
            votes.join(other.votes[column], ids)
        for column, parts in self.values.items():
            parts += [(ids[i].astype(np.int32), x) for i, x in other.values[column]]
        self.size = size
        self.clock += other.clock


def _join_spread(counts: Pair, centres: Pair, distances: Pair, ids: Array) -> None:
    """Merge the means and sums of squared deviations of two sets (Chan, Golub and LeVeque, 1979)."""
    (n, n2), (centre, c2), (squares, s2) = counts, centres, distances
    n1, whole = n[ids], n[ids] + n2
    with np.errstate(invalid="ignore", over="ignore"):
        step = c2 - centre[ids]
        fresh = n1 == 0
        centre[ids] = np.where(fresh, c2, centre[ids] + step * (n2 / np.maximum(whole, 1)))
        squares[ids] = np.where(fresh, s2, squares[ids] + s2 + step * step * (n1 * n2 / np.maximum(whole, 1)))
    n[ids] = whole


def _state_dtype(dtype: np.dtype) -> np.dtype:
    """The dtype of a state, one that kernels are compiled for and that holds all values of `dtype`."""
    if dtype.kind == "f":
        return dtype
    return np.dtype(np.int64 if dtype.kind == "i" else np.uint64)


def _as_floats(x: Array) -> Array:
    return x if x.dtype in (np.float32, np.float64) else x.astype(np.float64)
