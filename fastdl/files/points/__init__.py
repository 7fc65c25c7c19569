"""Clouds: LAS, LAZ, COPC, PCD, PLY, KITTI, nuScenes, .npy and .npz, in chunks."""

from fastdl import _lazy

__getattr__, __dir__, __all__ = _lazy.door(__name__)
