"""Products over the rows of a fit: weighted Gram matrices, residuals, columns times a vector, powers of residuals.

Gram matrices are made as in BLAS (_gram_tiles.pxd), bound by arithmetic; the others read X once and are bound by memory:
what needs residuals and their products with the columns (`squares`, `near`) takes 64 rows at a time, which are still in
the first-level cache for the second.
Columns are shifted as they are read, so that a far-off mean does not cancel. Entropies are bound by arithmetic: for each
class of a row an exponential, for each row a logarithm. Every sum has one order, whatever the CPU:
rows in turn, in groups that are added in turn.  Trusts its caller: C-contiguous, n > 0.
"""

from libc.math cimport copysign, fabs
from libc.string cimport memcpy

from fastdl_ext._common cimport cloned, real
from fastdl_ext._gram_tiles cimport gram_call, gram_level, gram_rows
from fastdl_ext._loss_terms cimport any_powers
from fastdl_ext._model_rows cimport CHUNK, at, model_rows, product_rows, residual_rows
from fastdl_ext._softmax cimport exp_below_zero, log1p_of
from fastdl_ext.power cimport equal, less

cdef int LEVEL = gram_level()


cdef enum:
    GROUP = 256         # rows whose sums over the classes are in the first-level cache


cdef cloned sigmoid_rows(double* z, const double* y, const double* s, Py_ssize_t n, double* g, double* loss,
                         double* entropy) noexcept nogil:
    # Of two classes, the first has logit 0. What is small is never made as the difference of what is large. A group of
    # rows at a time in arrays of its own, which no other can overlap: so the compiler takes many rows at once.
    cdef double part[GROUP]
    cdef double q[GROUP]
    cdef double slope[GROUP]
    cdef double lost[GROUP]
    cdef double spread[GROUP]
    cdef Py_ssize_t i, j, m
    cdef double far, low, high, above, below
    i = 0
    while i < n:
        m = min(GROUP, n - i)
        for j in range(m):
            part[j] = exp_below_zero(less(z[i + j], 0, z[i + j], -z[i + j]))
        for j in range(m):
            high = 1 / (1 + part[j])
            low = part[j] * high
            q[j] = less(0, z[i + j], high, low)
            spread[j] = low
            low = less(0, z[i + j], -low, -high)
            slope[j] = s[i + j] * equal(y[i + j], 0, q[j], low)
        for j in range(m):
            part[j] = log1p_of(part[j])
        for j in range(m):
            far = less(z[i + j], 0, -z[i + j], z[i + j])
            above = less(0, z[i + j], far, 0)
            below = less(0, z[i + j], 0, far)
            lost[j] = s[i + j] * (part[j] + equal(y[i + j], 0, above, below))
            spread[j] = s[i + j] * (part[j] + spread[j] * far)
        memcpy(z + i, q, m * sizeof(double))
        memcpy(g + i, slope, m * sizeof(double))
        memcpy(loss + i, lost, m * sizeof(double))
        memcpy(entropy + i, spread, m * sizeof(double))
        i += GROUP


cdef cloned softmax_rows(double* z, const double* y, const double* s, Py_ssize_t n, Py_ssize_t classes, double* g, double* loss,
                         double* entropy) noexcept nogil:
    # A group of rows at a time, class by class: what the classes add to a row is then added to many rows at once.
    cdef double top[GROUP]
    cdef double first[GROUP]    # the class of the greatest logit
    cdef double rest[GROUP]     # the sum of the exponentials of the others
    cdef double other[GROUP]    # of all classes but the row's own
    cdef double own[GROUP]
    cdef double mean[GROUP]
    cdef Py_ssize_t i, j, k, m
    cdef double* row
    cdef double e, lost, weight
    i = 0
    while i < n:
        m = min(GROUP, n - i)
        for j in range(m):
            top[j] = z[i + j]
            first[j] = 0
            rest[j] = 0
            other[j] = 0
            own[j] = 0
            mean[j] = 0
        for k in range(1, classes):
            row = z + k * n + i
            for j in range(m):
                first[j] = less(top[j], row[j], <double>k, first[j])
                top[j] = less(top[j], row[j], row[j], top[j])
        for k in range(classes):
            row = z + k * n + i
            for j in range(m):
                e = exp_below_zero(row[j] - top[j])
                rest[j] += equal(first[j], <double>k, 0, e)
                other[j] += equal(y[i + j], <double>k, 0, e)
                own[j] = equal(y[i + j], <double>k, top[j] - row[j], own[j])
                mean[j] += e * (top[j] - row[j])
                g[k * n + i + j] = e
        for j in range(m):
            lost = log1p_of(rest[j])
            e = 1 / (1 + rest[j])
            weight = s[i + j]
            loss[i + j] = weight * (lost + own[j])
            entropy[i + j] = weight * (lost + mean[j] * e)
            other[j] = -weight * (other[j] * e)
            rest[j] = e
        for k in range(classes):
            row = z + k * n + i
            for j in range(m):
                e = g[k * n + i + j] * rest[j]
                row[j] = e
                g[k * n + i + j] = equal(y[i + j], <double>k, other[j], s[i + j] * e)
        i += GROUP


def gram(const real[:, ::1] X, const double[::1] y, const double[::1] s, const double[::1] shift, const double[::1] factor,
         double[::1] scratch, double[:, ::1] total):
    """Add to the upper triangle of total, in tiles: Z' S Z for Z = 1, (X - shift) * factor, y.

    total is (W, W), W a multiple of 8 and at least D + 2; scratch has room for 128 W.
    """
    cdef gram_call call
    call.X = &X[0, 0] if X.shape[1] else NULL
    call.y, call.s, call.shift, call.factor = &y[0], at(s), at(shift), at(factor)
    call.n, call.d, call.width = X.shape[0], X.shape[1], total.shape[1]
    call.scratch, call.total = &scratch[0], &total[0, 0]
    with nogil:
        gram_rows(&call, real is float, LEVEL)


def residuals(const real[:, ::1] X, const double[::1] y, const double[::1] w, double b, const double[::1] shift,
              double[::1] out):
    """out = y - b - (X - shift) w."""
    cdef const real* x = &X[0, 0] if X.shape[1] else NULL
    with nogil:
        residual_rows(x, &y[0], at(w), b, at(shift), X.shape[0], X.shape[1], &out[0])


def products(const real[:, ::1] X, const double[::1] g, const double[::1] shift, double[::1] total):
    """Add to total: the sum of g, then the columns of X - shift times g."""
    cdef const real* x = &X[0, 0] if X.shape[1] else NULL
    with nogil:
        product_rows(x, &g[0], at(shift), X.shape[0], X.shape[1], &total[0])


cdef void squares_of(const real* X, const model_rows* a, double* total) noexcept nogil:
    # The squares of a chunk in eight lanes, and chunks by compensated addition (Knuth's two-sum): bounds of the least sum of
    # squares allow for some hundred roundings, and a plain sum of 100,000 equal squares may round the same way every time.
    cdef double g[CHUNK]
    cdef double[8] lane
    cdef Py_ssize_t k, m, i = 0
    cdef double r, chunk, whole = 0, low = 0, grown, added
    while i < a.n:
        m = min(<Py_ssize_t>CHUNK, a.n - i)
        residual_rows(X + i * a.d, a.y + i, a.w, a.b, a.shift, m, a.d, g)
        for k in range(8):
            lane[k] = 0
        for k in range(m):
            r = g[k]
            if a.s != NULL:
                g[k] = a.s[i + k] * r
            lane[k % 8] += g[k] * r
        chunk = ((lane[0] + lane[1]) + (lane[2] + lane[3])) + ((lane[4] + lane[5]) + (lane[6] + lane[7]))
        grown = whole + chunk
        added = grown - whole
        low += (whole - (grown - added)) + (chunk - added)
        whole = grown
        product_rows(X + i * a.d, g, a.shift, m, a.d, total + 1)
        i += CHUNK
    total[0] += whole + low if low == low else whole         # where sums overflow, what was lost is NaN


def squares(const real[:, ::1] X, const double[::1] y, const double[::1] s, const double[::1] w, double b,
            const double[::1] shift, double[::1] total):
    """Of the residuals r = y - b - (X - shift) w, add to total: the sum of s r^2, then `products` of s r; X is read once.
    """
    cdef const real* x = &X[0, 0] if X.shape[1] else NULL
    cdef model_rows a
    a.y, a.s, a.w, a.shift, a.b, a.n, a.d = &y[0], at(s), at(w), at(shift), b, X.shape[0], X.shape[1]
    with nogil:
        squares_of(x, &a, &total[0])


cdef Py_ssize_t near_rows(const double* X, const model_rows* a, double reach, Py_ssize_t* index, double* total) noexcept nogil:
    cdef double g[CHUNK]
    cdef Py_ssize_t k, m, i = 0, found = 0
    cdef double weight
    while i < a.n:
        m = min(<Py_ssize_t>CHUNK, a.n - i)
        residual_rows(X + i * a.d, a.y + i, a.w, a.b, a.shift, m, a.d, g)
        for k in range(m):
            index[found] = i + k
            weight = 1 if a.s == NULL else a.s[i + k]
            found += fabs(g[k]) <= reach
            g[k] = 0 if fabs(g[k]) <= reach else copysign(weight, g[k])
        product_rows(X + i * a.d, g, a.shift, m, a.d, total)
        i += CHUNK
    return found


def near(const double[:, ::1] X, const double[::1] y, const double[::1] s, const double[::1] model,
         const double[::1] shift, double reach, Py_ssize_t[::1] index, double[::1] total):
    """The number of rows whose residual from the model (b, w) is at most `reach`; these are written to index (n).

    Add to total: `products` of s times the signs of the residuals of all others. X is read once.
    """
    cdef const double* x = &X[0, 0] if X.shape[1] else NULL
    cdef Py_ssize_t found
    cdef model_rows a
    a.y, a.s, a.w, a.shift, a.b, a.n, a.d = &y[0], at(s), &model[0] + 1, at(shift), model[0], X.shape[0], X.shape[1]
    with nogil:
        found = near_rows(x, &a, reach, &index[0], &total[0])
    return found


cdef cloned clipped_sums(const real* X, const model_rows* a, double delta, double* inside, double* total) noexcept nogil:
    # Arrays of its own, which no other can overlap, and eight rows at a time: so the compiler takes many at once.
    cdef double g[CHUNK]
    cdef double s[CHUNK]
    cdef double within[CHUNK]
    cdef double[4][CHUNK] value
    cdef double[4][8] lane
    cdef Py_ssize_t j, k, m, i = 0
    cdef double r, cut
    for k in range(32):
        lane[k // 8][k % 8] = 0
    for k in range(CHUNK):
        s[k] = 1
    while i < a.n:
        m = min(<Py_ssize_t>CHUNK, a.n - i)
        if a.s != NULL:
            memcpy(s, a.s + i, m * sizeof(double))
        residual_rows(X + i * a.d, a.y + i, a.w, a.b, a.shift, m, a.d, g)
        for k in range(m, CHUNK):       # they add nothing
            g[k] = s[k] = 0
        for k in range(CHUNK):
            r = fabs(g[k])
            cut = less(delta, r, delta, r)
            within[k] = less(delta, r, 0, s[k])
            value[0][k] = s[k] * (cut * r)
            value[1][k] = s[k] * (cut * cut)
            value[2][k] = s[k] * r
            value[3][k] = s[k] * cut
            g[k] = copysign(value[3][k], g[k])
        for k in range(0, CHUNK, 8):
            for j in range(8):
                lane[0][j] += value[0][k + j]
                lane[1][j] += value[1][k + j]
                lane[2][j] += value[2][k + j]
                lane[3][j] += value[3][k + j]
        memcpy(inside + i, within, m * sizeof(double))
        product_rows(X + i * a.d, g, a.shift, m, a.d, total + 4)
        i += CHUNK
    for k in range(4):
        total[k] += (((lane[k][0] + lane[k][1]) + (lane[k][2] + lane[k][3]))
                     + ((lane[k][4] + lane[k][5]) + (lane[k][6] + lane[k][7])))


def clipped(const real[:, ::1] X, const double[::1] y, const double[::1] s, const double[::1] model,
            const double[::1] shift, double delta, double[::1] inside, double[::1] total):
    """Of the residuals r from the model (b, w), and a = r cut at delta, add to total, and write where none is cut.

    Added are the sums of s a r, s a^2, s |r| and s |a|, then `products` of s a; inside is s where |r| <= delta, else 0.
    """
    cdef const real* x = &X[0, 0] if X.shape[1] else NULL
    cdef model_rows a
    a.y, a.s, a.w, a.shift, a.b, a.n, a.d = &y[0], at(s), &model[0] + 1, at(shift), model[0], X.shape[0], X.shape[1]
    with nogil:
        clipped_sums(x, &a, delta, &inside[0], &total[0])


def residuals_of_models(const double[:, ::1] X, const double[:, ::1] y, const double[:, ::1] w, const double[::1] b,
                        const double[:, ::1] shift, double[:, ::1] out):
    """`residuals` of several models, each with a y and a shift of its own, to rows of out; X is read once."""
    cdef Py_ssize_t k, m, i = 0, n = X.shape[0], d = X.shape[1]
    cdef const double* x = &X[0, 0] if d else NULL
    cdef const double* c = &shift[0, 0] if d else NULL
    cdef const double* v = &w[0, 0] if d else NULL
    with nogil:
        while i < n:
            m = min(<Py_ssize_t>CHUNK, n - i)
            for k in range(w.shape[0]):
                residual_rows(x + i * d, &y[k, i], v + k * d, b[k], c + k * d, m, d, &out[k, i])
            i += CHUNK


def powers(const double[::1] r, double e, double[::1] out):
    """out = |r| ** e."""
    with nogil:
        any_powers(&r[0], r.shape[0], e, &out[0])


def entropies(double[:, ::1] z, const double[::1] y, const double[::1] s, double[:, ::1] g, double[::1] loss,
              double[::1] entropy):
    """Of rows with logits z (K, n), or (1, n) of the second of two classes where the first has 0, and classes y.

    Write over z the probabilities q, and s (q - onehot(y)) to g; to loss and entropy s times the cross-entropy and the
    entropy of q.
    """
    cdef Py_ssize_t n = z.shape[1], classes = z.shape[0]
    with nogil:
        if classes == 1:
            sigmoid_rows(&z[0, 0], &y[0], &s[0], n, &g[0, 0], &loss[0], &entropy[0])
        else:
            softmax_rows(&z[0, 0], &y[0], &s[0], n, classes, &g[0, 0], &loss[0], &entropy[0])
