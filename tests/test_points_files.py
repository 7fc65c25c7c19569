"""Readers and writers of point clouds: the same points from every kind of file, and errors that name the place."""

import itertools
import math
import re
import struct
from contextlib import suppress
from fractions import Fraction

import numpy as np
import pytest

from fastdl import FileError, InputError
from fastdl.files.points.clouds import FORMATS, open_points, write_points
from fastdl.files.points.las import LasReader
from fastdl.files.points.sorted_rows import SortedRowFile, TableRows
from fastdl.files.points.voxel_lattice import lattice
from tests import points_cloud_files

X = points_cloud_files.cloud()


def read(path, chunk=333, **options):
    reader = open_points(path, **options)
    parts = [reader.table(c) for c in reader.chunks(chunk)]
    assert all(len(p) <= chunk for p in parts)
    return reader, np.concatenate(parts) if parts else np.zeros((0, len(reader.columns)))


@pytest.mark.parametrize("chunk", [1, 333, 1000, 4000])
def test_every_kind_gives_the_same_points(tmp_path, chunk):
    for name, path in points_cloud_files.write_all(tmp_path, X[:100]).items():
        reader, table = read(path, chunk)
        assert reader.points == 100
        assert reader.columns[:4] == ("x", "y", "z", "intensity"), name
        np.testing.assert_array_equal(table[:, :4], points_cloud_files.floats(X[:100]).astype(np.float64), err_msg=name)


def test_kinds_are_told_by_what_is_in_them(tmp_path):
    points_cloud_files.write_all(tmp_path)
    for k, name in enumerate(["binary.pcd", "little.ply", "plain.npy", "one.npz"]):
        other = tmp_path / f"{k}.bin"
        (tmp_path / name).rename(other)
        np.testing.assert_array_equal(read(other)[1], points_cloud_files.floats(X).astype(np.float64))


def test_no_points(tmp_path):
    files = points_cloud_files.write_all(tmp_path, X[:0])
    for name in ("ascii.pcd", "binary.pcd", "ascii.ply", "little.ply", "plain.npy", "records.npy", "columns.npz"):
        reader, table = read(files[name])
        assert (reader.points, table.shape) == (0, (0, 4)), name


def test_pcd_fields(tmp_path):
    text = (
        b"VERSION .7\nFIELDS x y z _ rgb normal label\nSIZE 4 4 4 1 4 8 2\nTYPE F F F U F F I\nCOUNT 1 1 1 4 1 2 1\n"
        b"WIDTH 2\nHEIGHT 1\nPOINTS 2\nDATA "
    )
    fields = [("x", "<f4", 3), ("_", "u1", 4), ("rgb", "<u4"), ("normal", "<f8", 2), ("label", "<i2")]
    x = np.array([([1, 2, 3], [9] * 4, 0xFF804020, [0.5, -0.5], -7), ([4, 5, 6], [9] * 4, 1, [1, 2], 300)], fields)
    (tmp_path / "a.pcd").write_bytes(text + b"binary\n" + x.tobytes())
    reader, table = read(tmp_path / "a.pcd")
    assert reader.columns == ("x", "y", "z", "red", "green", "blue", "normal_0", "normal_1", "label")
    assert reader.schema["red"] == np.uint8
    np.testing.assert_array_equal(table[0], [1, 2, 3, 0x80, 0x40, 0x20, 0.5, -0.5, -7])
    (tmp_path / "b.pcd").write_bytes(text + b"ascii\n1 2 3 9 9 9 9 1e-40 0.5 -0.5 -7\n\n4 5 6 9 9 9 9 0 nan inf 300\n")
    colour = np.array([1e-40], np.float32).view(np.uint8)
    np.testing.assert_array_equal(
        read(tmp_path / "b.pcd")[1],
        [[1, 2, 3, *colour[2::-1], 0.5, -0.5, -7], [4, 5, 6, 0, 0, 0, math.nan, math.inf, 300]],
    )
    (tmp_path / "c.pcd").write_bytes(text + b"ascii\n1 2 3 9 9 9 9 4286595104 0.5 -0.5 -7\n4 5 6 9 9 9 9 0 0 0 1\n")
    np.testing.assert_array_equal(read(tmp_path / "c.pcd")[1][0, 3:6], [0x80, 0x40, 0x20])


def test_ply_elements_before_the_vertices(tmp_path):
    before = "element camera 2\nproperty float f\nproperty uchar k\n"
    (tmp_path / "a.ply").write_bytes(points_cloud_files.ply(X, "ascii", before=before, head=b"1.5 2\n2.5 3\n"))
    (tmp_path / "b.ply").write_bytes(points_cloud_files.ply(X, "binary_big_endian", before=before, head=bytes(10)))
    for name in ("a.ply", "b.ply"):
        np.testing.assert_array_equal(read(tmp_path / name)[1], points_cloud_files.floats(X).astype(np.float64))


@pytest.mark.parametrize("ending", FORMATS)
def test_writers_keep_every_column(tmp_path, ending):
    if ending in (".las", ".laz"):
        pytest.importorskip("lazrs")
    rng = np.random.default_rng(1)
    schema = np.dtype(
        [(n, "f8") for n in "xyz"]
        + [("intensity", "u2"), ("red", "u1"), ("green", "u1"), ("blue", "u1"), ("label", "i4"), ("curvature", "f4")]
    )
    table = np.round(rng.normal(0, 100, (30_000, len(schema.names))), 3)
    table[:, 3:7] = rng.integers(0, 256, (30_000, 4))
    table[:, 7] = rng.integers(-(2**31), 2**31, 30_000)
    table[:, 8] = table[:, 8].astype(np.float32)
    if ending == ".bin":
        with pytest.raises(InputError, match=r"a \.bin file holds x, y, z, intensity"):
            write_points(tmp_path / "x.bin", TableRows(table, schema))
        return
    write_points(tmp_path / f"x{ending}", TableRows(table, schema))
    reader, got = read(tmp_path / f"x{ending}", 100_000, layout=schema.names if ending == ".xyz" else None)
    for k, name in enumerate(schema.names):
        column = got[:, reader.columns.index(name)]
        if ending in (".las", ".laz") and name in ("red", "green", "blue"):
            column = column / 256  # LAS has 16 bits
        if name == "curvature":
            column = column.astype(np.float32)
        np.testing.assert_allclose(column, table[:, k], rtol=0, atol=1e-9 if k < 3 else 0, err_msg=name)
    assert [p.name for p in tmp_path.iterdir()] == [f"x{ending}"]


def test_written_by_others_and_back(tmp_path):
    """A PLY and a compressed PCD file that Open3D wrote, and ours in Open3D."""
    open3d = pytest.importorskip("open3d")
    x = points_cloud_files.floats(X)[:, :3].astype(np.float64)
    made = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(x))
    for name, options in (
        ("a.ply", {}),
        ("b.ply", {"write_ascii": True}),
        ("a.pcd", {}),
        ("b.pcd", {"write_ascii": True}),
        ("c.pcd", {"compressed": True}),
    ):
        open3d.io.write_point_cloud(str(tmp_path / name), made, **options)
        atol = 1e-4 if options.get("write_ascii") else 0  # it writes six digits
        np.testing.assert_allclose(read(tmp_path / name)[1][:, :3], x, rtol=0, atol=atol, err_msg=name)
    write_points(tmp_path / "ours.ply", TableRows(x, np.dtype([(n, "f8") for n in "xyz"])))
    np.testing.assert_array_equal(np.asarray(open3d.io.read_point_cloud(str(tmp_path / "ours.ply")).points), x)


def damaged(tmp_path, name, change):
    path = points_cloud_files.write_all(tmp_path)[name]
    path.write_bytes(change(path.read_bytes()))
    return path


def line(old, new):
    def change(data):
        assert old in data
        return data.replace(old, new, 1)

    return change


def cut(n):
    return lambda data: data[:n]


BAD = [
    ("kitti.bin", lambda d: d[:-3], "at byte 15997: truncated: ends within a point of 16 bytes"),
    ("kitti.bin", cut(0), "at byte 0: is empty"),
    ("nuscenes.pcd.bin", lambda d: d[:-4], "at byte 19996: truncated"),
    ("plain.npy", cut(1000), "at byte 1000: truncated: 1000 points of 16 bytes announced, 54 there"),
    ("plain.npy", cut(60), "at byte 0: not a .npy file"),
    ("plain.npy", line(b"(1000, 4)", b"(2000, 2)"), "must hold (N, C >= 3) numbers"),
    ("one.npz", cut(5000), "at byte 5000: not a .npz archive"),
    ("one.npz", lambda d: d[:5000] + bytes(99) + d[5099:], "at byte 0: not a .npz archive"),
    ("columns.npz", line(b"x.npy", b"q.npy"), "not a .npz archive"),
    ("ascii.pcd", lambda d: d[:-400], "at line "),
    (
        "ascii.pcd",
        lambda d: b"\n".join(d.split(b"\n")[:501]),
        "at line 502: truncated: 1000 points announced, 490 there",
    ),
    (
        "ascii.pcd",
        lambda d: b"\n".join([*d.split(b"\n")[:20], b"1 2 x 4", *d.split(b"\n")[21:]]),
        "at line 21: '1 2 x 4'",
    ),
    (
        "ascii.pcd",
        lambda d: b"\n".join([*d.split(b"\n")[:20], b"1 2 3", *d.split(b"\n")[21:]]),
        "at line 21: '1 2 3' is",
    ),
    ("ascii.pcd", line(b"TYPE F", b"TYPE Q"), "field x of TYPE Q, SIZE 4, COUNT 1 cannot be"),
    ("ascii.pcd", line(b"SIZE 4 4", b"SIZE 4"), "4 FIELDS, 3 SIZE, 4 TYPE and 4 COUNT do not agree"),
    ("ascii.pcd", line(b"FIELDS x y", b"FIELDS x q"), "has no column y"),
    ("ascii.pcd", line(b"FIELDS x y z intensity", b"FIELDS x y z z"), "a field is there twice"),
    ("ascii.pcd", line(b"POINTS 1000", b"POINTS 2000"), "WIDTH x HEIGHT is 1000 but POINTS is 2000"),
    ("ascii.pcd", line(b"POINTS 1000", b"POINTS many"), "POINTS many is not a number"),
    ("ascii.pcd", line(b"HEIGHT", b"HEIGTH"), "at line 8: not a line of a PCD header"),
    ("ascii.pcd", line(b"DATA ascii", b"DATA asci"), "DATA asci is not a kind of PCD file"),
    ("ascii.pcd", line(b"TYPE F F F F\n", b""), "its header lacks TYPE"),
    ("binary.pcd", cut(100), "at byte "),
    ("binary.pcd", lambda d: d[:-17], "truncated: 1000 points of 16 bytes announced, 998 there"),
    ("compressed.pcd", lambda d: d[:-1], "bytes of compressed data announced"),
    ("compressed.pcd", lambda d: d[: d.index(b"compressed\n") + 14], "truncated before the sizes"),
    ("compressed.pcd", lambda d: d[:4000] + b"\xff" * 200 + d[4200:], ": its compressed data are corrupt"),
    (
        "compressed.pcd",
        line(b"WIDTH 1000\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS 1000", b"WIDTH 9\nPOINTS 9"),
        "9 points",
    ),
    ("ascii.ply", lambda d: b"\n".join(d.split(b"\n")[:500]), "at line 501: truncated: 1000 points announced"),
    ("ascii.ply", line(b"element vertex 1000", b"element vertex 1001"), "at line 1012: '4 0 1 2 3' is not"),
    ("ascii.ply", cut(60), "truncated within its header"),
    ("ascii.ply", line(b"format ascii 1.0\n", b""), "its header has no format"),
    ("ascii.ply", line(b"property float z", b"property list uchar float z"), "has no column z"),
    ("ascii.ply", line(b"property float z", b"property quad z"), "at line 7: not a line of a PLY header"),
    ("ascii.ply", line(b"float z", b"float x"), "a property is there twice"),
    ("little.ply", line(b"element vertex", b"element vortex"), "has no vertices"),
    ("little.ply", lambda d: d[:-100], "truncated: 1000 points of 16 bytes announced"),
    ("big.ply", lambda d: d[:-1], "truncated: 1000 points of 16 bytes announced, 999 there"),
    ("big.ply", line(b"element vertex 1000", b"element vertex 99999999999"), "truncated: 99999999999 points"),
]


@pytest.mark.parametrize(("name", "change", "words"), BAD)
def test_bad_files(tmp_path, name, change, words):
    path = damaged(tmp_path, name, change)
    with pytest.raises(FileError, match=re.escape(words)) as caught:
        read(path)
    assert str(path) in str(caught.value)


def test_what_is_no_cloud(tmp_path):
    (tmp_path / "x.jpg").write_bytes(b"1 2 3\n")
    with pytest.raises(FileError, match="is not a cloud that can be read"):
        open_points(tmp_path / "x.jpg")
    (tmp_path / "x.las").write_bytes(b"LASX" + bytes(400))
    with pytest.raises(FileError, match="is not a cloud that can be read"):
        open_points(tmp_path / "x.las")
    np.save(tmp_path / "x.npy", np.zeros((3, 4), complex))
    with pytest.raises(FileError, match=r"must hold .N, C >= 3. numbers"):
        open_points(tmp_path / "x.npy")
    with pytest.raises(FileError, match="no such file"):
        open_points(tmp_path / "absent.bin")


def test_damaged_bytes_never_crash(tmp_path):
    """Whatever a damaged file holds: points, or the error that files have."""
    rng = np.random.default_rng(3)
    for path in points_cloud_files.write_all(tmp_path, X[:40]).values():
        good = path.read_bytes()
        for _ in range(60):
            data = bytearray(good[: rng.integers(1, len(good) + 1)] if rng.random() < 0.3 else good)
            for k in rng.integers(0, len(data), rng.integers(1, 4)):
                data[k] = rng.integers(256)
            path.write_bytes(data)
            with suppress(FileError), np.errstate(all="ignore"):
                read(path)


# LAS


@pytest.fixture
def las(tmp_path):
    pytest.importorskip("lazrs")
    return lambda name, **options: (tmp_path / name, points_cloud_files.las(tmp_path / name, **options))


@pytest.mark.parametrize("ending", ["las", "laz"])
@pytest.mark.parametrize("fmt", [0, 1, 3, 6, 7, 8])
def test_las_reads_and_writes_all_fields(las, tmp_path, ending, fmt):
    laspy = pytest.importorskip("laspy")
    version = "1.4" if fmt >= 6 else "1.2"
    path, a = las(f"a.{ending}", compressed=ending == "laz", fmt=fmt, version=version, extra=True)
    reader, table = read(path)
    for k, axis in enumerate("XYZ"):
        np.testing.assert_array_equal(table[:, k], a[axis] * 0.001 + reader.offsets[k])
    source = laspy.read(path)
    for name in reader.columns[3:]:
        base, _, part = name.rpartition("_")
        want = np.array(source["normal"][:, int(part)] if base == "normal" else source[name])
        np.testing.assert_array_equal(table[:, reader.columns.index(name)], want.astype(np.float64))
    assert reader.columns[-4:] == ("echo", "normal_0", "normal_1", "normal_2")
    write_points(tmp_path / f"b.{ending}", TableRows(table, reader.schema), like=reader)
    got = laspy.read(tmp_path / f"b.{ending}")
    np.testing.assert_array_equal(got.points.array, a)
    np.testing.assert_array_equal(got.header.maxs, laspy.read(path).header.maxs)


def exact(values, scale, offset, size, origin):
    scale, offset, size, origin = (Fraction(repr(float(v))) for v in (scale, offset, size, origin))
    return [math.floor((int(v) * scale + offset - origin) / size) for v in values]


def test_cells_are_those_of_exact_arithmetic():
    """Sizes that are whole multiples of the scale, that are fractions of it, and that are neither."""
    rng = np.random.default_rng(0)
    ends = [-(2**31), 2**31 - 1]
    x = np.unique(np.concatenate([ends, np.arange(-60, 60), rng.integers(*ends, 60)])).astype(np.int32)
    for scale, size, offset, origin in itertools.product(
        (0.01, 0.001, 0.00025), (0.2, 25.0, 0.7777, 0.0015, 1 / 3), (0.0, -0.0005, 288880.1, 4.9e6), (0.0, 0.03, -1e5)
    ):
        got = lattice([scale] * 3, [offset] * 3, [size] * 3, [origin] * 3).cells(x, x, x)
        assert got[:, 0].tolist() == exact(x, scale, offset, size, origin)
    with pytest.raises(InputError, match="within 2"):
        lattice([1.0] * 3, [0.0] * 3, [1e-30] * 3, [0.0] * 3).cells(x, x, x)


def test_reader_gives_the_cells_of_its_integers(las):
    path, a = las("a.las", scale=0.01)
    reader = open_points(path)
    chunks = list(reader.chunks(700))
    cells = np.concatenate([reader.cells(c, [0.2, 0.5, 1.0], [0.0, 0.1, 0.0]) for c in chunks])
    for k, (axis, size, origin) in enumerate(zip("XYZ", (0.2, 0.5, 1.0), (0.0, 0.1, 0.0))):
        assert cells[:, k].tolist() == exact(a[axis], 0.01, reader.offsets[k], size, origin)
    part = reader.cells(chunks[0], [0.015] * 3, [0.0] * 3)
    assert part[:, 0].tolist() == exact(a["X"][: len(part)], 0.01, reader.offsets[0], 0.015, 0.0)
    assert open_points(path).cells(chunks[0][:0], [0.2] * 3, [0.0] * 3).shape == (0, 3)


@pytest.mark.parametrize("ending", ["las", "laz"])
def test_truncated_and_corrupt_las(las, ending, capfd):
    path, _ = las(f"a.{ending}", compressed=ending == "laz", points=120_000)
    good = path.read_bytes()
    cuts = [4, 50, 200, 300, 5000, len(good) // 2, len(good) - 5]
    for n in cuts:
        path.write_bytes(good[:n])
        with pytest.raises(FileError, match=r"at byte \d+: .*(truncated|not a LAS)") as caught:
            read(path, 50_000)
        assert str(path) in str(caught.value)
    for place, new in ((104, b"\x63"), (105, b"\x01\x00"), (131, struct.pack("<d", math.nan)), (96, b"\xff\xff\xff")):
        path.write_bytes(good[:place] + new + good[place + len(new) :])
        with pytest.raises(FileError, match=re.escape(str(path))):
            read(path, 50_000)


def test_corrupt_laz_is_noticed(las):
    path, _ = las("a.laz", compressed=True, points=120_000)
    good, rng = path.read_bytes(), np.random.default_rng(0)
    for _ in range(10):
        at = int(rng.integers(600, len(good) // 2))
        path.write_bytes(good[:at] + rng.bytes(64) + good[at + 64 :])
        with pytest.raises(FileError, match=r"a.laz at byte \d+: .*corrupt"):
            read(path, 50_000)


def test_bounds_of_a_header_that_is_wrong(las):
    path, a = las("a.laz", compressed=True)
    data = bytearray(path.read_bytes())
    data[179:187] = struct.pack("<d", 500000.0)  # the greatest x
    path.write_bytes(data)
    with pytest.raises(FileError, match=r"X of point .* outside the bounds its header gives"):
        read(path)
    assert len(read(path, bounds=False)[1]) == len(a)


def test_las_of_what_does_not_fit(tmp_path):
    pytest.importorskip("lazrs")
    table = np.array([[0, 0, 0], [1e300, 0, 0]], np.float64)
    write_points(tmp_path / "a.las", TableRows(table[:1], np.dtype([(n, "f8") for n in "xyz"])))
    like = LasReader(tmp_path / "a.las")
    wide = np.hstack([table, np.zeros((2, len(like.columns) - 3))])
    with pytest.raises(InputError, match="x does not fit in a LAS file"):
        write_points(tmp_path / "b.las", TableRows(wide, like.schema), like=like)
    assert not (tmp_path / "b.las").exists()


def test_real_files(shared_data):
    pytest.importorskip("lazrs")
    sizes = {
        "autzen_trim.laz": 110_000,
        "lone-star.copc.laz": 518_862,
        "autzen-utm.pcd": 1065,
        "kitti_000008.bin": 17_238,
    }
    for name, points in sizes.items():
        reader, table = read(shared_data / name, 100_000)
        assert (reader.points, len(table)) == (points, points)
        assert np.isfinite(table[:, :3]).all()


# Rows on their way to a file


def test_spool_gives_rows_in_the_order_of_their_keys():
    rng = np.random.default_rng(0)
    schema = np.dtype([("x", "f8"), ("y", "f8"), ("z", "f8"), ("k", "i4"), ("count", "i8")])
    keys = np.sort(rng.choice(3_000_000, 700_000, replace=False))
    table = np.column_stack([keys, -keys, keys % 7, keys]).astype(np.float64)
    part = rng.integers(0, 5, len(keys))
    spool = SortedRowFile(schema)
    for p in range(6):  # the last is empty
        mine, columns = keys[part == p], [*table[part == p].T, keys[part == p] * 2]

        def rows(start, stop, columns=columns):
            return np.rec.fromarrays([c[start:stop] for c in columns], dtype=schema).view(np.ndarray)

        ends = (table[part == p, :3].min(axis=0), table[part == p, :3].max(axis=0)) if len(mine) else (None, None)
        spool.add(mine, rows, ends)
    for _ in range(2):
        got = np.concatenate(list(spool.blocks()))
        np.testing.assert_array_equal(got["x"], keys)
        np.testing.assert_array_equal(got["k"], keys)
        np.testing.assert_array_equal(got["count"], keys * 2)
    assert (spool.low[0], spool.high[0]) == (keys[0], keys[-1])
    spool.close()
