"""Graphs: lists of edges to rows of neighbours (CSR), norms, reductions and their derivatives, samples, batches."""

from fastdl import _lazy

__getattr__, __dir__, __all__ = _lazy.door(__name__)
