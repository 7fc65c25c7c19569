"""
A number as the class of its bin
================================

Predicting a class is often easier than predicting a number. Incomes are put into sixteen bins in four ways; the class
is decoded as the mean of what fell into its bin. Which way is best depends on which error counts.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastdl

y = np.random.default_rng(7).lognormal(10, 0.8, 50_000)
fig, axes = plt.subplots(4, 1, figsize=(8, 5.4), sharex=True, layout="constrained")
rows = []
for ax, strategy in zip(axes, ("uniform", "quantile", "mu-law", "kmeans")):
    bins = fastdl.BinnedTarget(16, strategy=strategy).fit(y)
    error = bins.decode(bins.encode(y)) - y
    rows.append((strategy, np.sqrt(np.mean(error**2)), np.median(np.abs(error)), np.median(np.abs(error) / y)))
    ax.hist(y, bins=np.geomspace(1e3, 1e6, 200), color="0.8")
    for edge in bins.edges_:
        ax.axvline(edge, color="C0", lw=0.8)
    ax.plot(bins.means_, np.zeros(bins.bins_), "|", color="C1", ms=12)
    ax.set(xscale="log", yticks=[], ylabel=strategy, xlim=(1e3, 1e6))
axes[0].set_title("blue: edges of the bins; orange: what a class is decoded as")
axes[-1].set_xlabel("income")
plt.show()

print("strategy   root mean square   median error   median error in %")
for strategy, square, absolute, relative in rows:
    print(f"{strategy:10} {square:16,.0f} {absolute:14,.0f} {100 * relative:19.1f}")

# %%
# From a stream: the same edges, whatever the chunks, or a sketch of bounded size for what does not fit in memory.
stream = fastdl.streaming.run(np.array_split(y, 40), fastdl.BinnedTarget(16, "quantile"))
sketch = fastdl.streaming.run(np.array_split(y, 40), fastdl.BinnedTarget(16, "quantile", sketch=4096))
whole = fastdl.BinnedTarget(16, "quantile").fit(y)
print("same edges:", np.array_equal(stream.edges_, whole.edges_))
print(f"largest error of a sketch's edge: {np.max(np.abs(sketch.edges_ / whole.edges_ - 1)):.2%}")
