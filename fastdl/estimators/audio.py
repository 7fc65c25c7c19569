"""Mu-law encoding of waveforms as a scikit-learn transformer."""

from __future__ import annotations

from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import Tags

from fastdl import _check
from fastdl._typing import Array, ArrayLike, DTypeLike, TableLike
from fastdl.audio.mu_law import MU_LAW_DIALECTS, mu_law_decode, mu_law_encode
from fastdl.estimators._validation import validated_table


class MuLawEncoder(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Waveforms to the mu-law classes of WaveNet, and back: `fastdl.mu_law_encode` and `mu_law_decode`.

    Parameters
    ----------
    quantization_channels : int
        Q, the number of classes, 2 to 65536.
    dialect : {"wavenet", "librosa", "nnmnkwii", "nsynth"}
        As in `fastdl.mu_law_encode`.
    bits : int
        Bits of samples of int32, int64, uint32 or uint64, 2 to 32; other integers have the bits of their dtype.
    dtype : dtype
        The dtype of the samples that `inverse_transform` gives: float32, float64 or int16.
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
        dtype: DTypeLike = "float32",
        threads: int | None = 1,
    ):
        self.quantization_channels, self.dialect, self.dtype = quantization_channels, dialect, dtype
        self.bits, self.threads = bits, threads

    def fit(self, X: TableLike, y: object = None) -> MuLawEncoder:
        """Check the settings and the waveforms (N, T); nothing is learned. Returns itself."""
        _check.integer("quantization_channels", self.quantization_channels, 2, 65536)
        _check.one_of("dialect", self.dialect, MU_LAW_DIALECTS)
        validated_table(self, X, reset=True, dtype="numeric")
        return self

    def transform(self, X: TableLike) -> Array:
        """The classes of waveforms (N, T): integers, or floats of [-1, 1], which are clipped to it."""
        X = validated_table(self, X, reset=False, dtype="numeric")
        bits = self.bits if X.dtype.kind in "iu" and X.dtype.itemsize > 2 else None
        return mu_law_encode(X, self.quantization_channels, dialect=self.dialect, bits=bits, threads=self.threads)

    def inverse_transform(self, X: ArrayLike) -> Array:
        """The samples that the classes stand for, in the shape of X."""
        return mu_law_decode(
            X, self.quantization_channels, dialect=self.dialect, dtype=self.dtype, threads=self.threads
        )

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.transformer_tags.preserves_dtype = []
        return tags
