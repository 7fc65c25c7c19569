"""Graphs: lists of edges to rows of neighbours (CSR), their norms, and sums, means and extremes over neighbours."""

from fastdl import _lazy

__getattr__, __dir__, __all__ = _lazy.door(__name__)
