"""Hard voxelization in one pass: points to voxels of at most T points.  Trusts its caller: outputs of the lengths they must have.

As spconv's Point2VoxelCPU and SECOND do it: a voxel is born with its first point, takes the next T - 1, and counts the rest.
The way to a voxel is a hash table with open addressing (a table of the cells themselves where the grid is small).
Cells of 512 points are computed together and stay in L1; a voxel's coordinates, first row and zeros are written when it
is born, while its lines are in the cache.  A scan of 120,000 points moves 16 bytes a point in, 4 out, and the voxels; what
bounds it are the look-ups, the misses of the rows that points of known voxels go to, and the branch at every change of voxel.

At 30 GB/s of writing the 13 MB of 83,000 voxels of 0.05 m (T = 5) or of 53,000 of 0.1 m (T = 10), and the 10.5 MB of 15,800
pillars (T = 32), are 0.43, 0.43 and 0.35 ms; measured on a busy 2-core Zen 5 it takes 1.2, 1.05 and 0.74 ms, a fraction of
0.36, 0.41 and 0.47.  Of a result that is not the caller's own array, page faults were another third until its memory was
kept (Workspace.expect_result).  A form without branches, ids of 512 points first and then their rows, was 10 to 15 % slower:
it goes over what is in flight twice.  Smaller tables, and lengths of rows known in the table of cells, made no difference.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memset

from fastdl_ext._common cimport cloned, real
from fastdl_ext.points cimport AHEAD, BLOCK, PROBES, block_cells, crowded, fill_geometry, geometry, mix, prefetch

cdef struct output:
    int32_t* ids            # of points
    int32_t* coords         # of voxels, three each
    int32_t* counts         # all points of a voxel
    Py_ssize_t rows         # voxels there is room for
    Py_ssize_t most         # voxels there may be
    Py_ssize_t t            # points of a voxel that are kept
    bint reverse            # coords as z, y, x

cdef struct progress:
    Py_ssize_t voxels
    Py_ssize_t missing      # points that are not finite
    Py_ssize_t dropped      # points of voxels above `most`


cdef cloned slots_of(const int32_t* cx, const int32_t* cy, const int32_t* cz, uint32_t row, uint32_t rows, int shift,
                     uint32_t* keys, uint32_t* slots, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(n):
        keys[j] = (<uint32_t>cz[j] * rows + <uint32_t>cy[j]) * row + <uint32_t>cx[j]
        slots[j] = <uint32_t>(mix(keys[j]) >> shift)


cdef inline void begin(const output* o, real* voxels, const real* p, Py_ssize_t c, Py_ssize_t id, int32_t x, int32_t y,
                       int32_t z) noexcept nogil:
    cdef Py_ssize_t k
    cdef real* row = voxels + id * o.t * c
    o.coords[3 * id] = z if o.reverse else x
    o.coords[3 * id + 1] = y
    o.coords[3 * id + 2] = x if o.reverse else z
    o.counts[id] = 1
    for k in range(c):
        row[k] = p[k]
    memset(row + c, 0, (o.t - 1) * c * sizeof(real))


cdef inline void enter(const output* o, real* voxels, const real* p, Py_ssize_t c, Py_ssize_t id) noexcept nogil:
    cdef Py_ssize_t k
    cdef int32_t slot = o.counts[id]
    cdef real* row
    o.counts[id] = slot + 1
    if slot < o.t:
        row = voxels + (id * o.t + slot) * c
        for k in range(c):
            row[k] = p[k]


cdef inline Py_ssize_t by_hash(const real* p, Py_ssize_t c, Py_ssize_t start, Py_ssize_t n, const geometry* g,
                               uint64_t* table, int bits, const output* o, real* voxels, progress* at) noexcept nogil:
    cdef int32_t cx[BLOCK]
    cdef int32_t cy[BLOCK]
    cdef int32_t cz[BLOCK]
    cdef uint32_t keys[BLOCK]
    cdef uint32_t slots[BLOCK]
    cdef Py_ssize_t i, j, m, m0 = at.voxels, limit = min(o.rows, <Py_ssize_t>1 << (bits - 1)), missing
    cdef uint32_t row = <uint32_t>g.strides[0], rows = <uint32_t>g.strides[1], k, last = <uint32_t>0xFFFFFFFF
    cdef int32_t id = -1
    cdef int probes, shift = 64 - bits
    cdef uint64_t h, slot, mask = (<uint64_t>1 << bits) - 1
    if o.most < limit:
        limit = o.most
    i = start
    while i < n:
        m = min(<Py_ssize_t>512, n - i)
        missing = 0
        block_cells(p + i * c, c, g, cx, cy, cz, m, &missing)
        slots_of(cx, cy, cz, row, rows, shift, keys, slots, m)
        for j in range(m):
            if j + AHEAD < m:
                prefetch(&table[slots[j + AHEAD]])
            if cx[j] < 0:
                o.ids[i + j] = -1
                last = <uint32_t>0xFFFFFFFF
                continue
            k = keys[j]
            if k == last:                       # neighbours in a scan often share a voxel
                o.ids[i + j] = id
                if id >= 0:
                    enter(o, voxels, p + (i + j) * c, c, id)
                else:
                    at.dropped += 1
                continue
            h = slots[j]
            probes = 0
            while True:
                slot = table[h]
                if <uint32_t>(slot >> 32) == k and slot != 0:
                    id = <int32_t>(<uint32_t>slot - 1)
                    enter(o, voxels, p + (i + j) * c, c, id)
                    break
                if slot == 0:
                    if m0 >= limit:
                        if m0 == o.most:
                            id = -1
                            at.dropped += 1
                            break
                        at.voxels = m0
                        return i + j
                    id = <int32_t>m0
                    m0 += 1
                    table[h] = <uint64_t>k << 32 | <uint64_t>m0
                    begin(o, voxels, p + (i + j) * c, c, id, cx[j], cy[j], cz[j])
                    break
                h = (h + 1) & mask
                probes += 1
                if probes > PROBES and crowded(m0, mask):
                    at.voxels = m0
                    return i + j
            last = k
            o.ids[i + j] = id
        i += m
        at.missing += missing
    at.voxels = m0
    return n


cdef inline Py_ssize_t by_cell(const real* p, Py_ssize_t c, Py_ssize_t start, Py_ssize_t n, const geometry* g,
                               int32_t* table, const output* o, real* voxels, progress* at) noexcept nogil:
    cdef int32_t cx[BLOCK]
    cdef int32_t cy[BLOCK]
    cdef int32_t cz[BLOCK]
    cdef Py_ssize_t i, j, m, m0 = at.voxels, missing
    cdef uint32_t row = <uint32_t>g.grid[0], rows = <uint32_t>g.grid[1], k
    cdef int32_t id
    i = start
    while i < n:
        m = min(<Py_ssize_t>512, n - i)
        missing = 0
        block_cells(p + i * c, c, g, cx, cy, cz, m, &missing)
        for j in range(m):
            if cx[j] < 0:
                o.ids[i + j] = -1
                continue
            k = (<uint32_t>cz[j] * rows + <uint32_t>cy[j]) * row + <uint32_t>cx[j]
            id = table[k]
            if id >= 0:
                enter(o, voxels, p + (i + j) * c, c, id)
            elif m0 == o.most:
                at.dropped += 1
            elif m0 == o.rows:
                at.voxels = m0
                return i + j
            else:
                id = <int32_t>m0
                table[k] = id
                m0 += 1
                begin(o, voxels, p + (i + j) * c, c, id, cx[j], cy[j], cz[j])
            o.ids[i + j] = id
        i += m
        at.missing += missing
    at.voxels = m0
    return n


cdef Py_ssize_t unfinished(const real* p, Py_ssize_t c, Py_ssize_t start, Py_ssize_t stop, const geometry* g) noexcept nogil:
    # Points from the beginning of a block that was left at `stop` that are not finite: a block counts them at its end.
    cdef int32_t cells[3 * BLOCK]
    cdef Py_ssize_t missing = 0, first = start + (stop - start) // 512 * 512
    if stop > first:
        block_cells(p + first * c, c, g, cells, cells + BLOCK, cells + 2 * BLOCK, stop - first, &missing)
    return missing


def fill(const real[:, ::1] points, Py_ssize_t start, const double[::1] numbers, bint single, table, int bits,
         int64_t[::1] state, Py_ssize_t most, bint reverse, int32_t[::1] ids, int32_t[:, ::1] coords, int32_t[::1] counts,
         real[:, :, ::1] voxels):
    """Put points from `start` into their voxels; the index of the point for which there was no room, or their number.

    `table` is of uint64, a hash table of 2^bits slots, or of int32, one entry a cell (-1: none).  `state` holds the
    voxels, the points that are not finite, and those of voxels above `most`.
    """
    cdef geometry g
    cdef output o
    cdef progress at
    cdef uint64_t[::1] hashed
    cdef int32_t[::1] direct
    cdef bint small = table.dtype.itemsize == 4
    cdef Py_ssize_t stop, n = points.shape[0], c = points.shape[1]
    if small:
        direct = table
    else:
        hashed = table
    with nogil:
        fill_geometry(&g, &numbers[0], single)
        o.ids, o.coords, o.counts = &ids[0], &coords[0, 0], &counts[0]
        o.rows, o.most, o.t, o.reverse = counts.shape[0], most, voxels.shape[1], reverse
        at.voxels, at.missing, at.dropped = state[0], state[1], state[2]
        if small:
            stop = by_cell(&points[0, 0], c, start, n, &g, &direct[0], &o, &voxels[0, 0, 0], &at)
        elif c == 4:
            stop = by_hash(&points[0, 0], 4, start, n, &g, &hashed[0], bits, &o, &voxels[0, 0, 0], &at)
        else:
            stop = by_hash(&points[0, 0], c, start, n, &g, &hashed[0], bits, &o, &voxels[0, 0, 0], &at)
        if stop < n:
            at.missing += unfinished(&points[0, 0], c, start, stop, &g)
        state[0], state[1], state[2] = at.voxels, at.missing, at.dropped
    return stop


def cap_counts(const int32_t[::1] true_counts, int32_t most, int32_t[::1] counts):
    """Fill `counts` with at most `most` of each; the sums of `true_counts` and of `counts`."""
    cdef Py_ssize_t v
    cdef int64_t inside = 0, kept = 0
    with nogil:
        for v in range(true_counts.shape[0]):
            counts[v] = min(true_counts[v], most)
            inside += true_counts[v]
            kept += counts[v]
    return inside, kept


def clear(const int32_t[:, ::1] coords, bint reverse, const double[::1] numbers, int32_t[::1] table):
    """Undo what `fill` wrote to a table of cells."""
    cdef Py_ssize_t v
    cdef int64_t gx = <int64_t>numbers[9], gy = <int64_t>numbers[10]
    with nogil:
        for v in range(coords.shape[0]):
            if reverse:
                table[(coords[v, 0] * gy + coords[v, 1]) * gx + coords[v, 2]] = -1
            else:
                table[(coords[v, 2] * gy + coords[v, 1]) * gx + coords[v, 0]] = -1
