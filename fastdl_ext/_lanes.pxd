"""Vectors of a fixed number of lanes, in GNU C: sums are kept in as many lanes on every CPU, so that wide ones add in the order of
narrow ones and give the same bits.
"""

cdef extern from *:
    """
    #pragma GCC diagnostic ignored "-Wpsabi"    /* every function that takes a vector is inlined: no ABI is involved */
    typedef float f8 __attribute__((vector_size(32), aligned(4), may_alias));
    typedef double d4 __attribute__((vector_size(32), aligned(8), may_alias));
    typedef int bits8 __attribute__((vector_size(32), aligned(4), may_alias));
    #define LANES static inline __attribute__((always_inline))

    /* By a shuffle: GCC 12 builds {x, x, ...} lane by lane when the helper itself is not compiled for AVX. */
    LANES f8 f8_all(const char* p) {
        f8 x = {*(const float*)p};
        return __builtin_shufflevector(x, x, 0, 0, 0, 0, 0, 0, 0, 0);
    }
    LANES d4 d4_all(const char* p) {
        d4 x = {*(const double*)p};
        return __builtin_shufflevector(x, x, 0, 0, 0, 0);
    }

    /* Neighbours added: within each half a then b, as two shuffles of one instruction each. */
    LANES f8 f8_pairs(f8 a, f8 b) {
        return __builtin_shufflevector(a, b, 0, 2, 8, 10, 4, 6, 12, 14)
             + __builtin_shufflevector(a, b, 1, 3, 9, 11, 5, 7, 13, 15);
    }
    /* Lane i of the result is the sum of the lanes of a[i]. */
    LANES f8 f8_totals(const f8* a) {
        f8 low = f8_pairs(f8_pairs(a[0], a[1]), f8_pairs(a[2], a[3]));
        f8 high = f8_pairs(f8_pairs(a[4], a[5]), f8_pairs(a[6], a[7]));
        return __builtin_shufflevector(low, high, 0, 1, 2, 3, 8, 9, 10, 11)
             + __builtin_shufflevector(low, high, 4, 5, 6, 7, 12, 13, 14, 15);
    }
    LANES d4 d4_totals(const d4* a) {
        d4 low = __builtin_shufflevector(a[0], a[1], 0, 4, 2, 6) + __builtin_shufflevector(a[0], a[1], 1, 5, 3, 7);
        d4 high = __builtin_shufflevector(a[2], a[3], 0, 4, 2, 6) + __builtin_shufflevector(a[2], a[3], 1, 5, 3, 7);
        return __builtin_shufflevector(low, high, 0, 1, 4, 5) + __builtin_shufflevector(low, high, 2, 3, 6, 7);
    }
    /* The lanes whose mask is set, zero elsewhere, whatever was there. */
    LANES f8 f8_keep(f8 a, const char* mask) { return (f8)((bits8)a & *(const bits8*)mask); }
    LANES d4 d4_keep(d4 a, const char* mask) { return (d4)((bits8)a & *(const bits8*)mask); }

    #define fetch_ahead(p) __builtin_prefetch(p)
    #define fetch_far(p) __builtin_prefetch(p, 0, 2)
    """
    ctypedef float f8               # eight floats
    ctypedef double d4              # four doubles
    f8 f8_all(const char* p) nogil
    d4 d4_all(const char* p) nogil
    f8 f8_totals(const f8* a) nogil
    d4 d4_totals(const d4* a) nogil
    f8 f8_keep(f8 a, const char* mask) nogil
    d4 d4_keep(d4 a, const char* mask) nogil
    void fetch_ahead(const char* p) nogil
    void fetch_far(const char* p) nogil
    ctypedef void inlined "inline __attribute__((always_inline)) void"   # so that a helper is compiled at its caller's CPU level

cdef enum:
    AHEAD = 2048        # a cache line is asked for this many bytes before its use ...
    FAR = 16384         # ... and this many, into the second-level cache, while a product leaves memory idle

ctypedef fused vec:
    f8
    d4
