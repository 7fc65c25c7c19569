"""Points: fastdl and peers on the same clouds, results compared before times are."""

from functools import lru_cache

import numpy as np
import pytest

import fastdl
from fastdl.report.samples import street_scan

KITTI = (-40, -40, -3, 40, 40, 1)
CONFIGS = {
    "0.05/0.05/0.1, T=5": ((0.05, 0.05, 0.1), 5),
    "0.1/0.1/0.1, T=10": ((0.1, 0.1, 0.1), 10),
    "pillars 0.16/0.16/4, T=32": ((0.16, 0.16, 4), 32),
    "0.2/0.2/0.4, T=35": ((0.2, 0.2, 0.4), 35),
}
SIZES = {"20 k": 20_000, "120 k": 120_000, "1 M": 1_000_000, "10 M": 10_000_000}
PEERS = ["small_gicp", "small_gicp 2 threads", "kiss-icp", "open3d", "open3d tensor", "np.unique"]


@lru_cache(4)
def cloud(size, order):
    """A street scan, seen again from a little further on until there are enough points; or the same in random order."""
    n = SIZES[size]
    scans = [street_scan(turn=4 * n // 64 // 3 if n < 100_000 else 2200, seed=0)]
    while sum(map(len, scans)) < n:
        scans.append(scans[0] + np.float32([3.1 * len(scans), 0.37 * len(scans), 0.013 * len(scans), 0]))
    points = np.concatenate(scans)[:n]
    return points if order == "scan order" else points[np.random.default_rng(0).permutation(n)]


@pytest.mark.parametrize("who", ["fastdl", "fastdl out=", "spconv"])
@pytest.mark.parametrize("config", CONFIGS)
def bench_voxelize(compare, config, who):
    points, (size, most) = cloud("120 k", "scan order"), CONFIGS[config]
    voxelizer = fastdl.Voxelizer(size, KITTI, max_points=most, max_voxels=120_000)
    want = voxelizer(points)

    def check(got):
        voxels, coords, counts = got if isinstance(got, tuple) else (got.voxels, got.coords, got.counts)
        for a, b in ((voxels, want.voxels), (coords, want.coords), (counts, want.counts)):
            np.testing.assert_array_equal(a, b)

    if who == "spconv":
        utils, tv = pytest.importorskip("spconv.utils"), pytest.importorskip("cumm.tensorview")
        theirs = utils.Point2VoxelCPU3d(
            vsize_xyz=size,
            coors_range_xyz=KITTI,
            num_point_features=4,
            max_num_voxels=120_000,
            max_num_points_per_voxel=most,
        )
        tensor = tv.from_numpy(points)
        run = lambda: tuple(a.numpy() for a in theirs.point_to_voxel(tensor))
    else:
        out = np.empty((120_000, most, 4), np.float32) if "out" in who else None
        run = lambda: voxelizer(points, out=out)
    compare(f"hard voxelization, 120 k, {config}", who, run, items=len(points), moved=20, check=check)


@pytest.mark.parametrize("who", ["fastdl", "fastdl 2 threads", "NumPy"])
def bench_voxel_coords(compare, who):
    points = cloud("1 M", "scan order")
    want = fastdl.voxel_coords(points, (0.1, 0.1, 0.1), KITTI)
    if who == "NumPy":
        run = lambda: fastdl.reference.points.voxel_coords(points, (0.1, 0.1, 0.1), KITTI)
    else:
        out, threads = np.empty_like(want), 2 if "2" in who else 1
        run = lambda: fastdl.voxel_coords(points, (0.1, 0.1, 0.1), KITTI, out=out, threads=threads)
    check = lambda got: np.testing.assert_array_equal(got, want)
    compare("cells of 1 M points", who, run, items=len(points), moved=28, check=check)


@pytest.mark.parametrize("order", ["scan order", "random order"])
@pytest.mark.parametrize("size", [pytest.param("20 k", marks=pytest.mark.more), "120 k", "1 M", "10 M"])
@pytest.mark.parametrize("who", ["fastdl", "fastdl 2 threads", *PEERS])
def bench_downsample(compare, size, order, who):
    edge = 0.2 if SIZES[size] < 1_000_000 else 0.1
    if SIZES[size] > 1_000_000 and who in ("open3d", "np.unique"):
        pytest.skip("minutes")
    points = np.ascontiguousarray(cloud(size, order)[:, :3])
    wide = points.astype(np.float64)
    mean = fastdl.voxel_downsample(points, edge, like="open3d" if who == "open3d" else None)

    def check(got, rtol=1e-4):
        assert len(got) == pytest.approx(len(mean), rel=0 if "fastdl" in who else 0.02)
        np.testing.assert_allclose(got.mean(0, dtype=np.float64), mean.mean(0, dtype=np.float64), atol=0.02, rtol=rtol)

    if who.startswith("fastdl"):
        threads = 2 if "2" in who else 1
        run = lambda: fastdl.voxel_downsample(points, edge, threads=threads)
    elif who.startswith("small_gicp"):
        gicp = pytest.importorskip("small_gicp")
        threads = 2 if "2" in who else 1
        run = lambda: gicp.voxelgrid_sampling(wide, edge, num_threads=threads).points()[:, :3]
    elif who == "kiss-icp":
        kiss = pytest.importorskip("kiss_icp.voxelization")
        run = lambda: kiss.voxel_down_sample(wide, edge)
    elif who == "open3d":
        o3d = pytest.importorskip("open3d")
        held = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(wide))
        run = lambda: np.asarray(held.voxel_down_sample(edge).points)
    elif who == "open3d tensor":
        o3d = pytest.importorskip("open3d")
        tensor = o3d.t.geometry.PointCloud(o3d.core.Tensor(points))
        run = lambda: tensor.voxel_down_sample(edge).point.positions.numpy()
    else:

        def run():
            cells = np.floor(wide / edge).astype(np.int64)
            _, inverse, counts = np.unique(cells, axis=0, return_inverse=True, return_counts=True)
            sums = [np.bincount(inverse.reshape(-1), points[:, k]) for k in range(3)]
            return np.stack(sums, axis=1) / counts[:, None]

    compare(f"mean down-sampling, {size} in {order}", who, run, items=len(points), moved=24, check=check)


KEPT = {
    "nearest": {"reduce": "nearest"},
    "first": {"reduce": "first"},
    "mean, sorted": {"order": "sorted"},
    "as PCL": {"like": "pcl"},
    "as Open3D's tensors": {"like": "open3d_t"},
}


@pytest.mark.parametrize("who", ["fastdl", "NumPy", "kiss-icp", "open3d tensor"])
@pytest.mark.parametrize("how", KEPT)
def bench_downsample_otherwise(compare, how, who):
    """The other reductions, orders and lattices; the peer is who defines them, or NumPy."""
    points = np.ascontiguousarray(cloud("120 k", "scan order")[:100_000, :3])
    edge, options = 0.2, KEPT[how]
    want, order_is_known = fastdl.voxel_downsample(points, edge, **options), how in ("mean, sorted", "as PCL")
    if who == "fastdl":
        run = lambda: fastdl.voxel_downsample(points, edge, **options)
    elif who == "kiss-icp":
        if how != "first":
            pytest.skip("it keeps first points")
        kiss, wide = pytest.importorskip("kiss_icp.voxelization"), points.astype(np.float64)
        run = lambda: kiss.voxel_down_sample(wide, edge)
    elif who == "open3d tensor":
        if "Open3D" not in how:
            pytest.skip("it has its own lattice")
        o3d = pytest.importorskip("open3d")
        tensor = o3d.t.geometry.PointCloud(o3d.core.Tensor(points))
        run = lambda: tensor.voxel_down_sample(edge).point.positions.numpy()
    else:
        run = lambda: by_numpy(points, edge, how)

    def check(got):
        assert got.shape == want.shape
        if not order_is_known:  # column by column: means that differ in their last bits have no common order
            got, ours = np.sort(got, axis=0), np.sort(want, axis=0)
        else:
            ours = want
        np.testing.assert_allclose(got, ours, rtol=1e-4, atol=1e-4)

    compare(f"down-sampling, 100 k, {how}", who, run, items=len(points), moved=24, check=check)


def by_numpy(points, edge, how):
    """Cells, their points sorted by voxel, and one row of each."""
    if "Open3D" in how:
        places = points / np.float32(edge)
    else:
        places = points * (np.float32(1) / np.float32(edge)) if "PCL" in how else points.astype(np.float64) / edge
    cells = np.floor(places).astype(np.int64)
    low, span = cells.min(0), np.ptp(cells, axis=0) + 1
    keys = ((cells[:, 2] - low[2]) * span[1] + cells[:, 1] - low[1]) * span[0] + cells[:, 0] - low[0]
    if how == "nearest":
        distance = ((points - (cells + 0.5) * edge) ** 2).sum(1)
        order = np.lexsort((distance, keys))
    else:
        order = np.argsort(keys, kind="stable")
    starts = np.flatnonzero(np.diff(keys[order], prepend=-1))
    if how in ("nearest", "first"):
        return points[order[starts]]
    counts = np.diff(np.append(starts, len(keys)))
    return np.add.reduceat(points[order].astype(np.float64), starts) / counts[:, None]


CALLS = {
    "voxel_coords": lambda x: fastdl.voxel_coords(x, (0.1, 0.1, 0.1), KITTI),
    "voxelize": lambda x: fastdl.voxelize(x, (0.1, 0.1, 0.1), KITTI, max_points=5),
    "voxel_downsample": lambda x: fastdl.voxel_downsample(x, 0.2),
}


@pytest.mark.parametrize("who", ["fastdl", "spconv"])
@pytest.mark.parametrize("function", CALLS)
def bench_calls_of_100_points(compare, function, who):
    """What a call costs beside the points."""
    points = cloud("120 k", "scan order")[:100].copy()
    if who == "fastdl":
        run = lambda: CALLS[function](points)
    elif function != "voxelize":
        pytest.skip("it voxelizes")
    else:
        utils, tv = pytest.importorskip("spconv.utils"), pytest.importorskip("cumm.tensorview")
        theirs = utils.Point2VoxelCPU3d((0.1, 0.1, 0.1), KITTI, 4, 100, 5)
        run = lambda: theirs.point_to_voxel(tv.from_numpy(points))
    compare(f"{function}, 100 points", who, run, items=len(points))
