"""Point clouds: (x, y, z, ...) to voxels as detectors take them, reductions per voxel, dense grids; also in streams."""

from fastdl import _lazy

__getattr__, __dir__, __all__ = _lazy.door(__name__)
