"""What a backward pass may count on: whose memory is whose, what a second pass gives, and what inplace=True costs."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
from ulps import assert_same_bits

import softxent
from softxent import GradientError, OptionError

torch = pytest.importorskip("torch")

import softxent.torch as sxt  # noqa: E402  # after the skip
from softxent.torch.backends.tensors import as_array  # noqa: E402

HALF = (torch.float16, torch.bfloat16)
every_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64, *HALF], ids=str)


def problem(rng, rows=6, classes=5, dtype=torch.float32):
    """Return logits that require a gradient, and labels, one of them to be ignored."""
    z = torch.tensor(rng.normal(0.0, 3.0, (rows, classes))).to(dtype).requires_grad_()
    target = torch.tensor(rng.integers(0, classes, rows))
    target[1] = -100
    return z, target


@every_dtype
@pytest.mark.parametrize("factor", [1.0, 0.125, 3.0, 1e-3, 65536.0, 0.0])
def test_cotangent_is_rounded_once(factor, dtype, rng):
    """The gradient of factor · loss is what the kernels give for it, whichever way it took."""
    z, target = problem(rng, dtype=dtype)
    (grad,) = torch.autograd.grad(factor * sxt.cross_entropy(z, target), z)
    given = factor if dtype == torch.float64 else float(np.float32(factor))  # a float32 loss has a float32 cotangent
    exact = softxent.cross_entropy_value_and_grad(as_array(z).astype(np.float64), target.numpy())[1] * given
    got = as_array(grad).astype(np.float64)
    eps = torch.finfo(dtype).eps
    spacing = torch.finfo(dtype).tiny * eps
    assert (np.abs(got - exact) <= np.abs(exact) * eps * 4 + spacing).all()
    if dtype in HALF:
        assert (np.abs(got - exact) <= np.abs(exact) * eps * 0.51 + spacing).all()


def test_large_cotangent_brings_nothing_up_from_the_subnormals():
    """A gradient of 1e-44 times 1e6 has the digits of 1e-38, not those of a subnormal number."""
    z = torch.tensor([[0.0, -101.3]], requires_grad=True)
    (grad,) = torch.autograd.grad(1e6 * sxt.cross_entropy(z, torch.tensor([0])), z)
    want = 1e6 * np.exp(float(np.float32(-101.3)))
    assert abs(float(grad[0, 1]) / want - 1.0) < 1e-6


@every_dtype
def test_rows_have_their_own_cotangents(dtype, rng):
    """reduction="none" with any grad_output: each row's gradient times its own."""
    z, target = problem(rng, dtype=dtype)
    for cotangent in (torch.rand(6), torch.randn(6) * 100):
        (grad,) = torch.autograd.grad(sxt.cross_entropy(z, target, reduction="none").to(torch.float32),
                                      z, cotangent) if dtype != torch.float64 else torch.autograd.grad(
            sxt.cross_entropy(z, target, reduction="none"), z, cotangent.double())  # fmt: skip
        rows = [
            torch.autograd.grad(sxt.cross_entropy(z[i], target[i], reduction="sum") * float(cotangent[i]), z)[0][i]
            for i in range(6)
        ]
        torch.testing.assert_close(grad, torch.stack(rows), rtol=torch.finfo(dtype).eps, atol=0)


@every_dtype
def test_second_backward(dtype, rng):
    """retain_graph=True: a second pass gives the same bits, in memory of its own; without it PyTorch says no."""
    z, target = problem(rng, dtype=dtype)
    loss = sxt.cross_entropy(z, target)
    (first,) = torch.autograd.grad(loss, z, retain_graph=True)
    kept = first.clone()
    first.zero_()
    (second,) = torch.autograd.grad(loss, z, retain_graph=True)
    assert_same_bits(as_array(second), as_array(kept))
    assert second.data_ptr() != first.data_ptr()
    loss.backward()
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()


def test_gradients_accumulate(rng):
    """Two losses of the same logits add up in .grad, which is nobody else's memory."""
    z, target = problem(rng)
    sxt.cross_entropy(z, target).backward()
    once = z.grad.clone()
    sxt.cross_entropy(z, target).backward()
    assert torch.equal(z.grad, once * 2)


def test_gradient_is_handed_out(rng):
    """The gradient that came with the loss becomes .grad without a copy, and is not kept beside it."""
    z, target = problem(rng, 2000, 1000)
    loss = sxt.cross_entropy(z, target)
    node = loss.grad_fn
    address = node.gradient.data_ptr()
    loss.backward()
    assert z.grad.data_ptr() == address
    assert node.gradient is None


@every_dtype
def test_logits_are_not_touched(dtype, rng):
    """Neither loss nor backward pass writes to the caller's tensors, and no version counter moves."""
    z, target = problem(rng, dtype=dtype)
    before, version = z.detach().clone(), z._version
    sxt.cross_entropy(z, target, label_smoothing=0.1).backward()
    assert torch.equal(z, before)
    assert z._version == version


@every_dtype
@pytest.mark.parametrize("factor", [1.0, 0.25, -0.5, 3.0, 65536.0])
@pytest.mark.parametrize("changed", ["logits", "target", "weight"])
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_changed_after_the_loss(reduction, changed, factor, dtype, rng):
    """The first pass gives the gradient at what was given as it was; what would need it again is refused."""
    leaf, indices = problem(rng, dtype=dtype)
    for target in (indices, torch.tensor(rng.random((6, 5)))):
        given = {"logits": leaf * 1.0, "target": target.clone(), "weight": torch.tensor(rng.random(5))}
        arguments = (given["logits"], given["target"], given["weight"])
        (want,) = torch.autograd.grad((sxt.cross_entropy(*arguments, reduction=reduction) * factor).sum(), leaf)
        given["logits"] = leaf * 1.0
        arguments = (given["logits"], given["target"], given["weight"])
        loss = sxt.cross_entropy(*arguments, reduction=reduction)
        with torch.no_grad():
            given[changed].zero_()
        refused = pytest.raises(RuntimeError, match="modified by an inplace operation")
        with refused:
            torch.autograd.grad((loss * factor).sum(), leaf, create_graph=True)
        cotangent = torch.full_like(loss, factor)
        if dtype == torch.float16 and factor > 1.0:
            with refused:  # what float16 has lost is not brought up
                torch.autograd.grad(loss, leaf, cotangent, retain_graph=True)
        else:
            (grad,) = torch.autograd.grad(loss, leaf, cotangent, retain_graph=True)
            scale = float(want.abs().max())  # of what probabilities as labels cancel
            torch.testing.assert_close(grad, want, rtol=0, atol=2 * torch.finfo(dtype).eps * scale)
        with refused:
            torch.autograd.grad(loss, leaf, cotangent)


@pytest.mark.parametrize(
    "function",
    [
        lambda z, y: sxt.softmax(z, 1),
        lambda z, y: sxt.log_softmax(z, 1),
        lambda z, y: sxt.logsumexp(z, 1),
        lambda z, y: sxt.binary_cross_entropy_with_logits(z, y),
        lambda z, y: sxt.linear_cross_entropy(z, torch.ones(3, 5), y[:, 0].long()),
        lambda z, y: sxt.linear_cross_entropy(z, torch.ones(5, 5), y, reduction="none"),
        lambda z, y: sxt.cross_entropy(z, y, torch.ones(5, requires_grad=True)),
    ],
)
def test_nothing_else_is_computed_from_what_was_changed(function, rng):
    """Every other function gives the gradient at what was given as it was, or refuses."""
    leaf, y = problem(rng)[0], torch.tensor(rng.random((6, 5)), dtype=torch.float32)
    for cotangent in (1.0, 0.5, 3.0):
        for changed in (0, 1, 2):
            z, labels = leaf * 1.0, y.clone()
            value = function(z, labels)
            (want,) = torch.autograd.grad(value, leaf, torch.full_like(value, cotangent))
            z, labels = leaf * 1.0, y.clone()
            value = function(z, labels)
            with torch.no_grad():
                (z, labels, value)[changed].fill_(0.5)
            try:
                (grad,) = torch.autograd.grad(value, leaf, torch.full_like(value, cotangent))
            except RuntimeError as error:
                assert "modified by an inplace operation" in str(error)  # noqa: PT017  # an error or the right number
            else:
                torch.testing.assert_close(grad, want)


@every_dtype
def test_inplace(dtype, rng):
    """inplace=True: the same loss and gradient, in the logits' memory; the logits count as changed."""
    leaf, target = problem(rng, dtype=dtype)
    (want,) = torch.autograd.grad(sxt.cross_entropy(leaf, target), leaf)
    z = leaf * 1.0
    address, version = z.data_ptr(), z._version
    loss = sxt.cross_entropy(z, target, inplace=True)
    assert torch.equal(loss, sxt.cross_entropy(leaf, target))
    assert z._version > version
    (grad,) = torch.autograd.grad(loss, z, retain_graph=True)
    assert grad.data_ptr() == address
    assert_same_bits(as_array(grad), as_array(want))
    with pytest.raises(GradientError, match="inplace=True"):
        torch.autograd.grad(loss, z)


def test_inplace_is_refused_where_it_would_hurt(rng):
    """Not on a parameter, not with create_graph, not for logits that are not contiguous, not with return_lse."""
    leaf, target = problem(rng)
    with pytest.raises(OptionError, match="leaf"):
        sxt.cross_entropy(leaf, target, inplace=True)
    with pytest.raises(OptionError, match="leaf"):
        sxt.cross_entropy(leaf.view(6, 5), target, inplace=True)
    with pytest.raises(OptionError, match="contiguous"):
        sxt.cross_entropy((leaf * 1.0).T, target[:5], inplace=True)
    for part in ((leaf * 1.0)[:4], (leaf * 1.0)[None, :-1].flatten(0, 1), (leaf * 1.0).split(3)[0]):
        with pytest.raises(OptionError, match=r"a part of a tensor of shape .* input\.clone"):
            sxt.cross_entropy(part, target[: len(part)], inplace=True)
        sxt.cross_entropy(part.clone(), target[: len(part)], inplace=True).backward()
    with pytest.raises(OptionError, match="exclude each other"):
        sxt.cross_entropy(leaf * 1.0, target, inplace=True, return_lse=True)
    z = leaf * 1.0
    loss = sxt.cross_entropy(z, target, inplace=True)
    with pytest.raises(GradientError, match="create_graph"):
        torch.autograd.grad(loss, z, create_graph=True)
    with torch.no_grad():
        before = leaf.clone()
        sxt.cross_entropy(leaf, target, inplace=True)
        assert torch.equal(leaf, before), "nothing to compute a gradient for: nothing is overwritten"


@pytest.mark.parametrize("layer", [torch.nn.Linear(3, 5), torch.nn.Linear(3, 5, bias=False)], ids=["bias", "none"])
def test_inplace_on_a_layers_outputs(layer, rng):
    """What a layer gives for sequences may be a view of all of its product, and is flattened by one more view."""
    x, target = torch.tensor(rng.normal(0.0, 1.0, (2, 3, 3)).astype(np.float32)), problem(rng)[1]
    grads = []
    for inplace in (False, True):
        outputs = layer(x)
        sxt.cross_entropy(outputs.view(-1, 5), target, inplace=inplace).backward()
        grads.append(layer.weight.grad.clone())
        layer.weight.grad = None
    assert torch.equal(*grads)


def test_nothing_outlives_the_graph(rng):
    """A loss that is dropped frees its logits and its gradient."""
    leaf, target = problem(rng)
    z = leaf * 1.0
    loss = sxt.cross_entropy(z, target)
    grads = weakref.ref(loss.grad_fn.gradient)
    logits = weakref.ref(z)
    del z, loss
    gc.collect()
    assert grads() is None
    assert logits() is None


def test_lse_and_its_gradient(rng):
    """return_lse=True gives logsumexp of every row of the transformed logits; its gradient is softmax."""
    z, target = problem(rng, dtype=torch.float64)
    loss, lse = sxt.cross_entropy(z, target, softcap=2.0, temperature=0.5, return_lse=True)
    cap = 2.0 * torch.tanh(z / 2.0) / 0.5
    torch.testing.assert_close(lse, torch.logsumexp(cap, 1))
    assert torch.equal(loss, sxt.cross_entropy(z, target, softcap=2.0, temperature=0.5))
    (grad,) = torch.autograd.grad(lse.sum(), z)
    torch.testing.assert_close(grad, torch.autograd.grad(torch.logsumexp(cap, 1).sum(), z)[0])


def test_no_gradient_is_computed_for_nobody(rng):
    """Without requires_grad, under no_grad and in inference mode no gradient is kept."""
    z, target = problem(rng)
    with torch.no_grad():
        assert sxt.cross_entropy(z, target).grad_fn is None
    with torch.inference_mode():
        loss = sxt.cross_entropy(z.detach(), target)
        assert loss.is_inference()
    assert sxt.cross_entropy(z.detach(), target).grad_fn is None
    assert torch.equal(loss, sxt.cross_entropy(z.detach(), target))


def test_torch_threads_are_respected(rng, monkeypatch):
    """torch.set_num_threads limits our threads too, and changes no bit."""
    from softxent.arrays.visits import kernels
    from softxent.kernels.cpu.threads import scheduler

    z, target = problem(rng, 4000, 100)
    shared, original, own, theirs = [], kernels().ledger, scheduler.get_num_threads(), torch.get_num_threads()

    def ledger(members, *rest):
        shared.append(members)
        return original(members, *rest)

    monkeypatch.setattr(kernels(), "ledger", ledger)
    try:
        scheduler.set_num_threads(2)
        torch.set_num_threads(2)
        want = sxt.cross_entropy(z, target)
        assert shared == [2]
        torch.set_num_threads(1)
        assert torch.equal(sxt.cross_entropy(z, target), want)
        assert shared == [2, 0], "one thread has nobody to share with"
    finally:
        torch.set_num_threads(theirs)
        scheduler.set_num_threads(own)


def test_binary_gradient_only_where_it_is_wanted(monkeypatch):
    """The gradient comes with the loss, is handed out once, and is left out where nobody can ask for it."""
    from softxent.torch.backends import cpu

    wanted, original = [], cpu.binary_loss

    def counted(*arguments, want_grad):
        wanted.append(want_grad)
        return original(*arguments, want_grad=want_grad)

    monkeypatch.setattr(cpu, "binary_loss", counted)
    z, y = torch.randn(5, requires_grad=True), torch.rand(5)
    with torch.no_grad():
        sxt.binary_cross_entropy_with_logits(z, y)
    sxt.binary_cross_entropy_with_logits(z.detach(), y)
    loss = sxt.binary_cross_entropy_with_logits(z, y)
    assert wanted == [False, False, True]
    (first,) = torch.autograd.grad(loss, z, retain_graph=True)
    assert wanted == [False, False, True]
    (second,) = torch.autograd.grad(loss, z)
    assert wanted == [False, False, True, True]
    assert torch.equal(first, second)
    assert first.data_ptr() != second.data_ptr()
