"""
The degree of a polynomial by cross-validation
==============================================

The loss on the points of a fit falls with every degree. The loss on points that were left out falls, and rises again:
its least value tells the degree. All degrees and all folds come from one pass over the data.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastdl

rng = np.random.default_rng(1)
x = rng.uniform(-1, 1, 120)
truth = lambda t: np.sin(4 * t) + 0.5 * t  # noqa: E731
y = truth(x) + 0.3 * rng.normal(size=120)
choice = fastdl.select_degree(x, y, range(21), folds=6)
print(f"least validation loss: degree {choice.best}; within a standard error of it: degree {choice.one_se}")

fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
left.semilogy(choice.degrees, choice.train, "o-", ms=3, label="training")
left.errorbar(choice.degrees, choice.valid, choice.valid_se, fmt="o-", ms=3, capsize=2, label="validation")
left.axvline(choice.best, color="0.6", lw=0.8, ls="--")
left.set(xlabel="degree", ylabel="mean squared error", ylim=(0.04, 3))
left.legend()
grid = np.linspace(-1, 1, 300)
right.plot(x, y, "o", ms=3, color="0.6")
right.plot(grid, truth(grid), "k:", label="the truth")
for degree in (1, choice.best, 20):
    model = choice.models[list(choice.degrees).index(degree)]
    right.plot(grid, model.predict(grid), label=f"degree {degree}")
right.set(xlabel="x", ylim=(-2.5, 2.5))
right.legend(fontsize=8)
plt.show()

# %%
# The part for the test was set aside before, and takes no part in the choice:
print(f"test loss of degree {choice.best}: {choice.test[list(choice.degrees).index(choice.best)]:.3f}")
