"""The point-cloud chapter: a street seen by a simulated lidar, and what voxels keep of it."""

from __future__ import annotations

import numpy as np

import fastdl
from fastdl.report.page import Chapter

RANGE = (-40.0, -20.0, -2.0, 40.0, 20.0, 4.0)
HEIGHT = 1.73  # of the scanner above the road
#: Boxes (x0, y0, z0, x1, y1, z1) above the road, and how much light they return: houses, cars, a bus, a wall.
BOXES = (
    ((-60, 11, 0, -12, 20, 9), 0.35),
    ((-8, 12, 0, 22, 20, 12), 0.45),
    ((27, 10, 0, 70, 20, 7), 0.3),
    ((-70, -20, 0, -3, -11, 10), 0.4),
    ((2, -20, 0, 60, -12, 8), 0.5),
    ((8, -4.5, 0, 12.4, -2.7, 1.5), 0.8),
    ((18, -4.6, 0, 22.3, -2.8, 1.6), 0.7),
    ((-16, 2.5, 0, -11.6, 4.3, 1.5), 0.75),
    ((26, 2.2, 0, 38, 4.8, 3.1), 0.85),
    ((-30, -4.4, 0, -25.7, -2.6, 1.5), 0.65),
    ((5, 7.5, 0, 5.6, 8.1, 1.8), 0.55),
    ((13, -8.4, 0, 13.5, -7.9, 1.7), 0.55),
)
#: Trunks and lamp posts (x, y, radius, height).
POSTS = tuple((float(x), y, 0.15, 6.0) for x in range(-36, 40, 9) for y in (9.0, -9.5))


def street_scan(beams: int = 64, turn: int = 1875, seed: int = 0) -> np.ndarray:
    """One turn of a lidar in a street as float32 (x, y, z, intensity): rays cast at boxes, posts and the road."""
    rng = np.random.default_rng(seed)
    up = np.deg2rad(np.linspace(2.0, -24.8, beams))
    around = np.linspace(-np.pi, np.pi, turn, endpoint=False)
    rise, angle = (a.reshape(-1) for a in np.meshgrid(up, around, indexing="ij"))
    ray = np.stack([np.cos(rise) * np.cos(angle), np.cos(rise) * np.sin(angle), np.sin(rise)])
    with np.errstate(divide="ignore", invalid="ignore"):
        far = np.where(ray[2] < 0, -HEIGHT / ray[2], np.inf)
        light = np.full(len(far), 0.2)
        for box, shine in BOXES:
            ends = np.array(box, float).reshape(2, 3, 1) - [[0], [0], [HEIGHT]]
            walls = ends / ray
            enter, leave = walls.min(axis=0).max(axis=0), walls.max(axis=0).min(axis=0)
            hit = (enter <= leave) & (enter > 0) & (enter < far)
            far, light = np.where(hit, enter, far), np.where(hit, shine, light)
        flat = ray[0] ** 2 + ray[1] ** 2
        for x, y, radius, height in POSTS:
            along = (ray[0] * x + ray[1] * y) / flat
            past = along**2 - (x * x + y * y - radius * radius) / flat
            enter = along - np.sqrt(past)
            hit = (past > 0) & (enter > 0) & (enter < far) & (enter * ray[2] + HEIGHT < height)
            far, light = np.where(hit, enter, far), np.where(hit, 0.6, light)
    seen = (far < 90) & (rng.random(len(far)) > 0.03)
    far = far[seen] + rng.normal(0, 0.015, seen.sum())
    shine = np.clip(light[seen] + rng.normal(0, 0.05, seen.sum()), 0, 1)
    return np.column_stack([(ray[:, seen] * far).T, shine]).astype(np.float32)


def chapter() -> Chapter:
    """The scan, its voxels, the channels of a dense grid, and how many voxels each size makes."""
    c = Chapter("Point clouds: a lidar scan to voxels")
    points = street_scan()
    size = 0.4
    v = fastdl.voxelize(points, size, RANGE, max_points=8, max_voxels=20000)
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
        count = fastdl.voxel_grid(points, size, RANGE, reduce=[(0, "count")])[..., 0].sum(axis=2)
        picture = below.imshow(np.log1p(count).T, origin="lower", extent=_extent(), cmap="magma")
        below.figure.colorbar(picture, ax=below, label="log(1 + points)")
        for axes, title in ((above, "points"), (below, "voxels")):
            axes.set(title=title, ylabel="y (m)", aspect="equal", xlim=RANGE[::3], ylim=RANGE[1::3])
            axes.grid(False)
        below.set(xlabel="x (m)")

    names = [(2, "max"), (2, "min"), (3, "mean"), (0, "count")]
    tall = (size, size, RANGE[5] - RANGE[2])
    grid = fastdl.voxel_grid(points, tall, RANGE, reduce=names, fill=np.nan)
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
    return RANGE[0], RANGE[3], RANGE[1], RANGE[4]
