"""The fit of least sum of s |y - X w - b|^p, by definition: for small data."""

import numpy as np


def fit_lp(X, y, p=2.0, *, intercept=True, sample_weight=None):
    """(w, b, loss)."""
    X, y = np.asarray(X, float), np.asarray(y, float)
    s = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, float)
    A = np.column_stack([np.ones(len(y)), X]) if intercept else X
    solve = least_squares if p == 2 else vertices if p <= 1 else newton
    beta = solve(A[s > 0], y[s > 0], s[s > 0], p)
    loss = (s * np.abs(y - A @ beta) ** p)[s > 0].sum()
    return (beta[1:], beta[0], loss) if intercept else (beta, 0.0, loss)


def least_squares(A, y, s, p=2.0):
    """The normal equations; of many solutions the shortest."""
    return np.linalg.pinv(A.T @ (A * s[:, None])) @ (A.T @ (s * y))


def vertices(A, y, s, p):
    """For p <= 1 one of the best models goes through as many rows as it has coefficients."""
    n, k = A.shape
    some = [list(rows) for rows in np.ndindex(*[n] * k) if list(rows) == sorted({*rows})]
    betas = [np.linalg.solve(A[rows], y[rows]) for rows in some if np.linalg.cond(A[rows]) < 1e10]
    return min(betas, key=lambda beta: (s * np.abs(y - A @ beta) ** p).sum())


def newton(A, y, s, p, floor=1e-12, steps=500):
    """Newton's method with steps halved until the loss falls."""
    beta = least_squares(A, y, s)

    def loss(beta):
        return (s * np.abs(y - A @ beta) ** p).sum()

    for _ in range(steps):
        r = y - A @ beta
        h = s * np.maximum(np.abs(r), floor * np.abs(y).max()) ** (p - 2)
        step = np.linalg.pinv(A.T @ (A * h[:, None])) @ (A.T @ (h * r)) / max(p - 1, 1)
        while loss(beta + step) > loss(beta) and np.abs(step).max() > 1e-16 * np.abs(beta).max():
            step /= 2
        beta = beta + step
    return beta
