"""Targets: encode labels as 0/1, -1/1 or class numbers, standardise or bin numbers; and decode predictions."""

from fastdl import _lazy

__getattr__, __dir__, __all__ = _lazy.door(__name__)
