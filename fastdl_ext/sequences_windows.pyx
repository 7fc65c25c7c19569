"""Windows of a genome of bytes or 2-bit codes: fetch, reverse, encode and pad in one pass.  Trusts its caller: lows and highs
lie in the genome, and starts are so near it that their sums with the length do not overflow.

Algorithm: gather, reverse and encode in blocks that stay in the first cache; 2-bit codes by a table of the four letters
of each byte (the .2bit format is UCSC's, genome.ucsc.edu/FAQ/FAQformat.html#format7).
Bound: the writes, `width` bytes a base.  A window passes through a buffer only where its bytes do not stand in memory as
the encoder wants them, so a forward window of bytes costs what `encode_rows` costs.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memcpy, memset

from fastdl_ext.audio cimport decode_8_32
from fastdl_ext.sequences cimport Coder, coder_of, encode_planes, encode_rows, first_unknown, reverse

cdef enum:
    BLOCK = 4096            # bases: letters and their reverse, twice as many bytes, stay in the first-level cache

cdef struct Genome:
    const uint8_t* x            # bytes, or four bases a byte
    const uint32_t* letters     # the four letters of a packed byte; NULL: x holds letters
    const int64_t* unknown      # (n, 2) sorted ranges that are N
    Py_ssize_t unknowns
    const int64_t* masked       # (n, 2) sorted ranges in lower case
    Py_ssize_t masks


cdef inline Py_ssize_t first_range(const int64_t* ranges, Py_ssize_t n, int64_t at) noexcept nogil:
    # The first range that ends after `at`.
    cdef Py_ssize_t low = 0, high = n, middle
    while low < high:
        middle = (low + high) // 2
        if ranges[2 * middle + 1] <= at:
            low = middle + 1
        else:
            high = middle
    return low


cdef const uint8_t* load(const Genome* genome, int64_t at, Py_ssize_t n, uint8_t* buffer) noexcept nogil:
    # Letters at .. at + n, n <= BLOCK; the buffer holds BLOCK + 8 bytes.
    cdef Py_ssize_t k, j
    cdef int64_t low, high
    cdef uint8_t* letters
    if genome.letters == NULL:
        return genome.x + at
    decode_8_32(genome.x + at // 4, genome.letters, <uint32_t*>buffer, (at + n + 3) // 4 - at // 4,
                False)
    letters = buffer + at % 4
    k = first_range(genome.unknown, genome.unknowns, at)
    while k < genome.unknowns and genome.unknown[2 * k] < at + n:
        low, high = max(genome.unknown[2 * k], at), min(genome.unknown[2 * k + 1], at + n)
        memset(letters + (low - at), 78, high - low)
        k += 1
    k = first_range(genome.masked, genome.masks, at)
    while k < genome.masks and genome.masked[2 * k] < at + n:
        low, high = max(genome.masked[2 * k], at), min(genome.masked[2 * k + 1], at + n)
        for j in range(low - at, high - at):
            letters[j] |= 0x20
        k += 1
    return letters


cdef struct Strand:             # how windows of one strand are written
    Coder coder
    const uint8_t* blank        # the row of a base that the genome does not have
    const uint8_t* known        # (256,) 1 for the bytes that may be there, or NULL: all
    Py_ssize_t length           # bases of a window
    bint first                  # channels first


cdef inline void fill(const Strand* strand, uint8_t* out, Py_ssize_t start, Py_ssize_t stop) noexcept nogil:
    # The bases start..stop of a window lie outside of the genome.
    cdef Py_ssize_t i, j, size = strand.coder.size
    if strand.first:
        for j in range(strand.coder.channels):
            for i in range(start, stop):
                memcpy(out + (j * strand.length + i) * size, strand.blank + j * size, size)
    else:
        for i in range(start, stop):
            memcpy(out + i * strand.coder.width, strand.blank, strand.coder.width)


cdef Py_ssize_t window(const Genome* genome, const Strand* strand, int64_t start, int64_t low, int64_t high, bint backwards,
                       uint8_t* out) noexcept nogil:
    # One window; the place in it of the first unknown byte, or -1.
    cdef const Coder* coder = &strand.coder
    cdef Py_ssize_t length = strand.length
    cdef uint8_t buffer[BLOCK + 8]
    cdef uint8_t turned[BLOCK]
    cdef const uint8_t* x
    cdef Py_ssize_t at, n, stop, found
    low, high = min(max(start, low), start + length), max(min(start + length, high), start)
    high = max(low, high)
    at = start + length - high if backwards else low - start
    stop = at + high - low
    fill(strand, out, 0, at)
    fill(strand, out, stop, length)
    while at < stop:
        n = min(BLOCK, stop - at)
        if backwards:
            reverse(load(genome, start + length - at - n, n, buffer), turned, n)
            x = turned
        else:
            x = load(genome, start + at, n, buffer)
        if strand.known != NULL:
            found = first_unknown(x, strand.known, n)
            if found >= 0:
                return at + found
        if strand.first:
            encode_planes(coder, x, out + at * coder.size, length * coder.size, n)
        else:
            encode_rows(coder, x, out + at * coder.width, n)
        at += n
    return -1


cdef Genome genome_of(const uint8_t[::1] x, const uint32_t[::1] letters, const int64_t[:, ::1] unknown,
                      const int64_t[:, ::1] masked):
    cdef Genome genome
    genome.x, genome.letters, genome.unknown, genome.masked = NULL, NULL, NULL, NULL
    if x.shape[0]:
        genome.x = &x[0]
    genome.unknowns, genome.masks = 0, 0
    if letters is not None:
        genome.letters = &letters[0]
        genome.unknowns, genome.masks = unknown.shape[0], masked.shape[0]
        if genome.unknowns:
            genome.unknown = &unknown[0, 0]
        if genome.masks:
            genome.masked = &masked[0, 0]
    return genome


def encode_windows(genome, spans, forward, reverse_, bint first, Py_ssize_t length, uint8_t[:, ::1] out):
    """(window, place) of the first unknown byte, or None.

    genome: (bytes or 2-bit codes, letters of a packed byte or None, unknown, masked); spans: (starts, lows, highs,
    backwards); forward, reverse_: the tables of a strand and its row of padding, as bytes.
    """
    cdef Genome source = genome_of(genome[0], genome[1], genome[2], genome[3])
    cdef const int64_t[::1] starts = spans[0], lows = spans[1], highs = spans[2]
    cdef const uint8_t[::1] backwards = spans[3]
    cdef const uint8_t[::1] blank = forward[1], back_blank = reverse_[1], known = forward[0].known
    cdef Strand ahead = Strand(coder_of(forward[0]), &blank[0], NULL, length, first)
    cdef Strand back = Strand(coder_of(reverse_[0]), &back_blank[0], NULL, length, first)
    cdef Py_ssize_t b, found = -1
    if known is not None:
        ahead.known = back.known = &known[0]
    with nogil:
        for b in range(starts.shape[0]):
            found = window(&source, &back if backwards[b] else &ahead, starts[b], lows[b], highs[b], backwards[b], &out[b, 0])
            if found >= 0:
                break
    return (b, found) if found >= 0 else None


def unpack(packed, int64_t start, uint8_t[::1] out):
    """The letters from start on, of (codes, letters of a packed byte, unknown, masked)."""
    cdef Genome genome = genome_of(packed[0], packed[1], packed[2], packed[3])
    cdef uint8_t buffer[BLOCK + 8]
    cdef Py_ssize_t at = 0, n
    with nogil:
        while at < out.shape[0]:
            n = min(BLOCK, out.shape[0] - at)
            memcpy(&out[at], load(&genome, start + at, n, buffer), n)
            at += n
