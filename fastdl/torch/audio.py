"""Audio in PyTorch: windows of recordings as mu-law classes, to train models that predict the next sample."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastdl import _check, _kernels
from fastdl._typing import Array
from fastdl.audio.mu_law import mu_law_encode
from fastdl.errors import FileError, InputError, InputTypeError
from fastdl.files.audio._open_files import OpenFiles
from fastdl.files.audio.conversion import as_floats
from fastdl.files.audio.recordings import SUFFIXES, open_audio, read_windows
from fastdl.reference import audio as reference
from fastdl.torch._batches import BatchMemory, WholeBatch
from fastdl.torch._epochs import Draws, Epochs, row_numbers

torch = _check.extra("torch", "torch", "fastdl.torch")
kernel = _kernels.load("audio") or reference
Dataset: Any = torch.utils.data.Dataset
_CACHED = 1 << 19  # samples converted at once: a window of 16,000 takes 10 us then, 11 with half as many
_LONGEST = 1 << 48  # samples
Tensor = Any  # torch.Tensor: torch may not be there where types are checked


class AudioWindows(Epochs, Dataset):
    """Windows of recordings: the classes of `length` samples, and as targets those one sample later.

    Only the samples of a window are read from its file. The 64 files that were read last stay open, anew in each
    process, so that workers may be forked or spawned and the data set may be pickled.

    Parameters
    ----------
    source : path, or iterable of paths
        A folder (searched with its subfolders), a text file with a path a line, relative to it, or the paths.
    length : int
        Samples of a window.
    quantization_channels : int
        Q, the number of mu-law classes.
    dialect : {"wavenet", "librosa", "nnmnkwii", "nsynth"}
        See `fastdl.mu_law_encode`.
    hop : int, optional
        Samples between the starts of windows; by default `length`. An epoch has as many windows with random crops, too.
    crops : {"random", "regular"}
        "random" moves every window by up to a hop, anew in each epoch (see `set_epoch`); "regular" leaves it.
    seed : int
        Of the crops: the window of an index depends on seed, epoch and index alone, not on the worker.
    rate : int, optional
        The rate that all recordings must have.
    dtype : torch.dtype
        Of classes and targets: int64, which embeddings and losses of PyTorch take; int32; or uint8, up to 256 classes,
        an eighth of the bytes that workers send: convert them beside the model (`codes.long()`).

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> from fastdl.files import WavWriter
    >>> from fastdl.torch import AudioWindows
    >>> path = os.path.join(tempfile.mkdtemp(), "x.wav")
    >>> with open(path, "wb") as file:
    ...     writer = WavWriter(file, rate=8000, channels=1)
    ...     writer.write(np.arange(100, dtype=np.int16))
    ...     writer.finish()
    >>> windows = AudioWindows([path], 32, crops="regular")
    >>> codes, targets = windows[0]
    >>> len(windows), codes.dtype, bool((codes[1:] == targets[:-1]).all())
    (3, torch.int64, True)
    """

    def __init__(
        self,
        source: Any,
        length: int,
        *,
        quantization_channels: int = 256,
        dialect: str = "wavenet",
        hop: int | None = None,
        crops: str = "random",
        seed: int = 0,
        rate: int | None = None,
        dtype: Any = torch.int64,
    ):
        super().__init__()
        self.length = _check.integer("length", length, 1, _LONGEST)
        self.hop = self.length if hop is None else _check.integer("hop", hop, 1, _LONGEST)
        self.crops = _check.one_of("crops", crops, ("random", "regular"))
        self.seed = _check.integer("seed", seed, 0)
        self._draws, self._memory = Draws(self.seed), BatchMemory()
        self.dtype = _check.one_of("dtype", dtype, (torch.int64, torch.int32, torch.uint8))
        self.quantization_channels, self.dialect = quantization_channels, dialect
        codes = mu_law_encode(np.zeros(1, np.int16), quantization_channels, dialect=dialect)  # checks both
        if self.dtype == torch.uint8 and codes.dtype != np.uint8:
            raise InputError(f"dtype must be int32 or int64 for {quantization_channels} classes, got uint8")
        self.recordings = [open_audio(path) for path in _paths(source)]
        self._files = OpenFiles()
        for recording in self.recordings:
            recording.files = self._files
        kinds = {recording.plain for recording in self.recordings}
        self._plain = (
            kinds.pop() if len(kinds) == 1 else None
        )  # the dtype of all samples, where all stand in their files
        wanted = self.recordings[0].rate if rate is None else _check.integer("rate", rate, 1)
        for recording in self.recordings:
            if recording.rate != wanted:
                like = f" as of {self.recordings[0].path}" if rate is None else ""
                raise InputError(f"{recording.path}: the rate must be {wanted}{like}, got {recording.rate}")
        # A window needs one sample more, for the last target.
        self._lasts = np.array([r.frames - 1 - self.length for r in self.recordings], np.int64)
        counts = np.maximum(self._lasts // self.hop + 1, 0)
        self._ends = np.cumsum(counts)
        self._firsts = self._ends - counts
        if not counts.any():
            raise InputError(f"no recording has the {self.length + 1} samples that a window and its target need")

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Classes and targets of a window, of shape (length,)."""
        codes, targets = self.batch([index])
        return codes[0], targets[0]

    def __getitems__(self, indices: Sequence[int]) -> Sequence[tuple[Tensor, Tensor]]:
        """The windows of a batch: PyTorch's loaders ask for them at once, and they are encoded together."""
        return WholeBatch(*self.batch(indices))

    def batch(self, indices: Any) -> tuple[Tensor, Tensor]:
        """Classes and targets of some windows, in one call.

        Parameters
        ----------
        indices : sequence of int
            Which; negative ones count from the end.

        Returns
        -------
        (Tensor, Tensor) of `dtype`, shape (B, length)
        """
        which, starts = self._places(row_numbers(indices, len(self)))
        both, (inputs, targets) = self._memory.empty((2, len(which), self.length), self.dtype)
        some = max(1, _CACHED // (self.length + 1))
        x = None if self._plain is None else np.empty((min(some, len(which)), self.length + 1), self._plain)
        for first in range(0, len(which), some):
            part = slice(first, min(first + some, len(which)))
            kernel.shift_codes(self._codes(which[part], starts[part], x), inputs[part], targets[part])
        return both[0], both[1]

    def _codes(self, which: list[int], starts: list[int], x: Array | None) -> Array:
        """The classes of windows, each with the sample after it; plain samples are read into `x`."""
        if x is None:
            rows = [self._encode(self._samples(k, start)) for k, start in zip(which, starts)]
            return np.stack(rows)
        x = x[: len(which)]
        read_windows([self.recordings[k] for k in which], starts, self._files, x)
        return self._encode(x)

    def _places(self, indices: Array) -> tuple[list[int], list[int]]:
        """The recording of each window, and its first sample there."""
        which = np.searchsorted(self._ends, indices, side="right")
        starts = (indices - self._firsts[which]) * self.hop
        if self.crops == "random":
            starts += self._draws.integers(self.epoch, indices, self.hop)
            starts = np.minimum(starts, self._lasts[which])
        return which.tolist(), starts.tolist()

    def _samples(self, recording: int, start: int) -> Array:
        """The samples of a window and the one after it, the mean of the channels."""
        x = self.recordings[recording].read(start, self.length + 1)
        return x if x.ndim == 1 else as_floats(x).mean(axis=1)

    def _encode(self, x: Array) -> Array:
        bits = 32 if x.dtype.kind == "i" and x.dtype.itemsize == 4 else None
        return mu_law_encode(x, self.quantization_channels, dialect=self.dialect, bits=bits)


def _paths(source: Any) -> list[Path]:
    """The recordings of a folder, a manifest or a list; at least one."""
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        if path.is_dir():
            found = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and _is_recording(p))
            if not found:
                raise InputError(f"{path} holds no file ending in {', '.join(SUFFIXES)}")
            return found
        if path.suffix.lower() in SUFFIXES:
            return [path]
        try:
            lines = _check.existing(path).read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise FileError(path, f"is no list of paths: {error}", error.start) from None
        found = [path.parent / line.strip() for line in lines if line.strip()]
        if not found:
            raise FileError(path, "names no recording")
        return found
    if isinstance(source, Iterable) and not isinstance(source, (bytes, bytearray)):
        given = list(source)
        if not given:
            raise InputError("source must name a recording, got none")
        if all(isinstance(path, (str, os.PathLike)) for path in given):
            return [Path(path) for path in given]
        source = next(path for path in given if not isinstance(path, (str, os.PathLike)))
    raise InputTypeError(f"source must be a folder, a manifest or paths, got {type(source).__name__}")


def _is_recording(path: Path) -> bool:
    """Whether a folder's entry is read: no folder, no pipe, none of macOS's; a link that leads nowhere is an error."""
    return path.name[:2] != "._" and (path.is_file() or (path.is_symlink() and not path.exists()))
