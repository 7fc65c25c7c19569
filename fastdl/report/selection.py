"""The chapter on selection: underfitting and overfitting, and the loss curves that tell them apart."""

from __future__ import annotations

from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

import fastdl
from fastdl import reference
from fastdl._typing import Array
from fastdl.report.figures import MUTED, SERIES, Panel
from fastdl.report.page import Chapter
from fastdl.report.samples import noisy_wave, wave

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from fastdl.selection.degree_selection import DegreeSelection

SEED = 2
NOISE = 0.4**2  # the variance of the errors of noisy_wave


def chapter() -> Chapter:
    """Three fits, the curves of all degrees, the choice."""
    page = Chapter(
        "selection",
        "Selection: which degree?",
        "A higher degree always comes nearer to the points it is fitted to; only points that no fit has seen tell "
        "which one to take.",
    )
    x, y = noisy_wave()
    choice = fastdl.select_degree(x, y, range(16), seed=SEED)
    _fits(page, x, y, choice)
    page.section("The curves that decide")
    page.text(
        "`select_degree` leaves each of five folds out in turn. The loss on the points of a fit falls with each "
        "degree; the loss on the fold left out falls, and then rises. Its minimum is the best guess; the lowest degree "
        "within one standard error of it is the simplest that is not clearly worse."
    )
    page.figure(
        [Panel(partial(_curves, choice=choice), "The training loss falls throughout. The validation loss falls until "
               "about degree 7 and rises behind it. One mark, the test loss, at the chosen degree.", wide=True,
               height=310)],
        "Mean squared errors; bars are standard errors over the folds, the dashed line is the variance of the noise. "
        "The points set aside were looked at once, after the choice, and for the chosen degree alone.",
    )  # fmt: skip
    _table(page, choice)
    page.section("One pass for all degrees and folds")
    page.text(
        "The sums of a few Chebyshev polynomials for each fold hold everything that least squares needs. So the same "
        "call works on chunks of a file larger than memory, and gives the same bits."
    )
    rng = np.random.default_rng(0)
    many = np.sort(rng.uniform(0, 8, 6_000))
    folds = fastdl.k_fold(len(many), 5, seed=0).folds(0, len(many))
    page.code(
        choose, many, wave(many) + rng.normal(0, 0.4, len(many)), folds, reference=_refit_all, other="a refit for each",
        compare=lambda found: np.asarray(getattr(found, "valid", found)),
    )  # fmt: skip
    return page


def choose(fastdl: ModuleType, x: Array, y: Array, folds: Array) -> Any:
    choice = fastdl.select_degree(x, y, range(12), folds=folds, test=0)
    return choice  # choice.best, choice.one_se, choice.model.predict(x)


def _refit_all(x: Array, y: Array, folds: Array) -> Array:
    """The validation loss of each degree, of a refit for every degree and fold."""
    domain = (x.min(), x.max())
    valid = reference.selection.curves(x, y, np.ones(len(x)), range(12), folds, 5, domain=domain)[1]
    return np.average(valid, axis=1, weights=np.bincount(folds))


def _fits(page: Chapter, x: Array, y: Array, choice: DegreeSelection) -> None:
    grid = np.linspace(0, 8, 300)
    test = fastdl.split(len(x), (0.9, 0.1), seed=SEED).test

    def draw(axes: Axes, degree: int) -> None:
        axes.plot(grid, wave(grid), "--", color=MUTED, lw=1.2, label="the wave")
        axes.plot(grid, choice.models[degree].predict(grid), color=SERIES[1], label="fit")
        axes.plot(np.delete(x, test), np.delete(y, test), "o", ms=3.5, color=SERIES[0], label="seen by the fit")
        axes.plot(x[test], y[test], "s", ms=5, color=SERIES[2], label="set aside")
        axes.set(xlabel="x", ylabel="y", ylim=(-2.2, 2.2))

    seen = ("A line misses the wave.", "The curve follows the wave.", "The curve runs after single points.")
    page.figure(
        [Panel(partial(draw, degree=d), alt, f"Degree {d}{note}", 370)
         for d, alt, note in zip((1, choice.model.degree, 15), seen, ("", ", chosen", ""))],
        "`split` sets a tenth of 45 noisy points aside, which no fit sees.",
    )  # fmt: skip


def _curves(axes: Axes, choice: DegreeSelection) -> None:
    degrees = choice.degrees
    for name, mean, error, colour in (
        ("training", choice.train, choice.train_se, SERIES[0]),
        ("validation", choice.valid, choice.valid_se, SERIES[1]),
    ):
        axes.vlines(degrees, mean - error, mean + error, color=colour, lw=1.2)
        axes.plot(degrees, mean, "o-", ms=4, color=colour, label=name)
    at = int(np.flatnonzero(degrees == choice.model.degree)[0])
    axes.plot(
        degrees[at : at + 1], choice.test[at : at + 1], "s", ms=8, color=SERIES[2], label="test, of the chosen degree"
    )
    axes.axhline(NOISE, color=MUTED, lw=1, ls="--", label="noise")
    axes.set(xlabel="degree", ylabel="mean of |residual|²", yscale="log", ylim=(0.05, 1.5))
    axes.set_yticks([0.1, 0.2, 0.5, 1])


def _table(page: Chapter, choice: DegreeSelection) -> None:
    marks = {choice.best: "least validation loss", choice.one_se: "lowest within one standard error"}
    if choice.best == choice.one_se:
        marks[choice.best] = "both the least and the lowest"
    rows = []
    for k, degree in enumerate(choice.degrees.tolist()):
        values = [round(float(v[k]), 4) for v in (choice.train, choice.valid, choice.valid_se)]
        test = round(float(choice.test[k]), 4) if degree == choice.model.degree else ""
        rows.append([degree, *values, test, marks.get(degree, "")])
    page.table(
        ["degree", "training", "validation", "standard error", "test", "note"],
        rows,
        "The curves in numbers; of the points set aside, for the chosen degree alone",
    )
