"""u**e for u >= 0: plain arithmetic without a branch or a call, so that a loop over it is vectorised.

`cimport` it and call `power(u, e_high(e), e - e_high(e), at_zero(e), at_zero(-e))`; the error is below 1e-15 relative, and 4e-7 for
power32.  0, infinity and NaN give what C's pow gives; libm's own vector pow would need -ffinite-math-only, which loses NaN.

2^(e log2 u), as in Cody and Waite, "Software manual for the elementary functions", 1980: log2 of the mantissa by the series of atanh,
whose coefficients are 2 / ((2k + 1) ln 2), and 2^f by that of exp, whose coefficients are ln(2)^k / k!.  The large part of
e log2 u, e times the exponent of u, is exact because e is split in two (`e_high`).  Bound by arithmetic: some 60 operations, one
of them a division; 45 for power32.
"""

from libc.math cimport INFINITY
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy

cdef extern from *:
    """
    /* A choice without an int in between, which would halve the lanes of a vectorised loop. */
    #define less(a, b, yes, no) ((a) < (b) ? (yes) : (no))
    #define equal(a, b, yes, no) ((a) == (b) ? (yes) : (no))
    """
    double less(double a, double b, double yes, double no) nogil
    double equal(double a, double b, double yes, double no) nogil
    float less32 "less"(float a, float b, float yes, float no) nogil
    float equal32 "equal"(float a, float b, float yes, float no) nogil


cdef inline double e_high(double e) noexcept nogil:
    # The upper 42 bits of e: their product with an exponent of two, 11 bits, is exact.
    cdef uint64_t bits
    memcpy(&bits, &e, 8)
    bits &= ~<uint64_t>0x7FF
    memcpy(&e, &bits, 8)
    return e


cdef inline double at_zero(double e) noexcept nogil:
    # 0**e; infinity**e is at_zero(-e).
    return INFINITY if e < 0 else 0 if e > 0 else 1


cdef inline double power(double u, double high, double low, double zero, double infinite) noexcept nogil:
    cdef uint64_t bits, k
    cdef double v = less(u, 2.2250738585072014e-308, u * 18014398509481984.0, u)    # subnormals have no leading one: times 2^54
    cdef double m, s, z, l, n, a, b, f, t
    # v = m 2^k, m in [sqrt(1/2) = bits 0x3FE6A09E667F3BCD, sqrt(2)); k is read through the bits of 2^52 + k: AVX2 converts no int64.
    memcpy(&bits, &v, 8)
    k = (bits + <uint64_t>0x3FF0000000000000 - <uint64_t>0x3FE6A09E667F3BCD) >> 52
    bits = bits - (k << 52) + <uint64_t>0x3FF0000000000000
    memcpy(&m, &bits, 8)
    k |= <uint64_t>0x4330000000000000
    memcpy(&n, &k, 8)
    n -= less(u, 2.2250738585072014e-308, 4503599627370496.0 + 1023 + 54, 4503599627370496.0 + 1023)
    # log2 m = 2 atanh(s) / ln 2
    s = (m - 1) / (m + 1)
    z = s * s
    l = 0.15186263588304877 + z * 0.1373995277037108
    l = 0.16972882833987804 + z * l
    l = 0.19235933878519512 + z * l
    l = 0.2219530832136867 + z * l
    l = 0.2623081892525388 + z * l
    l = 0.3205988979753252 + z * l
    l = 0.41219858311113244 + z * l
    l = 0.5770780163555853 + z * l
    l = 0.9617966939259757 + z * l
    l = s * (2.8853900817779268 + z * l)
    # The exponent of the result, its whole part in n, what is left in f: the large products are exact.
    a = high * n
    b = low * n + (high + low) * l
    t = a + b
    t = less(t, 1100, t, 1100)
    t = less(-1100, t, t, -1100)
    n = t + 6755399441055744.0                                      # 1.5 2^52: rounds, and holds n in its lowest bits
    memcpy(&bits, &n, 8)
    n -= 6755399441055744.0
    f = (a - n) + b
    f = less(f, 1, f, 1)
    f = less(-1, f, f, -1)
    t = 2.5678435993488196e-11 + f * 1.3691488853904124e-12
    t = 4.44553827187081e-10 + f * t
    t = 7.054911620801121e-09 + f * t
    t = 1.0178086009239696e-07 + f * t
    t = 1.3215486790144305e-06 + f * t
    t = 1.5252733804059838e-05 + f * t
    t = 0.00015403530393381606 + f * t
    t = 0.0013333558146428441 + f * t
    t = 0.009618129107628477 + f * t
    t = 0.055504108664821576 + f * t
    t = 0.2402265069591007 + f * t
    t = 0.6931471805599453 + f * t
    t = 1.0 + f * t
    # 2^n in two factors, for it may overflow or be subnormal where the result is neither.
    bits = bits - <uint64_t>0x4338000000000000 + 2048
    k = bits >> 1
    bits -= k
    k = (k - 1) << 52
    bits = (bits - 1) << 52
    memcpy(&a, &k, 8)
    memcpy(&b, &bits, 8)
    t = t * a * b
    t = equal(u, 0, zero, t)
    t = less(1.7976931348623157e308, u, infinite, t)
    return equal(u, u, t, u)


cdef inline float e_high32(double e) noexcept nogil:
    # The upper 16 bits: their product with an exponent, 8 bits, is exact.
    cdef uint32_t bits
    cdef float high = <float>e
    memcpy(&bits, &high, 4)
    bits &= ~<uint32_t>0xFF
    memcpy(&high, &bits, 4)
    return high


cdef inline float power32(float u, float high, float low, float zero, float infinite) noexcept nogil:
    # The same in single precision: half the size, shorter series.
    cdef uint32_t bits, k
    cdef float v = less32(u, <float>1.17549435e-38, u * <float>16777216, u)
    cdef float m, s, z, l, n, a, b, f, t
    memcpy(&bits, &v, 4)
    k = (bits + <uint32_t>0x3F800000 - <uint32_t>0x3F3504F3) >> 23
    bits = bits - (k << 23) + <uint32_t>0x3F800000
    memcpy(&m, &bits, 4)
    k |= <uint32_t>0x4B000000
    memcpy(&n, &k, 4)
    n -= less32(u, <float>1.17549435e-38, <float>(8388608 + 127 + 24), <float>(8388608 + 127))
    s = (m - <float>1) / (m + <float>1)
    z = s * s
    l = <float>0.41219858311113244 + z * <float>0.3205988979753252
    l = <float>0.5770780163555853 + z * l
    l = <float>0.9617966939259757 + z * l
    l = s * (<float>2.8853900817779268 + z * l)
    a = high * n
    b = low * n + (high + low) * l
    t = a + b
    t = less32(t, 160, t, 160)
    t = less32(-160, t, t, -160)
    n = t + <float>12582912
    memcpy(&bits, &n, 4)
    n -= <float>12582912
    f = (a - n) + b
    f = less32(f, 1, f, 1)
    f = less32(-1, f, f, -1)
    t = <float>0.00015403530393381606 + f * <float>1.5252733804059838e-05
    t = <float>0.0013333558146428441 + f * t
    t = <float>0.009618129107628477 + f * t
    t = <float>0.055504108664821576 + f * t
    t = <float>0.2402265069591007 + f * t
    t = <float>0.6931471805599453 + f * t
    t = <float>1 + f * t
    bits = bits - <uint32_t>0x4B400000 + 512
    k = bits >> 1
    bits -= k
    k = (k - 129) << 23
    bits = (bits - 129) << 23
    memcpy(&a, &k, 4)
    memcpy(&b, &bits, 4)
    t = t * a * b
    t = equal32(u, 0, zero, t)
    t = less32(<float>3.4028234e38, u, infinite, t)
    return equal32(u, u, t, u)
