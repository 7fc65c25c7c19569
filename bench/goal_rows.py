"""The goals of the works that lagged, in the order of their subjects; README.md shows others (bench/readme_rows.py)."""

from __future__ import annotations

from bench.goals import Goal

NETWORK = "6 epochs of Adam, 64 columns, 64 units, batches of 1024, 100000 rows float32"
LAZ = "laspy + lazrs, decode and encode alone"
IMPORTS = "imports of others alone"
INTELEX = "scikit-learn-intelex 2 threads"

GOALS = [
    Goal("mu-law encode of 50 M, on two threads", "mu-law encode, DRAM", "fastdl", 1.8, "fastdl 2 threads"),
    Goal("mu-law decode of 50 M", "mu-law decode to float32, DRAM", "copy", 0.85),
    Goal("mu-law encode of 4 M float32", "mu-law encode of float32, 4 M", "", 8e-3),
    Goal("mu-law encode of 4 M samples of 24 bits", "mu-law encode of 24 bits, 4 M", "", 8e-3),
    Goal("hard voxels of 0.05 m, at most 5 points", "hard voxelization, 120 k, 0.05/0.05/0.1, T=5", "spconv", 4),
    Goal("hard voxels of 0.1 m, at most 10 points", "hard voxelization, 120 k, 0.1/0.1/0.1, T=10", "spconv", 3),
    Goal("pillars, at most 32 points", "hard voxelization, 120 k, pillars 0.16/0.16/4, T=32", "spconv", 2.5),
    Goal("means of a scan of 120 k", "mean down-sampling, 120 k in scan order", "small_gicp", 8),
    Goal("means of a scan of 120 k", "mean down-sampling, 120 k in scan order", "kiss-icp", 3),
    Goal("nearest points of 100 k", "down-sampling, 100 k, nearest", "", 2e-3),
    Goal("sorted means of 100 k", "down-sampling, 100 k, mean, sorted", "", 2e-3),
    Goal("100 k as PCL", "down-sampling, 100 k, as PCL", "", 2e-3),
    Goal("100 k as Open3D's tensors", "down-sampling, 100 k, as Open3D's tensors", "", 2e-3),
    Goal("LAS of 10 M points to 9.8 M voxels", "downsample las to las, 10000000 points, 0.15 m", "", 2.5),
    Goal("LAS of 10 M points to 1.3 M voxels", "downsample las to las, 10000000 points, 1 m", "", 1.2),
    Goal("LAS of 10 M points to 30 k voxels", "downsample las to las, 10000000 points, 5 m", "", 0.8),
    Goal("LAZ to voxels of 0.15 m", "downsample laz to laz, 1000000 points, 0.15 m", LAZ, 0.83),
    Goal("LAZ to voxels of 1 m", "downsample laz to laz, 1000000 points, 1 m", LAZ, 0.83),
    Goal("reading ascii PLY", "read ply ascii, 1000000 points", "open3d", 1),
    Goal("reading ascii PCD", "read pcd ascii, 1000000 points", "open3d", 1),
    Goal("edges of a CSV file", "edges of a CSV file", "polars", 1),
    Goal("edges of a CSV file, with weights", "edges of a CSV file with weights", "polars", 1),
    Goal("sum, forward and backward, F = 64", "sum, forward and backward, L3, F = 64", "torch scatter", 15),
    Goal("sum over neighbours, F = 64", "sum over neighbours, DRAM, F = 64", "scipy", 3.9),
    Goal("a hub of 1 M edges, F = 1", "sum over a hub of 1 M edges, F = 1", "scipy", 1),
    Goal("labels: 2 M texts", "fit and encode 2000000 str of 1000 classes", "pandas.factorize", 1.5),
    Goal("labels: 1 M integers of 64 bits", "fit and encode 1000000 wide int64", "pandas.factorize", 1),
    Goal("fitting bins of one width", "fit 64 bins, uniform, 1M float64", "NumPy minimum and maximum", 0.5),
    Goal("p = 1.37, 1 M x 64 float32", "loss and gradient, 1M x 64 float32, p = 1.37", "numpy", 3),
    Goal("32 models, p = 1", "32 models, 1000000 x 16 float32, p = 1", "numpy", 4),
    Goal("32 models, p = 2", "32 models, 1000000 x 16 float32, p = 2", "numpy", 4),
    Goal("least squares, 1 M x 64 float32", "p = 2, 1M x 64 float32", INTELEX, 1.2, "fastdl 2 threads"),
    Goal("least squares, 200 k x 200 float32", "p = 2, 200k x 200 float32", INTELEX, 1.2, "fastdl 2 threads"),
    Goal("least absolute deviations, 1 M x 20", "p = 1, 1000000 x 20 float64", "", 0.2),
    Goal("least absolute deviations, 100 k x 20", "p = 1, 100000 x 20 float64", "pinball-qr pfn", 4),
    Goal("a fit of p = 1.5, 10 k x 10", "p = 1.5, 10000 x 10 float64", "scipy L-BFGS-B, fastdl's loss", 1),
    Goal("a fit of p = 1.5, 1 M x 10", "p = 1.5, 1000000 x 10 float64", "scipy L-BFGS-B, fastdl's loss", 1),
    Goal("Huber, 100 k x 10", "Huber, 100000 x 10 float64", "scipy L-BFGS-B, NumPy's loss", 1),
    Goal("network of 64 units", NETWORK, "torch", 3),
    Goal("network of 64 units, on two threads", NETWORK, "fastdl", 1.7, "fastdl 2 threads"),
    Goal("first fit_lp of a process", "a fresh process with its first fit_lp", "", 0.01, less=IMPORTS),
    Goal("first estimator of a process", "a fresh process with its first LpRegressor", "", 0.01, less=IMPORTS),
    Goal("mu-law encode of 160", "mu-law encode, 160", "", 1.5e-6),
    Goal("mu-law decode of 160", "mu-law decode to float32, 160", "", 1.5e-6),
    Goal("G.711 encode of 160", "G.711 mu-law encode, 160", "", 1.5e-6),
    Goal("cells of 100 points", "voxel_coords, 100 points", "", 1.5e-6),
    Goal("hard voxels of 100 points", "voxelize, 100 points", "", 1.5e-6),
    Goal("means of 100 points", "voxel_downsample, 100 points", "", 1.5e-6),
    Goal("one-hot of 100 bases", "one-hot (L, 4) uint8, 100", "", 1.5e-6),
    Goal("decoding 100 bases", "decode (L, 4) uint8, 100", "", 1.5e-6),
    Goal("reverse complement of 100 bases", "reverse complement, 100", "", 1.5e-6),
    Goal("classes of 100 labels", "classes of int64, 100", "", 1.5e-6),
    Goal("bins of 100 values", "256 bins, uniform, 100 float32", "", 1.5e-6),
    Goal("values of 100 bins", "256 bins to float32, 100", "", 1.5e-6),
    Goal("standardising 100 values", "standard target, encode, 100 float32 in 1 columns", "", 1.5e-6),
    Goal("loss and gradient of 64 x 8", "loss and gradient, 64 x 8 float32, p = 1", "", 1.5e-6),
]
