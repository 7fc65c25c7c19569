"""Recordings: WAV and its relatives, and what soundfile reads, in chunks; codes on disk."""

from fastdl import _lazy

__getattr__, __dir__, __all__ = _lazy.door(__name__)
