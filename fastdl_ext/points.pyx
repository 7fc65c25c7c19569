"""Points to voxels: cells, keys and ids; points_reduction.pyx has what follows from ids.  Trusts its caller: equal lengths.

Cells by subtraction, true division and floor, as spconv and mmcv have it; ids by a hash table with open addressing and
linear probing (Knuth, The Art of Computer Programming 3, 6.4, algorithm L), at most half full.

Bound: a point moves 16 bytes in (x, y, z, intensity as float32) and 4 out (its voxel's id).  Division is what the key pass costs,
so it runs on separate x, y, z in blocks that stay in L1; the rest of the time is look-ups in a table that should stay in L2.
Slots of tables that do not are asked for 16 points ahead.
"""

from libc.math cimport floor, floorf
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcpy

from fastdl_ext._common cimport cloned, real
from fastdl_ext._point_columns cimport columns
from fastdl_ext.points cimport AHEAD, BLOCK, CACHED_BITS, NONE, PROBES, crowded, geometry, key, mix, prefetch, wide


cdef struct Cells:
    int32_t* x
    int32_t* y
    int32_t* z


cdef cloned place(const real* x, const real* y, const real* z, const geometry* g, wide one, const Cells* cells, Py_ssize_t n,
                  Py_ssize_t* missing) noexcept nogil:
    # `one` tells the type to compute in.  The test is on the float, before the cast: NaN and Inf fail it, and nothing out
    # of range reaches an integer.
    cdef Py_ssize_t i
    cdef int32_t* cx = cells.x
    cdef int32_t* cy = cells.y
    cdef int32_t* cz = cells.z
    cdef int32_t bad = 0
    cdef real t
    cdef wide a, b, c
    cdef wide x0 = <wide>g.low[0], y0 = <wide>g.low[1], z0 = <wide>g.low[2]
    cdef wide xs = <wide>g.size[0], ys = <wide>g.size[1], zs = <wide>g.size[2]
    cdef wide xb = <wide>g.base[0], yb = <wide>g.base[1], zb = <wide>g.base[2]
    cdef wide xg = <wide>g.grid[0], yg = <wide>g.grid[1], zg = <wide>g.grid[2]
    cdef bint inside
    for i in range(n):
        t = (x[i] - x[i]) + (y[i] - y[i]) + (z[i] - z[i])
        bad += t != t
        if wide is float:
            a = floorf((<wide>x[i] - x0) / xs) - xb
            b = floorf((<wide>y[i] - y0) / ys) - yb
            c = floorf((<wide>z[i] - z0) / zs) - zb
        else:
            a = floor((<wide>x[i] - x0) / xs) - xb
            b = floor((<wide>y[i] - y0) / ys) - yb
            c = floor((<wide>z[i] - z0) / zs) - zb
        inside = (a >= 0) & (a < xg) & (b >= 0) & (b < yg) & (c >= 0) & (c < zg)
        a = a if inside else -1
        b = b if inside else -1
        c = c if inside else -1
        cx[i] = <int32_t>a
        cy[i] = <int32_t>b
        cz[i] = <int32_t>c
    missing[0] += bad


cdef cloned join_32(const int32_t* cx, const int32_t* cy, const int32_t* cz, uint32_t row, uint32_t rows, uint32_t* keys,
                    Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    cdef uint32_t k
    for i in range(n):
        k = (<uint32_t>cz[i] * rows + <uint32_t>cy[i]) * row + <uint32_t>cx[i]
        keys[i] = k if cx[i] >= 0 else <uint32_t>NONE


cdef cloned join_64(const int32_t* cx, const int32_t* cy, const int32_t* cz, uint64_t row, uint64_t rows, uint64_t* keys,
                    Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    cdef uint64_t k
    for i in range(n):
        k = (<uint64_t>cz[i] * rows + <uint64_t>cy[i]) * row + <uint64_t>cx[i]
        keys[i] = k if cx[i] >= 0 else <uint64_t>NONE


cdef void block_cells(const real* p, Py_ssize_t c, const geometry* g, int32_t* cx, int32_t* cy, int32_t* cz, Py_ssize_t n,
                      Py_ssize_t* missing) noexcept nogil:
    cdef real x[BLOCK]
    cdef real y[BLOCK]
    cdef real z[BLOCK]
    cdef Cells cells = Cells(cx, cy, cz)
    columns(p, c, x, y, z, n)
    if real is float:
        if g.single:
            place(x, y, z, g, <float>1, &cells, n, missing)
        else:
            place(x, y, z, g, <double>1, &cells, n, missing)
    else:
        place(x, y, z, g, <double>1, &cells, n, missing)


cdef void block_keys(const real* p, Py_ssize_t c, const geometry* g, key* keys, Py_ssize_t n,
                     Py_ssize_t* missing) noexcept nogil:
    cdef int32_t cx[BLOCK]
    cdef int32_t cy[BLOCK]
    cdef int32_t cz[BLOCK]
    block_cells(p, c, g, cx, cy, cz, n, missing)
    if key is uint32_t:
        join_32(cx, cy, cz, <uint32_t>g.strides[0], <uint32_t>g.strides[1], keys, n)
    else:
        join_64(cx, cy, cz, <uint64_t>g.strides[0], <uint64_t>g.strides[1], keys, n)


cdef void fill_geometry(geometry* g, const double* numbers, bint single) noexcept nogil:
    memcpy(g.low, numbers, 24)
    memcpy(g.size, numbers + 3, 24)
    memcpy(g.base, numbers + 6, 24)
    memcpy(g.grid, numbers + 9, 24)
    memcpy(g.strides, numbers + 12, 16)
    g.single = single


cdef Py_ssize_t find_or_add(const key* keys, int32_t* ids, Py_ssize_t start, Py_ssize_t n, uint64_t* table, int bits,
                            int64_t* count, Py_ssize_t limit) noexcept nogil:
    # Open addressing with linear probing.  A slot is key and id + 1 in one word for 32-bit keys, in two for 64-bit ones; 0 is
    # free.  Stops before the voxel that would be number `limit`, and where a look-up took too long, at the point whose index
    # is returned: the caller then makes the table larger.
    cdef Py_ssize_t i
    cdef int probes
    cdef int64_t m = count[0]
    cdef int shift = 64 - bits
    cdef uint64_t h, slot, mask = (<uint64_t>1 << bits) - 1
    cdef key k, last = <key>NONE
    cdef int32_t id = -1
    cdef Py_ssize_t width = 1 if key is uint32_t else 2
    for i in range(start, n):
        if bits > CACHED_BITS and i + AHEAD < n:
            prefetch(table + width * (mix(keys[i + AHEAD]) >> shift))
        k = keys[i]
        if k == last:                           # neighbours in a scan often share a voxel
            ids[i] = id
            continue
        if k == <key>NONE:
            ids[i] = -1
            continue
        h = mix(k) >> shift
        probes = 0
        if key is uint32_t:
            while True:
                slot = table[h]
                if <uint32_t>(slot >> 32) == k and slot != 0:
                    id = <int32_t>(<uint32_t>slot - 1)
                    break
                if slot == 0:
                    if m >= limit:
                        count[0] = m
                        return i
                    id = <int32_t>m
                    m += 1
                    table[h] = <uint64_t>k << 32 | <uint64_t>m
                    break
                h = (h + 1) & mask
                probes += 1
                if probes > PROBES and crowded(m, mask):
                    count[0] = m
                    return i
        else:
            while True:
                slot = table[2 * h + 1]
                if slot == 0:
                    if m >= limit:
                        count[0] = m
                        return i
                    id = <int32_t>m
                    m += 1
                    table[2 * h] = k
                    table[2 * h + 1] = <uint64_t>m
                    break
                if table[2 * h] == k:
                    id = <int32_t>(slot - 1)
                    break
                h = (h + 1) & mask
                probes += 1
                if probes > PROBES and crowded(m, mask):
                    count[0] = m
                    return i
        last = k
        ids[i] = id
    count[0] = m
    return n


def keys_of(const real[:, ::1] points, const double[::1] numbers, bint single, key[::1] keys):
    """Keys of points, all ones where a point has none; the number of points that are not finite."""
    cdef geometry g
    cdef Py_ssize_t i, n = points.shape[0], c = points.shape[1], missing = 0
    with nogil:
        fill_geometry(&g, &numbers[0], single)
        for i in range(0, n, 512):
            block_keys(&points[i, 0], c, &g, &keys[i], min(<Py_ssize_t>512, n - i), &missing)
    return missing


def cells_of(const real[:, ::1] points, const double[::1] numbers, bint single, bint reverse, int32_t[:, ::1] cells):
    """Cells of points as rows (x, y, z), or (z, y, x) when reversed, -1 where a point has none."""
    cdef geometry g
    cdef int32_t cx[BLOCK]
    cdef int32_t cy[BLOCK]
    cdef int32_t cz[BLOCK]
    cdef int32_t* row
    cdef Py_ssize_t i, j, n = points.shape[0], c = points.shape[1], missing = 0
    with nogil:
        fill_geometry(&g, &numbers[0], single)
        for i in range(0, n, 512):
            block_cells(&points[i, 0], c, &g, cx, cy, cz, min(<Py_ssize_t>512, n - i), &missing)
            row = &cells[i, 0]
            if reverse:
                for j in range(min(<Py_ssize_t>512, n - i)):
                    row[3 * j] = cz[j]
                    row[3 * j + 1] = cy[j]
                    row[3 * j + 2] = cx[j]
            else:
                for j in range(min(<Py_ssize_t>512, n - i)):
                    row[3 * j] = cx[j]
                    row[3 * j + 1] = cy[j]
                    row[3 * j + 2] = cz[j]
    return missing


def assign(const key[::1] keys, int32_t[::1] ids, Py_ssize_t start, uint64_t[::1] table, int bits, int64_t[::1] count,
           Py_ssize_t limit):
    """Ids of keys in order of first appearance; the index of the point at which the table was full."""
    cdef Py_ssize_t stop
    with nogil:
        stop = find_or_add(&keys[0], &ids[0], start, keys.shape[0], &table[0], bits, &count[0], limit)
    return stop


def assign_direct(const uint32_t[::1] keys, int32_t[::1] ids, int32_t[::1] table, int64_t[::1] count):
    """Ids of keys by a table with one entry a cell, which is -1 before and after."""
    cdef Py_ssize_t i, n = keys.shape[0]
    cdef uint32_t k
    cdef int32_t m = 0, id
    with nogil:
        for i in range(n):
            k = keys[i]
            if k == <uint32_t>NONE:
                ids[i] = -1
                continue
            id = table[k]
            if id < 0:
                id = m
                table[k] = m
                m += 1
            ids[i] = id
        count[0] = m


def clear_direct(const uint32_t[::1] keys, int32_t[::1] table):
    """Undo what assign_direct wrote."""
    cdef Py_ssize_t i
    with nogil:
        for i in range(keys.shape[0]):
            if keys[i] != <uint32_t>NONE:
                table[keys[i]] = -1


def find(const uint64_t[::1] keys, int32_t[::1] ids, const uint64_t[::1] table, int bits):
    """Ids of the keys that are in the table, -1 for the others."""
    cdef Py_ssize_t i
    cdef uint64_t h, mask = (<uint64_t>1 << bits) - 1
    with nogil:
        for i in range(keys.shape[0]):
            ids[i] = -1
            h = mix(keys[i]) >> (64 - bits)
            while table[2 * h + 1] != 0:
                if table[2 * h] == keys[i]:
                    ids[i] = <int32_t>(table[2 * h + 1] - 1)
                    break
                h = (h + 1) & mask


def rehash(const uint64_t[::1] old, uint64_t[::1] table, int bits, bint narrow):
    """Every entry of a table, of 32-bit or 64-bit keys, into a larger one."""
    cdef Py_ssize_t i
    cdef uint64_t h, mask = (<uint64_t>1 << bits) - 1
    with nogil:
        if narrow:
            for i in range(old.shape[0]):
                if old[i] != 0:
                    h = mix(old[i] >> 32) >> (64 - bits)
                    while table[h] != 0:
                        h = (h + 1) & mask
                    table[h] = old[i]
        else:
            for i in range(old.shape[0] // 2):
                if old[2 * i + 1] != 0:
                    h = mix(old[2 * i]) >> (64 - bits)
                    while table[2 * h + 1] != 0:
                        h = (h + 1) & mask
                    table[2 * h] = old[2 * i]
                    table[2 * h + 1] = old[2 * i + 1]


def voxel_cells(const real[:, ::1] points, const int32_t[::1] ids, Py_ssize_t keep, const double[::1] numbers, bint single,
                bint reverse, int32_t[:, ::1] cells):
    """Cells of the first `keep` voxels as rows (x, y, z), or (z, y, x) when reversed."""
    cdef geometry g
    cdef real rows[3 * BLOCK]
    cdef int32_t cx[BLOCK]
    cdef int32_t cy[BLOCK]
    cdef int32_t cz[BLOCK]
    cdef Py_ssize_t i, j, next = 0, filled = 0, missing = 0
    cdef int32_t* row
    with nogil:
        fill_geometry(&g, &numbers[0], single)
        for i in range(ids.shape[0]):
            if ids[i] != next:
                continue
            rows[3 * filled] = points[i, 0]
            rows[3 * filled + 1] = points[i, 1]
            rows[3 * filled + 2] = points[i, 2]
            filled += 1
            next += 1
            if filled == BLOCK or next == keep:
                block_cells(&rows[0], 3, &g, cx, cy, cz, filled, &missing)
                row = &cells[next - filled, 0]
                for j in range(filled):
                    row[3 * j] = cz[j] if reverse else cx[j]
                    row[3 * j + 1] = cy[j]
                    row[3 * j + 2] = cx[j] if reverse else cz[j]
                filled = 0
                if next == keep:
                    break
