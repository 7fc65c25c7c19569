"""Gradient descent, on all rows or in mini-batches: plain, with momentum, Adam, or L-BFGS."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Unpack

import numpy as np

from fastdl import _check
from fastdl._rows import Rows
from fastdl._typing import Array, ArrayLike, Loss, Progress, RowsLike
from fastdl.linear._standard_rows import StandardRows, block_sums
from fastdl.linear.methods._lower_bounds import certificate
from fastdl.linear.methods.random import model
from fastdl.linear.result import LpFit
from fastdl.linear.training_options import TrainingKeywords, TrainingOptions, merge_options
from fastdl.losses.custom import CustomLoss
from fastdl.losses.powers import PowerLoss, as_loss
from fastdl.streaming import ProgressEvent


def gradient_descent(
    X: RowsLike,
    y: ArrayLike | None = None,
    p: Loss = 2.0,
    *,
    tol: float = 1e-6,
    valid: Sequence[ArrayLike] | None = None,
    start: LpFit | tuple[ArrayLike, float] | None = None,
    sample_weight: ArrayLike | None = None,
    intercept: bool = True,
    options: TrainingOptions | None = None,
    **keywords: Unpack[TrainingKeywords],
) -> LpFit:
    """Minimize ``sum s |y - <w, x> - b|^p`` over linear models by gradient descent, Adam or L-BFGS.

    Parameters
    ----------
    X : array_like (N, D), or chunks
        The rows; or, without y, chunks (X, y) or (X, y, sample_weight): a list, or a function that returns an iterator.
    y : array_like, (N,)
        Targets.
    p : float or CustomLoss
        The power, above 0, or a loss of the user's own.
    tol : float
        With `patience`: the share by which the loss (on `valid`, if given) must fall to count as lower.
    valid : tuple (X, y) or (X, y, sample_weight), optional
        Validation rows, whose loss decides which model is best and when to stop.
    start : LpFit or (w, b), optional
        The first model; by default w = 0, and b the mean of y.
    sample_weight : array_like, (N,), optional
        s: a row of weight 0 counts as dropped, one of weight 2 as repeated.
    intercept : bool
        Whether the model has a constant b.
    options : TrainingOptions, optional
        How to train: `optimizer` ("adam", "gd", "momentum", "lbfgs"), `learning_rate`, `momentum`, `schedule`,
        `batch_size`, `epochs`, `patience`, `seed`, `threads`, `progress`.
    **keywords
        Fields of `TrainingOptions`, which override those of `options`.

    Returns
    -------
    LpFit
        The best model of any epoch. Its history has an entry for the start and each epoch: "loss", "gradient_norm" (of
        the mean loss, in the standardised coordinates that `learning_rate` refers to), "learning_rate" (at the start of
        the next epoch), "w", "b", and "valid_loss" with `valid`.

    Raises
    ------
    InputError, InputTypeError
        For values that are not finite, shapes that do not fit, p <= 0, an unknown name or keyword.
    MissingExtra
        For L-BFGS without SciPy.

    Notes
    -----
    A residual of 0 has gradient 0. With mini-batches the losses of the history are those of all rows at the end of the
    epoch, not averages over the epoch's models. Rows of arrays are shuffled into mini-batches by `seed` and the epoch;
    chunks are taken in their order. The epochs of L-BFGS are its iterations. `progress` is called before the first
    epoch too. For p < 1 there are many local minima: every model through as many rows as coefficients may be one.

    Examples
    --------
    >>> import fastdl
    >>> fit = fastdl.gradient_descent([[0.0], [1.0], [2.0]], [1.0, 2.0, 5.0], p=2)
    >>> print(fit.w.round(3), round(fit.b, 3), round(fit.certificate.gap, 3))
    [2.] 0.667 0.0
    """
    rows = Rows(X, y, sample_weight)
    return fit(rows, p, intercept=intercept, tol=tol, valid=valid, start=start, options=options, **keywords)


def fit(
    rows: Rows,
    p: Loss,
    *,
    intercept: bool = True,
    tol: float = 1e-6,
    valid: Sequence[ArrayLike] | None = None,
    start: LpFit | tuple[ArrayLike, float] | None = None,
    options: TrainingOptions | None = None,
    **keywords: Unpack[TrainingKeywords],
) -> LpFit:
    """`gradient_descent` for rows that are read already."""
    options = merge_options(gradient_descent, options, keywords)
    loss = as_loss(p)
    optimizer, batch_size = options.optimizer, options.batch_size
    _check.one_of("optimizer", optimizer, ("adam", "gd", "momentum", "lbfgs"))
    _check.integer("seed", options.seed, 0, 2**63 - 1)
    _check.number("tol", tol, 0)
    if batch_size is not None and optimizer == "lbfgs":
        raise _check.InputError(f"batch_size must be None with optimizer='lbfgs', got {batch_size}")
    problem = Problem(StandardRows(rows, intercept, options.threads, scale_y=loss.is_homogeneous), loss)
    measure = _validation_loss(valid, rows.columns, loss, options.threads)
    seen = TrainingHistory(problem, measure, tol, options.patience, options.progress)
    first = problem.vector(model(start, problem.standard))
    epochs = 200 if options.epochs is None else options.epochs
    if optimizer == "lbfgs":
        _lbfgs(problem, seen, first, epochs)
    else:
        rate = options.learning_rate or (0.1 if optimizer == "adam" else problem.rate(first))
        step = Adam() if optimizer == "adam" else Momentum(options.momentum if optimizer == "momentum" else 0.0)
        _descend(
            problem, seen, first, step, lambda t: rate * float(options.rate_factors(np.array([t]))[0]),
            epochs=epochs, batch_size=batch_size, seed=options.seed,
        )  # fmt: skip
    return seen.result(optimizer)


class Problem:
    """The mean loss of a model (v, c), one vector in the coordinates of `standard`, and its gradient."""

    def __init__(self, standard: StandardRows, loss: PowerLoss | CustomLoss):
        self.standard, self.loss, self.unit = standard, loss, standard.unit

    def vector(self, start: tuple[Array, float] | None) -> Array:
        v, c = start or (np.zeros(self.standard.columns), 0.0)
        return np.append(v, c) / self.unit

    def to_users_units(self, x: Array) -> tuple[Array, float]:
        return self.standard.to_users_units(x[:-1] * self.unit, float(x[-1] * self.unit))

    def block(self, x: Array, Z: Array, t: Array, s: Array | None) -> Array:
        """The loss on a block, and its derivatives by c and v."""
        return block_sums(Z, t, s, x[None, :-1] * self.unit, x[-1:] * self.unit, self.loss, gradient=True)[0]

    def __call__(self, x: Array) -> tuple[float, Array]:
        total = self.standard.total(lambda *block: self.block(x, *block)) + np.zeros(len(x) + 1)
        return self.mean(total, self.standard.weight)

    def mean(self, total: Array, weight: float) -> tuple[float, Array]:
        total = total / (weight or 1.0)
        return float(total[0]), np.append(total[2:], total[1] * self.standard.intercept) * self.unit

    def rate(self, x: Array) -> float:
        """A learning rate: the inverse of the largest curvature, for residuals of their p-mean size at x."""
        loss, _ = self(x)
        top = float(np.linalg.eigvalsh(self.standard.correlation).max(initial=0))
        bend = (max(top, float(self.standard.intercept)) or 1.0) * self.unit**2
        if self.loss.is_custom:
            return 1 / (2 * bend)
        p = self.loss.power
        size = loss ** (1 / p) if loss > 0 else 1.0
        return 1 / (p * max(1.0, p - 1) * bend * size ** (p - 2))

    def batches(self, size: int, seed: int, epoch: int) -> Iterator[tuple[Array, Array, Array | None]]:
        """The mini-batches of an epoch: rows in memory are shuffled anew, chunks taken in their order."""
        if not self.standard.rows.in_memory:
            for Z, t, s in self.standard.blocks():
                for i in range(0, len(t), size):
                    part = slice(i, i + size)
                    yield Z[part], t[part], None if s is None else s[part]
            return
        Z, t, s = self._whole()
        bits = np.random.Philox(key=np.array([seed, epoch], np.uint64))
        order = np.random.Generator(bits).permutation(len(t))
        for i in range(0, len(t), size):
            some = order[i : i + size]
            yield Z[some], t[some], None if s is None else s[some]

    def _whole(self) -> tuple[Array, Array, Array | None]:
        if not hasattr(self, "_rows"):
            self._rows = self.standard.gathered()
        return self._rows


class TrainingHistory:
    """The history of a training run, the best model so far, and whether to stop early."""

    def __init__(
        self,
        problem: Problem,
        valid: Callable[[Array, float], float] | None,
        tol: float,
        patience: int | None,
        progress: Progress | None,
    ):
        self.problem, self.valid, self.tol, self.patience, self.progress = problem, valid, tol, patience, progress
        self.seen: dict[str, list[Any]] = {"loss": [], "gradient_norm": [], "learning_rate": [], "w": [], "b": []}
        if valid is not None:
            self.seen["valid_loss"] = []
        self.least, self.stalled = np.inf, 0
        self.best: tuple[Array, float] | None = None

    def add(self, x: Array, loss: float, gradient: Array, rate: float) -> bool:
        """Record a model; returns whether to go on."""
        w, b = self.problem.to_users_units(x)
        standard = self.problem.standard
        factor = self.problem.loss.scale(standard.scale)
        entry: list[Any] = [loss * standard.weight * factor, float(np.sqrt((gradient * gradient).sum())), rate, w, b]
        score = loss
        if self.valid is not None:
            score = self.valid(w, b)
            entry.append(score)
        for values, value in zip(self.seen.values(), entry):
            values.append(value)
        self.stalled = 0 if score < self.least * (1 - self.tol) else self.stalled + 1
        if self.best is None or score < self.least:
            self.least, self.best = score, (w, b)
        if self.progress is not None:
            self.progress(ProgressEvent(len(self.seen["loss"]) - 1, unit="epochs", loss=entry[0]))
        return np.isfinite(score) and loss > 0 and (self.patience is None or self.stalled < self.patience)

    def result(self, optimizer: str) -> LpFit:
        standard, p = self.problem.standard, self.problem.loss.p
        assert self.best is not None
        w, b = self.best
        one, c = w[None], np.array([b])
        total = standard.rows.total(lambda X, y, s: block_sums(X, y, s, one, c, p)[0, 0], standard.threads)
        loss = 0.0 if total is None else float(total)
        history = {name: np.array(values) for name, values in self.seen.items()}
        if optimizer == "lbfgs":
            del history["learning_rate"]
        return LpFit(w, b, p, loss, certificate(loss, standard, w, b, p), optimizer, history)


def _validation_loss(
    valid: Sequence[ArrayLike] | None, columns: int, loss: PowerLoss | CustomLoss, threads: int | None
) -> Callable[[Array, float], float] | None:
    """The function (w, b) -> mean loss on the validation rows; None without such rows."""
    if valid is None:
        return None
    if not isinstance(valid, (tuple, list)) or len(valid) not in (2, 3):
        raise _check.InputTypeError(f"valid must be (X, y) or (X, y, sample_weight), got {type(valid).__name__}")
    rows = Rows(*valid)
    if rows.columns != columns:
        raise _check.InputError(f"X of valid must have {columns} columns, got {rows.columns}")

    def mean(w: Array, b: float) -> float:
        def work(X: Array, y: Array, s: Array | None) -> Array:
            return np.array([block_sums(X, y, s, w[None], np.array([b]), loss)[0, 0], len(X) if s is None else s.sum()])

        total = rows.total(work, threads)
        if total is None:
            raise _check.InputError("valid must have rows of weight above 0, got none")
        return float(total[0] / total[1])

    return mean


class Momentum:
    """Gradient descent with momentum: each step adds a share of the one before."""

    def __init__(self, momentum: float):
        self.momentum, self.velocity = momentum, np.zeros(1)

    def __call__(self, gradient: Array, rate: float) -> Array:
        self.velocity = self.momentum * self.velocity + gradient
        return -rate * self.velocity


class Adam:
    """Adam (Kingma and Ba, 2015), with their constants 0.9, 0.999 and 1e-8.

    Each derivative is divided by its own size, so that a mere rounding error would become a step like any other:
    derivatives below 1e-13 of the largest so far count as 0. The 1e-8 is relative to the largest so far, too, so that
    the unit of the loss does not matter.
    """

    def __init__(self) -> None:
        self.mean, self.square, self.largest, self.steps = np.zeros(1), np.zeros(1), 0.0, 0

    def __call__(self, gradient: Array, rate: float) -> Array:
        self.steps += 1
        self.largest = max(self.largest, float(np.abs(gradient).max(initial=0)))
        gradient = np.where(np.abs(gradient) > 1e-13 * self.largest, gradient, 0)
        self.mean = 0.9 * self.mean + 0.1 * gradient
        self.square = 0.999 * self.square + 0.001 * gradient**2
        size = np.sqrt(self.square / (1 - 0.999**self.steps))
        return -rate * (self.mean / (1 - 0.9**self.steps)) / (size + 1e-8 * (self.largest or 1.0))


def _descend(
    problem: Problem,
    seen: TrainingHistory,
    x: Array,
    step: Adam | Momentum,
    rate: Callable[[float], float],
    *,
    epochs: int,
    batch_size: int | None,
    seed: int,
) -> None:
    standard = problem.standard
    for epoch in range(epochs + 1):
        loss, gradient = problem(x)
        now = rate(epoch / max(1, epochs))
        if not seen.add(x, loss, gradient, now) or epoch == epochs:
            return
        if batch_size is None:
            x = x + step(gradient, now)
            continue
        done, count = 0, standard.count
        for batch in problem.batches(batch_size, seed, epoch):
            part = len(batch[1])
            _, gradient = problem.mean(problem.block(x, *batch), part * standard.weight / count)
            x = x + step(gradient, rate((epoch + done / count) / epochs))
            done += part


def _lbfgs(problem: Problem, seen: TrainingHistory, x: Array, epochs: int) -> None:
    """SciPy's L-BFGS-B, with every model it evaluates recorded; it stops where a line search fails, as at a kink."""
    optimize = _check.extra("scipy.optimize", "fit", "optimizer='lbfgs'")
    # SciPy's tolerances are absolute: dividing the loss by its value at the start makes them relative.
    unit = abs(problem(x)[0])
    unit = unit if 0 < unit < np.inf else 1.0

    def values(x: Array) -> tuple[float, Array]:
        loss, gradient = problem(x)
        if not seen.add(x, loss, gradient, 0.0):
            raise StopIteration
        return loss / unit, gradient / unit

    options = {"maxiter": epochs, "maxfun": 20 * max(1, epochs), "ftol": 1e-15, "gtol": 1e-12, "maxcor": 20}
    try:
        optimize.minimize(values, x, jac=True, method="L-BFGS-B", options=options)
    except StopIteration:
        return
