"""Point kernels for other people's Cython: `from fastdl_ext.points cimport find_or_add`."""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from fastdl_ext._common cimport real

cdef enum:
    BLOCK = 512             # points whose columns and cells stay in L1; loops write the number, for a step must be a literal

cdef extern from *:
    const uint64_t NONE "0xFFFFFFFFFFFFFFFFull"     # the key of a point that is in no voxel; cut to 32 bits for narrow keys

cdef extern from *:
    """
    #if defined(__GNUC__)
      #define FASTDL_PREFETCH(p) __builtin_prefetch(p)
    #else
      #define FASTDL_PREFETCH(p) ((void)0)
    #endif
    """
    void prefetch "FASTDL_PREFETCH"(const void* p) noexcept nogil

cdef enum:
    AHEAD = 16              # slots asked for before they are needed: what a look-up in L3 takes, over some 4 ns a point
    CACHED_BITS = 15        # a table of so many slots is in L2 anyway

ctypedef fused key:
    uint32_t
    uint64_t

ctypedef fused wide:        # what cells are computed in
    float
    double

cdef struct geometry:
    # Cell = floor((p - low) / size) - base, kept if 0 <= cell < grid; in float32 when single and the points are.
    double low[3]
    double size[3]
    double base[3]
    double grid[3]
    double strides[2]       # key = (z strides[1] + y) strides[0] + x
    bint single

cdef void fill_geometry(geometry* g, const double* numbers, bint single) noexcept nogil
# Cells of n <= BLOCK points of c columns, -1 on every axis where a point has none.
cdef void block_cells(const real* p, Py_ssize_t c, const geometry* g, int32_t* cx, int32_t* cy, int32_t* cz, Py_ssize_t n,
                      Py_ssize_t* missing) noexcept nogil
# Their keys.
cdef void block_keys(const real* p, Py_ssize_t c, const geometry* g, key* keys, Py_ssize_t n,
                     Py_ssize_t* missing) noexcept nogil
# Ids of keys[start:n] in order of first appearance, by a table of 2^bits slots.
cdef Py_ssize_t find_or_add(const key* keys, int32_t* ids, Py_ssize_t start, Py_ssize_t n, uint64_t* table, int bits,
                            int64_t* count, Py_ssize_t limit) noexcept nogil


cdef enum:
    PROBES = 64             # slots looked at before a table is called crowded; half full it takes some 2 of them


cdef inline uint64_t mix(uint64_t k) noexcept nogil:
    # A multiplication alone (Fibonacci hashing) sends the rows of a grid of Fibonacci width to the same slots; with its high
    # half folded in and a second one (as in SplitMix64) every bit of the key reaches the top bits, which choose the slot.
    k *= <uint64_t>0x9E3779B97F4A7C15
    k ^= k >> 32
    return k * <uint64_t>0xD6E8FEB86659FD93


cdef inline bint crowded(int64_t voxels, uint64_t mask) noexcept nogil:
    # Whether a table in which a look-up took PROBES steps should grow.  One that is nearly empty is left as it is: keys made
    # to collide must not take memory without end.
    return <uint64_t>voxels > mask >> 7
