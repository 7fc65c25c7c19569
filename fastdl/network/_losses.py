"""What a network is trained to make small: a loss of the residuals, or the cross-entropy of classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastdl import _check


@dataclass(frozen=True)
class ResidualLoss:
    """``|r|^p``, or a custom loss, of the residuals r = y - f(x); `unit` times r, `pull` times the slope."""

    p: Any
    unit: float = 1.0
    pull: float = 1.0

    @classmethod
    def checked(cls, p: Any) -> ResidualLoss:
        """Of a power, which must be above 0, or a custom loss."""
        return cls(p if hasattr(p, "terms") else _check.number("p", p, 0, above=True))

    @property
    def custom(self) -> bool:
        """Whether the loss is the user's own."""
        return hasattr(self.p, "terms")

    @property
    def power(self) -> float:
        """The power; 0 where the loss is the user's own."""
        return 0.0 if self.custom else self.p

    @property
    def address(self) -> int:
        """Where the compiled function of a custom loss is, else 0."""
        return self.p.address if self.custom else 0

    @property
    def definition(self) -> Any:
        """What the reference takes: the power, or the function of a custom loss."""
        return self.p.terms if self.custom else self.p


@dataclass(frozen=True)
class CrossEntropy:
    """-log of the softmax probability of the class of each row."""

    power: float = 2.0
    address: int = 0
    unit: float = 1.0
    pull: float = 1.0
    custom: bool = False
    definition: Any = "softmax"


Loss = ResidualLoss | CrossEntropy
