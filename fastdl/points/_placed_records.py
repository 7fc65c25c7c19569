"""Records with their cells, on their way from the worker that read them to the one that reduces their voxels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastdl._typing import Array
from fastdl.points._grid import Grid
from fastdl.points._spill import mix_cells


@dataclass(frozen=True)
class PlacedRecords:
    """Records as bytes, each one's number in the input, and the keys of their cells in a grid."""

    numbers: Array
    records: Array
    keys: Array
    box: Grid

    def by_place(self, places: int, start: int = 0) -> list[PlacedRecords]:
        """The records of each place, in their order: all of a voxel have the same one. `start` is added to numbers."""
        place = (mix_cells(0, self.box.decode(self.keys)) % np.uint64(places)).astype(np.int64)
        order = np.argsort(place, kind="stable")
        ends = np.cumsum(np.bincount(place, minlength=places)).tolist()
        rows = [order[a:b] for a, b in zip((0, *ends), ends)]
        return [PlacedRecords(self.numbers[r] + start, self.records[r], self.keys[r], self.box) for r in rows]
