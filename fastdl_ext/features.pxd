"""Feature kernels for other people's Cython and Numba.

Cython    from fastdl_ext.features cimport basis_rows
          basis_rows[double](&x[0], &x[0], 0, &out[0, 0], x.shape[0], out.shape[1], False, -1, 1)     # powers of x
Numba     address = numba.extending.get_cython_function_address("fastdl_ext.features", "__pyx_fuse_1basis_rows")
          (__pyx_fuse_0 is float, __pyx_fuse_1 double); ctypes.CFUNCTYPE(...)(address) can be called from @njit code.

Both are whole programs in tests/test_lowlevel.py.
"""

from fastdl_ext._common cimport cloned, real

# n rows of m values of a basis (MONOMIAL, CHEBYSHEV or LEGENDRE of _basis_rows.pxd); low and high are mapped to -1 and 1 when
# `mapped`; ratio[k] = (k + 1) / (k + 2) for k < m.
cdef cloned basis_rows(const real* x, const real* ratio, int basis, real* out, Py_ssize_t n, Py_ssize_t m, bint mapped,
                       real low, real high) noexcept nogil
# n rows of d values to rows of m products: `plan` holds `steps` times (to, from, length, factor).
cdef cloned products(const real* x, const Py_ssize_t* plan, Py_ssize_t steps, real* out, Py_ssize_t n, Py_ssize_t d,
                     Py_ssize_t m, bint bias) noexcept nogil
