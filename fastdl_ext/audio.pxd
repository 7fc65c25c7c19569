"""Audio kernels for other people's Cython: `from fastdl_ext.audio cimport mu_law_256`."""

from libc.stdint cimport int16_t, uint8_t, uint32_t

from fastdl_ext._common cimport cloned

# WaveNet classes for Q = 256 of n samples.
cdef cloned mu_law_256(const int16_t* x, uint8_t* codes, Py_ssize_t n) noexcept nogil
# G.711 mu-law, ITU dialect.
cdef cloned g711_mu_itu(const int16_t* x, uint8_t* codes, Py_ssize_t n) noexcept nogil
# out[i] = table[codes[i]] for 4-byte values.
cdef void decode_8_32(const uint8_t* codes, const uint32_t* table, uint32_t* out, Py_ssize_t n) noexcept nogil
