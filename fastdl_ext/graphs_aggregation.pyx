"""Reductions over the neighbours of a node, and what their derivatives need.

Trusts its caller: nodes within range, indptr monotone, arrays aligned and of full size. The loops are in _neighbours.h and
_neighbour_grads.h, in C for its vector types; what bounds them is said there.
"""

from libc.math cimport INFINITY, sqrt
from libc.stdint cimport int32_t, int64_t

cimport numpy as cnp
from fastdl_ext._arrays cimport SMALL, is_plain
from fastdl_ext._common cimport cloned, real  # no-cython-lint: the headers use the macros beside cloned

cnp.import_array()

cdef extern from *:
    """
    #define REAL float
    #define IS_DOUBLE 0
    #define V2 f2
    #define V4 f4
    #define V8 f8
    #include "_neighbours.h"
    #include "_neighbour_grads.h"
    #undef REAL
    #undef IS_DOUBLE
    #undef V2
    #undef V4
    #undef V8
    #define REAL double
    #define IS_DOUBLE 1
    #define V2 d2
    #define V4 d4
    #define V8 d4
    #include "_neighbours.h"
    #include "_neighbour_grads.h"
    """
    void fastdl_neighbours_float(int op, const int64_t* indptr, const int32_t* indices, int64_t edges, int64_t first, int64_t last,
                                 const float* X, int64_t F, float* out, int64_t stride, const float* weight, int64_t step,
                                 const float* root, int64_t from_, int64_t to) noexcept nogil
    void fastdl_neighbours_double(int op, const int64_t* indptr, const int32_t* indices, int64_t edges, int64_t first,
                                  int64_t last, const double* X, int64_t F, double* out, int64_t stride, const double* weight,
                                  int64_t step, const double* root, int64_t from_, int64_t to) noexcept nogil
    void fastdl_edge_dots_float(const int64_t* indptr, const int32_t* indices, int64_t first, int64_t last, const float* left,
                                const float* right, int64_t heads, int64_t F, float* out) noexcept nogil
    void fastdl_edge_dots_double(const int64_t* indptr, const int32_t* indices, int64_t first, int64_t last, const double* left,
                                 const double* right, int64_t heads, int64_t F, double* out) noexcept nogil
    void fastdl_first_equal_float(const int64_t* indptr, const int32_t* indices, int64_t first, int64_t last, const float* X,
                                  int64_t heads, int64_t F, const float* weight, int64_t step, const float* best,
                                  int32_t* where) noexcept nogil
    void fastdl_first_equal_double(const int64_t* indptr, const int32_t* indices, int64_t first, int64_t last, const double* X,
                                   int64_t heads, int64_t F, const double* weight, int64_t step, const double* best,
                                   int32_t* where) noexcept nogil
    void fastdl_taken_sums_float(const int64_t* indptr, const int32_t* targets, const int64_t* order, const int32_t* place,
                                 int64_t first, int64_t last, const float* g, const int32_t* where, int64_t heads, int64_t F,
                                 const float* weight, int64_t step, float* out) noexcept nogil
    void fastdl_taken_sums_double(const int64_t* indptr, const int32_t* targets, const int64_t* order, const int32_t* place,
                                  int64_t first, int64_t last, const double* g, const int32_t* where, int64_t heads, int64_t F,
                                  const double* weight, int64_t step, double* out) noexcept nogil
    void fastdl_edge_softmax_float(const int64_t* indptr, int64_t rows, const float* score, int64_t heads,
                                   float* out) noexcept nogil
    void fastdl_edge_softmax_double(const int64_t* indptr, int64_t rows, const double* score, int64_t heads,
                                    double* out) noexcept nogil


cdef void neighbours_f32(const int64_t* indptr, const int32_t* indices, int64_t edges, int64_t first, int64_t last,
                         const float* X, int64_t F, float* out, int64_t from_, int64_t to) noexcept nogil:
    cdef float one = 1
    fastdl_neighbours_float(0, indptr, indices, edges, first, last, X, F, out, F, &one, 0, NULL, from_, to)


cdef enum:
    TURN = 256          # rows that one head after another goes through: what they share of X is still in the cache


def neighbours(int op, const int64_t[::1] indptr, const int32_t[::1] indices, const real[:, ::1] X, real[:, ::1] out, *,
               Py_ssize_t first, const real[:, ::1] weight, const real[::1] root, Py_ssize_t from_, Py_ssize_t to):
    """Columns from_..to of out, whose rows are the nodes from `first` on; indptr is that of these nodes.

    `weight` is (E, H), and column h weighs the h-th part of the columns; one of shape (1, 1) serves all edges. root is empty
    where it is not needed.
    """
    cdef Py_ssize_t F = X.shape[1], edges = indices.shape[0], rows = out.shape[0], heads = weight.shape[1]
    cdef Py_ssize_t step = heads if weight.shape[0] > 1 else 0, h, i, turn = TURN if heads > 1 else rows
    cdef Py_ssize_t part = F // heads, low, high, end
    cdef const int64_t* ends = &indptr[0]
    cdef const int32_t* sources = &indices[0] if edges else NULL
    cdef const real* roots = &root[0] if root.shape[0] else NULL
    cdef const real* x = &X[0, 0] if X.shape[0] else NULL
    with nogil:
        i = 0
        while i < rows:
            end = min(i + turn, rows)
            for h in range(heads):
                low = max(from_, h * part)
                high = min(to, (h + 1) * part)
                if low >= high:
                    continue
                if real is float:
                    fastdl_neighbours_float(op, ends - first, sources, edges, first + i, first + end, x, F, &out[i, 0], F,
                                            &weight[0, h], step, roots, low, high)
                else:
                    fastdl_neighbours_double(op, ends - first, sources, edges, first + i, first + end, x, F, &out[i, 0], F,
                                             &weight[0, h], step, roots, low, high)
            i = end


def inverse_roots(const int64_t[::1] indptr, const int32_t[::1] indices, const real[:, ::1] weight, real[::1] root, *,
                  Py_ssize_t first):
    """1/sqrt(d) of the nodes from `first` on, or 0 for d = 0: d is the sum of the weights of a row, its self loop last."""
    cdef Py_ssize_t i, j, step = weight.shape[0] > 1
    cdef real total, loop
    with nogil:
        for i in range(root.shape[0]):
            total = 0
            loop = 1
            for j in range(indptr[i], indptr[i + 1]):
                if indices[j] == first + i:
                    loop = weight[j * step, 0]
                else:
                    total += weight[j * step, 0]
            total = 1 / <real>sqrt(total + loop)
            root[i] = 0 if total == INFINITY or total == -INFINITY else total


def row_dots(const int64_t[::1] indptr, const int32_t[::1] indices, const real[:, :, ::1] left, const real[:, :, ::1] right,
             real[:, ::1] out):
    """out[j, h] = left[i, h] . right[indices[j], h] for the edges j of every row i; indptr need not begin at 0."""
    cdef Py_ssize_t rows = left.shape[0], heads = left.shape[1], F = left.shape[2]
    cdef const real* l = &left[0, 0, 0] if rows and heads and F else NULL
    cdef const real* r = &right[0, 0, 0] if right.shape[0] and heads and F else NULL
    if indices.shape[0] == 0 or heads == 0:
        return
    with nogil:
        if real is float:
            fastdl_edge_dots_float(&indptr[0], &indices[0], 0, rows, l, r, heads, F, &out[0, 0])
        else:
            fastdl_edge_dots_double(&indptr[0], &indices[0], 0, rows, l, r, heads, F, &out[0, 0])


def first_equal(const int64_t[::1] indptr, const int32_t[::1] indices, const real[:, :, ::1] X, const real[:, ::1] weight,
                const real[:, :, ::1] best, int32_t[:, :, ::1] where):
    """where[i, h, c]: the place in row i of the first neighbour whose weighted value is best[i, h, c]; -1 where there is none."""
    cdef Py_ssize_t rows = best.shape[0], heads = best.shape[1], F = best.shape[2]
    cdef Py_ssize_t step = weight.shape[1] if weight.shape[0] > 1 or weight.shape[1] > 1 else 0
    cdef const int32_t* sources = &indices[0] if indices.shape[0] else NULL
    cdef const real* x = &X[0, 0, 0] if X.shape[0] else NULL
    with nogil:
        if real is float:
            fastdl_first_equal_float(&indptr[0], sources, 0, rows, x, heads, F, &weight[0, 0], step, &best[0, 0, 0],
                                     &where[0, 0, 0])
        else:
            fastdl_first_equal_double(&indptr[0], sources, 0, rows, x, heads, F, &weight[0, 0], step, &best[0, 0, 0],
                                      &where[0, 0, 0])


def taken_sums(const int64_t[::1] indptr, const int32_t[::1] targets, const real[:, :, ::1] grad, const int32_t[:, :, ::1] where,
               real[:, :, ::1] out, *, const int64_t[::1] order, const int32_t[::1] place, const real[:, ::1] weight):
    """out[s, h, c]: the sum of w grad[t, h, c] over the edges s -> t with where[t, h, c] == their place in the row of t.

    By the transposed graph: `order` gives the number of each of its edges in the graph, `place` that in the row of its target.
    """
    cdef Py_ssize_t rows = out.shape[0], heads = out.shape[1], F = out.shape[2]
    cdef Py_ssize_t step = weight.shape[1] if weight.shape[0] > 1 or weight.shape[1] > 1 else 0
    cdef bint some = targets.shape[0] > 0
    cdef const int32_t* to = &targets[0] if some else NULL
    cdef const int64_t* numbers = &order[0] if some else NULL
    cdef const int32_t* places = &place[0] if some else NULL
    cdef const real* g = &grad[0, 0, 0] if grad.shape[0] else NULL
    cdef const int32_t* took = &where[0, 0, 0] if where.shape[0] else NULL
    with nogil:
        if real is float:
            fastdl_taken_sums_float(&indptr[0], to, numbers, places, 0, rows, g, took, heads, F, &weight[0, 0], step,
                                    &out[0, 0, 0])
        else:
            fastdl_taken_sums_double(&indptr[0], to, numbers, places, 0, rows, g, took, heads, F, &weight[0, 0], step,
                                     &out[0, 0, 0])


def softmax_rows(const int64_t[::1] indptr, const real[:, ::1] score, real[:, ::1] out):
    """out[j, h] = exp(score[j, h]) over its sum for the edges j of every row; indptr need not begin at 0."""
    cdef Py_ssize_t rows = indptr.shape[0] - 1, heads = score.shape[1]
    with nogil:
        if real is float:
            fastdl_edge_softmax_float(&indptr[0], rows, &score[0, 0], heads, &out[0, 0])
        else:
            fastdl_edge_softmax_double(&indptr[0], rows, &score[0, 0], heads, &out[0, 0])


def small_neighbours(int op, indptr, indices, X, Py_ssize_t sources):
    """All rows and columns of a small graph without weights, in the shape of X, which has a row for each of the sources."""
    cdef int kind
    cdef Py_ssize_t rows, edges, F, k
    cdef cnp.npy_intp[32] shape
    cdef float one_float = 1
    cdef double one_double = 1
    if not (cnp.PyArray_CheckExact(X) and is_plain(indptr, cnp.NPY_INT64, 1) and is_plain(indices, cnp.NPY_INT32, 1)):
        return None
    kind = cnp.PyArray_TYPE(X)
    if kind != cnp.NPY_FLOAT32 and kind != cnp.NPY_FLOAT64 or not is_plain(X, kind, -1) or not 0 < cnp.PyArray_NDIM(X) <= 32:
        return None
    rows, edges, F = cnp.PyArray_SIZE(indptr) - 1, cnp.PyArray_SIZE(indices), 1
    shape[0] = rows
    for k in range(1, cnp.PyArray_NDIM(X)):
        shape[k] = cnp.PyArray_DIM(X, <int>k)
        F *= shape[k]
    if cnp.PyArray_DIM(X, 0) != sources or F == 0 or rows == 0 or sources == 0 or (edges + rows) * F > SMALL:
        return None
    found = cnp.PyArray_EMPTY(cnp.PyArray_NDIM(X), shape, kind, 0)
    if kind == cnp.NPY_FLOAT32:
        fastdl_neighbours_float(op, <const int64_t*>cnp.PyArray_DATA(indptr), <const int32_t*>cnp.PyArray_DATA(indices), edges, 0,
                                rows, <const float*>cnp.PyArray_DATA(X), F, <float*>cnp.PyArray_DATA(found), F, &one_float, 0,
                                NULL, 0, F)
    else:
        fastdl_neighbours_double(op, <const int64_t*>cnp.PyArray_DATA(indptr), <const int32_t*>cnp.PyArray_DATA(indices), edges,
                                 0, rows, <const double*>cnp.PyArray_DATA(X), F, <double*>cnp.PyArray_DATA(found), F,
                                 &one_double, 0, NULL, 0, F)
    return found
