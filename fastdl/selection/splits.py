"""Splits without index arrays, and the choice of a polynomial's degree by cross-validation from one pass."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastdl import _check
from fastdl.reference import selection as reference
from fastdl.selection import _permutation
from fastdl.selection._permutation import KFold, Split
from fastdl.selection.degree_selection import DegreeSelection, Points, least_powers, least_squares

__all__ = ["DegreeSelection", "KFold", "Split", "k_fold", "select_degree", "split"]

_MOST = 1 << 62
_DEGREE = 60  # the highest


def split(n: int, ratios: Any = (0.7, 0.2, 0.1), *, seed: int, stratify: Any = None, groups: Any = None) -> Split:
    """Rows 0..n-1 in random parts of exact sizes, without an index array.

    The part of a row is computed from its number, by a permutation that the seed is the key of. So a stream can be
    split chunk by chunk, in any order and by many processes, and a row never changes sides.

    Parameters
    ----------
    n : int
        The number of rows, at most 2^62.
    ratios : sequence of float
        The parts, in proportion: (0.7, 0.2, 0.1) for training, validation, test; (4, 1) does as well.
    seed : int
        At least 0.
    stratify : array_like, (n,), optional
        Labels: every class is then split by itself, in exact sizes.
    groups : array_like, (n,), optional
        Rows of one group come to the same part; sizes are then as near as whole groups, taken at random, allow.

    Returns
    -------
    Split
        ``.part(i)``, ``.parts(start, stop)``, ``.rows(part)``, ``.train``, ``.valid``, ``.test``, ``.sizes``.

    Raises
    ------
    InputError
        For n < 0, ratios that are negative or all 0, labels of another length, labels and groups at once.

    Notes
    -----
    Sizes are those of the largest remainder: rounded down, and the rows left over to the parts that lost most, the
    first among equals; 0.7 is seven tenths here, not the float beside it. A row costs some nanoseconds, and no memory;
    with labels or groups a byte.

    References
    ----------
    Black and Rogaway, "Ciphers with arbitrary finite domains", 2002: the generalised Feistel cipher and cycle walking.

    Examples
    --------
    >>> import fastdl
    >>> parts = fastdl.split(1000, seed=1)
    >>> parts.sizes
    array([700, 200, 100])
    >>> len(parts.train), parts.parts(0, 5).dtype
    (700, dtype('uint8'))
    >>> fastdl.split(10**15, seed=1).part(123456789) in (0, 1, 2)
    True
    """
    n, seed = _check.integer("n", n, 0, _MOST), _check.integer("seed", seed, 0)
    given = [_check.number(f"ratios[{i}]", r, 0) for i, r in enumerate(_sequence("ratios", ratios))]
    if not sum(given) > 0:
        raise _check.InputError(f"ratios must have a sum above 0, got {given}")
    ratios = _permutation.whole(given)
    keys, codes = reference.keys(seed, Split._stream), None
    if _labelled(stratify, groups):
        if stratify is not None:
            codes = _permutation.stratified(_permutation.numbered("stratify", stratify, n), ratios, keys)
        else:
            codes = _permutation.grouped(_permutation.numbered("groups", groups, n), ratios, keys)
    sizes = reference.part_sizes(n, ratios) if codes is None else np.bincount(codes, minlength=len(ratios))
    return Split(n, sizes, seed, codes)


def k_fold(n: int, k: int, *, seed: int, stratify: Any = None, groups: Any = None) -> KFold:
    """Rows 0..n-1 in k random folds whose sizes differ by one at most, without an index array.

    Parameters
    ----------
    n : int
        The number of rows, at most 2^62.
    k : int
        The number of folds, 2 to n.
    seed : int
        At least 0.
    stratify : array_like, (n,), optional
        Labels: the rows of every class are then spread evenly over the folds.
    groups : array_like, (n,), optional
        Rows of one group come to the same fold; the largest group first, each to the fold with the fewest rows.

    Returns
    -------
    KFold
        ``.fold(i)``, ``.folds(start, stop)`` for `lp_loss`; iteration gives (train, test) row numbers, and it serves
        as scikit-learn's ``cv=``.

    Raises
    ------
    InputError
        For k outside 2..n (or above the number of groups), labels of another length, labels and groups at once.

    Examples
    --------
    >>> import fastdl
    >>> folds = fastdl.k_fold(10, 3, seed=0)
    >>> folds.sizes
    array([4, 3, 3])
    >>> folds.folds(0, 4).dtype, folds.get_n_splits()
    (dtype('int32'), 3)
    """
    n, seed = _check.integer("n", n, 0, _MOST), _check.integer("seed", seed, 0)
    k = _check.integer("k", k, 2)
    if k > n:
        raise _check.InputError(f"k must be at most the number of rows, {n}, got {k}")
    keys, codes = reference.keys(seed, KFold._stream), None
    if _labelled(stratify, groups):
        if stratify is not None:
            codes = _permutation.stratified_folds(_permutation.numbered("stratify", stratify, n), k, keys)
        else:
            numbers = _permutation.numbered("groups", groups, n)
            if k > numbers.max() + 1:
                raise _check.InputError(f"k must be at most the number of groups, {numbers.max() + 1}, got {k}")
            codes = _permutation.grouped_folds(numbers, k, keys)
    return KFold(n, _even(n, k) if codes is None else np.bincount(codes, minlength=k), seed, codes)


def _even(n: int, k: int) -> np.ndarray:
    return n // k + (np.arange(k) < n % k)


def _labelled(stratify: Any, groups: Any) -> bool:
    if stratify is not None and groups is not None:
        raise _check.InputError("stratify and groups cannot both be given")
    return stratify is not None or groups is not None


def _sequence(name: str, value: Any) -> list[Any]:
    try:
        items = list(value)
    except TypeError:
        raise _check.InputTypeError(f"{name} must be a sequence, got {value!r}") from None
    if not items:
        raise _check.InputError(f"{name} must not be empty")
    return items


def select_degree(
    x: Any,
    y: Any = None,
    degrees: Any = range(16),
    *,
    folds: Any = 5,
    p: float = 2.0,
    test: float = 0.1,
    seed: int = 0,
    sample_weight: Any = None,
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
    x : array_like, (N,), or chunks
        Numbers. Without y: chunks (x, y) or (x, y, sample_weight), as a list, another iterable that can be gone through
        again, or a function that returns an iterator.
    y : array_like, (N,), optional
        Targets.
    degrees : sequence of int
        The degrees to choose from, 0 to 60.
    folds : int, KFold, or array_like of integers (N,)
        The number of folds, at least 2; or those of `k_fold`; or the fold of each row, -1 where it belongs to the test
        part.
    p : float
        The loss is |y - f(x)|^p. Powers other than 2 hold the rows in memory and fit each degree and fold.
    test : float
        The part of the rows that is set aside, below 1: that of ``split(N, (1 - test, test), seed=seed)``. The choice
        does not see it; the test curve does. 0 for none.
    seed : int
        What the folds and the test part are drawn by.
    sample_weight : array_like, (N,), optional
        Finite, not negative; a row of weight 0 counts as dropped, whatever it holds.
    domain : (low, high), optional
        The interval whose ends the Chebyshev polynomials have at -1 and 1; the least and the largest x by default.
    n : int, optional
        The number of rows in the chunks. With `domain` too, chunks are not gone through to find them.
    rule : {"min", "one_se"}
        Whether `model` has the degree of the least validation loss, or the lowest one within a standard error of it.
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
    Sums of Chebyshev polynomials T_0 .. T_2P per fold hold all that is needed, since T_j T_k = (T_(j+k) + T_|j-k|) / 2;
    K folds and degree P take K (3P + 4) numbers. One Cholesky factor for each fold serves every degree. Where y is far
    larger than what the fits leave of it, a second pass takes the sums of the residuals of a first fit; where x is
    so clustered that the sums have lost too many digits, or rows are few, a pass of orthogonal factors (QR) replaces
    them. These are LAPACK's, and their last bits may differ between CPUs. `method` says which it was. Otherwise the
    result has the same bits for any threads and chunks.

    The domain is that of all rows, of the test part too: it is the coordinate that polynomials are written in, and
    changes none of them.

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
    degrees = sorted({_check.integer("degrees", d, 0, _DEGREE) for d in _sequence("degrees", degrees)})
    seed, p = _check.integer("seed", seed, 0), _check.number("p", p, 0, above=True)
    test = _check.number("test", test, 0)
    if test >= 1:
        raise _check.InputError(f"test must be below 1, got {test}")
    _check.one_of("rule", rule, ("min", "one_se"))
    points = Points(x, y, sample_weight, domain, n, threads)
    if isinstance(folds, KFold):
        points.split_by(folds, len(folds))
    elif np.ndim(folds):
        points.given_folds(folds)
    else:
        k = _check.integer("folds", folds, 2)
        size, rest = reference.part_sizes(points.n, _permutation.whole([1 - test, test]))
        if size < k:
            raise _check.InputError(f"folds must be at most the number of rows outside the test part, {size}, got {k}")
        points.split_by(Split(points.n, np.append(_even(size, k), rest), seed), k)
    fit = least_squares if p == 2 else least_powers
    return fit(points, degrees, p, rule, threads)
