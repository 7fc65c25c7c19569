"""Products of small matrices, four rows by two vectors at a time in registers, in GNU C's portable vectors.

Register tiles as in Goto and van de Geijn, "Anatomy of high-performance matrix multiplication", 2008.  Bound by arithmetic: eight
multiplications and eight additions of vectors for six loads (a fused multiply-add would give other bits).

Each sum is in one lane and in the order of its terms, so vectors of any length give the same bits. Where the processor
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
    #else
      #define FASTDL_HAS_32 0
    #endif

    enum fastdl_start { FASTDL_ZERO, FASTDL_BIAS, FASTDL_ITSELF };
    #define FASTDL_START(r)                                                                                          \\
        c##r##0 = start == FASTDL_ZERO ? zero : start == FASTDL_BIAS ? bias[j] : c[r * width];                       \\
        c##r##1 = start == FASTDL_ZERO ? zero : start == FASTDL_BIAS ? bias[j + 1] : c[r * width + 1];
    #define FASTDL_TERM(V, r)                                                                                        \\
        x = V##_all(a + r * row);                                                                                    \\
        c##r##0 = c##r##0 + x * b0;                                                                                  \\
        c##r##1 = c##r##1 + x * b1;
    #define FASTDL_STORE(r)                                                                                          \\
        c[r * width] = c##r##0;                                                                                      \\
        c[r * width + 1] = c##r##1;
    #define FASTDL_TILES(V)                                                                                          \\
    LANES void fastdl_tiles_##V(const char* A, Py_ssize_t row, Py_ssize_t step, Py_ssize_t rows, const V* B,         \\
                                Py_ssize_t width, Py_ssize_t depth, int start, const V* bias, V* C) {                \\
        V zero = {0}, x, b0, b1, c00, c01, c10, c11, c20, c21, c30, c31;                                             \\
        for (Py_ssize_t r = 0; r < rows; r += 4)                                                                     \\
            for (Py_ssize_t j = 0; j < width; j += 2) {                                                              \\
                const char* a = A + r * row;                                                                         \\
                const V* b = B + j;                                                                                  \\
                V* c = C + r * width + j;                                                                            \\
                FASTDL_START(0) FASTDL_START(1) FASTDL_START(2) FASTDL_START(3)                                      \\
                for (Py_ssize_t k = 0; k < depth; k++, a += step, b += width) {                                      \\
                    b0 = b[0];                                                                                       \\
                    b1 = b[1];                                                                                       \\
                    FASTDL_TERM(V, 0) FASTDL_TERM(V, 1) FASTDL_TERM(V, 2) FASTDL_TERM(V, 3)                          \\
                }                                                                                                    \\
                FASTDL_STORE(0) FASTDL_STORE(1) FASTDL_STORE(2) FASTDL_STORE(3)                                      \\
            }                                                                                                        \\
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
