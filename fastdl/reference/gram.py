"""Products over the rows of a fit, as the kernels add them to `total` or write them to `out`."""

import numpy as np


def gram(X, y, s, shift, factor, scratch, total):
    Z = np.column_stack([np.ones(len(X)), (X - shift) * factor, y])
    m = Z.shape[1]
    total[:m, :m] += np.triu(np.einsum("ni,nj->ij", Z, Z if s is None else Z * s[:, None]))


def residuals(X, y, w, b, shift, out):
    out[:] = y - b - ((X - shift) * w).sum(axis=1)


def products(X, g, shift, total):
    total += np.append(g.sum(), ((X - shift) * g[:, None]).sum(axis=0))


def powers(r, e, out):
    with np.errstate(divide="ignore", over="ignore", under="ignore"):
        out[:] = np.abs(r) ** e
