"""LAS files of other programs, old and odd: texts, versions, bits, waveforms, counts that the file has no room for."""

import struct

import numpy as np
import pytest

from fastdl.cli import main
from fastdl.errors import FileError
from fastdl.files import open_points
from tests import points_cloud_files

laspy = pytest.importorskip("laspy")
pytest.importorskip("lazrs")


def downsample(source, target, *options, size="1"):
    return main(["downsample", str(source), "-o", str(target), "--voxel-size", size, "--overwrite", *options])


def rows(path, **options):
    reader = open_points(path, **options)
    return reader, np.concatenate([reader.rows(c) for c in reader.chunks(1000)] or [np.zeros(0, reader.schema)])


def patched(path, *patches):
    data = bytearray(path.read_bytes())
    for at, new in patches:
        data[at : at + len(new)] = new
    path.write_bytes(data)
    return path


@pytest.fixture
def las(tmp_path):
    def make(name="a.las", **options):
        points_cloud_files.las(tmp_path / name, **options)
        return tmp_path / name

    return make


@pytest.mark.parametrize("ending", ["las", "laz"])
def test_texts_keep_their_bytes(las, tmp_path, ending):
    """What is not ASCII, and what stands behind the NUL."""
    path = las(extra=True)
    system = "Büro für Vermessung".encode("cp1252").ljust(32, b"\0")
    software = b"RIEGL\0\xff\xfe".ljust(32, b"\xcd")
    description = "Höhe (m über".encode("cp1252").ljust(32, b"\xcd")
    patched(path, (26, system), (58, software), (227 + 22, description), (227 + 54 + 160, b"\xe9chos"))
    assert downsample(path, tmp_path / f"d.{ending}") == 0
    made = (tmp_path / f"d.{ending}").read_bytes()
    assert (made[26:58], made[58:90], made[249:281]) == (system, software, description)
    assert made[227 + 54 + 160 :][:5] == b"\xe9chos"
    assert open_points(tmp_path / f"d.{ending}").points > 0


def test_version_1_0_becomes_1_2(las, tmp_path):
    path = patched(las(fmt=1), (25, b"\0"), (6, b"\x01\x02"))
    assert downsample(path, tmp_path / "d.las") == 0
    made = laspy.read(tmp_path / "d.las")
    assert str(made.header.version) == "1.2"
    assert len(made.points) == open_points(tmp_path / "d.las").points


@pytest.mark.parametrize(("fmt", "becomes", "version"), [(4, 1, "1.3"), (5, 3, "1.3"), (9, 6, "1.4"), (10, 8, "1.4")])
@pytest.mark.parametrize("ending", ["las", "laz"])
def test_waveforms_are_left_out_and_that_is_said(las, tmp_path, capsys, fmt, becomes, version, ending):
    path = las(fmt=fmt, version=version, extra=True, points=300)
    patched(path, (6, b"\x02\x00"))  # waveforms within the file
    assert downsample(path, tmp_path / f"d.{ending}", size="0.001") == 0
    assert "its waveforms are not read" in capsys.readouterr().err
    source, made = laspy.read(path), laspy.read(tmp_path / f"d.{ending}")
    assert made.header.point_format.id == becomes
    assert not made.header.global_encoding.waveform_data_packets_internal
    for name in ("X", "Y", "Z", "intensity", "gps_time", "echo", "normal", "point_source_id"):
        np.testing.assert_array_equal(made[name], source[name], err_msg=name)


def test_the_ends_of_32_bits(las, tmp_path):
    path = las(points=50)
    patched(path, (int.from_bytes(path.read_bytes()[96:100], "little"), struct.pack("<iii", -(2**31), 2**31 - 1, 0)))
    assert downsample(path, tmp_path / "d.las", size="1") == 0
    made = laspy.read(tmp_path / "d.las")
    assert (made.X[0], made.Y[0]) == (-(2**31), 2**31 - 1)
    np.testing.assert_array_equal(made.header.mins[0], -(2**31) * 0.001 + 500000.0)


def test_classes_are_voted_without_the_flags_beside_them(las, tmp_path):
    """2 with flags, 2 without, 5, 5 with flags, 2: class 2 wins, and the flags are the first point's."""
    path = las(points=5, fmt=1)
    start = int.from_bytes(path.read_bytes()[96:100], "little")
    for k, byte in enumerate((2 | 0x80, 2, 5, 5 | 0x20, 2)):
        patched(path, (start + 28 * k, struct.pack("<iii", k, k, k)), (start + 28 * k + 15, bytes([byte])))
    assert downsample(path, tmp_path / "d.las", size="1000") == 0
    made = laspy.read(tmp_path / "d.las")
    assert (made.classification[0], made.withheld[0], made.synthetic[0]) == (2, 1, 0)
    options = ("--reduce", "withheld=majority,classification=max", "--columns", "withheld,classification,return_number")
    assert downsample(path, tmp_path / "d.ply", *options, size="1000") == 0
    reader, got = rows(tmp_path / "d.ply")
    assert reader.columns == ("x", "y", "z", "return_number", "classification", "withheld")
    assert (got["classification"][0], got["withheld"][0], got["return_number"][0]) == (5, 0, 1)


def test_scaled_extra_bytes_are_scaled(tmp_path):
    header = laspy.LasHeader(version="1.4", point_format=6)
    header.add_extra_dim(laspy.ExtraBytesParams("height", "i2", scales=np.array([0.01]), offsets=np.array([100.0])))
    cloud = laspy.LasData(header)
    cloud.x, cloud.y, cloud.z = np.zeros((3, 4))
    cloud["height"] = [101.0, 102.0, 102.0, 103.5]
    cloud.write(tmp_path / "a.las")
    reader, got = rows(tmp_path / "a.las")
    assert reader.schema["height"] == np.float64
    np.testing.assert_allclose(got["height"], [101, 102, 102, 103.5])
    for name in ("d.npz", "d.las"):
        assert downsample(tmp_path / "a.las", tmp_path / name) == 0
        np.testing.assert_allclose(rows(tmp_path / name)[1]["height"], [102.125], atol=0.005)


def test_colours_of_eight_bits_become_sixteen(tmp_path):
    x = np.zeros(2, [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("rgb", "<u4")])
    x["rgb"] = 0x00FF8000, 0x00FD8204
    (tmp_path / "a.pcd").write_bytes(points_cloud_files.pcd(x, "binary"))
    for ending, want in (("las", [0xFE00, 0x8100, 0x0200]), ("ply", [0xFE, 0x81, 2]), ("pcd", [0xFE, 0x81, 2])):
        assert downsample(tmp_path / "a.pcd", tmp_path / f"d.{ending}") == 0
        got = rows(tmp_path / f"d.{ending}")[1]
        assert [int(got[c][0]) for c in ("red", "green", "blue")] == want


@pytest.mark.parametrize(("at", "kind", "words"), [
    (100, "I", r"at byte 100: 4294967295 VLRs announced, but only \d+ bytes before the points"),
    (243, "I", r"at byte 235: 4294967295 EVLRs announced"),
    (96, "I", r"truncated: its points are said to begin at byte 4294967295"),
    (94, "H", r"truncated within its header"),
    (105, "H", r"truncated: \d+ points of 65535 bytes announced"),
    (247, "Q", r"truncated: 18446744073709551615 points of 30 bytes announced"),
])  # fmt: skip
def test_counts_that_the_file_has_no_room_for(las, at, kind, words):
    path = las(version="1.4", fmt=6)
    patched(path, (at, b"\xff" * struct.calcsize(kind)))
    with pytest.raises(FileError, match=words):
        open_points(path)


def test_chunks_that_the_file_has_no_room_for(las):
    path = las("a.laz", version="1.4", fmt=6, compressed=True)
    start = int.from_bytes(path.read_bytes()[96:100], "little")
    table = int.from_bytes(path.read_bytes()[start : start + 8], "little")
    patched(path, (table + 4, b"\xff\xff\xff\xff"))
    with pytest.raises(FileError, match=f"at byte {table}: 4294967295 chunks of points announced"):
        open_points(path)
    path = patched(las("b.laz", version="1.4", fmt=6, compressed=True), (start + 8 + 30 + 4, b"\xff\xff\xff\x7f"))
    with pytest.raises(FileError, match=f"at byte {start + 8}: a chunk of 2000 points in layers of"):
        list(open_points(path).chunks(1000))


def test_a_header_that_announces_nothing_before_records(las):
    """The writer was stopped before it filled in the number of its points."""
    path = patched(las(), (107, b"\0\0\0\0"))
    with pytest.raises(FileError, match="announces 0 points, but 2000 records stand behind its header"):
        open_points(path)
    path = patched(las("a.laz", compressed=True), (107, b"\0\0\0\0"))
    with pytest.raises(FileError, match="announces 0 points, but 1 chunks of them stand behind its header"):
        open_points(path)


def test_no_points(tmp_path):
    header = laspy.LasHeader(version="1.4", point_format=7)
    for ending in ("las", "laz"):
        laspy.LasData(header).write(tmp_path / f"a.{ending}")
        assert downsample(tmp_path / f"a.{ending}", tmp_path / f"d.{ending}") == 0
        assert len(laspy.read(tmp_path / f"d.{ending}").points) == 0


def test_records_behind_the_points_are_kept(tmp_path):
    header = laspy.LasHeader(version="1.4", point_format=6)
    cloud = laspy.LasData(header)
    cloud.x, cloud.y, cloud.z = np.random.default_rng(0).uniform(0, 9, (3, 50))
    cloud.evlrs = laspy.vlrs.vlrlist.VLRList([laspy.VLR("me", 7, "text", b"a record " * 9)])
    cloud.write(tmp_path / "a.las")
    for ending in ("las", "laz"):
        assert downsample(tmp_path / "a.las", tmp_path / f"d.{ending}") == 0
        made = laspy.read(tmp_path / f"d.{ending}")
        assert [(v.user_id, v.record_data) for v in made.evlrs] == [("me", b"a record " * 9)]
        assert made.header.number_of_points_by_return.sum() == 0  # return numbers are 0 here
        assert made.header.point_count == len(made.points)


@pytest.mark.parametrize("fmt", [0, 1, 3])
@pytest.mark.parametrize("chunk_size", [0, 100, 50000, 2**32 - 1])
def test_points_compressed_as_one_stream(las, tmp_path, fmt, chunk_size):
    """Of LASzip's first versions, whose header has a size of chunks that means nothing."""
    chunked = las("a.laz", points=3000, fmt=fmt, compressed=True)
    points_cloud_files.unchunked(chunked, tmp_path / "b.laz", chunk_size)
    want, (reader, got) = laspy.read(chunked), rows(tmp_path / "b.laz")
    for axis in "xyz":
        np.testing.assert_array_equal(got[axis], want[axis])
    for name in reader.columns[3:]:
        np.testing.assert_array_equal(got[name], want[name], name)
    (tmp_path / "c.laz").write_bytes((tmp_path / "b.laz").read_bytes()[:-9000])
    with pytest.raises(FileError, match=r"c\.laz at byte \d+: .*corrupt"):
        rows(tmp_path / "c.laz")


@pytest.mark.parametrize(("fmt", "version"), [(3, "1.2"), (7, "1.4")])
@pytest.mark.parametrize("ending", ["las", "laz", "ply", "npz"])
def test_the_parts_of_a_byte_are_columns_of_their_own(tmp_path, fmt, version, ending):
    """Each by laspy's name, reduced alone, whatever is written; against laspy's own values."""
    rng, n = np.random.default_rng(5), 60
    cloud = laspy.LasData(laspy.LasHeader(point_format=fmt, version=version))
    cloud.x, cloud.y, cloud.z = np.zeros((3, n))
    wide = fmt > 5
    most = {"return_number": 15 if wide else 7, "number_of_returns": 15 if wide else 7, "classification": 31}
    most |= dict.fromkeys(("scan_direction_flag", "edge_of_flight_line", "synthetic", "key_point", "withheld"), 1)
    most |= {"overlap": 1, "scanner_channel": 3} if wide else {}
    for name, top in most.items():
        cloud[name] = rng.integers(0, top + 1, n)
    cloud.write(tmp_path / "a.las")
    for reduction, value in {"max": np.max, "min": np.min, "last": lambda x: x[-1]}.items():
        rule = ",".join(f"{name}={reduction}" for name in most)
        target = tmp_path / f"d.{ending}"
        assert downsample(tmp_path / "a.las", target, "--reduce", rule, "--columns", ",".join(most)) == 0
        made = laspy.read(target) if ending in ("las", "laz") else rows(target)[1]
        for name in most:
            assert int(np.asarray(made[name])[0]) == value(np.asarray(cloud[name])), (name, reduction)
