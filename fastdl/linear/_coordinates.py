"""The columns of a fit, centred and scaled so that no unit matters, and the sums over its rows."""

from __future__ import annotations

import numpy as np

from fastdl import _check
from fastdl._rows import Rows
from fastdl._typing import Array
from fastdl.linear._column_extents import extent_of_block, extents_of_rows
from fastdl.linear._equal_models import EqualModels
from fastdl.linear._factor_of_rows import factor_of_rows, triangle
from fastdl.linear._matrix import gram, gram_sums, independent_columns, kernel, substitute, whole_matrix

EPS = float(np.finfo(float).eps)
#: The smallest squared pivot of a correlation matrix for which the Cholesky factor is used; below it columns are
#: factorised by QR, whose pivots are not squared. Some seven digits are left of such a pivot.
_SMALLEST_PIVOT = 1e-9
_DIGITS = 1e-2  # of the length of a column, left by centring: below, four digits of its square are lost and more
_AGAIN = 2  # passes for sums about better shifts
_LARGEST_FACTOR = 2.0**1019  # brings values of 1e-307 to 1; a larger factor would take weights out of float64's range


class Coordinates:
    """The coordinates a fit is solved in: t = [1, Z] gamma with Z = (X - shift) * factor, t = (y - y_shift) * y_factor.

    Shifts are means (0 without an intercept), factors are powers of two that bring columns and t near 1. Columns that
    are linear combinations of the others are left out; `model` gives them weights again, choosing among equal models
    that whose weights have the smallest norm. Where columns are nearly dependent, the orthonormal columns of their QR
    factorisation take the place of [1, Z].

    Attributes
    ----------
    gram : Array, (k + 1, k + 1)
        The Gram matrix: the weighted sums over the rows of the products of [1, Z, t]; k is the rank.
    R : Array, (k, k)
        Upper triangular, R'R = gram[:k, :k].
    least_squares : Array, (k,)
        The least squares solution from that factor, not yet refined.
    """

    def __init__(self, rows: Rows, intercept: bool, threads: int | None):
        self.rows, self.intercept, self.threads = rows, intercept, threads
        d = rows.columns
        self._raw_triangle: Array | None = None
        self._equal: EqualModels | None = None
        self.again = 0  # passes to sum about better shifts
        self.shift, self.factor, self.y_shift, self.y_factor = np.zeros(d), np.ones(d), 0.0, 1.0
        first = next(iter(rows.blocks()), None)
        if first is not None and len(first[0]):
            self._set_units(*extent_of_block(first[0], first[1]))
        G = self._sum_gram()
        if not np.isfinite(G).all():
            self._set_units(*extents_of_rows(rows))
            G = self._sum_gram()
        self.weight = float(G[0, 0])
        self._choose_columns(self._center_again(G))

    def _set_units(self, X: tuple[Array, Array], y: tuple[Array, Array]) -> None:
        """Set provisional shifts and factors, from (middle, largest distance from it) of the columns and of y."""
        if self.intercept:
            self.shift, self.y_shift = X[0], float(y[0])
        self.factor = power_of_two(X[1] if self.intercept else X[1] + np.abs(X[0]))
        self.y_factor = float(power_of_two(y[1] if self.intercept else y[1] + np.abs(y[0])))

    def _sum_gram(self) -> Array:
        """The Gram matrix of [1, Z, t] over all rows, in the provisional units; also counts the rows."""
        m, total, count, least = self.rows.columns + 2, np.zeros(()), 0, np.inf

        def work(X: Array, y: Array, s: Array | None) -> tuple[Array, int, float]:
            return (
                gram_sums(X, self.target(y), s, self.shift, self.factor),
                len(X),
                1.0 if s is None else float(s.min()),
            )

        def take(part: tuple[Array, int, float]) -> None:
            nonlocal total, count, least
            total = np.add(total, part[0], out=total) if count else part[0]
            count, least = count + part[1], min(least, part[2])

        with np.errstate(all="ignore"):
            self.rows.each(work, take, self.threads, raw=True)
        self.count, self.least_weight = count, least
        G = whole_matrix(total, m) if count else np.zeros((m, m))
        if np.isfinite(G).all():
            self.rows.all_are_finite()
        return G

    def _center_again(self, G: Array) -> Array:
        """The Gram matrix about the means; summed again about them where most of its digits cancelled."""
        # So they do where one row outweighs all others, and the provisional shifts are far from its values.
        centred = self._center_gram(G)
        while self._cancelled.any() and self.again < _AGAIN:
            self.again += 1
            centred = self._center_gram(self._sum_gram())
        return centred

    def _center_gram(self, G: Array) -> Array:
        """The Gram matrix of columns about their means and of length near 1; sets `noise`, their rounding errors."""
        m = len(G)
        size = np.sqrt(np.maximum(G.diagonal()[1:], 0))
        if self.intercept and self.weight:
            mean = G[0, 1:] / self.weight
            self.shift = self.shift + mean[:-1] / self.factor
            self.y_shift += float(mean[-1] / self.y_factor)
            G = G - np.outer(G[0], G[0]) / self.weight
            G[0, 0] = self.weight
        length = np.sqrt(np.maximum(G.diagonal()[1:], 0))
        scale = power_of_two(length / np.sqrt(max(self.weight, 1e-300)))
        with np.errstate(over="ignore"):
            scale = np.minimum(scale, _LARGEST_FACTOR / np.append(self.factor, self.y_factor))
        self.factor, self.y_factor = self.factor * scale[:-1], float(self.y_factor * scale[-1])
        self._refuse_tiny(length > 0)
        far = np.abs(np.append(self.shift * self.factor, self.y_shift * self.y_factor)) * np.sqrt(self.weight)
        # How long a centred column can be by the rounding of its values and of the subtraction of the mean alone.
        self.noise = 4 * EPS * (far + (size + length) * scale)
        length, size = length * scale, size * scale
        self._cancelled = (length < _DIGITS * size) & (size > 16 * EPS * far)  # and not a constant, but for rounding
        scale = np.append(1.0, scale)
        G = G * np.outer(scale, scale)
        flat = np.append(False, length <= self.noise)
        G[flat], G[:, flat] = 0, 0
        self._is_constant = flat[1 : m - 1]
        return G

    def _refuse_tiny(self, varies: Array) -> None:
        """Raise an error where a column, or y, is so small that float64 holds neither its digits nor weights for it."""
        for j in np.flatnonzero(varies & (np.append(self.factor, self.y_factor) >= _LARGEST_FACTOR)):
            what = "y" if j == len(self.factor) else f"column {j} of X"
            raise _check.InputError(
                f"{what} varies by less than {4 / _LARGEST_FACTOR:.0e}, where float64 runs out of digits and of range: "
                "multiply it by a power of ten"
            )

    def _choose_columns(self, G: Array) -> None:
        """Choose independent columns; find their factor R, the rank, the condition number and the solution."""
        first = 0 if self.intercept and self.weight else 1
        use = np.append(np.arange(first, 1), 1 + np.flatnonzero(~self._is_constant)) if self.count else np.arange(0)
        length = np.sqrt(G[use, use])
        noise = float((np.append(0.0, self.noise[:-1])[use] / length).max(initial=0))
        tolerance = 16 * np.sqrt(len(use) + 1) * EPS + 4 * noise
        C = G[np.ix_(use, use)] / np.outer(length, length)
        self.solver = "Cholesky"
        R, pivots = _cholesky(C)
        if len(pivots) < len(use) or pivots.min(initial=1) < _SMALLEST_PIVOT:
            self.solver = "QR"
            full = self._qr_of_rows(use)
            R = full[: len(use), :-1] / length
            order = independent_columns(R, tolerance)
            if len(order) < len(use):
                self.solver = "pivoted QR"
                _, pivots = _cholesky(C[np.ix_(order, order)])
                if pivots.min(initial=1) >= _SMALLEST_PIVOT and len(pivots) == len(order):
                    self.solver = "pivoted Cholesky"
        else:
            order = np.arange(len(use))
        self._find_null_space(R, order, use, length)
        self._keep_columns(use[order])
        self.gram = G[np.ix_(*[np.append(use[order], len(G) - 1)] * 2)]
        self.R = R * length if self.solver == "Cholesky" else triangle(full[:, order])
        self.condition = self._condition()
        if "QR" in self.solver and self.rank:
            self._orthonormalise()
        self.least_squares = _solve(self.R, self.gram[:-1, -1])

    def _keep_columns(self, use: Array) -> None:
        """Fit these columns of [1, Z] only."""
        self.rank = len(use)
        self.ones = bool(len(use)) and use[0] == 0
        kept = use[int(self.ones) :] - 1
        self.kept = None if len(kept) == self.rows.columns else kept
        self._shift, self._factor = (a if self.kept is None else a[kept] for a in (self.shift, self.factor))

    def _orthonormalise(self) -> None:
        """Take Q = Z R^-1 as the columns. One more pass sums their Gram matrix, which rounding keeps from being 1."""
        self._raw_units = self._shift, self._factor
        self._raw_triangle = self.R[int(self.ones) :, int(self.ones) :]
        self._shift, self._factor = np.zeros(len(self._raw_triangle)), np.ones(len(self._raw_triangle))

        def work(X: Array, y: Array, s: Array | None) -> Array:
            return self.grams(self.columns(X), self.target(y), s)

        total = self.rows.total(work, self.threads)
        assert total is not None
        self.gram, self.R = total, _cholesky(total[:-1, :-1])[0]

    def _qr_of_rows(self, use: Array) -> Array:
        """R of the QR factorisation of the columns `use` of [1, Z, t]."""

        def matrix(X: Array, y: Array, s: Array | None) -> Array:
            Z = np.column_stack([np.ones(len(X)), (X - self.shift) * self.factor, self.target(y)])
            Z = Z[:, np.append(use, Z.shape[1] - 1)]
            return Z if s is None else Z * np.sqrt(s)[:, None]

        return factor_of_rows(self.rows, matrix, len(use) + 1, self.threads)

    def _find_null_space(self, R: Array, order: Array, use: Array, length: Array) -> None:
        """Find the null space: the directions in which weights, in users' units, can change and no prediction does."""
        d = self.rows.columns
        others = np.ones(len(use), bool)
        others[order] = False
        left = np.flatnonzero(others)
        self._null_space, self._equal = np.zeros((d, len(left))), None
        if not len(left):
            return
        depend = np.linalg.lstsq(R[:, order], R[:, left], rcond=None)[0] / length[order][:, None] * length[left]
        for i, column in enumerate(left):
            self._null_space[use[column] - 1, i] = -1
            inside = use[order] > 0
            self._null_space[use[order][inside] - 1, i] = depend[inside, i]
        self._null_space *= self.factor[:, None]
        self._null_space /= np.abs(self._null_space).max(axis=0)
        kept = use[order[use[order] > 0]] - 1
        self._equal = EqualModels(self._null_space, kept, use[left] - 1, self.factor)

    def _minimum_norm(self, w: Array) -> Array:
        """The weights of least norm among those that give the same model."""
        return w if self._equal is None else self._equal.minimum_norm(w)

    def _condition(self) -> float:
        """The condition number of [1, X] as given, each column scaled to unit length."""
        R = self.R.copy()
        if not len(R):
            return 1.0
        if self.ones:
            R[:, 1:] += np.outer(R[:, 0], self._shift * self._factor)
        with np.errstate(all="ignore"):
            values = np.linalg.svd(R / np.sqrt((R * R).sum(axis=0)), compute_uv=False)
            return float(values[0] / values[-1])

    # The products that the methods of `fit_lp` sum over blocks of rows.

    def target(self, y: Array) -> Array:
        return (y - self.y_shift) * self.y_factor

    def columns(self, X: Array) -> Array:
        """The columns of a block that are fitted, not yet shifted and scaled."""
        X = X if self.kept is None else np.ascontiguousarray(X[:, self.kept])
        if self._raw_triangle is None:
            return X
        return substitute((X - self._raw_units[0]) * self._raw_units[1], self._raw_triangle)

    def dense(self, X: Array) -> Array:
        """[1, Z] of a block's `columns`, as an array."""
        Z = (X - self._shift) * self._factor
        return np.column_stack([np.ones(len(Z)), Z]) if self.ones else Z

    def products(self, X: Array, g: Array) -> Array:
        """[1, Z]' g of a block's `columns`."""
        total = np.zeros(X.shape[1] + 1)
        kernel.products(X, g, self._shift, total)
        total[1:] *= self._factor
        return total if self.ones else total[1:]

    def squares(self, X: Array, t: Array, s: Array | None, gamma: Array) -> Array:
        """Of r = t - [1, Z] gamma of a block's `columns`, which may be float32: the sum of s r^2, then [1, Z]' s r."""
        total = np.zeros(X.shape[1] + 2)
        b, w = (gamma[0], gamma[1:]) if self.ones else (0.0, gamma)
        kernel.squares(X, t, s, w * self._factor, b, self._shift, total)
        total[2:] *= self._factor
        return total if self.ones else np.delete(total, 1)

    def of_columns(self, gamma: Array) -> tuple[Array, Array, Array]:
        """((b, w), shift, factor) with [1, Z] gamma = b + (columns - shift) w; powers of two, factors round nothing."""
        model = np.append(gamma[0] if self.ones else 0.0, gamma[int(self.ones) :] * self._factor)
        return model, self._shift, self._factor

    def slope(self, products: Array) -> Array:
        """[1, Z]' g of the sum of g and the products of columns less their shift with g."""
        slope = np.append(products[:1], products[1:] * self._factor)
        return slope if self.ones else slope[1:]

    def residuals(self, X: Array, t: Array, gamma: Array) -> Array:
        """T - [1, Z] gamma of a block's `columns`."""
        r = np.empty(len(X))
        b, w = (gamma[0], gamma[1:]) if self.ones else (0.0, gamma)
        kernel.residuals(X, t, w * self._factor, b, self._shift, r)
        return r

    def grams(self, X: Array, t: Array, s: Array | None) -> Array:
        """The Gram matrix of [1, Z, t] of a block's `columns`, weighted."""
        G = gram(X, t, s, self._shift, self._factor)
        return G if self.ones else G[1:, 1:]

    def model(self, gamma: Array) -> tuple[Array, float]:
        """(w, b) of coordinates gamma, in the users' units; of equal models that with the smallest |w|."""
        w, first = np.zeros(self.rows.columns), 0.0
        if self.ones:
            first, gamma = float(gamma[0]), gamma[1:]
        w[slice(None) if self.kept is None else self.kept] = self.raw_weights(gamma)
        w *= self.factor / self.y_factor
        w = self._minimum_norm(w)
        if not self.intercept:
            return w, 0.0
        return w, float(self.y_shift + first / self.y_factor - np.add.reduce(w * self.shift))

    def move_model(self, w: Array, b: float, step: Array) -> tuple[Array, float]:
        """(w, b) after a step in the coordinates of [1, Z], before columns were orthonormalised."""
        change = np.zeros(self.rows.columns)
        change[slice(None) if self.kept is None else self.kept] = step[int(self.ones) :]
        change *= self.factor
        w, now = w + change, w
        if self.ones:
            b = b + float(step[0]) - float(np.add.reduce((w - now) * self.shift))
        return w, b

    def minimum_norm_model(self, w: Array, b: float) -> tuple[Array, float]:
        """The model of the smallest |w| among those that predict what (w, b) predicts."""
        if not self._null_space.size:
            return w, b
        least = self._minimum_norm(w)
        return least, b + float(np.add.reduce((w - least) * self.shift)) if self.intercept else 0.0

    def raw_step(self, step: Array) -> Array:
        """A step in the coordinates of these columns as one for `move_model`, in the unit of y."""
        first = int(self.ones)
        return np.append(step[:first], self.raw_weights(step[first:])) / self.y_factor

    def raw_units(self) -> tuple[Array, Array]:
        """Shift and factor of the columns before they were orthonormalised."""
        return (self._shift, self._factor) if self._raw_triangle is None else self._raw_units

    def raw_weights(self, weights: Array) -> Array:
        """The weights of the columns before they were orthonormalised."""
        return weights if self._raw_triangle is None else np.linalg.solve(self._raw_triangle, weights)

    def gamma(self, w: Array, b: float) -> Array:
        """The coordinates of a model; exact where no columns are left out."""
        weights = (w if self.kept is None else w[self.kept]) * self.y_factor
        weights = weights / self.raw_units()[1]
        if self._raw_triangle is not None:
            weights = self._raw_triangle @ weights
        if not self.ones:
            return weights
        return np.append((b - self.y_shift + float(np.add.reduce(w * self.shift))) * self.y_factor, weights)

    def solve(self, g: Array) -> Array:
        """gram[:k, :k]^-1 g."""
        return _solve(self.R, g)

    def solve_transposed(self, g: Array) -> Array:
        """R'^-1 g."""
        return np.linalg.solve(self.R.T, g) if len(self.R) else g

    def raw_factor(self) -> Array:
        """R of the columns before they were orthonormalised, by which rounding errors of the given rows are bounded."""
        if self._raw_triangle is None:
            return self.R
        inner = np.eye(self.rank)
        inner[int(self.ones) :, int(self.ones) :] = self._raw_triangle
        return self.R @ inner

    def rounding(self, gamma: Array) -> float:
        """A bound of the weighted 2-norm of the rounding errors of the residuals of the model gamma.

        Orthonormalised columns satisfy Q R = Z + E, E about the last bits of Z: a model of Z differs from that of Q by
        E times its weights, which are large where columns are nearly dependent.
        """
        size = np.sqrt(np.maximum(self.gram.diagonal(), 0))
        terms = np.abs(gamma) * size[:-1]
        if self._raw_triangle is not None:
            raw = self.raw_weights(gamma[int(self.ones) :])
            terms[int(self.ones) :] += np.abs(raw) * np.sqrt((self._raw_triangle**2).sum(axis=0))
        return 2 * EPS * (len(gamma) + 4) * float(size[-1] + terms.sum())


def power_of_two(size: Array) -> Array:
    """Powers of two that bring these sizes near 1; 1 for 0."""
    with np.errstate(all="ignore"):
        exponent = np.frexp(np.where((size > 0) & (size < np.inf), size, 0.5))[1]
    return np.ldexp(1.0, np.clip(-exponent, -1020, 1020))


def _cholesky(C: Array) -> tuple[Array, Array]:
    """R with R'R = C, and its squared pivots; fewer pivots than columns where C is not positive definite."""
    try:
        R = np.linalg.cholesky(C).T if len(C) else C
    except np.linalg.LinAlgError:
        return C, np.zeros(0)
    return R, R.diagonal() ** 2


def condition_of(R: Array) -> float:
    """A condition number: the sum over columns j of |R[:, j]| |R^-1[j, :]|, a term being 1 where j is orthogonal."""
    if not len(R):
        return 0.0
    with np.errstate(all="ignore"):
        try:
            inverse = np.linalg.inv(R)
        except np.linalg.LinAlgError:
            return float("inf")
        total = float((np.sqrt((R * R).sum(axis=0)) * np.sqrt((inverse * inverse).sum(axis=1))).sum())
    return total if np.isfinite(total) else float("inf")


def _solve(R: Array, g: Array) -> Array:
    return np.linalg.solve(R, np.linalg.solve(R.T, g)) if len(R) else g
