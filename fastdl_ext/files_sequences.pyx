"""FASTA and FASTQ text to letters: one pass of memchr (line ends) and memcpy (letters).

Source of the formats: the NCBI's description of FASTA; Cock et al., "The Sanger FASTQ file format", Nucleic Acids
Research 38, 2010; the columns of a .fai index as `samtools faidx` writes them.
Bound: each byte of text is read by memchr, read and written by memcpy, and read again by the check of its letters:
at 60 letters a line some 3 to 4 GB/s of text, a tenth of a core's copy bandwidth; the calls per line are the cost.
Trusts its caller: targets are as large as their source.
"""

from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memchr, memcpy

from fastdl_ext._common cimport cloned

# What `fasta` keeps from one piece of text to the next (fastdl/reference/_sequence_text.py has the same list).
cdef enum:
    LENGTH, LINE_BASES, LINE_WIDTH, OPEN_BASES, OPEN_WIDTH, SHORT, UNEVEN, LINE, FRESH, OFFSET


cdef cloned count_strange(const uint8_t* x, Py_ssize_t n, Py_ssize_t* strange) noexcept nogil:
    # Whether there are bytes that are neither letters nor * - .
    cdef Py_ssize_t i
    cdef int bad = 0
    cdef uint8_t c
    for i in range(n):
        c = x[i]
        bad |= (<uint8_t>((c & 0xDF) - 65) > 25) & (c != 42) & (c != 45) & (c != 46)
    strange[0] = bad


cdef inline Py_ssize_t copy_loosely(const uint8_t* x, Py_ssize_t n, uint8_t* out) noexcept nogil:
    # All but blanks and digits, as GenBank writes its lines.
    cdef Py_ssize_t i, written = 0
    for i in range(n):
        if x[i] > 32 and not 48 <= x[i] <= 57:
            out[written] = x[i]
            written += 1
    return written


cdef inline void take_line(int64_t* state) noexcept nogil:
    # A line has ended.  All of a sequence are as its first, but the last may be shorter: else no index can find a base.
    cdef int64_t bases = state[OPEN_BASES], width = state[OPEN_WIDTH]
    cdef bint fits
    state[LENGTH] += bases
    if not state[LINE_WIDTH]:
        state[LINE_BASES], state[LINE_WIDTH] = bases, width
    else:
        fits = bases == 0 or (not state[SHORT] and bases <= state[LINE_BASES]
                              and width - bases <= state[LINE_WIDTH] - state[LINE_BASES])
        state[SHORT] |= width != state[LINE_WIDTH]
        if not fits and not state[UNEVEN]:
            state[UNEVEN] = state[LINE]
    state[OPEN_BASES] = state[OPEN_WIDTH] = 0


def fasta(const uint8_t[::1] x, uint8_t[::1] letters, int64_t[:, ::1] records, int64_t[::1] state, bint loose,
          bint last):
    """(headers found, letters written, whether one is no letter) of a piece of text.

    Lines with > and ; are whole; a line of letters may go on in the next piece.  Row i of `records`: where header i
    begins and ends in x, the letters written before it, its line, the place in the file behind it; then length, bases
    and bytes of a line, and the first line of other length (or 0), of the sequence before it.
    """
    cdef Py_ssize_t at = 0, stop, size, kept, n = x.shape[0], written = 0, count = 0, strange = 0, j
    cdef const uint8_t* text = &x[0] if n else NULL
    cdef uint8_t* out = &letters[0] if letters.shape[0] else NULL
    cdef const void* end
    cdef int64_t* s = &state[0]
    with nogil:
        while at < n:
            end = memchr(text + at, 10, n - at)
            stop = <const uint8_t*>end - text if end != NULL else n
            size = stop - at
            if size and end != NULL and text[stop - 1] == 13:
                size -= 1
            if s[FRESH] and text[at] == 62:
                if s[OPEN_WIDTH]:
                    take_line(s)
                records[count, 0], records[count, 1], records[count, 2] = at + 1, at + size, written
                records[count, 3], records[count, 4] = s[LINE], s[OFFSET] + min(stop + 1, n)
                records[count, 5], records[count, 6], records[count, 7] = s[LENGTH], s[LINE_BASES], s[LINE_WIDTH]
                records[count, 8] = s[UNEVEN]
                count += 1
                for j in range(7):
                    s[j] = 0
            elif s[FRESH] and text[at] == 59:
                if not s[UNEVEN]:
                    s[UNEVEN] = s[LINE]
            else:
                if loose:
                    kept = copy_loosely(text + at, size, out + written)
                    if kept != size and not s[UNEVEN]:
                        s[UNEVEN] = s[LINE]
                else:
                    kept = size
                    memcpy(out + written, text + at, size)
                written += kept
                s[OPEN_BASES] += kept
                s[OPEN_WIDTH] += stop - at + (end != NULL)
                if end != NULL:
                    take_line(s)
            s[FRESH] = end != NULL
            s[LINE] += end != NULL
            at = stop + 1
        s[OFFSET] += n
        if last and s[OPEN_WIDTH]:
            take_line(s)
        count_strange(out, written, &strange)
    return count, written, strange != 0


cdef inline Py_ssize_t line_at(const uint8_t* text, Py_ssize_t at, Py_ssize_t n, Py_ssize_t* size) noexcept nogil:
    # Where the next line begins, or -1 where this one has no end yet; its letters, without its end.
    cdef const void* end = memchr(text + at, 10, n - at)
    cdef Py_ssize_t stop
    if end == NULL:
        return -1
    stop = <const uint8_t*>end - text
    size[0] = stop - at - (stop > at and text[stop - 1] == 13)
    return stop + 1


def reads(const uint8_t[::1] x, uint8_t[::1] bases, uint8_t[::1] qualities, int64_t[::1] offsets,
          int64_t[:, ::1] names):
    """(reads, bytes taken, lines taken, problem, its line): whole reads, up to the first problem; lines from 0.

    Problem 1: no @; 2: more qualities or fewer than bases; 3: a base is no letter.  Bases and qualities may stand on
    several lines each; where the bases stand on one, so must the qualities, since a line of them may begin with @.
    """
    cdef Py_ssize_t n = x.shape[0], at = 0, here, after, size = 0, count = 0, written = 0, strange = 0, total, got
    cdef Py_ssize_t line = 0, taken = 0, rows, first
    cdef const uint8_t* text = &x[0]
    cdef int problem = 0
    offsets[0] = 0
    with nogil:
        while at < n:
            line = taken
            here = line_at(text, at, n, &size)
            if here >= 0 and size == 0:             # blank lines between reads, and behind the last
                at, taken = here, taken + 1
                continue
            if text[at] != 64:
                problem = 1
                break
            if here < 0:
                break
            names[count, 0], names[count, 1] = at + 1, at + size
            total = got = rows = 0
            line += 1
            while True:
                after = line_at(text, here, n, &size)
                if after < 0 or text[here] == 43:
                    break
                count_strange(text + here, size, &strange)
                if strange:
                    problem = 3
                    break
                memcpy(&bases[0] + written + total, text + here, size)
                total, rows, here, line = total + size, rows + 1, after, line + 1
            if after < 0 or problem:
                break
            here, first = after, line + 1
            while True:
                line += 1
                after = line_at(text, here, n, &size)
                if after < 0:
                    break
                if got + size > total or (rows < 2 and size != total):
                    problem, line = 2, first
                    break
                memcpy(&qualities[0] + written + got, text + here, size)
                got, here = got + size, after
                if got == total:
                    break
            if after < 0 or problem:
                break
            written, count, at, taken = written + total, count + 1, here, line + 1
            offsets[count] = written
    return count, at, taken, problem, line
