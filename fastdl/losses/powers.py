"""Losses as objects with one interface: the power |r|^p, or a custom loss."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from fastdl import _check
from fastdl._typing import Array, Loss
from fastdl.losses.custom import CustomLoss
from fastdl.reference import losses as reference


class PowerLoss:
    """``|r|^p`` of a residual r.

    Attributes
    ----------
    p : float
        The power, as `as_loss` was given it.
    power : float
        The power; 0 for a custom loss.
    address : int
        The address of a compiled function; 0 for a power, which the kernels compute themselves.
    definition : float
        The value that the reference takes for p.
    is_custom, is_convex, is_homogeneous : bool
        Whether it is a custom loss; whether it is known to be convex; whether the loss of c r is ``scale(c)`` times
        that of r, so that rows may be rescaled.
    """

    __slots__ = ("p",)

    address = 0
    is_custom = False
    is_homogeneous = True

    def __init__(self, p: float):
        self.p = p

    @property
    def power(self) -> float:
        """p."""
        return self.p

    @property
    def definition(self) -> float:
        """p."""
        return self.p

    @property
    def is_convex(self) -> bool:
        """Whether p is at least 1."""
        return self.p >= 1

    def scale(self, by: float) -> float:
        """The factor of the loss where residuals are multiplied by `by`; inf where it is beyond any float."""
        with np.errstate(over="ignore", under="ignore"):
            return float(np.float64(by) ** self.p)

    def terms(self, r: Array) -> tuple[Array, Array]:
        """The losses and their derivatives of residuals."""
        return reference.residual_terms(np.asarray(r, np.float64), self.p)


def as_loss(p: Loss | PowerLoss) -> PowerLoss | CustomLoss:
    """The loss object of a power above 0; a loss object is returned unchanged.

    Parameters
    ----------
    p : float, PowerLoss or CustomLoss

    Returns
    -------
    PowerLoss or CustomLoss
        With ``p, power, address, definition, is_custom, is_convex, is_homogeneous, scale(by), terms(r)``.

    Raises
    ------
    InputError
        For a power that is not above 0.
    InputTypeError
        For what is no number.

    Examples
    --------
    >>> from fastdl.losses import as_loss
    >>> loss = as_loss(2)
    >>> loss.is_convex, loss.scale(3.0), loss.terms([1.0, -2.0])
    (True, 9.0, (array([1., 4.]), array([ 2., -4.])))
    """
    if isinstance(p, (PowerLoss, CustomLoss)):
        return p
    if type(p) is float and 0 < p < np.inf:
        return _power_loss(p)
    return _power_loss(_check.number("p", p, 0, above=True))


@lru_cache(maxsize=64)
def _power_loss(p: float) -> PowerLoss:
    return PowerLoss(p)
