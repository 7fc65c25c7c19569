"""The chapter on point clouds: a street seen by a simulated lidar, and what voxels keep of it."""

from __future__ import annotations

from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

import fastdl
from fastdl._typing import Array
from fastdl.report.figures import SERIES, Panel
from fastdl.report.page import Chapter
from fastdl.report.samples import STREET_RANGE, street_scan
from fastdl.report.scenes import Layer

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE = 0.4
SHOWN = 36_000  # points of the rotatable scene: more make the page larger, not clearer
HEIGHTS = (-1.8, 3.0)  # metres, of the darkest and the lightest colour


def chapter() -> Chapter:
    """The rotatable scan, the account of its points, a dense grid's channels, and the number of voxels by size."""
    points = street_scan()
    page = Chapter(
        "points",
        "Point clouds: scans to voxels",
        f"A scan of {len(points):,} points becomes a few thousand voxels, and every point is accounted for: kept, "
        "left out as too many in its voxel, or outside the range.",
    )
    page.scene(
        [cloud(points), *(boxes(points, size) for size in (SIZE, 2 * SIZE, 4 * SIZE))],
        limits=HEIGHTS,
        unit="m high",
        alt="A street from above at an angle: house fronts on both sides, cars and posts along a road, rings of laser "
        "points around the scanner.",
        caption="A lidar with 64 beams in a street, simulated by ray casting. Coloured by height above the scanner's "
        f"ground; {SHOWN:,} of the points are shown, and all occupied voxels.",
    )
    voxels = page.code(
        put_into_voxels, points, STREET_RANGE, compare=lambda v: v[:2] if isinstance(v, tuple) else (v.voxels, v.coords)
    )
    page.table(
        ["points", "number"],
        [[name.replace("_", " "), count] for name, count in voxels.accounting.items()],
        "Every point accounted for; the voxels are those of spconv, to the bit.",
    )
    page.section("A dense grid of pillars")
    page.text(
        "Networks that look from above take a picture: `voxel_grid` reduces the points of each pillar to as many "
        "channels as are named, in one pass."
    )
    _pillars(page, points)
    page.section("How many voxels a size makes")
    _sizes(page, points)
    return page


def put_into_voxels(fastdl: ModuleType, points: Array, point_range: tuple[float, ...]) -> Any:
    voxels = fastdl.voxelize(points, 0.4, point_range, max_points=8, max_voxels=20_000)
    return voxels


def cloud(points: Array, shown: int = SHOWN) -> Layer:
    """A regular sample of the points, coloured by height."""
    some = points[:: max(1, -(-len(points) // shown))]
    low, high = np.array(STREET_RANGE[:3]), np.array(STREET_RANGE[3:])
    inside = some[((some[:, :3] >= low) & (some[:, :3] < high)).all(axis=1)]
    return Layer("points", inside[:, :3].astype(float), inside[:, 2])


def boxes(points: Array, size: float) -> Layer:
    """The voxels of a size where there are points, coloured by height."""
    coords = fastdl.voxelize(points[:, :3], size, (*STREET_RANGE[:5], 4.4)).coords[:, ::-1]  # whole voxels of each size
    centres = (coords + 0.5) * size + STREET_RANGE[:3]
    return Layer(f"voxels of {size:g} m", centres, centres[:, 2], (size,) * 3)


def _pillars(page: Chapter, points: Array) -> None:
    names = [(2, "max"), (2, "min"), (3, "mean"), (0, "count")]
    tall = (SIZE, SIZE, STREET_RANGE[5] - STREET_RANGE[2])
    grid = fastdl.voxel_grid(points, tall, STREET_RANGE, reduce=names, fill=np.nan)[:, :, 0]
    x0, y0, _, x1, y1, _ = STREET_RANGE

    def draw(axes: Axes, k: int, label: str) -> None:
        channel = np.log10(grid[..., k]) if k == 3 else grid[..., k]
        picture = axes.imshow(channel.T, origin="lower", extent=(x0, x1, y0, y1), cmap="viridis", interpolation="none")
        bar = axes.figure.colorbar(picture, ax=axes, orientation="horizontal", aspect=40, pad=0.02, label=label)
        bar.outline.set_visible(False)
        axes.set(xlabel="x (m)", ylabel="y (m)")
        axes.grid(False)

    channels = (
        ("Highest point", "z (m)", "House fronts and tree-high posts are bright lines, the road dark."),
        ("Lowest point", "z (m)", "The road is even and low; behind the cars the lowest points are higher."),
        ("Mean intensity", "of full scale", "Cars and a bus return more light than the road and the houses."),
        ("Number of points", "log10 of points", "Many points near the scanner, few far away."),
    )
    page.figure(
        [Panel(partial(draw, k=k, label=label), alt, title, 265) for k, (title, label, alt) in enumerate(channels)],
        f"Four channels of the dense grid (X, Y, D), pillars of {SIZE} m; empty where no point fell.",
    )
    page.code(reduce_pillars, points, STREET_RANGE)


def reduce_pillars(fastdl: ModuleType, points: Array, point_range: tuple[float, ...]) -> Array:
    channels = [(2, "max"), (2, "min"), (3, "mean"), (0, "count")]  # a column and what is made of it
    grid = fastdl.voxel_grid(points, (0.4, 0.4, 6.0), point_range, reduce=channels)
    return grid[:, :, 0]  # (X, Y, 4)


def _sizes(page: Chapter, points: Array) -> None:
    sizes = np.geomspace(0.05, 3.2, 13)
    left = np.array([len(fastdl.voxel_downsample(points, size)) for size in sizes])

    def draw(axes: Axes) -> None:
        axes.loglog(sizes, left, "o-", ms=4, label="voxels")
        axes.loglog(sizes, left[-4] * (sizes[-4] / sizes) ** 2, "--", color=SERIES[1], label="falling with the square")
        axes.axhline(len(points), color=SERIES[6], lw=1, label="all points")
        axes.set(xlabel="voxel size (m)", ylabel="points left", ylim=(left[-1] / 2, 3 * len(points)))
        axes.set_xticks([0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2])

    page.figure(
        [Panel(draw, "The number of voxels falls with the square of their size, more slowly for the smallest sizes, "
               "where it comes near the number of points.", wide=True)],
        "`voxel_downsample` keeps one point for each occupied voxel. A lidar sees surfaces: the number falls with the "
        "square of the size, not its cube, once cells are wider than the rays are apart.",
    )  # fmt: skip
    page.table(
        ["voxel size (m)", "points left", "of all (%)"],
        [[float(f"{s:.2g}"), int(n), round(100 * int(n) / len(points), 1)] for s, n in list(zip(sizes, left))[::3]],
        "What is left of the scan",
    )
