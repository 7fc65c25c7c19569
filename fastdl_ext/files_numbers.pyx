"""Rows of numbers in text: each number is the nearest float64, as by Python's float(), or an integer, exactly.

Decimal digits are taken as an integer w and a power of ten q; w 10^q is rounded by one or two products of w with a
128-bit approximation of 5^q. This is the algorithm of Eisel and Lemire (D. Lemire, "Number parsing at a gigabyte per
second", Software: Practice and Experience 51, 2021). The few numbers that it leaves open (subnormal ones, more than 19
digits) go to Python's own parser.

Bound: a multiplication and two comparisons a digit, one after the other; measured on a busy 2-core Zen 5: 44 ns for
-12.345678, 109 ns for numbers of random signs and lengths of 11 bytes (NumPy's loadtxt: 956).
"""

from libc.math cimport INFINITY, NAN
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcpy

cdef extern from *:
    """
    typedef unsigned __int128 fastdl_uint128;
    static inline void fastdl_product(uint64_t a, uint64_t b, uint64_t* high, uint64_t* low) {
        fastdl_uint128 p = (fastdl_uint128)a * b;
        *high = (uint64_t)(p >> 64);
        *low = (uint64_t)p;
    }
    static inline int fastdl_zeros(uint64_t w) { return __builtin_clzll(w); }
    """
    void fastdl_product(uint64_t a, uint64_t b, uint64_t* high, uint64_t* low) noexcept nogil
    int fastdl_zeros(uint64_t w) noexcept nogil

cdef extern from "Python.h":
    double PyOS_string_to_double(const char* s, char** end, void* overflow) except? -1.0

cdef enum:
    LOWEST = -342                 # the power of ten of the table's first entry
    HIGHEST = 308
    LONGEST = 800                 # bytes of a number
    FLOAT = 0                     # kinds of columns
    SIGNED = 1
    UNSIGNED = 2
    GOOD = 0
    OPEN = 1                      # for Python's parser
    BAD = 2


cdef struct column:
    int64_t kind
    int64_t low
    int64_t high


cdef inline bint is_blank(uint8_t c) noexcept nogil:
    return c == 32 or c == 9 or c == 13 or c == 11 or c == 12


cdef inline int rounded(uint64_t w, int64_t q, const uint64_t* powers, double* value) noexcept nogil:
    cdef uint64_t high, low, more, rest, mantissa, bits
    cdef int lz, upper
    cdef int64_t power
    if w == 0 or q < LOWEST:
        value[0] = 0.0
        return GOOD if w == 0 else OPEN
    if q > HIGHEST:
        return OPEN
    lz = fastdl_zeros(w)
    w <<= lz
    fastdl_product(w, powers[2 * (q - LOWEST)], &high, &low)
    if high & 0x1FF == 0x1FF:     # 64 - 52 - 3 bits below the ones that count: the rest may carry
        fastdl_product(w, powers[2 * (q - LOWEST) + 1], &more, &rest)
        low += more
        if more > low:
            high += 1
    if low == <uint64_t>0xFFFFFFFFFFFFFFFF and (q < -27 or q > 55):
        return OPEN
    upper = <int>(high >> 63)
    mantissa = high >> (upper + 9)
    power = (((152170 + 65536) * q) >> 16) + 63 + upper - lz + 1023
    if power <= 0:
        return OPEN
    # Halfway between two floats: to the even one.
    if low <= 1 and -4 <= q <= 23 and mantissa & 3 == 1 and mantissa << (upper + 9) == high:
        mantissa &= ~<uint64_t>1
    mantissa = (mantissa + (mantissa & 1)) >> 1
    if mantissa >= <uint64_t>1 << 53:
        mantissa = <uint64_t>1 << 52
        power += 1
    if power >= 0x7FF:
        return OPEN
    bits = (mantissa & ~(<uint64_t>1 << 52)) | <uint64_t>power << 52
    memcpy(value, &bits, 8)
    return GOOD


cdef inline bint word_is(const uint8_t* p, Py_ssize_t n, const char* word, Py_ssize_t length) noexcept nogil:
    cdef Py_ssize_t k
    if n != length:
        return False
    for k in range(n):
        if p[k] | 32 != <uint8_t>word[k]:
            return False
    return True


cdef inline int number(const uint8_t* p, Py_ssize_t n, const uint64_t* powers, int kind, double* value,
                       uint64_t* whole, bint* negative) noexcept nogil:
    """The token of n bytes: GOOD with `value` or `whole`, OPEN, or BAD."""
    cdef Py_ssize_t i = 0, digits = 0, seen = 0
    cdef uint64_t w = 0
    cdef int64_t q = 0, e = 0
    cdef bint minus, point = False
    cdef int state
    negative[0] = n > 0 and p[0] == 45
    if n > 0 and (p[0] == 45 or p[0] == 43):
        i = 1
    while i < n:
        if 48 <= p[i] <= 57:
            seen += 1
            if digits or p[i] != 48:
                digits += 1
                if digits > 19:
                    return OPEN
                w = 10 * w + (p[i] - 48)
            if point:
                q -= 1
        elif p[i] == 46 and not point:
            point = True
        else:
            break
        i += 1
    if not seen:
        if kind != FLOAT or point:
            return BAD
        if word_is(p + i, n - i, "nan", 3):
            value[0] = NAN
            return GOOD
        if word_is(p + i, n - i, "inf", 3) or word_is(p + i, n - i, "infinity", 8):
            value[0] = -INFINITY if negative[0] else INFINITY
            return GOOD
        return BAD
    if i == n and not point and kind != FLOAT:
        whole[0] = w
        return GOOD
    if i < n:
        if p[i] | 32 != 101:
            return BAD
        i += 1
        minus = i < n and p[i] == 45
        if i < n and (p[i] == 45 or p[i] == 43):
            i += 1
        if i == n:
            return BAD
        while i < n:
            if not 48 <= p[i] <= 57:
                return BAD
            if e < 100000:
                e = 10 * e + (p[i] - 48)
            i += 1
        q += -e if minus else e
    if kind != FLOAT:
        return OPEN
    state = rounded(w, q, powers, value)
    if negative[0]:
        value[0] = -value[0]
    return state


cdef int by_python(const uint8_t* p, Py_ssize_t n, double* value) except -1 with gil:
    """Python's own parser, for what is left open."""
    cdef char buffer[LONGEST + 1]
    cdef char* end
    if n > LONGEST:
        return BAD
    memcpy(buffer, p, n)
    buffer[n] = 0
    try:
        value[0] = PyOS_string_to_double(buffer, &end, NULL)
    except ValueError:
        return BAD
    return GOOD if end == buffer + n else BAD


cdef inline int whole_of(double value, uint64_t* whole, bint* negative) noexcept nogil:
    """A float that is a whole number within 2^53."""
    if value != value or value > 9007199254740992.0 or value < -9007199254740992.0 or value != <int64_t>value:
        return BAD
    negative[0] = value < 0
    whole[0] = <uint64_t>(-<int64_t>value if value < 0 else <int64_t>value)
    return GOOD


cdef int big(const uint8_t* p, Py_ssize_t n, uint64_t* whole) except -1 with gil:
    """A whole number of twenty digits, which uint64 may hold."""
    text = bytes(p[:n])
    if not text.isdigit() or n > 40 or int(text) >= 1 << 64:
        return BAD
    whole[0] = int(text)
    return GOOD


cdef int fill(const uint8_t* p, Py_ssize_t n, int separator, const column* columns, Py_ssize_t width,
              const uint64_t* powers, uint64_t* words, Py_ssize_t rows,
              int64_t* state) except -1 nogil:
    """1, or 0 at a line that is not a row."""
    cdef Py_ssize_t i = state[0], k, start, stop, line
    cdef uint64_t* row
    cdef int status
    cdef double value = 0.0
    cdef uint64_t whole = 0
    cdef bint negative = False
    while state[1] < rows:
        line = i
        while line < n and p[line] != 10:
            line += 1
        if line == n:
            break
        while i < line and is_blank(p[i]):
            i += 1
        if i == line:                            # a blank line
            i = line + 1
            state[0] = i
            state[2] += 1
            continue
        row = words + state[1] * width
        for k in range(width):
            while i < line and is_blank(p[i]):
                i += 1
            start = i
            while i < line and not is_blank(p[i]) and (separator == 0 or p[i] != separator):
                i += 1
            stop = i
            if separator and k < width - 1:
                while i < line and is_blank(p[i]):
                    i += 1
                if i == line or p[i] != separator:
                    return 0
                i += 1
            if stop == start:
                if separator == 0 or columns[k].kind != FLOAT:
                    return 0
                value = NAN
            else:
                status = number(p + start, stop - start, powers, <int>columns[k].kind, &value, &whole, &negative)
                if status == OPEN and columns[k].kind == UNSIGNED and stop - start > 19:
                    negative = False
                    status = big(p + start, stop - start, &whole)
                elif status == OPEN:
                    status = by_python(p + start, stop - start, &value)
                    if status == GOOD and columns[k].kind != FLOAT:
                        status = whole_of(value, &whole, &negative)
                if status == BAD:
                    return 0
            if columns[k].kind == FLOAT:
                memcpy(&row[k], &value, 8)
                continue
            if columns[k].kind == UNSIGNED:
                if negative and whole:
                    return 0
            else:
                if whole > <uint64_t>1 << 63 or (whole == <uint64_t>1 << 63 and not negative):
                    return 0
                if negative:
                    whole = <uint64_t>0 - whole
                if <int64_t>whole < columns[k].low or <int64_t>whole > columns[k].high:
                    return 0
            row[k] = whole
        while i < line and is_blank(p[i]):
            i += 1
        if i < line:
            return 0
        i = line + 1
        state[0] = i
        state[1] += 1
        state[2] += 1
    return 1


def parse_rows(const uint8_t[::1] text, int separator, const int64_t[:, ::1] columns, const uint64_t[::1] powers,
               uint64_t[:, ::1] words, int64_t[::1] state):
    """Fill rows of 8-byte words from lines of numbers; False at a line that is not one.

    columns: (kind, low, high) rows: 0 float64, 1 int64 within its limits, 2 uint64. separator: 0 for blanks, else the
    byte between numbers, with blanks around it or not; an empty number is NaN where floats stand. state: the byte to
    begin at, which becomes the first that was not used; then the rows filled; then the lines passed, blank ones among
    them. A last line without an end is left.
    """
    cdef int good
    if not text.shape[0] or not words.shape[0]:
        return True
    with nogil:
        good = fill(&text[0], text.shape[0], separator, <const column*>&columns[0, 0], columns.shape[0], &powers[0],
                    &words[0, 0], words.shape[0], &state[0])
    return bool(good)
