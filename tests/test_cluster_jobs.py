"""File jobs on a Dask cluster: the same bytes as on one machine, with a worker that dies, stopped and begun again."""

import json
import os
import signal
import threading
import time
import wave

import numpy as np
import pytest

from fastdl.cli import main
from fastdl.streaming import run
from tests.local_clusters import MARKS, contents, encode

distributed = pytest.importorskip("distributed")
pytestmark = MARKS
FILES = 8


@pytest.fixture
def recordings(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "in").mkdir()
    for k in range(FILES):
        with wave.open(str(tmp_path / "in" / f"{k}.wav"), "wb") as file:
            file.setparams((1, 2, 8000, 0, "NONE", ""))
            file.writeframes(rng.integers(-9000, 9000, 3_000_000, dtype=np.int16).tobytes())
    return tmp_path / "in"


def pids(cluster):
    with distributed.Client(cluster, set_as_default=False) as client:
        return list(client.run(os.getpid).values())


def test_the_same_bytes_with_a_worker_killed_in_the_middle(tmp_path, recordings, cluster, capsys):
    assert encode(recordings, tmp_path / "one", "--quiet") == 0
    victim, killed = pids(cluster)[0], []

    def kill():
        while len(list((tmp_path / "many").glob("*.npy"))) < 2:
            time.sleep(0.005)
        os.kill(victim, signal.SIGKILL)
        killed.append(len(list((tmp_path / "many").glob("*.npy"))))

    killer = threading.Thread(target=kill)
    killer.start()
    assert encode(recordings, tmp_path / "many", "--scheduler", cluster.scheduler_address, "--jobs", "2") == 0
    killer.join()
    assert f"encoded {FILES} files" in capsys.readouterr().out
    assert killed[0] < FILES
    assert victim not in pids(cluster)
    assert contents(tmp_path / "many") == contents(tmp_path / "one")
    assert not list((tmp_path / "many").glob("*.part"))


def test_a_stopped_job_goes_on(tmp_path, recordings, cluster, capsys):
    for k in range(3, FILES):
        (recordings / f"{k}.wav").rename(tmp_path / f"{k}.wav")
    options = ["--scheduler", cluster.scheduler_address, "--skip-existing", "--json"]
    assert encode(recordings, tmp_path / "out", *options) == 0
    for k in range(3, FILES):
        (tmp_path / f"{k}.wav").rename(recordings / f"{k}.wav")
    capsys.readouterr()
    assert encode(recordings, tmp_path / "out", *options) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert sum(line["skipped"] for line in lines) == 3
    assert len(lines) == FILES


def test_a_bad_file_is_named(tmp_path, recordings, cluster, capsys):
    (recordings / "0.wav").write_bytes(b"RIFF")
    assert encode(recordings, tmp_path / "out", "--scheduler", cluster.scheduler_address) == 1
    said = capsys.readouterr()
    assert "0.wav" in said.err
    assert "; 1 failed" in said.out


def test_a_scheduler_that_is_not_there(tmp_path, recordings, capsys):
    assert encode(recordings, tmp_path / "out", "--scheduler", "tcp://127.0.0.1:9") == 1
    assert "there is no Dask scheduler at tcp://127.0.0.1:9" in capsys.readouterr().err


def test_streaming_takes_its_executor(cluster):
    import fastdl

    rng = np.random.default_rng(0)
    chunks = [rng.integers(0, 9, 1000) for _ in range(5)]
    with distributed.Client(cluster, set_as_default=False) as client:
        many = run(chunks, fastdl.ClassTarget(), executor=client.get_executor(pure=False))
    one = run(chunks, fastdl.ClassTarget())
    np.testing.assert_array_equal(many.encode(chunks[0]), one.encode(chunks[0]))


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(2000, 3))
    path = tmp_path / "table.csv"
    y = x @ [1.0, 2.0, 3.0] + rng.laplace(size=2000)
    np.savetxt(path, np.column_stack([x, y]), delimiter=",", header="a,b,c,y", comments="")
    return path


def test_fit_and_predict_on_a_worker_are_the_same_bytes(tmp_path, table, cluster, capsys):
    for name, options in (("here", []), ("there", ["--scheduler", cluster.scheduler_address])):
        model, values = tmp_path / f"{name}.json", tmp_path / f"{name}.csv"
        assert main(["fit", str(table), "-o", str(model), "--p", "1", *options]) == 0
        assert main(["predict", str(model), str(table), "-o", str(values), *options]) == 0
        assert "values of y" in capsys.readouterr().out
    assert (tmp_path / "here.json").read_bytes() == (tmp_path / "there.json").read_bytes()
    assert (tmp_path / "here.csv").read_bytes() == (tmp_path / "there.csv").read_bytes()


def test_a_graph_on_a_worker_is_the_same_bytes(tmp_path, cluster, capsys):
    rng = np.random.default_rng(2)
    np.savetxt(tmp_path / "edges.csv", rng.integers(0, 50, (300, 2)), "%d", delimiter=",", header="s,t", comments="")
    np.save(tmp_path / "x.npy", rng.normal(size=(50, 4)))
    options = ["graph", str(tmp_path / "edges.csv"), "--source", "s", "--target", "t"]
    options += ["--features", str(tmp_path / "x.npy"), "--reduce", "mean"]
    assert main([*options, "-o", str(tmp_path / "here.npy")]) == 0
    assert main([*options, "-o", str(tmp_path / "there.npy"), "--scheduler", cluster.scheduler_address]) == 0
    assert capsys.readouterr().out.count("300 edges") == 2
    assert (tmp_path / "here.npy").read_bytes() == (tmp_path / "there.npy").read_bytes()


def test_an_error_on_a_worker_is_told_as_here(tmp_path, table, cluster, capsys):
    with open(table, "a") as file:
        file.write("1,2,oops,4\n")
    assert main(["fit", str(table), "-o", str(tmp_path / "m.json"), "--scheduler", cluster.scheduler_address]) == 1
    said = capsys.readouterr().err
    assert "table.csv at line 2002: c must be a number, got 'oops'" in said
    assert not (tmp_path / "m.json").exists()


def test_workers_compute_the_parts_of_collections(cluster):
    import fastdl

    da = pytest.importorskip("dask.array")
    x = da.random.default_rng(0).normal(size=(4000, 3), chunks=(1000, 3))
    y = x.sum(axis=1) + 1
    with distributed.Client(cluster, set_as_default=False) as client:
        executor = client.get_executor(pure=False, retries=3)
        many = run(fastdl.streaming.dask_chunks(x, y), fastdl.GramAccumulator(), executor=executor)
    np.testing.assert_allclose(many.w, np.ones(3), rtol=1e-12)
    assert many.count == 4000
