"""A chapter on a FASTA, FASTQ or 2bit file: lengths, letters, windows, and the first letters as one-hot rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

import fastdl
from fastdl._typing import Array
from fastdl.files.sequences.fasta import Fasta, Piece
from fastdl.files.sequences.fastq import Fastq
from fastdl.files.sequences.genomes import open_sequences
from fastdl.files.sequences.twobit import TwoBit
from fastdl.report.figures import SERIES, Panel, histogram
from fastdl.report.inspection import Inspection
from fastdl.report.page import Chapter
from fastdl.report.sequences import BASES, squares

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WINDOW = 1000
_SHOWN = 60  # letters of the picture
_NAMED = 20  # sequences in the table


class Account:
    """Counts over sequences that are read in pieces: letters, lengths, qualities; and the first letters."""

    def __init__(self) -> None:
        self.letters = np.zeros(256, np.int64)
        self.qualities = np.zeros(256, np.int64)
        self.words = np.zeros(4**4, np.int64)
        self.lengths: Counter[int] = Counter()
        self.named: list[tuple[str, int]] = []
        self.current = ("", -1)
        self.first = b""

    def start(self, name: str) -> None:
        """Begin a new sequence."""
        self.finish()
        self.current = (name, 0)

    def finish(self) -> None:
        """End the current sequence."""
        if self.current[1] >= 0:
            self.lengths[self.current[1]] += 1
            if len(self.named) < _NAMED:
                self.named.append(self.current)

    def add(self, letters: Array) -> None:
        """Take in letters of the current sequence."""
        self.letters += np.bincount(letters, minlength=256)
        self.words += np.asarray(fastdl.kmer_count(letters, 4, canonical=True))
        self.current = (self.current[0], self.current[1] + len(letters))
        if len(self.first) < 200_000:
            self.first += letters.tobytes()[: 200_000 - len(self.first)]


def read(asked: Inspection) -> tuple[Account, str]:
    """Stream the file once."""
    found = Account()
    size = max(asked.path.stat().st_size, 1)
    with open_sequences(asked.path) as reader:
        kind = type(reader).__name__
        if isinstance(reader, Fastq):
            for batch in reader.batches():
                found.qualities += np.bincount(batch.qualities, minlength=256)
                lengths = np.diff(batch.offsets).tolist()
                found.lengths.update(lengths)
                if len(found.named) < _NAMED:
                    found.named += list(zip(batch.names, lengths))[: _NAMED - len(found.named)]
                found.letters += np.bincount(batch.letters, minlength=256)
                found.first += batch.letters[: max(0, 200_000 - len(found.first))].tobytes()
                asked.tell(min(reader.read / size, 1.0))
            found.words += np.asarray(fastdl.kmer_count(found.first, 4, canonical=True))
            return found, kind
        done = 0
        for piece in _pieces(reader):
            if piece.start == 0:
                found.start(piece.name)
            found.add(piece.letters)
            done += len(piece.letters)
            asked.tell(min(done / size / (4 if kind == "TwoBit" else 1), 1.0))
        found.finish()
    return found, kind


def _pieces(reader: Fasta | TwoBit) -> Iterator[Piece]:
    return iter(reader.chunks(1 << 20))


def chapter(asked: Inspection) -> Chapter:
    """Sequences, streamed once."""
    found, kind = read(asked)
    total, known = int(found.letters.sum()), int(found.letters[list(b"ACGTacgt")].sum())
    page = Chapter(
        asked.key,
        f"Sequences: {asked.path.name}",
        f"{found.lengths.total():,} {'reads' if kind == 'Fastq' else 'sequences'} of {total:,} letters; "
        f"{total - known:,} of them are none of A, C, G, T and become rows of zeros.",
    )
    lengths, times = (np.array(v, np.int64) for v in zip(*sorted(found.lengths.items())))
    soft = int(found.letters[97:123].sum())
    windows = int((lengths // _WINDOW * times).sum())
    middle = int(lengths[np.searchsorted(np.cumsum(times), (times.sum() + 1) // 2)])
    page.table(
        ["what", "how many"],
        [
            ["sequences", int(times.sum())],
            ["letters", total],
            ["shortest", int(lengths[0])],
            ["median length", middle],
            ["longest", int(lengths[-1])],
            ["letters in lower case, read as upper case", soft],
            ["letters that are not A, C, G, T: rows of zeros", total - known],
            [f"whole windows of {_WINDOW:,} letters", windows],
            ["letters behind the last whole window of a sequence, padded", int((lengths % _WINDOW * times).sum())],
        ],
        "What is in it",
    )
    if total:
        _pictures(page, found, kind)
    return page


def _pictures(page: Chapter, found: Account, kind: str) -> None:
    first = found.first[:_SHOWN].decode("latin-1")
    page.figure(
        [Panel(partial(_first, text=first), f"One-hot picture of the first letters: {first}.", height=260,
               wide=True, free=True)],
        f"`one_hot` of the first {len(first)} letters.",
    )  # fmt: skip
    page.figure(
        [
            Panel(partial(_composition, found=found), "Bars for each letter that occurs.", "Letters"),
            Panel(partial(_lengths, counts=found.lengths), "How many sequences have which length.", "Lengths"),
        ],
        "What the sequences are made of, and how long they are.",
    )
    if kind == "Fastq":
        page.figure(
            [Panel(partial(_qualities, found=found), "How many letters have which quality.", wide=True)],
            "Phred scores of the letters: 10 is one error in ten, 30 one in a thousand.",
        )
    words = np.argsort(-found.words)[:10]
    names = ["".join("ACGT"[(w >> s) & 3] for s in (6, 4, 2, 0)) for w in words.tolist()]
    if found.words.any():
        page.table(
            ["4-mer (or its reverse complement)", "count"],
            [[name, int(found.words[w])] for name, w in zip(names, words) if found.words[w]],
            "The most frequent words" + (", of the first reads" if kind == "Fastq" else ""),
        )
    page.table(
        ["sequence", "letters"],
        [[name or "(no name)", n] for name, n in found.named],
        f"The first {len(found.named)} of {found.lengths.total():,}",
    )
    page.code(encode, found.first[:100_000])


def encode(fastdl: ModuleType, letters: bytes) -> Array:
    rows = fastdl.one_hot(letters)
    return rows  # (L, 4) uint8


def _first(figure: Figure, text: str) -> None:
    lines = 2 if figure.get_figwidth() * 72 > 600 else 3
    figure.set_figheight(130 * lines / 72)
    length = -(-len(text) // lines)
    rows = fastdl.one_hot(text, layout="first")
    for k, axes in enumerate(np.ravel(figure.subplots(lines, 1))):
        part = slice(k * length, (k + 1) * length)
        squares(axes, rows[:, part], text[part].ljust(length))


def _composition(axes: Axes, found: Account) -> None:
    upper = found.letters.copy()
    upper[65:91] += upper[97:123]
    upper[97:123] = 0
    there = np.flatnonzero(upper)
    there = there[np.argsort(-upper[there])][:12]
    colours = dict(zip(b"ACGT", BASES))
    share = 100 * upper[there] / upper.sum()
    axes.bar([chr(k) for k in there], share, color=[colours.get(int(k), SERIES[6]) for k in there])
    axes.set(xlabel="letter", ylabel="of all (%)")


def _lengths(axes: Axes, counts: Counter[int]) -> None:
    lengths, times = (np.array(v, np.int64) for v in zip(*sorted(counts.items())))
    low, high = max(int(lengths.min()), 1), max(int(lengths.max()), 2)
    edges = np.geomspace(low, high + 1, 25) if high > 20 * low else np.linspace(low - 0.5, high + 0.5, 25)
    histogram(axes, np.histogram(np.maximum(lengths, 1), edges, weights=times)[0], edges, SERIES[0], "sequences")
    axes.set(xlabel="letters", ylabel="sequences", xscale="log" if high > 20 * low else "linear", ylim=(0, None))


def _qualities(axes: Axes, found: Account) -> None:
    scores = np.arange(-33, 223)
    there = np.flatnonzero(found.qualities)
    low, high = there.min(), there.max() + 1
    histogram(axes, found.qualities[low:high], scores[low] - 0.5 + np.arange(high - low + 1), SERIES[0], "letters")
    axes.set(xlabel="quality (Phred)", ylabel="letters", ylim=(0, None))
