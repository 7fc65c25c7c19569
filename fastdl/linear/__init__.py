"""Linear models that minimize the sum of |y - f(x)|^p for any p > 0, with a proof of how near they come."""

from fastdl import _lazy

__getattr__, __dir__, __all__ = _lazy.door(__name__)
