"""Audio calls of a few samples: the work of fastdl_ext.audio, as _arrays.pxd says.

The bound is the call, 0.25 to 0.5 us, and not the work, 10 to 60 ns of 100 samples: the interpreter's call of the public
function and of this one, and an array for the result.
"""

from libc.stdint cimport int16_t, uint8_t, uint32_t

cimport numpy as cnp
from fastdl_ext._arrays cimport SMALL, is_plain
from fastdl_ext.audio cimport decode_8_32, g711_a_itu, g711_mu_itu, g711_mu_sun, mu_law_256, step_up

cnp.import_array()


cdef object codes_like(object x):
    return cnp.PyArray_EMPTY(cnp.PyArray_NDIM(x), cnp.PyArray_DIMS(x), cnp.NPY_UINT8, 0)


cdef inline bint is_small(object x, int kind) noexcept:
    return is_plain(x, kind, -1) and cnp.PyArray_SIZE(x) <= SMALL


def small_mu_law_encode_256(x):
    """Few int16 samples, as `mu_law_encode_256`."""
    if not is_small(x, cnp.NPY_INT16):
        return None
    codes = codes_like(x)
    mu_law_256(<const int16_t*>cnp.PyArray_DATA(x), <uint8_t*>cnp.PyArray_DATA(codes), cnp.PyArray_SIZE(x))
    return codes


def small_encode_by_edges(x, edges):
    """Few float32 samples, none of them a NaN, as `encode_by_edges` to 256 classes."""
    cdef Py_ssize_t clipped, nans, half, n
    cdef uint32_t first
    cdef int shift
    cdef uint8_t nan = 0
    if not is_small(x, cnp.NPY_FLOAT32):
        return None
    codes, base, edge, first, shift = codes_like(x), edges.base, edges.edge, edges.first, edges.shift
    half, n = cnp.PyArray_SIZE(base) // 2, cnp.PyArray_SIZE(x)
    step_up(<const float*>cnp.PyArray_DATA(x), <const uint8_t*>cnp.PyArray_DATA(base), <const float*>cnp.PyArray_DATA(edge),
            first, shift, half, nan, <uint8_t*>cnp.PyArray_DATA(codes), n, &clipped, &nans)
    return None if nans else codes


def small_g711_encode(x, bint a_law, str dialect):
    """Few int16 samples by the encoders of ITU-T G.191 or of Sun, which are one for A-law."""
    if not is_small(x, cnp.NPY_INT16) or dialect != "itu" and dialect != "sun":
        return None
    codes = codes_like(x)
    if dialect == "sun" and not a_law:
        g711_mu_sun(<const int16_t*>cnp.PyArray_DATA(x), <uint8_t*>cnp.PyArray_DATA(codes), cnp.PyArray_SIZE(x))
    elif a_law:
        g711_a_itu(<const int16_t*>cnp.PyArray_DATA(x), <uint8_t*>cnp.PyArray_DATA(codes), cnp.PyArray_SIZE(x))
    else:
        g711_mu_itu(<const int16_t*>cnp.PyArray_DATA(x), <uint8_t*>cnp.PyArray_DATA(codes), cnp.PyArray_SIZE(x))
    return codes


def small_decode(codes, table):
    """Few uint8 codes by a table of 256 samples, float32 or int16."""
    cdef Py_ssize_t i, n
    cdef const uint8_t* code
    cdef const int16_t* sample
    cdef int16_t* out
    if not is_small(codes, cnp.NPY_UINT8):
        return None
    n, code = cnp.PyArray_SIZE(codes), <const uint8_t*>cnp.PyArray_DATA(codes)
    found = cnp.PyArray_EMPTY(cnp.PyArray_NDIM(codes), cnp.PyArray_DIMS(codes), cnp.PyArray_TYPE(table), 0)
    if cnp.PyArray_TYPE(table) == cnp.NPY_FLOAT32:
        decode_8_32(code, <const uint32_t*>cnp.PyArray_DATA(table), <uint32_t*>cnp.PyArray_DATA(found), n, False)
    else:
        sample, out = <const int16_t*>cnp.PyArray_DATA(table), <int16_t*>cnp.PyArray_DATA(found)
        for i in range(n):
            out[i] = sample[code[i]]
    return found
