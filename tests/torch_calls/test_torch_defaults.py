"""PyTorch's default device and dtype say nothing about tensors that are given: results do not depend on them."""

from __future__ import annotations

import contextlib
import subprocess
import sys

import pytest
from torch_cases import FORWARD_MODE, MODIFIERS, tensors

torch = pytest.importorskip("torch")

import softxent.torch as sxt  # noqa: E402  # after the skip

pytestmark = FORWARD_MODE
DTYPES = (torch.float32, torch.bfloat16)
forward = torch.autograd.forward_ad


@contextlib.contextmanager
def float64():
    """Let float64 be the default dtype, which is float32 otherwise."""
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


def hessians():
    """Whether torch.func.hessian minds the default device itself: not in PyTorch 2.7 and before."""
    torch.func.hessian(torch.Tensor.sum)(torch.ones(2))  # loads PyTorch's compiler, which may not be loaded below
    with torch.device("meta"):
        try:
            torch.func.hessian(torch.Tensor.sum)(torch.ones(2, device="cpu"))
        except RuntimeError:
            return False
    return True


HESSIANS = hessians()
# Nothing can be computed on the meta device: a tensor made there by mistake shows.
DEFAULTS = {"meta": lambda: torch.device("meta"), "float64": float64}


def calls(dtype, modifiers, reduction):
    """Return functions of two tensors, by name, with the tensors."""
    generator = torch.Generator().manual_seed(4)

    def random(*shape):
        return torch.randn(*shape, generator=generator).to(dtype)

    z, x, table, bias = random(4, 3), random(4, 2), random(3, 2), random(3)
    image, y, soft = random(2, 3, 5), torch.tensor([0, 2, -100, 1]), random(4, 3).softmax(1)
    given = {**tensors(modifiers, dtype), "reduction": reduction}
    binary = {"reduction": reduction, "weight": bias.abs(), "pos_weight": bias.abs() + 0.5}
    return {
        "indices": (lambda z, _: sxt.cross_entropy(z, y, **given), z, z),
        "positions": (lambda z, _: sxt.cross_entropy(z, y[:2, None].expand(2, 5), **given), image, image),
        "probabilities": (lambda z, _: sxt.cross_entropy(z, soft, **given), z, z),
        "learned": (lambda z, s: sxt.cross_entropy(z, s, **given), z, soft),
        "learned weights": (lambda z, w: sxt.cross_entropy(z, y, **{**given, "weight": w}), z, bias.abs()),
        "lse": (lambda z, _: sum(r.sum() for r in sxt.cross_entropy(z, y, **given, return_lse=True)), z, z),
        "linear": (lambda x, w: sxt.linear_cross_entropy(x, w, y, linear_bias=bias, **given), x, table),
        "linear, probabilities": (lambda x, w: sxt.linear_cross_entropy(x, w, soft, **given), x, table),
        "binary": (lambda z, _: sxt.binary_cross_entropy_with_logits(z, soft, **binary), z, z),
        "binary, learned": (lambda z, s: sxt.binary_cross_entropy_with_logits(z, s, **binary), z, soft),
        "softmax": (lambda z, _: sxt.softmax(z, 1), image, image),
        "log_softmax": (lambda z, _: sxt.log_softmax(z, 1), image, image),
        "logsumexp": (lambda z, _: sxt.logsumexp(z, [0, 1]), image, image),
    }


def derivatives(function, a, b):
    """Return value and derivatives of a function of two tensors, as PyTorch gives them in each of its modes."""
    a, b = a.clone().requires_grad_(), b.clone().requires_grad_()
    both = [a] if a.data_ptr() == b.data_ptr() else [a, b]

    def found(value, *cotangents, **more):
        got = torch.autograd.grad(value, both, *cotangents, allow_unused=True, retain_graph=True, **more)
        return [g for g in got if g is not None]

    value = function(a, b)
    cotangent = (value.detach() * 3.0).requires_grad_()
    batch = torch.stack([cotangent, cotangent * 2.0])
    results = [value, *found(value.sum()), *found(value, cotangent), *found(value, batch, is_grads_batched=True)]
    first = found(value, cotangent, create_graph=True)
    results += [*first, *found([g.sum() for g in first])]
    a, b = a.detach(), b.detach()
    with forward.dual_level():
        results.append(forward.unpack_dual(function(forward.make_dual(a, a * 0.5), b)).tangent)
    results.append(torch.func.grad(lambda a: function(a, b).sum())(a))
    results.append(torch.func.vmap(torch.func.grad(lambda a: function(a, b).sum()))(torch.stack([a, a * 2.0])))
    if HESSIANS:
        results.append(torch.func.hessian(lambda a: function(a, b).sum())(a))
    with torch.no_grad():
        results.append(function(a, b))
    return results


@pytest.mark.parametrize("default", DEFAULTS)
@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("modifiers", [MODIFIERS[0], MODIFIERS[-1]], ids=["plain", "all"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_defaults(dtype, modifiers, reduction, default):
    """Every result in every mode: the device, the dtype and the bits that it has otherwise."""
    for name, (function, a, b) in calls(dtype, modifiers, reduction).items():
        want = derivatives(function, a, b)
        with DEFAULTS[default]():
            got = derivatives(function, a, b)
        for i, (g, w) in enumerate(zip(got, want, strict=True)):
            assert (g.device, g.dtype, g.shape) == (w.device, w.dtype, w.shape), f"result {i} of {name}"
            assert torch.equal(g.nan_to_num(), w.nan_to_num()), f"result {i} of {name}"


def test_import():
    """The package may be imported, and its modules made, under any default."""
    code = (
        "import torch\n"
        "torch.set_default_device('meta')\n"
        "torch.set_default_dtype(torch.float64)\n"
        "import softxent.torch as F\n"
        "z, y = torch.zeros(1, 2, device='cpu', dtype=torch.float32), torch.tensor([0], device='cpu')\n"
        "print([r for r in (F.cross_entropy(z, y), F.CrossEntropyLoss(label_smoothing=0.1)(z, y))])\n"
        "linear = F.LinearCrossEntropyLoss(2, 3, device='cpu')\n"
        "print(F.LinearCrossEntropyLoss(2, 3).weight.device, linear(z.double(), y).device)\n"
    )
    said = subprocess.check_output([sys.executable, "-W", "error", "-c", code], text=True)
    assert said == "[tensor(0.6931, dtype=torch.float32), tensor(0.6931, dtype=torch.float32)]\nmeta cpu\n"
