"""Losses in PyTorch: their gradients against finite differences, and against PyTorch's own."""

import pytest

import fastdl

torch = pytest.importorskip("torch")
torch.set_num_threads(1)  # threads that wait for each other on a busy machine take minutes


def problem(models=0, n=17, d=3):
    draw = torch.Generator().manual_seed(0)
    X, y, W, b, s = (
        torch.randn(shape, generator=draw, dtype=torch.float64)
        for shape in ((n, d), (n,), (models, d) if models else (d,), (models,) if models else (), (n,))
    )
    return X, 3 * y, W, b, s.abs()


@pytest.mark.parametrize("p", [1.0, 1.37, 2.0, 3.0])
@pytest.mark.parametrize("models", [0, 2, 5])
@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("weighted", [False, True])
def test_gradcheck(p, models, reduction, weighted):
    from fastdl.torch import lp_loss

    *tensors, s = problem(models)
    tensors = [tensor.requires_grad_() for tensor in tensors]

    def loss(*tensors):
        return lp_loss(*tensors, p, sample_weight=s if weighted else None, reduction=reduction)

    assert torch.autograd.gradcheck(loss, tensors)


def test_one_intercept_for_many_models_and_parts_of_the_gradient():
    from fastdl.torch import lp_loss

    X, y, W, _, _ = problem(4)
    b = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda b: lp_loss(X, y, W, b, 1.5), [b])
    y = y.requires_grad_()
    assert torch.autograd.gradcheck(lambda y: lp_loss(X, y, W, 0.5, 1.5), [y])


def test_value_is_that_of_numpy_and_float32_stays():
    from fastdl.torch import lp_loss

    X, y, W, b, _ = (tensor.float() for tensor in problem())
    W.requires_grad_()
    value = lp_loss(X, y, W, b, 1.37)
    assert value.item() == fastdl.lp_loss(X.numpy(), y.numpy(), W.detach().numpy(), float(b), 1.37)
    value.backward()
    assert W.grad.dtype == torch.float32
    r = y - X @ W.detach().requires_grad_() - b
    assert torch.isfinite(r).all()


def test_what_is_no_tensor_of_floats_is_refused():
    from fastdl.torch import lp_loss

    X, y, W, _, _ = problem()
    with pytest.raises(fastdl.errors.InputTypeError, match="X must be a torch"):
        lp_loss([[1.0]], y, W)
    with pytest.raises(fastdl.errors.InputTypeError, match="float32 or float64"):
        lp_loss(X.int(), y, W)
    with pytest.raises(fastdl.errors.InputError, match="columns"):
        lp_loss(X, y, W[:2])
