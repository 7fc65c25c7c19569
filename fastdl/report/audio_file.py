"""A chapter on a recording: its properties, what mu-law encoding loses, and how the decoded sound is."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

import fastdl
from fastdl._typing import Array
from fastdl.files.audio.recordings import open_audio
from fastdl.report.audio import SIZES, round_trip
from fastdl.report.figures import SERIES, Panel, histogram
from fastdl.report.inspection import Inspection
from fastdl.report.page import Chapter

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FRAMES = 1 << 18  # frames of a chunk
_STRETCHES = 800  # stretches of which the picture of the waveform shows minimum and maximum


class Account:
    """Counts over a recording that is read in chunks, and an excerpt of it."""

    def __init__(self, frames: int, excerpt: tuple[int, int]):
        self.frames, self.clipped, self.nan, self.beyond, self.peak = 0, 0, 0, 0, 0.0
        self.square = 0.0
        self.codes = np.zeros(256, np.int64)
        self.noise = dict.fromkeys(SIZES, 0.0)
        self.step = max(1, -(-max(frames, 1) // _STRETCHES))
        self.low, self.high = np.full(_STRETCHES + 1, np.inf), np.full(_STRETCHES + 1, -np.inf)
        self.kept: list[Array] = []
        self.excerpt = excerpt

    def update(self, x: Array) -> None:
        """Take in a chunk of samples, (n,) or (n, channels), of any dtype."""
        full = scaled(x)
        missing = ~np.isfinite(full)
        self.nan += int(missing.sum())
        full = np.where(missing, 0, full)
        self.clipped += int((np.abs(full) >= (1 - 2**-15 if x.dtype.kind != "f" else 1)).sum())
        self.beyond += int((np.abs(full) > 1).sum()) if x.dtype.kind == "f" else 0
        self.peak = max(self.peak, float(np.abs(full).max(initial=0)))
        mono = full if full.ndim == 1 else full.mean(axis=1)
        pcm = np.round(np.clip(mono, -1, 32767 / 32768) * 32768).astype(np.int16)
        self.square += float((pcm.astype(float) ** 2).sum())
        for q in SIZES:
            codes = fastdl.mu_law_encode(pcm, q)
            back = fastdl.mu_law_decode(codes, q, dtype=np.int16)
            self.noise[q] += float(((pcm.astype(float) - back) ** 2).sum())
        self.codes += np.bincount(codes, minlength=256)
        at = np.minimum((self.frames + np.arange(len(pcm))) // self.step, _STRETCHES)
        np.minimum.at(self.low, at, pcm / 32768)
        np.maximum.at(self.high, at, pcm / 32768)
        start, stop = (min(max(edge - self.frames, 0), len(pcm)) for edge in self.excerpt)
        self.kept.append(pcm[start:stop])
        self.frames += len(pcm)

    def signal_to_noise(self, q: int) -> float:
        """The signal-to-noise ratio of q mu-law classes in dB; infinite where nothing is lost."""
        if self.noise[q] == 0 or self.square == 0:
            return float("inf")
        return float(10 * np.log10(self.square / self.noise[q]))


def scaled(x: Array) -> Array:
    """Samples as float64, full scale being 1."""
    if x.dtype.kind == "f":
        return x.astype(np.float64)
    if x.dtype.kind == "u":
        return (x.astype(np.float64) - 128) / 128
    return x.astype(np.float64) / 2 ** (8 * x.dtype.itemsize - 1)


def chapter(asked: Inspection) -> Chapter:
    """A recording, streamed once."""
    reader = open_audio(asked.path)
    seconds = min(8.0, asked.room / 3 * 0.75 / 2 / reader.rate)  # three sounds in base64, two bytes a sample
    middle, length = reader.frames // 2, int(seconds * reader.rate)
    start = max(0, min(middle, reader.frames - length))
    found = Account(reader.frames, (start, start + length))
    for x in reader.chunks(_FRAMES):
        found.update(x)
        asked.tell(min(found.frames / max(reader.frames, 1), 1.0))
    page = Chapter(
        asked.key,
        f"Recording: {asked.path.name}",
        f"{found.frames / reader.rate:,.2f} seconds at {reader.rate:,} Hz, {reader.channels} "
        f"channel{'s' * (reader.channels > 1)}: 256 classes keep it at {found.signal_to_noise(256):.1f} dB.",
    )
    page.table(
        ["what", "how much"],
        [
            ["frames", found.frames],
            ["rate (Hz)", reader.rate],
            ["channels", reader.channels],
            ["peak (of full scale)", round(found.peak, 4)],
            ["samples at full scale or beyond, clipped", found.clipped],
            ["samples beyond full scale, clipped in int16", found.beyond],
            ["samples that are NaN or infinite, taken for 0", found.nan],
            *(["remark", note] for note in reader.notes),
        ],
        "What is in it; channels are mixed to one for the pictures",
    )
    if found.frames:
        _pictures(page, found, reader.rate)
    return page


def _pictures(page: Chapter, found: Account, rate: int) -> None:
    page.figure(
        [Panel(partial(_waveform, found=found, rate=rate), "The least and the largest sample over the length of the "
               "recording.", "The recording", wide=True)],
        "Each stretch by its least and its largest sample.",
    )  # fmt: skip
    excerpt = np.concatenate(found.kept)
    page.section("What mu-law classes make of it")
    page.figure(
        [
            Panel(partial(_codes, found=found), f"{int((found.codes > 0).sum())} of 256 classes occur.", "Classes"),
            Panel(partial(_loss, found=found), "Signal to noise rises with the number of classes.", "What is lost"),
        ],
        "How often each class of 256 occurs, and the signal to noise by number of classes, over the whole recording.",
    )
    if len(excerpt):
        coded = fastdl.mu_law_decode(fastdl.mu_law_encode(excerpt), dtype=np.int16)
        rough = fastdl.mu_law_decode(fastdl.mu_law_encode(excerpt, 16), 16, dtype=np.int16)
        page.text(f"{len(excerpt) / rate:.1f} seconds from its middle, to hear:")
        page.sounds([("As recorded", excerpt), ("256 classes", coded), ("16 classes", rough)], rate)
        page.code(round_trip, excerpt[:200_000])


def _waveform(axes: Axes, found: Account, rate: int) -> None:
    there = np.isfinite(found.low)
    t = (np.flatnonzero(there) + 0.5) * found.step / rate
    axes.fill_between(t, found.low[there], found.high[there], color=SERIES[0], lw=0.5)
    axes.set(xlabel="time (s)", ylabel="sample (of full scale)")


def _codes(axes: Axes, found: Account) -> None:
    histogram(axes, found.codes, np.arange(257) - 0.5, SERIES[0], "samples")
    axes.set(xlabel="mu-law class", ylabel="samples", yscale="log", ylim=(0.7, 2 * found.codes.max()))


def _loss(axes: Axes, found: Account) -> None:
    axes.plot(SIZES, [found.signal_to_noise(q) for q in SIZES], "o-", ms=4, label="signal to noise")
    axes.set_xscale("log", base=2)
    axes.set_xticks(SIZES)
    axes.set(xlabel="classes", ylabel="signal to noise (dB)")
