"""Down-sampling of files: every column in its own type, tiles merged and tiles without seams, parts of clouds."""

import json
import subprocess
import sys

import numpy as np
import pytest

from fastdl.cli import main
from fastdl.files import open_points
from fastdl.points.record_accumulator import REDUCTIONS, RecordAccumulator, RecordColumn
from tests import points_cloud_files


def downsample(sources, target, *options, size="1"):
    sources = sources if isinstance(sources, list) else [sources]
    given = ["downsample", *map(str, sources), "-o", str(target), "--voxel-size", size, "--overwrite"]
    return main([*given, *options])


def rows(path):
    reader = open_points(path)
    return np.concatenate([reader.rows(c) for c in reader.chunks(1000)] or [np.zeros(0, reader.schema)])


def voxels_of(xyz, size):
    """{cell: [point, ...]} in order of first appearance."""
    found = {}
    for k, cell in enumerate(map(tuple, np.floor(xyz / size).astype(int).tolist())):
        found.setdefault(cell, []).append(k)
    return found


RECORD = np.dtype(
    [("X", "<i4"), ("Y", "<i4"), ("Z", "<i4"), ("a", "<u2"), ("bits", "u1"), ("f", "<f4"), ("g", "<f8"), ("n", "<u8")]
)


def column(name, reduction, shift=0, mask=0):
    return RecordColumn(name, RECORD.fields[name][1], RECORD[name], reduction, shift, mask)


def cloud(rng, n):
    x = np.zeros(n, RECORD)
    for axis in "XYZ":
        x[axis] = rng.integers(-50, 50, n)
    x["a"], x["bits"] = rng.integers(0, 65536, n), rng.integers(0, 256, n)
    x["f"], x["g"] = rng.normal(size=n), rng.normal(size=n)
    x["n"] = rng.integers(2**63, 2**64, n, dtype=np.uint64)
    x["f"][rng.integers(0, n, n // 9)] = np.nan
    return x


def value(x, reduction):
    """What the definition says of a voxel's values, in Python's numbers."""
    if reduction == "mean":
        whole = x.dtype.kind in "iu" and x.dtype.itemsize < 8
        return sum(map(int, x)) / len(x) if whole else float(np.add.accumulate(x.astype(np.float64))[-1]) / len(x)
    if reduction in ("min", "max"):
        return getattr(x, reduction)()
    if reduction == "majority":
        labels, votes = np.unique(x[x == x], return_counts=True)
        return labels[votes.argmax()] if len(labels) else np.nan
    return x[0] if reduction == "first" else x[-1]


@pytest.mark.parametrize("seed", range(6))
def test_records_by_definition(seed):
    """Every reduction of every type, for any chunks and memory, with and without a lattice."""
    rng = np.random.default_rng(seed)
    x, size = cloud(rng, 700), 17
    ways = [r for r in REDUCTIONS if r != "nearest"]
    columns = [column("X", "mean"), column("Y", "mean"), column("Z", "min")]
    columns += [column(n, ways[(seed + k) % len(ways)]) for k, n in enumerate(("a", "f", "g", "n"))]
    columns.append(column("bits", ways[seed % len(ways)], 3, 7))
    lattice = [[1, 7, size]] * 3
    results = []
    for chunk, memory, axes in ((700, None, lattice), (37, None, lattice), (100, 20_000, lattice), (700, None, None)):
        state = RecordAccumulator(RECORD, columns, float(size), origin=-7.0, max_bytes=memory, expected=700)
        for start in range(0, len(x), chunk):
            state.update(x[start : start + chunk], axes)
        parts = list(state.parts())
        order = np.argsort(np.concatenate([p.first for p in parts]))
        records = np.concatenate([p.finish(0, len(p.counts)) for p in parts])[order]
        results.append((np.concatenate([p.counts for p in parts])[order], records, parts[0]))
    for counts, records, _ in results[1:]:
        np.testing.assert_array_equal(counts, results[0][0])
        np.testing.assert_array_equal(records, results[0][1])
    groups = voxels_of(np.stack([x[a] for a in "XYZ"], axis=1) + 7, size)
    assert results[0][0].tolist() == [len(g) for g in groups.values()]
    for row, group in zip(results[0][1].view(RECORD).reshape(-1), groups.values()):
        for c in columns:
            got, given = row[c.name], x[c.name][group]
            if c.mask:
                got, given = got >> c.shift & c.mask, given >> c.shift & np.uint8(c.mask)
            want = value(given, c.reduction)
            if len(group) == 1 and c.reduction != "majority":
                want = given[0]
            elif c.reduction == "mean" and given.dtype.kind in "iu":
                want = np.rint(want)
            np.testing.assert_array_equal(
                np.asarray(got), np.asarray(want).astype(np.asarray(got).dtype), err_msg=c.name
            )


def test_kernel_and_reference_agree():
    from fastdl import _kernels
    from fastdl.reference import _point_records as reference

    kernel = _kernels.load("points_records")
    if kernel is None:
        pytest.skip("the kernel is not built or not used")
    rng = np.random.default_rng(0)
    which = np.array([[k, k, 0, 0] for k in range(8)], np.int64)
    which[3] = 3, 1, 2, 7
    for _ in range(50):
        n = int(rng.integers(1, 900))
        records, raw = rng.integers(0, 256, (n, 30), dtype=np.uint8), rng.integers(0, max(n // 3, 1), n)
        _, first, inverse = np.unique(raw, return_index=True, return_inverse=True)
        rank = np.argsort(np.argsort(first))
        ids = rank[inverse].astype(np.int32)
        begun, found = records[np.sort(first)], []
        for way in (kernel, reference):
            state, slots = np.zeros(3, np.int64), np.full(len(first), -1, np.int32)
            sums, extreme, points = np.zeros((len(first) + 512, 8), np.uint64), begun.copy(), np.empty(n, np.int64)
            way.fold_means(records, ids, (begun, slots, sums), which, state)
            for k, w in enumerate(which):
                way.fold_extremes(records, ids, extreme, w, bool(k % 2))
            differ = points[: way.differing(records, ids, begun, which[3], points)].copy()
            means = begun.copy()
            way.finish_means(means, slots, np.bincount(ids), sums, which)
            ends, keys = np.zeros((2, 3), np.int64), np.zeros(n, np.uint64)
            way.lattice_bounds(records, np.array([0, 4, 8]), ends)
            axes = np.array([[3, 5, 7], [1, -9, 100], [2, 0, 1]])
            way.lattice_keys(records, np.array([0, 4, 8]), axes, np.full(3, -(2**40)), np.array([5, 7]), keys)
            found.append((state, slots, sums[: state[2]], extreme, differ, means, ends, keys))
        for a, b in zip(*found):
            np.testing.assert_array_equal(a, b)


def test_kernel_and_reference_elect_the_same():
    from fastdl import _kernels
    from fastdl.reference import _point_votes as reference

    kernel = _kernels.load("points_votes")
    if kernel is None:
        pytest.skip("the kernel is not built or not used")
    rng = np.random.default_rng(0)
    for _ in range(50):
        n = int(rng.integers(1, 900))
        ids, labels = rng.integers(0, n // 3 + 1, n).astype(np.int32), rng.integers(0, 8, n).astype(np.uint8)
        voxels, words, votes = rng.integers(0, 9, 20), rng.integers(0, 5, 20).astype(np.uint64), rng.integers(0, 6, 20)
        names, first = rng.permutation(8) - 4, rng.integers(-4, 4, n)
        found = []
        for way in (kernel, reference):
            rows, table = np.full(n, -1, np.int32), np.zeros((n, 8), np.int32)
            used = way.count_votes(ids, labels, rows, table, 0)
            best, most = np.full(9, 2, np.uint64), np.full(9, 3)
            way.elect(voxels, words, votes, best, most)
            counts = np.bincount(ids, minlength=n) + 1
            some, elected = np.full(used, -1), np.full(used, -1)
            assert way.elect_rows(rows, table, names, first, counts, some, elected) == used
            found.append((rows, table[:used], best, most, some, elected))
        for a, b in zip(*found):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("dtype", ["u1", "i1"])
@pytest.mark.parametrize("labels", [1, 4, 7, 16, 17, 200])
def test_majority_of_labels_of_a_byte(labels, dtype):
    """However many there are, and whenever they come: the label of most points, of equals the least."""
    rng = np.random.default_rng(labels)
    record = np.dtype([("X", "i4"), ("Y", "i4"), ("Z", "i4"), ("label", dtype)])
    x = np.zeros(3000, record)
    x["X"] = rng.integers(0, 60, len(x))
    few = np.minimum(1 + np.arange(len(x)) // 20, labels)  # first a few, then more
    x["label"] = (rng.integers(0, 2**31, len(x)) % few * 37 - 100 * (dtype == "i1")).astype(np.int64).astype(dtype)
    columns = [RecordColumn(n, record.fields[n][1], record[n], "first") for n in "XYZ"]
    columns.append(RecordColumn("label", 12, record["label"], "majority"))
    state = RecordAccumulator(record, columns, 1.0)
    for start in range(0, len(x), 300):
        state.update(x[start : start + 300])
    [part] = state.parts()
    for row in part.finish(0, len(part.counts)).view(record).reshape(-1):
        assert row["label"] == value(x["label"][x["X"] == row["X"]], "majority")


def test_integers_beyond_float64_stay_what_they_are(tmp_path):
    x = np.zeros(4, [("x", "f8"), ("y", "f8"), ("z", "f8"), ("stamp", "u8"), ("label", "i8")])
    x["stamp"] = 2**63 + np.array([3, 1, 7, 5], np.uint64)
    x["label"] = [-(2**62) - 1, 5, -(2**62) - 1, -(2**62)]
    np.save(tmp_path / "a.npy", x)
    for how, want in (("first", 3), ("last", 5), ("min", 1), ("max", 7)):
        assert downsample(tmp_path / "a.npy", tmp_path / "d.npz", "--reduce", f"stamp={how}") == 0
        got = rows(tmp_path / "d.npz")
        assert int(got["stamp"][0]) == 2**63 + want
        assert int(got["label"][0]) == -(2**62) - 1


@pytest.mark.parametrize("name", ["scalar_Classification", "Label", "semantic_id", "ring", "class"])
def test_labels_are_voted_on_whatever_they_are_called(tmp_path, name):
    x = np.zeros(3, [("x", "f4"), ("y", "f4"), ("z", "f4"), (name, "f4")])
    x[name] = 1, 9, 9
    np.save(tmp_path / "a.npy", x)
    assert downsample(tmp_path / "a.npy", tmp_path / "d.npy") == 0
    assert rows(tmp_path / "d.npy")[name].tolist() == [9]


def test_columns_that_are_kept(tmp_path, capsys):
    path = points_cloud_files.write_all(tmp_path)["nuscenes.pcd.bin"]
    assert downsample(path, tmp_path / "d.ply", "--columns", "ring") == 0
    assert open_points(tmp_path / "d.ply").columns == ("x", "y", "z", "ring")
    assert downsample(path, tmp_path / "d.ply", "--columns", "colour") == 1
    assert f"{path}: has no column 'colour'; it has x, y, z, intensity, ring" in capsys.readouterr().err


def test_own_output_is_input(tmp_path, capsys):
    """From each kind that is written to each, the columns stay."""
    x = points_cloud_files.cloud(300)
    (tmp_path / "source.bin").write_bytes(x.tobytes())
    endings = ("npz", "npy", "ply", "pcd", "csv", "txt", "xyz", "bin", "las", "laz")
    for ending in endings:
        assert downsample(tmp_path / "source.bin", tmp_path / f"a.{ending}", size="0.001") == 0
    want = rows(tmp_path / "a.npz")
    for source in endings:
        for target in ("npz", "ply"):
            assert downsample(tmp_path / f"a.{source}", tmp_path / f"b.{target}", size="0.0001") == 0
            got = rows(tmp_path / f"b.{target}")
            for k, name in enumerate(("x", "y", "z", "intensity")):
                given = "column3" if source == "xyz" and k == 3 else name
                given = f"{given}_value" if source in ("las", "laz") and k == 3 else given
                np.testing.assert_allclose(got[given], want[name], rtol=0, atol=6e-5, err_msg=f"{source} {name}")


def test_names_that_other_arrays_of_an_archive_have(tmp_path, capsys):
    x = np.zeros(2, [("x", "f4"), ("y", "f4"), ("z", "f4"), ("counts", "f4"), ("coords", "f4"), ("../evil", "f4")])
    x["x"], x["counts"], x["coords"], x["../evil"] = [0, 9], 5, 6, 7
    np.save(tmp_path / "a.npy", x)
    assert downsample(tmp_path / "a.npy", tmp_path / "d.npz") == 0
    said = capsys.readouterr().err
    with np.load(tmp_path / "d.npz") as got:
        assert got["counts_2"].tolist() == [5, 5]
        assert got["coords_2"].tolist() == [6, 6]
        assert got[".._evil"].tolist() == [7, 7]
        assert got["counts"].tolist() == [1, 1]
    for old, new in (("counts", "counts_2"), ("../evil", ".._evil")):
        assert f"column {old!r} is called {new!r}" in said


def test_long_names_in_las(tmp_path, capsys):
    pytest.importorskip("lazrs")
    names = [f"extra_attribute_with_a_long_name_{k}" for k in ("one", "two")] + ["größe_" * 5, "Intensity", "X "]
    x = np.zeros(2, [("x", "f4"), ("y", "f4"), ("z", "f4"), *((n, "f4") for n in names), ("intensity", "u2")])
    x["x"] = 0, 9
    for k, name in enumerate(names):
        x[name] = k
    np.save(tmp_path / "a.npy", x)
    assert downsample(tmp_path / "a.npy", tmp_path / "d.las") == 0
    got = rows(tmp_path / "d.las")
    columns = got.dtype.names[-5:]
    assert all(len(c.encode()) <= 32 for c in columns)
    assert [got[c][0] for c in columns] == [0, 1, 2, 3, 4]
    assert "is called 'extra_attribute_with_a_long_na_2'" in capsys.readouterr().err


# parts of clouds


def test_crop_classes_and_sparse_voxels_account_for_every_point(tmp_path, capsys):
    pytest.importorskip("lazrs")
    points_cloud_files.las(tmp_path / "a.las", points=3000)
    x = rows(tmp_path / "a.las")
    xyz = np.stack([x[a] for a in "xyz"], axis=1)
    low, high = np.floor(np.percentile(xyz, [20, 90], axis=0))
    inside = ((xyz >= low) & (xyz < high)).all(axis=1)
    kept = inside & np.isin(x["classification"], (2, 5))
    groups = [g for g in voxels_of(xyz[kept], 4).values() if len(g) >= 2]
    crop = ",".join(map(str, [*low, *high]))
    options = ("--crop", crop, "--classes", "2,5", "--min-points", "2")
    assert downsample(tmp_path / "a.las", tmp_path / "d.npz", *options, size="4") == 0
    with np.load(tmp_path / "d.npz") as got:
        assert got["counts"].tolist() == [len(g) for g in groups]
        account = {n: int(got["accounting"][n]) for n in got["accounting"].dtype.names}
    assert account["in"] == 3000 == sum(account.values()) - account["in"]
    assert account["cropped"] == (~inside).sum()
    assert account["kept"] == sum(map(len, groups))
    assert f"{account['in_sparse_voxels']} in sparse voxels" in capsys.readouterr().out
    assert downsample(tmp_path / "a.las", tmp_path / "d.npz", "--crop", "1,1,1,0,2,2") == 1
    assert "--crop must rise on every axis" in capsys.readouterr().err
    points_cloud_files.write_all(tmp_path)
    assert downsample(tmp_path / "kitti.bin", tmp_path / "d.npz", "--classes", "1") == 1
    assert "kitti.bin: has no column of classes" in capsys.readouterr().err


# many tiles


@pytest.fixture
def tiles(tmp_path):
    """One landscape as a file and as four tiles with offsets of their own, whose borders cut voxels."""
    laspy = pytest.importorskip("laspy")
    pytest.importorskip("lazrs")
    points_cloud_files.las(tmp_path / "whole.las", points=8000, fmt=3)
    whole = laspy.read(tmp_path / "whole.las")
    (tmp_path / "tiles").mkdir()
    order = np.argsort(np.asarray(whole.x) > np.median(whole.x), kind="stable")
    for k, part in enumerate(np.array_split(order, 4)):
        header = laspy.LasHeader(version="1.2", point_format=3)
        header.scales = whole.header.scales
        header.offsets = whole.header.offsets + np.array([k * 0.5, 0, k])
        tile = laspy.LasData(header)
        for name in whole.point_format.dimension_names:
            if name not in ("X", "Y", "Z"):
                tile[name] = whole[name][part]
        tile.X, tile.Y, tile.Z = (np.asarray(whole[a])[part] - s for a, s in zip("XYZ", (k * 500, 0, k * 1000)))
        tile.write(tmp_path / "tiles" / f"{k}.las")
    joined = laspy.LasData(whole.header)
    joined.points = whole.points[order]
    joined.write(tmp_path / "whole.las")
    return tmp_path


@pytest.mark.parametrize("memory", ["2GiB", "100kB"])
def test_merged_tiles_are_the_whole(tiles, memory):
    assert downsample(tiles / "whole.las", tiles / "a.las", size="3") == 0
    assert downsample(tiles / "tiles", tiles / "b.las", "--merge", f"--max-bytes={memory}", size="3") == 0
    np.testing.assert_array_equal(rows(tiles / "a.las"), rows(tiles / "b.las"))


@pytest.mark.parametrize("memory", ["2GiB", "100kB"])
def test_tiles_without_seams(tiles, memory):
    """Together they hold the voxels of the whole, each once, in the tile that has its first point."""
    assert downsample(tiles / "whole.las", tiles / "a.las", size="3") == 0
    assert downsample(tiles / "tiles", tiles / "out", "--seamless", f"--max-bytes={memory}", size="3") == 0
    made = [rows(tiles / "out" / f"{k}.las") for k in range(4)]
    assert all(len(m) for m in made)
    np.testing.assert_array_equal(np.concatenate(made), rows(tiles / "a.las"))


def test_files_of_different_kinds_merged(tiles, capsys):
    x = points_cloud_files.cloud(50)
    x["x"] += 500000
    x["y"] += 4900000
    (tiles / "k.bin").write_bytes(x.tobytes())
    assert downsample([tiles / "whole.las", tiles / "k.bin"], tiles / "m.npz", "--merge", size="3") == 0
    assert "columns that not every file has are left out: blue, classification" in capsys.readouterr().err
    with np.load(tiles / "m.npz") as got:
        assert int(got["counts"].sum()) == 8050
        assert set(got.files) == {"x", "y", "z", "intensity", "coords", "counts", "accounting"}


def test_merge_of_what_cannot_be(tiles, capsys):
    (tiles / "tiles" / "4.las").write_bytes(b"LASF" + bytes(300))
    assert downsample(tiles / "tiles", tiles / "b.las", "--merge") == 1
    assert "4.las at byte 24" in capsys.readouterr().err
    assert len(rows(tiles / "b.las"))
    with pytest.raises(SystemExit, match="2"):
        downsample(tiles / "tiles", tiles / "b.las", "--merge", "--seamless")
    source = tiles / "tiles" / "0.las"
    assert downsample([source, tiles / "tiles" / "1.las"], source, "--merge") == 1
    assert "is the input itself" in capsys.readouterr().err


def test_json_and_quiet(tmp_path, capsys):
    files = points_cloud_files.write_all(tmp_path)
    assert downsample(files["plain.npy"], tmp_path / "d.ply", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["in"], told["error"]) == (1000, None)
    assert downsample(files["plain.npy"], tmp_path / "d.ply", "--quiet") == 0
    said = capsys.readouterr()
    assert said.out + said.err == ""


def test_damaged_files_of_every_kind_end_well():
    """A little of the fuzz program: `python -m tests.fuzz files` has more."""
    given = ["files", "--count", "12", "--seed", "900"]
    command = [sys.executable, "-m", "tests.fuzz", *given, "--kind", "layers.laz"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
