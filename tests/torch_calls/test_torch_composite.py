"""What computes on devices without kernels of ours, run on a CPU: the same contract, judged by the oracle."""

from __future__ import annotations

import numpy as np
import oracle
import oracle_loss
import pytest
from torch_cases import COMBINATIONS, tensors
from ulps import assert_contract

import softxent

torch = pytest.importorskip("torch")

import softxent.torch as sxt  # noqa: E402  # after the skip
from softxent.options import loss_options  # noqa: E402
from softxent.torch.autograd import loss as autograd_loss  # noqa: E402
from softxent.torch.autograd import softmax as autograd_softmax  # noqa: E402
from softxent.torch.backends import cpu, operations  # noqa: E402

dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
# PyTorch's own exp and log1p on this CPU are within some units of the last place, and results add theirs up.
ULPS = 6


def rows(rng, dtype):
    """Return rows of several widths and spreads, and a label each, confident ones among them."""
    for width in (2, 3, 10, 100):
        for spread in (1.0, 30.0):
            z = torch.tensor(rng.normal(0.0, spread, width)).to(dtype)
            yield z, int(rng.integers(width))
            label = int(z.argmax())
            z[label] += 25.0
            yield z, label


@dtypes
def test_softmax(dtype, rng):
    """softmax, log-softmax and logsumexp within a few ulps of the exact value."""
    for z, _ in rows(rng, dtype):
        x = z.numpy()
        assert_contract(operations.softmax(z, 0).numpy(), oracle.softmax(x), ulps=ULPS, row=x)
        assert_contract(operations.log_softmax(z, 0).numpy(), oracle.log_softmax(x), ulps=ULPS, row=x)
        value, scale = oracle.logsumexp(x)
        assert_contract(operations.logsumexp(z, 0).numpy(), value, ulps=ULPS, scale=scale, row=x)


@dtypes
def test_loss(dtype, rng):
    """Loss and gradient of index labels, the confident ones too."""
    options = loss_options(None, -100, 0.0, 0.0, None, 1.0, "sum")
    for z, label in rows(rng, dtype):
        loss, grad = operations.loss(z[None], torch.tensor([label]), None, options, 1, True)
        exact = oracle_loss.cross_entropy(z.numpy(), label)
        assert_contract(loss.numpy(), exact.loss, ulps=ULPS, row=z.numpy())
        assert_contract(grad[0].numpy(), exact.grad, ulps=ULPS, row=z.numpy())


@pytest.mark.parametrize("labels", ["indices", "probabilities"])
def test_every_combination(labels, rng):
    """Loss, gradient and Hessian-vector product agree with the kernels under all combinations of modifiers."""
    z = torch.tensor(rng.normal(0.0, 3.0, (5, 3, 2)))
    z[1, 2] = -np.inf
    target = torch.tensor(rng.integers(0, 2, (5, 2)))
    target[2, 0] = -100
    if labels == "probabilities":
        target = torch.tensor(rng.dirichlet(np.ones(3), (5, 2))).movedim(-1, 1).contiguous()
        target[1, 2] = 0.0
    v = torch.tensor(rng.normal(0.0, 1.0, (5, 3, 2)))
    for given in COMBINATIONS:
        if given["label_smoothing"] and z.isinf().any():
            given = {**given, "label_smoothing": 0.0}  # an impossible class that smoothing asks for: loss inf
        weight = tensors(given)["weight"]
        options = loss_options(None, *[given.get(k, d) for k, d in (
            ("ignore_index", -100), ("label_smoothing", 0.0), ("z_loss", 0.0), ("softcap", None),
            ("temperature", 1.0), ("reduction", "mean"))])  # fmt: skip
        pairs = [m.loss(z, target, weight, options, 1, True) for m in (operations, cpu)]
        products = [m.loss_product(z, target, weight, options, 1, v) for m in (operations, cpu)]
        for got, want in zip((*pairs[0], products[0]), (*pairs[1], products[1]), strict=True):
            scale = float(want.abs().max())
            torch.testing.assert_close(got, want, rtol=1e-13, atol=1e-13 * scale, msg=lambda m, g=given: f"{g}: {m}")


def test_odd_rows():
    """NaN, +inf, all −inf, a label at −inf, labels that are no class: a row's own affair, and no error."""
    inf, nan = float("inf"), float("nan")
    z = torch.tensor([[1.0, 2.0], [nan, 0.0], [inf, 0.0], [-inf, -inf], [0.0, -inf], [1.0, 2.0], [1.0, 2.0]])
    target = torch.tensor([0, 0, 0, 0, 1, 7, -100])
    options = loss_options(None, -100, 0.0, 0.0, None, 1.0, "none")
    loss, grad = operations.loss(z, target, None, options, 1, True)
    want, want_grad = softxent.cross_entropy_value_and_grad(z[:5].numpy(), target[:5].numpy(), reduction="none")
    np.testing.assert_allclose(loss[:5].numpy(), want, rtol=1e-6)
    np.testing.assert_allclose(grad[:5].numpy(), want_grad, rtol=1e-6)
    assert loss[5].isnan()
    assert grad[5].isnan().all()
    assert (loss[6], grad[6].tolist()) == (0.0, [0.0, 0.0])
    for name in ("softmax", "log_softmax"):
        np.testing.assert_allclose(
            getattr(operations, name)(z, 1).numpy(), getattr(softxent, name)(z.numpy()), rtol=1e-6
        )
    np.testing.assert_allclose(operations.logsumexp(z, 1).numpy(), softxent.logsumexp(z.numpy()), rtol=1e-6)


def test_whole_functions(monkeypatch):
    """Through the public functions: first and second derivatives by PyTorch's operations alone."""
    for module in (autograd_loss, autograd_softmax):
        monkeypatch.setattr(module, "backend", lambda *tensors: operations)
    torch.manual_seed(0)
    z, target = torch.randn(3, 4, dtype=torch.float64, requires_grad=True), torch.tensor([0, 3, -100])
    for function in (
        lambda x: sxt.cross_entropy(x, target, z_loss=0.1, softcap=2.0),
        lambda x: sxt.softmax(x, 1),
        lambda x: sxt.log_softmax(x, 0),
        lambda x: sxt.logsumexp(x, 1),
    ):
        assert torch.autograd.gradcheck(function, z)
        assert torch.autograd.gradgradcheck(function, z)
