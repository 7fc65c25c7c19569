"""Clouds as other programs write them: kinds of files that were once read wrong, with the right values."""

import struct

import numpy as np
import pytest

from fastdl.errors import FileError, InputError
from fastdl.files import open_points, write_points
from fastdl.files.npy import write_npy_header
from fastdl.files.points.sorted_rows import SortedRowFile, TableRows
from tests import points_cloud_files
from tests.test_points_lzf import compress

XYZ = np.dtype([(n, "f8") for n in "xyz"])


def read(path, **options):
    reader = open_points(path, **options)
    return reader, np.concatenate([reader.rows(c) for c in reader.chunks(7)] or [np.zeros(0, reader.schema)])


def refused(path, words, **options):
    with pytest.raises(FileError, match=words) as caught:
        read(path, **options)
    assert str(path) in str(caught.value)


# PCD


def test_compressed_fields_of_several_values_stand_a_point_at_a_time(tmp_path):
    x = np.zeros(4, [("xyz", "<f4", 3), ("normal", "<f4", 3), ("i", "<f4")])
    x["xyz"], x["normal"], x["i"] = np.arange(12).reshape(4, 3), 100 + np.arange(12).reshape(4, 3), [1, 2, 3, 4]
    head = (
        "VERSION 0.7\nFIELDS x y z normal i\nSIZE 4 4 4 4 4\nTYPE F F F F F\nCOUNT 1 1 1 3 1\nWIDTH 4\nHEIGHT 1\nDATA "
    )
    planes = b"".join([*(x["xyz"][:, k].tobytes() for k in range(3)), x["normal"].tobytes(), x["i"].tobytes()])
    packed = compress(planes)
    (tmp_path / "b.pcd").write_bytes(f"{head}binary\n".encode() + x.tobytes())
    sizes = struct.pack("<II", len(packed), len(planes))
    (tmp_path / "c.pcd").write_bytes(f"{head}binary_compressed\n".encode() + sizes + packed)
    for name in ("b.pcd", "c.pcd"):
        _, rows = read(tmp_path / name)
        got = np.stack([rows[f"normal_{k}"] for k in range(3)], axis=1)
        np.testing.assert_array_equal(got, x["normal"], err_msg=name)


@pytest.mark.parametrize("count", ["1²", "9" * 4301, "-1", "1e3", "٣", "0x3"])
def test_counts_are_decimal_digits(tmp_path, count):
    pcd = points_cloud_files.pcd(points_cloud_files.cloud(3), "ascii").decode()
    (tmp_path / "a.pcd").write_text(pcd.replace("POINTS 3", f"POINTS {count}"), encoding="utf-8")
    refused(tmp_path / "a.pcd", "at line .* is not a number of points")
    (tmp_path / "b.pcd").write_text(pcd.replace("COUNT 1", f"COUNT {count}"), encoding="utf-8")
    refused(tmp_path / "b.pcd", "at line .* cannot be")
    ply = points_cloud_files.ply(points_cloud_files.cloud(3), "ascii").decode()
    (tmp_path / "a.ply").write_text(ply.replace("vertex 3", f"vertex {count}"), encoding="utf-8")
    refused(tmp_path / "a.ply", "at line 4: not a line of a PLY header")


# PLY


def test_lists_among_the_properties_of_vertices(tmp_path):
    head = "element vertex 3\nproperty float x\nproperty list uchar int near\nproperty float y\nproperty float z\n"
    rows = [(1, [7, 8], 2, 3), (4, [], 5, 6), (7, [1], 8, 9)]
    text = "".join(f"{x} {len(near)} {' '.join(map(str, near))} {y} {z}\n" for x, near, y, z in rows)
    (tmp_path / "a.ply").write_text(f"ply\nformat ascii 1.0\n{head}end_header\n{text}")
    data = b"".join(struct.pack(f"<fB{len(near)}iff", x, len(near), *near, y, z) for x, near, y, z in rows)
    start = f"ply\nformat binary_little_endian 1.0\n{head}end_header\n".encode()
    (tmp_path / "b.ply").write_bytes(start + data)
    for name in ("a.ply", "b.ply"):
        reader, got = read(tmp_path / name)
        assert got.tolist() == [(1, 2, 3), (4, 5, 6), (7, 8, 9)]
        assert reader.remarks == ["lists of its vertices are not read: near"]
    (tmp_path / "b.ply").write_bytes(start + data[:-1])
    refused(tmp_path / "b.ply", "truncated within its vertices")
    (tmp_path / "b.ply").write_bytes(start + data[:4] + b"\xff" + data[5:])
    refused(tmp_path / "b.ply", "at byte .*: a list near of 255 values does not end")


def test_names_are_utf8_and_integers_of_64_bits_fit_or_are_refused(tmp_path):
    line = points_cloud_files.ply(points_cloud_files.cloud(2), "ascii").decode().replace("intensity", "a\u2028b\x85")
    (tmp_path / "line.ply").write_bytes(line.encode())
    assert open_points(tmp_path / "line.ply").columns[3] == "a\u2028b\x85"
    schema = np.dtype([*XYZ.descr, ("größe", "f4"), ("a b", "i8"), ("n", "u8")])
    table = np.array([[1, 2, 3, 4.5, -5, 2**40]], np.float64)
    assert write_points(tmp_path / "a.ply", TableRows(table, schema)) == {"a b": "a_b"}
    reader, got = read(tmp_path / "a.ply")
    assert reader.columns == ("x", "y", "z", "größe", "a_b", "n")
    assert got.tolist() == [(1, 2, 3, 4.5, -5, 2**40)]
    with pytest.raises(InputError, match="PLY file cannot hold column 'n'"):
        write_points(tmp_path / "b.ply", TableRows(table * 2**20, schema))


# arrays


def test_columns_have_names_only_where_the_file_or_the_user_gives_them(tmp_path):
    np.save(tmp_path / "five.npy", np.arange(15.0).reshape(3, 5))
    assert open_points(tmp_path / "five.npy").columns == ("x", "y", "z", "intensity", "column4")
    layout = ["x", "y", "z", "_", "ring"]
    reader, got = read(tmp_path / "five.npy", layout=layout)
    assert reader.columns == ("x", "y", "z", "ring")
    assert got["ring"].tolist() == [4, 9, 14]
    refused(tmp_path / "five.npy", "has 5 columns, the layout names 4", layout=["x", "y", "z", "i"])
    for wrong in (["x", "y", "a", "b", "c"], ["x", "y", "z", "x", "a"], ["x", "y", "z", "", "a"]):
        with pytest.raises(InputError, match="a layout names x, y, z"):
            open_points(tmp_path / "five.npy", layout=wrong)


def test_a_size_that_fits_two_layouts(tmp_path):
    five = np.random.default_rng(0).normal(size=(16, 5)).astype("<f4")
    five[:, 4] = np.arange(16)
    (tmp_path / "a.bin").write_bytes(five.tobytes())
    refused(tmp_path / "a.bin", "four numbers or of five; --layout")
    reader, got = read(tmp_path / "a.bin", layout=["x", "y", "z", "intensity", "ring"])
    assert reader.columns[-1] == "ring"
    assert got["ring"].tolist() == list(range(16))
    (tmp_path / "b.bin").write_bytes(five[:, [0, 1, 2, 3, 3]].tobytes())  # no rings: points of four numbers
    assert open_points(tmp_path / "b.bin").points == 20


def test_records_and_archives_with_columns_of_their_own(tmp_path):
    x = np.zeros(2, [("Z", ">f4"), ("x", "f2"), ("Y", "i8"), ("n", "f4", 2), ("ok", "?"), ("größe", "u8")])
    x["Z"], x["x"], x["Y"], x["n"], x["ok"], x["größe"] = [1, 2], [3, 4], [5, 6], [[7, 8]] * 2, True, 2**63 + 1
    np.save(tmp_path / "a.npy", x)
    reader, got = read(tmp_path / "a.npy")
    assert reader.columns == ("x", "y", "z", "n_0", "n_1", "ok", "größe")
    assert got[1].tolist() == (4, 6, 2, 7, 8, 1, 2**63 + 1)
    names = {"x": np.arange(3.0), "y": np.arange(3.0), "z": np.arange(3.0)}
    np.savez(tmp_path / "a.npz", **names, counts=np.arange(3), text=np.array(["a"] * 3))
    reader, _ = read(tmp_path / "a.npz")
    assert reader.columns == ("x", "y", "z", "counts")
    assert reader.remarks == ["text of shape (3,) is not a column, and left out"]


def test_arrays_that_hold_a_column_after_the_other(tmp_path):
    x = np.asfortranarray(np.arange(40.0).reshape(10, 4))
    np.save(tmp_path / "a.npy", x)
    np.savez(tmp_path / "a.npz", points=x)
    for name in ("a.npy", "a.npz"):
        assert [list(row) for row in read(tmp_path / name)[1].tolist()] == x.tolist()
    data = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(data[:-1])
    refused(tmp_path / "a.npy", "truncated: 10 points of 32 bytes announced, 9 there")


def test_an_archive_of_more_than_it_can_hold(tmp_path):
    np.savez(tmp_path / "a.npz", points=np.zeros((4, 3)))
    data = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(data.replace(b"(4, 3), }", b"(4000000000, 3), }"[:9]))
    refused(tmp_path / "a.npz", "at byte 0")


# text


@pytest.mark.parametrize(
    ("name", "text", "columns"),
    [
        ("a.xyz", "1 2 3\n4 5 6\n", ("x", "y", "z")),
        ("a.xyz", "\r\n  1\t2  3 7 \r\n4 5 6 8\r\n", ("x", "y", "z", "column3")),
        ("a.txt", "//X Y Z R\n1 2 3 9\n4 5 6 9", ("x", "y", "z", "R")),
        ("a.txt", "# x y z label\n1 2 3 9\n\n4 5 6 9\n", ("x", "y", "z", "label")),
        ("a.csv", "\ufeffx,y,z,i\n1,2,3,4\n4,5,6,\n", ("x", "y", "z", "i")),
        ("a.csv", '"z";"y";"x"\n3;2;1\n6;5;4\n', ("x", "y", "z")),
        ("a.pts", "2\n1 2 3 9 9 9 9\n4 5 6 9 9 9 9\n", ("x", "y", "z", "column3", "column4", "column5", "column6")),
    ],
)
def test_text_with_any_separator_and_heading(tmp_path, name, text, columns):
    (tmp_path / name).write_bytes(text.encode())
    reader, got = read(tmp_path / name)
    assert reader.columns == columns
    assert reader.points == 2
    assert [got[axis].tolist() for axis in "xyz"] == [[1, 4], [2, 5], [3, 6]]


def test_text_that_is_none(tmp_path):
    path = tmp_path / "a.csv"
    for text, words in [
        ("x,y,z\n1,2,3\n1,two,3\n", "at line 3: '1,two,3' is not 3 numbers"),
        ("x,y,z\n1,2,3\n1,2\n", "at line 3: '1,2' is not 3 numbers"),
        ("x,y,z\n1,2,3,4\n", "at line 2: 3 names stand before 4 numbers"),
        ("a,b\n1,2\n", "at line 2: a point takes 3 numbers or more"),
        ("# 1\n", "a point takes 3 numbers or more"),
        ("1 " * 40_000, "a line of more than 65536 bytes"),
        ("x,y,z\n1,2,3\n" + "1" * 3_000_000, "a line of more than"),
    ]:
        path.write_text(text)
        refused(path, words)


def test_text_without_a_row(tmp_path):
    (tmp_path / "a.csv").write_text("x,y,z,label\n")
    reader, got = read(tmp_path / "a.csv")
    assert (reader.columns, len(got)) == (("x", "y", "z", "label"), 0)


def test_long_integers_in_text_are_exact(tmp_path):
    (tmp_path / "a.csv").write_text("x,y,z,t\n1,2,3,1700000000123456789\n1,2,3,1700000000123456791\n")
    assert read(tmp_path / "a.csv")[1]["t"].tolist() == [1700000000123456789, 1700000000123456791]


# E57


def test_scans_of_an_e57_file_follow_each_other(tmp_path):
    pye57 = pytest.importorskip("pye57")
    with pye57.E57(str(tmp_path / "a.e57"), mode="w") as file:
        for k in range(2):
            xyz = {f"cartesian{axis}": np.arange(5.0) + 10 * k + j for j, axis in enumerate("XYZ")}
            colours = {f"color{c}": np.full(5, k + j, np.uint8) for j, c in enumerate(("Red", "Green", "Blue"))}
            file.write_scan_raw(
                {**xyz, **colours, "intensity": np.linspace(0, 1, 5)}, translation=np.array([100.0, 0, 0])
            )
    reader, got = read(tmp_path / "a.e57")
    assert reader.points == 10
    assert reader.columns == ("x", "y", "z", "intensity", "red", "green", "blue")
    assert got["x"].tolist() == [*range(100, 105), *range(110, 115)]
    assert got["blue"].tolist() == [2] * 5 + [3] * 5
    (tmp_path / "a.e57").write_bytes((tmp_path / "a.e57").read_bytes()[:100])
    refused(tmp_path / "a.e57", "not an E57 file that can be read")


# files that change, disks that fill


@pytest.mark.parametrize("name", ["kitti.bin", "binary.pcd", "little.ply", "plain.npy", "columns.npz"])
def test_a_file_that_shrinks_while_it_is_read(tmp_path, name):
    path = points_cloud_files.write_all(tmp_path, points_cloud_files.cloud(9000))[name]
    chunks = open_points(path).chunks(10)
    next(chunks)
    with open(path, "r+b") as file:
        file.truncate(path.stat().st_size // 2)
    with pytest.raises(FileError, match=f"{name} at (byte|line)"):
        list(chunks)


def rows_of(n):
    made = np.zeros(n, XYZ)
    return lambda start, stop: made[start:stop]


def test_a_disk_that_is_full_loses_no_row(monkeypatch):
    spool = SortedRowFile(XYZ)
    real = spool._file

    class Full:
        def __getattr__(self, name):
            return getattr(real, name)

        def write(self, data):
            if real.tell() + len(data) > 5000:
                raise OSError(28, "No space left on device")
            return real.write(data[:999])  # a short write is no error

    spool._file = Full()
    spool.add(np.arange(100), rows_of(100), (np.zeros(3), np.zeros(3)))
    assert sum(len(b) for b in spool.blocks()) == 100
    with pytest.raises(FileError, match=r"2400 bytes of temporary rows and 12000 more .*No space left .*TMPDIR"):
        spool.add(np.arange(100, 600), rows_of(500), (np.zeros(3), np.zeros(3)))
    real.truncate(1000)
    with pytest.raises(FileError, match="temporary rows end at byte 1000, 2400 were written"):
        list(spool.blocks())
    spool._file = real
    spool.close()


def test_columns_without_number_are_refused_before_they_are_named(tmp_path):
    path = tmp_path / "wide.npy"
    with open(path, "wb") as file:
        write_npy_header(file, np.dtype("<f4"), (0, 4294967296))
    with pytest.raises(FileError, match="has 4294967296 columns; 4096 are read"):
        open_points(path)


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("mac.xyz", b"1 2 3\r4 5 6\r", "line 1: its lines end with a carriage return alone"),
        ("wide.csv", "x,y,z\n1,2,3\n".encode("utf-16"), "line 1: is UTF-16"),
        ("comma.csv", b"x;y;z\n1,5;2,5;3,5\n", "line 2: has ; and , between numbers"),
        ("comma.xyz", b"1,5 2,5 3,5\n", "line 1: '1,5 2,5 3,5' is not"),
    ],
)
def test_text_that_would_be_read_as_other_numbers_is_refused(tmp_path, name, data, words):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(FileError, match=words):
        read(tmp_path / name)


def test_remarks_may_hold_anything(tmp_path):
    (tmp_path / "a.asc").write_text("# made by us, today; yes\n1 2 3\n")
    assert open_points(tmp_path / "a.asc").points == 1


def test_endings_that_name_columns(tmp_path):
    row = "0.25 0.5 0.75 1 0 0.5\n"
    for name, columns in {"a.xyzn": ("nx", "ny", "nz"), "a.xyzrgb": ("red", "green", "blue")}.items():
        (tmp_path / name).write_text(row)
        assert open_points(tmp_path / name).columns == ("x", "y", "z", *columns)
    (tmp_path / "b.xyzn").write_text("1 2 3\n")
    with pytest.raises(FileError, match="3 columns"):
        open_points(tmp_path / "b.xyzn")


@pytest.mark.parametrize("name", ["points", "positions", "xyz", "pos"])
def test_archives_that_call_their_points_otherwise(tmp_path, name):
    """Open3D and PyTorch Geometric among them; what is not read is said."""
    x = np.arange(30.0).reshape(10, 3)
    np.savez(tmp_path / "a.npz", **{name: x, "labels": np.arange(10)})
    reader = open_points(tmp_path / "a.npz")
    np.testing.assert_array_equal(np.concatenate([reader.table(c) for c in reader.chunks(4)]), x)
    assert reader.remarks == [f"only {name} is read, not labels"]


def test_coordinates_in_rows_are_not_taken_for_three_points(tmp_path):
    x = np.arange(300.0).reshape(3, 100)
    np.save(tmp_path / "a.npy", x)
    with pytest.raises(FileError, match="3 rows of 100 numbers"):
        open_points(tmp_path / "a.npy")
    np.save(tmp_path / "b.npy", x.T)
    assert open_points(tmp_path / "b.npy").points == 100


@pytest.mark.parametrize("kind", ["U", "I", "F", "float F"])
def test_colours_in_the_text_of_a_pcd_file(tmp_path, kind):
    """Open3D writes integers of TYPE U; PCL integers or floats of TYPE F; others signed ones."""
    colours = np.array([[161, 124, 134], [0, 0, 0], [255, 255, 255], [0, 0, 1]], np.uint32)
    packed = (colours << np.array([16, 8, 0], np.uint32)).sum(axis=1, dtype=np.uint32)
    words = [repr(float(v)) for v in packed.view(np.float32)] if kind == "float F" else list(map(str, packed))
    fields = "VERSION 0.7\nFIELDS x y z rgb\nSIZE 4 4 4 4\nTYPE F F F " + kind[-1]
    rows = "".join(f"{k} 0 0 {word}\n" for k, word in enumerate(words))
    (tmp_path / "x.pcd").write_text(f"{fields}\nWIDTH 4\nHEIGHT 1\nDATA ascii\n{rows}")
    reader = open_points(tmp_path / "x.pcd")
    (chunk,) = reader.chunks(10)
    got = reader.rows(chunk)
    np.testing.assert_array_equal(np.stack([got[c] for c in ("red", "green", "blue")], axis=1), colours)


def test_columns_of_an_array_of_six_are_no_intensity(tmp_path):
    np.save(tmp_path / "six.npy", np.arange(18.0).reshape(3, 6))
    assert open_points(tmp_path / "six.npy").columns == ("x", "y", "z", "column3", "column4", "column5")


@pytest.mark.parametrize("columns_first", [False, True])
def test_attributes_of_open3d_archives(tmp_path, columns_first):
    """As Open3D's tensor clouds are written: an array (N, k) for each attribute."""
    rng = np.random.default_rng(0)
    held = {
        "labels": np.arange(30, dtype=np.int32)[:, None],
        "intensities": rng.random((30, 1), np.float32),
        "normals": rng.normal(size=(30, 3)),
        "colors": rng.integers(0, 256, (30, 3), np.uint8),
        "features": rng.random((30, 2)),
        "odd": rng.random((29, 3)),
        "positions": rng.random((30, 3), np.float32),
    }
    if columns_first:
        held["colors"] = np.asfortranarray(held["colors"])
    np.savez_compressed(tmp_path / "a.npz", **held)
    reader, got = read(tmp_path / "a.npz")
    colours = () if columns_first else ("red", "green", "blue")
    assert reader.columns == (
        "x", "y", "z", "labels", "intensity", "nx", "ny", "nz", *colours, "features_0", "features_1"
    )  # fmt: skip
    for name, columns in (("positions", "x y z"), ("normals", "nx ny nz"), ("features", "features_0 features_1")):
        assert np.array_equal(np.stack([got[c] for c in columns.split()], 1), held[name])
    assert np.array_equal(got["labels"], held["labels"][:, 0]) and got["labels"].dtype == np.int32
    assert all(np.array_equal(got[c], held["colors"][:, k]) for k, c in enumerate(colours))
    assert any("odd" in remark for remark in reader.remarks)
    assert any("colors" in remark.split("not ")[-1] for remark in reader.remarks) == columns_first


def test_open3d_writes_such_archives(tmp_path):
    o3d = pytest.importorskip("open3d")
    cloud = o3d.t.geometry.PointCloud(o3d.core.Tensor(np.arange(90, dtype=np.float32).reshape(-1, 3)))
    cloud.point.colors = o3d.core.Tensor(np.arange(90, dtype=np.uint8).reshape(-1, 3))
    o3d.t.io.write_point_cloud(str(tmp_path / "a.npz"), cloud)
    reader, got = read(tmp_path / "a.npz")
    assert sorted(reader.columns) == ["blue", "green", "red", "x", "y", "z"]
    assert got["green"].tolist() == list(range(1, 90, 3))
