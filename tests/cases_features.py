"""The cases of features: every basis and dtype, several widths, and blocks of named functions."""

from __future__ import annotations

import numpy as np

from tests.case import Case

BASES = ("monomial", "chebyshev", "legendre")


def features_cases() -> list[Case]:
    cases = []
    for basis in BASES:
        for degree in (0, 1, 5, 15):
            for dtype in ("float32", "float64"):
                for domain in (None, (-3.0, 4.5)):

                    def vandermonde(rng, n, basis=basis, degree=degree, dtype=dtype, domain=domain):
                        return (rng.standard_normal(n).astype(dtype), degree), {"basis": basis, "domain": domain}

                    label = f"{basis}-{degree}-{dtype}{'-domain' if domain else ''}"
                    moved = np.dtype(dtype).itemsize * (degree + 2)
                    cases.append(Case("features", "vandermonde", vandermonde, label, moved=moved))
    for d, degree in ((1, 4), (2, 3), (3, 0), (10, 3), (40, 2)):
        for interaction_only in (False, True):
            for dtype in ("float32", "float64"):

                def polynomial(rng, n, d=d, degree=degree, interaction_only=interaction_only, dtype=dtype):
                    n = min(n, 500)
                    return (rng.standard_normal((n, d)).astype(dtype), degree), {"interaction_only": interaction_only}

                label = f"{d}-{degree}-{dtype}{'-interactions' if interaction_only else ''}"
                cases.append(Case("features", "polynomial_features", polynomial, label))
    for d, names in ((1, ["cube"]), (1, ["log", "sin"]), (3, ["sqrt", "exp", "identity"]), (8, ["log1p", "tanh"])):
        for dtype in ("float32", "float64"):

            def mapped(rng, n, d=d, names=names, dtype=dtype):
                return (rng.standard_normal((n, d)).astype(dtype), [(name, tuple(range(d))) for name in names]), {}

            moved = np.dtype(dtype).itemsize * d * (1 + len(names))
            cases.append(Case("features", "feature_map", mapped, f"{'-'.join(names)}-{d}-{dtype}", moved=moved))
    return cases


CASES_FEATURES = features_cases()
