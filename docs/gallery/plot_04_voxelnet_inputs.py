"""
The inputs of VoxelNet and PointPillars
=======================================

VoxelNet reads up to T points of each voxel: x, y, z, the reflectance, and how far the point is from the mean of its
voxel. PointPillars has voxels as high as the range, and adds the offset from the centre of the pillar. What the cap T
leaves out is counted.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastdl
from fastdl.report.samples import street_scan

scan = street_scan()
ends, size = (0, -20, -2, 40, 20, 2), (0.4, 0.4, 0.8)

# %%
# How many points a voxel holds, and what a cap of T points keeps of them.
v = fastdl.voxelize(scan, size, ends)
caps = np.arange(1, 61)
kept = [np.minimum(v.true_counts, cap).sum() / v.true_counts.sum() for cap in caps]
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
left.hist(v.true_counts, bins=np.geomspace(1, v.true_counts.max() + 1, 40))
left.set(xscale="log", yscale="log", xlabel="points in a voxel", ylabel="voxels")
right.plot(caps, np.multiply(kept, 100))
right.axvline(35, color="C1", ls="--", label="VoxelNet's T = 35")
right.set(xlabel="T, points kept in a voxel", ylabel="points kept (%)", ylim=(0, 101))
right.legend()

# %%
# The features: (M, T, 7) for VoxelNet, (M, T, 9) for PointPillars. Unused slots are zero.
v = fastdl.voxelize(scan, size, ends, max_points=35)
features = fastdl.voxel_features(v.voxels, v.counts, v.coords, size, ends)
pillars = fastdl.voxelize(scan, (0.4, 0.4, 4), ends, max_points=35)
nine = fastdl.voxel_features(pillars.voxels, pillars.counts, pillars.coords, (0.4, 0.4, 4), ends, kind="pointpillars9")
print("VoxelNet", features.shape, "PointPillars", nine.shape)
print(v.accounting)

names = ["x", "y", "z", "reflectance", "x - mean", "y - mean", "z - mean"]
fig, axes = plt.subplots(1, 2, figsize=(9, 3.4), sharey=True, layout="constrained")
fullest = np.argmax(v.counts)
for ax, voxel in zip(axes, (features[fullest], features[np.flatnonzero(v.counts == 5)[0]])):
    picture = ax.imshow(voxel[:, 4:].T, aspect="auto", cmap="RdBu", vmin=-0.4, vmax=0.4)
    ax.set(
        yticks=range(3), yticklabels=names[4:], xlabel="slot", title=f"{int((voxel[:, :3] != 0).any(1).sum())} points"
    )
fig.colorbar(picture, ax=axes, label="m")
plt.show()
