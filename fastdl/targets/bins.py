"""Binned targets: numbers of a regression as classes of bins, and classes decoded to numbers."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from fastdl import _check
from fastdl._state_bytes import StateBytes
from fastdl._threads import ONE, split_rows, valid
from fastdl._typing import Array, ArrayLike, DTypeLike
from fastdl.targets import _label_codes
from fastdl.targets._bin_edges import contents, edges_of
from fastdl.targets._bin_search import BinSearch, bin_search, kernel
from fastdl.targets._quantile_sketch import SortedValues, ValueSample

STRATEGIES = ("uniform", "quantile", "mu-law", "kmeans")
VALUES = ("mean", "median", "middle")

_BLOCK = 1 << 18  # values of a block: large beside the cost of handing it to a thread, small enough for an even split
_KEPT = 1 << 24  # values up to which sorting for counts, means and medians is put off until somebody asks
_UINT8, _UINT16 = np.dtype(np.uint8), np.dtype(np.uint16)


class MergedBins(UserWarning):
    """Warned where edges coincided and were merged, so that there are fewer bins than were asked for."""


class BinnedTarget(StateBytes):
    """Bin numbers into classes 0 to K - 1, and decode classes to numbers.

    Bin k holds ``edges_[k] <= y < edges_[k + 1]``, the last bin its upper edge too; values beyond the edges go to the
    first or the last bin. The code is that of ``np.searchsorted(edges_[1:-1], y, side="right")``.

    Parameters
    ----------
    bins : int
        The number of bins, 1 to 65536.
    strategy : {"uniform", "quantile", "mu-law", "kmeans"}
        "uniform": equal widths from the minimum to the maximum, as np.linspace. "quantile": equal counts, edges as
        np.quantile. "mu-law": the classes of `mu_law_encode` for y divided by its largest magnitude, fine about 0 on
        both sides. "kmeans": edges midway between the means of neighbouring bins, by Lloyd's iteration until no value
        changes its bin. It starts from the quantiles, and from edges as dense as the cube root of the density (Panter
        and Dite, 1951), and takes the result with the lower squared error: deterministic, but not always the optimum.
    nan : "error" or int
        The code of NaN, if it has one. In `fit` and `update` NaN is then left out.
    dtype : integer dtype, optional
        The dtype of codes: by default uint8 for up to 256 bins, else uint16.
    sketch : int, optional
        The size of a quantile sketch, for streams larger than memory; by default all values are kept, 4 or 8 bytes
        each.

    Attributes
    ----------
    edges_ : ndarray of float64 (bins_ + 1,)
    bins_ : int
        The number of bins after duplicate edges were merged.
    merged_ : int
        How many fewer there are than asked for. Equal edges, which quantiles of often repeated values are, are merged,
        with the warning `MergedBins`; "kmeans" also drops bins that end up empty.
    counts_ : ndarray of int64 (bins_,)
        Training values in each bin.
    means_, medians_, middles_ : ndarray of float64 (bins_,)
        The values that `decode` can give for each bin; in an empty bin all three are the middle.

    Raises
    ------
    InputError
        For no values, NaN (without `nan`) and infinities in `fit`, naming the index.

    Notes
    -----
    Without `sketch`, edges and bins depend on the values alone: chunks, their order, merges and threads change no bit.
    With `sketch=s`, the rank of a quantile among N values is off by at most N log2(N / s) / (2 s) (0.01 % for s = 65536
    and N = 10^9), means, medians and counts are those of the sketch, and states merged from other chunks may differ
    within that bound; minimum and maximum, and so uniform and mu-law edges, stay exact. Up to s values a sketch is
    exact. For uniform and mu-law bins, counts, means and medians are computed when first asked for: until then up to
    2^24 values are kept. float32 y decodes to float32, all else to float64.

    References
    ----------
    Munro and Paterson, "Selection and sorting with limited storage", 1980: the sketch.

    Examples
    --------
    >>> import fastdl
    >>> price = fastdl.BinnedTarget(3, "quantile").fit([1.0, 2.0, 2.5, 4.0, 8.0, 90.0])
    >>> price.edges_.round(3)
    array([ 1.   ,  2.333,  5.333, 90.   ])
    >>> price.encode([0.0, 2.5, 1000.0])
    array([0, 1, 2], dtype=uint8)
    >>> price.decode([0, 1, 2])
    array([ 1.5 ,  3.25, 49.  ])
    >>> fastdl.streaming.run([[1.0, 2.0], [4.0]], fastdl.BinnedTarget(2, "uniform")).edges_
    array([1. , 2.5, 4. ])
    """

    edges_: Array

    def __init__(
        self,
        bins: int,
        strategy: str = "quantile",
        *,
        nan: str | int = "error",
        dtype: DTypeLike | None = None,
        sketch: int | None = None,
    ):
        self.bins = _check.integer("bins", bins, 1, 65536)
        self.strategy = _check.one_of("strategy", strategy, STRATEGIES)
        self.dtype = np.dtype(dtype) if dtype is not None else _UINT8 if self.bins <= 256 else _UINT16
        _check.dtype("dtype", self.dtype, ("i", "u"))
        limits = np.iinfo(self.dtype)
        if self.bins - 1 > limits.max:
            raise _check.InputError(f"{self.dtype} cannot count {self.bins} bins; choose a wider dtype")
        self.nan = nan if nan == "error" else _check.integer("nan", nan, int(limits.min), int(limits.max))
        self.sketch = None if sketch is None else _check.integer("sketch", sketch, 2)
        self._sample = ValueSample(self.sketch)
        self._rows = 0
        self._contents: tuple[Array, Array, Array] | None = None
        self._uncounted: ValueSample | None = None  # the values from which `_contents` is made when first asked for
        self._searches: dict[np.dtype, BinSearch] = {}

    def __getstate__(self) -> dict[str, Any]:
        if hasattr(self, "edges_"):
            self._counted()
        return {**vars(self), "_searches": {}}

    def fresh(self) -> BinnedTarget:
        """An empty state with the same settings."""
        return BinnedTarget(self.bins, self.strategy, nan=self.nan, dtype=self.dtype, sketch=self.sketch)

    def update(self, chunk: ArrayLike) -> BinnedTarget:
        """Take in numbers of any shape; returns itself."""
        self._take(chunk, copy=True)
        return self

    def _take(self, chunk: ArrayLike, copy: bool) -> None:
        y = _numbers("y", chunk).reshape(-1)
        kept = ~np.isnan(y) if self.nan != "error" and np.isnan(y).any() else slice(None)
        values = y[kept]
        low, high = (float(values.min()), float(values.max())) if len(values) else (np.inf, -np.inf)
        if len(values) and not (np.isfinite(low) and np.isfinite(high)):  # min and max of NaN are NaN
            at = int(np.flatnonzero(np.isinf(y) if self.nan != "error" else ~np.isfinite(y))[0])
            hint = " (or name a code for it by nan=)" if np.isnan(y[at]) else ""
            raise _check.InputError(f"y must be finite{hint}, got {y[at]} at index {self._rows + at}")
        self._sample.add(values, low, high, copy=copy)
        self._rows += len(y)

    def merge(self, other: BinnedTarget) -> BinnedTarget:
        """Take in the values another state saw; returns itself."""
        self._sample.merge(other._sample)
        self._rows += other._rows
        return self

    def finish(self) -> BinnedTarget:
        """Make the bins from the values so far; returns itself."""
        return self._make_bins(self._sample)

    def _make_bins(self, sample: ValueSample, *, copy: bool = False) -> BinnedTarget:
        """Make the bins from a sample; with `copy`, values that are needed later are copied, as they are the user's."""
        if not sample.count:
            raise _check.InputError("there were no values to make bins of")
        if not np.isfinite(sample.high - sample.low):
            raise _check.InputError(f"y must have a width within float64, got {sample.low} to {sample.high}")
        self._contents = self._uncounted = None
        if self.strategy in ("uniform", "mu-law") and sample.count <= _KEPT:  # minimum and maximum give the edges
            values = SortedValues(np.empty(0), None, sample.low, sample.high)
            self._uncounted = sample.frozen(copy=copy)
        else:
            values = sample.sorted()
        edges = np.unique(edges_of(values, self.bins, self.strategy))
        self.edges_ = edges if len(edges) > 1 else np.repeat(edges, 2)
        self.bins_ = len(self.edges_) - 1
        self.merged_ = self.bins - self.bins_
        if self._uncounted is None:
            self._contents = contents(values, self.edges_)
        self._value_dtype = np.dtype(sample.dtype)
        self._searches = {}
        if self.merged_:
            warnings.warn(
                f"{self.bins_} bins of {self.bins}: edges that fell together were merged", MergedBins, stacklevel=2
            )
        return self

    def fit(self, y: ArrayLike) -> BinnedTarget:
        """Make the bins from `y`, of any shape, alone; returns itself.

        A later `update` begins a new stream.
        """
        self._sample, self._rows = ValueSample(self.sketch), 0
        self._take(y, copy=False)
        try:
            return self._make_bins(self._sample, copy=True)
        finally:
            self._sample, self._rows = ValueSample(self.sketch), 0

    def _counted(self) -> tuple[Array, Array, Array]:
        """The count, mean and median of each bin, computed when first asked for."""
        edges, found, uncounted = self.edges_, self._contents, self._uncounted
        if found is None and uncounted is not None:
            self._contents = found = contents(uncounted.sorted(), edges)
            self._uncounted = None
        return found or self._contents  # type: ignore[return-value]  # another thread may have been first

    @property
    def counts_(self) -> Array:
        """Training values in each bin."""
        return self._counted()[0]

    @property
    def means_(self) -> Array:
        """The mean of the training values in each bin; in an empty bin its middle."""
        return self._counted()[1]

    @property
    def medians_(self) -> Array:
        """The median of the training values in each bin; in an empty bin its middle."""
        return self._counted()[2]

    @property
    def middles_(self) -> Array:
        """The middles of the bins."""
        return 0.5 * self.edges_[:-1] + 0.5 * self.edges_[1:]

    def encode(self, y: ArrayLike, *, out: Array | None = None, threads: int | None = 1) -> Array:
        """The bin of each number.

        Parameters
        ----------
        y : array_like of numbers, any shape
            Infinities go to the bins at the ends.
        out : ndarray, optional
            Where to write: of y's shape and the target's dtype.
        threads : int or None
            Threads to use; None means all this process may.

        Returns
        -------
        ndarray of integers, of y's shape

        Raises
        ------
        InputError
            For NaN, naming its index, unless `nan` gives it a code.
        """
        if (
            out is None
            and (threads is ONE or valid(threads))
            and isinstance(y, np.ndarray)
            and y.dtype in self._searches
        ):
            few = self._searches[y.dtype].run_few(y, self.dtype)
            if few is not None:
                return few
        self._fitted()
        values = _numbers("y", y)
        codes = _check.out("out", out, values.shape, self.dtype, y)
        arrays = values.ravel(), codes.ravel()
        if values.dtype not in self._searches:
            self._searches[values.dtype] = bin_search(self.edges_, values.dtype)
        ready, nan = self._searches[values.dtype], None if self.nan == "error" else self.nan

        def run(some: Array, to: Array) -> int:
            direct = to if self.dtype in (_UINT8, _UINT16) else np.empty(len(some), _UINT16)
            nans = ready.run(some, direct)
            if direct is not to:
                to[:] = direct
            if nans and nan is not None:
                to[np.isnan(some)] = nan
            return nans

        nans = sum(split_rows(run, arrays, threads, _BLOCK))
        if nans and nan is None:
            place = _label_codes.first(np.isnan(arrays[0]), values.shape)[1]
            raise _check.InputError(f"y must not hold NaN (or name a code for it by nan=), got one at index {place}")
        return codes

    def decode(self, z: ArrayLike, value: str = "mean", *, out: Array | None = None, threads: int | None = 1) -> Array:
        """The number each class stands for.

        Parameters
        ----------
        z : array_like of integers, any shape; or of floats, (N, bins_)
            Codes, or scores of each bin; of equal scores the lowest bin wins.
        value : {"mean", "median", "middle"}
            Which number: the mean or median of the training values in the bin, or the middle of its edges.
        out : ndarray, optional
            Where to write: of the codes' shape, float32 after a fit of float32, else float64.
        threads : int or None
            Threads to use; None means all this process may.

        Returns
        -------
        ndarray of float32 or float64
            Never NaN.

        Raises
        ------
        InputError
            For a code outside 0 to bins_ - 1, naming its index.
        """
        self._fitted()
        _check.one_of("value", value, VALUES)
        if out is None and (threads is ONE or valid(threads)):
            few = kernel.small_decode(z, getattr(self, f"{value}s_"), self.bins_, self._value_dtype)
            if few is not None:
                return few
        table = getattr(self, f"{value}s_").astype(self._value_dtype)
        codes = _label_codes.codes("z", z, self.bins_)
        result = _check.out("out", out, codes.shape, table.dtype, z)
        _label_codes.gather(table, codes.ravel(), result.ravel(), threads)
        return result

    def _fitted(self) -> None:
        if not hasattr(self, "edges_"):
            raise _check.InputError("the BinnedTarget is not fitted: call fit(y) or finish() first")


def _numbers(name: str, y: ArrayLike) -> Array:
    """`y` as float32 or float64."""
    x = _check.array(name, y, ("f", "i", "u", "b"))
    return x.astype(np.float32 if x.dtype.kind == "f" and x.itemsize <= 4 else np.float64, copy=False)
