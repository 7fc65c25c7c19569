"""Batches that a data set makes at once, so that no loader stacks them again."""

from __future__ import annotations

import math
import weakref
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastdl import _check
from fastdl._typing import Array

torch = _check.extra("torch", "torch", "fastdl.torch")


_LEAST = 1 << 17  # bytes that malloc gives without asking the system for pages
_LINE = 64  # bytes: PyTorch's own tensors begin at such a border


class BatchMemory:
    """Memory of earlier batches for the next one: pages that the system gives anew it clears first, one by one.

    A batch's memory comes back when nothing holds a tensor on it any more; until then nobody else gets it. Each process
    has its own, and a thread may take while others do.
    """

    def __init__(self, most: int = 3):
        self.most = most
        self._free: deque[Array] = deque(maxlen=most)

    def __reduce__(self) -> tuple[Any, ...]:
        return BatchMemory, (self.most,)

    def empty(self, shape: tuple[int, ...], dtype: Any) -> tuple[Any, Array]:
        """A tensor that nobody has written yet, and the array of its memory."""
        size = math.prod(shape) * dtype.itemsize
        if size < _LEAST:
            tensor = torch.empty(shape, dtype=dtype)
            return tensor, tensor.numpy()
        memory = self._taken(size + _LINE)
        start = -memory.ctypes.data % _LINE
        numbers = memory[start : start + size].view(str(dtype).removeprefix("torch.")).reshape(shape)
        # PyTorch holds this array as long as any tensor is on its memory, and nothing else holds it for longer.
        weakref.finalize(numbers, self._free.append, memory).atexit = False
        return torch.from_numpy(numbers), numbers

    def _taken(self, size: int) -> Array:
        """Free memory of at least a size, and not much more."""
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
