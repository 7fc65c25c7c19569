"""Types of arguments and results that many modules name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from fastdl.streaming import ProgressEvent

Array = np.ndarray
#: What NumPy makes an array of: arrays and their likes, buffers, nested lists of numbers.
ArrayLike = npt.ArrayLike
#: What NumPy makes a dtype of.
DTypeLike = npt.DTypeLike
#: What a `progress=` argument takes: it is called with a `fastdl.streaming.ProgressEvent`.
Progress = Callable[["ProgressEvent"], Any]


class CustomLossLike(Protocol):
    """What a loss must offer where a power p may stand: `fastdl.custom_loss` makes one."""

    def terms(self, residual: Array) -> Array:
        """The loss of each residual."""


#: A power p > 0 of |y - f(x)|^p, or a loss of the user's own.
Loss = float | CustomLossLike
