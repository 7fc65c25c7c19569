"""The letters in the text of FASTA and FASTQ files.  Trusts its caller: targets are as large as their source.

A line is found by memchr and copied by memcpy, so text of 60 letters a line runs at some GB/s.
"""

from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memchr, memcpy

from fastdl_ext._common cimport cloned

# What fasta_shape keeps between two pieces of a sequence.
cdef enum:
    BASES, LINE_BASES, LINE_WIDTH, OPEN_BASES, OPEN_WIDTH, SHORT


cdef cloned count_strange(const uint8_t* x, Py_ssize_t n, Py_ssize_t* strange) noexcept nogil:
    # Bytes that are neither letters nor * - .
    cdef Py_ssize_t i
    cdef int bad = 0
    cdef uint8_t c
    for i in range(n):
        c = x[i]
        bad |= (<uint8_t>((c & 0xDF) - 65) > 25) & (c != 42) & (c != 45) & (c != 46)
    strange[0] = bad


cdef Py_ssize_t copy_lines(const uint8_t* x, Py_ssize_t n, uint8_t* out, Py_ssize_t* lines) noexcept nogil:
    cdef Py_ssize_t at = 0, stop, size, written = 0
    cdef const void* end
    lines[0] = 0
    while at < n:
        end = memchr(x + at, 10, n - at)
        stop = <const uint8_t*>end - x if end != NULL else n
        size = stop - at
        if size and end != NULL and x[stop - 1] == 13:
            size -= 1
        memcpy(out + written, x + at, size)
        written += size
        lines[0] += end != NULL
        at = stop + 1
    return written


def letters(const uint8_t[::1] x, uint8_t[::1] out):
    """(letters written, line ends passed, whether one is no letter)."""
    cdef Py_ssize_t lines, written, strange
    with nogil:
        written = copy_lines(&x[0], x.shape[0], &out[0], &lines)
        count_strange(&out[0], written, &strange)
    return written, lines, strange != 0


cdef bint take_line(int64_t* state, Py_ssize_t bases, Py_ssize_t width) noexcept nogil:
    # Whether a line of these sizes may follow: all are as the first, but the last may be shorter.
    cdef bint fits
    state[BASES] += bases
    if not state[LINE_WIDTH]:
        state[LINE_BASES], state[LINE_WIDTH] = bases, width
        return True
    fits = bases == 0 or (not state[SHORT] and bases <= state[LINE_BASES]
                          and width - bases <= state[LINE_WIDTH] - state[LINE_BASES])
    state[SHORT] |= width != state[LINE_WIDTH]
    return fits


def shape(const uint8_t[::1] x, int64_t[::1] state, bint last):
    """Take one piece of a sequence's text into state; the lines before the first that does not fit the others, or -1."""
    cdef Py_ssize_t at = 0, stop, n = x.shape[0], size, lines = 0
    cdef const uint8_t* text = &x[0] if n else NULL
    cdef const void* end
    cdef bint fits = True
    with nogil:
        while at < n and fits:
            end = memchr(text + at, 10, n - at)
            stop = <const uint8_t*>end - text if end != NULL else n
            size = stop - at
            state[OPEN_WIDTH] += size + (end != NULL)
            if size and end != NULL and text[stop - 1] == 13:
                size -= 1
            state[OPEN_BASES] += size
            if end != NULL:
                fits = take_line(&state[0], state[OPEN_BASES], state[OPEN_WIDTH])
                state[OPEN_BASES] = state[OPEN_WIDTH] = 0
                lines += fits
            at = stop + 1
        if last and fits and state[OPEN_WIDTH]:
            fits = take_line(&state[0], state[OPEN_BASES], state[OPEN_WIDTH])
            state[OPEN_BASES] = state[OPEN_WIDTH] = 0
    return -1 if fits else lines


def reads(const uint8_t[::1] x, uint8_t[::1] bases, uint8_t[::1] qualities, int64_t[::1] offsets, int64_t[:, ::1] names):
    """(reads, bytes taken, problem, its line in the read): whole reads of four lines each, up to the first problem.

    Problem 1: no @; 2: no +; 3: lengths differ; 4: a base is no letter.
    """
    cdef Py_ssize_t n = x.shape[0], at = 0, next_, count = 0, written = 0, strange = 0, line = 0
    cdef const uint8_t* text = &x[0]
    cdef const void* end
    cdef Py_ssize_t start[4]
    cdef Py_ssize_t size[4]
    cdef int problem = 0
    offsets[0] = 0
    with nogil:
        while at < n and not problem:
            next_ = at
            for line in range(4):
                end = memchr(text + next_, 10, n - next_)
                if end == NULL:
                    break
                start[line] = next_
                size[line] = <const uint8_t*>end - text - next_
                next_ += size[line] + 1
                if size[line] and text[next_ - 2] == 13:
                    size[line] -= 1
            else:
                line = 4
            if line > 0 and text[at] != 64:
                problem, line = 1, 0
            elif line > 2 and text[start[2]] != 43:
                problem, line = 2, 2
            elif line < 4:
                break
            elif size[3] != size[1]:
                problem, line = 3, 3
            else:
                count_strange(text + start[1], size[1], &strange)
                if strange:
                    problem, line = 4, 1
            if not problem:
                memcpy(&bases[0] + written, text + start[1], size[1])
                memcpy(&qualities[0] + written, text + start[3], size[3])
                written += size[1]
                names[count, 0], names[count, 1] = start[0] + 1, start[0] + size[0]
                count += 1
                offsets[count] = written
                at = next_
    return count, at, problem, line
