"""Reductions of voxels: what they mean is said in `reference.points`."""

from fastdl.reference.points import voxel_downsample, voxel_grid, voxel_reduce

__all__ = ["voxel_downsample", "voxel_grid", "voxel_reduce"]
