"""
A file larger than the memory it may take
=========================================

A cloud is written to a file, then thinned chunk by chunk, with less memory for the voxels than they need: points of
voxels that no longer fit are put aside by place and reduced at the end. The result has the bits of one call on the
whole cloud.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import fastdl

folder = tempfile.TemporaryDirectory()
path = Path(folder.name) / "survey.bin"
rng = np.random.default_rng(0)
with open(path, "wb") as file:
    for strip in range(20):
        xyz = rng.uniform((strip * 10, 0, 0), (strip * 10 + 12, 100, 1), (50_000, 3))
        height = np.sin(xyz[:, 0] / 20) * np.cos(xyz[:, 1] / 15) * 5
        points = np.column_stack([xyz[:, :2], height + 0.1 * xyz[:, 2], np.full(len(xyz), strip)])
        points.astype("<f4").tofile(file)

# %%
# One read, in chunks of 64 thousand points.
reader = fastdl.files.open_points(path, layout=("x", "y", "z", "strip"))
print(f"{reader.points:,} points, {path.stat().st_size / 2**20:.0f} MiB")


def thin(max_bytes):
    state = fastdl.VoxelAccumulator(1.0, max_bytes=max_bytes)
    for chunk in reader.chunks(1 << 16):
        state = state.update(chunk)
    return state.finish()


small, large = thin(1 << 20), thin(None)
print(f"{len(small.points):,} voxels")
print("the same bits with 1 MiB as with all the memory:", np.array_equal(small.points, large.points))

fig, ax = plt.subplots(figsize=(9, 3.6), layout="constrained")
dots = ax.scatter(small.points["x"], small.points["y"], c=small.points["z"], s=1, cmap="terrain")
ax.set(xlabel="x (m)", ylabel="y (m)", aspect="equal", title="the mean of each voxel, coloured by height")
fig.colorbar(dots, label="height (m)", shrink=0.7)
plt.show()
folder.cleanup()

# %%
# On the command line: ``fastdl downsample survey.bin -o thin.ply --voxel-size 1 --max-bytes 1MiB``.
