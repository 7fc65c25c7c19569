"""Helpers of functions with gradients: arrays over tensors, and backward passes that cannot be differentiated."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, Protocol, cast

from fastdl import _check
from fastdl._typing import Array

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = _check.extra("torch", "torch", "fastdl.torch")


class Context(Protocol):
    """The context of an autograd function, to which the forward pass adds whatever the backward pass needs."""

    needs_input_grad: tuple[bool, ...]
    saved_tensors: tuple[Any, ...]  # a Tensor or None each

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep tensors, which the backward pass finds in `saved_tensors`."""

    def __getattr__(self, name: str) -> Any: ...

    def __setattr__(self, name: str, value: object) -> None: ...


def array_of(name: str, tensor: Tensor) -> Array:
    """A tensor of floats as an array over the same memory."""
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
    """Decorates a backward pass by kernels, so that differentiating its result again raises an error.

    PyTorch's `once_differentiable` does so only if the incoming gradient requires a gradient. Here the saved inputs
    count, too: else the gradient of a penalty on gradients would silently lack the part that depends on them.
    """

    @wraps(backward)
    def checked(ctx: Context, *grads: Tensor) -> tuple[Any, ...]:
        with torch.no_grad():
            found = backward(ctx, *grads)
        inputs = [t for t in (*grads, *ctx.saved_tensors) if t is not None and t.requires_grad]
        if not (torch.is_grad_enabled() and inputs):
            return found
        return tuple(value if value is None else _Last.apply(value, *inputs) for value in found)

    return checked


class _Last(torch.autograd.Function):
    """The identity on a gradient; its own backward pass raises."""

    @staticmethod
    def forward(ctx: Context, value: Tensor, *inputs: Tensor) -> Tensor:
        del ctx, inputs
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Context, *grads: Tensor) -> Any:
        raise RuntimeError("functions of fastdl.torch can be differentiated once, not twice")
