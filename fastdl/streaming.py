"""Data larger than memory, in chunks: the accumulator protocol, and `run`, which drives accumulators and functions."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Any, Protocol, Self, TypeVar, cast, overload, runtime_checkable

from fastdl import _dask
from fastdl._dask import LazyValue
from fastdl._typing import ArrayLike

Result = TypeVar("Result", covariant=True)
T = TypeVar("T")


@dataclass(frozen=True)
class ProgressEvent:
    """The argument of `progress=` callbacks.

    Attributes
    ----------
    done : float
        The work done, in `unit`.
    total : float or None
        The work to do in all, where it is known.
    unit : str
        The unit of work: "chunks", "rows", "epochs", "candidates", "chapters".
    loss : float or None
        The training loss so far, of functions that train.
    details : dict
        Further values; the function's docstring names the keys.

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
class Accumulator(Protocol[Result]):
    """The interface of states over a stream: a monoid, so that loops, threads and clusters can all use them."""

    def fresh(self) -> Self:
        """An empty state with the same settings: the neutral element of merge."""

    def update(self, chunk: Any, /) -> Self:
        """Take in one chunk; returns itself."""

    def merge(self, other: Any, /) -> Self:
        """Take in a state that saw the chunks after this one's; returns itself."""

    def finish(self) -> Result:
        """The result."""


@overload
def run(
    chunks: Iterable[Any],
    step: Accumulator[T],
    writer: None = None,
    *,
    executor: Executor | None = None,
    in_flight: int | None = None,
    progress: Callable[[ProgressEvent], Any] | None = None,
) -> T: ...


@overload
def run(
    chunks: Iterable[Any],
    step: Callable[[Any], T],
    writer: None = None,
    *,
    executor: Executor | None = None,
    in_flight: int | None = None,
    progress: Callable[[ProgressEvent], Any] | None = None,
) -> list[T]: ...


@overload
def run(
    chunks: Iterable[Any],
    step: Callable[[Any], T],
    writer: Callable[[T], Any],
    *,
    executor: Executor | None = None,
    in_flight: int | None = None,
    progress: Callable[[ProgressEvent], Any] | None = None,
) -> None: ...


def run(
    chunks: Iterable[Any],
    step: Accumulator[Any] | Callable[[Any], Any],
    writer: Callable[[Any], Any] | None = None,
    *,
    executor: Executor | None = None,
    in_flight: int | None = None,
    progress: Callable[[ProgressEvent], Any] | None = None,
) -> Any:
    """Drive chunks through an accumulator or a function.

    Parameters
    ----------
    chunks : iterable, or Dask array or frame
        The chunks, as of a reader; they are consumed as needed, at most `in_flight` ahead. Dask's delayed values, and
        the parts of its collections, are computed where the step runs: their data does not pass through the calling
        process.
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
    work: Callable[[Any], Any]
    take: Callable[[Any], Any]
    if accumulate:
        state = cast(Accumulator[Any], step)
        work = _Fresh(state) if executor else _Loaded(state.update)
        take = state.merge if executor else _ignore
    else:
        work, take = _Loaded(cast(Callable[[Any], Any], step)), writer or results.append
    if _dask.is_lazy(chunks):
        chunks = _dask.row_chunks(chunks)

    for done, (chunk, result) in enumerate(_ordered(chunks, work, executor, in_flight or 4), start=1):
        take(result)
        if progress is not None:
            progress(ProgressEvent(done, details={"chunk": chunk}))
    if accumulate:
        return state.finish()
    return results if writer is None else None


def dask_chunks(
    X: LazyValue, y: LazyValue | ArrayLike | None = None, sample_weight: LazyValue | ArrayLike | None = None
) -> list[Any]:
    """The parts of Dask collections as chunks, for `run` and for functions that take chunks, such as `fit_lp`.

    Parameters
    ----------
    X : dask.array.Array (N, ...) or dask.dataframe
        Its parts along the rows become the chunks.
    y, sample_weight : dask.array.Array, dask Series or array_like, (N,), optional
        Cut as X is; of frames, whose lengths are not known, they must have the same parts.

    Returns
    -------
    list
        Delayed values, or tuples of them (X, y, sample_weight): nothing is computed before a chunk is used, by the
        worker that uses it.

    Raises
    ------
    InputError
        For parts or lengths that differ.

    Examples
    --------
    >>> import dask.array
    >>> import fastdl
    >>> X = dask.array.ones((6, 2), chunks=(4, 1)).cumsum(axis=0)
    >>> chunks = fastdl.streaming.dask_chunks(X, 2 * X[:, 0] + 1)
    >>> fit = fastdl.streaming.run(chunks, fastdl.GramAccumulator())
    >>> len(chunks), fit.w.round(9), round(fit.b, 9)
    (2, array([1., 1.]), 1.0)
    """
    return _dask.row_chunks(X, y, sample_weight)


class _Fresh:
    """Takes one chunk into an empty state; a class, because functions within functions cannot be pickled."""

    def __init__(self, accumulator: Accumulator[Any]):
        self.accumulator = accumulator.fresh()

    def __call__(self, chunk: object) -> Accumulator[Any]:
        return self.accumulator.fresh().update(_dask.compute_chunk(chunk))


class _Loaded:
    """A step that computes delayed chunks first; a class, because functions within functions cannot be pickled."""

    def __init__(self, step: Callable[[Any], Any]):
        self.step = step

    def __call__(self, chunk: object) -> Any:
        return self.step(_dask.compute_chunk(chunk))


def _ignore(_: object) -> None:
    """An accumulator in the calling thread has already taken the chunk in."""


def _ordered(
    chunks: Iterable[Any], work: Callable[[Any], T], executor: Executor | None, in_flight: int
) -> Iterator[tuple[Any, T]]:
    """(chunk, result) in the order of the chunks, at most `in_flight` of them in the executor."""
    if executor is None:
        for chunk in chunks:
            yield chunk, work(chunk)
        return
    submitted: deque[tuple[Any, Future[T]]] = deque()
    try:
        for chunk in chunks:
            submitted.append((chunk, executor.submit(work, chunk)))
            if len(submitted) >= in_flight:
                chunk, future = submitted.popleft()
                yield chunk, future.result()
        while submitted:
            chunk, future = submitted.popleft()
            yield chunk, future.result()
    finally:
        for _, future in submitted:
            future.cancel()
