"""fastdl encode-audio, decode-audio."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from fastdl.cli import _file_jobs
from fastdl.cli._file_jobs import FileJobs, Totals
from fastdl.cli._progress import Progress

_CHUNK = 1 << 20  # samples: what is in memory of a file is a few of these


def register(commands: Any) -> None:
    encode = commands.add_parser(
        "encode-audio",
        help="recordings to mu-law classes or G.711 codes",
        examples=(
            "fastdl encode-audio recordings/ -o codes/",
            "fastdl encode-audio speech.wav -o speech.npy --channels 1024",
            "fastdl encode-audio calls/ -o ulaw/ --law mu --jobs 8",
        ),
        description="Encode recordings (WAV, RF64, BW64, W64; FLAC, OGG, AIFF, ... with soundfile) as codes: .npy or "
        ".raw with a .json beside it that says how to decode them, or, with --law, a .wav that any player plays.",
    )
    _file_jobs.add_arguments(encode)
    encode.add_argument("--channels", type=int, metavar="Q", help="number of mu-law classes, 2 to 65536 (default: 256)")
    encode.add_argument("--law", choices=("mu", "a"), help="G.711 instead of WaveNet's classes")
    encode.add_argument("--dialect", help="wavenet, librosa, nnmnkwii; with --law: itu, sun, libsndfile, ffmpeg")
    encode.add_argument(
        "--format", choices=("npy", "raw", "wav"), help="default: as DST ends, else .npy, with --law .wav"
    )
    encode.set_defaults(run=run_encode)
    decode = commands.add_parser(
        "decode-audio",
        help="codes back to playable recordings",
        examples=("fastdl decode-audio codes/ -o heard/",),
        description="Decode what encode-audio wrote (or any recording, G.711 ones too) to 16-bit WAV files.",
    )
    _file_jobs.add_arguments(decode)
    decode.set_defaults(run=run_decode)


def run_encode(options: argparse.Namespace) -> int:
    from fastdl import _check
    from fastdl.audio import mu_law
    from fastdl.files.audio.codes import FORMATS, Coding
    from fastdl.files.audio.recordings import SUFFIXES, open_audio

    dialects = mu_law.G711_DIALECTS if options.law else mu_law.MU_LAW_DIALECTS
    dialect = _check.one_of("--dialect", options.dialect or dialects[0], dialects)
    if options.law and options.channels not in (None, 256):
        raise _check.InputError(f"--channels must be 256 with --law, got {options.channels}")
    q = _check.integer("--channels", 256 if options.channels is None else options.channels, 2, 65536)
    ending = options.output.suffix.lower().removeprefix(".")
    kind = options.format or (ending if ending in FORMATS else "wav" if options.law else "npy")
    jobs = FileJobs(options, SUFFIXES, (f".{kind}",), f".{kind}", companions=lambda target: _companions(target, kind))

    def encode(x: Any) -> tuple[Any, int]:
        if options.law:
            return mu_law.g711_encode(x, options.law, dialect=dialect), 0
        return mu_law.mu_law_encode(x, q, dialect=dialect, return_clipped=True)

    def work(source: Path, target: Path, progress: Progress) -> dict[str, Any]:
        reader = open_audio(source)
        coding = Coding(reader.rate, reader.channels, options.law or "wavenet", q, dialect)
        return _convert(reader, target, coding, kind, encode, progress)

    return jobs.run(work, lambda totals: _summary(totals, "encoded"), mixed=("rate", "channels"))


def run_decode(options: argparse.Namespace) -> int:
    from fastdl.files.audio.codes import CodeReader, Coding
    from fastdl.files.audio.recordings import SUFFIXES, open_audio

    jobs = FileJobs(options, (".npy", ".raw", *SUFFIXES), (".wav",), ".wav")

    def work(source: Path, target: Path, progress: Progress) -> dict[str, Any]:
        reader: Any = CodeReader(source) if source.suffix in (".npy", ".raw") else open_audio(source)
        coding = Coding(reader.rate, reader.channels, "pcm16")
        return _convert(reader, target, coding, "wav", lambda x: (_int16(x), 0), progress)

    return jobs.run(work, lambda totals: _summary(totals, "decoded"), mixed=("rate", "channels"))


def _int16(x: Any) -> Any:
    from fastdl.reference.audio import pcm16

    return x if x.dtype.str == "<i2" else pcm16(x)


def _convert(reader: Any, target: Path, coding: Any, kind: str, step: Any, progress: Progress) -> dict[str, Any]:
    """Stream one file through `step`: what there is to say of it afterwards."""
    from fastdl.files.atomic import replacing_together
    from fastdl.files.audio.codes import CodeWriter
    from fastdl.streaming import run

    frames = max(1, _CHUNK // reader.channels)
    size = reader.path.stat().st_size
    clipped = 0

    with replacing_together(target, *_companions(target, kind)) as (file, *description):
        writer = CodeWriter(file, coding, kind)

        def write(result: tuple[Any, int]) -> None:
            nonlocal clipped
            writer.write(result[0])
            clipped += result[1]

        # Of a long recording, one thread encodes while this one reads and writes.
        executor = progress.helper if reader.frames > frames else None
        per_frame = size / max(reader.frames, 1)
        run(
            reader.chunks(frames),
            step,
            write,
            executor=executor,
            progress=lambda e: progress(len(e.details["chunk"]) * per_frame),
        )
        writer.finish()
        for beside in description:
            beside.write(coding.text().encode())
    sound = {"rate": reader.rate, "channels": reader.channels, "items": reader.frames}
    return {**sound, "bytes": size, "duration": reader.frames / reader.rate, "clipped": clipped}


def _companions(target: Path, kind: str) -> list[Path]:
    """What is written beside codes, so that they can be decoded; a .wav says it itself."""
    from fastdl.files.audio.codes import sidecar

    return [] if kind == "wav" else [sidecar(target)]


def _summary(totals: Totals, verb: str) -> str:
    size, clipped = totals.sum("bytes") / 1e6, totals.sum("clipped")
    return (
        f"{verb} {totals.files}, {totals.sum('duration'):.1f} s of sound, {size:.1f} MB in {totals.seconds:.2f} s "
        f"({totals.rate(size):.0f} MB/s)" + (f"; {clipped} samples outside [-1, 1] were clipped" if clipped else "")
    )
