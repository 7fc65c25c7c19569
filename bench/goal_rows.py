"""The goals of the works that lagged, in the order of their subjects; README.md shows others (bench/readme_rows.py)."""

from __future__ import annotations

from bench.goals import Goal

NETWORK = "6 epochs of Adam, 64 columns, 64 units, batches of 1024, 100000 rows float32"
LAZ = "laspy + lazrs, decode and encode alone"
IMPORTS = "imports of others alone"
INTELEX = "scikit-learn-intelex 2 threads"

SLOWER = (
    "the time was set on a processor that does 63 G multiply-adds of float32 a second on one thread, where this "
    "run's, a first Zen, does 18; the earlier run shows what the work took there"
)
DECODING = (
    "without AVX-512 a value is a look-up, that is a load, and a first Zen makes two loads or stores a cycle. In "
    "its caches four values a store give 14 GB/s, two 10, gathers 4.6; in memory stores that leave the caches "
    "alone give 10.8 where others give 7.8. With AVX-512 the table is in registers"
)
VOXELS = (
    "where there is AVX-512, 16 points at a time make it 3.4 times (0.05 m; 3.7 into arrays of the caller's) and "
    "3.8 times (0.1 m) as fast as spconv. Here points go one by one: of the time of 0.05 m look-ups are 19 %, "
    "runs of points and their rows 14, zeros behind the points 11, ids 5, slots 5, cells 5; with all that eight "
    "lanes could take over for nothing it would end at three times. Tried, beside it, for look-ups: eight at "
    "once by gathers, two keys in a word, four in a vector; all were slower (fastdl_ext/_voxel_blocks.h)"
)
LAZ_WAITS = (
    "lazrs holds Python's lock while it decodes and encodes (a thread beside it fell from 4.2 M to 0.2 M steps a "
    "second), so the reduction and the reading ahead hardly overlap with it. In processor time the command is at "
    "0.85 to 0.90. Sums, look-ups, keys and votes of 1 M points fell from 185 to 60 ms; what is left is mostly "
    "the compressor"
)
LAS_STEPS = (
    "of 100 ms for a million points in 135,000 voxels the sums of nine columns take 21, look-ups 16, keys 9.5, "
    "labels and comparisons 13; 38 are outside the kernels, for tables that grow and steps of Python. Sums took "
    "38 and keys 30 before points were listed first and divided by a reciprocal"
)
SQUARES_OF_32 = (
    "rows of float32 are multiplied and summed in float64, whose vectors hold half as many numbers as those of "
    "the peer, which multiplies float32 and ends 1e-10 to 8e-10 above the least loss. Alone, a row of 64 columns "
    "takes 303 ns, 7.3 G multiply-adds a second of the 9 that BLAS reaches here in float64; packing by vectors "
    "took it there from 333"
)
PRODUCTS = (
    "the bits are the same on every processor, so nothing is fused, and the products of rows with 32 models and "
    "back take as long as BLAS's two alone (0.93 to 1.1 of it): NumPy spends the rest of its time on the "
    "residuals, and 4 times would need products much faster than BLAS's"
)
POWERS = (
    "the same call takes 8.3 ms of 300,000 rows with p = 2 and 10.8 with p = 1.37: were the power free it would "
    "end at 2.75 times NumPy. On Zen 5 one thread reads 0.82 of what memory gives, and 3 times would need 37 "
    "GB/s of 29"
)
NETWORK_LIMIT = (
    "the bits are the same on every processor: a multiplication and an addition in place of a fused one. Tiles "
    "of 1 row by 8 vectors reach 0.78 of what this processor multiplies and adds at most, 2 by 4 0.72, 4 by 2 "
    "0.65, 8 by 1 0.57. Outside the products: tanh a fifth of the kernel; two to four streams of it side by side "
    "gave an estimated 3 %, and were left"
)
NETWORK_THREADS = (
    "scaling of columns, shuffling and windows are done on one thread, 50 of 800 ms; the loss of the last model, "
    "149 ms, is shared now"
)
STARTING = (
    "of 29 ms 26 are modules and kernels that are loaded, 2.7 the fit; paths and the texts of errors, 8 ms, are "
    "loaded when needed since. The earlier processor took 17 ms before that"
)
MINIMUM = (
    "of 2.8 ms for a million values the least and the greatest take 1.5, a copy of the values 1.3: the means of "
    "bins are worked out from it when they are first asked for, and the caller may change the array before"
)
PYTHON_STEPS = (
    "the rows take 1.2 ms, as the 115 ns a row of four passes say; the rest is Python around them, which is the "
    "same for 100 rows. It was five passes of powers and five of bounds, 14 ms"
)

SCANS = (
    "on the earlier processor it is 9.1 times, on this one 5.5: of 2.7 ms (beside other programs) the sums of "
    "points take 1.4 and the look-ups of voxels 0.9, the clearing of their table 0.1"
)

TWO_PROCESSORS = (
    "the peer parses on both processors, fastdl on one; held to one each, fastdl took 31 ms and the peer 46 to "
    "65. A parser of several threads was not written"
)

FROM_ANYWHERE = (
    "each edge fetches 256 bytes from anywhere in 51 MB, at 7.2 GB/s, 0.48 of what reading in order gives here; "
    "on the earlier processor 0.72 of it. Rows are asked for eight edges ahead"
)

INTERIOR = "two runs gave 3.5 and 4.8: the peer's time varies"

HUBER = (
    "runs gave 0.9 to 1.4. A pass over 100,000 rows takes 1.6 ms for clipped residuals and 2.2 ms for the Gram "
    "matrix, the extents of the columns 1.1 ms, Python 3.6 ms. The fit goes on to a proven gap of 1e-3 of `tol`"
)

WITH_OUT = (
    "this run wrote into an array of the caller's, which has no quick way; without one, classes take 2.7 us here "
    "and the middles of bins 6.9, alone"
)

LARGE_TABLES = (
    "float32 takes two look-ups a sample, 24 bits a conversion to float64 more; on an AVX-512 processor the "
    "kernels took 0.6 and 1.0 ns a sample, here 2.2 and 5.7"
)
LAS_LARGE = (
    "nearly every point is a voxel, whose record is kept, sorted and written. On the processor of the goals the "
    "command took 2.0 s of processor time before it was made faster; here it took 2.6 before and 2.0 after"
)
ROWS_OF_LAD = (
    "on the processor of the goals it took 0.11 s; the passes of the interior point method are bound by "
    "arithmetic, and this processor does 9 G multiply-adds of float64 a second, that one 30"
)
SMALL_VOXELS = (
    "of 12 us here some 5 are the kernel's call, with its table and results, and the rest the checks of six "
    "functions of Python before it; it was 2.5 us on the processor of the goals. A way of its own, as other "
    "small calls have, was not written"
)

GOALS = [
    Goal("mu-law encode of 50 M, on two threads", "mu-law encode, DRAM", "fastdl", 1.8, "fastdl 2 threads"),
    Goal("mu-law decode of 50 M", "mu-law decode to float32, DRAM", "copy", 0.85, why=DECODING),
    Goal("mu-law encode of 4 M float32", "mu-law encode of float32, 4 M", "", 8e-3, why=LARGE_TABLES),
    Goal("mu-law encode of 4 M samples of 24 bits", "mu-law encode of 24 bits, 4 M", "", 8e-3, why=LARGE_TABLES),
    Goal(
        "hard voxels of 0.05 m, at most 5 points",
        "hard voxelization, 120 k, 0.05/0.05/0.1, T=5",
        "spconv",
        4,
        why=VOXELS,
    ),
    Goal(
        "hard voxels of 0.1 m, at most 10 points",
        "hard voxelization, 120 k, 0.1/0.1/0.1, T=10",
        "spconv",
        3,
        why=VOXELS,
    ),
    Goal("pillars, at most 32 points", "hard voxelization, 120 k, pillars 0.16/0.16/4, T=32", "spconv", 2.5),
    Goal("means of a scan of 120 k", "mean down-sampling, 120 k in scan order", "small_gicp", 8, why=SCANS),
    Goal("means of a scan of 120 k", "mean down-sampling, 120 k in scan order", "kiss-icp", 3),
    Goal("nearest points of 100 k", "down-sampling, 100 k, nearest", "", 2e-3, why=SLOWER),
    Goal("sorted means of 100 k", "down-sampling, 100 k, mean, sorted", "", 2e-3, why=SLOWER),
    Goal("100 k as PCL", "down-sampling, 100 k, as PCL", "", 2e-3, why=SLOWER),
    Goal("100 k as Open3D's tensors", "down-sampling, 100 k, as Open3D's tensors", "", 2e-3, why=SLOWER),
    Goal(
        "LAS of 10 M points to 9.8 M voxels", "downsample las to las, 10000000 points, 0.15 m", "", 2.5, why=LAS_LARGE
    ),
    Goal("LAS of 10 M points to 1.3 M voxels", "downsample las to las, 10000000 points, 1 m", "", 1.2, why=LAS_STEPS),
    Goal("LAS of 10 M points to 30 k voxels", "downsample las to las, 10000000 points, 5 m", "", 0.8, why=SLOWER),
    Goal("LAZ to voxels of 0.15 m", "downsample laz to laz, 1000000 points, 0.15 m", LAZ, 0.83, why=LAZ_WAITS),
    Goal("LAZ to voxels of 1 m", "downsample laz to laz, 1000000 points, 1 m", LAZ, 0.83, why=LAZ_WAITS),
    Goal("reading ascii PLY", "read ply ascii, 1000000 points", "open3d", 1),
    Goal("reading ascii PCD", "read pcd ascii, 1000000 points", "open3d", 1),
    Goal("edges of a CSV file", "edges of a CSV file", "polars", 1),
    Goal("edges of a CSV file, with weights", "edges of a CSV file with weights", "polars", 1, why=TWO_PROCESSORS),
    Goal("sum, forward and backward, F = 64", "sum, forward and backward, L3, F = 64", "torch scatter", 15),
    Goal("sum over neighbours, F = 64", "sum over neighbours, DRAM, F = 64", "scipy", 3.9, why=FROM_ANYWHERE),
    Goal("a hub of 1 M edges, F = 1", "sum over a hub of 1 M edges, F = 1", "scipy", 1),
    Goal("labels: 2 M texts", "fit and encode 2000000 str of 1000 classes", "pandas.factorize", 1.5),
    Goal("labels: 1 M integers of 64 bits", "fit and encode 1000000 wide int64", "pandas.factorize", 1),
    Goal(
        "fitting bins of one width", "fit 64 bins, uniform, 1M float64", "NumPy minimum and maximum", 0.5, why=MINIMUM
    ),
    Goal("p = 1.37, 1 M x 64 float32", "loss and gradient, 1M x 64 float32, p = 1.37", "numpy", 3, why=POWERS),
    Goal("32 models, p = 1", "32 models, 1000000 x 16 float32, p = 1", "numpy", 4, why=PRODUCTS),
    Goal("32 models, p = 2", "32 models, 1000000 x 16 float32, p = 2", "numpy", 4, why=PRODUCTS),
    Goal(
        "least squares, 1 M x 64 float32", "p = 2, 1M x 64 float32", INTELEX, 1.2, "fastdl 2 threads", why=SQUARES_OF_32
    ),
    Goal(
        "least squares, 200 k x 200 float32",
        "p = 2, 200k x 200 float32",
        INTELEX,
        1.2,
        "fastdl 2 threads",
        why=SQUARES_OF_32,
    ),
    Goal("least absolute deviations, 1 M x 20", "p = 1, 1000000 x 20 float64", "", 0.2, why=ROWS_OF_LAD),
    Goal("least absolute deviations, 100 k x 20", "p = 1, 100000 x 20 float64", "pinball-qr pfn", 4, why=INTERIOR),
    Goal(
        "a fit of p = 1.5, 10 k x 10",
        "p = 1.5, 10000 x 10 float64",
        "scipy L-BFGS-B, fastdl's loss",
        1,
        why=PYTHON_STEPS,
    ),
    Goal("a fit of p = 1.5, 1 M x 10", "p = 1.5, 1000000 x 10 float64", "scipy L-BFGS-B, fastdl's loss", 1),
    Goal("Huber, 100 k x 10", "Huber, 100000 x 10 float64", "scipy L-BFGS-B, NumPy's loss", 1, why=HUBER),
    Goal("network of 64 units", NETWORK, "torch", 3, why=NETWORK_LIMIT),
    Goal("network of 64 units, on two threads", NETWORK, "fastdl", 1.7, "fastdl 2 threads", why=NETWORK_THREADS),
    Goal("first fit_lp of a process", "a fresh process with its first fit_lp", "", 0.01, less=IMPORTS, why=STARTING),
    Goal(
        "first estimator of a process",
        "a fresh process with its first LpRegressor",
        "",
        0.01,
        less=IMPORTS,
        why=STARTING,
    ),
    Goal("mu-law encode of 160", "mu-law encode, 160", "", 1.5e-6, why=SLOWER),
    Goal("mu-law decode of 160", "mu-law decode to float32, 160", "", 1.5e-6, why=SLOWER),
    Goal("G.711 encode of 160", "G.711 mu-law encode, 160", "", 1.5e-6, why=SLOWER),
    Goal("cells of 100 points", "voxel_coords, 100 points", "", 1.5e-6, why=SLOWER),
    Goal("hard voxels of 100 points", "voxelize, 100 points", "", 1.5e-6, why=SMALL_VOXELS),
    Goal("means of 100 points", "voxel_downsample, 100 points", "", 1.5e-6, why=SLOWER),
    Goal("one-hot of 100 bases", "one-hot (L, 4) uint8, 100", "", 1.5e-6, why=SLOWER),
    Goal("decoding 100 bases", "decode (L, 4) uint8, 100", "", 1.5e-6, why=SLOWER),
    Goal("reverse complement of 100 bases", "reverse complement, 100", "", 1.5e-6, why=SLOWER),
    Goal("classes of 100 labels", "classes of int64, 100", "", 1.5e-6, why=WITH_OUT),
    Goal("bins of 100 values", "256 bins, uniform, 100 float32", "", 1.5e-6, why=SLOWER),
    Goal("values of 100 bins", "256 bins to float32, 100", "", 1.5e-6, why=WITH_OUT),
    Goal("standardising 100 values", "standard target, encode, 100 float32 in 1 columns", "", 1.5e-6, why=SLOWER),
    Goal("loss and gradient of 64 x 8", "loss and gradient, 64 x 8 float32, p = 1", "", 1.5e-6, why=SLOWER),
]
