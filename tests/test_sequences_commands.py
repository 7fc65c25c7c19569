"""fastdl one-hot, from files to arrays."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from fastdl import one_hot, one_hot_decode, one_hot_windows
from fastdl.cli import main
from tests.sequences_text_files import PACK, bgzip, fasta, fastq, text_of, twobit


@pytest.fixture
def genome():
    rng = np.random.default_rng(0)
    return {"one": text_of(rng, 1003, "ACGTacgtN"), "two": "", "three": text_of(rng, 60, "ACGT"), "four": "ACGTN"}


def run(capsys, *arguments):
    code = main(["one-hot", *map(str, arguments)])
    return code, capsys.readouterr()


def note(path):
    return json.loads(path.with_name(path.name + ".json").read_text())


@pytest.mark.parametrize("pack", [*PACK, "2bit"])
@pytest.mark.parametrize("layout", ["last", "first"])
@pytest.mark.parametrize("kind", ["npy", "zarr"])
def test_whole_genomes(tmp_path, capsys, monkeypatch, genome, pack, layout, kind):
    source, target = tmp_path / "a.fa", tmp_path / f"new/x.{kind}"
    source.write_bytes(twobit(genome) if pack == "2bit" else PACK[pack](fasta(genome)))
    monkeypatch.setattr("fastdl.cli.sequences._BASES", 100)
    code, said = run(capsys, source, "-o", target, "--layout", layout, "--dtype", "float32", "--unknown", "n-uniform")
    assert code == 0, said.err
    assert "encoded 0.0 M letters of 1 file" in said.out
    want = one_hot("".join(genome.values()), layout=layout, unknown="n-uniform")
    np.testing.assert_array_equal(load(target), want)
    assert note(target)["sequences"] == [
        {"name": "one", "start": 0},
        {"name": "two", "start": 1003},
        {"name": "three", "start": 1003},
        {"name": "four", "start": 1063},
    ]
    assert sorted(p.name for p in target.parent.iterdir()) == sorted([target.name, target.name + ".json"])


def load(path):
    if path.suffix == ".npy":
        return np.load(path)
    return pytest.importorskip("zarr").open_array(str(path), mode="r")[:]


@pytest.fixture(autouse=True)
def needs_zarr(request):
    if "kind" in request.fixturenames and request.node.callspec.params["kind"] == "zarr":
        pytest.importorskip("zarr")


@pytest.mark.parametrize("kind", ["npy", "zarr"])
@pytest.mark.parametrize("layout", ["last", "first"])
def test_windows_one_after_the_other(tmp_path, capsys, monkeypatch, genome, kind, layout):
    source, target = tmp_path / "a.fa", tmp_path / f"x.{kind}"
    source.write_bytes(fasta(genome))
    monkeypatch.setattr("fastdl.cli.sequences._BASES", 333)
    code, said = run(capsys, source, "-o", target, "--length", 100, "--layout", layout, "--pad", "A")
    assert code == 0, said.err
    cuts = [text[i : i + 100] for text in genome.values() for i in range(0, len(text), 100)]
    np.testing.assert_array_equal(load(target), one_hot(cuts, length=100, layout=layout, pad="A"))
    assert [s["start"] for s in note(target)["sequences"]] == [0, 11, 11, 12]


def test_reads_of_a_fastq_are_cut_and_padded(tmp_path, capsys):
    source, target = tmp_path / "a.fq", tmp_path / "x.npy"
    reads = ["ACGT", "", "ACGTACGTAC", "NNA"]
    source.write_bytes(fastq(reads))
    code, said = run(capsys, source, "-o", target, "--length", 4)
    assert code == 0, said.err
    np.testing.assert_array_equal(np.load(target), one_hot(["ACGT", "", "ACGT", "ACGT", "AC", "NNA"], length=4))
    (tmp_path / "a.bed").write_text("r0\t0\t2\n")
    for wrong, words in (
        ((), "holds reads: --length"),
        (("--windows", tmp_path / "a.bed"), "have no regions: --windows needs FASTA or 2bit"),
        (("--windows", source), "a.fq at line 1"),
    ):
        code, said = run(capsys, source, "-o", tmp_path / "y.npy", *wrong)
        assert code == 1
        assert words in said.err and not (tmp_path / "y.npy").exists()


@pytest.mark.parametrize("pack", ["plain", "bgzip", "2bit"])
@pytest.mark.parametrize("layout", ["last", "first"])
def test_regions_of_a_bed_file_are_windows(tmp_path, capsys, monkeypatch, genome, pack, layout):
    source, bed, target = tmp_path / "a.fa", tmp_path / "a.bed", tmp_path / "x.npy"
    source.write_bytes(twobit(genome) if pack == "2bit" else PACK[pack](fasta(genome)))
    rng = np.random.default_rng(0)
    regions = [(rng.choice(["one", "three"]), s, s + 50, rng.choice(["+", "-"])) for s in rng.integers(0, 1100, 200)]
    bed.write_text("".join(f"{name}\t{start}\t{stop}\tx\t0\t{strand}\n" for name, start, stop, strand in regions))
    monkeypatch.setattr("fastdl.cli.sequences._BASES", 333)
    for more, shift, length in (((), 0, 50), (("--length", 81), 25 - 40, 81)):
        code, said = run(capsys, source, "-o", target, "--windows", bed, "--layout", layout, "--overwrite", *more)
        assert code == 0, said.err
        got = np.load(target)
        assert len(got) == 200
        for x, (name, start, _, strand) in zip(got, regions):
            want = one_hot_windows(genome[name], [start + shift], length, strand=[strand], layout=layout)[0]
            np.testing.assert_array_equal(x, want)


def test_regions_that_cannot_be(tmp_path, capsys, genome):
    source, bed, target = tmp_path / "a.fa", tmp_path / "a.bed", tmp_path / "x.npy"
    source.write_bytes(fasta(genome))
    for text, words in (
        ("one\t0\t5\nsix\t0\t5\n", "a.bed at line 2: .*holds no sequence 'six'"),
        ("one\t0\t5\none\t0\t6\n", "a.bed at line 2: 6 letters, but 5"),
    ):
        bed.write_text(text)
        code, said = run(capsys, source, "-o", target, "--windows", bed)
        assert code == 1
        assert re.search(words, said.err)
        assert not target.exists()
    bed.write_text("")
    assert run(capsys, source, "-o", target, "--windows", bed)[0] == 0
    assert np.load(target).shape == (0, 0, 4)


def test_nothing_half_written_stands(tmp_path, capsys, genome):
    source = tmp_path / "a.fa"
    source.write_bytes(fasta(genome) + b">bad\nAC1T\n")
    for target in (tmp_path / "x.npy", tmp_path / "x.zarr"):
        if target.suffix == ".zarr":
            pytest.importorskip("zarr")
        code, said = run(capsys, source, "-o", target)
        assert code == 1
        assert "a.fa at line" in said.err
        assert "'1' is no letter" in said.err
        assert [p.name for p in tmp_path.iterdir()] == ["a.fa"]


def test_what_is_there_is_kept(tmp_path, capsys, genome):
    zarr = pytest.importorskip("zarr")
    source = tmp_path / "a.fa"
    source.write_bytes(fasta(genome))
    for target in (tmp_path / "x.npy", tmp_path / "x.zarr"):
        assert run(capsys, source, "-o", target)[0] == 0
        code, said = run(capsys, source, "-o", target)
        assert code == 1
        assert "exists; --overwrite replaces it" in said.err
        assert run(capsys, source, "-o", target, "--overwrite", "--dtype", "int8")[0] == 0
    assert zarr.open_array(str(tmp_path / "x.zarr")).dtype == np.int8
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]
    (tmp_path / "b.fa").write_bytes(source.read_bytes())
    code, said = run(capsys, source, tmp_path / "b.fa", "-o", tmp_path / "y.zarr")
    assert code == 1
    assert "takes one file" in said.err


def test_wrong_settings_are_said_before_any_file_is_read(tmp_path, capsys, genome):
    source = tmp_path / "a.fa"
    source.write_bytes(fasta(genome))
    for option, value in (
        ("--dtype", "int64"),
        ("--unknown", "guess"),
        ("--layout", "up"),
        ("--like", "nobody"),
        ("--length", "0"),
        ("--pad", "NN"),
        ("--alphabet", "AA"),
    ):
        code, said = run(capsys, source, "-o", tmp_path / "x.npy", option, value)
        assert code == 1
        assert "must be" in said.err
    code, said = run(capsys, source, "-o", tmp_path / "x.npy", "--like", "tangermeme")
    assert code == 1
    assert "which is not in the alphabet" in said.err


def test_folders_keep_their_order(tmp_path, capsys, genome):
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.fa").write_bytes(fasta(genome))
    (folder / "deep/b.fa.gz").write_bytes(bgzip(fasta(genome)))
    assert run(capsys, folder, "-o", tmp_path / "out")[0] == 0
    for name in ("a.npy", "deep/b.fa.npy"):
        assert one_hot_decode(np.load(tmp_path / "out" / name)).tobytes().decode() == "".join(genome.values()).upper()


def test_memory_stays_bounded(tmp_path):
    """A file far larger than the memory that is allowed beyond what importing takes."""
    source = tmp_path / "big.fa"
    line = b"ACGTN" * 12 + b"\n"
    with open(source, "wb") as file:
        for name in (b"a", b"b"):
            file.write(b">" + name + b"\n" + line * 400_000)
    code = (
        "import resource, sys; from fastdl.cli import main; import fastdl.sequences, fastdl.files.sequences\n"
        "main(['one-hot', sys.argv[1], '-o', sys.argv[3], '--quiet'])\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "main(['one-hot', sys.argv[2], '-o', sys.argv[4], '--quiet'])\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    small = tmp_path / "small.fa"
    small.write_bytes(b">a\n" + line * 1000)
    arguments = [str(small), str(source), str(tmp_path / "s.npy"), str(tmp_path / "b.npy")]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=300, env={**os.environ}
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) < 80_000, done.stdout  # KiB; the output is 190 MB
    assert np.load(tmp_path / "b.npy", mmap_mode="r").shape == (48_000_000, 4)


def test_summits_tables_and_what_lies_outside_is_said(tmp_path, capsys, genome):
    source, peaks, table = tmp_path / "a.fa", tmp_path / "a.narrowPeak", tmp_path / "a.csv"
    source.write_bytes(fasta(genome))
    peaks.write_text("one\t100\t200\tx\t0\t-\t1\t1\t1\t20\none\t5000\t5000\tx\t0\t+\t1\t1\t1\t-1\n")
    target = tmp_path / "x.npy"
    code, said = run(capsys, source, "-o", target, "--windows", peaks, "--length", 41, "--center", "summit")
    assert code == 0, said.err
    assert "1 windows lie wholly outside" in said.out
    assert "1 regions have no letters" in said.out
    np.testing.assert_array_equal(np.load(target), one_hot_windows(genome["one"], [100, 4980], 41, strand="-+"))
    table.write_text("id,chrom,start,end\nx,one,-5,15\ny,three,0,20\n")
    code, said = run(capsys, source, "-o", target, "--windows", table, "--overwrite")
    assert code == 1
    assert "a.csv at line 2: must start at 0 or later" in said.err
    code, said = run(capsys, source, "-o", target, "--windows", table, "--overwrite", "--pad", "N")
    assert code == 0, said.err
    np.testing.assert_array_equal(np.load(target)[0], one_hot_windows(genome["one"], [-5], 20)[0])
    table.write_text("chrom,start,end\nchrone,0,5\n")
    code, said = run(capsys, source, "-o", target, "--windows", table, "--overwrite")
    assert "a.csv at line 2" in said.err
    assert "did you mean 'one'?" in said.err


def test_reads_lead_back_to_their_names(tmp_path, capsys):
    source, target = tmp_path / "a.fq", tmp_path / "x.npy"
    source.write_bytes(fastq(["ACGT", "", "ACGTACGTAC"]))
    assert run(capsys, source, "-o", target, "--length", 4)[0] == 0
    assert note(target)["sequences"] == [
        {"name": "r0 x", "start": 0},
        {"name": "r1 x", "start": 1},
        {"name": "r2 x", "start": 2},
    ]


def test_odd_fasta_is_encoded_whole(tmp_path, capsys):
    source, target = tmp_path / "a.fa", tmp_path / "x.npy"
    source.write_bytes(b">a\rACGT\rAC\r>a\rG\r")
    for more in ((), ("--length", 3), ("--layout", "first")):
        assert run(capsys, source, "-o", target, "--overwrite", *more)[0] == 0
    np.testing.assert_array_equal(np.load(target), one_hot("ACGTACG", layout="first"))
    source.write_bytes(b">a\n 1 acgt ac\n 7 g\n")
    assert run(capsys, source, "-o", target, "--overwrite")[0] == 1
    assert run(capsys, source, "-o", target, "--overwrite", "--loose")[0] == 0
    np.testing.assert_array_equal(np.load(target), one_hot("ACGTACG"))
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith("a")) == ["a.fa"]


@pytest.mark.parametrize("kind", ["npy", "zarr"])
@pytest.mark.parametrize("broken", ["description", "array"])
def test_an_array_and_its_description_are_one_commit(tmp_path, capsys, monkeypatch, kind, broken):
    source, target = tmp_path / "a.fa", tmp_path / f"x.{kind}"
    source.write_bytes(b">a\nACGT\n")
    assert run(capsys, source, "-o", target)[0] == 0
    before, said = load(target), note(target)
    source.write_bytes(b">b\nTTTTTT\n")
    if broken == "description":

        def describe(file, *_):
            file.write(b"{")
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("fastdl.cli.sequences._describe", describe)
    else:
        name = {"npy": "NpyWriter.finish", "zarr": "_Zarr.finish"}[kind]
        monkeypatch.setattr(f"fastdl.files.sequences.one_hot_arrays.{name}", _full)
    assert run(capsys, source, "-o", target, "--overwrite", "--layout", "last")[0] == 1
    np.testing.assert_array_equal(load(target), before)
    assert note(target) == said
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.fa", target.name, target.name + ".json"]


def _full(self):
    raise OSError(28, "No space left on device")
