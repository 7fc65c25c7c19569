"""The place of each row in a keyed permutation of 0..n-1, and the part that this place belongs to.  Trusts its caller: at least
one row and part.

A generalised Feistel network with cycle walking (Black and Rogaway, "Ciphers with arbitrary finite domains", 2002): row x is
the cell (left, right) = divmod(x, columns) of a grid of rows x columns >= n cells.  Rounds add to one of the two a keyed hash of
the other, modulo its range: each is undone by a subtraction, so the cells are permuted.  What lands beyond n goes through
again until it does not; as a grid has less than one row of such cells, that is rare.

Bound by arithmetic: 12 operations a round and row, eight or sixteen rows at once; a row writes a code of 1 or 4 bytes, or a place
of 8.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from fastdl_ext._common cimport cloned
from fastdl_ext._lanes cimport inlined

cdef enum:
    BATCH = 512         # rows whose places are found together, in the first-level cache

ctypedef fused code:
    uint8_t
    int32_t

ctypedef struct Grid:
    int64_t n
    uint32_t rows, columns
    const uint32_t* keys
    Py_ssize_t rounds


cdef inlined add_hash(uint32_t* to, const uint32_t* source, uint32_t key, uint32_t size, Py_ssize_t m) noexcept nogil:
    # The hash is "lowbias32" (Wellons, "Prospecting for hash functions", 2018); scaled to 0..size-1 by a multiplication, it is
    # added modulo size.
    cdef Py_ssize_t i
    cdef uint32_t h
    for i in range(m):
        h = source[i] ^ key
        h = (h ^ (h >> 16)) * <uint32_t>0x7FEB352D
        h = (h ^ (h >> 15)) * <uint32_t>0x846CA68B
        h = h ^ (h >> 16)
        h = to[i] + <uint32_t>((<uint64_t>h * size) >> 32)
        to[i] = h - size if h >= size else h


cdef inlined permute(const Grid* g, uint32_t* left, uint32_t* right, Py_ssize_t m) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(0, g.rounds, 2):
        add_hash(left, right, g.keys[k], g.rows, m)
        add_hash(right, left, g.keys[k + 1], g.columns, m)


cdef inlined places(const Grid* g, uint32_t* left, uint32_t* right, Py_ssize_t m, int64_t* rank) noexcept nogil:
    cdef Py_ssize_t i
    cdef int64_t beyond = 0
    permute(g, left, right, m)
    for i in range(m):
        rank[i] = <int64_t>(<uint64_t>left[i] * g.columns + right[i])
        beyond |= g.n - 1 - rank[i]
    if beyond < 0:
        for i in range(m):
            while rank[i] >= g.n:
                permute(g, left + i, right + i, 1)
                rank[i] = <int64_t>(<uint64_t>left[i] * g.columns + right[i])


cdef inlined consecutive(const Grid* g, int64_t start, Py_ssize_t m, uint32_t* left, uint32_t* right) noexcept nogil:
    cdef int64_t i
    cdef uint32_t row = <uint32_t>(start // g.columns), column = <uint32_t>(start % g.columns)
    for i in range(m):
        left[i] = row
        right[i] = column
        column += 1
        if column == g.columns:
            column = 0
            row += 1


cdef inlined parts(const Grid* g, int64_t start, const int64_t* bounds, Py_ssize_t count, code* out,
                   Py_ssize_t n) noexcept nogil:
    cdef uint32_t left[BATCH]
    cdef uint32_t right[BATCH]
    cdef int64_t rank[BATCH]
    cdef Py_ssize_t first, i, k, m
    first = 0
    while first < n:
        m = min(<Py_ssize_t>BATCH, n - first)
        consecutive(g, start + first, m, left, right)
        places(g, left, right, m, rank)
        for i in range(m):
            out[first + i] = 0
        for k in range(count):
            for i in range(m):
                out[first + i] += rank[i] >= bounds[k]
        first += m


cdef cloned parts_8(const Grid* g, int64_t start, const int64_t* bounds, Py_ssize_t count, uint8_t* out,
                    Py_ssize_t n) noexcept nogil:
    parts(g, start, bounds, count, out, n)


cdef cloned parts_32(const Grid* g, int64_t start, const int64_t* bounds, Py_ssize_t count, int32_t* out,
                     Py_ssize_t n) noexcept nogil:
    parts(g, start, bounds, count, out, n)


cdef cloned ranks_64(const Grid* g, int64_t start, const int64_t* row, int64_t* out, Py_ssize_t n) noexcept nogil:
    cdef uint32_t left[BATCH]
    cdef uint32_t right[BATCH]
    cdef Py_ssize_t first, i, m
    first = 0
    while first < n:
        m = min(<Py_ssize_t>BATCH, n - first)
        if row == NULL:
            consecutive(g, start + first, m, left, right)
        else:
            for i in range(m):
                left[i] = <uint32_t>(row[first + i] // g.columns)
                right[i] = <uint32_t>(row[first + i] % g.columns)
        places(g, left, right, m, out + first)
        first += m


def part_codes(int64_t start, int64_t n, uint32_t rows, uint32_t columns, const uint32_t[::1] keys,
               const int64_t[::1] bounds, code[::1] out):
    """The number of bounds that each of the consecutive rows from `start` on is not below."""
    cdef Grid g = Grid(n, rows, columns, &keys[0], keys.shape[0])
    cdef const int64_t* limit = NULL
    if bounds.shape[0]:
        limit = &bounds[0]
    with nogil:
        if code is uint8_t:
            parts_8(&g, start, limit, bounds.shape[0], &out[0], out.shape[0])
        else:
            parts_32(&g, start, limit, bounds.shape[0], &out[0], out.shape[0])


def ranks(int64_t start, const int64_t[::1] numbers, int64_t n, uint32_t rows, uint32_t columns, const uint32_t[::1] keys,
          int64_t[::1] out):
    """The places of the rows with these numbers, or of consecutive ones from `start` on where there are none."""
    cdef Grid g = Grid(n, rows, columns, &keys[0], keys.shape[0])
    cdef const int64_t* row = NULL
    if numbers is not None:
        row = &numbers[0]
    with nogil:
        ranks_64(&g, start, row, &out[0], out.shape[0])
