"""Batches that a data set makes at once, so that no loader stacks them again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastdl import _check

torch = _check.extra("torch", "torch", "fastdl.torch")


class BatchItem(tuple[Any, ...]):
    """An item of a batch that is there as a whole: how `torch.utils.data.default_collate` knows it."""

    __slots__ = ()


class WholeBatch(Sequence[tuple[Any, ...]]):
    """The items of a batch, as `__getitems__` of a data set gives them, over tensors that hold all of them.

    Collating (B, ...) tensors from B items copies them, into memory that is cleared before. PyTorch's
    `default_collate` hands over the tensors of this class as they are; other functions see a sequence of items.
    """

    def __init__(self, *tensors: Any):
        self.tensors = tensors

    def __len__(self) -> int:
        return len(self.tensors[0])

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[k] for k in range(*index.indices(len(self)))]
        return BatchItem(tensor[index] for tensor in self.tensors)


def _collate(batch: Sequence[tuple[Any, ...]], *, collate_fn_map: Any = None) -> list[Any]:
    """What `default_collate` calls for a batch whose first item is a `BatchItem`."""
    if isinstance(batch, WholeBatch):
        return list(batch.tensors)
    collated: list[Any] = torch.utils.data.default_collate([tuple(item) for item in batch])
    return collated


# The way that the documentation of default_collate gives to add a type.
torch.utils.data._utils.collate.default_collate_fn_map[BatchItem] = _collate
