"""
Mu-law classes of a chirp
=========================

Sixteen-bit samples become 256 classes that are fine where the signal is quiet and coarse where it is loud. Three
libraries round the same formula in three ways; the picture shows what each loses.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastdl

# %%
# A chirp that fades out, as `int16`.
rate = 8000
t = np.arange(rate) / rate
x = np.round(30000 * np.exp(-4 * t) * np.sin(2 * np.pi * (100 * t + 300 * t**2))).astype(np.int16)
codes = fastdl.mu_law_encode(x)
print(codes.dtype, codes.min(), codes.max(), codes.nbytes, "bytes for", x.nbytes)

fig, (above, below) = plt.subplots(2, 1, sharex=True, figsize=(8, 4.5), layout="constrained")
above.plot(t, x / 32768, lw=0.6)
above.set(ylabel="sample (of full scale)")
below.plot(t, codes, lw=0.6, color="C1")
below.set(ylabel="class", xlabel="time (s)", yticks=[0, 64, 128, 192, 255])
fig.suptitle("the samples, and their classes: quiet parts still use many of them")

# %%
# Decoding gives the middle of a class. Only WaveNet's own rounding, which torchaudio has too, places the sample near
# that middle. The other two are off by up to a class: about 6 dB.
fig, ax = plt.subplots(figsize=(8, 3.2), layout="constrained")
for dialect in ("wavenet", "librosa", "nnmnkwii"):
    back = fastdl.mu_law_decode(fastdl.mu_law_encode(x, dialect=dialect), dialect=dialect, dtype=np.float64)
    error = np.abs(back - x / 32768)
    noise = 10 * np.log10(np.mean((x / 32768) ** 2) / np.mean(error**2))
    ax.semilogy(t, np.maximum.accumulate(error[::-1])[::-1], label=f"{dialect}: {noise:.1f} dB")
ax.set(xlabel="time (s)", ylabel="largest error from here on")
ax.legend(title="signal to noise")
plt.show()
