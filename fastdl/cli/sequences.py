"""fastdl one-hot."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastdl.cli import _file_jobs
from fastdl.cli._file_jobs import FileJobs, Totals
from fastdl.cli._progress import Progress

FORMATS = (".npy", ".zarr")
_BASES = 1 << 20  # letters of a batch: what is in memory of a file is a few of these
_SETTINGS = ("alphabet", "unknown", "case", "layout", "dtype", "ignore", "like")


def register(commands: Any) -> None:
    command = commands.add_parser(
        "one-hot",
        help="sequences to one-hot arrays",
        description="Encode FASTA (plain, gzip, bgzip), 2bit or FASTQ files as .npy or .zarr: all letters end to end "
        "(a .json beside it says where each sequence begins); with --length, windows of N letters one after the other, "
        "the last of a sequence padded; with --windows, the regions of a BED file on their strands.",
    )
    _file_jobs.add_arguments(command, "file (.npy or .zarr) or folder to write to")
    command.add_argument("--windows", type=Path, metavar="BED", help="regions to encode instead of whole sequences")
    command.add_argument(
        "--length", type=int, metavar="N", help="letters of a window; with --windows, round its middle"
    )
    command.add_argument("--layout", help="last: (L, 4), the default; first: (4, L)")
    command.add_argument("--dtype", help="bool, uint8 (default), int8, float16, float32, float64")
    command.add_argument("--unknown", help="zero (default), uniform, n-uniform, iupac, channel, raise")
    command.add_argument("--case", help="fold (default) or strict")
    command.add_argument("--alphabet", default="ACGT", help="the letters of the channels (default: %(default)s)")
    command.add_argument("--ignore", metavar="LETTERS", help="letters that become zeros, whatever --unknown is")
    command.add_argument("--like", help="as seqpro, tangermeme, selene, kipoiseq, enformer or basenji encodes")
    command.add_argument("--pad", metavar="LETTER", help="what stands beyond the ends (default: zeros)")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from fastdl import _check
    from fastdl.files.sequences.genomes import SUFFIXES
    from fastdl.sequences import _settings as tables
    from fastdl.sequences.windows import pad_row

    how = tables.settings(*(getattr(options, name) for name in _SETTINGS))
    pad_row(options.pad, how.coder)
    if options.length is not None:
        _check.integer("--length", options.length, 1)
    windows = 0 if options.windows is None else sum(len(regions.names) for regions in _bed(options))
    reads = [] if options.windows is None else [options.windows]
    ending = options.output.suffix.lower()
    suffix = ".npy" if options.output_is_folder or ending not in FORMATS else ending
    jobs = FileJobs(options, SUFFIXES, FORMATS, suffix, companions=lambda target: [_beside(target)], reads=reads)
    return jobs.run(
        lambda source, target, progress: _encode(source, target, options, how, progress),
        _summary,
        unit="windows" if reads else "B",
        total=lambda source: windows or source.stat().st_size,
    )


def _summary(totals: Totals) -> str:
    letters = totals.sum("letters") / 1e6
    return (
        f"encoded {letters:.1f} M letters of {totals.files} in {totals.seconds:.2f} s "
        f"({totals.rate(letters):.0f} M letters/s)"
    )


def _beside(target: Path) -> Path:
    """Where it is written how an array was encoded."""
    return target.with_name(target.name + ".json")


def _encode(source: Path, target: Path, options: argparse.Namespace, how: Any, progress: Progress) -> dict[str, Any]:
    """Stream one file."""
    import fastdl
    from fastdl import _check
    from fastdl.files.sequences import genomes
    from fastdl.files.sequences.bed import one_hot_regions
    from fastdl.files.sequences.one_hot_arrays import writing
    from fastdl.streaming import run

    settings = how.named()  # those of --like too
    with genomes.open_sequences(source) as reader:
        length, total = options.length, None
        places: list[dict] = []
        batches: Iterator[Any]
        if options.windows is not None:
            length = _length(options)
            batches = _windows(options, reader, length)
        elif length is not None:
            batches = genomes.tiles(reader, _BASES, length, places)
        elif hasattr(reader, "lengths"):
            total = sum(reader.lengths.values()) if how.first else None
            batches = genomes.whole(reader, _BASES, places)
        else:
            raise _check.FileError(
                source, "holds reads: --length says how long to make them, so that they are one array"
            )

        def step(batch: Any) -> Any:
            if options.windows is not None:
                names, starts, strand = batch
                return one_hot_regions(reader, names, starts, length, strand=strand, pad=options.pad, **settings)
            if length is not None:
                return fastdl.one_hot(batch[0], offsets=batch[1], length=length, pad=options.pad, **settings)
            return fastdl.one_hot(batch, **settings)

        reached = 0

        def tell(batch: Any) -> None:
            nonlocal reached
            before, reached = reached, reader.read
            progress(reached - before if options.windows is None else len(batch[0]))

        letters, channels = 0, how.coder.rows.shape[1]
        row = (channels,) if length is None else (channels, length) if how.first else (length, channels)
        with writing(target, how.dtype, row, total) as writer:

            def write(rows: Any) -> None:
                nonlocal letters
                writer.write(rows)
                letters += rows.size // channels

            # One thread encodes while this one reads and writes.
            run(batches, step, write, executor=progress.helper, progress=tell)
    _sidecar(target, how, length, places)
    return {"letters": letters, "channels": channels}


def _sidecar(target: Path, how: Any, length: int | None, places: list[dict]) -> None:
    """Say beside the array how it was encoded and where its sequences begin."""
    from fastdl.files.atomic import replacing

    fields = {**how.named(), "dtype": how.dtype.name, "length": length, "sequences": places}
    with replacing(_beside(target)) as file:
        file.write(json.dumps(fields).encode() + b"\n")


def _bed(options: argparse.Namespace) -> Iterator[Any]:
    from fastdl.files.sequences.bed import read_bed

    return read_bed(options.windows)


def _length(options: argparse.Namespace) -> int:
    """That of the windows: as asked for, or that of the first region."""
    if options.length is not None:
        return options.length
    first = next(_bed(options), None)
    return 0 if first is None else int(first.stops[0] - first.starts[0])


def _windows(options: argparse.Namespace, reader: Any, length: int) -> Iterator[tuple[Any, Any, Any]]:
    """(names, starts, strands) of a few windows at once."""
    from fastdl import _check
    from fastdl.files.sequences.bed import centred

    if not hasattr(reader, "lengths"):
        raise _check.FileError(reader.path, "holds reads, which have no regions: --windows needs FASTA or 2bit")
    known = frozenset(reader.lengths)
    few = max(1, _BASES // max(length, 1))
    for regions in _bed(options):
        for name, start, stop, line in zip(regions.names, regions.starts, regions.stops, regions.lines):
            if name not in known:
                raise _check.FileError(options.windows, f"{reader.path} holds no sequence {name!r}", line=line)
            if options.length is None and stop - start != length:
                problem = f"{stop - start} letters, but {length} in the first region: --length makes them equal"
                raise _check.FileError(options.windows, problem, line=line)
        starts = regions.starts if options.length is None else centred(regions, length)
        for at in range(0, len(starts), few):
            yield regions.names[at : at + few], starts[at : at + few], regions.strand[at : at + few]
