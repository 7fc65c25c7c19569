"""The kernels as others call them: the examples of docs/lowlevel.md, run."""

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
