"""The losses that networks are trained with: of residuals, or the cross-entropy of classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastdl._typing import CustomLossLike
from fastdl.losses.custom import CustomLoss
from fastdl.losses.powers import PowerLoss, as_loss


@dataclass(frozen=True)
class ResidualLoss:
    """``|r|^p``, or a custom loss, of residuals y - f(x) that are multiplied by `unit`, and slopes by `pull`."""

    loss: PowerLoss | CustomLoss
    unit: float = 1.0
    pull: float = 1.0

    @classmethod
    def checked(cls, p: float | CustomLossLike) -> ResidualLoss:
        """The loss of a power, which must be above 0, or of a custom loss."""
        return cls(as_loss(p))

    @property
    def p(self) -> float | CustomLoss:
        """The power, or the custom loss."""
        return self.loss.p

    @property
    def custom(self) -> bool:
        """Whether it is a custom loss."""
        return self.loss.is_custom

    @property
    def power(self) -> float:
        """The power; 0 for a custom loss."""
        return self.loss.power

    @property
    def address(self) -> int:
        """The address of the compiled function of a custom loss, else 0."""
        return self.loss.address

    @property
    def definition(self) -> Any:
        """The power, or the function of a custom loss, as the reference takes it."""
        return self.loss.definition


@dataclass(frozen=True)
class CrossEntropy:
    """-log of the softmax probability of the class of each row."""

    power: float = 2.0
    address: int = 0
    unit: float = 1.0
    pull: float = 1.0
    custom: bool = False
    definition: str = "softmax"


Loss = ResidualLoss | CrossEntropy
