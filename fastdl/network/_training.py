"""The training of a network: steps of the optimizer, epochs, and the choice of the best parameters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fastdl import _check, _kernels, _threads
from fastdl._rows import Rows
from fastdl._typing import Array
from fastdl.network import _parameters
from fastdl.network._losses import CrossEntropy, Loss
from fastdl.network._parameters import ParameterLayout, TrainingRows, generator, softmax_terms, terms
from fastdl.network._scaling import Scaling
from fastdl.network._settings import TrainingSettings
from fastdl.network._windows import TrainingWindows
from fastdl.reference import network as reference
from fastdl.streaming import ProgressEvent

kernel = _kernels.load("network_training") or reference

_CALL = 1 << 28  # multiplications in a call of the kernel, some tens of milliseconds: Ctrl-C waits for its end
_PIECE = 128  # rows of a batch whose gradient one thread sums, the same as in the kernel
_ENDED = 24  # the index of the counter that tells threads that the work is done
_STEPS = 20_000  # steps that the default number of epochs makes, about
_LOWER = 8  # times in a row that the learning rate is halved before training is given up
_DIVERGED = 1000.0  # a loss of so many times that of a constant means that training diverged


class SharedMemory:
    """Memory that the threads of one training share: gradients of the pieces of a batch, scratch, counters."""

    def __init__(self, layout: ParameterLayout, settings: TrainingSettings):
        pieces = -(-settings.batch_size // _PIECE)
        self.threads = min(settings.threads, pieces)
        self.grads = np.empty((pieces, layout.size), layout.dtype)
        self.totals = np.zeros((pieces, 2))
        self.rooms = np.stack([layout.work() for _ in range(self.threads)])
        self.turned = np.empty(max(1, layout.between), layout.dtype)
        self.counters = np.zeros(32, np.int64)  # each counter in use has a cache line of its own

    def reset(self) -> None:
        """Reset the counters for a call of the kernel."""
        self.counters[:] = 0

    def end(self) -> None:
        """Tell the threads that share the work to return."""
        self.counters[_ENDED] = 1


class Steps:
    """The current parameters and the optimizer's moments, and steps that update them."""

    def __init__(self, layout: ParameterLayout, flat: Array, settings: TrainingSettings):
        self.layout, self.flat, self.settings = layout, flat, settings
        self.moments = np.zeros((2, layout.size), layout.dtype)
        self.powers = np.ones(2)  # beta1 and beta2 of Adam, to the power of the number of steps
        self._shared = SharedMemory(layout, settings)

    def state(self) -> tuple[Array, ...]:
        """A copy of the state, for `back`."""
        return self.flat.copy(), self.moments.copy(), self.powers.copy()

    def back(self, state: tuple[Array, ...]) -> None:
        """Return to an earlier state."""
        self.flat[:], self.moments[:], self.powers[:] = state

    def run(self, rows: TrainingRows, order: Array, rates: Array, loss: Loss) -> Array:
        """Take one step for each of `rates`; returns the sums of the batches' losses and of their weights."""
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
                self._call(rows, some, steps[k : k + at_once], loss, total)
        return total

    def _call(self, rows: TrainingRows, order: Array, steps: Array, loss: Loss, total: Array) -> None:
        """Call the kernel on all threads: the first one leads, the others take pieces of its work."""
        shared = self._shared
        shared.reset()
        task = (self.layout, loss, self.settings, shared)

        def take_part(part: int) -> None:
            try:
                kernel.train(part, task, rows, order, steps, self.flat, self.moments, total)
            finally:
                if part == 0:  # after Ctrl-C in the leading thread the others must not wait for work
                    shared.end()

        _threads.share(shared.threads, shared.threads, take_part)


class Training:
    """The epochs of a training, over the windows of the rows, and their history."""

    def __init__(
        self,
        settings: TrainingSettings,
        layout: ParameterLayout,
        units: Scaling,
        windows: TrainingWindows,
        held: TrainingRows | None,
    ):
        self.settings, self.layout, self.units, self.windows, self.held = settings, layout, units, windows, held
        self.steps = Steps(layout, initial_parameters(layout, settings), settings)
        lengths = windows.lengths()
        self.per_epoch = sum(-(-n // settings.batch_size) for n in lengths)
        self.epochs = settings.epochs or min(max(_STEPS // self.per_epoch, 20), 1000)
        self.loss, self.factor = settings.loss, 1.0
        y = next(iter(windows))[1].astype(float)
        if isinstance(self.loss, CrossEntropy):
            self.limit = _DIVERGED * max(1.0, np.log(layout.classes))
        else:
            self._scale_loss(y)
        names = ["train", "learning_rate", *([] if held is None else ["valid"])]
        self.history: dict[str, list[float]] = {name: [] for name in names}

    def _scale_loss(self, y: Array) -> None:
        """Scale the loss: |r|^p needs only a factor, a custom loss must get residuals in y's units."""
        spread = self.units.spread
        if self.loss.custom:
            size = np.abs(terms(spread * y, self.loss)[1]).mean()
            self.loss = replace(self.loss, unit=spread, pull=1 / size if size > 0 else 1.0)
        else:
            self.factor = float(terms(np.array([spread]), self.loss)[0][0])
        self.limit = _DIVERGED * max(1.0, float(terms(self.loss.unit * y, self.loss)[0].mean()))

    def run(self) -> tuple[Array, int]:
        """Train; returns the parameters and the epoch they are from."""
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
            total += self.steps.run(rows, order, rates, self.loss)
            done += count
        return total[0] / total[1], None if self.held is None else self.mean(self.held, self.steps.flat)

    def _rates(self, first: int, count: int, lower: float) -> Array:
        part = np.arange(first, first + count) / (self.per_epoch * self.epochs)
        return self.settings.learning_rate * lower * self.settings.rate_factors(part)

    def _note(self, epoch: int, lower: float, train: float, valid: float | None) -> None:
        now = {"train": train * self.factor, "learning_rate": float(self._rates(epoch * self.per_epoch, 1, lower)[0])}
        if valid is not None:
            now["valid"] = valid * self.factor
        for name, value in now.items():
            self.history[name].append(value)
        if self.settings.progress is not None:
            self.settings.progress(ProgressEvent(epoch + 1, self.epochs, "epochs", now["train"], details=now))

    def mean(self, rows: TrainingRows, flat: Array) -> float:
        """The mean loss of rows under given parameters, in units of the spread."""
        X, y, s = rows
        with np.errstate(over="ignore", invalid="ignore"):
            if isinstance(self.loss, CrossEntropy):
                logits = np.empty((len(y), self.layout.classes), self.layout.dtype)
                _parameters.values(self.layout, X, flat, None, logits, threads=self.settings.threads)
                value = softmax_terms(logits, y)[0]
            else:
                out = np.empty(len(y), self.layout.dtype)
                _parameters.values(self.layout, X, flat, out, threads=self.settings.threads)
                value = terms(self.loss.unit * (y.astype(float) - out), self.loss)[0]
        return float(value.mean() if s is None else (s * value).sum() / s.sum(dtype=float))


def initial_parameters(layout: ParameterLayout, settings: TrainingSettings) -> Array:
    """Initial parameters: random weights, scaled so that values keep their spread from layer to layer.

    The biases of the first layer spread the bends of its units over the range of the data.
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


def train_network(
    rows: Rows, settings: TrainingSettings, units: Scaling, others: Rows | None, *, validated: bool, classes: int = 0
) -> tuple[list[Array], list[Array], dict[str, Array], int]:
    """Train a network: (weights, biases) in the users' units, the history, and the epoch they are from."""
    dtype = np.float32 if rows.dtype.kind == "f" and rows.dtype.itemsize <= 4 else np.float64
    layout = ParameterLayout(rows.columns, settings.hidden, dtype, settings.activation, classes=classes)
    window = max(1, settings.max_bytes // (layout.dtype.itemsize * int(layout.sizes[0])))
    windows = TrainingWindows(units, layout, window)
    training = Training(settings, layout, units, windows, windows.held(others) if validated else None)
    flat, best = training.run()
    history = {name: np.array(values) for name, values in training.history.items()}
    return *units.to_users_units(layout, flat), history, best
