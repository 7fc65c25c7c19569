"""
Learned features against a polynomial
=====================================

A wave with a step. A polynomial of any degree rings on both sides of the step; a small network learns columns that have
a step where the data have one. A linear fit on either set of columns is judged on points that neither has seen.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastdl

rng = np.random.default_rng(0)
truth = lambda t: np.where(t < 0.3, np.sin(5 * t), 1.5 + 0.3 * np.sin(5 * t))  # noqa: E731
x = np.sort(rng.uniform(-1, 1, 400))
y = truth(x) + 0.1 * rng.normal(size=400)
grid = np.linspace(-1, 1, 1000)

net = fastdl.LearnedFeatures(hidden=(24, 12), epochs=400, seed=1).fit(x[:, None], y)
learned = fastdl.fit_lp(net.transform(x[:, None]), y)
polynomial = {d: fastdl.fit_lp(fastdl.vandermonde(x, d, basis="chebyshev")[:, 1:], y) for d in (12, 24)}

fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
left.plot(x, y, ".", ms=3, color="0.7")
for degree, fit in polynomial.items():
    curve = fit.predict(fastdl.vandermonde(grid, degree, basis="chebyshev")[:, 1:])
    error = np.sqrt(np.mean((curve - truth(grid)) ** 2))
    left.plot(grid, curve, lw=1, label=f"polynomial of degree {degree}: error {error:.3f}")
curve = learned.predict(net.transform(grid[:, None]))
error = np.sqrt(np.mean((curve - truth(grid)) ** 2))
left.plot(grid, curve, lw=1.5, color="k", label=f"12 learned columns: error {error:.3f}")
left.set(xlabel="x", ylim=(-1.6, 2.6))
left.legend(fontsize=7, loc="upper left")
right.plot(grid, net.transform(grid[:, None]), lw=1)
right.set(xlabel="x", title="the learned columns")
plt.show()

proof = learned.certificate
print(f"the linear fit on the learned columns is proven by {proof.kind}, gap {proof.gap:.1e}")
