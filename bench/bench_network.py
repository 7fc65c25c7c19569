"""Networks: fastdl, torch (the faster of its Adams), scikit-learn and the NumPy reference train the same shapes."""

from functools import lru_cache

import numpy as np
import pytest

import fastdl
from fastdl.network import _parameters
from fastdl.reference import network as plain

SHAPES = {
    "16 columns, 32 units, batches of 128": (100_000, 16, (32,), 128),
    "1 column, 32 units, batches of 64": (20_000, 1, (32,), 64),
    "64 columns, 64 units, batches of 1024": (100_000, 64, (64,), 1024),
    "16 columns, 64 and 64 units, batches of 256": (50_000, 16, (64, 64), 256),
}
EPOCHS = 6


@lru_cache(2)
def rows(n, d, dtype=np.float32):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d), dtype=dtype)
    return X, np.sin(X[:, 0]) + dtype(0.3) * X[:, -1] ** 2


def torch_network(torch, d, hidden):
    layers = []
    for units in hidden:
        layers += [torch.nn.Linear(d, units), torch.nn.Tanh()]
        d = units
    return torch.nn.Sequential(*layers, torch.nn.Linear(d, 1))


def torch_training(X, y, hidden, batch, p=2):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    X, y = torch.from_numpy(X), torch.from_numpy(y)

    def run():
        network = torch_network(torch, X.shape[1], hidden)
        adam = torch.optim.Adam(network.parameters(), lr=0.01, fused=True)
        losses = []
        for _ in range(EPOCHS):
            order = torch.randperm(len(X))
            Xs, ys = X[order], y[order]
            for i in range(0, len(X), batch):
                adam.zero_grad(set_to_none=True)
                r = ys[i : i + batch] - network(Xs[i : i + batch])[:, 0]
                loss = (r * r).mean() if p == 2 else r.abs().mean()
                loss.backward()
                adam.step()
                losses.append(loss.detach())
        return float(torch.stack(losses[-50:]).mean())

    return run


def one_thread():
    """BLAS on one thread: with more, products this small take longer."""
    return pytest.importorskip("threadpoolctl").threadpool_limits(1)


def sklearn_training(X, y, hidden, batch):
    network = pytest.importorskip("sklearn.neural_network")
    model = network.MLPRegressor(
        hidden_layer_sizes=hidden, activation="tanh", batch_size=batch, learning_rate_init=0.01, alpha=0,
        max_iter=EPOCHS, n_iter_no_change=EPOCHS + 1, random_state=0,
    )  # fmt: skip

    def run():
        import warnings

        with warnings.catch_warnings(), one_thread():
            warnings.simplefilter("ignore")
            return 2 * model.fit(X, y).loss_

    return run


def ours(X, y, hidden, batch, p=2, threads=1):
    options = {"hidden": hidden, "batch_size": batch, "epochs": EPOCHS, "schedule": "constant", "threads": threads}
    return lambda: fastdl.fit_network(X, y, p=p, **options).history["train"][-1]


def reference(X, y, hidden, batch):
    def run():
        kernel, _parameters.kernel = _parameters.kernel, plain
        try:
            with one_thread():
                return ours(X, y, hidden, batch)()
        finally:
            _parameters.kernel = kernel

    return run


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("who", ["fastdl", "fastdl 2 threads", "torch", "sklearn", "reference"])
def bench_training(compare, shape, who):
    n, d, hidden, batch = SHAPES[shape]
    X, y = rows(n, d)
    makers = {"fastdl": ours, "torch": torch_training, "sklearn": sklearn_training, "reference": reference}
    makers["fastdl 2 threads"] = lambda *problem: ours(*problem, threads=2)
    run = makers[who](X, y, hidden, batch)

    def check(loss):
        assert loss < 0.5 * y.var()

    compare(f"{EPOCHS} epochs of Adam, {shape}, {n} rows float32", who, run, items=EPOCHS * n, check=check)


@pytest.mark.parametrize("who", ["fastdl", "torch"])
def bench_training_under_the_absolute_value(compare, who):
    n, d, hidden, batch = next(iter(SHAPES.values()))
    X, y = rows(n, d)
    run = {"fastdl": ours, "torch": torch_training}[who](X, y, hidden, batch, 1)
    compare(f"{EPOCHS} epochs under |r|, {next(iter(SHAPES))}, {n} rows float32", who, run, items=EPOCHS * n)


def parameters(d, hidden):
    rng = np.random.default_rng(1)
    sizes = [d, *hidden]
    weights = [rng.standard_normal((a, b)) / np.sqrt(a) for a, b in zip(sizes, hidden)]
    return [*weights, rng.standard_normal(sizes[-1]) / 4], [*(rng.standard_normal(h) for h in hidden), np.zeros(())]


@pytest.mark.parametrize(
    "activation", ["tanh", *(pytest.param(a, marks=pytest.mark.more) for a in ("relu", "gelu", "identity"))]
)
@pytest.mark.parametrize(
    "p", [1, pytest.param(1.5, marks=pytest.mark.more), 2, pytest.param(3, marks=pytest.mark.more)]
)
@pytest.mark.parametrize("who", ["fastdl", "torch", "reference"])
def bench_gradient(compare, activation, p, who):
    """Also the check against torch's differentiation, parameter by parameter, in float64."""
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    X, y = rows(20_000, 16, np.float64)
    weights, biases = parameters(16, (32, 17))
    want = fastdl.network_loss_grad(X, y, weights, biases, p, activation=activation)
    act = {
        "tanh": torch.tanh, "relu": torch.relu, "identity": lambda z: z,
        "gelu": lambda z: torch.nn.functional.gelu(z, approximate="tanh"),
    }[activation]  # fmt: skip
    leaves = [[torch.tensor(a, requires_grad=True) for a in part] for part in (weights, biases)]
    inputs = torch.from_numpy(X), torch.from_numpy(y)

    def differentiated():
        a = inputs[0]
        for W, b in list(zip(*leaves))[:-1]:
            a = act(a @ W + b)
        r = inputs[1] - a @ leaves[0][-1] - leaves[1][-1]
        loss = (r.abs() ** p).sum()
        grads = torch.autograd.grad(loss, [*leaves[0], *leaves[1]])
        return loss.item(), [g.numpy() for g in grads[:3]], [g.numpy() for g in grads[3:]]

    run = {
        "fastdl": lambda: fastdl.network_loss_grad(X, y, weights, biases, p, activation=activation),
        "torch": differentiated,
        "reference": lambda: plain.network_loss_grad(X, y, weights, biases, p, activation=activation),
    }[who]

    def check(got):
        assert got[0] == pytest.approx(want[0], rel=1e-11)
        for a, b in zip([*got[1], *got[2]], [*want[1], *want[2]]):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-10 * max(1, np.abs(b).max()))

    compare(f"gradient of 16-32-17-1, 20,000 rows float64, {activation}, p = {p}", who, run, items=len(X), check=check)


@pytest.mark.parametrize("who", ["fastdl", "fastdl 2 threads", "torch", "reference"])
def bench_features(compare, who):
    X, y = rows(500_000, 16)
    learned = fastdl.fit_network(X[:1000], y[:1000], 32, epochs=1)
    want = learned.features(X)
    if who == "torch":
        torch = pytest.importorskip("torch")
        torch.set_num_threads(1)
        W, b = (torch.from_numpy(a[0].astype(np.float32)) for a in (learned.weights, learned.biases))
        inputs = torch.from_numpy(X)
        run = lambda: torch.tanh(torch.addmm(b, inputs, W)).numpy()
    elif who == "reference":
        run = lambda: np.tanh(X @ learned.weights[0] + learned.biases[0])
    else:
        run = lambda: learned.features(X, threads=2 if "2" in who else 1)
    check = lambda got: np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-4)
    compare("32 learned features of 500,000 x 16 float32", who, run, items=len(X), moved=64 + 256, check=check)
