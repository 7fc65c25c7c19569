"""Graphs: edge lists to rows of neighbours (CSR), normalisation, aggregation and its gradient, sampling, batches."""

from fastdl import _lazy

__getattr__, __dir__, __all__ = _lazy.door(__name__)
