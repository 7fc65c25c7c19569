"""One-hot encoding by table look-up, and its inverse.  Trusts its caller: sizes fit, tables are of full size.

Algorithm: a table of 256 rows, one for each byte (as the peers' NumPy code gathers, see fastdl/reference/sequences.py);
for four channels of a byte the row is made by four compares in 32-bit lanes instead, which vectors do 16 at once.
Bound: memory.  A base is one byte read and `width` bytes written (uint8: 1 + 4, float32: 1 + 16); within the second
cache the compares run at some 15 G bases/s, the table's copies at some 1.5 to 2 G bases/s.
Measured on a Zen 5 core in blocks of 256 k bases in memory, where a copy moves 47 GB/s: uint8 36 GB/s (0.14 ns a base),
float32 51 GB/s (0.34 ns), the inverse of uint8 23 GB/s (0.22 ns), which compares the four bytes of a row first.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memchr, memcpy

cimport numpy as cnp
from fastdl_ext._arrays cimport SMALL, is_plain, new_array, new_vector
from fastdl_ext._common cimport cloned
from fastdl_ext.audio cimport decode_8_32

cnp.import_array()

cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object text)
    const uint8_t* PyUnicode_1BYTE_DATA(object text)

cdef extern from *:
    """
    /* Values at any address: what is given as `out` may start anywhere. */
    typedef uint16_t __attribute__((aligned(1), may_alias)) fastdl_u16;
    typedef uint32_t __attribute__((aligned(1), may_alias)) fastdl_u32;
    typedef uint64_t __attribute__((aligned(1), may_alias)) fastdl_u64;
    """
    ctypedef uint16_t u16 "fastdl_u16"
    ctypedef uint32_t u32 "fastdl_u32"
    ctypedef uint64_t u64 "fastdl_u64"

ctypedef fused entry:
    uint8_t
    u16
    u32
    u64

ctypedef fused number:      # what a row that is decoded may hold
    uint8_t
    float
    double

cdef enum:
    BLOCK = 8192            # bases that stay in the first cache while each channel reads them


cdef cloned rows_of_4(const uint8_t* x, const uint8_t* letters, uint8_t mask, u32* out, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    cdef uint32_t c, a0 = letters[0], a1 = letters[1], a2 = letters[2], a3 = letters[3]
    for i in range(n):
        c = x[i] & mask
        out[i] = (c == a0) | (<uint32_t>(c == a1) << 8) | (<uint32_t>(c == a2) << 16) | (<uint32_t>(c == a3) << 24)


cdef inline void copy_rows(const uint8_t* x, const uint8_t* table, Py_ssize_t width, uint8_t* out,
                           Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        memcpy(out + i * width, table + x[i] * width, width)


cdef void encode_rows(const Coder* coder, const uint8_t* x, uint8_t* out, Py_ssize_t n) noexcept nogil:
    if coder.width == 4 and coder.channels == 4 and coder.letters != NULL:
        rows_of_4(x, coder.letters, coder.mask, <u32*>out, n)
    elif coder.width == 4:
        decode_8_32(x, <const uint32_t*>coder.rows, <uint32_t*>out, n, False)
    elif coder.width == 8:          # the widths of four channels, and of five: a constant makes the copy a move or two
        copy_rows(x, coder.rows, 8, out, n)
    elif coder.width == 5:
        copy_rows(x, coder.rows, 5, out, n)
    elif coder.width == 20:
        copy_rows(x, coder.rows, 20, out, n)
    elif coder.width == 16:
        copy_rows(x, coder.rows, 16, out, n)
    elif coder.width == 32:
        copy_rows(x, coder.rows, 32, out, n)
    else:
        copy_rows(x, coder.rows, coder.width, out, n)


cdef cloned plane_of_letter(const uint8_t* x, uint8_t letter, uint8_t mask, entry one, entry* out,
                            Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        out[i] = one if (x[i] & mask) == letter else 0


cdef inline void planes(const Coder* coder, const uint8_t* x, entry* out, Py_ssize_t stride, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i, j, start = 0, stop
    cdef const entry* column
    while start < n:
        stop = min(start + BLOCK, n)
        for j in range(coder.channels):
            column = <const entry*>coder.columns + 256 * j
            if coder.letters != NULL:
                plane_of_letter(x + start, coder.letters[j], coder.mask, column[coder.letters[j]],
                                out + j * stride + start, stop - start)
            else:
                for i in range(start, stop):
                    out[j * stride + i] = column[x[i]]
        start = stop


cdef void encode_planes(const Coder* coder, const uint8_t* x, uint8_t* out, Py_ssize_t stride, Py_ssize_t n) noexcept nogil:
    if coder.size == 1:
        planes(coder, x, out, stride, n)
    elif coder.size == 2:
        planes(coder, x, <u16*>out, stride // 2, n)
    elif coder.size == 4:
        planes(coder, x, <u32*>out, stride // 4, n)
    else:
        planes(coder, x, <u64*>out, stride // 8, n)


cdef Py_ssize_t first_unknown(const uint8_t* x, const uint8_t* known, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i = 0
    cdef uint64_t eight
    while i + 8 <= n:
        memcpy(&eight, x + i, 8)
        if not (known[eight & 0xFF] & known[(eight >> 8) & 0xFF] & known[(eight >> 16) & 0xFF]
                & known[(eight >> 24) & 0xFF] & known[(eight >> 32) & 0xFF] & known[(eight >> 40) & 0xFF]
                & known[(eight >> 48) & 0xFF] & known[eight >> 56]):
            break
        i += 8
    while i < n:
        if not known[x[i]]:
            return i
        i += 1
    return -1


cdef cloned reverse(const uint8_t* x, uint8_t* out, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        out[i] = x[n - 1 - i]


cdef cloned letters_of_4(const u32* x, const uint8_t* letters, uint8_t zero, uint8_t* out, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    cdef uint32_t v, c, a0 = letters[0], a1 = letters[1], a2 = letters[2], a3 = letters[3], a4 = zero
    for i in range(n):
        v = x[i]
        c = a0 * (v == 1) + a1 * (v == 0x100) + a2 * (v == 0x10000) + a3 * (v == 0x1000000) + a4 * (v == 0)
        out[i] = <uint8_t>c


cdef inline void letters_of_rows(const number* x, const number* rows, const uint8_t* letters, const uint8_t* choice,
                                 Py_ssize_t channels, Py_ssize_t row, Py_ssize_t channel, uint8_t* out,
                                 Py_ssize_t n) noexcept nogil:
    # Which channels are not 0 leaves one choice, choice[bits]; then each must hold what that row holds.
    cdef Py_ssize_t i, j, k
    cdef uint32_t bits
    cdef bint same
    for i in range(n):
        bits = 0
        for j in range(channels):
            bits |= <uint32_t>(x[i * row + j * channel] != 0) << j
        k = choice[bits]
        same = True
        for j in range(channels):
            same &= x[i * row + j * channel] == rows[k * channels + j]
        out[i] = letters[k] if same else 0


cdef inline void letters_of_many(const number* x, const uint8_t* letters, Py_ssize_t channels, uint8_t zero, Py_ssize_t row,
                                 Py_ssize_t channel, uint8_t* out, Py_ssize_t n) noexcept nogil:
    # One-hot rows of any number of channels, or zeros.
    cdef Py_ssize_t i, j, k, ones, others
    cdef number v
    for i in range(n):
        k = ones = others = 0
        for j in range(channels):
            v = x[i * row + j * channel]
            ones += v == 1
            others += v != 0
            k += j * (v == 1)
        out[i] = 0 if ones != others or ones > 1 else letters[k] if ones else zero


cdef Coder coder_of(tables):
    """The tables of fastdl/sequences/_settings.py, which the caller holds as long as the coder is used."""
    cdef Coder coder
    cdef const uint8_t[:, ::1] rows = tables.row_bytes, columns = tables.column_bytes
    cdef const uint8_t[::1] letters = tables.compared
    coder.rows, coder.columns = &rows[0, 0], &columns[0, 0]
    coder.width, coder.channels, coder.size = rows.shape[1], columns.shape[0], tables.entry
    coder.letters, coder.mask = NULL, tables.mask
    if letters is not None:
        coder.letters = &letters[0]
    return coder


def one_hot_rows(const uint8_t[::1] x, tables, uint8_t[::1] out):
    """The rows (n, width in bytes) of n letters."""
    cdef Coder coder
    cdef const uint8_t[:, ::1] rows = tables.row_bytes
    cdef const uint8_t[::1] letters = tables.compared
    coder.rows, coder.columns, coder.width, coder.size = &rows[0, 0], NULL, rows.shape[1], tables.entry
    coder.channels, coder.letters, coder.mask = coder.width // coder.size, NULL, tables.mask
    if letters is not None:
        coder.letters = &letters[0]
    with nogil:
        encode_rows(&coder, &x[0], &out[0], x.shape[0])


def one_hot_planes(const uint8_t[:, ::1] x, tables, uint8_t[:, :, ::1] out, Py_ssize_t start, Py_ssize_t stop):
    """The channels of positions start to stop of every sequence of x (B, L), in out (B, channels, L in bytes)."""
    cdef Coder coder = coder_of(tables)
    cdef Py_ssize_t b
    with nogil:
        for b in range(x.shape[0]):
            encode_planes(&coder, &x[b, start], &out[b, 0, start * coder.size], out.shape[2], stop - start)


def find_unknown(const uint8_t[::1] x, const uint8_t[::1] known):
    """The index of the first byte that is not known, or -1."""
    cdef Py_ssize_t found
    with nogil:
        found = first_unknown(&x[0], &known[0], x.shape[0])
    return found


def decode_4(const uint8_t[::1] x, const uint8_t[::1] letters, uint8_t zero, uint8_t[::1] out):
    """The letters of rows of four bytes; `zero` for rows of zeros, NUL for what is none."""
    with nogil:
        letters_of_4(<const u32*>&x[0], &letters[0], zero, &out[0], out.shape[0])


def decode(const number[::1] x, const number[:, ::1] rows, const uint8_t[::1] letters, const uint8_t[::1] choice,
           Py_ssize_t row, Py_ssize_t channel, uint8_t[::1] out):
    """The letter of the row that x holds, `row` values from one to the next and `channel` between channels; or NUL."""
    with nogil:
        if rows.shape[1] == 4:
            letters_of_rows(&x[0], &rows[0, 0], &letters[0], &choice[0], 4, row, channel, &out[0], out.shape[0])
        else:
            letters_of_rows(&x[0], &rows[0, 0], &letters[0], &choice[0], rows.shape[1], row, channel, &out[0], out.shape[0])


def decode_many(const number[::1] x, const uint8_t[::1] letters, Py_ssize_t channels, uint8_t zero, Py_ssize_t row,
                Py_ssize_t channel, uint8_t[::1] out):
    """As `decode`, for one-hot rows of any number of channels."""
    with nogil:
        letters_of_many(&x[0], &letters[0], channels, zero, row, channel, &out[0], out.shape[0])


cdef enum:
    PRINTED = 32            # the first letter of ASCII: smaller numbers are classes or tokens, not letters


def small_one_hot(seq, tables, Py_ssize_t channels, dtype, bint first):
    """One short sequence, a str, bytes or a vector of uint8: (n, channels) of `dtype`, or (channels, n) with `first`."""
    cdef Coder coder
    cdef const uint8_t* x
    cdef Py_ssize_t n
    if type(seq) is str and PyUnicode_IS_COMPACT_ASCII(seq):
        x, n = PyUnicode_1BYTE_DATA(seq), len(seq)
    elif type(seq) is bytes:
        x, n = <const uint8_t*><char*>seq, len(seq)
    elif is_plain(seq, cnp.NPY_UINT8, 1):
        x, n = <const uint8_t*>cnp.PyArray_DATA(seq), cnp.PyArray_SIZE(seq)
        if n > 1 and x[0] < PRINTED:
            return None
    else:
        return None
    if n > SMALL:
        return None
    rows, columns, letters = tables.row_bytes, tables.column_bytes, tables.compared
    coder.rows, coder.columns = <const uint8_t*>cnp.PyArray_DATA(rows), <const uint8_t*>cnp.PyArray_DATA(columns)
    coder.width, coder.size = cnp.PyArray_DIM(rows, 1), tables.entry
    coder.channels, coder.letters, coder.mask = channels, NULL, tables.mask
    if letters is not None:
        coder.letters = <const uint8_t*>cnp.PyArray_DATA(letters)
    if first:
        found = new_array(2, channels, n, 0, (<cnp.dtype>dtype).type_num)
        encode_planes(&coder, x, <uint8_t*>cnp.PyArray_DATA(found), n * coder.size, n)
        return found
    found = new_array(2, n, channels, 0, (<cnp.dtype>dtype).type_num)
    encode_rows(&coder, x, <uint8_t*>cnp.PyArray_DATA(found), n)
    return found


def small_decode(x, letters, uint8_t zero, dtype):
    """The letters of few rows (n, 4) of one byte each; None also where a row stands for no letter."""
    cdef Py_ssize_t n
    cdef uint8_t* found_letters
    if not (is_plain(x, cnp.NPY_UINT8, 2) or is_plain(x, cnp.NPY_BOOL, 2) or is_plain(x, cnp.NPY_INT8, 2)):
        return None
    n = cnp.PyArray_DIM(x, 0)
    if n == 0 or n > SMALL or cnp.PyArray_DIM(x, 1) != 4:
        return None
    found = new_vector(n, dtype)
    found_letters = <uint8_t*>cnp.PyArray_DATA(found)
    letters_of_4(<const u32*>cnp.PyArray_DATA(x), <const uint8_t*>cnp.PyArray_DATA(letters), zero, found_letters, n)
    return None if memchr(found_letters, 0, n) else found
