"""The audio chapter: a synthesised voice, its codes, and what each representation loses."""

from __future__ import annotations

import numpy as np

import fastdl
from fastdl.audio.mu_law import G711_DIALECTS, LAWS, MU_LAW_DIALECTS
from fastdl.report.page import Chapter
from fastdl.report.samples import RATE, voice


def snr(x: np.ndarray, y: np.ndarray) -> float:
    """Signal-to-noise ratio in dB."""
    noise = np.mean((x.astype(float) - y.astype(float)) ** 2)
    return float(10 * np.log10(np.mean(x.astype(float) ** 2) / noise))


def chapter() -> Chapter:
    """Waveform, histogram, error against Q, and the dialects side by side."""
    c = Chapter("Audio: 16-bit samples to mu-law classes")
    x = voice()
    codes = fastdl.mu_law_encode(x)
    c.text(
        "A voice made of pulses and formants, as `int16`. `fastdl.mu_law_encode` turns each sample into one of 256 "
        "classes, finer where it is quiet; `mu_law_decode` takes the middle of the class."
    )
    t = np.arange(len(x)) / RATE
    with c.figure(1, 2, caption="The recording, and 8 ms of it with what comes back from the classes.") as (
        whole,
        part,
    ):
        whole.plot(t, x / 32768, lw=0.4)
        whole.set(xlabel="time (s)", ylabel="sample (of full scale)", title="waveform")
        window = slice(int(0.2 * RATE), int(0.208 * RATE))
        part.plot(t[window] * 1e3, x[window] / 32768, label="recorded")
        for q in (16, 256):
            decoded = fastdl.mu_law_decode(fastdl.mu_law_encode(x, q), q)
            part.plot(t[window] * 1e3, decoded[window], ".", ms=4, label=f"decoded, Q = {q}")
        part.set(xlabel="time (ms)", title="8 ms")
        part.legend(loc="lower right", fontsize=8)
    with c.figure(1, 2, caption="Uniform 8-bit steps leave the quiet samples few classes; mu-law spreads them.") as (
        left,
        right,
    ):
        left.hist((x >> 8) + 128, bins=np.arange(257) - 0.5)
        left.set(xlabel="upper 8 bits", ylabel="samples", title="uniform classes", yscale="log")
        right.hist(codes, bins=np.arange(257) - 0.5)
        right.set(xlabel="mu-law class", title="mu-law classes", yscale="log")
    _against_q(c, x)
    _dialects(c, x)
    return c


def _against_q(c: Chapter, x: np.ndarray) -> None:
    sizes = [16, 32, 64, 128, 256]
    with c.figure(
        size=(6, 3.2), caption="Only the rounding of WaveNet's dialect puts the decoded sample mid-class."
    ) as ax:
        for dialect in MU_LAW_DIALECTS:
            decoded = [
                fastdl.mu_law_decode(fastdl.mu_law_encode(x, q, dialect=dialect), q, dialect=dialect, dtype=np.int16)
                for q in sizes
            ]
            ax.plot(sizes, [snr(x, y) for y in decoded], "o-", label=dialect)
        ax.set_xscale("log", base=2)
        ax.set(
            xlabel="classes Q", ylabel="signal to noise (dB)", title="what is lost, by number of classes and dialect"
        )
        ax.legend()


def _dialects(c: Chapter, x: np.ndarray) -> None:
    every = np.arange(-32768, 32768).astype(np.int16)
    rows = []
    for law in LAWS:
        itu = fastdl.g711_encode(every, law)
        for dialect in G711_DIALECTS:
            differ = int((fastdl.g711_encode(every, law, dialect=dialect) != itu).sum())
            decoded = fastdl.g711_decode(fastdl.g711_encode(x, law, dialect=dialect), law)
            rows.append((f"{law}-law", dialect, differ, round(snr(x, decoded), 2)))
    c.text("Encoders called G.711 differ; `g711_encode` has each by name, and all decode alike.")
    c.table(("law", "dialect", "codes of 65,536 unlike ITU's", "signal to noise of the voice (dB)"), rows)
