/* Sums, maxima and minima over the neighbours of a node.  Included once for each REAL, float and double.

The work is fetching rows of X that lie anywhere.  So a tile of columns stays in registers while the neighbours of a node are
added, in their order and each column by itself: the bits of a plain loop, whatever the tile; and the rows of the neighbours to
come are prefetched.  GCC keeps arrays of its vector types in registers; arrays of floats it leaves in memory for some widths.
*/
#include <math.h>
#include <stdint.h>

#ifndef FASTDL_NEIGHBOURS
#define FASTDL_NEIGHBOURS

enum { PLAIN, WEIGHTED, GCN, LARGEST, SMALLEST };           /* what is done with the neighbours */
enum { AT_ONCE = 5 };                                       /* neighbours of single values; see there */

#define PASTE(a, b) a##b
#define JOIN(a, b) PASTE(a, b)
#define NAME(name) JOIN(fastdl_##name##_, REAL)

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
  #define SELECT(V, mask, x, y) ((mask) ? (x) : (y))
#endif
#define LANES(V) ((int)(sizeof(V) / sizeof(REAL)))
#define SELECT_ONE(V, mask, x, y) ((mask) ? (x) : (y))

/* The rows of a graph and what is gathered from: the arguments of every loop below. */
#define GRAPH \
  const int64_t* indptr, const int32_t* indices, int64_t edges, int64_t first, int64_t last, \
  const REAL* X, int64_t F, REAL* out, int mean
#define WEIGHTS const REAL* weight, int64_t step, const REAL* root      /* weight[j * step]; root is 1/sqrt(degree) */

/* One tile for the rows first..last: N vectors of type V.  `op` is known where this is inlined. */
#define TILE(WHICH, V, SELECT_V, N) \
  static FASTDL_INLINE void NAME(WHICH)(const int op, GRAPH, WEIGHTS) { \
    enum { WIDTH = LANES(V) }; \
    for (int64_t i = first; i < last; i++) { \
      const int64_t start = indptr[i], end = indptr[i + 1]; \
      V a[N]; \
      REAL loop = 1; \
      for (int k = 0; k < N; k++) a[k] = (V){0} + (op == LARGEST ? -(REAL)INFINITY : op == SMALLEST ? (REAL)INFINITY : 0); \
      for (int64_t j = start; j < end; j++) { \
        const int64_t source = indices[j], ahead = indices[j + 8 < edges ? j + 8 : edges - 1]; \
        const REAL* x = X + source * F; \
        for (int k = 0; k < N; k++) PREFETCH(X + ahead * F + k * WIDTH); \
        if (op == GCN && source == i) { loop = weight[j * step]; continue; } \
        const REAL w = op == PLAIN ? 1 : op == GCN ? root[source] * weight[j * step] * root[i] : weight[j * step]; \
        for (int k = 0; k < N; k++) { \
          V v = *(const V*)(x + k * WIDTH); \
          if (op != PLAIN) v *= w; \
          if (op == LARGEST) a[k] = SELECT_V(V, (v > a[k]) | (v != v), v, a[k]);       /* NaN stays: no value is above it */ \
          else if (op == SMALLEST) a[k] = SELECT_V(V, (v < a[k]) | (v != v), v, a[k]); \
          else a[k] += v; \
        } \
      } \
      if (op == GCN)                                          /* PyG appends the self loops: they come last */ \
        for (int k = 0; k < N; k++) a[k] += *(const V*)(X + i * F + k * WIDTH) * (root[i] * loop * root[i]); \
      if (start == end && op != GCN) for (int k = 0; k < N; k++) a[k] = (V){0}; \
      if (mean && end > start) for (int k = 0; k < N; k++) a[k] /= (REAL)(end - start); \
      for (int k = 0; k < N; k++) *(V*)(out + (i - first) * F + k * WIDTH) = a[k]; \
    } \
  }

#endif

TILE(tile1, REAL, SELECT_ONE, 1)
TILE(tile2, V2, SELECT, 2 / LANES(V2))
TILE(tile4, V4, SELECT, 4 / LANES(V4))
TILE(tile8, V8, SELECT, 8 / LANES(V8))
TILE(tile16, V8, SELECT, 16 / LANES(V8))
TILE(tile32, V8, SELECT, 32 / LANES(V8))
TILE(tile64, V8, SELECT, 64 / LANES(V8))

/* A sum of single values waits for X, and for wrong guesses of where a row ends.  So every row ends with a fixed number of
   additions, of -0.0 where no neighbour is left, which changes no sum.  What is added there is chosen by masks: of a conditional
   the compiler makes a branch, and a branch is guessed wrong.  Five at once was the fastest for 4, 8, 20 and 40 neighbours. */
static APART void NAME(single)(GRAPH) {
  static const REAL nothing = (REAL)-0.0;
  static const int64_t keep[2 * AT_ONCE] = {-1, -1, -1, -1, -1};
  const int64_t none = ((int64_t)(intptr_t)&nothing - (int64_t)(intptr_t)X) / (int64_t)sizeof(REAL);      /* X + none is &nothing */
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
      const int64_t* mask = keep + AT_ONCE - left;
      UNROLL for (int k = 0; k < AT_ONCE - 1; k++) a += X[none + ((j[k] - none) & mask[k])];
    } else {
      for (; left; left--) a += X[*j++];
    }
    out[i - first] = mean && count ? a / (REAL)count : a;
  }
}

/* The columns from..to of the rows first..last, in tiles of at most 64.  The last tile overlaps the one before it, which writes
   the same values again, instead of leaving a remainder to a slow loop. */
static FASTDL_INLINE void NAME(columns)(const int op, GRAPH, WEIGHTS, int64_t from, int64_t to) {
  for (int64_t c = from; c < to;) {
    int64_t width = 64;
    while (width / 2 >= to - c) width /= 2;
    if (width > to - from) width /= 2;                        /* nothing to overlap yet */
    if (width > to - c) c = to - width;
    #define ARGUMENTS op, indptr, indices, edges, first, last, X + c, F, out + c, mean, weight, step, root
    switch (width) {
      case 64: NAME(tile64)(ARGUMENTS); break;
      case 32: NAME(tile32)(ARGUMENTS); break;
      case 16: NAME(tile16)(ARGUMENTS); break;
      case 8: NAME(tile8)(ARGUMENTS); break;
      case 4: NAME(tile4)(ARGUMENTS); break;
      case 2: NAME(tile2)(ARGUMENTS); break;
      default:
        if (op == PLAIN && F == 1) NAME(single)(indptr, indices, edges, first, last, X, F, out, mean);
        else NAME(tile1)(ARGUMENTS);
    }
    #undef ARGUMENTS
    c += width;
  }
}

static FASTDL_CLONES void NAME(neighbours)(int op, GRAPH, WEIGHTS, int64_t from, int64_t to) {
  #define ARGUMENTS indptr, indices, edges, first, last, X, F, out, mean, weight, step, root, from, to
  switch (op) {
    case PLAIN: NAME(columns)(PLAIN, ARGUMENTS); break;
    case WEIGHTED: NAME(columns)(WEIGHTED, ARGUMENTS); break;
    case GCN: NAME(columns)(GCN, ARGUMENTS); break;
    case LARGEST: NAME(columns)(LARGEST, ARGUMENTS); break;
    case SMALLEST: NAME(columns)(SMALLEST, ARGUMENTS); break;
  }
  #undef ARGUMENTS
}
