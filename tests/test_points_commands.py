"""voxelize and downsample on every kind of file, good and bad, and in bounded memory."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import fastdl
from fastdl.cli import main
from fastdl.cli._cloud_columns import natural
from fastdl.files.points.clouds import open_points
from tests import points_cloud_files

X = points_cloud_files.cloud()
RANGE, RANGE_TEXT = (-20, -10, -2, 20, 30, 2), "-20,-10,-2,20,30,2"
SIZE, SIZE_TEXT = (0.5, 0.5, 1.0), "0.5,0.5,1"


def text(numbers):
    return ",".join(map(str, numbers))


def downsample(source, target, *options, size="1"):
    return main(["downsample", str(source), "-o", str(target), "--voxel-size", size, *options])


def voxelize(source, target, *options, size=SIZE_TEXT, ends=RANGE_TEXT):
    return main(["voxelize", str(source), "-o", str(target), "--voxel-size", size, "--range", ends, *options])


def table(path):
    reader = open_points(path)
    return reader, np.concatenate([reader.table(c) for c in reader.chunks(1 << 20)])


# voxelize


@pytest.mark.parametrize("name", ["kitti.bin", "compressed.pcd", "big.ply", "plain.npy", "columns.npz"])
def test_voxelize_gives_what_the_function_gives(tmp_path, capsys, name):
    path = points_cloud_files.write_all(tmp_path, X)[name]
    assert voxelize(path, tmp_path / "v.npz", "--max-points", "2", "--max-voxels", "300") == 0
    want = fastdl.voxelize(points_cloud_files.floats(X), SIZE, RANGE, max_points=2, max_voxels=300)
    with np.load(tmp_path / "v.npz") as got:
        assert got["voxels"].dtype == np.float32
        for field in ("voxels", "coords", "counts", "true_counts", "inverse"):
            np.testing.assert_array_equal(got[field], getattr(want, field))
        assert {k: int(got["accounting"][k]) for k in got["accounting"].dtype.names} == want.accounting
        assert got["columns"].tolist() == ["x", "y", "z", "intensity"]
    out = capsys.readouterr().out
    assert f"1000 points in, {want.accounting['kept']} kept" in out
    assert f"{want.accounting['over_voxels']} over voxels; 300 voxels" in out


def test_voxelize_columns_and_order(tmp_path):
    path = points_cloud_files.write_all(tmp_path)["nuscenes.pcd.bin"]
    assert voxelize(path, tmp_path / "v.npz", "--columns", "ring", "--order", "sorted") == 0
    with np.load(tmp_path / "v.npz") as got:
        assert got["voxels"].shape[2] == 4
        assert (np.diff(np.ravel_multi_index(got["coords"].T, (4, 80, 80))) > 0).all()
    assert voxelize(path, tmp_path / "w.npz", "--columns", "") == 0
    assert np.load(tmp_path / "w.npz")["voxels"].shape[2] == 3


def test_voxelize_las_by_its_integers(tmp_path):
    pytest.importorskip("lazrs")
    a = points_cloud_files.las(tmp_path / "a.las", scale=0.01)
    reader, points = table(tmp_path / "a.las")
    low = np.floor(points[:, :3].min(axis=0)) + 0.5  # some are out of range
    ends = [*low, low[0] + 8, low[1] + 20, low[2] + 40]
    assert voxelize(tmp_path / "a.las", tmp_path / "v.npz", size="0.2,0.2,0.5", ends=text(ends)) == 0
    step, inside, cells = (20, 20, 50), np.ones(len(a), bool), np.zeros((len(a), 3), int)
    for k, axis in enumerate("XYZ"):
        shift = round((reader.offsets[k] - low[k]) * 100)
        cells[:, k] = [(int(v) + shift) // step[k] for v in a[axis]]
        inside &= (cells[:, k] >= 0) & (cells[:, k] < (40, 100, 80)[k])
    with np.load(tmp_path / "v.npz") as got:
        assert int(got["accounting"]["kept"]) == inside.sum() < len(a)
        np.testing.assert_array_equal(got["inverse"] >= 0, inside)
        np.testing.assert_array_equal(got["coords"][got["inverse"][inside]][:, ::-1], cells[inside])
        first = np.flatnonzero(got["inverse"] == 0)[: got["counts"][0]]
        np.testing.assert_allclose(got["voxels"][0, : len(first), :3], points[first, :3], rtol=0, atol=1e-8)
        np.testing.assert_array_equal(got["voxels"][0, : len(first), 3], a["intensity"][first])
        assert not got["voxels"][got["counts"] == 1][:, 1:].any()


@pytest.mark.parametrize(
    ("size", "ends", "words"),
    [
        ("0", RANGE_TEXT, "voxel_size must be"),
        ("-1", RANGE_TEXT, "voxel_size must be"),
        ("nan", RANGE_TEXT, "voxel_size must be"),
        ("1", "0,0,0,-1,1,1", "point_range"),
        ("1", "0,0,0,inf,1,1", "point_range"),
        ("1e-6", "0,0,0,1e5,1e5,1e5", "grid"),
        ("1e-9", "0,0,0,1e3,1e3,1e3", "grid"),
    ],
)
def test_voxelize_settings_that_cannot_be(tmp_path, capsys, size, ends, words):
    path = points_cloud_files.write_all(tmp_path)["kitti.bin"]
    assert voxelize(path, tmp_path / "v.npz", size=size, ends=ends) == 1
    assert words in capsys.readouterr().err
    assert not (tmp_path / "v.npz").exists()


def test_wrong_options_say_so(tmp_path, capsys):
    path = points_cloud_files.write_all(tmp_path)["kitti.bin"]
    for options, words in [
        (["--voxel-size", "1,2", "--range=0,0,0,1,1,1"], "needs 1 or 3 numbers, got 2"),
        (["--voxel-size", "a", "--range=0,0,0,1,1,1"], "is not numbers"),
        (["--voxel-size", "1", "--range=0,0,0,1,1"], "needs 6 numbers, got 5"),
        (["--voxel-size", "1"], "--range"),
    ]:
        with pytest.raises(SystemExit, match="2"):
            main(["voxelize", str(path), "-o", "v.npz", *options])
        assert words in capsys.readouterr().err
    for memory in ("lots", "0", "-5", "1XB"):
        with pytest.raises(SystemExit, match="2"):
            downsample(path, tmp_path / "d.ply", f"--max-bytes={memory}")
    for options, words in [
        (["--max-points", "0"], "max_points must be between 1 and 2147483647, got 0"),
        (["--columns", "colour"], "has no column 'colour'; it has x, y, z, intensity"),
    ]:
        assert voxelize(path, tmp_path / "v.npz", *options) == 1
        assert words in capsys.readouterr().err
    assert voxelize(path, tmp_path / "v.npy") == 1
    assert "must end in .npz" in capsys.readouterr().err


# downsample


@pytest.mark.parametrize("ending", ["npz", "npy", "ply"])
def test_downsample_gives_what_the_function_gives(tmp_path, capsys, ending):
    x = X.copy()
    x["x"][7], x["z"][9] = np.nan, np.inf
    path = points_cloud_files.write_all(tmp_path, x)["little.ply"]
    assert downsample(path, tmp_path / f"d.{ending}", "--origin=0.25", size="2,2,4") == 0
    want = fastdl.voxel_downsample(points_cloud_files.floats(x), (2, 2, 4), origin=0.25)
    reader, got = table(tmp_path / f"d.{ending}")
    assert reader.schema["intensity"] == np.float32
    np.testing.assert_array_equal(got[:, :4].astype(np.float32), want)
    assert f"1000 points in, 998 kept, 2 non finite; {len(want)} voxels" in capsys.readouterr().out


@pytest.mark.parametrize("how", ["mean", "first", "last", "nearest", "min", "max", "majority"])
def test_downsample_reductions(tmp_path, how):
    path = points_cloud_files.write_all(tmp_path)["ascii.pcd"]
    assert downsample(path, tmp_path / "d.npy", "--reduce", f"{how},intensity=max", size="4") == 0
    x = points_cloud_files.floats(X).astype(np.float64)
    state = fastdl.VoxelAccumulator(4.0, reduce=[how] * 3 + ["max"]).update(x)
    np.testing.assert_array_equal(np.load(tmp_path / "d.npy"), state.finish().points.astype(np.float32))


def test_downsample_attributes(tmp_path):
    """Measured numbers are averaged, classes voted on, the rest is the first point's."""
    pytest.importorskip("lazrs")
    laspy = pytest.importorskip("laspy")
    a = points_cloud_files.las(tmp_path / "a.laz", compressed=True, fmt=7, version="1.4", extra=True, points=5000)
    assert downsample(tmp_path / "a.laz", tmp_path / "d.laz", size="3") == 0
    source, got = laspy.read(tmp_path / "a.laz"), laspy.read(tmp_path / "d.laz")
    assert got.header.point_format == source.header.point_format
    np.testing.assert_array_equal(got.header.scales, source.header.scales)
    cells = [((a[k].astype(int) + round(o * 1000)) // 3000).tolist() for k, o in zip("XYZ", source.header.offsets)]
    voxels = {}
    for i, cell in enumerate(zip(*cells)):
        voxels.setdefault(cell, []).append(i)
    assert len(got.points) == len(voxels) < 4000
    for row, group in zip(got.points.array, voxels.values()):
        for name in ("intensity", "red", "X", "Z"):
            assert abs(int(row[name]) - np.mean(a[name][group].astype(np.float64))) <= 0.5 + 1e-6
        assert row["gps_time"] == sum(a["gps_time"][group].tolist()) / len(group)
        labels = np.bincount(a["classification"][group])
        assert row["classification"] == labels.argmax()
        for name in ("bit_fields", "point_source_id", "echo"):
            assert row[name] == a[name][group[0]]
        np.testing.assert_array_equal(row["normal"], (sum(a["normal"][group].astype("f8")) / len(group)).astype("f4"))


@pytest.mark.parametrize("ending", ["laz", "npz"])
def test_same_bytes_for_any_memory(tmp_path, ending):
    pytest.importorskip("lazrs")
    points_cloud_files.las(tmp_path / "a.las", points=120_000)
    reader, points = table(tmp_path / "a.las")
    for memory in ("2GiB", "3MB", "200kB"):
        assert downsample(tmp_path / "a.las", tmp_path / f"{memory}.{ending}", "--max-bytes", memory) == 0
    made = [(tmp_path / f"{memory}.{ending}").read_bytes() for memory in ("2GiB", "3MB", "200kB")]
    assert made[0] == made[1] == made[2]
    if ending == "npz":
        cells = np.concatenate([reader.cells(c, [1.0] * 3, [0.0] * 3) for c in reader.chunks(1 << 20)])
        how = [natural(name, reader.schema[name]) for name in reader.columns]
        want = fastdl.VoxelAccumulator(1.0, reduce=how).update(points, cells).finish()
        with np.load(tmp_path / "2GiB.npz") as got:
            np.testing.assert_array_equal(got["coords"], want.coords)
            np.testing.assert_array_equal(got["counts"], want.counts)
            for k, name in enumerate(reader.columns):
                column = want.points[:, k]
                if name in ("x", "y", "z"):  # means of the file's integers, scaled once
                    np.testing.assert_allclose(got[name], column, rtol=1e-14)
                    continue
                whole = reader.schema[name].kind in "iu"
                np.testing.assert_array_equal(got[name], np.rint(column) if whole else column)


def test_downsample_by_a_size_that_is_no_multiple(tmp_path):
    pytest.importorskip("lazrs")
    points_cloud_files.las(tmp_path / "a.las")
    assert downsample(tmp_path / "a.las", tmp_path / "d.npz", size="0.7777") == 0
    _, points = table(tmp_path / "a.las")
    want = fastdl.VoxelAccumulator(0.7777).update(points[:, :3]).finish()
    with np.load(tmp_path / "d.npz") as got:
        np.testing.assert_array_equal(got["coords"], want.coords)
        np.testing.assert_allclose(got["x"], want.points[:, 0], rtol=1e-15)


def test_downsample_settings_that_cannot_be(tmp_path, capsys):
    files = points_cloud_files.write_all(tmp_path)
    far = X.copy()
    far["x"][3] = 1e30
    (tmp_path / "far.bin").write_bytes(far.tobytes())
    wide = X.copy()
    for axis in "xyz":
        wide[axis][3:5] = -1e7, 1e7
    (tmp_path / "wide.bin").write_bytes(wide.tobytes())
    path = files["kitti.bin"]
    for source, size, options, words in [
        (path, "0", [], "voxel_size must be"),
        (path, "1,-1,1", [], "voxel_size must be"),
        (path, "1", ["--reduce", "median"], "--reduce must be one of 'mean'"),
        (path, "1", ["--reduce", "colour=max"], "has no column 'colour'"),
        (path, "1", ["--origin=nan"], "origin"),
        (tmp_path / "far.bin", "1", [], "on axis x"),
        (tmp_path / "wide.bin", "0.001", [], "axis"),
    ]:
        assert downsample(source, tmp_path / "d.ply", *options, size=size) == 1, words
        assert words in capsys.readouterr().err
        assert not (tmp_path / "d.ply").exists()
    assert downsample(path, tmp_path / "d.pkl") == 1
    assert "must end in .npz or .npy or .las or .laz or .ply" in capsys.readouterr().err
    assert downsample(path, tmp_path / "d.copc.laz") == 1
    assert "COPC is read but not written" in capsys.readouterr().err


def test_no_points(tmp_path, capsys):
    files = points_cloud_files.write_all(tmp_path, X[:0])
    for ending in ("npz", "npy", "ply"):
        assert downsample(files["ascii.ply"], tmp_path / f"d.{ending}") == 0
        assert "0 points in, 0 kept; 0 voxels" in capsys.readouterr().out
        assert open_points(tmp_path / f"d.{ending}").points == 0
    assert voxelize(files["ascii.ply"], tmp_path / "v.npz", "--max-points", "5") == 0
    assert np.load(tmp_path / "v.npz")["voxels"].shape == (0, 5, 4)


def test_a_folder_and_a_file_that_fails(tmp_path, capsys):
    pytest.importorskip("lazrs")
    for name in ("a/scan.bin", "b/scan.ply", "b/tile.las", "c/scan.bin"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "in/a/scan.bin").write_bytes(X.tobytes())
    (tmp_path / "in/b/scan.ply").write_bytes(points_cloud_files.ply(X, "ascii"))
    (tmp_path / "in/c/scan.bin").write_bytes(X.tobytes()[:-1])
    points_cloud_files.las(tmp_path / "in/b/tile.las")
    assert downsample(tmp_path / "in", tmp_path / "out", "--jobs", "2") == 1
    said = capsys.readouterr()
    assert "3 files: 4000 points in" in said.out
    assert "; 1 failed" in said.out
    assert f"{tmp_path / 'in/c/scan.bin'} at byte 15999: truncated" in said.err
    made = sorted(p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").glob("*/*"))
    assert made == ["a/scan.ply", "b/scan.ply", "b/tile.las"] or made == ["a/scan.ply", "b/tile.las"]
    assert downsample(tmp_path / "in/a", tmp_path / "out/a") == 1
    assert "exists; --overwrite replaces it" in capsys.readouterr().err


BAD = {
    "kitti.bin": lambda d: d[:-3],
    "nuscenes.pcd.bin": lambda d: d[:-3],
    "plain.npy": lambda d: d[:-3],
    "one.npz": lambda d: d[:-30],
    "ascii.pcd": lambda d: d[: len(d) // 2],
    "binary.pcd": lambda d: d[:-3],
    "compressed.pcd": lambda d: d[:2000] + b"\xff" * 300 + d[2300:],
    "ascii.ply": lambda d: d[: len(d) // 2],
    "little.ply": lambda d: d[: len(d) // 2],
    "big.ply": lambda d: d[:-3],
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("command", [downsample, voxelize])
def test_bad_files_leave_nothing(tmp_path, capsys, name, command):
    path = points_cloud_files.write_all(tmp_path)[name]
    path.write_bytes(BAD[name](path.read_bytes()))
    (tmp_path / "out").mkdir()
    assert command(path, tmp_path / "out" / "d.npz") == 1
    message = capsys.readouterr().err
    assert f"{path} at " in message
    assert "byte " in message or "line " in message
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("ending", ["las", "laz"])
def test_bad_las_leaves_nothing(tmp_path, capsys, ending):
    pytest.importorskip("lazrs")
    path = tmp_path / f"a.{ending}"
    points_cloud_files.las(path, compressed=ending == "laz", points=60_000)
    data = path.read_bytes()
    (tmp_path / "out").mkdir()
    for n in (3, 100, 300, 4000, len(data) // 2, len(data) - 3):
        path.write_bytes(data[:n])
        for command in (downsample, voxelize):
            assert command(path, tmp_path / "out" / "d.npz") == 1
            assert f"{path} at byte " in capsys.readouterr().err
            assert list((tmp_path / "out").iterdir()) == []


LIMITED = """
import json, sys
from pathlib import Path
from fastdl.cli import main
code = main(sys.argv[1:])
status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
print(json.dumps([code, int(status["VmHWM"].split()[0])]))  # ru_maxrss counts what it was forked from
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.skipif(os.environ.get("FASTDL_REFERENCE") == "1", reason="the reference holds the whole cloud")
def test_a_cloud_larger_than_the_memory_given(tmp_path):
    """A million points, a table of 104 MB; FASTDL_TEST_POINTS=30000000 shows 700 MB to be enough for thirty."""
    pytest.importorskip("lazrs")
    points = int(os.environ.get("FASTDL_TEST_POINTS", 1_000_000))
    points_cloud_files.las(tmp_path / "a.las", points=points)
    files = []
    for memory in (8 * points, 1 << 40):
        target = tmp_path / f"{memory}.las"
        arguments = ["downsample", tmp_path / "a.las", "-o", target, "--voxel-size", "1", f"--max-bytes={memory}"]
        done = subprocess.run([sys.executable, "-c", LIMITED, *arguments], capture_output=True, text=True, check=True)
        code, peak = json.loads(done.stdout.splitlines()[-1])
        assert code == 0
        if memory < 1 << 40:
            assert peak * 1024 <= 190e6 + 17 * points
        files.append(target.read_bytes())
    assert files[0] == files[1]


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
@pytest.mark.skipif(os.environ.get("FASTDL_REFERENCE") == "1", reason="the reference does not stop half-way")
def test_ctrl_c_stops_soon_and_leaves_nothing(tmp_path):
    with open(tmp_path / "x.bin", "wb") as file:
        file.truncate(8_000_000_000)  # a hole: no disk is used
    (tmp_path / "out").mkdir()
    arguments = ["downsample", tmp_path / "x.bin", "-o", tmp_path / "out" / "y.ply", "--voxel-size", "1"]
    code = """
import signal, sys
from fastdl.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background is started with it ignored
sys.exit(main())
"""
    with subprocess.Popen([sys.executable, "-c", code, *arguments], stderr=subprocess.PIPE, text=True) as child:
        try:
            time.sleep(1.5)
            assert child.poll() is None
            child.send_signal(signal.SIGINT)
            assert "fastdl: interrupted" in child.communicate(timeout=60)[1]
        finally:
            child.kill()
    assert child.returncode == 130
    assert list((tmp_path / "out").iterdir()) == []


def test_real_files(tmp_path, shared_data, capsys):
    pytest.importorskip("lazrs")
    for name, size, points in (
        ("autzen_trim.laz", "5", 110_000),
        ("lone-star.copc.laz", "0.25", 518_862),
        ("autzen-utm.pcd", "20", 1065),
        ("kitti_000008.bin", "0.2", 17_238),
    ):
        for ending in ("laz", "ply", "npz"):
            target = tmp_path / f"{name.split('.')[0]}.{ending}"
            assert downsample(shared_data / name, target, size=size) == 0
            reader, made = table(target)
            assert f"{points} points in, {points} kept; {reader.points} voxels" in capsys.readouterr().out
            assert 0 < reader.points < points
            low, high = (f(table(shared_data / name)[1][:, :3], axis=0) for f in (np.min, np.max))
            assert (made[:, :3] >= low - 1e-3).all()
            assert (made[:, :3] <= high + 1e-3).all()
    path = shared_data / "kitti_000008.bin"
    ends = (0, -40, -3, 70.4, 40, 1)
    assert voxelize(path, tmp_path / "v.npz", "--max-points", "35", size="0.2,0.2,0.4", ends=text(ends)) == 0
    want = fastdl.voxelize(np.fromfile(path, "<f4").reshape(-1, 4), (0.2, 0.2, 0.4), ends, max_points=35)
    np.testing.assert_array_equal(np.load(tmp_path / "v.npz")["voxels"], want.voxels)
