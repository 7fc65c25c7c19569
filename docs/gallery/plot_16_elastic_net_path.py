"""
A path of penalties
===================

Twenty columns, of which five matter. The lasso's penalty sets coefficients to zero, one after the other; folds say
where to stop. The whole path and all folds come from the products of the columns, made in one pass, and each fit has a
bound of how far from the least penalised loss it can be.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastdl

rng = np.random.default_rng(2)
X = rng.normal(size=(200, 20)) + 0.5 * rng.normal(size=(200, 1))
truth = np.zeros(20)
truth[:5] = [3, -2, 1.5, 1, -0.7]
y = X @ truth + 2 * rng.normal(size=200)
folds = np.arange(200) % 5
penalties = np.geomspace(2000, 2, 60)
path = fastdl.fit_elastic_net(X, y, l1=penalties, folds=folds)

fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), sharex=True, layout="constrained")
weights = np.array([fit.w for fit in path.fits])
left.semilogx(penalties, weights[:, 5:], color="0.75", lw=0.8)
left.semilogx(penalties, weights[:, :5], lw=1.5)
left.set(xlabel="l1 penalty", ylabel="coefficient", title="coloured: the columns that matter")
right.loglog(penalties, path.test_losses.T, color="0.75", lw=0.8)
right.loglog(penalties, path.test_losses.mean(axis=0), color="C1", lw=1.5)
right.set(xlabel="l1 penalty", title="mean squared error on each fold, and their mean")
chosen = path.test_losses.mean(axis=0).argmin()
for ax in (left, right):
    ax.axvline(penalties[chosen], color="k", ls=":", lw=1)
left.invert_xaxis()
plt.show()

best = path.best
print(f"best penalty {penalties[chosen]:.0f}: {np.count_nonzero(best.w)} coefficients, gap {best.certificate.gap:.1e}")
