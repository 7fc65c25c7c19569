"""Features: polynomial bases of one column, products of columns, and functions of columns, built-in or custom."""

from fastdl import _lazy

__getattr__, __dir__, __all__ = _lazy.door(__name__)
