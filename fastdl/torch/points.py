"""Point clouds in PyTorch: a dataset of padded voxels, and reductions by voxel with gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdl import _check
from fastdl._typing import Array, ArrayLike
from fastdl.points import reduction
from fastdl.points.voxelization import Voxelizer
from fastdl.torch._epochs import Epochs, row_numbers
from fastdl.torch._gradients import Context, array_of, once

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = _check.extra("torch", "torch", "fastdl.torch")

DIFFERENTIABLE = ("sum", "mean", "min", "max", "first", "last", "nearest", "random")


@dataclass(frozen=True)
class PointAugmentation:
    """Random changes of a cloud before it is voxelized, as in the training of detectors.

    Parameters
    ----------
    flip : sequence of "x" and "y"
        Axes that are mirrored, each with probability one half.
    rotate : (float, float)
        The range of the angle around z, in radians.
    scale : (float, float)
        The range of the factor of x, y and z.
    hook : callable (points, rng), optional
        A custom change, made after these: takes and returns an array (N, C).

    Examples
    --------
    >>> import numpy as np
    >>> from fastdl.torch import PointAugmentation
    >>> turned = PointAugmentation(rotate=(np.pi, np.pi))(np.array([[1.0, 2.0, 3.0]]), np.random.default_rng(0))
    >>> turned.round(6)
    array([[-1., -2.,  3.]])
    """

    flip: Sequence[str] = ()
    rotate: tuple[float, float] = (0.0, 0.0)
    scale: tuple[float, float] = (1.0, 1.0)
    hook: Callable[[Array, np.random.Generator], Array] | None = None

    def __post_init__(self) -> None:
        for axis in self.flip:
            _check.one_of("flip", axis, ("x", "y"))
        for name, ends in (("rotate", self.rotate), ("scale", self.scale)):
            low, high = (_check.number(name, end) for end in ends)
            if low > high or (name == "scale" and low <= 0):
                raise _check.InputError(f"{name} must be (low, high){' above 0' * (name == 'scale')}, got {ends}")

    def __call__(self, points: Array, rng: np.random.Generator) -> Array:
        """A changed copy of a cloud."""
        x = points.copy()
        for axis in self.flip:
            if rng.random() < 0.5:
                x[:, "xy".index(axis)] *= -1
        angle, factor = rng.uniform(*self.rotate), rng.uniform(*self.scale)
        if angle:
            c, s = np.cos(angle), np.sin(angle)
            across, along = x[:, 0].astype(np.float64), x[:, 1].astype(np.float64)
            x[:, 0], x[:, 1] = c * across - s * along, s * across + c * along
        if factor != 1:
            x[:, :3] *= x.dtype.type(factor)
        return x if self.hook is None else np.asarray(self.hook(x, rng))


@dataclass
class VoxelBatch:
    """Padded voxels of several clouds, as spconv and OpenPCDet take them.

    Attributes
    ----------
    voxels : Tensor, (M, T, C)
        The points of each voxel, then zeros.
    coords : Tensor of int32, (M, 4)
        The number of the cloud in the batch, and the cell as z, y, x.
    counts : Tensor of int32, (M,)
        The number of points kept in each voxel.
    indices : Tensor of int64, (B,)
        The indices of the clouds in the dataset.
    """

    voxels: Tensor
    coords: Tensor
    counts: Tensor
    indices: Tensor

    def pin_memory(self) -> VoxelBatch:
        """A copy in page-locked memory, for DataLoader(pin_memory=True)."""
        pinned = (x.pin_memory() for x in (self.voxels, self.coords, self.counts, self.indices))
        return VoxelBatch(*pinned)


@dataclass
class PointVoxels(Epochs, torch.utils.data.Dataset):
    """A dataset of point clouds as padded voxels, made in the workers of a DataLoader.

    Parameters
    ----------
    clouds : sequence
        Arrays (N, C >= 3), or anything from which `read` makes one, such as paths.
    voxel_size, point_range, max_points, max_voxels
        As in `fastdl.voxelize`.
    read : callable, optional
        Makes an array from an item of `clouds`, in the worker.
    augment : PointAugmentation, or callable (points, rng), optional
        Changes a cloud before it is voxelized.
    sample : {"first", "random"}
        Which points of a crowded voxel are kept.
    seed : int
        A cloud's augmentation and sample depend on `seed`, the epoch and the cloud's index only, not on the workers or
        the order of the items.

    Notes
    -----
    Call `set_epoch` before each epoch for new augmentations; persistent workers see it, too. An item can also be asked
    for as (epoch, index), as `epoch_sampler` yields them.

    Examples
    --------
    >>> import numpy as np
    >>> from torch.utils.data import DataLoader
    >>> from fastdl.torch import PointVoxels
    >>> clouds = [np.random.default_rng(k).uniform(0, 4, (100, 4)).astype("f4") for k in range(4)]
    >>> data = PointVoxels(clouds, 1.0, (0, 0, 0, 4, 4, 4), max_points=5)
    >>> for batch in DataLoader(data, batch_size=2, collate_fn=data.collate):
    ...     print(tuple(batch.voxels.shape[1:]), batch.coords[:, 0].unique().tolist())
    (5, 4) [0, 1]
    (5, 4) [0, 1]
    """

    clouds: Sequence[Any]
    voxel_size: ArrayLike
    point_range: ArrayLike
    max_points: int = field(kw_only=True)
    max_voxels: int | None = field(default=None, kw_only=True)
    read: Callable[[Any], ArrayLike] | None = field(default=None, kw_only=True)
    augment: Callable[[Array, np.random.Generator], Array] | None = field(default=None, kw_only=True)
    sample: str = field(default="first", kw_only=True)
    seed: int = field(default=0, kw_only=True)

    def __post_init__(self) -> None:
        _check.integer("seed", self.seed, 0, 2**64 - 1)
        self.voxelizer = Voxelizer(
            self.voxel_size,
            self.point_range,
            max_points=self.max_points,
            max_voxels=self.max_voxels,
            sample=self.sample,
        )
        super().__init__()

    def __len__(self) -> int:
        return len(self.clouds)

    def epoch_sampler(self, epochs: int, shuffle: bool = True) -> Iterator[list[tuple[int, int]]]:
        """Yields the items (epoch, index) of each epoch, shuffled by the seed: a sampler for persistent workers."""
        for epoch in range(epochs):
            order = np.arange(len(self))
            if shuffle:
                np.random.default_rng((self.seed, epoch)).shuffle(order)
            yield [(epoch, int(k)) for k in order]

    def __getitem__(self, item: int | tuple[int, int]) -> tuple[Array, Array, Array, int]:
        """(voxels, coords, counts, index) of the cloud with an index, or with (epoch, index)."""
        epoch, index = item if isinstance(item, tuple) else (self.epoch, item)
        index = int(row_numbers([index], len(self))[0])
        rng = np.random.default_rng((self.seed, epoch, index))
        given = self.clouds[index]
        points = np.asarray(given if self.read is None else self.read(given))
        if self.augment is not None:
            points = self.augment(points, rng)
        found = self.voxelizer(points, seed=int(rng.integers(2**63)))
        return found.voxels, found.coords, found.counts, index

    @staticmethod
    def collate(items: Sequence[tuple[Array, Array, Array, int]]) -> VoxelBatch:
        """Join items to one batch; the coordinates get the number of the cloud as a first column."""
        voxels, cells, counts, index = zip(*items)
        number = np.repeat(np.arange(len(items), dtype=np.int32), [len(c) for c in cells])
        coords = np.concatenate([number[:, None], np.concatenate(cells)], axis=1)
        return VoxelBatch(
            torch.from_numpy(np.concatenate(voxels)),
            torch.from_numpy(coords),
            torch.from_numpy(np.concatenate(counts)),
            torch.tensor(index),
        )


@dataclass
class VoxelValues:
    """The result of `voxel_reduce`.

    Attributes
    ----------
    values : Tensor, (M, K)
        The reduced columns.
    coords : Tensor of int64, (M, 3)
        Cells as x, y, z.
    counts : Tensor of int64, (M,)
        The number of points of each voxel.
    inverse : Tensor of int64, (N,)
        The voxel of every point, -1 for points outside.
    """

    values: Tensor
    coords: Tensor
    counts: Tensor
    inverse: Tensor


def voxel_reduce(
    points: Tensor,
    voxel_size: ArrayLike,
    point_range: ArrayLike | None = None,
    *,
    features: Tensor | None = None,
    reduce: str = "mean",
    origin: ArrayLike = 0.0,
    order: str = "first",
    arithmetic: str | None = None,
    seed: int = 0,
    threads: int | None = 1,
) -> VoxelValues:
    """`fastdl.voxel_reduce` with gradients.

    Parameters
    ----------
    points : Tensor, (N, C >= 3)
        x, y, z in the first columns; float32 or float64, on the CPU.
    features : Tensor, (N, K), optional
        The values to reduce; by default the points themselves.
    reduce : {"sum", "mean", "min", "max", "first", "last", "nearest", "random"}
        One reduction for all columns. The gradient goes to the points that were chosen, of equal ones to the first.
    voxel_size, point_range, origin, order, arithmetic, seed, threads
        As in `fastdl.voxel_reduce`. The choice of a point's voxel has no gradient.

    Returns
    -------
    VoxelValues

    Examples
    --------
    >>> import torch
    >>> from fastdl.torch import voxel_reduce
    >>> points = torch.tensor([[0.2, 0.0, 0.0], [0.4, 0.0, 0.0], [3.0, 0.0, 0.0]], requires_grad=True)
    >>> voxel_reduce(points, 1.0).values[:, 0].sum().backward()
    >>> points.grad[:, 0]
    tensor([0.5000, 0.5000, 1.0000])
    """
    _check.one_of("reduce", reduce, DIFFERENTIABLE)
    place = _numbers("points", points, 3)
    values = points if features is None else features
    table = _numbers("features", values, 1)
    _check.same_length(points=place, features=table)
    how: dict[str, Any] = {"origin": origin, "order": order, "arithmetic": arithmetic, "seed": seed, "threads": threads}
    # x, y, z, which give the cells, and the values that are reduced.
    both = place if features is None else np.concatenate([place[:, :3].astype(table.dtype), table], axis=1)
    if place.dtype != table.dtype:
        raise _check.InputTypeError(f"features must be {place.dtype} as the points are, got {table.dtype}")
    columns = range(table.shape[1]) if features is None else range(3, both.shape[1])
    found = reduction.voxel_reduce(both, voxel_size, point_range, reduce=[(k, reduce) for k in columns], **how)
    inverse = torch.from_numpy(found.inverse.astype(np.int64))
    chosen = None
    if reduce not in ("sum", "mean"):
        chosen = torch.from_numpy(_chosen(both, found, columns, (voxel_size, point_range), reduce, how))
    counts = torch.from_numpy(found.counts.copy())
    reduced = _Reduce.apply(values, torch.from_numpy(found.points), (inverse, counts, chosen), reduce == "mean")
    return VoxelValues(reduced, torch.from_numpy(found.coords), counts, inverse)


def _chosen(
    points: Array, found: reduction.VoxelReduction, columns: range, place: tuple[Any, Any], reduce: str, how: Any
) -> Array:
    """The index of the point that each reduced value is from."""
    m = len(found.counts)
    if reduce in ("min", "max"):
        chosen = np.zeros((m, len(columns)), np.int64)
        inside = np.flatnonzero(found.inverse >= 0)
        ids = found.inverse[inside]
        for j, k in enumerate(columns):
            x, best = points[inside, k], found.points[ids, j]
            hits = np.flatnonzero((x == best) | ((x != x) & (best != best)))[::-1]
            chosen[ids[hits], j] = inside[hits]  # hits descend, and NumPy's last assignment stays: the first point
        return chosen
    # Reduce the points' indices in the same way, which chooses the same points.
    numbers = np.arange(len(points), dtype=np.float64)[:, None]
    numbered = np.concatenate([points[:, :3].astype(np.float64), numbers], axis=1)
    if points.dtype == np.float32 and place[1] is not None and how["arithmetic"] != "exact":
        # float32 cells need float32 points; so indices are split into two columns below 2^24, which float32 holds.
        high, low = np.divmod(numbers.astype(np.int64), 1 << 20)
        split = np.concatenate([points[:, :3], high.astype(np.float32), low.astype(np.float32)], axis=1)
        picked = reduction.voxel_reduce(split, *place, reduce=[(3, reduce), (4, reduce)], **how).points
        first = picked[:, 0].astype(np.int64) * (1 << 20) + picked[:, 1].astype(np.int64)
    else:
        first = reduction.voxel_reduce(numbered, *place, reduce=[(3, reduce)], **how).points[:, 0].astype(np.int64)
    return np.repeat(first[:, None], len(columns), axis=1)


class _Reduce(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Context, values: Tensor, reduced: Tensor, voxels: tuple[Tensor, ...], mean: bool) -> Tensor:
        ctx.save_for_backward(*voxels)
        ctx.mean, ctx.shape = mean, values.shape
        return reduced

    @staticmethod
    @once
    def backward(ctx: Context, grad: Tensor) -> tuple[Any, ...]:
        inverse, counts, chosen = ctx.saved_tensors
        out = grad.new_zeros(ctx.shape)
        if chosen is not None:
            out.scatter_(0, chosen, grad)  # no point is chosen twice in a column: it has one voxel
        elif len(grad):
            share = grad / counts[:, None] if ctx.mean else grad
            inside = inverse >= 0
            out[inside] = share[inverse[inside]]
        return out, None, None, None


def _numbers(name: str, value: Tensor, columns: int) -> Array:
    """A tensor (N, at least `columns`) of floats as an array over the same memory."""
    array = array_of(name, value)
    if array.ndim != 2 or array.shape[1] < columns:
        raise _check.InputError(f"{name} must have shape (N, at least {columns}), got {array.shape}")
    return array
