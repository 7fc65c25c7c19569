"""What the functions with gradients share: the memory of tensors, and backward passes that are the last."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, cast

from fastdl import _check
from fastdl._typing import Array

torch = _check.extra("torch", "torch", "fastdl.torch")
Tensor = Any  # torch.Tensor: torch may not be there where types are checked


def array_of(name: str, tensor: Tensor) -> Array:
    """The memory of a tensor of floats as an array, without a copy."""
    if not isinstance(tensor, torch.Tensor):
        raise _check.InputTypeError(f"{name} must be a torch.Tensor, got {type(tensor).__name__}")
    if tensor.device.type != "cpu":
        raise _check.InputError(f"{name} must be on the CPU, got {tensor.device}")
    if tensor.layout != torch.strided:
        raise _check.InputError(f"{name} must be dense (.to_dense()), got {tensor.layout}")
    if tensor.dtype not in (torch.float32, torch.float64):
        raise _check.InputTypeError(f"{name} must be float32 or float64, got {tensor.dtype}")
    return cast(Array, tensor.detach().resolve_neg().numpy())


def once(backward: Callable[..., tuple[Any, ...]]) -> Callable[..., tuple[Any, ...]]:
    """A backward pass by kernels; what differentiates its result again is an error, not a gradient without this part.

    PyTorch's `once_differentiable` looks at the incoming gradient alone: of a loss that is a constant, and the gradient
    of a penalty on gradients would lack what the inputs contribute.
    """

    @wraps(backward)
    def checked(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        with torch.no_grad():
            found = backward(ctx, *grads)
        inputs = [t for t in (*grads, *ctx.saved_tensors) if t is not None and t.requires_grad]
        if not (torch.is_grad_enabled() and inputs):
            return found
        return tuple(value if value is None else _Last.apply(value, *inputs) for value in found)

    return checked


class _Last(torch.autograd.Function):  # type: ignore[name-defined]
    """A gradient, as it is, that must not be differentiated."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, *inputs: Tensor) -> Tensor:
        del ctx, inputs
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        raise RuntimeError("functions of fastdl.torch can be differentiated once, not twice")
