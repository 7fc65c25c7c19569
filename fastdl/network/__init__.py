"""Networks: a small multilayer perceptron under any Lp loss, and its last hidden layer as learned features."""

from fastdl import _lazy

__getattr__, __dir__, __all__ = _lazy.door(__name__)
