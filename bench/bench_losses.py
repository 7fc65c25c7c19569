"""Losses and gradients: fastdl, NumPy in two passes, torch and JAX differentiating, on the same rows."""

from functools import lru_cache

import numpy as np
import pytest

import fastdl
from fastdl.reference import losses as reference

SHAPES = {"1M x 64": (1_000_000, 64), "4M x 16": (4_000_000, 16), "250k x 256": (250_000, 256), "64 x 8": (64, 8)}
WHO = ["fastdl", "fastdl 2 threads", "numpy", "torch", "jax", "reference"]


def more(value):
    return pytest.param(value, marks=pytest.mark.more)


@lru_cache(2)
def rows(n, d, models=0):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((n, d), dtype=np.float32), rng.standard_normal(n, dtype=np.float32)
    return X, y, rng.standard_normal((models, d) if models else d).astype(np.float32)


def two_passes(X, y, W, p):
    """As one writes it in NumPy, with the cheapest form of each power."""
    r = y[:, None] - X @ W.T if W.ndim == 2 else y - X @ W
    if p == 2:
        value, slope = (r * r).sum(0, dtype=np.float64), 2 * r
    elif p == 1:
        value, slope = np.abs(r).sum(0, dtype=np.float64), np.sign(r)
    else:
        u = np.abs(r)
        t = u ** np.float32(p - 1)
        value, slope = (u * t).sum(0, dtype=np.float64), np.float32(p) * t * np.sign(r)
    return value, -(slope.T @ X), -slope.sum(0)


def torch_grad(X, y, W, p):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    X, y, W = torch.from_numpy(X), torch.from_numpy(y), torch.from_numpy(W)

    def run():
        w = W.clone().requires_grad_(True)
        b = torch.zeros(W.shape[:-1], requires_grad=True)
        r = (y[:, None] if W.ndim == 2 else y) - X @ (w.T if w.ndim == 2 else w) - b
        value = (r * r if p == 2 else r.abs() if p == 1 else r.abs() ** p).sum(0)
        value.sum().backward()
        return value.detach().numpy(), w.grad.numpy(), b.grad.numpy()

    return run


def jax_grad(X, y, W, p):
    jax = pytest.importorskip("jax")
    X, y, W = jax.numpy.asarray(X), jax.numpy.asarray(y), jax.numpy.asarray(W)

    def loss(w, b):
        r = (y[:, None] if W.ndim == 2 else y) - X @ w.T - b
        value = (r * r if p == 2 else abs(r) if p == 1 else abs(r) ** p).sum(0)
        return value.sum(), value

    both = jax.jit(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True))
    b = jax.numpy.zeros(W.shape[:-1])

    def run():
        (_, value), (by_w, by_b) = both(W, b)
        return value.block_until_ready(), by_w.block_until_ready(), by_b

    return run


def runner(who, X, y, W, p):
    if who.startswith("fastdl"):
        return lambda: fastdl.lp_loss_grad(X, y, W, 0.0, p, threads=2 if "2" in who else 1)
    if who == "numpy":
        return lambda: two_passes(X, y, W, p)
    if who == "reference":
        return lambda: reference.lp_loss_grad(X, y, W, 0.0, p)
    return {"torch": torch_grad, "jax": jax_grad}[who](X, y, W, p)


def close(want):
    def check(got):
        np.testing.assert_allclose(np.asarray(got[0]), want[0], rtol=2e-3)
        np.testing.assert_allclose(np.asarray(got[1]), want[1], rtol=2e-2, atol=2e-3 * np.abs(want[1]).max())

    return check


@pytest.mark.parametrize("shape", ["1M x 64", more("4M x 16"), more("250k x 256"), "64 x 8"])
@pytest.mark.parametrize("p", [1, 2, more(0.5), 1.37])
@pytest.mark.parametrize("who", WHO)
def bench_lp_loss_grad(compare, shape, p, who):
    n, d = SHAPES[shape]
    X, y, W = rows(n, d)
    want = fastdl.lp_loss_grad(X, y, W, 0.0, p)
    group = f"loss and gradient, {shape} float32, p = {p}"
    compare(group, who, runner(who, X, y, W, p), items=n, moved=4 * d + 4, limit="read", check=close(want))


@pytest.mark.parametrize("models", [32, 1024])
@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("who", [*WHO[:-1], "numpy's two products alone"])
def bench_many_models(compare, models, p, who):
    n = 1_000_000 if models == 32 else 30_000
    X, y, W = rows(n, 16, models)
    if "alone" in who:
        run, check = lambda: (lambda P: P.T @ X)(X @ W.T), None
    else:
        run, check = runner(who, X, y, W, p), close(fastdl.lp_loss_grad(X, y, W, 0.0, p))
    compare(f"{models} models, {n} x 16 float32, p = {p}", who, run, items=n, moved=68, limit="read", check=check)


def huber(r):
    return r * r / 2 if abs(r) < 1 else abs(r) - 0.5


def huber_slope(r):
    return min(max(r, -1.0), 1.0)


@pytest.mark.parametrize("shape", ["1M x 64", more("4M x 16"), more("250k x 256")])
@pytest.mark.parametrize("who", ["fastdl", "fastdl's p = 2", "torch"])
def bench_custom_loss(compare, shape, who):
    n, d = SHAPES[shape]
    X, y, W = rows(n, d)
    mine = fastdl.custom_loss(huber, huber_slope)
    check = close(mine.loss_grad(X, y, W))
    if who == "fastdl":
        run = lambda: mine.loss_grad(X, y, W)
    elif who == "torch":
        torch = pytest.importorskip("torch")
        torch.set_num_threads(1)
        tensors = torch.from_numpy(X), torch.from_numpy(y)

        def run():
            w = torch.from_numpy(W).clone().requires_grad_(True)
            value = torch.nn.functional.huber_loss(tensors[0] @ w, tensors[1], reduction="sum")
            value.backward()
            return value.detach().numpy(), w.grad.numpy()
    else:
        run, check = lambda: fastdl.lp_loss_grad(X, y, W), None
    compare(f"a Huber loss in Python, {shape} float32", who, run, items=n, moved=4 * d + 4, limit="read", check=check)
