"""Letters to one-hot rows and back, the other strand, k-mer numbers.  Trusts its caller: sizes fit, tables are of full size.

A base is one byte in and `width` bytes out, so memory is the limit if the processor takes less than a nanosecond: four
compares in 32-bit lanes make the row of a base in the commonest case, one copy of a table's row in the others.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from fastdl_ext._common cimport cloned
from fastdl_ext.audio cimport decode_8_32

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

ctypedef fused index:
    int32_t
    int64_t

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
    if coder.width == 4 and coder.letters != NULL and coder.channels == 4:
        rows_of_4(x, coder.letters, coder.mask, <u32*>out, n)
    elif coder.width == 4:
        decode_8_32(x, <const uint32_t*>coder.rows, <uint32_t*>out, n)
    elif coder.width == 8:          # the widths of four channels: a constant makes the copy one or two moves
        copy_rows(x, coder.rows, 8, out, n)
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


cdef void translate_reversed(const uint8_t* x, const uint8_t* other, uint8_t* out, Py_ssize_t n) noexcept nogil:
    # Eight bases in one load and one store.
    cdef Py_ssize_t i = 0
    cdef uint64_t eight, turned
    while i + 8 <= n:
        memcpy(&eight, x + n - 8 - i, 8)
        turned = (<uint64_t>other[eight & 0xFF] << 56 | <uint64_t>other[(eight >> 8) & 0xFF] << 48
                  | <uint64_t>other[(eight >> 16) & 0xFF] << 40 | <uint64_t>other[(eight >> 24) & 0xFF] << 32
                  | <uint64_t>other[(eight >> 32) & 0xFF] << 24 | <uint64_t>other[(eight >> 40) & 0xFF] << 16
                  | <uint64_t>other[(eight >> 48) & 0xFF] << 8 | other[eight >> 56])
        memcpy(out + i, &turned, 8)
        i += 8
    while i < n:
        out[i] = other[x[n - 1 - i]]
        i += 1


cdef cloned turn_rows_of_4(const u32* x, u32* out, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    cdef uint32_t v
    for i in range(n):
        v = x[n - 1 - i]
        out[i] = v >> 24 | ((v >> 8) & 0xFF00) | ((v & 0xFF00) << 8) | v << 24


cdef cloned letters_of_4(const u32* x, const uint8_t* letters, uint8_t zero, uint8_t* out, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    cdef uint32_t v, c, a0 = letters[0], a1 = letters[1], a2 = letters[2], a3 = letters[3], a4 = zero
    for i in range(n):
        v = x[i]
        c = (a0 if v == 1 else 0) | (a1 if v == 0x100 else 0) | (a2 if v == 0x10000 else 0) | (a3 if v == 0x1000000 else 0)
        out[i] = <uint8_t>(c | (a4 if v == 0 else 0))


cdef inline void letters_of_rows(const number* x, const number* rows, const uint8_t* letters, Py_ssize_t choices,
                                 Py_ssize_t channels, Py_ssize_t row, Py_ssize_t channel, uint8_t* out,
                                 Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i, j, k
    cdef bint same
    for i in range(n):
        out[i] = 0
        for k in range(choices):
            same = True
            for j in range(channels):
                same = same and x[i * row + j * channel] == rows[k * channels + j]
            if same:
                out[i] = letters[k]


cdef void numbers_of_kmers(const uint8_t* x, const uint8_t* code, int k, bint canonical, index* out,
                           Py_ssize_t n) noexcept nogil:
    # x holds n + k - 1 bases.  The number is not masked as it rolls: old digits leave at the top.
    cdef Py_ssize_t i
    cdef int top = 2 * (k - 1)
    cdef uint64_t mask = (<uint64_t>1 << 2 * k) - 1, forward = 0, backward = 0, c, best
    cdef Py_ssize_t known = 0
    for i in range(n + k - 1):
        c = code[x[i]]
        known = known + 1 if c < 4 else 0
        forward = forward << 2 | (c & 3)
        backward = backward >> 2 | (3 - (c & 3)) << top
        if i >= k - 1:
            best = forward & mask
            if canonical:
                best = min(best, backward)
            out[i - k + 1] = <index>best if known >= k else -1


cdef Coder coder_of(const uint8_t[:, ::1] rows, const uint8_t[:, ::1] columns, Py_ssize_t size,
                    const uint8_t[::1] letters, uint8_t mask) noexcept:
    cdef Coder coder
    coder.rows, coder.columns = &rows[0, 0], &columns[0, 0]
    coder.width, coder.channels, coder.size = rows.shape[1], columns.shape[0], size
    coder.letters, coder.mask = NULL, mask
    if letters is not None:
        coder.letters = &letters[0]
    return coder


def one_hot_rows(const uint8_t[::1] x, const uint8_t[:, ::1] rows, const uint8_t[:, ::1] columns, Py_ssize_t size,
                 const uint8_t[::1] letters, uint8_t mask, uint8_t[::1] out):
    cdef Coder coder = coder_of(rows, columns, size, letters, mask)
    with nogil:
        encode_rows(&coder, &x[0], &out[0], x.shape[0])


def one_hot_planes(const uint8_t[:, ::1] x, const uint8_t[:, ::1] rows, const uint8_t[:, ::1] columns, Py_ssize_t size,
                   const uint8_t[::1] letters, uint8_t mask, uint8_t[:, :, ::1] out, Py_ssize_t start, Py_ssize_t stop):
    """Positions start to stop of every sequence of x."""
    cdef Coder coder = coder_of(rows, columns, size, letters, mask)
    cdef Py_ssize_t b
    with nogil:
        for b in range(x.shape[0]):
            encode_planes(&coder, &x[b, start], &out[b, 0, start * size], out.shape[2], stop - start)


def find_unknown(const uint8_t[::1] x, const uint8_t[::1] known):
    cdef Py_ssize_t found
    with nogil:
        found = first_unknown(&x[0], &known[0], x.shape[0])
    return found


def decode_4(const uint8_t[::1] x, const uint8_t[::1] letters, uint8_t zero, uint8_t[::1] out):
    with nogil:
        letters_of_4(<const u32*>&x[0], &letters[0], zero, &out[0], out.shape[0])


def decode(const number[::1] x, const number[:, ::1] rows, const uint8_t[::1] letters, Py_ssize_t row, Py_ssize_t channel,
           uint8_t[::1] out):
    with nogil:
        letters_of_rows(&x[0], &rows[0, 0], &letters[0], rows.shape[0], rows.shape[1], row, channel, &out[0], out.shape[0])


def reverse_complement(const uint8_t[::1] x, const uint8_t[::1] other, uint8_t[::1] out):
    with nogil:
        translate_reversed(&x[0], &other[0], &out[0], x.shape[0])


def turn_4(const uint8_t[::1] x, uint8_t[::1] out):
    with nogil:
        turn_rows_of_4(<const u32*>&x[0], <u32*>&out[0], x.shape[0] // 4)


def kmer_index(const uint8_t[::1] x, const uint8_t[::1] code, int k, bint canonical, index[::1] out):
    with nogil:
        numbers_of_kmers(&x[0], &code[0], k, canonical, &out[0], out.shape[0])
