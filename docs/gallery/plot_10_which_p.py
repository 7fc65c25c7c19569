"""
Which power of the residuals?
=============================

Forty points on a line, ten of them false. Squares count a far point more than all the near ones together; absolute
values count it by its distance; roots hardly count it. Each fit says how far from the least loss it can be at most.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastdl

rng = np.random.default_rng(5)
x = np.sort(rng.uniform(0, 10, 40))
y = 1 + 0.5 * x + rng.normal(0, 0.15, 40)
false = np.flatnonzero(x > 7)[:10]
y[false] = rng.uniform(-3, 1, len(false))
X = x[:, None]

fig, left = plt.subplots(figsize=(8, 4), layout="constrained")
left.plot(x, y, "o", ms=4, color="0.4")
left.plot(x[false], y[false], "o", ms=4, color="C3", label="false readings")
grid = np.linspace(0, 10, 2)
for p in (2, 1, 0.5):
    fit = fastdl.fit_lp(X, y, p=p)
    gap = fit.certificate.gap
    left.plot(grid, fit.predict(grid[:, None]), label=f"p = {p}: at most {gap:.2g} above the least loss")
    print(f"p = {p:3}: y = {fit.b:.3f} + {fit.w[0]:.3f} x, loss {fit.loss:.3f}, {fit.certificate.kind}, gap {gap:.2g}")
left.plot(grid, 1 + 0.5 * grid, "k:", lw=1, label="the truth")
left.legend(fontsize=8)
left.set(xlabel="x", ylabel="y")

# %%
# The loss as the slope is turned, with the best offset each: one valley for p = 2 and p = 1, many dents below p = 1,
# one wherever a line goes through two points. Descending from anywhere ends anywhere. The least loss is that of a line
# through two points; of forty points all such lines can be tried, and the gap is 0.
slopes = np.linspace(-0.8, 1, 400)
offsets = np.linspace(-2, 8, 400)
fig, right = plt.subplots(figsize=(8, 3.8), layout="constrained")
W, b = (a.ravel() for a in np.meshgrid(slopes, offsets))
for p in (2, 1, 0.5):
    losses = fastdl.lp_loss(X, y, W[:, None], b, p).reshape(400, 400).min(axis=0)
    right.plot(slopes, losses / losses.min(), label=f"p = {p}")
right.set(xlabel="slope", ylabel="loss, of the least", ylim=(0.98, 2))
right.legend()
plt.show()
