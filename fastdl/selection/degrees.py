"""The choice of a polynomial's degree by cross-validation, from one pass over the data where p = 2."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import replace
from typing import cast

import numpy as np

from fastdl import _check
from fastdl._typing import Array, ArrayLike, RowsLike
from fastdl.reference import selection as reference
from fastdl.selection import _permutation
from fastdl.selection._degree_fits import least_powers, least_squares
from fastdl.selection._degree_rows import FoldedPoints
from fastdl.selection._product_degrees import ProductRows, fit_products
from fastdl.selection.degree_selection import DegreeSelection
from fastdl.selection.polynomial import Polynomial
from fastdl.selection.splits import KFold, Split

_DEGREE = 60  # the highest degree
_POWER = 1000  # the largest p: above it |r|^p is 0 or infinite in float64 for almost every r
_EXPONENT = 300  # values of y beyond 2^300, or below 2^-300, are scaled, so that sums of squares stay in range


def select_degree(
    x: RowsLike,
    y: ArrayLike | None = None,
    degrees: Iterable[int] = range(16),
    *,
    folds: int | KFold | ArrayLike = 5,
    p: float = 2.0,
    test: float = 0.1,
    seed: int = 0,
    sample_weight: ArrayLike | None = None,
    domain: tuple[float, float] | None = None,
    n: int | None = None,
    rule: str = "min",
    threads: int | None = 1,
) -> DegreeSelection:
    """Choose the degree of a polynomial y ~ f(x) by cross-validation.

    For p = 2, every degree is fitted without every fold from sums that one pass over the data gathers; the answer is
    that of refitting each fold.

    Parameters
    ----------
    x : array_like, (N,) or (N, D), or chunks
        The predictors. A polynomial of several columns has all products of up to `degree` of them, and each degree and
        fold is fitted by `fit_lp`, in memory. Without y: chunks (x, y) or (x, y, sample_weight) of one column, as a
        list, another iterable that can be gone through again, or a function that returns an iterator.
    y : array_like, (N,), optional
        Targets.
    degrees : sequence of int
        The degrees to choose from, 0 to 60.
    folds : int, KFold, or array_like of integers (N,)
        The number of folds, at least 2; or those of `k_fold`; or the fold of each row, -1 where it belongs to the test
        part.
    p : float
        The loss is |y - f(x)|^p. For powers other than 2 the rows are kept in memory, and each degree and fold fitted.
    test : float
        The share of the rows that is set aside for the test curve, below 1: that of ``split(N, (1 - test, test),
        seed=seed)``. It has no part in the choice. 0 for none.
    seed : int
        Seed of the folds and of the test part.
    sample_weight : array_like, (N,), optional
        Finite, not negative; a row of weight 0 counts as dropped, whatever it holds.
    domain : (low, high), optional
        The interval that is mapped to [-1, 1], where Chebyshev polynomials live; by default from the smallest to the
        largest x.
    n : int, optional
        The number of rows in the chunks. With `domain` too, chunks are not gone through to find them.
    rule : {"min", "one_se"}
        Whether `model` has the degree of the smallest validation loss, or the lowest one within a standard error of it.
    threads : int or None
        Threads to use; None means all this process may.

    Returns
    -------
    DegreeSelection
        The curves of training, validation and test loss, the chosen degrees, and the models refitted outside the test
        part.

    Raises
    ------
    InputError
        For values that are not finite (naming the row), fewer rows than folds, a fold without rows, names and numbers
        out of range.

    Warns
    -----
    UserWarning
        Where x has too few distinct values for a degree: its coefficients are then those of the smallest norm, and it
        is not chosen.

    Notes
    -----
    Sums of Chebyshev polynomials T_0 .. T_2P per fold are all that is needed, since T_j T_k = (T_(j+k) + T_|j-k|) / 2:
    K (3P + 4) numbers for K folds and degree P. One Cholesky factor per fold serves every degree. Where y is far larger
    than its residuals, a second pass sums the residuals of a first fit; where x is so clustered that the sums have lost
    too many digits, or rows are few, QR factors replace the sums. Those are LAPACK's, and their last bits may differ
    between CPUs; otherwise the result has the same bits for any threads and chunks. `method` says which was used.
    The domain covers all rows, those of the test part too: it only fixes the coordinate that polynomials are written
    in, and changes no fit.

    References
    ----------
    Hastie, Tibshirani and Friedman, "The elements of statistical learning", 2009, 7.10: the one-standard-error rule.

    Examples
    --------
    >>> import numpy as np, fastdl
    >>> rng = np.random.default_rng(0)
    >>> x = rng.uniform(0, 10, 2000)
    >>> y = 2 * x - 0.3 * x**2 + 0.02 * x**3 + rng.normal(0, 0.5, 2000)
    >>> choice = fastdl.select_degree(x, y, range(9))
    >>> choice.one_se, choice.model.predict([5.0]).round(1)
    (3, array([5.]))
    """
    choice = choose_degree(
        x, y, degrees, folds=folds, p=p, test=test, seed=seed, sample_weight=sample_weight, domain=domain, n=n,
        rule=rule, threads=threads,
    )  # fmt: skip
    for note in choice.notes:
        warnings.warn(note, stacklevel=2)
    return choice


def choose_degree(
    x: RowsLike,
    y: ArrayLike | None,
    degrees: Iterable[int],
    *,
    folds: int | KFold | ArrayLike = 5,
    p: float = 2.0,
    test: float = 0.1,
    seed: int = 0,
    sample_weight: ArrayLike | None = None,
    domain: tuple[float, float] | None = None,
    n: int | None = None,
    rule: str = "min",
    threads: int | None = 1,
) -> DegreeSelection:
    """`select_degree` without its warnings."""
    degrees = sorted({_check.integer("degrees", d, 0, _DEGREE) for d in _permutation.items("degrees", degrees)})
    seed, p = _check.integer("seed", seed, 0), _check.number("p", p, 0, _POWER, above=True)
    test = _check.number("test", test, 0)
    if test >= 1:
        raise _check.InputError(f"test must be below 1, got {test}")
    _check.one_of("rule", rule, ("min", "one_se"))
    if y is not None:
        x = _check.asarray("x", cast(ArrayLike, x))
        if x.ndim == 2 and x.shape[1] == 1:
            x = x[:, 0]
        if x.ndim == 2:
            rows = ProductRows(x, y, sample_weight)
            codes, count = _fold_codes(rows.n, folds, test, seed)
            return fit_products(rows, degrees, codes, count, p=p, rule=rule, threads=threads)
        y, exponent = _in_range(_check.asarray("y", y), p)
    else:
        exponent = 0
    points = FoldedPoints(x, y, sample_weight, domain, n, threads)
    if isinstance(folds, KFold):
        points.split_by(folds, len(folds))
    elif np.ndim(folds):
        points.given_folds(folds)
    else:
        points.split_by(*_draw_folds(points.n, folds, test, seed))
    fit = least_squares if p == 2 else least_powers
    choice = fit(points, degrees, p, rule, threads)
    return _in_units(choice, exponent) if exponent else choice


def _fold_codes(n: int, folds: int | KFold | ArrayLike, test: float, seed: int) -> tuple[Array, int]:
    """The fold of each row, K standing for the test part; and K, the number of folds."""
    if isinstance(folds, KFold):
        if folds.n != n:
            raise _check.InputError(f"folds must be of {n} rows, got folds of {folds.n}")
        return folds.parts().astype(np.int64), len(folds)
    if np.ndim(folds):
        codes = _check.array("folds", folds, ("i", "u"), 1).astype(np.int64)
        if len(codes) != n or codes.min() < -1 or codes.max() < 1:
            raise _check.InputError(f"folds must be -1, or 0 to 1 or more, one for each of {n} rows")
        count = int(codes.max()) + 1
        return np.where(codes < 0, count, codes), count
    parts, k = _draw_folds(n, folds, test, seed)
    return parts.parts().astype(np.int64), k


def _draw_folds(n: int, folds: int | ArrayLike, test: float, seed: int) -> tuple[Split, int]:
    """A random split into that many folds and, last, the test part; and the number of folds."""
    k = _check.integer("folds", folds, 2)
    size, rest = reference.part_sizes(n, _permutation.whole_ratios((1 - test, test)))
    if size < k:
        raise _check.InputError(f"folds must be at most the number of rows outside the test part, {size}, got {k}")
    return Split(n, np.append(_permutation.even_sizes(size, k), rest), seed), k


def _in_range(y: Array, p: float) -> tuple[Array, int]:
    """y divided by a power of two where its squares would overflow or vanish, and the exponent of that power."""
    if y.dtype.kind != "f" or y.dtype.itemsize < 8 or y.ndim != 1:
        return y, 0
    size = np.abs(y[np.isfinite(y) & (y != 0)])
    if not len(size):
        return y, 0
    typical = float(size.max() if p >= 2 else np.median(size))
    exponent = int(np.frexp(typical)[1])
    if abs(exponent) <= _EXPONENT:
        return y, 0
    with np.errstate(over="ignore", under="ignore"):
        scaled = np.ldexp(y, -exponent)
    return (scaled, exponent) if np.isfinite(scaled).all() == np.isfinite(y).all() else (y, 0)


def _in_units(choice: DegreeSelection, exponent: int) -> DegreeSelection:
    """The choice for y times 2^exponent: the same degrees, other coefficients and losses."""
    models = [Polynomial(np.ldexp(m.coefficients, exponent), m.domain) for m in choice.models]  # type: ignore[union-attr]
    at = next(k for k, m in enumerate(choice.models) if m is choice.model)
    with np.errstate(over="ignore", under="ignore"):
        factor = np.float64(2.0) ** (exponent * choice.p)
        names = ("train", "valid", "test", "train_se", "valid_se", "train_folds", "valid_folds")
        losses = {name: getattr(choice, name) * factor for name in names}
    return replace(choice, models=models, model=models[at], **losses)
