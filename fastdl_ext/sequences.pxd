"""Sequence kernels for other people's Cython: `from fastdl_ext.sequences cimport encode_rows`."""

from libc.stdint cimport uint8_t


cdef struct Coder:
    # What a byte becomes.
    const uint8_t* rows         # (256, width): its row
    const uint8_t* columns      # (channels, 256) entries of `size` bytes: its entry in each channel
    Py_ssize_t width            # bytes of a row
    Py_ssize_t channels
    Py_ssize_t size             # bytes of an entry
    const uint8_t* letters      # where a row is 1 for byte & mask == letter and 0 elsewhere: the letters, else NULL
    uint8_t mask

# (n, channels): the rows of n bytes.
cdef void encode_rows(const Coder* coder, const uint8_t* x, uint8_t* out, Py_ssize_t n) noexcept nogil
# (channels, n), the channels `stride` bytes apart.
cdef void encode_planes(const Coder* coder, const uint8_t* x, uint8_t* out, Py_ssize_t stride, Py_ssize_t n) noexcept nogil
# The index of the first byte that is not known, or -1.
cdef Py_ssize_t first_unknown(const uint8_t* x, const uint8_t* known, Py_ssize_t n) noexcept nogil
# Bytes from the last to the first.
cdef void reverse(const uint8_t* x, uint8_t* out, Py_ssize_t n) noexcept nogil
# The coder of the tables that fastdl.sequences._settings builds: for the kernels of this package.
cdef Coder coder_of(tables)
