"""fastdl encode-audio, decode-audio."""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from fastdl.cli import _file_jobs

_CHUNK = 1 << 20  # samples: what is in memory of a file is a few of these


def register(commands: Any) -> None:
    encode = commands.add_parser(
        "encode-audio",
        help="recordings to mu-law classes or G.711 codes",
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
    ending = options.output.suffix.removeprefix(".")
    kind = options.format or (ending if ending in FORMATS else "wav" if options.law else "npy")
    pairs = _file_jobs.plan(
        _file_jobs.find(options.sources, SUFFIXES), options.output, f".{kind}", overwrite=options.overwrite
    )

    def encode(x: Any) -> tuple[Any, int]:
        if options.law:
            return mu_law.g711_encode(x, options.law, dialect=dialect), 0
        return mu_law.mu_law_encode(x, q, dialect=dialect, return_clipped=True)

    def work(source: Path, target: Path, progress: _file_jobs.Progress) -> dict[str, float]:
        reader = open_audio(source)
        coding = Coding(reader.rate, reader.channels, options.law or "wavenet", q, dialect)
        return _convert(reader, target, coding, kind, encode, progress)

    return _run(options, pairs, work, "encoded")


def run_decode(options: argparse.Namespace) -> int:
    from fastdl.files.audio.codes import CodeReader, Coding
    from fastdl.files.audio.recordings import SUFFIXES, open_audio

    files = _file_jobs.find(options.sources, (".npy", ".raw", *SUFFIXES))
    pairs = _file_jobs.plan(files, options.output, ".wav", overwrite=options.overwrite)

    def work(source: Path, target: Path, progress: _file_jobs.Progress) -> dict[str, float]:
        reader: Any = CodeReader(source) if source.suffix in (".npy", ".raw") else open_audio(source)
        coding = Coding(reader.rate, reader.channels, "pcm16")
        return _convert(reader, target, coding, "wav", lambda x: (_int16(x), 0), progress)

    return _run(options, pairs, work, "decoded")


def _int16(x: Any) -> Any:
    from fastdl.reference.audio import pcm16

    return x if x.dtype.str == "<i2" else pcm16(x)


def _convert(
    reader: Any, target: Path, coding: Any, kind: str, step: Any, progress: _file_jobs.Progress
) -> dict[str, float]:
    """Stream one file through `step`: what there is to say of it afterwards."""
    from fastdl.files.atomic import replacing
    from fastdl.files.audio.codes import CodeWriter, write_sidecar
    from fastdl.streaming import run

    frames = max(1, _CHUNK // reader.channels)
    size = reader.path.stat().st_size
    clipped = 0

    with replacing(target) as file, ThreadPoolExecutor(1) as encoder:
        writer = CodeWriter(file, coding, kind)

        def write(result: tuple[Any, int]) -> None:
            nonlocal clipped
            writer.write(result[0])
            clipped += result[1]

        # One thread encodes while this one reads and writes.
        per_frame = size / max(reader.frames, 1)
        run(reader.chunks(frames), step, write, executor=encoder, progress=lambda x: progress(len(x) * per_frame))
        writer.finish()
        if kind != "wav":
            write_sidecar(target, coding)
    return {"bytes": size, "seconds": reader.frames / reader.rate, "clipped": clipped}


def _run(options: argparse.Namespace, pairs: Any, work: Any, verb: str) -> int:
    total = sum(source.stat().st_size for source, _ in pairs)
    with _file_jobs.Progress(total, "B", options.quiet) as progress:
        done, failed = _file_jobs.each(pairs, options.jobs, lambda s, t: work(s, t, progress), progress)
        seconds = progress.seconds
    size, length = sum(d["bytes"] for d in done), sum(d["seconds"] for d in done)
    clipped = sum(d["clipped"] for d in done)
    print(
        f"{verb} {len(done)} file{'s' * (len(done) != 1)}, {length:.1f} s of sound, {size / 1e6:.1f} MB "
        f"in {seconds:.2f} s ({size / 1e6 / seconds:.0f} MB/s) -> {options.output}"
        + (f"; {clipped} samples outside [-1, 1] were clipped" if clipped else "")
        + (f"; {failed} failed" if failed else "")
    )
    return 1 if failed else 0
