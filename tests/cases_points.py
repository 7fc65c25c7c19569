"""How the point functions are called, for the tests of equivalence and for the bench."""

from __future__ import annotations

import numpy as np

from fastdl.points.reduction import LARGE
from fastdl.reference.points import REDUCTIONS
from tests.case import Case

LARGE_SIZES: tuple[int, ...] = (LARGE + 5,)
SIZE, ENDS = (0.5, 0.25, 1.0), (-4.0, -4.0, -2.0, 4.0, 4.0, 2.0)


def cloud(rng: np.random.Generator, n: int, dtype: str = "float32") -> np.ndarray:
    """n points, some out of range, some on cell walls, some not finite; the last column holds labels."""
    points = rng.normal(0, 2.5, (n, 5))
    points[::3] = np.round(points[::3] * 4) / 4
    points[:, 4] = rng.integers(0, 3, n)
    if np.dtype(dtype).kind == "f" and n > 20:
        points[3, 0], points[7, 1], points[11, 2], points[13, 0] = np.nan, np.inf, -np.inf, 5e3
        points[17, 3] = np.nan
    return points.astype(dtype)


def _cases():
    """Every function of points, in every mode."""
    cases = []
    sizes: tuple[int, ...] = (0, 1, 2, 7, 160, 2049)

    def add(stem, function, label, kwargs, dtype="float32", ranged=True, moved=20.0):
        def make(rng, n):
            return (cloud(rng, n, dtype), SIZE, *((ENDS,) if ranged else ())), dict(kwargs)

        cases.append(Case(stem, function, make, f"{label}-{dtype}", moved=moved, sizes=sizes))

    for dtype in ("float32", "float64"):
        for arithmetic in ("float32", "exact"):
            add("points", "voxel_coords", arithmetic, {"arithmetic": arithmetic, "axes": "xyz"}, dtype, moved=28)
            for sample in ("first", "random"):
                for order in ("first", "sorted"):
                    kwargs = {
                        "max_points": 2,
                        "max_voxels": 300,
                        "sample": sample,
                        "order": order,
                        "arithmetic": arithmetic,
                        "seed": 5,
                    }
                    add("points", "voxelize", f"{arithmetic}-{sample}-{order}", kwargs, dtype)
        add("points", "voxelize", "no caps", {}, dtype)
    for dtype in ("float32", "float64", "int32"):
        for name in REDUCTIONS:
            add("points", "voxel_reduce", f"{name}-range", {"reduce": name}, dtype)
            add("points", "voxel_reduce", f"{name}-sorted", {"reduce": name, "order": "sorted"}, dtype, ranged=False)
        mixed = [(0, "mean"), (3, "max"), (4, "majority"), (1, "nearest"), (0, "count")]
        add("points", "voxel_reduce", "mixed", {"reduce": mixed, "origin": 0.125}, dtype, ranged=False)
        for name in ("mean", "sum", "last"):
            add("points", "voxel_downsample", name, {"reduce": name}, dtype, ranged=False)
        add("points", "voxel_grid", "mixed", {"reduce": mixed, "axes": "zyx"}, dtype)
    sizes = LARGE_SIZES  # the path of large clouds, which are partitioned first
    add("points", "voxel_reduce", "large", {"reduce": "mean"})
    add("points", "voxel_reduce", "large-sorted", {"reduce": "max", "order": "sorted"}, "float64", ranged=False)
    return cases


CASES_POINTS = _cases()
