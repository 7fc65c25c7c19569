"""Files: a reader yields chunks, a writer takes them and stands whole under its name, or leaves nothing."""

from fastdl import _lazy

__getattr__, __dir__, __all__ = _lazy.door(__name__)
