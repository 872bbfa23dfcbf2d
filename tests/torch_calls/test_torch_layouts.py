"""Every order of dimensions in memory: what a contiguous copy gives, for all that goes along with the logits too."""

from __future__ import annotations

import itertools

import pytest
from torch_cases import FORWARD_MODE, MODIFIERS, tensors

torch = pytest.importorskip("torch")

import softxent.torch as sxt  # noqa: E402  # after the skip

pytestmark = FORWARD_MODE
# As many classes as positions: what is taken for the other does not show in a shape.
SHAPES = ((3, 3), (2, 3, 3), (3, 3, 3, 3))


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(3)


def orders(tensor):
    """Return the same numbers in every order of dimensions in memory."""
    for order in itertools.permutations(range(tensor.ndim)):
        back = [order.index(d) for d in range(tensor.ndim)]
        yield tensor.permute(order).contiguous().permute(back)


def some_orders(tensor):
    """Return the same numbers as they are, with classes last, and every other one of more."""
    yield tensor
    yield tensor.movedim(1, -1).contiguous().movedim(-1, 1)
    yield torch.stack([tensor, tensor], -1)[..., 0]


def assert_equal(got, want, what):
    """Compare tuples of tensors bit by bit."""
    for i, (g, w) in enumerate(zip(got, want, strict=True)):
        assert torch.equal(g, w), f"result {i} of {what}: {g} is not {w}"


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_softmaxes(name, shape):
    """Value, gradient, tangent and double backward along every dimension."""
    function = getattr(sxt, name)
    z = torch.randn(shape, dtype=torch.float64)
    for dim in range(len(shape)):
        v, t = torch.randn_like(function(z, dim)), torch.randn_like(z)

        def results(x, v, t, dim=dim):
            x = x.detach().requires_grad_()
            value = function(x, dim)
            (grad,) = torch.autograd.grad(value, x, v, retain_graph=True)
            (again,) = torch.autograd.grad(value, x, v, create_graph=True)
            (double,) = torch.autograd.grad(again, x, t)
            return value, grad, double, torch.func.jvp(lambda a: function(a, dim), (x.detach(),), (t,))[1]

        want = results(z, v, t)
        for x in orders(z):
            assert_equal(results(x, v, t), want, f"{name} along {dim} of strides {x.stride()}")
        for cotangent in orders(v):
            assert_equal(results(z, cotangent, t), want, f"{name} along {dim}, cotangent's {cotangent.stride()}")


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("labels", ["indices", "probabilities"])
@pytest.mark.parametrize("modifiers", [MODIFIERS[0], MODIFIERS[-1]], ids=["plain", "all"])
def test_losses(modifiers, labels, reduction, shape):
    """Value, gradient, a cotangent, tangent and products with the Hessian, labels in any order as well."""
    given = {**tensors(modifiers), "reduction": reduction}
    z, t = torch.randn(shape, dtype=torch.float64), torch.randn(shape, dtype=torch.float64)
    rows = (shape[0], *shape[2:])
    y = torch.randint(0, 3, rows) if labels == "indices" else torch.rand(shape, dtype=torch.float64)
    v = torch.rand(rows if reduction == "none" else (), dtype=torch.float64) * 3

    def results(z, y, v, t):
        x = z.detach().requires_grad_()
        loss = sxt.cross_entropy(x, y, **given)
        (plain,) = torch.autograd.grad(loss.sum(), x, retain_graph=True)
        (grad,) = torch.autograd.grad(loss, x, v, retain_graph=True)
        (again,) = torch.autograd.grad(loss, x, v, create_graph=True)
        (double,) = torch.autograd.grad(again, x, t)
        tangent = torch.func.jvp(lambda a: sxt.cross_entropy(a, y, **given), (x.detach(),), (t,))[1]
        return loss, plain, grad, double, tangent

    want = results(z, y, v, t)
    for x in orders(z):
        assert_equal(results(x, y, v, t), want, f"logits of strides {x.stride()}")
    last = z.movedim(1, -1).contiguous().movedim(-1, 1)
    for labels in some_orders(y) if y.ndim > 1 else [y]:
        assert_equal(results(last, labels, v, t), want, f"labels of strides {labels.stride()}")
    for direction in some_orders(t):
        assert_equal(results(last, y, v, direction), want, f"a direction of strides {direction.stride()}")


def test_gradients_take_the_logits_layout():
    """Gradients and softmaxes of channels-last images are channels-last images."""
    last = torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last).requires_grad_()
    for target in (torch.randint(0, 3, (2, 4, 5)), torch.rand(2, 3, 4, 5)):
        for factor in (1.0, 3.0):
            (grad,) = torch.autograd.grad(factor * sxt.cross_entropy(last, target), last)
            assert grad.is_contiguous(memory_format=torch.channels_last)
    assert sxt.softmax(last, 1).is_contiguous(memory_format=torch.channels_last)
    (grad,) = torch.autograd.grad(sxt.softmax(last, 1), last, torch.rand_like(last))
    assert grad.is_contiguous(memory_format=torch.channels_last)
