"""Polynomial bases by their three-term recurrences (Abramowitz and Stegun, "Handbook of mathematical functions", 22.7), products
of columns, blocks of columns.

Trusts its caller: C-contiguous, sizes that fit, at least one row. Bound by writing the result: 8 bytes a value, at 0.7 to 0.95 of
the bandwidth of a copy for five columns and more (bench/bench_features.py).

A polynomial basis is computed four rows at a time, a column a register, and every four columns are turned into rows on
their way to memory (_basis_rows.pxd).  Products of columns are computed along each row, where every degree's columns with the
same first factor stand side by side.  Stores are whole and in order, so that memory need not be read to be written.
"""

from libc.math cimport INFINITY, NAN, fabs
from libc.stdint cimport int64_t

cimport numpy as cnp
from fastdl_ext._common cimport cloned, real
from fastdl_ext._basis_rows cimport CHEBYSHEV, LEGENDRE, MONOMIAL, rows_d, rows_f, tile_d, tile_f

cnp.import_array()


cdef cloned basis_rows(const real* x, const real* ratio, int basis, real* out, Py_ssize_t n, Py_ssize_t m, bint mapped,
                       real low, real high) noexcept nogil:
    # The basis is a constant in each of the three calls, so that the compiler makes three loops without a branch inside.
    if real is double:
        if basis == MONOMIAL:
            rows_d(x, ratio, MONOMIAL, out, n, m, mapped, low, high)
        elif basis == CHEBYSHEV:
            rows_d(x, ratio, CHEBYSHEV, out, n, m, mapped, low, high)
        else:
            rows_d(x, ratio, LEGENDRE, out, n, m, mapped, low, high)
    else:
        if basis == MONOMIAL:
            rows_f(x, ratio, MONOMIAL, out, n, m, mapped, low, high)
        elif basis == CHEBYSHEV:
            rows_f(x, ratio, CHEBYSHEV, out, n, m, mapped, low, high)
        else:
            rows_f(x, ratio, LEGENDRE, out, n, m, mapped, low, high)


cdef cloned products(const real* x, const Py_ssize_t* plan, Py_ssize_t steps, real* out, Py_ssize_t n, Py_ssize_t d,
                     Py_ssize_t m, bint bias) noexcept nogil:
    # Monomials of one degree are those of the degree below times a column, and stand side by side where that column is the
    # same: a step of the plan makes such a run, each from an earlier one of the row times one factor.
    cdef Py_ssize_t i, j, s
    cdef const Py_ssize_t* step
    cdef const real* source
    cdef real* row
    cdef real* to
    cdef real factor
    for i in range(n):
        row = out + i * m
        if bias:
            row[0] = 1
        for j in range(d):
            row[bias + j] = x[i * d + j]
        step = plan
        for s in range(steps):  # no-cython-lint: the count is all that matters
            to = row + step[0]
            source = row + step[1]
            factor = x[i * d + step[3]]
            for j in range(step[2]):
                to[j] = source[j] * factor
            step += 4


cdef cloned few_products(const real* x, const Py_ssize_t* plan, real* out, Py_ssize_t n, Py_ssize_t d, Py_ssize_t m,
                         bint bias) noexcept nogil:
    # Where runs are short, a loop for each is too dear: the plan holds (from, factor) for each column.
    cdef Py_ssize_t i, j, k, first = bias + d
    cdef real* row
    cdef const real* factors
    for i in range(n):
        row = out + i * m
        factors = x + i * d
        if bias:
            row[0] = 1
        for j in range(d):
            row[bias + j] = factors[j]
        for k in range(first, m):
            row[k] = row[plan[2 * (k - first)]] * factors[plan[2 * (k - first) + 1]]


cdef inline void tile(const real* source, Py_ssize_t step, real* to, Py_ssize_t m) noexcept nogil:
    if real is double:
        tile_d(source, step, to, m)
    else:
        tile_f(source, step, to, m)


cdef cloned rows_to_columns(const real* x, real* columns, Py_ssize_t n, Py_ssize_t d, Py_ssize_t stride) noexcept nogil:
    cdef Py_ssize_t i, j, k, i4 = n & ~<Py_ssize_t>3, k4 = d & ~<Py_ssize_t>3
    for i in range(0, i4, 4):
        for k in range(0, k4, 4):
            tile(x + i * d + k, d, columns + k * stride + i, stride)
        for k in range(k4, d):
            for j in range(i, i + 4):
                columns[k * stride + j] = x[j * d + k]
    for i in range(i4, n):
        for k in range(d):
            columns[k * stride + i] = x[i * d + k]


cdef cloned columns_to_rows(const real* columns, real* out, Py_ssize_t n, Py_ssize_t m, Py_ssize_t stride) noexcept nogil:
    cdef Py_ssize_t i, j, k, i4 = n & ~<Py_ssize_t>3, k4 = m & ~<Py_ssize_t>3
    for i in range(0, i4, 4):
        for k in range(0, k4, 4):
            tile(columns + k * stride + i, stride, out + i * m + k, m)
        for k in range(k4, m):
            for j in range(i, i + 4):
                out[j * m + k] = columns[k * stride + j]
    for i in range(i4, n):
        for k in range(m):
            out[i * m + k] = columns[k * stride + i]


cdef cloned runs_to_rows(const real* runs, real* out, Py_ssize_t n, Py_ssize_t m, Py_ssize_t stride,
                         Py_ssize_t run) noexcept nogil:
    cdef Py_ssize_t i, j, k
    cdef const real* source
    for i in range(n):
        for k in range(m):
            source = runs + k * stride + i * run
            for j in range(run):
                out[j] = source[j]
            out += run


# A function is undefined at some arguments (log at 0 and below): those become NaN and are counted, the others are copied.


cdef cloned keep_above(const real* x, real edge, real* out, Py_ssize_t n, Py_ssize_t* outside) noexcept nogil:
    cdef Py_ssize_t i, count = 0
    for i in range(n):
        out[i] = x[i] if x[i] > edge else <real>NAN
        count += x[i] <= edge
    outside[0] = count


cdef cloned keep_from(const real* x, real edge, real* out, Py_ssize_t n, Py_ssize_t* outside) noexcept nogil:
    cdef Py_ssize_t i, count = 0
    for i in range(n):
        out[i] = x[i] if x[i] >= edge else <real>NAN
        count += x[i] < edge
    outside[0] = count


cdef cloned keep_nonzero(const real* x, real* out, Py_ssize_t n, Py_ssize_t* outside) noexcept nogil:
    cdef Py_ssize_t i, count = 0
    for i in range(n):
        out[i] = x[i] if x[i] != 0 else <real>NAN
        count += x[i] == 0
    outside[0] = count


cdef cloned keep_finite(const real* x, real* out, Py_ssize_t n, Py_ssize_t* outside) noexcept nogil:
    cdef Py_ssize_t i, count = 0
    for i in range(n):
        out[i] = x[i] if fabs(x[i]) < INFINITY else <real>NAN
        count += fabs(x[i]) == INFINITY
    outside[0] = count


cdef cloned new_nans(const real* x, const real* y, Py_ssize_t n, Py_ssize_t* count) noexcept nogil:
    cdef Py_ssize_t i, total = 0
    for i in range(n):
        total += (y[i] != y[i]) & (x[i] == x[i])
    count[0] = total


def fill_basis(const real[::1] x, const real[::1] ratio, real[:, ::1] out, *, int basis, bint mapped, real low, real high):
    """The polynomials of each x, a row of out each; ratio[k - 1] = k / (k + 1) is read by Legendre's recurrence alone."""
    with nogil:
        basis_rows(&x[0], &ratio[0], basis, &out[0, 0], x.shape[0], out.shape[1], mapped, low, high)


def fill_products(const real[:, ::1] x, const Py_ssize_t[:, ::1] plan, real[:, ::1] out, bint bias):
    """By a plan of four columns for `products`, of two for `few_products`."""
    cdef const Py_ssize_t* steps = &plan[0, 0] if plan.shape[0] else NULL
    with nogil:
        if plan.shape[1] == 4:
            products(&x[0, 0], steps, plan.shape[0], &out[0, 0], x.shape[0], x.shape[1], out.shape[1], bias)
        else:
            few_products(&x[0, 0], steps, &out[0, 0], x.shape[0], x.shape[1], out.shape[1], bias)


def take_columns(const real[:, ::1] x, real[:, ::1] columns):
    """The rows of x as columns[:, :n]."""
    with nogil:
        rows_to_columns(&x[0, 0], &columns[0, 0], x.shape[0], x.shape[1], columns.shape[1])


def put_columns(const real[:, ::1] columns, real[:, ::1] out, Py_ssize_t run):
    """The rows of out, each made of the next `run` values of each column."""
    with nogil:
        if run == 1:
            columns_to_rows(&columns[0, 0], &out[0, 0], out.shape[0], columns.shape[0], columns.shape[1])
        else:
            runs_to_rows(&columns[0, 0], &out[0, 0], out.shape[0], columns.shape[0], columns.shape[1], run)


cdef void inside(int which, const real* x, real edge, real* out, Py_ssize_t n, Py_ssize_t* outside) noexcept nogil:
    if which == 0:
        keep_above(x, edge, out, n, outside)
    elif which == 1:
        keep_from(x, edge, out, n, outside)
    elif which == 2:
        keep_nonzero(x, out, n, outside)
    else:
        keep_finite(x, out, n, outside)


def keep_inside(const real[:, :] x, real[:, :] out, int64_t[::1] counts, str kind, real edge):
    """The rows of x to those of out, each contiguous; numbers that are not "above" or "from" the edge, "nonzero" or "finite" become
    NaN, and counts[k] is how many there were in the k-th.
    """
    cdef int which = ("above", "from", "nonzero", "finite").index(kind)
    cdef Py_ssize_t k, count, n = x.shape[1]
    with nogil:
        for k in range(counts.shape[0]):
            inside(which, &x[k, 0], edge, &out[k, 0], n, &count)
            counts[k] = count


def small_inside(x, str kind, double edge):
    """A copy of an array of float32 or float64, C-contiguous and not empty, with NaN as `keep_inside` has it."""
    cdef Py_ssize_t count, n = cnp.PyArray_SIZE(x)
    cdef int which = ("above", "from", "nonzero", "finite").index(kind)
    found = cnp.PyArray_EMPTY(cnp.PyArray_NDIM(x), cnp.PyArray_DIMS(x), cnp.PyArray_TYPE(x), 0)
    if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT32:
        inside(which, <const float*>cnp.PyArray_DATA(x), <float>edge, <float*>cnp.PyArray_DATA(found), n, &count)
    else:
        inside(which, <const double*>cnp.PyArray_DATA(x), edge, <double*>cnp.PyArray_DATA(found), n, &count)
    return found


def count_new_nans(const real[::1] x, const real[::1] y):
    """How many of y are NaN where x is not."""
    cdef Py_ssize_t count
    with nogil:
        new_nans(&x[0], &y[0], x.shape[0], &count)
    return count
