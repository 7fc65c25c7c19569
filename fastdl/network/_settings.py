"""The settings of a training, checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastdl import _check, _threads
from fastdl._rows import Rows
from fastdl._typing import Array, Progress
from fastdl.network._losses import Loss
from fastdl.network._parameters import ACTIVATIONS

OPTIMIZERS = ("adam", "sgd")


def half_cosine(part: Array) -> Array:
    """Half of 1 + cos(pi part), by its series: the bits of NumPy's cosine are the processor's."""
    x = np.pi * (part - 0.5)
    z, sine = x * x, np.zeros_like(x)
    for k in range(17, 1, -2):
        sine = (1 + sine) * -z / (k * (k - 1))
    return 0.5 - 0.5 * x * (1 + sine)


SCHEDULES: dict[str, Callable[[Array], Array]] = {
    "constant": np.ones_like,
    "linear": lambda part: 1 - part,
    "cosine": half_cosine,
    "step": lambda part: np.array([1, 0.1, 0.01])[(part * 3).astype(int)],
}


@dataclass(frozen=True)
class TrainingSettings:
    """The checked arguments of `fit_network` that training needs."""

    loss: Loss
    hidden: tuple[int, ...]
    activation: str
    batch_size: int
    epochs: int | None
    learning_rate: float
    optimizer: str
    momentum: float
    schedule: Callable[[Array], Array]
    weight_decay: float
    patience: int | None
    window: int | None
    seed: int
    threads: int
    progress: Progress | None
    second: float = 0.999

    @classmethod
    def checked(
        cls,
        loss: Loss,
        hidden: int | Sequence[int],
        *,
        activation: str,
        batch_size: int,
        epochs: int | None,
        learning_rate: float | None,
        optimizer: str,
        momentum: float,
        schedule: str | Callable[[float], float],
        weight_decay: float,
        patience: int | None,
        window: int | None,
        seed: int,
        threads: int | None,
        progress: Progress | None,
    ) -> TrainingSettings:
        """Of a user's arguments."""
        return cls(
            loss=loss,
            hidden=_layer_sizes(hidden),
            activation=_check.one_of("activation", activation, ACTIVATIONS),
            batch_size=_check.integer("batch_size", batch_size, 1),
            epochs=None if epochs is None else _check.integer("epochs", epochs, 1),
            learning_rate=_rate(learning_rate, _check.one_of("optimizer", optimizer, OPTIMIZERS)),
            optimizer=optimizer,
            momentum=0.9 if optimizer == "adam" else _momentum(momentum),
            schedule=_schedule(schedule),
            weight_decay=_check.number("weight_decay", weight_decay, 0),
            patience=None if patience is None else _check.integer("patience", patience, 1),
            window=None if window is None else _check.integer("window", window, 1),
            seed=_check.integer("seed", seed, 0),
            threads=_threads.count(threads),
            progress=progress,
        )

    @property
    def first(self) -> float:
        """What is kept of the first moment."""
        return self.momentum

    @property
    def momentum_only(self) -> bool:
        """Whether there is one moment alone: gradient descent, not Adam."""
        return self.optimizer == "sgd"


def validation_rows(valid: Any, columns: int) -> tuple[float | None, Rows | None]:
    """The part of the rows to hold out, or other rows to validate on."""
    if valid is None or isinstance(valid, (int, float)):
        return None if valid is None else _check.number("valid", valid, 0, 1), None
    if not isinstance(valid, (tuple, list)) or len(valid) not in (2, 3):
        raise _check.InputTypeError(
            f"valid must be a number, (X, y) or (X, y, sample_weight), got {type(valid).__name__}"
        )
    others = Rows(*valid)
    if others.columns != columns:
        raise _check.InputError(f"valid must have {columns} columns, got {others.columns}")
    return None, others


def _rate(learning_rate: float | None, optimizer: str) -> float:
    if learning_rate is None:
        return {"adam": 0.01, "sgd": 0.05}[optimizer]
    return _check.number("learning_rate", learning_rate, 0, above=True)


def _schedule(schedule: str | Callable[[float], float]) -> Callable[[Array], Array]:
    if not callable(schedule):
        return SCHEDULES[_check.one_of("schedule", schedule, (*SCHEDULES,))]
    return lambda parts: np.array([_check.number("schedule(part)", schedule(float(part)), 0) for part in parts])


def _momentum(momentum: float) -> float:
    momentum = _check.number("momentum", momentum, 0)
    if momentum >= 1:
        raise _check.InputError(f"momentum must be below 1, got {momentum}")
    return momentum


def _layer_sizes(hidden: Any) -> tuple[int, ...]:
    sizes = hidden if isinstance(hidden, (tuple, list, np.ndarray)) else (hidden,)
    if not len(sizes):
        raise _check.InputError("hidden must have at least one layer, got none")
    return tuple(_check.integer("hidden", h, 1) for h in sizes)
