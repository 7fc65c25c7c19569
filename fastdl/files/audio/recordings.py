"""Recordings of any kind, read in chunks of frames."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from fastdl import _check
from fastdl.files.audio.wav import WavReader

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
)
_OURS = (b"RIFF", b"RIFX", b"RF64", b"BW64", b"riff")


class AudioReader(Protocol):
    """What every reader of recordings offers."""

    path: Path
    rate: int
    channels: int
    frames: int

    def chunks(self, frames: int) -> Iterator[np.ndarray]:
        """Samples of at most `frames` frames: (n,) mono or (n, channels)."""


def open_audio(path: str | Path) -> AudioReader:
    """A reader for WAV and its kin by our own code, and for FLAC, OGG, AIFF and the rest through soundfile."""
    path = _check.existing(path)
    with open(path, "rb") as file:
        start = file.read(4)
    if not start:
        raise _check.FileError(path, "is empty", 0)
    return WavReader(path) if start in _OURS else SoundfileReader(path)


class SoundfileReader:
    """The samples of whatever libsndfile reads, in the narrowest dtype that holds them."""

    def __init__(self, path: Path):
        self.path = path
        soundfile = _check.extra("soundfile", "audio", f"{path}: reading this kind of file")
        try:
            with soundfile.SoundFile(path) as file:
                self.rate, self.channels, self.frames = file.samplerate, file.channels, file.frames
                subtype = file.subtype
        except soundfile.LibsndfileError as error:
            raise _check.FileError(path, f"not a recording that can be read: {error.error_string}", 0) from None
        self.dtype = _sample_type(subtype)

    def chunks(self, frames: int) -> Iterator[np.ndarray]:
        """Samples of at most `frames` frames: (n,) mono or (n, channels)."""
        import soundfile

        done = 0
        with soundfile.SoundFile(self.path) as file:
            while done < self.frames:
                try:
                    x = file.read(frames, dtype=self.dtype)
                except soundfile.LibsndfileError as error:
                    raise _check.FileError(self.path, f"corrupt after frame {done}: {error.error_string}") from None
                if not len(x):
                    raise _check.FileError(self.path, f"truncated: {self.frames} frames announced, {done} there")
                done += len(x)
                yield x


def _sample_type(subtype: str) -> Any:
    if subtype in ("PCM_16", "PCM_S8", "PCM_U8", "ULAW", "ALAW", "ALAC_16"):
        return "int16"
    if subtype.startswith(("PCM_", "ALAC_")):
        return "int32"
    return "float64" if subtype == "DOUBLE" else "float32"
