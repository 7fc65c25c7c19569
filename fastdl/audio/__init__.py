"""Audio: 16-bit samples and floats to the classes of WaveNet's mu-law and to the bytes of G.711, and back."""

from fastdl import _lazy

__getattr__, __dir__, __all__ = _lazy.door(__name__)
