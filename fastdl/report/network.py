"""Networks: one curve fitted on x, on its powers and on learned features; these, and how they were learned."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import numpy as np

import fastdl
from fastdl.report.page import Chapter
from fastdl.report.samples import noisy_step, wave_with_step

Array = np.ndarray

UNITS = 12


def chapter() -> Chapter:
    """The chapter of networks."""
    page = Chapter("Networks: features that are learned")
    x, y = noisy_step()
    others = noisy_step(2000, seed=1)
    start = perf_counter()
    learned = fastdl.LearnedFeatures(UNITS, learning_rate=0.03, valid=(others[0][:, None], others[1]))
    learned.fit(x[:, None], y)
    seconds = perf_counter() - start
    page.text(
        "A linear fit can only mix the columns it is given. On x alone it is a line; on the powers of x it is a "
        "polynomial, which bends everywhere alike. The hidden layer of a network is a set of columns too, but these "
        "are moved during training to where they serve: `LearnedFeatures` gives them, and a linear fit does the rest."
    )
    bases = {
        "x": lambda t: t[:, None],
        "powers of x up to 9": lambda t: fastdl.vandermonde(t, 9, basis="chebyshev", domain=(-2, 2))[:, 1:],
        f"{UNITS} learned features": lambda t: learned.transform(t[:, None]),
    }
    grid = np.linspace(-2, 2, 801)
    rows = []
    caption = f"Least squares on three sets of columns, through the same {len(x)} noisy points; dotted, the truth."
    with page.figure(1, 3, sharey=True, caption=caption) as axes:
        for axis, (name, basis) in zip(axes, bases.items()):
            predict = linear_fit(basis, x, y)
            axis.plot(x, y, ".", color="0.6", markersize=3)
            axis.plot(grid, wave_with_step(grid), ":", color="k", linewidth=1)
            axis.plot(grid, predict(grid), color="C1", linewidth=2)
            axis.set(title=name, xlabel="x")
            rows.append([name, basis(x).shape[1], *(error(predict(t), t) for t in (x, others[0]))])
    page.table(["columns", "how many", "error on the points", "error on new points"], rows)
    caption = "Left: the learned features. Right: the loss while they were learned; each epoch sees every point once."
    with page.figure(1, 2, size=(9, 3.4), caption=caption) as (left, right):
        left.plot(grid, learned.transform(grid[:, None]), linewidth=1.2)
        left.set(title="the columns of the last layer", xlabel="x")
        history = learned.network.history
        right.semilogy(history["train"], label="points trained on")
        right.semilogy(history["valid"], label="points held apart")
        right.axhline(0.1**2, color="0.4", linestyle=":")
        right.set(title="mean of |r|^2", xlabel="epoch")
        right.legend()
    page.text(
        f"Some units have become steep at the step, the others share the wave between them. The dotted line is the "
        f"noise: no fit of new points can be better. {len(history['train'])} epochs took {seconds:.2f} s; the epoch of "
        f"the least loss on the points held apart, {learned.network.best_epoch}, is the one that is kept. Any power of "
        f"the residual, or a loss of your own, can be trained with: `fit_network(X, y, p=1)`."
    )
    return page


def linear_fit(basis: Callable[[Array], Array], x: Array, y: Array) -> Callable[[Array], Array]:
    """The least-squares fit on columns, as a function of x."""
    columns = np.column_stack([basis(x), np.ones(len(x))])
    weights = np.linalg.lstsq(columns, y, rcond=None)[0]
    return lambda t: basis(t) @ weights[:-1] + weights[-1]


def error(prediction: Array, x: Array) -> float:
    """Root mean square, against the truth."""
    return round(float(np.sqrt(np.mean((prediction - wave_with_step(x)) ** 2))), 4)
