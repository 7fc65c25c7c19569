"""Moments of columns, and standardising.  Trusts its caller: no array is empty, work is of full size.

Rows that fit in the first-level cache give their mean and then the squares about it, in two passes; such parts are joined by
the pairwise update of Chan, Golub and LeVeque ("Updating formulae and a pairwise algorithm for computing sample variances",
1979).  Bound by memory: each value is read from there once.

A row is as long as there are columns, which need not suit vectors: so as many whole rows as make some 64 values are taken as
lanes, each with sums of its own.
"""

from libc.math cimport sqrt
from libc.string cimport memcpy

cimport numpy as cnp
from fastdl_ext._arrays cimport SMALL, is_plain, new_array
from fastdl_ext._common cimport cloned, real

cnp.import_array()

cdef extern from *:
    """
    /* ivdep: lanes never overlap. Without it, every one of these short loops would begin by testing whether they do. */
    #define FASTDL_LANES(T, S)                                                                                       \\
    static FASTDL_INLINE void fastdl_add_##S(const T* y, const double* c, double* a, Py_ssize_t m) {                 \\
        _Pragma("GCC ivdep") for (Py_ssize_t j = 0; j < m; j++) a[j] += (double)y[j] - c[j];                         \\
    }                                                                                                                \\
    static FASTDL_INLINE void fastdl_square_##S(const T* y, const double* c, double* a, double* b, Py_ssize_t m) {   \\
        _Pragma("GCC ivdep") for (Py_ssize_t j = 0; j < m; j++) {                                                    \\
            double d = (double)y[j] - c[j];                                                                          \\
            a[j] += d; b[j] += d * d;                                                                                \\
        }                                                                                                            \\
    }                                                                                                                \\
    static FASTDL_INLINE void fastdl_weigh_##S(const T* y, const double* w, const double* c, double* a, double* b,   \\
                                               double* s, Py_ssize_t m) {                                            \\
        _Pragma("GCC ivdep") for (Py_ssize_t j = 0; j < m; j++) {                                                    \\
            double d = (double)y[j] - c[j], e = w[j] * d;                                                            \\
            a[j] += e; b[j] += e * d; s[j] += w[j];                                                                  \\
        }                                                                                                            \\
    }                                                                                                                \\
    static FASTDL_INLINE void fastdl_scale_##S(const T* y, const double* h, const double* l, const double* s,        \\
                                               T* out, Py_ssize_t m) {                                               \\
        _Pragma("GCC ivdep") for (Py_ssize_t j = 0; j < m; j++) out[j] = (T)((((double)y[j] - h[j]) - l[j]) / s[j]);  \\
    }                                                                                                                \\
    static FASTDL_INLINE void fastdl_back_##S(const T* z, const double* h, const double* l, const double* s, T* out, \\
                                              Py_ssize_t m) {                                                        \\
        _Pragma("GCC ivdep") for (Py_ssize_t j = 0; j < m; j++) out[j] = (T)(((double)z[j] * s[j] + l[j]) + h[j]);    \\
    }
    FASTDL_LANES(double, d)
    FASTDL_LANES(float, f)
    """
    void add_d "fastdl_add_d"(const double*, const double*, double*, Py_ssize_t) noexcept nogil
    void add_f "fastdl_add_f"(const float*, const double*, double*, Py_ssize_t) noexcept nogil
    void square_d "fastdl_square_d"(const double*, const double*, double*, double*, Py_ssize_t) noexcept nogil
    void square_f "fastdl_square_f"(const float*, const double*, double*, double*, Py_ssize_t) noexcept nogil
    void weigh_d "fastdl_weigh_d"(const double*, const double*, const double*, double*, double*, double*,
                                  Py_ssize_t) noexcept nogil
    void weigh_f "fastdl_weigh_f"(const float*, const double*, const double*, double*, double*, double*,
                                  Py_ssize_t) noexcept nogil
    void scale_d "fastdl_scale_d"(const double*, const double*, const double*, const double*, double*,
                                  Py_ssize_t) noexcept nogil
    void scale_f "fastdl_scale_f"(const float*, const double*, const double*, const double*, float*,
                                  Py_ssize_t) noexcept nogil
    void back_d "fastdl_back_d"(const double*, const double*, const double*, const double*, double*,
                                Py_ssize_t) noexcept nogil
    void back_f "fastdl_back_f"(const float*, const double*, const double*, const double*, float*,
                                Py_ssize_t) noexcept nogil

cdef enum:
    VALUES = 8192           # taken together: read from memory once, then once more from the first-level cache


cdef struct Lanes:
    Py_ssize_t count            # a multiple of the columns: lane j is of column j % columns
    Py_ssize_t columns
    double* centre              # what is taken off, of each lane
    double* wide                # room for weights, repeated for each column
    double* a                   # the sums over rows of w (y - centre),
    double* b                   # of w (y - centre)^2
    double* s                   # and of w


cdef cloned deviations(const real* y, const double* w, Py_ssize_t n, bint squares, const Lanes* all_) noexcept nogil:
    # The sums in every lane; without weights the last is left out, and without squares the middle one too.
    cdef Py_ssize_t i, j, m, row, lanes = all_.count, d = all_.columns, total = n * all_.columns
    cdef const double* repeated
    cdef const double* centre = all_.centre
    cdef double* wide = all_.wide
    cdef double* a = all_.a
    cdef double* b = all_.b
    cdef double* s = all_.s
    for j in range(lanes):
        a[j] = b[j] = s[j] = 0
    i = 0
    while i < total:
        m = min(lanes, total - i)
        if w != NULL:
            repeated = w + i
            if d > 1:
                repeated = wide
                for row in range(m // d):
                    for j in range(d):
                        wide[row * d + j] = w[i // d + row]
            if real is float:
                weigh_f(y + i, repeated, centre, a, b, s, m)
            else:
                weigh_d(y + i, repeated, centre, a, b, s, m)
        elif squares:
            if real is float:
                square_f(y + i, centre, a, b, m)
            else:
                square_d(y + i, centre, a, b, m)
        elif real is float:
            add_f(y + i, centre, a, m)
        else:
            add_d(y + i, centre, a, m)
        i += lanes


cdef inline double column(const double* lanes, Py_ssize_t c, Py_ssize_t d, Py_ssize_t count) noexcept nogil:
    cdef double total = 0
    while c < count:
        total += lanes[c]
        c += d
    return total


cdef inline void chan(double weight, double high, double low, double squares, double* out, Py_ssize_t d) noexcept nogil:
    # Chan, Golub and LeVeque's pairwise update; the mean is the unrounded sum of two doubles.
    cdef double total = out[0] + weight
    cdef double delta = (high - out[d]) + (low - out[2 * d])
    cdef double step = out[2 * d] + delta * (weight / total)
    if out[0] == 0:
        out[0], out[d], out[2 * d], out[3 * d] = weight, high, low, squares
        return
    out[3 * d] += squares + delta * delta * (out[0] / total) * weight
    high = out[d] + step
    out[2 * d] = step - (high - out[d])
    out[d] = high
    out[0] = total


cdef void moments_of(const real* y, const double* w, Py_ssize_t n, const Lanes* all_, double* out) noexcept nogil:
    # See `moments`; out is (4, D).
    cdef Py_ssize_t start, m, c, j, d = all_.columns, lanes = all_.count
    cdef Py_ssize_t rows = max(<Py_ssize_t>1, VALUES // lanes) * (lanes // d)
    cdef double* centre = all_.centre
    cdef const double* weights = NULL
    cdef double weight, shift
    for c in range(4 * d):
        out[c] = 0
    start = 0
    while start < n:
        m = min(rows, n - start)
        if w != NULL:
            weights = w + start
        for j in range(lanes):
            centre[j] = y[start * d + j % d]
        deviations(y + start * d, weights, m, False, all_)
        for c in range(d):
            weight = <double>m if w == NULL else column(all_.s, c, d, lanes)
            shift = centre[c] + column(all_.a, c, d, lanes) / weight
            j = c
            while j < lanes:
                centre[j] = shift
                j += d
        deviations(y + start * d, weights, m, True, all_)
        for c in range(d):
            weight = <double>m if w == NULL else column(all_.s, c, d, lanes)
            shift = column(all_.a, c, d, lanes)
            chan(weight, centre[c], shift / weight, column(all_.b, c, d, lanes) - shift * (shift / weight), out + c, d)
        start += rows


def moments(const real[:, ::1] y, const double[::1] w, double[:, ::1] work, double[:, ::1] out):
    """Weight, mean (as a sum of two) and sum of squared deviations of each column, into out, (4, D).

    work is (5, lanes), lanes a multiple of D; weights are above 0.
    """
    cdef Lanes all_ = Lanes(work.shape[1], y.shape[1], &work[0, 0], &work[1, 0], &work[2, 0], &work[3, 0], &work[4, 0])
    cdef const double* weights = NULL
    if w is not None:
        weights = &w[0]
    with nogil:
        moments_of(&y[0, 0], weights, y.shape[0], &all_, &out[0, 0])


cdef enum:
    LANES = 64              # of one column, as _column_moments.py has them
    REPEATED = 256          # times that its Standardizer repeats one column


cdef object of_one(double value, bint single):
    # A float, or an array of one.
    if single:
        return value
    found = new_array(1, 1, 0, 0, cnp.NPY_FLOAT64)
    (<double*>cnp.PyArray_DATA(found))[0] = value
    return found


def fit_column(y, Py_ssize_t most):
    """The fit of at most so many values of one column: (rows, table, (weight, mean, variance, scale)), or None.

    Rows is a copy of y, (N, 1); the table is that of `standardise`, the others are floats for y of one dimension. All in
    one call, for what the steps of a stream cost in Python: twenty times the work on 100 values.
    """
    cdef double[5 * LANES] room
    cdef double[4] out
    cdef double* work = &room[0]
    cdef double variance, scale
    cdef double* table
    cdef Lanes all_ = Lanes(LANES, 1, work, work + LANES, work + 2 * LANES, work + 3 * LANES, work + 4 * LANES)
    cdef int kind
    cdef Py_ssize_t n, j
    if not cnp.PyArray_CheckExact(y):
        return None
    n, kind = cnp.PyArray_SIZE(y), cnp.PyArray_TYPE(y)
    cdef bint single = cnp.PyArray_NDIM(y) == 1
    if not 0 < n <= most or not (single or cnp.PyArray_NDIM(y) == 2 and cnp.PyArray_DIM(y, 1) == 1):
        return None
    if kind != cnp.NPY_FLOAT32 and kind != cnp.NPY_FLOAT64 or not is_plain(y, kind, -1):
        return None
    cdef const void* values = cnp.PyArray_DATA(y)
    with nogil:
        if kind == cnp.NPY_FLOAT32:
            moments_of(<const float*>values, NULL, n, &all_, out)
        else:
            moments_of(<const double*>values, NULL, n, &all_, out)
    if not out[3] - out[3] == 0:            # a value is not finite, or they spread too far
        return None
    variance = out[3] / out[0]
    scale = sqrt(variance) if out[3] > 0 else 1
    rows = new_array(2, n, 1, 0, kind)
    memcpy(cnp.PyArray_DATA(rows), cnp.PyArray_DATA(y), n * cnp.PyArray_ITEMSIZE(y))
    lanes = new_array(2, 3, REPEATED, 0, cnp.NPY_FLOAT64)
    table = <double*>cnp.PyArray_DATA(lanes)
    for j in range(REPEATED):
        table[j], table[REPEATED + j], table[2 * REPEATED + j] = out[1], out[2], scale
    return rows, lanes, (of_one(out[0], single), of_one(out[1], single), of_one(variance, single), of_one(scale, single))


cdef cloned scaled(const real* y, const double* high, const double* low, const double* scale, Py_ssize_t lanes, bint back,
                   real* out, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i, m
    i = 0
    while i < n:
        m = min(lanes, n - i)
        if real is float:
            if back:
                back_f(y + i, high, low, scale, out + i, m)
            else:
                scale_f(y + i, high, low, scale, out + i, m)
        elif back:
            back_d(y + i, high, low, scale, out + i, m)
        else:
            scale_d(y + i, high, low, scale, out + i, m)
        i += lanes


def standardise(const real[::1] y, const double[:, ::1] table, bint back, real[::1] out):
    """(y - mean) / scale, or back; the table, (3, lanes), holds the mean as a sum of two, and the scale."""
    with nogil:
        scaled(&y[0], &table[0, 0], &table[1, 0], &table[2, 0], table.shape[1], back, &out[0], y.shape[0])


def small_standardise(y, table, bint back):
    """Few values of one column, as `standardise`."""
    cdef const double* high
    cdef Py_ssize_t lanes = cnp.PyArray_DIM(table, 1)
    if not cnp.PyArray_CheckExact(y) or cnp.PyArray_SIZE(y) > SMALL:
        return None
    high = <const double*>cnp.PyArray_DATA(table)
    if is_plain(y, cnp.NPY_FLOAT64, -1):
        out = cnp.PyArray_EMPTY(cnp.PyArray_NDIM(y), cnp.PyArray_DIMS(y), cnp.NPY_FLOAT64, 0)
        scaled(<const double*>cnp.PyArray_DATA(y), high, high + lanes, high + 2 * lanes, lanes, back,
               <double*>cnp.PyArray_DATA(out), cnp.PyArray_SIZE(y))
    elif is_plain(y, cnp.NPY_FLOAT32, -1):
        out = cnp.PyArray_EMPTY(cnp.PyArray_NDIM(y), cnp.PyArray_DIMS(y), cnp.NPY_FLOAT32, 0)
        scaled(<const float*>cnp.PyArray_DATA(y), high, high + lanes, high + 2 * lanes, lanes, back,
               <float*>cnp.PyArray_DATA(out), cnp.PyArray_SIZE(y))
    else:
        return None
    return out
