"""Losses: sums of |y - <w, x> - b|^p and their gradients, for one model or many, and custom losses."""

from fastdl import _lazy

__getattr__, __dir__, __all__ = _lazy.door(__name__)
