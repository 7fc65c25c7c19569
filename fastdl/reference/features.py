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
    except (ValueError, ZeroDivisionError):  # how Python's math says NaN
        return np.nan
