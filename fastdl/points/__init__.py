"""Point clouds: voxels as 3D object detectors take them, reductions per voxel and dense grids, also from streams."""

from fastdl import _lazy

__getattr__, __dir__, __all__ = _lazy.door(__name__)
