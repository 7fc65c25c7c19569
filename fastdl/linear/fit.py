"""`fit_lp`: linear models that minimize an Lp loss, each with a certificate of how far from the minimum it can be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from inspect import signature
from typing import Any, Unpack

import numpy as np

from fastdl import _check, _threads
from fastdl._rows import Rows
from fastdl._typing import ArrayLike, Loss, Progress, RowsLike
from fastdl.linear._coordinates import Coordinates
from fastdl.linear._dependent_columns import bound_all_columns
from fastdl.linear._extreme_units import Units, divide_weights, divided, target_exponents
from fastdl.linear._many_targets import fit_targets, join_fits, target_columns
from fastdl.linear.result import Certificate, LpFit, warn_of_gap
from fastdl.linear.training_options import RunKeywords, StepKeywords, TrainingKeywords
from fastdl.losses.custom import CustomLoss
from fastdl.losses.powers import PowerLoss, as_loss

__all__ = ["Certificate", "LpFit", "fit_lp"]


class MethodOptions(StepKeywords, total=False):
    """The options of `fit_lp` that belong to single methods."""

    progress: Progress | None
    # exchange
    starts: int | None
    start: LpFit | tuple[ArrayLike, float] | None
    boxes: int | None
    # gradient
    valid: Sequence[ArrayLike] | None
    # random
    candidates: int
    refine: int
    keep: int
    scale: float
    shrink: float
    center: LpFit | tuple[ArrayLike, float] | None
    prune: bool | None


def fit_lp(
    X: RowsLike,
    y: ArrayLike | None = None,
    p: Loss = 2.0,
    *,
    method: str = "auto",
    intercept: bool = True,
    sample_weight: ArrayLike | None = None,
    tol: float = 1e-8,
    seed: int = 0,
    threads: int | None = 1,
    **options: Unpack[MethodOptions],
) -> LpFit:
    """Fit f(x) = <w, x> + b by minimizing the sum of ``s |y - f(x)|^p``, and prove how near to the minimum it is.

    Parameters
    ----------
    X : array_like, (N, D), or chunks
        The rows; or, with y = None, chunks (X, y) or (X, y, sample_weight): a list, another iterable that can be gone
        through again, or a function that returns an iterator. Everything is computed in float64.
    y : array_like, (N,) or (N, M), optional
        The targets; M columns of them give w (M, D) and b (M,), with the same bits as M separate fits; for p = 2 from
        one pass over X and one factorisation.
    p : float or CustomLoss
        The power, above 0 and at most 1000; or the loss of `custom_loss`, which is fitted by method "gradient".
    method : str
        "closed form" (p = 2), "vertex" (p = 1), "newton" (p > 1), "exchange" (p < 1), or, for any p, "random" and
        "gradient". "auto" takes the first that fits p.
    intercept : bool
        Whether to fit b; otherwise it is 0.
    sample_weight : array_like, (N,), optional
        s: finite, not negative; a row of weight 0 counts as dropped (whatever it holds), one of weight 2 as repeated.
    tol : float
        The relative gap of the certificate at which "newton" stops, and up to which a fit is called `converged`.
    seed : int
        Seed of the random choice of rows that a method begins with or tries. The exact methods end with the same fit
        for any seed where the minimum is unique.
    threads : int or None
        Threads to use; None means all this process may.
    **options
        Options of the method: "random" and "gradient" take those of `random_search` and `gradient_descent`; "exchange"
        takes ``starts``, the number of models it begins with, ``start``, a further one as (w, b) or an LpFit, and
        ``boxes``, how many boxes branch and bound may divide the space of up to three coefficients into.

    Returns
    -------
    LpFit
        ``w, b, loss, certificate, method, history``, and the rank and condition of X.

    Raises
    ------
    InputError
        For shapes that do not fit, values that are not finite, p <= 0, a method that does not fit p.
    InputTypeError
        For what is not numeric, chunks that can be gone through only once, an option the method does not know.

    Warns
    -----
    NotConverged
        Where the gap of "closed form", "vertex" or "newton" is above tol and above 1e-6; a smaller one may be rounding.

    Notes
    -----
    p = 2: the Gram matrix of centred and scaled columns in one pass, its Cholesky factor and a pass of refinement; QR
    of blocks where columns are nearly dependent; minimum-norm weights where columns are combinations of others.
    p = 1: the Frisch-Newton interior point method (Portnoy and Koenker, 1997) on the rows near the solution, exchanges
    of rows until the model is a vertex, then a check of the residual signs of all the other rows.
    p > 1: Newton's method and the dual bound of Hoelder's inequality.
    The fit does not depend on the units of y and of the columns, nor, to the bit, on the threads and on how rows are
    cut into chunks; but y and weights of sizes whose powers leave the range of float64 are divided by powers of two
    only where they are arrays: in chunks they have wider gaps. Small matrices are factorised by NumPy's LAPACK, so that
    last bits may differ between CPUs.

    A lower bound holds for the rows as given: a bound of its rounding errors is subtracted, which widens the gap. Where
    the model goes through every row, the loss is given as 0; with p < 1 the rows it goes through are listed in `rows`
    and not counted in the loss.

    Examples
    --------
    >>> import fastdl
    >>> X, y = [[0.0], [1.0], [2.0], [3.0], [4.0]], [1.0, 3.0, 5.0, 7.0, 90.0]
    >>> for p in (1, 2):
    ...     fit = fastdl.fit_lp(X, y, p)
    ...     print(p, fit.w.round(6), round(fit.b, 6), round(fit.loss, 6), fit.certificate.kind)
    1 [2.] 1.0 81.0 vertex
    2 [18.2] -15.2 2624.4 closed form
    """
    fit = find_fit(
        X, y, p, method=method, intercept=intercept, sample_weight=sample_weight, tol=tol, seed=seed, threads=threads,
        **options,
    )  # fmt: skip
    proves = method in _FITS or (method == "auto" and not as_loss(p).is_custom)
    if proves and not as_loss(p).power < 1 and not fit.certificate.gap <= max(tol, _ROUNDING):
        whole = fit.w.shape[-1] + bool(intercept)
        short = "" if fit.rank == whole else f"; the columns have rank {fit.rank} of {whole} but for rounding"
        warn_of_gap("fit_lp", fit.certificate, tol, short)
    return fit


def find_fit(
    X: RowsLike,
    y: ArrayLike | None = None,
    p: Loss = 2.0,
    *,
    method: str = "auto",
    intercept: bool = True,
    sample_weight: ArrayLike | None = None,
    tol: float = 1e-8,
    seed: int = 0,
    threads: int | None = 1,
    **options: Unpack[MethodOptions],
) -> LpFit:
    """`fit_lp` without the warning about the gap, for callers that judge the fit themselves."""
    loss = as_loss(p)
    if not loss.is_custom:
        _check.number("p", loss.p, 0, 1000, above=True)
    method = _choose_method(method, loss)
    seed, tol = _check.integer("seed", seed, 0), _check.number("tol", tol, 0, above=True)
    threads = _threads.count(threads)
    settings: dict[str, Any] = {"intercept": bool(intercept), "seed": seed, "threads": threads, **options}
    if method == "newton":
        settings["tol"] = tol
    weights, exponent = (sample_weight, 0) if y is None else divide_weights(sample_weight)
    many, single = target_columns(X, y), _method_function(method, options)

    def fit_all(targets: list[int]) -> list[LpFit]:
        """The fit of each target, divided by these powers of two."""
        units = [Units(exponent, target) for target in targets]
        each = [unit.settings(settings) for unit in units]
        if many is None:
            rows = Rows(X, divided(y, targets[0]) if targets[0] else y, weights)
            found = [(rows, single(rows, loss.p, **each[0]))]
        else:
            Y = np.column_stack([divided(column, target) for column, target in zip(many.T, targets)])
            use = None if method == "closed form" else single
            found = fit_targets(X, Y if any(targets) else many, weights, use, loss.p, each)
        fits = [_bound_all_columns(fit, rows, loss, settings) for rows, fit in found]
        return [replace(unit.fit(fit), tol=tol) for unit, fit in zip(units, fits)]

    powers = not loss.is_custom and loss.power > 1
    nothing = [0] * (1 if many is None else many.shape[1])
    # Least squares takes one pass; another one for the largest target would be felt.
    late = not powers or method == "closed form"
    fits = fit_all(nothing if late else target_exponents(y, many, weights, loss.power))
    fine = [fit.certificate.kind == "interpolation" or _LEAST < fit.loss < _MOST for fit in fits]
    if powers and late and not all(fine):
        exponents = target_exponents(y, many, weights, loss.power)
        exponents = [0 if good else exponent for good, exponent in zip(fine, exponents)]
        fits = fit_all(exponents) if any(exponents) else fits
    return fits[0] if many is None else replace(join_fits(fits), tol=tol)


def _bound_all_columns(fit: LpFit, rows: Rows, loss: PowerLoss | CustomLoss, settings: dict[str, Any]) -> LpFit:
    """The fit with a lower bound that holds for models of all columns, those left out by the method included."""
    if loss.is_custom or not fit.certificate.lower > 0 or fit.rank == rows.columns + settings["intercept"]:
        return fit
    some = {name: settings[name] for name in ("intercept", "seed", "threads")}

    def bound(other: Rows) -> tuple[float, int]:
        if loss.power < 1:  # where a model goes through a row, rounding of a remainder would leave a power of itself
            from fastdl.linear.methods.exchange import bound_by_absolute

            return bound_by_absolute(other, loss.power, some["intercept"], some["threads"])
        again = _fit_of(_choose_method("auto", loss))(other, loss.p, **some)
        return again.certificate.lower, again.rank or 0

    coordinates = Coordinates(rows, some["intercept"], some["threads"])
    return replace(fit, certificate=bound_all_columns(fit.certificate, coordinates, bound))


_LEAST, _MOST = 1e-280, 1e280  # losses that are surely neither too small nor too large for floats
_ROUNDING = 1e-6  # gaps up to this give no warning: where residuals are tiny, rounding alone may make them
METHODS = ("closed form", "vertex", "newton", "exchange", "random", "gradient")
#: The condition on p of the methods that have one, in words and as a function.
_FITS: dict[str, tuple[str, Callable[[float], bool]]] = {
    "closed form": ("p = 2", lambda p: p == 2),
    "vertex": ("p = 1", lambda p: p == 1),
    "newton": ("p > 1", lambda p: p > 1),
    "exchange": ("p < 1", lambda p: p < 1),
}


def _choose_method(method: str, loss: PowerLoss | CustomLoss) -> str:
    """The name of the method, "auto" resolved; a method that does not take p is an error."""
    _check.one_of("method", method, ("auto", *METHODS))
    if method == "auto":
        return "gradient" if loss.is_custom else next(name for name, (_, fits) in _FITS.items() if fits(loss.power))
    if method in _FITS and (loss.is_custom or not _FITS[method][1](loss.power)):
        raise _check.InputError(f"method {method!r} must have {_FITS[method][0]}, got p = {loss.p}")
    return method


def _fit_of(method: str) -> Callable[..., LpFit]:
    """The function `fit` of a method's module, called with (rows, p, intercept=, seed=, threads=, **options).

    Imported here, so that a fit loads only the module of its own method.
    """
    if method == "closed form":
        from fastdl.linear.methods.closed_form import fit as fit_closed_form

        return fit_closed_form
    if method == "vertex":
        from fastdl.linear.methods.vertex import fit as fit_vertex

        return fit_vertex
    if method == "newton":
        from fastdl.linear.methods.newton import fit as fit_newton

        return fit_newton
    if method == "exchange":
        from fastdl.linear.methods.exchange import fit as fit_exchange

        return fit_exchange
    if method == "random":
        from fastdl.linear.methods.random import fit as fit_random

        return fit_random
    from fastdl.linear.methods.gradient import fit as fit_gradient

    return fit_gradient


def _method_function(method: str, options: Mapping[str, Any]) -> Callable[..., LpFit]:
    """The function `fit` of a method, after a check that the method has these options."""
    fit = _fit_of(method)
    shared = {"gradient": TrainingKeywords, "random": RunKeywords}.get(method)
    known = {*signature(fit).parameters, *(shared.__annotations__ if shared else ())}
    known -= {"rows", "p", "intercept", "seed", "threads", "tol", "options", "keywords"}
    for name in options:
        if name not in known:
            what = f"its options are {', '.join(sorted(known))}" if known else "it has none"
            raise _check.InputTypeError(f"method {method!r} knows no option {name!r}; {what}")
    return fit
