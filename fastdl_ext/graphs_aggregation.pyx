"""Sums, maxima and minima over the neighbours of a node.  Trusts its caller: nodes within range, indptr monotone.

The loops over neighbours are in _neighbours.h, in C for its vector types.
"""

from libc.math cimport INFINITY, sqrt
from libc.stdint cimport int32_t, int64_t

from fastdl_ext._common cimport cloned, real  # the header uses the macros beside cloned

cdef extern from *:
    """
    #define REAL float
    #define V2 f2
    #define V4 f4
    #define V8 f8
    #include "_neighbours.h"
    #undef REAL
    #undef V2
    #undef V4
    #undef V8
    #define REAL double
    #define V2 d2
    #define V4 d4
    #define V8 d4
    #include "_neighbours.h"
    """
    void fastdl_neighbours_float(int op, const int64_t* indptr, const int32_t* indices, int64_t edges, int64_t first, int64_t last,
                                 const float* X, int64_t F, float* out, int mean, const float* weight, int64_t step,
                                 const float* root, int64_t from_, int64_t to) noexcept nogil
    void fastdl_neighbours_double(int op, const int64_t* indptr, const int32_t* indices, int64_t edges, int64_t first,
                                  int64_t last, const double* X, int64_t F, double* out, int mean, const double* weight,
                                  int64_t step, const double* root, int64_t from_, int64_t to) noexcept nogil


cdef void neighbours_f32(const int64_t* indptr, const int32_t* indices, int64_t edges, int64_t first, int64_t last,
                         const float* X, int64_t F, float* out, int64_t from_, int64_t to) noexcept nogil:
    cdef float one = 1
    fastdl_neighbours_float(0, indptr, indices, edges, first, last, X, F, out, 0, &one, 0, NULL, from_, to)


def neighbours(int op, const int64_t[::1] indptr, const int32_t[::1] indices, Py_ssize_t first, const real[:, ::1] X,
               real[:, ::1] out, bint mean, const real[::1] weight, const real[::1] root, Py_ssize_t from_, Py_ssize_t to):
    """Columns from_..to of out, whose rows are the nodes from `first` on; indptr is that of these nodes.

    A weight of length 1 serves all edges; root is empty where it is not needed.
    """
    cdef Py_ssize_t F = X.shape[1], edges = indices.shape[0], step = weight.shape[0] > 1, last = first + out.shape[0]
    cdef const int32_t* sources = &indices[0] if edges else NULL
    cdef const real* roots = &root[0] if root.shape[0] else NULL
    with nogil:
        if real is float:
            fastdl_neighbours_float(op, &indptr[0] - first, sources, edges, first, last, &X[0, 0], F, &out[0, 0], mean,
                                    &weight[0], step, roots, from_, to)
        else:
            fastdl_neighbours_double(op, &indptr[0] - first, sources, edges, first, last, &X[0, 0], F, &out[0, 0], mean,
                                     &weight[0], step, roots, from_, to)


def inverse_roots(const int64_t[::1] indptr, const int32_t[::1] indices, Py_ssize_t first, const real[::1] weight,
                  real[::1] root):
    """1/sqrt(d) of the nodes from `first` on, or 0 for d = 0: d is the sum of the weights of a row, its self loop last."""
    cdef Py_ssize_t i, j, step = weight.shape[0] > 1
    cdef real total, loop
    with nogil:
        for i in range(root.shape[0]):
            total = 0
            loop = 1
            for j in range(indptr[i], indptr[i + 1]):
                if indices[j] == first + i:
                    loop = weight[j * step]
                else:
                    total += weight[j * step]
            total = 1 / <real>sqrt(total + loop)
            root[i] = 0 if total == INFINITY or total == -INFINITY else total
