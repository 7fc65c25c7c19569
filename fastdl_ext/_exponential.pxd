"""exp in plain arithmetic, so that every CPU gives the same bits and a loop over it is vectorised.

exp(x) = 2^n exp(f) with |f| <= ln(2)/2, where n ln 2 is subtracted in two parts, the first product exact (Cody and Waite, "Software
manual for the elementary functions", 1980; the parts are those of Sun's fdlibm), and exp(f) by its Taylor series to f^13: the
coefficients are 1/2! to 1/13!, and the remainder is below 2^-55.  Bound by arithmetic: some 35 operations.
"""

from libc.stdint cimport uint64_t
from libc.string cimport memcpy

from fastdl_ext._lanes cimport inlined


cdef inline inlined exp_parts(double x, double* scale, double* rest) noexcept nogil:
    # exp(x) = scale (1 + rest), scale a power of two, for |x| <= 708. NaN stays, in rest.
    cdef double n, f, t
    cdef uint64_t bits
    n = x * 1.4426950408889634 + 6755399441055744.0                # x / ln 2 + 1.5 2^52, which rounds to n and holds it in its lowest bits
    memcpy(&bits, &n, 8)
    n -= 6755399441055744.0
    f = (x - n * 0.693147180369123816490) - n * 1.90821492927058770002e-10
    t = 2.08767569878681e-09 + f * 1.6059043836821613e-10
    t = 2.505210838544172e-08 + f * t
    t = 2.755731922398589e-07 + f * t
    t = 2.7557319223985893e-06 + f * t
    t = 2.48015873015873e-05 + f * t
    t = 0.0001984126984126984 + f * t
    t = 0.001388888888888889 + f * t
    t = 0.008333333333333333 + f * t
    t = 0.041666666666666664 + f * t
    t = 0.16666666666666666 + f * t
    t = 0.5 + f * t
    rest[0] = f + (f * f) * t
    bits = (bits + 1023) << 52
    memcpy(scale, &bits, 8)
