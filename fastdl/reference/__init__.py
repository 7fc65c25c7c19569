"""What each function means, in NumPy, as short as it can be said; also the fallback and the oracle of the tests."""

from fastdl import _lazy

__getattr__, __dir__, __all__ = _lazy.door(__name__, search=True)
