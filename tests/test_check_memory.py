"""Results larger than the memory that is free are refused before they are written to."""

import numpy as np
import pytest

import fastdl
from fastdl import _check, _memory


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine whose files say how much memory there is."""
    monkeypatch.setattr(_memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(_memory, "_LIMITS", (tmp_path / "v2", tmp_path / "v1"))
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:    4 kB\nSwapFree: 1 kB\nHugePages_Total: 0\n")
    return tmp_path


def test_free_memory_is_that_of_the_system_within_the_cgroups_limit(machine):
    assert _memory.free_bytes() == 5 * 1024
    (machine / "v2").write_text("max\n")
    (machine / "v1").write_text("9223372036854771712\n")
    assert _memory.free_bytes() == 5 * 1024
    (machine / "v2").write_text("2048\n")
    assert _memory.free_bytes() == 2048
    (machine / "v2").unlink()
    (machine / "v1").unlink()
    (machine / "meminfo").write_text("what nobody knows\n")
    assert _memory.free_bytes() is None or _memory.free_bytes() > 1 << 20


def test_a_result_that_does_not_fit_is_refused_with_its_size(monkeypatch):
    """The system would promise it, and end the process that fills it."""
    monkeypatch.setattr(_check, "_LARGE", 100)
    monkeypatch.setattr(_check, "free_bytes", lambda: 159)
    with pytest.raises(fastdl.InputError, match=r"of shape \(2, 10\) takes 160 bytes, more than there are"):
        fastdl.vandermonde([1.0, 2.0], 9)
    assert fastdl.vandermonde([1.0, 2.0], 8).shape == (2, 9)
    assert fastdl.vandermonde([1.0, 2.0], 9, out=np.empty((2, 10))).shape == (2, 10)
    monkeypatch.setattr(_check, "free_bytes", lambda: None)
    assert fastdl.vandermonde([1.0, 2.0], 9).shape == (2, 10)
