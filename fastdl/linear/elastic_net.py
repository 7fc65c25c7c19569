"""Ridge, lasso and elastic net: a path of penalties, cross-validation, and a proof with each fit."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fastdl import _check, _threads
from fastdl._rows import Rows
from fastdl._typing import Array, ArrayLike
from fastdl.linear._active_set import coordinate_descent
from fastdl.linear._coordinates import EPS
from fastdl.linear._extreme_units import Units, divide_weights, divided, divided_penalty, target_exponent
from fastdl.linear._matrix import kernel
from fastdl.linear._penalties import penalty_pairs
from fastdl.linear.gram_accumulator import GramAccumulator, shift_gram, solve_definite, standardize_gram
from fastdl.linear.result import Certificate, LinearModel, warn_of_gap


@dataclass(frozen=True, eq=False)
class ElasticNetFit(LinearModel):
    """The linear model that minimizes ``sum s (y - <w, x> - b)^2 + l2 |w|^2 + l1 sum |w_j|``.

    Attributes
    ----------
    w : ndarray of float64, (D,)
        The weights; those that the l1 penalty keeps at 0 are exactly 0.
    b : float
        The intercept, which has no penalty.
    l1, l2 : float
        The penalties.
    loss : float
        The sum above, penalties included, evaluated for (w, b) on the rows as they were given.
    certificate : Certificate
        No model has a loss below ``certificate.lower``, the value of a dual solution.
    converged : bool
        Whether the gap reached `tol`.
    """

    w: Array
    b: float
    l1: float
    l2: float
    loss: float
    certificate: Certificate
    converged: bool

    def in_units(self, units: Units, l1: float, l2: float) -> ElasticNetFit:
        """The same fit in the units of the rows, and with these penalties, which are the user's."""
        return replace(
            self, w=units.target(self.w), b=float(units.target(self.b)), l1=l1, l2=l2,
            loss=float(units.loss(self.loss, 2)), certificate=units.certificate(self.certificate, 2),
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class ElasticNetPath:
    """The fits of several penalties and, with folds, which of them predicts best.

    Attributes
    ----------
    fits : tuple of ElasticNetFit
        In the order of the penalties.
    test_losses : ndarray (K, P) or None
        With folds: for each fold and each penalty the mean squared error, on that fold, of the model fitted to the
        others.
    best : ElasticNetFit or None
        With folds: the fit to all rows with the penalties whose mean test loss is smallest.
    """

    fits: tuple[ElasticNetFit, ...]
    test_losses: Array | None
    best: ElasticNetFit | None


def fit_elastic_net(
    X: ArrayLike,
    y: ArrayLike,
    *,
    l1: ArrayLike = 0.0,
    l2: ArrayLike = 0.0,
    intercept: bool = True,
    sample_weight: ArrayLike | None = None,
    folds: ArrayLike | None = None,
    tol: float = 1e-8,
    threads: int | None = 1,
) -> ElasticNetFit | ElasticNetPath:
    """Least squares with penalties: ridge (l2), lasso (l1) or both, with a proof of how near to the minimum it is.

    Parameters
    ----------
    X : array_like, (N, D)
        The rows; everything is computed in float64.
    y : array_like, (N,)
        The targets.
    l1, l2 : float or array_like (P,)
        The penalties of ``sum |w_j|`` and ``|w|^2``, not negative, not both 0: scikit-learn's alpha is l2 for Ridge and
        l1 / (2 N) for Lasso. Arrays are a path: each fit starts at the one before.
    intercept : bool
        Whether to fit b; otherwise it is 0.
    sample_weight : array_like, (N,), optional
        s: finite, not negative.
    folds : array_like of integers, (N,), optional
        The fold of each row, as `k_fold` gives them, for cross-validation: the best penalties of the path are those
        whose models, fitted to the other folds, predict each fold best. This takes no further pass over the rows.
    tol : float
        The relative gap that counts as converged; a fit that does not reach it warns.
    threads : int or None
        Threads to use for the proofs; None means all this process may.

    Returns
    -------
    ElasticNetFit, or ElasticNetPath for a path or with folds

    Raises
    ------
    InputError
        For shapes that do not fit, values that are not finite, penalties that are negative or both 0.
    InputTypeError
        For what is not numeric.

    Notes
    -----
    One pass for the products of all columns; ridge by solving, l1 by coordinate descent on the products (Friedman,
    Hastie and Tibshirani, 2010), ended by solving for the coefficients that are not 0
    and letting in those that must not be (Lee et al., 2007). The proof is a dual solution
    made of the residuals of the returned model on the rows, with its rounding taken off.

    Examples
    --------
    >>> import fastdl
    >>> X, y = [[0.0, 1.0], [1.0, 1.0], [2.0, 0.0], [3.0, 1.0]], [1.0, 3.0, 5.0, 7.0]
    >>> fit = fastdl.fit_elastic_net(X, y, l1=2.0)
    >>> fit.w.round(6), round(fit.b, 6), fit.certificate.gap < 1e-12
    (array([1.8, 0. ]), 1.3, True)
    """
    penalties = penalty_pairs(l1, l2)
    if (0.0, 0.0) in penalties:
        raise _check.InputError("l1 and l2 must not both be 0: fit_lp fits without a penalty")
    tol, threads = _check.number("tol", tol, 0, above=True), _threads.count(threads)
    x, t = _check.rows("X", X), _check.floats("y", y, 1)
    if len(x) != len(t):
        raise _check.InputError(f"y has {len(t)} values but X has {len(x)} rows")
    weights, exponent = divide_weights(_check.sample_weight(sample_weight, len(x)))
    s = None if weights is None else np.asarray(weights)
    units = Units(exponent, target_exponent(t, s, 2.0))
    t, both = divided(t, units.targets) if units.targets else t, units.weights + units.targets
    scaled = [(divided_penalty(first, both), divided_penalty(second, units.weights)) for first, second in penalties]
    parts = _fold_states(x, t, s, _fold_numbers(folds, len(x)), bool(intercept))
    total = GramAccumulator(intercept=intercept)
    for part in parts:
        total.merge(part)
    _, shift, factor, G = total.sums()
    if not G[0, 0] > 0:
        raise _check.InputError("there must be a row of weight above 0")
    products = _Products(G, shift, factor, bool(intercept))
    rows, fits, start = Rows(x, t, s), [], None
    for first, second in scaled:
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):  # bounds that are beyond any float are none
            w, b, start = _model(products, first, second, start)
            fit = _proven(rows, (w, b), (first, second), products, tol=tol, threads=threads)
            if not fit.converged:  # residuals are far smaller than what they are differences of
                model = _mended(rows, (w, b), (first, second), products, threads)
                again = _proven(rows, model, (first, second), products, tol=tol, threads=threads)
                fit = again if again.certificate.gap < fit.certificate.gap else fit
        fits.append(fit)
    if units:
        fits = [fit.in_units(units, *given) for fit, given in zip(fits, penalties)]
    for fit in fits:
        if not fit.converged:
            warn_of_gap("fit_elastic_net", fit.certificate, tol)
    if folds is None:
        return ElasticNetPath(tuple(fits), None, None) if np.ndim(l1) or np.ndim(l2) else fits[0]
    losses = _test_losses(parts, products, scaled)  # means: of weights of any unit
    best = fits[int(losses.mean(axis=0).argmin())]  # in the units of the rows losses may be beyond the range of floats
    return ElasticNetPath(tuple(fits), Units(0, units.targets).loss(losses, 2), best)


def _fold_numbers(folds: ArrayLike | None, n: int) -> Array | None:
    if folds is None:
        return None
    numbers = _check.array("folds", folds, ("i", "u"), 1)
    if len(numbers) != n:
        raise _check.InputError(f"folds must have a number for each of {n} rows, got {len(numbers)}")
    if len(np.unique(numbers)) < 2:
        raise _check.InputError("folds must name at least two folds")
    return numbers


def _fold_states(X: Array, y: Array, s: Array | None, folds: Array | None, intercept: bool) -> list[GramAccumulator]:
    """The sums of each fold, about the weighted means of all rows: one row may weigh more than all others."""
    begun = GramAccumulator(intercept=intercept)
    if s is not None and s.any():
        keep = s > 0
        begun.begin_about(np.column_stack([X[keep], y[keep]]).astype(np.float64), s[keep])
    if folds is None:
        return [begun.fresh().update((X, y, s))]
    states = []
    for fold in np.unique(folds):
        rows = folds == fold
        chunk = (X[rows], y[rows], None if s is None else s[rows])
        states.append(begun.fresh().update(chunk))
    return states


@dataclass
class _Products:
    """G, the sums of products of [1, ([X, y] - shift) * factor], and its units."""

    G: Array
    shift: Array
    factor: Array
    intercept: bool

    def hessian(self) -> Array:
        """The sums of products of the columns of X about their means, in the users' units."""
        centred, _, scale = standardize_gram(self.G, self.intercept)
        unit = (self.factor * scale)[:-1]
        return np.asarray(centred[:-1, :-1] / np.outer(unit, unit))


def _model(sums: _Products, l1: float, l2: float, start: Array | None) -> tuple[Array, float, Array]:
    """(w, b) of the minimum of the penalised loss, and its standardised weights, where the next penalty starts."""
    C, mean, scale = standardize_gram(sums.G, sums.intercept)
    d = len(C) - 1
    unit = sums.factor * scale
    # The penalties l2 |w|^2 and l1 |w| as those of the standardised weights omega = w * unit_y / unit. Where the square
    # alone would leave the range of floats, its root is a part of the unit.
    root = np.sqrt(l2) * unit[:d]
    more = np.where(root > 1e50, root, 1.0)
    unit[:d] /= more
    second, first = (root / more) ** 2, l1 * unit[:d] * unit[d]
    A, g = C[:d, :d] / np.outer(more, more) + np.diag(second), C[:d, d] / more
    # What varies by some last bits of its mean is a constant, whose weight the penalty makes 0.
    variance = C.diagonal()[:d] / (scale[:d] ** 2 * max(float(sums.G[0, 0]), 1e-300))
    flat = (variance <= (4 * EPS * sums.shift[:d] * sums.factor[:d]) ** 2) & sums.intercept
    flat |= A.diagonal() <= 0
    A[flat], A[:, flat], g[flat] = 0.0, 0.0, 0.0
    A[flat, flat] = 1.0
    begin = None if start is None else start * more
    omega = solve_definite(A, g) if not l1 else coordinate_descent(A, g, first, begin)
    omega = np.where(flat, 0.0, omega)
    w = omega * unit[:d] / unit[d]
    means = sums.shift + mean / sums.factor
    return w, float(means[d] - w @ means[:d]) if sums.intercept else 0.0, omega / more


def _residual_sums(rows: Rows, w: Array, b: float, intercept: bool, threads: int | None) -> tuple[Array, Array]:
    """Over the rows as they were given: sums of s [1, X, y], and what `_proven` needs of the residuals of (w, b)."""
    nothing, weights = np.zeros(len(w)), np.ascontiguousarray(w)

    def means(X: Array, y: Array, s: Array | None) -> Array:
        s = np.ones(len(y)) if s is None else s
        total = np.zeros(len(w) + 1)
        kernel.products(X, s, nothing, total)
        return np.append(total, np.add.reduce(s * y))

    sums = rows.total(means, threads)
    assert sums is not None
    middle = sums[1:] / sums[0] if intercept else np.zeros(len(w) + 1)
    shift = np.ascontiguousarray(middle[:-1])

    def work(X: Array, y: Array, s: Array | None) -> Array:
        r, total, ones = np.empty(len(y)), np.zeros(len(w) + 1), np.zeros(len(w) + 1)
        kernel.residuals(X, y, weights, b, nothing, r)
        g = r if s is None else s * r
        kernel.products(X, g, shift, total)
        kernel.products(X, np.ones(len(y)) if s is None else s, shift, ones)
        rough, centred = np.zeros(len(w) + 1), y - middle[-1]
        kernel.products(np.abs(X - shift), np.abs(g), nothing, rough)
        some = [np.add.reduce(g * r), np.add.reduce(g * centred), np.add.reduce(np.abs(g * centred))]
        # A bound of the rounding errors of the residuals, and of what these make of the slopes.
        e = EPS * (len(w) + 4) * (np.abs(y) + abs(b) + np.abs(X) @ np.abs(w))
        h, lost = e if s is None else s * e, np.zeros(len(w) + 1)
        kernel.products(np.abs(X - shift), h, nothing, lost)
        more = [np.add.reduce(h * e), np.add.reduce(centred if s is None else s * centred)]
        return np.concatenate([some, more, total, ones, rough, lost])

    found = rows.total(work, threads)
    assert found is not None
    return sums, found


def _mended(
    rows: Rows, model: tuple[Array, float], penalties: tuple[float, float], products: _Products, threads: int | None
) -> tuple[Array, float]:
    """The model after a step by its own residuals, of the weights that are not 0."""
    (w, b), (l1, l2) = model, penalties
    sums, found = _residual_sums(rows, w, b, products.intercept, threads)
    total, ones = found[5:].reshape(4, -1)[:2]
    mean = total[0] / sums[0] if products.intercept else 0.0
    slopes, active = total[1:] - mean * ones[1:], np.flatnonzero(w)
    H = products.hessian()[np.ix_(active, active)] + np.diag(np.full(len(active), l2))
    step = np.zeros(len(w))
    with np.errstate(all="ignore"):
        step[active] = solve_definite(H, slopes[active] - l2 * w[active] - l1 / 2 * np.sign(w[active]))
        if not np.isfinite(step).all():
            return model
        return w + step, b + float(mean - step @ sums[1:-1] / sums[0]) if products.intercept else 0.0


def _proven(
    rows: Rows,
    model: tuple[Array, float],
    penalties: tuple[float, float],
    products: _Products,
    *,
    tol: float,
    threads: int | None,
) -> ElasticNetFit:
    """The fit, its loss, and the lower bound of the dual solution that its residuals give.

    For any alpha of weighted sum 0, sum s r^2 >= sum s (2 alpha r - alpha^2), which is linear in the model. With
    u = X' (s alpha) the minimum over w of l2 |w|^2 + l1 |w| - 2 u w is -max(2 |u| - l1, 0)^2 / (4 l2); without l2 it
    is 0 where 2 |u| <= l1.
    """
    (w, b), (l1, l2), intercept = model, penalties, products.intercept
    sums, found = _residual_sums(rows, w, b, intercept, threads)
    squares, product, size, rounded, left = (float(v) for v in found[:5])
    total, ones, rough, lost = found[5:].reshape(4, -1)
    loss = squares + l1 * float(np.abs(w).sum())
    if l2:
        loss += float(np.add.reduce(l2 * w * w))
    mean = total[0] / sums[0] if intercept else 0.0
    product -= mean * left  # corrects for the rounding of the means of y and of the residuals
    slopes = total[1:] - mean * ones[1:]
    u = np.abs(slopes) + 32 * EPS * rough[1:]
    own = squares - mean * total[0]  # the sum of squares of the residuals about their mean
    share = 1.0
    if not l2:
        most = float(u.max(initial=0))
        share = float(np.clip(product / own if own > 0 else 0.0, 0, l1 / (2 * most) if most else np.inf))
    lower = 2 * share * product - share * share * own
    if l2:
        lower -= float(np.add.reduce(np.maximum(2 * share * u - l1, 0) ** 2)) / (4 * l2)
    lower -= 64 * EPS * (share * size + share * share * squares)
    around = _parabola(products.hessian(), slopes, 32 * EPS * rough[1:] + lost[1:], w, l1, l2)
    error = np.sqrt(rounded)
    least = loss - mean * total[0] - around - 2 * np.sqrt(squares) * error - rounded - 64 * EPS * loss
    certificate = Certificate.of(loss, max(lower, least, 0.0), "dual" if lower >= least else "bound")
    rounding = 256 * EPS * (size + squares) + 4 * rounded
    converged = loss - certificate.lower <= max(tol * loss, rounding)
    return ElasticNetFit(w, b, l1, l2, loss, certificate, converged)


def _parabola(hessian: Array, slopes: Array, error: Array, w: Array, l1: float, l2: float) -> float:
    """How far below the loss at w the minimum can be, from the gradient and the Hessian at w; inf if unknown.

    The loss is a parabola plus a convex penalty. This bound serves where l2 is so small that the rounding errors of a
    dual solution, divided by l2, would leave nothing of the dual bound.
    """
    gradient = 2 * l2 * w - 2 * slopes
    gradient = np.where(w == 0, np.sign(gradient) * np.maximum(np.abs(gradient) - l1, 0), gradient + l1 * np.sign(w))
    H = hessian + np.diag(np.full(len(w), l2))
    length = np.sqrt(np.maximum(H.diagonal(), 0))
    if not len(w) or not (length > 0).all():
        return 0.0 if not len(w) else np.inf
    values, vectors = np.linalg.eigh(H / np.outer(length, length))
    if not values[0] > 1e-8 * len(w):  # a smaller eigenvalue is not known well enough: rounding, 1e-16, is 1e-8 of it
        return np.inf
    size = (np.abs(gradient) + 2 * error) / length
    along = np.abs(vectors.T) @ size
    return float(np.add.reduce(along * along / values)) / 4 * (1 + 1e-6)


def _test_losses(parts: list[GramAccumulator], total: _Products, penalties: list[tuple[float, float]]) -> Array:
    """(folds, penalties): the mean squared error on each fold of the model fitted to the others."""
    losses = np.empty((len(parts), len(penalties)))
    shift, factor = total.shift, total.factor
    for k, part in enumerate(parts):
        _, own_shift, own_factor, own = part.sums()
        own = shift_gram(own, own_shift, own_factor, shift, factor)
        rest, start = _Products(total.G - own, shift, factor, total.intercept), None
        for i, (l1, l2) in enumerate(penalties):
            w, b, start = _model(rest, l1, l2, start)
            # y - b - <w, x> in the coordinates of the sums
            first = shift[-1] - b - w @ shift[:-1]
            v = np.concatenate([[first], -w / factor[:-1], [1 / factor[-1]]])
            losses[k, i] = max(float(v @ own @ v), 0.0) / max(float(own[0, 0]), 1e-300)
    return losses
