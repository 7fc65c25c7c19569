"""Linear fits: the least sum of |y - f(x)|^p for any p > 0, with a certificate: a bound of how far from it one is."""

from fastdl import _lazy

__getattr__, __dir__, __all__ = _lazy.door(__name__)
