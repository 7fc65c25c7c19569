"""fastdl encode-audio, decode-audio."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastdl.cli import _file_jobs
from fastdl.cli._file_jobs import FileJobs, Totals
from fastdl.cli._parser import Commands
from fastdl.cli._progress import ProgressBar

if TYPE_CHECKING:
    from fastdl._typing import Array
    from fastdl.files.audio.codes import Coding
    from fastdl.files.audio.conversion import SampleSource
    from fastdl.streaming import ProgressEvent

_CHUNK = 1 << 18  # samples read at once: a few chunks are in memory, and fit in a processor's cache
_PARTS = 16  # chunks in a part of a file that is sent to a worker of a cluster


def register(commands: Commands) -> None:
    encode = commands.add_parser(
        "encode-audio",
        help="recordings to mu-law classes or G.711 codes",
        examples=(
            "fastdl encode-audio recordings/ -o codes/",
            "fastdl encode-audio speech.wav -o speech.npy --channels 1024",
            "fastdl encode-audio calls/ -o ulaw/ --law mu --jobs 8",
            "fastdl encode-audio corpus/ -o codes/ --rate 16000 --mono",
        ),
        description="Encode recordings (WAV, RF64, BW64, W64; FLAC, OGG, AIFF, ... with soundfile) as codes: .npy or "
        ".raw with a .json beside it that says how to decode them, or, with --law, a .wav that any player plays.",
    )
    _file_jobs.add_arguments(encode)
    encode.add_argument("--channels", type=int, metavar="Q", help="number of mu-law classes, 2 to 65536 (default: 256)")
    encode.add_argument("--law", choices=("mu", "a"), help="G.711 instead of WaveNet's classes")
    encode.add_argument(
        "--dialect", help="wavenet, librosa, nnmnkwii, nsynth; with --law: itu, sun, libsndfile, ffmpeg"
    )
    encode.add_argument(
        "--format", choices=("npy", "raw", "wav"), help="default: as DST ends, else .npy, with --law .wav"
    )
    _add_reading(encode)
    encode.add_argument("--rate", type=int, metavar="HZ", help="resample to this rate (with soxr)")
    encode.add_argument("--mono", action="store_true", help="the mean of the channels")
    encode.set_defaults(run=run_encode)
    decode = commands.add_parser(
        "decode-audio",
        help="codes back to playable recordings",
        examples=("fastdl decode-audio codes/ -o heard/",),
        description="Decode what encode-audio wrote (or any recording, G.711 ones too) to 16-bit WAV files.",
    )
    _file_jobs.add_arguments(decode)
    _add_reading(decode)
    decode.add_argument(
        "--dtype", choices=("int16", "float32"), default="int16", help="samples to write (default: int16)"
    )
    decode.set_defaults(run=run_decode)


def _add_reading(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--nan",
        default="error",
        metavar="CODE|error",
        help="what a NaN becomes: a code, of decode-audio a sample (default: an error)",
    )
    command.add_argument(
        "--raw", metavar="ENCODING,RATE,CHANNELS", help="sources have no header: s16le,8000,1 for example"
    )
    command.add_argument(
        "--allow-truncated", action="store_true", help="read a WAV that ends too early as far as it goes"
    )


def run_encode(options: argparse.Namespace) -> int:
    from fastdl import _check
    from fastdl.audio import mu_law
    from fastdl.files.audio.codes import FORMATS, Coding
    from fastdl.files.audio.conversion import MonoMix, Resampled, count_nan
    from fastdl.files.audio.recordings import SUFFIXES, open_once

    dialects = mu_law.G711_DIALECTS if options.law else mu_law.MU_LAW_DIALECTS
    dialect = _check.one_of("--dialect", options.dialect or dialects[0], dialects)
    if options.law and options.channels not in (None, 256):
        raise _check.InputError(f"--channels must be 256 with --law, got {options.channels}")
    q = _check.integer("--channels", 256 if options.channels is None else options.channels, 2, 65536)
    ending = options.output.suffix.lower().removeprefix(".")
    kind = options.format or (ending if ending in FORMATS else "wav" if options.law else "npy")
    rate = None if options.rate is None else _check.integer("--rate", options.rate, 1, 0xFFFFFFFF)
    nan = _nan(options, 0, q - 1)
    jobs = FileJobs(
        options,
        _kinds(options, SUFFIXES),
        (f".{kind}",),
        f".{kind}",
        companions=lambda target: _companions(target, kind),
    )

    def encode(x: Array) -> tuple[Array, int, int]:
        bits = 32 if x.dtype.kind == "i" and x.dtype.itemsize == 4 else None
        missing = 0 if nan is None else count_nan(x)
        settings: Any = {"dialect": dialect, "bits": bits, "nan": nan, "return_clipped": True}
        if options.law:
            return *mu_law.g711_encode(x, options.law, **settings), missing
        return *mu_law.mu_law_encode(x, q, **settings), missing

    def work(source: Path, target: Path, progress: ProgressBar) -> dict[str, Any]:
        recording = open_once(source, raw=options.raw, allow_truncated=options.allow_truncated)
        reader: SampleSource = MonoMix(recording) if options.mono and recording.channels > 1 else recording
        if rate is not None and rate != reader.rate:
            reader = Resampled(reader, rate)
        coding = Coding(reader.rate, reader.channels, options.law or "wavenet", q, dialect)
        return _convert(reader, target, coding, kind, encode, progress)

    def parts(source: Path) -> float:
        return 0 if rate is not None else _sample_bytes(open_once(source, raw=options.raw, allow_truncated=True))

    return jobs.run(work, lambda totals: _summary(totals, "encoded"), mixed=("rate", "channels"), parts=parts)


def run_decode(options: argparse.Namespace) -> int:
    from fastdl.files.audio.codes import CodeReader, Coding
    from fastdl.files.audio.conversion import count_nan, to_samples
    from fastdl.files.audio.recordings import SUFFIXES, open_once

    nan = _nan(options, -32768, 32767)
    jobs = FileJobs(options, _kinds(options, (".npy", ".raw", *SUFFIXES)), (".wav",), ".wav")

    def work(source: Path, target: Path, progress: ProgressBar) -> dict[str, Any]:
        reader: SampleSource
        if source.suffix.lower() in (".npy", ".raw") and not options.raw:
            reader = CodeReader(source, options.dtype)
        else:
            reader = open_once(source, raw=options.raw, allow_truncated=options.allow_truncated)
        coding = Coding(reader.rate, reader.channels, "pcm16" if options.dtype == "int16" else "float32")
        return _convert(reader, target, coding, "wav", decode, progress)

    def decode(x: Array) -> tuple[Array, int, int]:
        return *to_samples(x, options.dtype, nan), 0 if nan is None else count_nan(x)

    def parts(source: Path) -> float:
        if source.suffix.lower() in (".npy", ".raw") and not options.raw:
            return _sample_bytes(CodeReader(source, options.dtype))
        return _sample_bytes(open_once(source, raw=options.raw, allow_truncated=True))

    return jobs.run(work, lambda totals: _summary(totals, "decoded"), mixed=("rate", "channels"), parts=parts)


def _sample_bytes(reader: SampleSource) -> int:
    """The bytes of a file whose parts can be read separately; 0 for others."""
    from fastdl.files.audio._raw import RawReader
    from fastdl.files.audio.codes import CodeReader
    from fastdl.files.audio.wav import WavReader

    return int(reader.path.stat().st_size) if isinstance(reader, (WavReader, RawReader, CodeReader)) else 0


def _read_frames(reader: Any, frames: range) -> Array:
    """Read a part of a file, on the worker that processes it."""
    return reader.read(frames.start, len(frames))


def _kinds(options: argparse.Namespace, kinds: tuple[str, ...]) -> tuple[str, ...]:
    """The endings that a folder is searched for."""
    from fastdl.files.audio._raw import parse_layout

    if options.raw is None:
        return kinds
    parse_layout(options.raw)
    return (".raw", ".pcm", ".bin", ".ul", ".al")


def _nan(options: argparse.Namespace, low: int, high: int) -> int | None:
    """The code or sample that --nan gives a NaN; None if NaN is an error."""
    from fastdl import _check

    if options.nan == "error":
        return None
    try:
        value = int(options.nan)
    except ValueError:
        raise _check.InputError(f"--nan must be 'error' or an integer, got {options.nan!r}") from None
    return _check.integer("--nan", value, low, high)


def _convert(
    reader: SampleSource,
    target: Path,
    coding: Coding,
    kind: str,
    step: Callable[[Array], tuple[Array, int, int]],
    progress: ProgressBar,
) -> dict[str, Any]:
    """Stream one file through `step`; returns the details to report."""
    from functools import partial

    from fastdl.audio.mu_law import InputNaN
    from fastdl.cli._cluster import PartWork
    from fastdl.errors import FileError
    from fastdl.files.atomic import replacing_together
    from fastdl.files.audio.codes import CodeWriter
    from fastdl.streaming import run

    frames = max(1, _CHUNK // reader.channels)
    size = getattr(reader, "total", None) or os.stat(reader.path).st_size
    clipped = written = missing = 0

    with replacing_together(target, *_companions(target, kind)) as (file, *description):
        writer = CodeWriter(file, coding, kind)

        def write(result: tuple[Array, int, int]) -> None:
            nonlocal clipped, written, missing
            writer.write(result[0])
            written += len(result[0])
            clipped += result[1]
            missing += result[2]

        # For a long recording, another thread encodes while this one reads and writes.
        executor = progress.helper if reader.frames > frames else None
        per_frame = size / max(reader.frames, 1)

        def tell(event: ProgressEvent) -> None:
            progress.advance(len(event.details["chunk"]) * per_frame)

        try:
            if progress.cluster is not None:
                starts = range(0, reader.frames, _PARTS * frames)
                parts = (range(k, min(k + _PARTS * frames, reader.frames)) for k in starts)
                progress.cluster.run(parts, PartWork(partial(_read_frames, reader), step), write, tell)
            elif executor is not None:
                run(reader.chunks(frames), step, write, executor=executor, progress=tell)
            else:
                for chunk in reader.chunks(frames):
                    write(step(chunk))
                    progress.advance(len(chunk) * per_frame)
        except InputNaN as error:
            sample = written * reader.channels + error.first
            problem = f"sample {sample} is NaN ({error.count} in its chunk); --nan CODE writes a code for it"
            raise FileError(reader.path, problem) from None
        writer.finish()
        for beside in description:
            beside.write(coding.text().encode())
    sound = {"rate": reader.rate, "channels": reader.channels, "items": written, "notes": reader.notes}
    lost = {"clipped": clipped, "dropped": reader.dropped, "nan": missing}
    return {**sound, "bytes": size, "duration": written / reader.rate, **lost}


def _companions(target: Path, kind: str) -> list[str]:
    """The suffixes of files beside the codes that describe how to decode them; .wav files need none."""
    return [] if kind == "wav" else [f"{target}.json"]


def _summary(totals: Totals, verb: str) -> str:
    size, clipped = totals.sum("bytes") / 1e6, totals.sum("clipped")
    missing, dropped = totals.sum("nan"), totals.sum("dropped")
    notes = [f"{result.source}: {note}" for result in totals.results for note in result.details["notes"]]
    told = "".join(f"{note}\n" for note in notes)
    return told + (
        f"{verb} {totals.files}, {totals.sum('duration'):.1f} s of sound, {size:.1f} MB in {totals.seconds:.2f} s "
        f"({totals.rate(size):.0f} MB/s)"
        + (f"; {clipped} samples outside [-1, 1] were clipped" if clipped else "")
        + (f"; {missing} NaN got the code of --nan" if missing else "")
        + (f"; {dropped} frames that were announced are not there" if dropped else "")
    )
