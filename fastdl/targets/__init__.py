"""Targets: labels as 0/1, -1/1 or classes, numbers standardised or in bins; and predictions decoded to them."""

from fastdl import _lazy

__getattr__, __dir__, __all__ = _lazy.door(__name__)
