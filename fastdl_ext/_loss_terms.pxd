"""From residuals to losses, slopes and curvatures: what one model and many have in common.

`terms` and `bends` become part of the kernel that calls them, and so are compiled at its CPU level; powers have levels
of their own.
"""

from libc.math cimport INFINITY, fabs, sqrt
from libc.string cimport memset

from fastdl_ext._common cimport cloned
from fastdl_ext._lanes cimport inlined
from fastdl_ext.power cimport at_zero, e_high, e_high32, less, power, power32

# What turns n residuals into losses and their derivatives by the residual.
ctypedef void (*pointwise)(const double* residual, Py_ssize_t n, double* value, double* slope) noexcept nogil

cdef struct Loss:
    pointwise own       # the user's function, or NULL, then |r|^p:
    double p
    int whole           # u^(p-1), u = |r|, is this many factors u ...
    int half            # ... times sqrt(u) to this power, -1, 0 or 1; 2: it needs a general power
    bint narrow         # the general power may be of single precision

cdef struct Bend:       # the curvature, p (p - 1) max(u, least)^(p - 2): for p < 2 it has no bound near 0
    double p
    double least


cdef inline Loss loss_of(double p, pointwise own, bint narrow) noexcept nogil:
    cdef Loss q
    cdef double e = p - 1
    q.own = own
    q.p = p
    q.whole = 0
    q.half = 2
    q.narrow = narrow and p <= 4        # above, |r|^(p-1) might not fit
    if 0 <= e <= 16 and 2 * e == <int>(2 * e):
        q.whole = <int>e
        q.half = <int>(2 * e) - 2 * q.whole
    elif e == -0.5:
        q.half = -1
    return q


cdef inline cloned powers(const double* u, Py_ssize_t n, double e, double* out) noexcept nogil:
    cdef Py_ssize_t i
    cdef double high = e_high(e), low = e - e_high(e), zero = at_zero(e), infinite = at_zero(-e)
    for i in range(n):
        out[i] = power(fabs(u[i]), high, low, zero, infinite)


cdef inline cloned roots(const double* u, Py_ssize_t n, int whole, bint half, bint under, double* out) noexcept nogil:
    # |u|^(whole + half / 2), or 1 over it: at 0, infinity and NaN as `power` has it. out is not u.
    cdef Py_ssize_t i
    cdef int k
    for i in range(n):
        out[i] = sqrt(fabs(u[i])) if half else 1
    for k in range(whole):  # no-cython-lint: the count is all that matters
        for i in range(n):
            out[i] *= fabs(u[i])
    if under:
        for i in range(n):
            out[i] = 1 / out[i]


cdef inline inlined any_powers(const double* u, Py_ssize_t n, double e, double* out) noexcept nogil:
    # `powers`, but where they are a few products or a root with a fifth of the work. out is not u.
    cdef double twice = 2 * fabs(e)
    cdef int count = <int>twice if twice <= 8 else 0
    if count and count == twice:
        roots(u, n, count // 2, count % 2, e < 0, out)
    else:
        powers(u, n, e, out)


cdef inline cloned powers32(const double* u, Py_ssize_t n, double e, double* out) noexcept nogil:
    cdef Py_ssize_t i
    cdef float high = e_high32(e), low = <float>(e - e_high32(e)), zero = <float>at_zero(e), infinite = <float>at_zero(-e)
    for i in range(n):
        out[i] = power32(<float>fabs(u[i]), high, low, zero, infinite)


cdef inline inlined terms(const Loss* q, const double* r, Py_ssize_t n, double* value, double* slope) noexcept nogil:
    # Selects, not branches: signs of residuals are as good as random.  One power is enough, t = u^(p-1): the loss is u t and the
    # slope p t.
    cdef Py_ssize_t i
    cdef int k
    cdef double u, t, p = q.p
    if q.own != NULL:
        q.own(r, n, value, slope)
        return
    if p == 2:
        for i in range(n):
            value[i] = r[i] * r[i]
            slope[i] = 2 * r[i]
        return
    if p == 1:
        for i in range(n):
            value[i] = fabs(r[i])
            slope[i] = less(0, r[i], 1, less(r[i], 0, -1, r[i] * 0))        # 0 at 0, NaN at NaN
        return
    if q.half == 2:
        if q.narrow:
            powers32(r, n, p - 1, slope)
        else:
            powers(r, n, p - 1, slope)
    elif q.half == 0:
        for i in range(n):
            slope[i] = 1
    elif q.half == 1:
        for i in range(n):
            slope[i] = sqrt(fabs(r[i]))
    else:
        for i in range(n):
            slope[i] = 1 / sqrt(fabs(r[i]))
    for k in range(q.whole):  # no-cython-lint: the count is all that matters
        for i in range(n):
            slope[i] *= fabs(r[i])
    for i in range(n):
        u = fabs(r[i])
        t = slope[i]
        value[i] = less(0, u, less(u, INFINITY, u * t, u), u)
        t = p * t
        slope[i] = less(0, r[i], t, less(r[i], 0, -t, r[i] * 0))


cdef inline inlined bends(const Bend* q, const double* r, Py_ssize_t n, double* out) noexcept nogil:
    cdef Py_ssize_t i
    cdef double least = q.least, factor = q.p * (q.p - 1)
    if factor == 0:
        memset(out, 0, n * sizeof(double))
        return
    for i in range(n):
        out[i] = less(fabs(r[i]), least, least, fabs(r[i]))
    powers(out, n, q.p - 2, out)
    for i in range(n):
        out[i] *= factor
