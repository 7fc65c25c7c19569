"""Features: polynomial bases of one column, products of columns, functions of columns, the user's own among them."""

from fastdl import _lazy

__getattr__, __dir__, __all__ = _lazy.door(__name__)
