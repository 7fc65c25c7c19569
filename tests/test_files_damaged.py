"""Damaged and hostile files of kinds that once came through raw, or gave wrong numbers: each is named."""

import gzip
import json

import numpy as np
import pytest

from fastdl.cli import main
from fastdl.errors import FileError
from fastdl.files import Table, TableModel, read_edges, read_regions, read_vcf
from tests.fuzz import _good_files as good
from tests.fuzz._damage import damage
from tests.fuzz._packed import chunks
from tests.fuzz._samples import KINDS

VCF = "#CHROM\tPOS\tID\tREF\tALT\tQ\tF\tI\tFORMAT\ts1\n"


def vcf(tmp_path, *fields):
    path = tmp_path / "a.vcf"
    path.write_text(VCF + "\t".join(fields) + "\n")
    return path


@pytest.mark.parametrize("position", ["0", "-1", "9" * 18, "9" * 4301, "1²", "٣", "+5", "1_0", ""])
def test_positions_that_are_none_in_vcf(tmp_path, position):
    with pytest.raises(FileError, match="line 2"):
        read_vcf(vcf(tmp_path, "chr1", position, ".", "A", "T", ".", ".", ".", "GT", "0|1"))


@pytest.mark.parametrize("allele", ["2", "-1", "9" * 30, "9" * 4301, "1²", "٣", "x"])
def test_alleles_that_are_none_in_vcf(tmp_path, allele):
    path = vcf(tmp_path, "chr1", "5", ".", "A", "T", ".", ".", ".", "GT", f"0|{allele}")
    assert len(read_vcf(path)) == 1
    with pytest.raises(FileError, match="line 2: has no allele"):
        read_vcf(path, sample="s1", haplotype=1)


def test_a_telomere_without_letters_is_left_out(tmp_path):
    assert len(read_vcf(vcf(tmp_path, "chr1", "0", ".", "N", "<DEL>", ".", ".", ".", "GT", "1|1"))) == 0


def test_summits_beyond_their_region(tmp_path):
    path = tmp_path / "a.narrowPeak"
    row = "chr1\t5\t30\tp\t0\t.\t1\t-1\t-1\t{}\n"
    path.write_text(row.format(25))
    assert [r.summits.tolist() for r in read_regions(path)] == [[30]]
    for beyond in ("26", "9" * 18, "9" * 4301):
        path.write_text(row.format(3) + row.format(beyond))
        with pytest.raises(FileError, match="line 2: a summit"):
            list(read_regions(path))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("chrom,start,end,start\nchr1,5,10,7\n", 1),
        ("chrom,start,end\nchr1,5,10\nchr1,5,10,\n", 3),
        ("gene,chrom,start,end\nx,y,chr1,5,10\n", 2),
        ("chrom,start,end,strand\nchr1,5,10\n", 2),
        ('chrom,start,end,"na\nme"\nchr1,5,10,x\n', 2),
        ('gene,chrom,start,end\n"two\nlines",chr1,5,10\na,chr1,9,5\n', 4),
    ],
)
def test_tables_of_regions_whose_columns_do_not_fit(tmp_path, text, line):
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(FileError, match=f"line {line}: "):
        list(read_regions(path))


def test_columns_that_are_twice_in_frames(tmp_path):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    def twice(*names):
        path = tmp_path / "a.parquet"
        parquet.write_table(pa.table([[1, 2]] * len(names), names=names), path)
        return path

    with pytest.raises(FileError, match="more than once"):
        Table(twice("a", "y", "a"))
    with pytest.raises(FileError, match="more than once"):
        list(read_edges(twice("source", "target", "weight", "weight")))
    with pytest.raises(FileError, match="more than once"):
        list(read_regions(twice("chrom", "start", "end", "start")))


def test_names_of_columns_that_are_no_text(tmp_path):
    """Names in the foot of a Parquet file must be UTF-8; nothing there has a checksum."""
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "a.parquet"
    names = ["chrom", "start", "end", "source", "target"]
    parquet.write_table(pa.table([[1, 2]] * len(names), names=names), path, store_schema=False)
    path.write_bytes(path.read_bytes().replace(b"source", b"\x80ource"))
    for read in (Table, lambda path: list(read_edges(path)), lambda path: list(read_regions(path))):
        with pytest.raises(FileError, match=r"a\.parquet"):
            read(path)


HEADERS = [b"{'descr': '<f8', 'shape': (3", b"[" * 5000, b"\0" * 60, b"{'descr': '<f8', 'shape': (9e9,)}", b"1", b""]


@pytest.mark.parametrize("header", HEADERS)
def test_headers_of_npy_that_are_no_python(tmp_path, capsys, header):
    path = tmp_path / "x.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(80))
    (tmp_path / "edges.csv").write_text("0,1\n1,2\n")
    words = ["graph", str(tmp_path / "edges.csv"), "--features", str(path), "-o", str(tmp_path / "h.npy")]
    assert main(words) == 1
    assert str(path) in capsys.readouterr().err
    packed = tmp_path / "x.npz"
    np.savez(packed, a=np.arange(3.0))
    with pytest.raises(FileError):
        list(read_edges(path))
    import zipfile

    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.npy", path.read_bytes())
    for read in (lambda: Table(packed), lambda: list(read_edges(packed))):
        with pytest.raises(FileError, match=r"x\.npz"):
            read()


def test_members_that_are_no_arrays_or_announce_more_than_they_hold(tmp_path):
    import zipfile

    path = tmp_path / "x.npz"
    large = good.npy(np.arange(3.0)).replace(b"(3,)", b"(9999999999999,)", 1)
    for held in (b"no array", large):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.npy", held)
        with pytest.raises(FileError, match=r"x\.npz"):
            Table(path)


@pytest.mark.parametrize("seed", range(40))
def test_damaged_gzip_of_a_table(tmp_path, seed):
    path = tmp_path / "t.csv.gz"
    data = bytearray(gzip.compress(good.table_csv(), mtime=0))
    at = 10 + seed * (len(data) - 10) // 40
    data[at] ^= 0xFF
    path.write_bytes(bytes(data))
    with pytest.raises(FileError, match=r"t\.csv\.gz"):
        list(Table(path).chunks())


def test_names_that_are_twice(tmp_path, capsys):
    (tmp_path / "e.csv").write_text("source,target\na,b\n")
    names = tmp_path / "names.txt"
    words = ["graph", str(tmp_path / "e.csv"), "--ids", str(names), "-o", str(tmp_path / "g.npz"), "--overwrite"]
    names.write_bytes(b"a\nb\nc\nb\n")
    assert main(words) == 1
    assert f"{names} at line 4: has the name 'b' of line 2 again" in capsys.readouterr().err
    names.write_bytes("a\r\nb\r\nx\u2028y\r\n".encode())
    assert main(words) == 0


MODEL = json.loads(good.model())
WRONG = [
    {"w": MODEL["w"][:-1]},
    {"w": [*MODEL["w"], 1.0]},
    {"w": [[1.0]] * len(MODEL["w"])},
    {"w": [None] * len(MODEL["w"])},
    {"w": "abc"},
    {"b": "1"},
    {"b": None},
    {"b": 10**400},
    {"low": MODEL["low"][1:]},
    {"high": {}},
    {"degree": 3},
    {"degree": 2**40},
    {"degree": -1},
    {"degree": True},
    {"features": "abc"},
    {"features": []},
    {"features": ["a", "a", "b"]},
    {"features": [1, 2, 3]},
    {"target": 5},
    {"categories": {"kind": ["blue"]}},
    {"categories": {"kind": "ab"}},
    {"categories": {"kind": ["blue", 1]}},
    {"categories": {"other": ["a", "b"]}},
    {"categories": None},
    {"fill": {"a": "x"}},
    {"fill": {"q": 1.0}},
    {"scores": []},
    {"more": 1},
]


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_models_whose_parts_do_not_fit(tmp_path, capsys, wrong):
    path, rows = tmp_path / "m.json", tmp_path / "rows.csv"
    rows.write_text("a,kind,b\n1,red,2\n")
    words = ["predict", str(path), str(rows), "-o", str(tmp_path / "p.npy"), "--overwrite"]
    path.write_text(json.dumps(MODEL))
    assert main(words) == 0
    path.write_text(json.dumps({**MODEL, **wrong}))
    with pytest.raises(FileError, match=r"m\.json: is no model"):
        TableModel.read(path)
    assert main(words) == 1
    assert str(path) in capsys.readouterr().err


def test_what_a_table_lacks_for_a_model_or_a_fit_is_said_with_its_name(tmp_path, capsys):
    path, rows = tmp_path / "m.json", tmp_path / "rows.csv"
    path.write_text(json.dumps(MODEL))
    rows.write_text("a,kind,b\n1,green,2\n")
    assert main(["predict", str(path), str(rows), "-o", str(tmp_path / "p.npy")]) == 1
    assert str(rows) in capsys.readouterr().err
    path.write_text(json.dumps({**MODEL, "categories": {}}))  # which makes numbers of the words
    assert main(["predict", str(path), str(rows), "-o", str(tmp_path / "p.npy")]) == 1
    assert str(rows) in capsys.readouterr().err
    rows.write_text("a,y\nx,1\nx,2\n")
    assert main(["fit", str(rows), "-o", str(tmp_path / "f.json")]) == 1
    assert str(rows) in capsys.readouterr().err


@pytest.mark.parametrize("name", KINDS)
def test_damage_leaves_files_that_are_nearly_good_ones(name):
    """The same seed gives the same file, seeds give others, and most keep what a reader looks at first."""
    kind = KINDS[name]
    if kind.needs:
        pytest.importorskip(kind.needs)
    data = kind.make()
    copies = [damage(data, seed) for seed in range(60)]
    assert copies == [damage(data, seed) for seed in range(60)]
    assert len(set(copies)) > 50
    assert sum(copy[:4] == data[:4] for copy in copies) > 20


def test_chunks_are_changed_behind_right_sizes():
    data = good.wav("PCM_16")() if pytest.importorskip("soundfile") else b""
    made = [chunks(data, np.random.default_rng(seed)) for seed in range(40)]
    assert all(m[:4] == b"RIFF" for m in made)
    assert sum(int.from_bytes(m[4:8], "little") == len(m) - 8 for m in made) > 10
    assert len(set(made)) > 15
