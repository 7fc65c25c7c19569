"""Votes on the labels of voxels in NumPy, with the names and arguments of `fastdl_ext.points_votes`."""

import numpy as np


def count_votes(voxels, labels, rows, votes, used):
    """Add the votes of points for numbered labels; a new voxel gets the next row of votes. Returns the rows used."""
    unique, at = np.unique(voxels, return_index=True)
    new = unique[np.argsort(at)]
    new = new[rows[new] < 0]
    rows[new] = np.arange(used, used + len(new))
    np.add.at(votes, (rows[voxels], labels), 1)
    return used + len(new)


def elect(voxels, labels, votes, best, most):
    """Update every voxel's label with the most votes, which is `best` with `most` votes so far; of equals the least."""
    voxel = np.concatenate([voxels, np.arange(len(best))])
    label, count = np.concatenate([labels, best]), np.concatenate([votes, most])
    order = np.lexsort((label, -count, voxel))
    first = order[np.flatnonzero(np.diff(voxel[order], prepend=-1))]
    best[:], most[:] = label[first], count[first]


def elect_rows(rows, votes, names, first, counts, voxels, best):
    """The voxels that have a row of votes, and the label of most of their points, of equals the least; how many."""
    some = np.flatnonzero(rows >= 0)
    others = votes[rows[some], : len(names)].astype(np.int64)
    labels = np.hstack([first[some, None], np.broadcast_to(names, others.shape)])
    ballots = np.hstack([(counts[some] - others.sum(axis=1))[:, None], others])
    largest = ballots == ballots.max(axis=1, keepdims=True)
    voxels[: len(some)] = some
    best[: len(some)] = np.where(largest, labels, np.iinfo(np.int64).max).min(axis=1)
    return len(some)
