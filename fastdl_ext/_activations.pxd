"""Activations of a network and their slopes: plain arithmetic without a branch, so that a loop over them is vectorised.

GELU is that of Hendrycks and Gimpel (2016) by tanh: z/2 (1 + tanh(c (z + 0.044715 z^3))), c = sqrt(2/pi).  Bound by arithmetic: a
tanh takes some 45 operations, in single precision 30.
"""

from libc.math cimport copysign, copysignf, fabs, fabsf
from libc.stdint cimport uint32_t
from libc.string cimport memcpy

from fastdl_ext._common cimport real
from fastdl_ext._exponential cimport exp_parts
from fastdl_ext._lanes cimport inlined
from fastdl_ext.power cimport equal, equal32, less, less32

cdef enum:
    IDENTITY, TANH, RELU, GELU

# tanh x = e / (e + 2), e = exp(2|x|) - 1 = 2^n (exp(f) - 1) + (2^n - 1) with |f| <= ln(2)/2: no digits cancel where x is small.
# Beyond 2|x| = 40 (20 in single precision) it rounds to 1, so that is where the argument is cut.


cdef inline double tanh64(double x) noexcept nogil:
    cdef double u = 2 * fabs(x), t, scale, rest
    exp_parts(less(u, 40, u, 40), &scale, &rest)
    t = scale * rest + (scale - 1)
    t = copysign(t / (t + 2), x)
    return equal(x, x, t, x)


cdef inline float tanh32(float x) noexcept nogil:
    # As exp_parts, in single precision: 1.5 2^23 rounds, ln 2 is in the two parts of Cephes' expf, the series ends with f^7/7!.
    cdef float u = <float>2 * fabsf(x), n, f, t, scale
    cdef uint32_t bits
    u = less32(u, 20, u, 20)
    n = u * <float>1.4426950408889634 + <float>12582912
    memcpy(&bits, &n, 4)
    n -= <float>12582912
    f = (u - n * <float>0.693359375) - n * <float>-2.12194440e-4
    t = <float>0.001388888888888889 + f * <float>0.0001984126984126984
    t = <float>0.008333333333333333 + f * t
    t = <float>0.041666666666666664 + f * t
    t = <float>0.16666666666666666 + f * t
    t = <float>0.5 + f * t
    t = f + (f * f) * t
    bits = (bits + 127) << 23
    memcpy(&scale, &bits, 4)
    t = scale * t + (scale - <float>1)
    t = copysignf(t / (t + <float>2), x)
    return equal32(x, x, t, x)


cdef inline inlined activate(int activation, real* a, real* slope, Py_ssize_t n) noexcept nogil:
    # In place; `slope` is written for GELU alone: those of the others follow from their values. third = 3 cubic.
    cdef Py_ssize_t i
    cdef real z, t, u, half = 0.5, one = 1, c = 0.7978845608028654, cubic = 0.044715, third = 0.134145
    if activation == TANH:
        for i in range(n):
            if real is float:
                a[i] = tanh32(a[i])
            else:
                a[i] = tanh64(a[i])
    elif activation == RELU:
        for i in range(n):
            if real is float:
                a[i] = less32(a[i], 0, 0, a[i])
            else:
                a[i] = less(a[i], 0, 0, a[i])
    elif activation == GELU:
        for i in range(n):
            z = a[i]
            if real is float:
                t = tanh32(c * (z + cubic * z * z * z))
                z = less32(z, -100, -100, z)                        # as beyond 100 t is 1 or -1, and infinity times 0 NaN
                u = less32(100, z, 100, z)
            else:
                t = tanh64(c * (z + cubic * z * z * z))
                z = less(z, -100, -100, z)
                u = less(100, z, 100, z)
            a[i] = half * z * (one + t)
            slope[i] = half * (one + t) + half * u * (one - t * t) * c * (one + third * u * u)


cdef inline inlined times_slope(int activation, const real* a, const real* slope, real* g, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    cdef real one = 1
    if activation == TANH:
        for i in range(n):
            g[i] *= one - a[i] * a[i]
    elif activation == RELU:
        for i in range(n):
            if real is float:
                g[i] = less32(0, a[i], g[i], a[i] * 0)             # NaN stays
            else:
                g[i] = less(0, a[i], g[i], a[i] * 0)
    elif activation == GELU:
        for i in range(n):
            g[i] *= slope[i]
