"""Features: what each column holds, and in which order it is multiplied."""

import numpy as np


def vandermonde(x, degree, *, basis="monomial", domain=None):
    """Columns 0 to degree of a polynomial basis; `domain` is mapped to [-1, 1]."""
    if domain is not None:
        low, high = x.dtype.type(domain[0]), x.dtype.type(domain[1])
        x = ((x - low) - (high - x)) / (high - low)
    columns = [np.ones_like(x), x]
    for k in range(1, degree):
        last, before = columns[-1], columns[-2]
        if basis == "monomial":
            columns.append(last * x)
        elif basis == "chebyshev":
            columns.append((x + x) * last - before)
        else:  # (k + 1) P_(k+1) = (2 k + 1) x P_k - k P_(k-1), in the order that is exact at -1 and 1
            step = x * last
            columns.append(step + x.dtype.type(k) / x.dtype.type(k + 1) * (step - before))
    return np.stack(columns[: degree + 1], axis=-1)


def polynomial_features(X, degree, *, interaction_only=False, include_bias=True):
    """Products of up to `degree` columns; each is its first factor times a product of columns not before it."""
    d = X.shape[1]
    products = [(d, np.ones(len(X), X.dtype))]  # (the first factor, the product) of the last degree done
    columns = [product for _, product in products if include_bias]
    for _ in range(degree):
        products = [(j, X[:, j] * product) for j in range(d) for k, product in products if k >= j + interaction_only]
        columns += [product for _, product in products]
    return np.stack(columns, axis=1)


def _of(ufunc, inside=None):
    """`ufunc`, NaN where `inside` is false."""

    def function(x):
        x = np.ascontiguousarray(x)
        return ufunc(x if inside is None else np.where(inside(x), x, x.dtype.type(np.nan)))

    return function


FUNCTIONS = {
    "identity": _of(np.positive),
    "square": _of(np.square),
    "cube": _of(lambda x: x * x * x),
    "sqrt": _of(np.sqrt, lambda x: x >= 0),
    "cbrt": _of(np.cbrt),
    "abs": _of(np.abs),
    "sign": _of(np.sign),
    "reciprocal": _of(np.reciprocal, lambda x: x != 0),
    "exp": _of(np.exp),
    "expm1": _of(np.expm1),
    "log": _of(np.log, lambda x: x > 0),
    "log1p": _of(np.log1p, lambda x: x > -1),
    "log2": _of(np.log2, lambda x: x > 0),
    "log10": _of(np.log10, lambda x: x > 0),
    "sin": _of(np.sin, np.isfinite),
    "cos": _of(np.cos, np.isfinite),
    "tan": _of(np.tan, np.isfinite),
    "tanh": _of(np.tanh),
    "arctan": _of(np.arctan),
}


def feature_map(X, functions):
    """For each (function, columns): a name gives one feature a column; a callable one of all the columns as float64."""
    features = [np.empty((len(X), 0), X.dtype)]
    with np.errstate(all="ignore"):
        for function, columns in functions:
            if callable(function):
                rows = X[:, list(columns)].astype(np.float64)
                features.append(np.array([_call(function, row) for row in rows], X.dtype).reshape(-1, 1))
            else:
                features += [FUNCTIONS[function](X[:, c])[:, None] for c in columns]
    return np.concatenate(features, axis=1)


def _call(function, row):
    try:
        return function(*row)
    except (ValueError, ZeroDivisionError):  # Python's math raises these where NumPy gives NaN
        return np.nan


# The kernels ---------------------------------------------------------------------------------------------------------


def fill_basis(x, ratio, out, *, basis, mapped, low, high):
    """The polynomials of each x, a row of out each."""
    names = ("monomial", "chebyshev", "legendre")
    with np.errstate(all="ignore"):
        out[...] = vandermonde(x, out.shape[1] - 1, basis=names[basis], domain=(low, high) if mapped else None)


def fill_products(x, plan, out, bias):
    """Write the columns of x and their products, by a plan of runs (to, from, length, factor) or of (from, factor)."""
    d = x.shape[1]
    out[:, :bias] = 1
    out[:, bias : bias + d] = x
    with np.errstate(all="ignore"):
        if plan.shape[1] == 4:
            for to, first, length, factor in plan:
                out[:, to : to + length] = out[:, first : first + length] * x[:, factor, None]
        else:
            for column, (first, factor) in enumerate(plan, bias + d):
                out[:, column] = out[:, first] * x[:, factor]


def take_columns(x, columns):
    """The rows of x as columns[:, :n]."""
    columns[:, : len(x)] = x.T


def put_columns(columns, out, run):
    """The rows of out, each made of the next `run` values of each column."""
    n = len(out)
    out[...] = columns[:, : n * run].reshape(len(columns), n, run).transpose(1, 0, 2).reshape(n, -1)


def keep_inside(x, out, counts, kind, edge):
    """Copy x, with NaN for values outside the domain that `kind` and `edge` say; counts: how many in each row."""
    outside = {"above": x <= edge, "from": x < edge, "nonzero": x == 0, "finite": np.isinf(x)}[kind]
    out[...] = np.where(outside, x.dtype.type(np.nan), x)
    counts[:] = outside.sum(axis=1)


def small_inside(x, kind, edge):
    """A copy of x as `keep_inside` makes it."""
    made = np.empty_like(x)
    keep_inside(x.reshape(1, -1), made.reshape(1, -1), np.zeros(1, np.int64), kind, edge)
    return made


def count_new_nans(x, y):
    """How many of y are NaN where x is not."""
    return int((np.isnan(y) & ~np.isnan(x)).sum())


def loop(function):
    """loop(x_1, ..., x_k, y): y[i] = function(x_1[i], ..., x_k[i]) of numbers in float64."""

    def run(*arrays):
        *given, out = arrays
        for i in range(len(out)):
            out[i] = _call(function, [np.float64(x[i]) for x in given])

    return run
