"""What the kernels of files do: LZF, the text of FASTA, numbers in text, against their references and other readers."""

import io

import numpy as np
import pytest

import fastdl
from bench import equal
from bench.bench_sequences import letters
from fastdl import _kernels
from fastdl.reference import files as reference
from tests.test_points_lzf import compress


@pytest.mark.parametrize("who", ["fastdl", "reference"])
@pytest.mark.parametrize("size", [1000, 1_000_000])
def bench_lzf(compare, size, who):
    plain = np.cumsum(np.random.default_rng(0).integers(-1, 2, size), dtype=np.int8).view(np.uint8)
    packed = np.frombuffer(compress(plain.tobytes()), np.uint8)
    out = np.empty(size, np.uint8)
    way = _kernels.load("files_lzf") if who == "fastdl" else reference
    if way is None:
        pytest.skip("the kernel is not built")

    def run():
        assert way.decompress(packed, out) == -1
        return out

    check = lambda got: np.testing.assert_array_equal(got, plain)
    compare(f"LZF decompression, {size} bytes", who, run, items=size, moved=1, limit="write", check=check)


@pytest.mark.parametrize("who", ["fastdl", "pyfaidx", "read alone"])
def bench_fasta(compare, tmp_path, who):
    text = letters(30_000_000).reshape(-1, 60)
    path = tmp_path / "a.fa"
    lines = np.concatenate([text, np.full((len(text), 1), 10, np.uint8)], axis=1)
    path.write_bytes(b">one\n" + lines.tobytes())
    check = lambda got: equal(text.reshape(-1))(np.asarray(got).view(np.uint8))
    if who == "fastdl":
        from fastdl.files.sequences.fasta import Fasta

        run = lambda: np.concatenate([piece.letters for piece in Fasta(path).chunks()])
    elif who == "pyfaidx":
        genome = pytest.importorskip("pyfaidx").Fasta(str(path))
        run = lambda: np.frombuffer(str(genome["one"]).encode(), np.uint8)
    else:

        def run():
            with io.FileIO(path) as file:
                return file.readall()

        check = None
    compare("FASTA of 30 M letters, read", who, run, items=text.size, moved=1, limit="read", check=check)


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weights"])
@pytest.mark.parametrize("who", ["fastdl", "pandas", "polars", "pyarrow"])
def bench_read_edges(compare, tmp_path, weighted, who):
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    frame = pandas.DataFrame(rng.integers(0, 200_000, (300_000, 2)), columns=["source", "target"])
    if weighted:
        frame["weight"] = rng.random(len(frame))
    path = tmp_path / "edges.csv"
    frame.to_csv(path, index=False)
    if who == "fastdl":
        run = lambda: list(fastdl.files.read_edges(path))
    elif who == "pandas":
        run = lambda: pandas.read_csv(path)
    elif who == "polars":
        polars = pytest.importorskip("polars")
        run = lambda: polars.read_csv(path)
    else:
        arrow = pytest.importorskip("pyarrow.csv")
        run = lambda: arrow.read_csv(path)
    group = f"edges of a CSV file{' with weights' if weighted else ''}"
    compare(group, who, run, items=len(frame), moved=path.stat().st_size / len(frame), limit="read")
