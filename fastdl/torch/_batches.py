"""Batches that a dataset makes as a whole, so that the DataLoader need not stack single items."""

from __future__ import annotations

import math
import weakref
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdl import _check
from fastdl._typing import Array

if TYPE_CHECKING:
    import torch
else:
    torch = _check.extra("torch", "torch", "fastdl.torch")


_LEAST = 1 << 17  # bytes: for less, malloc does not ask the system for new pages
_LINE = 64  # bytes to which PyTorch aligns its own tensors


class BatchMemory:
    """Reuses the memory of earlier batches: the system would clear every new page first, which takes time.

    The memory of a batch is free again when no tensor refers to it any more. Each process has its own, and threads may
    use it at once.
    """

    def __init__(self, most: int = 3):
        self.most = most
        self._free: deque[Array] = deque(maxlen=most)

    def __reduce__(self) -> tuple[Any, ...]:
        return BatchMemory, (self.most,)

    def empty(self, shape: tuple[int, ...], dtype: torch.dtype) -> tuple[torch.Tensor, Array]:
        """An uninitialised tensor, and an array over the same memory."""
        size = math.prod(shape) * dtype.itemsize
        if size < _LEAST:
            tensor = torch.empty(shape, dtype=dtype)
            return tensor, tensor.numpy()
        memory = self._taken(size + _LINE)
        start = -memory.ctypes.data % _LINE
        numbers = memory[start : start + size].view(str(dtype).removeprefix("torch.")).reshape(shape)
        # PyTorch keeps this array alive as long as any tensor uses its memory; then the finalizer frees the memory.
        weakref.finalize(numbers, self._free.append, memory).atexit = False
        return torch.from_numpy(numbers), numbers

    def _taken(self, size: int) -> Array:
        """Free memory of at least `size` bytes and not much more, or new memory."""
        for _ in range(len(self._free)):
            try:
                memory = self._free.popleft()
            except IndexError:  # another thread was faster
                break
            if size <= len(memory) <= 4 * size:
                return memory
            self._free.append(memory)
        return np.empty(size, np.uint8)


class BatchItem(tuple[Any, ...]):
    """An item of a `WholeBatch`; `torch.utils.data.default_collate` recognises such batches by this type."""

    __slots__ = ()


class WholeBatch(Sequence[tuple[Any, ...]]):
    """The items of a batch, as a dataset's `__getitems__` returns them, over tensors that hold all of them.

    PyTorch's `default_collate` takes the tensors of this class as they are, instead of copying B items into new ones;
    other collate functions see a sequence of items.
    """

    def __init__(self, *tensors: torch.Tensor):
        self.tensors = tensors

    def __len__(self) -> int:
        return len(self.tensors[0])

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[k] for k in range(*index.indices(len(self)))]
        return BatchItem(tensor[index] for tensor in self.tensors)


def _collate(batch: Sequence[tuple[Any, ...]], *, collate_fn_map: object = None) -> list[Any]:
    """Called by `default_collate` for a batch whose first item is a `BatchItem`."""
    if isinstance(batch, WholeBatch):
        return list(batch.tensors)
    collated: list[Any] = torch.utils.data.default_collate([tuple(item) for item in batch])
    return collated


# As the documentation of default_collate says to add a type.
torch.utils.data._utils.collate.default_collate_fn_map[BatchItem] = _collate
