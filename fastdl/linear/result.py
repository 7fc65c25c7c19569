"""The results of linear fits: the model, its loss, and a certificate of how far from the minimum that can be."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from fastdl import _check
from fastdl._typing import FloatOrArray, TableLike
from fastdl.errors import NotConverged

Array = np.ndarray


_SMALLEST = 5e-324  # the smallest positive float, a subnormal one
_COARSE = 1e-290  # below this, subnormal floats may have entered a bound, whose rounding is absolute, not relative


def round_down(lower: float) -> float:
    """A lower bound, made smaller by what rounding may have added where floats are subnormal."""
    return max(0.0, lower - 16 * _SMALLEST) if 0 < lower < _COARSE else lower


def times_power(value: Any, unit: float, p: float) -> Any:
    """Value times unit^p, which alone may be beyond the range of floats where weights are as large or as small."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        power = np.float64(unit) ** p
        if _COARSE < power < 1 / _COARSE:
            return value * power
        part = np.float64(unit) ** (p / 8)
        for _ in range(8):
            value = value * part
        return value


class Certificate(NamedTuple):
    """Bounds of the minimum of the loss, over all models of the kind, on the rows of the fit.

    The bounds are for models of all columns. Where columns depend on others up to rounding errors, the fit leaves them
    out, but the lower bound must allow for them: the gap is then what a model could gain by telling such columns apart
    by their last bits, with weights of about 1e15.

    Attributes
    ----------
    upper : float
        The loss of the fit.
    lower : float
        No model has a loss below this; -inf where nothing is known.
    gap : float
        (upper - lower) / upper, 0 where the two are equal: no model has a loss that is smaller by a larger share. It
        does not depend on the units of X and y.
    kind : str
        How the lower bound was proven: "closed form"; "vertex" (the model through some of the rows is optimal, by its
        dual solution); "dual" (a feasible dual solution); "bound" (another lower bound); "interpolation" (the loss is
        0); or "none".
    """

    upper: float
    lower: float
    gap: float
    kind: str

    @classmethod
    def of(cls, upper: float, lower: float, kind: str) -> Certificate:
        """The certificate of two bounds, with their gap; a lower bound above the upper by rounding is lowered to it."""
        lower = round_down(min(lower, upper))
        if upper == np.inf:  # beyond the range of floats, which the lower bound is not
            gap = 0.0 if lower == np.inf else 1.0
        else:
            gap = 0.0 if upper == lower else float("inf") if upper <= 0 else (upper - lower) / upper
        return cls(float(upper), float(lower), float(gap), kind)


def warn_of_gap(name: str, certificate: Certificate, tol: float, why: str = "", stacklevel: int = 3) -> None:
    """Warn that the fit of this name did not converge."""
    text = f"{name} stopped with a gap of {certificate.gap:.1e}, above tol = {tol:.1e}{why}"
    warnings.warn(text, NotConverged, stacklevel=stacklevel)


class LinearModel:
    """The base of the results of linear fits: a model f(x) = <w, x> + b, of one target or several."""

    w: Array
    b: FloatOrArray

    def predict(self, X: TableLike) -> Array:
        """The model's values, float64 (N,) or (N, M), for X (N, D); by NumPy's product, whose last bits vary by CPU."""
        x = _check.rows("X", X)
        if x.shape[1] != self.w.shape[-1]:
            raise _check.InputError(f"X must have {self.w.shape[-1]} columns, got shape {x.shape}")
        return np.asarray(x @ self.w.T + self.b)


@dataclass(frozen=True, eq=False)
class LpFit(LinearModel):
    """A linear model f(x) = <w, x> + b, its loss, and a certificate.

    Attributes
    ----------
    w : ndarray of float64, (D,), or (M, D) for M targets
        The weights.
    b : float, or ndarray (M,)
        The intercept, 0 where none was fitted.
    p : float or CustomLoss
        The loss that was fitted: ``|y - f(x)|^p``, or the user's own.
    loss : float, or ndarray (M,)
        Its sum over the rows; inf, or 0, where that is beyond the range of floats, and the certificate's gap is known.
    certificate : Certificate
        Bounds of the minimum of the loss; for several targets, of the sum of their losses.
    method : str
        The method that found it.
    history : mapping of str to ndarray
        Values recorded step by step, whose names depend on the method ("loss" wherever there are steps).
    rank : int or None
        The rank of X with its column of ones, where the method finds it.
    condition : float or None
        The condition number of X with its columns (and that of ones) scaled to unit length, where the method finds it.
    targets : tuple of LpFit
        The fit of each of several targets.
    tol : float
        The gap up to which the fit counts as converged.
    rows : ndarray of int or None
        For p < 1: the indices of the rows that the model goes through. The loss is that of (w, b) on the others,
        because the p-th power of a residual that is only rounding would not be small.
    converged : bool
        Whether the certificate's gap is at most `tol`; False where there is no bound, as for a custom loss.
    """

    w: Array
    b: FloatOrArray
    p: Any
    loss: FloatOrArray
    certificate: Certificate
    method: str
    history: Mapping[str, Array] = field(default_factory=dict)
    rank: int | None = None
    condition: float | None = None
    targets: tuple[LpFit, ...] = ()
    tol: float = 1e-8
    rows: Array | None = None

    @property
    def converged(self) -> bool:
        """Whether the fit is proven to be within a relative gap of `tol` of the minimum: ``certificate.gap <= tol``."""
        return bool(self.certificate.gap <= self.tol)
