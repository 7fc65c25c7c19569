"""run(): order, bounds, errors, and the accumulator protocol."""

import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest

from fastdl.streaming import Accumulator, run


class Total:
    """A sum, and the order in which it came together."""

    def __init__(self):
        self.parts = []

    def fresh(self):
        return Total()

    def update(self, chunk):
        self.parts.append(int(np.sum(chunk)))
        return self

    def merge(self, other):
        self.parts += other.parts
        return self

    def finish(self):
        return self.parts


def test_what_is_an_accumulator_is_told_by_its_methods():
    assert isinstance(Total(), Accumulator)
    assert not isinstance(sum, Accumulator)


def test_order_is_that_of_the_chunks():
    chunks = [np.full(3, i) for i in range(50)]
    want = [3 * i for i in range(50)]
    assert run(chunks, Total()) == want
    with ThreadPoolExecutor(4) as pool:
        assert run(chunks, Total(), executor=pool) == want
        assert run(chunks, np.sum, executor=pool) == want
        written = []
        assert run(chunks, np.sum, written.append, executor=pool) is None
        assert written == want


def test_steps_in_other_processes():
    with ProcessPoolExecutor(2) as pool:
        assert run([np.arange(3), np.arange(4)], Total(), executor=pool) == [3, 6]


def test_few_chunks_are_in_flight():
    alive, most, lock = 0, 0, threading.Lock()

    def chunks():
        nonlocal alive, most
        for i in range(100):
            with lock:
                alive += 1
                most = max(most, alive)
            yield i

    def done(_):
        nonlocal alive
        with lock:
            alive -= 1

    with ThreadPoolExecutor(2) as pool:
        run(chunks(), lambda i: i, done, executor=pool, in_flight=3)
    assert most <= 3


@pytest.mark.parametrize("threads", [0, 3])
def test_the_first_error_stops_it(threads):
    seen, written = [], []

    def work(i):
        seen.append(i)
        if i in (5, 6):
            raise ValueError(f"chunk {i}")
        return i

    pool = ThreadPoolExecutor(threads) if threads else None
    with pytest.raises(ValueError, match="chunk 5"):
        run(range(1000), work, written.append, executor=pool)
    if pool:
        pool.shutdown()
    assert written == [0, 1, 2, 3, 4]
    assert len(seen) < 20


def test_progress_is_called_with_every_chunk():
    seen = []
    run([1, 2, 3], lambda x: x, progress=seen.append)
    assert [event.details["chunk"] for event in seen] == [1, 2, 3]
    assert [event.done for event in seen] == [1, 2, 3]
