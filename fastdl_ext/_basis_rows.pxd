"""Polynomial recurrences on four rows at once, and the transpose from columns to rows, in GNU C's portable vectors.

Three-term recurrences (Abramowitz and Stegun, 22.7): T_k = 2 t T_(k-1) - T_(k-2); P_k = t P_(k-1) + (k-1)/k (t P_(k-1) - P_(k-2)).
Bound by writing the rows. Loops over arrays would do the same, but GCC then keeps a recurrence's state in memory, and each step
waits for a store: it runs at half the speed.  Written once for double (d) and float (f); where vectors are missing, plain loops.
"""

from fastdl_ext._common cimport cloned    # for FASTDL_INLINE

cdef extern from *:
    """
    #include <string.h>

    /* From columns k, k + 1 (v, u) of a basis to the next, in the reference's order of operations. */
    enum { FASTDL_MONOMIAL, FASTDL_CHEBYSHEV, FASTDL_LEGENDRE };
    #define FASTDL_STEP(t, v, u, w, ratio)                                                                           \\
        if (basis == FASTDL_MONOMIAL) w = u * t;                                                                     \\
        else if (basis == FASTDL_CHEBYSHEV) w = (t + t) * u - v;                                                     \\
        else { w = t * u; w = w + (ratio) * (w - v); }                                                               \\
        v = u; u = w;
    #define FASTDL_MAP(t) if (mapped) t = ((t - low) - (high - t)) / (high - low);

    /* One row. */
    #define FASTDL_ROW(T, S)                                                                                         \\
    static FASTDL_INLINE void fastdl_row_##S(T t, const T* ratio, int basis, T* out, Py_ssize_t m, int mapped, T low,\\
                                             T high) {                                                               \\
        FASTDL_MAP(t)                                                                                                \\
        T u = t, v = 1, w;                                                                                           \\
        for (Py_ssize_t k = 0; k < m; k++) {                                                                         \\
            out[k] = v;                                                                                              \\
            FASTDL_STEP(t, v, u, w, ratio[k])                                                                        \\
        }                                                                                                            \\
    }
    FASTDL_ROW(double, d)
    FASTDL_ROW(float, f)

    #if defined(__GNUC__) && defined(__has_builtin)
      #if __has_builtin(__builtin_shufflevector)
        #define FASTDL_FOUR 1
      #endif
    #endif
    #ifdef FASTDL_FOUR
    typedef double fastdl_four_d __attribute__((vector_size(32)));
    typedef float fastdl_four_f __attribute__((vector_size(16)));
    #define FASTDL_MIX __builtin_shufflevector

    /* Four columns of four rows, turned into rows that are m apart. */
    #define FASTDL_TURN(T, V, S)                                                                                     \\
    static FASTDL_INLINE void fastdl_turn_##S(const V* c, T* out, Py_ssize_t m) {                                    \\
        V e = FASTDL_MIX(c[0], c[1], 0, 4, 2, 6), f = FASTDL_MIX(c[0], c[1], 1, 5, 3, 7);                            \\
        V g = FASTDL_MIX(c[2], c[3], 0, 4, 2, 6), h = FASTDL_MIX(c[2], c[3], 1, 5, 3, 7);                            \\
        V r0 = FASTDL_MIX(e, g, 0, 1, 4, 5), r1 = FASTDL_MIX(f, h, 0, 1, 4, 5);                                      \\
        V r2 = FASTDL_MIX(e, g, 2, 3, 6, 7), r3 = FASTDL_MIX(f, h, 2, 3, 6, 7);                                      \\
        memcpy(out, &r0, sizeof(V));                                                                                 \\
        memcpy(out + m, &r1, sizeof(V));                                                                             \\
        memcpy(out + 2 * m, &r2, sizeof(V));                                                                         \\
        memcpy(out + 3 * m, &r3, sizeof(V));                                                                         \\
    }
    FASTDL_TURN(double, fastdl_four_d, d)
    FASTDL_TURN(float, fastdl_four_f, f)

    /* GCC makes slow work of these vectors where registers are shorter. */
    #if defined(__clang__)
      #define FASTDL_WIDE 1
    #elif defined(__x86_64__)
      #define FASTDL_WIDE __builtin_cpu_supports("avx")
    #else
      #define FASTDL_WIDE 0
    #endif

    /* Eight rows as two groups of four, whose recurrences overlap in time; what is left over, row by row. */
    #define FASTDL_ROWS(T, V, S)                                                                                     \\
    static FASTDL_INLINE void fastdl_rows_##S(const T* x, const T* ratio, int basis, T* out, Py_ssize_t n,           \\
                                              Py_ssize_t m, int mapped, T low, T high) {                             \\
        Py_ssize_t i = 0, k, wide = FASTDL_WIDE ? n - 7 : 0;                                                         \\
        for (; i < wide; i += 8, out += 8 * m) {                                                                     \\
            V t[2], u[2], v[2], w, c[2][4];                                                                          \\
            for (int g = 0; g < 2; g++) {                                                                            \\
                memcpy(&t[g], x + i + 4 * g, sizeof(V));                                                             \\
                FASTDL_MAP(t[g])                                                                                     \\
                u[g] = t[g];                                                                                         \\
                v[g] = (V){1, 1, 1, 1};                                                                              \\
            }                                                                                                        \\
            for (k = 0; k + 4 <= m; k += 4) {                                                                        \\
                for (int q = 0; q < 4; q++)                                                                          \\
                    for (int g = 0; g < 2; g++) {                                                                    \\
                        c[g][q] = v[g];                                                                              \\
                        FASTDL_STEP(t[g], v[g], u[g], w, ratio[k + q])                                               \\
                    }                                                                                                \\
                for (int g = 0; g < 2; g++) fastdl_turn_##S(c[g], out + 4 * g * m + k, m);                           \\
            }                                                                                                        \\
            for (; k < m; k++)                                                                                       \\
                for (int g = 0; g < 2; g++) {                                                                        \\
                    for (int j = 0; j < 4; j++) out[(4 * g + j) * m + k] = v[g][j];                                  \\
                    FASTDL_STEP(t[g], v[g], u[g], w, ratio[k])                                                       \\
                }                                                                                                    \\
        }                                                                                                            \\
        for (; i < n; i++, out += m) fastdl_row_##S(x[i], ratio, basis, out, m, mapped, low, high);                  \\
    }

    FASTDL_ROWS(double, fastdl_four_d, d)
    FASTDL_ROWS(float, fastdl_four_f, f)

    /* Four values from each of four places, `step` apart, turned to four places `m` apart. */
    #define FASTDL_TILE(T, V, S)                                                                                     \\
    static FASTDL_INLINE void fastdl_tile_##S(const T* from, Py_ssize_t step, T* to, Py_ssize_t m) {                 \\
        V c[4];                                                                                                      \\
        for (int q = 0; q < 4; q++) memcpy(&c[q], from + q * step, sizeof(V));                                       \\
        fastdl_turn_##S(c, to, m);                                                                                   \\
    }
    FASTDL_TILE(double, fastdl_four_d, d)
    FASTDL_TILE(float, fastdl_four_f, f)
    #else
    #define FASTDL_PLAIN(T, S)                                                                                       \\
    static FASTDL_INLINE void fastdl_rows_##S(const T* x, const T* ratio, int basis, T* out, Py_ssize_t n,           \\
                                              Py_ssize_t m, int mapped, T low, T high) {                             \\
        for (Py_ssize_t i = 0; i < n; i++, out += m) fastdl_row_##S(x[i], ratio, basis, out, m, mapped, low, high);  \\
    }                                                                                                                \\
    static FASTDL_INLINE void fastdl_tile_##S(const T* from, Py_ssize_t step, T* to, Py_ssize_t m) {                 \\
        for (int q = 0; q < 4; q++)                                                                                  \\
            for (int j = 0; j < 4; j++) to[j * m + q] = from[q * step + j];                                          \\
    }
    FASTDL_PLAIN(double, d)
    FASTDL_PLAIN(float, f)
    #endif
    """
    enum:
        MONOMIAL "FASTDL_MONOMIAL"
        CHEBYSHEV "FASTDL_CHEBYSHEV"
        LEGENDRE "FASTDL_LEGENDRE"
    void rows_d "fastdl_rows_d"(const double*, const double*, int, double*, Py_ssize_t, Py_ssize_t, bint, double,
                                double) noexcept nogil
    void rows_f "fastdl_rows_f"(const float*, const float*, int, float*, Py_ssize_t, Py_ssize_t, bint, float,
                                float) noexcept nogil
    void tile_d "fastdl_tile_d"(const double*, Py_ssize_t, double*, Py_ssize_t) noexcept nogil
    void tile_f "fastdl_tile_f"(const float*, Py_ssize_t, float*, Py_ssize_t) noexcept nogil
