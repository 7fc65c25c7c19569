"""Polynomials through one set of points: the bases, the fits, and what a basis does to the conditioning."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastdl import features
from fastdl.report.page import Chapter
from fastdl.report.samples import rising_curve

Array = np.ndarray


def chapter() -> Chapter:
    """The chapter of features."""
    page = Chapter("Features: polynomials and functions of columns")
    _bases(page)
    _fits(page)
    _conditioning(page)
    _functions(page)
    return page


def _bases(page: Chapter) -> None:
    page.text(
        "`vandermonde(x, degree, basis=...)` gives each number the values of polynomials of degree 0, 1, 2, ... A "
        "linear fit on these columns is a polynomial fit on x. All three bases span the same polynomials; they "
        "differ in how alike their columns are."
    )
    x = np.linspace(-1, 1, 400)
    with page.figure(1, 3, sharey=True, caption="The columns of degree 0 to 5 on [-1, 1].") as axes:
        for axis, basis in zip(axes, features.BASES):
            for k, column in enumerate(features.vandermonde(x, 5, basis=basis).T):
                axis.plot(x, column, label=str(k))
            axis.set(title=basis, xlabel="x")
        axes[-1].legend(title="degree", fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))


def _fits(page: Chapter) -> None:
    x, y = rising_curve()
    grid = np.linspace(0, 10, 400)
    rows: list[list[Any]] = []
    with page.figure(
        2, 3, size=(9, 5), sharex=True, sharey=True, caption="Least squares of degree 0 to 5 through the same points."
    ) as axes:
        for degree, axis in enumerate(axes.flat):
            columns = features.vandermonde(x, degree, basis="chebyshev", domain=(0, 10))
            coefficients = np.linalg.lstsq(columns, y, rcond=None)[0]
            residual = y - columns @ coefficients
            curve = features.vandermonde(grid, degree, basis="chebyshev", domain=(0, 10)) @ coefficients
            axis.plot(grid, curve, color="C1")
            axis.plot(x, y, "o", markersize=4, color="C0")
            axis.vlines(x, y, y - residual, color="C0", alpha=0.4, linewidth=1)
            axis.set(title=f"degree {degree}", ylim=(y.min() - 1, y.max() + 1))
            rows.append([degree, degree + 1, round(float(np.sqrt(np.mean(residual**2))), 4)])
    page.text(
        "Every degree contains the ones before it, so the error on the points can only fall: it says nothing about the "
        "best degree. Choosing one needs points that the fit has not seen."
    )
    page.table(["degree", "coefficients", "root mean square error on the points"], rows)


def _conditioning(page: Chapter) -> None:
    degrees = np.arange(1, 31)
    x = np.random.default_rng(0).uniform(0, 10, 2000)
    cases = [
        ("monomial", None, "powers of x in [0, 10]"),
        ("monomial", (0, 10), "powers, domain (0, 10)"),
        ("chebyshev", (0, 10), "Chebyshev, domain (0, 10)"),
        ("legendre", (0, 10), "Legendre, domain (0, 10)"),
    ]
    caption = (
        "The condition number of the columns for 2,000 points: how many times a relative error of the data can grow."
    )
    with page.figure(caption=caption) as axis:
        for (basis, domain, label), line in zip(cases, ("-", "-", "-", "--")):
            columns = features.vandermonde(x, int(degrees[-1]), basis=basis, domain=domain)
            axis.semilogy(degrees, [np.linalg.cond(columns[:, : d + 1]) for d in degrees], line, label=label)
        axis.axhline(1 / np.finfo(float).eps, color="0.5", linestyle=":")
        axis.text(degrees[-1], 1e16, "no digit left", ha="right", va="bottom", color="0.4", fontsize=8)
        axis.set(xlabel="degree", ylabel="condition", ylim=(1, 1e22))
        axis.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    page.text(
        "With powers of x as it comes, no digit of a float64 fit is left from about degree 13 on. Mapped to [-1, 1], "
        "powers lose a digit every three degrees; Chebyshev and Legendre columns stay nearly independent at any degree."
    )


def _functions(page: Chapter) -> None:
    def step(x: float) -> float:
        return x if x > 0 else 0.25 * x

    x = np.linspace(-2.0, 4.0, 601)
    names = ["square", "log", "sqrt", "sin", "tanh", step]
    columns, counts = features.feature_map(x, names, return_invalid=True)
    labels = [*names[:-1], "your own: x if x > 0 else x / 4"]
    caption = "Columns of one feature map; where a function is not defined, the column is NaN, and counted."
    with page.figure(caption=caption) as axis:
        for column, label in zip(columns.T, labels):
            axis.plot(x, column, label=label)
        axis.set(xlabel="x", ylim=(-2.5, 4.5))
        axis.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    page.table(["function", f"rows of {len(x)} where it is not defined"], [[n, int(c)] for n, c in zip(labels, counts)])
