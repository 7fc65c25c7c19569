"""The chapter on sequences: a small gene as one-hot picture, its windows on both strands, and where peers differ."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastdl.report.page import Chapter
from fastdl.report.samples import GENE
from fastdl.sequences.complement import reverse_complement
from fastdl.sequences.encoding import LIKE, one_hot
from fastdl.sequences.kmers import kmer_index
from fastdl.sequences.windows import one_hot_windows

BLUE, ORANGE = "#0072B2", "#D55E00"


def chapter() -> Chapter:
    """A small gene, encoded."""
    page = Chapter("Sequences: letters to one-hot rows")
    gene = "".join(text for _, text in GENE)
    page.text(
        "A model of DNA reads each base as four numbers, one of them 1. This sequence is put together like a small "
        "gene: `one_hot` makes its picture, one column per base. N is unknown and stays empty; lower case, which marks "
        "repeats or introns, counts as upper case unless `case='strict'`."
    )
    with page.figure(
        size=(9, 1.9), caption=f"one_hot(gene, layout='first'): {len(gene)} bases, rows A, C, G, T"
    ) as axes:
        picture(axes, one_hot(gene, layout="first"), gene)
        at = 0
        for i, (_, text) in enumerate(GENE):
            axes.plot([at - 0.4, at + len(text) - 0.6], [4.0, 4.0], color=(BLUE, ORANGE)[i % 2], lw=3, clip_on=False)
            at += len(text)
    page.table(["part", "bases", "letters"], [(name, len(text), text) for name, text in GENE])
    _windows(page, gene)
    _peers(page)
    _kmers(page)
    return page


def picture(axes: Any, x: np.ndarray, letters: str) -> None:
    """(4, L) as squares, the letters below."""
    axes.imshow(x, aspect="auto", cmap="Greys", vmin=0, vmax=1, interpolation="nearest")
    axes.set_yticks(range(4), "ACGT")
    axes.set_xticks(range(len(letters)), letters, fontsize=6)
    axes.tick_params(length=0)
    axes.grid(False)
    axes.set_ylim(4.4, -0.5)


def _windows(page: Chapter, gene: str) -> None:
    length, start = 30, gene.index("ATG") - 5
    starts, strand = [start, start, -8, len(gene) - 22], "+-++"
    page.text(
        "Training takes windows. `one_hot_windows` fetches, turns, encodes and pads them in one pass over the genome, "
        "which may be bytes, a memory-mapped file or the two bits a base of a .2bit file. The second is the "
        "first on the other strand: its picture is turned by half a circle. The last two reach over the ends, where "
        "rows are zeros."
    )
    x = one_hot_windows(gene, starts, length, strand=strand, layout="first")
    with page.figure(
        2, 2, size=(9, 3.2), caption="Windows of 30 bases; both strands, and both ends of the sequence"
    ) as grid:
        for axes, rows, at, sign in zip(grid.flat, x, starts, strand):
            inside = "".join(gene[i] if 0 <= i < len(gene) else " " for i in range(at, at + length))
            picture(axes, rows, reverse_complement(inside) if sign == "-" else inside)
            axes.set_title(f"from base {at}, strand {sign}")


def _peers(page: Chapter) -> None:
    page.text(
        "Libraries agree on A, C, G, T and on little else. `like=` encodes as each of them does; the table shows what "
        "becomes of a base in lower case, of N and of the ambiguity code R (A or G)."
    )
    rows = [(f"like='{name}'", *(_shown(letter, like=name) for letter in "AaNR")) for name in LIKE]
    rows.append(("unknown='iupac'", *(_shown(letter, unknown="iupac") for letter in "AaNR")))
    page.table(["", "A", "a", "N", "R"], rows, "The row of a letter")


def _shown(letter: str, **how: Any) -> str:
    from fastdl import InputError

    try:
        x = one_hot(letter, **how).reshape(-1)
    except InputError:
        return "error"
    return " ".join(f"{float(v):g}" for v in x)


def _kmers(page: Chapter) -> None:
    rng = np.random.default_rng(0)
    page.text(
        "`kmer_index` numbers the words of a sequence; with `canonical=True` a word and its reverse complement share "
        "the smaller number, so that both strands count alike. Here a random sequence holds the word TATAAA 40 times, "
        "on either strand: the peak is the canonical number of TATAAA."
    )
    text = "".join(rng.choice(list("ACGT"), 20_000))
    for at in rng.choice(len(text) // 100, 40, replace=False) * 100:
        word = "TATAAA" if at % 200 else reverse_complement("TATAAA")
        text = text[:at] + word + text[at + 6 :]
    counts = np.bincount(kmer_index(text, 6, canonical=True), minlength=4**6)
    peak = int(kmer_index("TATAAA", 6, canonical=True)[0])
    with page.figure(size=(9, 2.4), caption="Counts of canonical 6-mers in 20,000 bases") as axes:
        axes.plot(counts, lw=0.6, color=BLUE)
        axes.annotate("TATAAA", (peak, counts[peak]), (peak + 120, counts[peak] * 0.93), color=ORANGE)
        axes.set_xlabel("number of the 6-mer")
        axes.set_ylabel("count")
