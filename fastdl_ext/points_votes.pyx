"""Votes on the labels of voxels: rows of counts for labels of a byte, and the label of most votes.

Trusts its caller: voxels and numbers of labels within the rows and columns they name. Bound by memory: of each voxel that has several
labels, its row of counts, its number of points and its first label are read once.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t


def count_votes(const int32_t[::1] voxels, const uint8_t[::1] labels, int32_t[::1] rows, int32_t[:, ::1] votes,
                Py_ssize_t used):
    """Add the votes of points on numbered labels; a voxel without a row of votes takes the next.  The rows in use."""
    cdef Py_ssize_t i
    cdef int32_t row
    with nogil:
        for i in range(voxels.shape[0]):
            row = rows[voxels[i]]
            if row < 0:
                row = <int32_t>used
                rows[voxels[i]] = row
                used += 1
            votes[row, labels[i]] += 1
    return used


def elect(const int64_t[::1] voxels, const uint64_t[::1] labels, const int64_t[::1] votes, uint64_t[::1] best,
          int64_t[::1] most):
    """The label of most votes of every voxel, where `best` with `most` votes is one of them; of equals the least."""
    cdef Py_ssize_t i
    cdef int64_t v
    with nogil:
        for i in range(voxels.shape[0]):
            v = voxels[i]
            if votes[i] > most[v] or (votes[i] == most[v] and labels[i] < best[v]):
                best[v], most[v] = labels[i], votes[i]


def elect_rows(const int32_t[::1] rows, const int32_t[:, ::1] votes, const int64_t[::1] names, const int64_t[::1] first,
               const int64_t[::1] counts, int64_t[::1] voxels, int64_t[::1] best):
    """The voxels that have a row of votes, and the label of most of their points, of equals the least; how many.

    names: the labels, a column of votes each. first: the labels of the voxels' first points, whose votes are the rest of
    `counts`.
    """
    cdef Py_ssize_t i, k, m = 0
    cdef const int32_t* row
    cdef int64_t label, most, rest
    with nogil:
        for i in range(rows.shape[0]):
            if rows[i] < 0:
                continue
            row = &votes[rows[i], 0]
            rest = counts[i]
            for k in range(names.shape[0]):
                rest -= row[k]
            label, most = first[i], rest
            for k in range(names.shape[0]):
                if row[k] > most or (row[k] == most and names[k] < label):
                    label, most = names[k], row[k]
            voxels[m], best[m] = i, label
            m += 1
    return m
