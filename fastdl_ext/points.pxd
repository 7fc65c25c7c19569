"""Point kernels for other people's Cython: `from fastdl_ext.points cimport find_or_add`."""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from fastdl_ext._common cimport real

cdef enum:
    BLOCK = 512             # points whose columns and cells stay in L1; loops write the number, for a step must be a literal

cdef extern from *:
    const uint64_t NONE "0xFFFFFFFFFFFFFFFFull"     # the key of a point that is in no voxel; cut to 32 bits for narrow keys

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
# Keys of n <= BLOCK points of c columns.
cdef void block_keys(const real* p, Py_ssize_t c, const geometry* g, key* keys, Py_ssize_t n,
                     Py_ssize_t* missing) noexcept nogil
# Ids of keys[start:n] in order of first appearance, by a table of 2^bits slots.
cdef Py_ssize_t find_or_add(const key* keys, int32_t* ids, Py_ssize_t start, Py_ssize_t n, uint64_t* table, int bits,
                            int64_t* count, Py_ssize_t limit) noexcept nogil


cdef inline uint64_t mix(uint64_t k) noexcept nogil:
    # By the golden ratio: neighbouring keys fall far apart, and one multiplication is all it takes.
    return k * <uint64_t>0x9E3779B97F4A7C15
