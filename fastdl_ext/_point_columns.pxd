"""Copies x, y and z from rows of any number of columns to arrays of their own, as vector instructions need them."""

from fastdl_ext._common cimport cloned, real


cdef inline cloned columns_3(const real* p, real* x, real* y, real* z, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        x[i] = p[3 * i]
        y[i] = p[3 * i + 1]
        z[i] = p[3 * i + 2]


cdef inline cloned columns_4(const real* p, real* x, real* y, real* z, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        x[i] = p[4 * i]
        y[i] = p[4 * i + 1]
        z[i] = p[4 * i + 2]


cdef inline void columns(const real* p, Py_ssize_t c, real* x, real* y, real* z, Py_ssize_t n) noexcept nogil:
    # Rows of three or four numbers, as most clouds have, are compiled apart: their loads are whole vectors.
    cdef Py_ssize_t i
    if c == 3:
        columns_3(p, x, y, z, n)
    elif c == 4:
        columns_4(p, x, y, z, n)
    else:
        for i in range(n):
            x[i] = p[i * c]
            y[i] = p[i * c + 1]
            z[i] = p[i * c + 2]
