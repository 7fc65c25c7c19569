"""Hard voxelization in one pass: points to voxels of at most T points.  Trusts its caller: outputs of the lengths they must have.

As spconv's Point2VoxelCPU and SECOND do it: a voxel begins with its first point, takes the next T - 1, and counts the rest.
The way to a voxel is a hash table with open addressing (a table of the cells themselves where the grid is small), which is not
cleared between clouds: the numbers in its slots rise, and those of earlier clouds count as free.

Blocks of 512 points, whose arrays stay in L1, go through six loops: cells and keys (vectors); runs of points with the same
key; a look-up for each run; ids, and coordinates of the voxels that begin (these three in _voxel_blocks.h); zeros and first
points of those voxels; the points that come to a voxel later.  None has a branch that depends on whether a voxel is new, which
a processor guesses wrongly for every third point.  What is left to guess is whether a slot belongs to another key: hence a table
that is a quarter full at most.

Bound by instructions, some four a cycle: the 8 MB of results of 83,000 voxels of 0.05 m (T = 5) would be written in 0.27 ms at 30 GB/s, and
the 10.5 MB of 53,000 of 0.1 m (T = 10) or of 15,800 pillars (T = 32) in 0.35; on a busy 2-core Zen 5 with AVX-512 a call takes
0.52, 0.51 and 0.44 ms, fractions of 0.52, 0.69 and 0.8 (the form before, 0.84, 0.70 and 0.53, of which 0.35 were look-ups, 0.12 rows, 0.06
runs and 0.06 to clear the table).  Of the first, 0.2 are look-ups (0.07 of that wrong guesses), 0.06 ids and coordinates, 0.05 to
read the points, 0.09 zeros and first points, 0.03 later points.  Tried, and slower (us of the first, beside the form that stayed):
twice and half the slots 550 and 690 to 540; a pair of slots for a key, chosen without a branch, 750 to 600, since a store whose
address waits for a load keeps the loads behind it waiting; slots asked for 8, 32, 48 or 128 look-ups ahead, 0 to 10 % slower
than 16; the next block's points asked for, 566 to 549; clearing the table 607 to 540.  What was tried for look-ups alone
is in _voxel_blocks.h.  Of a result that is not the caller's own array, page faults were another third until its memory was kept
(Workspace.expect_result).
"""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

cimport numpy as cnp
from fastdl_ext._arrays cimport new_array
from fastdl_ext._common cimport cloned, real
from fastdl_ext.points cimport BLOCK, NONE, PROBES, block_cells, fill_geometry, geometry, mix

cnp.import_array()

cdef extern from "_voxel_blocks.h":
    ctypedef struct block "voxel_block":
        int32_t* cx
        int32_t* cy
        int32_t* cz
        uint32_t* keys          # from keys[1] on
        uint32_t* slots
        int32_t* run
        int32_t* first
        int32_t* ids
        int32_t* before
        int32_t* born
        int32_t* more
        int64_t births
        int64_t others
        int64_t dropped
    bint has_vectors "voxel_vectors"() noexcept nogil
    Py_ssize_t find_runs "voxel_runs"(block* b, Py_ssize_t n, bint vectors) noexcept nogil
    ctypedef struct voxel_table:
        uint64_t* slots
        int bits
        int steps
        uint32_t base
        int64_t most
    Py_ssize_t look_up "voxel_look_up"(block* b, Py_ssize_t runs, const voxel_table* table, int64_t* voxels) noexcept nogil
    void look_up_cells "voxel_look_up_cells"(block* b, Py_ssize_t runs, int32_t* table, int64_t* voxels,
                                             Py_ssize_t most) noexcept nogil
    void enter "voxel_enter"(block* b, Py_ssize_t runs, Py_ssize_t voxels, int32_t* counts) noexcept nogil
    void write_coords "voxel_coords"(const block* b, Py_ssize_t voxels, bint reverse, int32_t* coords) noexcept nogil
    void write_ids "voxel_ids_v4"(block* b, Py_ssize_t n, Py_ssize_t voxels, bint reverse, int32_t* ids,
                                  int32_t* coords) noexcept nogil

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

cdef cloned slots_of(block* b, uint32_t row, uint32_t rows, int shift, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t j
    cdef uint32_t k
    cdef uint32_t* keys = b.keys + 1
    for j in range(n):
        k = (<uint32_t>b.cz[j] * rows + <uint32_t>b.cy[j]) * row + <uint32_t>b.cx[j]
        keys[j] = k if b.cx[j] >= 0 else <uint32_t>NONE
        b.slots[j] = <uint32_t>(mix(k) >> shift)


cdef inline void copy_row(const real* point, real* row, Py_ssize_t c) noexcept nogil:
    cdef Py_ssize_t k
    if c == 4:
        memcpy(row, point, 4 * sizeof(real))    # one load and one store; a loop is four, for the rows might overlap
    else:
        for k in range(c):
            row[k] = point[k]


cdef inline void begin(const block* b, const output* o, real* voxels, const real* p, Py_ssize_t c, Py_ssize_t id) noexcept nogil:
    # The voxels from `id` on, which are new: zeros, and their first points.
    cdef Py_ssize_t i, width = o.t * c
    cdef real* row = voxels + id * width
    memset(row, 0, b.births * width * sizeof(real))
    for i in range(b.births):
        copy_row(p + b.born[i] * c, row, c)
        row += width
    for i in range(b.births):
        o.counts[id + i] = 1


cdef inline void add_later(const block* b, const output* o, real* voxels, const real* p, Py_ssize_t c,
                           const int32_t* ids) noexcept nogil:
    # The points that come to a voxel that has begun.
    cdef Py_ssize_t i, id, place
    for i in range(b.others):
        id = ids[b.more[i]]
        place = o.counts[id]
        o.counts[id] = <int32_t>(place + 1)
        if place < o.t:
            copy_row(p + b.more[i] * c, voxels + (id * o.t + place) * c, c)


cdef inline void write_rows(const block* b, const output* o, real* voxels, const real* p, Py_ssize_t c, int32_t* ids,
                            Py_ssize_t n) noexcept nogil:
    # Without vectors: the ids of all points, and those that are kept.
    cdef Py_ssize_t j, id, place
    for j in range(n):
        id = b.ids[b.run[j]]
        place = <Py_ssize_t>b.before[b.run[j]] + j
        ids[j] = <int32_t>id
        if id >= 0 and place < o.t:
            copy_row(p + j * c, voxels + (id * o.t + place) * c, c)


cdef inline Py_ssize_t enter_points(const real* p, Py_ssize_t c, Py_ssize_t start, Py_ssize_t n, const geometry* g,
                                    const voxel_table* hashed, int32_t* direct, const output* o, real* voxels,
                                    progress* at) noexcept nogil:
    cdef block b
    cdef Py_ssize_t i = start, m, runs, done, before, missing, limit = o.rows
    cdef int64_t size = at.voxels
    cdef bint small = direct != NULL, vectors = has_vectors()
    cdef uint32_t row = <uint32_t>(g.grid[0] if small else g.strides[0])
    cdef uint32_t rows = <uint32_t>(g.grid[1] if small else g.strides[1])
    cdef int shift = 0 if small else 64 - hashed.bits
    if not small:
        limit = min(limit, <Py_ssize_t>1 << (hashed.bits - 1))
    while i < n:
        m = min(<Py_ssize_t>512, n - i)
        before, missing = size, 0
        if min(before + m, o.most) > limit:     # every point of the block may begin a voxel
            break
        block_cells(p + i * c, c, g, b.cx, b.cy, b.cz, m, &missing)
        slots_of(&b, row, rows, shift, m)
        runs = find_runs(&b, m, vectors)
        done = runs
        if small:
            look_up_cells(&b, runs, direct, &size, o.most)
        else:
            done = look_up(&b, runs, hashed, &size)
        m = b.first[done]
        if vectors:
            write_ids(&b, m, before, o.reverse, o.ids + i, o.coords)
            begin(&b, o, voxels, p + i * c, c, before)
            add_later(&b, o, voxels, p + i * c, c, o.ids + i)
        else:
            enter(&b, done, before, o.counts)
            write_coords(&b, before, o.reverse, o.coords)
            memset(voxels + before * o.t * c, 0, b.births * o.t * c * sizeof(real))
            write_rows(&b, o, voxels, p + i * c, c, o.ids + i, m)
        at.dropped += b.dropped
        i += m
        if done < runs:
            break
        at.missing += missing
    at.voxels = size
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
    points that are not finite, those of voxels above `most`, and the number up to which slots are free (Workspace.slots).
    """
    cdef geometry g
    cdef output o
    cdef progress at
    cdef voxel_table hashed
    cdef uint64_t[::1] slots
    cdef int32_t[::1] direct
    cdef int32_t* cells = NULL
    cdef Py_ssize_t stop, n = points.shape[0], c = points.shape[1]
    if bits:
        slots = table
        hashed.slots, hashed.bits, hashed.steps, hashed.base, hashed.most = &slots[0], bits, PROBES, <uint32_t>state[3], most
    else:
        direct = table
        cells = &direct[0]
    with nogil:
        fill_geometry(&g, &numbers[0], single)
        o.ids, o.coords, o.counts = &ids[0], &coords[0, 0], &counts[0]
        o.rows, o.most, o.t, o.reverse = counts.shape[0], most, voxels.shape[1], reverse
        at.voxels, at.missing, at.dropped = state[0], state[1], state[2]
        if c == 4:
            stop = enter_points(&points[0, 0], 4, start, n, &g, &hashed, cells, &o, &voxels[0, 0, 0], &at)
        else:
            stop = enter_points(&points[0, 0], c, start, n, &g, &hashed, cells, &o, &voxels[0, 0, 0], &at)
        if stop < n:
            at.missing += unfinished(&points[0, 0], c, start, stop, &g)
        state[0], state[1], state[2] = at.voxels, at.missing, at.dropped
    return stop


cdef cloned cap(const int32_t* all_counts, int32_t most, int32_t* counts, Py_ssize_t n, int64_t* sums) noexcept nogil:
    cdef Py_ssize_t v
    cdef int64_t inside = 0, kept = 0
    for v in range(n):
        counts[v] = min(all_counts[v], most)
        inside += all_counts[v]
        kept += counts[v]
    sums[0], sums[1] = inside, kept


def cap_counts(const int32_t[::1] true_counts, int32_t most, int32_t[::1] counts):
    """Fill `counts` with at most `most` of each; the sums of `true_counts` and of `counts`."""
    cdef int64_t[2] sums
    if not counts.shape[0]:
        return 0, 0
    with nogil:
        cap(&true_counts[0], most, &counts[0], counts.shape[0], sums)
    return sums[0], sums[1]


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
    cdef voxel_table hashed
    cdef int32_t[BLOCK] counts
    cdef uint64_t[4 * BLOCK] table     # a quarter full at most
    cdef Py_ssize_t n = cnp.PyArray_DIM(points, 0), c = cnp.PyArray_DIM(points, 1), runs, missing = 0, inside = 0, kept = 0, v
    cdef int64_t m = 0
    cdef int32_t* few
    hashed.slots, hashed.bits, hashed.steps, hashed.base, hashed.most = table, 6, PROBES, 0, most
    while 1 << hashed.bits < 4 * n:
        hashed.bits += 1
    memset(table, 0, <Py_ssize_t>8 << hashed.bits)
    block_cells(p, c, g, b.cx, b.cy, b.cz, n, &missing)
    slots_of(&b, <uint32_t>g.strides[0], <uint32_t>g.strides[1], 64 - hashed.bits, n)
    runs = find_runs(&b, n, False)
    if look_up(&b, runs, &hashed, &m) < runs:
        return None
    enter(&b, runs, 0, counts)
    if t == 0:
        for v in range(m):
            t = max(t, counts[v])
    if <double>m * t * c * sizeof(real) > max_bytes:
        return None
    voxels = new_array(3, m, t, c, cnp.PyArray_TYPE(points))
    coords, ids = new_array(2, m, 3, 0, cnp.NPY_INT32), new_array(1, n, 0, 0, cnp.NPY_INT32)
    all_counts, kept_counts = new_array(1, m, 0, 0, cnp.NPY_INT32), new_array(1, m, 0, 0, cnp.NPY_INT32)
    o.t = t
    write_coords(&b, 0, reverse, <int32_t*>cnp.PyArray_DATA(coords))
    memset(cnp.PyArray_DATA(voxels), 0, m * t * c * sizeof(real))
    write_rows(&b, &o, <real*>cnp.PyArray_DATA(voxels), p, c, <int32_t*>cnp.PyArray_DATA(ids), n)
    memcpy(cnp.PyArray_DATA(all_counts), counts, 4 * m)
    few = <int32_t*>cnp.PyArray_DATA(kept_counts)
    for v in range(m):
        few[v] = <int32_t>min(<Py_ssize_t>counts[v], t)
        inside += counts[v]
        kept += few[v]
    accounting = {"in": n, "kept": kept, "over_points": inside - kept, "over_voxels": b.dropped,
                  "out_of_range": n - missing - inside - b.dropped, "non_finite": missing}
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
