"""linear_cross_entropy and the modules: what is computed when, in how much memory, under PyTorch's names."""

from __future__ import annotations

import subprocess
import sys

import pytest
from torch_cases import MODIFIERS, REDUCTIONS, tensors

from softxent import OptionError, ShapeError

torch = pytest.importorskip("torch")

import softxent.torch as sxt  # noqa: E402  # after the skip
from softxent.kernels.cpu.matmul import linear  # noqa: E402
from softxent.torch.backends import cpu, operations  # noqa: E402

F = torch.nn.functional


def layer(dtype=torch.float64, rows=6, width=4, classes=5):
    """Return inputs, weight and bias that require gradients, and labels."""
    torch.manual_seed(3)
    x, w, b = (torch.randn(s, dtype=dtype).requires_grad_() for s in ((rows, width), (classes, width), (classes,)))
    target = torch.randint(0, classes, (rows,))
    target[1] = -100
    return x, w, b, target


@pytest.mark.parametrize("wanted", [(1, 1, 1), (1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 1, 1)], ids=str)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_only_what_is_wanted(wanted, reduction):
    """Frozen inputs, weights and biases get no gradient, and cost no product; the others get the same bits."""
    x, w, b, target = layer()
    full = torch.autograd.grad(
        sxt.linear_cross_entropy(x, w, target, linear_bias=b, reduction=reduction).sum(), (x, w, b)
    )
    leaves = [t.detach().requires_grad_(bool(k)) for t, k in zip((x, w, b), wanted, strict=True)]
    loss = sxt.linear_cross_entropy(leaves[0], leaves[1], target, linear_bias=leaves[2], reduction=reduction)
    loss.sum().backward()
    for leaf, grad, want in zip(leaves, full, wanted, strict=True):
        assert (leaf.grad is not None) == bool(want)
        assert not want or torch.equal(leaf.grad, grad)


DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


@pytest.mark.parametrize("table", DTYPES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_dtypes_may_differ(dtype, table):
    """Inputs, weight and bias of any floating dtypes: computed in float32, or float64 if there is one among them."""
    x, w, b, target = layer()
    given = [x.to(dtype), w.to(table), b.to(dtype)]
    wide = torch.float64 if torch.float64 in (dtype, table) else torch.float32
    results = []
    for inputs in (given, [t.to(wide) for t in given]):
        leaves = [t.detach().requires_grad_() for t in inputs]
        loss = sxt.linear_cross_entropy(leaves[0], leaves[1], target, linear_bias=leaves[2])
        results.append((loss, *torch.autograd.grad(loss, leaves)))
    for got, want in zip(*results, strict=True):
        assert torch.equal(got, want.to(got.dtype))


def test_products_are_counted(monkeypatch):
    """One visit for a loss alone, one for loss and gradients; a second pass costs one more, and gives the same bits."""
    visits = []
    original = cpu.linear_loss
    monkeypatch.setattr(cpu, "linear_loss", lambda *a: visits.append(a[6]) or original(*a))
    x, w, _, target = layer()
    with torch.no_grad():
        sxt.linear_cross_entropy(x, w, target)
    assert visits == [(False, False, False)]
    loss = sxt.linear_cross_entropy(x, w, target)
    first = torch.autograd.grad(loss, (x, w), retain_graph=True)
    assert visits[1:] == [(True, True, False)]
    second = torch.autograd.grad(loss, (x, w))
    assert len(visits) == 3
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("factor", [0.5, 3.0, 65536.0])
def test_cotangent(factor, dtype):
    """The cotangent comes in before the rounding to half precision: nothing underflows on the way."""
    x, w, b, target = layer(dtype)
    scaled = sxt.linear_cross_entropy(x, w, target, linear_bias=b) * factor
    got = torch.autograd.grad(scaled, (x, w, b))
    wide = [t.detach().double().requires_grad_() for t in (x, w, b)]
    want = torch.autograd.grad(F.cross_entropy(F.linear(*wide), target) * factor, wide)
    for g, exact in zip(got, want, strict=True):
        assert g.dtype == dtype
        tolerance = 2 * torch.finfo(dtype).eps * float(exact.abs().max())
        torch.testing.assert_close(g.double(), exact, rtol=torch.finfo(dtype).eps, atol=tolerance)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("soft", [False, True], ids=["indices", "probabilities"])
def test_positions(soft, reduction):
    """A weight with positions, (C, d1, D): PyTorch's K-dimensional loss."""
    torch.manual_seed(4)
    x, w, b = (torch.randn(s, dtype=torch.float64).requires_grad_() for s in ((5, 4), (3, 2, 2, 4), (3, 2, 2)))
    target = torch.rand(5, 3, 2, 2, dtype=torch.float64) if soft else torch.randint(0, 3, (5, 2, 2))
    weight = torch.rand(3, dtype=torch.float64)
    options = {"weight": weight, "reduction": reduction, "label_smoothing": 0.1}
    got = sxt.linear_cross_entropy(x, w, target, linear_bias=b, **options)
    want = F.cross_entropy(torch.einsum("nd,cijd->ncij", x, w) + b, target, **options)
    torch.testing.assert_close(got, want)
    grads, wants = (torch.autograd.grad(loss.sum(), (x, w, b)) for loss in (got, want))
    for g, expected in zip(grads, wants, strict=True):
        torch.testing.assert_close(g, expected)
    lse = sxt.linear_cross_entropy(x, w, target, linear_bias=b, return_lse=True, **options)[1]
    assert lse.shape == (5, 2, 2)


@pytest.mark.parametrize("modifiers", MODIFIERS, ids=str)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_chunks_change_nothing(modifiers, reduction, monkeypatch):
    """Cut into chunks of a few rows, the ways that PyTorch's operations compute give the same numbers."""
    x, w, b, target = layer(rows=200)
    given = {**tensors({k: v for k, v in modifiers.items() if k != "weight"}), "reduction": reduction}
    want = sxt.linear_cross_entropy(x, w, target, linear_bias=b, **given)
    want_grads = torch.autograd.grad(want.sum(), (x, w, b), retain_graph=True)
    monkeypatch.setattr(linear, "_CHUNK_BYTES", 64 * 5 * 4)
    again = torch.autograd.grad(want.sum(), (x, w, b), create_graph=True)
    monkeypatch.setattr(cpu, "linear_loss", operations.linear_loss)
    other = sxt.linear_cross_entropy(x, w, target, linear_bias=b, **given)
    other_grads = torch.autograd.grad(other.sum(), (x, w, b))
    torch.testing.assert_close(other, want)
    for triple in zip(want_grads, again, other_grads, strict=True):
        torch.testing.assert_close(triple[1], triple[0])
        torch.testing.assert_close(triple[2], triple[0])


def test_lse_in_chunks(monkeypatch):
    """return_lse in chunks, each computed again for its gradient."""
    x, w, b, target = layer(rows=200)
    monkeypatch.setattr(linear, "_CHUNK_BYTES", 64 * 5 * 4)
    _, lse = sxt.linear_cross_entropy(x, w, target, linear_bias=b, softcap=2.0, return_lse=True)
    want = torch.logsumexp(2.0 * torch.tanh(F.linear(x, w, b) / 2.0), 1)
    torch.testing.assert_close(lse, want)
    for g, expected in zip(*(torch.autograd.grad(v.square().sum(), (x, w, b)) for v in (lse, want)), strict=True):
        torch.testing.assert_close(g, expected)


MEMORY = """
import resource, torch, softxent.torch as sxt
torch.manual_seed(0)
x, w = torch.randn(1024, 256).requires_grad_(), torch.randn(50257, 256).requires_grad_()
y = torch.randint(0, 50257, (1024,))
sxt.linear_cross_entropy(x[:4], w[:64], y[:4] % 64).backward()
x.grad = w.grad = None
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
sxt.linear_cross_entropy(x, w, y).backward()
extra = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 - x.grad.nbytes - w.grad.nbytes
print(extra / 2**20)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ru_maxrss is in KiB on Linux")
def test_memory():
    """Loss and backward pass take at most 128 MB beyond inputs and gradients (196 MB of logits here)."""
    done = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True, timeout=300)
    assert float(done.stdout) <= 128.0


@pytest.mark.parametrize("bias", [False, True])
def test_module_is_a_linear_layer_and_a_loss(bias):
    """The module's loss is that of its layer's outputs; its layer loads a torch.nn.Linear's state, and back."""
    head = torch.nn.Linear(4, 5, bias=bias)
    module = sxt.LinearCrossEntropyLoss(4, 5, bias=bias, label_smoothing=0.1)
    module.load_state_dict(head.state_dict())
    x, target = torch.randn(6, 4), torch.tensor([0, 1, 2, 3, 4, -100])
    torch.testing.assert_close(module(x, target), F.cross_entropy(head(x), target, label_smoothing=0.1))
    head.load_state_dict(module.linear.state_dict())


def test_modules_say_what_they_are():
    """repr shows shape and options; options out of range are refused when the module is made."""
    module = sxt.LinearCrossEntropyLoss(4, 5, z_loss=0.5, softcap=30.0)
    assert "  in_features=4, num_classes=5, bias=False, z_loss=0.5, softcap=30.0\n" in repr(module)
    assert repr(sxt.CrossEntropyLoss(temperature=2.0)) == "CrossEntropyLoss(temperature=2.0)"
    assert isinstance(sxt.CrossEntropyLoss(), torch.nn.CrossEntropyLoss)
    for options in ({"z_loss": -1.0}, {"label_smoothing": 2.0}, {"reduction": "average"}, {"temperature": 0.0}):
        with pytest.raises(OptionError):
            sxt.CrossEntropyLoss(**options)
        with pytest.raises(OptionError):
            sxt.LinearCrossEntropyLoss(4, 5, **options)
    with pytest.raises(ShapeError, match="weight must have shape"):
        sxt.LinearCrossEntropyLoss(4, 5, weight=torch.ones(4))
