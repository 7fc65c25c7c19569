"""Down-sampling on a cluster: workers read parts and send each voxel's points to the worker that reduces it.

All points of a voxel come to one worker in the order of the input, so that sums have the same bits as on one machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from fastdl._typing import Array
from fastdl.cli._cloud_downsampling import Cloud, Reduction, Settings, VoxelRows, save_all, select
from fastdl.cli._progress import ProgressBar
from fastdl.errors import FileError, InputError
from fastdl.files.points import clouds
from fastdl.files.points.sorted_rows import SortedRowFile

_LEAST, _MOST = 1 << 23, 1 << 27  # bytes of records in a part
_PLACE = 1 << 30  # bytes of records whose voxels a worker reduces at once
_WHOLE = 1 << 30  # bytes of a file that a worker takes as one part where no part of it can be read alone
_FILE = 1 << 40  # the indices of file k's points begin at k times this


@dataclass(frozen=True)
class CloudPart:
    """A range of points of a file, or all of them, as it is sent to a worker."""

    cloud: Cloud  # of the first file, whose lattice counts, and of this one
    settings: Settings
    number: int
    start: int
    stop: int | None
    places: int


@dataclass(frozen=True)
class PlaceVoxels:
    """The voxels of a place, as (first points, rows of the target, ends of coordinates); points kept and left out."""

    parts: list[tuple[Array, Array, tuple[Array, Array]]]
    kept: int
    few: int


def parts_of(cloud: Cloud, settings: Settings, threads: int) -> list[CloudPart] | None:
    """The files cut into parts for workers; None where a file is too large for one worker and cannot be cut."""
    settings = replace(settings, open=clouds.open_points)  # the command's own opener may not be picklable
    if settings.max_bytes is not None:
        settings = replace(settings, max_bytes=max(1, settings.max_bytes // threads))
    sizes = [reader.points * max(reader.record.itemsize, 1) for reader in cloud.readers]
    wanted = min(max(sum(sizes) // (4 * threads), _LEAST), _MOST)
    places = max(threads, -(-sum(sizes) // _PLACE))
    parts: list[CloudPart] = []
    for k, (reader, size) in enumerate(zip(cloud.readers, sizes)):
        borders: Sequence[int | None] | None = reader.borders(max(4096, wanted // max(reader.record.itemsize, 1)))
        if borders is None and size > _WHOLE:
            return None
        shifts = [cloud.shifts[0], cloud.shifts[k]] if cloud.raw else []
        two = replace(cloud, readers=[cloud.first, reader], shifts=shifts, remarks=[])
        parts += [CloudPart(two, settings, k, a or 0, b, places) for a, b in pairwise(borders or (0, None))]
    return parts


def divide(part: CloudPart) -> list[Any]:
    """Read a part: the account of its points, and for each place (partition) its points with their cells."""
    settings, reader = part.settings, part.cloud.readers[1]
    reduction = Reduction(part.cloud, settings, expected=0)
    pieces: list[list[Any]] = [[] for _ in range(part.places)]
    account = np.zeros(4, np.int64)
    start = part.number * _FILE + part.start
    size = max(4096, _LEAST // max(reader.record.itemsize, 1))
    for chunk in reader.chunks(size) if part.stop is None else [reader.part(part.start, part.stop)]:
        for k in range(0, len(chunk), size):
            chosen = select(reader, settings.crop, settings.classes, chunk[k : k + size])
            try:
                placed = reduction.state.place(*reduction.records_of(reader, chosen.points, 1))
            except InputError as error:
                raise FileError(reader.path, str(error)) from None
            for piece, some in zip(pieces, placed.by_place(part.places, start)):
                piece.append(some)
            account[:3] += chosen[1:]
            start += len(chosen.points)
    account[3] = reduction.state.non_finite
    return [account.tolist(), *pieces]


@dataclass(frozen=True)
class Gather:
    """Reduces the points of a place: the work of a worker after the exchange."""

    cloud: Cloud
    settings: Settings
    target: Path
    expected: int

    def __call__(self, pieces: list[list[Any]]) -> PlaceVoxels:
        reduction = Reduction(self.cloud, self.settings, self.expected)
        for some in pieces:
            for placed in some:
                reduction.state.update_placed(placed)
        rows = VoxelRows(self.cloud, self.target)
        parts = [(part.first, rows.make(part, 0, len(part.first)), rows.ends(part)) for part in reduction.parts()]
        return PlaceVoxels(parts, reduction.kept, reduction.few)


def _between(rows: Array, start: int, stop: int) -> Array:
    return rows[start:stop]


def downsample(
    cloud: Cloud, settings: Settings, targets: Sequence[Path], parts: Sequence[CloudPart], progress: ProgressBar
) -> list[dict[str, int]]:
    """Reduce the parts by the workers of `progress.cluster` and write the targets; the account of each."""
    reduction, rows = Reduction(cloud, settings, expected=0), VoxelRows(cloud, targets[0])
    reduction.starts = [k * _FILE for k in range(len(cloud.readers) + 1)]
    assert progress.cluster is not None
    places = parts[0].places if parts else 0
    points = sum(reader.points for reader in cloud.readers)
    gather = Gather(parts[0].cloud, parts[0].settings, targets[0], points // places)
    answers = progress.cluster.exchange(parts, divide, gather, places)
    with closing(SortedRowFile(rows.schema)) as sorted_rows, closing(answers):
        for account in islice(answers, len(parts)):
            reduction.add(*account)
            progress.advance(account[0])
        for found in answers:
            progress.advance(0)
            reduction.kept += found.kept
            reduction.few += found.few
            for first, made, ends in found.parts:
                sorted_rows.add(first, partial(_between, made), ends)
        return save_all(reduction, targets, sorted_rows)
