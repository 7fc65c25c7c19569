"""The chapter on losses: their values and slopes, and the best line under each when there is an outlier."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

import fastdl
from fastdl._typing import Array
from fastdl.report.figures import INK, MUTED, PAPER, SERIES, Panel
from fastdl.report.page import Chapter
from fastdl.report.samples import line_with_outlier

if TYPE_CHECKING:
    from matplotlib.axes import Axes

POWERS = (0.5, 1.0, 2.0)
COLOURS = dict(zip(POWERS, (SERIES[2], SERIES[1], SERIES[0])))
SLOPES, SHIFTS = (-0.5, 2.0), (-2.0, 5.0)
_STEPS = 241


def chapter() -> Chapter:
    """Values and slopes of the losses, the best line of each, and the losses of all lines."""
    page = Chapter(
        "losses",
        "Losses: residuals to a power",
        "The smaller the power of the residual, the less a far point counts: one outlier turns the line of least "
        "squares, and leaves that of least absolute deviations alone.",
    )
    x, y = line_with_outlier()
    W, b = (grid.ravel() for grid in np.meshgrid(np.linspace(*SLOPES, _STEPS), np.linspace(*SHIFTS, _STEPS)))
    losses = {p: fastdl.lp_loss(x[:, None], y, W[:, None], b, p) for p in POWERS}
    lines = {p: (W[k := int(loss.argmin())], b[k], loss[k]) for p, loss in losses.items()}
    page.figure(
        [Panel(partial(_lines, x=x, y=y, lines=lines), "Twenty points rise along a line, one lies far below it. The "
               "line of |r|^2 is pulled towards it, those of |r| and |r|^0.5 are not.", wide=True, height=300)],
        "The best line under each loss, of the same 21 points.",
    )  # fmt: skip
    page.code(score_lines, x[:, None], y, W[:, None], b)
    page.table(
        ["loss", "slope", "intercept", "sum of the loss"],
        [[f"|r|^{p:g}", float(w), float(c), float(loss)] for p, (w, c, loss) in lines.items()],
        f"The points lie about y = 0.8 x + 1 but for one. Each is the best of {len(W):,} lines, all scored in one call "
        "of `lp_loss`.",
    )
    page.section("How hard a residual pulls")
    _pull(page)
    page.section("The loss of every line")
    page.figure(
        [Panel(partial(_landscape, losses=losses[p], best=lines[p]), _SEEN[p], f"|r|^{p:g}", 370) for p in POWERS],
        "Dark is little loss; the ring is the best line. Under |r|^0.5 there is a crease along every line through a "
        "point, and so many local minima.",
    )
    return page


_SEEN = {
    0.5: "A narrow valley with many straight creases.",
    1.0: "A narrow valley with flat sides, one minimum.",
    2.0: "A smooth round bowl, one minimum at a smaller slope.",
}


def score_lines(fastdl: ModuleType, X: Array, y: Array, W: Array, b: Array) -> Array:
    losses = fastdl.lp_loss(X, y, W, b, p=1)  # of all lines at once
    return losses


def _lines(axes: Axes, x: Array, y: Array, lines: dict[float, Any]) -> None:
    axes.plot(x, y, "o", color=INK, ms=4, label="points")
    for p, (w, b, _) in lines.items():
        axes.plot(x, w * x + b, "--" if p == 0.5 else "-", color=COLOURS[p], label=f"|r|^{p:g}: {w:.2f} x + {b:.2f}")
    axes.set(xlabel="x", ylabel="y")


def _pull(page: Chapter) -> None:
    r = np.linspace(-3, 3, 241)
    nothing = np.zeros((1, 1))
    pairs = {p: [fastdl.lp_loss_grad(nothing, [v], [0.0], 0.0, p) for v in r] for p in POWERS}

    def loss(axes: Axes) -> None:
        for p in POWERS:
            axes.plot(r, [value for value, _, _ in pairs[p]], color=COLOURS[p], label=f"|r|^{p:g}")
        axes.set(xlabel="residual r", ylabel="loss", ylim=(0, 5))

    def slope(axes: Axes) -> None:
        for p in POWERS:
            by_b = np.array([-g for _, _, g in pairs[p]])
            axes.plot(r, np.where(np.abs(r) < 1e-9, np.nan, by_b), color=COLOURS[p], label=f"|r|^{p:g}")
        axes.axhline(0, color=MUTED, lw=0.6)
        axes.set(xlabel="residual r", ylabel="slope of the loss", ylim=(-5, 5))

    page.figure(
        [
            Panel(loss, "|r|^2 is a parabola, |r| a corner, |r|^0.5 a cusp that flattens outwards.", "Loss"),
            Panel(slope, "The slope of |r|^2 grows with r, that of |r| is -1 or 1, that of |r|^0.5 is largest near 0.",
                  "Slope"),
        ],
        "Under |r|^2 the pull grows with the distance, under |r| it is the same for all, under |r|^0.5 the near points "
        "pull hardest. `lp_loss_grad` gives loss and slope for any power; a residual of 0 does not pull.",
    )  # fmt: skip


def _landscape(axes: Axes, losses: Array, best: Sequence[float]) -> None:
    z = np.log(losses.reshape(_STEPS, _STEPS))
    axes.imshow(z, origin="lower", extent=(*SLOPES, *SHIFTS), aspect="auto", cmap="magma", interpolation="bilinear")
    axes.plot(best[0], best[1], "o", ms=9, mfc="none", mec=PAPER, mew=2)
    axes.set(xlabel="slope", ylabel="intercept")
    axes.grid(False)
