"""One-hot encoding of sequences as a scikit-learn transformer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from fastdl import _check
from fastdl._typing import Array, ArrayLike, DTypeLike
from fastdl.sequences.decoding import one_hot_decode
from fastdl.sequences.encoding import one_hot

#: Sequences in a list, a series, a column of a table, or rows of letters.
SequencesLike = Iterable[str | bytes | Array]


class NucleotideOneHot(TransformerMixin, BaseEstimator):
    """Sequences as one-hot columns, and back: `fastdl.one_hot` and `one_hot_decode`.

    Parameters
    ----------
    alphabet : str
        The letters of the channels, in order.
    unknown : {"zero", "uniform", "n-uniform", "iupac", "channel", "raise"}
        The encoding of other letters, as in `fastdl.one_hot`.
    case : {"fold", "strict"}
        Whether lower case counts as upper.
    length : int, optional
        The length that sequences are padded to with zeros; by default that of the longest in `fit`. Longer sequences
        are errors.
    flatten : bool
        Whether the result is (N, L A), a table, or (N, L, A).
    dtype : dtype
        The dtype of the result: bool, uint8, int8, float16, float32 or float64.
    threads : int or None
        Threads to use; None means all this process may.

    Attributes
    ----------
    length_ : int
        L, the length that sequences are padded to.

    Examples
    --------
    >>> from fastdl.estimators import NucleotideOneHot
    >>> coder = NucleotideOneHot()
    >>> coder.fit_transform(["AC", "GT"])
    array([[1., 0., 0., 0., 0., 1., 0., 0.],
           [0., 0., 1., 0., 0., 0., 0., 1.]], dtype=float32)
    >>> coder.get_feature_names_out()[:5].tolist()
    ['0_A', '0_C', '0_G', '0_T', '1_A']
    >>> coder.inverse_transform(coder.transform(["AC", "TT"])).tolist()
    ['AC', 'TT']
    """

    def __init__(
        self,
        alphabet: str = "ACGT",
        *,
        unknown: str = "zero",
        case: str = "fold",
        length: int | None = None,
        flatten: bool = True,
        dtype: DTypeLike = "float32",
        threads: int | None = 1,
    ):
        self.alphabet, self.unknown, self.case, self.length = alphabet, unknown, case, length
        self.flatten, self.dtype, self.threads = flatten, dtype, threads

    def fit(self, X: SequencesLike, y: object = None) -> NucleotideOneHot:
        """Learn the length of the sequences of X: a list or an array of N strings or bytes; returns itself."""
        sequences = _sequences(X)
        longest = max(map(len, sequences), default=0)
        self.length_ = longest if self.length is None else _check.integer("length", self.length, 1)
        if not self.length_:
            raise _check.InputError("X must hold at least one letter")
        self._encoded(sequences)
        return self

    def transform(self, X: SequencesLike) -> Array:
        """One-hot rows of N sequences: (N, L A), or (N, L, A) without `flatten`."""
        check_is_fitted(self)
        rows = self._encoded(_sequences(X))
        return rows.reshape(len(rows), -1) if self.flatten else rows

    def inverse_transform(self, X: ArrayLike) -> Array:
        """The sequences (N,) as str, each of length L; positions without a letter are N, or X for proteins."""
        check_is_fitted(self)
        X = _check.asarray("X", X)
        rows = X.reshape(len(X), self.length_, self._channels())
        letters = one_hot_decode(rows, alphabet=self.alphabet, unknown=self.unknown, threads=self.threads)
        return letters.view(f"S{self.length_}").reshape(-1).astype(str)

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> Array:
        """Names: the position, counted from 0, and the letter."""
        check_is_fitted(self)
        letters = [*self.alphabet, *["other"][: self._channels() - len(self.alphabet)]]
        return np.array([f"{k}_{letter}" for k in range(self.length_) for letter in letters], dtype=object)

    def _channels(self) -> int:
        return len(self.alphabet) + (self.unknown == "channel")

    def _encoded(self, sequences: list[Any]) -> Array:
        how: dict[str, Any] = {
            "alphabet": self.alphabet,
            "unknown": self.unknown,
            "case": self.case,
            "dtype": self.dtype,
        }
        return one_hot(sequences, **how, length=self.length_, threads=self.threads)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array, tags.input_tags.two_d_array, tags.input_tags.string = True, False, True
        tags.transformer_tags.preserves_dtype = []
        return tags


def _sequences(X: SequencesLike) -> list[Any]:
    """A list of str or bytes, from a list, a series, a column of a table, or rows of letters (N, L)."""
    if isinstance(X, (str, bytes)):
        raise _check.InputTypeError("X must be a list of sequences, got one; put it in a list")
    x = X if isinstance(X, (list, tuple)) or getattr(X, "ndim", 1) == 1 else np.asarray(X)
    if isinstance(x, np.ndarray):
        if x.ndim == 2 and x.shape[1] > 1 and x.dtype.str in ("|S1", "|u1"):
            return list(np.ascontiguousarray(x))
        if x.ndim not in (1, 2) or (x.ndim == 2 and x.shape[1] != 1):
            raise _check.InputError(f"X must hold one sequence a row, got shape {x.shape}")
        x = x.reshape(-1)
    texts = _check.texts("X", x)
    if texts is not None:
        return texts
    for k, sequence in enumerate(x):
        if not isinstance(sequence, (str, bytes, bytearray, memoryview, np.ndarray)):
            raise _check.InputTypeError(f"X must hold sequences, got {type(sequence).__name__} at index {k}")
    return list(x)
