/* A block of points on its way to their voxels (points_hard_voxels.pyx): the runs of points with one key, a look-up for each run, and
what follows from it for points and new voxels.

A Zen 5 core does some four instructions a cycle here, and the loops are bound by their number: 120,000 points of a scan in 83,000 voxels
need 87,000 look-ups of 24 instructions.  What is done for every point is therefore done for 16 at a time where there is AVX-512: 20
instructions find the runs of 16 points and leave their keys and slots side by side, 40 write their ids and the coordinates of the voxels
that begin.  The look-up has one branch that is hard to guess, whether its slot is another key's; a wrong guess takes as long as two
look-ups.  Eight look-ups at once (gather, conflicts, scatter) were slower than eight one by one: 3.1 to 2.9 ns each, for the processor
makes eight loads and eight stores of them; so were two entries of 32 bits in a slot of 64, the key's rest with the id, without a branch
(3.0 ns: 55 instructions), and four in a vector (3.5 ns).
*/
#ifndef FASTDL_VOXEL_BLOCKS
#define FASTDL_VOXEL_BLOCKS
#include <stdint.h>

enum {
  VOXEL_POINTS = 512,                 /* of a block */
  VOXEL_LANES = 16,
  VOXEL_FAR = 1 << 30,                /* the place of a point that is in no voxel: beyond every row */
  VOXEL_AHEAD = 16                    /* look-ups that a slot is asked for before its own: what one takes in L3 */
};
#define VOXEL_NONE 0xFFFFFFFFu        /* the key of a point that is in no voxel; what is found where there may be no more */
#if defined(__GNUC__)
  #define VOXEL_PREFETCH(p) __builtin_prefetch(p)
  #define VOXEL_APART __attribute__((noinline))           /* inlined in the loop over blocks it is short of registers */
#else
  #define VOXEL_PREFETCH(p) ((void)0)
  #define VOXEL_APART
#endif

typedef struct {
  /* Of points.  keys[0] is no point's; run is of plain loops alone, starts (a bit a point) of vectors. */
  int32_t cx[VOXEL_POINTS], cy[VOXEL_POINTS], cz[VOXEL_POINTS];
  uint32_t keys[1 + VOXEL_POINTS + VOXEL_LANES], slots[VOXEL_POINTS + VOXEL_LANES];
  int32_t run[VOXEL_POINTS];          /* VOXEL_POINTS of a point that is in no voxel */
  uint16_t starts[VOXEL_POINTS / VOXEL_LANES];
  /* Of runs.  first has the end of the last one behind it; found is the id + 1 of a voxel that was there, or 0, or NONE. */
  int32_t first[VOXEL_POINTS + VOXEL_LANES];
  uint32_t run_keys[VOXEL_POINTS + VOXEL_LANES], run_slots[VOXEL_POINTS + VOXEL_LANES + VOXEL_AHEAD];
  uint32_t found[VOXEL_POINTS + VOXEL_LANES];
  /* Of plain loops alone: the end of a run, its voxel, and the points that this had, less `first`: plus the index of a point that
     is its place in the voxel. */
  int32_t stop[VOXEL_POINTS + 1], ids[VOXEL_POINTS + 1], before[VOXEL_POINTS + 1];
  /* The points that begin a voxel, in the order of its ids, and those that come to one. */
  int32_t born[VOXEL_POINTS + VOXEL_LANES], more[VOXEL_POINTS + VOXEL_LANES];
  int64_t births, others, dropped;
} voxel_block;

/* Without vectors: the runs of n points, */
static int64_t voxel_runs_plain(voxel_block* b, int64_t n) {
  uint32_t last = VOXEL_NONE;
  int64_t runs = 0;
  for (int64_t j = 0; j < n; j++) {   /* written every time, kept where a run starts: no branch to guess */
    const uint32_t key = b->keys[1 + j];
    b->first[runs] = (int32_t)j;
    b->run_keys[runs] = key;
    b->run_slots[runs] = b->slots[j];
    runs += (key != last) & (key != VOXEL_NONE);
    b->run[j] = key == VOXEL_NONE ? VOXEL_POINTS : (int32_t)runs - 1;
    b->stop[b->run[j]] = (int32_t)j + 1;
    last = key;
  }
  return runs;
}

/* their voxels, counted by runs, and the points that begin one, */
static void voxel_enter(voxel_block* b, int64_t runs, int64_t voxels, int32_t* counts) {
  int32_t next = (int32_t)voxels;
  int64_t dropped = 0;
  for (int64_t r = 0; r < runs; r++) {
    const int32_t j = b->first[r], points = b->stop[r] - j, fresh = -(b->found[r] == 0);
    const int32_t id = ((int32_t)(b->found[r] - 1) & ~fresh) | (next & fresh);
    if (b->found[r] == VOXEL_NONE) {
      b->ids[r] = -1, b->before[r] = VOXEL_FAR;
      dropped += points;
      continue;
    }
    const int32_t known = counts[id] & ~fresh;
    counts[id] = known + points;
    b->ids[r] = id;
    b->before[r] = known - j;
    b->born[next - voxels] = j;
    next -= fresh;
  }
  b->ids[VOXEL_POINTS] = -1, b->before[VOXEL_POINTS] = VOXEL_FAR;
  b->births = next - voxels, b->dropped = dropped;
}

/* and the rows of `coords` of the voxels that begin. */
static void voxel_coords(const voxel_block* b, int64_t voxels, int reverse, int32_t* coords) {
  const int32_t *xs = reverse ? b->cz : b->cx, *zs = reverse ? b->cx : b->cz;
  coords += 3 * voxels;
  for (int64_t k = 0; k < b->births; k++) {
    const int32_t j = b->born[k];
    coords[3 * k] = xs[j];
    coords[3 * k + 1] = b->cy[j];
    coords[3 * k + 2] = zs[j];
  }
}

/* The same for 16 points at a time.  Counts are left to what copies the points, of which few come to a voxel that has begun. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12
#include <immintrin.h>
#include <string.h>
/* By name: "arch=" takes away what CFLAGS=-march=native adds, and intrinsics compiled for that cannot be inlined then. */
#define VOXEL_V4 __attribute__((target("avx512f,avx512bw,avx512cd,avx512dq,avx512vl,bmi,bmi2,lzcnt,popcnt,fma,movbe")))

VOXEL_V4 static int64_t voxel_runs_v4(voxel_block* b, int64_t n) {
  const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), none = _mm512_set1_epi32(-1);
  int64_t runs = 0;
  for (int64_t j = 0; j < n; j += 16) {
    const __mmask16 live = n - j < 16 ? (__mmask16)((1 << (n - j)) - 1) : 0xFFFF;
    const __m512i key = _mm512_maskz_loadu_epi32(live, b->keys + 1 + j), slot = _mm512_maskz_loadu_epi32(live, b->slots + j);
    const __mmask16 inside = _mm512_mask_cmpneq_epi32_mask(live, key, none);
    const __mmask16 changed = _mm512_cmpneq_epi32_mask(key, _mm512_maskz_loadu_epi32(live, b->keys + j));
    const __mmask16 start = inside & (changed | 1);       /* every vector begins a run: none needs the one before */
    b->starts[j / 16] = start;
    _mm512_storeu_si512(b->first + runs, _mm512_maskz_compress_epi32(start, _mm512_add_epi32(lane, _mm512_set1_epi32((int)j))));
    _mm512_storeu_si512(b->run_keys + runs, _mm512_maskz_compress_epi32(start, key));
    _mm512_storeu_si512(b->run_slots + runs, _mm512_maskz_compress_epi32(start, slot));
    runs += __builtin_popcount(start);
  }
  return runs;
}

/* Rows of three of what `some` has of x, y and z. */
VOXEL_V4 static inline void voxel_rows_v4(__m512i x, __m512i y, __m512i z, __mmask16 some, int32_t* rows) {
  const uint64_t wanted = ((uint64_t)1 << 3 * __builtin_popcount(some)) - 1;
  /* Lane e of the three vectors of rows is lane e / 3 of x, y or z by e % 3; 16 more takes it of the second, y. */
  const __m512i a = _mm512_setr_epi32(0, 16, 0, 1, 17, 1, 2, 18, 2, 3, 19, 3, 4, 20, 4, 5);
  const __m512i b = _mm512_setr_epi32(21, 5, 6, 22, 6, 7, 23, 7, 8, 24, 8, 9, 25, 9, 10, 26);
  const __m512i c = _mm512_setr_epi32(10, 11, 27, 11, 12, 28, 12, 13, 29, 13, 14, 30, 14, 15, 31, 15);
  x = _mm512_maskz_compress_epi32(some, x);
  y = _mm512_maskz_compress_epi32(some, y);
  z = _mm512_maskz_compress_epi32(some, z);
  _mm512_mask_storeu_epi32(rows, (__mmask16)wanted,
                           _mm512_mask_permutexvar_epi32(_mm512_permutex2var_epi32(x, a, y), 0x4924, a, z));
  _mm512_mask_storeu_epi32(rows + 16, (__mmask16)(wanted >> 16),
                           _mm512_mask_permutexvar_epi32(_mm512_permutex2var_epi32(x, b, y), 0x2492, b, z));
  _mm512_mask_storeu_epi32(rows + 32, (__mmask16)(wanted >> 32),
                           _mm512_mask_permutexvar_epi32(_mm512_permutex2var_epi32(x, c, y), 0x9249, c, z));
}

VOXEL_V4 static void voxel_ids_v4(voxel_block* b, int64_t n, int64_t voxels, int reverse, int32_t* ids, int32_t* coords) {
  const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), none = _mm512_set1_epi32(-1);
  const __m512i upto = _mm512_sub_epi32(_mm512_sllv_epi32(_mm512_set1_epi32(2), lane), _mm512_set1_epi32(1));
  const int32_t *xs = reverse ? b->cz : b->cx, *zs = reverse ? b->cx : b->cz;
  int64_t runs = 0, births = 0, others = 0, dropped = 0;
  for (int64_t j = 0; j < n; j += 16) {
    const __mmask16 live = n - j < 16 ? (__mmask16)((1 << (n - j)) - 1) : 0xFFFF, start = b->starts[j / 16] & live;
    const __m512i point = _mm512_add_epi32(lane, _mm512_set1_epi32((int)j));
    const __mmask16 inside = _mm512_mask_cmpneq_epi32_mask(live, _mm512_maskz_loadu_epi32(live, b->keys + 1 + j), none);
    __m512i id = _mm512_maskz_expand_epi32(start, _mm512_loadu_si512(b->found + runs));
    const __mmask16 fresh = _mm512_mask_testn_epi32_mask(start, id, id);
    /* At the starts the id, then at every point that of the last start: 31 - its leading zeros. */
    id = _mm512_mask_expand_epi32(_mm512_add_epi32(id, none), fresh, _mm512_add_epi32(lane, _mm512_set1_epi32((int)(voxels + births))));
    const __m512i starts = _mm512_and_si512(upto, _mm512_set1_epi32(start));
    id = _mm512_permutexvar_epi32(_mm512_sub_epi32(_mm512_set1_epi32(31), _mm512_lzcnt_epi32(starts)), id);
    const __mmask16 known = _mm512_mask_cmpge_epi32_mask(inside, id, _mm512_setzero_si512()), later = known & ~fresh;
    _mm512_mask_storeu_epi32(ids + j, live, _mm512_mask_mov_epi32(none, known, id));
    _mm512_storeu_si512(b->born + births, _mm512_maskz_compress_epi32(fresh, point));
    _mm512_storeu_si512(b->more + others, _mm512_maskz_compress_epi32(later, point));
    voxel_rows_v4(_mm512_maskz_loadu_epi32(live, xs + j), _mm512_maskz_loadu_epi32(live, b->cy + j),
                  _mm512_maskz_loadu_epi32(live, zs + j), fresh, coords + 3 * (voxels + births));
    runs += __builtin_popcount(start);
    births += __builtin_popcount(fresh);
    others += __builtin_popcount(later);
    dropped += __builtin_popcount(inside & ~known);
  }
  b->births = births, b->others = others, b->dropped = dropped;
}

static int voxel_vectors(void) {      /* a build for one level keeps to it */
#ifdef FASTDL_LEVEL
  if (strcmp(FASTDL_LEVEL, "arch=x86-64-v4")) return 0;
#endif
  return __builtin_cpu_supports("x86-64-v4");
}
#else
  #define voxel_runs_v4(b, n) voxel_runs_plain(b, n)
  #define voxel_ids_v4(b, n, voxels, reverse, ids, coords) ((void)0)
  #define voxel_vectors() 0
#endif

static inline int64_t voxel_runs(voxel_block* b, int64_t n, int vectors) {
  const int64_t runs = vectors ? voxel_runs_v4(b, n) : voxel_runs_plain(b, n);
  b->first[runs] = (int32_t)n;
  return runs;
}

/* A hash table of 2^bits slots: key << 32 | base + id + 1.  A slot whose lower half is at most `base` is free: what an earlier cloud
   left there need not be cleared, for the next one begins above it. */
typedef struct {
  uint64_t* slots;
  int bits, steps;                    /* a look-up of more steps, with a 128th of the slots taken, wants a larger table */
  uint32_t base;
  int64_t most;                       /* voxels there may be */
} voxel_table;

/* The runs that were looked up: all, or those before one that wants a larger table. */
VOXEL_APART static int64_t voxel_look_up(voxel_block* b, int64_t runs, const voxel_table* t, int64_t* voxels) {
  const uint64_t mask = ((uint64_t)1 << t->bits) - 1, most = (uint64_t)t->base + (uint64_t)t->most;
  const uint32_t base = t->base;
  uint64_t* table = t->slots;
  uint64_t next = base + (uint64_t)*voxels + 1;           /* what a voxel that begins now would write */
  int64_t r;
  for (r = 0; r < VOXEL_AHEAD; r++) b->run_slots[runs + r] = 0;
  for (r = 0; r < runs; r++) {
    VOXEL_PREFETCH(table + b->run_slots[r + VOXEL_AHEAD]);
    const uint64_t key = (uint64_t)b->run_keys[r] << 32, fresh = key | next;
    uint64_t h = b->run_slots[r], was = table[h], is = (uint32_t)was > base ? was : fresh;
    for (int steps = 1; (is ^ key) >> 32; steps++) {      /* the one branch: is the slot another key's? */
      if (steps > t->steps && next - base > mask >> 7) goto done;
      h = (h + 1) & mask;
      was = table[h];
      is = (uint32_t)was > base ? was : fresh;
    }
    const uint32_t free = (uint32_t)was <= base, id = (uint32_t)was - base;
    if (next > most) {                /* no more voxels, from one run on: easy to guess */
      b->found[r] = id | (0 - free);
      continue;
    }
    table[h] = is;
    b->found[r] = id & (free - 1);
    next += free;
  }
done:
  *voxels = (int64_t)(next - base - 1);
  return r;
}

/* The same by a table of the grid's cells (id, or -1), which holds all. */
VOXEL_APART static void voxel_look_up_cells(voxel_block* b, int64_t runs, int32_t* table, int64_t* voxels, int64_t most) {
  int64_t m = *voxels;
  for (int64_t r = 0; r < runs; r++) {
    const uint32_t k = b->run_keys[r];
    const int32_t was = table[k], none = was < 0, fresh = none & (m < most);
    if (fresh) table[k] = (int32_t)m;                     /* to store every time keeps the next look-ups waiting: 455 to 490 us */
    b->found[r] = (uint32_t)was + 1 - (uint32_t)(none & !fresh);
    m += fresh;
  }
  *voxels = m;
}
#endif
