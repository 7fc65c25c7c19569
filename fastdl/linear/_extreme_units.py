"""Weights and targets of an extreme size, whose squares or powers would leave the range of float64.

They are divided by powers of two, which changes no digit, and the fit is given back in the units of the rows. A loss of
weights of 1e-200 and residuals of 1e170, squared, is 1e140, though the squares alone are beyond any float.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastdl import _check
from fastdl._typing import Array, ArrayLike
from fastdl.linear.result import Certificate, LpFit, round_down
from fastdl.losses.powers import as_loss

MOST = 600  # of the exponent of two of a power: with weights of 1e30, sums and roundings it remains within 1022
_SUBNORMAL = -1015  # exponent of targets that may be
_LOSSES = ("loss", "top_loss", "start_loss")  # of a history
_MODELS = ("w", "b", "top_w", "top_b")
_FACTOR_ERROR = 2.0**-51  # of a power of two that is no whole one


@dataclass(frozen=True)
class Units:
    """The exponents of the powers of two that weights and targets were divided by."""

    weights: int = 0
    targets: int = 0

    def __bool__(self) -> bool:
        return bool(self.weights or self.targets)

    def loss(self, value: Any, p: float) -> Any:
        """A loss that is linear in the weights and of power p in the targets, in the units of the rows as given."""
        return times_two_to(value, self.weights + p * self.targets)

    def target(self, value: Any) -> Any:
        """A target, or what is as one: weights of a model, its constant, a residual."""
        return times_two_to(value, self.targets)

    def certificate(self, known: Certificate, p: float) -> Certificate:
        """The bounds in the units of the rows; their gap stays, as they may be beyond the range of floats."""
        upper, lower = (float(self.loss(bound, p)) for bound in known[:2])
        lower *= 1 if float(p * self.targets).is_integer() else 1 - _FACTOR_ERROR
        return known._replace(upper=upper, lower=min(upper, round_down(lower)))

    def fit(self, fit: LpFit) -> LpFit:
        """A fit in the units of the rows."""
        if not self:
            return fit
        p, history = float(as_loss(fit.p).power), dict(fit.history)
        for name, values in history.items():
            if name in _LOSSES:
                history[name] = self.loss(values, p)
            elif name == "valid_loss":  # a mean
                history[name] = Units(targets=self.targets).loss(values, p)
            elif name in _MODELS:
                history[name] = self.target(values)
        return replace(
            fit, w=self.target(fit.w), b=float(self.target(fit.b)), loss=float(self.loss(fit.loss, p)),
            certificate=self.certificate(fit.certificate, p), history=history,
        )  # fmt: skip

    def settings(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """The settings of a fit for targets in its units: models to start with, and rows to stop by."""
        settings = dict(settings)
        if not self.targets:
            return settings
        for name in ("start", "center"):
            if (given := settings.get(name)) is not None:
                w, b = (given.w, given.b) if isinstance(given, LpFit) else given
                settings[name] = divided(np.asarray(w, float), self.targets), float(divided(b, self.targets))
        if isinstance(valid := settings.get("valid"), (tuple, list)) and len(valid) > 1:
            settings["valid"] = (valid[0], divided(np.asarray(valid[1], float), self.targets), *valid[2:])
        return settings


def times_two_to(value: Any, exponent: float) -> Any:
    """Value times 2^exponent, which alone may be beyond the range of floats; exact for whole exponents."""
    whole = int(np.floor(exponent))
    with np.errstate(over="ignore", under="ignore"):
        return np.ldexp(np.asarray(value, np.float64) * 2.0 ** (exponent - whole), whole)


def divided(values: Any, exponent: int) -> Any:
    """Values divided by a power of two."""
    return times_two_to(values, -exponent)


def divided_penalty(penalty: float, exponent: int) -> float:
    """A penalty for weights that were divided by a power of two: at most 1e300, at which models are 0 as well."""
    return min(float(divided(penalty, exponent)), 1e300)


def divide_weights(sample_weight: ArrayLike | None) -> tuple[ArrayLike | None, int]:
    """The weights divided by a power of two, and its exponent: 0 unless the weights are beyond 1e30 or below 1e-30."""
    if sample_weight is None:
        return sample_weight, 0
    weights = _check.array("sample_weight", sample_weight, ("f", "i", "u", "b"), 1).astype(np.float64)
    most = float(weights.max(initial=0))
    if not 0 < most < np.inf or 1e-30 < most < 1e30:
        return sample_weight, 0
    exponent = int(np.frexp(most)[1])
    return np.ldexp(weights, -exponent), exponent


def target_exponents(y: Any, many: Array | None, weights: ArrayLike | None, p: float) -> list[int]:
    """For each target by which power of two to divide it, so that p-th powers are floats: 0 where they are."""
    if many is not None:
        return [target_exponent(column, weights, p) for column in many.T]
    if y is None or hasattr(y, "dask") or isinstance(y, np.ma.MaskedArray):
        return [0]
    return [target_exponent(np.asarray(y), weights, p)]


def target_exponent(y: Array, weights: ArrayLike | None, p: float) -> int:
    """By which power of two to divide targets, so that p-th powers are floats; 0 where they are."""
    exponent = exponent_of(y, weights)
    return 0 if abs(p * exponent) <= MOST else exponent - int(np.copysign(MOST / p, exponent))


def exponent_of(y: Array, weights: ArrayLike | None) -> int:
    """The exponent of two of the largest target of a row of weight above 0.

    0 for what is no array of numbers, and for subnormal ones: that these have lost digits is said by an error.
    """
    if y.dtype.kind not in "fiub" or y.ndim != 1 or not len(y):
        return 0
    size = np.abs(y.astype(np.float64))
    used = np.isfinite(size)
    if weights is not None and np.shape(weights) == y.shape:
        used &= np.asarray(weights) > 0
    exponent = int(np.frexp(size.max(initial=0, where=used))[1])
    return exponent if exponent > _SUBNORMAL else 0
