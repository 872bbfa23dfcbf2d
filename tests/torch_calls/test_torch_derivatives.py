"""Every derivative against finite differences: reverse, forward, second order, batches of cotangents."""

from __future__ import annotations

import pytest
from torch_cases import FORWARD_MODE, MODIFIERS, REDUCTIONS, tensors

torch = pytest.importorskip("torch")

import softxent.torch as sxt  # noqa: E402  # after the skip

pytestmark = FORWARD_MODE


def check(function, *inputs):
    """Run PyTorch's gradcheck and gradgradcheck in every mode that they have."""
    assert torch.autograd.gradcheck(
        function, inputs, check_forward_ad=True, check_batched_grad=True, check_batched_forward_grad=True
    )
    assert torch.autograd.gradgradcheck(function, inputs, check_fwd_over_rev=True, check_rev_over_rev=True)


def random(*shape, grad=True):
    """Return float64 numbers of N(0, 1)."""
    return torch.randn(*shape, dtype=torch.float64).requires_grad_(grad)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(1)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("modifiers", MODIFIERS, ids=str)
@pytest.mark.parametrize("labels", ["indices", "probabilities", "learned"])
def test_cross_entropy(labels, modifiers, reduction):
    """Every modifier, reduction and kind of label; probabilities that require a gradient get theirs."""
    given = {**tensors(modifiers), "reduction": reduction}
    logits = random(2, 3, 2)
    if labels == "indices":
        target = torch.tensor([[0, 2], [-100, 1]])
        check(lambda z: sxt.cross_entropy(z, target, **given), logits)
        return
    target = torch.rand(2, 3, 2, dtype=torch.float64)
    if labels == "probabilities":
        check(lambda z: sxt.cross_entropy(z, target, **given), logits)
    else:
        check(lambda z, y: sxt.cross_entropy(z, y, **given), logits, target.requires_grad_())


@pytest.mark.parametrize("function", [sxt.softmax, sxt.log_softmax, sxt.logsumexp])
@pytest.mark.parametrize("dim", [0, 1, -1])
def test_softmax(function, dim):
    """softmax, log_softmax and logsumexp along any dimension."""
    check(lambda z: function(z, dim), random(2, 3, 2))


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_binary(reduction):
    """Binary cross-entropy with respect to logits, and to everything."""
    logits, target = random(3, 2), torch.rand(3, 2, dtype=torch.float64)
    factor = torch.rand(2, dtype=torch.float64)
    options = {"weight": factor, "pos_weight": factor + 0.5, "reduction": reduction}
    check(lambda z: sxt.binary_cross_entropy_with_logits(z, target, **options), logits)
    check(lambda z, y: sxt.binary_cross_entropy_with_logits(z, y, **options), logits, target.clone().requires_grad_())


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("modifiers", MODIFIERS, ids=str)
@pytest.mark.parametrize("soft", [False, True], ids=["indices", "probabilities"])
def test_linear(soft, modifiers, reduction):
    """The linear form with respect to inputs, weight and bias, under every modifier."""
    target = torch.rand(3, 3, dtype=torch.float64) if soft else torch.tensor([1, -100, 2])
    given = {**tensors(modifiers), "reduction": reduction}
    check(
        lambda x, w, b: sxt.linear_cross_entropy(x, w, target, linear_bias=b, **given),
        random(3, 2), random(3, 2), random(3),
    )  # fmt: skip


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("soft", [False, True], ids=["indices", "probabilities"])
def test_learned_class_weights(soft, reduction):
    """Class weights that require a gradient get theirs, the mean's divisor too; PyTorch refuses them for indices."""
    target = torch.rand(3, 3, dtype=torch.float64) if soft else torch.tensor([1, -100, 2])
    weight = (torch.rand(3, dtype=torch.float64) + 0.5).requires_grad_()
    given = {"reduction": reduction, "label_smoothing": 0.1, "z_loss": 0.1}
    logits = random(3, 3)
    check(lambda z, w: sxt.cross_entropy(z, target, w, **given), logits, weight)
    want = sxt.cross_entropy(logits, target, weight.detach(), **given)
    torch.testing.assert_close(sxt.cross_entropy(logits, target, weight, **given), want)
    check(lambda x, v, w: sxt.linear_cross_entropy(x, v, target, weight=w, **given), random(3, 2), random(3, 2), weight)


def test_lse():
    """What return_lse=True adds is differentiable too."""
    target = torch.tensor([1, -100, 2])
    check(lambda z: sxt.cross_entropy(z, target, softcap=2.0, return_lse=True), random(3, 3))
    check(
        lambda x, w, b: sxt.linear_cross_entropy(x, w, target, linear_bias=b, temperature=0.5, return_lse=True),
        random(3, 2), random(3, 2), random(3),
    )  # fmt: skip


@pytest.mark.parametrize("labels", ["indices", "probabilities"])
def test_third_order(labels):
    """A third derivative is that of PyTorch's own operations."""
    target = torch.tensor([0, 2]) if labels == "indices" else torch.rand(2, 3, dtype=torch.float64)
    point, direction = random(2, 3, grad=False), random(2, 3, grad=False)

    def third(function):
        z = point.clone().requires_grad_()
        value = function(z, target)
        for _ in range(2):
            (grad,) = torch.autograd.grad(value, z, create_graph=True)
            value = (grad * direction).sum()
        return torch.autograd.grad(value, z)[0]

    torch.testing.assert_close(third(sxt.cross_entropy), third(torch.nn.functional.cross_entropy))


def test_confident_gradient_in_every_mode():
    """−R/S is exact however it is asked for: backward, create_graph, torch.func, forward mode."""
    z = torch.tensor([[40.0, 0.0]], dtype=torch.float64, requires_grad=True)
    target = torch.tensor([0])
    want = torch.tensor([[-4.248354255291589e-18, 4.248354255291589e-18]], dtype=torch.float64)
    loss = sxt.cross_entropy(z, target)
    assert loss.item() == 4.248354255291589e-18
    assert torch.equal(torch.autograd.grad(loss, z, create_graph=True)[0], want)
    assert torch.equal(torch.autograd.grad(loss, z)[0], want)
    assert torch.equal(torch.func.grad(lambda x: sxt.cross_entropy(x, target))(z.detach()), want)
    basis = torch.eye(2, dtype=torch.float64).reshape(2, 1, 2)
    forward = [torch.func.jvp(lambda x: sxt.cross_entropy(x, target), (z.detach(),), (t,))[1] for t in basis]
    assert torch.equal(torch.stack(forward), want[0])
