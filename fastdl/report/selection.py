"""The choice of a degree: what fits too little or too much look like, and the curves that tell them apart."""

from __future__ import annotations

import numpy as np

from fastdl._typing import Array
from fastdl.report.page import Chapter
from fastdl.report.samples import noisy_wave, wave
from fastdl.selection.degree_selection import DegreeSelection
from fastdl.selection.degrees import select_degree
from fastdl.selection.splits import split


def chapter() -> Chapter:
    """The chapter of selection."""
    page = Chapter("Selection: which degree?")
    x, y = noisy_wave()
    choice = select_degree(x, y, range(16), seed=SEED)
    _fits(page, x, y, choice)
    _curves(page, choice)
    _streams(page)
    return page


SEED = 2


def _fits(page: Chapter, x: Array, y: Array, choice: DegreeSelection) -> None:
    page.text(
        "A higher degree always comes nearer to the points it is fitted to. `split` sets a tenth of the points aside, "
        "which no fit sees; the rest are fitted by polynomials of degree 0 to 15. Too low a degree misses the wave, "
        "too high a one follows the noise."
    )
    grid = np.linspace(0, 8, 400)
    test = split(len(x), (0.9, 0.1), seed=SEED).test
    caption = "Fits of degree 1, of the chosen degree, and of 15. Dashed: the wave that the points were drawn from."
    with page.figure(1, 3, sharey=True, caption=caption) as axes:
        for degree, axis in zip((1, choice.model.degree, 15), axes):
            axis.plot(np.delete(x, test), np.delete(y, test), "o", markersize=3.5, color="C0", label="seen by the fit")
            axis.plot(x[test], y[test], "s", markersize=5, color="C2", label="set aside")
            axis.plot(grid, wave(grid), "--", color="0.5", linewidth=1)
            axis.plot(grid, choice.models[degree].predict(grid), color="C1")
            axis.set(title=f"degree {degree}", xlabel="x", ylim=(-2.2, 2.2))
        axes[0].legend(fontsize=8, loc="upper right")


def _curves(page: Chapter, choice: DegreeSelection) -> None:
    page.text(
        "`select_degree` also leaves each of five folds out in turn. The loss on the points of a fit falls with each "
        "degree; the loss on the fold left out falls, and then rises. Its minimum is the best guess; the lowest "
        "degree within one standard error of it is the simplest that is not clearly worse. The test points were looked "
        "at once, after the choice, and for the chosen degree alone."
    )
    caption = "Mean squared errors, with their standard errors over the folds; 0.16 is the variance of the noise."
    with page.figure(size=(9, 4), caption=caption) as axis:
        choice.plot(axis)
        axis.axhline(0.16, color="0.5", linewidth=1, linestyle="--")
        axis.set(ylim=(0.05, 1.5))
        axis.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    marks = {choice.best: "least validation loss", choice.one_se: "lowest within one standard error"}
    if choice.best == choice.one_se:
        marks[choice.best] = "both the least and the lowest"
    page.table(
        ["degree", "training", "validation", "standard error", "test", ""],
        [
            [
                int(d),
                *(round(float(v), 4) for v in values),
                round(float(test), 4) if d == choice.model.degree else "",
                marks.get(int(d), ""),
            ]
            for d, test, *values in zip(choice.degrees, choice.test, choice.train, choice.valid, choice.valid_se)
        ],
    )


def _streams(page: Chapter) -> None:
    page.text(
        "All degrees and all folds come from one pass over the data: the sums of a few Chebyshev polynomials per fold "
        "hold everything that least squares needs. So the same call works on chunks of a file larger than memory, and "
        "gives the same bits."
    )
