"""The kernels called from Cython and Numba: the examples of docs/lowlevel.md."""

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastdl
from fastdl import _kernels

pytestmark = pytest.mark.skipif(_kernels.load("losses") is None, reason="the kernels are not built, or not to be used")
ROOT = Path(__file__).parents[1]


def example(language):
    return re.search(rf"```{language}\n(.*?)```", (ROOT / "docs" / "lowlevel.md").read_text(), re.DOTALL).group(1)


def inputs():
    rng = np.random.default_rng(0)
    x = rng.integers(-32768, 32768, 1000, dtype=np.int16)
    return x, rng.standard_normal((100, 9)).astype(np.float32), rng.standard_normal(100).astype(np.float32)


def test_from_numba():
    names = {}
    exec(example("python"), names)
    x, _, y = inputs()
    np.testing.assert_array_equal(names["encode"](x), fastdl.mu_law_encode(x))
    r = y.astype(float)
    loss, slope = names["lp"](r, 1.5)
    assert loss == pytest.approx(fastdl.lp_loss(np.zeros((100, 1)), r, [0.0], p=1.5))
    np.testing.assert_allclose(slope, 1.5 * np.abs(r) ** 0.5 * np.sign(r))


def test_from_cython(tmp_path, monkeypatch):
    pytest.importorskip("Cython")
    pytest.importorskip("setuptools")
    (tmp_path / "mine.pyx").write_text(example("cython"))
    command = [sys.executable, "-m", "Cython.Build.Cythonize", "-q", "-i", "mine.pyx"]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    built = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    if built.returncode and "gcc" in built.stderr and "No such file" in built.stderr:
        pytest.skip("needs a C compiler")
    assert built.returncode == 0, built.stderr
    monkeypatch.syspath_prepend(tmp_path)
    mine = importlib.import_module("mine")
    x, X, y = inputs()
    codes, grad, w = np.empty(1000, np.uint8), np.zeros(9), np.ones(9, np.float32)
    mine.encode(x, codes)
    np.testing.assert_array_equal(codes, fastdl.mu_law_encode(x))
    loss, by_w, _ = fastdl.lp_loss_grad(X, y, w, p=1.37)
    assert mine.loss_grad(X, y, w, 1.37, grad) == pytest.approx(loss, rel=1e-5)
    np.testing.assert_allclose(grad, by_w, rtol=1e-4, atol=1e-3)


def test_only_declared_functions_are_exported():
    capi = importlib.import_module("fastdl_ext.losses").__pyx_capi__
    assert {"residuals_f32", "residuals_f64", "lp_terms", "products_f32", "products_f64"} <= set(capi)


def test_features_from_numba():
    numba = pytest.importorskip("numba")
    import ctypes

    address = numba.extending.get_cython_function_address("fastdl_ext.features", "__pyx_fuse_1basis_rows")
    pointer, size, real = ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_double
    kind = ctypes.CFUNCTYPE(None, pointer, pointer, ctypes.c_int, pointer, size, size, ctypes.c_int, real, real)
    basis_rows = kind(address)

    @numba.njit
    def chebyshev(x, out):
        basis_rows(x.ctypes, x.ctypes, 1, out.ctypes, len(x), out.shape[1], 0, -1.0, 1.0)

    x, out = np.linspace(-1, 1, 21), np.empty((21, 6))
    chebyshev(x, out)
    np.testing.assert_array_equal(out, fastdl.vandermonde(x, 5, basis="chebyshev"))


CALLER = """
# cython: language_level=3
from fastdl_ext.features cimport basis_rows

def powers(const double[::1] x, double[:, ::1] out):
    basis_rows[double](&x[0], &x[0], 0, &out[0, 0], x.shape[0], out.shape[1], False, -1, 1)
"""


def test_features_from_cython(tmp_path, monkeypatch):
    pytest.importorskip("Cython")
    setuptools = pytest.importorskip("setuptools")
    from Cython.Build import cythonize

    (tmp_path / "caller.pyx").write_text(CALLER)
    monkeypatch.chdir(tmp_path)
    extension = setuptools.Extension("caller", ["caller.pyx"], extra_compile_args=["-O1", "-Wno-psabi"])
    try:
        made = cythonize([extension], include_path=[str(ROOT)], quiet=True)
        setuptools.setup(
            name="caller",
            ext_modules=made,
            script_args=["--quiet", "build_ext", "--inplace"],
            packages=[],
            py_modules=[],
        )
    except SystemExit as error:
        pytest.skip(f"no C compiler: {error}")
    monkeypatch.syspath_prepend(str(tmp_path))
    import caller

    x, out = np.linspace(-2, 2, 21), np.empty((21, 6))
    caller.powers(x, out)
    np.testing.assert_array_equal(out, fastdl.vandermonde(x, 5))


def test_every_kernel_for_others_is_listed():
    listed = (ROOT / "docs" / "lowlevel.md").read_text()
    for path in (ROOT / "fastdl_ext").glob("*.pxd"):
        if "other people" in path.read_text()[:300]:
            assert f"`fastdl_ext.{path.stem}`" in listed, path
