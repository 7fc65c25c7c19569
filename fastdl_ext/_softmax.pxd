"""The softmax of a row of logits and its cross-entropy: plain arithmetic, so that every CPU gives the same bits.

exp as in _exponential.pxd; log(v) = k ln 2 + 2 atanh((m - 1) / (m + 1)) with v = 2^k m, as in power.pxd. Both are within two
units in the last place.  The greatest logit is subtracted first, so that no exponential overflows.  Bound by arithmetic: an
exponential a class, some 35 operations, and a logarithm a row, some 30.
"""

from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy

from fastdl_ext._common cimport real
from fastdl_ext._exponential cimport exp_parts
from fastdl_ext.power cimport equal, less


cdef inline double exp_below_zero(double x) noexcept nogil:
    # exp(x) for x <= 0; below exp(-708), the least normal number, it is 0. NaN stays.
    cdef double scale, rest
    exp_parts(less(x, -708, -708, x), &scale, &rest)
    return less(x, -708, 0, (1 + rest) * scale)


cdef inline double log_series(double s) noexcept nogil:
    # log((1 + s) / (1 - s)) for |s| below 0.172, by its series to s^23.
    cdef double z = s * s, l
    l = 1.0 / 21 + z * (1.0 / 23)
    l = 1.0 / 19 + z * l
    l = 1.0 / 17 + z * l
    l = 1.0 / 15 + z * l
    l = 1.0 / 13 + z * l
    l = 1.0 / 11 + z * l
    l = 1.0 / 9 + z * l
    l = 1.0 / 7 + z * l
    l = 1.0 / 5 + z * l
    l = 1.0 / 3 + z * l
    return 2 * (s + s * z * l)


cdef inline double log1p_of(double x) noexcept nogil:
    # log(1 + x) for x >= 0, to full precision where x is small: as log_of, but m - 1 is then x itself.
    cdef double v = 1 + x, m, s, over
    cdef uint64_t bits, k
    memcpy(&bits, &v, 8)
    k = (bits + <uint64_t>0x3FF0000000000000 - <uint64_t>0x3FE6A09E667F3BCD) >> 52
    bits = bits - (k << 52) + <uint64_t>0x3FF0000000000000
    memcpy(&m, &bits, 8)
    bits = <uint64_t>0x4330000000000000 + k     # k as a double: the lowest bits of 2^52 + k
    memcpy(&over, &bits, 8)
    over -= 4503599627370496.0 + 1023
    s = equal(over, 0, x, m - 1)
    s = s / (2 + s)
    return 0.6931471805599453 * over + log_series(s)


cdef inline double log_of(double v) noexcept nogil:
    # log(v) of a normal number v >= 1.
    cdef uint64_t bits, k
    cdef double m, s
    memcpy(&bits, &v, 8)
    k = (bits + <uint64_t>0x3FF0000000000000 - <uint64_t>0x3FE6A09E667F3BCD) >> 52
    bits = bits - (k << 52) + <uint64_t>0x3FF0000000000000
    memcpy(&m, &bits, 8)
    s = (m - 1) / (m + 1)
    return 0.6931471805599453 * <double>(<int64_t>k - 1023) + log_series(s)


cdef inline double cross_entropy(const real* z, Py_ssize_t classes, Py_ssize_t label, double* q) noexcept nogil:
    # Write the probabilities of a row of logits to q; give -log of that of its label.
    cdef Py_ssize_t j
    cdef double top = z[0], total = 0, others = 0
    for j in range(1, classes):
        top = less(top, z[j], z[j], top)
    for j in range(classes):
        q[j] = exp_below_zero(<double>z[j] - top)
        total += q[j]
        others += 0 if j == label else q[j]
    for j in range(classes):
        q[j] /= total
    if not total == total:
        return total
    return log_of(total) - (<double>z[label] - top)
