"""
Thinning a cloud as PCL, Open3D and others do
=============================================

Everyone thins a cloud to one point a voxel, and everyone puts the voxels elsewhere. ``like=`` does what each library
does; the picture shows a square metre of the same ground with the lattice of each.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastdl

rng = np.random.default_rng(4)
cloud = np.column_stack([rng.uniform(0.13, 1.13, (120, 2)), np.full(120, 0.05)])
size = 0.25
kinds = {"fastdl": None, "open3d": "open3d", "pcl": "pcl", "kiss_icp": "kiss_icp", "pdal": "pdal"}
corners = {"open3d": cloud[:, :2].min(0) - size / 2, "pdal": cloud[0, :2] - size / 2}

fig, axes = plt.subplots(1, 5, figsize=(10, 2.6), sharex=True, sharey=True, layout="constrained")
for ax, (name, like) in zip(axes, kinds.items()):
    thin = fastdl.voxel_downsample(cloud, size, like=like)
    x0, y0 = corners.get(name, (0, 0))
    for line in np.arange(-4, 8) * size:
        ax.axvline(x0 + line, color="0.85", lw=0.8, zorder=0)
        ax.axhline(y0 + line, color="0.85", lw=0.8, zorder=0)
    ax.plot(*cloud[:, :2].T, ".", ms=3, color="0.6")
    ax.plot(*thin[:, :2].T, "o", ms=4, color="C1")
    ax.set(title=f"{name}: {len(thin)}", aspect="equal", xlim=(0, 1.25), ylim=(0, 1.25), xticks=[], yticks=[])
fig.suptitle("grey: 120 points; orange: what is kept; lines: the lattice")
plt.show()

# %%
# A lattice that begins at 0 is the same for every tile of a survey. One that begins at the cloud's lowest or first
# point is not: two tiles that overlap by a strip then disagree there.
tiles = [cloud[cloud[:, 0] < 0.7], cloud[cloud[:, 0] > 0.5]]
strip = [t[(t[:, 0] > 0.5) & (t[:, 0] < 0.7)] for t in tiles]
for like in (None, "open3d", "pdal"):
    cells = []
    for tile in tiles:
        thin = fastdl.voxel_downsample(tile, 0.1, like=like)
        inside = (thin[:, 0] > 0.52) & (thin[:, 0] < 0.68)
        cells.append({tuple(p) for p in thin[inside].round(9)})
    same = len(cells[0] & cells[1]) / max(len(cells[0] | cells[1]), 1)
    print(f"{like or 'fastdl':8} {same:.0%} of the points in the strip are the same in both tiles")
