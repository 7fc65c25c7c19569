"""Regions of a genome: BED files, and their letters as one-hot rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastdl import _check
from fastdl.files.sequences.compressed_text import Text
from fastdl.sequences import _settings as tables
from fastdl.sequences.windows import pad_row, strands, windows_into

Array = np.ndarray


class Regions(NamedTuple):
    """Some lines of a BED file."""

    names: list[str]
    starts: Array  # int64, from 0
    stops: Array  # int64, not included
    strand: list[str]  # "+", "-" or "."
    lines: list[int]


def read_bed(path: str | Path, count: int = 4096) -> Iterator[Regions]:
    """The regions of a BED file (plain or gzip), at most `count` at once; a line that is none is an error naming it."""
    path = _check.existing(path)
    with Text(path) as file:
        rest, number, rows = b"", 0, []
        while True:
            block = file.read(1 << 20)
            *lines, rest = (rest + block).split(b"\n") if block else [rest, b""]
            for line in lines:
                number += 1
                row = _row(path, line, number)
                if row is not None:
                    rows.append(row)
            while len(rows) >= count or (rows and not block):
                yield _regions(rows[:count])
                rows = rows[count:]
            if not block:
                return


def _row(path: Path, line: bytes, number: int) -> tuple | None:
    text = line.decode("utf-8", "replace").rstrip("\r")
    if not text.strip() or text.startswith(("#", "track", "browser")):
        return None
    fields = text.split("\t") if "\t" in text else text.split()
    try:
        name, start, stop = fields[0], int(fields[1]), int(fields[2])
    except (ValueError, IndexError):
        raise _check.FileError(path, "needs a name, a start and an end, apart by tabs", line=number) from None
    strand = fields[5] if len(fields) > 5 else "."
    if strand not in ("+", "-", "."):
        raise _check.FileError(path, f"strand must be +, - or ., got {strand!r}", line=number)
    if not 0 <= start <= stop < 2**62:
        raise _check.FileError(path, f"must start at 0 or later and not end before, got {start} to {stop}", line=number)
    return name, start, stop, strand, number


def _regions(rows: list[tuple]) -> Regions:
    names, starts, stops, strand, lines = zip(*rows)
    return Regions(list(names), np.array(starts, np.int64), np.array(stops, np.int64), list(strand), list(lines))


def centred(regions: Regions, length: int) -> Array:
    """The starts of windows of one length around the middles of regions."""
    return (regions.starts + regions.stops) // 2 - length // 2


def one_hot_regions(
    genome: Any,
    names: Any,
    starts: Any,
    length: int,
    *,
    strand: Any = None,
    alphabet: str = "ACGT",
    unknown: str | None = None,
    case: str | None = None,
    layout: str | None = None,
    dtype: Any = None,
    ignore: str | None = None,
    like: str | None = None,
    pad: str | None = None,
    out: Array | None = None,
    threads: int | None = 1,
) -> Array:
    """Encode windows of a genome in a file, reading no more of it than they hold.

    Parameters
    ----------
    genome : Fasta or TwoBit
        The file.
    names : sequence of str, length B
        The sequence of each window.
    starts : array_like of int, shape (B,)
        Its first base.
    length, strand, alphabet, unknown, case, layout, dtype, ignore, like, pad, out, threads
        As in `fastdl.one_hot_windows`.

    Returns
    -------
    ndarray
        (B, length, A) or (B, A, length).

    Examples
    --------
    >>> import pathlib, tempfile, fastdl
    >>> from fastdl.files import Fasta
    >>> from fastdl.files.sequences.bed import one_hot_regions
    >>> path = pathlib.Path(tempfile.mkdtemp(), "a.fa")
    >>> _ = path.write_text(">one\\nACGT\\nAC\\n")
    >>> with Fasta(path) as genome:
    ...     x = one_hot_regions(genome, ["one", "one"], [2, 2], 3, strand="+-")
    >>> [fastdl.one_hot_decode(w).tobytes() for w in x]
    [b'GTA', b'TAC']
    """
    how = tables.settings(alphabet, unknown, case, layout, dtype, ignore, like)
    length = _check.integer("length", length, 0)
    at = _check.array("starts", starts, ("i", "u"), 1) if np.size(starts) else np.zeros(0, np.int64)
    at = at.astype(np.int64)
    _check.same_length(names=names, starts=at)
    backwards = strands(strand, len(at))
    parts = [genome.fetch(name, int(start), int(start) + length) for name, start in zip(names, at)]
    x = np.concatenate(parts) if parts else np.zeros(0, np.uint8)
    ends = np.cumsum([0, *(len(p) for p in parts)]).astype(np.int64)
    lows, highs = ends[:-1].copy(), ends[1:].copy()
    coder = how.coder
    pair = (coder, how.other if backwards.any() else coder)
    channels = coder.rows.shape[1]
    shape = (len(at), channels, length) if how.first else (len(at), length, channels)
    result = _check.out("out", out, shape, how.dtype)
    # What was fetched begins before the sequence does where start < 0.
    first = lows - np.clip(-at, 0, length)
    windows_into(x, first, lows, highs, length, backwards, pair, pad_row(pad, coder), result, how.first, threads)
    return result
