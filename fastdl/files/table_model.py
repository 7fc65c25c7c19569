"""The model that `fastdl fit` writes: linear in the columns of a table, or polynomial in them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np

from fastdl import __version__, _check, _kernels
from fastdl._typing import Array, ArrayLike, TableLike
from fastdl.features.basis import vandermonde
from fastdl.features.products import polynomial_features
from fastdl.files.tables import Table
from fastdl.reference import linear as reference

kernel = _kernels.load("linear") or reference
_KIND = "fastdl linear model"
_ROUNDING = 1e-11  # a relative gap up to here is rounding: the model is optimal
_DEGREES = 1 << 16  # more than any fit reaches
_LARGEST = np.finfo(np.float64).max


@dataclass(frozen=True)
class TableModel:
    """A linear model of the columns of a table, or of their powers and products up to a degree.

    Attributes
    ----------
    features, target : list of str, str
        The columns.
    categories : dict of str to list of str
        The sorted values of each text column; for each but the first the model has a column of 0 and 1.
    fill : dict of str to float
        The number that replaces missing ones of a column; without it, a row with a missing number has the value NaN.
    degree : int
        1 for the columns themselves.
    low, high : list of float
        The range of each column in the training part, to which the polynomials are scaled.
    w, b : list of float, float
        The coefficients.
    p : float
        The loss is |y - f(x)|^p.
    method, certificate
        As in the result of `fit_lp`.
    scores : dict
        For each part of the rows: their number, mean loss, mean |r| and R^2; None where a part does not determine one.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from fastdl.cli import main
    >>> from fastdl.files import TableModel
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "t.csv").write_text("x,y\\n" + "".join(f"{x},{2 * x + 1}\\n" for x in range(20)))
    >>> main(["fit", str(folder / "t.csv"), "-o", str(folder / "m.json"), "--quiet"])
    0
    >>> TableModel.read(folder / "m.json").predict({"x": [10.0, 0.5]}).round(6)
    array([21.,  2.])
    """

    features: list[str]
    target: str
    degree: int
    low: list[float]
    high: list[float]
    w: list[float]
    b: float
    p: float
    method: str
    certificate: dict[str, Any]
    categories: dict[str, list[str]] = field(default_factory=dict)
    fill: dict[str, float] = field(default_factory=dict)
    scores: dict[str, Any] = field(default_factory=dict)

    def predict(self, table: Table | str | Path | TableLike | Mapping[str, ArrayLike]) -> Array:
        """Predictions, float64 (N,), for a `Table`, its path, a DataFrame, a table of pyarrow, or a dict of columns."""
        if isinstance(table, (str, Path)):
            table = Table(table)
        if isinstance(table, Table):
            self.check_columns(table)
            values = [self.values(part) for part in table.parts(self.features)]
            return np.concatenate(values) if values else np.empty(0)
        names = _check.column_names(table)
        if names is None and not isinstance(table, dict):
            raise _check.InputTypeError(f"table must have named columns, got {type(table).__name__}")
        columns = cast(Mapping[str, ArrayLike], table)
        missing = [name for name in self.features if name not in (columns if names is None else names)]
        if missing:
            raise _check.InputError(f"the table lacks the columns {', '.join(missing)} of the model")
        return self.values([columns[name] for name in self.features])

    def values(self, columns: Sequence[ArrayLike]) -> Array:
        """Predictions for the columns of the features, in their order."""
        return self.of_matrix(self.matrix(columns))

    def of_matrix(self, X: Array) -> Array:
        """Predictions for the rows of a `matrix`."""
        terms = np.ascontiguousarray(self.terms(X), np.float64)
        out, w = np.empty(len(terms)), np.array(self.w, np.float64)
        if len(out):  # NumPy's product would depend on the CPU, and on how many rows come at once
            kernel.residuals(terms, np.zeros(len(out)), -w, -self.b, np.zeros(len(w)), out)
        return out

    def terms(self, X: Array) -> Array:
        """The columns in which the model is linear: X, or polynomials of its columns, scaled to the training range."""
        return model_columns(X, self.degree, np.array(self.low), np.array(self.high))

    def matrix(self, columns: Sequence[ArrayLike]) -> Array:
        """Columns as numbers (N, D); a text column becomes one of 0 and 1 for each category but the first."""
        parts: list[Array] = []
        for name, column in zip(self.features, columns):
            if name in self.categories:
                parts += indicators(name, column, self.categories[name])
            else:
                number = _check.asarray(f"column {name!r}", column).astype(np.float64)
                if name in self.fill:
                    number[np.isnan(number)] = self.fill[name]
                parts.append(number)
        return np.column_stack(parts)

    def check_columns(self, table: Table) -> None:
        """Raise where a table lacks a feature."""
        missing = [name for name in self.features if name not in table.columns]
        if missing:
            raise _check.FileError(table.path, f"lacks the columns {', '.join(missing)} of the model")

    def text(self) -> str:
        """The model as JSON; numbers that are not finite become null."""
        fields = {"kind": _KIND, "fastdl": __version__, **vars(self)}
        return json.dumps(_finite(fields), indent=1, allow_nan=False) + "\n"

    @classmethod
    def read(cls, path: str | Path) -> TableModel:
        """Read a model from a file that `fastdl fit` wrote."""
        try:
            fields = json.loads(_check.existing(path).read_text())
            if fields.pop("kind") != _KIND:
                raise KeyError
            del fields["fastdl"]
            model = cls(**fields)
            wrong = _what_is_wrong(model)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            raise _check.FileError(path, "is no model that fastdl fit wrote") from None
        if wrong:
            raise _check.FileError(path, f"is no model that fastdl fit wrote: {wrong}")
        return model

    def summary(self) -> str:
        """Lines for the terminal: what was fitted, its scores on each part, and what its certificate proves."""
        of = ", ".join(self.features[:6]) + (f", ... ({len(self.features)} columns)" if len(self.features) > 6 else "")
        degree = f" up to degree {self.degree}" if self.degree > 1 else ""
        lines = [f"{self.target} from {of}{degree}; loss |r|^{self.p:g}; {self.method}"]
        lines.append(f"{'':12}{'rows':>10}{'mean loss':>14}{'mean |r|':>14}{'R^2':>10}")
        for name, s in self.scores.items():
            loss, absolute, fitted = (math.nan if s[k] is None else s[k] for k in ("loss", "mean |r|", "R^2"))
            lines.append(f"{name:12}{s['rows']:>10}{loss:>14.6g}{absolute:>14.6g}{fitted:>10.5f}")
        c = self.certificate
        known = "nothing is proven of the least loss"
        if c["gap"] is not None and c["gap"] <= _ROUNDING:
            known = f"no model of these columns has a smaller one (proof: {c['kind']})"
        elif c["gap"] is not None and np.isfinite(c["gap"]):
            known = f"at most {c['gap']:.2g} of it can be gained by another model of these columns (proof: {c['kind']})"
        return "\n".join([*lines, f"training loss {c['upper']:.9g}; {known}"])


def _what_is_wrong(model: TableModel) -> str:
    """What cannot be in a model that was read; nothing where all fits together: its sizes lead through memory."""
    names = model.features
    if not (_are(names, str) and names and len(set(names)) == len(names) and _are([model.target, model.method], str)):
        return "features must be names that differ, target and method be texts"
    if type(model.degree) is not int or not 0 <= model.degree < _DEGREES:
        return f"degree must be between 0 and {_DEGREES - 1}, got {model.degree!r}"
    if not (_are_numbers(model.w) and _are_numbers(model.low) and _are_numbers(model.high)):
        return "w, low and high must be lists of finite numbers"
    if not _are_numbers([model.b, model.p, *model.fill.values()]) or not set(model.fill) <= set(names):
        return "b, p and fill must be finite numbers, fill those of features"
    texts = model.categories.values()
    if not set(model.categories) <= set(names) or not all(_are(some, str) and some for some in texts):
        return "categories must be lists of texts, of features"
    width = sum(len(model.categories[name]) - 1 if name in model.categories else 1 for name in names)
    if not len(model.low) == len(model.high) == width:
        return f"low and high must have a number for each of {width} columns, got {len(model.low)}, {len(model.high)}"
    terms = math.comb(width + model.degree, width) - 1 if width > 1 else width * model.degree
    if (width if model.degree == 1 else terms) != len(model.w):
        return f"w must have {terms} numbers, got {len(model.w)}"
    return "" if type(model.certificate) is dict and type(model.scores) is dict else "certificate and scores are none"


def _are(values: Any, kind: type) -> bool:
    return type(values) is list and all(type(value) is kind for value in values)


def _are_numbers(values: Any) -> bool:
    return type(values) is list and all(type(v) in (int, float) and abs(v) <= _LARGEST for v in values)


def model_columns(X: Array, degree: int, low: Array, high: Array) -> Array:
    """X for degree 1; for higher ones, Chebyshev polynomials of one column, or products of several, on [-1, 1]."""
    X = np.ascontiguousarray(X)
    if degree == 1:
        return X
    if degree == 0:
        return np.empty((len(X), 0))
    if X.shape[1] == 1:
        return vandermonde(X[:, 0], degree, basis="chebyshev", domain=(float(low[0]), float(high[0])))[:, 1:]
    span = np.where(high > low, high - low, 1.0)
    return polynomial_features((2 * X - low - high) / span, degree, include_bias=False)


def indicators(name: str, column: Any, categories: list[str]) -> list[Array]:
    """A column of 0 and 1 for each category but the first; NaN where the text is missing."""
    codes = category_codes(column, {text: k for k, text in enumerate(categories)})
    strange = np.flatnonzero(codes == -2)
    if len(strange):
        got = as_texts(column)[int(strange[0])]
        known = ", ".join(map(repr, categories[:10]))
        raise _check.InputError(f"column {name!r} must hold what it held in the fit ({known}), got {got!r}")
    return [np.where(codes < 0, np.nan, codes == k).astype(np.float64) for k in range(1, len(categories))]


def category_codes(column: Any, known: dict[str, int], *, grow: bool = False) -> Array:
    """The code of each text by `known`, -1 for a missing one, -2 for an unknown one; with `grow` that is added."""
    codes = np.empty(len(column), np.int64)
    for k, text in enumerate(as_texts(column)):
        if text is None:
            codes[k] = -1
        else:
            codes[k] = known.setdefault(text, len(known)) if grow else known.get(text, -2)
    return codes


def as_texts(column: Any) -> list[str | None]:
    """A column as texts, None for a missing value."""
    for method in ("to_pylist", "to_list", "tolist"):
        if hasattr(column, method):
            column = getattr(column, method)()
            break
    return [None if v is None or v != v or type(v).__name__ == "NAType" else str(v) for v in column]


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
