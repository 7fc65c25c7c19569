"""The kernels of targets in NumPy: the names and arguments of the compiled ones, for where these are not built."""

import numpy as np

from fastdl.reference import targets

# --- labels


def encode_range(y, low, table, out):
    """The number of labels not in the table of those from `low` on, whose last entry stands for them."""
    span = len(table) - 1
    out[:] = table[np.minimum((y - y.dtype.type(low)).astype(np.uint64), np.uint64(span))]
    return int((out == table[-1]).sum())


def hash_keys(keys, shift, slots):
    """Nothing: `encode_keys` searches the keys."""


def encode_keys(y, keys, shift, slots, table, out):
    """The number of labels that are no key; the last entry of the table of values stands for them."""
    order = np.argsort(keys)
    at = order[np.minimum(np.searchsorted(keys, y, sorter=order), len(keys) - 1)]
    known = keys[at] == y
    out[:] = table[np.where(known, at, len(keys))]
    return int((~known).sum())


def hash_items(items, size, shift, slots):
    """As hash_keys, of items of `size` bytes each."""


def encode_items(y, items, size, shift, slots, table, out):
    """As encode_keys, of items of `size` bytes each."""
    return encode_keys(y.view(f"S{size}"), items.view(f"S{size}"), shift, slots, table, out)


# --- moments


def moments(y, weight, work, out):
    """Weight, mean (as a sum of two) and sum of squared deviations of each column, into out, (4, D)."""
    with np.errstate(over="ignore", invalid="ignore"):
        out[...] = targets.moments(y, weight)


def standardise(y, table, back, out):
    """(y - mean) / scale of flat y, or back; the table, (3, lanes), is repeated over y."""
    run = targets.unstandardise if back else targets.standardise
    with np.errstate(over="ignore", invalid="ignore"):
        out[:] = run(y, *table[:, np.arange(len(y)) % table.shape[1]])


# --- bins


def encode_few(y, edges, out):
    """The number of NaNs; the last edges may be NaN, which is at or below no value."""
    out[:] = np.searchsorted(edges, y, side="right")
    return int(np.isnan(y).sum())


def encode_even(y, low, inverse, below, edges, steps, out):
    """As encode_few: buckets only shorten the search."""
    return encode_few(y, edges, out)


def encode_float(y, centre, buckets, below, edges, steps, out):
    """As encode_few: buckets only shorten the search."""
    return encode_few(y, edges, out)


def small_encode(*arguments):
    """Nothing, by which the shell goes its usual way: NumPy has no quicker one for few items."""


small_standardise = small_decode = small_encode
