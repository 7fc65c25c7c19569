"""Losses and their gradients of many models at once, in tiles of 64 bytes.  Trusts its caller: C-contiguous, n, d > 0.

A tile's models share every load of X: rows times models, then, while both are in the first-level cache, columns times slopes.
Every model has a lane of its own, so its sums do not depend on its neighbours.

A row does 2 d K multiply-adds for its loss and gradient under K models.  Measured on a Zen 5 core, 32 models, rows of 16
float32: 40 G multiply-adds/s for p = 1 and 2 (25 ns a row), losses and slopes among them, where BLAS's two products alone
reach 45: a product and a sum are two instructions here, for a fused one would give other bits.  p = 1.37: 76 ns a row, of
which 50 are the 32 powers.
"""

from libc.stdint cimport int32_t, uintptr_t
from libc.string cimport memset

from fastdl_ext._common cimport cloned, real
from fastdl_ext._lanes cimport FAR, d4, d4_all, f8, f8_all, fetch_far, inlined, vec
from fastdl_ext._loss_terms cimport Bend, Loss, bends, loss_of, pointwise, terms
from fastdl_ext.power cimport equal, less, less32

cdef enum:
    TILE = 32           # rows taken at a time


cdef inlined forward(const vec* W, const char* x, Py_ssize_t stride, Py_ssize_t n, Py_ssize_t d, vec* out) noexcept nogil:
    # The products of n rows with two vectors of models, four rows at a time; rows past the last stand for it.
    cdef vec a[8]
    cdef vec c
    cdef const char* row[4]
    cdef Py_ssize_t i, j, k, size = stride // d
    for i in range(0, n, 4):
        memset(a, 0, sizeof(a))
        for k in range(4):
            row[k] = x + stride * min(i + k, n - 1)
        for j in range(d):
            for k in range(4):
                if vec is f8:
                    c = f8_all(row[k] + j * size)
                else:
                    c = d4_all(row[k] + j * size)
                a[2 * k] = a[2 * k] + c * W[2 * j]
                a[2 * k + 1] = a[2 * k + 1] + c * W[2 * j + 1]
        for k in range(8):
            out[2 * i + k] = a[k]


cdef inlined backward(const vec* g, const char* x, Py_ssize_t stride, Py_ssize_t n, Py_ssize_t left, Py_ssize_t size,
                      vec* out) noexcept nogil:
    # The products of four columns with the slopes of two vectors of models; columns past the last stand for it.
    cdef vec a[8]
    cdef vec c
    cdef Py_ssize_t i, k
    cdef Py_ssize_t column[4]
    memset(a, 0, sizeof(a))
    for k in range(4):
        column[k] = size * min(k, left - 1)
    for i in range(n):
        for k in range(4):
            if vec is f8:
                c = f8_all(x + i * stride + column[k])
            else:
                c = d4_all(x + i * stride + column[k])
            a[2 * k] = a[2 * k] + c * g[2 * i]
            a[2 * k + 1] = a[2 * k + 1] + c * g[2 * i + 1]
    for k in range(8):
        out[k] = a[k]


cdef inlined spread(const real* x, const real* g, Py_ssize_t n, Py_ssize_t d, Py_ssize_t j, real* sums,
                    double* total) noexcept nogil:
    cdef Py_ssize_t k, lanes = 64 // sizeof(real), stride = d * sizeof(real)
    if real is float:
        backward[f8](<const f8*>g, <const char*>(x + j), stride, n, d - j, 4, <f8*>sums)
    else:
        backward[d4](<const d4*>g, <const char*>(x + j), stride, n, d - j, 8, <d4*>sums)
    for k in range(min(4, d - j) * lanes):
        total[(2 + j) * lanes + k] += sums[k]


cdef inlined plain(const real* y, const double* b, Py_ssize_t n, bint square, real* P, double* total,
                   bint gradient) noexcept nogil:
    # p = 1 and 2 without weights: what there is to do for a residual is then so little that it is not put aside.
    cdef real value[16]
    cdef real slope[16]
    cdef real shift[16]
    cdef real r, g
    cdef Py_ssize_t k, l, lanes = 64 // sizeof(real)
    for l in range(lanes):
        value[l] = 0
        slope[l] = 0
        shift[l] = <real>b[l]
    if square:
        for k in range(n):
            for l in range(lanes):
                r = P[k * lanes + l] - (y[k] - shift[l])
                g = 2 * r
                value[l] = value[l] + r * r
                slope[l] = slope[l] + g
                P[k * lanes + l] = g
    else:
        for k in range(n):
            for l in range(lanes):
                r = P[k * lanes + l] - (y[k] - shift[l])
                if real is float:
                    g = less32(0, r, 1, less32(r, 0, -1, r * 0))
                else:
                    g = less(0, r, 1, less(r, 0, -1, r * 0))
                value[l] = value[l] + g * r
                slope[l] = slope[l] + g
                P[k * lanes + l] = g
    for l in range(lanes):
        total[l] += value[l]
        if gradient:
            total[lanes + l] += slope[l]


cdef inlined tiles(const real* X, const real* y, const real* s, const int32_t* fold, const int32_t* held, bint inside,
                   const real* W, const double* b, Py_ssize_t n, Py_ssize_t d, Py_ssize_t models, const Loss* q,
                   const Bend* bend, real* h, double* out, bint gradient) noexcept nogil:
    # Many models, in tiles of 64 bytes: W (tile, d, lane), b and held (tile, lane), out (tile, loss and derivatives, lane).
    cdef real P[TILE * 16 + 64]
    cdef real sums[64]
    cdef double r[TILE * 16]
    cdef double value[TILE * 16]
    cdef double slope[TILE * 16]
    cdef double weight[TILE * 16]
    cdef double* total
    cdef Py_ssize_t i, j, k, l, m, t, lanes = 64 // sizeof(real), stride = d * sizeof(real)
    cdef const real* x
    i = 0
    while i < n:
        m = min(TILE, n - i)
        x = X + i * d
        for j in range(0, m * stride, 64):
            fetch_far(<const char*>x + FAR + j)
        for t in range((models + lanes - 1) // lanes):
            total = out + t * (d + 2) * lanes
            if real is float:
                forward[f8](<const f8*>(W + t * d * lanes), <const char*>x, stride, m, d, <f8*>P)
            else:
                forward[d4](<const d4*>(W + t * d * lanes), <const char*>x, stride, m, d, <d4*>P)
            if h == NULL and s == NULL and fold == NULL and q.own == NULL and (q.p == 1 or q.p == 2):
                plain(y + i, b + t * lanes, m, q.p == 2, P, total, gradient)
                for j in range(0, d if gradient else 0, 4):
                    spread(x, P, m, d, j, sums, total)
                continue
            for k in range(m):
                for l in range(lanes):
                    r[k * lanes + l] = (y[i + k] - b[t * lanes + l]) - P[k * lanes + l]
            terms(q, r, m * lanes, value, slope)
            if s != NULL or fold != NULL:
                for k in range(m):
                    for l in range(lanes):
                        weight[k * lanes + l] = s[i + k] if s != NULL else 1.0
                    if fold != NULL:
                        for l in range(lanes):
                            if (fold[i + k] == held[t * lanes + l]) != inside:
                                weight[k * lanes + l] = 0.0
                for k in range(m * lanes):
                    value[k] = equal(weight[k], 0, 0, weight[k] * value[k])
                    slope[k] = equal(weight[k], 0, 0, weight[k] * slope[k])
            if h != NULL:
                bends(bend, r, m * lanes, r)
                if s != NULL or fold != NULL:
                    for k in range(m * lanes):
                        r[k] = equal(weight[k], 0, 0, weight[k] * r[k])
                for k in range(m):
                    for l in range(min(lanes, models - t * lanes)):
                        h[(i + k) * models + t * lanes + l] = <real>r[k * lanes + l]
            for k in range(m):
                for l in range(lanes):
                    total[l] += value[k * lanes + l]
            for k in range(m if gradient else 0):
                for l in range(lanes):
                    total[lanes + l] -= slope[k * lanes + l]
                    P[k * lanes + l] = <real>-slope[k * lanes + l]
            for j in range(0, d if gradient else 0, 4):
                spread(x, P, m, d, j, sums, total)
        i += TILE


cdef cloned tiles_f32(const float* X, const float* y, const float* s, const int32_t* fold, const int32_t* held, bint inside,
                      const float* W, const double* b, Py_ssize_t n, Py_ssize_t d, Py_ssize_t models, const Loss* q,
                      const Bend* bend, float* h, double* out, bint gradient) noexcept nogil:
    tiles(X, y, s, fold, held, inside, W, b, n, d, models, q, bend, h, out, gradient)


cdef cloned tiles_f64(const double* X, const double* y, const double* s, const int32_t* fold, const int32_t* held,
                      bint inside, const double* W, const double* b, Py_ssize_t n, Py_ssize_t d, Py_ssize_t models,
                      const Loss* q, const Bend* bend, double* h, double* out, bint gradient) noexcept nogil:
    tiles(X, y, s, fold, held, inside, W, b, n, d, models, q, bend, h, out, gradient)


def many_models(const real[:, ::1] X, const real[::1] y, const real[::1] s, const int32_t[::1] fold, const int32_t[::1] held,
                bint inside, const real[:, :, ::1] W, const double[::1] b, Py_ssize_t models, double p, uintptr_t own,
                double least, real[:, ::1] h, double[:, :, ::1] out, bint gradient):
    """Add to out (tile, loss and derivatives by b and w, lane); write the curvature to h (row, model)."""
    cdef Loss q = loss_of(p, <pointwise>own, real is float)
    cdef Bend bend = Bend(p, least)
    cdef Py_ssize_t n = X.shape[0], d = X.shape[1]
    cdef const real* weights = NULL if s is None else &s[0]
    cdef const int32_t* folds = NULL if fold is None else &fold[0]
    cdef const int32_t* holds = NULL if held is None else &held[0]
    cdef real* curve = NULL if h is None else &h[0, 0]
    with nogil:
        if real is float:
            tiles_f32(&X[0, 0], &y[0], weights, folds, holds, inside, &W[0, 0, 0], &b[0], n, d, models, &q, &bend, curve,
                      &out[0, 0, 0], gradient)
        else:
            tiles_f64(&X[0, 0], &y[0], weights, folds, holds, inside, &W[0, 0, 0], &b[0], n, d, models, &q, &bend, curve,
                      &out[0, 0, 0], gradient)
