"""Genomes in files: windows by name, with shifts, both strands and variants; handles in threads and processes."""

import gzip
import multiprocessing
import os
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fastdl
from fastdl.files import Fasta, Genome, TwoBit, open_sequences, read_bed, read_regions, read_vcf
from fastdl.sequences import Variants
from tests.sequences_text_files import bgzip, fasta, fastq, text_of, twobit


@pytest.fixture(scope="module")
def sequences():
    rng = np.random.default_rng(0)
    return {"chr1": text_of(rng, 5003, "ACGTacgtN"), "2": text_of(rng, 900, "ACGT"), "empty": ""}


KINDS = ["fasta", "bgzip", "2bit"]


def write(path, kind, sequences):
    data = {"fasta": fasta, "bgzip": lambda s: bgzip(fasta(s)), "2bit": twobit}[kind](sequences)
    path.write_bytes(data)
    return path


@pytest.fixture(params=KINDS)
def path(request, tmp_path, sequences):
    return write(tmp_path / "a.fa", request.param, sequences)


def letters(x, **settings):
    return [w.tobytes().decode() for w in fastdl.one_hot_decode(x, **settings)]


def test_windows_by_name(path, sequences):
    with Genome(path) as genome:
        assert genome.lengths == {name: len(text) for name, text in sequences.items()}
        rng = np.random.default_rng(0)
        chroms, starts = rng.choice(list(sequences), 50), rng.integers(-150, 1000, 50)
        strand = rng.choice(["+", "-"], 50)
        got = genome.windows(chroms, starts, 100, strand=strand, pad="C", layout="first")
        for x, name, start, sign in zip(got, chroms, starts, strand):
            want = fastdl.one_hot_windows(sequences[name], [start], 100, strand=[sign], pad="C", layout="first")
            np.testing.assert_array_equal(x, want[0])
        both = genome.windows(chroms, starts, 100, strand="both", threads=2)
        np.testing.assert_array_equal(both[:, 0], genome.windows(chroms, starts, 100))
        np.testing.assert_array_equal(both[:, 1], genome.windows(chroms, starts, 100, strand="-"))
        assert not genome.windows("chr1", np.array([2**64 - 1], np.uint64), 5).any()
        assert genome.windows([], [], 5).shape == (0, 5, 4)


def test_jitter_and_random_strands_follow_the_seed(path):
    genome, starts = Genome(path), np.full(500, 1000)
    got = genome.windows("chr1", starts, 30, jitter=2, seed=7)
    shifted = [genome.windows("chr1", [1000 + k], 30)[0] for k in range(-2, 3)]
    found = [next(k for k, w in enumerate(shifted) if np.array_equal(x, w)) for x in got]
    assert np.bincount(found, minlength=5).min() > 60
    np.testing.assert_array_equal(got, genome.windows("chr1", starts, 30, jitter=2, seed=7))
    turned = genome.windows("chr1", starts, 30, strand="random", seed=1)
    assert 150 < sum(np.array_equal(x, shifted[2]) for x in turned) < 350


@pytest.mark.parametrize("name", ["1", "Chr1", "chr2", "chr_1", "nothing"])
def test_names_that_are_not_there(path, name):
    meant = {"1": "chr1", "Chr1": "chr1", "chr2": "2", "chr_1": "chr1"}.get(name)
    words = f"did you mean '{meant}'" if meant else "it holds 'chr1', '2', 'empty'"
    with pytest.raises(fastdl.InputError, match=words):
        Genome(path).windows([name], [0], 5)


# Handles.


def fetch_there(reader, name):
    return reader.fetch(name, 100, 300).tobytes()


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("kind", KINDS)
def test_readers_in_other_processes(tmp_path, sequences, method, kind):
    reader = open_sequences(write(tmp_path / "a.fa", kind, sequences))
    want = fetch_there(reader, "chr1")
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.apply(fetch_there, (reader, "chr1")) == want == sequences["chr1"][100:300].encode()


def test_a_pickled_reader_is_its_path_and_knows_its_file(tmp_path, sequences):
    for kind in KINDS:
        path = write(tmp_path / f"{kind}.fa", kind, sequences)
        reader = open_sequences(path)
        fetch_there(reader, "chr1")
        data = pickle.dumps(reader)
        assert len(data) < 2500  # no letters, no descriptor
        other = write(tmp_path / "other", kind, {"chr1": "A" * 5003, "2": "C" * 900, "empty": ""})
        copy = pickle.loads(data)
        assert fetch_there(copy, "chr1") == fetch_there(reader, "chr1")
        os.replace(other, path)
        with pytest.raises(fastdl.FileError, match="another file than when it was opened"):
            fetch_there(pickle.loads(data), "chr1")


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_shrinks_is_an_error(tmp_path, sequences, kind):
    path = write(tmp_path / "a.fa", kind, sequences)
    reader = open_sequences(path)
    reader.fetch("chr1", 0, 10)
    if kind == "2bit":
        whole = reader["chr1"]
    os.truncate(path, 100)
    with pytest.raises(fastdl.FileError, match=r"at byte 100: has become shorter"):
        reader.fetch("2", 800, 900)
    if kind == "2bit":
        assert whole[100:300].tobytes().decode() == sequences["chr1"][100:300]


@pytest.mark.parametrize("kind", KINDS)
def test_many_unclosed_readers(tmp_path, sequences, kind):
    resource = pytest.importorskip("resource")
    path = write(tmp_path / "a.fa", kind, sequences)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        readers = [open_sequences(path) for _ in range(400)]
        assert {fetch_there(reader, "chr1") for reader in readers} == {sequences["chr1"][100:300].encode()}
        del readers
        before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
        assert before < 200
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_readers_in_threads(path, sequences):
    genome, starts = Genome(path), np.random.default_rng(0).integers(0, 4900, 400)
    want = genome.windows("chr1", starts, 100)
    with ThreadPoolExecutor(4) as pool:
        for got in pool.map(lambda s: genome.windows("chr1", starts[s], 100), [slice(k, k + 100) for k in range(300)]):
            assert len(got) == 100 or len(got) < 100
        got = np.concatenate(list(pool.map(lambda k: genome.windows("chr1", starts[k : k + 4], 100), range(0, 400, 4))))
    np.testing.assert_array_equal(got, want)


def test_sizes_of_bgzip_blocks_are_not_trusted(tmp_path, sequences):
    path = tmp_path / "a.fa.gz"
    data = bytearray(bgzip(fasta(sequences)))
    path.write_bytes(data)
    Fasta(path, write_index=True).lengths  # noqa: B018
    size = int.from_bytes(data[16:18], "little") + 1
    for lie in (999, 1001, 2**31):
        data[size - 4 : size] = lie.to_bytes(4, "little")
        path.write_bytes(data)
        with pytest.raises(fastdl.FileError, match=r"a.fa.gz at byte \d+: (a block that says|truncated or corrupt)"):
            Fasta(path).fetch("chr1", 0, 5000)


def test_lines_without_end(tmp_path):
    path = tmp_path / "x.gz"
    for head, read, words in (
        (b">", lambda: list(Fasta(path).chunks()), "a line with > of more than"),
        (b"@", lambda: list(open_sequences(path).batches()), "a read of more than|truncated"),
        (b"chr1\t", lambda: list(read_bed(path)), "a line of more than"),
        (b"chr1\t", lambda: read_vcf(path), "a line of more than"),
    ):
        path.write_bytes(gzip.compress(head + b"A" * 20_000_000, 1))
        with pytest.raises(fastdl.FileError, match=words):
            read()


def test_an_empty_fastq_is_said_to_be_one(tmp_path):
    for name in ("a.fq", "a.fastq.gz"):
        path = tmp_path / name
        path.write_bytes(gzip.compress(b"") if name.endswith("gz") else b"")
        with pytest.raises(fastdl.FileError, match="holds no reads"):
            list(open_sequences(path).batches())
    path.write_bytes(fastq(["ACGT"]))
    with pytest.raises(fastdl.FileError, match="holds reads, which have no places"):
        Genome(path)


def test_multi_line_reads(tmp_path):
    path = tmp_path / "a.fq"
    path.write_bytes(b"\n@a\nACG\nT\n+a\n@@@\n@\n@b\n\n+\n\n@c\nGG\n+\n@+\n\n\n")
    (batch,) = open_sequences(path).batches()
    assert batch.names == ["a", "b", "c"]
    assert batch.letters.tobytes() == b"ACGTGG"
    assert batch.qualities.tobytes() == b"@@@@@+"
    assert batch.offsets.tolist() == [0, 4, 4, 6]


# Variants.

REFERENCE = "AACCGGTTAACCGGTT"
BY_HAND = [
    # positions from 0, refs, alts, window start, its 8 letters
    ([], [], [], 2, "CCGGTTAA"),
    ([4], ["G"], ["T"], 2, "CCTGTTAA"),
    ([4], ["g"], ["T"], 2, "CCTGTTAA"),
    ([3], ["C"], ["CAAA"], 2, "CCAAAGGT"),
    ([3], ["CGG"], ["C"], 2, "CCTTAACC"),
    ([3, 9], ["CGG", "A"], ["C", "G"], 2, "CCTTAGCC"),
    ([0], ["AACC"], ["A"], 2, "GGTTAACC"),
    ([1], ["A"], ["ATTT"], 2, "CCGGTTAA"),
    ([1], ["ACC"], ["TGG"], 2, "GGGGTTAA"),
    ([9], ["A"], ["ATT"], 2, "CCGGTTAA"),
    ([8, 2], ["AA", "CC"], ["GG", ""], 2, "GGTTGGCC"),
    ([12], ["GGTT"], [""], 10, "CC......"),
    ([15], ["T"], ["TAAAAAAAAA"], 12, "GGTTAAAA"),
    ([0], ["A"], ["G"], -3, "...GACCG"),
]


@pytest.mark.parametrize(("positions", "refs", "alts", "start", "want"), BY_HAND)
@pytest.mark.parametrize("kind", KINDS)
def test_variants_by_hand(tmp_path, kind, positions, refs, alts, start, want):
    path = write(tmp_path / "a.fa", kind, {"s": REFERENCE, "t": REFERENCE})
    variants = Variants("s", positions, refs, alts)
    x = Genome(path).windows(["s", "t"], [start, start], 8, variants=variants)
    plain = "".join(REFERENCE[i] if 0 <= i < 16 else "." for i in range(start, start + 8))
    assert letters(x, unknown_char=".") == [want, plain]
    turned = Genome(path).windows(["s"], [start], 8, variants=variants, strand="-")
    assert letters(turned, unknown_char=".") == [fastdl.reverse_complement(want)]


def test_wrong_variants_are_named(tmp_path):
    genome = Genome(write(tmp_path / "a.fa", "fasta", {"s": REFERENCE}))
    for positions, refs, alts, words in (
        ([4], ["C"], ["T"], "'C' at s:4 .from 0., but it has 'G' there"),
        ([15], ["TT"], ["T"], "'TT' at s:15"),
        ([4, 5], ["GG", "G"], ["A", "T"], "variant at s:5 overlaps"),
        ([4, 4], ["G", "G"], ["A", "T"], "variant at s:4 overlaps"),
        ([-1], ["G"], ["A"], "positions must be 0 or more"),
        ([4], ["G"], ["<DEL>"], "alts must be letters"),
        ([4], ["G", "A"], ["A"], "lengths must agree"),
    ):
        with pytest.raises(fastdl.InputError, match=words):
            genome.windows("s", [2], 20, variants=Variants("s", positions, refs, alts))
        with pytest.raises(fastdl.InputError):
            fastdl.apply_variants(REFERENCE, positions, refs, alts)


def test_variant_windows_compare_the_alleles(tmp_path, sequences):
    genome = Genome(write(tmp_path / "a.fa", "fasta", sequences))
    text = sequences["2"]
    variants = Variants("2", [400, 401], [text[400], text[401]], ["A" if text[400] != "A" else "C", "GGG"])
    before, after = genome.variant_windows(variants, 21, layout="first")
    for k, place in enumerate((400, 401)):
        start = place - 10
        alone = Variants("2", [place], [variants.refs[k]], [variants.alts[k]])
        np.testing.assert_array_equal(before[k], genome.windows("2", [start], 21, layout="first")[0])
        np.testing.assert_array_equal(after[k], genome.windows("2", [start], 21, layout="first", variants=alone)[0])


def test_consensus_of_bcftools(tmp_path):
    pysam = pytest.importorskip("pysam")
    consensus = pytest.importorskip("pysam.bcftools").consensus
    rng = np.random.default_rng(0)
    text = text_of(rng, 3000, "ACGT")
    rows = []
    for at in range(20, 2900, 40):
        kind = rng.integers(3)
        ref = text[at] if kind < 2 else text[at : at + int(rng.integers(2, 9))]
        alt = {0: "ACGT"["ACGT".index(text[at]) - 1], 1: text[at] + text_of(rng, 4, "ACGT"), 2: text[at]}[int(kind)]
        rows.append((at, ref, alt))
    path, vcf = tmp_path / "a.fa", tmp_path / "a.vcf"
    path.write_bytes(fasta({"s": text}))
    head = "##fileformat=VCFv4.2\n##contig=<ID=s,length=3000>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    vcf.write_text(head + "".join(f"s\t{at + 1}\t.\t{ref}\t{alt}\t.\t.\t.\n" for at, ref, alt in rows))
    packed = pysam.tabix_index(str(vcf), preset="vcf", keep_original=True)
    want = "".join(consensus("-f", str(path), packed).splitlines()[1:])
    found = read_vcf(packed)
    got = fastdl.apply_variants(text, found.positions, found.refs, found.alts)
    assert got.tobytes().decode() == want
    # A window of the whole is the same.
    x = Genome(path).windows("s", [0], len(want), variants=vcf)
    assert letters(x) == [want]


def test_genotypes_of_a_sample(tmp_path):
    path = tmp_path / "a.vcf"
    path.write_text(
        "##x\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tu\tv\n"
        "1\t5\t.\tA\tC,G\t.\t.\t.\tGT:DP\t0|2:7\t1/1\n1\t9\t.\tA\tT,*\t.\t.\t.\tGT\t.|1\t2|0\n"
    )
    both = read_vcf(path)
    assert (both.positions.tolist(), both.alts) == ([4, 4, 8], ["C", "G", "T"])
    assert read_vcf(path, sample="u").alts == []
    assert read_vcf(path, sample="u", haplotype=1).alts == ["G", "T"]
    assert read_vcf(path, sample="v").alts == ["C"]
    with pytest.raises(fastdl.FileError, match=r"line 2: has no sample 'w'"):
        read_vcf(path, sample="w")
    path.write_text("1\tx\t.\tA\tC\n")
    with pytest.raises(fastdl.FileError, match="line 1: needs CHROM"):
        read_vcf(path)


# Regions.


def test_regions_of_every_kind(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {
            "gene": ["a", "b", "c"],
            "start": [5, 0, 7],
            "end": [10, 3, 9],
            "chrom": ["1", "1", "X"],
            "strand": list("+-+"),
        }
    )
    frame["summit"] = [7, 1, 8]
    paths = [tmp_path / f"a{end}" for end in (".csv", ".tsv", ".csv.gz", ".parquet")]
    frame.to_csv(paths[0])
    frame.to_csv(paths[1], sep="\t", index=False)
    frame.to_csv(paths[2], index=False)
    if paths[3].suffix == ".parquet":
        pytest.importorskip("pyarrow")
        frame.to_parquet(paths[3])
    peaks = tmp_path / "a.narrowPeak.gz"
    rows = zip(frame.chrom, frame.start, frame.end, frame.strand, frame.summit)
    text = "".join(f"{c}\t{s}\t{e}\tn\t0\t{d}\t1\t1\t1\t{p - s}\n" for c, s, e, d, p in rows)
    peaks.write_bytes(gzip.compress(text.encode()))
    for path in (*paths, peaks):
        (regions,) = read_regions(path)
        assert (regions.names, regions.strand) == (["1", "1", "X"], ["+", "-", "+"]), path
        assert (regions.starts.tolist(), regions.stops.tolist()) == ([5, 0, 7], [10, 3, 9])
        assert regions.summits.tolist() == [7, 1, 8]
        assert regions.windows(4, "summit").tolist() == [5, -1, 6]
        assert regions.windows(4).tolist() == [5, -1, 6]
    (tmp_path / "bad.csv").write_text("chrom,begin\n1,2\n")
    with pytest.raises(fastdl.FileError, match="line 1: needs a column 'end'"):
        list(read_regions(tmp_path / "bad.csv"))
    (tmp_path / "bad.csv").write_text("chrom,start,end\n1,2,\n")
    with pytest.raises(fastdl.FileError, match="line 2: starts and ends must be whole numbers, got ''"):
        list(read_regions(tmp_path / "bad.csv"))


def test_names_like_words_of_bed(tmp_path):
    path = tmp_path / "a.bed"
    path.write_text("track name=x\ntrack1\t0\t5\nbrowser position\nbrowser_x\t0\t5\ntrack\n#c\t1\t2\na\u2028b\t-3\t5\n")
    (regions,) = read_bed(path, negative=True)
    assert (regions.names, regions.lines) == (["track1", "browser_x", "a\u2028b"], [2, 4, 7])
    with pytest.raises(fastdl.FileError, match=r"line 7: must start at 0 or later, got -3; negative=True \(--pad\)"):
        list(read_bed(path))
    for number in ("1²", "9" * 4300, "1e3", "+5", ""):
        path.write_text(f"a\t0\t{number}\n")
        with pytest.raises(fastdl.FileError, match=r"line 1: (starts and ends must be whole numbers|needs a name)"):
            list(read_bed(path))


def test_twobit_fetches_what_is_asked_for(tmp_path, sequences):
    path = write(tmp_path / "a.2bit", "2bit", sequences)
    rng, text = np.random.default_rng(0), sequences["chr1"]
    with TwoBit(path) as source:
        for start, size in zip(rng.integers(-10, 5003, 300), rng.integers(0, 300, 300)):
            stop = int(start + size)
            assert source.fetch("chr1", int(start), stop).tobytes().decode() == text[max(start, 0) : max(stop, 0)]
