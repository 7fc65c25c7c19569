"""Labels and standardised targets: what they mean."""

import numpy as np


def encode_labels(y, classes, values, missing):
    """values[k] where y equals classes[k], which are sorted; `missing` where it equals none."""
    if not len(classes):
        return np.full(y.shape, missing, values.dtype)
    place = np.minimum(np.searchsorted(classes, y), len(classes) - 1)
    return np.where(classes[place] == y, values[place], values.dtype.type(missing))


def moments(y, weight=None):
    """Weight, mean (as an unrounded sum of two) and sum of squared deviations of each column of y, (N, D)."""
    y = y.astype(np.float64)
    weight = np.ones(len(y)) if weight is None else weight
    total = weight.sum()
    high = y[0] + weight @ (y - y[0]) / total
    deviation = y - high
    shift = weight @ deviation
    squares = weight @ deviation**2 - shift * (shift / total)
    return np.stack([np.full_like(high, total), high, shift / total, squares])


def merged(a, b):
    """The moments of the rows of both (Chan, Golub and LeVeque 1979)."""
    if not a[0, 0]:
        return b
    total = a[0] + b[0]
    delta = (b[1] - a[1]) + (b[2] - a[2])
    step = a[2] + delta * (b[0] / total)
    high = a[1] + step
    return np.stack([total, high, step - (high - a[1]), a[3] + b[3] + delta * delta * (a[0] / total) * b[0]])


def standardise(y, high, low, scale):
    """(y - mean) / scale, the mean being high + low."""
    return (((y.astype(np.float64) - high) - low) / scale).astype(y.dtype)


def unstandardise(z, high, low, scale):
    """The inverse of standardise."""
    return ((z.astype(np.float64) * scale + low) + high).astype(z.dtype)
