"""Voxels of calls that a signal interrupts, and of calls that a signal's handler makes in the midst of others."""

import contextlib
import signal
import threading

import numpy as np
import pytest

import fastdl
from fastdl.points import hard_voxelization

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs timers that send signals")
ENDS = (0, 0, 0, 64, 64, 64)


def clouds(*sizes):
    rng = np.random.default_rng(0)
    return [rng.random((n, 4), np.float32) * 64 for n in sizes]


@contextlib.contextmanager
def alarms(handler, seconds):
    """Call a handler every so many seconds, in the midst of what the main thread does."""
    assert threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


CALLS = [
    pytest.param(lambda voxelizer, x: voxelizer(x).coords, id="table of cells"),
    pytest.param(lambda _, x: fastdl.voxelize(x, 0.1, ENDS, max_points=2).coords, id="hash table"),
    pytest.param(lambda _, x: fastdl.voxelize(x, 0.1, ENDS).coords, id="two passes"),
    pytest.param(lambda _, x: fastdl.voxel_downsample(x, 0.3), id="means"),
]


@pytest.mark.parametrize("call", CALLS)
def test_a_handler_may_make_voxels_too(call):
    voxelizer = fastdl.Voxelizer(1.0, ENDS, max_points=1)
    large, small = clouds(60_000, 5000)
    wanted, wanted_small, seen = call(voxelizer, large), call(voxelizer, small), []
    with alarms(lambda *_: seen.append(np.array_equal(call(voxelizer, small), wanted_small)), 0.002):
        same = [np.array_equal(call(voxelizer, large), wanted) for _ in range(60)]
    assert all(same)
    assert seen
    assert all(seen)


@pytest.mark.parametrize("step", ["fill", "clear"])
def test_an_interrupted_call_leaves_no_table(monkeypatch, step):
    """What an interrupted call wrote to a table of cells led the next one beyond the ends of its arrays."""
    voxelizer = fastdl.Voxelizer(1.0, ENDS, max_points=1)
    large, small = clouds(60_000, 40_000)
    wanted = voxelizer(small).coords
    kernel = hard_voxelization.kernel

    def interrupted(*arguments):
        if step == "fill":
            kernel.fill(*arguments)
        raise KeyboardInterrupt

    class Interrupted:
        def __getattr__(self, name):
            return interrupted if name == step else getattr(kernel, name)

    monkeypatch.setattr(hard_voxelization, "kernel", Interrupted())
    with pytest.raises(KeyboardInterrupt):
        voxelizer(large)
    monkeypatch.undo()
    np.testing.assert_array_equal(voxelizer(small).coords, wanted)
