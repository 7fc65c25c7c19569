"""Jobs on a local cluster of two processes: parts of one file, a worker killed by its pid, jobs that go on."""

import gzip
import json
import os
import signal
import subprocess
import sys
import wave

import numpy as np
import pytest

from fastdl.cli import _cloud_exchange, _job_workers, audio, main, sequences
from fastdl.files import Fasta
from tests.local_clusters import MARKS, contents, count_parts, kill_a_worker
from tests.sequences_text_files import bgzip, fasta, text_of, twobit

distributed = pytest.importorskip("distributed")
pytestmark = MARKS


@pytest.fixture
def small_parts(monkeypatch):
    """Files of any size are divided, into small parts; the numbers of the parts that were written come back."""
    monkeypatch.setattr(_job_workers, "_LARGE", 1)
    monkeypatch.setattr(audio, "_CHUNK", 1 << 14)
    monkeypatch.setattr(audio, "_PARTS", 4)
    monkeypatch.setattr(sequences, "_PART", 1000)
    monkeypatch.setattr(sequences, "_BASES", 1000)
    monkeypatch.setattr(_cloud_exchange, "_LEAST", 1 << 17)
    return count_parts(monkeypatch)


def record(path, channels=1, frames=700_001, width=2):
    x = np.random.default_rng(channels).integers(0, 256, frames * channels * width, dtype=np.uint8)
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, width, 8000, 0, "NONE", ""))
        file.writeframes(x.tobytes())
    return path


def write_genome(path, lengths, kind="fasta"):
    rng = np.random.default_rng(0)
    chroms = {f"chr{k}": text_of(rng, n, "ACGTNacgt") for k, n in enumerate(lengths)}
    path.write_bytes({"fasta": fasta, "bgzip": lambda s: bgzip(fasta(s)), "2bit": twobit}[kind](chroms))
    return path


AUDIO = [("mono", []), ("two", []), ("two", ["--mono"]), ("mono", ["--law", "mu"]), ("wide", ["--channels", "300"])]


@pytest.mark.parametrize(("kind", "options"), AUDIO)
def test_parts_of_a_recording(tmp_path, cluster, small_parts, kind, options):
    source = record(tmp_path / "x.wav", 1 + (kind == "two"), width=3 if kind == "wide" else 2)
    for name, where in (("one", []), ("many", ["--scheduler", cluster.scheduler_address])):
        target = tmp_path / name / "codes"
        assert main(["encode-audio", str(source), "-o", f"{target}{os.sep}", "--quiet", *options, *where]) == 0
        assert main(["decode-audio", str(target), "-o", f"{tmp_path / name / 'heard'}{os.sep}", "--quiet", *where]) == 0
    assert len(small_parts) == 2 and min(small_parts) > 5
    for folder in ("codes", "heard"):
        assert contents(tmp_path / "many" / folder) == contents(tmp_path / "one" / folder)


def test_only_files_larger_than_a_share_are_divided(tmp_path, cluster, small_parts):
    (tmp_path / "in").mkdir()
    for k in range(4):
        record(tmp_path / "in" / f"{k}.wav", frames=20_000)
    record(tmp_path / "in" / "large.wav", frames=300_000)
    (tmp_path / "in" / "bad.wav").write_bytes(b"RIFF")
    options = ["--quiet", "--scheduler", cluster.scheduler_address]
    assert main(["encode-audio", str(tmp_path / "in"), "-o", str(tmp_path / "many"), *options]) == 1
    assert small_parts == [5]
    assert main(["encode-audio", str(tmp_path / "in"), "-o", str(tmp_path / "one"), "--quiet"]) == 1
    assert contents(tmp_path / "many") == contents(tmp_path / "one")


def test_a_nan_in_a_part_is_named(tmp_path, cluster, small_parts, capsys):
    x = np.zeros(200_000, np.float32)
    x[150_000] = np.nan
    (tmp_path / "x.raw").write_bytes(x.tobytes())
    told = []
    for where in ([], ["--scheduler", cluster.scheduler_address]):
        options = ["--raw", "f32le,8000,1", *where]
        assert main(["encode-audio", str(tmp_path / "x.raw"), "-o", str(tmp_path / "x.npy"), *options]) == 1
        told.append(capsys.readouterr().err)
    assert "sample 150000 is NaN" in told[0]
    assert told[0] == told[1]
    assert small_parts
    assert not (tmp_path / "x.npy").exists()


@pytest.mark.parametrize("options", [[], ["--layout", "first"], ["--windows", "BED", "--length", "50"]])
@pytest.mark.parametrize("kind", ["fasta", "bgzip", "2bit"])
def test_parts_of_a_genome(tmp_path, cluster, small_parts, options, kind):
    source = write_genome(tmp_path / "x.fa", [5000, 0, 3, 1000, 999, 61, 122], kind)
    if kind != "2bit":
        with Fasta(source, write_index=True) as genome:
            assert genome.lengths["chr0"] == 5000
    starts = np.random.default_rng(1).integers(0, 4000, 60)
    (tmp_path / "peaks.bed").write_text("".join(f"chr0\t{k}\t{k + 70}\n" for k in starts.tolist()))
    options = [str(tmp_path / "peaks.bed") if option == "BED" else option for option in options]
    for name, where in (("one", []), ("many", ["--scheduler", cluster.scheduler_address])):
        (tmp_path / name).mkdir()
        assert main(["one-hot", str(source), "-o", str(tmp_path / name / "x.npy"), "--quiet", *options, *where]) == 0
    assert small_parts[0] >= 3
    assert contents(tmp_path / "many") == contents(tmp_path / "one")


def test_a_genome_without_an_index_is_done_as_a_whole(tmp_path, cluster, small_parts):
    source = write_genome(tmp_path / "x.fa", [500, 600])
    packed = tmp_path / "y.fa.gz"
    packed.write_bytes(gzip.compress(source.read_bytes()))
    for path in (source, packed):
        options = ["--quiet", "--scheduler", cluster.scheduler_address]
        assert main(["one-hot", str(path), "-o", str(tmp_path / f"{path.stem}.npy"), *options]) == 0
    assert not small_parts
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), np.load(tmp_path / "y.fa.npy"))


def write_las(path, points=60_000, seed=0):
    """LAS or LAZ of points with classes, colours and times."""
    laspy = pytest.importorskip("laspy")
    rng = np.random.default_rng(seed)
    las = laspy.create(point_format=3, file_version="1.2")
    las.header.scales, las.header.offsets = [0.01] * 3, [100.0, 0, 0]
    las.x, las.y, las.z = rng.uniform([100, 0, 0], [130, 30, 5], (points, 3)).T
    las.classification = rng.integers(0, 5, points)
    las.intensity, las.gps_time = rng.integers(0, 999, points), rng.uniform(0, 1e5, points)
    las.write(str(path))
    return path


def write_cloud(path, points=60_000, seed=0, low=0.0):
    """A cloud of the kind that its name ends in."""
    if path.suffix in (".las", ".laz"):
        return write_las(path, points, seed)
    x = np.random.default_rng(seed).uniform(low, 30, (points, 4)).astype(np.float32)
    x[5] = np.nan
    if path.suffix == ".npy":
        np.save(path, x)
    elif path.suffix == ".bin":
        x.tofile(path)
    else:
        path.write_text("//X Y Z I\n" + "\n".join(" ".join(map(str, row)) for row in x[6:].tolist()))
    return path


def downsample_both(tmp_path, capsys, address, sources, target, options):
    """What `downsample` tells and writes on one machine and on the cluster, compared."""
    for name, where in (("one", []), ("many", ["--scheduler", address])):
        (tmp_path / name).mkdir()
        command = ["downsample", *map(str, sources), "-o", str(tmp_path / name) + os.sep + target, "--json", *options]
        assert main([*command, *where]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    for line in lines:
        del line["seconds"], line["output"]
    half = len(lines) // 2
    assert lines[:half] == lines[half:]
    assert contents(tmp_path / "many") == contents(tmp_path / "one")
    assert not list((tmp_path / "many").glob("*.part"))
    return lines[:half]


@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        (".las", ["--crop", "100,0,0,120,20,5"]),
        (".las", ["--classes", "1,3", "--crop", "100,5,0,120,20,5", "--max-bytes", "100000"]),
        (".laz", []),
        (".laz", ["--classes", "2", "--min-points", "2"]),
        (".npy", []),
        (".npy", ["--crop", "1,1,1,20,20,20", "--max-bytes", "50000", "--reduce", "last"]),
        (".bin", ["--reduce", "nearest"]),
        (".bin", ["--reduce", "mean,intensity=max"]),
    ],
)
def test_parts_of_a_cloud(tmp_path, cluster, small_parts, capsys, suffix, options):
    source = write_cloud(tmp_path / f"x{suffix}", 200_000 if suffix in (".las", ".laz") else 60_000)
    target = "y.las" if suffix in (".las", ".laz") else "y.ply"
    options = ["--voxel-size", "0.7", *options]
    [account] = downsample_both(tmp_path, capsys, cluster.scheduler_address, [source], target, options)
    assert account["non_finite"] == (suffix in (".npy", ".bin"))
    assert len(small_parts) == 1
    assert small_parts[0] >= 3


TOGETHER = [
    (["a.las", "b.las", "c.laz"], ["--merge"], "y.laz"),
    (["a.las", "b.las", "c.laz"], ["--seamless", "--classes", "1,2,3"], ""),
    (["a.npy", "b.bin", "c.txt"], ["--merge"], "y.npz"),
    (["a.npy", "b.las", "c.npy"], ["--merge", "--min-points", "3", "--max-bytes", "200000"], "y.ply"),
    (["a.bin", "b.bin"], ["--seamless"], ""),
]


@pytest.mark.parametrize(("names", "options", "target"), TOGETHER)
def test_tiles_together_on_a_cluster(tmp_path, cluster, small_parts, capsys, names, options, target):
    sources = [write_cloud(tmp_path / name, 50_000, k) for k, name in enumerate(names)]
    options = ["--voxel-size", "0.9", *options]
    accounts = downsample_both(tmp_path, capsys, cluster.scheduler_address, sources, target, options)
    assert accounts[0]["in"] == 50_000 * len(names) - 6 * ("c.txt" in names)
    assert small_parts[0] >= len(names)


@pytest.mark.parametrize("together", [False, True])
def test_a_worker_killed_while_clouds_are_reduced(tmp_path, small_parts, capsys, monkeypatch, together):
    monkeypatch.setattr(_cloud_exchange, "_LEAST", 1 << 19)
    sources = [write_cloud(tmp_path / f"{k}.npy", 2_000_000, k, -30) for k in range(1 + together)]
    killed = kill_a_worker(monkeypatch, lambda: bool(small_parts) and small_parts[0] >= 5)
    options = ["--voxel-size", "0.6", "--jobs", "2", *(["--merge"] if together else [])]
    downsample_both(tmp_path, capsys, "local", sources, "y.ply", options)
    assert killed
    assert small_parts[0] >= 8


def test_errors_of_parts_are_those_of_one_machine(tmp_path, cluster, small_parts, capsys):
    source = write_cloud(tmp_path / "x.npy")
    told = []
    for where in ([], ["--scheduler", cluster.scheduler_address]):
        for more in ([], ["--merge"]):
            options = ["--voxel-size", "1", "--classes", "1", *more, *where]
            assert main(["downsample", str(source), "-o", str(tmp_path / "y.ply"), *options]) == 1
            told.append(capsys.readouterr().err)
    assert "has no column of classes" in told[0]
    assert len(set(told)) == 1
    assert not (tmp_path / "y.ply").exists()


def write_sources(command, folder, count):
    """Sources of a command, and the rest of its call."""
    folder.mkdir()
    options = {"downsample": ["--voxel-size", "0.5"], "encode-audio": [], "one-hot": []}[command]
    for k in range(count):
        if command == "downsample":
            x = np.random.default_rng(k).uniform(0, 30, (60_000, 3)).astype(np.float32)
            np.save(folder / f"{k}.npy", x)
        elif command == "encode-audio":
            record(folder / f"{k}.wav", frames=2_000_000)
        else:
            write_genome(folder / f"{k}.fa", [300_000 + k])
    return options


@pytest.mark.parametrize("command", ["downsample", "encode-audio", "one-hot"])
def test_a_worker_killed_among_files(tmp_path, monkeypatch, command):
    options = [command, str(tmp_path / "in"), *write_sources(command, tmp_path / "in", 9), "--quiet"]
    assert main([*options, "-o", str(tmp_path / "one")]) == 0
    killed = kill_a_worker(monkeypatch, lambda: (tmp_path / "many").is_dir() and len(contents(tmp_path / "many")) >= 2)
    assert main([*options, "-o", str(tmp_path / "many"), "--scheduler", "local", "--jobs", "2"]) == 0
    assert killed
    assert contents(tmp_path / "many") == contents(tmp_path / "one")


@pytest.mark.parametrize("command", ["encode-audio", "one-hot"])
def test_a_worker_killed_among_the_parts_of_a_file(tmp_path, small_parts, monkeypatch, command):
    options = [command, str(tmp_path / "in"), *write_sources(command, tmp_path / "in", 1), "--quiet"]
    if command == "one-hot":
        with Fasta(tmp_path / "in" / "0.fa", write_index=True) as genome:
            assert genome.lengths
    assert main([*options, "-o", str(tmp_path / "one")]) == 0
    assert not small_parts
    killed = kill_a_worker(monkeypatch, lambda: bool(small_parts) and small_parts[0] >= 3)
    assert main([*options, "-o", str(tmp_path / "many"), "--scheduler", "local", "--jobs", "2"]) == 0
    assert killed
    assert small_parts[0] > 25
    assert contents(tmp_path / "many") == contents(tmp_path / "one")


def test_a_worker_killed_while_it_fits(tmp_path, monkeypatch):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(20_000, 3))
    table = np.column_stack([x, x @ [1.0, 2.0, 3.0] + rng.laplace(size=len(x))])
    np.savetxt(tmp_path / "table.csv", table, delimiter=",", header="a,b,c,y", comments="")
    options = ["fit", str(tmp_path / "table.csv"), "--p", "1", "--quiet"]
    assert main([*options, "-o", str(tmp_path / "one.json")]) == 0
    killed = kill_a_worker(monkeypatch)
    assert main([*options, "-o", str(tmp_path / "many.json"), "--scheduler", "local"]) == 0
    assert killed
    assert (tmp_path / "many.json").read_bytes() == (tmp_path / "one.json").read_bytes()


@pytest.mark.parametrize("command", ["downsample", "encode-audio", "one-hot"])
def test_a_job_that_was_stopped_goes_on(tmp_path, capsys, command):
    files = 24
    options = [command, str(tmp_path / "in"), *write_sources(command, tmp_path / "in", files)]
    assert main([*options, "-o", str(tmp_path / "one"), "--quiet"]) == 0
    options += ["-o", str(tmp_path / "many"), "--scheduler", "local", "--jobs", "2", "--json"]
    job = subprocess.Popen([sys.executable, "-m", "fastdl", *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    done = [json.loads(job.stdout.readline()) for _ in range(3)]
    job.send_signal(signal.SIGINT)
    told = job.communicate(timeout=120)[0].splitlines()
    assert job.returncode != 0
    done += [json.loads(line) for line in told]
    assert 3 <= len(done) < files
    finished = {line["output"]: os.stat(line["output"]).st_mtime_ns for line in done}
    capsys.readouterr()
    assert main([*options, "--skip-existing"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    skipped = {os.path.abspath(line["output"]) for line in lines if line["skipped"]}
    assert len(lines) == files
    assert set(finished) <= skipped
    assert finished == {path: os.stat(path).st_mtime_ns for path in finished}
    assert contents(tmp_path / "many") == contents(tmp_path / "one")
