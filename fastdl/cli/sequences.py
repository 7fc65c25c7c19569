"""fastdl one-hot."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from fastdl.cli import _file_jobs
from fastdl.cli._file_jobs import FileJobs, Totals
from fastdl.cli._parser import Commands
from fastdl.cli._progress import ProgressBar

if TYPE_CHECKING:
    from fastdl._typing import Array
    from fastdl.files.sequences.bed import Regions
    from fastdl.files.sequences.genome import Genome
    from fastdl.files.sequences.genomes import LetterPart, Places, SequenceReader
    from fastdl.sequences._settings import Encoding
    from fastdl.streaming import ProgressEvent

FORMATS = (".npy", ".zarr")
_BASES = 1 << 20  # letters of a batch: a few batches of a file are in memory
_PART = 1 << 22  # letters of a part that is sent to a worker of a cluster
_SETTINGS = ("alphabet", "unknown", "case", "layout", "dtype", "ignore", "like")


def register(commands: Commands) -> None:
    command = commands.add_parser(
        "one-hot",
        help="sequences to one-hot arrays",
        examples=(
            "fastdl one-hot genome.fa.gz -o genome.npy",
            "fastdl one-hot hg38.2bit -o peaks.npy --windows peaks.bed --length 2114 --layout first",
        ),
        description="Encode FASTA (plain, gzip, bgzip), 2bit or FASTQ files as .npy or .zarr: all letters end to end "
        "(a .json beside it says where each sequence begins); with --length, windows of N letters one after the other, "
        "the last of a sequence padded; with --windows, the regions of a BED file on their strands.",
    )
    _file_jobs.add_arguments(command, "file (.npy or .zarr) or folder to write to")
    command.add_argument(
        "--windows",
        type=Path,
        metavar="BED",
        help="regions to encode instead of whole sequences: BED, narrowPeak, or a table (.csv, .tsv, .parquet) with "
        "columns chrom, start, end and maybe strand, summit",
    )
    command.add_argument(
        "--center", default="middle", metavar="WHERE", help="with --windows and --length: middle (default) or summit"
    )
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
    command.add_argument(
        "--pad",
        metavar="LETTER",
        help="what stands beyond the ends (default: zeros); with it, regions may start below 0",
    )
    command.add_argument("--loose", action="store_true", help="skip blanks and numbers within sequences of FASTA")
    command.add_argument(
        "--write-index", action="store_true", help="write an index that had to be made to FILE.fai, as samtools does"
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from fastdl import _check
    from fastdl.files.sequences.genomes import SUFFIXES
    from fastdl.sequences import _settings

    encoding = _settings.settings(**{name: getattr(options, name) for name in _SETTINGS})
    _settings.padding_row(options.pad, encoding.tables)
    _check.one_of("--center", options.center, ("middle", "summit"))
    if options.length is not None:
        _check.integer("--length", options.length, 1)
    elif options.center == "summit":
        raise _check.InputError("--center summit needs --length, the letters of a window round it")
    windows = 0 if options.windows is None else sum(len(regions.names) for regions in _regions(options))
    reads = [] if options.windows is None else [options.windows]
    ending = options.output.suffix.lower()
    suffix = ".npy" if options.output_is_folder or ending not in FORMATS else ending
    jobs = FileJobs(options, SUFFIXES, FORMATS, suffix, companions=lambda target: [str(_beside(target))], reads=reads)
    return jobs.run(
        lambda source, target, progress: _encode(source, target, options, encoding, progress),
        _summary,
        unit="windows" if reads else "B",
        total=lambda source: windows or source.stat().st_size,
        parts=lambda source: _divisible(source, options, windows),
    )


def _divisible(source: Path, options: argparse.Namespace, windows: int) -> float:
    """The bytes of a file, or the letters of its windows, if workers can read its parts separately; else 0."""
    from fastdl.files.sequences import genomes

    if options.windows is not None:
        return windows * _length(options)
    with genomes.open_sequences(source, loose=options.loose) as reader:
        return source.stat().st_size if options.length is None and genomes.has_parts(reader) else 0


def _read_part(part: LetterPart) -> Array:
    """Read the letters of a part, on the worker that encodes them."""
    return part.read()


def _summary(totals: Totals) -> str:
    letters = totals.sum("letters") / 1e6
    text = (
        f"encoded {letters:.1f} M letters of {totals.files} in {totals.seconds:.2f} s "
        f"({totals.rate(letters):.0f} M letters/s)"
    )
    outside, empty = totals.sum("outside"), totals.sum("empty")
    text += f"; {outside} windows lie wholly outside their sequence: padding" if outside else ""
    return text + (f"; {empty} regions have no letters" if empty else "")


def _beside(target: Path) -> Path:
    """The path of the file beside an array that describes its encoding."""
    return target.with_name(target.name + ".json")


def _encode(
    source: Path, target: Path, options: argparse.Namespace, encoding: Encoding, progress: ProgressBar
) -> dict[str, Any]:
    """Stream one file."""
    import fastdl
    from fastdl.cli._cluster import PartWork
    from fastdl.errors import FileError
    from fastdl.files.sequences import genomes
    from fastdl.files.sequences.fastq import Fastq
    from fastdl.files.sequences.one_hot_arrays import writing
    from fastdl.streaming import run

    settings, channels = encoding.keywords(), encoding.tables.rows.shape[1]  # those of --like too
    counts = {"letters": 0, "channels": channels, "outside": 0, "empty": 0}
    places = genomes.Places()
    chunks: Iterator[Any]
    step: Callable[[Any], Array]
    with genomes.open_sequences(source, loose=options.loose, write_index=options.write_index) as reader:
        length, total = options.length, None
        if options.windows is not None:
            length = _length(options)
            chunks, step = _windows(options, reader, length, settings, counts)
        elif length is not None:
            chunks = genomes.tiles(reader, _BASES, length, places)
            step = lambda tiles: fastdl.one_hot(  # noqa: E731
                tiles.letters, offsets=tiles.offsets, length=length, pad=options.pad, **settings
            )
        elif isinstance(reader, Fastq):
            problem = "holds reads: --length says how long to make them, so that they are one array"
            raise FileError(source, problem)
        else:
            total = genomes.count_letters(reader, by_index=progress.cluster is not None) if encoding.first else None
            chunks, step = genomes.all_letters(reader, _BASES, places), partial(fastdl.one_hot, **settings)
            if progress.cluster is not None:
                chunks, step = genomes.letter_parts(reader, _PART, places), PartWork(_read_part, step)
        row = (channels,) if length is None else encoding.shape(1, length)[1:]
        reached = 0

        def tell(event: ProgressEvent) -> None:
            nonlocal reached
            before, reached = reached, reader.read
            chunk = event.details["chunk"]
            if options.windows is not None:
                progress.advance(len(chunk.names))
            else:
                progress.advance(chunk.size if progress.cluster is not None else reached - before)

        with writing(target, _beside(target), encoding.dtype, row, total) as (writer, description):

            def write(rows: Array) -> None:
                writer.write(rows)
                counts["letters"] += rows.size // channels

            # Another thread encodes while this one reads and writes.
            if progress.cluster is not None:
                progress.cluster.run(chunks, step, write, tell)
            else:
                run(chunks, step, write, executor=progress.helper, progress=tell)
            _describe(description, encoding, length, places)
    return counts


def _describe(file: IO[bytes], encoding: Encoding, length: int | None, places: Places) -> None:
    """Write how the array was encoded, and where its sequences, or the windows of its reads, begin."""
    fields = {**encoding.keywords(), "dtype": encoding.dtype.name, "length": length}
    file.write(json.dumps(fields).encode()[:-1] + b', "sequences": [')
    for k in range(0, len(places.names), 4096):
        rows = zip(places.names[k : k + 4096], places.starts[k : k + 4096])
        text = ", ".join(f'{{"name": {json.dumps(name)}, "start": {start}}}' for name, start in rows)
        file.write((", " * (k > 0) + text).encode())
    file.write(b"]}\n")


def _regions(options: argparse.Namespace) -> Iterator[Regions]:
    from fastdl.files.sequences.bed import read_regions

    return read_regions(options.windows, negative=options.pad is not None)


def _length(options: argparse.Namespace) -> int:
    """The length of the windows: that of --length, or that of the first region."""
    if options.length is not None:
        return int(options.length)
    first = next(_regions(options), None)
    return 0 if first is None else int(first.stops[0] - first.starts[0])


def _windows(
    options: argparse.Namespace, reader: SequenceReader, length: int, settings: dict[str, Any], counts: dict[str, int]
) -> tuple[Iterator[Regions], Callable[[Regions], Array]]:
    """Chunks of regions, and the function that encodes the windows around them."""
    from fastdl.errors import FileError
    from fastdl.files.sequences.bed import Regions
    from fastdl.files.sequences.fastq import Fastq
    from fastdl.files.sequences.genome import Genome

    if isinstance(reader, Fastq):
        raise FileError(reader.path, "holds reads, which have no regions: --windows needs FASTA or 2bit")
    genome = Genome(reader)

    def chunks() -> Iterator[Regions]:
        few = max(1, _BASES // max(length, 1))
        for regions in _regions(options):
            _check_regions(options, genome, regions, length)
            for at in range(0, len(regions.names), few):
                part = Regions(*(column[at : at + few] for column in regions))  # type: ignore[arg-type]
                starts = part.starts if options.length is None else part.windows(length, options.center)
                ends = [genome.lengths[name] for name in part.names]
                counts["outside"] += sum(
                    start >= end or start + length <= 0 for start, end in zip(starts.tolist(), ends)
                )
                counts["empty"] += int((part.starts == part.stops).sum())
                yield part._replace(starts=starts)

    def step(part: Regions) -> Array:
        return genome.windows(part.names, part.starts, length, strand=part.strand, pad=options.pad, **settings)

    return chunks(), step


def _check_regions(options: argparse.Namespace, genome: Genome, regions: Regions, length: int) -> None:
    """Raise for the first region whose sequence is missing, or whose length differs."""
    from fastdl.errors import FileError
    from fastdl.files.sequences.names import missing

    known = genome.lengths
    for name, start, stop, line in zip(regions.names, regions.starts, regions.stops, regions.lines):
        if name not in known:
            raise FileError(options.windows, str(missing(genome.path, name, known)), line=line)
        if options.length is None and stop - start != length:
            problem = f"{stop - start} letters, but {length} in the first region: --length makes them equal"
            raise FileError(options.windows, problem, line=line)
