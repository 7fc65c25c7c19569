"""The chapter on targets: numbers as classes, by four ways to cut them into bins; labels as numbers."""

from __future__ import annotations

from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

import fastdl
from fastdl import reference
from fastdl._typing import Array
from fastdl.report.figures import INK, SERIES, Panel
from fastdl.report.page import Chapter
from fastdl.report.samples import incomes
from fastdl.targets.bins import STRATEGIES, VALUES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COUNTS = (2, 4, 8, 16, 32, 64, 128, 256)
_TOP = 200  # thousands: the end of the axis in the pictures of the edges
_NAMES = {"uniform": "even width", "quantile": "quantiles", "kmeans": "k-means"}
_SEEN = {
    "uniform": "most edges stand where there is hardly anybody",
    "quantile": "edges crowd where most incomes are",
    "mu-law": "edges crowd at 0, half of them at negative incomes out of the picture",
    "kmeans": "edges are dense where incomes are and still reach the large ones",
}


def chapter() -> Chapter:
    """Bins, their errors, labels."""
    y = incomes()
    page = Chapter(
        "targets",
        "Targets: what a model is asked to say",
        "A number can be learned as a class, and where the range is cut decides what is lost: edges that follow the "
        "data lose least.",
    )
    page.figure(
        [Panel(partial(_edges, y=y, strategy=s), f"Edges by {s}: {_SEEN[s]}.",
               f"Cut by {_NAMES.get(s, s)}", 250) for s in STRATEGIES],
        "A skewed target, 100,000 incomes, in twelve bins by each strategy: lines are the edges, dots what `decode` "
        "gives back, the mean of each bin.",
    )  # fmt: skip
    page.code(cut_and_code, y, reference=_cut_by_numpy, other="NumPy reference")
    page.text(
        "Quantiles put as many people in each bin, so that classes are balanced, but the last one is wide. Mu-law is "
        "fine around 0 on both sides: half of its bins wait for negative incomes. K-means moves the edges until the "
        "squared error falls no further."
    )
    page.section("What is lost")
    _errors(page, y)
    page.section("Labels, and numbers of a suitable size")
    z = fastdl.StandardTarget().fit(y)
    page.text(
        f"Or leave it a number of a size that suits a model: `StandardTarget` takes off the mean, {z.mean_:.1f}, and "
        f"divides by the deviation, {z.scale_:.1f}; `decode` puts both back."
    )
    page.table(
        ["loss", "labels 0 and 1", "labels -1 and 1", "ratio", "2^p"],
        two_values(),
        "Yes and no as numbers: with predictions on the same scale as the labels, the loss of {-1, 1} is 2^p times "
        "that of {0, 1}. The best model is the same.",
    )
    return page


def cut_and_code(fastdl: ModuleType, y: Array) -> Array:
    target = fastdl.BinnedTarget(64, "quantile").fit(y)
    return target.encode(y)  # classes 0 to 63; target.decode(classes) gives means back


def _cut_by_numpy(y: Array) -> Array:
    return reference.targets.bin_encode(y, reference.targets.quantile(np.sort(y), 64))


def _edges(axes: Axes, y: Array, strategy: str) -> None:
    target = fastdl.BinnedTarget(12, strategy).fit(y)
    counts, at = np.histogram(y[y < _TOP], bins=80)
    axes.stairs(counts, at, fill=True, color=SERIES[5], alpha=0.7)
    height = counts.max()
    inside = (target.edges_ >= 0) & (target.edges_ <= _TOP)
    axes.vlines(target.edges_[inside], 0, height, color=INK, lw=0.9, label="edges")
    means = target.means_[(target.means_ >= 0) & (target.means_ <= _TOP)]
    axes.plot(means, np.full(len(means), -0.06 * height), "o", ms=4, color=SERIES[1], label="decoded")
    axes.set(xlim=(0, _TOP), ylim=(-0.12 * height, 1.04 * height), xlabel="income (thousands)", ylabel="people")


def _errors(page: Chapter, y: Array) -> None:
    by_strategy = {}
    for strategy in STRATEGIES:
        fitted = [fastdl.BinnedTarget(count, strategy).fit(y) for count in COUNTS]
        by_strategy[strategy] = [rms(y, t.decode(t.encode(y))) for t in fitted]
    fitted = [fastdl.BinnedTarget(count, "quantile").fit(y) for count in COUNTS]
    by_value = {value: [rms(y, t.decode(t.encode(y), value)) for t in fitted] for value in VALUES}
    every = np.array([*by_strategy.values(), *by_value.values()])
    limits = (every.min() / 1.3, every.max() * 1.3)

    def draw(axes: Axes, curves: dict[str, list[float]]) -> None:
        for name, values in curves.items():
            axes.loglog(COUNTS, values, "o-", ms=4, label=name)
        axes.set_xscale("log", base=2)
        axes.set_xticks(COUNTS)
        axes.set(xlabel="bins", ylabel="error (thousands)", ylim=limits)

    page.figure(
        [
            Panel(partial(draw, curves=by_strategy), "All errors fall with the number of bins; k-means is lowest "
                  "throughout.", "By strategy, decoded by the mean"),
            Panel(partial(draw, curves=by_value), "Of quantile bins the mean loses least; the middle of a bin "
                  "loses most.", "Quantile bins, by what is decoded"),
        ],
        "Root mean square of decode(encode(y)) - y, on the same scales.",
    )  # fmt: skip


def rms(y: Array, back: Array) -> float:
    """Root mean square of the difference."""
    return float(np.sqrt(np.mean((y - back) ** 2)))


def two_values() -> list[list]:
    """Losses of one linear score for the same labels, encoded as {0, 1} and as {-1, 1}."""
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
