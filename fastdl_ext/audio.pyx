"""Mu-law and A-law, int16 or float samples to codes and back.  Trusts its caller: equal lengths, tables of full size.

int16 to uint8 moves 3 bytes a sample (4 with the write-allocate of the output).  A 64 KiB table costs a load and a
look-up per sample, which the compiler cannot vectorise; so the dialects people use most are arithmetic.

Measured on a Zen 5 core, block by block, beside a copy of 45 GB/s (bytes a sample; GB/s, in memory):
  mu_law_256         3 bytes, 26 GB/s, 0.58 of copy: 24 instructions for 16 samples are the limit, not memory; vectors of 64
                     bytes in place of 32 and stores that leave the caches alone changed nothing (26, 25 GB/s)
  decode_8_32        5 bytes, 23 GB/s by loads, a look-up a cycle; 36 GB/s, 0.8 of copy, by permutations of the table in 16
                     registers, which AVX-512 has.  By loads on a first Zen, in its second cache and in memory: two values
                     a store 10.0 and 6.7 GB/s, four 13.1 and 7.8, four past the caches 12.1 and 10.8; gathers 4.6 and 4.1
  encode_by_edges    float32 5 bytes, 0.6 ns a sample; float64 9 bytes, 0.8 ns: two look-ups a sample
  encode_int32       5 bytes, 1.0 ns: the same after a conversion to double
  unpack_24          7 bytes, 0.3 ns; round_to_int16  6 bytes, 0.3 ns
  shift_codes        17 bytes as int64, all but one of them written: stores are the limit
"""

from libc.math cimport fabsf, rint, rintf
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from fastdl_ext._common cimport cloned, real

cdef extern from *:
    """
    #if FASTDL_HAS_CLONES
    #include <immintrin.h>
    #define FASTDL_HAS_PERMUTATIONS __builtin_cpu_supports("x86-64-v4")
    /* The entries of a table of 256 for 16 codes at a time: eight permutations of two registers each, by the lower five bits
       of a code, then three choices by its upper bits. Returns how many codes it did. */
    __attribute__((target("arch=x86-64-v4")))
    static Py_ssize_t fastdl_permute_table(const uint8_t* codes, const uint32_t* table, uint32_t* out, Py_ssize_t n) {
        __m512i held[16], c, found[8];
        Py_ssize_t i = 0;
        for (int k = 0; k < 16; k++)
            held[k] = _mm512_loadu_si512(table + 16 * k);
        for (; i + 16 <= n; i += 16) {
            c = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i*)(codes + i)));
            __mmask16 bit5 = _mm512_test_epi32_mask(c, _mm512_set1_epi32(32));
            __mmask16 bit6 = _mm512_test_epi32_mask(c, _mm512_set1_epi32(64));
            __mmask16 bit7 = _mm512_test_epi32_mask(c, _mm512_set1_epi32(128));
            for (int k = 0; k < 8; k++)
                found[k] = _mm512_permutex2var_epi32(held[2 * k], c, held[2 * k + 1]);
            for (int k = 0; k < 4; k++)
                found[k] = _mm512_mask_mov_epi32(found[2 * k], bit5, found[2 * k + 1]);
            for (int k = 0; k < 2; k++)
                found[k] = _mm512_mask_mov_epi32(found[2 * k], bit6, found[2 * k + 1]);
            _mm512_storeu_si512(out + i, _mm512_mask_mov_epi32(found[0], bit7, found[1]));
        }
        return i;
    }
    #else
    #define FASTDL_HAS_PERMUTATIONS 0
    #define fastdl_permute_table(codes, table, out, n) 0
    #endif

    /* Eight codes in one load, four values in one store: each look-up is a load, and a core does two loads and stores a cycle
       or three. With `past` the stores leave the caches alone; `out` is then at a multiple of 16 bytes. Returns how many codes
       it did. */
    #if defined(__x86_64__) || defined(_M_X64)
    #include <emmintrin.h>
    #define FASTDL_ENTRY(k) _mm_cvtsi32_si128((int)table[(eight >> (8 * (k))) & 0xFF])
    #define FASTDL_FOUR(k) _mm_unpacklo_epi64(_mm_unpacklo_epi32(FASTDL_ENTRY(k), FASTDL_ENTRY(k + 1)), \\
                                              _mm_unpacklo_epi32(FASTDL_ENTRY(k + 2), FASTDL_ENTRY(k + 3)))
    static Py_ssize_t fastdl_look_up_8(const uint8_t* codes, const uint32_t* table, uint32_t* out, Py_ssize_t n, int past) {
        Py_ssize_t i = 0;
        uint64_t eight;
        for (; i + 8 <= n; i += 8) {
            memcpy(&eight, codes + i, 8);
            const __m128i lower = FASTDL_FOUR(0), upper = FASTDL_FOUR(4);
            if (past) {
                _mm_stream_si128((__m128i*)(out + i), lower);
                _mm_stream_si128((__m128i*)(out + i + 4), upper);
            } else {
                _mm_storeu_si128((__m128i*)(out + i), lower);
                _mm_storeu_si128((__m128i*)(out + i + 4), upper);
            }
        }
        if (past)
            _mm_sfence();   /* before another thread is told of them */
        return i;
    }
    #else
    #define fastdl_look_up_8(codes, table, out, n, past) 0
    #endif
    """
    const bint HAS_PERMUTATIONS "FASTDL_HAS_PERMUTATIONS"
    Py_ssize_t look_up_8 "fastdl_look_up_8"(const uint8_t* codes, const uint32_t* table, uint32_t* out, Py_ssize_t n,
                                            bint past) noexcept nogil
    Py_ssize_t permute_table "fastdl_permute_table"(const uint8_t* codes, const uint32_t* table, uint32_t* out,
                                                    Py_ssize_t n) noexcept nogil

ctypedef fused value:       # what a decoding table holds, by size
    uint16_t
    uint32_t
    uint64_t

ctypedef fused label:       # what classes become for a model
    uint8_t
    int32_t
    int64_t


cdef cloned mu_law_256(const int16_t* x, uint8_t* codes, Py_ssize_t n) noexcept nogil:
    # log2(f) = exponent + log2(w) for f = w 2^exponent, w in [1, 2): the exponent and w - 1 come together from the bits of
    # f as an integer, a polynomial in w adds the rest.  The coefficients solve the linear program "every one of the 32,769
    # magnitudes on its side of every edge, with the largest margin": 4.9e-5 classes, some ten float32 roundings.
    cdef Py_ssize_t i
    cdef float f, w, p
    cdef int32_t bits, mantissa
    for i in range(n):
        f = fabsf(<float>x[i]) * <float>(255.0 / 32768.0) + <float>1.0
        memcpy(&bits, &f, 4)
        mantissa = (bits & 0x7FFFFF) | 0x3F800000
        memcpy(&w, &mantissa, 4)
        p = <float>0.8244989514350891 * w + <float>-7.4233293533325195
        p = p * w + <float>28.215190887451172
        p = p * w + <float>-59.68377685546875
        p = p * w + <float>67.33665466308594
        p = p * w + <float>-29.269189834594727
        p = <float>(bits - 0x3F800000) * <float>1.8999004e-06 + p
        codes[i] = <uint8_t>(<int32_t>p) ^ <uint8_t>(x[i] >> 15) ^ 0x80


cdef inline int32_t segment(int32_t m, int32_t first) noexcept nogil:
    # Segment number and four mantissa bits of m are the upper bits of m as a float.
    cdef float f = <float>m
    cdef int32_t bits
    memcpy(&bits, &f, 4)
    return (bits >> 19) - ((127 + first) << 4)


cdef cloned g711_mu_itu(const int16_t* x, uint8_t* codes, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    cdef int32_t v, m
    for i in range(n):
        v = x[i]
        m = ((v ^ (v >> 31)) >> 2) + 33
        m = 0x1FFF if m > 0x1FFF else m
        codes[i] = <uint8_t>((segment(m, 5) ^ 0x7F) | (~(v >> 31) & 0x80))


cdef cloned g711_mu_sun(const int16_t* x, uint8_t* codes, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    cdef int32_t v, m
    for i in range(n):
        v = x[i] >> 2
        m = (v if v >= 0 else -v) + 33
        m = 0x1FFF if m > 0x1FFF else m
        codes[i] = <uint8_t>((segment(m, 5) ^ 0x7F) | (~(v >> 31) & 0x80))


cdef cloned g711_a_itu(const int16_t* x, uint8_t* codes, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    cdef int32_t v, m, c
    for i in range(n):
        v = x[i]
        m = (v ^ (v >> 31)) >> 4
        c = segment(m, 3)
        c = m if m < 16 else c
        codes[i] = <uint8_t>((c | (~(v >> 31) & 0x80)) ^ 0x55)


cdef void look_up_16(const uint16_t* x, const code* table, code* codes, Py_ssize_t n) noexcept nogil:
    # Four samples come in one load and their codes leave in one store: the load ports are the limit.
    cdef Py_ssize_t i = 0
    cdef uint64_t four
    cdef code packed[4]
    while i + 4 <= n:
        memcpy(&four, x + i, 8)
        packed[0] = table[four & 0xFFFF]
        packed[1] = table[(four >> 16) & 0xFFFF]
        packed[2] = table[(four >> 32) & 0xFFFF]
        packed[3] = table[four >> 48]
        memcpy(codes + i, packed, sizeof(packed))
        i += 4
    while i < n:
        codes[i] = table[x[i]]
        i += 1


cdef enum:
    BATCH = 512     # samples whose buckets are found together, in a loop that vectorises, before the look-ups, which do not


cdef cloned buckets(const real* x, key first, int shift, Py_ssize_t half, int32_t* bucket, Py_ssize_t n, real* held,
                    Py_ssize_t* clipped, Py_ssize_t* nans) noexcept nogil:
    # No branch on the data: the sign of a sample is as good as random.
    cdef Py_ssize_t i
    cdef int32_t outside = 0, missing = 0
    cdef real v
    cdef key bits, sign, top = 8 * sizeof(key) - 1
    for i in range(n):
        v = x[i]
        outside += (v > 1) | (v < -1)
        missing += v != v
        v = v if v < 1 else 1           # NaN becomes 1, so that it cannot reach an index
        v = v if v > -1 else -1
        held[i] = v
        memcpy(&bits, &v, sizeof(real))
        sign = bits >> top
        bits ^= sign << top
        bits = bits if bits > first else first
        bucket[i] = <int32_t>((bits - first) >> shift) + <int32_t>half * <int32_t>sign
    clipped[0] += outside
    nans[0] += missing


cdef void step_up(const real* x, const code* base, const real* edge, key first, int shift, Py_ssize_t half, code nan,
                  code* codes, Py_ssize_t n, Py_ssize_t* clipped, Py_ssize_t* nans) noexcept nogil:
    # A monotone step function of floats: the sign and the upper bits of |x| name a bucket that holds at most one edge.
    cdef Py_ssize_t start, i, m, before
    cdef int32_t bucket[BATCH]
    cdef real held[BATCH]
    clipped[0] = 0
    nans[0] = 0
    start = 0
    while start < n:
        m = min(<Py_ssize_t>BATCH, n - start)
        before = nans[0]
        buckets(x + start, first, shift, half, bucket, m, held, clipped, nans)
        for i in range(m):
            codes[start + i] = base[bucket[i]] + (held[i] >= edge[bucket[i]])
        if nans[0] > before:
            for i in range(start, start + m):
                if x[i] != x[i]:
                    codes[i] = nan
        start += m


cdef void step_up_int32(const int32_t* x, double scale, const code* base, const double* edge, uint64_t first, int shift,
                        Py_ssize_t half, code* codes, Py_ssize_t n) noexcept nogil:
    # 24- and 32-bit samples: int32 times a power of two is exact as a double, a batch at a time on the stack.
    cdef Py_ssize_t start = 0, i, m, clipped, nans
    cdef double batch[BATCH]
    while start < n:
        m = min(<Py_ssize_t>BATCH, n - start)
        for i in range(m):
            batch[i] = x[start + i] * scale
        step_up(batch, base, edge, first, shift, half, <code>0, codes + start, m, &clipped, &nans)
        start += m


cdef cloned to_int16(const real* x, int16_t* out, Py_ssize_t n, Py_ssize_t* clipped, Py_ssize_t* nans) noexcept nogil:
    # Times a power of two is exact; rint is one instruction from SSE4.1 on.
    cdef Py_ssize_t i
    cdef int64_t outside = 0, missing = 0
    cdef real v
    for i in range(n):
        v = x[i]
        outside += (v > 1) | (v < -1)
        missing += v != v
        v = v if v == v else 0
        v = v if v < 1 else 1
        v = v if v > -1 else -1
        if real is float:
            v = rintf(v * 32768)
        else:
            v = rint(v * 32768)
        v = v if v < 32767 else 32767
        out[i] = <int16_t><int32_t>v
    clipped[0] = outside
    nans[0] = missing


cdef cloned widen_24(const uint8_t* raw, int32_t* out, Py_ssize_t n) noexcept nogil:
    # Three little-endian bytes to the upper bits of an int32; the last sample has no fourth byte to read.
    cdef Py_ssize_t i
    cdef uint32_t four
    for i in range(n - 1):
        memcpy(&four, raw + 3 * i, 4)
        out[i] = <int32_t>(four << 8)
    i = n - 1
    out[i] = <int32_t>(<uint32_t>raw[3 * i] << 8 | <uint32_t>raw[3 * i + 1] << 16 | <uint32_t>raw[3 * i + 2] << 24)


cdef cloned shift_row(const code* codes, label* inputs, label* targets, Py_ssize_t n) noexcept nogil:
    # Two passes: the codes stay in the first cache, and one stream of stores is as fast as two.
    cdef Py_ssize_t i
    for i in range(n):
        inputs[i] = <label>codes[i]
    for i in range(n):
        targets[i] = <label>codes[i + 1]


cdef void decode_8_32(const uint8_t* codes, const uint32_t* table, uint32_t* out, Py_ssize_t n, bint past) noexcept nogil:
    # The whole table in registers, or a look-up each.
    cdef Py_ssize_t i = 0
    if n >= 64 and HAS_PERMUTATIONS:
        i = permute_table(codes, table, out, n)
    else:
        while past and i < n and <uint64_t>(out + i) % 16:
            out[i] = table[codes[i]]
            i += 1
        i += look_up_8(codes + i, table, out + i, n - i, past)
    while i < n:
        out[i] = table[codes[i]]
        i += 1


def mu_law_encode_256(const int16_t[::1] x, uint8_t[::1] codes):
    with nogil:
        mu_law_256(&x[0], &codes[0], x.shape[0])


def g711_encode_mu_itu(const int16_t[::1] x, uint8_t[::1] codes):
    with nogil:
        g711_mu_itu(&x[0], &codes[0], x.shape[0])


def g711_encode_mu_sun(const int16_t[::1] x, uint8_t[::1] codes):
    with nogil:
        g711_mu_sun(&x[0], &codes[0], x.shape[0])


def g711_encode_a_itu(const int16_t[::1] x, uint8_t[::1] codes):
    with nogil:
        g711_a_itu(&x[0], &codes[0], x.shape[0])


def encode_by_table(const uint16_t[::1] x, const code[::1] table, code[::1] codes):
    with nogil:
        look_up_16(&x[0], &table[0], &codes[0], x.shape[0])


def encode_by_edges(const real[::1] x, edges, uint16_t nan, code[::1] codes):
    """By the buckets of `edges` (fastdl.audio._tables.Edges): the number of samples clipped and of NaNs."""
    cdef const code[::1] base = edges.base
    cdef const real[::1] edge = edges.edge
    cdef uint64_t first = edges.first
    cdef int shift = edges.shift
    cdef Py_ssize_t clipped, nans, half = base.shape[0] // 2, n = x.shape[0]
    with nogil:
        if real is float:
            step_up(&x[0], &base[0], &edge[0], <uint32_t>first, shift, half, <code>nan, &codes[0], n, &clipped,
                    &nans)
        else:
            step_up(&x[0], &base[0], &edge[0], first, shift, half, <code>nan, &codes[0], n, &clipped,
                    &nans)
    return clipped, nans


def encode_int32(const int32_t[::1] x, double scale, edges, code[::1] codes):
    """By the float64 buckets of `edges`, x times a power of two."""
    cdef const code[::1] base = edges.base
    cdef const double[::1] edge = edges.edge
    cdef uint64_t first = edges.first
    cdef int shift = edges.shift
    with nogil:
        step_up_int32(&x[0], scale, &base[0], &edge[0], first, shift, base.shape[0] // 2, &codes[0], x.shape[0])


def round_to_int16(const real[::1] x, int16_t[::1] out):
    """Floats times 32768, rounded and clipped, a NaN as 0; the number of samples clipped and of NaNs."""
    cdef Py_ssize_t clipped = 0, nans = 0
    with nogil:
        to_int16(&x[0], &out[0], x.shape[0], &clipped, &nans)
    return clipped, nans


def unpack_24(const uint8_t[::1] raw, int32_t[::1] out):
    """Packed little-endian 24-bit samples as int32, in the upper bits."""
    with nogil:
        widen_24(&raw[0], &out[0], out.shape[0])


def shift_codes(const code[:, ::1] codes, label[:, ::1] inputs, label[:, ::1] targets):
    """All classes of a row but the last as inputs, all but the first as targets."""
    cdef Py_ssize_t i, n = inputs.shape[1]
    with nogil:
        for i in range(codes.shape[0]):
            shift_row(&codes[i, 0], &inputs[i, 0], &targets[i, 0], n)


def decode(const code[::1] codes, const value[::1] table, value[::1] out, bint past=False):
    """The entry of each code; with `past` by stores that leave the caches alone, where there is a way for it."""
    cdef Py_ssize_t i
    with nogil:
        if code is uint8_t and value is uint32_t:
            decode_8_32(&codes[0], &table[0], &out[0], codes.shape[0], past)
        else:
            for i in range(codes.shape[0]):
                out[i] = table[codes[i]]
