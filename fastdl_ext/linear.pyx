"""Products over the rows of a fit: weighted Gram matrices, residuals, columns times a vector, powers of residuals.

Columns are shifted as they are read, so that a far-off mean does not cancel.  Every sum has one order, whatever the CPU:
rows in turn, in groups that are added in turn.  Trusts its caller: C-contiguous, n > 0.
"""

from fastdl_ext._common cimport cloned
from fastdl_ext._lanes cimport d4, d4_all, inlined
from fastdl_ext._loss_terms cimport powers as powers_of

cdef enum:
    ROWS = 64           # rows taken at a time: with eight columns of them they are a quarter of the first-level cache


cdef inlined pack(const double* X, const double* y, const double* shift, const double* factor, Py_ssize_t n, Py_ssize_t d,
                  Py_ssize_t width, double* Z) noexcept nogil:
    # 1, (x - shift) * factor, y and zeros up to the width, in panels of eight columns: panel q holds its rows in turn.
    cdef Py_ssize_t i, j, q
    cdef double* z
    for i in range(n):
        Z[i * 8] = 1
        for j in range(min(7, d)):
            Z[i * 8 + 1 + j] = (X[i * d + j] - shift[j]) * factor[j]
    for q in range(1, width // 8):
        z = Z + q * ROWS * 8
        for i in range(n):
            for j in range(min(8, d + 1 - q * 8)):
                z[i * 8 + j] = (X[i * d + q * 8 - 1 + j] - shift[q * 8 - 1 + j]) * factor[q * 8 - 1 + j]
    for j in range(d + 1, width):
        z = Z + (j // 8) * ROWS * 8 + j % 8
        for i in range(n):
            z[i * 8] = y[i] if j == d + 1 else 0


cdef inlined tile(const double* a, const double* b, Py_ssize_t n, Py_ssize_t width, double* total) noexcept nogil:
    # total[i, j] += sum over rows of a[i] b[j], four columns of a by eight of b, in registers.
    cdef d4 left, b0, b1
    cdef d4 s00, s01, s10, s11, s20, s21, s30, s31
    cdef d4* out
    cdef Py_ssize_t i
    s00 = d4_all(<const char*>a) * 0.0
    s01 = s10 = s11 = s20 = s21 = s30 = s31 = s00
    for i in range(n):
        b0 = (<const d4*>(b + 8 * i))[0]
        b1 = (<const d4*>(b + 8 * i))[1]
        left = d4_all(<const char*>(a + 8 * i))
        s00 = s00 + left * b0
        s01 = s01 + left * b1
        left = d4_all(<const char*>(a + 8 * i + 1))
        s10 = s10 + left * b0
        s11 = s11 + left * b1
        left = d4_all(<const char*>(a + 8 * i + 2))
        s20 = s20 + left * b0
        s21 = s21 + left * b1
        left = d4_all(<const char*>(a + 8 * i + 3))
        s30 = s30 + left * b0
        s31 = s31 + left * b1
    out = <d4*>total
    out[0] = out[0] + s00
    out[1] = out[1] + s01
    out = <d4*>(total + width)
    out[0] = out[0] + s10
    out[1] = out[1] + s11
    out = <d4*>(total + 2 * width)
    out[0] = out[0] + s20
    out[1] = out[1] + s21
    out = <d4*>(total + 3 * width)
    out[0] = out[0] + s30
    out[1] = out[1] + s31


cdef cloned gram_rows(const double* X, const double* y, const double* s, const double* shift, const double* factor,
                      Py_ssize_t n, Py_ssize_t d, Py_ssize_t width, double* scratch, double* total) noexcept nogil:
    cdef Py_ssize_t i, j, k, m, p, q
    cdef double* other
    i = 0
    while i < n:
        m = min(<Py_ssize_t>ROWS, n - i)
        pack(X + i * d, y + i, shift, factor, m, d, width, scratch)
        other = scratch
        if s != NULL:
            other = scratch + ROWS * width
            for q in range(width // 8):
                for k in range(m):
                    for j in range(8):
                        other[(q * ROWS + k) * 8 + j] = scratch[(q * ROWS + k) * 8 + j] * s[i + k]
        for p in range((d + 5) // 4):
            for q in range(p // 2, width // 8):
                tile(scratch + (p // 2) * ROWS * 8 + p % 2 * 4, other + q * ROWS * 8, m, width,
                     total + 4 * p * width + 8 * q)
        i += ROWS


cdef cloned residual_rows(const double* X, const double* y, const double* w, double b, const double* shift, Py_ssize_t n,
                          Py_ssize_t d, double* out) noexcept nogil:
    # Four sums a row, of every fourth column each; four rows at a time, so that additions overlap.
    cdef Py_ssize_t i, j, k, g, rows, whole = d // 4 * 4
    cdef const double* x[4]
    cdef d4 s[4]
    cdef d4 c, v
    cdef double* lane
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
                s[k] = s[k] + ((<const d4*>(x[k] + j))[0] - c) * v
        for k in range(rows):
            rest = 0
            for j in range(whole, d):
                rest += (x[k][j] - shift[j]) * w[j]
            lane = <double*>&s[k]
            out[i + k] = (y[i + k] - b) - (((lane[0] + lane[1]) + (lane[2] + lane[3])) + rest)


cdef cloned product_rows(const double* X, const double* g, const double* shift, Py_ssize_t n, Py_ssize_t d,
                         double* total) noexcept nogil:
    # Four rows at a time in a fixed tree.
    cdef Py_ssize_t i, j, whole = n // 4 * 4
    cdef const double* x
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


def gram(const double[:, ::1] X, const double[::1] y, const double[::1] s, const double[::1] shift, const double[::1] factor,
         double[::1] scratch, double[:, ::1] total):
    """Add to the upper triangle of total, in tiles: Z' S Z for Z = 1, (X - shift) * factor, y.

    total is (W, W), W a multiple of 8 and at least D + 2; scratch has room for 128 W.
    """
    cdef const double* x = &X[0, 0] if X.shape[1] else NULL
    with nogil:
        gram_rows(x, &y[0], at(s), at(shift), at(factor), X.shape[0], X.shape[1], total.shape[1], &scratch[0], &total[0, 0])


def residuals(const double[:, ::1] X, const double[::1] y, const double[::1] w, double b, const double[::1] shift,
              double[::1] out):
    """out = y - b - (X - shift) w."""
    cdef const double* x = &X[0, 0] if X.shape[1] else NULL
    with nogil:
        residual_rows(x, &y[0], at(w), b, at(shift), X.shape[0], X.shape[1], &out[0])


def products(const double[:, ::1] X, const double[::1] g, const double[::1] shift, double[::1] total):
    """Add to total: the sum of g, then the columns of X - shift times g."""
    cdef const double* x = &X[0, 0] if X.shape[1] else NULL
    with nogil:
        product_rows(x, &g[0], at(shift), X.shape[0], X.shape[1], &total[0])


def powers(const double[::1] r, double e, double[::1] out):
    """out = |r| ** e."""
    with nogil:
        powers_of(&r[0], r.shape[0], e, &out[0])
