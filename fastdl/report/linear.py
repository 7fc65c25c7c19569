"""Fits: the same points under four powers, and how the proof of each closes in."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import numpy as np

import fastdl
from fastdl._typing import Array
from fastdl.report.page import Chapter
from fastdl.report.samples import heavy_tails, line_with_false_readings

COLOURS = {0.5: "#0072B2", 1.0: "#D55E00", 2.0: "#009E73", 4.0: "#CC79A7"}


def chapter() -> Chapter:
    page = Chapter("Fits: the least loss, and the proof of it")
    page.text(
        "`fit_lp` finds the line, or the linear model of many columns, whose sum of |y - f(x)|^p is least, and its "
        "`certificate` says how far from the least possible that sum can be at most: no model is below the lower "
        "bound. For p = 2 there is a closed form. For p = 1 the best model goes through as many points as it has "
        "coefficients, and a dual solution proves it. For other p above 1 every step brings a bound from slopes that "
        "balance; below 1 there are many local minima, and loss and bound may stay apart."
    )
    x, y = line_with_false_readings()
    fits = fit_powers(x[:, None], y)
    with page.figure(
        1,
        2,
        size=(9, 3.6),
        caption="A tenth of the points are off. The larger the power, the more the line minds them.",
    ) as axes:
        lines(axes, x, y, fits)
    page.text(
        "The same with many rows of ten columns. A step of Newton's method gives a loss and, from the same slopes, a "
        "lower bound; the two meet. For p = 1 few rows are solved by an interior point method and exchanged to a "
        "vertex; of many, those far from the model are held for linear, and the signs of their residuals checked."
    )
    X, t = heavy_tails(1_000_000, np.ones(10), 4, seed=9)
    large = fit_powers(X, t, (1.0, 1.5, 2.0, 4.0))
    with page.figure(1, 2, size=(9, 3.2), caption="Upper and lower bounds by step; how far apart they are.") as axes:
        closing(axes, X, t)
    page.table(
        ["loss", "points", "sum of the loss", "at most so much above the least", "proof", "time"],
        [row(p, len(y), *found) for p, found in fits.items()] + [row(p, len(t), *found) for p, found in large.items()],
        caption="The certificates, on one thread.",
    )
    return page


def fit_powers(X: Array, y: Array, powers: tuple[float, ...] = tuple(COLOURS)) -> dict[float, tuple[Any, float]]:
    """For each power (fit, seconds); without p < 1 where that method is not there."""
    found = {}
    for p in powers:
        start = perf_counter()
        found[p] = fastdl.fit_lp(X, y, p), perf_counter() - start
    return found


def row(p: float, n: int, fit: Any, seconds: float) -> list[Any]:
    kind, gap = fit.certificate.kind, fit.certificate.gap
    return [f"|r|^{p:g}", n, float(f"{fit.loss:.6g}"), f"{100 * gap:.2g} %", kind, f"{seconds * 1e3:.3g} ms"]


def lines(axes: Any, x: Array, y: Array, fits: dict[float, Any]) -> None:
    left, right = axes
    left.plot(x, y, "ko", ms=3)
    right.axhline(0, color="black", lw=0.8)
    for p, (fit, _) in fits.items():
        left.plot(x, fit.predict(x[:, None]), color=COLOURS[p], label=f"|r|^{p:g}: {fit.w[0]:.2f} x + {fit.b:.2f}")
        r = np.sort(np.abs(y - fit.predict(x[:, None])))
        right.plot(r, np.arange(1, len(r) + 1) / len(r), color=COLOURS[p], label=f"|r|^{p:g}")
    left.set(title="points and fits", xlabel="x", ylabel="y")
    left.legend(fontsize=8)
    right.set(
        title="part of the points that are so near", xlabel="|residual|", xscale="log", xlim=(1e-2, 20), ylim=(0, 1.02)
    )
    right.legend(fontsize=8)


def closing(axes: Any, X: Array, t: Array) -> None:
    """Loss and lower bound by step, on a part of the rows, so that all steps are taken on them."""
    left, right = axes
    fit = fastdl.fit_lp(X[:20_000], t[:20_000], 1)
    steps = np.arange(1, len(fit.history["loss"]) + 1)
    upper = fit.history["loss"] / fit.loss
    left.plot(steps, upper, "o-", ms=4, color="#0072B2", label="upper: the loss")
    left.plot(steps, upper * (1 - fit.history["gap"]), "s-", ms=4, color="#D55E00", label="lower: the dual bound")
    left.set(title="|r|, 20,000 rows", xlabel="step", ylabel="of the least loss")
    left.legend()
    for p, colour in ((1.0, "#D55E00"), (1.2, "#E69F00"), (1.5, "#0072B2"), (4.0, "#CC79A7")):
        gap = np.maximum(fastdl.fit_lp(X[:20_000], t[:20_000], p, tol=1e-12).history["gap"], 1e-16)
        right.semilogy(np.arange(1, len(gap) + 1), gap, "o-", ms=4, color=colour, label=f"|r|^{p:g}")
    right.set(title="relative gap", xlabel="step", ylim=(1e-17, 10))
    right.legend()
