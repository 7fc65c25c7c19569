"""Graph kernels for other people's Cython: `from fastdl_ext.graphs_aggregation cimport neighbours_f32`."""

from libc.stdint cimport int32_t, int64_t

# out[i - first, c] = sum of X[indices[j], c] for j in indptr[i]..indptr[i + 1], rows first..last, columns from_..to; X is (N, F).
cdef void neighbours_f32(const int64_t* indptr, const int32_t* indices, int64_t edges, int64_t first, int64_t last,
                         const float* X, int64_t F, float* out, int64_t from_, int64_t to) noexcept nogil
