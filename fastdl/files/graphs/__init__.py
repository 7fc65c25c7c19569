"""Edge lists: CSV, .npy, .npz, MatrixMarket."""

from fastdl import _lazy

__getattr__, __dir__, __all__ = _lazy.door(__name__)
