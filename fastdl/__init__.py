"""fastdl: the CPU side of a deep-learning pipeline, at memory speed.

This file is the one list of the public API; each name is loaded from its module at first use.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_MODULES = {
    "audio": ["mu_law_encode", "mu_law_decode", "g711_encode", "g711_decode"],
    "sequences": ["one_hot", "one_hot_decode"],
    "bases": ["reverse_complement", "kmer_index"],
    "windows": ["one_hot_windows", "PackedSequence"],
    "features": ["vandermonde", "polynomial_features", "feature_map"],
    "points": ["voxelize", "voxel_coords", "voxel_features", "Voxelizer", "Voxels"],
    "voxels": ["voxel_reduce", "voxel_downsample", "voxel_grid", "VoxelReducer", "VoxelReduction"],
    "accumulate": ["VoxelAccumulator", "VoxelSummary"],
    "moments": ["PolynomialStats", "PolynomialPath", "Polynomial"],
    "selection": ["split", "k_fold", "Split", "KFold", "select_degree", "DegreeSelection"],
    "losses": ["lp_loss", "lp_loss_grad", "LpLoss"],
    "search": ["random_search"],
    "descent": ["gradient_descent"],
    "custom": ["custom_loss", "CustomLoss"],
    "linear": ["fit_lp", "LpFit", "Certificate"],
    "network": ["fit_network", "LearnedFeatures", "NetworkFit"],
    "network_loss": ["network_loss_grad"],
    "graphs": ["Graph", "degree", "gcn_norm"],
    "aggregation": ["aggregate", "aggregate_blocks"],
    "targets": ["BinaryTarget", "ClassTarget", "StandardTarget"],
    "bins": ["BinnedTarget", "MergedBins"],
    "estimators": [
        "LpRegressor",
        "LpClassifier",
        "PolynomialRegressor",
        "NetworkRegressor",
        "VandermondeFeatures",
        "FeatureMap",
        "MuLawEncoder",
        "NucleotideOneHot",
        "VoxelGridTransformer",
    ],
    "_check": ["FastdlError", "InputError", "InputTypeError", "FileError", "MissingExtra"],
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}

# `from fastdl import *` loads every name of __all__, and must not need scikit-learn.
__all__ = sorted([*(name for name, module in _HOME.items() if module != "estimators"), "__version__"])


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(importlib.import_module(f"fastdl.{_HOME[name]}"), name)
    elif name in _MODULES or name in ("files", "reference", "report", "streaming"):
        value = importlib.import_module(f"fastdl.{name}")
    else:
        raise AttributeError(f"module 'fastdl' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*_HOME, "__version__"])
