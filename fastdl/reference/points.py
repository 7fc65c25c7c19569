"""Points to voxels: cells, numbers of voxels, their maximal sizes, and reductions."""

import numpy as np


def grid_of(voxel_size, point_range, dtype, arithmetic="float32"):
    """Size, range and number of cells per axis, in the type cells are computed in; halves are rounded away from 0."""
    wide = np.dtype(dtype).type if arithmetic == "float32" and np.dtype(dtype) == np.float32 else np.float64
    stored = np.float32 if arithmetic == "float32" else np.float64
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        size = np.broadcast_to(np.asarray(voxel_size, np.float64), 3).astype(stored).astype(wide)
        ends = np.asarray(point_range, np.float64).reshape(6).astype(stored).astype(wide)
        return size, ends, np.floor((ends[3:] - ends[:3]) / size + wide(0.5))


def cells_of(points, voxel_size, point_range=None, origin=0.0, arithmetic="float32"):
    """Cells (x, y, z) as floats, and which points are in the grid and which are finite."""
    finite = np.isfinite(points[:, :3]).all(1)
    with np.errstate(over="ignore", invalid="ignore"):
        if point_range is None:
            size = np.broadcast_to(np.asarray(voxel_size, np.float64), 3)
            cells = np.floor((points[:, :3].astype(np.float64) - origin) / size)
            return cells, finite, finite
        size, ends, grid = grid_of(voxel_size, point_range, points.dtype, arithmetic)
        cells = np.floor((points[:, :3].astype(size.dtype) - ends[:3]) / size)
        return cells, ((cells >= 0) & (cells < grid)).all(1), finite


def number(cells, inside, order="first"):
    """Every point's voxel, -1 outside, in order of first appearance or sorted by (z, y, x); the cells of the voxels."""
    where = np.flatnonzero(inside)
    unique, first, inverse = np.unique(
        cells[where][:, ::-1].astype(np.int64), axis=0, return_index=True, return_inverse=True
    )
    place = np.argsort(first, kind="stable") if order == "first" else np.arange(len(first))
    rank = np.empty_like(place)
    rank[place] = np.arange(len(place))
    ids = np.full(len(cells), -1)
    ids[where] = rank[inverse.reshape(-1)]
    return ids, unique[place][:, ::-1]


def point_hash(seed, index):
    """A random 64-bit number for every point: SplitMix64 of the seed and the point's index."""
    with np.errstate(over="ignore"):
        z = np.uint64(seed) * np.uint64(0xD1342543DE82EF95) + (index.astype(np.uint64) + np.uint64(1)) * np.uint64(
            0x9E3779B97F4A7C15
        )
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def slots(ids, by=None):
    """The place of every point among its voxel's, in input order or by rising `by`."""
    order = np.lexsort((ids,) if by is None else (by, ids))
    start = np.searchsorted(ids[order], ids[order], side="left")
    place = np.empty(len(ids), np.int64)
    place[order] = np.arange(len(ids)) - start
    return place


def voxel_coords(points, voxel_size, point_range, *, arithmetic="float32", axes="zyx"):
    """The cell of every point, -1 on all axes where it has none."""
    cells, inside, _ = cells_of(points, voxel_size, point_range, arithmetic=arithmetic)
    return np.where(inside[:, None], cells, -1).astype(np.int32)[:, :: -1 if axes == "zyx" else 1].copy()


def voxelize(
    points, voxel_size, point_range, *, max_points=None, max_voxels=None, sample="first", seed=0, order="first",
    arithmetic="float32", axes="zyx",
):  # fmt: skip
    """(voxels, coords, counts, true_counts, inverse, accounting); the caps act in input order in any case."""
    cells, inside, finite = cells_of(points, voxel_size, point_range, arithmetic=arithmetic)
    ids, coords = number(cells, inside)
    capped = ids >= (len(coords) if max_voxels is None else max_voxels)
    ids, coords = number(cells, inside & ~capped, order)
    true_counts = np.bincount(ids[ids >= 0], minlength=len(coords)).astype(np.int32)
    t = max_points or int(true_counts.max(initial=0))
    kept = ids >= 0
    if sample == "random":
        kept &= slots(ids, point_hash(seed, np.arange(len(ids)))) < t
    place = slots(np.where(kept, ids, -1))
    kept &= place < t
    voxels = np.zeros((len(coords), t, points.shape[1]), points.dtype)
    voxels[ids[kept], place[kept]] = points[kept]
    accounting = {
        "in": len(points), "kept": int(kept.sum()), "over_points": int(((ids >= 0) & ~kept).sum()),
        "over_voxels": int(capped.sum()), "out_of_range": int((finite & ~inside).sum()),
        "non_finite": int((~finite).sum()),
    }  # fmt: skip
    coords = coords.astype(np.int32)[:, :: -1 if axes == "zyx" else 1].copy()
    return voxels, coords, np.minimum(true_counts, t), true_counts, ids.astype(np.int32), accounting


def column_reductions(reduce, columns):
    """(column, name) for every column of the result."""
    if isinstance(reduce, str) or not isinstance(reduce, (list, tuple)):
        return [(k, reduce) for k in range(columns)]
    return [tuple(r) if isinstance(r, (list, tuple)) else (k, r) for k, r in enumerate(reduce)]


REDUCTIONS = (
    "count", "sum", "mean", "std", "min", "max", "median", "first", "last", "nearest", "random", "majority",
    "consensus",
)  # fmt: skip


def reduce_column(x, name, ids, m, ignore=-1, by=None):
    """One number for each of m voxels, from the column x of points in input order; "nearest" has the least `by`."""
    index = np.arange(len(x))
    if name == "count":
        return np.bincount(ids, minlength=m)
    if name in ("sum", "mean"):
        total = np.zeros(m)
        np.add.at(total, ids, x.astype(np.float64))
        return total / np.bincount(ids, minlength=m) if name == "mean" else total
    if name == "std":
        return spreads(x, ids, m)
    if name == "median":
        return medians(x, ids, m)
    if name == "consensus":
        low, high = (reduce_column(x, n, ids, m) for n in ("min", "max"))
        return or_ignored(low, low == high, ignore)
    if name == "majority":
        value, known = np.zeros(m, x.dtype), np.zeros(m, bool)
        for v in range(m):
            labels, votes = np.unique(x[(ids == v) & (x != ignore) & (x == x)] + x.dtype.type(0), return_counts=True)
            if len(labels):
                value[v], known[v] = labels[votes.argmax()], True
        return or_ignored(value, known, ignore)
    if name in ("min", "max"):  # NaN before all, then the value, the first of equals
        order = np.argsort(x, kind="stable")
        rank = np.empty(len(x), np.int64)
        unique = np.unique(x, return_inverse=True)[1].reshape(-1)
        rank[order] = unique[order] if name == "min" else -unique[order]
        keep = np.lexsort((index, rank, x == x, ids))
    elif name == "first":
        keep = np.lexsort((index, ids))
    elif name == "last":
        keep = np.lexsort((-index, ids))
    else:
        keep = np.lexsort((index, by, ids))
    return x[keep[np.searchsorted(ids[keep], np.arange(m))]]


def spreads(x, ids, m):
    """Standard deviations (of the population) by Welford's formula, in input order."""
    n, mean, squares = np.zeros(m), np.zeros(m), np.zeros(m)
    for v, i in zip(x.astype(np.float64), ids):
        n[i] += 1
        step = v - mean[i]
        mean[i] += step / n[i]
        squares[i] += step * (v - mean[i])
    return np.sqrt(squares / n)


def medians(x, ids, m):
    """The middle value of every voxel, or half the sum of the two; NaN where one of them is."""
    x = x.astype(np.float64)
    order = np.lexsort((x, ids))
    x, start = x[order], np.searchsorted(ids[order], np.arange(m + 1))
    n = np.diff(start)
    if not len(x):
        return np.full(m, np.nan)
    low, high, last = (x[np.maximum(start[:-1] + at, 0)] for at in ((n - 1) // 2, n // 2, n - 1))
    return np.where(last == last, np.where(n % 2 == 1, low, (low + high) / 2), np.nan)


def or_ignored(labels, known, ignore):
    """Labels, and `ignore` where there is none, in a dtype that holds both."""
    value = np.full(len(labels), ignore, column_dtype(labels.dtype, "majority", ignore))
    if value.dtype == np.int64 and known.any() and labels[known].max() > np.iinfo(np.int64).max:
        raise OverflowError(f"labels of 2^63 and above want an ignore= that uint64 holds, got ignore={ignore:g}")
    value[known] = labels[known]
    return value


def own_reduction(reducer, points, ids, m):
    """The user's functions init(state), update(state, row), finish(state, count, out), a voxel at a time."""
    out = np.zeros((m, reducer.columns))
    for v in range(m):
        state = np.zeros(reducer.state_size)
        reducer.init(state)
        for row in points[ids == v]:
            reducer.update(state, row)
        reducer.finish(state, (ids == v).sum(), out[v])
    return out


def column_dtype(dtype, name, ignore):
    """The dtype of a reduced column, which holds every result."""
    dtype = np.dtype(dtype)
    if name == "count":
        return np.dtype(np.uint64 if dtype == np.uint64 else np.int64)
    if name in ("sum", "mean", "std", "median"):
        return dtype if dtype.kind == "f" else np.dtype(np.float64)
    if name not in ("majority", "consensus") or dtype.kind == "f":
        return dtype
    if not np.isfinite(ignore) or ignore != np.floor(ignore):
        return np.dtype(np.float64)
    if np.iinfo(dtype).min <= ignore <= np.iinfo(dtype).max:
        return dtype
    both = np.promote_types(dtype, np.min_scalar_type(int(ignore)))
    return both if both.kind in "iu" else np.dtype(np.int64)


def result_dtype(dtype, plan, ignore=-1, most=0):
    """The dtype of all reductions of points: a matrix's, or of records; `most` points are in a voxel."""
    dtype = np.dtype(dtype)
    if dtype.names is not None:
        chosen = [dtype.names[c] for c, _ in plan]
        fields = [f if chosen.count(f) == 1 else f"{f}_{name}" for f, (_, name) in zip(chosen, plan)]
        own = [np.dtype(np.uint8) if dtype[f] == np.bool_ else dtype[f] for f in chosen]
        return np.dtype([(f, column_dtype(d, name, ignore)) for f, d, (_, name) in zip(fields, own, plan)])
    if dtype.kind == "f":  # a count is whole in float32 up to 2^24
        wide = dtype == np.float32 and most > 2**24 and any(name == "count" for _, name in plan)
        return np.dtype(np.float64) if wide else dtype
    kinds = {column_dtype(dtype, name, ignore) for _, name in plan}
    return np.result_type(*kinds) if kinds else dtype


def columns_of(points):
    """(the matrix that cells are computed from, the columns in their own dtypes)."""
    if points.dtype.names is None:
        floats = points if points.dtype.kind == "f" else points.astype(np.float64)
        return floats, [points[:, k] for k in range(points.shape[1])]
    single = all(points.dtype[axis] == np.float32 for axis in "xyz")
    place = np.stack([points[axis] for axis in "xyz"], axis=1).astype(np.float32 if single else np.float64)
    return place, [points[n].view(np.uint8) if points.dtype[n] == np.bool_ else points[n] for n in points.dtype.names]


def voxel_reduce(
    points, voxel_size, point_range=None, *, reduce="mean", origin=0.0, order="first", arithmetic=None, ignore=-1,
    seed=0, given_cells=None,
):  # fmt: skip
    """(points, coords, counts, inverse, accounting), coords as (x, y, z)."""
    arithmetic = arithmetic or ("exact" if point_range is None else "float32")
    floats, columns = columns_of(points)
    cells, inside, finite = cells_of(floats, voxel_size, point_range, origin, arithmetic)
    if given_cells is not None:
        cells, finite = given_cells, np.full(len(points), True)
        grid = np.inf if point_range is None else grid_of(voxel_size, point_range, floats.dtype, arithmetic)[2]
        inside = ((cells >= (-np.inf if point_range is None else 0)) & (cells < grid)).all(1)
    ids, coords = number(cells, inside, order)
    k = ids >= 0
    size, low = np.broadcast_to(np.asarray(voxel_size, np.float64), 3), origin
    if point_range is not None:
        size, ends, _ = grid_of(voxel_size, point_range, floats.dtype, arithmetic)
        size, low = size.astype(np.float64), ends[:3].astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        step = (floats[k, :3] - ((coords[ids[k]] + 0.5) * size + low)) ** 2
        by = {"nearest": step[:, 0] + step[:, 1] + step[:, 2], "random": point_hash(seed, np.flatnonzero(k))}
    counts = np.bincount(ids[k], minlength=len(coords))
    if hasattr(reduce, "state_size"):
        values = own_reduction(reduce, floats[k], ids[k], len(coords))
    else:
        names = points.dtype.names or ()
        plan = [
            (names.index(c) if isinstance(c, str) else c, name) for c, name in column_reductions(reduce, len(columns))
        ]
        dtype = result_dtype(points.dtype, plan, ignore, counts.max(initial=0))
        values = np.empty(len(coords) if dtype.names else (len(coords), len(plan)), dtype)
        for j, (column, name) in enumerate(plan):
            with np.errstate(invalid="ignore", over="ignore"):
                found = reduce_column(columns[column][k], name, ids[k], len(coords), ignore, by.get(name))
                if dtype.names:
                    values[dtype.names[j]] = found
                else:
                    values[:, j] = found
    accounting = {
        "in": len(points), "kept": int(k.sum()), "out_of_range": int((finite & ~inside).sum()),
        "non_finite": int((~finite).sum()),
    }  # fmt: skip
    return values, coords, counts, ids.astype(np.int32), accounting


def voxel_downsample(points, voxel_size, *, origin=0.0, reduce="mean", order="first"):
    """One point per occupied voxel."""
    return voxel_reduce(points, voxel_size, origin=origin, reduce=reduce, order=order)[0]


def voxel_grid(points, voxel_size, point_range, *, reduce="mean", axes="xyz", fill=0, arithmetic="float32", ignore=-1):
    """The reductions as a dense array."""
    values, coords, *_ = voxel_reduce(
        points, voxel_size, point_range, reduce=reduce, arithmetic=arithmetic, ignore=ignore
    )
    floats, _ = columns_of(points)
    grid = grid_of(voxel_size, point_range, floats.dtype, arithmetic)[2].astype(np.int64)
    dense = np.full((*grid, values.shape[1]), fill, column_dtype(values.dtype, "majority", fill))
    dense[tuple(coords.T)] = values
    return dense.transpose([*("xyz".index(a) for a in axes), 3]).copy()


def voxel_features(
    voxels, counts, coords, voxel_size, point_range, *, kind="voxelnet", axes="zyx", arithmetic="float32"
):
    """Each point's columns, its offset from the voxel's mean, and (pillars) from the centre; unused slots are 0."""
    size, ends, _ = grid_of(voxel_size, point_range, voxels.dtype, arithmetic)
    used = np.arange(voxels.shape[1]) < counts[:, None]
    total = np.zeros((len(voxels), 3))
    for t in range(voxels.shape[1]):
        total += np.where(used[:, t, None], voxels[:, t, :3], 0)
    parts = [voxels, voxels[..., :3] - (total / np.maximum(counts, 1)[:, None]).astype(voxels.dtype)[:, None]]
    if kind != "voxelnet":
        xyz = (coords[:, ::-1] if axes == "zyx" else coords).astype(voxels.dtype)
        centre = xyz * size.astype(voxels.dtype) + (size / 2 + ends[:3]).astype(voxels.dtype)
        n = 2 if kind == "pointpillars9" else 3
        parts.append(voxels[..., :n] - centre[:, None, :n])
    return np.where(used[..., None], np.concatenate(parts, axis=2), 0).astype(voxels.dtype)
