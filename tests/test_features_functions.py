"""Functions of columns beyond the reference: invalid values, choice of columns, and custom functions."""

import math
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fastdl
from fastdl import _kernels
from fastdl.features import _function_blocks
from fastdl.reference import features as reference

compiled = pytest.mark.skipif(_kernels.load("features") is None, reason="the reference calls functions as they are")
NAMES = list(reference.FUNCTIONS)
SCALE = 3.0


@pytest.fixture(autouse=True)
def cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "numba"))
    return tmp_path / "numba"


def smooth(x):
    return x * x / (1 + abs(x))


def product(a, b):
    return a * b if a > 0 else b - a


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("n", "d"), [(0, 3), (1, 1), (1, 3), (7, 2), (4099, 1), (70001, 2), (300, 33)])
def test_named_functions_equal_the_reference(n, d, dtype):
    X = (np.random.default_rng(n).standard_normal((n, d)) * 3).astype(dtype)
    X.reshape(-1)[: 4 * (n > 4)] = [0, np.nan, np.inf, -np.inf][: 4 * (n > 4)]
    want = reference.feature_map(X, [(name, range(d)) for name in NAMES])
    got, counts = fastdl.feature_map(X, NAMES, return_invalid=True)
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)
    new = np.isnan(want) & ~np.tile(np.isnan(X), (1, len(NAMES)))
    np.testing.assert_array_equal(counts, new.sum(axis=0))
    for threads in (2, 3):
        np.testing.assert_array_equal(fastdl.feature_map(X, NAMES, threads=threads), got)


def test_columns_by_choice():
    X = np.arange(1.0, 13).reshape(3, 4)
    got = fastdl.feature_map(
        X, [("square", [3, 0, 1]), ("sqrt", -1), (product, (1, 2)), (np.maximum, [3, 0]), "identity"]
    )
    want = [X[:, [3, 0, 1]] ** 2, np.sqrt(X[:, 3:]), X[:, 1:2] * X[:, 2:3], X[:, 3:], X]
    np.testing.assert_array_equal(got, np.concatenate(want, axis=1))
    assert fastdl.feature_map(X, []).shape == (3, 0)
    np.testing.assert_array_equal(fastdl.feature_map(X[:, 0], "cube")[:, 0], X[:, 0] ** 3)
    np.testing.assert_array_equal(fastdl.feature_map(X.tolist(), smooth), X * X / (1 + X))


@pytest.mark.parametrize(
    ("name", "values", "count"),
    [
        ("log", [0.0, -0.0, -1, 1, np.inf, np.nan, 5e-324], 3),
        ("log2", [0.0, -1, 2], 2),
        ("log10", [0.0, -1, 10], 2),
        ("log1p", [-1.0, -2, -0.5, 0], 2),
        ("sqrt", [-5e-324, -0.0, 0, 4], 1),
        ("reciprocal", [0.0, -0.0, 2, np.inf], 2),
        ("sin", [np.inf, -np.inf, 0, 1e300], 2),
        ("cos", [np.inf, 0], 1),
        ("tan", [-np.inf, 0], 1),
    ],
)
def test_where_a_function_is_not_defined_is_nan_and_counted(name, values, count):
    got, counts = fastdl.feature_map(values, [name], return_invalid=True)
    assert counts.tolist() == [count]
    assert np.isnan(got).sum() == count + np.isnan(values).sum()
    with pytest.raises(fastdl.InputError, match=f"{name} of column 0 is not defined in {count} row"):
        fastdl.feature_map(values, [name], invalid="raise")


def test_the_error_names_the_first_row():
    X = np.ones((100_000, 3))
    X[77_777, 1], X[88_888, 1] = -4, 0
    with pytest.raises(
        fastdl.InputError, match=r"log of column 1 is not defined in 2 row\(s\), the first row 77777 with -4.0"
    ):
        fastdl.feature_map(X, ["square", "log"], invalid="raise", threads=2)
    with pytest.raises(fastdl.InputError, match=r"ratio of columns 0, 1 is not defined"):
        fastdl.feature_map([[0.0, 0.0]], [(ratio, (0, 1))], invalid="raise")
    fastdl.feature_map([[np.nan]], ["log"], invalid="raise")


def ratio(a, b):
    return math.nan if b == 0 else a / b


@pytest.mark.parametrize(
    ("functions", "words"),
    [
        (["nothing"], "a function's name must be one of 'identity'"),
        ([("log", 3)], "a column must be between -2 and 1, got 3"),
        ([("log", 0, 1)], "must be \\(function, columns\\)"),
        ([3], "must hold names and functions, got int"),
        (3, "must be a list of names and functions, got int"),
        ([product, "log"], None),
        ([(product, 0)], "product takes 2 numbers"),
        ([lambda *x: 1.0], "a parameter of its own"),
        ([lambda: 1.0], "one or more numbers"),
        ([np.modf], "gives 2 numbers"),
        ([float], "got type"),
    ],
)
def test_functions_that_are_refused(functions, words):
    X = np.ones((2, 2))
    if words is None:
        assert fastdl.feature_map(X, functions).shape == (2, 3)
        return
    with pytest.raises((fastdl.InputError, fastdl.InputTypeError), match=words):
        fastdl.feature_map(X, functions)


def test_what_is_not_real_numbers():
    for X in (np.ones(3, np.float16), np.ones(3, complex), ["a"]):
        with pytest.raises(fastdl.InputTypeError, match="X must be"):
            fastdl.feature_map(X, "log")
    with pytest.raises(fastdl.InputError, match="invalid must be one of"):
        fastdl.feature_map([1.0], "log", invalid="drop")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [1, 5, 20_000])
def test_functions_of_users_equal_the_reference(n, dtype):
    X = np.random.default_rng(5).standard_normal((n, 2)).astype(dtype)
    functions = [smooth, (product, (1, 0)), lambda x: x - SCALE]
    steps = [(smooth, [0]), (smooth, [1]), (product, [1, 0]), (functions[2], [0]), (functions[2], [1])]
    want = reference.feature_map(X, steps)
    for threads in (1, 2):
        np.testing.assert_array_equal(fastdl.feature_map(X, functions, threads=threads), want)


@compiled
def test_a_function_is_compiled_once(monkeypatch):
    from fastdl_ext.user_functions import compilation

    made = []
    compile_ = compilation._compile
    monkeypatch.setattr(compilation, "_compile", lambda *a: made.append(a) or compile_(*a))
    X = np.random.default_rng(6).standard_normal((50, 2))
    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda _: fastdl.feature_map(X, [lambda x: x * 5 - 7]), range(8)))
    assert len(made) == 1
    for run in runs:
        np.testing.assert_array_equal(run, X * 5 - 7)


@compiled
def test_changed_content_is_compiled_anew(monkeypatch):
    def scaled(k):
        return lambda x: x * k

    assert fastdl.feature_map([2.0], scaled(2.0)).tolist() == [[4.0]]
    assert fastdl.feature_map([2.0], scaled(3.0)).tolist() == [[6.0]]
    shifted = lambda x: x + SCALE  # noqa: E731
    assert fastdl.feature_map([2.0], shifted).tolist() == [[5.0]]
    monkeypatch.setitem(globals(), "SCALE", 10.0)
    assert fastdl.feature_map([2.0], shifted).tolist() == [[12.0]]


@compiled
@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x: "a" + x, "cannot be compiled by Numba"),
        (lambda x: helper(x), "helper.*must be decorated with numba.njit"),
        (lambda x: (x, x), "returns one number"),
        (lambda x: undefined_name(x), "undefined_name"),  # noqa: F821
        (lambda x: sorted(str(x)), "cannot be compiled"),
    ],
)
def test_what_numba_cannot_compile(function, words):
    with pytest.raises(fastdl.InputError, match=words) as error:
        fastdl.feature_map([1.0], function)
    assert len(str(error.value)) < 700


def helper(x):
    return x


def test_functions_compiled_before():
    numba = pytest.importorskip("numba")
    inner = numba.njit(helper)
    outer = numba.njit(lambda x: inner(x) + 1)
    np.testing.assert_array_equal(fastdl.feature_map([1.0, 2.0], [inner, outer]), [[1, 2], [2, 3]])
    np.testing.assert_array_equal(fastdl.feature_map([4.0], lambda x: inner(x) * 2), [[8]])


SCRIPT = """
import fastdl, numba, sys
from fastdl_ext.user_functions import compilation
f = lambda x: x * 3.5 - 1
loops = compilation._KNOWN.values()
print(fastdl.feature_map([2.0], f).tolist(), sum(len(loop.stats.cache_hits) for loop in loops))
"""


def run_script(folder):
    env = {**os.environ, "NUMBA_CACHE_DIR": str(folder), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT], env=env, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return done.stdout.split()


@compiled
def test_the_disk_remembers(cache_folder):
    assert [run_script(cache_folder) for _ in range(2)] == [["[[6.0]]", "0"], ["[[6.0]]", "1"]]
    for file in [path for path in cache_folder.rglob("*") if path.is_file()]:
        file.write_bytes(file.read_bytes()[:40])  # cut short: compiled again
    assert run_script(cache_folder) == ["[[6.0]]", "0"]


@compiled
def test_a_folder_that_cannot_be_written_is_no_matter(tmp_path):
    (tmp_path / "file").write_text("")
    assert run_script(tmp_path / "file") == ["[[6.0]]", "0"]
    assert run_script("/proc/nowhere") == ["[[6.0]]", "0"]


def test_many_threads_at_once():
    X = np.random.default_rng(8).standard_normal((5000, 3))
    want = fastdl.feature_map(X, ["exp", smooth]), fastdl.vandermonde(X, 6), fastdl.polynomial_features(X, 3)
    failed = []

    def work():
        got = (
            fastdl.feature_map(X, ["exp", smooth], threads=2),
            fastdl.vandermonde(X, 6, threads=2),
            fastdl.polynomial_features(X, 3, threads=2),
        )
        failed.extend(k for k in range(3) if not np.array_equal(got[k], want[k]))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_returns():
    X = np.random.default_rng(9).standard_normal((30_000, 3))
    want = fastdl.feature_map(X, ["exp", smooth], threads=2)
    code = (
        "import os, sys, numpy as np, fastdl\n"
        "X = np.ones((400_000, 3)); f = lambda x: x + 1\n"
        "want = fastdl.feature_map(X, ['exp', f], threads=2)\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    ok = np.array_equal(fastdl.feature_map(X, ['exp', f], threads=2), want)\n"
        "    os._exit(0 if ok else 1)\n"
        "sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=env, timeout=60).returncode == 0
    assert want.shape == (30_000, 6)


def test_torch_tensors():
    torch = pytest.importorskip("torch")
    x = torch.arange(4, dtype=torch.float32)
    assert fastdl.vandermonde(x, 2).dtype == np.float32
    np.testing.assert_array_equal(fastdl.feature_map(x, "square")[:, 0], [0, 1, 4, 9])


def test_input_is_not_modified_and_out_is_used():
    X = np.random.default_rng(10).standard_normal((100, 2))
    before = X.copy()
    X.flags.writeable = False
    out = np.empty((100, 4))
    assert fastdl.feature_map(X, ["log", smooth], out=out) is out
    np.testing.assert_array_equal(X, before)
    both = np.ones((5, 2))
    with pytest.raises(fastdl.InputError, match="overlap"):
        fastdl.feature_map(both, "log", out=both)
    for layout in (np.asfortranarray(X), X[::-1][::-1], X.astype(">f8")):
        np.testing.assert_array_equal(fastdl.feature_map(layout, ["log", smooth]), out)


def test_importing_features_loads_no_numba():
    code = (
        "import sys, fastdl; fastdl.vandermonde([1.0], 2); fastdl.feature_map([1.0], 'log')\n"
        "assert 'numba' not in sys.modules"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], env=env, check=True)


def test_every_name_has_its_steps():
    assert set(_function_blocks.UFUNCS) == set(NAMES)
    assert set(_function_blocks.DOMAINS) <= set(NAMES)
