"""Reductions beyond the reference: the same bytes by every path, peers' lattices, custom functions, spilling."""

import os
import pickle
import subprocess
import sys
import tempfile

import numpy as np
import pytest

import fastdl
from fastdl import streaming
from fastdl.points import _buckets, reduction
from fastdl.reference import _point_reductions
from fastdl.reference import points as reference
from tests.cases_points import ENDS, REDUCTIONS, SIZE, cloud
from tests.test_equivalence import assert_same


def begin(state):
    state[0], state[1] = np.inf, -np.inf


def take(state, row):
    state[0], state[1] = min(state[0], row[2]), max(state[1], row[2])


def end(state, count, out):
    out[0], out[1] = state[1] - state[0], count


def join(state, other):
    state[0], state[1] = min(state[0], other[0]), max(state[1], other[1])


HEIGHT = fastdl.VoxelReducer(begin, take, end, state_size=2, columns=2, merge=join)


@pytest.mark.parametrize("bucket", [30, 8192, 1 << 20])
@pytest.mark.parametrize("size", [0.5, (90, 0.001, 3), 1e-4, 50.0], ids=str)
def test_partition_gives_the_same_bytes(bucket, size, monkeypatch):
    points = cloud(np.random.default_rng(0), 5000)
    want = {how: fastdl.voxel_downsample(points, size, reduce=how) for how in ("mean", "sum")}
    reduced = fastdl.voxel_reduce(points, size, reduce=[(0, "mean"), (1, "nearest"), (2, "last")])
    monkeypatch.setattr(reduction, "LARGE", 1)
    monkeypatch.setattr(_buckets, "_BUCKET", bucket)
    monkeypatch.setattr(_buckets, "_ROWS", 700)
    for threads in (1, 2, 3):
        for how in want:
            assert_same(fastdl.voxel_downsample(points, size, reduce=how, threads=threads), want[how])
        got = fastdl.voxel_reduce(points, size, reduce=[(0, "mean"), (1, "nearest"), (2, "last")], threads=threads)
        assert_same(got, reduced)


def test_a_bucket_with_more_voxels_than_its_table(monkeypatch):
    points = cloud(np.random.default_rng(0), 5000)
    want = fastdl.voxel_downsample(points, 0.01)
    monkeypatch.setattr(reduction, "LARGE", 1)
    monkeypatch.setattr(_buckets, "_BUCKET", 4)
    partition = _buckets.BucketedVoxels.__init__
    monkeypatch.setattr(_buckets.BucketedVoxels, "__init__", lambda self, *a: partition(self, *a))
    got = fastdl.voxel_downsample(points, 0.01)
    assert_same(got, want)


def feed(state, points, chunks, cells=None):
    i = k = 0
    while i < len(points):
        n = chunks[k % len(chunks)]
        state.update(points[i : i + n], None if cells is None else cells[i : i + n])
        i, k = i + n, k + 1
    return state


@pytest.mark.parametrize("name", [*REDUCTIONS, "own"])
@pytest.mark.parametrize("order", ["first", "sorted"])
@pytest.mark.parametrize("ranged", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_chunks_give_the_same_bytes(name, order, ranged, dtype):
    points = cloud(np.random.default_rng(1), 3000, dtype)
    reduce, ends = HEIGHT if name == "own" else name, ENDS if ranged else None
    whole = fastdl.voxel_reduce(points, SIZE, ends, reduce=reduce, order=order)
    want = (whole.points, whole.coords, whole.counts, whole.accounting)
    for chunks in ((3000,), (1, 800, 7), (999,)):
        for memory in (None, 1):
            state = fastdl.VoxelAccumulator(SIZE, ends, reduce=reduce, order=order, max_bytes=memory)
            assert_same(feed(state, points, chunks).finish(), want)
            assert_same(state.finish(), want)  # finishing changes nothing
    merged = fastdl.VoxelAccumulator(SIZE, ends, reduce=reduce, order=order)
    for i in range(0, 3000, 700):
        merged.merge(pickle.loads(pickle.dumps(merged.fresh().update(points[i : i + 700]))))
    assert_same(merged.finish(), want)


@pytest.mark.parametrize("name", [r for r in (*REDUCTIONS, "own") if r != "random"])  # of which another point is taken
@pytest.mark.parametrize("memory", [None, 1])
def test_merging_filled_states(name, memory):
    # On a lattice of eighths every sum is exact, so the order of the additions cannot show.
    points = np.round(cloud(np.random.default_rng(2), 3000, "float64") * 8) / 8
    reduce = HEIGHT if name == "own" else name
    want = feed(fastdl.VoxelAccumulator(1.0, reduce=reduce), points, (3000,)).finish()
    a = feed(fastdl.VoxelAccumulator(1.0, reduce=reduce), points[:1100], (500,))
    b = feed(fastdl.VoxelAccumulator(1.0, reduce=reduce, max_bytes=memory), points[1100:], (300,))
    assert_same(a.merge(b).finish(), want, 1e-14 if name == "std" else 0.0)


def test_streaming_run():
    points = cloud(np.random.default_rng(3), 2000)
    want = fastdl.voxel_downsample(points, SIZE)
    from concurrent.futures import ThreadPoolExecutor

    chunks = [points[i : i + 300] for i in range(0, 2000, 300)]
    with ThreadPoolExecutor(2) as pool:
        got = streaming.run(chunks, fastdl.VoxelAccumulator(SIZE), executor=pool)
    assert_same(got.points, want)
    assert_same(streaming.run(chunks, fastdl.VoxelAccumulator(SIZE)).points, want)


def test_spilling_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    points = np.random.default_rng(4).random((400_000, 3)) * 100
    want = fastdl.voxel_downsample(points, 1.0)
    state = feed(fastdl.VoxelAccumulator(1.0, max_bytes=1 << 20), points, (100_000,))
    assert state._spill is not None
    assert os.listdir(tmp_path) == []  # the files have no name even while they are used
    assert_same(state.finish().points, want)
    del state


def test_given_cells_are_taken_as_they_are():
    rng = np.random.default_rng(5)
    lattice = rng.integers(-(2**31), 2**31, (2000, 3)) // 1000000
    points = lattice * 0.001
    cells = lattice // 250
    got = feed(fastdl.VoxelAccumulator(0.25, reduce="first"), points, (600,), cells).finish()
    assert {tuple(c) for c in got.coords.tolist()} == {tuple(x // 250 for x in row) for row in lattice.tolist()}
    state = fastdl.VoxelAccumulator(0.25)
    with pytest.raises(fastdl.InputError, match=r"cells must have shape \(2000, 3\)"):
        state.update(points, cells[:5])


def test_states_that_cannot_be_merged():
    a = fastdl.VoxelAccumulator(1.0).update([[0.0, 0, 0]])
    with pytest.raises(fastdl.InputError, match="settings"):
        a.merge(fastdl.VoxelAccumulator(2.0))
    with pytest.raises(fastdl.InputError, match="itself"):
        a.merge(a)
    with pytest.raises(fastdl.InputTypeError, match="VoxelAccumulator"):
        a.merge(3)
    with pytest.raises(fastdl.InputError, match="like the first"):
        a.update(np.zeros((1, 4)))


def test_own_reducer_equals_the_reference():
    points = cloud(np.random.default_rng(6), 800)
    got = fastdl.voxel_reduce(points, SIZE, ENDS, reduce=HEIGHT)
    assert_same(got, reference.voxel_reduce(points, SIZE, ENDS, reduce=HEIGHT))


OWN = """
import fastdl
from fastdl_ext.user_functions import compilation
def begin(state): state[0] = 0
def take(state, row): state[0] += row[0]
def end(state, count, out): out[0] = state[0] * 3
mine = fastdl.VoxelReducer(begin, take, end, state_size=1, columns=1)
print(fastdl.voxel_reduce([[0.5, 0.5, 0.5]], 1.0, reduce=mine).points.tolist(), end=" ")
print(sum(len(loop.stats.cache_hits) for loop in compilation._KNOWN.values()))
"""


def run_own(folder):
    env = {**os.environ, "NUMBA_CACHE_DIR": str(folder), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-W", "error", "-c", OWN], env=env, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


def test_own_reducers_are_kept_on_disk(tmp_path):
    assert [run_own(tmp_path / "kept") for _ in range(2)] == [["[[1.5]]", "0"], ["[[1.5]]", "2"]]


def test_own_reducers_without_a_folder_to_write_to(tmp_path):
    (tmp_path / "file").write_text("")
    assert run_own(tmp_path / "file") == ["[[1.5]]", "0"]


def test_changed_own_reducers_are_compiled_anew():
    k = 2.0

    def scaled(state, count, out):
        out[0], out[1] = state[0] * k, count

    mine = fastdl.VoxelReducer(begin, take, scaled, state_size=2, columns=2)
    for k in (2.0, 3.0):
        got = fastdl.voxel_reduce([[0.5, 0.5, 0.5]], 1.0, reduce=mine)
        assert got.points.tolist() == [[0.5 * k, 1.0]]


def test_own_reducers_that_numba_cannot_compile():
    def wrong(state, row):
        state[0] = {}[row].name

    mine = fastdl.VoxelReducer(begin, wrong, end, state_size=2, columns=2)
    with pytest.raises(fastdl.InputError, match=r"^wrong cannot be compiled by Numba: .*update"):
        fastdl.voxel_reduce([[0.5, 0.5, 0.5]], 1.0, reduce=mine)


@pytest.mark.parametrize(
    ("reduce", "error"),
    [
        ("mode", "must be one of"),
        (["mean"], "for each of 5 columns"),
        ([(9, "mean")], "between 0 and 4"),
        (3, "a name"),
    ],
)
def test_bad_reductions(reduce, error):
    with pytest.raises((fastdl.InputError, fastdl.InputTypeError), match=error):
        fastdl.voxel_reduce(np.zeros((1, 5)), 1.0, reduce=reduce)


def test_float64_sums():
    points = np.full((1 << 12, 3), 16777217 / 2**26)
    points[0] = 2.0**-40
    assert fastdl.voxel_downsample(points.astype(np.float32), 1.0).dtype == np.float32
    assert fastdl.voxel_downsample(points, 1.0)[0, 0] == reference.voxel_downsample(points, 1.0)[0, 0]


def rows(points):
    return np.array(sorted(np.asarray(points).tolist()))


@pytest.mark.parametrize("size", [0.2, 0.5])
def test_like_gives_the_points_of_open3d_and_kiss_icp(size):
    points = np.random.default_rng(7).normal(0, 3, (20_000, 3))
    o3d = pytest.importorskip("open3d")
    theirs = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(points)).voxel_down_sample(size)
    ours = fastdl.voxel_downsample(points, size, like="open3d")
    np.testing.assert_allclose(rows(ours), rows(theirs.points), rtol=1e-12, atol=1e-12)
    narrow = points.astype(np.float32)
    theirs = o3d.t.geometry.PointCloud(o3d.core.Tensor(narrow)).voxel_down_sample(size).point.positions.numpy()
    ours = fastdl.voxel_downsample(narrow, size, like="open3d_t")
    assert len(ours) == len(theirs)
    np.testing.assert_allclose(rows(ours), rows(theirs), rtol=1e-4, atol=1e-5)
    kiss = pytest.importorskip("kiss_icp.voxelization")
    assert_same(
        rows(fastdl.voxel_downsample(points, size, like="kiss_icp")), rows(kiss.voxel_down_sample(points, size))
    )


def test_like_pcl_and_pdal():
    points = np.array([[0.3, 0, 0], [0.9, 0, 0], [-0.1, 0, 0], [0.29, 0, 0]], np.float32)
    pcl = fastdl.voxel_downsample(points, 0.3, like="pcl")
    cells = np.floor(points[:, 0] * (np.float32(1) / np.float32(0.3)))  # 0.9 * (1 / 0.3) in float32
    want = [points[cells == c, 0].astype(float).mean().astype(np.float32) for c in np.unique(cells)]
    assert pcl[:, 0].tolist() == [float(w) for w in want]
    pdal = fastdl.voxel_downsample(points, 0.3, like="pdal")
    assert_same(pdal, points[[0, 1, 2]])  # the lattice is centred on the first point: 0.29 is in its cell


def test_dense_grid():
    points = cloud(np.random.default_rng(8), 500)
    names = [(0, "count"), (2, "max")]
    r = fastdl.voxel_reduce(points, SIZE, ENDS, reduce=names)
    dense = fastdl.voxel_grid(points, SIZE, ENDS, reduce=names, fill=-9)
    assert dense.shape == (16, 32, 4, 2)
    assert (dense[tuple(r.coords.T)] == r.points).all()
    assert (dense == -9).all(-1).sum() == 16 * 32 * 4 - len(r.points)
    other = fastdl.voxel_grid(
        points, SIZE, ENDS, reduce=names, fill=-9, axes="zyx", out=np.empty((4, 32, 16, 2), np.float32)
    )
    assert_same(other.transpose(2, 1, 0, 3).copy(), dense)
    with pytest.raises(fastdl.InputError, match="axes"):
        fastdl.voxel_grid(points, SIZE, ENDS, axes="xy")


@pytest.mark.parametrize("reduce", ["majority", "consensus"])
def test_labels_beyond_int64_and_a_negative_ignore_are_refused_by_kernels_and_reference(reduce):
    points = np.array([[0, 0, 0, 2**64 - 2]], np.uint64)
    with pytest.raises(fastdl.InputError, match="want an ignore= that uint64 holds"):
        fastdl.voxel_reduce(points, 0.5, reduce=["first", "first", "first", reduce])
    with pytest.raises(OverflowError, match="want an ignore= that uint64 holds"):
        reference.voxel_reduce(points, 0.5, reduce=["first", "first", "first", reduce])
    held = fastdl.voxel_reduce(points, 0.5, reduce=["first", "first", "first", reduce], ignore=0)
    assert held.points[0, 3] == 2**64 - 2


def test_the_reference_kernel_of_the_nearest_points_takes_points_that_are_all_outside():
    pick = np.zeros(0, np.int64)
    none = np.zeros(0), np.zeros((0, 3))
    _point_reductions.nearest_points(np.zeros((2, 3)), np.full(2, -1), none[1], none[0], pick, 0)
    assert not len(pick)
