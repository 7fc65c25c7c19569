"""What is no table yet, as columns of one: waveforms, sequences, clouds of points."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from fastdl import _check
from fastdl.audio.mu_law import MU_LAW_DIALECTS, mu_law_decode, mu_law_encode
from fastdl.estimators._validation import Array, table
from fastdl.points import _grid
from fastdl.points._reductions import Fold
from fastdl.points.reduction import voxel_grid
from fastdl.sequences.decoding import one_hot_decode
from fastdl.sequences.encoding import one_hot


class MuLawEncoder(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Waveforms to the mu-law classes of WaveNet, and back: `fastdl.mu_law_encode` and `mu_law_decode`.

    Parameters
    ----------
    quantization_channels : int
        Q, the number of classes, 2 to 65536.
    dialect : {"wavenet", "librosa", "nnmnkwii"}
        As in `fastdl.mu_law_encode`.
    bits : int
        Bits of the samples of int32, int64 and their unsigned kin, 2 to 32; others have those of their dtype.
    dtype : dtype
        Of the samples that `inverse_transform` gives: float32, float64 or int16.
    threads : int or None
        Threads to use; None means all this process may.

    Attributes
    ----------
    n_features_in_ : int
        The number of samples of each waveform.

    Examples
    --------
    >>> from fastdl.estimators import MuLawEncoder
    >>> encoder = MuLawEncoder()
    >>> codes = encoder.fit_transform([[-1.0, 0.0, 0.5]])
    >>> codes
    array([[  0, 128, 239]], dtype=uint8)
    >>> encoder.inverse_transform(codes).round(3)
    array([[-1.   ,  0.   ,  0.497]], dtype=float32)
    """

    def __init__(
        self,
        quantization_channels: int = 256,
        *,
        dialect: str = "wavenet",
        bits: int = 16,
        dtype: Any = "float32",
        threads: int | None = 1,
    ):
        self.quantization_channels, self.dialect, self.dtype = quantization_channels, dialect, dtype
        self.bits, self.threads = bits, threads

    def fit(self, X: Any, y: Any = None) -> MuLawEncoder:
        """Check the settings and the waveforms (N, T); nothing is learned. Returns itself."""
        _check.integer("quantization_channels", self.quantization_channels, 2, 65536)
        _check.one_of("dialect", self.dialect, MU_LAW_DIALECTS)
        table(self, X, reset=True, dtype="numeric")
        return self

    def transform(self, X: Any) -> Array:
        """The classes of waveforms (N, T): integers, or floats of [-1, 1], which are clipped to it."""
        X = table(self, X, reset=False, dtype="numeric")
        bits = self.bits if X.dtype.kind in "iu" and X.dtype.itemsize > 2 else None
        return mu_law_encode(X, self.quantization_channels, dialect=self.dialect, bits=bits, threads=self.threads)

    def inverse_transform(self, X: Any) -> Array:
        """The samples of classes, of their shape."""
        return mu_law_decode(
            X, self.quantization_channels, dialect=self.dialect, dtype=self.dtype, threads=self.threads
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.transformer_tags.preserves_dtype = []
        return tags


class NucleotideOneHot(TransformerMixin, BaseEstimator):
    """Sequences as one-hot columns, and back: `fastdl.one_hot` and `one_hot_decode`.

    Parameters
    ----------
    alphabet : str
        The letters of the channels, in order.
    unknown : {"zero", "uniform", "n-uniform", "iupac", "channel", "raise"}
        What another letter becomes, as in `fastdl.one_hot`.
    case : {"fold", "strict"}
        Whether lower case counts as upper.
    length : int, optional
        What sequences are padded to with zeros; by default that of the longest in `fit`. Longer ones are errors.
    flatten : bool
        Whether the result is (N, L A), a table, or (N, L, A).
    dtype : dtype
        Of the result: bool, uint8, int8, float16, float32 or float64.
    threads : int or None
        Threads to use; None means all this process may.

    Attributes
    ----------
    length_ : int
        L, what sequences are padded to.

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
        dtype: Any = "float32",
        threads: int | None = 1,
    ):
        self.alphabet, self.unknown, self.case, self.length = alphabet, unknown, case, length
        self.flatten, self.dtype, self.threads = flatten, dtype, threads

    def fit(self, X: Any, y: Any = None) -> NucleotideOneHot:
        """Learn the length of the sequences of X: a list or an array of N strings or bytes; returns itself."""
        sequences = _sequences(X)
        longest = max(map(len, sequences), default=0)
        self.length_ = longest if self.length is None else _check.integer("length", self.length, 1)
        if not self.length_:
            raise _check.InputError("X must hold at least one letter")
        self._encoded(sequences)
        return self

    def transform(self, X: Any) -> Array:
        """One-hot rows of N sequences: (N, L A), or (N, L, A) without `flatten`."""
        check_is_fitted(self)
        rows = self._encoded(_sequences(X))
        return rows.reshape(len(rows), -1) if self.flatten else rows

    def inverse_transform(self, X: Any) -> Array:
        """The sequences (N,) as str, of length L each; what is no letter of the alphabet is N."""
        check_is_fitted(self)
        X = _check.asarray("X", X)
        rows = X.reshape(len(X), self.length_, self._channels())
        letters = one_hot_decode(rows, alphabet=self.alphabet, unknown=self.unknown, threads=self.threads)
        return letters.view(f"S{self.length_}").reshape(-1).astype(str)

    def get_feature_names_out(self, input_features: Any = None) -> Array:
        """Names: the place, counted from 0, and the letter."""
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

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array, tags.input_tags.two_d_array, tags.input_tags.string = True, False, True
        tags.transformer_tags.preserves_dtype = []
        return tags


def _sequences(X: Any) -> list[Any]:
    """A list of str or bytes, from a list, a series, a column, or rows of letters (N, L)."""
    if isinstance(X, (str, bytes)):
        raise _check.InputTypeError("X must be a list of sequences, got one; put it in a list")
    x = X if isinstance(X, (list, tuple)) else np.asarray(X)
    if isinstance(x, np.ndarray):
        if x.ndim == 2 and x.shape[1] > 1 and x.dtype.str in ("|S1", "|u1"):
            return list(np.ascontiguousarray(x))
        if x.ndim not in (1, 2) or (x.ndim == 2 and x.shape[1] != 1):
            raise _check.InputError(f"X must hold one sequence a row, got shape {x.shape}")
        x = x.reshape(-1).tolist()
    for k, sequence in enumerate(x):
        if not isinstance(sequence, (str, bytes, bytearray, memoryview, np.ndarray)):
            raise _check.InputTypeError(f"X must hold sequences, got {type(sequence).__name__} at index {k}")
    return list(x)


class VoxelGridTransformer(TransformerMixin, BaseEstimator):
    """Clouds of points as rows of voxels: `fastdl.voxel_grid` of each.

    Parameters
    ----------
    voxel_size : float or three
        Edge of a voxel on x, y, z.
    point_range : six floats
        (x0, y0, z0, x1, y1, z1).
    reduce : str, sequence, or VoxelReducer
        As in `fastdl.voxel_grid`; the number of points by default.
    fill : float
        The value of empty voxels.
    flatten : bool
        Whether the result is (n, X Y Z K), a table, or (n, X, Y, Z, K).
    threads : int or None
        Threads to use; None means all this process may.

    Attributes
    ----------
    columns_ : int
        The number of columns of a point.
    grid_ : tuple
        (X, Y, Z, K).

    Examples
    --------
    >>> from fastdl.estimators import VoxelGridTransformer
    >>> clouds = [[[0.5, 0.5, 0.5], [0.7, 0.5, 0.5]], [[1.5, 0.5, 0.5]]]
    >>> grids = VoxelGridTransformer(1.0, (0, 0, 0, 2, 1, 1))
    >>> grids.fit_transform(clouds)
    array([[2., 0.],
           [0., 1.]])
    >>> grids.get_feature_names_out().tolist()
    ['0_0_0_count', '1_0_0_count']
    """

    def __init__(
        self,
        voxel_size: Any,
        point_range: Any,
        *,
        reduce: Any = ((0, "count"),),
        fill: float = 0.0,
        flatten: bool = True,
        threads: int | None = 1,
    ):
        self.voxel_size, self.point_range, self.reduce = voxel_size, point_range, reduce
        self.fill, self.flatten, self.threads = fill, flatten, threads

    def fit(self, X: Any, y: Any = None) -> VoxelGridTransformer:
        """Learn the number of columns from X, a list of clouds (N, C) or an array (n, N, C); returns itself."""
        clouds = _clouds(X)
        first = voxel_grid(clouds[0], self.voxel_size, self.point_range, reduce=self._plan(), fill=self.fill)
        self.columns_, self.grid_, self._dtype = clouds[0].shape[1], first.shape, first.dtype
        return self

    def transform(self, X: Any) -> Array:
        """The grids of n clouds: (n, X Y Z K), or (n, X, Y, Z, K) without `flatten`."""
        check_is_fitted(self)
        clouds = _clouds(X)
        result = np.empty((len(clouds), *self.grid_), self._dtype)
        for k, cloud in enumerate(clouds):
            if cloud.shape[1] != self.columns_:
                raise _check.InputError(f"clouds must have {self.columns_} columns, got {cloud.shape} at index {k}")
            how: dict[str, Any] = {"reduce": self._plan(), "fill": self.fill, "threads": self.threads}
            result[k] = voxel_grid(cloud, self.voxel_size, self.point_range, **how)
        return result.reshape(len(clouds), -1) if self.flatten else result

    def get_feature_names_out(self, input_features: Any = None) -> Array:
        """Names: the cell (x, y, z), and what it holds: "mean_0" is the mean of column 0."""
        check_is_fitted(self)
        fold = Fold(self._plan(), self.columns_, np.dtype(float), -1)
        if fold.reducer:
            held = [f"value_{k}" for k in range(self.grid_[-1])]
        else:
            held = [name if name == "count" else f"{name}_{column}" for column, name in fold.plan]
        cells = np.ndindex(*self.grid_[:3])
        return np.array([f"{x}_{y}_{z}_{h}" for x, y, z in cells for h in held], dtype=object)

    def _plan(self) -> Any:
        return list(self.reduce) if isinstance(self.reduce, tuple) else self.reduce

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.three_d_array = False, True
        tags.transformer_tags.preserves_dtype = []
        return tags


def _clouds(X: Any) -> list[Array]:
    try:
        clouds = [_grid.cloud(cloud) for cloud in X]
    except TypeError:
        raise _check.InputTypeError(f"X must be a list of clouds, got {type(X).__name__}") from None
    if not clouds:
        raise _check.InputError("X must hold at least one cloud")
    return clouds
