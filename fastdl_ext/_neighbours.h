/* Reductions over the neighbours of a node: the product of a sparse matrix in rows (CSR) and a dense one, row by row
(Gustavson's order), with sums, products, extremes, variances and softmax in place of the sum.  Included once for each REAL,
float and double.

Bound by memory: every edge fetches 4 bytes of its index and a row of F values of X that lies anywhere; a node writes F values.
Where X is in the caches the loads are the limit.  So a tile of columns stays in registers while the neighbours of a node
are reduced, in their order and each column by itself: the bits of a plain loop, whatever the tile; and the rows of the
neighbours to come are prefetched.  GCC keeps arrays of its vector types in registers; arrays of floats it leaves in memory for
some widths.  With one column, the CPU waits for wrong guesses of where a row ends: see `single`.
*/
#pragma GCC diagnostic ignored "-Wpsabi"                    /* every function that takes a vector is inlined: no ABI is involved */
#include <math.h>
#include <stdint.h>
#include <string.h>

#ifndef FASTDL_NEIGHBOURS
#define FASTDL_NEIGHBOURS

/* What is done with the neighbours; as in fastdl/graphs/_kernel_calls.py. */
enum { PLAIN, WEIGHTED, GCN, LARGEST, SMALLEST, PRODUCT, MEAN, VARIANCE, SOFTMAX };
enum { AT_ONCE = 5 };                                       /* neighbours that NAME(single) adds without a branch */
enum { SILENT = 64 };                                       /* rows that NAME(singles) passes over where none has a neighbour */
enum { HEADS_AT_ONCE = 16 };                                /* of the softmax over edges: what fits in registers */
enum { STRETCH = 64 };      /* neighbours added before their sum goes to a compensated one: its cost is 1/64 of a neighbour's,
                               and the error of 64 additions is below that of a float's rounding of the features */

#define PASTE(a, b) a##b
#define JOIN(a, b) PASTE(a, b)
#define NAME(name) JOIN(fastdl_##name##_, REAL)

typedef int32_t float_mask;
typedef int64_t double_mask;
#if defined(__GNUC__)
  #define PREFETCH(p) __builtin_prefetch(p)
  #define PREFETCH_ONCE(p) __builtin_prefetch(p, 0, 0)       /* leaves the caches to X */
  #define UNROLL _Pragma("GCC unroll 8")
  #define APART __attribute__((noinline))                    /* inlined beside the tiles it would be short of registers */
  #define VECTOR(T, bytes) __attribute__((vector_size(bytes), aligned(sizeof(T)), may_alias)) T
  typedef VECTOR(float, 8) f2;     typedef VECTOR(int32_t, 8) f2_mask;
  typedef VECTOR(float, 16) f4;    typedef VECTOR(int32_t, 16) f4_mask;
  typedef VECTOR(float, 32) f8;    typedef VECTOR(int32_t, 32) f8_mask;
  typedef VECTOR(double, 16) d2;   typedef VECTOR(int64_t, 16) d2_mask;
  typedef VECTOR(double, 32) d4;   typedef VECTOR(int64_t, 32) d4_mask;
  #define SELECT(V, mask, x, y) ((V)(((JOIN(V, _mask))(x) & (mask)) | ((JOIN(V, _mask))(y) & ~(mask))))
#else                                                         /* tiles of single values */
  #define PREFETCH(p)
  #define PREFETCH_ONCE(p)
  #define UNROLL
  #define APART
  typedef float f2, f4, f8;
  typedef double d2, d4;
  typedef int32_t f2_mask, f4_mask, f8_mask;
  typedef int64_t d2_mask, d4_mask;
  #define SELECT(V, mask, x, y) ((mask) ? (x) : (y))
#endif
#define LANES(V) ((int)(sizeof(V) / sizeof(REAL)))
#define PER_LINE(V) (sizeof(V) < 64 ? 64 / (int)sizeof(V) : 1)   /* vectors in a cache line, which is fetched once */
#define SELECT_ONE(V, mask, x, y) ((mask) ? (x) : (y))

/* The rows of a graph and what is gathered from: the arguments of every loop below.  Rows of X are F values apart, rows of out
   `stride`. */
#define GRAPH \
  const int64_t* indptr, const int32_t* indices, int64_t edges, int64_t first, int64_t last, \
  const REAL* X, int64_t F, REAL* out, int64_t stride
#define WEIGHTS const REAL* weight, int64_t step, const REAL* root      /* weight[j * step]; root is 1/sqrt(degree) */

#define FILL(a, N, value) for (int k = 0; k < N; k++) a[k] = (value)
#define WRITE(V, N, a) for (int k = 0; k < N; k++) *(V*)(out + (i - first) * stride + k * LANES(V)) = a[k]
/* The rows start..end of the neighbours, with v = w X[source]; `body` says what becomes of v. */
#define NEIGHBOURS(V, N, start, end, body) \
  for (int64_t j = start; j < end; j++) { \
    const REAL* x = X + indices[j] * F; \
    const REAL* ahead = X + indices[j + 8 < edges ? j + 8 : edges - 1] * F; \
    const REAL w = weight[j * step]; \
    for (int k = 0; k < N; k += PER_LINE(V)) PREFETCH(ahead + k * LANES(V)); \
    for (int k = 0; k < N; k++) { const V v = *(const V*)(x + k * LANES(V)) * w; body; } \
  }

/* total + rest += a, without an error (Knuth's two-sum): rest holds what total is too coarse for. */
#define ADD_EXACTLY(V, N, total, rest, a) \
  for (int k = 0; k < N; k++) { \
    const V both = total[k] + a[k], part = both - total[k]; \
    rest[k] += (total[k] - (both - part)) + (a[k] - part); \
    total[k] = both; \
  }
/* What they hold together; infinities leave a NaN in rest. */
#define TOGETHER(V, S, total, rest) S(V, rest == rest, total + rest, total)

/* One tile for the rows first..last: N vectors of type V.  `op` is known where this is inlined. */
#define TILE(WHICH, V, S, N) \
  static FASTDL_INLINE void NAME(WHICH)(const int op, GRAPH, WEIGHTS) { \
    enum { WIDTH = LANES(V) }; \
    for (int64_t i = first; i < last; i++) { \
      const int64_t start = indptr[i], end = indptr[i + 1]; \
      V a[N]; \
      REAL loop = 1; \
      FILL(a, N, (V){0} + (op == LARGEST ? -(REAL)INFINITY : op == SMALLEST ? (REAL)INFINITY : op == PRODUCT ? 1 : 0)); \
      for (int64_t j = start; j < end; j++) { \
        const int64_t source = indices[j], ahead = indices[j + 8 < edges ? j + 8 : edges - 1]; \
        const REAL* x = X + source * F; \
        for (int k = 0; k < N; k += PER_LINE(V)) PREFETCH(X + ahead * F + k * WIDTH); \
        if (op == GCN && source == i) { loop = weight[j * step]; continue; } \
        const REAL w = op == PLAIN ? 1 : op == GCN ? root[source] * weight[j * step] * root[i] : weight[j * step]; \
        for (int k = 0; k < N; k++) { \
          V v = *(const V*)(x + k * WIDTH); \
          if (op != PLAIN) v *= w; \
          if (op == LARGEST) a[k] = S(V, (v > a[k]) | (v != v), v, a[k]);       /* NaN stays: no value is above it */ \
          else if (op == SMALLEST) a[k] = S(V, (v < a[k]) | (v != v), v, a[k]); \
          else if (op == PRODUCT) a[k] *= v; \
          else a[k] += v; \
        } \
      } \
      if (op == GCN)                                          /* PyG appends the self loops: they come last */ \
        for (int k = 0; k < N; k++) a[k] += *(const V*)(X + i * F + k * WIDTH) * (root[i] * loop * root[i]); \
      if (start == end && op != GCN && op != PRODUCT) FILL(a, N, (V){0}); \
      WRITE(V, N, a); \
    } \
  }

/* Mean and variance (of all neighbours: divided by their number), by compensated sums of stretches; the variance in a second
   pass, from the mean.  The softmax weighs every neighbour by exp(v - largest v), column by column. */
#define TILE_OF_PASSES(WHICH, V, S, N) \
  static FASTDL_INLINE void NAME(WHICH##_moments)(const int op, GRAPH, WEIGHTS) { \
    for (int64_t i = first; i < last; i++) { \
      const int64_t start = indptr[i], end = indptr[i + 1]; \
      const REAL count = end > start ? (REAL)(end - start) : 1; \
      V a[N], total[N], rest[N], mean[N]; \
      for (int pass = 0; pass <= (op == VARIANCE); pass++) { \
        FILL(total, N, (V){0}); \
        FILL(rest, N, (V){0}); \
        for (int64_t at = start; at < end; at += STRETCH) { \
          const int64_t stop = at + STRETCH < end ? at + STRETCH : end; \
          FILL(a, N, (V){0}); \
          if (pass == 0) { NEIGHBOURS(V, N, at, stop, a[k] += v) } \
          else { NEIGHBOURS(V, N, at, stop, { const V d = v - mean[k]; a[k] += d * d; }) } \
          ADD_EXACTLY(V, N, total, rest, a) \
        } \
        for (int k = 0; k < N; k++) mean[k] = TOGETHER(V, S, total[k], rest[k]) / count; \
      } \
      WRITE(V, N, mean); \
    } \
  } \
  static FASTDL_INLINE V NAME(WHICH##_exp)(V x) {       /* of x <= 0; 0 below the least normal number; NaN stays */ \
    union { V value; JOIN(V, _mask) bits; } scale; \
    const V kept = S(V, x > (REAL)LEAST_EXPONENT, x, (V){0} + (REAL)LEAST_EXPONENT); \
    scale.value = kept * (REAL)1.4426950408889634 + (REAL)ROUNDER;        /* rounds, and holds n in its lowest bits */ \
    const V n = scale.value - (REAL)ROUNDER; \
    const V f = (kept - n * (REAL)LN2_HIGH) - n * (REAL)LN2_LOW;          /* |f| <= ln(2)/2, the first product is exact */ \
    V t = (V){0} + (REAL)SERIES[0]; \
    for (int c = 1; c < TERMS; c++) t = (REAL)SERIES[c] + f * t; \
    t = (REAL)1 + (f + f * f * t); \
    scale.bits = (scale.bits + BIAS) << MANTISSA; \
    t = S(V, x > (REAL)LEAST_EXPONENT, t * scale.value, (V){0}); \
    return S(V, x != x, x, t); \
  } \
  static FASTDL_INLINE void NAME(WHICH##_softmax)(GRAPH, WEIGHTS) { \
    for (int64_t i = first; i < last; i++) { \
      const int64_t start = indptr[i], end = indptr[i + 1]; \
      V top[N], a[N], b[N], total[N], rest[N], sum[N], sum_rest[N]; \
      FILL(top, N, (V){0} - (REAL)INFINITY); \
      NEIGHBOURS(V, N, start, end, top[k] = S(V, (v > top[k]) | (v != v), v, top[k])) \
      FILL(total, N, (V){0}); FILL(rest, N, (V){0}); FILL(sum, N, (V){0}); FILL(sum_rest, N, (V){0}); \
      for (int64_t at = start; at < end; at += STRETCH) { \
        const int64_t stop = at + STRETCH < end ? at + STRETCH : end; \
        FILL(a, N, (V){0}); \
        FILL(b, N, (V){0}); \
        NEIGHBOURS(V, N, at, stop, { const V e = NAME(WHICH##_exp)(v - top[k]); a[k] += e * v; b[k] += e; }) \
        ADD_EXACTLY(V, N, total, rest, a) \
        ADD_EXACTLY(V, N, sum, sum_rest, b) \
      } \
      for (int k = 0; k < N; k++) a[k] = TOGETHER(V, S, total[k], rest[k]) / TOGETHER(V, S, sum[k], sum_rest[k]); \
      if (start == end) FILL(a, N, (V){0}); \
      WRITE(V, N, a); \
    } \
  }

#endif

/* The constants of exp; undefined again before the second inclusion. */
#undef LEAST_EXPONENT
#undef ROUNDER
#undef LN2_HIGH
#undef LN2_LOW
#undef BIAS
#undef MANTISSA
#undef TERMS
#undef SERIES
#if IS_DOUBLE
  #define LEAST_EXPONENT -708.0
  #define ROUNDER 6755399441055744.0                          /* 1.5 2^52 */
  #define LN2_HIGH 0.693147180369123816490
  #define LN2_LOW 1.90821492927058770002e-10
  #define BIAS 1023
  #define MANTISSA 52
  #define TERMS 12                                            /* 1/13!, ..., 1/2!: the remainder is below 2^-55 */
  static const double NAME(series)[TERMS] = {1.6059043836821613e-10, 2.08767569878681e-09, 2.505210838544172e-08,
    2.755731922398589e-07, 2.7557319223985893e-06, 2.48015873015873e-05, 0.0001984126984126984, 0.001388888888888889,
    0.008333333333333333, 0.041666666666666664, 0.16666666666666666, 0.5};
#else
  #define LEAST_EXPONENT -87.0f
  #define ROUNDER 12582912.0f                                 /* 1.5 2^23 */
  #define LN2_HIGH 0.693359375f
  #define LN2_LOW -2.12194440e-4f
  #define BIAS 127
  #define MANTISSA 23
  #define TERMS 6                                             /* 1/7!, ..., 1/2!: the remainder is below 2^-27 */
  static const float NAME(series)[TERMS] = {0.0001984126984126984f, 0.001388888888888889f, 0.008333333333333333f,
    0.041666666666666664f, 0.16666666666666666f, 0.5f};
#endif
#define SERIES NAME(series)

TILE(tile1, REAL, SELECT_ONE, 1)
TILE(tile2, V2, SELECT, 2 / LANES(V2))
TILE(tile4, V4, SELECT, 4 / LANES(V4))
TILE(tile8, V8, SELECT, 8 / LANES(V8))
TILE(tile16, V8, SELECT, 16 / LANES(V8))
TILE(tile32, V8, SELECT, 32 / LANES(V8))
TILE(tile64, V8, SELECT, 64 / LANES(V8))
TILE_OF_PASSES(tile1, REAL, SELECT_ONE, 1)
TILE_OF_PASSES(tile4, V4, SELECT, 4 / LANES(V4))
TILE_OF_PASSES(tile16, V8, SELECT, 16 / LANES(V8))

/* A sum of single values waits for X, and for wrong guesses of where a row ends.  So every row ends with a fixed number of
   additions, of -0.0 where no neighbour is left, which changes no sum.  What is added there is chosen by masks: of a conditional
   the compiler makes a branch, and a branch is guessed wrong.  Five at once was the fastest for 4, 8, 20 and 40 neighbours. */
static APART void NAME(single)(GRAPH) {
  static const REAL nothing = (REAL)-0.0;
  static const intptr_t keep[2 * AT_ONCE] = {-1, -1, -1, -1, -1};
  const intptr_t away = (intptr_t)X - (intptr_t)&nothing;               /* in bytes: right for an X at any address */
  (void)F;
  for (int64_t i = first; i < last; i++) {
    const int64_t count = indptr[i + 1] - indptr[i];
    const int32_t* j = indices + indptr[i];
    int64_t left = count;
    REAL a = 0;
    PREFETCH_ONCE(j + 384);
    PREFETCH_ONCE(j + 400);
    for (; left >= AT_ONCE; left -= AT_ONCE, j += AT_ONCE) {
      UNROLL for (int k = 0; k < AT_ONCE; k++) a += X[j[k]];
    }
    if (j + AT_ONCE <= indices + edges) {
      const intptr_t* mask = keep + AT_ONCE - left;
      UNROLL for (int k = 0; k < AT_ONCE - 1; k++) {
        const intptr_t to = (away + (intptr_t)j[k] * (intptr_t)sizeof(REAL)) & mask[k];
        a += *(const REAL*)((const char*)&nothing + to);
      }
    } else {
      for (; left; left--) a += X[*j++];
    }
    out[(i - first) * stride] = a;
  }
}

/* The same, but for stretches of rows without a neighbour, such as lie beside a hub: the additions of nothing for 200,000 rows
   took a third as long as those for a hub of a million edges. */
static FASTDL_INLINE void NAME(singles)(GRAPH) {
  for (int64_t i = first; i < last;) {
    int64_t end = i, stop = i;
    for (; end < last; end = stop) {
      stop = end + SILENT < last ? end + SILENT : last;
      if (indptr[stop] == indptr[end]) break;
    }
    if (i < end) NAME(single)(indptr, indices, edges, i, end, X, F, out + (i - first) * stride, stride);
    for (i = end; i < stop; i++) out[(i - first) * stride] = 0;
  }
}

/* The columns from..to of the rows first..last, in tiles of at most 64.  The last tile overlaps the one before it, which writes
   the same values again, instead of leaving a remainder to a slow loop. */
#define ARGUMENTS indptr, indices, edges, first, last, X + c, F, out + c, stride, weight, step, root
static FASTDL_INLINE void NAME(columns)(const int op, GRAPH, WEIGHTS, int64_t from, int64_t to) {
  for (int64_t c = from; c < to;) {
    int64_t width = 64;
    while (width / 2 >= to - c) width /= 2;
    if (width > to - from) width /= 2;                        /* nothing to overlap yet */
    if (width > to - c) c = to - width;
    switch (width) {
      case 64: NAME(tile64)(op, ARGUMENTS); break;
      case 32: NAME(tile32)(op, ARGUMENTS); break;
      case 16: NAME(tile16)(op, ARGUMENTS); break;
      case 8: NAME(tile8)(op, ARGUMENTS); break;
      case 4: NAME(tile4)(op, ARGUMENTS); break;
      case 2: NAME(tile2)(op, ARGUMENTS); break;
      default:
        if (op == PLAIN && F == 1) NAME(singles)(indptr, indices, edges, first, last, X, F, out, stride);
        else NAME(tile1)(op, ARGUMENTS);
    }
    c += width;
  }
}

/* The same for what takes several passes, in tiles of 16, 4 and 1. */
#define PASSES(tile) \
  if (op == SOFTMAX) NAME(tile##_softmax)(ARGUMENTS); \
  else if (op == MEAN) NAME(tile##_moments)(MEAN, ARGUMENTS); \
  else NAME(tile##_moments)(VARIANCE, ARGUMENTS);
static FASTDL_INLINE void NAME(passes)(const int op, GRAPH, WEIGHTS, int64_t from, int64_t to) {
  for (int64_t c = from; c < to;) {
    int64_t width = to - from >= 16 ? 16 : to - from >= 4 ? 4 : 1;
    if (width > to - c) c = to - width;
    if (width == 16) { PASSES(tile16) }
    else if (width == 4) { PASSES(tile4) }
    else { PASSES(tile1) }
    c += width;
  }
}
#undef PASSES
#undef ARGUMENTS

/* Means: rows of at most a stretch have the bits of their plain sum, divided, and go its way; 64 of them, while they are in the
   cache. */
static FASTDL_INLINE void NAME(means)(GRAPH, WEIGHTS, int64_t from, int64_t to) {
  #define ROWS(last) indptr, indices, edges, i, last, X, F, out + (i - first) * stride, stride, weight, step, root, from, to
  for (int64_t i = first; i < last;) {
    int64_t end = i;
    while (end < last && end - i < 64 && indptr[end + 1] - indptr[end] <= STRETCH) end++;
    if (end == i) {
      NAME(passes)(MEAN, ROWS(i + 1));
      i++;
      continue;
    }
    if (step == 0 && weight[0] == 1) NAME(columns)(PLAIN, ROWS(end));
    else NAME(columns)(WEIGHTED, ROWS(end));
    for (; i < end; i++) {
      const REAL count = (REAL)(indptr[i + 1] - indptr[i]);
      REAL* row = out + (i - first) * stride;
      if (count > 1) for (int64_t c = from; c < to; c++) row[c] /= count;
    }
  }
  #undef ROWS
}

static FASTDL_CLONES void NAME(neighbours)(int op, GRAPH, WEIGHTS, int64_t from, int64_t to) {
  #define ARGUMENTS indptr, indices, edges, first, last, X, F, out, stride, weight, step, root, from, to
  switch (op) {
    case PLAIN: NAME(columns)(PLAIN, ARGUMENTS); break;
    case WEIGHTED: NAME(columns)(WEIGHTED, ARGUMENTS); break;
    case GCN: NAME(columns)(GCN, ARGUMENTS); break;
    case LARGEST: NAME(columns)(LARGEST, ARGUMENTS); break;
    case SMALLEST: NAME(columns)(SMALLEST, ARGUMENTS); break;
    case PRODUCT: NAME(columns)(PRODUCT, ARGUMENTS); break;
    case MEAN: NAME(means)(ARGUMENTS); break;
    default: NAME(passes)(op, ARGUMENTS);
  }
  #undef ARGUMENTS
}
