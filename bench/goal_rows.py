"""The goals of the works that lagged, in the order of their subjects; README.md shows others (bench/readme_rows.py)."""

from __future__ import annotations

from bench.goals import Goal

NETWORK = "6 epochs of Adam, 64 columns, 64 units, batches of 1024, 100000 rows float32"

GOALS = [
    Goal("mu-law encode of 50 M, on two threads", "mu-law encode, DRAM", "fastdl", 1.8, "fastdl 2 threads"),
    Goal("mu-law decode of 50 M", "mu-law decode to float32, DRAM", "copy", 0.85),
    Goal("mu-law encode of 4 M float32", "mu-law encode of float32, 4 M", "", 8e-3),
    Goal("mu-law encode of 4 M samples of 24 bits", "mu-law encode of 24 bits, 4 M", "", 8e-3),
    Goal("mu-law encode of 160", "mu-law encode, 160", "", 1.5e-6),
    Goal("mu-law decode of 160", "mu-law decode to float32, 160", "", 1.5e-6),
    Goal("hard voxels of 0.05 m, at most 5 points", "hard voxelization, 120 k, 0.05/0.05/0.1, T=5", "spconv", 4),
    Goal("hard voxels of 0.1 m, at most 10 points", "hard voxelization, 120 k, 0.1/0.1/0.1, T=10", "spconv", 3),
    Goal("pillars, at most 32 points", "hard voxelization, 120 k, pillars 0.16/0.16/4, T=32", "spconv", 2.5),
    Goal("means of a scan of 120 k", "mean down-sampling, 120 k in scan order", "small_gicp", 8),
    Goal("means of a scan of 120 k", "mean down-sampling, 120 k in scan order", "kiss-icp", 3),
    Goal("nearest points of 100 k", "down-sampling, 100 k, nearest", "", 2e-3),
    Goal("sorted means of 100 k", "down-sampling, 100 k, mean, sorted", "", 2e-3),
    Goal("100 k as PCL", "down-sampling, 100 k, as PCL", "", 2e-3),
    Goal("100 k as Open3D's tensors", "down-sampling, 100 k, as Open3D's tensors", "", 2e-3),
    Goal("voxels of 100 points", "voxelize, 100 points", "", 1.5e-6),
    Goal("down-sampling of 100 points", "voxel_downsample, 100 points", "", 1.5e-6),
    Goal("reading ascii PLY", "read ply ascii, 1000000 points", "open3d", 1),
    Goal("reading ascii PCD", "read pcd ascii, 1000000 points", "open3d", 1),
    Goal(
        "down-sampling a LAZ file to 0.15 m",
        "downsample laz to laz, 1000000 points, 0.15 m",
        "laspy + lazrs, decode and encode alone",
        0.83,
    ),
    Goal(
        "down-sampling a LAZ file to 1 m",
        "downsample laz to laz, 1000000 points, 1 m",
        "laspy + lazrs, decode and encode alone",
        0.83,
    ),
    Goal("one-hot of 100 bases", "one-hot (L, 4) uint8, 100", "", 1.5e-6),
    Goal("decoding 100 bases", "decode (L, 4) uint8, 100", "", 1.5e-6),
    Goal("reverse complement of 100 bases", "reverse complement, 100", "", 1.5e-6),
    Goal("edges of a CSV file", "edges of a CSV file", "polars", 1),
    Goal("edges of a CSV file, with weights", "edges of a CSV file with weights", "polars", 1),
    Goal("a hub of 1 M edges, 1 feature", "sum over a hub of 1 M edges, F = 1", "scipy", 1),
    Goal("sum over neighbours, 64 features", "sum over neighbours, DRAM, F = 64", "scipy", 3.9),
    Goal("the same, forward and backward", "sum, forward and backward, L3, F = 64", "torch scatter", 15),
    Goal("labels, wide int64, 1 M", "fit and encode 1000000 wide int64", "pandas.factorize", 1),
    Goal("100 labels", "classes of int64, 100", "", 1.5e-6),
    Goal("bins of one width, fitted to 1 M", "fit 64 bins, uniform, 1M float64", "min and max", 0.5),
    Goal("bins of 100 values", "256 bins, uniform, 100 float32", "", 1.5e-6),
    Goal("p = 1.37, 1 M x 64", "loss and gradient, 1M x 64 float32, p = 1.37", "numpy", 3),
    Goal("loss and gradient of 64 x 8", "loss and gradient, 64 x 8 float32, p = 1", "", 1.5e-6),
    Goal("32 models, p = 1", "32 models, 1000000 x 16 float32, p = 1", "numpy", 4),
    Goal("32 models, p = 2", "32 models, 1000000 x 16 float32, p = 2", "numpy", 4),
    Goal(
        "least squares, 1 M x 64 float32", "p = 2, 1M x 64 float32", "scikit-learn-intelex 2 threads", 1.2,
        "fastdl 2 threads",
    ),
    Goal("network of 64 units", NETWORK, "torch", 3),
    Goal("network of 64 units, on two threads", NETWORK, "fastdl", 1.7, "fastdl 2 threads"),
]  # fmt: skip
