"""Estimators with scikit-learn's interface: transformers, regressors and classifiers for pipelines and searches.

They call the functions of fastdl, and add `fit`, `transform` and `predict`, feature names, and scikit-learn's checks of
input. They need scikit-learn, which the extra `fit` installs.
"""

from fastdl import _check, _lazy

_check.extra("sklearn", "fit", "fastdl.estimators")

__getattr__, __dir__, __all__ = _lazy.door(__name__)
