"""Sums of Chebyshev polynomials T_k of points, fold by fold, and series of them.  Trusts its caller: n, folds > 0.

From the sums all least-squares polynomials of degrees 0 to P follow, and their losses: products of Chebyshev polynomials are sums
of two (T_j T_k = (T_(j+k) + T_|j-k|) / 2; Abramowitz and Stegun, 22.7.24). Series are summed by Clenshaw's recurrence (1955).

A block of rows is sorted by fold first, so that the lanes of a vector are of one fold.  For each, over its rows,

    sum s T_k for k = 0..2P,  sum s y T_k for k = 0..P,  sum s y^2,  and the number of rows.

Above P, T_2m = 2 T_m^2 - 1 and T_(2m+1) = 2 T_m T_(m+1) - t: no T_k is formed there.  Four degrees at a time have their
sums in registers, and go through a tile of points whose last two T_k are in the first-level cache.  Bound by arithmetic:
5 operations a point and degree, 9 from degree P / 2 on, and up to 3 more with weights.
"""

from libc.stdint cimport int32_t
from libc.string cimport memset

from fastdl_ext._common cimport cloned, real
from fastdl_ext._lanes cimport d4, d4_totals, inlined

cdef enum:
    BLOCK = 4096        # rows whose sums are formed apart, at borders fixed by their numbers: as in polynomial_stats.py
    TILE = 256          # points: six arrays of them are 12 KB, within the first-level cache
    STEP = 4            # degrees: four() and the loops over them are written for it
    HIGHEST = 64        # more than the highest degree, which is 60, and a multiple of STEP

ctypedef struct Series:
    double low, high, offset
    Py_ssize_t degree
    const double* subtracted     # coefficients of what is subtracted from y, or NULL


cdef inlined clenshaw(const double* c, Py_ssize_t degree, const double* t, Py_ssize_t n, double* out) noexcept nogil:
    # The series of up to a tile of points.
    cdef double b1[TILE]
    cdef double b2[TILE]
    cdef double next
    cdef Py_ssize_t i, k
    for i in range(n):
        b1[i] = 0
        b2[i] = 0
    for k in range(degree, 0, -1):
        for i in range(n):
            next = (c[k] + (t[i] + t[i]) * b1[i]) - b2[i]
            b2[i] = b1[i]
            b1[i] = next
    for i in range(n):
        out[i] = (c[0] + t[i] * b1[i]) - b2[i]


cdef inlined mapped(const Series* q, const real* x, Py_ssize_t n, double* t) noexcept nogil:
    cdef Py_ssize_t i
    cdef double width = q.high - q.low
    for i in range(n):
        t[i] = ((x[i] - q.low) - (q.high - x[i])) / width


cdef struct Tile:               # of points, four in a vector
    double v[TILE]              # T_m
    double u[TILE]              # T_(m+1)
    double t2[TILE]             # 2 t
    double sy[TILE]             # s y
    double s[TILE]


cdef inlined four(Tile* tile, Py_ssize_t n, bint weighted, bint products, d4* sums) noexcept nogil:
    # Four degrees from m on: their sums, of T_m, s y T_m, T_m^2 and T_m T_(m+1), HIGHEST apart, grow by those of n vectors of
    # points, and v and u move on by four. Nothing but locals within the loop, so that sums stay in registers.
    cdef d4 *v = <d4*>tile.v, *u = <d4*>tile.u
    cdef const d4 *t2 = <const d4*>tile.t2, *y = <const d4*>tile.sy, *s = <const d4*>tile.s
    cdef d4 *first = sums, *cross = sums + HIGHEST, *square = sums + 2 * HIGHEST, *next = sums + 3 * HIGHEST
    cdef d4 f0 = first[0], f1 = first[1], f2 = first[2], f3 = first[3]
    cdef d4 c0 = cross[0], c1 = cross[1], c2 = cross[2], c3 = cross[3]
    cdef d4 p0 = square[0], p1 = square[1], p2 = square[2], p3 = square[3]
    cdef d4 q0 = next[0], q1 = next[1], q2 = next[2], q3 = next[3]
    cdef d4 a, b, c, d, e, t, z, w
    cdef Py_ssize_t i
    for i in range(n):
        a = v[i]
        b = u[i]
        t = t2[i]
        z = y[i]
        c = t * b - a
        d = t * c - b
        e = t * d - c
        v[i] = e
        u[i] = t * e - d
        c0 = c0 + a * z
        c1 = c1 + b * z
        c2 = c2 + c * z
        c3 = c3 + d * z
        if weighted:
            w = s[i]
            f0 = f0 + a * w
            f1 = f1 + b * w
            f2 = f2 + c * w
            f3 = f3 + d * w
            if products:
                p0 = p0 + a * w * a
                q0 = q0 + a * w * b
                p1 = p1 + b * w * b
                q1 = q1 + b * w * c
                p2 = p2 + c * w * c
                q2 = q2 + c * w * d
                p3 = p3 + d * w * d
                q3 = q3 + d * w * e
        else:
            f0 = f0 + a
            f1 = f1 + b
            f2 = f2 + c
            f3 = f3 + d
            if products:
                p0 = p0 + a * a
                q0 = q0 + a * b
                p1 = p1 + b * b
                q1 = q1 + b * c
                p2 = p2 + c * c
                q2 = q2 + c * d
                p3 = p3 + d * d
                q3 = q3 + d * e
    first[0], first[1], first[2], first[3] = f0, f1, f2, f3
    cross[0], cross[1], cross[2], cross[3] = c0, c1, c2, c3
    if products:
        square[0], square[1], square[2], square[3] = p0, p1, p2, p3
        next[0], next[1], next[2], next[3] = q0, q1, q2, q3


cdef inlined load_tile(const Series* q, const double* x, const double* y, const double* s, Py_ssize_t m, Tile* tile,
                       d4* square) noexcept nogil:
    # m points, and points whose T_k are all 0 to a whole vector; `square` grows by their s y^2. Without weights s is NULL.
    cdef double z[TILE]
    cdef double fit[TILE]
    cdef Py_ssize_t i, rows = (m + 3) // 4 * 4
    mapped(q, x, m, tile.u)
    for i in range(m):
        z[i] = y[i] - q.offset
        tile.v[i] = 1
    if q.subtracted != NULL:
        clenshaw(q.subtracted, q.degree, tile.u, m, fit)
        for i in range(m):
            z[i] -= fit[i]
    if s != NULL:
        for i in range(m):
            tile.s[i] = s[i]
    for i in range(m, rows):
        tile.u[i] = 0
        tile.v[i] = 0
        z[i] = 0
        tile.s[i] = 0
    for i in range(rows):
        tile.t2[i] = tile.u[i] + tile.u[i]
        tile.sy[i] = z[i] * tile.s[i] if s != NULL else z[i]
    for i in range(rows // 4):
        square[0] = square[0] + (<d4*>z)[i] * (<d4*>tile.sy)[i]


cdef inlined one_fold(const Series* q, const double* x, const double* y, const double* s, Py_ssize_t n, bint weighted,
                      double* out) noexcept nogil:
    # The sums of a fold's rows: 2P+1, P+1, 1, 1 of them.
    cdef d4 sums[4][HIGHEST]            # of T_m, s y T_m, T_m^2, T_m T_(m+1)
    cdef d4 squares[4]
    cdef Tile tile
    cdef double totals[HIGHEST]
    cdef Py_ssize_t start, j, k, m, top = (q.degree + STEP) // STEP * STEP
    memset(sums, 0, sizeof(sums))
    memset(squares, 0, sizeof(squares))
    start = 0
    while start < n:
        m = min(<Py_ssize_t>TILE, n - start)
        load_tile(q, x + start, y + start, s + start if weighted else NULL, m, &tile, squares)
        for k in range(0, top, 4):
            if 2 * (k + STEP) - 1 <= q.degree:
                four(&tile, (m + 3) // 4, weighted, False, sums[0] + k)
            else:
                four(&tile, (m + 3) // 4, weighted, True, sums[0] + k)
        start += m
    for j in range(4):
        for k in range(0, top, 4):
            (<d4*>(totals + k))[0] = d4_totals(sums[j] + k)
        if j < 2:
            for k in range(q.degree + 1):
                out[j * (2 * q.degree + 1) + k] = totals[k]
        else:
            for k in range(q.degree + 1):
                m = 2 * k + j - 2
                if q.degree < m <= 2 * q.degree:
                    out[m] = 2 * totals[k] - out[j - 2]
    for k in range(1, 4):
        squares[k] = squares[0] - squares[0]
    (<d4*>totals)[0] = d4_totals(squares)
    out[3 * q.degree + 2] = totals[0]
    out[3 * q.degree + 3] = n


cdef struct Folds:
    const int32_t* number       # (n,) of each row, or NULL: all 0; rows of another number than 0..count - 1 are left out
    Py_ssize_t count
    Py_ssize_t* ends            # room for where each begins and ends, count + 1
    double* sorted              # room for x, y and s of a block by fold, 3 (BLOCK + count + 1)


cdef inlined block(const Series* q, const real* x, const real* y, const real* s, const Folds* all_, Py_ssize_t n,
                   double* out) noexcept nogil:
    # Rows of no fold are sorted behind the last.  A row of weight 0 is written, but its place taken by the next one: each
    # fold has a place more than it needs.
    cdef const int32_t* fold = all_.number
    cdef Py_ssize_t* ends = all_.ends
    cdef Py_ssize_t folds = all_.count
    cdef double* sx = all_.sorted
    cdef double* sy = sx + BLOCK + folds + 1
    cdef double* ss = sy + BLOCK + folds + 1
    cdef Py_ssize_t i, k, at, count, start = 0, width = 3 * q.degree + 4
    memset(ends, 0, (folds + 1) * sizeof(Py_ssize_t))
    for i in range(n):
        k = 0 if fold == NULL else fold[i]
        k = k if 0 <= k < folds else folds
        ends[k] += s == NULL or s[i] != 0
    for k in range(folds + 1):
        count = ends[k]
        ends[k] = start
        start += count + 1
    for i in range(n):
        k = 0 if fold == NULL else fold[i]
        k = k if 0 <= k < folds else folds
        at = ends[k]
        sx[at] = x[i]
        sy[at] = y[i]
        if s == NULL:
            ends[k] = at + 1
        else:
            ss[at] = s[i]
            ends[k] = at + (s[i] != 0)
    start = 0
    for k in range(folds):
        if s == NULL:
            one_fold(q, sx + start, sy + start, ss, ends[k] - start, False, out + k * width)
        else:
            one_fold(q, sx + start, sy + start, ss + start, ends[k] - start, True, out + k * width)
        start = ends[k] + 1


cdef cloned blocks_f32(const Series* q, const float* x, const float* y, const float* s, const Folds* folds, Py_ssize_t n,
                       double* out) noexcept nogil:
    block(q, x, y, s, folds, n, out)


cdef cloned blocks_f64(const Series* q, const double* x, const double* y, const double* s, const Folds* folds, Py_ssize_t n,
                       double* out) noexcept nogil:
    block(q, x, y, s, folds, n, out)


cdef cloned series_f64(const Series* q, const double* x, double* out, Py_ssize_t n) noexcept nogil:
    cdef double t[TILE]
    cdef Py_ssize_t i, m
    i = 0
    while i < n:
        m = min(<Py_ssize_t>TILE, n - i)
        mapped(q, x + i, m, t)
        clenshaw(q.subtracted, q.degree, t, m, out + i)
        i += m


cdef cloned series_f32(const Series* q, const float* x, double* out, Py_ssize_t n) noexcept nogil:
    cdef double t[TILE]
    cdef Py_ssize_t i, m
    i = 0
    while i < n:
        m = min(<Py_ssize_t>TILE, n - i)
        mapped(q, x + i, m, t)
        clenshaw(q.subtracted, q.degree, t, m, out + i)
        i += m


def block_sums(const real[::1] x, const real[::1] y, const real[::1] s, const int32_t[::1] fold, how, double[:, :, ::1] out,
               double[::1] scratch, Py_ssize_t[::1] ends):
    """Write the sums of each block, (blocks, folds, 3P + 4); y is taken less offset and the series `subtracted`.

    how: (low, high, offset, subtracted), the domain first; scratch and ends are room for the rows by fold.
    """
    cdef const double[::1] subtracted = how[3]
    cdef Series q = Series(how[0], how[1], how[2], (out.shape[2] - 4) // 3, NULL)
    cdef Folds folds = Folds(NULL, out.shape[1], &ends[0], &scratch[0])
    cdef Py_ssize_t i, n = x.shape[0], m
    cdef const real* weight = NULL
    if subtracted is not None:
        q.subtracted = &subtracted[0]
    with nogil:
        for i in range(out.shape[0]):
            m = min(<Py_ssize_t>BLOCK, n - i * BLOCK)
            if s is not None:
                weight = &s[i * BLOCK]
            if fold is not None:
                folds.number = &fold[i * BLOCK]
            if real is float:
                blocks_f32(&q, &x[i * BLOCK], &y[i * BLOCK], weight, &folds, m, &out[i, 0, 0])
            else:
                blocks_f64(&q, &x[i * BLOCK], &y[i * BLOCK], weight, &folds, m, &out[i, 0, 0])


def series(const real[::1] x, double low, double high, const double[::1] coefficients, double[::1] out):
    """The Chebyshev series of each x by Clenshaw's recurrence."""
    cdef Series q = Series(low, high, 0, coefficients.shape[0] - 1, &coefficients[0])
    with nogil:
        if real is float:
            series_f32(&q, &x[0], &out[0], x.shape[0])
        else:
            series_f64(&q, &x[0], &out[0], x.shape[0])
