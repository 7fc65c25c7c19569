"""PyTorch: datasets that are safe in workers, and differentiable functions on the kernels, on the CPU."""

from fastdl import _lazy

__getattr__, __dir__, __all__ = _lazy.door(__name__)
