"""What fastdl fit and predict work with: the parts of a table's rows, and a model with the columns it is made of."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import fastdl
from fastdl import _check
from fastdl.files.npy import NpyWriter
from fastdl.files.tables import Table

Array = np.ndarray
Blocks = Iterator[tuple[Array, Array, Array | None]]

PARTS = ("training", "validation", "test")
_KIND = "fastdl linear model"
_ROWS = 1 << 15  # of a block
_ROUNDING = 1e-11  # a gap that is none
_HIGHEST = {1: 12}  # degree that "auto" tries, by the number of columns; 4 for more columns


@dataclass(frozen=True)
class Roles:
    """Which columns of a table are x, y and the weights."""

    features: list[int]
    target: int
    weight: int | None


def roles(table: Table, features: str | None, target: str | None, weight: str | None) -> Roles:
    """Of the columns by name: y or the last one is the target, "weight" of an .npz the weights, all others features."""
    names = table.columns
    if weight is None and table.path.suffix == ".npz" and "weight" in names:
        weight = "weight"
    if target is None:
        target = "y" if "y" in names else [name for name in names if name != weight][-1]
    chosen = [n for n in names if n not in (target, weight)] if features is None else features.split(",")
    for name in (*chosen, target, *([] if weight is None else [weight])):
        if name not in names:
            raise _check.InputError(f"{table.path} has no column {name!r}; it has {', '.join(names[:20])}")
    if not chosen or target in chosen or weight in (*chosen, target):
        raise _check.InputError(f"features, target and weights must differ, got {chosen}, {target!r} and {weight!r}")
    where = None if weight is None else names.index(weight)
    return Roles([names.index(n) for n in chosen], names.index(target), where)


class Parts:
    """The rows of a table as training, validation and test part, as often as asked for; on disk while it is open."""

    def __init__(self, table: Table, roles: Roles, ratios: list[float], seed: int):
        self.table, self.roles, self.ratios, self.seed = table, roles, ratios, seed
        self.names = [table.columns[i] for i in roles.features]

    def __enter__(self) -> Parts:
        self._rows, self._file = np.empty((0, 0)), tempfile.TemporaryFile()
        return self

    def __exit__(self, *_: object) -> None:
        self._rows = np.empty((0, 0))
        self._file.close()

    def read(self, progress: Callable[[int], Any]) -> None:
        """Text is parsed once, and its numbers wait in a temporary file."""
        writer = NpyWriter(self._file, np.float64, (len(self.table.columns),))
        for block in self.table.blocks():
            writer.write(block)
            progress(len(block))
        if not writer.rows:
            raise _check.FileError(self.table.path, "holds no rows")
        writer.finish()
        self._file.flush()
        shape = (writer.rows, len(self.table.columns))
        self._rows = np.memmap(self._file, np.float64, "r", self._file.seek(0, 2) - 8 * shape[0] * shape[1], shape)
        self._split = fastdl.split(writer.rows, self.ratios, seed=self.seed)
        self.sizes = self._split.sizes.tolist()

    def blocks(self, part: int) -> Blocks:
        """(X, y, weights or None) of the rows of a part."""
        q = self.roles
        for start in range(0, len(self._rows), _ROWS):
            block = self._rows[start : start + _ROWS]
            block = block[self._split.parts(start, start + len(block)) == part]
            yield block[:, q.features], block[:, q.target], None if q.weight is None else block[:, q.weight]

    def ranges(self) -> tuple[Array, Array]:
        """The least and the largest value of each feature in the training part."""
        ends = [(X.min(0), X.max(0)) for X, _, _ in self.blocks(0) if len(X)]
        low, high = (np.array(e) for e in zip(*ends))
        return low.min(0), high.max(0)

    def scores(self, part: int, model: Model) -> dict[str, float]:
        """Rows, mean |r|^p, mean |r| and R^2 of a part."""
        sums, y_sums = np.zeros(4), np.zeros(2)
        for X, y, s in self.blocks(part):
            s = np.ones(len(y)) if s is None else s
            r, y = np.abs(y - model.predict(X)), y - model.middle
            sums += [s.sum(), (s * r**model.p).sum(), (s * r).sum(), (s * r * r).sum()]
            y_sums += [(s * y).sum(), (s * y * y).sum()]
        with np.errstate(divide="ignore", invalid="ignore"):
            loss, absolute, squared = (sums[1:] / sums[0]).tolist()
            spread = y_sums[1] / sums[0] - (y_sums[0] / sums[0]) ** 2
            fitted = float(1 - np.float64(squared) / spread)
        return {"rows": self.sizes[part], "loss": loss, "mean |r|": absolute, "R^2": fitted}


@dataclass(frozen=True)
class Model:
    """A linear model of columns, or of their powers and products up to a degree."""

    features: list[str]
    target: str
    degree: int
    low: list[float]
    high: list[float]
    w: list[float]
    b: float
    p: float
    middle: float
    method: str
    certificate: dict[str, Any]

    def terms(self, X: Array) -> Array:
        """What the model is linear in: the columns, or polynomials of them over the range of the training part."""
        return terms(X, self.degree, np.array(self.low), np.array(self.high))

    def predict(self, X: Array) -> Array:
        """The values, float64 (N,)."""
        return self.terms(np.ascontiguousarray(X)) @ np.array(self.w) + self.b

    def columns(self, table: Table) -> list[int]:
        """Where a table has the features."""
        missing = [name for name in self.features if name not in table.columns]
        if missing:
            raise _check.FileError(table.path, f"lacks the columns {', '.join(missing)} of the model")
        return [table.columns.index(name) for name in self.features]

    def text(self, scores: dict[str, Any]) -> str:
        """The model as JSON."""
        fields = {"kind": _KIND, "fastdl": fastdl.__version__, **vars(self), "scores": scores}
        return json.dumps(fields, indent=1) + "\n"

    @classmethod
    def read(cls, path: Path) -> Model:
        """From a file that fastdl fit wrote."""
        try:
            fields = json.loads(_check.existing(path).read_text())
            if fields.pop("kind") != _KIND:
                raise KeyError
            del fields["fastdl"], fields["scores"]
            return cls(**fields)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise _check.FileError(path, "is no model that fastdl fit wrote") from None

    def summary(self, scores: dict[str, Any]) -> str:
        """For the terminal: what was fitted, how it does on each part, and what is proven of it."""
        of = ", ".join(self.features[:6]) + (f", ... ({len(self.features)} columns)" if len(self.features) > 6 else "")
        degree = f" up to degree {self.degree}" if self.degree > 1 else ""
        lines = [f"{self.target} from {of}{degree}; loss |r|^{self.p:g}; {self.method}"]
        lines.append(f"{'':12}{'rows':>10}{'mean loss':>14}{'mean |r|':>14}{'R^2':>10}")
        for name, s in scores.items():
            lines.append(f"{name:12}{s['rows']:>10}{s['loss']:>14.6g}{s['mean |r|']:>14.6g}{s['R^2']:>10.5f}")
        c = self.certificate
        known = "nothing is proven of the least loss"
        if c["gap"] <= _ROUNDING:
            known = f"no model of these columns has a smaller one (proof: {c['kind']})"
        elif np.isfinite(c["gap"]):
            known = f"at most {c['gap']:.2g} of it can be gained by another model of these columns (proof: {c['kind']})"
        return "\n".join([*lines, f"training loss {c['upper']:.9g}; {known}"])


def terms(X: Array, degree: int, low: Array, high: Array) -> Array:
    """Columns; for a higher degree Chebyshev polynomials of one column, or products of several, from [-1, 1]."""
    if degree == 1:
        return X
    if X.shape[1] == 1:
        domain = (float(low[0]), float(high[0]))
        return fastdl.vandermonde(X[:, 0], degree, basis="chebyshev", domain=domain)[:, 1:]
    span = np.where(high > low, high - low, 1.0)
    return fastdl.polynomial_features((2 * X - low - high) / span, degree, include_bias=False)


def fitted(parts: Parts, p: float, degree: int, settings: dict[str, Any]) -> Model:
    """The model of a degree, of the training part."""
    low, high = parts.ranges()
    if degree > 1 and len(low) == 1 and not high[0] > low[0]:
        raise _check.InputError(f"{parts.names[0]} is the same in all rows: no degree above 1 can be fitted")

    def chunks() -> Iterator[tuple[Array, ...]]:
        for X, y, s in parts.blocks(0):
            yield terms(X, degree, low, high), y, *(() if s is None else (s,))

    fit = fastdl.fit_lp(chunks, p=p, **settings)
    target = parts.table.columns[parts.roles.target]
    first = next(y for _, y, _ in parts.blocks(0) if len(y))
    where = [float(first.mean()), fit.method, fit.certificate._asdict()]
    return Model(parts.names, target, degree, low.tolist(), high.tolist(), fit.w.tolist(), fit.b, p, *where)


def chosen(parts: Parts, p: float, degree: int | None, settings: dict[str, Any]) -> Model:
    """The model of the given degree, or of that with the least loss on the validation part."""
    if degree is not None:
        return fitted(parts, p, degree, settings)
    if not parts.sizes[1]:
        raise _check.InputError("--degree auto needs rows to validate on: give --split like 70/20/10")
    best: tuple[float, Model] | None = None
    for candidate in range(1, _HIGHEST.get(len(parts.names), 4) + 1):
        model = fitted(parts, p, candidate, settings)
        loss = parts.scores(1, model)["loss"]
        if best is None or loss < best[0]:
            best = loss, model
    assert best is not None
    return best[1]


def plot(parts: Parts, model: Model, most: int = 2000) -> Any:
    """The target against the feature, where there is one, or against the prediction; a sample of each part's rows."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    single = len(model.features) == 1
    for k, (name, colour) in enumerate(zip(PARTS, ("#999999", "#56B4E9", "#D55E00"))):
        if parts.sizes[k]:
            every = -(-parts.sizes[k] // most)
            pieces = [(X[::every], y[::every]) for X, y, _ in parts.blocks(k)]
            X, y = (np.concatenate(piece) for piece in zip(*pieces))
            axes.plot(X[:, 0] if single else model.predict(X), y, ".", ms=3, color=colour, label=name, zorder=k)
    if single:
        x = np.linspace(model.low[0], model.high[0], 501)
        axes.plot(x, model.predict(x[:, None]), color="black", label="model")
        axes.set(xlabel=model.features[0], ylabel=model.target)
    else:
        ends = axes.get_xlim()
        axes.plot(ends, ends, color="black", lw=1, label="prediction = target", zorder=5)
        axes.set(xlabel=f"prediction of {model.target}", ylabel=model.target)
    axes.legend()
    return figure
