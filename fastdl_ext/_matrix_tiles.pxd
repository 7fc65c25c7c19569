"""Products of small matrices, a tile of eight vectors of sums at a time in registers, in GNU C's portable vectors.

Register tiles as in Goto and van de Geijn, "Anatomy of high-performance matrix multiplication", 2008.  Bound by arithmetic: eight
multiplications and eight additions of vectors (a fused multiply-add would give other bits), and by the loads beside them.

A first-generation EPYC starts four halves of a vector in a cycle, of which loads of their own take a part, those within a
multiplication hardly any: 1 row by 8 vectors has one load of its own and reaches 0.78 of the peak of multiply and add, 2 by 4
reach 0.72, 4 by 2 (six loads of their own) 0.65. Processors with AVX-512 start more and would wait for the
loads, so these keep 4 by 2.

Each sum is in one lane and in the order of its terms, so tiles and vectors of any size give the same bits. Where the processor
has no vectors of 32 bytes, two of 16 are taken: GCC would keep those of 32 in memory, at a tenth of the speed.
"""

from fastdl_ext._lanes cimport f8    # for the vectors

cdef extern from *:
    """
    typedef float f4 __attribute__((vector_size(16), aligned(4), may_alias));
    typedef double d2 __attribute__((vector_size(16), aligned(8), may_alias));
    LANES f4 f4_all(const char* p) {
        f4 x = {*(const float*)p};
        return __builtin_shufflevector(x, x, 0, 0, 0, 0);
    }
    LANES d2 d2_all(const char* p) {
        d2 x = {*(const double*)p};
        return __builtin_shufflevector(x, x, 0, 0);
    }
    #if defined(__x86_64__) && defined(__GNUC__)
      #define FASTDL_HAS_32 __builtin_cpu_supports("avx")
      #define FASTDL_WIDE_TILES(V) (sizeof(V) == 32 && !__builtin_cpu_supports("avx512f"))
    #else
      #define FASTDL_HAS_32 0
      #define FASTDL_WIDE_TILES(V) 0
    #endif

    enum fastdl_start { FASTDL_ZERO, FASTDL_BIAS, FASTDL_ITSELF };
    /* The columns of N vectors of C, R rows at a time. */
    #define FASTDL_EACH(n, i) _Pragma("GCC unroll 8") for (int i = 0; i < n; i++)
    #define FASTDL_PANEL(V, R, N)                                                                                    \\
    LANES void fastdl_panel_##V##_##N(const char* A, Py_ssize_t row, Py_ssize_t step, Py_ssize_t rows, const V* B,   \\
                                      Py_ssize_t width, Py_ssize_t depth, int start, const V* bias, V* C) {          \\
        V c[R][N];                                                                                                   \\
        for (Py_ssize_t r = 0; r < rows; r += R, A += R * row, C += R * width) {                                     \\
            const char* a = A;                                                                                       \\
            const V* b = B;                                                                                          \\
            FASTDL_EACH(R, i) FASTDL_EACH(N, j)                                                                      \\
                c[i][j] = start == FASTDL_ZERO ? (V){0} : start == FASTDL_BIAS ? bias[j] : C[i * width + j];         \\
            for (Py_ssize_t k = 0; k < depth; k++, a += step, b += width)                                            \\
                FASTDL_EACH(R, i) {                                                                                  \\
                    const V x = V##_all(a + i * row);                                                                \\
                    FASTDL_EACH(N, j) c[i][j] = c[i][j] + x * b[j];                                                  \\
                }                                                                                                    \\
            FASTDL_EACH(R, i) FASTDL_EACH(N, j) C[i * width + j] = c[i][j];                                          \\
        }                                                                                                            \\
    }
    #define FASTDL_TILES(V)                                                                                          \\
    FASTDL_PANEL(V, 1, 8)                                                                                            \\
    FASTDL_PANEL(V, 2, 4)                                                                                            \\
    FASTDL_PANEL(V, 4, 2)                                                                                            \\
    LANES void fastdl_tiles_##V(const char* A, Py_ssize_t row, Py_ssize_t step, Py_ssize_t rows, const V* B,         \\
                                Py_ssize_t width, Py_ssize_t depth, int start, const V* bias, V* C) {                \\
        Py_ssize_t j = 0;                                                                                            \\
        if (FASTDL_WIDE_TILES(V)) {                                                                                  \\
            for (; j + 8 <= width; j += 8)                                                                           \\
                fastdl_panel_##V##_8(A, row, step, rows, B + j, width, depth, start, bias + j, C + j);               \\
            for (; j + 4 <= width; j += 4)                                                                           \\
                fastdl_panel_##V##_4(A, row, step, rows, B + j, width, depth, start, bias + j, C + j);               \\
        }                                                                                                            \\
        for (; j < width; j += 2)                                                                                    \\
            fastdl_panel_##V##_2(A, row, step, rows, B + j, width, depth, start, bias + j, C + j);                   \\
    }
    FASTDL_TILES(f8)
    FASTDL_TILES(d4)
    FASTDL_TILES(f4)
    FASTDL_TILES(d2)

    /* C[r, :] = start + sum_k A[r, k] B[k, :], rows of `width` numbers; A's strides are in bytes, its rows a multiple
       of 4, `width` one of two whole vectors. */
    #define FASTDL_PRODUCT(T, V, H)                                                                                  \\
    LANES void fastdl_product_##T(const char* A, Py_ssize_t row, Py_ssize_t step, Py_ssize_t rows, const T* B,       \\
                                  Py_ssize_t width, Py_ssize_t depth, int start, const T* bias, T* C) {              \\
        width = width * (Py_ssize_t)sizeof(T) / 32;                                                                  \\
        if (FASTDL_HAS_32)                                                                                           \\
            fastdl_tiles_##V(A, row, step, rows, (const V*)B, width, depth, start, (const V*)bias, (V*)C);           \\
        else                                                                                                         \\
            fastdl_tiles_##H(A, row, step, rows, (const H*)B, 2 * width, depth, start, (const H*)bias, (H*)C);       \\
    }
    FASTDL_PRODUCT(float, f8, f4)
    FASTDL_PRODUCT(double, d4, d2)
    """
    enum Start "fastdl_start":           # where the sums of a product start
        ZERO "FASTDL_ZERO"
        BIAS "FASTDL_BIAS"      # at the same row for all
        ITSELF "FASTDL_ITSELF"  # at what C holds
    void product32 "fastdl_product_float"(const char* A, Py_ssize_t row, Py_ssize_t step, Py_ssize_t rows, const float* B,
                                          Py_ssize_t width, Py_ssize_t depth, Start start, const float* bias,
                                          float* C) nogil
    void product64 "fastdl_product_double"(const char* A, Py_ssize_t row, Py_ssize_t step, Py_ssize_t rows, const double* B,
                                           Py_ssize_t width, Py_ssize_t depth, Start start, const double* bias,
                                           double* C) nogil
