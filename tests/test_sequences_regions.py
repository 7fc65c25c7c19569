"""2bit and BED files: letters and windows of regions, and what is refused, and where."""

import gzip
import struct

import numpy as np
import pytest

import fastdl
from fastdl.files.sequences.bed import read_bed
from fastdl.files.sequences.fasta import Fasta
from fastdl.files.sequences.fastq import Fastq
from fastdl.files.sequences.genome import one_hot_regions
from fastdl.files.sequences.genomes import open_sequences
from fastdl.files.sequences.twobit import TwoBit
from tests.sequences_text_files import PACK, fasta, fastq, text_of, twobit

BASES = {"one": 1003, "two": 0, "three": 60, "four": 5, "five": 5001}


@pytest.fixture
def bases():
    rng = np.random.default_rng(0)
    sequences = {name: text_of(rng, n, "ACGTacgtNn") for name, n in BASES.items()}
    return {**sequences, "five": "N" * 100 + sequences["five"][100:4000] + "n" * 1001}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("version", [0, 1])
def test_twobit_gives_back_the_letters(tmp_path, bases, order, version):
    path = tmp_path / "a.2bit"
    path.write_bytes(twobit(bases, order, version))
    source = TwoBit(path)
    assert source.lengths == BASES
    for name, text in bases.items():
        assert source[name][:].tobytes().decode() == text
        assert source.fetch(name, -3, 50).tobytes().decode() == text[:50]
    for size in (1, 100, 1 << 20):
        found = dict.fromkeys(bases, "")
        for piece in source.chunks(size):
            assert piece.start == len(found[piece.name])
            found[piece.name] += piece.letters.tobytes().decode()
        assert found == bases
    want = fastdl.one_hot_windows(bases["five"], [-10, 50, 4990], 100, strand="+--", case="strict")
    got = fastdl.one_hot_windows(source["five"], [-10, 50, 4990], 100, strand="+--", case="strict")
    np.testing.assert_array_equal(got, want)
    with pytest.raises(fastdl.InputError, match="no sequence 'six'"):
        source["six"]


def test_truncated_twobit_names_the_byte(tmp_path, bases):
    data = twobit(bases)
    path = tmp_path / "bad.2bit"
    for size in [*range(0, 300, 7), 400, 700, len(data) - 1]:
        path.write_bytes(data[:size])
        with pytest.raises(fastdl.FileError, match=r"bad\.2bit at byte"):
            [source[name] for source in [TwoBit(path)] for name in bases]
    for at, value, words in (
        (0, 7, "signature"),
        (4, 9, "version must be"),
        (8, 99, "index of sequences|beyond the end|two seq"),
    ):
        path.write_bytes(data[:at] + struct.pack("<I", value) + data[at + 4 :])
        with pytest.raises(fastdl.FileError, match=words):
            TwoBit(path)


def test_open_sequences_goes_by_content(tmp_path, bases):
    for data, kind in (
        (fasta(bases), Fasta),
        (fastq(["AC"]), Fastq),
        (twobit(bases), TwoBit),
        (twobit(bases, ">"), TwoBit),
    ):
        path = tmp_path / "x"
        path.write_bytes(data)
        assert type(open_sequences(path)) is kind
        path.write_bytes(gzip.compress(data))
        if kind is not TwoBit:
            assert type(open_sequences(path)) is kind


@pytest.mark.parametrize("kind", ["fasta", "bgzip", "2bit"])
@pytest.mark.parametrize("layout", ["last", "first"])
def test_regions_are_windows(tmp_path, bases, kind, layout):
    path = tmp_path / "a.fa"
    path.write_bytes(twobit(bases) if kind == "2bit" else PACK["plain" if kind == "fasta" else kind](fasta(bases)))
    rng = np.random.default_rng(0)
    names = rng.choice(list(bases), 60)
    starts = rng.integers(-150, 1200, 60)
    strand = rng.choice(["+", "-", "."], 60)
    with open_sequences(path) as source:
        for pad in (None, "C"):
            got = one_hot_regions(source, names, starts, 120, strand=strand, layout=layout, pad=pad)
            for x, name, start, s in zip(got, names, starts, strand):
                want = fastdl.one_hot_windows(bases[name], [start], 120, strand=[s], layout=layout, pad=pad)[0]
                np.testing.assert_array_equal(x, want)


def test_bed_lines(tmp_path):
    path = tmp_path / "a.bed"
    text = "# comment\ntrack x\nbrowser y\n\nchr1\t5\t10\nchr2\t0\t3\tname\t0\t-\r\nchr3 7 9 n 0 +"
    for data in (text.encode(), gzip.compress(text.encode())):
        path.write_bytes(data)
        (regions,) = read_bed(path)
        assert (regions.names, regions.strand) == (["chr1", "chr2", "chr3"], [".", "-", "+"])
        assert (regions.starts.tolist(), regions.stops.tolist(), regions.lines) == ([5, 0, 7], [10, 3, 9], [5, 6, 7])
        assert [len(r.names) for r in read_bed(path, 2)] == [2, 1]
    path.write_bytes(b"")
    assert list(read_bed(path)) == []


@pytest.mark.parametrize("line", ["chr1\t5", "chr1\tx\t7", "chr1\t9\t5", "chr1\t-1\t5", "chr1\t1\t5\tn\t0\tx"])
def test_wrong_bed_lines_are_named(tmp_path, line):
    path = tmp_path / "bad.bed"
    path.write_text(f"chr1\t0\t5\n{line}\n")
    with pytest.raises(fastdl.FileError, match=r"bad\.bed at line 2"):
        list(read_bed(path))
