"""A folder of files of every kind that commands read, good and bad: the good are converted, each bad one is named."""

import json
import re

import numpy as np
import pytest

from fastdl.cli import main
from tests.fuzz._damage import damage
from tests.fuzz._samples import KINDS

#: What reads each kind, and how the result is named.
AUDIO = (
    "pcm16.wav", "pcm24.wav", "pcm32.wav", "double.wav", "phone.wav", "adpcm.wav", "float.w64", "big.rf64",
    "music.flac", "music.ogg", "studio.aiff", "sun.au", "apple.caf",
)  # fmt: skip
CLOUDS = (
    "kitti.bin", "nuscenes.pcd.bin", "plain.npy", "records.npy", "columns.npz", "packed.npz", "ascii.pcd", "binary.pcd",
    "compressed.pcd", "ascii.ply", "little.ply", "big.ply", "plain.las", "wide.las", "chunks.laz",
    "layers.laz", "stream.laz",
)  # fmt: skip
SEQUENCES = ("genome.fa", "genome.fa.gz", "reads.fastq", "reads.fastq.gz", "genome.2bit")
GRAPHS = ("edges.csv", "edges.npy", "edges.npz", "sparse.npz", "graph.mtx")
TABLES = ("table.csv", "table.npy", "table.parquet")
COMMANDS = {
    "encode-audio": (AUDIO, ()),
    "downsample": (CLOUDS, ("--voxel-size", "1")),
    "one-hot": (SEQUENCES, ("--length", "50")),
}
_SEEDS = 40  # damaged copies of each kind that are tried; those that can still be read are good ones
_PLACE = re.compile(r"(byte|line|array|edge|chunk|record|column|field|header|holds|must|frame|is |has )")


def copies(folder, kinds):
    """(good, others) of each kind, for which the libraries are there: whole, empty, cut, and damaged at random."""
    good, other = [], []
    for place, name in enumerate(kinds):
        kind = KINDS[name]
        if kind.needs and not pytest.importorskip(kind.needs, reason=f"{name} needs it"):
            continue
        data = kind.make()
        for number in range(3):
            good.append(folder / f"good{number}-{place}{name}")
            good[-1].write_bytes(data)
        bad = {"empty": b"", "cut": data[: len(data) // 3], "short": data[:3], "zeros": bytes(len(data))}
        bad |= {f"damaged{seed}": damage(data, seed) for seed in range(_SEEDS // len(kinds) + 4)}
        for word, content in bad.items():
            other.append(folder / f"{word}-{place}{name}")
            other[-1].write_bytes(content)
    return good, other


@pytest.mark.parametrize("command", COMMANDS)
def test_the_good_are_converted_and_the_bad_are_named(tmp_path, capfd, command):
    kinds, options = COMMANDS[command]
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    good, other = copies(folder, kinds)
    assert len(good) + len(other) >= 50
    code = main([command, str(folder), "-o", f"{out}/", "--json", *options])
    said = capfd.readouterr()
    assert "Traceback" not in said.err
    results = {r["input"]: r for r in map(json.loads, said.out.splitlines()) if "input" in r}
    assert set(results) == {str(path) for path in (*good, *other)}
    failed = {name for name, result in results.items() if result["error"]}
    assert not failed & set(map(str, good)), [results[str(p)]["error"] for p in good if str(p) in failed]
    empty = {name for name in results if "/empty-" in name and not name.endswith((".bin", ".fa", ".fastq"))}
    assert empty <= failed
    for name, result in results.items():
        if result["error"]:
            assert name in result["error"], result
            assert _PLACE.search(result["error"]), result
            assert not re.search(r"[a-z]Error\b", result["error"]), result
        else:
            assert (tmp_path / result["output"]).exists()
    assert code == (1 if failed else 0)
    assert failed
    assert said.err.count("fastdl: ") >= len(failed)


@pytest.mark.parametrize("name", [*GRAPHS, *TABLES, "points.csv"])
def test_each_file_that_is_named_alone_is_read_or_named(tmp_path, capfd, name):
    good, other = copies(tmp_path, (name,))
    codes = []
    for path in (*good, *other):
        if name in TABLES:
            words = ["fit", str(path), "-o", str(tmp_path / "model.json"), "--overwrite"]
        elif name == "points.csv":
            words = ["downsample", str(path), "-o", str(tmp_path / "down.ply"), "--voxel-size", "1", "--overwrite"]
        else:
            words = ["graph", str(path), "-o", str(tmp_path / "rows.npz"), "--overwrite"]
        codes.append(main(words))
        said = capfd.readouterr()
        assert "Traceback" not in said.err
        if path in good:
            assert codes[-1] == 0, said.err
        if codes[-1]:
            assert said.err.startswith("fastdl: ")
            assert path.name in said.err, said.err
    assert 1 in codes
    assert not np.setdiff1d(codes, [0, 1]).size
