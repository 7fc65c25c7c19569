"""Losses: what they make of a residual, and which line is best under each when one point is far off."""

from __future__ import annotations

from typing import Any

import numpy as np

import fastdl
from fastdl._typing import Array
from fastdl.report.page import Chapter
from fastdl.report.samples import line_with_outlier

POWERS = (0.5, 1.0, 2.0)


def chapter() -> Chapter:
    page = Chapter("Losses: residuals to a power")
    page.text(
        "A loss says how bad a residual r = y - prediction is; its gradient says how hard the residual pulls. Under "
        "|r|^2 the pull grows with the distance, under |r| it is the same for all, under |r|^0.5 the near points pull "
        "hardest: the smaller the power, the less a far point counts. `lp_loss_grad` gives loss and gradient for any "
        "power; a residual of 0 does not pull."
    )
    with page.figure(1, 2, caption="The losses of one residual, and their gradients.") as (left, right):
        panel(left, right)
    x, y = line_with_outlier()
    lines, losses, seconds = best_lines(x, y)
    with page.figure(
        1, 2, size=(9, 3.6), caption="The best line under each loss; one of the points is an outlier."
    ) as axes:
        fits(axes, x, y, lines, losses)
    page.table(
        ["loss", "slope", "intercept", "sum of the loss"],
        [[f"|r|^{p:g}", float(w), float(b), float(loss)] for p, (w, b, loss) in lines.items()],
        caption=f"The points lie about y = 0.8 x + 1 but for one. Each is the best of {losses[2.0].size:,} lines, "
        f"all scored in one call of lp_loss a power: {seconds * 1e3:.0f} ms for the three.",
    )
    return page


def panel(left: Any, right: Any) -> None:
    """Values and gradients, by the functions themselves: one row a residual, one call each."""
    r = np.linspace(-3, 3, 601)
    nothing = np.zeros((1, 1))
    for p in POWERS:
        pairs = [fastdl.lp_loss_grad(nothing, [v], [0.0], 0.0, p) for v in r]
        left.plot(r, [loss for loss, _, _ in pairs], label=f"|r|^{p:g}")
        slope = np.array([-by_b for _, _, by_b in pairs])
        right.plot(r, np.where(np.abs(r) < 1e-9, np.nan, slope), label=f"|r|^{p:g}")  # broken at 0, where it jumps
    left.set(title="loss", xlabel="residual r", ylim=(0, 5))
    right.set(title="gradient", xlabel="residual r", ylim=(-5, 5))
    left.legend()


def best_lines(x: Array, y: Array, steps: int = 241) -> tuple[Any, ...]:
    """For each power (slope, intercept, loss) of the best line of a grid, and the losses of the whole grid."""
    from time import perf_counter

    slopes, shifts = np.linspace(-0.5, 2, steps), np.linspace(-2, 5, steps)
    W, b = np.repeat(slopes, steps)[:, None], np.tile(shifts, steps)
    start = perf_counter()
    losses = {p: fastdl.lp_loss(x[:, None], y, W, b, p) for p in POWERS}
    seconds = perf_counter() - start
    lines = {p: (W[k := int(loss.argmin()), 0], b[k], loss[k]) for p, loss in losses.items()}
    return lines, {p: loss.reshape(steps, steps) for p, loss in losses.items()}, seconds


def fits(axes: Any, x: Array, y: Array, lines: dict[float, Any], losses: dict[float, Any]) -> None:
    left, right = axes
    left.plot(x, y, "ko", ms=4)
    for p, (w, b, _) in lines.items():
        left.plot(x, w * x + b, label=f"|r|^{p:g}: {w:.2f} x + {b:.2f}")
    left.set(title="points and lines", xlabel="x", ylabel="y")
    left.legend()
    # The valley under |r|^0.5 has a crease along every line through a point: many local minima.
    right.contourf(np.linspace(-0.5, 2, len(losses[0.5])), np.linspace(-2, 5, len(losses[0.5])), losses[0.5].T, 40)
    for (w, b, _), colour in zip(lines.values(), ("#0072B2", "#D55E00", "#009E73")):
        right.plot(w, b, "o", color=colour, mec="white")
    right.set(title="the loss |r|^0.5 of every line", xlabel="slope", ylabel="intercept")
