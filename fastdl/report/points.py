"""The point-cloud chapter: a street seen by a simulated lidar, and what voxels keep of it."""

from __future__ import annotations

import numpy as np

import fastdl
from fastdl.report.page import Chapter
from fastdl.report.samples import STREET_RANGE, street_scan


def chapter() -> Chapter:
    """The scan, its voxels, the channels of a dense grid, and how many voxels each size makes."""
    c = Chapter("Point clouds: a lidar scan to voxels")
    points = street_scan()
    size = 0.4
    v = fastdl.voxelize(points, size, STREET_RANGE, max_points=8, max_voxels=20000)
    c.text(
        f"A lidar with 64 beams in a street, simulated by ray casting: {len(points):,} points of x, y, z and "
        f"intensity. `fastdl.voxelize` puts them into cells of {size} m, {len(v.coords):,} of which are occupied, and "
        "keeps the first 8 points of each, to the bit as spconv does."
    )
    c.table(
        ["points", "number"],
        [[name.replace("_", " "), n] for name, n in v.accounting.items()],
        "Every point accounted for",
    )

    caption = "The street from above: every point, coloured by height; the number of points in each column of voxels."
    with c.figure(2, 1, size=(9, 8), caption=caption, sharex=True) as (above, below):
        inside = v.inverse >= 0
        dots = above.scatter(*points[inside, :2].T, c=points[inside, 2], s=0.3, cmap="viridis", vmin=-2, vmax=2)
        above.figure.colorbar(dots, ax=above, label="height (m)")
        count = fastdl.voxel_grid(points, size, STREET_RANGE, reduce=[(0, "count")])[..., 0].sum(axis=2)
        picture = below.imshow(np.log1p(count).T, origin="lower", extent=_extent(), cmap="magma")
        below.figure.colorbar(picture, ax=below, label="log(1 + points)")
        for axes, title in ((above, "points"), (below, "voxels")):
            axes.set(title=title, ylabel="y (m)", aspect="equal", xlim=STREET_RANGE[::3], ylim=STREET_RANGE[1::3])
            axes.grid(False)
        below.set(xlabel="x (m)")

    names = [(2, "max"), (2, "min"), (3, "mean"), (0, "count")]
    tall = (size, size, STREET_RANGE[5] - STREET_RANGE[2])
    grid = fastdl.voxel_grid(points, tall, STREET_RANGE, reduce=names, fill=np.nan)
    titles = ["highest z (m)", "lowest z (m)", "mean intensity", "points (log)"]
    caption = "The dense grid (X, Y, Z, D) of pillars: its four channels, white where no point fell."
    with c.figure(2, 2, size=(9, 5.4), caption=caption, sharex=True, sharey=True) as axes:
        for k, (ax, title) in enumerate(zip(axes.flat, titles)):
            channel = np.log(grid[:, :, 0, k]) if k == 3 else grid[:, :, 0, k]
            picture = ax.imshow(channel.T, origin="lower", extent=_extent(), cmap="viridis")
            ax.figure.colorbar(picture, ax=ax, shrink=0.7)
            ax.set(title=title)
            ax.grid(False)

    sizes = np.geomspace(0.05, 3.2, 13)
    voxels = [len(fastdl.voxel_downsample(points, s)) for s in sizes]
    c.text(
        "`fastdl.voxel_downsample` keeps one point per occupied voxel. On surfaces, which is what a lidar sees, the "
        "number of voxels falls with about the square of their size, not with its cube, once the cells are larger "
        "than the distance between rays."
    )
    with c.figure(size=(6, 3.4), caption="Voxels against voxel size; the dashed line falls with the square.") as ax:
        ax.loglog(sizes, voxels, "o-", label="voxels")
        ax.loglog(sizes, voxels[-4] * (sizes[-4] / sizes) ** 2, "--", label="size$^{-2}$")
        ax.axhline(len(points), color="gray", lw=0.8, label="points")
        ax.set(xlabel="voxel size (m)", ylabel="points left", ylim=(voxels[-1] / 2, 2 * len(points)))
        ax.legend()
    c.table(
        ["voxel size (m)", "voxels", "of the points"],
        [[float(round(s, 3)), n, float(round(n / len(points), 4))] for s, n in list(zip(sizes, voxels))[::3]],
    )
    return c


def _extent() -> tuple[float, float, float, float]:
    return STREET_RANGE[0], STREET_RANGE[3], STREET_RANGE[1], STREET_RANGE[4]
