"""The chapter on fits: the same points under four powers, and how loss and lower bound converge."""

from __future__ import annotations

from functools import partial
from time import perf_counter
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

import fastdl
from fastdl._typing import Array
from fastdl.report.figures import INK, SERIES, Panel
from fastdl.report.listings import duration
from fastdl.report.page import Chapter
from fastdl.report.samples import heavy_tails, line_with_false_readings

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from fastdl.linear.result import LpFit

COLOURS = {0.5: SERIES[2], 1.0: SERIES[1], 2.0: SERIES[0], 4.0: SERIES[3]}


def chapter() -> Chapter:
    """Lines and residuals, bounds by step, certificates."""
    page = Chapter(
        "linear",
        "Fits: the least loss, and the proof of it",
        "Every fit says how far from the best model it can be at most: a lower bound of the loss, judged on the rows "
        "as they are.",
    )
    x, y = line_with_false_readings()
    fits = fit_all(x[:, None], y, tuple(COLOURS))
    page.figure(
        [
            Panel(partial(_lines, x=x, y=y, fits=fits), "Sixty points about a line, six far below it. The larger the "
                  "power, the more the line leans towards the six.", "Points and fits"),
            Panel(partial(_residuals, x=x, y=y, fits=fits), "Under small powers most points lie within 0.4 of the "
                  "line, under large powers few do.", "Points within a distance of the line"),
        ],
        "A tenth of the points are false readings. `fit_lp` finds the line whose sum of |y - f(x)|^p is least.",
    )  # fmt: skip
    page.code(fit_with_proof, x[:, None], y, compare=lambda fit: fit[2] if isinstance(fit, tuple) else fit.loss)
    page.section("How the proof closes in")
    page.text(
        "Each step gives a loss, and from the same slopes a lower bound; the two meet. For p = 2 there is a closed "
        "form; for p = 1 the best model goes through as many points as it has coefficients, and a dual solution "
        "proves it; below 1 there are many local minima, and loss and bound may stay apart."
    )
    X, t = heavy_tails(1_000_000, np.ones(10), 4, seed=9)
    _closing(page, X[:20_000], t[:20_000])
    large = fit_all(X, t, (1.0, 1.5, 2.0, 4.0))
    page.table(
        ["loss", "rows", "sum of the loss", "above the least by at most", "proof", "time"],
        [_row(p, len(y), *found) for p, found in fits.items()]
        + [_row(p, len(t), *found) for p, found in large.items()],
        "The certificates, of the sixty points and of a million rows of ten columns, on one thread",
    )
    return page


def fit_with_proof(fastdl: ModuleType, X: Array, y: Array) -> Any:
    fit = fastdl.fit_lp(X, y, p=1)  # fit.w, fit.b, fit.loss; no model is below fit.certificate.lower
    return fit


def fit_all(X: Array, y: Array, powers: tuple[float, ...]) -> dict[float, tuple[LpFit, float]]:
    """For each power (fit, seconds)."""
    found = {}
    for p in powers:
        start = perf_counter()
        found[p] = fastdl.fit_lp(X, y, p), perf_counter() - start
    return found


def _row(p: float, rows: int, fit: LpFit, seconds: float) -> list[Any]:
    kind, gap = fit.certificate.kind, fit.certificate.gap
    return [f"|r|^{p:g}", rows, float(f"{fit.loss:.6g}"), f"{100 * gap:.2g} %", kind, duration(seconds)]


def _lines(axes: Axes, x: Array, y: Array, fits: dict[float, tuple[LpFit, float]]) -> None:
    axes.plot(x, y, "o", color=INK, ms=3, label="points")
    for p, (fit, _) in fits.items():
        line = fit.predict(x[:, None])
        axes.plot(x, line, color=COLOURS[p], label=f"|r|^{p:g}: {fit.w[0]:.2f} x + {fit.b:.2f}")
    axes.set(xlabel="x", ylabel="y")


def _residuals(axes: Axes, x: Array, y: Array, fits: dict[float, tuple[LpFit, float]]) -> None:
    for p, (fit, _) in fits.items():
        r = np.sort(np.abs(y - fit.predict(x[:, None])))
        axes.plot(np.maximum(r, 1e-2), 100 * np.arange(1, len(r) + 1) / len(r), color=COLOURS[p], label=f"|r|^{p:g}")
    axes.set(xlabel="distance from the line", ylabel="points (%)", xscale="log", xlim=(1e-2, 20), ylim=(0, 102))


def _closing(page: Chapter, X: Array, t: Array) -> None:
    """Loss and lower bound by step, on few enough rows that no step uses a sample only."""
    powers = (1.2, 1.5, 3.0, 4.0)
    fits = {p: fastdl.fit_lp(X, t, p, tol=1e-12) for p in powers}
    slowest = fits[powers[0]]
    steps = np.arange(1, len(slowest.history["loss"]) + 1)
    upper = slowest.history["loss"] / slowest.loss
    lower = upper * (1 - slowest.history["gap"])

    def bounds(axes: Axes) -> None:
        axes.plot(steps, 100 * (upper - 1), "o-", ms=4, color=SERIES[0], label="upper: the loss")
        axes.plot(steps, 100 * (lower - 1), "s-", ms=4, color=SERIES[1], label="lower: the dual bound")
        axes.set(xlabel="step", ylabel="above the least loss (%)")

    def gap(axes: Axes) -> None:
        for (p, fit), colour in zip(fits.items(), (SERIES[1], SERIES[4], SERIES[0], SERIES[3])):
            values = np.maximum(fit.history["gap"], 1e-16)
            axes.semilogy(np.arange(1, len(values) + 1), values, "o-", ms=4, color=colour, label=f"|r|^{p:g}")
        axes.set(xlabel="step", ylabel="gap (of the loss)", ylim=(1e-17, 10))
        axes.set_yticks([1e-16, 1e-12, 1e-8, 1e-4, 1])

    page.figure(
        [
            Panel(bounds, "The loss falls to the least and the bound rises to it; both meet "
                  "within a few steps.", "Bounds of |r|^1.2"),
            Panel(gap, "The gaps of four powers fall below 1e-8 within some ten steps.", "The gap, step by step"),
        ],
        "20,000 rows of ten columns with heavy tails.",
    )  # fmt: skip
