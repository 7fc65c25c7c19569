from fastdl.features.basis import BASES as BASES  # not in fastdl
from fastdl.features.basis import vandermonde as vandermonde
from fastdl.features.functions import feature_map as feature_map
from fastdl.features.products import polynomial_features as polynomial_features
