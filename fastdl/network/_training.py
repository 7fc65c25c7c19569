"""The training of a network: steps of an optimizer, epochs, and the parameters that are best in the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastdl import _check
from fastdl._typing import Array, Progress
from fastdl.linear._matrix import gram
from fastdl.network import _parameters
from fastdl.network._parameters import ACTIVATIONS, ParameterLayout, Window, generator, terms
from fastdl.network._scaling import Scaling
from fastdl.network._windows import TrainingWindows
from fastdl.reference import network as reference
from fastdl.streaming import ProgressEvent

OPTIMIZERS = ("adam", "sgd")


def _cosine(part: Array) -> Array:
    """Half of 1 + cos(pi part), by its series: the bits of NumPy's cosine are the processor's."""
    x = np.pi * (part - 0.5)
    z, sine = x * x, np.zeros_like(x)
    for k in range(17, 1, -2):
        sine = (1 + sine) * -z / (k * (k - 1))
    return 0.5 - 0.5 * x * (1 + sine)


SCHEDULES: dict[str, Callable[[Array], Array]] = {
    "constant": np.ones_like,
    "linear": lambda part: 1 - part,
    "cosine": _cosine,
    "step": lambda part: np.array([1, 0.1, 0.01])[(part * 3).astype(int)],
}
_CALL = 1 << 28  # multiplications in a call of the kernel, some tens of milliseconds: Ctrl-C waits for its end
_STEPS = 20_000  # that few epochs should come to
_LOWER = 8  # times in a row that the rate is halved before training is given up
_FAR = 1000.0  # times the loss of a constant: no start is so bad


@dataclass(frozen=True)
class TrainingSettings:
    """The checked arguments of `fit_network` that training needs."""

    p: Any
    activation: str
    batch_size: int
    epochs: int | None
    learning_rate: float
    optimizer: str
    momentum: float
    schedule: Callable[[Array], Array]
    weight_decay: float
    patience: int | None
    seed: int
    threads: int
    progress: Progress | None
    second: float = 0.999

    @property
    def own(self) -> bool:
        """Whether the loss is the user's own."""
        return hasattr(self.p, "terms")


class Steps:
    """The parameters on their way, and what the optimizer keeps of it."""

    def __init__(self, layout: ParameterLayout, flat: Array, settings: Any):
        self.layout, self.flat, self.settings = layout, flat, settings
        self.moments = np.zeros((2, layout.size), layout.dtype)
        self.powers = np.ones(2)  # of what Adam keeps of its moments, as many as steps were taken
        self._room = layout.work()

    def state(self) -> tuple[Array, ...]:
        """What `back` takes."""
        return self.flat.copy(), self.moments.copy(), self.powers.copy()

    def back(self, state: tuple[Array, ...]) -> None:
        """To an earlier state."""
        self.flat[:], self.moments[:], self.powers[:] = state

    def run(self, rows: Window, order: Array, rates: Array, unit: float, pull: float) -> Array:
        """One step for each of `rates`; the sums of the losses met and of the weights."""
        q, total = self.settings, np.zeros(2)
        steps = np.ones((len(rates), 3))
        steps[:, 0], steps[:, 2] = rates, 1 - rates * q.weight_decay
        if q.optimizer == "adam":
            powers = np.tile([q.momentum, q.second], (len(rates), 1))
            powers[0] *= self.powers
            powers = np.cumprod(powers, axis=0)
            self.powers = powers[-1]
            second = np.sqrt(1 - powers[:, 1])
            steps[:, 0] *= second / (1 - powers[:, 0])
            steps[:, 1] = 1e-8 * second
        at_once = max(1, _CALL // (3 * self.layout.size * q.batch_size))
        for k in range(0, len(rates), at_once):
            some = order[k * q.batch_size : (k + at_once) * q.batch_size]
            with np.errstate(over="ignore", invalid="ignore"):
                self._call(rows, some, steps[k : k + at_once], unit, pull, total)
        return total

    def _call(self, rows: Window, order: Array, steps: Array, unit: float, pull: float, total: Array) -> None:
        q, (X, y, s) = self.settings, rows
        if _parameters.kernel is None:
            moments = [self.layout.each(m) for m in self.moments]
            weights, biases = self.layout.views(self.flat)
            total += reference.train(
                X[:, : self.layout.columns],
                y,
                s,
                order,
                q.batch_size,
                weights,
                biases=biases,
                moments=moments,
                steps=steps,
                activation=q.activation,
                p=q.p.terms if q.own else q.p,
                unit=unit,
                pull=pull,
                optimizer=q.optimizer,
                first=q.momentum,
                second=q.second,
            )
            return
        which, own, p = ACTIVATIONS.index(q.activation), q.p.address if q.own else 0, 0.0 if q.own else q.p
        sgd = q.optimizer == "sgd"
        _parameters.kernel.train(
            X, y, s, order, q.batch_size, self.layout.sizes, which, p, own, unit, pull, sgd, q.momentum, q.second,
            steps, self.flat, self.moments, self._room, total,
        )  # fmt: skip


class Training:
    """Epochs over the windows of the rows, and what they bring."""

    def __init__(
        self,
        settings: TrainingSettings,
        layout: ParameterLayout,
        units: Scaling,
        windows: TrainingWindows,
        held: Window | None,
    ):
        self.settings, self.layout, self.units, self.windows, self.held = settings, layout, units, windows, held
        self.steps = Steps(layout, initial_parameters(layout, settings), settings)
        lengths = windows.lengths()
        self.per_epoch = sum(-(-n // settings.batch_size) for n in lengths)
        self.epochs = settings.epochs or min(max(_STEPS // self.per_epoch, 20), 1000)
        # A loss of the user's own has y's units inside; |r|^p is the same in any, but for a factor.
        self.unit, self.pull, self.factor = 1.0, 1.0, 1.0
        y = next(iter(windows))[1].astype(float)
        if settings.own:
            self.unit = units.spread
            size = np.abs(terms(self.unit * y, settings.p)[1]).mean()
            self.pull = 1 / size if size > 0 else 1.0
        else:
            self.factor = float(terms(np.array([units.spread]), settings.p)[0][0])
        self.limit = _FAR * max(1.0, float(terms(self.unit * y, settings.p)[0].mean()))
        names = ["train", "learning_rate", *([] if held is None else ["valid"])]
        self.history: dict[str, list[float]] = {name: [] for name in names}

    def run(self) -> tuple[Array, int]:
        """The parameters, and the epoch they are from."""
        q, lower, best, kept, at = self.settings, 1.0, np.inf, self.steps.flat, 0
        for epoch in range(self.epochs):
            before = self.steps.state()
            for _ in range(_LOWER):
                train, valid = self._epoch(epoch, lower)
                if np.isfinite(self.steps.flat).all() and train <= self.limit and (valid is None or np.isfinite(valid)):
                    break
                self.steps.back(before)
                lower /= 2
            else:
                raise _check.InputError(
                    f"training diverged in epoch {epoch}, even at a rate of {2 * lower * q.learning_rate:.2g}: "
                    "give a smaller learning_rate, or a p nearer to 2"
                )
            self._note(epoch, lower, train, valid)
            if valid is None:
                at = epoch
            elif valid < best:
                best, kept, at = valid, self.steps.flat.copy(), epoch
            elif q.patience is not None and epoch - at >= q.patience:
                break
        return kept, at

    def _epoch(self, epoch: int, lower: float) -> tuple[float, float | None]:
        """The mean losses of training and validation."""
        q, total, done = self.settings, np.zeros(2), 0
        for k, rows in enumerate(self.windows):
            order = generator(q.seed, 2, epoch, k).permutation(len(rows[1]))
            count = -(-len(order) // q.batch_size)
            rates = self._rates(epoch * self.per_epoch + done, count, lower)
            total += self.steps.run(rows, order, rates, self.unit, self.pull)
            done += count
        return total[0] / total[1], None if self.held is None else self.mean(self.held, self.steps.flat)

    def _rates(self, first: int, count: int, lower: float) -> Array:
        part = np.arange(first, first + count) / (self.per_epoch * self.epochs)
        return self.settings.learning_rate * lower * self.settings.schedule(part)

    def _note(self, epoch: int, lower: float, train: float, valid: float | None) -> None:
        now = {"train": train * self.factor, "learning_rate": float(self._rates(epoch * self.per_epoch, 1, lower)[0])}
        if valid is not None:
            now["valid"] = valid * self.factor
        for name, value in now.items():
            self.history[name].append(value)
        if self.settings.progress is not None:
            self.settings.progress(ProgressEvent(epoch + 1, self.epochs, "epochs", now["train"], details=now))

    def mean(self, rows: Window, flat: Array) -> float:
        """The mean loss of rows under given parameters, in units of the spread."""
        X, y, s = rows
        out = np.empty(len(y), self.layout.dtype)
        _parameters.values(self.layout, self.settings.activation, X, flat, out, None, threads=self.settings.threads)
        with np.errstate(over="ignore", invalid="ignore"):
            value = terms(self.unit * (y.astype(float) - out), self.settings.p)[0]
        return float(value.mean() if s is None else (s * value).sum() / s.sum(dtype=float))


def initial_parameters(layout: ParameterLayout, settings: TrainingSettings) -> Array:
    """First parameters: weights of a spread that keeps that of the values from layer to layer.

    The biases of the first layer put the bends of its units all over the data, not only in their middle.
    """
    flat = np.zeros(layout.size, layout.dtype)
    random = generator(settings.seed, 0)
    gain = 2.0 if settings.activation in ("relu", "gelu") else 1.0
    weights, biases = layout.views(flat)
    for k, (w, b) in enumerate(zip(weights[:-1], biases[:-1])):
        w[:] = random.uniform(-1, 1, w.shape) * np.sqrt(3 * gain / len(w))
        b[:] = random.uniform(-3, 3, b.shape) / (1 if k == 0 else 3)
    weights[-1][:] = random.uniform(-1, 1, weights[-1].shape) * np.sqrt(3 / len(weights[-1]))
    return flat


class LastLayer:
    """Least squares of the residuals by the features of the last layer: what its weights should change by."""

    def __init__(self, width: int):
        self.width = width
        self.sums = np.zeros((width + 2, width + 2))  # of the products of 1, the features and the residual

    def add(self, features: Array, residual: Array, s: Array | None) -> None:
        """Take in rows."""
        if len(residual):
            self.sums += gram(features, residual, s, np.zeros(self.width), np.ones(self.width))

    def change(self) -> tuple[Array, float]:
        """Of the weights and the bias.

        Elimination by hand, so that no LAPACK decides on the bits; along directions the features hardly have, the
        weights stay, for these would fit the rounding.
        """
        n, mean = self.width, self.sums[0] / self.sums[0, 0]
        system = (self.sums - self.sums[0, 0] * np.outer(mean, mean))[1:-1, 1:]
        system[:, :n][np.diag_indices(n)] += 1e-10 * np.trace(system[:, :n]) / n + 1e-300
        for k in range(n):
            system[k] /= system[k, k]
            others = np.arange(n) != k
            system[others] -= np.outer(system[others, k], system[k])
        return system[:, n], float(mean[-1] - (mean[1:-1] * system[:, n]).sum())
