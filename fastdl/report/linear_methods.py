"""The chapter on iterative training: paths of gradient descent and random search over the loss of all lines."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from time import perf_counter
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

import fastdl
from fastdl._typing import Array
from fastdl.report.figures import PAPER, SERIES, Panel
from fastdl.report.losses import POWERS
from fastdl.report.page import Chapter
from fastdl.report.samples import heavy_tails, line_with_outlier

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WAYS = {"gd": "gradient descent", "momentum": "with momentum", "adam": "Adam", "lbfgs": "L-BFGS"}
#: On a dark ground that is the same in both schemes.
COLOURS = dict(zip(WAYS, ("#56b4e8", "#ff8b4b", "#3fcf9f", "#e79bc9")))
SLOPES, SHIFTS = (-0.6, 1.6), (-1.5, 6.5)
_RATES = {"gd": 0.05, "momentum": 0.02, "adam": 0.1}


def chapter() -> Chapter:
    """Paths over the landscape of losses, and a race."""
    page = Chapter(
        "training",
        "Training: search and descent",
        "Where no formula gives the best model, one goes downhill or tries at random, and a certificate still says how "
        "much could be left to gain.",
    )
    x, y = line_with_outlier()
    page.figure(
        [Panel(partial(_landscape, x=x, y=y, p=p), f"The loss |r|^{p:g} of all lines as shades; three paths lead from "
               "the upper left towards the best line, dots of random search crowd about it.", f"|r|^{p:g}", 370)
         for p in POWERS],
        "The loss of every line (dark: little), the paths of three optimizers, and in white the lines that "
        "`random_search` tried, round by round nearer to the ring, the best line. Under |r|^0.5 there are creases, "
        "and descent may stop early.",
    )  # fmt: skip
    rows, paths = race()
    page.section("A race on 20,000 rows")
    page.figure(
        [Panel(partial(_race, paths=paths), "Curves of the loss above the lower bound by epoch: L-BFGS and "
               "random search fall fastest, then gradient descent; momentum and Adam end higher.", wide=True)],
        "|r| on 20,000 rows of five columns: the best loss so far, above the lower bound. A step is an epoch, a round "
        "of random search, an evaluation of L-BFGS.",
    )  # fmt: skip
    X, t = heavy_tails(20_000, np.array([3.0, -2.0, 1.0, 0.5, 0.0]), 2, seed=0)
    page.code(search, X[:1500], t[:1500], compare=lambda fit: fit[2] if isinstance(fit, tuple) else fit.loss)
    page.table(
        ["loss", "method", "sum of the loss", "gap at most", "time (ms)"],
        rows,
        "The same rows; `fit_lp` has a method for each p, for p = 0.5 it exchanges vertices",
    )
    return page


def search(fastdl: ModuleType, X: Array, y: Array) -> Any:
    fit = fastdl.random_search(X, y, 1, candidates=512, refine=8)
    return fit


def _landscape(axes: Axes, x: Array, y: Array, p: float) -> None:
    """The loss of all lines as shades, with the paths of the optimizers."""
    X = x[:, None]
    w, b = (grid.ravel() for grid in np.meshgrid(np.linspace(*SLOPES, 161), np.linspace(*SHIFTS, 161)))
    losses = fastdl.lp_loss(X, y, w[:, None], b, p).reshape(161, 161)
    axes.imshow(np.log(losses), origin="lower", extent=(*SLOPES, *SHIFTS), aspect="auto", cmap="cividis", vmax=None,
                interpolation="bilinear", alpha=1)  # fmt: skip
    best = fastdl.random_search(X, y, p, candidates=300, refine=0, scale=4.0, seed=2)
    for width in (1.0, 0.4, 0.15):
        near = fastdl.random_search(X, y, p, candidates=80, refine=0, keep=80, scale=4 * width, center=best, seed=3)
        at = np.column_stack([near.history["top_w"][:, 0], near.history["top_b"]])
        at = at[(at[:, 0] > SLOPES[0]) & (at[:, 0] < SLOPES[1]) & (at[:, 1] > SHIFTS[0]) & (at[:, 1] < SHIFTS[1])]
        axes.plot(*at.T, ".", ms=2, color="#fffffe")
    for way in _RATES:
        path = fastdl.gradient_descent(
            X, y, p, optimizer=way, learning_rate=_RATES[way], epochs=150, start=([-0.3], 3.0)
        ).history
        axes.plot(path["w"][:, 0], path["b"], "-", color=COLOURS[way], lw=1.8, label=WAYS[way])
    found = fastdl.fit_lp(X, y, p)
    axes.plot(found.w, found.b, "o", ms=11, mfc="none", mec="#fffffe", mew=2)
    axes.set(xlabel="slope", ylabel="intercept", xlim=SLOPES, ylim=SHIFTS)
    axes.grid(False)


def race() -> tuple[list[list[Any]], dict[str, Array]]:
    """Rows of the table, and for p = 1 the losses of each method by step, above the best lower bound."""
    X, y = heavy_tails(20_000, np.array([3.0, -2.0, 1.0, 0.5, 0.0]), 2, seed=0)
    rows, paths = [], {}
    for p in POWERS:
        fits = {}
        for way, name in WAYS.items():
            fits[name] = timed(partial(fastdl.gradient_descent, X, y, p, optimizer=way, epochs=100))
        fits["random search"] = timed(partial(fastdl.random_search, X, y, p, candidates=1000, refine=12))
        fits["fit_lp"] = timed(partial(fastdl.fit_lp, X, y, p))
        for name, (fit, seconds) in fits.items():
            gap = float(f"{fit.certificate.gap:.1e}")
            rows.append([f"|r|^{p:g}", name, round(fit.loss, 3), gap, round(seconds * 1e3)])
        if p == 1:
            lower = max(fit.certificate.lower for fit, _ in fits.values())
            paths = {name: fit.history["loss"] / lower - 1 for name, (fit, _) in fits.items() if name != "fit_lp"}
    return rows, paths


def timed(run: Callable[[], Any]) -> tuple[Any, float]:
    """The result and its seconds."""
    start = perf_counter()
    return run(), perf_counter() - start


def _race(axes: Axes, paths: dict[str, Array]) -> None:
    for k, (name, above) in enumerate(paths.items()):
        best = np.maximum(np.minimum.accumulate(above), 1e-9)
        axes.semilogy(np.arange(len(best)), best, "o-" if "random" in name else "-", ms=4, color=SERIES[k], label=name)
    axes.set(xlabel="steps", ylabel="best loss / bound - 1", xlim=(0, 100))
    axes.set_yticks([1e-8, 1e-6, 1e-4, 1e-2, 1])
    axes.plot([], [], color=PAPER)
