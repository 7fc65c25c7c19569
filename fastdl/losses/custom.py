"""Custom losses: Python functions, compiled once and called in the loops of the built-in losses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastdl import _check
from fastdl._typing import Array, ArrayLike, FloatOrArray
from fastdl.losses._row_sums import RowSums, loss, loss_grad


@dataclass(frozen=True)
class CustomLoss:
    """A custom loss, made by `custom_loss`; it has methods like `lp_loss` and `lp_loss_grad`, and can be given as p."""

    function: Callable[[float], float]
    derivative: Callable[[float], float] | None = None
    _compiled: list[Any] = field(default_factory=list, repr=False, compare=False)

    # The interface of `as_loss`: only values and slopes of the function are known, so it may not be convex.
    power = 0.0
    is_custom = True
    is_convex = is_homogeneous = False

    @property
    def p(self) -> CustomLoss:
        """The loss itself: what `as_loss` was given."""
        return self

    @property
    def definition(self) -> Callable[[Array], tuple[Array, Array]]:
        """The function that the reference takes for p."""
        return self.terms

    def scale(self, by: float) -> float:
        """1, for by = 1: residuals cannot be scaled, as the loss of a scaled residual is not a multiple of the loss."""
        if by != 1:
            raise ValueError(f"a custom loss has no units to change, got {by}")
        return 1.0

    def loss(
        self,
        X: ArrayLike,
        y: ArrayLike,
        W: ArrayLike,
        b: ArrayLike = 0.0,
        *,
        out: Array | None = None,
        threads: int | None = 1,
        **rows: Any,
    ) -> FloatOrArray:
        """`lp_loss`, with all its keywords, for ``function(r)`` in place of ``|r|^p``."""
        return loss(RowSums(X, y, W, b, self, **rows), out, threads)

    def loss_grad(
        self,
        X: ArrayLike,
        y: ArrayLike,
        W: ArrayLike,
        b: ArrayLike = 0.0,
        *,
        out: Array | None = None,
        threads: int | None = 1,
        **rows: Any,
    ) -> tuple[Any, ...]:
        """`lp_loss_grad`, with its keywords except `curvature`, for ``function(r)`` in place of ``|r|^p``."""
        return loss_grad(RowSums(X, y, W, b, self, **rows), False, out, threads)

    @property
    def address(self) -> int:
        """The address of the compiled void (const double* r, ssize_t n, double* value, double* slope)."""
        return self._compile().address

    def terms(self, r: Array) -> tuple[Array, Array]:
        """The losses and their derivatives of residuals, as the compiled function gives them."""
        r = _check.contiguous(r, np.float64)
        value, slope = np.empty(r.shape), np.empty(r.shape)
        if r.size:
            r_at, value_at, slope_at = (a.ctypes.data_as(_double_pointer()) for a in (r, value, slope))
            self._compile().ctypes(r_at, r.size, value_at, slope_at)
        return value, slope

    def _compile(self) -> Any:
        if not self._compiled:
            from fastdl_ext.user_functions import compilation, losses

            try:
                self._compiled.append(losses.pointwise(self.function, self.derivative))
            except compilation.CannotCompile as error:
                raise _check.InputError(str(error)) from error.__cause__
        return self._compiled[0]

    def check(self, residuals: ArrayLike | None = None, *, rtol: float = 1e-4) -> float:
        """Compare the derivative with differences of the function.

        Parameters
        ----------
        residuals : array_like, optional
            The residuals to compare at; by default 200 values from -10 to 10, none of them 0.
        rtol : float
            The largest deviation allowed, relative to the largest slope.

        Returns
        -------
        float
            The largest deviation found.

        Raises
        ------
        InputError
            Where it is larger than `rtol`, naming the residual.
        """
        r = (
            np.linspace(-10, 10, 200)
            if residuals is None
            else _check.array("residuals", residuals, ndim=1).astype(float)
        )
        step = 1e-4 * np.maximum(1, np.abs(r))
        # Differences of fourth order: losses are steep in many places and have few kinks, where these would be worse.
        f = [self.terms(r + k * step)[0] for k in (-2, -1, 1, 2)]
        slope = (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * step)
        given = self.terms(r)[1]
        scale = np.abs(slope).max(initial=1e-300)
        off = np.abs(given - slope) / scale
        k = int(off.argmax())
        if not off[k] <= rtol:
            raise _check.InputError(
                f"derivative must be that of function: at r = {r[k]:g} it is {given[k]:g}, "
                f"differences give {slope[k]:g}"
            )
        return float(off[k])


def custom_loss(function: Callable[[float], float], derivative: Callable[[float], float] | None = None) -> CustomLoss:
    """Make a loss from a Python function, compiled to run in the loops of the built-in losses.

    Parameters
    ----------
    function : callable
        The loss of one residual, r = y - prediction: a function of a float that returns a float and that Numba can
        compile (arithmetic, `math`, NumPy's functions of numbers, if and for).
    derivative : callable, optional
        Its derivative by r. By default a central difference of the function, with about eight digits in any unit of r.

    Returns
    -------
    CustomLoss
        With ``loss(X, y, W, b, ...)``, ``loss_grad(X, y, W, b, ...)`` and ``check()``, which compares the derivative
        with differences of the function. It also stands for p in `LpLoss`.

    Raises
    ------
    InputTypeError
        For what is not callable.
    InputError
        At its first use, where Numba cannot compile it, saying what it could not.

    Notes
    -----
    Compiled at its first use, once per process, and kept on disk where NUMBA_CACHE_DIR or the user's cache
    folder can be written to.

    Examples
    --------
    >>> import fastdl
    >>> huber = fastdl.custom_loss(
    ...     lambda r: r * r / 2 if abs(r) < 1 else abs(r) - 0.5, lambda r: min(max(r, -1.0), 1.0)
    ... )
    >>> huber.loss_grad([[0.0], [1.0], [2.0]], [1.0, 2.0, 5.0], [1.0], 1.0)
    (1.5, array([-2.]), -1.0)
    """
    for name, given in (("function", function), ("derivative", derivative)):
        if not (callable(given) or (given is None and name == "derivative")):
            raise _check.InputTypeError(f"{name} must be a function of one residual, got {type(given).__name__}")
    return CustomLoss(function, derivative)


def _double_pointer() -> Any:
    import ctypes

    return ctypes.POINTER(ctypes.c_double)
