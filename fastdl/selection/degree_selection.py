"""The result of a choice of degree: loss curves over the degrees, the models, and the chosen degrees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from fastdl import _check
from fastdl._typing import Array, ArrayLike
from fastdl.selection.polynomial import Polynomial, ProductPolynomial

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class DegreeSelection:
    """The result of `select_degree`.

    Attributes
    ----------
    degrees : ndarray of int, (M,)
        Ascending.
    train, valid : ndarray of float64, (M,)
        The mean loss |y - f(x)|^p of fits without one fold, averaged over the folds: on the rows of the fit, and on the
        rows of the fold.
    train_se, valid_se : ndarray of float64, (M,)
        Their standard errors: the standard deviation over folds, divided by the root of their number.
    test : ndarray of float64, (M,)
        The mean loss on the test part, of `models`; NaN where no rows were set aside.
    train_folds, valid_folds : ndarray of float64, (M, K)
        The losses fold by fold.
    best : int
        The degree of the smallest validation loss.
    one_se : int
        The lowest degree whose validation loss is within one standard error of the smallest.
    models : list of Polynomial, or of ProductPolynomial for several columns
        The fit of each degree to all rows outside the test part.
    model : Polynomial or ProductPolynomial
        The model of the chosen degree.
    determined : int
        The rows of every fit determine the coefficients of degrees below this.
    method : str
        "moments", "moments, two passes", "QR" or "fit_lp".
    passes : int
        The number of passes over the data.
    p : float
        The power.
    notes : list of str
        The texts of the warnings.

    Examples
    --------
    >>> import numpy as np, fastdl
    >>> x = np.linspace(-1, 1, 400)
    >>> choice = fastdl.select_degree(x, np.round(3 * x**2, 1), range(5))
    >>> choice.best, choice.valid[:3].round(3)
    (2, array([0.815, 0.824, 0.001]))
    """

    degrees: Array
    train: Array
    valid: Array
    test: Array
    train_se: Array
    valid_se: Array
    train_folds: Array
    valid_folds: Array
    best: int
    one_se: int
    models: Sequence[Polynomial | ProductPolynomial]
    model: Polynomial | ProductPolynomial
    determined: int
    method: str
    passes: int
    p: float = 2.0
    notes: list[str] = field(default_factory=list)

    def predict(self, x: ArrayLike, *, out: Array | None = None, threads: int | None = 1) -> Array:
        """The values of `model` at x."""
        if isinstance(self.model, ProductPolynomial):
            return self.model.predict(x, threads=threads)
        return self.model.predict(x, out=out, threads=threads)

    def plot(self, axes: Axes | None = None) -> Axes:
        """Draw the curves on matplotlib axes (new ones by default), with both degrees marked; returns the axes.

        The loss on the test part is shown for the chosen degree alone.
        """
        if axes is None:
            axes = _check.extra("matplotlib.pyplot", "report", "plot").subplots()[1]
        for name, mean, error in (("training", self.train, self.train_se), ("validation", self.valid, self.valid_se)):
            axes.errorbar(self.degrees, mean, error, marker="o", markersize=4, capsize=3, label=name)
        at = int(np.flatnonzero(self.degrees == self.model.degree)[0])
        if np.isfinite(self.test[at]):  # not for other degrees, lest somebody choose one by its test loss
            axes.plot(self.degrees[at], self.test[at], "s", markersize=6, label="test, of the chosen degree")
        for degree, line, label in (
            (self.best, "-", "least validation loss"),
            (self.one_se, ":", "one standard error"),
        ):
            axes.axvline(degree, color="0.5", linestyle=line, linewidth=1, label=f"{label}: {degree}")
        positive = np.concatenate([self.train, self.valid]) > 0
        axes.set(xlabel="degree", ylabel=f"mean of |residual|^{self.p:g}", yscale="log" if positive.all() else "linear")
        axes.legend(fontsize=8)
        return axes


def select(
    degrees: list[int],
    train: Array,
    valid: Array,
    test: Array,
    models: Sequence[Polynomial | ProductPolynomial],
    *,
    determined: int,
    method: str,
    passes: int,
    p: float,
    rule: str,
    against: Array | None = None,
) -> DegreeSelection:
    """The result: means and standard errors over folds, and the best and the one-standard-error degree.

    The best degree has the smallest validation loss; or, where `against` is known, the smallest mean difference between
    its folds' losses and those of the lowest degree.
    """
    root = np.sqrt(train.shape[1])
    mean, error = valid.mean(axis=1), valid.std(axis=1, ddof=1) / root
    notes = []
    usable = sum(d < determined for d in degrees) or len(degrees)
    if degrees[-1] >= determined:
        notes.append(
            f"x has too few distinct values, or too small a part of the domain, for degrees above {determined - 1}: "
            "their fits are those of the smallest norm, and none of them is chosen"
        )
    mean = np.where(np.isnan(mean), np.inf, mean)
    best = int(np.argmin((mean if against is None else against.mean(axis=1))[:usable]))
    least = int(np.argmax(mean[:usable] <= mean[best] + error[best]))
    picked = best if rule == "min" else least
    return DegreeSelection(
        degrees=np.array(degrees),
        train=train.mean(axis=1),
        valid=mean,
        test=test,
        train_se=train.std(axis=1, ddof=1) / root,
        valid_se=error,
        train_folds=train,
        valid_folds=valid,
        best=degrees[best],
        one_se=degrees[least],
        models=models,
        model=models[picked],
        determined=determined,
        method=method,
        passes=passes,
        p=p,
        notes=notes,
    )
