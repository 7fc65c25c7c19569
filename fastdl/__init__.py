"""fastdl: the CPU side of a deep-learning pipeline, at memory speed.

The public names are listed in `__init__.pyi`; each is loaded from its module at first use.
"""

from fastdl import _lazy

__version__ = "0.1.0"

# `from fastdl import *` must need neither scikit-learn nor torch.
__getattr__, __dir__, __all__ = _lazy.door(__name__, optional=("fastdl.estimators", "fastdl.torch"))
