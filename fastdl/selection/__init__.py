"""Evaluation: splits into training, validation and test rows, folds, and the choice of a polynomial's degree."""

from fastdl import _lazy

__getattr__, __dir__, __all__ = _lazy.door(__name__)
