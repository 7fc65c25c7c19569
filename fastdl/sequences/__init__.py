"""Sequences: DNA, RNA and proteins to one-hot arrays and back, windows of genomes, reverse complements, k-mers."""

from fastdl import _lazy

__getattr__, __dir__, __all__ = _lazy.door(__name__)
