"""Jobs on a local cluster of two processes: parts of one file, a worker killed by its pid, jobs that go on."""

import gzip
import json
import os
import signal
import subprocess
import sys
import threading
import time
import wave

import numpy as np
import pytest

from fastdl.cli import _cloud_downsampling, _cluster, _job_workers, audio, main, sequences
from fastdl.files import Fasta
from tests.local_clusters import MARKS
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
    counts = []
    run = _cluster.Cluster.run

    def counted(self, parts, work, writer, progress):
        counts.append(0)

        def write(result):
            counts[-1] += 1
            writer(result)

        run(self, parts, work, write, progress)

    monkeypatch.setattr(_cluster.Cluster, "run", counted)
    return counts


@pytest.fixture
def killer(monkeypatch):
    """killer(ready) kills, by its pid, the first worker of `--scheduler local` that is at work once ready() holds."""
    clusters, killed = [], []

    class Recorded(distributed.LocalCluster):
        def __init__(self, *args, **options):
            super().__init__(*args, silence_logs=50, **options)
            clusters.append(self)

    monkeypatch.setattr(distributed, "LocalCluster", Recorded)

    def kill(ready):
        stop = time.monotonic() + 60
        while not killed and time.monotonic() < stop:
            time.sleep(0.002)
            if not clusters or not ready():
                continue
            busy = {state.address for state in list(clusters[0].scheduler.workers.values()) if state.processing}
            pids = [nanny.pid for nanny in clusters[0].workers.values() if nanny.worker_address in busy]
            if pids and pids[0]:
                os.kill(pids[0], signal.SIGKILL)
                killed.append(pids[0])

    def start(ready=lambda: True):
        threading.Thread(target=kill, args=(ready,), daemon=True).start()
        return killed

    return start


def contents(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir() if not p.name.startswith(".")}


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


def write_las(path, points=60_000):
    """LAS or LAZ of points with classes, colours and times, in chunks of 5,000 points where it is compressed."""
    laspy = pytest.importorskip("laspy")
    rng = np.random.default_rng(0)
    las = laspy.create(point_format=3, file_version="1.2")
    las.header.scales, las.header.offsets = [0.01] * 3, [100.0, 0, 0]
    las.x, las.y, las.z = rng.uniform([100, 0, 0], [130, 30, 5], (points, 3)).T
    las.classification = rng.integers(0, 5, points)
    las.intensity, las.gps_time = rng.integers(0, 999, points), rng.uniform(0, 1e5, points)
    las.write(str(path))
    return path


@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        (".las", ["--crop", "100,0,0,120,20,5"]),
        (".las", ["--classes", "1,3", "--crop", "100,5,0,120,20,5"]),
        (".laz", []),
        (".laz", ["--classes", "2", "--min-points", "2"]),
        (".npy", ["--crop", "1,1,1,20,20,20"]),
        (".bin", ["--crop", "1,1,1,20,20,20", "--reduce", "nearest"]),
    ],
)
def test_parts_of_a_cloud(tmp_path, cluster, small_parts, monkeypatch, capsys, suffix, options):
    monkeypatch.setattr(_cloud_downsampling, "_CHUNK", 1 << 17)
    source = tmp_path / f"x{suffix}"
    if suffix in (".las", ".laz"):
        write_las(source, 200_000)
    else:
        x = np.random.default_rng(0).uniform(0, 30, (60_000, 4)).astype(np.float32)
        x[5] = np.nan
        np.save(source, x) if suffix == ".npy" else x.tofile(source)
    for name, where in (("one", []), ("many", ["--scheduler", cluster.scheduler_address])):
        (tmp_path / name).mkdir()
        target = tmp_path / name / ("y.las" if suffix in (".las", ".laz") else "y.ply")
        command = ["downsample", str(source), "-o", str(target), "--voxel-size", "0.7", "--json", *options]
        assert main([*command, *where]) == 0
    accounts = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    for account in accounts:
        del account["seconds"], account["output"]
    assert accounts[0] == accounts[1]
    assert len(small_parts) == 1
    assert small_parts[0] >= 3
    assert contents(tmp_path / "many") == contents(tmp_path / "one")


def test_a_cloud_that_is_only_read_is_done_as_a_whole(tmp_path, cluster, small_parts):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).uniform(0, 30, (9000, 3)))
    options = ["--voxel-size", "1", "--quiet", "--scheduler", cluster.scheduler_address]
    assert main(["downsample", str(tmp_path / "x.npy"), "-o", str(tmp_path / "y.ply"), *options]) == 0
    assert not small_parts


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
def test_a_worker_killed_among_files(tmp_path, killer, command):
    options = [command, str(tmp_path / "in"), *write_sources(command, tmp_path / "in", 9), "--quiet"]
    assert main([*options, "-o", str(tmp_path / "one")]) == 0
    killed = killer(lambda: (tmp_path / "many").is_dir() and len(contents(tmp_path / "many")) >= 2)
    assert main([*options, "-o", str(tmp_path / "many"), "--scheduler", "local", "--jobs", "2"]) == 0
    assert killed
    assert contents(tmp_path / "many") == contents(tmp_path / "one")


@pytest.mark.parametrize("command", ["encode-audio", "one-hot"])
def test_a_worker_killed_among_the_parts_of_a_file(tmp_path, small_parts, killer, command):
    options = [command, str(tmp_path / "in"), *write_sources(command, tmp_path / "in", 1), "--quiet"]
    if command == "one-hot":
        with Fasta(tmp_path / "in" / "0.fa", write_index=True) as genome:
            assert genome.lengths
    assert main([*options, "-o", str(tmp_path / "one")]) == 0
    assert not small_parts
    killed = killer(lambda: bool(small_parts) and small_parts[0] >= 3)
    assert main([*options, "-o", str(tmp_path / "many"), "--scheduler", "local", "--jobs", "2"]) == 0
    assert killed
    assert small_parts[0] > 25
    assert contents(tmp_path / "many") == contents(tmp_path / "one")


def test_a_worker_killed_while_it_fits(tmp_path, killer):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(20_000, 3))
    table = np.column_stack([x, x @ [1.0, 2.0, 3.0] + rng.laplace(size=len(x))])
    np.savetxt(tmp_path / "table.csv", table, delimiter=",", header="a,b,c,y", comments="")
    options = ["fit", str(tmp_path / "table.csv"), "--p", "1", "--quiet"]
    assert main([*options, "-o", str(tmp_path / "one.json")]) == 0
    killed = killer()
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
