"""FASTA and FASTQ files: what is read, by pieces and by windows, and what is refused, and where."""

import gzip
import os

import numpy as np
import pytest

import fastdl
from fastdl.files.sequences import fasta as fasta_module
from fastdl.files.sequences import fastq as fastq_module
from fastdl.files.sequences.fasta import Fasta
from fastdl.files.sequences.fastq import Fastq
from fastdl.reference import _sequence_text as reference
from tests.sequences_text_files import PACK, bgzip, fasta, fastq, genome, text_of


@pytest.fixture(params=["kernel", "reference"])
def either(request, monkeypatch):
    """The parsers, compiled and not."""
    if request.param == "reference":
        monkeypatch.setattr(fasta_module, "kernel", reference)
        monkeypatch.setattr(fastq_module, "kernel", reference)


def read_all(path, bases=1 << 20):
    found = {}
    for piece in Fasta(path).chunks(bases):
        assert len(piece.letters) <= bases
        assert piece.start == len(found.setdefault(piece.name, ""))
        found[piece.name] += piece.letters.tobytes().decode()
    return found


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize("pack", PACK)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("size", [7, 64, 1 << 22])
def test_fasta_front_to_end(tmp_path, monkeypatch, pack, end, last, size):
    sequences = genome(np.random.default_rng(0))
    path = tmp_path / "a.fa"
    path.write_bytes(PACK[pack](fasta(sequences, end=end, last=last)))
    monkeypatch.setattr(fasta_module, "_TEXT", size)
    for bases in (1, 100, 1 << 20):
        assert read_all(path, bases) == sequences


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize("pack", ["plain", "bgzip"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("size", [13, 1 << 22])
def test_fasta_windows_by_index(tmp_path, monkeypatch, pack, end, last, size):
    sequences = genome(np.random.default_rng(0))
    path = tmp_path / "a.fa"
    path.write_bytes(PACK[pack](fasta(sequences, end=end, last=last)))
    monkeypatch.setattr(fasta_module, "_TEXT", size)
    with Fasta(path) as source:
        assert source.lengths == {name: len(text) for name, text in sequences.items()}
        for name, text in sequences.items():
            for start, stop in [(0, 10), (59, 61), (60, 120), (0, 10**6), (-5, 3), (900, 1100), (5, 5), (2000, 3000)]:
                assert source.fetch(name, start, stop).tobytes().decode() == text[max(start, 0) : stop]
        with pytest.raises(fastdl.InputError, match="no sequence 'six'; it holds 'one', 'two'"):
            source.fetch("six", 0, 1)
    assert [p.name for p in tmp_path.iterdir()] == ["a.fa"]  # nothing is written without being asked
    index = tmp_path / "a.fa.fai"
    assert Fasta(path, write_index=True).lengths["one"] == 1003
    rows = [line.split("\t") for line in index.read_text().splitlines()]
    assert [row[0] for row in rows] == list(sequences)
    width = 60 + len(end)
    assert rows[0] == ["one", "1003", str(len(">one a comment > here" + end)), "60", str(width)]
    # An index that is there is used, however old, where it belongs to the file.
    os.utime(index, (0, 0))
    monkeypatch.setattr(Fasta, "_make_index", None)
    assert Fasta(path).lengths["one"] == 1003


def changed(row, **fields):
    names = ["name", "length", "offset", "bases", "width"]
    return "\t".join(fields.get(name, value) for name, value in zip(names, row))


@pytest.mark.parametrize("pack", ["plain", "bgzip"])
def test_an_index_of_another_file_is_not_believed(tmp_path, pack):
    sequences = genome(np.random.default_rng(0))
    path, index = tmp_path / "a.fa", tmp_path / "a.fa.fai"
    path.write_bytes(PACK[pack](fasta(sequences)))
    assert Fasta(path, write_index=True).lengths
    good = index.read_text()
    rows = [line.split("\t") for line in good.splitlines()]
    wrong = [
        changed(rows[0], length="5"),
        changed(rows[0], length="1004"),
        changed(rows[0], offset="23"),
        changed(rows[0], bases="59"),
        changed(rows[0], bases="50", width="51"),
        changed(rows[0], name="other"),
        changed(rows[0], length="x"),
        "one\t4\t3\t4",
        changed(rows[0], length="100000000"),
        changed(rows[0], width="59"),
        "",
    ]
    for line in wrong:
        index.write_text("\n".join([line, *good.splitlines()[1:]]) + "\n")
        with pytest.warns(fastdl.files.sequences.IndexIgnored, match="does not belong to a.fa"):
            assert Fasta(path).lengths == {name: len(text) for name, text in sequences.items()}
    for text in ("\n".join(good.splitlines()[:-1]), "", good + good, good.replace("three", "drei")):
        index.write_text(text)
        with pytest.warns(fastdl.files.sequences.IndexIgnored):
            assert Fasta(path).fetch("five", 700, 777).tobytes().decode() == sequences["five"][700:]
    # A header three letters longer: every window of an index that is believed would be shifted by three.
    index.write_text(good)
    path.write_bytes(PACK[pack](fasta(sequences).replace(b">one a", b">one and a", 1)))
    with pytest.warns(fastdl.files.sequences.IndexIgnored):
        assert Fasta(path).fetch("one", 500, 600).tobytes().decode() == sequences["one"][500:600]


def test_pyfaidx_makes_the_same_index(tmp_path):
    pyfaidx = pytest.importorskip("pyfaidx")
    sequences = genome(np.random.default_rng(0))
    del sequences["two"]  # pyfaidx gives an empty sequence other line lengths
    path = tmp_path / "a.fa"
    path.write_bytes(fasta(sequences))
    with Fasta(path, write_index=True) as source:
        assert source.lengths
    ours = (tmp_path / "a.fa.fai").read_text()
    (tmp_path / "a.fa.fai").unlink()
    pyfaidx.Fasta(str(path)).close()
    assert (tmp_path / "a.fa.fai").read_text() == ours


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "line 1: holds no sequence"),
        (b"\n\n", "line 3: holds no sequence"),
        (b"ACGT\n", "line 1: not FASTA"),
        (b"\n\nACGT\n>a\n", "line 1: not FASTA"),
        (b">a\nACGT\nAC1T\n", "line 3: '1' is no letter"),
        (b">a\nACGT\nAC GT\n", "line 3: ' ' is no letter"),
        (b">a\nACGT\nAC>GT\n", "line 3: '>' is no letter"),
        (b">a\nACGT\nAC\0T\n", "line 3: '\\\\x00' is no letter"),
        (b">a\nACGT\n\nAC\xffT\n", "line 4: 'ÿ' is no letter"),
        (b">a\nAC\rGT\n", "line 2: '\\\\r' is no letter"),
    ],
)
@pytest.mark.parametrize("size", [3, 1 << 22])
def test_malformed_fasta_names_the_line(tmp_path, monkeypatch, data, words, size):
    path = tmp_path / "bad.fa"
    path.write_bytes(data)
    monkeypatch.setattr(fasta_module, "_TEXT", size)
    with pytest.raises(fastdl.FileError, match=f"bad.fa at {words}"):
        list(Fasta(path).chunks())
    with pytest.raises(fastdl.FileError, match=f"bad.fa at {words}"):
        Fasta(path).index  # noqa: B018
    assert [p.name for p in tmp_path.iterdir()] == ["bad.fa"]


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b">a\nACGT\nACG\nACGT\n", 4),
        (b">a\nACGT\nACGTA\n", 3),
        (b">a\nACGT\n\nACGT\n", 4),
        (b">a\n\nACGT\n", 3),
        (b">a\nACGT\nACG\nA", 4),
        (b">a\nACGT\nACG\r\n", 3),
        (b">a\nACGT\n>b\nACG\nACGTA\n>c\nA\n", 5),
    ],
)
@pytest.mark.parametrize("size", [2, 5, 1 << 22])
def test_uneven_lines_bar_windows_of_their_sequence_only(tmp_path, monkeypatch, data, line, size):
    path = tmp_path / "uneven.fa"
    path.write_bytes(data + b"\n>even\nACGT\nAC\n")
    monkeypatch.setattr(fasta_module, "_TEXT", size)
    whole = read_all(path)
    reader = Fasta(path)
    assert reader.lengths == {name: len(text) for name, text in whole.items()}
    assert reader.fetch("even", 3, 6).tobytes() == b"TAC"
    uneven = next(name for name, entry in reader.index.items() if entry.obstacle)
    with pytest.raises(fastdl.FileError, match=f"line {line}: stands in the way of a window"):
        reader.fetch(uneven, 0, 2)
    with pytest.raises(fastdl.FileError, match="cannot hold a sequence of unequal lines"):
        Fasta(path, write_index=True).lengths  # noqa: B018


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize("size", [3, 1 << 22])
def test_odd_fasta_is_read(tmp_path, monkeypatch, size):
    monkeypatch.setattr(fasta_module, "_TEXT", size)
    path = tmp_path / "odd.fa"
    for data, want in (
        (b">a\nAC\n>\nGT\n", [("a", "AC"), ("", "GT")]),
        (b">a\nAC\n> chr1 x\nGT\n", [("a", "AC"), ("chr1", "GT")]),
        (b">a\nAC\n>a\nGT\n", [("a", "AC"), ("a", "GT")]),
        (b"\n\n>a\n\nAC\n\n\nG\n\n", [("a", "ACG")]),
        (b"; said\n>a\n; more\nAC\n;and ACGT more\nGT\n;", [("a", "ACGT")]),
        (b">a x\rACGT\rAC\r>b\rGG\r", [("a", "ACGTAC"), ("b", "GG")]),
        (b">a x\rACGT\rAC\r>b\rGG", [("a", "ACGTAC"), ("b", "GG")]),
        (">a\u2028b\u00e9 c\nAC\n".encode(), [("a\u2028b\u00e9", "AC")]),
        (b">only", [("only", "")]),
        (b">a\n>b\n>c\nA", [("a", ""), ("b", ""), ("c", "A")]),
    ):
        path.write_bytes(data)
        found = [[piece.name, ""] for piece in Fasta(path).chunks() if piece.start == 0]
        at = -1
        for piece in Fasta(path).chunks():
            at += piece.start == 0
            found[at][1] += piece.letters.tobytes().decode()
        assert [tuple(each) for each in found] == want
        if b"\r" in data:
            assert Fasta(path).fetch("a", 3, 6).tobytes() == b"TAC"
            assert Fasta(path).fetch("b", 1, 9).tobytes() == b"G"


@pytest.mark.usefixtures("either")
def test_loose_fasta_skips_blanks_and_numbers(tmp_path):
    path = tmp_path / "genbank.fa"
    path.write_bytes(b">a 1 2\n        1 acgt ac\n       11 GT\n>b\nAC\n")
    with pytest.raises(fastdl.FileError, match=r"line 2: ' ' is no letter of a sequence; loose=True \(--loose\)"):
        list(Fasta(path).chunks())
    reader = Fasta(path, loose=True)
    assert [(p.name, p.letters.tobytes()) for p in reader.chunks()] == [("a", b"acgtacGT"), ("b", b"AC")]
    assert reader.fetch("b", 0, 2).tobytes() == b"AC"
    with pytest.raises(fastdl.FileError, match="line 2: stands in the way"):
        reader.fetch("a", 0, 2)
    path.write_bytes(b">a\n1 ac!t\n")
    with pytest.raises(fastdl.FileError, match="line 2: '!' is no letter"):
        list(Fasta(path, loose=True).chunks())


def test_two_of_a_name_are_read_but_have_no_windows(tmp_path):
    twice = tmp_path / "twice.fa"
    twice.write_bytes(b">a\nAC\n>a\nGT\n>b\nG\n")
    assert Fasta(twice).fetch("b", 0, 1).tobytes() == b"G"
    with pytest.raises(fastdl.FileError, match="line 3: stands in the way"):
        Fasta(twice).fetch("a", 0, 1)


def test_gzip_that_is_not_bgzip_has_no_windows(tmp_path):
    packed = tmp_path / "a.fa.gz"
    packed.write_bytes(gzip.compress(fasta(genome(np.random.default_rng(0)))))
    with pytest.raises(fastdl.FileError, match="not bgzip"):
        Fasta(packed).fetch("one", 0, 5)
    packed.write_bytes(packed.read_bytes()[:-300])
    with pytest.raises(fastdl.FileError, match=r"a.fa.gz at byte .*truncated or corrupt"):
        list(Fasta(packed).chunks())
    blocks = tmp_path / "b.fa.gz"
    blocks.write_bytes(bgzip(fasta(genome(np.random.default_rng(0)))))
    assert Fasta(blocks).lengths
    blocks.write_bytes(blocks.read_bytes()[:-100])
    os.utime(blocks, (0, 0))
    with pytest.raises(fastdl.FileError, match=r"b.fa.gz at byte .*truncated"):
        Fasta(blocks).fetch("one", 0, 5)
    with pytest.raises(fastdl.FileError, match="no such file"):
        Fasta(tmp_path / "none.fa")
    with pytest.raises(fastdl.FileError, match="is a folder"):
        Fasta(tmp_path)


# FASTQ.


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize("pack", ["plain", "gzip"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("size", [1, 50, 1 << 22])
def test_fastq_in_batches(tmp_path, pack, end, last, size):
    rng = np.random.default_rng(0)
    reads = [text_of(rng, n) for n in (5, 0, 100, 33, 1, 0, 64, 0)]
    path = tmp_path / "a.fq"
    path.write_bytes(PACK[pack](fastq(reads, end, last)))
    found, names = [], []
    for batch in Fastq(path).batches(size):
        found += [batch.letters[a:b].tobytes().decode() for a, b in zip(batch.offsets, batch.offsets[1:])]
        names += batch.names
        assert batch.qualities.tobytes() == b"I" * len(batch.letters)
    assert found == reads
    assert names == [f"r{i} x" for i in range(len(reads))]


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "line 1: holds no reads"),
        (b"@a\nAC\n+\nII\n>b\nAC\n", "line 5: a read must begin with @"),
        (b"@a\nACGT\n+\nII\n@b\nAC\n+\nII\n", "line 4: as many qualities"),
        (b"@a\nAC\nGT\n+\nII\nIII\n", "line 5: as many qualities"),
        (b"@a\nAC\nGT\n+\nII\n@b\nAC\n+\nII\n", "line 7: a read must begin|line 6: a read must begin"),
        (b"@a\nAC\n+\nIII\n", "line 4: as many qualities"),
        (b"@a\nA C\n+\nIII\n", "line 2: a byte that is no letter"),
        (b"@a\nAC\n+\nII\n@b\nAC\n", "line 5: truncated"),
        (b"@a\nAC\n+\nII\n@b\nAC\n+\nI", "line 8: as many qualities"),
    ],
)
@pytest.mark.parametrize("size", [4, 1 << 22])
def test_malformed_fastq_names_the_line(tmp_path, data, words, size):
    path = tmp_path / "bad.fq"
    path.write_bytes(data)
    with pytest.raises(fastdl.FileError, match=f"bad.fq at {words}"):
        list(Fastq(path).batches(size))


# 2bit.


# Regions.
