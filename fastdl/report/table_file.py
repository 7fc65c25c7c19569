"""A chapter on a table: its columns, and which could be targets; with a target, fits and the choice of a degree."""

from __future__ import annotations

from collections import Counter
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

import fastdl
from fastdl._typing import Array
from fastdl.errors import FileError, InputError
from fastdl.files.tables import Table
from fastdl.report.figures import MUTED, SERIES, Panel, histogram
from fastdl.report.inspection import Inspection
from fastdl.report.linear import COLOURS
from fastdl.report.listings import duration, least_time
from fastdl.report.page import Chapter

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from fastdl.linear.result import LpFit

_ROWS = 100_000  # rows kept for pictures and fits, at most: of more, every second, fourth, ... row
_HARD_ROWS = 2_000  # rows of fits with p < 1, which take longest
_DISTINCT = 1_000  # distinct values of a column that are counted
_CLASSES = 20  # distinct whole numbers up to which a column may hold classes
_SHOWN = 40  # columns that the page lists
_HISTOGRAMS = 6  # columns that the page draws
_FEATURES = 50


class Column:
    """Statistics of a column that is read in chunks."""

    def __init__(self, name: str):
        self.name, self.rows, self.missing, self.infinite = name, 0, 0, 0
        self.is_text = False
        self.low, self.high, self.total = np.inf, -np.inf, 0.0
        self.whole = True
        self.values: Counter[Any] = Counter()

    def update(self, column: Any) -> Array:
        """Take in the values of a chunk; returns them as numbers, NaN where there is none."""
        values = column.to_numpy(zero_copy_only=False) if hasattr(column, "to_pylist") else np.asarray(column)
        self.rows += len(values)
        if values.dtype.kind not in "fiub":
            return self._update_text(column, values)
        x = values.astype(np.float64)
        good = x[np.isfinite(x)]
        self.missing += int(np.isnan(x).sum())
        self.infinite += int(np.isinf(x).sum())
        if len(good):
            self.low, self.high = min(self.low, float(good.min())), max(self.high, float(good.max()))
            with np.errstate(over="ignore"):
                self.total += float(good.sum())
            self.whole = self.whole and bool((good == np.floor(good)).all())
            if len(self.values) <= _DISTINCT:
                self.values.update(dict(zip(*(a.tolist() for a in np.unique(good, return_counts=True)))))
        return x

    def _update_text(self, column: Any, values: Array) -> Array:
        texts = [None if v is None or v != v else str(v) for v in values.tolist()]
        self.missing += sum(v is None for v in texts)
        present = [v for v in texts if v is not None]
        self.is_text = self.is_text or bool(present)
        if len(self.values) <= _DISTINCT:
            self.values.update(present)
        return np.full(len(values), np.nan)

    @property
    def count(self) -> int:
        """Rows that have a finite number or a text."""
        return self.rows - self.missing - self.infinite

    @property
    def distinct(self) -> str:
        """The number of distinct values, as far as they are counted."""
        return f"{len(self.values):,}" if len(self.values) <= _DISTINCT else f"more than {_DISTINCT:,}"

    def as_target(self) -> str:
        """The target that `fastdl.targets` has for such a column."""
        if len(self.values) < 2:
            return "none: it does not vary" if self.values else "none: it is empty"
        if len(self.values) == 2:
            return "BinaryTarget"
        if self.is_text:
            return "ClassTarget" if len(self.values) <= _DISTINCT else "none: nearly every text differs"
        return "ClassTarget or StandardTarget" if self.whole and len(self.values) <= _CLASSES else "StandardTarget"

    def line(self) -> list[Any]:
        """The column's line in the table of columns."""
        kind = "text" if self.is_text else "whole numbers" if self.whole and self.count else "numbers"
        mean = self.total / self.count if self.count and not self.is_text else ""
        low, high = (self.low, self.high) if mean != "" else ("", "")
        return [self.name, kind, self.missing, self.infinite, self.distinct, low, mean, high, self.as_target()]


class Sample:
    """An even sample of a stream of rows: whenever it has twice `limit` rows, every second one is dropped."""

    def __init__(self, limit: int):
        self.limit, self.every, self.seen = limit, 1, 0
        self.blocks: list[Array] = []

    def add(self, rows: Array) -> None:
        self.blocks.append(rows[-self.seen % self.every :: self.every])
        self.seen += len(rows)
        while sum(map(len, self.blocks)) > self.limit:
            self.blocks, self.every = [np.concatenate(self.blocks)[::2]], 2 * self.every

    @property
    def rows(self) -> Array:
        return np.concatenate(self.blocks)


def chapter(asked: Inspection) -> Chapter:
    """A table, streamed once."""
    table = Table(asked.path)
    if asked.target is not None and asked.target not in table.columns:
        raise InputError(f"{asked.path} has no column {asked.target!r}; it has {', '.join(table.columns[:20])}")
    columns, sample = [Column(name) for name in table.columns], Sample(_ROWS)
    for part in table.parts():
        sample.add(np.column_stack([column.update(values) for column, values in zip(columns, part)]))
        asked.tell(sample.seen / (sample.seen + _ROWS))
    if not sample.seen:
        raise FileError(asked.path, "holds no rows")
    numeric = [column for column in columns if not column.is_text and column.count]
    page = Chapter(
        asked.key,
        f"Table: {asked.path.name}",
        f"{sample.seen:,} rows of {len(columns)} columns, {len(numeric)} of them numbers; "
        f"{sum(c.missing for c in columns):,} values are missing.",
    )
    page.table(
        ["column", "kind", "missing", "infinite", "distinct", "least", "mean", "largest", "as a target"],
        [column.line() for column in columns[:_SHOWN]],
        "What is in it" + (f"; the first {_SHOWN} of {len(columns)} columns" if len(columns) > _SHOWN else ""),
    )
    names = [column.name for column in columns]
    rows = sample.rows
    _histograms(page, [(c, rows[:, names.index(c.name)]) for c in numeric][:_HISTOGRAMS])
    if asked.target is not None:
        _fits(page, asked, {c.name: rows[:, names.index(c.name)] for c in numeric}, sample.every)
    elif len(numeric) > 1:
        page.text("With `--target COLUMN` its fits under three losses, their certificates and a degree are shown here.")
    for column in (c for c in numeric if 0 < c.high - c.low < np.inf):
        values = rows[:, names.index(column.name)]
        values = values[np.isfinite(values)]
        if len(values) and values.min() < values.max():
            page.code(standard_columns, np.resize(values, 100_000))
            break
    return page


def standard_columns(fastdl: ModuleType, values: Array) -> Array:
    columns = fastdl.vandermonde(values, 5, basis="chebyshev", domain=(values.min(), values.max()))
    return columns  # a column for each degree, 0 to 5


def _histograms(page: Chapter, columns: list[tuple[Column, Array]]) -> None:
    def draw(axes: Axes, column: Column, values: Array) -> None:
        good = values[np.isfinite(values)]
        edges = np.unique(np.linspace(good.min(), good.max(), 41))  # fewer where there are fewer floats between
        counts = np.histogram(good, edges)[0]
        histogram(axes, counts, edges, SERIES[0], "rows")
        axes.set(xlabel=column.name[:30], ylabel="rows", ylim=(0, None))

    shown = [(c, v) for c, v in columns if len(np.unique(v[np.isfinite(v)][:1000])) > 1]
    if shown:
        page.figure(
            [Panel(partial(draw, column=c, values=v), f"How the values of {c.name} are spread from {c.low:g} to "
                   f"{c.high:g}.", c.name) for c, v in shown],
            "How values are spread" + (f", of the first {len(shown)} columns of numbers" if len(shown) > 1 else ""),
        )  # fmt: skip


def _fits(page: Chapter, asked: Inspection, columns: dict[str, Array], every: int) -> None:
    target = str(asked.target)
    if target not in columns:
        raise InputError(
            f"{asked.path}: --target {target} holds no numbers; `fastdl fit` takes texts as features alone"
        )
    y = columns[target]
    features = [name for name in columns if name != target][:_FEATURES]
    if not features:
        raise InputError(f"{asked.path}: beside --target {target} no column holds numbers")
    X = np.column_stack([columns[name] for name in features])
    whole = np.isfinite(X).all(axis=1) & np.isfinite(y)
    X, y = X[whole], y[whole]
    page.section(f"Fits of {target}")
    page.text(
        f"Linear models of {len(features)} column{'s' * (len(features) > 1)} on {len(y):,} rows"
        + (f", of every {every}th" if every > 1 else "")
        + f"; {int((~whole).sum()):,} rows with a missing or infinite value are left out."
    )
    if len(y) < len(features) + 2:
        page.text("These are too few rows for a fit.")
        return
    fits, rows = {}, []
    for p in (2.0, 1.0, 0.5):
        few = slice(None) if p >= 1 else slice(None, None, max(1, len(y) // _HARD_ROWS))
        run = least_time(lambda p=p, few=few: fastdl.fit_lp(X[few], y[few], p), 0.0)  # type: ignore[misc]
        fits[p] = run.result
        gap, count = fits[p].certificate.gap, len(y[few])
        loss = fits[p].loss / count
        rows.append([f"|r|^{p:g}", count, loss, f"{100 * gap:.2g} %", fits[p].certificate.kind, duration(run.seconds)])
    page.table(
        ["loss", "rows", "mean of the loss", "above the least by at most", "proof", "time"],
        rows,
        "How far each fit can be from the best linear model at most",
    )
    page.table(
        ["column", *(f"|r|^{p:g}" for p in fits)],
        [["intercept", *(float(fit.b) for fit in fits.values())]]
        + [[name, *(float(fit.w[k]) for fit in fits.values())] for k, name in enumerate(features)],
        "The weights",
    )
    _residuals(page, X, y, fits)
    _degree(page, X, y, features, target)


def _residuals(page: Chapter, X: Array, y: Array, fits: dict[float, LpFit]) -> None:
    middle = min(float(np.median(np.abs(y - fit.predict(X)))) for fit in fits.values())
    least = max(middle / 100, 1e-12)

    def draw(axes: Axes) -> None:
        part = 100 * np.linspace(0, 1, 101)
        for p, fit in fits.items():
            far = np.quantile(np.abs(y - fit.predict(X)), part / 100)
            axes.plot(np.maximum(far, least), part, color=COLOURS[p], label=f"|r|^{p:g}")
        axes.set(xlabel="distance from the model", ylabel="rows that are so near (%)", xscale="log")

    page.figure(
        [Panel(draw, "Curves that rise from 0 to 100 % of the rows; the steeper, the more rows are near the model.",
               wide=True)],
        "How near the models come: small powers serve most rows well, large ones mind the farthest.",
    )  # fmt: skip


def _degree(page: Chapter, X: Array, y: Array, features: list[str], target: str) -> None:
    """The choice of a degree for the column of the largest correlation with the target."""
    with np.errstate(invalid="ignore", divide="ignore"):
        together = np.abs([np.corrcoef(x, y)[0, 1] if x.std() > 0 and y.std() > 0 else 0.0 for x in X.T])
    best = int(np.nan_to_num(together).argmax())
    x = X[:, best]
    highest = min(10, len(np.unique(x)) // 5, len(x) // 20)
    if highest < 1:
        page.text(f"{features[best]} has too few distinct values for a choice of the degree.")
        return
    choice = fastdl.select_degree(x, y, range(highest + 1))

    def draw(axes: Axes) -> None:
        for name, mean, colour in (("training", choice.train, SERIES[0]), ("validation", choice.valid, SERIES[1])):
            axes.plot(choice.degrees, mean, "o-", ms=4, color=colour, label=name)
        axes.axvline(choice.best, color=MUTED, lw=1, ls="--")
        axes.set(xlabel=f"degree of {features[best][:30]}", ylabel="mean of |residual|²", ylim=(0, None))

    page.section("Which degree?")
    at = int(np.flatnonzero(choice.degrees == choice.model.degree)[0])
    page.figure(
        [Panel(draw, "Training and validation loss by degree; a dashed line at the chosen one.", wide=True)],
        f"`select_degree` of {target} by {features[best]}, the column that goes most with it: degree {choice.best} has "
        f"the least validation loss, {choice.one_se} is the lowest within a standard error. On the tenth set aside, "
        f"looked at for the chosen degree alone: {float(choice.test[at]):.4g}.",
    )
