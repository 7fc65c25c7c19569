"""Clouds in files: reading them against other libraries, LZF against its reference, down-sampling from file to file."""

import numpy as np
import pytest

from fastdl.cli import main
from fastdl.files.points.clouds import open_points
from tests import points_cloud_files

POINTS = 1_000_000
XYZ = np.dtype([(axis, "<f4") for axis in "xyz"])


def scan(n=POINTS):
    return np.ascontiguousarray(points_cloud_files.cloud(n)[["x", "y", "z"]]).astype(XYZ)


def everything(path):
    reader = open_points(path)
    out = np.empty((reader.points, 3))
    start = 0
    for chunk in reader.chunks(1 << 18):
        out[start : start + len(chunk)] = reader.table(chunk, ("x", "y", "z"))
        start += len(chunk)
    return out


@pytest.mark.parametrize("who", ["fastdl", "open3d"])
@pytest.mark.parametrize("kind", ["pcd binary", "pcd compressed", "ply binary", "ply ascii", "pcd ascii"])
def bench_read(compare, tmp_path, kind, who):
    open3d = pytest.importorskip("open3d")
    x = scan()
    path = tmp_path / f"x.{kind[:3]}"
    cloud = open3d.geometry.PointCloud(
        open3d.utility.Vector3dVector(np.column_stack([x[a] for a in "xyz"]).astype(float))
    )
    open3d.io.write_point_cloud(str(path), cloud, write_ascii="ascii" in kind, compressed="compressed" in kind)
    want = np.asarray(open3d.io.read_point_cloud(str(path)).points)
    if who == "fastdl":
        run = lambda: everything(path)
    else:
        run = lambda: np.asarray(open3d.io.read_point_cloud(str(path)).points)
    # In text Open3D writes ten digits, and reads what we read as the float32 that the header says.
    check = lambda got: np.testing.assert_allclose(got, want, rtol=1e-7 if kind == "pcd ascii" else 0)
    compare(f"read {kind}, {len(x)} points", who, run, items=len(x), check=check)


@pytest.mark.parametrize("who", ["fastdl", "laspy"])
@pytest.mark.parametrize("ending", ["las", "laz"])
def bench_read_las(compare, tmp_path, ending, who):
    laspy = pytest.importorskip("laspy")
    path = tmp_path / f"x.{ending}"
    points_cloud_files.las(path, POINTS, compressed=ending == "laz")
    run = (lambda: everything(path)) if who == "fastdl" else (lambda: laspy.read(path).xyz)
    check = lambda got: np.testing.assert_array_equal(got, laspy.read(path).xyz)
    compare(f"read {ending} coordinates, {POINTS} points", who, run, items=POINTS, check=check)


def by_pandas(source, target, size):
    """Means of all columns by a table of pandas, classes left out: what one writes without fastdl."""
    laspy, pandas = pytest.importorskip("laspy"), pytest.importorskip("pandas")
    las = laspy.read(source)
    table = pandas.DataFrame(las.points.array)
    cells = [(table[axis].astype("int64") * 1000) // int(size * 1e6) for axis in "XYZ"]
    means = table.groupby(cells, sort=False).mean()
    made = laspy.LasData(las.header)
    made.points = laspy.ScaleAwarePointRecord.zeros(len(means), header=las.header)
    for name in table:
        made.points.array[name] = np.rint(means[name])
    made.write(target)


@pytest.mark.parametrize("who", ["fastdl", "laspy + lazrs, decode and encode alone"])
@pytest.mark.parametrize("size", ["0.15", "1"])
def bench_downsample_compressed_file(compare, tmp_path, size, who):
    """Against the time to decode the file and encode the result, which nobody can go below."""
    laspy = pytest.importorskip("laspy")
    source, target = tmp_path / "x.laz", tmp_path / "y.laz"
    points_cloud_files.las(source, POINTS, compressed=True)
    arguments = ["downsample", str(source), "-o", str(target), "--voxel-size", size, "--overwrite", "--quiet"]
    if who == "fastdl":
        run = lambda: main(arguments)
    else:
        assert main(arguments) == 0
        result = laspy.read(target)
        run = lambda: (laspy.read(source), result.write(str(tmp_path / "z.laz")))
    compare(f"downsample laz to laz, {POINTS} points, {size} m", who, run, items=POINTS)


@pytest.mark.parametrize("who", ["fastdl", "fastdl 16 MB", "laspy + pandas"])
def bench_downsample_file(compare, tmp_path, who):
    points_cloud_files.las(tmp_path / "x.las", POINTS)
    memory = "16MB" if "16" in who else "2GiB"
    if who == "laspy + pandas":
        run = lambda: by_pandas(tmp_path / "x.las", tmp_path / "y.las", 1)
        compare(f"downsample las to las, {POINTS} points", who, run, items=POINTS)
        return
    arguments = [
        "downsample",
        str(tmp_path / "x.las"),
        "-o",
        str(tmp_path / "y.las"),
        "--voxel-size",
        "1",
        "--overwrite",
    ]
    compare(
        f"downsample las to las, {POINTS} points",
        who,
        lambda: main([*arguments, "--max-bytes", memory, "--quiet"]),
        items=POINTS,
    )


@pytest.mark.parametrize("who", ["fastdl", pytest.param("laspy + pandas", marks=pytest.mark.more)])
@pytest.mark.parametrize("size", ["0.15", "1", "5"])
def bench_downsample_large_file(compare, tmp_path, size, who):
    """9.8 M, 1.3 M and some 30 k voxels, all attributes; pandas takes minutes where nearly every point is a voxel."""
    n, source, target = 10 * POINTS, tmp_path / "x.las", tmp_path / "y.las"
    if who != "fastdl" and size == "0.15":
        pytest.skip("minutes")
    points_cloud_files.las(source, n)
    arguments = ["downsample", str(source), "-o", str(target), "--voxel-size", size, "--overwrite", "--quiet"]
    run = (lambda: main(arguments)) if who == "fastdl" else (lambda: by_pandas(source, target, float(size)))
    compare(f"downsample las to las, {n} points, {size} m", who, run, items=n)
