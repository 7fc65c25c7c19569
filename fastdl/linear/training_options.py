"""Training options: what the iterative linear methods and the networks have in common."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypedDict

import numpy as np

from fastdl import _check, _threads
from fastdl._typing import Array, Progress

#: The optimizers of all functions that train; each function's docstring names those it takes.
OPTIMIZERS = ("adam", "sgd", "gd", "momentum", "lbfgs")


def half_cosine(part: Array) -> Array:
    """(1 + cos(pi part)) / 2, by a Taylor series, because the last bits of NumPy's cosine depend on the processor."""
    x = np.pi * (part - 0.5)
    z, sine = x * x, np.zeros_like(x)
    for k in range(23, 1, -2):
        sine = (1 + sine) * -z / (k * (k - 1))
    return 0.5 - 0.5 * x * (1 + sine)


SCHEDULES: dict[str, Callable[[Array], Array]] = {
    "cosine": half_cosine,
    "constant": np.ones_like,
    "linear": lambda part: 1 - part,
    "inverse": lambda part: 1 / (1 + 9 * part),
    "step": lambda part: np.array([1, 0.1, 0.01])[np.minimum(part * 3, 2).astype(int)],
}


@dataclass(frozen=True)
class TrainingOptions:
    """How a model is trained, apart from the rows and the form of the model.

    `fit_network`, `fit_network_classifier`, `gradient_descent` and `random_search` take a record of these as
    ``options=``, and each field as a keyword too, which then comes before that of the record. `random_search` uses
    `seed`, `threads` and `progress` alone.

    Parameters
    ----------
    optimizer : str
        "adam" (Kingma and Ba, 2015: 0.9, 0.999); for networks also "sgd", gradient descent with `momentum`; for
        `gradient_descent` also "momentum", the same, "gd", without momentum, and "lbfgs", SciPy's L-BFGS, which takes
        all rows at once and chooses its steps itself.
    learning_rate : float, optional
        The step size, for columns and y of mean 0 and standard deviation 1. By default for networks 0.01 with Adam and
        0.05 with gradient descent; for `gradient_descent` 0.1 with Adam, else the inverse of the curvature at the
        start.
    momentum : float
        The share of the last step that gradient descent adds to the next, from 0 to below 1.
    schedule : {"cosine", "constant", "linear", "inverse", "step"} or callable
        The factor of the learning rate when a share t of the training, from 0 to 1, is done: ``(1 + cos(pi t)) / 2``;
        1; ``1 - t``; ``1 / (1 + 9 t)``; 1, 0.1 and 0.01 in the three thirds; or ``schedule(t)``.
    batch_size : int, optional
        Rows in a mini-batch. By default 64 for networks, and all rows for `gradient_descent`.
    epochs : int, optional
        The largest number of passes over the rows. By default for networks as many as make 20,000 steps, but from 20 to
        1000; for `gradient_descent` 200.
    patience : int, optional
        Stop after so many epochs without a lower loss; by default never.
    seed : int
        Seed of all random numbers; the same seed gives the same result.
    threads : int or None
        Threads to use; None means all this process may. The result is the same to the bit.
    progress : callable, optional
        Called after each epoch, or round, with a `fastdl.streaming.ProgressEvent`.

    Raises
    ------
    InputError, InputTypeError
        For a number out of its range, an unknown name.

    Examples
    --------
    >>> import fastdl
    >>> options = fastdl.TrainingOptions(epochs=50, seed=3)
    >>> X, y = [[0.0], [1.0], [2.0]], [1.0, 2.0, 5.0]
    >>> len(fastdl.gradient_descent(X, y, options=options).history["loss"])
    51
    >>> len(fastdl.gradient_descent(X, y, options=options, epochs=10).history["loss"])
    11
    """

    optimizer: str = "adam"
    learning_rate: float | None = None
    momentum: float = 0.9
    schedule: str | Callable[[float], float] = "cosine"
    batch_size: int | None = None
    epochs: int | None = None
    patience: int | None = None
    seed: int = 0
    threads: int | None = 1
    progress: Progress | None = None

    def __post_init__(self) -> None:
        _check.one_of("optimizer", self.optimizer, OPTIMIZERS)
        if self.learning_rate is not None:
            self._set(learning_rate=_check.number("learning_rate", self.learning_rate, 0, above=True))
        self._set(momentum=_check.number("momentum", self.momentum, 0, 1))
        if self.momentum == 1:
            raise _check.InputError("momentum must be below 1, got 1.0")
        if not callable(self.schedule):
            _check.one_of("schedule", self.schedule, SCHEDULES)
        if self.progress is not None and not callable(self.progress):
            raise _check.InputTypeError(f"progress must be callable, got {type(self.progress).__name__}")
        for name, least in (("batch_size", 1), ("epochs", 0), ("patience", 1)):
            value = getattr(self, name)
            if value is not None:
                self._set(**{name: _check.integer(name, value, least)})
        self._set(seed=_check.integer("seed", self.seed, 0))
        _threads.count(self.threads)

    def _set(self, **values: Any) -> None:
        """Set fields to Python's own numbers, so that equal records also look equal: NumPy's have another repr."""
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def rate_factors(self, parts: Array) -> Array:
        """The factors of the learning rate when these shares (N,) of the training, from 0 to 1, are done."""
        if not callable(self.schedule):
            return SCHEDULES[self.schedule](parts)
        found = [_check.number("schedule(part)", self.schedule(float(part)), 0) for part in parts]
        return np.array(found)


class RunKeywords(TypedDict, total=False):
    """The fields of `TrainingOptions` that every function uses, as keywords."""

    seed: int
    threads: int | None
    progress: Progress | None


class StepKeywords(TypedDict, total=False):
    """The fields of `TrainingOptions` about steps along a gradient, as keywords."""

    optimizer: str
    learning_rate: float | None
    momentum: float
    schedule: str | Callable[[float], float]
    batch_size: int | None
    epochs: int | None
    patience: int | None


class TrainingKeywords(RunKeywords, StepKeywords, total=False):
    """All fields of `TrainingOptions` as keywords."""


def merge_options(
    function: Callable[..., Any],
    options: TrainingOptions | None,
    keywords: Mapping[str, Any],
    known: type = TrainingKeywords,
) -> TrainingOptions:
    """The record with the keywords of a call in place of its fields; for an unknown one an error names the nearest."""
    for name in keywords:
        if name not in known.__annotations__:
            raise _unknown_keyword(function, name, [*known.__annotations__])
    if options is None:
        return TrainingOptions(**keywords)
    if not isinstance(options, TrainingOptions):
        raise _check.InputTypeError(f"options must be TrainingOptions, got {type(options).__name__}")
    return replace(options, **keywords)


def _unknown_keyword(function: Callable[..., Any], name: str, known: list[str]) -> _check.InputTypeError:
    import difflib  # takes milliseconds to load, and only an error needs it

    parameters = inspect.signature(function).parameters.values()
    known += [parameter.name for parameter in parameters if parameter.kind is not parameter.VAR_KEYWORD]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else f"; its keywords are {', '.join(sorted(known))}"
    return _check.InputTypeError(f"{function.__name__} has no keyword {name!r}{hint}")
