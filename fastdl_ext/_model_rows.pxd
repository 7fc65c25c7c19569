"""Residuals of rows from a model, and their products with the columns: what the passes of several kernels are made of.

Every sum has one order, whatever the CPU. `inline`, so that a loop over chunks of rows has no call for each.
"""

from fastdl_ext._common cimport cloned, real
from fastdl_ext._lanes cimport d4, d4_all, d4_from, d4_totals

cdef enum:
    CHUNK = 64          # rows that are in the first-level cache when they are read again


cdef struct model_rows:     # the rows but for X, and a model
    const double* y
    const double* s         # or NULL: all 1
    const double* w
    const double* shift
    double b
    Py_ssize_t n, d


cdef inline cloned residual_rows(const real* X, const double* y, const double* w, double b, const double* shift,
                                 Py_ssize_t n, Py_ssize_t d, double* out) noexcept nogil:
    # Four sums a row, of every fourth column each; four rows at a time, so that additions overlap.
    cdef Py_ssize_t i, j, k, rows, whole = d // 4 * 4
    cdef const real* x[4]
    cdef d4 s[4]
    cdef d4 c, v, sums
    cdef double* lane = <double*>&sums
    cdef double rest
    for i in range(0, n, 4):
        rows = min(4, n - i)
        for k in range(4):
            x[k] = X + (i + min(k, rows - 1)) * d
            s[k] = d4_all(<const char*>&b) * 0.0
        for j in range(0, whole, 4):
            c = (<const d4*>(shift + j))[0]
            v = (<const d4*>(w + j))[0]
            for k in range(4):
                s[k] = s[k] + (d4_from(<const char*>(x[k] + j), real is float) - c) * v
        sums = d4_totals(s)
        for k in range(rows):
            rest = 0
            for j in range(whole, d):
                rest += (x[k][j] - shift[j]) * w[j]
            out[i + k] = (y[i + k] - b) - (lane[k] + rest)


cdef inline cloned product_rows(const real* X, const double* g, const double* shift, Py_ssize_t n, Py_ssize_t d,
                                double* total) noexcept nogil:
    # Four rows at a time in a fixed tree.
    cdef Py_ssize_t i, j, whole = n // 4 * 4
    cdef const real* x
    cdef double g0, g1, g2, g3
    for i in range(0, whole, 4):
        x = X + i * d
        g0 = g[i]
        g1 = g[i + 1]
        g2 = g[i + 2]
        g3 = g[i + 3]
        total[0] += (g0 + g1) + (g2 + g3)
        for j in range(d):
            total[1 + j] += (((x[j] - shift[j]) * g0 + (x[j + d] - shift[j]) * g1)
                             + ((x[j + 2 * d] - shift[j]) * g2 + (x[j + 3 * d] - shift[j]) * g3))
    for i in range(whole, n):
        total[0] += g[i]
        for j in range(d):
            total[1 + j] += (X[i * d + j] - shift[j]) * g[i]


cdef inline const double* at(const double[::1] a) noexcept nogil:
    cdef const double* first = NULL
    if a is not None and a.shape[0]:
        first = &a[0]
    return first
