"""The chapter on audio: a synthesised voice, its codes as pictures and sounds, and the loss of each encoding."""

from __future__ import annotations

from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

import fastdl
from fastdl._typing import Array
from fastdl.audio.mu_law import G711_DIALECTS, LAWS, MU_LAW_DIALECTS
from fastdl.report.figures import SERIES, Panel, histogram
from fastdl.report.page import Chapter
from fastdl.report.samples import RATE, voice

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZES = (16, 32, 64, 128, 256)


def chapter() -> Chapter:
    """A voice, its classes, players, and what is lost."""
    page = Chapter(
        "audio",
        "Audio: samples to classes",
        "Eight bits a sample are enough for a voice if they are fine where it is quiet: mu-law puts 256 classes where "
        "the ear needs them.",
    )
    x = voice()
    page.figure(
        [
            Panel(partial(_waveform, x=x), "Five vowels of a voice, two seconds, one after the other with pauses.",
                  "The recording", 290),
            Panel(partial(_part, x=x), "Eight milliseconds of the voice: 256 classes follow the curve, 16 classes "
                  "miss it where it is loud.", "Eight milliseconds of it"),
        ],
        "A voice of pulses and formants as 16-bit samples, and what comes back from its classes.",
    )  # fmt: skip
    page.code(round_trip, np.tile(x, 30))
    page.text(
        "That was a minute of the voice. Listen to two seconds of what comes back: with 256 mu-law classes there is "
        "hardly a hiss; with as many even steps the pauses rustle; with 16 classes mu-law still speaks."
    )
    page.sounds([("The recording, 16 bits", x), *_decoded(x)], RATE)
    page.section("Where the classes go")
    page.figure(*_histograms(x))
    page.section("What is lost")
    page.figure(
        [Panel(partial(_against_size, x=x), "Signal to noise rises by about 6 dB with each doubling of the classes, "
               "up to 36 dB; the dialect of WaveNet is above the others.", "Signal to noise of the voice", wide=True)],
        "By number of classes and dialect: only WaveNet's rounding puts the decoded sample in the middle of its class.",
    )  # fmt: skip
    _dialects(page, x)
    return page


def round_trip(fastdl: ModuleType, x: Array) -> tuple[Array, Array]:
    codes = fastdl.mu_law_encode(x)  # int16 samples to classes 0 to 255
    samples = fastdl.mu_law_decode(codes)  # and back to float32 in [-1, 1]
    return codes, samples


def snr(x: Array, y: Array) -> float:
    """Signal-to-noise ratio in dB."""
    noise = np.mean((x.astype(float) - y.astype(float)) ** 2)
    return float(10 * np.log10(np.mean(x.astype(float) ** 2) / noise))


def decoded(x: Array, q: int, dialect: str = "wavenet") -> Array:
    """int16 samples encoded as q classes and decoded again."""
    codes = fastdl.mu_law_encode(x, q, dialect=dialect)
    return fastdl.mu_law_decode(codes, q, dialect=dialect, dtype=np.int16)


def _decoded(x: Array) -> list[tuple[str, Array]]:
    even = (((x >> 8).astype(np.int32) << 8) + 128).astype(np.int16)
    return [
        ("256 mu-law classes, 8 bits", decoded(x, 256)),
        ("256 even steps, 8 bits", even),
        ("32 mu-law classes, 5 bits", decoded(x, 32)),
        ("16 mu-law classes, 4 bits", decoded(x, 16)),
    ]


def _waveform(axes: Axes, x: Array) -> None:
    """The waveform, as the minimum and maximum of each stretch of samples."""
    stretches = x[: len(x) // 400 * 400].reshape(400, -1) / 32768
    t = (np.arange(400) + 0.5) * stretches.shape[1] / RATE
    axes.fill_between(t, stretches.min(axis=1), stretches.max(axis=1), color=SERIES[0], lw=0.5)
    axes.set(xlabel="time (s)", ylabel="sample (of full scale)")


def _part(axes: Axes, x: Array) -> None:
    window = slice(int(0.2 * RATE), int(0.208 * RATE))
    t = np.arange(len(x))[window] / RATE * 1e3
    axes.plot(t, x[window] / 32768, label="recorded", color=SERIES[6])
    for q, colour in ((16, SERIES[1]), (256, SERIES[0])):
        axes.plot(t, decoded(x, q)[window] / 32768, "o", ms=3, label=f"decoded, {q} classes", color=colour)
    axes.set(xlabel="time (ms)", ylabel="sample (of full scale)")


def _histograms(x: Array) -> tuple[list[Panel], str]:
    even = np.bincount((x >> 8).astype(int) + 128, minlength=256)
    law = np.bincount(fastdl.mu_law_encode(x), minlength=256)
    top = 2 * max(even.max(), law.max())

    def draw(axes: Axes, counts: Array, colour: str, name: str) -> None:
        histogram(axes, counts, np.arange(257) - 0.5, colour, "samples")
        axes.set(xlabel=name, ylabel="samples", yscale="log", ylim=(0.7, top), xlim=(-1, 256))

    used = [int((counts > 0).sum()) for counts in (even, law)]
    drawn = [
        Panel(partial(draw, counts=even, colour=SERIES[6], name="upper 8 bits"),
              f"Most samples fall into a few classes in the middle; {used[0]} of 256 occur.", "Even steps"),
        Panel(partial(draw, counts=law, colour=SERIES[0], name="mu-law class"),
              f"The samples spread over {used[1]} of 256 classes.", "Mu-law"),
    ]  # fmt: skip
    words = f"Even steps use {used[0]} of 256 classes and crowd the middle; mu-law uses {used[1]}."
    return drawn, f"Both on the same scales. {words}"


def _against_size(axes: Axes, x: Array) -> None:
    for dialect in MU_LAW_DIALECTS:
        axes.plot(SIZES, [snr(x, decoded(x, q, dialect)) for q in SIZES], "o-", ms=4, label=dialect)
    axes.set_xscale("log", base=2)
    axes.set_xticks(SIZES)
    axes.set(xlabel="classes", ylabel="signal to noise (dB)")


def _dialects(page: Chapter, x: Array) -> None:
    every = np.arange(-32768, 32768).astype(np.int16)
    rows = []
    for law in LAWS:
        itu = fastdl.g711_encode(every, law)
        for dialect in G711_DIALECTS:
            differ = int((fastdl.g711_encode(every, law, dialect=dialect) != itu).sum())
            back = fastdl.g711_decode(fastdl.g711_encode(x, law, dialect=dialect), law)
            rows.append((f"{law}-law", dialect, differ, round(snr(x, back), 2)))
    page.table(
        ("law", "dialect", "codes of 65,536 unlike ITU's", "signal to noise (dB)"),
        rows,
        "Encoders called G.711 differ; `g711_encode` has each by name, and all decode alike.",
    )
