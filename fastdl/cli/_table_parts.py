"""The work of `fastdl fit`: a table's rows in training, validation and test part, and models fitted to them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from fastdl import _check
from fastdl._typing import Array
from fastdl.cli._progress import ProgressBar
from fastdl.cli._table_sections import TableSource, run_parts
from fastdl.files.npy import NpyWriter
from fastdl.files.table_model import TableModel, category_codes, model_columns
from fastdl.files.tables import Table
from fastdl.linear.fit import find_fit
from fastdl.selection.degrees import choose_degree as choose
from fastdl.selection.splits import split

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Blocks = Iterator[tuple[Array, Array, Array | None]]

PARTS = ("training", "validation", "test")
MISSING = ("error", "drop", "mean")
_BLOCK_BYTES = 1 << 23  # bytes of the model's columns in one block
_HIGHEST = {1: 12}  # the highest degree that "auto" tries, by the number of columns; 4 for more than one
_CATEGORIES = 256  # distinct texts up to which a column is taken as a category


@dataclass(frozen=True)
class Roles:
    """Which columns of a table are x, y and the weights."""

    features: list[str]
    target: str
    weight: str | None

    @property
    def all(self) -> list[str]:
        """All columns, in the order in which they are stored."""
        return [*self.features, self.target, *([] if self.weight is None else [self.weight])]


def roles(table: Table, features: str | None, target: str | None, weight: str | None) -> Roles:
    """The roles of the columns. By default y or the last one is the target, "weight" of an .npz the weights."""
    names = table.columns
    if weight is None and table.path.suffix == ".npz" and "weight" in names:
        weight = "weight"
    if target is None:
        target = "y" if "y" in names else [name for name in names if name != weight][-1]
    chosen = [n for n in names if n not in (target, weight)] if features is None else features.split(",")
    for name in (*chosen, target, *([] if weight is None else [weight])):
        if name not in names:
            raise _check.InputError(f"{table.path} has no column {name!r}; it has {', '.join(names[:20])}")
    if not chosen:
        said = f"{len(names)} column{'s' * (len(names) != 1)}: {', '.join(names[:20])[:200]}"
        raise _check.InputError(f"{table.path} has no column left for the features; it has {said}")
    if len(set(chosen)) < len(chosen) or target in chosen or weight in (*chosen, target):
        raise _check.InputError(f"features, target and weights must differ, got {chosen}, {target!r} and {weight!r}")
    return Roles(chosen, target, weight)


def part_numbers(
    names: list[str], features: int, table: Table, columns: list[Any]
) -> tuple[Array, dict[str, list[str]]]:
    """A part as float64 (n, D), and what its numbers mean in columns of text among the first `features`.

    Texts have numbers in the order they come in the part; what is missing is NaN.
    """
    rows, labels = np.empty((len(columns[0]), len(names))), {}
    for k, (name, column) in enumerate(zip(names, columns)):
        kind = str(getattr(column, "type", getattr(column, "dtype", "")))
        text = kind.startswith(("string", "large_string", "dictionary<values=string", "<U", "object", "category"))
        if not text or k >= features:
            rows[:, k] = table.numbers(name, column)
            continue
        seen: dict[str, int] = {}
        codes = category_codes(column, seen, grow=True)
        rows[:, k] = np.where(codes < 0, np.nan, codes)
        labels[name] = list(seen)
    return rows, labels


class Parts:
    """The rows of a table as training, validation and test part, for several passes; kept on disk while it is open.

    `missing` decides on rows whose features or target are missing: "error" names file and line, "drop" leaves the row
    out, "mean" replaces a feature by its mean over the training part (and drops rows without a target).
    """

    def __init__(self, table: Table, roles: Roles, ratios: list[float], seed: int, missing: str = "error"):
        self.table, self.roles, self.ratios, self.seed, self.missing = table, roles, ratios, seed, missing
        self.categories: dict[str, list[str]] = {}
        self.fill: dict[str, float] = {}

    def __enter__(self) -> Parts:
        self._rows, self._file = np.empty((0, 0)), tempfile.TemporaryFile()
        return self

    def __exit__(self, *_: object) -> None:
        self._rows = np.empty((0, 0))
        self._file.close()

    def read(self, source: TableSource, progress: ProgressBar) -> None:
        """Read the table once, and keep its numbers, and the codes of its categories, in a temporary file."""
        names = self.roles.all
        writer = NpyWriter(self._file, np.float64, (len(names),))
        known: dict[str, dict[str, int]] = {}
        start = dropped = 0

        def take(found: tuple[Array, dict[str, list[str]]]) -> int:
            nonlocal start, dropped
            rows, labels = found
            for name, texts in labels.items():
                self._rename(rows[:, names.index(name)], texts, known.setdefault(name, {}), name)
            keep = self._checked(rows, start)
            writer.write(np.ascontiguousarray(rows[keep]))
            start, dropped = start + len(rows), dropped + int((~keep).sum())
            return len(rows)

        run_parts(source, names, partial(part_numbers, names, len(self.roles.features)), take, progress)
        self.dropped = dropped
        if not writer.rows:
            raise _check.FileError(self.table.path, "holds no rows" + (" without missing values" if dropped else ""))
        writer.finish()
        self._file.flush()
        shape = (writer.rows, len(names))
        self._rows = np.memmap(self._file, np.float64, "r", self._file.seek(0, 2) - 8 * shape[0] * shape[1], shape)
        self._split = split(writer.rows, self.ratios, seed=self.seed)
        self.sizes = self._split.sizes.tolist()
        self._order = {n: np.argsort(np.argsort(np.array(list(k), object))) for n, k in known.items()}
        self.categories = {n: sorted(k) for n, k in known.items()}
        self.names = [
            name if name not in known else f"{name}={text}"
            for name in self.roles.features
            for text in self.categories.get(name, ["", ""])[1:]
        ]
        if not self.names:
            raise _check.InputError(f"{', '.join(self.roles.features)}: the same in all rows, no model can be made")
        if self.missing == "mean":
            self.fill = self._means()

    def _rename(self, column: Array, texts: list[str], seen: dict[str, int], name: str) -> None:
        """Replace a part's codes of categories by those of the whole table."""
        numbers = np.array([seen.setdefault(text, len(seen)) for text in texts], np.float64)
        reader = self.table.text
        if reader is not None and seen and all(map(reader.has_marks, seen)):  # 1,5 or 1,000: no names of categories
            line, field = reader.find(name, bool)
            raise _check.FileError(self.table.path, reader.not_a_number(name, field), line=line)
        if reader is not None and any(reader.is_number(label) for label in seen):
            line, field = reader.find(name, lambda f: bool(f) and not reader.is_number(f))
            if not line:  # a number over two lines, say
                line, field = reader.find(name, lambda f: bool(f))
                raise _check.FileError(self.table.path, f"{name} holds numbers that are written as text", line=line)
            raise _check.FileError(self.table.path, reader.not_a_number(name, field), line=line)
        if len(seen) > _CATEGORIES:
            raise _check.FileError(
                self.table.path, f"{name} has more than {_CATEGORIES} different texts: name columns by --features"
            )
        there = ~np.isnan(column)
        column[there] = numbers[column[there].astype(int)]

    def _checked(self, rows: Array, start: int) -> Array:
        """The mask of rows that are kept; a value that must be finite and is not is an error with its line."""
        q = self.roles
        counts = np.ones(len(rows), bool)
        if q.weight is not None:
            s = rows[:, -1]
            self._refuse(rows, start, ~((s >= 0) & (s < np.inf)), len(q.all) - 1, "finite and not negative")
            counts = s != 0
        keep = np.ones(len(rows), bool)
        for k, name in enumerate([*q.features, q.target]):
            gone = np.isnan(rows[:, k]) & counts
            self._refuse(rows, start, np.isinf(rows[:, k]) & counts, k, "finite")
            if self.missing == "error":
                self._refuse(rows, start, gone, k, "finite (or choose --missing drop or mean)")
            elif self.missing == "drop" or name == q.target:
                keep &= ~gone
        return keep

    def _refuse(self, rows: Array, start: int, bad: Array, column: int, wanted: str) -> None:
        if bad.any():
            row = int(bad.argmax())
            where = self.table.place(start + row)
            place = "" if where else f" in row {start + row}"
            problem = f"{self.roles.all[column]} must be {wanted}, got {rows[row, column]}{place}"
            raise _check.FileError(self.table.path, problem, **where)

    def _means(self) -> dict[str, float]:
        """The mean of each feature over the training part."""
        names = [n for n in self.roles.features if n not in self.categories]
        which = [self.roles.features.index(n) for n in names]
        total, count = np.zeros((2, len(which)))
        for rows in self._raw(0, 1 << 15):
            x, s = rows[:, which], np.ones(len(rows)) if self.roles.weight is None else rows[:, -1]
            there = ~np.isnan(x)
            total += (np.where(there, x, 0) * s[:, None]).sum(axis=0)
            count += (there * s[:, None]).sum(axis=0)
        return {n: float(t / c) if c else 0.0 for n, t, c in zip(names, total, count)}

    def _raw(self, part: int | None, block: int) -> Iterator[Array]:
        for start in range(0, len(self._rows), block):
            rows = self._rows[start : start + block]
            yield rows if part is None else rows[self._split.parts(start, start + len(rows)) == part]

    def blocks(self, part: int | None, width: int = 0) -> Blocks:
        """(X, y, weights or None) of the rows of a part; rows of weight 0 are left out.

        `width` is the number of columns that will be made from a row: the more, the fewer rows are in a block.
        """
        block = max(256, _BLOCK_BYTES // (8 * max(width, len(self.names), 1)))
        count = len(self.roles.features)
        for rows in self._raw(part, block):
            if self.roles.weight is not None:
                rows = rows[rows[:, -1] > 0]
            yield self._matrix(rows), rows[:, count], None if self.roles.weight is None else rows[:, -1]

    def _matrix(self, rows: Array) -> Array:
        columns: list[Array] = []
        for k, name in enumerate(self.roles.features):
            x = np.array(rows[:, k])
            if name in self.categories:
                code = np.full(len(x), -1)
                code[~np.isnan(x)] = self._order[name][x[~np.isnan(x)].astype(int)]
                columns += [(code == j).astype(float) for j in range(1, len(self.categories[name]))]
            else:
                x[np.isnan(x)] = self.fill.get(name, np.nan)
                columns.append(x)
        return np.column_stack(columns)

    def outside_test(self) -> tuple[Array, Array, Array | None]:
        """All rows but the test part, in memory."""
        some = [block for part in (0, 1) for block in self.blocks(part)]
        X, y = (np.concatenate([block[i] for block in some]) for i in (0, 1))
        return X, y, None if self.roles.weight is None else np.concatenate([s for _, _, s in some if s is not None])

    def ranges(self) -> tuple[Array, Array]:
        """The least and the largest value of each column in the training part."""
        ends = [(X.min(0), X.max(0)) for X, _, _ in self.blocks(0) if len(X)]
        if not ends:
            raise _check.FileError(self.table.path, "has no row of a weight above 0 in the training part")
        low, high = (np.array(e) for e in zip(*ends))
        return low.min(0), high.max(0)

    def scores(self, part: int, model: TableModel) -> dict[str, float | None]:
        """Rows, mean |r|^p, mean |r| and R^2 of a part."""
        sums, y_sums, middle = np.zeros(4), np.zeros(2), None
        for X, y, s in self.blocks(part, len(model.w)):
            if not len(y):
                continue
            middle = float(y[0]) if middle is None else middle
            s = np.ones(len(y)) if s is None else s
            r, y = np.abs(y - model.of_matrix(X)), y - middle
            with np.errstate(over="ignore", invalid="ignore"):  # a loss beyond 1e308 becomes None
                sums += [s.sum(), (s * r**model.p).sum(), (s * r).sum(), (s * r * r).sum()]
                y_sums += [(s * y).sum(), (s * y * y).sum()]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            loss, absolute, squared = (sums[1:] / sums[0]).tolist()
            spread = y_sums[1] / sums[0] - (y_sums[0] / sums[0]) ** 2
            fitted = float(1 - np.float64(squared) / spread)
        values = {"loss": loss, "mean |r|": absolute, "R^2": fitted}
        return {"rows": self.sizes[part], **{k: v if np.isfinite(v) else None for k, v in values.items()}}


def fit_model(parts: Parts, p: float, degree: int | None, settings: dict[str, Any]) -> TableModel:
    """The model of the given degree; for None, of the degree that cross-validation outside the test part chooses."""
    if degree is None:
        degree = choose_degree(parts, p, settings)
    low, high = parts.ranges()
    if degree > 1 and len(low) == 1 and not high[0] > low[0]:
        raise _check.InputError(f"{parts.names[0]} is the same in all rows: no degree above 1 can be fitted")
    width = model_columns(np.zeros((1, len(low))), degree, low, high).shape[1]

    def chunks() -> Iterator[tuple[Array, ...]]:
        for X, y, s in parts.blocks(0, width):
            yield model_columns(X, degree, low, high), y, *(() if s is None else (s,))

    fit = find_fit(chunks, p=p, **settings)
    q = parts.roles
    certificate = {name: _plain(value) for name, value in fit.certificate._asdict().items()}
    model = TableModel(
        q.features, q.target, degree, low.tolist(), high.tolist(), fit.w.tolist(), float(fit.b), p, fit.method,
        certificate, parts.categories, parts.fill,
    )  # fmt: skip
    return replace(model, scores={n: parts.scores(k, model) for k, n in enumerate(PARTS) if parts.sizes[k]})


def choose_degree(parts: Parts, p: float, settings: dict[str, Any]) -> int:
    """The degree, at least 1, of the smallest loss in five-fold cross-validation outside the test part."""
    if not parts.sizes[1]:
        raise _check.InputError("--degree auto needs rows to validate on: give --split like 70/20/10")
    X, y, s = parts.outside_test()
    degrees = range(1, _HIGHEST.get(X.shape[1], 4) + 1)
    folds = min(5, len(y))
    how = {"seed": settings["seed"], "threads": settings["threads"], "sample_weight": s, "test": 0, "folds": folds}
    return choose(X, y, degrees, p=p, **how).best


def _plain(value: object) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def save_plot(parts: Parts, model: TableModel, file: IO[bytes], path: Path) -> None:
    """Write the picture in the format that the path ends in."""
    plot(parts, model).savefig(file, format=path.suffix[1:].lower())


def plot(parts: Parts, model: TableModel, most: int = 2000) -> Figure:
    """The target against the feature, where there is one, or against the prediction; a sample of each part's rows."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    single = len(model.low) == 1
    for k, (name, colour) in enumerate(zip(PARTS, ("#999999", "#56B4E9", "#D55E00"))):
        if parts.sizes[k]:
            every = -(-parts.sizes[k] // most)
            some = [(X[::every], y[::every]) for X, y, _ in parts.blocks(k)]
            X, y = (np.concatenate(columns) for columns in zip(*some))
            axes.plot(X[:, 0] if single else model.of_matrix(X), y, ".", ms=3, color=colour, label=name, zorder=k)
    if single:
        x = np.linspace(model.low[0], model.high[0], 501)
        axes.plot(x, model.of_matrix(x[:, None]), color="black", label="model")
        axes.set(xlabel=model.features[0], ylabel=model.target)
    else:
        ends = axes.get_xlim()
        axes.plot(ends, ends, color="black", lw=1, label="prediction = target", zorder=5)
        axes.set(xlabel=f"prediction of {model.target}", ylabel=model.target)
    axes.legend()
    return figure
