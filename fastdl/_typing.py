"""What the signatures say of arrays, losses and progress."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike as ArrayLike

#: An array of any dtype and shape; the docstring says which.
Array = np.ndarray[Any, np.dtype[Any]]
