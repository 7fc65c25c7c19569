"""Hard voxelization in one pass: points to voxels of at most T points.  Trusts its caller: outputs of the lengths they must have.

As spconv's Point2VoxelCPU and SECOND do it: a voxel begins with its first point, takes the next T - 1, and counts the rest.
The way to a voxel is a hash table with open addressing (a table of the cells themselves where the grid is small).

Blocks of 512 points, whose arrays stay in L1, go through five loops: cells and keys (vectors); runs of points with the same
key; a look-up for each run; coordinates and zeros of the voxels that are new, which stand one after the other; rows.  None
has a branch that depends on whether a voxel is new or the one before, which a processor guesses wrongly for every third
point.  What is left to guess is whether a slot belongs to another key: hence a table that is a quarter full at most.

At 30 GB/s of writing the 13 MB of 83,000 voxels of 0.05 m (T = 5) or of 53,000 of 0.1 m (T = 10), and the 10.5 MB of 15,800
pillars (T = 32), are 0.43, 0.43 and 0.35 ms; on a busy 2-core Zen 5 a call takes 0.93, 0.85 and 0.59 ms, a fraction of 0.46,
0.51 and 0.59 (the form of one loop over points, 1.2, 1.07 and 0.83 ms).  Of the first, 0.06 ms is to clear the table, 0.07
cells, 0.06 runs, 0.35 look-ups, 0.1 zeros and 0.12 rows.  Look-ups without collisions would take 0.28 ms.  Tried, and slower:
slots of 32 bits with the keys apart; cells of 2 x 2 x 2 in one cache line; a second slot chosen without a branch, for the
address of a store then waits for a load, and all loads after it for that; blocks of 256.  Of a result that is not the
caller's own array, page faults were another third until its memory was kept (Workspace.expect_result).
"""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

cimport numpy as cnp
from fastdl_ext._arrays cimport new_array
from fastdl_ext._common cimport cloned, real
from fastdl_ext.points cimport AHEAD, BLOCK, NONE, PROBES, block_cells, crowded, fill_geometry, geometry, mix, prefetch

cnp.import_array()

cdef enum:
    FAR = 1 << 30           # the place of a point that is in no voxel: beyond every row

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

cdef struct block:
    # Of points:
    int32_t cx[BLOCK]
    int32_t cy[BLOCK]
    int32_t cz[BLOCK]
    uint32_t keys[BLOCK]
    uint32_t slots[BLOCK]
    int32_t changed[BLOCK]  # 1 where the key is another than that of the point before
    int32_t run[BLOCK]
    # Of runs of points with the same key:
    int32_t first[BLOCK + 1]
    int32_t ids[BLOCK]
    int32_t before[BLOCK]   # points the voxel had, less the index of the first point: plus an index it is a place in the row
    # Of voxels that are new: their first point.
    int32_t born[BLOCK + 1]


cdef cloned slots_of(block* b, uint32_t row, uint32_t rows, int shift, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t j
    cdef uint32_t k
    for j in range(n):
        k = (<uint32_t>b.cz[j] * rows + <uint32_t>b.cy[j]) * row + <uint32_t>b.cx[j]
        b.keys[j] = k if b.cx[j] >= 0 else <uint32_t>NONE
        b.slots[j] = <uint32_t>(mix(k) >> shift)
    b.changed[0] = 1
    for j in range(1, n):
        b.changed[j] = b.keys[j] != b.keys[j - 1]


cdef inline Py_ssize_t find_runs(block* b, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t j, runs = 0
    for j in range(n):                          # written every time, kept where the key changed: no branch to guess
        b.first[runs] = <int32_t>j
        runs += b.changed[j]
        b.run[j] = <int32_t>(runs - 1)
    b.first[runs] = <int32_t>n
    return runs


cdef inline void enter(block* b, const output* o, progress* at, Py_ssize_t r, int32_t id, int32_t fresh) noexcept nogil:
    # A run goes into voxel `id`, which is -1 where there may be no more.
    cdef int32_t j = b.first[r], length = b.first[r + 1] - j, known
    b.ids[r] = id
    if id < 0:
        b.before[r] = FAR
        at.dropped += length
        return
    known = o.counts[id] & (fresh - 1)          # 0 of a new voxel
    o.counts[id] = known + length
    b.before[r] = known - j


cdef inline Py_ssize_t enter_by_hash(block* b, Py_ssize_t runs, uint64_t* table, int bits, const output* o,
                                     progress* at) noexcept nogil:
    # The number of runs that are in their voxels: all, or those before one for which the table is too crowded.
    cdef Py_ssize_t r, m = at.voxels, m0 = m
    cdef int32_t j, fresh
    cdef int probes
    cdef uint32_t k
    cdef uint64_t h, slot, mask = (<uint64_t>1 << bits) - 1
    for r in range(runs):
        if r + AHEAD < runs:
            prefetch(&table[b.slots[b.first[r + AHEAD]]])
        j = b.first[r]
        k = b.keys[j]
        if k == <uint32_t>NONE:
            b.ids[r], b.before[r] = -1, FAR
            continue
        h, probes = b.slots[j], 0
        slot = table[h]
        # One branch, and a rare one: whether the slot is another key's.  Whether it is free is no branch.
        while ((slot >> 32) ^ k) & (0 - <uint64_t>(slot != 0)):
            probes += 1
            if probes > PROBES and crowded(m, mask):
                at.voxels = m
                return r
            h = (h + 1) & mask
            slot = table[h]
        fresh = (slot == 0) & (m < o.most)
        slot |= (<uint64_t>k << 32 | <uint64_t>(m + 1)) & (0 - <uint64_t>fresh)
        table[h] = slot
        b.born[m - m0] = j
        m += fresh
        enter(b, o, at, r, <int32_t>(<uint32_t>slot - 1), fresh)
    at.voxels = m
    return runs


cdef inline void enter_by_cell(block* b, Py_ssize_t runs, int32_t* table, const output* o, progress* at) noexcept nogil:
    cdef Py_ssize_t r, m = at.voxels, m0 = m
    cdef int32_t id, fresh
    cdef uint32_t k
    for r in range(runs):
        k = b.keys[b.first[r]]
        if k == <uint32_t>NONE:
            b.ids[r], b.before[r] = -1, FAR
            continue
        id = table[k]
        fresh = (id < 0) & (m < o.most)
        id = (id & (fresh - 1)) | (<int32_t>m & -fresh)
        table[k] = id
        b.born[m - m0] = b.first[r]
        m += fresh
        enter(b, o, at, r, id, fresh)
    at.voxels = m


cdef inline void begin(const block* b, const output* o, real* voxels, Py_ssize_t c, Py_ssize_t first,
                       Py_ssize_t stop) noexcept nogil:
    # Coordinates and zeros of the voxels first..stop - 1, which are new.
    cdef Py_ssize_t id
    cdef int32_t j
    for id in range(first, stop):
        j = b.born[id - first]
        o.coords[3 * id] = b.cz[j] if o.reverse else b.cx[j]
        o.coords[3 * id + 1] = b.cy[j]
        o.coords[3 * id + 2] = b.cx[j] if o.reverse else b.cz[j]
    memset(voxels + first * o.t * c, 0, (stop - first) * o.t * c * sizeof(real))


cdef inline void write_rows(const block* b, const output* o, real* voxels, const real* p, Py_ssize_t c, int32_t* ids,
                            Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t j, k, id, place
    cdef real* row
    for j in range(n):
        id = b.ids[b.run[j]]
        place = <Py_ssize_t>b.before[b.run[j]] + j
        ids[j] = <int32_t>id
        if id >= 0 and place < o.t:
            row = voxels + (id * o.t + place) * c
            for k in range(c):
                row[k] = p[j * c + k]


cdef inline Py_ssize_t enter_points(const real* p, Py_ssize_t c, Py_ssize_t start, Py_ssize_t n, const geometry* g,
                                    uint64_t* hashed, int bits, int32_t* direct, const output* o, real* voxels,
                                    progress* at) noexcept nogil:
    cdef block b
    cdef Py_ssize_t i = start, m, runs, done, first, missing, limit = o.rows
    cdef bint small = direct != NULL
    cdef uint32_t row = <uint32_t>(g.grid[0] if small else g.strides[0])
    cdef uint32_t rows = <uint32_t>(g.grid[1] if small else g.strides[1])
    cdef int shift = 0 if small else 64 - bits
    if not small:
        limit = min(limit, <Py_ssize_t>1 << (bits - 1))
    while i < n:
        m = min(<Py_ssize_t>512, n - i)
        first, missing = at.voxels, 0
        if min(first + m, o.most) > limit:      # every point of the block may begin a voxel
            break
        block_cells(p + i * c, c, g, b.cx, b.cy, b.cz, m, &missing)
        slots_of(&b, row, rows, shift, m)
        runs = find_runs(&b, m)
        if small:
            enter_by_cell(&b, runs, direct, o, at)
            done = runs
        else:
            done = enter_by_hash(&b, runs, hashed, bits, o, at)
        m = b.first[done]
        begin(&b, o, voxels, c, first, at.voxels)
        write_rows(&b, o, voxels, p + i * c, c, o.ids + i, m)
        i += m
        if done < runs:
            break
        at.missing += missing
    return i


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

    There is no room where a block of 512 points may begin more voxels than `counts` or half the table hold.  `table` is of
    uint64, a hash table of 2^bits slots, or with bits 0 of int32, one entry a cell (-1: none).  `state` holds the voxels, the
    points that are not finite, and those of voxels above `most`.
    """
    cdef geometry g
    cdef output o
    cdef progress at
    cdef uint64_t[::1] hashed
    cdef int32_t[::1] direct
    cdef uint64_t* slots = NULL
    cdef int32_t* cells = NULL
    cdef Py_ssize_t stop, n = points.shape[0], c = points.shape[1]
    if bits:
        hashed = table
        slots = &hashed[0]
    else:
        direct = table
        cells = &direct[0]
    with nogil:
        fill_geometry(&g, &numbers[0], single)
        o.ids, o.coords, o.counts = &ids[0], &coords[0, 0], &counts[0]
        o.rows, o.most, o.t, o.reverse = counts.shape[0], most, voxels.shape[1], reverse
        at.voxels, at.missing, at.dropped = state[0], state[1], state[2]
        if c == 4:
            stop = enter_points(&points[0, 0], 4, start, n, &g, slots, bits, cells, &o, &voxels[0, 0, 0], &at)
        else:
            stop = enter_points(&points[0, 0], c, start, n, &g, slots, bits, cells, &o, &voxels[0, 0, 0], &at)
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


cdef object few_voxels(const real* p, object points, const geometry* g, Py_ssize_t t, Py_ssize_t most, double max_bytes,
                       bint reverse):
    cdef block b
    cdef output o
    cdef progress at
    cdef int32_t[BLOCK] counts
    cdef uint64_t[4 * BLOCK] table     # a quarter full at most
    cdef Py_ssize_t n = cnp.PyArray_DIM(points, 0), c = cnp.PyArray_DIM(points, 1), m, runs, inside = 0, kept = 0, v
    cdef int32_t* few
    cdef int bits = 6
    while 1 << bits < 4 * n:
        bits += 1
    memset(table, 0, <Py_ssize_t>8 << bits)
    memset(&at, 0, sizeof(at))
    o.counts, o.rows, o.most, o.reverse = counts, n, most, reverse
    block_cells(p, c, g, b.cx, b.cy, b.cz, n, &at.missing)
    slots_of(&b, <uint32_t>g.strides[0], <uint32_t>g.strides[1], 64 - bits, n)
    runs = find_runs(&b, n)
    if enter_by_hash(&b, runs, table, bits, &o, &at) < runs:
        return None
    m = at.voxels
    if t == 0:
        for v in range(m):
            t = max(t, counts[v])
    if <double>m * t * c * sizeof(real) > max_bytes:
        return None
    voxels = new_array(3, m, t, c, cnp.PyArray_TYPE(points))
    coords, ids = new_array(2, m, 3, 0, cnp.NPY_INT32), new_array(1, n, 0, 0, cnp.NPY_INT32)
    all_counts, kept_counts = new_array(1, m, 0, 0, cnp.NPY_INT32), new_array(1, m, 0, 0, cnp.NPY_INT32)
    o.coords, o.t = <int32_t*>cnp.PyArray_DATA(coords), t
    begin(&b, &o, <real*>cnp.PyArray_DATA(voxels), c, 0, m)
    write_rows(&b, &o, <real*>cnp.PyArray_DATA(voxels), p, c, <int32_t*>cnp.PyArray_DATA(ids), n)
    memcpy(cnp.PyArray_DATA(all_counts), counts, 4 * m)
    few = <int32_t*>cnp.PyArray_DATA(kept_counts)
    for v in range(m):
        few[v] = <int32_t>min(<Py_ssize_t>counts[v], t)
        inside += counts[v]
        kept += few[v]
    accounting = {"in": n, "kept": kept, "over_points": inside - kept, "over_voxels": at.dropped,
                  "out_of_range": n - at.missing - inside - at.dropped, "non_finite": at.missing}
    return voxels, coords, kept_counts, all_counts, ids, accounting


def small_voxels(points, numbers, bint single, Py_ssize_t t, Py_ssize_t most, double max_bytes, bint reverse):
    """Voxels of 1 to 512 points, C-contiguous float32 or float64, on a grid with keys of 32 bits: what `Voxels` holds, or None.

    t is 0 for as many as the fullest voxel has.  None is for points made to collide and for results above `max_bytes`.
    """
    cdef geometry g
    fill_geometry(&g, <const double*>cnp.PyArray_DATA(numbers), single)
    if cnp.PyArray_TYPE(points) == cnp.NPY_FLOAT32:
        return few_voxels(<const float*>cnp.PyArray_DATA(points), points, &g, t, most, max_bytes, reverse)
    return few_voxels(<const double*>cnp.PyArray_DATA(points), points, &g, t, most, max_bytes, reverse)


def small_cells(points, numbers, bint single, bint reverse):
    """Cells of 0 to 512 points, C-contiguous float32 or float64, as `cells_of` of fastdl_ext.points writes them."""
    cdef geometry g
    cdef int32_t[BLOCK] cx, cy, cz
    cdef Py_ssize_t n = cnp.PyArray_DIM(points, 0), c = cnp.PyArray_DIM(points, 1), j, missing = 0
    cdef int32_t* row
    fill_geometry(&g, <const double*>cnp.PyArray_DATA(numbers), single)
    if cnp.PyArray_TYPE(points) == cnp.NPY_FLOAT32:
        block_cells(<const float*>cnp.PyArray_DATA(points), c, &g, cx, cy, cz, n, &missing)
    else:
        block_cells(<const double*>cnp.PyArray_DATA(points), c, &g, cx, cy, cz, n, &missing)
    cells = new_array(2, n, 3, 0, cnp.NPY_INT32)
    row = <int32_t*>cnp.PyArray_DATA(cells)
    for j in range(n):
        row[3 * j] = cz[j] if reverse else cx[j]
        row[3 * j + 1] = cy[j]
        row[3 * j + 2] = cx[j] if reverse else cz[j]
    return cells
