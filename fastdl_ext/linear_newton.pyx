"""The passes of Newton's method for powers above 1 over the rows of a fit (see linear/methods/newton.py).

Each takes 64 rows at a time, which are in the first-level cache when their products with the columns are summed:
`slopes` a residual, a power and a product a row, `proof` two residuals, three powers and a product. Powers are
bound by arithmetic, 60 operations each, but for multiples of one half, which are products, a root and a division.
Sums over rows are made in eight lanes for each 64 rows, and these are added with what rounding takes (Knuth's
two-sum): bounds of the loss allow for a few roundings, not for one a row.  Trusts its caller: C-contiguous, n > 0.
"""

from libc.math cimport fabs
from libc.string cimport memcpy, memset

from fastdl_ext._common cimport cloned
from fastdl_ext._lanes cimport inlined
from fastdl_ext._loss_terms cimport any_powers
from fastdl_ext._model_rows cimport CHUNK, at, model_rows, product_rows, residual_rows
from fastdl_ext.power cimport less


cdef struct three_sums:
    double[3] high
    double[3] low           # what rounding took from them


cdef inlined add_rows(three_sums* sums, int which, const double* x, Py_ssize_t n) noexcept nogil:
    cdef double[8] lane
    cdef Py_ssize_t j, k, whole = n // 8 * 8
    cdef double value, grown, added
    for j in range(8):
        lane[j] = 0
    for k in range(0, whole, 8):
        for j in range(8):
            lane[j] += x[k + j]
    for k in range(whole, n):
        lane[k - whole] += x[k]
    value = ((lane[0] + lane[1]) + (lane[2] + lane[3])) + ((lane[4] + lane[5]) + (lane[6] + lane[7]))
    grown = sums.high[which] + value
    added = grown - sums.high[which]
    sums.low[which] += (sums.high[which] - (grown - added)) + (value - added)
    sums.high[which] = grown


cdef inlined finish(const three_sums* sums, double* total) noexcept nogil:
    # Infinities leave a NaN in what rounding took.
    cdef Py_ssize_t j
    for j in range(3):
        total[j] += sums.high[j] + sums.low[j] if sums.low[j] == sums.low[j] else sums.high[j]


cdef inlined bends(const double* r, const double* s, Py_ssize_t n, double p, double floor, double* h, double* curve) noexcept nogil:
    # h = s max(|r|, floor)^(p - 2), and the derivative of h r.
    cdef Py_ssize_t k
    cdef double above = p - 1, below = less(0, floor, 1, p - 1)
    for k in range(n):
        curve[k] = less(fabs(r[k]), floor, floor, fabs(r[k]))
    any_powers(curve, n, p - 2, h)
    for k in range(n):
        h[k] *= s[k]
        curve[k] = h[k] * less(floor, fabs(r[k]), above, below)


cdef inlined weights(const model_rows* a, Py_ssize_t first, Py_ssize_t n, double* s) noexcept nogil:
    cdef Py_ssize_t k
    if a.s != NULL:
        memcpy(s, a.s + first, n * sizeof(double))
    else:
        for k in range(n):
            s[k] = 1


cdef cloned slope_sums(const double* X, const model_rows* a, double p, double floor, double* curve, double* total) noexcept nogil:
    cdef double s[CHUNK]
    cdef double r[CHUNK]
    cdef double h[CHUNK]
    cdef double bent[CHUNK]
    cdef double value[CHUNK]
    cdef double below[CHUNK]
    cdef double heavy[CHUNK]
    cdef Py_ssize_t k, m, few, i = 0
    cdef three_sums sums
    memset(&sums, 0, sizeof(sums))
    while i < a.n:
        m = min(<Py_ssize_t>CHUNK, a.n - i)
        weights(a, i, m, s)
        residual_rows(X + i * a.d, a.y + i, a.w, a.b, a.shift, m, a.d, r)
        bends(r, s, m, p, floor, h, bent)
        few = 0
        if floor > 0:
            for k in range(m):
                below[few] = r[k]
                heavy[few] = s[k]
                few += fabs(r[k]) < floor
        for k in range(m):
            value[k] = less(fabs(r[k]), floor, 0, h[k] * r[k] * r[k])
            h[k] *= r[k]
        memcpy(curve + i, bent, m * sizeof(double))
        add_rows(&sums, 0, value, m)
        add_rows(&sums, 2, bent, m)
        if few:
            any_powers(below, few, p, value)
            for k in range(few):
                value[k] *= heavy[k]
            add_rows(&sums, 0, value, few)
            add_rows(&sums, 1, heavy, few)
        product_rows(X + i * a.d, h, a.shift, m, a.d, total + 3)
        i += CHUNK
    finish(&sums, total)


def slopes(const double[:, ::1] X, const double[::1] y, const double[::1] s, const double[::1] model,
           const double[::1] shift, double p, double floor, double[::1] curve, double[::1] total):
    """Of the residuals r from the model (b, w), and h = s max(|r|, floor)^(p - 2), write to curve the derivative of h r.

    That is h (p - 1), and h below the floor. Add to total: the sums of s |r|^p, of s where |r| < floor, and of curve,
    then the sum of h r and the columns of X - shift times h r.
    """
    cdef model_rows a
    a.y, a.s, a.w, a.shift, a.b, a.n, a.d = &y[0], at(s), &model[0] + 1, at(shift), model[0], X.shape[0], X.shape[1]
    with nogil:
        slope_sums(&X[0, 0] if a.d else NULL, &a, p, floor, &curve[0], &total[0])


cdef cloned proof_sums(const double* X, const model_rows* a, const double* after, double p, double floor,
                       double* total) noexcept nogil:
    cdef double s[CHUNK]
    cdef double r[CHUNK]
    cdef double then[CHUNK]
    cdef double lost[CHUNK]
    cdef double h[CHUNK]
    cdef double g[CHUNK]
    cdef Py_ssize_t k, m, i = 0
    cdef three_sums sums
    memset(&sums, 0, sizeof(sums))
    while i < a.n:
        m = min(<Py_ssize_t>CHUNK, a.n - i)
        for k in range(m):
            s[k] = 1
        residual_rows(X + i * a.d, a.y + i, a.w, a.b, a.shift, m, a.d, r)
        residual_rows(X + i * a.d, a.y + i, after + 1, after[0], a.shift, m, a.d, then)
        bends(r, s, m, p, floor, h, g)
        for k in range(m):
            g[k] = h[k] * r[k] + g[k] * (then[k] - r[k])
        any_powers(g, m, p / (p - 1), h)
        any_powers(then, m, p, lost)
        weights(a, i, m, s)
        for k in range(m):
            g[k] *= s[k]
            h[k] *= s[k]
            lost[k] *= s[k]
            r[k] *= g[k]
        add_rows(&sums, 0, r, m)
        add_rows(&sums, 1, h, m)
        add_rows(&sums, 2, lost, m)
        product_rows(X + i * a.d, g, a.shift, m, a.d, total + 3)
        i += CHUNK
    finish(&sums, total)


def proof(const double[:, ::1] X, const double[::1] y, const double[::1] s, const double[:, ::1] models,
          const double[::1] shift, double p, double floor, double[::1] total):
    """Of the slopes a of a model, changed to first order by the step to another; models are (b, w) of both, in rows.

    With r and t the residuals from them, a = h r + (the derivative of h r) (t - r), as in `slopes`. Add to total: the
    sums of a r, s |a / s|^(p / (p - 1)) and s |t|^p, then the sum of a and the columns of X - shift times a.
    """
    cdef model_rows a
    a.y, a.s, a.w, a.shift, a.n, a.d = &y[0], at(s), &models[0, 0] + 1, at(shift), X.shape[0], X.shape[1]
    a.b = models[0, 0]
    with nogil:
        proof_sums(&X[0, 0] if a.d else NULL, &a, &models[1, 0], p, floor, &total[0])
