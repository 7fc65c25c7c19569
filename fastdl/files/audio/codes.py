"""Recordings as codes: .npy or raw with a sidecar that says how to decode them, or a WAV that any player decodes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO

import numpy as np

from fastdl import _check
from fastdl.audio.mu_law import MU_LAW_DIALECTS, g711_decode, mu_law_decode
from fastdl.files.audio.wav import WavWriter
from fastdl.files.npy import NpyReader, NpyWriter

FORMATS = ("npy", "raw", "wav")


@dataclass(frozen=True)
class Coding:
    """What is needed to decode codes."""

    rate: int
    channels: int
    law: str  # "wavenet": mu-law classes; "mu", "a": G.711
    quantization_channels: int = 256
    dialect: str = "wavenet"

    def text(self) -> str:
        """As JSON, for the file beside the codes."""
        return _text(self)

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the codes."""
        return np.dtype(np.uint8 if self.quantization_channels <= 256 else "<u2")

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Samples as int16."""
        if self.law == "wavenet":
            return mu_law_decode(codes, self.quantization_channels, dialect=self.dialect, dtype=np.int16)
        return g711_decode(codes, self.law)


@lru_cache(64)
def _text(coding: Coding) -> str:
    """Written anew for each of many files, and mostly the same."""
    return json.dumps({**asdict(coding), "dtype": coding.dtype.name}, indent=2) + "\n"


def sidecar(path: Path) -> Path:
    """Where the coding of the codes in `path` is written."""
    return path.with_name(path.name + ".json")


class CodeWriter:
    """Codes in chunks to an open file, as .npy, raw bytes, or a u-law or A-law WAV."""

    def __init__(self, file: IO[bytes], coding: Coding, kind: str):
        if kind == "wav" and coding.law == "wavenet":
            raise _check.InputError("a .wav holds G.711 codes only: choose --law mu or --law a, or write .npy or .raw")
        self.file, self.kind = file, kind
        row = () if coding.channels == 1 else (coding.channels,)
        self.writer: NpyWriter | WavWriter | None = None
        if kind == "npy":
            self.writer = NpyWriter(file, coding.dtype, row)
        elif kind == "wav":
            self.writer = WavWriter(file, coding.rate, coding.channels, coding.law)

    def write(self, codes: np.ndarray) -> None:
        """Append codes."""
        if self.writer is not None:
            self.writer.write(codes)
        else:
            self.file.write(codes.data.cast("B") if codes.size else b"")

    def finish(self) -> None:
        """Complete the header."""
        if self.writer is not None:
            self.writer.finish()


def read_sidecar(path: Path) -> Coding:
    """The coding of the codes in `path`."""
    source = sidecar(path)
    if not source.exists():
        raise _check.FileError(path, f"cannot be decoded without {source.name}, which encode-audio writes beside it")
    try:
        fields = json.loads(source.read_text())
        fields.pop("dtype", None)
        coding = Coding(**fields)
    except (ValueError, TypeError) as error:
        raise _check.FileError(source, f"not a description of codes: {error}") from None
    _check.one_of("law", coding.law, ("wavenet", "mu", "a"))
    _check.one_of("dialect", coding.dialect, (*MU_LAW_DIALECTS, "itu", "sun", "libsndfile", "ffmpeg"))
    _check.integer("rate", coding.rate, 1)
    _check.integer("channels", coding.channels, 1, 65535)
    return coding


class CodeReader:
    """The codes of a .npy or raw file with its sidecar, in chunks of frames."""

    def __init__(self, path: str | Path):
        self.path = _check.existing(path)
        self.coding = read_sidecar(self.path)
        self.rate, self.channels = self.coding.rate, self.coding.channels
        self.npy = NpyReader(self.path) if self.path.suffix == ".npy" else None
        frame = self.coding.dtype.itemsize * self.channels
        size = self.path.stat().st_size
        if self.npy is not None and self.npy.dtype != self.coding.dtype:
            raise _check.FileError(self.path, f"holds {self.npy.dtype}, but its sidecar says {self.coding.dtype}")
        if self.npy is None and size % frame:
            raise _check.FileError(self.path, f"truncated: ends within a frame of {frame} bytes", size)
        self.frames = self.npy.shape[0] if self.npy is not None else size // frame

    def chunks(self, frames: int) -> Iterator[np.ndarray]:
        """Samples as int16, of at most `frames` frames."""
        for codes in self.npy.chunks(frames) if self.npy is not None else self._raw(frames):
            yield self.coding.decode(codes)

    def _raw(self, frames: int) -> Iterator[np.ndarray]:
        with open(self.path, "rb") as file:
            while len(codes := np.fromfile(file, self.coding.dtype, frames * self.channels)):
                yield codes if self.channels == 1 else codes.reshape(-1, self.channels)
