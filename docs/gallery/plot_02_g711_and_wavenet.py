"""
G.711 and WaveNet: two mu-laws
==============================

Telephones have coded speech in 8 bits since 1972, WaveNet since 2016; both call it mu-law. G.711 draws the curve with
eight straight lines and leaves out the two lowest bits of a sample; WaveNet computes the logarithm. The picture shows
the size of a step of each, and what that costs at each loudness.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastdl

every = np.arange(-32768, 32768).astype(np.int16)
decoded = {
    "WaveNet, 256 classes": fastdl.mu_law_decode(fastdl.mu_law_encode(every), dtype=np.int16),
    "G.711 mu-law": fastdl.g711_decode(fastdl.g711_encode(every, "mu"), "mu"),
    "G.711 A-law": fastdl.g711_decode(fastdl.g711_encode(every, "a"), "a"),
}

fig, steps = plt.subplots(figsize=(8, 3.8), layout="constrained")
for name, values in decoded.items():
    levels = np.unique(values[every >= 0]).astype(int)
    steps.loglog(levels[1:], np.diff(levels), ".-", ms=3, lw=0.8, label=name)
steps.set(xlabel="sample", ylabel="step to the level below", title="how fine the levels are")
steps.legend(fontsize=8)

# %%
# A sine of each loudness, coded and decoded: uniform steps of 8 bits lose 6 dB with every halving of the loudness; the
# logarithmic codes keep the ratio of signal to noise nearly constant. A-law is coarser for the quietest sounds.
loudness = np.arange(-72, 1, 2)
fig, noise = plt.subplots(figsize=(8, 3.8), layout="constrained")
phase = 2 * np.pi * np.sqrt(2) * np.arange(20_000)
codecs = {
    "WaveNet, 256 classes": lambda x: fastdl.mu_law_decode(fastdl.mu_law_encode(x), dtype=np.int16),
    "G.711 mu-law": lambda x: fastdl.g711_decode(fastdl.g711_encode(x, "mu"), "mu"),
    "G.711 A-law": lambda x: fastdl.g711_decode(fastdl.g711_encode(x, "a"), "a"),
    "uniform, 8 bits": lambda x: (x >> 8 << 8) + 128,
}
for name, codec in codecs.items():
    ratio = []
    for dB in loudness:
        x = np.round(32767 * 10 ** (dB / 20) * np.sin(phase)).astype(np.int16)
        error = codec(x).astype(float) - x
        ratio.append(10 * np.log10(np.mean(x.astype(float) ** 2) / np.mean(error**2)))
    noise.plot(loudness, ratio, "--" if name.startswith("uniform") else "-", label=name)
noise.set(xlabel="loudness (dB of full scale)", ylabel="signal to noise (dB)", ylim=(-10, 50), title="what is lost")
noise.legend(fontsize=8)
plt.show()

# %%
# Encoders of G.711 differ, decoders do not. How many of all 65,536 samples get another byte than ITU-T's reference
# gives them:
for law in ("mu", "a"):
    reference = fastdl.g711_encode(every, law)
    for dialect in fastdl.audio.G711_DIALECTS:
        print(f"{law:2}-law {dialect:10} {np.sum(fastdl.g711_encode(every, law, dialect=dialect) != reference):4}")
