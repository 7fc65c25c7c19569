"""Encoded recordings: .npy or raw codes, described by a JSON file beside them, or a WAV that any player decodes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import IO

import numpy as np

from fastdl import _check
from fastdl.audio.mu_law import G711_DIALECTS, LAWS, MU_LAW_DIALECTS, g711_decode, mu_law_decode
from fastdl.errors import FileError, InputError
from fastdl.files.audio._recording import read_values
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

    def decode(self, codes: np.ndarray, dtype: str = "int16") -> np.ndarray:
        """Samples as int16, or as float32 of [-1, 1]."""
        if self.law == "wavenet":
            return mu_law_decode(codes, self.quantization_channels, dialect=self.dialect, dtype=dtype)
        samples = g711_decode(codes, self.law)
        return samples if dtype == "int16" else samples / np.float32(32768)


@lru_cache(64)
def _text(coding: Coding) -> str:
    """Cached, because many files have the same coding."""
    return json.dumps({**asdict(coding), "dtype": coding.dtype.name}, indent=2) + "\n"


def sidecar(path: Path) -> Path:
    """The path of the JSON file that describes the codes in `path`."""
    return Path(f"{path}.json")


class CodeWriter:
    """Writes codes to an open file in chunks, as .npy, raw bytes, or a mu-law or A-law WAV."""

    def __init__(self, file: IO[bytes], coding: Coding, kind: str):
        if kind == "wav" and coding.law == "wavenet":
            raise InputError("a .wav holds G.711 codes only: choose --law mu or --law a, or write .npy or .raw")
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
        raise FileError(path, f"cannot be decoded without {source.name}, which encode-audio writes beside it")
    try:
        said = json.loads(source.read_text())
        if not isinstance(said, dict):
            raise InputError(f"must be an object, got {json.dumps(said)[:40]}")
        dtype = said.pop("dtype", None)
        _check_fields(said)
        coding = Coding(**said)
        _check_coding(coding, "dialect" in said)
        if dtype not in (None, coding.dtype.name):
            raise InputError(f"dtype must be {coding.dtype.name}, got {dtype!r}")
    except (ValueError, TypeError, RecursionError) as error:
        raise FileError(source, f"not a description of the codes in {path.name}: {error}") from None
    return coding


def _check_fields(names: Iterable[str]) -> None:
    needed, known = ("rate", "channels", "law"), [field.name for field in fields(Coding)]
    missing = [name for name in needed if name not in names]
    other = [name for name in names if name not in known]
    if missing or other:
        raise InputError(f"has no {', '.join(missing)}" if missing else f"has fields that mean nothing: {other}")


def _check_coding(coding: Coding, names_dialect: bool) -> None:
    _check.one_of("law", coding.law, ("wavenet", *LAWS))
    _check.integer("rate", coding.rate, 1, 0xFFFFFFFF)
    _check.integer("channels", coding.channels, 1, 65535)
    _check.integer("quantization_channels", coding.quantization_channels, 2, 65536)
    if coding.law == "wavenet":
        _check.one_of("dialect", coding.dialect, MU_LAW_DIALECTS)
        return
    if names_dialect and coding.dialect not in G711_DIALECTS:
        raise InputError(f"law {coding.law!r} has the dialects {', '.join(G711_DIALECTS)}, not {coding.dialect!r}")
    if coding.quantization_channels != 256:
        raise InputError(f"quantization_channels must be 256 with law {coding.law!r}")


class CodeReader:
    """The codes of a .npy or raw file with its sidecar, in chunks of frames."""

    def __init__(self, path: str | Path, dtype: str = "int16"):
        self.dtype = dtype
        self.notes: list[str] = []
        self.dropped = 0
        self.path = _check.existing(path)
        self.coding = read_sidecar(self.path)
        self.rate, self.channels = self.coding.rate, self.coding.channels
        self.npy = NpyReader(self.path) if self.path.suffix == ".npy" else None
        frame = self.coding.dtype.itemsize * self.channels
        size = self.path.stat().st_size
        if self.npy is not None and self.npy.dtype != self.coding.dtype:
            raise FileError(
                self.path, f"holds {self.npy.dtype}, but {sidecar(self.path).name} says {self.coding.dtype}"
            )
        if self.npy is None and size % frame:
            raise FileError(self.path, f"truncated: ends within a frame of {frame} bytes", size)
        row = () if self.channels == 1 else (self.channels,)
        if self.npy is not None and self.npy.shape[1:] != row:
            problem = (
                f"holds codes of shape {self.npy.shape}, but {sidecar(self.path).name} says {self.channels} channels"
            )
            raise FileError(self.path, problem)
        self.frames = self.npy.shape[0] if self.npy is not None else size // frame

    def chunks(self, frames: int) -> Iterator[np.ndarray]:
        """Samples of at most `frames` frames."""
        start = 0
        for codes in self.npy.chunks(frames) if self.npy is not None else self._raw(frames):
            yield self._decode(codes, start)
            start += len(codes)

    def read(self, start: int, frames: int) -> np.ndarray:
        """The samples of `frames` frames from frame `start` on."""
        codes = self.npy.read(start, frames) if self.npy is not None else self._codes(start, frames)
        return self._decode(codes, start)

    def _decode(self, codes: np.ndarray, start: int) -> np.ndarray:
        """Decode codes that begin at a frame; a code beyond the last class is an error that names its byte."""
        try:
            return self.coding.decode(codes, self.dtype)
        except InputError as error:
            first = int(np.flatnonzero(codes >= self.coding.quantization_channels)[0])
            place = (start * self.channels + first) * codes.itemsize + (self.npy.offset if self.npy is not None else 0)
            raise FileError(self.path, f"{error} ({sidecar(self.path).name})", place) from None

    def _raw(self, frames: int) -> Iterator[np.ndarray]:
        for start in range(0, self.frames, frames):
            yield self._codes(start, min(frames, self.frames - start))

    def _codes(self, start: int, frames: int) -> np.ndarray:
        """Codes of a raw file."""
        dtype = self.coding.dtype
        codes = read_values(self.path, dtype, start * self.channels * dtype.itemsize, frames * self.channels)
        return codes if self.channels == 1 else codes.reshape(-1, self.channels)
