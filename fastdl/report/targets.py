"""Targets: numbers as classes, by four ways to cut them into bins, and what each loses; two labels as two numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

import fastdl
from fastdl.report.page import Chapter
from fastdl.report.samples import incomes
from fastdl.targets.bins import STRATEGIES, VALUES

COUNTS = (2, 4, 8, 16, 32, 64, 128, 256)


def chapter() -> Chapter:
    page = Chapter("Targets: what a model is asked to say")
    y = incomes()
    page.text(
        "A number can be learned as a class: `BinnedTarget` cuts the range into bins, a model names the bin, and "
        "`decode` gives back the mean of the training values in it. Where to cut is a choice. Below is one skewed "
        "target, incomes in thousands, in 12 bins by each strategy."
    )
    with page.figure(2, 2, size=(9, 5.2), caption="Blue: the target. Lines: the edges. Dots: what is decoded.") as axes:
        for ax, strategy in zip(np.ravel(axes), STRATEGIES):
            edges(ax, y, strategy)
    page.text(
        "Even bins spend most edges where there is nearly nobody. Quantiles put as many people in each bin, so that "
        "the classes are balanced, but the last one is wide. Mu-law is fine around 0 on both sides: half of its bins "
        "wait for negative incomes. k-means moves the edges until the squared error falls no further."
    )
    with page.figure(1, 2, size=(9, 3.4), caption="The error of decode(encode(y)), by the number of bins.") as axes:
        errors(axes, y)
    z = fastdl.StandardTarget().fit(y)
    page.text(
        f"Or leave it a number, but of a size that suits a model: `StandardTarget` takes off the mean, {z.mean_:.1f}, "
        f"and divides by the deviation, {z.scale_:.1f}; `decode` puts both back."
    )
    page.table(
        ["loss", "labels 0 and 1", "labels -1 and 1", "ratio", "2^p"],
        two_values(),
        caption="Yes and no as numbers: with predictions on the same scale as the labels, the loss of {-1, 1} is 2^p "
        "times that of {0, 1}. The best model is the same.",
    )
    return page


def edges(ax: Any, y: np.ndarray, strategy: str) -> None:
    target = fastdl.BinnedTarget(12, strategy).fit(y)
    top = 200
    ax.hist(y[y < top], bins=100, color="#56B4E9")
    height = ax.get_ylim()[1]
    ax.vlines(target.edges_, 0, height, color="#000000", lw=0.8)
    ax.plot(target.means_, np.full(target.bins_, -0.05 * height), "o", ms=4, color="#D55E00")
    shown = ((target.edges_ >= 0) & (target.edges_ <= top)).sum()
    ax.set(title=f"{strategy}: {shown} of 13 edges here", xlim=(0, top), ylim=(-0.1 * height, height), yticks=[])
    ax.grid(False)


def errors(axes: Any, y: np.ndarray) -> None:
    left, right = axes
    for strategy in STRATEGIES:
        targets = [fastdl.BinnedTarget(count, strategy).fit(y) for count in COUNTS]
        left.loglog(COUNTS, [rms(y, t.decode(t.encode(y))) for t in targets], "o-", ms=4, label=strategy)
    for value in VALUES:
        targets = [fastdl.BinnedTarget(count, "quantile").fit(y) for count in COUNTS]
        right.loglog(COUNTS, [rms(y, t.decode(t.encode(y), value)) for t in targets], "o-", ms=4, label=value)
    left.set(title="by strategy, decoded by the mean", xlabel="bins", ylabel="root mean square error")
    right.set(title="quantile bins, by what is decoded", xlabel="bins")
    for ax in axes:
        ax.set_xscale("log", base=2)
        ax.legend()


def rms(y: np.ndarray, back: np.ndarray) -> float:
    return float(np.sqrt(np.mean((y - back) ** 2)))


def two_values() -> list[list]:
    """Losses of one linear score against the same labels, in both codes."""
    rng = np.random.default_rng(0)
    score = rng.standard_normal((200, 1))
    labels = np.where(score[:, 0] + rng.standard_normal(200) > 0, "yes", "no")
    first = fastdl.BinaryTarget(values=(0, 1)).fit(labels).encode(labels)
    second = fastdl.BinaryTarget(values=(-1, 1)).fit(labels).encode(labels)
    rows = []
    for p in (0.5, 1.0, 2.0):
        a = fastdl.lp_loss(score, first, [0.3], 0.5, p)
        b = fastdl.lp_loss(score, second, [0.6], 0.0, p)
        rows.append([f"|r|^{p:g}", round(a, 3), round(b, 3), round(b / a, 6), round(2**p, 6)])
    return rows
