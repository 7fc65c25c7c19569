"""Users' compiled functions: told apart by everything they depend on, and kept where nobody else can write."""

import os
import stat
import subprocess
import sys
import types

import numpy as np
import pytest

import fastdl

numba = pytest.importorskip("numba")

from fastdl_ext.user_functions import compilation  # noqa: E402


def key(*functions):
    found = compilation.content(functions)
    return None if found is None else found.hexdigest()


def first(r):
    return r * r


def second(r):
    return abs(r)


square, absolute = numba.njit(first), numba.njit(second)


def combined(a, b, c):
    def loss(r):
        return a(r) + 2 * b(r) + 4 * c(r)

    return loss


def test_a_function_met_again_is_told_from_another():
    assert key(combined(square, absolute, square)) != key(combined(square, absolute, absolute))
    assert key(combined(square, absolute, square)) == key(combined(square, absolute, square))
    assert key(first, second, first) != key(first, second, second)


@pytest.mark.parametrize("last", ["square", "absolute"])
def test_the_right_loss_whatever_was_compiled_before(last):
    loss = combined(square, absolute, {"square": square, "absolute": absolute}[last])
    assert fastdl.custom_loss(loss).loss([[0.0]], [3.0], [0.0], 0.0) == loss(3.0)


def test_defaults_and_globals_and_closures_count():
    def with_default(n):
        return lambda r, k=n: r * k

    def with_keyword(n):
        def loss(r, *, k=n):
            return r * k

        return loss

    def with_cell(n):
        return lambda r: r * n

    for make in (with_default, with_keyword, with_cell):
        assert key(make(1)) != key(make(2))
        assert key(make(1)) != key(make(1.0))
        assert key(make(0.0)) != key(make(-0.0))
    a, b = ({"k": k, "__builtins__": {}} for k in (1, 2))
    assert key(types.FunctionType(first.__code__, a)) == key(types.FunctionType(first.__code__, b))
    code = compile("lambda r: r * k", "x", "eval").co_consts[0]
    assert key(types.FunctionType(code, a)) != key(types.FunctionType(code, b))


def test_values_of_two_functions_in_one_module():
    module = types.ModuleType("theirs")
    module.a, module.b = 1.0, 2.0
    space = {"theirs": module}
    f, g = (types.FunctionType(compile(f"lambda r: r * theirs.{n}", "x", "eval").co_consts[0], space) for n in "ab")
    before = key(f, g)
    module.b = 3.0
    assert key(f, g) != before


def test_functions_that_call_each_other_have_content():
    def even(n):
        return n == 0 or odd(n - 1)

    def odd(n):
        return n != 0 and even(n - 1)

    assert key(even) != key(odd)


def test_what_cannot_be_told_is_not_kept():
    thing = object()
    assert key(lambda r: thing) is None
    table = np.array([thing], object)
    assert key(lambda r: table[0]) is None


def test_a_compiled_function_whose_values_may_have_changed_is_not_for_the_disk():
    scale = 2.0
    scaled = numba.njit(lambda r: scale * r)

    def loss(r):
        return scaled(r)

    assert compilation.content((loss,)).for_disk
    scaled(1.0)
    assert not compilation.content((loss,)).for_disk


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs POSIX modes")
def test_the_folder_is_the_users_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    folder = compilation._folder()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for mode in (0o770, 0o707, 0o777):
        folder.chmod(mode)
        assert compilation._folder() is None
    folder.chmod(0o700)
    assert compilation._folder() == folder
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    assert compilation._folder() is None


SCRIPT = """
import fastdl, numba
from fastdl_ext.user_functions import compilation

@numba.njit
def square(r):
    return r * r

print(fastdl.custom_loss(lambda r: square(r) + 1).loss([[0.0]], [3.0], [0.0], 0.0))
print(sum(known.cache_hits for known in compilation._KNOWN.values()))
"""


def test_another_process_uses_what_is_kept(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    runs = [
        subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    assert [run.stdout.split() for run in runs] == [["10.0", "0"], ["10.0", "1"]]
