"""Results in a dtype that holds them, columns in their own types, and what else clouds of other programs bring."""

import os
import threading
import warnings
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

import fastdl
from fastdl.points._key_table import KeyTable
from fastdl.points._spill import Spill
from tests.cases_points import cloud

RECORD = np.dtype([("x", "f8"), ("y", "f8"), ("z", "f8"), ("t", "i8"), ("id", "u8"), ("label", "u1"), ("on", "?")])


def records(n=500, seed=0):
    rng = np.random.default_rng(seed)
    made = np.empty(n, RECORD)
    for axis in "xyz":
        made[axis] = rng.uniform(-2, 2, n)
    made["t"] = 2**60 + rng.integers(0, 1000, n)
    made["id"] = 2**63 + rng.integers(0, 5, n).astype("u8")
    made["label"], made["on"] = rng.integers(0, 256, n), rng.random(n) < 0.5
    return made


def test_counts_of_small_integers():
    assert fastdl.voxel_reduce(np.zeros((300, 3), np.uint8), 1.0, reduce=[(0, "count")]).points.tolist() == [[300]]
    assert fastdl.voxel_reduce(np.zeros((40000, 3), np.int16), 1.0, reduce=[(0, "count")]).points.tolist() == [[40000]]
    grid = fastdl.voxel_grid(np.zeros((300, 3), np.uint8), 1.0, (0, 0, 0, 1, 1, 1), reduce=[(0, "count")])
    assert grid.ravel().tolist() == [300]
    state = fastdl.VoxelAccumulator(1.0, reduce=[(0, "count")]).update(np.zeros((300, 3), np.uint8))
    assert state.finish().points.tolist() == [[300]]


@pytest.mark.parametrize(
    ("ignore", "want", "dtype"), [(-1, -1, "i2"), (255, 255, "u1"), (0.5, 0.5, "f8"), (1000, 1000, "u2")]
)
def test_ignore_is_held(ignore, want, dtype):
    points = np.array([[0, 0, 0, 1], [0, 0, 0, 2]], np.uint8)
    got = fastdl.voxel_reduce(points, 1.0, reduce=[(3, "consensus")], ignore=ignore).points
    assert (got.tolist(), got.dtype) == ([[want]], np.dtype(dtype))
    grid = fastdl.voxel_grid(points, 1.0, (0, 0, 0, 2, 1, 1), reduce=[(3, "max")], fill=ignore)
    assert grid.ravel().tolist() == [2, want]


def test_integers_above_2_to_53():
    points = np.zeros((3, 4), np.int64)
    points[:, 3] = 2**60 + 1, 2**60 - 1, 2**60 + 1
    how = ("first", "last", "min", "max", "majority", "nearest", "random")
    got = fastdl.voxel_reduce(points, 1.0, reduce=[(3, name) for name in how])
    assert got.points.dtype == np.int64
    assert got.points[0, :6].tolist() == [2**60 + 1, 2**60 + 1, 2**60 - 1, 2**60 + 1, 2**60 + 1, 2**60 + 1]
    with pytest.raises(fastdl.InputError, match="x, y, z within 2"):
        fastdl.voxel_reduce(points[:, [3, 0, 1]], 1.0)


@pytest.mark.parametrize("order", ["first", "sorted"])
def test_records_as_pandas_groups_them(order):
    made = records()
    plan = [
        ("t", "first"),
        ("t", "max"),
        ("id", "last"),
        ("id", "min"),
        ("x", "median"),
        ("x", "std"),
        ("label", "max"),
    ]
    got = fastdl.voxel_reduce(made, 1.0, reduce=plan, order=order)
    frame = pd.DataFrame({n: made[n] for n in RECORD.names}).assign(voxel=got.inverse).groupby("voxel")
    assert got.points.dtype.names == ("t_first", "t_max", "id_last", "id_min", "x_median", "x_std", "label")
    for (field, name), key in zip(plan, got.points.dtype.names):
        want = frame[field].std(ddof=0) if name == "std" else frame[field].agg(name)
        assert (got.points[key] == want).all() if name != "std" else np.allclose(got.points[key], want, rtol=1e-12)
    assert got.points["id_last"].dtype == np.uint64
    chunked = fastdl.VoxelAccumulator(1.0, reduce=plan, order=order, max_bytes=1)
    for k in range(0, 500, 90):
        chunked.update(made[k : k + 90])
    assert (chunked.finish().points == got.points).all()
    assert (fastdl.VoxelAccumulator.from_bytes(chunked.to_bytes()).finish().points == got.points).all()


def test_fields_at_odd_addresses():
    dtype = np.dtype([("label", "u1"), ("x", "f8"), ("y", "f8"), ("z", "f8"), ("t", "i8")])
    for n in (1, 2, 100):
        made = np.zeros(n, dtype)
        made["t"] = np.arange(n)
        for given in (made, made.astype(dtype.newbyteorder(">")), np.repeat(made, 2)[::2]):
            got = fastdl.voxel_reduce(given, 1.0, reduce=[("t", "max"), ("label", "first"), ("t", "nearest")])
            assert got.points.tolist() == [(n - 1, 0, 0)]


def test_records_of_all_columns():
    made = records(50)
    got = fastdl.voxel_downsample(made, 1.0, reduce="first")
    assert got.dtype == np.dtype([(n, "u1" if n == "on" else RECORD[n]) for n in RECORD.names])
    with pytest.raises(fastdl.InputError, match="fields x, y and z"):
        fastdl.voxel_reduce(made[["x", "y", "t"]], 1.0)
    with pytest.raises(fastdl.InputTypeError, match="numbers"):
        fastdl.voxel_reduce(np.zeros(2, [(n, "f4") for n in "xyz"] + [("name", "U3")]), 1.0)
    with pytest.raises(fastdl.InputTypeError, match="records"):
        fastdl.voxel_grid(made, 1.0, (0, 0, 0, 1, 1, 1))


@pytest.mark.parametrize("name", ["min", "max", "consensus", "majority"])
@pytest.mark.parametrize("values", [(0.0, -0.0), (-0.0, 0.0)], ids=str)
def test_the_sign_of_zero_is_that_of_the_first(name, values):
    points = np.array([[0.5, 0.5, 0.5, v] for v in values])
    got = fastdl.voxel_reduce(points, 1.0, reduce=[(3, name)]).points[0, 0]
    assert np.signbit(got) == (np.signbit(values[0]) and name != "majority")
    a, b = (fastdl.VoxelAccumulator(1.0, reduce=[(3, name)]).update(points[k : k + 1]) for k in (0, 1))
    assert np.signbit(a.merge(b).finish().points[0, 0]) == np.signbit(got)


def test_nearest_of_points_too_far_for_squares():
    points = np.array([[1e200, 0, 0, 7.0], [1e200, 0, 0, 8.0]])
    assert fastdl.voxel_reduce(points, 1e190, reduce=[(3, "nearest")]).points.tolist() == [[7.0]]


def test_lists_and_row_splits():
    clouds = [cloud(np.random.default_rng(k), 50 + k, "float64") for k in range(3)]
    got = fastdl.voxel_reduce(clouds, 1.0, reduce="max")
    split = fastdl.voxel_reduce(np.concatenate(clouds), 1.0, reduce="max", row_splits=[0, 50, 101, 153])
    one = [fastdl.voxel_reduce(c, 1.0, reduce="max") for c in clouds]
    for found in (got, split):
        np.testing.assert_array_equal(found.points, np.concatenate([o.points for o in one]))
        np.testing.assert_array_equal(found.coords[:, 1:], np.concatenate([o.coords for o in one]))
        np.testing.assert_array_equal(found.coords[:, 0], np.repeat([0, 1, 2], [len(o.counts) for o in one]))
        inside = found.inverse >= 0
        np.testing.assert_array_equal(
            found.coords[found.inverse[inside], 0], np.repeat([0, 1, 2], [50, 51, 52])[inside]
        )
    listed = fastdl.voxel_downsample(clouds, 1.0)
    points, splits = fastdl.voxel_downsample(np.concatenate(clouds), 1.0, row_splits=[0, 50, 101, 153])
    for k in range(3):
        np.testing.assert_array_equal(listed[k], fastdl.voxel_downsample(clouds[k], 1.0))
        np.testing.assert_array_equal(points[splits[k] : splits[k + 1]], listed[k])


def test_whole_ranges_are_not_warned_of():
    rng = np.random.default_rng(1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2000):
            size = Fraction(int(rng.integers(1, 400)), 10 ** int(rng.integers(1, 4)))
            low = Fraction(int(rng.integers(-100000, 100000)), 100)
            high = low + int(rng.integers(1, 60000)) * size
            for kind in (float, np.float32):
                if kind(float(low)) < kind(float(high)) - kind(float(size)) and kind is float:
                    fastdl.voxel_coords(np.zeros((1, 3), "f4"), float(size), (float(low),) * 3 + (float(high),) * 3)
    with pytest.warns(UserWarning, match="312.5 voxels on axis x"):
        fastdl.voxel_coords(np.zeros((1, 3), "f4"), (0.16, 1, 1), (-10, 0, 0, 40, 1, 1))


def test_warning_filters_are_left_alone():
    points = cloud(np.random.default_rng(0), 200)
    before = list(warnings.filters)
    work = [
        threading.Thread(target=lambda: [fastdl.voxel_grid(points, 1.0, (0, 0, 0, 4, 4, 4)) for _ in range(50)])
        for _ in range(4)
    ]
    [w.start() for w in work], [w.join() for w in work]
    assert list(warnings.filters) == before


@pytest.mark.parametrize("reduce", [{"a"}, {"a": 1}, 3, [[]], [(0,)], [("t", "max")]], ids=str)
def test_reductions_that_are_none(reduce):
    with pytest.raises((fastdl.InputError, fastdl.InputTypeError)):
        fastdl.voxel_reduce(np.zeros((1, 3)), 1.0, reduce=reduce)


def test_counts_that_int32_would_wrap():
    v = fastdl.voxelize(np.full((3, 3), 0.5), 1.0, (0, 0, 0, 2, 2, 2), max_points=4)
    with pytest.raises(fastdl.InputError, match="counts must be between 0 and 4, got 4294967298"):
        fastdl.voxel_features(v.voxels, np.array([2**32 + 2]), v.coords, 1.0, (0, 0, 0, 2, 2, 2))
    with pytest.raises(fastdl.InputError, match="coords must be"):
        fastdl.voxel_features(v.voxels, v.counts, v.coords.astype(np.int64) + 2**32, 1.0, (0, 0, 0, 2, 2, 2))


def test_pcl_and_open3d_beyond_int64():
    for like in ("pcl", "open3d_t"):
        for far in (1e30, 3e38):
            with pytest.raises(fastdl.InputError, match="axis x"):
                fastdl.voxel_downsample(np.array([[far, 0, 0], [0, 0, 0]], "f4"), 0.1, like=like)


def test_a_seed_for_one_call():
    points = np.random.default_rng(0).uniform(0, 1, (500, 4)).astype("f4")
    voxelizer = fastdl.Voxelizer(1.0, (0, 0, 0, 1, 1, 1), max_points=5, sample="random", seed=1)
    other = fastdl.voxelize(points, 1.0, (0, 0, 0, 1, 1, 1), max_points=5, sample="random", seed=2)
    assert (voxelizer(points, seed=2).voxels == other.voxels).all()
    assert (voxelizer(points).voxels != other.voxels).any()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_spilled_state_in_forked_processes():
    points = np.random.default_rng(0).uniform(0, 20, (200_000, 4)).astype("f4")
    state = fastdl.VoxelAccumulator(0.5, max_bytes=1 << 18)
    for chunk in np.array_split(points[:150_000], 5):
        state.update(chunk)
    assert state._spill is not None
    children = []
    for _ in range(3):
        if (pid := os.fork()) == 0:
            try:
                os._exit(int(state.update(points[150_000:]).finish().counts.sum() != len(points)))
            finally:
                os._exit(2)
        children.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0, 0, 0]
    assert state.update(points[150_000:]).finish().counts.sum() == len(points)


def test_points_that_could_not_be_set_aside(monkeypatch):
    spill = Spill(3, np.dtype("f4"), 0)
    rows = np.arange(5), np.arange(15).reshape(5, 3), np.zeros((5, 3), "f4")
    spill.write(*rows)
    part = int(np.argmax(spill.sizes))
    os.ftruncate(spill.files[part].fileno(), spill.sizes[part] - 1)
    with pytest.raises(fastdl.FileError, match="bytes of points were set aside"):
        list(spill.read(part))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(fastdl.FileError, match="could not be set aside: No space left"):
        spill.write(*rows)


@pytest.mark.parametrize("dtype", ["u4", "u8"])
@pytest.mark.parametrize("step", [1, 1597, 10946, 1 << 16, 1 << 20])
def test_no_grid_fills_one_place_of_a_table(dtype, step):
    keys = (np.arange(4000, dtype=np.uint64) * np.uint64(step)).astype(dtype)
    table, ids = KeyTable(np.dtype(dtype), 32), np.empty(4000, np.int32)
    table.assign(keys, ids)
    assert (ids == np.arange(4000)).all()
    assert table.bits <= 15


def test_keys_made_to_collide():
    first, second, ones = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93, 2**64 - 1
    back = [pow(m, -1, 2**64) for m in (first, second)]
    keys = []
    for k in range(1, 3000):  # the inverse of the mix: all top bits are the same
        h = k * back[1] & ones
        keys.append((h ^ (h >> 32)) * back[0] & ones)
    table, ids = KeyTable(np.dtype(np.uint64), 32), np.empty(len(keys), np.int32)
    table.assign(np.array(keys, np.uint64), ids)
    assert (ids == np.arange(len(keys))).all()
    assert len(table.slots) <= 2 << 20


def test_states_as_bytes_refuse_what_they_are_not():
    state = fastdl.VoxelAccumulator(1.0, reduce=[(0, "mean"), (4, "majority")]).update(
        cloud(np.random.default_rng(0), 99)
    )
    data = state.to_bytes()
    again = fastdl.VoxelAccumulator.from_bytes(data).finish()
    assert (again.points == state.finish().points).all()
    rng = np.random.default_rng(0)
    for _ in range(100):
        wrong = bytearray(data)
        wrong[rng.integers(len(wrong))] ^= 1 << rng.integers(8)
        with pytest.raises(fastdl.InputError):
            fastdl.VoxelAccumulator.from_bytes(wrong)
    with pytest.raises(fastdl.InputError, match="must begin"):
        fastdl.VoxelAccumulator.from_bytes(b"")
