"""The chapter on sequences: one-hot encoding of a gene, windows, variants, minimizers, and how peers differ."""

from __future__ import annotations

from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

import fastdl
from fastdl._typing import Array
from fastdl.report.figures import INK, MUTED, SERIES, Panel
from fastdl.report.page import Chapter
from fastdl.report.samples import GENE
from fastdl.sequences.encoding import LIKE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Colours of A, C, G and T.
BASES = (SERIES[2], SERIES[0], SERIES[4], SERIES[1])


def chapter() -> Chapter:
    """A small gene, encoded."""
    gene = "".join(letters for _, letters in GENE)
    page = Chapter(
        "sequences",
        "Sequences: letters to one-hot rows",
        "A model of DNA reads each base as four numbers, one of them 1: windows of a genome are fetched, turned, "
        "varied and encoded in one pass.",
    )
    page.figure(
        [Panel(partial(_gene, gene=gene), "Coloured squares in four rows A, C, G, T, one for each base of a small "
               "gene; four unknown bases near its beginning have none.", height=260, wide=True, free=True)],
        f"`one_hot(gene, layout='first')`: {len(gene)} bases put together like a small gene, its parts underlined in "
        "turn. N is unknown and stays empty; lower case, here the intron, counts as upper case.",
    )  # fmt: skip
    page.table(["part", "bases", "letters"], [(name, len(text), text) for name, text in GENE], "The parts of the gene")
    _windows(page, gene)
    _variants(page, gene)
    _minimizers(page)
    _kmers(page)
    _peers(page)
    return page


def squares(axes: Axes, rows: Array, letters: str) -> None:
    """(4, L) as squares in the colours of the bases, the letters below."""
    for k, colour in enumerate(BASES):
        at = np.flatnonzero(rows[k] > 0)
        axes.bar(at, 0.86, 0.86, bottom=3 - k - 0.43, color=colour, lw=0)
    axes.set_yticks(range(4), "TGCA")
    axes.set_xticks(range(len(letters)), letters)
    axes.tick_params(length=0, pad=1)
    axes.grid(False)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.set(xlim=(-0.6, len(letters) - 0.4), ylim=(-0.6, 3.6))


def _gene(figure: Figure, gene: str) -> None:
    lines = 2 if figure.get_figwidth() * 72 > 600 else 4
    figure.set_figheight(130 * lines / 72)
    length = -(-len(gene) // lines)
    rows = fastdl.one_hot(gene, layout="first")
    for k, axes in enumerate(np.ravel(figure.subplots(lines, 1))):
        part = slice(k * length, (k + 1) * length)
        squares(axes, rows[:, part], gene[part].ljust(length))
        at = -part.start
        for j, (_, letters) in enumerate(GENE):
            axes.plot([at - 0.4, at + len(letters) - 0.6], [-0.75] * 2, color=(INK, MUTED)[j % 2], lw=2 + j % 2,
                      clip_on=False, visible=-len(letters) <= at < length)  # fmt: skip
            at += len(letters)
        axes.set_ylim(-0.9, 3.6)


def _windows(page: Chapter, gene: str) -> None:
    page.section("Windows, on both strands")
    start = gene.index("ATG") - 5
    starts, strands, length = [start, start, -8, len(gene) - 12], "+-++", 20
    windows = fastdl.one_hot_windows(gene, starts, length, strand=strands, layout="first")
    drawn = []
    for rows, at, strand in zip(windows, starts, strands):
        inside = "".join(gene[i] if 0 <= i < len(gene) else " " for i in range(at, at + length))
        letters = fastdl.reverse_complement(inside.replace(" ", "N")) if strand == "-" else inside
        title = f"From base {at}, {'forward' if strand == '+' else 'reverse'}"
        drawn.append(
            Panel(partial(squares, rows=rows, letters=letters), f"One-hot picture of {letters.strip()}.", title, 130)
        )
    page.figure(
        drawn,
        "The second window is the first on the other strand: its picture is turned by half a circle. The last two "
        "reach over the ends, where rows are zeros.",
    )
    rng = np.random.default_rng(0)
    genome = "".join(rng.choice(list("ACGT"), 1_000_000))
    many = rng.integers(0, len(genome) - 1000, 500)
    page.code(fetch_windows, genome.encode(), many, rng.choice(["+", "-"], 500))


def fetch_windows(fastdl: ModuleType, genome: bytes, starts: Array, strands: Array) -> Array:
    windows = fastdl.one_hot_windows(genome, starts, 1000, strand=strands)
    return windows  # (500, 1000, 4) uint8, each on its strand


def _variants(page: Chapter, gene: str) -> None:
    page.section("Variants")
    at = gene.index("TATAAAAG")
    positions, refs, alts = [at + 2, at + 11], ["T", "TCC"], ["G", "T"]
    varied = fastdl.apply_variants(gene, positions, refs, alts).tobytes().decode()
    panels = []
    for name, text in (("Reference", gene), ("With both variants", varied)):
        part = text[at - 2 : at + 20]
        rows = fastdl.one_hot(part, layout="first")
        alt = f"One-hot picture of {part}."
        panels.append(Panel(partial(squares, rows=rows, letters=part), alt, name, 130))
    page.figure(
        panels,
        "`apply_variants` puts alleles in place before encoding: T to G within the TATA box, and two bases lost behind "
        "it, after which everything moves up. `files.Genome.variant_windows` does it for a VCF and a whole genome.",
    )


def _minimizers(page: Chapter) -> None:
    page.section("K-mers and minimizers")
    rng = np.random.default_rng(4)
    first = "".join(rng.choice(list("ACGT"), 400))
    other = list(first)
    for at in (90, 205, 310):
        other[at] = "ACGT"["ACGT".index(other[at]) - 1]
    k, w = 11, 8
    found = [fastdl.minimizers(text, k, w) for text in (first, "".join(other))]
    shared = set(found[0].numbers.tolist()) & set(found[1].numbers.tolist())

    def draw(axes: Axes) -> None:
        for row, m in enumerate(found):
            common = np.isin(m.numbers, list(shared))
            for which, colour, label in ((common, SERIES[0], "in both"), (~common, SERIES[1], "in one alone")):
                axes.plot(m.positions[which], np.full(which.sum(), 1 - row), "|", ms=22, mew=2, color=colour,
                          label=label if row == 0 else None)  # fmt: skip
        axes.set_yticks([1, 0], ["as it is", "changed"])
        axes.set(xlabel="position (bases)", ylabel="sequence", ylim=(-0.6, 1.6))
        axes.grid(False)

    page.figure(
        [Panel(draw, "Two rows of ticks along 400 bases. They agree but around the three bases that differ.",
               height=190, wide=True)],
        f"Of each {w} neighbouring {k}-mers the least: {len(found[0].positions)} of {400 - k + 1} {k}-mers stand for "
        f"the sequence, and {len(shared)} of them are found again where three bases were changed. That is how reads "
        "are laid on a genome.",
    )  # fmt: skip
    text = "".join(rng.choice(list("ACGT"), 200_000)).encode()
    page.code(index_words, text)


def index_words(fastdl: ModuleType, sequence: bytes) -> tuple[Array, Array]:
    words = fastdl.kmer_index(sequence, 6, canonical=True)  # a number for each 6-mer, both strands alike
    positions = fastdl.minimizers(sequence, 15, 10)[0]
    return words, positions


def _kmers(page: Chapter) -> None:
    rng = np.random.default_rng(0)
    text = rng.choice(list(b"ACGT"), 20_000).astype(np.uint8)
    for at in rng.choice(len(text) // 100, 40, replace=False) * 100:
        word = b"TATAAA" if at % 200 else fastdl.reverse_complement(b"TATAAA")
        text[at : at + 6] = np.frombuffer(word, np.uint8)
    counts = np.asarray(fastdl.kmer_count(text, 6, canonical=True))
    peak = int(fastdl.kmer_index("TATAAA", 6, canonical=True)[0])

    def draw(axes: Axes) -> None:
        there = np.flatnonzero(counts)
        axes.vlines(there, 0, counts[there], color=SERIES[6], lw=0.5, rasterized=True)
        axes.plot([peak], [counts[peak]], "o", color=SERIES[1])
        axes.annotate("TATAAA", (peak, counts[peak]), (8, -4), textcoords="offset points")
        axes.set(xlabel="number of the 6-mer", ylabel="count", ylim=(0, counts.max() * 1.15), xlim=(0, 4096))

    page.figure(
        [Panel(draw, "Counts of 6-mers between 0 and 25; one peak, named TATAAA, is above all others.", height=220,
               wide=True)],
        "`kmer_count` of 20,000 random bases that hold TATAAA forty times, on either strand: with `canonical=True` a "
        "word and its reverse complement share a number, so both strands count.",
    )  # fmt: skip


def _peers(page: Chapter) -> None:
    page.section("Where libraries differ")
    rows = [(f"like='{name}'", *(_shown(letter, like=name) for letter in "AaNR")) for name in LIKE]
    rows.append(("unknown='iupac'", *(_shown(letter, unknown="iupac") for letter in "AaNR")))
    page.table(
        ["setting", "A", "a", "N", "R"],
        rows,
        "They agree on A, C, G, T and on little else. `like=` encodes as each does: here a base, one in lower case, N, "
        "and R, which is A or G.",
    )


def _shown(letter: str, **how: Any) -> str:
    try:
        x = fastdl.one_hot(letter, **how).reshape(-1)
    except fastdl.InputError:
        return "error"
    return " ".join(f"{float(v):g}" for v in x)
