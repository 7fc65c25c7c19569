"""Records to voxels: the columns of a file's own records, each in its own type, reduced where they stand in the file's bytes.

A group-by, as in points_reduction.pyx. A voxel's state is the record of its first point. Least, greatest and last values
replace what stands in it; a mean needs sums, which are kept only for voxels that have a second point. Sums of integers of up
to 32 bits are integers and exact, those of floats and of longer integers float64 in input order.

Trusts its caller: ids below the rows they name, offsets within the records, room for a block of new sums.

Bound by memory: each column is read once, a block of 128 points at a time, so that the record's other columns and the rows of
sums are in L1 when their turn comes; the points of a block that add are listed first, since whether a point does is a branch that is
hard to guess (on a Zen 1, 1 M points in 519,000 voxels: 78 ms before, 27 with the lists; in 135,000: 38, 25, and 21 with blocks of 128
for 512). Measured on a busy 2-core Zen 5: 1.2 ns a point and column for the means of nine columns of a LAS
record, where a copy of the record is 1.3 ns. Rows of sums are asked for before the columns are added: for voxels by the
million they come from memory. `fastdl downsample` of 10 M points of 34 bytes (340 MB in; 9.8 M, 1.3 M or 8 k records out)
took 2.0, 1.3 and 0.3 s of processor time before the lists (on a Zen 1 the command takes 2.0, 1.6 and, of 5 m, 0.8 s, and took
2.6, 2.3 and 1.0); before the votes had rows of their own and look-ups were asked for ahead it was 2.1, 2.0 and 0.4 s. At 9.8 M
voxels it writes 332 MB of records, keeps as much, and sorts no more than a table of 2^25 slots.
"""

from libc.math cimport rint
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from fastdl_ext._lattice_cells cimport any_cell, axis, is_little, little_cell
from fastdl_ext.points cimport AHEAD, prefetch

cdef enum:
    BLOCK = 128             # points whose rows of sums stay in L1 while the columns pass

ctypedef fused number:
    int8_t
    uint8_t
    int16_t
    uint16_t
    int32_t
    uint32_t
    int64_t
    uint64_t
    float
    double

# What a column is: its place, its type (the order of `number`), and the bits of a uint8 that it has (mask 0: all).
cdef struct column:
    int64_t offset
    int64_t kind
    int64_t shift
    int64_t mask


cdef inline number load(const uint8_t* at, number one) noexcept nogil:
    cdef number v
    memcpy(&v, at, sizeof(number))      # records are not aligned
    return v


cdef inline void add_value(uint64_t* word, number v) noexcept nogil:
    cdef double d
    cdef int64_t i
    if number is float or number is double or number is int64_t or number is uint64_t:
        memcpy(&d, word, 8)
        d += <double>v
        memcpy(word, &d, 8)
    else:
        memcpy(&i, word, 8)
        i += <int64_t>v
        memcpy(word, &i, 8)


cdef void add_column(const uint8_t* at, const int64_t* points, const int64_t* rows, Py_ssize_t n, uint64_t* words,
                     const column* c, number one) noexcept nogil:
    # points: the bytes to each record; rows: the words to each row of sums.
    cdef Py_ssize_t i
    cdef number v
    if number is uint8_t:
        if c.mask:
            for i in range(n):
                add_value[uint8_t](words + rows[i], <uint8_t>(at[points[i]] >> c.shift & c.mask))
            return
    for i in range(n):
        v = load(at + points[i], one)
        add_value(words + rows[i], v)


cdef void add_any(const uint8_t* at, const int64_t* points, const int64_t* rows, Py_ssize_t n, uint64_t* words,
                  const column* c) noexcept nogil:
    if c.kind == 0:
        add_column[int8_t](at, points, rows, n, words, c, 0)
    elif c.kind == 1:
        add_column[uint8_t](at, points, rows, n, words, c, 0)
    elif c.kind == 2:
        add_column[int16_t](at, points, rows, n, words, c, 0)
    elif c.kind == 3:
        add_column[uint16_t](at, points, rows, n, words, c, 0)
    elif c.kind == 4:
        add_column[int32_t](at, points, rows, n, words, c, 0)
    elif c.kind == 5:
        add_column[uint32_t](at, points, rows, n, words, c, 0)
    elif c.kind == 6:
        add_column[int64_t](at, points, rows, n, words, c, 0)
    elif c.kind == 7:
        add_column[uint64_t](at, points, rows, n, words, c, 0)
    elif c.kind == 8:
        add_column[float](at, points, rows, n, words, c, 0)
    else:
        add_column[double](at, points, rows, n, words, c, 0)


def fold_means(const uint8_t[:, ::1] chunk, const int32_t[::1] ids, tuple voxels, const int64_t[:, ::1] columns,
               int64_t[::1] state):
    """Add the columns of every point but a voxel's first to the sums of its voxel, which begin as the first one's.

    voxels: their records; the row of sums of each, -1 while it has one point; the sums. columns: (offset, kind, shift,
    mask) rows. state: the point to begin at, the voxels met before it, the rows of sums in use; they move on, to the end
    of the chunk or to where the sums have no room for another block.
    """
    cdef const uint8_t[:, ::1] records = voxels[0]
    cdef int32_t[::1] slots = voxels[1]
    cdef uint64_t[:, ::1] sums = voxels[2]
    cdef Py_ssize_t n = chunk.shape[0], size = chunk.shape[1], width = columns.shape[0], start, stop, i, k
    cdef Py_ssize_t born, later             # voxels that get sums now, points that are added
    cdef int64_t met = state[1], used = state[2]
    cdef int64_t[BLOCK] firsts, fresh, points, rows
    cdef int32_t id
    cdef const column* c = <const column*>&columns[0, 0]
    with nogil:
        start = state[0]
        while start < n and used + BLOCK <= sums.shape[0]:
            stop = min(start + BLOCK, n)
            born = later = 0
            for i in range(start, stop):
                if i + AHEAD < stop and ids[i + AHEAD] >= 0:
                    prefetch(&slots[ids[i + AHEAD]])
                id = ids[i]
                if id < 0:
                    continue
                if id == met:                   # ids are given in order of first appearance
                    met += 1
                    continue
                if slots[id] < 0:
                    slots[id] = <int32_t>(used + born)
                    firsts[born] = id * size
                    fresh[born] = (used + born) * width
                    prefetch(&records[id, 0])
                    born += 1
                points[later] = i * size
                rows[later] = slots[id] * width
                prefetch(&sums[0, 0] + rows[later])     # a row of nine columns is in two lines
                prefetch(&sums[0, 0] + rows[later] + width - 1)
                later += 1
            if born:
                memset(&sums[used, 0], 0, born * width * 8)
            for k in range(width):
                add_any(&records[0, c[k].offset], firsts, fresh, born, &sums[0, k], &c[k])
                add_any(&chunk[0, c[k].offset], points, rows, later, &sums[0, k], &c[k])
            used += born
            start = stop
        state[0], state[1], state[2] = start, met, used


cdef void least(const uint8_t* at, Py_ssize_t step, const int32_t* ids, Py_ssize_t n, uint8_t* records,
                const column* c, bint greatest, number one) noexcept nogil:
    cdef Py_ssize_t i
    cdef number v, s
    cdef uint8_t* place
    for i in range(n):
        if ids[i] < 0:
            continue
        place = records + ids[i] * step
        v, s = load(at + i * step, one), load(place, one)
        if number is uint8_t:
            if c.mask:
                v, s = v >> c.shift & c.mask, s >> c.shift & c.mask
                if v > s if greatest else v < s:
                    place[0] = <uint8_t>(place[0] & ~(c.mask << c.shift) | v << c.shift)
                continue
        if (v > s if greatest else v < s) or v != v:    # NaN wins over everything
            memcpy(place, &v, sizeof(number))


def fold_extremes(const uint8_t[:, ::1] chunk, const int32_t[::1] ids, uint8_t[:, ::1] records,
                  const int64_t[::1] which, bint greatest):
    """The least or greatest value of a column, (offset, kind, shift, mask), in the voxels' records."""
    cdef Py_ssize_t n = chunk.shape[0], size = chunk.shape[1]
    cdef const column* c = <const column*>&which[0]
    cdef const uint8_t* at = &chunk[0, c.offset]
    cdef uint8_t* place = &records[0, c.offset]
    with nogil:
        if c.kind == 0:
            least[int8_t](at, size, &ids[0], n, place, c, greatest, 0)
        elif c.kind == 1:
            least[uint8_t](at, size, &ids[0], n, place, c, greatest, 0)
        elif c.kind == 2:
            least[int16_t](at, size, &ids[0], n, place, c, greatest, 0)
        elif c.kind == 3:
            least[uint16_t](at, size, &ids[0], n, place, c, greatest, 0)
        elif c.kind == 4:
            least[int32_t](at, size, &ids[0], n, place, c, greatest, 0)
        elif c.kind == 5:
            least[uint32_t](at, size, &ids[0], n, place, c, greatest, 0)
        elif c.kind == 6:
            least[int64_t](at, size, &ids[0], n, place, c, greatest, 0)
        elif c.kind == 7:
            least[uint64_t](at, size, &ids[0], n, place, c, greatest, 0)
        elif c.kind == 8:
            least[float](at, size, &ids[0], n, place, c, greatest, 0)
        else:
            least[double](at, size, &ids[0], n, place, c, greatest, 0)


cdef Py_ssize_t others(const uint8_t* at, Py_ssize_t step, const int32_t* ids, Py_ssize_t n, const uint8_t* records,
                       const column* c, int64_t* points, number one) noexcept nogil:
    cdef Py_ssize_t i, m = 0
    cdef number v, s
    for i in range(n):
        if ids[i] < 0:
            continue
        v, s = load(at + i * step, one), load(records + ids[i] * step, one)
        if number is uint8_t:
            if c.mask:
                v, s = v >> c.shift & c.mask, s >> c.shift & c.mask
        points[m] = i
        m += v != s
    return m


def differing(const uint8_t[:, ::1] chunk, const int32_t[::1] ids, const uint8_t[:, ::1] records,
              const int64_t[::1] which, int64_t[::1] points):
    """The points whose value of a column is not that of their voxel's first point; how many they are."""
    cdef Py_ssize_t n = chunk.shape[0], size = chunk.shape[1], m
    cdef const column* c = <const column*>&which[0]
    cdef const uint8_t* at = &chunk[0, c.offset]
    cdef const uint8_t* place = &records[0, c.offset]
    with nogil:
        if c.kind == 0:
            m = others[int8_t](at, size, &ids[0], n, place, c, &points[0], 0)
        elif c.kind == 1:
            m = others[uint8_t](at, size, &ids[0], n, place, c, &points[0], 0)
        elif c.kind == 2:
            m = others[int16_t](at, size, &ids[0], n, place, c, &points[0], 0)
        elif c.kind == 3:
            m = others[uint16_t](at, size, &ids[0], n, place, c, &points[0], 0)
        elif c.kind == 4:
            m = others[int32_t](at, size, &ids[0], n, place, c, &points[0], 0)
        elif c.kind == 5:
            m = others[uint32_t](at, size, &ids[0], n, place, c, &points[0], 0)
        elif c.kind == 6:
            m = others[int64_t](at, size, &ids[0], n, place, c, &points[0], 0)
        elif c.kind == 7:
            m = others[uint64_t](at, size, &ids[0], n, place, c, &points[0], 0)
        elif c.kind == 8:
            m = others[float](at, size, &ids[0], n, place, c, &points[0], 0)
        else:
            m = others[double](at, size, &ids[0], n, place, c, &points[0], 0)
    return m


cdef inline void store(uint8_t* at, double value, const column* c, number one) noexcept nogil:
    cdef number v
    if number is float or number is double:
        v = <number>value
    elif number is uint64_t:
        v = <number>rint(value) if value < 18446744073709549568.0 else <number>0xFFFFFFFFFFFFFFFF
    elif number is int64_t:
        v = <number>rint(value) if value < 9223372036854774784.0 else <number>0x7FFFFFFFFFFFFFFF
    else:
        v = <number>rint(value)
    if number is uint8_t:
        if c.mask:
            v = <uint8_t>(at[0] & ~(c.mask << c.shift) | v << c.shift)
    memcpy(at, &v, sizeof(number))


def finish_means(uint8_t[:, ::1] records, const int32_t[::1] slots, const int64_t[::1] counts,
                 const uint64_t[:, ::1] sums, const int64_t[:, ::1] columns):
    """Put the means of voxels of more than one point in their records, rounded where those are integers."""
    cdef Py_ssize_t i, k, width = columns.shape[0]
    cdef const column* c = <const column*>&columns[0, 0]
    cdef const uint64_t* row
    cdef uint8_t* at
    cdef double mean
    cdef int64_t whole
    with nogil:
        for i in range(records.shape[0]):
            if slots[i] < 0:
                continue
            row = &sums[slots[i], 0]
            for k in range(width):
                if c[k].kind < 6:
                    memcpy(&whole, row + k, 8)
                    mean = <double>whole / <double>counts[i]
                else:
                    memcpy(&mean, row + k, 8)
                    mean = mean / <double>counts[i]
                at = &records[i, c[k].offset]
                if c[k].kind == 0:
                    store[int8_t](at, mean, &c[k], 0)
                elif c[k].kind == 1:
                    store[uint8_t](at, mean, &c[k], 0)
                elif c[k].kind == 2:
                    store[int16_t](at, mean, &c[k], 0)
                elif c[k].kind == 3:
                    store[uint16_t](at, mean, &c[k], 0)
                elif c[k].kind == 4:
                    store[int32_t](at, mean, &c[k], 0)
                elif c[k].kind == 5:
                    store[uint32_t](at, mean, &c[k], 0)
                elif c[k].kind == 6:
                    store[int64_t](at, mean, &c[k], 0)
                elif c[k].kind == 7:
                    store[uint64_t](at, mean, &c[k], 0)
                elif c[k].kind == 8:
                    store[float](at, mean, &c[k], 0)
                else:
                    store[double](at, mean, &c[k], 0)


def lattice_bounds(const uint8_t[:, ::1] chunk, const int64_t[::1] offsets, int64_t[:, ::1] ends):
    """The least and the greatest of the int32 coordinates at these three offsets, as the rows of `ends`."""
    cdef Py_ssize_t n = chunk.shape[0], i, k
    cdef int32_t low[3]
    cdef int32_t high[3]
    cdef int32_t x
    with nogil:
        for k in range(3):
            low[k] = 0x7FFFFFFF
            high[k] = -0x7FFFFFFF - 1
        for i in range(n):
            for k in range(3):
                x = load(&chunk[i, offsets[k]], <int32_t>0)
                low[k] = x if x < low[k] else low[k]
                high[k] = x if x > high[k] else high[k]
        for k in range(3):
            ends[0, k], ends[1, k] = low[k], high[k]


def lattice_keys(const uint8_t[:, ::1] chunk, const int64_t[::1] offsets, const int64_t[:, ::1] axes,
                 const int64_t[::1] base, const int64_t[::1] strides, uint64_t[::1] keys):
    """Keys of int32 coordinates on a lattice: cell = floor((multiply X + shift) / step) - base, an axis a row.

    key = (z strides[1] + y) strides[0] + x; the grid holds every point, and what is divided is below 2^62.
    """
    cdef Py_ssize_t n = chunk.shape[0], size = chunk.shape[1], i, k
    cdef axis a[3]
    cdef int64_t row = strides[0], rows = strides[1], x, y, z
    cdef bint little = True
    cdef const uint8_t* at = &chunk[0, 0]
    cdef const uint8_t* px = at + offsets[0]
    cdef const uint8_t* py = at + offsets[1]
    cdef const uint8_t* pz = at + offsets[2]
    for k in range(3):
        a[k].multiply, a[k].shift, a[k].step, a[k].base = axes[k, 0], axes[k, 1], axes[k, 2], base[k]
        a[k].inverse = 1.0 / <double>a[k].step
        little = little and is_little(&a[k])
    with nogil:
        if little:
            for k in range(3):
                a[k].shift -= a[k].base * a[k].step
            for i in range(n):
                x = little_cell(&a[0], load(px + i * size, <int32_t>0))
                y = little_cell(&a[1], load(py + i * size, <int32_t>0))
                z = little_cell(&a[2], load(pz + i * size, <int32_t>0))
                keys[i] = <uint64_t>((z * rows + y) * row + x)
        else:
            for i in range(n):
                x = any_cell(&a[0], load(px + i * size, <int32_t>0))
                y = any_cell(&a[1], load(py + i * size, <int32_t>0))
                z = any_cell(&a[2], load(pz + i * size, <int32_t>0))
                keys[i] = <uint64_t>((z * rows + y) * row + x)
