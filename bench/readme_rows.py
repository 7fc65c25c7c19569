"""The works of BENCHMARKS.md that README.md shows: title, work, who of fastdl, its peers by the names shown there."""

from __future__ import annotations

ROWS: list[tuple[str, str, str, dict[str, str]]] = [
    (
        "mu-law encode, 50 M int16",
        "mu-law encode, DRAM",
        "fastdl",
        {"torchaudio formula": "torchaudio's formula", "librosa": "librosa", "np.take": "`np.take`"},
    ),
    (
        "mu-law decode, 50 M to float32",
        "mu-law decode to float32, DRAM",
        "fastdl",
        {"torchaudio formula": "torchaudio's formula", "np.take": "`np.take`"},
    ),
    ("G.711 encode, 50 M int16", "G.711 mu-law encode, DRAM", "fastdl", {"audioop": "audioop"}),
    (
        "hard voxelization, 120 k points, 0.2 x 0.2 x 0.4 m",
        "hard voxelization, 120 k, 0.2/0.2/0.4, T=35",
        "fastdl",
        {"spconv": "spconv"},
    ),
    (
        "voxel means, 120 k points, 0.2 m",
        "mean down-sampling, 120 k in scan order",
        "fastdl",
        {"small_gicp": "small_gicp", "kiss-icp": "kiss-icp", "open3d": "Open3D", "open3d tensor": "its tensors"},
    ),
    (
        "voxel means, 10 M points in random order, 2 threads each",
        "mean down-sampling, 10 M in random order",
        "fastdl 2 threads",
        {"small_gicp 2 threads": "small_gicp"},
    ),
    (
        "one-hot (L, 4) uint8, 10 M bases",
        "one-hot (L, 4) uint8, DRAM",
        "fastdl",
        {"seqpro": "seqpro", "tangermeme": "tangermeme", "np.take": "`np.take`"},
    ),
    (
        "sum over neighbours, 4 M edges, 64 features",
        "sum over neighbours, DRAM, F = 64",
        "fastdl",
        {"scipy": "SciPy", "torch.sparse": "torch.sparse", "MKL": "MKL", "scatter (index_add_)": "torch scatter"},
    ),
    (
        "sum over neighbours, 4 M edges, 1 feature",
        "sum over neighbours, DRAM, F = 1",
        "fastdl",
        {"scipy": "SciPy", "torch.sparse": "torch.sparse", "MKL": "MKL", "scatter (index_add_)": "torch scatter"},
    ),
    ("edge list to rows, 4 M edges", "edge list to rows, DRAM", "fastdl", {"scipy": "SciPy"}),
    (
        "L1 loss and gradient, 1 M x 64 float32",
        "loss and gradient, 1M x 64 float32, p = 1",
        "fastdl",
        {"numpy": "NumPy", "torch": "torch", "jax": "JAX"},
    ),
    (
        "loss and gradient, p = 1.37, 1 M x 64 float32",
        "loss and gradient, 1M x 64 float32, p = 1.37",
        "fastdl",
        {"numpy": "NumPy", "torch": "torch", "jax": "JAX"},
    ),
    (
        "Vandermonde matrix, 2 M, degree 15",
        "vandermonde monomial 15, DRAM",
        "fastdl",
        {"np.vander": "`np.vander`", "numpy.polynomial": "`polyvander`"},
    ),
    (
        "polynomial features, 10 columns, degree 3",
        "polynomial features, D = 10, degree 3",
        "fastdl",
        {"scikit-learn": "scikit-learn"},
    ),
    (
        "classes of 10 M float32, 256 quantile bins",
        "256 bins, quantile, 10M float32",
        "fastdl",
        {"np.searchsorted": "`np.searchsorted`", "scikit-learn": "`KBinsDiscretizer`"},
    ),
    (
        "least squares, 1 M x 20 float64",
        "p = 2, 1M x 20 float64",
        "fastdl",
        {
            "normal equations": "normal equations",
            "Ridge(alpha=0, cholesky)": "`Ridge`",
            "LinearRegression": "`LinearRegression`",
            "scikit-learn-intelex": "scikit-learn-intelex",
        },
    ),
    (
        "least absolute deviations, exact, 10 k x 10",
        "p = 1, 10000 x 10 float64",
        "fastdl",
        {"QuantileRegressor(highs)": "`QuantileRegressor`"},
    ),
    ("least absolute deviations, exact, 1 M x 10", "p = 1, 1000000 x 10 float64", "fastdl", {}),
    (
        "best of 4096 random models, 50 k x 8, p = 1, pruned exactly",
        "random search, 4096 models, 50k x 8, p = 1",
        "fastdl",
        {"numpy": "NumPy", "torch": "torch"},
    ),
    (
        "polynomials of degree 0 to 15, 5 folds, 100 k points",
        "degrees 0 to 15, 5 folds, 100 k points",
        "fastdl",
        {"scikit-learn": "scikit-learn"},
    ),
    (
        "70/20/10 of 10 M rows",
        "split, 10 M rows",
        "fastdl",
        {"NumPy permutation": "NumPy's permutation", "scikit-learn": "scikit-learn"},
    ),
    (
        "6 epochs of Adam, 16-32-1, batches of 128, 100 k rows",
        "6 epochs of Adam, 16 columns, 32 units, batches of 128, 100000 rows float32",
        "fastdl",
        {"torch": "torch", "sklearn": "scikit-learn"},
    ),
]
