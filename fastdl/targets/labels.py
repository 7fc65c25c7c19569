"""Label targets: labels encoded as two values or as class numbers, and predictions decoded to labels.

Each target is an accumulator: `update` takes in a chunk, `merge` another state, `finish` makes it ready to `encode` and
`decode`; `fit` does all of that for one array.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

import numpy as np

from fastdl import _check
from fastdl._state_bytes import StateBytes
from fastdl._threads import ONE, count, valid
from fastdl._typing import Array, ArrayLike, DTypeLike
from fastdl.targets import _label_codes


class _Labels(StateBytes):
    """The base of label targets: the sorted labels seen so far, and the value that encodes each."""

    classes_: Array
    unknown: str | float

    def __init__(self) -> None:
        self._seen: Array | None = None
        self._table: Array | None = None  # the encoded value of each class
        self._encoders: dict[np.dtype, _label_codes.LabelEncoder] = {}  # made at the first labels of a dtype

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_encoders": {}}

    def fresh(self) -> Self:
        """An empty state with the same settings."""
        state = object.__new__(type(self))
        state.__dict__.update({k: v for k, v in vars(self).items() if not k.endswith("_")})
        _Labels.__init__(state)
        return state

    def update(self, chunk: ArrayLike) -> Self:
        """Take in labels of any shape; returns itself."""
        self._seen = _label_codes.learn("y", self._seen, _label_codes.read("y", chunk).reshape(-1))
        return self

    def merge(self, other: Self) -> Self:
        """Take in the labels another state saw; returns itself."""
        if other._seen is not None:
            self._seen = other._seen if self._seen is None else _label_codes.union("y", self._seen, other._seen)
        return self

    def finish(self) -> Self:
        raise NotImplementedError

    def _set_classes(self, values: Array) -> Self:
        """Make the labels so far the classes, in sorted order, encoded as `values`; returns itself."""
        self.classes_, self._table, self._encoders = np.array(self._seen), values, {}
        return self

    def fit(self, y: ArrayLike) -> Self:
        """Learn the labels of `y`, of any shape, alone; returns itself."""
        self._seen = None
        return self.update(y).finish()

    def encode(self, y: ArrayLike, *, out: Array | None = None, threads: int | None = 1) -> Array:
        """The encoded value of each label.

        Parameters
        ----------
        y : array_like, any shape
            Labels; they are compared by value, whatever their dtype.
        out : ndarray, optional
            Where to write: of y's shape and the dtype of the target.
        threads : int or None
            Threads to use; None means all this process may.

        Returns
        -------
        ndarray, of y's shape

        Raises
        ------
        InputError
            For a label that was not seen, naming it and its index, unless `unknown` gives it a value.
        InputTypeError
            For text where the labels are numbers, and the like.
        """
        if (
            out is None
            and isinstance(y, np.ndarray)
            and y.dtype in self._encoders
            and (threads is ONE or valid(threads))
        ):
            few = self._encoders[y.dtype].few(y)
            if few is not None:
                return few
        threads, table = count(threads), _fitted(self)
        labels = _label_codes.read("y", y)
        _label_codes.same_kind("y", labels, self.classes_)
        result = _check.out("out", out, labels.shape, table.dtype, y)
        flat, target = labels.ravel(), result.ravel()
        if not flat.size:
            return result
        encoder = self._encoders.get(labels.dtype)
        if encoder is None:
            missing = _label_codes.free(table) if isinstance(self.unknown, str) else self.unknown
            encoder = _label_codes.LabelEncoder(self.classes_, table, missing, labels.dtype)
            self._encoders[labels.dtype] = encoder
        missed = encoder.encode(flat, target, threads)
        if missed and isinstance(self.unknown, str):
            none = ~np.isin(flat, self.classes_) if encoder.missing is None else target == encoder.missing
            at, place = _label_codes.first(none, labels.shape)
            known = ", ".join(map(repr, self.classes_[:10].tolist())) + (", ..." if len(self.classes_) > 10 else "")
            raise _check.InputError(
                f"y must be one of the labels seen ({known}), got {flat[at].item()!r} at index {place}"
            )
        return result

    def _labels_of(self, codes: Array, z: ArrayLike, out: Array | None, threads: int | None) -> Array:
        """The labels of class numbers; `out` must not overlap z."""
        result = _check.out("out", out, codes.shape, self.classes_.dtype, z)
        _label_codes.gather(self.classes_, codes.ravel(), result.ravel(), threads)
        return result


class BinaryTarget(_Labels):
    """Two labels as two numbers: {0, 1}, {-1, 1}, or any other pair.

    Parameters
    ----------
    values : (float, float)
        The values that encode the negative and the positive label.
    positive : label, optional
        The positive label; by default the later of the two in sorted order (True, 1, "yes").
    unknown : "error" or float
        The value of a label that was not seen, if that is not an error.
    dtype : dtype, optional
        The dtype of the encoded array: by default int8 for whole numbers that fit, else the float that holds the values
        exactly, float32 or float64.

    Attributes
    ----------
    classes_ : ndarray (2,)
        The labels in sorted order.
    positive_ : label
        The positive one.

    Raises
    ------
    InputError
        For other than two distinct labels, equal values, values that the dtype does not hold.

    Notes
    -----
    A stream in chunks, in any order, and merged states give the same as one array. Changing values and predictions from
    {0, 1} to {-1, 1} doubles the residuals: a loss |r|^p changes by the factor 2^p, and nothing else does.

    Examples
    --------
    >>> import fastdl
    >>> spam = fastdl.BinaryTarget(values=(-1, 1)).fit(["ham", "spam", "ham"])
    >>> spam.encode(["spam", "ham"])
    array([ 1, -1], dtype=int8)
    >>> spam.decode([0.3, -2.0, 0.0])
    array(['spam', 'ham', 'ham'], dtype='<U4')
    """

    def __init__(
        self,
        values: tuple[float, float] = (0, 1),
        *,
        positive: object = None,
        unknown: str | float = "error",
        dtype: DTypeLike | None = None,
    ):
        super().__init__()
        try:
            low, high = values
        except (TypeError, ValueError):
            raise _check.InputError(f"values must be a pair, got {values!r}") from None
        pair = [_check.number("values", v) for v in (low, high)]
        if pair[0] == pair[1]:
            raise _check.InputError(f"values must differ, got {values!r}")
        self.values, self.positive, self.unknown = values, positive, _unknown(unknown)
        self.dtype = _number_dtype(pair if isinstance(self.unknown, str) else [*pair, self.unknown], values, dtype)

    def finish(self) -> Self:
        """Take the labels so far, which must be two, as the classes; returns itself."""
        seen = [] if self._seen is None else self._seen.tolist()
        if len(seen) != 2:
            what = ", ".join(map(repr, seen[:10])) or "none"
            raise _check.InputError(f"y must hold two distinct labels, got {len(seen)}: {what}")
        if self.positive is not None:
            _check.one_of("positive", self.positive, seen)
        up = self.positive is None or self.positive == seen[1]
        self.positive_ = seen[1 if up else 0]
        return self._set_classes(np.array(self.values if up else self.values[::-1]).astype(self.dtype))

    def decode(self, z: ArrayLike, *, out: Array | None = None, threads: int | None = 1) -> Array:
        """The label of each value or score.

        Parameters
        ----------
        z : array_like of numbers, any shape
            Encoded values, or scores: the label is that of the nearer of the two values. The middle itself gives the
            negative label, like the lower class of equal scores.
        out : ndarray, optional
            Where to write: of z's shape and the labels' dtype.
        threads : int or None
            Threads to use; None means all this process may.

        Returns
        -------
        ndarray of labels, of z's shape

        Raises
        ------
        InputError
            For NaN, naming its index.
        """
        low, high = _fitted(self).tolist()
        z = _check.array("z", z, ("i", "u", "f", "b"))
        if z.dtype.kind == "f" and np.isnan(z).any():
            raise _check.InputError(
                f"z must not hold NaN, got one at index {_label_codes.first(np.isnan(z), z.shape)[1]}"
            )
        middle = 0.5 * low + 0.5 * high
        if self.positive_ == self.classes_[1]:
            second = z > middle if high > low else z < middle
        else:
            second = z >= middle if high > low else z <= middle
        return self._labels_of(second.view(np.uint8), z, out, threads)


class ClassTarget(_Labels):
    """Labels as classes 0 to K - 1, in sorted order.

    Parameters
    ----------
    unknown : "error" or -1
        The code of a label that was not seen, if that is not an error.
    dtype : integer dtype
        The dtype of the encoded array: by default int64, which most losses and indexing need; a narrow one is faster.

    Attributes
    ----------
    classes_ : ndarray (K,)
        The labels: bool, integers, floats, str or bytes.

    Raises
    ------
    InputError
        For no labels, a NaN among them, and more classes than the dtype can number.
    InputTypeError
        For a mix of numbers and text.

    Notes
    -----
    A stream in chunks, in any order, and merged states give the same as one array. Integers in a small range are looked
    up in a table, other labels by a hash; both are exact. Labels are equal by value: 1, 1.0 and True are one class.

    Examples
    --------
    >>> import fastdl
    >>> animals = fastdl.ClassTarget(unknown=-1).fit(["dog", "cat", "dog", "owl"])
    >>> animals.encode(["owl", "cat", "cow"])
    array([ 2,  0, -1])
    >>> animals.decode([2, 0])
    array(['owl', 'cat'], dtype='<U3')
    >>> animals.decode([[0.1, 0.7, 0.2], [0.4, 0.2, 0.4]])
    array(['dog', 'cat'], dtype='<U3')
    """

    def __init__(self, *, unknown: str | int = "error", dtype: DTypeLike = np.int64):
        super().__init__()
        self.unknown = _check.one_of("unknown", unknown, ("error", -1))
        self.dtype = np.dtype(dtype)
        _check.dtype("dtype", self.dtype, ("i",) if unknown == -1 else ("i", "u"))

    def finish(self) -> Self:
        """Take the labels so far as the classes; returns itself."""
        if self._seen is None:
            raise _check.InputError("there were no labels to make classes of")
        if len(self._seen) - 1 > np.iinfo(self.dtype).max:
            raise _check.InputError(f"{self.dtype} cannot count {len(self._seen)} classes; choose a wider dtype")
        return self._set_classes(np.arange(len(self._seen), dtype=self.dtype))

    def decode(self, z: ArrayLike, *, out: Array | None = None, threads: int | None = 1) -> Array:
        """The label of each class, or of the largest score.

        Parameters
        ----------
        z : array_like of integers, any shape; or of floats, (N, K)
            Classes, or scores of each class; of equal scores the lowest class wins.
        out : ndarray, optional
            Where to write: of the result's shape and the labels' dtype.
        threads : int or None
            Threads to use; None means all this process may.

        Returns
        -------
        ndarray of labels, of z's shape or (N,)

        Raises
        ------
        InputError
            For a class outside 0..K-1, naming its index, and for a row of scores with NaN.
        """
        return self._labels_of(_label_codes.codes("z", z, len(_fitted(self))), z, out, threads)


def _fitted(target: _Labels) -> Array:
    """The encoded values of the classes; an error before finish()."""
    if target._table is None:
        raise _check.InputError(f"the {type(target).__name__} is not fitted: call fit(y) or finish() first")
    return target._table


def _unknown(value: str | float) -> str | float:
    """The setting `unknown`, checked: "error" or a number."""
    if isinstance(value, str):
        return _check.one_of("unknown", value, ("error",))
    return _check.number("unknown", value)


def _number_dtype(numbers: list[float], given: Iterable[float], dtype: DTypeLike | None) -> np.dtype:
    """The dtype asked for, which must hold the numbers exactly; by default the smallest that does."""
    whole = all(isinstance(v, (int, np.integer)) for v in given) and all(n == int(n) for n in numbers)
    candidates = [dtype] if dtype is not None else ["i1", "i2", "i4", "i8"] if whole else ["f4", "f8"]
    for candidate in [np.dtype(name) for name in candidates]:
        _check.dtype("dtype", candidate, ("i", "u", "f"))
        with np.errstate(all="ignore"):
            if np.array_equal(np.array(numbers).astype(candidate).astype(np.float64), numbers):
                return candidate
    raise _check.InputError(f"{np.dtype(candidates[-1])} does not hold {given!r} exactly")
