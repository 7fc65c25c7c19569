"""Training by trying: the ways of gradient descent and random search over the loss of all lines, and what is proven."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

import fastdl
from fastdl._typing import Array
from fastdl.linear.fit import fit_lp
from fastdl.report.losses import POWERS
from fastdl.report.page import Chapter
from fastdl.report.samples import line_with_outlier

WAYS = {"gd": "gradient descent", "momentum": "with momentum", "adam": "Adam", "lbfgs": "L-BFGS"}
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
SLOPES, SHIFTS = (-0.6, 1.6), (-1.5, 6.5)


def chapter() -> Chapter:
    page = Chapter("Training: search and descent")
    page.text(
        "Where no formula gives the best model, there are two ways to it. `gradient_descent` goes downhill. "
        "`random_search` tries models at random, then again about the best one, closer each time. Every fit carries a "
        "certificate: no model at all can have a loss below its lower bound."
    )
    x, y = line_with_outlier()
    caption = "The loss of every line (dark: little) and the ways of three optimizers to its least; dots are the lines "
    caption += (
        "random search tried, lighter from round to round. Under |r|^0.5 there are creases, and descent may stop."
    )
    with page.figure(1, 3, size=(10, 3.6), caption=caption) as axes:
        for ax, p in zip(axes, POWERS):
            landscape(ax, x, y, p)
    rows, paths = race_methods()
    with page.figure(
        1, 1, size=(8, 3.4), caption="|r| on 20,000 rows of 5 columns: the loss above the lower bound."
    ) as ax:
        race(ax, paths)
    page.table(
        ["p", "method", "loss", "gap at most", "ms"],
        rows,
        caption="The same rows; fit_lp has a method for each p, for p = 0.5 it exchanges vertices.",
    )
    return page


def landscape(ax: Any, x: Array, y: Array, p: float) -> None:
    """Where the losses are, and who goes where."""
    X = x[:, None]
    w, b = np.linspace(*SLOPES, 181), np.linspace(*SHIFTS, 181)
    losses = fastdl.lp_loss(X, y, np.repeat(w, 181)[:, None], np.tile(b, 181), p).reshape(181, 181).T
    ax.contourf(w, b, np.log(losses), 40, cmap="Greys_r")
    for width in (1.0, 0.4, 0.15):
        best = fastdl.random_search(X, y, p, candidates=300, refine=0, scale=4.0, seed=2)
        near = fastdl.random_search(X, y, p, candidates=80, refine=0, keep=80, scale=4 * width, center=best, seed=3)
        shade = 1 - 0.8 * width
        ax.plot(
            near.history["top_w"][:, 0], near.history["top_b"], ".", ms=2.5, color=(1, 0.9 * shade + 0.1, shade / 2)
        )
    for way, colour in zip(list(WAYS)[:3], COLOURS):
        rate = {"gd": 0.05, "momentum": 0.02, "adam": 0.1}[way]
        path = fastdl.gradient_descent(
            X, y, p, optimizer=way, learning_rate=rate, epochs=150, start=([-0.3], 3.0)
        ).history
        ax.plot(path["w"][:, 0], path["b"], "-", color=colour, lw=1.6, label=WAYS[way])
    best = fit_lp(X, y, p)
    ax.plot(best.w, best.b, "*", ms=13, color="#F0E442", mec="black", label="the best line")
    ax.set(title=f"|r|^{p:g}", xlabel="slope", ylabel="intercept", xlim=SLOPES, ylim=SHIFTS)
    ax.grid(False)
    if p == POWERS[0]:
        ax.legend(fontsize=7, loc="upper right")


def race_methods() -> tuple[Any, ...]:
    """Rows of the table, and for p = 1 the losses of each method by step, with the best lower bound."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((20_000, 5))
    y = X @ [3.0, -2.0, 1.0, 0.5, 0.0] + rng.standard_t(2, 20_000)
    rows, paths = [], {}
    for p in POWERS:
        fits = {}
        for way, name in WAYS.items():
            fits[name] = timed(fastdl.gradient_descent, X, y, p, optimizer=way, epochs=100)
        fits["random search"] = timed(fastdl.random_search, X, y, p, candidates=1000, refine=12)
        fits["fit_lp"] = timed(fit_lp, X, y, p)
        for name, (fit, seconds) in fits.items():
            rows.append([f"{p:g}", name, round(fit.loss, 3), float(f"{fit.certificate.gap:.1e}"), round(seconds * 1e3)])
        if p == 1:
            lower = max(fit.certificate.lower for fit, _ in fits.values())
            paths = {name: fit.history["loss"] / lower - 1 for name, (fit, _) in fits.items() if name != "fit_lp"}
    return rows, paths


def timed(function: Callable[..., Any], *arguments: Any, **keywords: Any) -> tuple[Any, float]:
    start = perf_counter()
    return function(*arguments, **keywords), perf_counter() - start


def race(ax: Any, paths: dict[str, Array]) -> None:
    for name, above in paths.items():
        steps = np.arange(len(above))
        ax.semilogy(
            steps,
            np.maximum(np.minimum.accumulate(above), 1e-9),
            label=name,
            marker="o" if "random" in name else "",
            ms=3,
        )
    ax.set(
        xlabel="epochs (rounds of random search, evaluations of L-BFGS)", ylabel="best loss / bound - 1", xlim=(0, 100)
    )
    ax.legend()
