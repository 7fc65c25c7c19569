"""The target kernels in NumPy, with the names and arguments of the compiled ones, for where these are not built."""

import numpy as np

from fastdl.reference import targets

# --- labels


def encode_range(y, low, table, out):
    """Write table[y - low], and for other labels the last entry of the table; returns how many those are."""
    span = len(table) - 1
    out[:] = table[np.minimum((y - y.dtype.type(low)).astype(np.uint64), np.uint64(span))]
    return int((out == table[-1]).sum())


def hash_keys(keys, shift, slots):
    """Does nothing: `encode_keys` searches the keys without a hash table."""


def encode_keys(y, keys, shift, slots, table, out):
    """Write the table's entry for each label, which for unknown labels is its last; returns how many those are."""
    order = np.argsort(keys)
    at = order[np.minimum(np.searchsorted(keys, y, sorter=order), len(keys) - 1)]
    known = keys[at] == y
    out[:] = table[np.where(known, at, len(keys))]
    return int((~known).sum())


def hash_items(items, size, shift, slots):
    """As hash_keys, for items of `size` bytes each."""


def encode_items(y, items, size, shift, slots, table, out):
    """As encode_keys, for items of `size` bytes each."""
    return encode_keys(y.view(f"S{size}"), items.view(f"S{size}"), shift, slots, table, out)


# --- moments


def moments(y, weight, work, out):
    """Weight, mean (as a sum of two) and sum of squared deviations of each column, into out, (4, D)."""
    with np.errstate(over="ignore", invalid="ignore"):
        out[...] = targets.moments(y, weight)


def standardise(y, table, back, out):
    """(y - mean) / scale of flat y, or with `back` its inverse; the table, (3, lanes), is repeated over y."""
    run = targets.unstandardise if back else targets.standardise
    with np.errstate(over="ignore", invalid="ignore"):
        out[:] = run(y, *table[:, np.arange(len(y)) % table.shape[1]])


# --- bins


def encode_few(y, edges, out):
    """Write the bin of each value; returns the number of NaNs. The last edges may be NaN: no value reaches them."""
    out[:] = np.searchsorted(edges, y, side="right")
    return int(np.isnan(y).sum())


def encode_even(y, low, inverse, below, edges, steps, out):
    """As encode_few; the compiled kernel shortens the search by equal buckets."""
    return encode_few(y, edges, out)


def encode_float(y, centre, buckets, below, edges, steps, out):
    """As encode_few; the compiled kernel shortens the search by buckets of the float's bits."""
    return encode_few(y, edges, out)


def small_encode(*arguments):
    """Returns None: NumPy has no faster way for few items, so the shell takes its general one."""


small_standardise = fit_column = small_decode = small_encode_range = small_encode_keys = small_encode
