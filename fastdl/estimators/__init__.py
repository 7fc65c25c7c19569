"""The scikit-learn face of fastdl: transformers, regressors and a classifier for pipelines and searches.

The functions of fastdl do the work; here are `fit`, `transform` and `predict`, names of features, and scikit-learn's
checks of input. Needs scikit-learn, which the extra `fit` brings.
"""

from fastdl import _check

_check.extra("sklearn", "fit", "fastdl.estimators")

from fastdl.estimators.inputs import MuLawEncoder, NucleotideOneHot, VoxelGridTransformer  # noqa: E402
from fastdl.estimators.linear import LpClassifier, LpRegressor  # noqa: E402
from fastdl.estimators.regressors import NetworkRegressor, PolynomialRegressor  # noqa: E402
from fastdl.estimators.transformers import FeatureMap, VandermondeFeatures  # noqa: E402

__all__ = [
    "FeatureMap",
    "LpClassifier",
    "LpRegressor",
    "MuLawEncoder",
    "NetworkRegressor",
    "NucleotideOneHot",
    "PolynomialRegressor",
    "VandermondeFeatures",
    "VoxelGridTransformer",
]
