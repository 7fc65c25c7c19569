from fastdl.points.accumulator import VoxelAccumulator as VoxelAccumulator
from fastdl.points.dense_grid import voxel_grid as voxel_grid
from fastdl.points.downsampling import voxel_downsample as voxel_downsample
from fastdl.points.hard_voxelization import Voxels as Voxels
from fastdl.points.record_accumulator import RecordAccumulator as RecordAccumulator  # not in fastdl
from fastdl.points.record_accumulator import RecordColumn as RecordColumn  # not in fastdl
from fastdl.points.reduction import VoxelReducer as VoxelReducer
from fastdl.points.reduction import VoxelReduction as VoxelReduction
from fastdl.points.reduction import voxel_reduce as voxel_reduce
from fastdl.points.voxel_summary import VoxelSummary as VoxelSummary
from fastdl.points.voxelization import Voxelizer as Voxelizer
from fastdl.points.voxelization import voxel_coords as voxel_coords
from fastdl.points.voxelization import voxel_features as voxel_features
from fastdl.points.voxelization import voxelize as voxelize
