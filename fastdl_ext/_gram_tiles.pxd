"""Weighted Gram matrices, as BLAS's SYRK is made (Goto and van de Geijn, "Anatomy of high-performance matrix
multiplication", 2008): 64 rows at a time are packed to panels of one vector of columns each, and a tile of the
result, one vector of columns by three, stays in registers while the rows go by.

Bound by arithmetic: (D + 2) (D + 3) / 2 multiply-adds a row. A tile has 12 of them on vectors of four (AVX2), for 7
loads, and 24 on vectors of eight (AVX-512), for 11: with two loads and two multiply-adds a cycle neither waits for
memory. Packing takes a vector of columns of a row at a time, and the next rows are fetched meanwhile. Of the 8.2 G
fused multiply-adds of vectors of eight that a Zen 5 core does in a second, rows in its caches reach 0.55 with 20
columns, where packing weighs (0.50 when it took value by value), 0.80 with 64, 0.89 with 200.

Each element of the result has one order of sums: fused multiply-adds over the 64 rows of a group from 0, groups added
in turn. It does not depend on the vectors; a processor without FMA takes the C library's fma, which gives the same
bits, slowly.
"""

cdef extern from *:
    """
    #include <math.h>
    #include <stddef.h>
    #include <string.h>

    #if defined(__x86_64__) && defined(__GNUC__)
    #include <immintrin.h>
    #define GRAM_X86 1
    #endif

    enum { GRAM_ROWS = 64 }; /* a panel of them has 2 KiB (4 KiB of vectors of eight): four are in the first-level cache */

    typedef struct {
        const void* X;        /* (n, d), of floats or of doubles */
        const double* y;      /* (n,) */
        const double* s;      /* (n,), or NULL: all 1 */
        const double* shift;  /* (d,), taken off the columns */
        const double* factor; /* (d,), which then multiplies them */
        ptrdiff_t n, d, width; /* width: a multiple of 8, at least d + 2 */
        double* scratch;      /* 128 * width */
        double* total;        /* (width, width): the tiles that touch the upper triangle are added to */
    } gram_call;

    /* 1, (x - shift) * factor, y, and zeros: a vector of columns of a row at a time. Where the 1 comes before the first
       columns, or y follows the last, that vector begins in the row before or ends in the next one, whose values are
       written over or not used; the first and the last rows, beside which there is none, are taken value by value. */
    #define GRAM_PACK(NAME, TARGET, T, V, L, READ, LOAD, STORE, SUB, MUL)                                             \\
        static inline __attribute__((always_inline)) TARGET void NAME(const gram_call* g, ptrdiff_t first,            \\
                                                                      ptrdiff_t n, double* Z) {                       \\
            const ptrdiff_t d = g->d;                                                                                 \\
            const T* X = (const T*)g->X + first * d;                                                                  \\
            for (ptrdiff_t q = 0; q < (d + 1) / L + 1; q++) {                                                         \\
                double *z = Z + q * GRAM_ROWS * L, shift[L], factor[L];                                               \\
                const ptrdiff_t j = q * L - 1, rest = (g->n - first) * d - j - L;                                     \\
                ptrdiff_t begin = j < 0 && !first, end = d && j < d && rest >= 0 ? rest / d + 1 : 0;                  \\
                end = end < n ? end : n;                                                                              \\
                begin = begin < end ? begin : end;                                                                    \\
                for (int l = 0; l < L; l++) {                                                                         \\
                    const int inside = j + l >= 0 && j + l < d;                                                       \\
                    shift[l] = inside ? g->shift[j + l] : 0;                                                          \\
                    factor[l] = inside ? g->factor[j + l] : 0;                                                        \\
                }                                                                                                     \\
                const V off = LOAD(shift), by = LOAD(factor);                                                         \\
                for (ptrdiff_t i = begin; i < end; i++) STORE(z + i * L, MUL(SUB(READ(X + i * d + j), off), by));     \\
                if (j < 0)                                                                                            \\
                    for (ptrdiff_t i = begin; i < end; i++) z[i * L] = 1;                                             \\
                if (j < d && j + L > d)                                                                               \\
                    for (ptrdiff_t i = begin; i < end; i++) z[i * L + d - j] = g->y[first + i];                       \\
                for (ptrdiff_t i = begin ? 0 : end; i < n; i = i + 1 == begin ? end : i + 1)                          \\
                    for (ptrdiff_t c = j; c < j + L; c++)                                                             \\
                        z[i * L + c - j] = c < 0 ? 1 : c < d ? ((double)X[i * d + c] - g->shift[c]) * g->factor[c]    \\
                                                     : c == d ? g->y[first + i] : 0;                                  \\
            }                                                                                                         \\
        }

    /* A tile: L columns of a by PANELS * L of b. */
    #define GRAM_TILE(NAME, TARGET, V, L, PANELS, LOAD, STORE, ADD, ALL, FMA)                                         \\
        static inline __attribute__((always_inline)) TARGET void NAME(const double* a, const double* b, ptrdiff_t n,  \\
                                                                      ptrdiff_t width, double* total) {               \\
            V c[L][PANELS];                                                                                           \\
            _Pragma("GCC unroll 8") for (int r = 0; r < L; r++)                                                       \\
                _Pragma("GCC unroll 3") for (int k = 0; k < PANELS; k++) c[r][k] = ALL(0.0);                          \\
            for (ptrdiff_t i = 0; i < n; i++) {                                                                       \\
                V x[PANELS];                                                                                          \\
                _Pragma("GCC unroll 3") for (int k = 0; k < PANELS; k++) x[k] = LOAD(b + k * GRAM_ROWS * L + i * L);  \\
                _Pragma("GCC unroll 8") for (int r = 0; r < L; r++) {                                                 \\
                    V y = ALL(a[i * L + r]);                                                                          \\
                    _Pragma("GCC unroll 3") for (int k = 0; k < PANELS; k++) c[r][k] = FMA(y, x[k], c[r][k]);         \\
                }                                                                                                     \\
            }                                                                                                         \\
            _Pragma("GCC unroll 8") for (int r = 0; r < L; r++)                                                       \\
                _Pragma("GCC unroll 3") for (int k = 0; k < PANELS; k++) {                                            \\
                double* out = total + r * width + k * L;                                                              \\
                STORE(out, ADD(LOAD(out), c[r][k]));                                                                  \\
            }                                                                                                         \\
        }

    #define GRAM_ROUTINE(NAME, TARGET, PACK, T, L, LOAD, STORE, ALL, MUL)                                             \\
        static TARGET void NAME(const gram_call* g) {                                                                 \\
            const ptrdiff_t width = g->width, panel = GRAM_ROWS * L, size = sizeof(T), tiles = (g->d + 1) / L + 1;    \\
            for (ptrdiff_t i = 0; i < g->n; i += GRAM_ROWS) {                                                         \\
                const ptrdiff_t m = g->n - i < GRAM_ROWS ? g->n - i : GRAM_ROWS;                                      \\
                double *Z = g->scratch, *S = Z;                                                                       \\
                PACK(g, i, m, Z);                                                                                     \\
                if (g->s) {                                                                                           \\
                    S = Z + GRAM_ROWS * width;                                                                        \\
                    for (ptrdiff_t q = 0; q < tiles; q++)                                                             \\
                        for (ptrdiff_t k = q * panel; k < q * panel + m * L; k += L)                                  \\
                            STORE(S + k, MUL(LOAD(Z + k), ALL(g->s[i + k / L - q * GRAM_ROWS])));                     \\
                }                                                                                                     \\
                const char* next = (const char*)g->X + (i + m) * g->d * size;                                         \\
                const ptrdiff_t ahead = i + m < g->n ? m * g->d * size / tiles : 0;                                   \\
                for (ptrdiff_t p = 0; p < tiles; p++) {                                                               \\
                    for (ptrdiff_t k = 0; k < ahead; k += 64) __builtin_prefetch(next + p * ahead + k, 0, 2);         \\
                    const double* a = Z + p * panel;                                                                  \\
                    double* row = g->total + p * L * width;                                                           \\
                    ptrdiff_t q = p;                                                                                  \\
                    for (; q + 3 <= tiles; q += 3) NAME##_3(a, S + q * panel, m, width, row + q * L);                 \\
                    if (tiles - q == 2) NAME##_2(a, S + q * panel, m, width, row + q * L);                            \\
                    if (tiles - q == 1) NAME##_1(a, S + q * panel, m, width, row + q * L);                            \\
                }                                                                                                     \\
            }                                                                                                         \\
        }

    #define GRAM_LEVEL(NAME, TARGET, V, L, LOAD, STORE, ADD, ALL, FMA)                                                \\
        GRAM_TILE(NAME##_1, TARGET, V, L, 1, LOAD, STORE, ADD, ALL, FMA)                                              \\
        GRAM_TILE(NAME##_2, TARGET, V, L, 2, LOAD, STORE, ADD, ALL, FMA)                                              \\
        GRAM_TILE(NAME##_3, TARGET, V, L, 3, LOAD, STORE, ADD, ALL, FMA)

    #define GRAM_BOTH(LEVEL, TARGET, V, L, LOAD, STORE, ADD, ALL, FMA, SUB, MUL, READ)                                \\
        GRAM_LEVEL(gram_##LEVEL##_float, TARGET, V, L, LOAD, STORE, ADD, ALL, FMA)                                    \\
        GRAM_LEVEL(gram_##LEVEL##_double, TARGET, V, L, LOAD, STORE, ADD, ALL, FMA)                                   \\
        GRAM_PACK(gram_##LEVEL##_pack_float, TARGET, float, V, L, READ, LOAD, STORE, SUB, MUL)                        \\
        GRAM_PACK(gram_##LEVEL##_pack_double, TARGET, double, V, L, LOAD, LOAD, STORE, SUB, MUL)                      \\
        GRAM_ROUTINE(gram_##LEVEL##_float, TARGET, gram_##LEVEL##_pack_float, float, L, LOAD, STORE, ALL, MUL)        \\
        GRAM_ROUTINE(gram_##LEVEL##_double, TARGET, gram_##LEVEL##_pack_double, double, L, LOAD, STORE, ALL, MUL)

    /* Any processor: a "vector" of one number, and tiles of one by three. */
    #define GRAM_ANY_LOAD(p) (*(p))
    #define GRAM_ANY_STORE(p, x) (*(p) = (x))
    #define GRAM_ANY_ADD(x, y) ((x) + (y))
    #define GRAM_ANY_SUB(x, y) ((x) - (y))
    #define GRAM_ANY_MUL(x, y) ((x) * (y))
    #define GRAM_ANY_ALL(x) (x)
    typedef double gram_any;
    GRAM_BOTH(any, , gram_any, 1, GRAM_ANY_LOAD, GRAM_ANY_STORE, GRAM_ANY_ADD, GRAM_ANY_ALL, fma, GRAM_ANY_SUB,
              GRAM_ANY_MUL, GRAM_ANY_LOAD)

    #ifdef GRAM_X86
    #define GRAM_V3 __attribute__((target("avx2,fma")))
    #define GRAM_V3_READ(p) _mm256_cvtps_pd(_mm_loadu_ps(p))
    #define GRAM_V4 __attribute__((target("avx512f,fma,prefer-vector-width=512")))
    #define GRAM_V4_READ(p) _mm512_cvtps_pd(_mm256_loadu_ps(p))
    GRAM_BOTH(v3, GRAM_V3, __m256d, 4, _mm256_loadu_pd, _mm256_storeu_pd, _mm256_add_pd, _mm256_set1_pd, _mm256_fmadd_pd,
              _mm256_sub_pd, _mm256_mul_pd, GRAM_V3_READ)
    GRAM_BOTH(v4, GRAM_V4, __m512d, 8, _mm512_loadu_pd, _mm512_storeu_pd, _mm512_add_pd, _mm512_set1_pd, _mm512_fmadd_pd,
              _mm512_sub_pd, _mm512_mul_pd, GRAM_V4_READ)
    #endif

    /* 0: any processor, 1: AVX2 with FMA, 2: AVX-512; what a build for one level is confined to. */
    static int gram_level(void) {
        int level = 0;
    #ifdef GRAM_X86
        level = __builtin_cpu_supports("avx512f") ? 2 : __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    #ifdef FASTDL_LEVEL
        int most = !strcmp(FASTDL_LEVEL, "default") ? 0 : !strcmp(FASTDL_LEVEL, "arch=x86-64-v3") ? 1 : 2;
        level = level < most ? level : most;
    #endif
    #endif
        return level;
    }

    static void gram_rows(const gram_call* g, int single, int level) {
    #ifdef GRAM_X86
        if (level == 2) {
            if (single) gram_v4_float(g); else gram_v4_double(g);
            return;
        }
        if (level == 1) {
            if (single) gram_v3_float(g); else gram_v3_double(g);
            return;
        }
    #endif
        (void)level;
        if (single) gram_any_float(g); else gram_any_double(g);
    }
    """
    ctypedef struct gram_call:
        const void* X
        const double* y
        const double* s
        const double* shift
        const double* factor
        Py_ssize_t n, d, width
        double* scratch
        double* total
    int gram_level() nogil
    void gram_rows(const gram_call* g, int single, int level) nogil
