"""Chunks of data larger than memory: the accumulator protocol, and `run`, the one place that drives them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar, runtime_checkable


@dataclass(frozen=True)
class ProgressEvent:
    """What a `progress=` callback is told, by every function that has one.

    Attributes
    ----------
    done : float
        How much is done, in `unit`.
    total : float or None
        How much there is to do, where that is known.
    unit : str
        What is counted: "chunks", "rows", "epochs", "candidates", "chapters".
    loss : float or None
        The training loss so far, of functions that train.
    details : dict
        What else the function can tell; its docstring names the keys.

    Examples
    --------
    >>> from fastdl.streaming import ProgressEvent
    >>> event = ProgressEvent(3, total=10, unit="epochs", loss=0.5)
    >>> f"{event.done} of {event.total} {event.unit}, loss {event.loss}"
    '3 of 10 epochs, loss 0.5'
    """

    done: float
    total: float | None = None
    unit: str = "chunks"
    loss: float | None = None
    details: dict[str, Any] = field(default_factory=dict)


@runtime_checkable
class Accumulator(Protocol):
    """A state that streams: a monoid, so that a loop, a thread pool and a cluster all use the same one."""

    def fresh(self) -> Any:
        """An empty state with the same settings: the neutral element of merge."""

    def update(self, chunk: Any) -> Any:
        """Take in one chunk; returns itself."""

    def merge(self, other: Any) -> Any:
        """Take in a state that saw the chunks after this one's; returns itself."""

    def finish(self) -> Any:
        """The result."""


T = TypeVar("T")


def run(
    chunks: Iterable[Any],
    step: Accumulator | Callable[[Any], T],
    writer: Callable[[T], Any] | None = None,
    *,
    executor: Executor | None = None,
    in_flight: int | None = None,
    progress: Callable[[ProgressEvent], Any] | None = None,
) -> Any:
    """Drive chunks through an accumulator or a function.

    Parameters
    ----------
    chunks : iterable
        What a reader yields; consumed as it is needed, never ahead of `in_flight`.
    step : Accumulator or callable
        An accumulator takes the chunks in; a callable maps one chunk to one result.
    writer : callable, optional
        Called with each result of a callable step, in the order of the chunks, in the calling thread.
        Without one the results are returned as a list.
    executor : concurrent.futures.Executor, optional
        Where the steps run: a thread pool, a process pool, or a Dask cluster's
        ``client.get_executor(pure=False, retries=3)``; by default the calling thread. Results, and the states of an
        accumulator, are put together in the order of the chunks. Dask runs the chunk of a worker that dies on another.
    in_flight : int, optional
        The largest number of chunks in the executor at once; 4 by default. Twice the workers keeps all of them busy.
    progress : callable, optional
        Called with a `ProgressEvent` when a chunk is done: `done` counts the chunks, `details["chunk"]` is the chunk.

    Returns
    -------
    object
        `step.finish()` of an accumulator; the list of results without a writer; else None.

    Notes
    -----
    The first error in chunk order stops the run and is the one that is raised; chunks not yet started are cancelled.

    Examples
    --------
    >>> from fastdl.streaming import run
    >>> run([[1, 2], [3]], sum)
    [3, 3]
    """
    accumulate = all(hasattr(step, name) for name in ("fresh", "update", "merge", "finish"))  # isinstance is slow
    results: list[Any] = []
    if accumulate:
        work: Callable[[Any], Any] = _Fresh(step) if executor else step.update  # type: ignore[union-attr]
        take: Callable[[Any], Any] = step.merge if executor else _ignore  # type: ignore[union-attr]
    else:
        work, take = step, writer or results.append  # type: ignore[assignment]

    for done, (chunk, result) in enumerate(_ordered(chunks, work, executor, in_flight or 4), start=1):
        take(result)
        if progress is not None:
            progress(ProgressEvent(done, details={"chunk": chunk}))
    if accumulate:
        return step.finish()  # type: ignore[union-attr]
    return results if writer is None else None


class _Fresh:
    """One chunk into an empty state; a class, so that it can be sent to another process."""

    def __init__(self, accumulator: Any):
        self.accumulator = accumulator.fresh()

    def __call__(self, chunk: Any) -> Any:
        return self.accumulator.fresh().update(chunk)


def _ignore(_: Any) -> None:
    """An accumulator in the calling thread has already taken the chunk in."""


def _ordered(chunks: Iterable[Any], work: Callable[[Any], Any], executor: Executor | None, in_flight: int) -> Any:
    """(chunk, result) in the order of the chunks, at most `in_flight` of them in the executor."""
    if executor is None:
        for chunk in chunks:
            yield chunk, work(chunk)
        return
    waiting: deque[tuple[Any, Future]] = deque()
    try:
        for chunk in chunks:
            waiting.append((chunk, executor.submit(work, chunk)))
            if len(waiting) >= in_flight:
                chunk, future = waiting.popleft()
                yield chunk, future.result()
        while waiting:
            chunk, future = waiting.popleft()
            yield chunk, future.result()
    finally:
        for _, future in waiting:
            future.cancel()
