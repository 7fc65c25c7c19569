"""The scikit-learn face of fastdl: transformers, regressors and a classifier for pipelines and searches.

The functions of fastdl do the work; here are `fit`, `transform` and `predict`, names of features, and scikit-learn's
checks of input. Needs scikit-learn, which the extra `fit` brings.
"""

from fastdl import _check, _lazy

_check.extra("sklearn", "fit", "fastdl.estimators")

__getattr__, __dir__, __all__ = _lazy.door(__name__)
