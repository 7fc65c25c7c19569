"""The chapter on networks: a curve fitted on x, on powers of x and on learned features, and the training of these."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

import fastdl
from fastdl._typing import Array
from fastdl.report.figures import MUTED, SERIES, Panel
from fastdl.report.page import Chapter
from fastdl.report.samples import noisy_step, wave_with_step

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from fastdl.network.learned_features import LearnedFeatures

UNITS = 12
NOISE = 0.1


def chapter() -> Chapter:
    """Three sets of columns, the learned ones, their training."""
    page = Chapter(
        "network",
        "Networks: features that are learned",
        "Powers of x bend everywhere alike; the columns of a hidden layer move during training to where they serve.",
    )
    x, y = noisy_step(noise=NOISE)
    others = noisy_step(2000, seed=1, noise=NOISE)
    learned = fastdl.LearnedFeatures(UNITS, learning_rate=0.03, valid=(others[0][:, None], others[1]))
    learned.fit(x[:, None], y)
    bases: dict[str, Callable[[Array], Array]] = {
        "x alone": lambda t: t[:, None],
        "Powers up to 9": lambda t: fastdl.vandermonde(t, 9, basis="chebyshev", domain=(-2, 2))[:, 1:],
        f"{UNITS} learned features": lambda t: learned.transform(t[:, None]),
    }
    _fits(page, x, y, others[0], bases)
    rng = np.random.default_rng(3)
    X = rng.standard_normal((4096, 8)).astype(np.float32)
    weights = [rng.standard_normal((8, 32)).astype(np.float32) / 3, rng.standard_normal(32).astype(np.float32) / 6]
    biases = [np.zeros(32, np.float32), np.float32(0)]
    page.code(one_gradient, X, X[:, :1].sum(axis=1), weights, biases, compare=lambda found: found[0])
    page.section("The learned columns")
    _learning(page, learned)
    page.text(
        f"Some units have become steep at the step, the others share the wave between them. Of "
        f"{len(learned.network.history['train'])} epochs, {learned.network.best_epoch} had the least loss on the "
        "points held apart and is kept. Any power of the residual, or a loss of your own, can be trained with: "
        "`fit_network(X, y, p=1)`."
    )
    return page


def one_gradient(fastdl: ModuleType, X: Array, y: Array, weights: list[Array], biases: list[Array]) -> Any:
    loss, by_weights, by_biases = fastdl.network_loss_grad(X, y, weights, biases, 2.0)
    return loss, by_weights, by_biases  # what every step of training needs


def _fits(page: Chapter, x: Array, y: Array, others: Array, bases: dict[str, Callable[[Array], Array]]) -> None:
    grid = np.linspace(-2, 2, 401)
    models = {name: linear_fit(basis, x, y) for name, basis in bases.items()}

    def draw(axes: Axes, name: str) -> None:
        axes.plot(x, y, "o", color=SERIES[6], ms=2, alpha=0.6, label="points")
        axes.plot(grid, wave_with_step(grid), ":", color=MUTED, lw=1.4, label="truth")
        axes.plot(grid, models[name](grid), color=SERIES[1], lw=2, label="fit")
        axes.set(xlabel="x", ylabel="y", ylim=(-1.1, 2.0))

    seen = ("A straight line.", "A polynomial that swings beside the step.", "A curve that follows wave and step.")
    page.figure(
        [Panel(partial(draw, name=name), alt, name, 370) for name, alt in zip(bases, seen)],
        f"Least squares on three sets of columns, through the same {len(x)} noisy points.",
    )
    page.table(
        ["columns", "how many", "error on the points", "error on new points"],
        [[name, basis(x).shape[1], *(error(models[name](t), t) for t in (x, others))] for name, basis in bases.items()],
        "Root mean square, against the truth",
    )


def _learning(page: Chapter, learned: LearnedFeatures) -> None:
    grid = np.linspace(-2, 2, 201)
    history = learned.network.history

    def columns(axes: Axes) -> None:
        axes.plot(grid, learned.transform(grid[:, None]), lw=1.2)
        axes.set(xlabel="x", ylabel="value of the column")

    def training(axes: Axes) -> None:
        epochs = np.arange(1, len(history["train"]) + 1)
        axes.semilogy(epochs, history["train"], label="points trained on")
        axes.semilogy(epochs, history["valid"], label="points held apart")
        axes.axhline(NOISE**2, color=MUTED, linestyle=":", label="noise")
        axes.set(xlabel="epoch", ylabel="mean of |residual|²")
        axes.set_yticks([0.01, 0.02, 0.05, 0.1, 0.2, 0.5])

    page.figure(
        [
            Panel(columns, "Twelve S-shaped curves, several of them steep at x = 0.4.", "The columns"),
            Panel(
                training, "Both losses fall quickly, then slowly, to just above the noise.", "While they were learned"
            ),
        ],
        "The values of the last layer, and the loss by epoch; each epoch sees every point once. No fit of new points "
        "can be below the dotted line.",
    )


def linear_fit(basis: Callable[[Array], Array], x: Array, y: Array) -> Callable[[Array], Array]:
    """The least-squares fit on columns, as a function of x."""
    columns = np.column_stack([basis(x), np.ones(len(x))])
    weights = np.linalg.lstsq(columns, y, rcond=None)[0]
    return lambda t: basis(t) @ weights[:-1] + weights[-1]


def error(prediction: Array, x: Array) -> float:
    """Root mean square, against the truth."""
    return round(float(np.sqrt(np.mean((prediction - wave_with_step(x)) ** 2))), 4)
