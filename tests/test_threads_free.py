"""Python without its global lock: importing fastdl leaves it off, and threads get the same bits."""

import sys
import threading

import numpy as np
import pytest

import fastdl
from fastdl import _kernels

pytestmark = pytest.mark.skipif(
    not hasattr(sys, "_is_gil_enabled") or sys._is_gil_enabled(),
    reason="needs a free-threaded Python with the lock off (python3.14t), which this is not",
)


def test_kernels_leave_the_lock_off():
    for stem in _kernels.stems():
        assert _kernels.load(stem) is not None
    assert not sys._is_gil_enabled()


def test_threads_get_the_same_bits():
    x = np.random.default_rng(0).integers(-32768, 32768, 200_000, dtype=np.int16)
    want, found = fastdl.mu_law_encode(x), []

    def call():
        found.extend(np.array_equal(fastdl.mu_law_encode(x, threads=2), want) for _ in range(50))

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 400
    assert all(found)
