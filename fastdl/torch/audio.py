"""Audio in PyTorch: windows of recordings as mu-law classes, to train models that predict the next sample."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastdl import _check
from fastdl._typing import Array
from fastdl.audio.mu_law import mu_law_encode
from fastdl.errors import InputError, InputTypeError
from fastdl.files.audio.conversion import as_floats
from fastdl.files.audio.recordings import SUFFIXES, open_audio
from fastdl.torch._epochs import Draws, Epochs

torch = _check.extra("torch", "torch", "fastdl.torch")
Dataset: Any = torch.utils.data.Dataset
Tensor = Any  # torch.Tensor: torch may not be there where types are checked


class AudioWindows(Epochs, Dataset):
    """Windows of recordings: the classes of `length` samples, and as targets those one sample later.

    Only the samples of a window are read from its file. Files are opened at each read, so that workers may be forked
    or spawned and the data set may be pickled.

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
    ):
        super().__init__()
        self.length = _check.integer("length", length, 1)
        self.hop = self.length if hop is None else _check.integer("hop", hop, 1)
        self.crops = _check.one_of("crops", crops, ("random", "regular"))
        self.seed = _check.integer("seed", seed, 0)
        self._draws = Draws(self.seed)
        self.quantization_channels, self.dialect = quantization_channels, dialect
        mu_law_encode(np.zeros(1, np.int16), quantization_channels, dialect=dialect)  # checks both
        self.recordings = [open_audio(path) for path in _paths(source)]
        rates = {r.rate: r.path for r in self.recordings} if rate is None else {rate: None}
        for recording in self.recordings:
            if recording.rate not in rates or len(rates) > 1:
                wanted = "the same for all" if rate is None else rate
                raise InputError(f"{recording.path}: the rate must be {wanted}, got {sorted(rates)}, {recording.rate}")
        # A window needs one sample more, for the last target.
        counts = [max(0, (r.frames - 1 - self.length) // self.hop + 1) for r in self.recordings]
        self._ends = np.cumsum(counts).tolist()
        if not self._ends or self._ends[-1] == 0:
            raise InputError(f"no recording has the {self.length + 1} samples that a window and its target need")

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Classes and targets of a window, int64 of shape (length,)."""
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[tuple[Tensor, Tensor]]:
        """The windows of a batch: PyTorch's loaders ask for them at once, and they are encoded together."""
        rows = [self._samples(index) for index in indices]
        together = np.stack(rows) if len({x.dtype for x in rows}) == 1 else None
        codes = [self._codes(x) for x in rows] if together is None else self._codes(together)
        both = torch.from_numpy(np.asarray(codes, np.int64))
        return list(zip(both[:, :-1], both[:, 1:]))

    def _samples(self, index: int) -> Array:
        """The samples of a window and the one after it, the mean of the channels."""
        index = _check.integer("index", index, -len(self), len(self) - 1) % len(self)
        which = bisect_right(self._ends, index)
        recording = self.recordings[which]
        start = (index - (self._ends[which - 1] if which else 0)) * self.hop
        if self.crops == "random":
            last = recording.frames - 1 - self.length
            start = min(last, start + self._draws.integer(self.epoch, index, self.hop))
        x = recording.read(start, self.length + 1)
        return x if x.ndim == 1 else as_floats(x).mean(axis=1)

    def _codes(self, x: Array) -> Array:
        bits = 32 if x.dtype.kind == "i" and x.dtype.itemsize == 4 else None
        return mu_law_encode(x, self.quantization_channels, dialect=self.dialect, bits=bits)


def _paths(source: Any) -> Iterator[Path]:
    """The recordings of a folder, a manifest or a list."""
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        if path.is_dir():
            found = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.name[:2] != "._")
            if not found:
                raise InputError(f"{path} holds no file ending in {', '.join(SUFFIXES)}")
            yield from found
        elif path.suffix.lower() in SUFFIXES:
            yield path
        else:
            lines = _check.existing(path).read_text(encoding="utf-8").splitlines()
            yield from (path.parent / line.strip() for line in lines if line.strip())
    elif isinstance(source, Iterable):
        yield from map(Path, source)
    else:
        raise InputTypeError(f"source must be a folder, a manifest or paths, got {type(source).__name__}")
