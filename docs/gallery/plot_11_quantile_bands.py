"""
Quantile bands
==============

A fit of the mean says nothing about how far values scatter. Quantile regression fits the curves that a tenth, a half
and nine tenths of the values are below. Each is exact: it goes through as many points as it has coefficients, and
comes with the proof that no other curve has a smaller check loss.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastdl

rng = np.random.default_rng(0)
x = np.sort(rng.uniform(0, 10, 600))
y = 3 + 2 * np.sin(0.6 * x) + (0.2 + 0.15 * x) * rng.standard_t(4, 600)
columns = fastdl.vandermonde(x, 5, basis="chebyshev", domain=(0, 10))[:, 1:]

taus = [0.05, 0.25, 0.5, 0.75, 0.95]
fits = fastdl.fit_quantile(columns, y, taus)
curves = [fit.predict(columns) for fit in fits]

fig, ax = plt.subplots(figsize=(8, 4), layout="constrained")
ax.plot(x, y, ".", ms=3, color="0.6")
ax.fill_between(x, curves[0], curves[4], color="C0", alpha=0.15, label="5 % to 95 %")
ax.fill_between(x, curves[1], curves[3], color="C0", alpha=0.3, label="25 % to 75 %")
ax.plot(x, curves[2], color="C0", label="median")
ax.plot(x, fastdl.fit_lp(columns, y).predict(columns), "--", color="C1", label="mean (least squares)")
ax.set(xlabel="x", ylabel="y", ylim=(-6, 13))
ax.legend(loc="upper left", fontsize=8)
plt.show()

for tau, fit, curve in zip(taus, fits, curves):
    print(f"{tau:.2f}: {np.mean(y < curve):.3f} of the values below, gap {fit.certificate.gap:.1e}")
