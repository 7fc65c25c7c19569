"""Audio kernels for other people's Cython: `from fastdl_ext.audio cimport mu_law_256`."""

from libc.stdint cimport int16_t, uint8_t, uint16_t, uint32_t, uint64_t

from fastdl_ext._common cimport cloned, real

ctypedef fused code:
    uint8_t
    uint16_t

ctypedef fused key:         # the bits of a real
    uint32_t
    uint64_t

# WaveNet classes for Q = 256 of n samples.
cdef cloned mu_law_256(const int16_t* x, uint8_t* codes, Py_ssize_t n) noexcept nogil
# G.711 mu-law and A-law, ITU dialect; mu-law, Sun's.
cdef cloned g711_mu_itu(const int16_t* x, uint8_t* codes, Py_ssize_t n) noexcept nogil
cdef cloned g711_a_itu(const int16_t* x, uint8_t* codes, Py_ssize_t n) noexcept nogil
cdef cloned g711_mu_sun(const int16_t* x, uint8_t* codes, Py_ssize_t n) noexcept nogil
# out[i] = table[codes[i]] for 4-byte values.
cdef void decode_8_32(const uint8_t* codes, const uint32_t* table, uint32_t* out, Py_ssize_t n, bint past) noexcept nogil
# Classes of floats by buckets that each hold at most one edge (fastdl.audio._tables.Edges).
cdef void step_up(const real* x, const code* base, const real* edge, key first, int shift, Py_ssize_t half, code nan,
                  code* codes, Py_ssize_t n, Py_ssize_t* clipped, Py_ssize_t* nans) noexcept nogil
