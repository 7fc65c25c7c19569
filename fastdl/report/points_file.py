"""A chapter on a point cloud: its columns, the rotatable cloud, and how many voxels of each size it occupies."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

import fastdl
from fastdl._typing import Array
from fastdl.files.points.clouds import open_points
from fastdl.report.figures import SERIES, Panel
from fastdl.report.inspection import Inspection
from fastdl.report.page import Chapter
from fastdl.report.scenes import Layer

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CHUNK = 1 << 17  # points read at once
_SAMPLE = 400_000  # points that voxels are made of, at most: of larger clouds every k-th point is taken
_BYTES = 10  # of a point in a scene, in base64


def chapter(asked: Inspection) -> Chapter:
    """A cloud, streamed once."""
    reader = open_points(asked.path)
    every = max(1, -(-reader.points // _SAMPLE))
    lines, kept, seen = [Column(name) for name in reader.columns], [], 0
    for chunk in reader.chunks(_CHUNK):
        table = reader.table(chunk)
        for line, values in zip(lines, table.T):
            line.update(values)
        kept.append(table[-seen % every :: every, :3])
        seen += len(table)
        asked.tell(min(seen / max(reader.points, 1), 1.0))
    sample = np.concatenate(kept) if kept else np.empty((0, 3))
    finite = np.isfinite(sample).all(axis=1)
    page = Chapter(
        asked.key,
        f"Point cloud: {asked.path.name}",
        f"{seen:,} points of {len(lines)} columns, and how many of them voxels of each size keep.",
    )
    page.table(
        ["column", "type", "least", "mean", "largest", "NaN or infinite"],
        [[line.name, str(reader.schema[line.name]), *line.numbers()] for line in lines],
        "What is in it",
    )
    for remark in reader.remarks:
        page.text(remark)
    if not finite.any():
        page.text("No point has finite coordinates: there is nothing to put into voxels.")
        return page
    _cloud(page, asked, sample[finite], every)
    _sizes(page, sample, every)
    return page


class Column:
    """The minimum, mean and maximum of a column that is read in chunks."""

    def __init__(self, name: str):
        self.name, self.low, self.high, self.total = name, np.inf, -np.inf, 0.0
        self.count = self.bad = 0

    def update(self, values: Array) -> None:
        good = values[np.isfinite(values)]
        self.bad += len(values) - len(good)
        if len(good):
            self.low, self.high = min(self.low, float(good.min())), max(self.high, float(good.max()))
            self.total, self.count = self.total + float(good.sum()), self.count + len(good)

    def numbers(self) -> list[Any]:
        mean = self.total / self.count if self.count else ""
        return [self.low if self.count else "", mean, self.high if self.count else "", self.bad]


def steps(points: Array) -> Array:
    """Six voxel sizes, round numbers, from about a hundredth to about a fifth of the extent."""
    low, high = np.percentile(points, [1, 99], axis=0)
    extent = float(np.max(high - low)) or 1.0
    first = extent / 200
    base = 10.0 ** np.floor(np.log10(first))
    first = base * min((1, 2, 5, 10), key=lambda m: abs(m * base - first))
    return np.array([float(f"{first * 2**k:.6g}") for k in range(6)])


def _cloud(page: Chapter, asked: Inspection, points: Array, every: int) -> None:
    few = points[:: max(1, -(-len(points) // max(1000, min(40_000, asked.room // 2 // _BYTES))))]
    size = float(steps(points)[2])
    low, high = np.percentile(points, [0.5, 99.5], axis=0)
    near = points[((points >= low) & (points <= high)).all(axis=1)]
    near = near if len(near) else points
    corner = near.min(axis=0)
    cells = np.unique(np.floor((near - corner) / size).astype(np.int64), axis=0)
    cells = cells[:: max(1, -(-len(cells) // max(1000, asked.room // 2 // _BYTES)))]
    few = few[((few >= low) & (few <= high)).all(axis=1)] if len(near) > 10 else few
    centres = corner + (cells + 0.5) * size
    limits = tuple(float(f"{v:.4g}") for v in np.percentile(near[:, 2], [1, 99]))
    page.scene(
        [Layer("points", few, few[:, 2]), Layer(f"voxels of {size:g}", centres, centres[:, 2], (size,) * 3)],
        limits=(limits[0], max(limits[1], limits[0] + 1e-9)),
        unit="(z)",
        alt=f"The cloud of {asked.path.name} from above at an angle, coloured by height.",
        caption=f"{len(few):,} of the points, coloured by height; the outermost hundredth of each axis is left out.",
    )


def _sizes(page: Chapter, sample: Array, every: int) -> None:
    page.section("What voxels make of it")
    good = sample[np.isfinite(sample).all(axis=1)]
    sizes = steps(good)
    rows, left = [], []
    low = good.min(axis=0)
    high = good.max(axis=0)
    for size in sizes:
        count = len(fastdl.voxel_downsample(good, size))
        cells = np.floor((good - low) / size).astype(np.int64)
        shape = cells.max(axis=0) + 1
        if float(np.prod(shape.astype(float))) < 2**62:
            held = np.bincount(np.unique(np.ravel_multi_index(tuple(cells.T), tuple(shape)), return_inverse=True)[1])
            over = int(np.maximum(held - 32, 0).sum())
        else:
            over = 0
        left.append(count)
        rows.append([float(size), count, round(len(good) / count, 1), len(good) - over, over, len(sample) - len(good)])

    def draw(axes: Axes) -> None:
        axes.loglog(sizes, left, "o-", ms=4, label="voxels")
        axes.axhline(len(good), color=SERIES[6], lw=1, label="points")
        axes.set_xticks(sizes)
        axes.set(xlabel="voxel size (units of the file)", ylabel="occupied voxels", ylim=(min(left) / 2, 3 * len(good)))

    thinned = f" of every {every}th point" if every > 1 else ""
    page.figure(
        [Panel(draw, "The number of occupied voxels falls with their size.", wide=True)],
        f"Occupied voxels by size{thinned}; the extent is {', '.join(f'{v:.4g}' for v in high - low)} along x, y, z.",
    )
    page.table(
        ["voxel size", "voxels", "points in each", "kept, 32 a voxel", "over 32", "not finite"],
        rows,
        f"Points kept and dropped{thinned}",
    )
    page.code(reduce_points, good[:200_000].astype(np.float32), float(sizes[2]))


def reduce_points(fastdl: ModuleType, points: Array, size: float) -> Array:
    means = fastdl.voxel_downsample(points, size)
    return means  # a point for each occupied voxel
