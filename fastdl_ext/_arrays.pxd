"""Small calls: arrays in and out of a kernel by NumPy's C API, where opening a memoryview costs more than the work.

A kernel named `small_*` is the whole of a call of at most SMALL items: it looks at its arguments, makes the result and fills
it, or returns None where an argument is not as kernels read it (another dtype, layout or class), and the shell then goes its
usual way to the same bits.  It keeps the interpreter's lock, which takes longer to give back than the work does.

On a Zen 5 core `numpy.empty` takes 0.09 us and a typed memoryview 0.2 us from Python, an array here 0.06 and 0.00 us.
"""

cimport numpy as cnp
from cpython.ref cimport Py_INCREF

cdef extern from "numpy/arrayobject.h":
    object PyArray_Empty(int ndim, const cnp.npy_intp* shape, cnp.dtype dtype, int fortran)

cdef enum:
    SMALL = 4096            # items at most of a call that keeps the lock: some microseconds


cdef inline bint is_plain(object x, int kind, int ndim) noexcept:
    # Whether x is an array itself, of that dtype in the machine's byte order, aligned and C-contiguous; -1 is any ndim.
    return (cnp.PyArray_CheckExact(x) and cnp.PyArray_TYPE(x) == kind and cnp.PyArray_ISCARRAY_RO(x)
            and (ndim < 0 or cnp.PyArray_NDIM(x) == ndim))


cdef inline object new_array(int ndim, cnp.npy_intp first, cnp.npy_intp second, cnp.npy_intp third, int kind):
    # An array of any content, of the first `ndim` of these lengths.
    cdef cnp.npy_intp[3] shape
    shape[0], shape[1], shape[2] = first, second, third
    return cnp.PyArray_EMPTY(ndim, shape, kind, 0)


cdef inline object new_vector(cnp.npy_intp n, cnp.dtype dtype):
    # As new_array, for dtypes that a number alone does not tell.
    Py_INCREF(dtype)                    # NumPy takes the reference
    return PyArray_Empty(1, &n, dtype, 0)
