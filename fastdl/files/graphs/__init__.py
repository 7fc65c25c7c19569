"""Edge lists and matrices of edges: text, .npy, .npz of SciPy and OGB, MatrixMarket, Parquet."""

from fastdl import _lazy

__getattr__, __dir__, __all__ = _lazy.door(__name__)
