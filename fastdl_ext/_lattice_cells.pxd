"""Cells of integer coordinates on a lattice (fastdl/files/points/voxel_lattice.py), exactly."""

from libc.math cimport fabs
from libc.stdint cimport int64_t


cdef struct axis:
    # The cell of X is floor((multiply X + shift) / step) - base.
    int64_t multiply
    int64_t shift
    int64_t step
    int64_t base
    double inverse          # of step


cdef inline bint is_little(const axis* a) noexcept nogil:
    # Whether the quotients, counted from the base, are below 2^50, and 64 bits hold all on the way to them.
    cdef double low = fabs(<double>a.base * <double>a.step)
    return (low < 2305843009213693952.0 and
            <double>a.multiply * 2147483648.0 + fabs(<double>a.shift) + low < <double>a.step * 1125899906842624.0)


cdef inline int64_t little_cell(const axis* a, int64_t x) noexcept nogil:
    # `shift` is less by base times step, so nothing is negative; below 2^50 a float64 is off by less than one.
    cdef int64_t v = a.multiply * x + a.shift, q = <int64_t>(<double>v * a.inverse)
    v -= q * a.step
    return q + (v >= a.step) - (v < 0)


cdef inline int64_t any_cell(const axis* a, int64_t x) noexcept nogil:
    cdef int64_t v = a.multiply * x + a.shift, q = v / a.step
    return q - (v < q * a.step) - a.base        # C rounds toward zero
