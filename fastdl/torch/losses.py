"""Losses of linear models in PyTorch: value and gradient from one read of the rows, by the kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdl import _check
from fastdl.losses import lp
from fastdl.torch._gradients import Context, array_of, once

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = _check.extra("torch", "torch", "fastdl.torch")


def lp_loss(
    X: Tensor,
    y: Tensor,
    W: Tensor,
    b: Tensor | float = 0.0,
    p: float = 2.0,
    *,
    sample_weight: Tensor | None = None,
    reduction: str = "sum",
    threads: int | None = 1,
) -> Tensor:
    """`fastdl.lp_loss` with gradients by X, y, W, b and the weights of rows.

    Parameters
    ----------
    X : Tensor, (N, D)
        float32 or float64, on the CPU; read without a copy.
    y : Tensor, (N,)
    W : Tensor, (D,) or (K, D)
        The weights of one model, or of K.
    b : float or Tensor, () or (K,)
    p : float
        The power, above 0.
    sample_weight : Tensor, (N,), optional
        They get a gradient, too.
    reduction : {"sum", "mean"}
    threads : int or None
        Threads to use; None means all this process may.

    Returns
    -------
    Tensor, () or (K,)
        float64, as the sums over the rows are. The gradients by W and b are computed in the forward pass, from the same
        read of the rows; the others in the backward pass.

    Raises
    ------
    InputError, InputTypeError
        As `fastdl.lp_loss`, and for tensors that are not on the CPU or not float32 or float64.

    Examples
    --------
    >>> import torch
    >>> from fastdl.torch import lp_loss
    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> lp_loss(torch.tensor([[0.0], [1.0], [2.0]]), torch.tensor([1.0, 2.0, 5.0]), w, 1.0).backward()
    >>> w.grad
    tensor([-8.])
    """
    W_like = W if isinstance(W, torch.Tensor) else X
    bias = b if isinstance(b, torch.Tensor) else torch.as_tensor(b, dtype=W_like.dtype)
    return _LpLoss.apply(X, y, W, bias, p, sample_weight, reduction, threads)


class _LpLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Context,
        X: Tensor,
        y: Tensor,
        W: Tensor,
        b: Tensor,
        p: float,
        s: Tensor | None,
        reduction: str,
        threads: Any,
    ) -> Tensor:
        rows, targets, w, bias = array_of("X", X), array_of("y", y), array_of("W", W), array_of("b", b)
        weights = None if s is None else array_of("sample_weight", s)
        how: dict[str, Any] = {"sample_weight": weights, "reduction": reduction, "threads": threads}
        ctx.p, ctx.mean = p, reduction == "mean"
        by_w = by_b = None
        if ctx.needs_input_grad[2] or ctx.needs_input_grad[3]:
            value, gradient, slope = lp.lp_loss_grad(rows, targets, w, bias, p, **how)
            by_w, by_b = torch.from_numpy(gradient), torch.from_numpy(np.array(slope, np.float64))
        else:
            value = lp.lp_loss(rows, targets, w, bias, p, **how)
        total = torch.from_numpy(np.array(value, np.float64))
        ctx.save_for_backward(X, y, W, b, s, by_w, by_b, total.clone())
        return total

    @staticmethod
    @once
    def backward(ctx: Context, grad: Tensor) -> tuple[Any, ...]:
        X, y, W, b, s, by_w, by_b, total = ctx.saved_tensors
        by_X = by_y = by_s = None
        if ctx.needs_input_grad[0] or ctx.needs_input_grad[1] or ctx.needs_input_grad[5]:
            many, g = W.reshape(-1, X.shape[1]).double(), grad.reshape(1, -1)
            r = y.double()[:, None] - X.double() @ many.T - b.double().reshape(1, -1)
            # A residual of 0 has gradient 0, for p <= 1 too, as in the kernels.
            slope = torch.where(r == 0, 0.0, ctx.p * r.sign() * r.abs().pow(ctx.p - 1)) * g
            if s is not None:
                slope = torch.where(s[:, None] == 0, 0.0, slope * s[:, None])
                terms = r.abs().pow(ctx.p)
                terms = (terms - total.reshape(1, -1)) / s.double().sum() if ctx.mean else terms
                by_s = (terms * g).sum(dim=1).to(s.dtype)
            if ctx.mean:
                slope = slope / (len(X) if s is None else s.double().sum())
            by_y = slope.sum(dim=1).to(y.dtype)
            by_X = (-slope @ many).to(X.dtype)
        if by_w is not None:
            by_w = (by_w * (grad[:, None] if W.ndim == 2 else grad)).to(W.dtype)
            scaled = by_b * grad
            by_b = (scaled if b.ndim == scaled.ndim else scaled.sum()).reshape(b.shape).to(b.dtype)
        return by_X, by_y, by_w, by_b, None, by_s, None, None
