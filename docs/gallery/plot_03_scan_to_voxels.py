"""
A scan to voxels, in three dimensions
=====================================

A simulated lidar looks at a street. Each point falls into a box of half a metre; the boxes that hold a point are
drawn, coloured by height. Most of space is empty, which is why detectors keep a list of voxels and not a dense array.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastdl
from fastdl.report.samples import street_scan

scan = street_scan()
ends = (4, -6, -2, 16, 6, 3)
size = 0.5
v = fastdl.voxelize(scan, size, ends, max_points=10)
print(v.accounting)
cells = np.prod(np.round(np.subtract(ends[3:], ends[:3]) / size))
print(f"{len(v.coords):,} of {cells:,.0f} cells hold a point")

# %%
# The points, and the voxels that hold them.
inside = scan[v.inverse >= 0]
fig = plt.figure(figsize=(10, 4.6), layout="constrained")
left = fig.add_subplot(1, 2, 1, projection="3d")
left.scatter(*inside[::3, :3].T, c=inside[::3, 2], s=0.4, cmap="viridis")
left.set_title(f"{len(inside):,} points")

right = fig.add_subplot(1, 2, 2, projection="3d")
grid = np.zeros((24, 24, 10), bool)
z, y, x = v.coords.T
grid[x, y, z] = True
colours = np.broadcast_to(plt.cm.viridis(np.linspace(0, 1, 10)), (24, 24, 10, 4))
corners = np.indices((25, 25, 11)) * size + np.reshape(ends[:3], (3, 1, 1, 1))
right.voxels(*corners, grid, facecolors=colours, edgecolor="none")
right.set_title(f"{grid.sum():,} voxels of {size} m")
for ax in (left, right):
    ax.set(xlabel="x (m)", ylabel="y (m)", zlabel="z (m)", xlim=(4, 16), ylim=(-6, 6), zlim=(-2, 3))
    ax.view_init(35, -120)
    ax.set_box_aspect((12, 12, 5))
plt.show()
