"""Recordings of any kind, read in chunks of frames."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fastdl import _check
from fastdl._typing import Array
from fastdl.errors import FastdlError, FileError
from fastdl.files.audio._caf_pipe import SizedCaf, size_place
from fastdl.files.audio._open_files import OpenFiles, RawFile
from fastdl.files.audio._raw import BY_SUFFIX, RawReader
from fastdl.files.audio._recording import Recording, fill
from fastdl.files.audio._wav_header import UnreadFormatError
from fastdl.files.audio.wav import WavReader

if TYPE_CHECKING:
    from soundfile import SoundFile

#: File name endings that a folder is searched for.
SUFFIXES = (
    ".wav",
    ".wave",
    ".rf64",
    ".bw64",
    ".w64",
    ".flac",
    ".ogg",
    ".oga",
    ".opus",
    ".aif",
    ".aiff",
    ".aifc",
    ".au",
    ".caf",
    ".mp3",
    ".ul",
    ".al",
)
_WAV_SIGNATURES = (b"RIFF", b"RIFX", b"RF64", b"BW64", b"riff")
_SMALL = 1 << 16  # bytes: a WAV file of fewer is read whole
_SKIPPED = 1 << 16  # frames decoded at once to reach a later one
_ENDLESS = 1 << 62  # frames: libsndfile gives the largest int64 where the header does not know the length


def open_audio(path: str | Path, *, raw: str | None = None, allow_truncated: bool = False) -> Recording:
    """A reader for WAV, RF64, BW64 and W64, and through soundfile for FLAC, OGG, AIFF and whatever libsndfile reads.

    Parameters
    ----------
    path : path
    raw : str, optional
        For a file without a header "ENCODING,RATE,CHANNELS", such as "s16le,8000,1"; .ul and .al are G.711 at 8 kHz.
    allow_truncated : bool
        Whether a WAV that ends before its announced end is read as far as it goes; `notes` then says so.

    Returns
    -------
    Recording
        With `rate`, `channels`, `frames`; `recording[a:b]` reads only these frames, `chunks(n)` all of them.

    Raises
    ------
    FileError
        For a file that is no recording, is truncated or corrupt.
    """
    return _opened(path, 4, raw, allow_truncated)


def open_once(path: Path, *, raw: str | None = None, allow_truncated: bool = False) -> Recording:
    """As `open_audio`, for a file that is read soon and once: a small WAV is read whole at once."""
    return _opened(path, _SMALL, raw, allow_truncated)


def _opened(path: str | Path, size: int, raw: str | None, allow_truncated: bool) -> Recording:
    """The reader that the first bytes of a file ask for; a WAV of fewer than `size` bytes is read whole."""
    try:
        data = _beginning(path, size)
    except (OSError, ValueError):
        _check.existing(path)
        raise
    path = path if isinstance(path, Path) else Path(path)
    start = data[:4]
    if not start:
        raise FileError(path, "is empty", 0)
    layout = raw or BY_SUFFIX.get(os.path.splitext(path)[1].lower())
    if layout is not None:
        return RawReader(path, layout)
    if start not in _WAV_SIGNATURES:
        return SoundfileReader(path)
    try:
        if 4 < len(data) < size:
            return WavReader.of_bytes(path, data, allow_truncated=allow_truncated)
        return WavReader(path, allow_truncated=allow_truncated)
    except UnreadFormatError as error:
        try:
            return SoundfileReader(path)
        except FastdlError:
            raise error from None


def _beginning(path: str | Path, size: int) -> bytes:
    """The first bytes of a file, by three system calls, which matter where there are many small files."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0))
    try:
        return os.read(handle, size)
    finally:
        os.close(handle)


def read_audio(path: str | Path, start: int = 0, frames: int | None = None) -> Array:
    """Samples of a recording, any part of it without decoding the rest.

    Parameters
    ----------
    path : path
    start : int
        The first frame.
    frames : int, optional
        How many; by default all up to the end.

    Returns
    -------
    ndarray, (n,) mono or (n, channels)
        In the narrowest dtype that holds them; 24-bit samples in the upper bits of int32.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> from fastdl.files import WavWriter, read_audio
    >>> path = os.path.join(tempfile.mkdtemp(), "x.wav")
    >>> with open(path, "wb") as file:
    ...     writer = WavWriter(file, rate=8000, channels=1)
    ...     writer.write(np.arange(100, dtype=np.int16))
    ...     writer.finish()
    >>> read_audio(path, 10, 4)
    array([10, 11, 12, 13], dtype=int16)
    """
    return open_audio(path).read(start, frames)


class SoundfileReader(Recording):
    """The samples of a file that libsndfile reads, in the narrowest dtype that holds them.

    Where libsndfile only estimates the length (MP3, FLAC from a pipe), `frames` is that estimate until `chunks` has
    come to the end.
    """

    def __init__(self, path: Path):
        self.path = path
        self.notes: list[str] = []
        self._soundfile = _check.extra("soundfile", "audio", f"{path}: reading this kind of file")
        if path.suffix.lower() == ".raw":  # soundfile would want the format as arguments
            raise FileError(path, "has no header; --raw or raw= describes samples, such as s16le,8000,1", 0)
        self._sized = size_place(path)
        with self._errors("not a recording that can be read", 0), self._file(path) as file:
            self.rate, self.channels, self.frames = file.samplerate, file.channels, file.frames
            self.dtype = _sample_type(file.subtype)
            self._is_exact = file.subtype.startswith("PCM_")
            self._is_paired = file.subtype == "VOX_ADPCM"  # libsndfile decodes two samples a byte, and loses an odd one
            self.is_estimate = file.format == "MP3" or "MPEG" in file.subtype or not 0 < file.frames < _ENDLESS

    def _file(self, path: Path) -> SoundFile:
        """The file of libsndfile."""
        return self._soundfile.SoundFile(path if self._sized is None else SizedCaf(path, *self._sized))

    @contextmanager
    def _errors(self, problem: str, offset: int | None = None) -> Iterator[None]:
        try:
            yield
        except self._soundfile.LibsndfileError as error:
            raise FileError(self.path, f"{problem}: {error.error_string}", offset) from None

    def read(self, start: int = 0, frames: int | None = None) -> Array:
        """Samples of `frames` frames (by default all) from frame `start` on: (n,) mono or (n, channels)."""
        if self.is_estimate and frames is None and start == 0:
            return np.concatenate(list(self.chunks(1 << 20)) or [self._none()])
        start, stop = self._span(start, frames)
        if self._is_paired and start % 2:
            return self.read(start - 1, stop - start + 1)[1:]
        with self._errors(f"corrupt after frame {start}"), self._opened() as file:
            if start or self._is_kept:
                self._skip(file, start)
            x = file.read(stop - start, dtype=self.dtype)
        if len(x) < stop - start:
            raise FileError(self.path, f"truncated: {self.frames} frames announced, {start + len(x)} there")
        return x

    @contextmanager
    def _opened(self) -> Iterator[SoundFile]:
        """The file. With `files`, one whose decoder keeps no state between frames stays open for the next read."""
        if self.files is None or not self._is_exact:
            with self._file(self.path) as file:
                # For reading in order: soundfile seeks after each read, which many kinds (GSM, G.721, DWVW) cannot.
                file.seekable = lambda: False
                yield file
            return
        try:
            yield self.files.get(self.path, self._file)
        except BaseException:
            self.files.close(self.path)
            raise

    @property
    def _is_kept(self) -> bool:
        return self.files is not None and self._is_exact

    def _skip(self, file: SoundFile, frames: int) -> None:
        """Go to a frame: by seeking, or by decoding the frames before it where the format cannot seek."""
        try:
            file.seek(frames)
        except self._soundfile.LibsndfileError:
            if self._is_kept:
                raise
            while frames and len(x := file.read(min(frames, _SKIPPED), dtype=self.dtype)):
                frames -= len(x)

    def _none(self) -> Array:
        return np.empty((0,) if self.channels == 1 else (0, self.channels), self.dtype)

    def chunks(self, frames: int) -> Iterator[Array]:
        """Samples of at most `frames` frames, in order: (n,) mono or (n, channels)."""
        done = 0
        frames -= self._is_paired and frames > 1 and frames % 2
        with self._errors("cannot be opened again"), self._file(self.path) as file:
            file.seekable = lambda: False
            while self.is_estimate or done < self.frames:
                with self._errors(f"corrupt after frame {done}"):
                    x = file.read(frames if self.is_estimate else min(frames, self.frames - done), dtype=self.dtype)
                if not len(x):
                    break
                done += len(x)
                yield x
        if not self.is_estimate and done < self.frames:
            raise FileError(self.path, f"truncated: {self.frames} frames announced, {done} there")
        self.frames, self.is_estimate = done, False


def _sample_type(subtype: str) -> str:
    if subtype in ("PCM_16", "PCM_S8", "PCM_U8", "ULAW", "ALAW", "ALAC_16"):
        return "int16"
    if subtype.startswith(("PCM_", "ALAC_")):
        return "int32"
    return "float64" if subtype == "DOUBLE" else "float32"


def read_windows(recordings: Sequence[Recording], starts: Sequence[int], files: OpenFiles, out: np.ndarray) -> None:
    """Fill each row of (B, n) values with the mono samples of a recording from a frame on.

    `files` stay open for the next call. All recordings hold samples of out's dtype as they stand (`plain`), and the
    windows lie within them: nothing but the system's reads remains to be done for a row.
    """
    values, size = memoryview(out).cast("B"), out.itemsize * out.shape[1]
    opened = files.each((recording.path for recording in recordings), RawFile)
    for row, (recording, start, file) in enumerate(zip(recordings, starts, opened)):
        into = values[row * size : (row + 1) * size]
        fill(into, recording.path, file, recording.offset + start * out.itemsize)
