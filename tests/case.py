"""What a case is: how to call a public function, and what is promised of it.

`make(rng, n)` gives the positional and keyword arguments for about n items; `rtol=0` means
the same bits as the reference; `moved` is the number of bytes an item must move between memory and processor at least.
Where what is called is a method of an object, `call` makes both, and `means` does the same with the reference.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


@dataclass(frozen=True)
class Case:
    """One way to call one public function."""

    stem: str
    function: str
    make: Callable[[np.random.Generator, int], Arguments]
    label: str = ""
    rtol: float = 0.0
    moved: float = 0.0
    sizes: tuple[int, ...] = (0, 1, 2, 7, 160, 4099)
    threads: tuple[int, ...] = field(default=(1, 2, 3))
    call: Callable[..., Any] | None = None
    means: Callable[..., Any] | None = None

    def __str__(self) -> str:
        return f"{self.function}[{self.label}]" if self.label else self.function
