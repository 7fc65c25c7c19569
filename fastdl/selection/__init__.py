"""Evaluation: training, validation and test parts, folds, polynomials of all degrees in one pass, their choice."""

from fastdl import _lazy

__getattr__, __dir__, __all__ = _lazy.door(__name__)
