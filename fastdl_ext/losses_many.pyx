"""Losses and their gradients of many models at once, in tiles of 64 bytes.  Trusts its caller: C-contiguous, n, d > 0.

Two products of matrices in register tiles (Goto and van de Geijn, "Anatomy of high-performance matrix multiplication",
2008): rows times models gives residuals, and, while both are in the first-level cache, columns times slopes the gradient.
The models of a tile share every load of X, and every model has a lane of its own, so its sums do not depend on its neighbours.

Bound by arithmetic: a row does 2 d K multiply-adds for its loss and gradient under K models.  Measured on a Zen 5 core, 32 models, rows of 16
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
    TILE = 32           # rows taken at a time: of 16 models' residuals, powers and slopes 12 KB, within the first-level cache

# Numbers behind `void*` are float or double, as the function that reads them is; a tile has 64 bytes of them.
cdef struct Rows:
    const void* X               # (n, d)
    const void* y               # (n,)
    const void* s               # (n,) weights, or NULL: all 1
    const int32_t* fold         # (n,) the fold of each row, or NULL
    bint inside                 # a model sees the rows of its fold, and not those of the others
    Py_ssize_t n, d
    void* h                     # (n, models) curvatures to write, or NULL

cdef struct Models:
    Py_ssize_t count
    const double* b             # (tiles, lane)
    const int32_t* held         # (tiles, lane) the fold of each, or NULL
    double* sums                # (tiles, stride): loss, and derivatives by b and W where there are to be any, each (lane,)
    Py_ssize_t stride           # numbers of a tile's sums


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


cdef inlined weigh(const Rows* rows, const real* s, const int32_t* held, Py_ssize_t first, Py_ssize_t m,
                   double* weight) noexcept nogil:
    # The weights of m rows for each lane of a tile.
    cdef Py_ssize_t k, l, lanes = 64 // sizeof(real)
    for k in range(m):
        for l in range(lanes):
            weight[k * lanes + l] = s[first + k] if s != NULL else 1.0
        if rows.fold != NULL:
            for l in range(lanes):
                if (rows.fold[first + k] == held[l]) != rows.inside:
                    weight[k * lanes + l] = 0.0


cdef inlined drop(const double* weight, double* x, Py_ssize_t n) noexcept nogil:
    # Weight 0 drops what is there, which may be a NaN.
    cdef Py_ssize_t k
    for k in range(n):
        x[k] = equal(weight[k], 0, 0, weight[k] * x[k])


cdef inlined tiles(const Rows* rows, const Models* models, const real* W, Py_ssize_t d, const Loss* q,
                   const Bend* bend) noexcept nogil:
    # W is (tile, d, lane).
    cdef real P[TILE * 16 + 64]
    cdef real sums[64]
    cdef double r[TILE * 16]
    cdef double value[TILE * 16]
    cdef double slope[TILE * 16]
    cdef double weight[TILE * 16]
    cdef double* total
    cdef const double* b
    cdef Py_ssize_t i, j, k, l, m, t, lanes = 64 // sizeof(real), size = d * sizeof(real)
    cdef const real* x
    cdef const real* y
    cdef real* h = <real*>rows.h
    cdef bint weighted = rows.s != NULL or rows.fold != NULL, gradient = models.stride > 2 * lanes
    cdef bint direct = h == NULL and not weighted and q.own == NULL and (q.p == 1 or q.p == 2)
    i = 0
    while i < rows.n:
        m = min(TILE, rows.n - i)
        x = <const real*>rows.X + i * d
        y = <const real*>rows.y + i
        for j in range(0, m * size, 64):
            fetch_far(<const char*>x + FAR + j)
        for t in range((models.count + lanes - 1) // lanes):
            total = models.sums + t * models.stride
            b = models.b + t * lanes
            if real is float:
                forward[f8](<const f8*>(W + t * d * lanes), <const char*>x, size, m, d, <f8*>P)
            else:
                forward[d4](<const d4*>(W + t * d * lanes), <const char*>x, size, m, d, <d4*>P)
            if direct:
                plain(y, b, m, q.p == 2, P, total, gradient)
                for j in range(0, d if gradient else 0, 4):
                    spread(x, P, m, d, j, sums, total)
                continue
            for k in range(m):
                for l in range(lanes):
                    r[k * lanes + l] = (y[k] - b[l]) - P[k * lanes + l]
            terms(q, r, m * lanes, value, slope)
            if weighted:
                weigh(rows, <const real*>rows.s, models.held + t * lanes, i, m, weight)
                drop(weight, value, m * lanes)
                drop(weight, slope, m * lanes)
            if h != NULL:
                bends(bend, r, m * lanes, r)
                if weighted:
                    drop(weight, r, m * lanes)
                for k in range(m):
                    for l in range(min(lanes, models.count - t * lanes)):
                        h[(i + k) * models.count + t * lanes + l] = <real>r[k * lanes + l]
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


cdef cloned tiles_f32(const Rows* rows, const Models* models, const float* W, const Loss* q, const Bend* bend) noexcept nogil:
    tiles(rows, models, W, rows.d, q, bend)


cdef cloned tiles_f64(const Rows* rows, const Models* models, const double* W, const Loss* q, const Bend* bend) noexcept nogil:
    tiles(rows, models, W, rows.d, q, bend)


def many_models(const real[:, ::1] X, const real[::1] y, const real[::1] s, folds, models, loss, real[:, ::1] h,
                double[:, :, ::1] out):
    """Add to out (tile, loss and derivatives by b and W, lane), or to out (tile, 2, lane) the first two alone.

    folds: (fold of each row or None, fold (tile, lane) of each model, inside); models: (W (tile, d, lane), b (tile, lane),
    how many); loss: (power, address of a custom one or 0, least |r| of the curvature). The curvatures are written to h (row,
    model) unless it is None.
    """
    cdef const real[:, :, ::1] W = models[0]
    cdef const double[::1] b = models[1]
    cdef const int32_t[::1] fold = folds[0], held = folds[1]
    cdef Loss q = loss_of(loss[0], <pointwise><uintptr_t>loss[1], real is float)
    cdef Bend bend = Bend(loss[0], loss[2])
    cdef Rows rows = Rows(&X[0, 0], &y[0], NULL, NULL, folds[2], X.shape[0], X.shape[1], NULL)
    cdef Models all_ = Models(models[2], &b[0], &held[0], &out[0, 0, 0], out.shape[1] * out.shape[2])
    if s is not None:
        rows.s = &s[0]
    if fold is not None:
        rows.fold = &fold[0]
    if h is not None:
        rows.h = &h[0, 0]
    with nogil:
        if real is float:
            tiles_f32(&rows, &all_, &W[0, 0, 0], &q, &bend)
        else:
            tiles_f64(&rows, &all_, &W[0, 0, 0], &q, &bend)
