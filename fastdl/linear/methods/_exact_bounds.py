"""Bounds of fits whose columns are nearly dependent, by sums of twice the precision.

A bound is evaluated on the rows as given and the model as returned, so that rounding errors of the fit do not matter.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fastdl._rows import Rows
from fastdl._typing import Array
from fastdl.linear import _exact_sums as exact_sums
from fastdl.linear._coordinates import EPS, Coordinates, condition_of
from fastdl.linear.result import Certificate, LpFit, times_power

EXACT = 4_000_000  # values up to which sums of twice the precision are affordable
_LOSS_BLUR = 1e-13  # of the loss: where the rounding errors of a plain pass are larger, such sums are worth their time
_BLUR = 5e-11  # of the root of a sum of squares
_CORRECTIONS = 4  # of a model by sums of twice the precision


def needs_exact_sums(coordinates: Coordinates) -> bool:
    """Whether columns are so nearly dependent that plain sums lose too many digits, and the rows are few enough."""
    few = coordinates.count * (coordinates.rank + 1) <= EXACT
    return few and coordinates.rank > 0 and EPS * condition_of(coordinates.raw_factor()) > _LOSS_BLUR


def blurs(coordinates: Coordinates, gamma: Array, loss: float) -> bool:
    """Whether the floats of a model, which are rounded, may have another sum of squares by 1e-10 of it."""
    first = int(coordinates.ones)
    raw = coordinates.raw_weights(gamma[first:])
    shift, factor = coordinates.raw_units()
    far = abs(coordinates.y_shift * coordinates.y_factor) + float(np.add.reduce(np.abs(raw * shift * factor)))
    off = EPS * (far + float(np.abs(gamma[:first]).sum())) * float(np.sqrt(coordinates.weight))
    off += coordinates.rounding(gamma) / (len(gamma) + 4)
    return bool(off > _BLUR * np.sqrt(loss))


def exact_slopes(coordinates: Coordinates, X: Array, g: Array) -> Array:
    """[1, Z]'g of rows as given, Z the columns of the coordinates before they were orthonormalised."""
    slopes = exact_sums.products(X, coordinates.shift, g) * np.append(1.0, coordinates.factor)
    kept = slopes[1:] if coordinates.kept is None else slopes[1:][coordinates.kept]
    return np.append(slopes[:1], kept) if coordinates.ones else kept


def exact_factor(coordinates: Coordinates, X: Array, s: Array) -> Array:
    """R of [1, Z], whose columns have means that are not 0: where they are far out, their shifts are rounded."""
    R = coordinates.raw_factor()
    if coordinates.ones:
        R = R.copy()
        R[0, 1:] = exact_slopes(coordinates, X, s)[1:] / R[0, 0]
    return R


def judge_squares(coordinates: Coordinates, rows: Rows, fit: LpFit) -> LpFit:
    """A least squares fit corrected, with loss and bound by sums of twice the precision for the model as returned.

    The loss of any model exceeds the minimum by |R'^-1 [1, Z]'r|^2, r its residuals; the same sums correct the model.
    """
    X, y, s = rows.gathered()
    s = np.ones(len(y)) if s is None else s
    R, w, b = exact_factor(coordinates, X, s), fit.w, fit.b
    # R itself has rounding errors, which grow as columns come near to dependent: a bound of the factor they make.
    doubt = 1 + 64 * EPS * condition_of(R)
    best, before = (fit.loss, fit.certificate.lower, w, b), np.inf
    with np.errstate(all="ignore"):
        for turn in range(_CORRECTIONS):
            r, rest = exact_sums.residual_pairs(X, y, w, b)
            loss = exact_sums.total(s * r * r)
            g, lost = exact_sums.two_product(s, r)
            slopes = exact_slopes(coordinates, X, g) + exact_slopes(coordinates, X, lost + s * rest)
            half = np.linalg.solve(R.T, slopes)
            gain = float(half @ half)
            lower = loss - doubt * doubt * gain - 64 * EPS * loss
            # A correction may be too small to change the loss; so the gain that is left decides whether to go on.
            if not np.isfinite(lower) or (turn and not (loss <= best[0] * (1 + 4 * EPS) and gain < before)):
                break
            best, before = (loss, lower, w, b), gain
            if gain <= 1e-36 * loss:
                break
            w, b = coordinates.move_model(w, b, np.linalg.solve(R, half))
    loss, lower, w, b = best
    certificate = Certificate.of(loss, max(lower, 0.0), "closed form")
    history = {**fit.history, "loss": np.append(fit.history["loss"][:-1], loss)}
    return replace(fit, w=w, b=b, loss=loss, certificate=certificate, history=history)


def judge_absolute(
    coordinates: Coordinates, rows: Rows, model: tuple[Array, float], dual: Array, lean: Array | float = 0.0
) -> tuple[float, float]:
    """The sum of s (|r| + lean r) of a model as returned, and a lower bound of it by dual values within -1 and 1.

    Both are by sums of twice the precision. Where [1, Z]' s (dual + lean) is not 0, the dual values are changed to make
    it 0. They may then exceed 1, so they are mixed with -lean, a dual solution of value 0.
    """
    X, y, s = rows.gathered()
    s = np.ones(len(y)) if s is None else s
    R = exact_factor(coordinates, X, s)
    with np.errstate(all="ignore"):
        r = exact_sums.residuals(X, y, *model)
        loss = exact_sums.total(s * (np.abs(r) + lean * r))
        a = s * (dual + lean)
        off = np.linalg.solve(R, np.linalg.solve(R.T, exact_slopes(coordinates, X, a)))
        Z = (X - coordinates.shift) * coordinates.factor
        Z = Z if coordinates.kept is None else Z[:, coordinates.kept]
        u = (off[0] + Z @ off[1:]) if coordinates.ones else Z @ off
        change = (1 + 64 * EPS * condition_of(R)) * float(np.abs(u).max(initial=0))
        absolute = exact_sums.total(s * np.abs(r))
        lower = (exact_sums.total(a * r) - change * absolute) * (
            1 - change / (1 + change - float(np.max(np.abs(lean))))
        )
        lower -= 16 * EPS * absolute
    return loss, max(0.0, lower) if np.isfinite(lower) else 0.0


def judge_power(coordinates: Coordinates, rows: Rows, fit: LpFit) -> LpFit:
    """A fit with p > 1, its loss and bound by sums of twice the precision for the model as returned.

    The slopes a of the loss are corrected until [1, Z]'a is a mere rounding error e; then no model has a p-norm of
    residuals below (<a, r> - |R'^-1 e| |R (change of the model)|) / |a|_q, by Hoelder's inequality.
    """
    p = float(fit.p)
    X, y, s = rows.gathered()
    s = np.ones(len(y)) if s is None else s
    R = exact_factor(coordinates, X, s)
    Z = (X - coordinates.shift) * coordinates.factor
    Z = Z if coordinates.kept is None else Z[:, coordinates.kept]
    Z = np.column_stack([np.ones(len(y)), Z]) if coordinates.ones else Z
    doubt = 1 + 64 * EPS * condition_of(R)
    with np.errstate(all="ignore"):
        r = exact_sums.residuals(X, y, fit.w, fit.b)
        most = float(np.abs(r).max())
        u = np.abs(r) / most
        loss = exact_sums.total(s * u**p)
        a = s * np.sign(r) * u ** (p - 1)
        bend = s * np.maximum(u, 1e-6) ** (p - 2)
        whitened = np.linalg.solve(R.T, Z.T).T
        for _ in range(3):
            half = np.linalg.solve(R.T, exact_slopes(coordinates, X, a))
            if not np.isfinite(half).all():  # beyond the range of floats: there is no bound
                break
            a = a - bend * (whitened @ np.linalg.lstsq((whitened * bend[:, None]).T @ whitened, half, rcond=None)[0])
        half = np.linalg.solve(R.T, exact_slopes(coordinates, X, a))
        q = p / (p - 1)
        size = exact_sums.total(s * (np.abs(a) / s) ** q) ** (1 / q)
        weight = float(s.sum()) if p >= 2 else float(s.min())
        reach = 2 * loss ** (1 / p) * weight ** (0.5 - 1 / p)
        dual = exact_sums.total(a * r / most) - doubt * reach * float(np.sqrt(half @ half))
        norm = dual / size if size > 0 else 0.0  # slopes that underflow prove nothing
        lower = max(norm, 0.0) ** p * (1 - 64 * p * EPS)
        loss, lower = (float(times_power(bound, most, p)) for bound in (loss, lower))
    if not np.isfinite(loss):  # what the fit knows by itself stays
        return fit
    if not np.isfinite(lower):
        lower = 0.0
    history = {**fit.history, "loss": np.append(fit.history["loss"][:-1], loss)}
    certificate = Certificate.of(loss, max(lower, fit.certificate.lower), fit.certificate.kind)
    return replace(fit, loss=loss, certificate=certificate, history=history)
