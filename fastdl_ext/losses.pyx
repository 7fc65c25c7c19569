"""Losses of residuals y - X w - b and their gradients, for one model.  Trusts its caller: C-contiguous, n, d > 0.

X is read from memory once: a few rows at a time give their residuals, these their losses and slopes, and the slopes
the gradient while the rows are still in the first-level cache.  Products of X are in its own precision, in 8 or 4 lanes
summed by a fixed tree; residuals, their powers and all sums over rows are in double.

A row of d floats moves 4 d + 4 bytes. Measured on a Zen 5 core in blocks of 4,000 rows of float32 from memory, loss and
gradient, ns a row and GB/s (reading alone: 36): d = 64: 8.6 ns, 30 GB/s for p = 1 and 2, 8.7 ns for p = 1.37, so memory is
the limit, whatever the power; d = 256: 38 ns, 27 GB/s; d = 16: 3.4 ns, 20 GB/s, and 4.5 ns for p = 1.37: the work on a
residual, not memory, is the limit there.
"""

from libc.math cimport isfinite
from libc.stdint cimport int32_t, uintptr_t
from libc.string cimport memcpy, memset

cimport numpy as cnp
from fastdl_ext._arrays cimport SMALL, is_plain, new_array
from fastdl_ext._common cimport cloned, real
from fastdl_ext._lanes cimport (
    AHEAD, FAR, d4, d4_keep, d4_totals, f8, f8_keep, f8_totals, fetch_ahead, fetch_far, inlined, vec,
)
from fastdl_ext._loss_terms cimport Bend, Loss, bends, loss_of, pointwise, terms
from fastdl_ext.power cimport equal

cnp.import_array()

cdef enum:
    ROWS = 64           # most rows taken at a time
    PANEL = 128         # bytes of a row between requests for what is FAR ahead
    ALONE = 1024        # rows that are one block of fastdl.losses whatever their length


cdef inlined dots(const vec* w, const char* x, Py_ssize_t stride, Py_ssize_t last, const char* mask, vec* out) noexcept nogil:
    # <x, w> of as many rows as there are lanes; rows past the last stand for it.  Each row from its start to its end, which
    # is the order memory likes, in four sums.
    cdef vec sums[8]
    cdef vec a0, a1, a2, a3
    cdef const vec* row
    cdef Py_ssize_t j, k, lanes = 8 if vec is f8 else 4, whole = stride // 32, rest = stride - 32
    for k in range(lanes):
        row = <const vec*>(x + stride * (k if k < last else last))
        fetch_ahead(<const char*>row + AHEAD)
        fetch_ahead(<const char*>row + AHEAD + 64)
        a0 = row[0] * w[0]
        if whole >= 4:
            a1 = row[1] * w[1]
            a2 = row[2] * w[2]
            a3 = row[3] * w[3]
            j = 4
            while j + 4 <= whole:
                fetch_ahead(<const char*>(row + j) + AHEAD)
                fetch_ahead(<const char*>(row + j) + AHEAD + 64)
                a0 = a0 + row[j] * w[j]
                a1 = a1 + row[j + 1] * w[j + 1]
                a2 = a2 + row[j + 2] * w[j + 2]
                a3 = a3 + row[j + 3] * w[j + 3]
                j += 4
            a0 = (a0 + a1) + (a2 + a3)
        else:
            j = 1
        while j < whole:
            a0 = a0 + row[j] * w[j]
            j += 1
        if stride % 32:
            # The rest of a row, with the end of what was counted masked out: a NaN times 0 would not do.
            a1 = (<const vec*>(<const char*>row + rest))[0]
            a2 = (<const vec*>(<const char*>w + rest))[0]
            if vec is f8:
                a0 = a0 + f8_keep(a1, mask) * f8_keep(a2, mask)
            else:
                a0 = a0 + d4_keep(a1, mask) * d4_keep(a2, mask)
        sums[k] = a0
    if vec is f8:
        out[0] = f8_totals(sums)
    else:
        out[0] = d4_totals(sums)


cdef inlined residuals(const real* X, const real* y, const real* w, double b, Py_ssize_t n, Py_ssize_t d,
                       double* out) noexcept nogil:
    cdef Py_ssize_t i, j, k, lanes = 32 // sizeof(real), stride = d * sizeof(real)
    cdef real dot[8]
    cdef real sum
    cdef char mask[64]
    if d < lanes:
        for i in range(n):
            sum = X[i * d] * w[0]
            for j in range(1, d):
                sum = sum + X[i * d + j] * w[j]
            out[i] = (y[i] - b) - sum
        return
    memset(mask, 0, 32)
    memset(mask + 32, 255, 32)
    i = 0
    while i < n:
        if real is float:
            dots[f8](<const f8*>w, <const char*>(X + i * d), stride, n - 1 - i, mask + stride % 32, <f8*>dot)
        else:
            dots[d4](<const d4*>w, <const char*>(X + i * d), stride, n - 1 - i, mask + stride % 32, <d4*>dot)
        for k in range(min(lanes, n - i)):
            out[i + k] = (y[i + k] - b) - dot[k]
        i += lanes


cdef inlined products(const real* X, const real* g, Py_ssize_t n, Py_ssize_t d, double* total) noexcept nogil:
    # Eight rows at a time in a fixed tree, then into double.
    cdef Py_ssize_t i = 0, j, start, stop
    cdef const real* x
    cdef real g0, g1, g2, g3, g4, g5, g6, g7
    while i + 8 <= n:
        x = X + i * d
        g0 = g[i + 0]
        g1 = g[i + 1]
        g2 = g[i + 2]
        g3 = g[i + 3]
        g4 = g[i + 4]
        g5 = g[i + 5]
        g6 = g[i + 6]
        g7 = g[i + 7]
        start = 0
        while start < d:
            stop = min(start + PANEL // <Py_ssize_t>sizeof(real), d)
            for j in range(0, 8 * min(PANEL, d * <Py_ssize_t>sizeof(real)), 64):
                fetch_far(<const char*>(x + 8 * start) + FAR + j)
            for j in range(start, stop):
                total[j] += <double>(
                    ((g0 * x[j] + g1 * x[j + d]) + (g2 * x[j + 2 * d] + g3 * x[j + 3 * d]))
                    + ((g4 * x[j + 4 * d] + g5 * x[j + 5 * d]) + (g6 * x[j + 6 * d] + g7 * x[j + 7 * d]))
                )
            start = stop
        i += 8
    while i < n:
        for j in range(d):
            total[j] += <double>(g[i] * X[i * d + j])
        i += 1


cdef inlined rows(const real* X, const real* y, const real* s, const int32_t* fold, int32_t held, bint inside, const real* w,
                  double b, Py_ssize_t n, Py_ssize_t d, const Loss* q, const Bend* bend, real* h, double* out,
                  bint gradient) noexcept nogil:
    # out: loss, its derivative by b, then by w.
    cdef double r[ROWS]
    cdef double value[ROWS]
    cdef double slope[ROWS]
    cdef double weight[ROWS]
    cdef double losses[8]
    cdef double slopes[8]
    cdef real g[ROWS]
    cdef Py_ssize_t i, k, j, m, size = d * sizeof(real)
    # 2 KB of X where that is 8 rows or more; 16 KB where a power is taken, whose chain of some 60 operations is too long
    # for the residuals of 8 rows to fill.  Any multiple of 8 rows gives the same bits.
    cdef Py_ssize_t step = max(8, min(ROWS, (16384 if q.own != NULL or q.half == 2 else 2048) // size // 8 * 8))
    memset(losses, 0, sizeof(losses))
    memset(slopes, 0, sizeof(slopes))
    i = 0
    while i < n:
        m = min(step, n - i)
        residuals(X + i * d, y + i, w, b, m, d, r)
        terms(q, r, m, value, slope)
        if s != NULL or fold != NULL:
            for k in range(m):
                weight[k] = s[i + k] if s != NULL else 1.0
            if fold != NULL:
                for k in range(m):
                    weight[k] = weight[k] if (fold[i + k] == held) == inside else 0.0
            for k in range(m):
                value[k] = equal(weight[k], 0, 0, weight[k] * value[k])
                slope[k] = equal(weight[k], 0, 0, weight[k] * slope[k])
        if h != NULL:
            bends(bend, r, m, r)
            for k in range(m):
                h[i + k] = <real>r[k]
            if s != NULL or fold != NULL:
                for k in range(m):
                    h[i + k] = <real>equal(weight[k], 0, 0, weight[k] * r[k])
        for k in range(m, (m + 7) // 8 * 8):
            value[k] = 0
            slope[k] = 0
        for k in range(0, m, 8):
            for j in range(8):
                losses[j] += value[k + j]
        if gradient:
            for k in range(0, m, 8):
                for j in range(8):
                    slopes[j] -= slope[k + j]
            for k in range(m):
                g[k] = <real>-slope[k]
            products(X + i * d, g, m, d, out + 2)
        i += step
    out[0] += ((losses[0] + losses[1]) + (losses[2] + losses[3])) + ((losses[4] + losses[5]) + (losses[6] + losses[7]))
    out[1] += ((slopes[0] + slopes[1]) + (slopes[2] + slopes[3])) + ((slopes[4] + slopes[5]) + (slopes[6] + slopes[7]))


cdef cloned rows_f32(const float* X, const float* y, const float* s, const int32_t* fold, int32_t held, bint inside,
                     const float* w, double b, Py_ssize_t n, Py_ssize_t d, const Loss* q, const Bend* bend, float* h,
                     double* out, bint gradient) noexcept nogil:
    # Row lengths that are often met are compiled apart, their inner loops unrolled: a fifth faster at 64.
    if d == 16:
        rows(X, y, s, fold, held, inside, w, b, n, 16, q, bend, h, out, gradient)
    elif d == 64:
        rows(X, y, s, fold, held, inside, w, b, n, 64, q, bend, h, out, gradient)
    elif d == 256:
        rows(X, y, s, fold, held, inside, w, b, n, 256, q, bend, h, out, gradient)
    else:
        rows(X, y, s, fold, held, inside, w, b, n, d, q, bend, h, out, gradient)


cdef cloned rows_f64(const double* X, const double* y, const double* s, const int32_t* fold, int32_t held, bint inside,
                     const double* w, double b, Py_ssize_t n, Py_ssize_t d, const Loss* q, const Bend* bend, double* h,
                     double* out, bint gradient) noexcept nogil:
    rows(X, y, s, fold, held, inside, w, b, n, d, q, bend, h, out, gradient)


cdef cloned residuals_f32(const float* X, const float* y, const float* w, double b, Py_ssize_t n, Py_ssize_t d,
                          double* residual) noexcept nogil:
    residuals(X, y, w, b, n, d, residual)


cdef cloned residuals_f64(const double* X, const double* y, const double* w, double b, Py_ssize_t n, Py_ssize_t d,
                          double* residual) noexcept nogil:
    residuals(X, y, w, b, n, d, residual)


cdef cloned lp_terms(const double* residual, Py_ssize_t n, double p, double* value, double* slope) noexcept nogil:
    cdef Loss q = loss_of(p, NULL, False)
    terms(&q, residual, n, value, slope)


cdef cloned products_f32(const float* X, const float* g, Py_ssize_t n, Py_ssize_t d, double* total) noexcept nogil:
    products(X, g, n, d, total)


cdef cloned products_f64(const double* X, const double* g, Py_ssize_t n, Py_ssize_t d, double* total) noexcept nogil:
    products(X, g, n, d, total)


def one_model(const real[:, ::1] X, const real[::1] y, const real[::1] s, const int32_t[::1] fold, int32_t held, bint inside,
              const real[::1] w, double b, double p, uintptr_t own, double least, real[::1] h, double[::1] out):
    """Add to out: loss, derivative by b, derivative by w (where out has room for it); write the curvature to h."""
    cdef Loss q = loss_of(p, <pointwise>own, real is float)
    cdef Bend bend = Bend(p, least)
    cdef Py_ssize_t n = X.shape[0], d = X.shape[1]
    cdef const real* weights = NULL if s is None else &s[0]
    cdef const int32_t* folds = NULL if fold is None else &fold[0]
    cdef real* curve = NULL if h is None else &h[0]
    with nogil:
        if real is float:
            rows_f32(&X[0, 0], &y[0], weights, folds, held, inside, &w[0], b, n, d, &q, &bend, curve, &out[0],
                     out.shape[0] > 2)
        else:
            rows_f64(&X[0, 0], &y[0], weights, folds, held, inside, &w[0], b, n, d, &q, &bend, curve, &out[0],
                     out.shape[0] > 2)


cdef bint few_sums(X, y, w, double b, double p, bint gradient, double* sums):
    # Whether these are few rows as `one_model` takes them; then its sums are in `sums`, (2 + D,) with the gradient.
    cdef int kind
    cdef Py_ssize_t n, d
    cdef Loss q
    if not cnp.PyArray_CheckExact(X):
        return False
    kind = cnp.PyArray_TYPE(X)
    if kind != cnp.NPY_FLOAT32 and kind != cnp.NPY_FLOAT64:
        return False
    if not (is_plain(X, kind, 2) and is_plain(y, kind, 1) and is_plain(w, kind, 1)):
        return False
    n, d = cnp.PyArray_DIM(X, 0), cnp.PyArray_DIM(X, 1)
    if n == 0 or d == 0 or n * d > SMALL or n > ALONE or cnp.PyArray_SIZE(y) != n or cnp.PyArray_SIZE(w) != d:
        return False
    q = loss_of(p, NULL, kind == cnp.NPY_FLOAT32)
    memset(sums, 0, (2 + d * gradient) * sizeof(double))
    if kind == cnp.NPY_FLOAT32:
        rows_f32(<const float*>cnp.PyArray_DATA(X), <const float*>cnp.PyArray_DATA(y), NULL, NULL, 0, False,
                 <const float*>cnp.PyArray_DATA(w), b, n, d, &q, NULL, NULL, sums, gradient)
    else:
        rows_f64(<const double*>cnp.PyArray_DATA(X), <const double*>cnp.PyArray_DATA(y), NULL, NULL, 0, False,
                 <const double*>cnp.PyArray_DATA(w), b, n, d, &q, NULL, NULL, sums, gradient)
    return True


def small_loss(X, y, w, double b, double p):
    """The loss |y - X w - b|^p of few rows, as `one_model`; None also where it is not finite."""
    cdef double[2] sums
    if not few_sums(X, y, w, b, p, False, sums):
        return None
    return sums[0] if isfinite(sums[0]) else None


def small_loss_grad(X, y, w, double b, double p):
    """The same with its derivatives: (loss, by w as float64, by b)."""
    cdef double[2 + SMALL] sums
    cdef Py_ssize_t j, d
    if not few_sums(X, y, w, b, p, True, sums):
        return None
    d = cnp.PyArray_SIZE(w)
    for j in range(2 + d):
        if not isfinite(sums[j]):
            return None
    by_w = new_array(1, d, 0, 0, cnp.NPY_FLOAT64)
    memcpy(cnp.PyArray_DATA(by_w), sums + 2, d * sizeof(double))
    return sums[0], by_w, sums[1]
