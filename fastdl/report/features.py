"""The chapter on features: polynomial bases and their condition numbers, curve fits, functions of columns."""

from __future__ import annotations

from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

import fastdl
from fastdl import features
from fastdl._typing import Array
from fastdl.report.figures import INK, MUTED, SERIES, Panel
from fastdl.report.page import Chapter
from fastdl.report.samples import rising_curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def chapter() -> Chapter:
    """Bases, conditioning, fits, functions."""
    page = Chapter(
        "features",
        "Features: polynomials and functions of columns",
        "A linear fit bends as soon as its columns do; which columns span the same curves decides how many digits "
        "survive.",
    )
    _bases(page)
    x = np.random.default_rng(0).uniform(0, 10, 2000)
    page.code(make_columns, np.tile(x, 100))
    _conditioning(page, x)
    _fits(page)
    _functions(page)
    return page


def make_columns(fastdl: ModuleType, x: Array) -> Array:
    columns = fastdl.vandermonde(x, 12, basis="chebyshev", domain=(0, 10))
    return columns  # (len(x), 13): degree 0 to 12


def _bases(page: Chapter) -> None:
    x = np.linspace(-1, 1, 161)

    def draw(axes: Axes, basis: str) -> None:
        for k, column in enumerate(features.vandermonde(x, 5, basis=basis).T):
            axes.plot(x, column, label=f"degree {k}")
        axes.set(xlabel="x", ylabel="value of the column", ylim=(-1.1, 1.1))

    seen = {
        "monomial": "Powers of x: the even ones look alike, and so do the odd ones.",
        "chebyshev": "Chebyshev polynomials swing between -1 and 1, each with one more turn.",
        "legendre": "Legendre polynomials, each with one more turn, smaller in the middle.",
    }
    page.figure(
        [Panel(partial(draw, basis=basis), seen[basis], basis.capitalize(), 370) for basis in features.BASES],
        "`vandermonde(x, degree, basis=...)`: the columns of degree 0 to 5 on [-1, 1]. All three span the same "
        "polynomials; they differ in how alike their columns are.",
    )


def _conditioning(page: Chapter, x: Array) -> None:
    page.section("How many digits survive")
    degrees = np.arange(1, 31)
    cases = [
        ("monomial", None, "powers of x in [0, 10]"),
        ("monomial", (0, 10), "powers, domain (0, 10)"),
        ("chebyshev", (0, 10), "Chebyshev, domain (0, 10)"),
        ("legendre", (0, 10), "Legendre, domain (0, 10)"),
    ]

    curves = []
    for basis, domain, _ in cases:  # the triangular factor of the columns has their condition
        triangle = np.asarray(np.linalg.qr(features.vandermonde(x, 30, basis=basis, domain=domain), mode="r"))
        curves.append([np.linalg.cond(triangle[: d + 1, : d + 1]) for d in degrees])

    def draw(axes: Axes) -> None:
        for (_, _, label), curve, line in zip(cases, curves, ("-", "-", "-", "--")):
            axes.semilogy(degrees, curve, line, label=label)
        axes.axhline(1 / np.finfo(float).eps, color=MUTED, linestyle=":")
        axes.annotate("no digit left above", (30, 1e16), ha="right", va="bottom", color=MUTED)
        axes.set(xlabel="degree", ylabel="condition", ylim=(1, 1e22))
        axes.set_yticks([1, 1e4, 1e8, 1e12, 1e16, 1e20])

    page.figure(
        [Panel(draw, "The condition of powers of x crosses the limit of float64 near degree 13; on a domain mapped to "
               "[-1, 1] it grows more slowly; Chebyshev and Legendre stay below 100.", wide=True)],
        "The condition number of the columns for 2,000 points: how many times a relative error of the data can grow. "
        "Mapped to [-1, 1], powers lose a digit every three degrees; Chebyshev and Legendre columns stay nearly "
        "independent at any degree.",
    )  # fmt: skip


def _fits(page: Chapter) -> None:
    page.section("Degree 0 to 5 through the same points")
    x, y = rising_curve()
    grid = np.linspace(0, 10, 200)
    errors = []

    def draw(axes: Axes, degree: int) -> None:
        columns = features.vandermonde(x, degree, basis="chebyshev", domain=(0, 10))
        coefficients = np.linalg.lstsq(columns, y, rcond=None)[0]
        curve = features.vandermonde(grid, degree, basis="chebyshev", domain=(0, 10)) @ coefficients
        residual = y - columns @ coefficients
        axes.plot(grid, curve, color=SERIES[1], label="fit")
        axes.vlines(x, y, y - residual, color=SERIES[0], alpha=0.5, lw=1)
        axes.plot(x, y, "o", ms=4, color=SERIES[0], label="points")
        axes.set(xlabel="x", ylabel="y", ylim=(y.min() - 1, y.max() + 1))
        errors.append([degree, degree + 1, round(float(np.sqrt(np.mean(residual**2))), 4)])

    page.figure(
        [Panel(partial(draw, degree=d), f"A polynomial of degree {d} through twelve points.", f"Degree {d}", 330)
         for d in range(6)],
        "Least squares. Every degree contains the ones before it, so the error on the points can only fall: it says "
        "nothing about the best degree. Choosing one needs points that the fit has not seen.",
    )  # fmt: skip
    page.table(["degree", "coefficients", "error"], errors, "Root mean square error on the points")


def _functions(page: Chapter) -> None:
    page.section("Functions of a column, yours too")

    def step(x: float) -> float:
        return x if x > 0 else 0.25 * x

    x = np.linspace(-2.0, 4.0, 241)
    names: list[Any] = ["square", "log", "sqrt", "sin", "tanh", step]
    columns, counts = fastdl.feature_map(x, names, return_invalid=True)
    labels = [*names[:-1], "your own: x if x > 0 else x / 4"]

    def draw(axes: Axes) -> None:
        for column, label, colour in zip(columns.T, labels, SERIES):
            axes.plot(x, column, label=label, color=colour)
        axes.axhline(0, color=INK, lw=0.6)
        axes.set(xlabel="x", ylabel="value of the column", ylim=(-2.5, 4.5))

    page.figure(
        [Panel(draw, "Six curves over x from -2 to 4; those of log and sqrt begin at 0.", wide=True)],
        "Columns of one `feature_map`; where a function is not defined, the column is NaN, and counted.",
    )
    page.table(
        ["function", f"rows of {len(x)} where it is not defined"],
        [[label, int(count)] for label, count in zip(labels, counts)],
        "Nothing is dropped without a word",
    )
