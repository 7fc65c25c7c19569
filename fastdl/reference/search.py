"""Random search, and the search of all models through as many rows as they have coefficients: what they find."""

import numpy as np

from fastdl.reference.losses import lp_loss


def random_search(
    X, y, p=2.0, *, candidates=1024, refine=10, scale=1.0, shrink=0.5, sample_weight=None, intercept=True, seed=0
):
    """(w, b, loss) of the best of all candidates; columns must be independent."""
    X, y = np.asarray(X, float), np.asarray(y, float)
    s = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, float)
    middle = s @ X / s.sum() if intercept else np.zeros(X.shape[1])
    level = s @ y / s.sum() if intercept else 0.0
    Z, t = X - middle, y - level
    w, c = np.linalg.lstsq(Z * np.sqrt(s)[:, None], t * np.sqrt(s), rcond=None)[0], 0.0
    R = np.linalg.cholesky((Z.T * s) @ Z / s.sum()).T
    width = scale * np.sqrt(s @ (t - Z @ w) ** 2 / s.sum() / (X.shape[1] + intercept))
    for turn in range(1 + refine):
        z = width * numbers(seed, turn, candidates, X.shape[1] + intercept)
        W, C = w + np.linalg.solve(R, z[:, : X.shape[1]].T).T, c + (z[:, -1] if intercept else np.zeros(len(z)))
        losses = lp_loss(Z, t, W, C, p, sample_weight=s)
        w, c = W[losses.argmin()], C[losses.argmin()]
        width *= shrink
    return w, c + level - w @ middle, losses.min()


def numbers(seed, turn, count, size):
    """The numbers of a round's candidates, the first of which is the centre."""
    groups = []
    for group in range(-(-count // 64)):
        bits = np.random.Philox(key=np.array([seed, (turn << 40) + group], np.uint64))
        groups.append(np.random.Generator(bits).standard_normal((64, size)))
    z = np.concatenate(groups)[:count]
    z[0] = 0
    return z


def best_vertex(X, y, p, *, sample_weight=None, intercept=True):
    """(loss, coefficients): for p <= 1 the least loss of all, that of a model through independent rows."""
    A = np.column_stack([X, np.ones(len(y))]) if intercept else np.asarray(X, float)
    best = np.inf, np.zeros(A.shape[1])
    for rows in np.ndindex(*[len(y)] * A.shape[1]):
        rows = list(rows)
        if rows == sorted(set(rows)) and abs(np.linalg.det(A[rows])) > 1e-9 * np.prod(np.linalg.norm(A[rows], axis=1)):
            w = np.linalg.solve(A[rows], np.asarray(y, float)[rows])
            s = np.where(np.isin(np.arange(len(y)), rows), 0, 1 if sample_weight is None else sample_weight)
            loss = lp_loss(A, y, w, 0.0, p, sample_weight=s)  # the rows it goes through add nothing but rounding
            best = min(best, (loss, w), key=lambda pair: pair[0])
    return best
