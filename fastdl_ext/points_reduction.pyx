"""Points to voxels: counts, reductions and outputs by id.  Trusts its caller: equal lengths, ids below the rows they name.

Sums are in double and in input order, whatever the way to the ids.
"""

from libc.math cimport fabs, floor
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memset

cimport numpy as cnp
from fastdl_ext._arrays cimport is_plain, new_array
from fastdl_ext._common cimport cloned, real
from fastdl_ext.points cimport BLOCK, NONE, PROBES, block_keys, crowded, geometry, mix

cnp.import_array()

ctypedef fused number:      # a column in a type that holds it exactly
    float
    double
    int64_t
    uint64_t


def tally(const int32_t[::1] ids, Py_ssize_t known, int64_t[::1] first, int64_t[::1] counts):
    """Add to the counts of voxels; `first` gets the first point of every voxel that is not among the `known`."""
    cdef Py_ssize_t i, next = known
    cdef int32_t id
    with nogil:
        for i in range(ids.shape[0]):
            id = ids[i]
            if id >= 0:
                if id == next:                  # ids are given in order of first appearance
                    first[next - known] = i
                    next += 1
                counts[id] += 1


def count_ids(const int32_t[::1] ids, Py_ssize_t keep, int32_t[::1] counts):
    """Counts of voxels below `keep`, on top of what is there; the points of other voxels."""
    cdef Py_ssize_t i, rest = 0
    with nogil:
        for i in range(ids.shape[0]):
            if ids[i] >= keep:
                rest += 1
            elif ids[i] >= 0:
                counts[ids[i]] += 1
    return rest


cdef inline void sum_rows(const real* p, Py_ssize_t c, const int32_t* ids, double* sums, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i, k
    for i in range(n):
        if ids[i] >= 0:
            for k in range(c):
                sums[ids[i] * c + k] += p[i * c + k]


def fold_rows(const real[:, ::1] points, const int32_t[::1] ids, double[:, ::1] sums):
    """Add every row to its voxel's."""
    cdef Py_ssize_t n = points.shape[0], c = points.shape[1]
    with nogil:
        sum_rows(&points[0, 0], c, &ids[0], &sums[0, 0], n)


cdef inline Py_ssize_t sum_runs(const real* p, Py_ssize_t c, const uint32_t* keys, Py_ssize_t start, Py_ssize_t n,
                                uint64_t* table, int bits, int64_t* count, Py_ssize_t limit, double* sums,
                                int32_t* counts) noexcept nogil:
    # `find_or_add` and the sums in one loop: neighbours in a scan often share a voxel, the end of such a run cannot be
    # predicted, and so it is met once; within it the sums stay in registers.
    cdef Py_ssize_t i, k
    cdef int64_t m = count[0], skipped = 0, id = -1
    cdef int32_t run = 0
    cdef int probes
    cdef int shift = 64 - bits
    cdef uint64_t h, slot, mask = (<uint64_t>1 << bits) - 1
    cdef uint32_t key_, last = <uint32_t>NONE
    cdef double s[4]
    for k in range(4):
        s[k] = 0
    i = start
    while i < n:
        key_ = keys[i]
        if key_ != last:
            if id >= 0:
                for k in range(c):
                    sums[id * c + k] = s[k]
                counts[id] = run
            id = -1
            last = key_
            if key_ != <uint32_t>NONE:
                h = mix(key_) >> shift
                probes = 0
                while True:
                    slot = table[h]
                    if <uint32_t>(slot >> 32) == key_ and slot != 0:
                        id = <int64_t>(<uint32_t>slot) - 1
                        run = counts[id]
                        for k in range(c):
                            s[k] = sums[id * c + k]
                        break
                    if slot == 0:
                        if m >= limit:
                            count[0] = m
                            count[1] += skipped
                            return i
                        id = m
                        m += 1
                        table[h] = <uint64_t>key_ << 32 | <uint64_t>m
                        run = 0
                        for k in range(c):
                            s[k] = 0
                        break
                    h = (h + 1) & mask
                    probes += 1
                    if probes > PROBES and crowded(m, mask):
                        count[0] = m
                        count[1] += skipped
                        return i
        if id < 0:
            skipped += 1
        else:
            run += 1
            for k in range(c):
                s[k] += p[i * c + k]
        i += 1
    if id >= 0:
        for k in range(c):
            sums[id * c + k] = s[k]
        counts[id] = run
    count[0] = m
    count[1] += skipped
    return n


def sum_by_key(const real[:, ::1] points, const uint32_t[::1] keys, Py_ssize_t start, uint64_t[::1] table, int bits,
               int64_t[::1] count, Py_ssize_t limit, double[:, ::1] sums, int32_t[::1] counts):
    """Sums and counts of points of three or four columns by key, and in count[1] the points without one.

    The index of the point at which the table was full is returned.
    """
    cdef Py_ssize_t stop, n = points.shape[0]
    with nogil:
        if points.shape[1] == 3:
            stop = sum_runs(&points[0, 0], 3, &keys[0], start, n, &table[0], bits, &count[0], limit, &sums[0, 0], &counts[0])
        else:
            stop = sum_runs(&points[0, 0], 4, &keys[0], start, n, &table[0], bits, &count[0], limit, &sums[0, 0], &counts[0])
    return stop


cdef cloned divide_3(const double* sums, const int32_t* counts, real* out, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        out[3 * i] = <real>(sums[3 * i] / counts[i])
        out[3 * i + 1] = <real>(sums[3 * i + 1] / counts[i])
        out[3 * i + 2] = <real>(sums[3 * i + 2] / counts[i])


cdef cloned divide_4(const double* sums, const int32_t* counts, real* out, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        out[4 * i] = <real>(sums[4 * i] / counts[i])
        out[4 * i + 1] = <real>(sums[4 * i + 1] / counts[i])
        out[4 * i + 2] = <real>(sums[4 * i + 2] / counts[i])
        out[4 * i + 3] = <real>(sums[4 * i + 3] / counts[i])


def finish_rows(const double[:, ::1] sums, const int32_t[::1] counts, bint mean, real[:, ::1] out):
    """Sums, or means: one division, one cast."""
    cdef Py_ssize_t i, k, c = sums.shape[1]
    cdef double by
    with nogil:
        if mean and c == 3:
            divide_3(&sums[0, 0], &counts[0], &out[0, 0], sums.shape[0])
        elif mean and c == 4:
            divide_4(&sums[0, 0], &counts[0], &out[0, 0], sums.shape[0])
        else:
            for i in range(sums.shape[0]):
                by = counts[i] if mean else 1
                for k in range(c):
                    out[i, k] = <real>(sums[i, k] / by)


cdef bint window_around(const real* p, const double* lattice, geometry* g) noexcept nogil:
    # The grid that holds point p in its middle, moved by whole steps: lattice is origin, edges, cells, and the step in cells.
    cdef int k
    cdef double place, step = lattice[9]
    for k in range(3):
        place = (p[k] - lattice[k]) / lattice[3 + k]
        if not fabs(place) < 4503599627370496.0:        # 2^52, above which cells are not exact
            return False
        g.low[k], g.size[k], g.grid[k] = lattice[k], lattice[3 + k], lattice[6 + k]
        g.base[k] = floor(floor(place) / step) * step - <int64_t>lattice[6 + k] // 2
    g.strides[0], g.strides[1], g.single = lattice[6], lattice[7], False
    return True


cdef object few_means(const real* p, object points, const double* lattice):
    cdef geometry g
    cdef uint32_t[BLOCK] keys
    cdef uint64_t[4 * BLOCK] table     # a quarter full at most
    cdef double[4 * BLOCK] sums
    cdef int32_t[BLOCK] counts
    cdef int64_t[2] count
    cdef Py_ssize_t n = cnp.PyArray_DIM(points, 0), c = cnp.PyArray_DIM(points, 1), missing = 0, stop
    cdef int bits = 6
    if not window_around(p, lattice, &g):
        return None
    while 1 << bits < 4 * n:
        bits += 1
    memset(table, 0, <Py_ssize_t>8 << bits)
    block_keys(p, c, &g, keys, n, &missing)
    count[0] = count[1] = 0
    if c == 3:
        stop = sum_runs(p, 3, keys, 0, n, table, bits, count, n, sums, counts)
    else:
        stop = sum_runs(p, 4, keys, 0, n, table, bits, count, n, sums, counts)
    if stop < n or count[1] != missing:     # points made to collide, or beyond the grid
        return None
    means = new_array(2, count[0], c, 0, cnp.PyArray_TYPE(points))
    if c == 3:
        divide_3(sums, counts, <real*>cnp.PyArray_DATA(means), count[0])
    else:
        divide_4(sums, counts, <real*>cnp.PyArray_DATA(means), count[0])
    return means


def small_means(points, lattice):
    """The mean of each voxel of 1 to 512 points of three or four columns, in order of first appearance."""
    cdef const double* numbers = <const double*>cnp.PyArray_DATA(lattice)
    if not cnp.PyArray_CheckExact(points) or cnp.PyArray_NDIM(points) != 2:
        return None
    if not 0 < cnp.PyArray_DIM(points, 0) <= BLOCK or not 3 <= cnp.PyArray_DIM(points, 1) <= 4:
        return None
    if is_plain(points, cnp.NPY_FLOAT32, 2):
        return few_means(<const float*>cnp.PyArray_DATA(points), points, numbers)
    if is_plain(points, cnp.NPY_FLOAT64, 2):
        return few_means(<const double*>cnp.PyArray_DATA(points), points, numbers)
    return None


def add_column(const real[::1] values, const int32_t[::1] ids, double[::1] sums):
    """Add a column to its voxels' sums, in input order."""
    cdef Py_ssize_t i
    with nogil:
        for i in range(values.shape[0]):
            if ids[i] >= 0:
                sums[ids[i]] += values[i]


def fold_extremes(const number[::1] values, bint greatest, const int32_t[::1] ids, number[::1] state):
    """Fold a column into its voxels' least or greatest value.  The first of equals stays, so 0 or -0; NaN wins over everything."""
    cdef Py_ssize_t i
    cdef number v, s
    cdef int32_t id
    with nogil:
        for i in range(values.shape[0]):
            id = ids[i]
            if id < 0:
                continue
            v = values[i]
            s = state[id]
            if greatest:
                state[id] = v if v > s or (v != v and s == s) else s
            else:
                state[id] = v if v < s or (v != v and s == s) else s


def keep_last(const number[::1] values, const int32_t[::1] ids, number[::1] state):
    """The last value of every voxel."""
    cdef Py_ssize_t i
    with nogil:
        for i in range(values.shape[0]):
            if ids[i] >= 0:
                state[ids[i]] = values[i]


def fold_spread(const double[::1] values, const int32_t[::1] ids, int64_t[::1] counts, double[::1] means,
                double[::1] squares):
    """Means and sums of squared distances from them, by Welford's updating formula (Technometrics, 1962), in input order."""
    cdef Py_ssize_t i
    cdef int32_t id
    cdef double step
    with nogil:
        for i in range(values.shape[0]):
            id = ids[i]
            if id < 0:
                continue
            counts[id] += 1
            step = values[i] - means[id]
            means[id] += step / counts[id]
            squares[id] += step * (values[i] - means[id])


def nearest_points(const real[:, ::1] points, const int32_t[::1] ids, const double[:, ::1] centres, double[::1] best,
                   int64_t[::1] pick, Py_ssize_t offset):
    """The point of every voxel that is nearest to its centre; the first of equals."""
    cdef Py_ssize_t i
    cdef int32_t id
    cdef double x, y, z, distance
    with nogil:
        for i in range(ids.shape[0]):
            id = ids[i]
            if id < 0:
                continue
            x = points[i, 0] - centres[id, 0]
            y = points[i, 1] - centres[id, 1]
            z = points[i, 2] - centres[id, 2]
            distance = x * x + y * y + z * z
            if distance < best[id] or pick[id] < 0:
                best[id] = distance
                pick[id] = i + offset


def least_ranks(const uint64_t[::1] ranks, const int32_t[::1] ids, uint64_t[::1] best, int64_t[::1] pick,
                Py_ssize_t offset):
    """The point of every voxel that has the least rank; the first of equals."""
    cdef Py_ssize_t i
    cdef int32_t id
    with nogil:
        for i in range(ids.shape[0]):
            id = ids[i]
            if id >= 0 and (ranks[i] < best[id] or pick[id] < 0):
                best[id] = ranks[i]
                pick[id] = i + offset


def nearest(const double[::1] distance, const int32_t[::1] ids, double[::1] best, int64_t[::1] pick, Py_ssize_t offset):
    """The point of the least distance in every voxel; the first of equals."""
    cdef Py_ssize_t i
    cdef int32_t id
    with nogil:
        for i in range(ids.shape[0]):
            id = ids[i]
            if id >= 0 and distance[i] < best[id]:
                best[id] = distance[i]
                pick[id] = i + offset


cdef inline void fill_rows(const real* p, Py_ssize_t c, const int32_t* ids, Py_ssize_t keep, Py_ssize_t t, real* voxels,
                           int32_t* counts, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i, k
    cdef int32_t id, slot
    cdef real* row
    for i in range(n):
        id = ids[i]
        if id < 0 or id >= keep:
            continue
        slot = counts[id]
        counts[id] = slot + 1
        if slot < t:
            row = voxels + (id * t + slot) * c
            for k in range(c):
                row[k] = p[i * c + k]


def fill(const real[:, ::1] points, const int32_t[::1] ids, real[:, :, ::1] voxels, int32_t[::1] counts):
    """The first T points of every voxel that has a row in `voxels`, then zeros; counts are of all its points."""
    cdef Py_ssize_t v, used, n = points.shape[0], c = points.shape[1], t = voxels.shape[1], keep = voxels.shape[0]
    with nogil:
        memset(&counts[0], 0, 4 * keep)
        if c == 4:
            fill_rows(&points[0, 0], 4, &ids[0], keep, t, &voxels[0, 0, 0], &counts[0], n)
        else:
            fill_rows(&points[0, 0], c, &ids[0], keep, t, &voxels[0, 0, 0], &counts[0], n)
        for v in range(keep):
            used = min(<Py_ssize_t>counts[v], t)
            if used < t:
                memset(&voxels[v, used, 0], 0, (t - used) * c * sizeof(real))


def features(const real[:, :, ::1] voxels, const int32_t[::1] counts, const int32_t[:, ::1] cells, const real[::1] size,
             const real[::1] low, int centred, real[:, :, ::1] out):
    """Columns, offsets from the mean of the used points, and from the cell's centre on the first `centred` axes."""
    cdef Py_ssize_t v, t, k, c = voxels.shape[2], slots = voxels.shape[1], width = out.shape[2]
    cdef double total[3]
    cdef real mean[3]
    cdef real centre[3]
    cdef const real* p
    cdef real* q
    with nogil:
        for v in range(voxels.shape[0]):
            for k in range(3):
                total[k] = 0
                centre[k] = cells[v, k] * size[k] + low[k]
            for t in range(counts[v]):
                for k in range(3):
                    total[k] += voxels[v, t, k]
            for k in range(3):
                mean[k] = <real>(total[k] / max(counts[v], 1))
            for t in range(counts[v]):
                p = &voxels[v, t, 0]
                q = &out[v, t, 0]
                for k in range(c):
                    q[k] = p[k]
                for k in range(3):
                    q[c + k] = p[k] - mean[k]
                for k in range(centred):
                    q[c + 3 + k] = p[k] - centre[k]
            if counts[v] < slots:
                memset(&out[v, counts[v], 0], 0, (slots - counts[v]) * width * sizeof(real))
