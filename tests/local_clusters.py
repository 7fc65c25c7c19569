"""Helpers of tests on a local cluster of two processes: marks, counts of the parts that come back, killed workers."""

import os
import signal
import threading
import time

import pytest

from fastdl.cli import _cluster, main

MARKS = [
    pytest.mark.skipif(os.name != "posix", reason="sends signals"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def contents(folder):
    """The bytes of the files in a folder, without the record of the job."""
    return {p.name: p.read_bytes() for p in folder.iterdir() if not p.name.startswith(".")}


def encode(source, target, *options):
    """The exit code of `fastdl encode-audio`."""
    return main(["encode-audio", str(source), "-o", str(target), *options])


def count_parts(monkeypatch):
    """A list that gets a number for each file that a cluster divides: how many of its parts came back so far."""
    counts = []
    run, exchange = _cluster.Cluster.run, _cluster.Cluster.exchange

    def counted_run(self, parts, work, writer, progress):
        counts.append(0)

        def write(result):
            counts[-1] += 1
            writer(result)

        run(self, parts, work, write, progress)

    def counted_exchange(self, parts, *work):
        counts.append(0)
        for k, answer in enumerate(exchange(self, parts, *work)):
            counts[-1] += k < len(parts)
            yield answer

    monkeypatch.setattr(_cluster.Cluster, "run", counted_run)
    monkeypatch.setattr(_cluster.Cluster, "exchange", counted_exchange)
    return counts


def kill_a_worker(monkeypatch, ready=lambda: True):
    """Kill, once ready() holds, a worker of `--scheduler local` that is at work; its pid is added to the result."""
    distributed = pytest.importorskip("distributed")
    clusters, killed = [], []

    class Recorded(distributed.LocalCluster):
        def __init__(self, *args, **options):
            super().__init__(*args, silence_logs=50, **options)
            clusters.append(self)

    def kill():
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

    monkeypatch.setattr(distributed, "LocalCluster", Recorded)
    threading.Thread(target=kill, daemon=True).start()
    return killed
