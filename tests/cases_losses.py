"""Cases of the losses: targets stand off the predictions, for powers below 1 are ill-conditioned at a residual of 0."""

from __future__ import annotations

import numpy as np

from tests.case import Case

POWERS = (0.5, 0.75, 1, 1.37, 1.5, 2, 3, float(np.pi))


def problem(rng, n, d, models, dtype):
    X = rng.standard_normal((n, d)).astype(dtype)
    W = rng.standard_normal((models, d) if models else d).astype(dtype)
    sign = rng.choice([-1, 1], n)
    return (
        X,
        (sign * rng.uniform(20, 30, n) * np.sqrt(d)).astype(dtype),
        W,
        rng.standard_normal(models) if models else 0.5,
    )


def losses_cases() -> list[Case]:
    cases = []
    for dtype in ("float32", "float64"):
        for d, models in ((1, 0), (8, 0), (16, 0), (21, 2), (5, 9), (64, 33)):
            for p in POWERS if models in (0, 9) else (1, 1.37, 2):
                weigh = d in (16, 21, 64)

                def make(rng, n, dtype=dtype, d=d, models=models, p=p, weigh=weigh):
                    more = {}
                    if weigh:
                        more["sample_weight"] = rng.integers(0, 3, n).astype(dtype)
                    if models > 2:
                        more["folds"] = rng.integers(0, models, n)
                    return (*problem(rng, n, d, models, dtype), p), more

                for function in ("lp_loss", "lp_loss_grad"):
                    label = f"{dtype}-{d}-{models}-{p:.3g}"
                    rtol = 2e-5 if dtype == "float32" else 1e-11
                    moved = d * np.dtype(dtype).itemsize
                    cases.append(
                        Case("losses", function, make, label, rtol=rtol, moved=moved, sizes=(0, 1, 2, 7, 160, 2100))
                    )
    return cases


CASES_LOSSES = losses_cases()
