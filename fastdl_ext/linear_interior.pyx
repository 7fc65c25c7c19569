"""What the interior point method of least absolute deviations does to each row (see linear/methods/_interior_point.py).

A state is x, v = 1 - x, z and w, (4, n): the way of a row's dual value from -s to s, what is left of it, and their
multipliers; `by` is what `scale` writes. Each function reads six to ten arrays and writes up to five, which of the rows
of a band are in the second- or third-level cache: bound by divisions, six of them a row and step, where the same in
NumPy goes over some sixty arrays. Element by element, without sums, in groups of rows whose results no other array can
overlap, so that the compiler takes many rows at once: the same bits on every CPU.  Trusts its caller: arrays of one length.
"""

from libc.string cimport memcpy

from fastdl_ext._common cimport cloned
from fastdl_ext.power cimport less

cdef enum:
    GROUP = 256


cdef cloned scale_rows(const double* state, const double* s, double* by, Py_ssize_t n) noexcept nogil:
    cdef double ix[GROUP]
    cdef double iv[GROUP]
    cdef double q[GROUP]
    cdef double h[GROUP]
    cdef Py_ssize_t j, m, i = 0
    while i < n:
        m = min(<Py_ssize_t>GROUP, n - i)
        for j in range(m):
            ix[j] = 1 / state[i + j]
            iv[j] = 1 / state[n + i + j]
            q[j] = 1 / (state[2 * n + i + j] * ix[j] + state[3 * n + i + j] * iv[j])
            h[j] = s[i + j] * s[i + j] * q[j]
        memcpy(by + i, ix, m * sizeof(double))
        memcpy(by + n + i, iv, m * sizeof(double))
        memcpy(by + 2 * n + i, q, m * sizeof(double))
        memcpy(by + 3 * n + i, h, m * sizeof(double))
        i += GROUP


cdef cloned affine_rows(const double* state, const double* s, const double* by, const double* r, double* out,
                        Py_ssize_t n) noexcept nogil:
    cdef double dx[GROUP]
    cdef double ahead[GROUP]
    cdef double back[GROUP]
    cdef double gain[GROUP]
    cdef double bend[GROUP]
    cdef Py_ssize_t j, m, i = 0
    cdef double e, a, b
    while i < n:
        m = min(<Py_ssize_t>GROUP, n - i)
        for j in range(m):
            e = s[i + j] * r[i + j]
            dx[j] = by[2 * n + i + j] * e
            a = dx[j] * by[i + j]
            b = dx[j] * by[n + i + j]
            ahead[j] = less(-a, b, b, -a)
            back[j] = less(a, -b, -b, a)
            gain[j] = (state[2 * n + i + j] - state[3 * n + i + j]) * dx[j]
            bend[j] = e * dx[j]
        memcpy(out + i, dx, m * sizeof(double))
        memcpy(out + n + i, ahead, m * sizeof(double))
        memcpy(out + 2 * n + i, back, m * sizeof(double))
        memcpy(out + 3 * n + i, gain, m * sizeof(double))
        memcpy(out + 4 * n + i, bend, m * sizeof(double))
        i += GROUP


cdef cloned center_rows(const double* state, const double* s, const double* by, const double* dx, double mu, double* out,
                        Py_ssize_t n) noexcept nogil:
    cdef double xz[GROUP]
    cdef double vw[GROUP]
    cdef double c[GROUP]
    cdef double g[GROUP]
    cdef Py_ssize_t j, m, i = 0
    cdef double a, b
    while i < n:
        m = min(<Py_ssize_t>GROUP, n - i)
        for j in range(m):
            a = dx[i + j] * by[i + j]
            b = dx[i + j] * by[n + i + j]
            xz[j] = -state[2 * n + i + j] * (a * (1 + a))
            vw[j] = -state[3 * n + i + j] * (b * (1 - b))
            c[j] = mu * (by[i + j] - by[n + i + j]) - xz[j] - vw[j]
            g[j] = s[i + j] * (by[2 * n + i + j] * c[j])
        memcpy(out + i, xz, m * sizeof(double))
        memcpy(out + n + i, vw, m * sizeof(double))
        memcpy(out + 2 * n + i, c, m * sizeof(double))
        memcpy(out + 3 * n + i, g, m * sizeof(double))
        i += GROUP


cdef cloned direct_rows(const double* state, const double* s, const double* by, const double* r, const double* middle,
                        double mu, double* out, Py_ssize_t n) noexcept nogil:
    cdef double dx[GROUP]
    cdef double dz[GROUP]
    cdef double dw[GROUP]
    cdef double ahead[GROUP]
    cdef double back[GROUP]
    cdef Py_ssize_t j, m, i = 0
    cdef double z, w, a, b
    while i < n:
        m = min(<Py_ssize_t>GROUP, n - i)
        for j in range(m):
            z = state[2 * n + i + j]
            w = state[3 * n + i + j]
            dx[j] = by[2 * n + i + j] * (s[i + j] * r[i + j] + middle[2 * n + i + j])
            dz[j] = (mu - z * dx[j]) * by[i + j] - z - middle[i + j]
            dw[j] = (mu + w * dx[j]) * by[n + i + j] - w + middle[n + i + j]
            a = -dx[j] * by[i + j]
            b = dx[j] * by[n + i + j]
            ahead[j] = less(a, b, b, a)
            a = -dz[j] / z
            b = -dw[j] / w
            back[j] = less(a, b, b, a)
        memcpy(out + i, dx, m * sizeof(double))
        memcpy(out + n + i, dz, m * sizeof(double))
        memcpy(out + 2 * n + i, dw, m * sizeof(double))
        memcpy(out + 3 * n + i, ahead, m * sizeof(double))
        memcpy(out + 4 * n + i, back, m * sizeof(double))
        i += GROUP


cdef cloned advance_rows(double* state, const double* step, double primal, double dual, const double* s, double* out,
                         Py_ssize_t n) noexcept nogil:
    cdef double x[GROUP]
    cdef double v[GROUP]
    cdef double z[GROUP]
    cdef double w[GROUP]
    cdef double gap[GROUP]
    cdef double sx[GROUP]
    cdef Py_ssize_t j, m, i = 0
    while i < n:
        m = min(<Py_ssize_t>GROUP, n - i)
        for j in range(m):
            x[j] = state[i + j] + primal * step[i + j]
            v[j] = state[n + i + j] - primal * step[i + j]
            z[j] = state[2 * n + i + j] + dual * step[n + i + j]
            w[j] = state[3 * n + i + j] + dual * step[2 * n + i + j]
            gap[j] = x[j] * z[j] + v[j] * w[j]
            sx[j] = s[i + j] * x[j]
        memcpy(state + i, x, m * sizeof(double))
        memcpy(state + n + i, v, m * sizeof(double))
        memcpy(state + 2 * n + i, z, m * sizeof(double))
        memcpy(state + 3 * n + i, w, m * sizeof(double))
        memcpy(out + i, gap, m * sizeof(double))
        memcpy(out + n + i, sx, m * sizeof(double))
        i += GROUP


def scale(const double[:, ::1] state, const double[::1] s, double[:, ::1] by):
    """Write by (4, n): 1 / x, 1 / v, q = 1 / (z / x + w / v), and s^2 q."""
    with nogil:
        scale_rows(&state[0, 0], &s[0], &by[0, 0], state.shape[1])


def affine(const double[:, ::1] state, const double[::1] s, const double[:, ::1] by, const double[::1] r,
           double[:, ::1] out):
    """Of the residuals r after the affine step write out (5, n): dx = q s r, and what its length and gap are made of.

    These are the larger of -dx / x and dx / v, the larger of their negatives, (z - w) dx, and dx^2 / q.
    """
    with nogil:
        affine_rows(&state[0, 0], &s[0], &by[0, 0], &r[0], &out[0, 0], state.shape[1])


def center(const double[:, ::1] state, const double[::1] s, const double[:, ::1] by, const double[::1] dx, double mu,
           double[:, ::1] out):
    """Write out (4, n): dx dz / x and dx dw / v of the affine step, c = mu (1 / x - 1 / v) less these, and s q c."""
    with nogil:
        center_rows(&state[0, 0], &s[0], &by[0, 0], &dx[0], mu, &out[0, 0], state.shape[1])


def direct(const double[:, ::1] state, const double[::1] s, const double[:, ::1] by, const double[::1] r,
           const double[:, ::1] middle, double mu, double[:, ::1] out):
    """Write out (5, n): dx = q (s r + c), dz, dw, the larger of -dx / x and dx / v, the larger of -dz / z and -dw / w.

    `middle` is what `center` wrote, or zeros for the affine step.
    """
    with nogil:
        direct_rows(&state[0, 0], &s[0], &by[0, 0], &r[0], &middle[0, 0], mu, &out[0, 0], state.shape[1])


def advance(double[:, ::1] state, const double[:, ::1] step, double primal, double dual, const double[::1] s,
            double[:, ::1] out):
    """Go along the step (dx, dz, dw, ...), x and v by `primal`, z and w by `dual`; write out (2, n): x z + v w, s x."""
    with nogil:
        advance_rows(&state[0, 0], &step[0, 0], primal, dual, &s[0], &out[0, 0], state.shape[1])
