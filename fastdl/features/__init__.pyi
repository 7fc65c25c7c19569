from fastdl.features.basis import BASES as BASES
from fastdl.features.basis import feature_map as feature_map
from fastdl.features.basis import polynomial_features as polynomial_features
from fastdl.features.basis import vandermonde as vandermonde
