"""Sequences: reference, fastdl and peers, on the same letters, from a read to more than the caches hold."""

from functools import lru_cache

import numpy as np
import pytest

import fastdl
from bench import equal, result_of
from fastdl.reference import sequences as reference

SIZES = {"100": 100, "L2": 100_000, "L3": 2_000_000, "DRAM": 10_000_000}
sizes = pytest.mark.parametrize("size", ["100", "L2", pytest.param("L3", marks=pytest.mark.more), "DRAM"])


@lru_cache(4)
def letters(n):
    return np.random.default_rng(0).choice(np.frombuffer(b"ACGT", np.uint8), n)


def seqpro_with(threads):
    seqpro = pytest.importorskip("seqpro")
    import numba

    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    return seqpro


@sizes
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize(
    "who",
    ["fastdl", "fastdl 2 threads", "reference", "seqpro", "tangermeme", "np.take", "torch one_hot", "scikit-learn"],
)
def bench_one_hot(compare, size, dtype, who):
    x = letters(SIZES[size])
    want = reference.one_hot(x, dtype=dtype)
    out = result_of(want.shape, dtype)
    check = equal(want)
    if who.startswith("fastdl"):
        threads = 2 if "2" in who else 1
        run = lambda: fastdl.one_hot(x, dtype=dtype, out=out, threads=threads)
    elif who == "reference":
        run = lambda: reference.one_hot(x, dtype=dtype)
    elif who == "seqpro":
        seqpro, text = seqpro_with(1), x.view("S1")
        run = lambda: seqpro.ohe(text, seqpro.DNA).astype(dtype, copy=False)
    elif who == "tangermeme":
        utils, text = pytest.importorskip("tangermeme.utils"), x.tobytes().decode()
        torch = pytest.importorskip("torch")
        kind = torch.int8 if dtype == "uint8" else torch.float32
        run = lambda: utils.one_hot_encode(text, dtype=kind)
        check = lambda got: np.testing.assert_array_equal(got.numpy().T, want)
    elif who == "np.take":
        table = np.ascontiguousarray(reference.table("ACGT", "zero", "fold", dtype))
        run = lambda: np.take(table, x, axis=0, out=out)
    elif who == "torch one_hot":
        torch = pytest.importorskip("torch")
        torch.set_num_threads(1)
        codes = torch.from_numpy(want.argmax(axis=1))
        kind = getattr(torch, dtype)
        run = lambda: torch.nn.functional.one_hot(codes, 4).to(kind)
    else:
        if len(x) > 100_000:
            pytest.skip("seconds")
        preprocessing = pytest.importorskip("sklearn.preprocessing")
        encoder = preprocessing.OneHotEncoder(sparse_output=False, dtype=dtype).fit(x[:, None])
        run = lambda: encoder.transform(x[:, None])
    compare(f"one-hot (L, 4) {dtype}, {size}", who, run, items=len(x), moved=1 + 4 * want.itemsize, check=check)


@sizes
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("who", ["fastdl", "reference", "seqpro, transposed"])
def bench_one_hot_first(compare, size, dtype, who):
    x = letters(SIZES[size])
    want = reference.one_hot(x, dtype=dtype, layout="first")
    out = np.empty(want.shape, dtype)
    if who == "fastdl":
        run = lambda: fastdl.one_hot(x, dtype=dtype, layout="first", out=out)
    elif who == "reference":
        run = lambda: reference.one_hot(x, dtype=dtype, layout="first")
    else:
        seqpro, text = seqpro_with(1), x.view("S1")
        run = lambda: np.ascontiguousarray(seqpro.ohe(text, seqpro.DNA).T, dtype)
    compare(f"one-hot (4, L) {dtype}, {size}", who, run, items=len(x), moved=1 + 4 * want.itemsize, check=equal(want))


@sizes
@pytest.mark.parametrize("who", ["fastdl", "reference", "seqpro"])
def bench_one_hot_decode(compare, size, who):
    x = letters(SIZES[size])
    rows = fastdl.one_hot(x)
    out = None if size == "100" else np.empty(len(x), "S1")  # small results are made anew, as by the peers
    if who == "fastdl":
        run = lambda: fastdl.one_hot_decode(rows, out=out)
    elif who == "reference":
        run = lambda: reference.one_hot_decode(rows)
    else:
        seqpro = seqpro_with(1)
        run = lambda: seqpro.decode_ohe(rows, -1, seqpro.DNA)
    compare(f"decode (L, 4) uint8, {size}", who, run, items=len(x), moved=5, check=equal(x.view("S1")))


@pytest.mark.parametrize("who", ["fastdl", "fastdl 2bit", "fastdl 2 threads", "reference", "seqpro by hand"])
def bench_one_hot_windows(compare, who):
    x, length = letters(10_000_000), 2048
    starts = np.random.default_rng(1).integers(0, len(x) - length, 1000)
    strand = np.random.default_rng(2).choice(["+", "-"], len(starts))
    want = reference.one_hot_windows(x, starts, length, strand=strand)
    out = np.empty(want.shape, np.uint8)
    if who.startswith("fastdl"):
        genome = x
        if "2bit" in who:
            codes = np.array([b"TCAG".find(c) for c in range(256)])[x].reshape(-1, 4)
            genome = fastdl.PackedSequence((codes @ [64, 16, 4, 1]).astype(np.uint8), len(x))
        threads = 2 if "2 threads" in who else 1
        run = lambda: fastdl.one_hot_windows(genome, starts, length, strand=strand, out=out, threads=threads)
    elif who == "reference":
        run = lambda: reference.one_hot_windows(x, starts, length, strand=strand)
    else:
        seqpro, text, back = seqpro_with(1), x.view("S1"), strand == "-"

        def run():
            batch = seqpro.ohe(text[starts[:, None] + np.arange(length)], seqpro.DNA)
            batch[back] = batch[back, ::-1, ::-1]
            return batch

    compare("1000 windows of 2048, both strands", who, run, items=want.size // 4, moved=5, check=equal(want))


@sizes
@pytest.mark.parametrize("who", ["fastdl", "reference", "bytes.translate", "seqpro"])
def bench_reverse_complement(compare, size, who):
    x = letters(SIZES[size])
    want = reference.reverse_complement(x)
    out = None if size == "100" else np.empty_like(x)
    check = equal(want)
    if who == "fastdl":
        run = lambda: fastdl.reverse_complement(x, out=out)
    elif who == "reference":
        run = lambda: reference.reverse_complement(x)
    elif who == "bytes.translate":
        table, text = bytes.maketrans(b"ACGTacgt", b"TGCAtgca"), x.tobytes()
        run = lambda: text.translate(table)[::-1]
        check = lambda got: equal(want)(np.frombuffer(got, np.uint8))
    else:
        seqpro, text = seqpro_with(1), x.view("S1")
        run = lambda: seqpro.DNA.reverse_complement(text, length_axis=-1)
        check = lambda got: equal(want)(got.view(np.uint8))
    compare(f"reverse complement, {size}", who, run, items=len(x), moved=2, check=check)


@sizes
@pytest.mark.parametrize("who", ["fastdl", "fastdl 2 threads", "reference"])
def bench_kmer_index(compare, size, who):
    x = letters(SIZES[size])
    want = reference.kmer_index(x, 12, canonical=True)
    out = np.empty_like(want)
    if who.startswith("fastdl"):
        threads = 2 if "2" in who else 1
        run = lambda: fastdl.kmer_index(x, 12, canonical=True, out=out, threads=threads)
    else:
        run = lambda: reference.kmer_index(x, 12, canonical=True)
    compare(f"canonical 12-mers, {size}", who, run, items=len(x), moved=5, check=equal(want))


@pytest.mark.parametrize("who", ["fastdl", "NumPy bincount of the index"])
def bench_kmer_count(compare, who):
    x = letters(10_000_000)
    want = np.bincount(fastdl.kmer_index(x, 8, canonical=True), minlength=4**8)
    if who == "fastdl":
        run = lambda: fastdl.kmer_count(x, 8, canonical=True)
    else:
        run = lambda: np.bincount(reference.kmer_index(x, 8, canonical=True), minlength=4**8)
    compare("counts of canonical 8-mers, DRAM", who, run, items=len(x), moved=1, limit="read", check=equal(want))


@pytest.mark.parametrize("who", ["fastdl", "NumPy windows"])
def bench_minimizers(compare, who):
    x = letters(1_000_000)
    want = fastdl.minimizers(x, 15, 10, canonical=False, order="lexicographic").positions
    if who == "fastdl":
        run = lambda: fastdl.minimizers(x, 15, 10, canonical=False, order="lexicographic").positions
    else:

        def run():
            index = reference.kmer_index(x, 15)
            windows = np.lib.stride_tricks.sliding_window_view(index, 10)
            return np.unique(windows.argmin(axis=1) + np.arange(len(windows)))

    check = lambda got: np.testing.assert_allclose(len(got), len(want), rtol=0.01)  # ties are broken otherwise
    compare("minimizers of 15-mers in windows of 10, 1 M", who, run, items=len(x), moved=1, limit="read", check=check)


@pytest.mark.parametrize("who", ["fastdl", "pyfaidx + seqpro", "pysam + seqpro"])
def bench_genome_windows(compare, tmp_path, who):
    """256 windows at random from a FASTA file, one-hot."""
    length, starts = 2048, np.random.default_rng(1).integers(0, 6_000_000 - 2048, 256)
    text = letters(6_000_000).reshape(-1, 60)
    path = tmp_path / "a.fa"
    path.write_bytes(b">one\n" + np.concatenate([text, np.full((len(text), 1), 10, np.uint8)], axis=1).tobytes())
    want = reference.one_hot_windows(text.reshape(-1), starts, length)
    if who == "fastdl":
        genome = fastdl.files.Genome(path)
        names = ["one"] * len(starts)
        run = lambda: genome.windows(names, starts, length)
    elif who.startswith("pyfaidx"):
        seqpro, genome = seqpro_with(1), pytest.importorskip("pyfaidx").Fasta(str(path))["one"]
        run = lambda: np.stack([seqpro.ohe(str(genome[s : s + length]), seqpro.DNA) for s in starts])
    else:
        seqpro, genome = seqpro_with(1), pytest.importorskip("pysam").FastaFile(str(path))
        run = lambda: np.stack([seqpro.ohe(genome.fetch("one", s, s + length), seqpro.DNA) for s in starts])
    compare("256 windows of 2048 from FASTA", who, run, items=want.size // 4, moved=5, check=equal(want))
