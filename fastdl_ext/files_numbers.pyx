"""Rows of numbers in text: each number is the nearest float64, as by Python's float(), or an integer, exactly.

Decimal digits are taken as an integer w and a power of ten q; w 10^q is rounded by one or two products of w with a
128-bit approximation of 5^q. This is the algorithm of Eisel and Lemire (D. Lemire, "Number parsing at a gigabyte per
second", Software: Practice and Experience 51, 2021). The few numbers that it leaves open (subnormal ones, more than 19
digits) go to Python's own parser.

Bound by operations: up to eight digits are taken at once, however many they are (a loop over them would end in a branch that the
processor guesses wrongly), and a line is read once: the last line end of the text stops every loop.
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
    #if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    /* Eight characters at once, the first in the lowest byte. How many digits they begin with: the XOR makes digits 0..9, and
       adding 0x76 carries into the upper bit of all others. A carry out of a byte spoils those above it only. */
    static inline int fastdl_count_digits(uint64_t c) {
        c ^= 0x3030303030303030u;
        c = ((c + 0x7676767676767676u) | c) & 0x8080808080808080u;
        return c ? __builtin_ctzll(c) >> 3 : 8;
    }
    /* The value of the first 1..8, moved up to have zeros before them: pairs of digits, of pairs, and of four, in three
       multiplications (Lemire, "Quickly parsing eight digits", 2018). */
    static inline uint64_t fastdl_value_of_digits(uint64_t c, int count) {
        c = (c ^ 0x3030303030303030u) << (64 - 8 * count);
        c = 10 * c + (c >> 8);
        return ((c & 0x000000FF000000FFu) * 0x000F424000000064u + ((c >> 16) & 0x000000FF000000FFu) * 0x0000271000000001u) >> 32;
    }
    #define FASTDL_EIGHT_AT_ONCE 1
    #else
    static inline int fastdl_count_digits(uint64_t c) { (void)c; return 0; }
    static inline uint64_t fastdl_value_of_digits(uint64_t c, int count) { (void)count; return c; }
    #define FASTDL_EIGHT_AT_ONCE 0
    #endif
    static const uint64_t fastdl_tens[9] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};
    """
    int count_digits "fastdl_count_digits"(uint64_t eight) noexcept nogil
    uint64_t value_of_digits "fastdl_value_of_digits"(uint64_t eight, int count) noexcept nogil
    bint EIGHT_AT_ONCE "FASTDL_EIGHT_AT_ONCE"
    const uint64_t* tens "fastdl_tens"
    void fastdl_product(uint64_t a, uint64_t b, uint64_t* high, uint64_t* low) noexcept nogil
    int fastdl_zeros(uint64_t w) noexcept nogil

cdef extern from "Python.h":
    double PyOS_string_to_double(const char* s, char** end, void* overflow) except? -1.0

cdef enum:
    LOWEST = -342                 # the power of ten of the table's first entry
    HIGHEST = 308
    LONGEST = 800                 # bytes of a number
    MOST_DIGITS = 19              # that 64 bits hold
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
    return c <= 32 and (<uint64_t>0x100003A00 >> c) & 1         # 9, 11, 12, 13 and 32


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
    if n < length:
        return False
    for k in range(length):
        if p[k] | 32 != <uint8_t>word[k]:
            return False
    return True


cdef inline Py_ssize_t digits_of(const uint8_t* p, Py_ssize_t n, uint64_t* w) noexcept nogil:
    """How many digits p begins with; they are appended to w, which wraps above 2^64."""
    cdef Py_ssize_t i = 0
    cdef uint64_t eight, v = w[0]
    cdef int count
    while EIGHT_AT_ONCE and n - i >= 8:
        memcpy(&eight, p + i, 8)
        count = count_digits(eight)
        if count:
            v = tens[count] * v + value_of_digits(eight, count)
        i += count
        if count < 8:
            w[0] = v
            return i
    while i < n and <uint8_t>(p[i] - 48) <= 9:
        v = 10 * v + <uint8_t>(p[i] - 48)
        i += 1
    w[0] = v
    return i


cdef inline Py_ssize_t leading_zeros(const uint8_t* p, Py_ssize_t n) noexcept nogil:
    """Zeros before the first other digit of p, which holds digits and a point."""
    cdef Py_ssize_t i, zeros = 0
    for i in range(n):
        if p[i] == 48:
            zeros += 1
        elif p[i] != 46:
            break
    return zeros


cdef inline int number(const uint8_t* p, Py_ssize_t n, const uint64_t* powers, int kind, double* value,
                       uint64_t* whole, bint* negative, Py_ssize_t* used) noexcept nogil:
    """The number that p begins with: GOOD with `value` or `whole` and the bytes `used`, OPEN, or BAD."""
    cdef Py_ssize_t i, start, before, after = 0
    cdef uint64_t w = 0
    cdef int64_t e = 0
    cdef bint minus, point
    cdef int state
    negative[0] = n > 0 and p[0] == 45
    start = n > 0 and (p[0] == 45 or p[0] == 43)
    before = digits_of(p + start, n - start, &w)
    i = start + before
    point = i < n and p[i] == 46
    if point:
        i += 1
        after = digits_of(p + i, n - i, &w)
        i += after
    if not before + after:
        if kind != FLOAT or point:
            return BAD
        value[0] = NAN
        used[0] = i + 3
        if word_is(p + i, n - i, "nan", 3):
            return GOOD
        value[0] = -INFINITY if negative[0] else INFINITY
        if word_is(p + i, n - i, "infinity", 8):
            used[0] = i + 8
            return GOOD
        return GOOD if word_is(p + i, n - i, "inf", 3) else BAD
    if before + after > MOST_DIGITS and before + after - leading_zeros(p + start, i - start) > MOST_DIGITS:
        return OPEN
    if i < n and p[i] | 32 == 101:
        i += 1
        minus = i < n and p[i] == 45
        if i < n and (p[i] == 45 or p[i] == 43):
            i += 1
        if i == n or <uint8_t>(p[i] - 48) > 9:
            return BAD
        while i < n and <uint8_t>(p[i] - 48) <= 9:
            if e < 100000:
                e = 10 * e + (p[i] - 48)
            i += 1
        if kind != FLOAT:
            return OPEN
        e = -e if minus else e
    elif kind != FLOAT:
        if point:
            return OPEN
        whole[0] = w
        used[0] = i
        return GOOD
    state = rounded(w, e - after, powers, value)
    if negative[0]:
        value[0] = -value[0]
    used[0] = i
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


cdef inline bint ends_number(uint8_t c, int separator) noexcept nogil:
    return (c == separator and separator != 0) or c == 10 or is_blank(c)


cdef struct Format:
    int separator                   # 0: blanks
    const column* columns
    Py_ssize_t width
    const uint64_t* powers
    Py_ssize_t row_step             # words from one row to the next,
    Py_ssize_t column_step          # and from one column to the next


cdef inline bint integer_word(uint64_t whole, bint negative, const column* c, uint64_t* word) noexcept nogil:
    """An integer as the 8 bytes of its column; False where it does not fit."""
    if c.kind == UNSIGNED:
        word[0] = whole
        return not (negative and whole)
    if whole > <uint64_t>1 << 63 or (whole == <uint64_t>1 << 63 and not negative):
        return False
    if negative:
        whole = <uint64_t>0 - whole
    word[0] = whole
    return c.low <= <int64_t>whole <= c.high


cdef int cell(const uint8_t* p, Py_ssize_t* at, Py_ssize_t n, const Format* f, const column* c,
              uint64_t* word) except -1 nogil:
    """1 with the number at `at` as a word, and `at` behind it; 0 where there is none of the column's kind."""
    cdef Py_ssize_t i = at[0], start = i, used = 0
    cdef int status
    cdef double value = NAN             # of an empty cell
    cdef uint64_t whole = 0
    cdef bint negative = False
    if c.kind == SIGNED:                # digits alone, the most frequent integer
        used = digits_of(p + i, n - i, &whole)
        if 0 < used < MOST_DIGITS and ends_number(p[i + used], f.separator):
            at[0] = i + used
            word[0] = whole
            return c.low <= <int64_t>whole <= c.high
        whole = used = 0
    if ends_number(p[i], f.separator):
        if f.separator == 0 or c.kind != FLOAT:
            return 0
    else:
        status = number(p + i, n - i, f.powers, <int>c.kind, &value, &whole, &negative, &used)
        if status == GOOD and ends_number(p[i + used], f.separator):
            i += used
        elif status == OPEN:
            while not ends_number(p[i], f.separator):
                i += 1
            if c.kind == UNSIGNED and i - start > MOST_DIGITS:
                negative = False
                status = big(p + start, i - start, &whole)
            else:
                status = by_python(p + start, i - start, &value)
                if status == GOOD and c.kind != FLOAT:
                    status = whole_of(value, &whole, &negative)
            if status == BAD:
                return 0
        else:
            return 0
    at[0] = i
    if c.kind == FLOAT:
        memcpy(word, &value, 8)
        return 1
    return integer_word(whole, negative, c, word)


cdef inline Py_ssize_t skip_blanks(const uint8_t* p, Py_ssize_t i) noexcept nogil:
    while is_blank(p[i]):
        i += 1
    return i


cdef int fill(const uint8_t* p, Py_ssize_t n, const Format* f, uint64_t* words, Py_ssize_t rows,
              int64_t* state) except -1 nogil:
    """1, or 0 at a line that is not a row."""
    cdef Py_ssize_t i = state[0], k
    while n > i and p[n - 1] != 10:         # a line without an end is left
        n -= 1
    while i < n and state[1] < rows:
        i = skip_blanks(p, i)
        if p[i] != 10:                      # not a blank line
            for k in range(f.width):
                i = skip_blanks(p, i)
                if not cell(p, &i, n, f, &f.columns[k], words + state[1] * f.row_step + k * f.column_step):
                    return 0
                if f.separator and k < f.width - 1:
                    i = skip_blanks(p, i)
                    if p[i] != f.separator:
                        return 0
                    i += 1
            i = skip_blanks(p, i)
            if p[i] != 10:
                return 0
            state[1] += 1
        i += 1
        state[0] = i
        state[2] += 1
    return 1


def parse_rows(const uint8_t[::1] text, int separator, const int64_t[:, ::1] columns, const uint64_t[::1] powers,
               uint64_t[:, :] words, int64_t[::1] state):
    """Fill rows of 8-byte words from lines of numbers; False at a line that is not one.

    columns: (kind, low, high) rows: 0 float64, 1 int64 within its limits, 2 uint64. separator: 0 for blanks, else the
    byte between numbers, with blanks around it or not; an empty number is NaN where floats stand. state: the byte to
    begin at, which becomes the first that was not used; then the rows filled; then the lines passed, blank ones among
    them. A last line without an end is left.
    """
    cdef int good
    cdef Format form = Format(separator, <const column*>&columns[0, 0], columns.shape[0], &powers[0],
                              words.strides[0] // 8, words.strides[1] // 8)
    if not text.shape[0] or not words.shape[0]:
        return True
    with nogil:
        good = fill(&text[0], text.shape[0], &form, &words[0, 0], words.shape[0], &state[0])
    return bool(good)
