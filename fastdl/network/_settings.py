"""The settings of a training, checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fastdl import _check, _threads
from fastdl._rows import Rows
from fastdl._typing import Array, ArrayLike, Progress
from fastdl.linear.training_options import TrainingOptions
from fastdl.network._losses import Loss
from fastdl.network._parameters import ACTIVATIONS

# The default of `max_bytes`: bytes of X that are shuffled together.
WINDOW_BYTES = 1 << 28


#: The share of the rows to validate on, or validation rows: (X, y) or (X, y, sample_weight).
Validation = float | Sequence[ArrayLike | None] | None


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
    rate_factors: Callable[[Array], Array]
    weight_decay: float
    patience: int | None
    max_bytes: int
    seed: int
    threads: int
    progress: Progress | None
    second: float = 0.999

    @classmethod
    def checked(
        cls,
        loss: Loss,
        hidden: int | Sequence[int],
        options: TrainingOptions,
        *,
        activation: str,
        weight_decay: float,
        max_bytes: int | None = None,
    ) -> TrainingSettings:
        """The settings from a user's arguments, with the networks' defaults in place of None."""
        optimizer = _check.one_of("optimizer", options.optimizer, ("adam", "sgd"))
        return cls(
            loss=loss,
            hidden=_layer_sizes(hidden),
            activation=_check.one_of("activation", activation, ACTIVATIONS),
            batch_size=64 if options.batch_size is None else options.batch_size,
            epochs=None if options.epochs is None else _check.integer("epochs", options.epochs, 1),
            learning_rate=options.learning_rate or {"adam": 0.01, "sgd": 0.05}[optimizer],
            optimizer=optimizer,
            momentum=0.9 if optimizer == "adam" else options.momentum,
            rate_factors=options.rate_factors,
            weight_decay=_check.number("weight_decay", weight_decay, 0),
            patience=options.patience,
            max_bytes=WINDOW_BYTES if max_bytes is None else _check.integer("max_bytes", max_bytes, 1),
            seed=options.seed,
            threads=_threads.count(options.threads),
            progress=options.progress,
        )

    @property
    def first(self) -> float:
        """The decay rate of the first moment: beta1 of Adam, or the momentum."""
        return self.momentum

    @property
    def momentum_only(self) -> bool:
        """Whether only the first moment is used: gradient descent with momentum, not Adam."""
        return self.optimizer == "sgd"


def validation_rows(valid: Validation, columns: int) -> tuple[float | None, Rows | None]:
    """(share of the rows to hold out, None) or (None, given validation rows)."""
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


def _layer_sizes(hidden: int | Sequence[int] | Array) -> tuple[int, ...]:
    sizes = hidden if isinstance(hidden, (tuple, list, np.ndarray)) else (hidden,)
    if not len(sizes):
        raise _check.InputError("hidden must have at least one layer, got none")
    return tuple(_check.integer("hidden", h, 1) for h in sizes)
