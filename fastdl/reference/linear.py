"""Linear fits of least sum of s |y - X w - b|^p by definition, random search, gradient descent, and their kernels."""

import numpy as np

from fastdl.reference.losses import lp_loss, lp_loss_grad


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


# Random search, and the search of all models through as many rows as they have coefficients.


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
    for rows in map(list, np.ndindex(*[len(y)] * A.shape[1])):
        if rows == sorted(set(rows)) and abs(np.linalg.det(A[rows])) > 1e-9 * np.prod(np.linalg.norm(A[rows], axis=1)):
            w = np.linalg.solve(A[rows], np.asarray(y, float)[rows])
            s = np.where(np.isin(np.arange(len(y)), rows), 0, 1 if sample_weight is None else sample_weight)
            loss = lp_loss(A, y, w, 0.0, p, sample_weight=s)  # the rows it goes through add nothing but rounding
            best = min(best, (loss, w), key=lambda pair: pair[0])
    return best


# Gradient descent on all rows.


def gradient_descent(
    X, y, p=2.0, *, optimizer="adam", learning_rate=0.1, momentum=0.9, epochs=200, sample_weight=None, intercept=True
):
    """(w, b, losses): of the best model seen and of all models, the rate following a cosine."""
    X, y = np.asarray(X, float), np.asarray(y, float)
    s = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, float)
    middle, level = (s @ X / s.sum(), s @ y / s.sum()) if intercept else (np.zeros(X.shape[1]), 0.0)
    size, unit = np.sqrt(s @ (X - middle) ** 2 / s.sum()), np.sqrt(s @ (y - level) ** 2 / s.sum())
    Z, t = (X - middle) / size, (y - level) / unit
    x, largest, losses = np.zeros(X.shape[1] + 1), 0.0, []
    best, mean, square = x, np.zeros_like(x), np.zeros_like(x)
    for epoch in range(epochs + 1):
        loss, by_v, by_c = lp_loss_grad(Z, t, x[:-1], x[-1], p, sample_weight=s, reduction="mean")
        losses.append(loss * s.sum() * unit**p)
        best = x if losses[-1] <= min(losses) else best
        g = np.append(by_v, by_c * intercept)
        rate = learning_rate * (1 + np.cos(np.pi * epoch / max(1, epochs))) / 2
        if optimizer == "adam":
            largest = max(largest, np.abs(g).max())
            g = np.where(np.abs(g) > 1e-13 * largest, g, 0)  # Adam would turn rounding errors into whole steps
            mean, square = 0.9 * mean + 0.1 * g, 0.999 * square + 0.001 * g * g
            step = (
                mean
                / (1 - 0.9 ** (epoch + 1))
                / (np.sqrt(square / (1 - 0.999 ** (epoch + 1))) + 1e-8 * (largest or 1.0))
            )
        else:
            step = mean = (momentum if optimizer == "momentum" else 0.0) * mean + g
        x = x - rate * step
    w = best[:-1] * unit / size
    return w, level + unit * best[-1] - w @ middle, np.array(losses)


# Kernels: sums over the rows of a fit, added to `total`, or values of each row, written to `out`.


def gram(X, y, s, shift, factor, scratch, total):
    Z = np.column_stack([np.ones(len(X)), (X - shift) * factor, y])
    m = Z.shape[1]
    total[:m, :m] += np.triu(np.einsum("ni,nj->ij", Z, Z if s is None else Z * s[:, None]))


def residuals(X, y, w, b, shift, out):
    out[:] = y - b - ((X - shift) * w).sum(axis=1)


def products(X, g, shift, total):
    total += np.append(g.sum(), ((X - shift) * g[:, None]).sum(axis=0))


def squares(X, y, s, w, b, shift, total):
    r = y - b - ((X - shift) * w).sum(axis=1)
    g = r if s is None else s * r
    total[0] += (g * r).sum()
    products(X, g, shift, total[1:])


def near(X, y, s, model, shift, reach, index, total):
    r = y - model[0] - ((X - shift) * model[1:]).sum(axis=1)
    inside = np.abs(r) <= reach
    products(X, np.where(inside, 0, np.sign(r) * (1 if s is None else s)), shift, total)
    index[: inside.sum()] = np.flatnonzero(inside)
    return int(inside.sum())


def clipped(X, y, s, model, shift, delta, inside, total):
    r, s = y - model[0] - ((X - shift) * model[1:]).sum(axis=1), np.ones(len(y)) if s is None else s
    cut = np.clip(r, -delta, delta)
    inside[:] = np.where(np.abs(r) <= delta, s, 0)
    total[:4] += [(s * x).sum() for x in (cut * r, cut * cut, np.abs(r), np.abs(cut))]
    products(X, s * cut, shift, total[4:])


def residuals_of_models(X, y, w, b, shift, out):
    for k in range(len(w)):
        residuals(X, y[k], w[k], b[k], shift[k], out[k])


def powers(r, e, out):
    with np.errstate(divide="ignore", over="ignore", under="ignore"):
        out[:] = np.abs(r) ** e


def entropies(z, y, s, g, loss, entropy):
    full = np.concatenate([np.zeros_like(z), z]) if len(z) == 1 else z.copy()
    own, top = (y.astype(np.intp), np.arange(len(y))), (full.argmax(axis=0), np.arange(len(y)))
    far = full[top] - full
    e = np.exp(-far)
    rest, others = e.copy(), e.copy()
    rest[top], others[own] = 0, 0
    lost, total = np.log1p(rest.sum(axis=0)), 1 + rest.sum(axis=0)
    loss[:], entropy[:] = s * (lost + far[own]), s * (lost + (e * far).sum(axis=0) / total)
    q = e / total
    z[:] = q[-len(z) :]
    q[own] = -others.sum(axis=0) / total
    g[:] = s * q[-len(z) :]


def fit_quantile(X, y, tau=0.5, *, sample_weight=None):
    """(w, b, loss) of the least check loss: one of the best models goes through as many rows as it has coefficients."""
    X, y = np.asarray(X, float), np.asarray(y, float)
    s = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, float)
    A = np.column_stack([np.ones(len(y)), X])

    def loss(beta):
        r = y - A @ beta
        return (s * np.maximum(tau * r, (tau - 1) * r)).sum()

    some = [list(rows) for rows in np.ndindex(*[len(y)] * A.shape[1]) if list(rows) == sorted({*rows})]
    beta = min((np.linalg.solve(A[rows], y[rows]) for rows in some if np.linalg.cond(A[rows]) < 1e10), key=loss)
    return beta[1:], beta[0], loss(beta)


def fit_huber(X, y, delta=1.345, *, sample_weight=None, rounds=10_000):
    """(w, b, loss) of the least sum s h(r): least squares of rows weighed by min(1, delta / |r|), again and again."""
    X, y = np.asarray(X, float), np.asarray(y, float)
    s = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, float)
    A, beta = np.column_stack([np.ones(len(y)), X]), np.zeros(X.shape[1] + 1)
    for _ in range(rounds):
        h = s * delta / np.maximum(np.abs(y - A @ beta), delta)
        before, beta = beta, np.linalg.lstsq(A * np.sqrt(h)[:, None], y * np.sqrt(h), rcond=None)[0]
        if np.array_equal(before, beta):
            break
    r = np.abs(y - A @ beta)
    return beta[1:], beta[0], (s * np.where(r <= delta, r * r / 2, delta * r - delta * delta / 2)).sum()


def fit_elastic_net(X, y, *, l1=0.0, l2=0.0, sample_weight=None, rounds=10_000):
    """(w, b, loss) of the least sum s r^2 + l1 |w|_1 + l2 |w|^2: each weight in turn solved for, again and again."""
    X, y = np.asarray(X, float), np.asarray(y, float)
    s = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, float)
    Z, z = X - np.average(X, axis=0, weights=s), y - np.average(y, weights=s)
    w, squares = np.zeros(X.shape[1]), (s[:, None] * Z * Z).sum(axis=0)
    for _ in range(rounds):
        before = w.copy()
        for j in range(len(w)):
            pull = (s * Z[:, j] * (z - Z @ w + Z[:, j] * w[j])).sum()
            w[j] = np.sign(pull) * max(0, abs(pull) - l1 / 2) / max(squares[j] + l2, 1e-300)
        if np.array_equal(w, before):
            break
    loss = (s * (z - Z @ w) ** 2).sum() + l1 * np.abs(w).sum() + l2 * (w * w).sum()
    return w, np.average(y - X @ w, weights=s), loss


def fit_logistic(X, y, *, l2=1.0, sample_weight=None, steps=100):
    """(w, b, loss) for y of 0 and 1: the least sum s (-log probability of y) + l2 / 2 |w|^2, by Newton's method."""
    X, y = np.asarray(X, float), np.asarray(y, float)
    s = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, float)
    A, penalty = np.column_stack([np.ones(len(y)), X]), np.append(0.0, np.full(X.shape[1], l2))

    def loss(beta):
        return (s * np.logaddexp(0, np.where(y == 1, -1, 1) * (A @ beta))).sum() + (penalty * beta * beta).sum() / 2

    beta = np.zeros(A.shape[1])
    for _ in range(steps):
        share = 1 / (1 + np.exp(-(A @ beta)))
        slope = A.T @ (s * (share - y)) + penalty * beta
        step = np.linalg.solve(A.T @ (A * (s * share * (1 - share))[:, None]) + np.diag(penalty), slope)
        while loss(beta - step) > loss(beta) and np.abs(step).max() > 1e-15:
            step = step / 2
        beta = beta - step
    return beta[1:], beta[0], loss(beta)
