"""Threads, forks and workers: the same answers, and every call returns."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fastdl
from fastdl import _threads

X = np.random.default_rng(0).integers(-32768, 32768, 3_000_000, dtype=np.int16)


def encode(_=None):
    return int(fastdl.mu_law_encode(X, threads=2).sum())


@pytest.fixture(scope="module")
def want():
    return encode()  # and threads have been used in the parent from here on


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_returns(want):
    child = os.fork()
    if child == 0:
        os._exit(0 if encode() == want else 1)
    for _ in range(600):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            assert status == 0
            return
        time.sleep(0.05)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    pytest.fail("the child hangs")


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("method", [m for m in ("fork", "spawn") if m in multiprocessing.get_all_start_methods()])
def test_multiprocessing(want, method):
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.map_async(encode, range(4)).get(timeout=100) == [want] * 4


@pytest.mark.filterwarnings("ignore")
def test_torch_data_loader(want):
    data = pytest.importorskip("torch.utils.data")

    class Recordings(data.Dataset):
        def __len__(self):
            return 4

        def __getitem__(self, i):
            return encode()

    loader = data.DataLoader(Recordings(), num_workers=2, timeout=100)
    assert [int(x) for x in loader] == [want] * 4


def test_eight_threads_at_once(want):
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(encode, range(32))) == {want}


def test_split_within_split_returns():
    def inner(s):
        return sum(_threads.split(100, 8, lambda t: t.stop - t.start, 1))

    assert _threads.split(64, 64, inner, 1) == [100] * 64


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_blocks_are_in_order_and_cover_everything(threads):
    blocks = _threads.split(1001, threads, lambda s: (s.start, s.stop), 10)
    assert blocks == [(i, min(i + 10, 1001)) for i in range(0, 1001, 10)]
    assert _threads.split(0, threads, lambda s: s, 10) == []


def test_the_first_error_is_raised_and_the_rest_is_left():
    done = []

    def work(s):
        if s.start == 20:
            raise KeyError(s.start)
        time.sleep(0.001)
        done.append(s.start)

    with pytest.raises(KeyError):
        _threads.split(10_000, 2, work, 10)
    count = len(done)
    assert count < 1000
    time.sleep(0.05)
    assert len(done) == count  # nothing runs on


def test_available_is_what_this_process_may_use():
    assert 1 <= _threads.available() <= (os.cpu_count() or 1)
    assert _threads.count(None) == _threads.available()


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
@pytest.mark.parametrize("threads", [1, 2])
def test_ctrl_c_ends_a_long_call(threads):
    code = f"""
import numpy as np, fastdl, signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background is started with it ignored
x = np.zeros(20_000_000, np.int16)
print("ready", flush=True)
try:
    while True:
        fastdl.mu_law_encode(x, 200, threads={threads})
except KeyboardInterrupt:
    print("stopped", flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout.readline() == "ready\n"
            time.sleep(0.3)
            child.send_signal(signal.SIGINT)
            assert child.communicate(timeout=60)[0] == "stopped\n"
        finally:
            child.kill()


def test_nothing_is_left_running_at_exit():
    code = "import numpy as np, fastdl; fastdl.mu_law_encode(np.zeros(3_000_000, np.int16), threads=2); print('end')"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, capture_output=True, text=True).stdout == "end\n"
    assert threading.active_count() < 64
