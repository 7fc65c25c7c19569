"""How a model is trained: the options that the linear methods step by step and the networks have in common."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypedDict

import numpy as np

from fastdl import _check, _threads
from fastdl._typing import Array, Progress

#: The optimizers of any function that trains; each function names its own in its docstring.
OPTIMIZERS = ("adam", "sgd", "gd", "momentum", "lbfgs")


def half_cosine(part: Array) -> Array:
    """Half of 1 + cos(pi part), by its series: the bits of NumPy's cosine are the processor's."""
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
        The factor of the step, where columns and y have mean 0 and spread 1. By default for networks 0.01 for Adam and
        0.05 for gradient descent; for `gradient_descent` 0.1 for Adam, else the inverse of the curvature at the start.
    momentum : float
        What gradient descent keeps of the last step, from 0 to below 1.
    schedule : {"cosine", "constant", "linear", "inverse", "step"} or callable
        What the learning rate is multiplied by when a part t of the training, from 0 to 1, is done:
        ``(1 + cos(pi t)) / 2``, 1, ``1 - t``, ``1 / (1 + 9 t)``, 0.1 to the number of thirds that are done; or
        ``schedule(t)``.
    batch_size : int, optional
        Rows of a step. By default 64 for networks, and all rows for `gradient_descent`.
    epochs : int, optional
        How often to go through the rows, at most. By default for networks as often as makes 20,000 steps, but 20 to
        1000 times; for `gradient_descent` 200 times.
    patience : int, optional
        Stop after so many epochs without a lower loss; by default never.
    seed : int
        Of everything that is drawn at random; the result depends on nothing else that is.
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
        """Fields as Python's own numbers: those of NumPy would make two equal records differ."""
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def rate_factors(self, parts: Array) -> Array:
        """What the learning rate is multiplied by when these parts (N,) of the training, from 0 to 1, are done."""
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
    """The record with the keywords of a call in it; what `known` does not list is an error that names the nearest."""
    for name in keywords:
        if name not in known.__annotations__:
            raise _unknown_keyword(function, name, [*known.__annotations__])
    if options is None:
        return TrainingOptions(**keywords)
    if not isinstance(options, TrainingOptions):
        raise _check.InputTypeError(f"options must be TrainingOptions, got {type(options).__name__}")
    return replace(options, **keywords)


def _unknown_keyword(function: Callable[..., Any], name: str, known: list[str]) -> _check.InputTypeError:
    parameters = inspect.signature(function).parameters.values()
    known += [parameter.name for parameter in parameters if parameter.kind is not parameter.VAR_KEYWORD]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else f"; its keywords are {', '.join(sorted(known))}"
    return _check.InputTypeError(f"{function.__name__} has no keyword {name!r}{hint}")
