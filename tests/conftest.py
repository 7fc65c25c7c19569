"""Fixtures and options of all tests."""

import os
import signal
from pathlib import Path

import pytest

# A shell's background job, and nohup, ignore these, and so would the commands that tests send them to.
for name, handler in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
    if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) is signal.SIG_IGN:
        signal.signal(getattr(signal, name), handler)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real recordings, scans and the like that FASTDL_TEST_DATA names; tests skip where there is none."""
    folder = Path(os.environ.get("FASTDL_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("needs the real files of the folder that FASTDL_TEST_DATA names")
    return folder


@pytest.fixture(scope="module")
def cluster():
    """A Dask cluster of two processes on this machine."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", silence_logs=50
    ) as cluster:
        yield cluster
