"""The steps of `feature_map` on blocks of columns: named functions, NumPy's ufuncs, and compiled Python functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastdl import _check, _kernels
from fastdl._typing import Array, ArrayLike
from fastdl.errors import InputError, InputTypeError
from fastdl.reference import features as reference

kernel = _kernels.load("features") or reference

_FEW = 4096  # values at most of an X that is small
_CACHED = 1 << 18  # bytes of columns that are processed at once: they stay in the second-level cache


def _cube(x: Array, out: Array) -> None:
    np.multiply(x, x, out=out)
    np.multiply(out, x, out=out)


#: A function by name or as a callable, or (function, columns), or several of these.
Function = str | Callable[..., Any] | tuple[str | Callable[..., Any], int | Sequence[int]]
Functions = Function | Sequence[Function]

#: Functions that NumPy computes: its loops are vectorised, where a C loop that calls libm's log or exp is not.
UFUNCS: dict[str, Callable[..., Any]] = {
    "identity": np.positive,
    "cube": _cube,
    **{name: getattr(np, name) for name in reference.FUNCTIONS if name not in ("identity", "cube")},
}
#: The domains of functions, as the kernel `inside` tests them.
DOMAINS = {
    "log": ("above", 0.0),
    "log2": ("above", 0.0),
    "log10": ("above", 0.0),
    "log1p": ("above", -1.0),
    "sqrt": ("from", 0.0),
    "reciprocal": ("nonzero", 0.0),
    "sin": ("finite", 0.0),
    "cos": ("finite", 0.0),
    "tan": ("finite", 0.0),
}


@dataclass(frozen=True)
class Step:
    """A function and its columns: a named one gives a feature per column, a callable one feature of all columns."""

    function: str | Callable[..., Any]
    columns: tuple[int, ...]

    @property
    def width(self) -> int:
        return 1 if callable(self.function) else len(self.columns)

    @property
    def name(self) -> str:
        return self.function if isinstance(self.function, str) else getattr(self.function, "__name__", "the function")

    def of(self, feature: int) -> str:
        """The name of one of its features, for messages."""
        columns = self.columns if callable(self.function) else self.columns[feature : feature + 1]
        return f"{self.name} of column{'s' if len(columns) > 1 else ''} {', '.join(map(str, columns))}"


def steps(functions: Functions, d: int) -> list[Step]:
    """The steps that `functions` asks for on d columns."""
    if isinstance(functions, str) or callable(functions):
        functions = [functions]
    if not isinstance(functions, Sequence):
        raise InputTypeError(f"functions must be a list of names and functions, got {type(functions).__name__}")
    return [step for item in functions for step in _steps(item, d)]


def _steps(item: Any, d: int) -> Iterator[Step]:
    if isinstance(item, tuple):
        if len(item) != 2:
            raise InputError(f"a tuple in functions must be (function, columns), got {item!r}")
        function, given = item
        columns = tuple(
            _column(c, d) for c in (given if isinstance(given, (tuple, list, range, np.ndarray)) else [given])
        )
    else:
        function, columns = item, tuple(range(d))
    if isinstance(function, str):
        yield Step(_check.one_of("a function's name", function, tuple(UFUNCS)), columns)
    elif callable(function):
        arity = _arity(function)
        if arity == 1:
            for column in columns:
                yield Step(function, (column,))
        elif len(columns) == arity:
            yield Step(function, columns)
        else:
            name = getattr(function, "__name__", "a function")
            raise InputError(
                f"{name} takes {arity} numbers, so it must be given as ({name}, columns) with {arity} columns, "
                f"got {len(columns)}"
            )
    else:
        raise InputTypeError(f"functions must hold names and functions, got {type(function).__name__}")


def _column(value: object, d: int) -> int:
    column = _check.integer("a column", value, -d, d - 1)
    return column + d if column < 0 else column


def _arity(function: Callable[..., Any]) -> int:
    """The number of arguments of a function."""
    if isinstance(function, np.ufunc):
        if function.nout != 1:
            raise InputError(f"{function.__name__} gives {function.nout} numbers; a feature function gives one")
        return function.nin
    function = getattr(function, "py_func", function)
    if not inspect.isfunction(function):
        raise InputTypeError(
            f"a feature function must be a Python function, a lambda, a NumPy ufunc or compiled by numba.njit, "
            f"got {type(function).__name__}"
        )
    needed = [p for p in inspect.signature(function).parameters.values() if p.default is p.empty]
    if not needed or any(p.kind not in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in needed):
        raise InputError(f"{function.__name__} must take one or more numbers, each a parameter of its own")
    return len(needed)


def compiled(step: Step, dtype: np.dtype) -> Any:
    """The loop around the user's function for columns of `dtype`; compiled, unless the reference is used."""
    if kernel is reference:
        return reference.loop(step.function)
    from fastdl_ext.user_functions import compilation
    from fastdl_ext.user_functions import features as user_features

    try:
        return user_features.loop(step.function, len(step.columns), dtype.char)
    except compilation.CannotCompile as error:
        raise InputError(str(error)) from error.__cause__


def few(X: ArrayLike, functions: Functions, out: Array | None) -> Array | None:
    """Named functions of all columns of a small X, without the steps and blocks of the general way; or None.

    Each function takes one run of memory, as in a block: the same bits.
    """
    names = [functions] if type(functions) is str else functions
    if type(X) is not np.ndarray or type(names) is not list or X.ndim != 2 or not 0 < X.size <= _FEW:
        return None
    if not names or X.dtype.char not in "fd" or not X.dtype.isnative or not X.flags.carray:
        return None
    d = X.shape[1]
    for name in names:
        if type(name) is not str or name not in UFUNCS:
            return None
    result = _check.out("out", out, (len(X), d * len(names)), X.dtype, X)
    with np.errstate(all="ignore"):
        for k, name in enumerate(names):
            domain = DOMAINS.get(name)
            given = X if domain is None else kernel.small_inside(X, *domain)
            made = np.empty(X.shape, X.dtype) if domain is None else given
            UFUNCS[name](given, out=made)
            result[:, k * d : (k + 1) * d] = made
    return result


class FunctionBlock:
    """The work on a block of rows: transpose it to columns, compute the features' columns, transpose them back.

    Where every function is applied to all columns in order, there is no need to transpose: a row is a run of values.
    """

    def __init__(self, steps: Sequence[Step], X: Array, result: Array):
        self.X, self.result = X, result
        d = X.shape[1]
        whole = _whole(steps, d)
        self.run = d if whole else 1  # values of a row that are treated alike
        self.steps = whole or list(steps)
        self.columns = d // self.run
        self.features = result.shape[1] // self.run
        wide = (self.columns + self.features) * self.run * X.itemsize
        self.rows = min(max(_CACHED // wide // 8 * 8, 64), 1 << 13, -(-len(X) // 8) * 8)
        self.stride = self.rows * self.run + 8  # columns a power of two apart would share few places in the cache
        self.span = 64 * self.rows  # memory for the columns is taken once for so many
        self.work = []
        at = 0
        for step in self.steps:
            self.work.append(self._filler(step, at))
            at += step.width

    def _filler(self, step: Step, at: int) -> Callable[[Array, Array, int, Array], Any]:
        """The function (columns, features, n, counts) that fills a step's features and counts undefined values."""
        function = step.function
        if callable(function):
            run = _into(function) if isinstance(function, np.ufunc) else compiled(step, self.X.dtype)

            def custom(columns: Array, features: Array, n: int, counts: Array) -> None:
                given, made = [columns[c, :n] for c in step.columns], features[at, :n]
                run(*given, made)
                counts[at] = _new_nans(given, made)

            return custom
        ufunc, domain = UFUNCS[function], DOMAINS.get(function)
        runs = list(_runs(step.columns))  # columns side by side take one call

        def named(columns: Array, features: Array, n: int, counts: Array) -> None:
            for first, end, k in runs:
                one = end - first == 1
                made = features[at + k, :n] if one else features[at + k : at + k + end - first]
                if domain is None:
                    ufunc(columns[first, :n] if one else columns[first:end], out=made)
                else:
                    into = slice(at + k, at + k + end - first)
                    kernel.keep_inside(columns[first:end, :n], features[into, :n], counts[into], *domain)
                    ufunc(made, out=made)

        return named

    def __call__(self, rows: slice) -> Array:
        """Do `span` rows or fewer; the counts of each feature."""
        X, result = self.X[rows], self.result[rows]
        # A ufunc is fastest on one run of memory, so it does whole columns: what is behind the n values is any number.
        if self.columns > 1:
            columns = np.ones((self.columns, self.stride), X.dtype)
        if self.features > 1:
            features = np.ones((self.features, self.stride), X.dtype)
        total, counts = np.zeros(result.shape[1], np.int64), np.zeros(self.features, np.int64)
        with np.errstate(all="ignore"):
            for start in range(0, len(X), self.rows):
                x, y = X[start : start + self.rows], result[start : start + self.rows]
                n = len(x) * self.run
                if self.columns == 1:
                    columns = x.reshape(1, n)
                else:
                    kernel.take_columns(x, columns)
                if self.features == 1:
                    features = y.reshape(1, n)
                for do in self.work:
                    do(columns, features, n, counts)
                if self.features > 1:
                    kernel.put_columns(features, y, self.run)
                if self.run == 1:
                    total += counts
                elif counts.any():
                    for k in np.flatnonzero(counts):
                        of = slice(k * self.run, (k + 1) * self.run)
                        total[of] += (np.isnan(y[:, of]) & ~np.isnan(x)).sum(axis=0)
        return total


def _whole(steps: Sequence[Step], d: int) -> list[Step] | None:
    """One step for each function, where every function is applied to all d > 1 columns in order; else None."""
    groups: list[Step] = []
    k = 0
    while k < len(steps):
        step = steps[k]
        same = steps[k : k + d] if callable(step.function) else [step]
        columns = [c for s in same for c in s.columns if s.function is step.function]
        if d == 1 or columns != list(range(d)) or (callable(step.function) and len(step.columns) > 1):
            return None
        groups.append(Step(step.function, (0,)))
        k += len(same)
    return groups


def _runs(columns: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """(first, end, position) of runs of neighbouring columns."""
    start = 0
    for k in range(1, len(columns) + 1):
        if k == len(columns) or columns[k] != columns[k - 1] + 1:
            yield columns[start], columns[k - 1] + 1, start
            start = k


def _into(ufunc: np.ufunc) -> Callable[..., None]:
    return lambda *arrays: ufunc(*arrays[:-1], out=arrays[-1], casting="same_kind")


def _new_nans(columns: list[Array], out: Array) -> int:
    """The number of NaNs in `out` where no column is NaN."""
    if len(columns) == 1:
        return kernel.count_new_nans(columns[0], out)
    if not np.isnan(out).any():
        return 0
    return int((np.isnan(out) & ~np.isnan(columns).any(axis=0)).sum())


class NotDefined(InputError):
    """Raised where a function is not defined for a row."""

    def __init__(self, steps: Sequence[Step], counts: Array, X: Array, result: Array):
        k = int(np.flatnonzero(counts)[0])
        at = 0
        for step in steps:
            if k < at + step.width:
                break
            at += step.width
        columns = list(step.columns) if callable(step.function) else [step.columns[k - at]]
        row = int(np.flatnonzero(np.isnan(result[:, k]) & ~np.isnan(X[:, columns]).any(axis=1))[0])
        values = ", ".join(str(v) for v in X[row, columns])
        super().__init__(
            f"{step.of(k - at)} is not defined in {counts[k]} row(s), the first row {row} with {values} "
            f"(invalid='nan' makes these NaN)"
        )
