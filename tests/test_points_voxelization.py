"""Points beyond the reference: spconv's bits, the edges of cells, the account of every point, errors that say why."""

import hashlib
import pickle
import threading
import warnings

import numpy as np
import pytest

import fastdl
from fastdl.reference import points as reference
from tests.cases_points import ENDS, SIZE, cloud
from tests.test_equivalence import assert_same

CONFIGS = {
    "second": ((0.05, 0.05, 0.1), (0, -40, -3, 70.4, 40, 1), 5),
    "pillars": ((0.16, 0.16, 4), (0, -39.68, -3, 69.12, 39.68, 1), 32),
    "voxelnet": ((0.2, 0.2, 0.4), (0, -40, -3, 70.4, 40, 1), 35),
}
# SHA-256 of spconv 2.3's voxels, coordinates and counts (Point2VoxelCPU3d), and its number of voxels.
SPCONV = {
    ("kitti", "second", 40000): ("c0c8b68914779f29", 13092),
    ("kitti", "second", 1000): ("7b6ede4628f294d6", 1000),
    ("kitti", "pillars", 40000): ("8cb7ad141c9db06e", 3945),
    ("kitti", "pillars", 1000): ("5ee66c03fe99c2c3", 1000),
    ("kitti", "voxelnet", 40000): ("fa412539b963b6ad", 4471),
    ("kitti", "voxelnet", 1000): ("f78ff52e3380d06a", 1000),
    ("lattice", "second", 40000): ("1c38db7712118299", 6062),
    ("lattice", "second", 1000): ("a3d1e7d9e8eabded", 1000),
    ("lattice", "pillars", 40000): ("eef89a5a76132760", 5820),
    ("lattice", "pillars", 1000): ("8f7dea0be3876037", 1000),
    ("lattice", "voxelnet", 40000): ("98a6db067d6759bf", 6048),
    ("lattice", "voxelnet", 1000): ("c38eef42c622913a", 1000),
}


def lattice():
    """Points on a lattice of millimetres, as KITTI stores them: many lie on the walls of cells."""
    rng = np.random.default_rng(0)
    p = rng.integers(-60000, 120000, (200_000, 4)).astype(np.float32) / np.float32(1000)
    p[:, 2] /= 8
    p[5, 0], p[6, 1], p[7, 2], p[8, 0] = np.nan, np.inf, -np.inf, 1e30
    return p


def digest(v):
    return hashlib.sha256(v.voxels.tobytes() + v.coords.tobytes() + v.counts.tobytes()).hexdigest()[:16], len(v.voxels)


def balanced(accounting):
    return accounting["in"] == sum(n for name, n in accounting.items() if name != "in")


@pytest.mark.parametrize(("which", "config", "voxels"), SPCONV, ids=str)
def test_the_bits_of_spconv(which, config, voxels, request):
    if which == "kitti":
        points = np.fromfile(request.getfixturevalue("shared_data") / "kitti_000008.bin", np.float32).reshape(-1, 4)
    else:
        points = lattice()
    size, ends, most = CONFIGS[config]
    v = fastdl.voxelize(points, size, ends, max_points=most, max_voxels=voxels, like="spconv")
    assert digest(v) == SPCONV[which, config, voxels]
    assert balanced(v.accounting)


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("voxels", [700, 150_000])
def test_spconv_itself(config, voxels):
    spconv = pytest.importorskip("spconv.utils")
    tv = pytest.importorskip("cumm.tensorview")
    size, ends, most = CONFIGS[config]
    rng = np.random.default_rng(7)
    points = (rng.random((60_000, 4)) * [80, 90, 6, 1] - [5, 45, 4, 0]).astype(np.float32)
    points[::501, 1] = np.nan
    theirs = spconv.Point2VoxelCPU3d(
        vsize_xyz=size,
        coors_range_xyz=ends,
        num_point_features=4,
        max_num_voxels=voxels,
        max_num_points_per_voxel=most,
    )
    want = [a.numpy().copy() for a in theirs.point_to_voxel(tv.from_numpy(points))]
    got = fastdl.voxelize(points, size, ends, max_points=most, max_voxels=voxels)
    for g, w in zip((got.voxels, got.coords, got.counts), want):
        np.testing.assert_array_equal(g, w)


def test_edges_of_cells():
    below = np.nextafter(np.float32(39.68), np.float32(0))
    points = np.array([[below, 0, 0], [-39.68, 0, 0]], np.float32)
    coords = fastdl.voxel_coords(points, (0.16, 0.16, 4), (-39.68, -39.68, -3, 39.68, 39.68, 1), axes="xyz")
    assert coords[:, 0].tolist() == [-1, 0]  # the quotient rounds up to 496, the number of cells
    points = np.array([[75.2, 0, 0]], np.float32)
    ends = (-75.2, -75.2, -2, 75.2, 75.2, 4)
    assert fastdl.voxel_coords(points, (0.1, 0.1, 0.15), ends, axes="xyz")[0, 0] == 1503
    with pytest.warns(UserWarning, match="312.5 voxels on axis y"):
        assert fastdl.Voxelizer((0.16, 0.16, 4), (0, -10, -3, 69.12, 40, 1)).grid == (432, 313, 1)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30, -1e30, 3.4e38])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_points_that_have_no_cell(bad, dtype):
    for axis in range(3):
        points = np.zeros((3, 4), dtype)
        points[1, axis] = bad
        v = fastdl.voxelize(points, 1.0, (-4, -4, -4, 4, 4, 4))
        assert v.inverse.tolist() == [0, -1, 0]
        assert v.accounting["out_of_range" if np.isfinite(bad) else "non_finite"] == 1
        assert balanced(v.accounting)
        assert np.isfinite(v.voxels).all()


def test_no_points_and_no_finite_points():
    v = fastdl.voxelize(np.zeros((0, 4), np.float32), 1.0, (0, 0, 0, 4, 4, 4), max_points=5)
    assert (v.voxels.shape, v.coords.shape, v.counts.shape, v.inverse.shape) == ((0, 5, 4), (0, 3), (0,), (0,))
    assert fastdl.voxel_downsample([], 1.0).shape == (0, 3)
    assert fastdl.VoxelAccumulator(1.0).finish().points.shape == (0, 3)
    nowhere = np.full((5, 3), np.nan)
    assert fastdl.voxel_downsample(nowhere, 1.0).shape == (0, 3)
    assert fastdl.voxel_grid(nowhere, 1.0, (0, 0, 0, 2, 2, 2)).sum() == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"voxel_size": 0.0}, "above 0, got 0.0 on axis x"),
        ({"voxel_size": (1, -1, 1)}, "above 0, got -1.0 on axis y"),
        ({"voxel_size": np.nan}, "above 0"),
        ({"voxel_size": (1, 2)}, "one number or three"),
        ({"point_range": (0, 0, 4, 4, 4, 0)}, "got 4.0 to 0.0 on axis z"),
        ({"point_range": (0, 0, 0, 4)}, "shape"),
        ({"point_range": (0, 0, 0, 4, np.inf, 4)}, "axis y"),
        ({"voxel_size": 1e-9}, "2\\^31 - 1 cells on an axis, got 4\\d{9} on axis x"),
        ({"points": [[0.0, 0.0]]}, "C >= 3"),
        ({"max_points": 0}, "max_points must be between 1 and"),
        ({"max_voxels": 0}, "max_voxels must be at least 1"),
        ({"sample": "best"}, "'first', 'random'"),
        ({"like": "pcl"}, "'spconv', 'mmcv'"),
        ({"arithmetic": "double"}, "'float32', 'exact'"),
        ({"max_bytes": 10}, "GiB"),
    ],
)
def test_errors_say_what_is_wrong(change, words):
    given = {"points": [[0.0, 0.0, 0.0]], "voxel_size": 1.0, "point_range": (0, 0, 0, 4, 4, 4)} | change
    with pytest.raises(fastdl.InputError, match=words):
        fastdl.voxelize(given.pop("points"), given.pop("voxel_size"), given.pop("point_range"), **given)


def test_keys_beyond_64_bits():
    far = [[0.0, 0.0, 0.0], [1e6, 1e6, 2e6]]
    for run in (fastdl.voxel_downsample, lambda p, s: fastdl.VoxelAccumulator(s).update(p).finish()):
        with pytest.raises(fastdl.InputError, match=r"less than 2\^63 cells.*axis z"):
            run(far, 1e-2 / 8)
        with pytest.raises(fastdl.InputError, match=r"less than 2\^31 voxels on an axis.*axis x"):
            run(far, 1e-4)
        with pytest.raises(fastdl.InputError, match=r"within 2\^52.*axis x"):
            run([[1e30, 0, 0]], 1.0)
    with pytest.raises(fastdl.InputError, match=r"2\.98 GiB"):
        fastdl.voxel_grid(np.zeros((1, 4), np.float32), 1.0, (0, 0, 0, 1000, 1000, 200), max_bytes=1 << 30)


def test_types_that_are_refused():
    for bad in (None, "abc", np.zeros((2, 3), complex), np.array([["a", "b", "c"]])):
        with pytest.raises((fastdl.InputTypeError, fastdl.InputError)):
            fastdl.voxelize(bad, 1.0, (0, 0, 0, 4, 4, 4))
    with pytest.raises(fastdl.InputError, match="2\\^53"):
        fastdl.voxel_downsample(np.full((1, 3), 2**60), 1.0)


def test_other_containers():
    points = cloud(np.random.default_rng(1), 300)
    want = fastdl.voxelize(points, SIZE, ENDS, max_points=3)
    torch = pytest.importorskip("torch")
    assert_same(fastdl.voxelize(torch.from_numpy(points), SIZE, torch.tensor(ENDS), max_points=3), want)
    assert_same(fastdl.voxelize(points.tolist(), list(SIZE), list(ENDS)).coords, want.coords)


def test_random_sample_is_of_the_point_not_of_the_order():
    points = np.random.default_rng(2).random((4000, 4)).astype(np.float32)
    a = fastdl.voxelize(points, 0.5, (0, 0, 0, 1, 1, 1), max_points=20, sample="random", seed=1)
    b = fastdl.voxelize(points, 0.5, (0, 0, 0, 1, 1, 1), max_points=20, sample="random", seed=2)
    assert_same(a.coords, b.coords)
    assert (a.voxels != b.voxels).any()
    place = [np.flatnonzero((points == row).all(1))[0] for row in a.voxels[0]]
    assert place == sorted(place)
    assert max(place) > 1000  # the first 20 would not reach so far


def test_a_batch_is_its_clouds_one_by_one():
    rng = np.random.default_rng(3)
    clouds = [cloud(rng, n) for n in (500, 0, 37)]
    one = [fastdl.voxelize(c, SIZE, ENDS, max_points=4, max_voxels=100) for c in clouds]
    both = fastdl.voxelize(clouds, SIZE, ENDS, max_points=4, max_voxels=100, threads=2)
    splits = np.cumsum([0, *map(len, clouds)])
    assert_same(
        fastdl.voxelize(np.concatenate(clouds), SIZE, ENDS, max_points=4, max_voxels=100, row_splits=splits), both
    )
    assert_same(both.voxels, np.concatenate([v.voxels for v in one]))
    assert both.coords[:, 0].tolist() == [0] * len(one[0].coords) + [2] * len(one[2].coords)
    assert_same(both.coords[:, 1:], np.concatenate([v.coords for v in one]))
    assert balanced(both.accounting)
    last = both.inverse[splits[2] :]
    assert_same(last[last >= 0] - np.int32(len(one[0].coords)), one[2].inverse[one[2].inverse >= 0])
    assert_same(fastdl.voxel_coords(clouds, SIZE, ENDS)[:, 1:], fastdl.voxel_coords(np.concatenate(clouds), SIZE, ENDS))
    free = fastdl.voxelize(clouds, SIZE, ENDS)
    assert free.voxels.shape[1] == free.true_counts.max()
    with pytest.raises(fastdl.InputError, match="rise from 0 to 500"):
        fastdl.voxelize(clouds[0], SIZE, ENDS, row_splits=[0, 600])
    with pytest.raises(fastdl.InputError, match="same dtype"):
        fastdl.voxelize([clouds[0], clouds[0].astype(float)], SIZE, ENDS)


def test_voxelizer_pickles_and_is_shared_by_threads():
    points = [cloud(np.random.default_rng(k), 3000) for k in range(4)]
    voxelizer = fastdl.Voxelizer(SIZE, ENDS, max_points=3, max_voxels=900)
    want = [fastdl.voxelize(p, SIZE, ENDS, max_points=3, max_voxels=900) for p in points]
    again = pickle.loads(pickle.dumps(voxelizer))
    wrong = []

    def work(k):
        for _ in range(10):
            for v in (voxelizer, again):
                try:
                    assert_same(v(points[k]), want[k])
                except AssertionError as error:
                    wrong.append(error)

    team = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in team:
        t.start()
    for t in team:
        t.join()
    assert not wrong
    first = voxelizer(points[0])
    kept = first.voxels.copy(), first.inverse.copy()
    voxelizer(points[1])
    assert_same((first.voxels, first.inverse), kept)


def test_out_is_filled_and_must_fit():
    points = cloud(np.random.default_rng(4), 500)
    want = fastdl.voxelize(points, SIZE, ENDS, max_points=3, max_voxels=900)
    out = np.full((900, 3, 5), 7, np.float32)
    got = fastdl.voxelize(points, SIZE, ENDS, max_points=3, max_voxels=900, out=out)
    assert got.voxels.base is out
    assert_same(got, want)
    assert (out[len(got.coords) :] == 7).all()
    with pytest.raises(fastdl.InputError, match="out must be a writable"):
        fastdl.voxelize(points, SIZE, ENDS, max_points=2, max_voxels=900, out=out)
    with pytest.raises(fastdl.InputError, match="out needs"):
        fastdl.voxelize(points, SIZE, ENDS, max_points=2, out=out)
    with pytest.raises(fastdl.InputError, match="overlap"):
        fastdl.voxelize(out.reshape(-1, 5), SIZE, ENDS, max_points=3, max_voxels=900, out=out)


@pytest.mark.parametrize("kind", ["voxelnet", "pointpillars9", "pointpillars10"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_features_equal_the_reference_and_pad_with_zeros(kind, dtype):
    points = cloud(np.random.default_rng(5), 2000, dtype)
    v = fastdl.voxelize(points, SIZE, ENDS, max_points=6)
    got = fastdl.voxel_features(v.voxels, v.counts, v.coords, SIZE, ENDS, kind=kind)
    assert_same(got, reference.voxel_features(v.voxels, v.counts, v.coords, SIZE, ENDS, kind=kind))
    used = np.arange(6) < v.counts[:, None]
    assert (got[~used] == 0).all()
    if kind != "voxelnet":
        half = np.array(SIZE)[:2] / 2
        assert (np.abs(got[used][:, 8:10]) <= half * (1 + 1e-5)).all()
    assert_same(fastdl.voxel_features(v.voxels, v.counts, v.coords, SIZE, ENDS, kind=kind, threads=3), got)
    with pytest.raises(fastdl.InputError, match="counts must be between 0 and 6"):
        fastdl.voxel_features(v.voxels, v.counts + 6, v.coords, SIZE, ENDS, kind=kind)


def test_warns_only_where_the_grid_is_not_whole():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fastdl.voxel_coords(np.zeros((1, 3), np.float32), (0.05, 0.05, 0.1), CONFIGS["second"][1])


def test_a_whole_range_far_out_is_not_said_to_be_broken():
    # 31504 voxels of 33.8 exactly; float32 shows the upper end as 1064381.8.
    fastdl.voxel_coords(np.zeros((1, 3), np.float32), 33.8, (-453.45, 0, 0, 1064381.75, 33.8, 33.8))


def assert_point_by_point(got, points, most, t):
    """Voxels of edge 1 from 0 in a dictionary, point by point: order, ids, counts, rows and what was dropped."""
    ids, rows, dropped = {}, [], 0
    for p, where in zip(points, got.inverse.tolist()):
        cell = tuple(np.floor(p[:3])) if np.isfinite(p[:3]).all() and (p[:3] >= 0).all() else None
        if cell is not None and (cell in ids or most is None or len(ids) < most):
            if ids.setdefault(cell, len(ids)) == len(rows):
                rows.append([])
            rows[ids[cell]].append(p)
            assert where == ids[cell]
        else:
            dropped += cell is not None
            assert where == -1
    assert got.coords.tolist() == [list(cell) for cell in ids]
    assert got.true_counts.tolist() == [len(row) for row in rows]
    assert got.accounting["over_voxels"] == dropped
    assert got.accounting["non_finite"] == np.count_nonzero(~np.isfinite(points[:, :3]).all(axis=1))
    assert balanced(got.accounting)
    for row, voxel in zip(rows, got.voxels):
        np.testing.assert_array_equal(voxel[: len(row)], row[:t])
        assert not voxel[len(row) :].any()


@pytest.mark.parametrize("n", [511, 512, 513, 5000])
@pytest.mark.parametrize("most", [1, 300, 513, None])
@pytest.mark.parametrize("cells", [4, 40, 4000])
def test_blocks_of_points_and_tables_that_grow(n, most, cells):
    """For every way to a voxel and wherever the room for voxels ends."""
    points = np.random.default_rng(n).random((n, 4), np.float32) * np.float32(min(cells, 20))
    points[::7] = points[3]
    points[5, 1], points[-1, 0] = np.nan, -1
    ends = (0, 0, 0, cells, cells, min(cells, 200))
    got = fastdl.voxelize(points, 1.0, ends, max_points=2, max_voxels=most, axes="xyz")
    assert_point_by_point(got, points, most, 2)


def runs(rng, n, columns, dtype):
    """Points that stay in a cell for a while, some nowhere: runs end anywhere beside the borders of vectors."""
    places = rng.random((n, columns)) * [30, 30, 30, *[1] * (columns - 3)]
    points = np.repeat(places, rng.integers(1, 40, n), axis=0)[:n].astype(dtype)
    points[rng.random(n) < 0.1, 0] = np.nan
    points[rng.random(n) < 0.1, 2] = -1
    points[n // 3 : n // 2, 1] = -1
    return points


@pytest.mark.parametrize("n", [1, 2, 15, 16, 17, 31, 33, 513, 527, 1024, 1041, 3001])
@pytest.mark.parametrize(("columns", "dtype"), [(3, np.float32), (4, np.float32), (7, np.float32), (4, np.float64)])
@pytest.mark.parametrize("cells", [40, 1000])
def test_runs_of_points_in_a_cell(n, columns, dtype, cells):
    rng = np.random.default_rng(n)
    for most in (None, 1, 7, 40):
        points = runs(rng, n, columns, dtype)
        got = fastdl.voxelize(points, 1.0, (0, 0, 0, cells, cells, cells), max_points=3, max_voxels=most, axes="xyz")
        assert_point_by_point(got, points, most, 3)


def test_a_table_keeps_nothing_of_the_clouds_before():
    """Its slots are not cleared between clouds: cells come again in another order, and the table grows and shrinks."""
    rng, ends = np.random.default_rng(1), (0, 0, 0, 1000, 1000, 1000)
    voxelizer = fastdl.Voxelizer(1.0, ends, max_points=2, axes="xyz")
    for n in (600, 5000, 700, 20_000, 513, 5000, 5000, 600):
        wide = np.float32(rng.choice([5, 20, 1000]))
        points = rng.random((n, 4), np.float32) * wide
        assert_point_by_point(voxelizer(points), points, None, 2)
        assert_point_by_point(voxelizer(points[::-1]), points[::-1], None, 2)


def test_numbers_in_a_table_begin_anew_before_they_come_to_32_bits():
    rng = np.random.default_rng(2)
    voxelizer = fastdl.Voxelizer(1.0, (0, 0, 0, 1000, 1000, 1000), max_points=2, axes="xyz")
    voxelizer(rng.random((2000, 4), np.float32) * 30)
    for before in (2**31 - 1000, 2**32 - 5000, 2**32 - 2001, 2**32 - 2000, 2**32 - 1):
        voxelizer._workspace.scratch.used = before
        for _ in range(3):
            points = rng.random((2000, 4), np.float32) * np.float32(30)
            assert_point_by_point(voxelizer(points), points, None, 2)
            assert voxelizer._workspace.scratch.used < 2**32


def test_a_call_that_fails_leaves_nothing_in_the_table():
    points = np.random.default_rng(3).random((3000, 4), np.float32) * np.float32(30)
    voxelizer = fastdl.Voxelizer(1.0, (0, 0, 0, 1000, 1000, 1000), max_points=2, axes="xyz", max_bytes=60_000)
    for _ in range(3):
        with pytest.raises(fastdl.errors.InputError, match="max_bytes"):
            voxelizer(points)
        assert_point_by_point(voxelizer(points[:600]), points[:600], None, 2)
