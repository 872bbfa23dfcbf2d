"""softxent.torch on a CPU gives the bits of the NumPy front end, which the oracle judges."""

from __future__ import annotations

import weakref

import numpy as np
import pytest
from torch_cases import COMBINATIONS, tensors
from ulps import assert_same_bits

import softxent

torch = pytest.importorskip("torch")
ml_dtypes = pytest.importorskip("ml_dtypes")

import softxent.torch as sxt  # noqa: E402  # after the skip
from softxent.torch.backends.tensors import as_array, as_tensor  # noqa: E402

DTYPES = {
    "float32": torch.float32, "float64": torch.float64, "float16": torch.float16, "bfloat16": torch.bfloat16,
}  # fmt: skip
every_dtype = pytest.mark.parametrize("dtype", DTYPES)


def logits_of(rng, dtype, shape=(5, 3, 2), spread=6.0):
    """Return random logits as a tensor, a confident and an impossible class among them."""
    z = rng.normal(0.0, spread, shape)
    z[0, 0] += 40.0
    z[1, -1] = -np.inf
    return torch.tensor(z).to(DTYPES[dtype])


@every_dtype
@pytest.mark.parametrize("labels", ["indices", "probabilities"])
def test_every_combination_of_modifiers(labels, dtype, rng):
    """Loss and gradient of cross_entropy under all 96 combinations of modifiers and reductions."""
    z = logits_of(rng, dtype)
    if labels == "indices":
        target = torch.tensor(rng.integers(0, 3, (5, 2)))
        target[2, 0] = -100
    else:
        target = torch.tensor(rng.dirichlet(np.ones(3), (5, 2))).movedim(-1, 1).to(z.dtype)
    for given in COMBINATIONS:
        x = z.clone().requires_grad_()
        loss = sxt.cross_entropy(x, target, **tensors(given))
        loss.sum().backward()
        want, want_grad = softxent.cross_entropy_value_and_grad(as_array(z), as_array(target), axis=1, **given)
        assert_same_bits(as_array(loss), np.asarray(want), f"loss of {given}")
        assert_same_bits(as_array(x.grad), want_grad, f"gradient of {given}")


@every_dtype
@pytest.mark.parametrize("labels", ["indices", "probabilities"])
def test_every_combination_in_the_linear_form(labels, dtype, rng):
    """Loss and gradients of linear_cross_entropy under all combinations."""
    x, w, b = (torch.tensor(rng.normal(0.0, 1.0, s)).to(DTYPES[dtype]) for s in ((5, 4), (3, 4), (3,)))
    if labels == "indices":
        target = torch.tensor([0, 2, -100, 1, 1])
    else:
        target = torch.tensor(rng.dirichlet(np.ones(3), 5)).to(x.dtype)
    arrays = [as_array(t) for t in (x, w, target)]
    for given in COMBINATIONS:
        leaves = [t.clone().requires_grad_() for t in (x, w, b)]
        loss = sxt.linear_cross_entropy(leaves[0], leaves[1], target, linear_bias=leaves[2], **tensors(given))
        loss.sum().backward()
        named = {("class_weight" if k == "weight" else k): v for k, v in given.items()}
        want, grads = softxent.linear_cross_entropy_value_and_grad(*arrays, bias=as_array(b), **named)
        assert_same_bits(as_array(loss), np.asarray(want), f"loss of {given}")
        for leaf, grad in zip(leaves, grads, strict=True):
            assert_same_bits(as_array(leaf.grad), grad, f"gradients of {given}")


@every_dtype
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_softmax(name, dtype, rng):
    """softmax, log_softmax and logsumexp along each dimension."""
    z = logits_of(rng, dtype)
    for dim in range(3):
        got = getattr(sxt, name)(z, dim)
        assert_same_bits(as_array(got), getattr(softxent, name)(as_array(z), axis=dim), f"{name} along {dim}")


@every_dtype
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_binary(reduction, dtype, rng):
    """binary_cross_entropy_with_logits with weights; its gradient within a rounding of the weight."""
    x = torch.tensor(rng.normal(0.0, 20.0, (4, 3))).to(DTYPES[dtype]).requires_grad_()
    y = torch.tensor(rng.integers(0, 2, (4, 3))).to(x.dtype)
    q = torch.tensor([0.5, 2.0, 4.0], dtype=x.dtype)
    loss = sxt.binary_cross_entropy_with_logits(x, y, reduction=reduction, pos_weight=q)
    loss.sum().backward()
    want, want_grad = softxent.binary_cross_entropy_value_and_grad(
        as_array(x), as_array(y), pos_weight=as_array(q), reduction=reduction
    )
    assert_same_bits(as_array(loss), np.asarray(want), "loss")
    eps = torch.finfo(x.dtype).eps
    np.testing.assert_allclose(as_array(x.grad).astype(float), want_grad.astype(float), rtol=eps, atol=0)


def layouts(z):
    """Return z in every layout that PyTorch has: the same numbers."""
    yield "contiguous", z
    yield "channels last", z.to(memory_format=torch.channels_last)
    yield "transposed", z.transpose(0, 3).contiguous().transpose(0, 3)
    yield "every other", torch.stack([z, z], -1).flatten(-2)[..., ::2]
    yield "at an offset", torch.cat([z.new_zeros(1), z.flatten()])[1:].view(z.shape)


@every_dtype
def test_layouts(dtype, rng):
    """Any strides: the results of a contiguous copy, and gradients in the layout of what they belong to."""
    z = logits_of(rng, dtype, (2, 3, 4, 5))
    target = torch.tensor(rng.integers(0, 3, (2, 4, 5)))
    want, want_grad = softxent.cross_entropy_value_and_grad(as_array(z), as_array(target), axis=1, reduction="sum")
    p = softxent.softmax(as_array(z), axis=1)
    for name, tensor in layouts(z):
        before = tensor.clone()
        x = tensor.detach().requires_grad_()
        loss = sxt.cross_entropy(x, target.transpose(1, 2).contiguous().transpose(1, 2), reduction="sum")
        loss.backward()
        assert_same_bits(as_array(loss), np.asarray(want), name)
        assert_same_bits(as_array(x.grad), want_grad, name)
        assert_same_bits(as_array(sxt.softmax(tensor, 1)), p, name)
        assert torch.equal(tensor, before)
    last = z.to(memory_format=torch.channels_last).requires_grad_()
    (grad,) = torch.autograd.grad(sxt.cross_entropy(last, target), last)
    assert grad.is_contiguous(memory_format=torch.channels_last)
    assert sxt.softmax(last, 1).is_contiguous(memory_format=torch.channels_last)


@every_dtype
def test_expanded(dtype):
    """A tensor that is one row many times gives that row's result many times, and the sum of its gradients."""
    row = torch.tensor([1.0, -2.0, 0.5]).to(DTYPES[dtype]).requires_grad_()
    loss = sxt.cross_entropy(row.expand(4, 3), torch.tensor([0, 1, 2, 0]), reduction="none")
    single = [sxt.cross_entropy(row, torch.tensor(k)) for k in (0, 1, 2, 0)]
    assert torch.equal(loss, torch.stack(single))
    loss.sum().backward()
    assert row.grad.shape == (3,)


@every_dtype
def test_memory_is_shared(dtype):
    """Tensors and arrays are views of the same memory."""
    tensor = torch.arange(6.0).reshape(2, 3).to(DTYPES[dtype])
    array = as_array(tensor.T)
    assert array.shape == (3, 2)
    assert array.__array_interface__["data"][0] == tensor.data_ptr()
    back = as_tensor(array)
    assert back.dtype == tensor.dtype
    assert back.data_ptr() == tensor.data_ptr()
    assert torch.equal(back, tensor.T)
    assert as_array(torch.tensor(1.5, dtype=DTYPES[dtype])).shape == ()


def test_memory_lives_as_long_as_an_array_of_it():
    """An array keeps its tensor alive, a copy that was made on the way too; of no elements it needs no memory."""
    kept, weak = [], []
    for tensor in (torch.full((40, 30), 7.0), torch.full((40, 30), 7.0).T, torch._neg_view(torch.full((40, 30), -7.0))):
        kept.append(as_array(tensor)[1:])
        weak.append(weakref.ref(tensor))
    del tensor
    for _ in range(20):
        torch.full((40, 30), 3.0)
    assert [bool((array == 7.0).all()) for array in kept] == [True] * 3
    kept.clear()
    assert [w() for w in weak] == [None] * 3
    for shape in ((0, 3), (3, 0), (0,)):
        assert as_array(torch.empty(shape)).shape == shape


def test_what_has_no_array():
    """A tensor that has no memory, or numbers that NumPy has not, are refused and not read."""
    with pytest.raises(softxent.DTypeError, match="float8_e5m2 cannot be read here"):
        as_array(torch.zeros(3).to(torch.float8_e5m2))
    hollow = torch.Tensor._make_wrapper_subclass(Hollow, (2, 3), dtype=torch.float32)
    with pytest.raises(softxent.DTypeError, match="Hollow"):
        as_array(hollow)
    with pytest.raises(TypeError, match="Hollow"):  # PyTorch's own: such a class is asked what the operator does
        sxt.cross_entropy(torch.zeros(2, 3), hollow)


class Hollow(torch.Tensor):
    """A tensor whose numbers are elsewhere, as a DTensor's are."""

    @classmethod
    def __torch_dispatch__(cls, function, types, arguments=(), options=None):
        """Refuse every operation."""
        return NotImplemented


@every_dtype
def test_callers_memory_stays_theirs(dtype):
    """No argument's memory is marked as of a fixed size: its owner may resize it, as PyTorch's sharded layers do."""
    z, w, b = (torch.rand(shape).to(DTYPES[dtype]) for shape in ((6, 5), (5, 5), (5,)))
    soft, y, none = torch.rand(6, 5).to(z.dtype), torch.randint(0, 5, (6,)), torch.empty(0, 5, dtype=z.dtype)
    calls = (
        lambda x: sxt.cross_entropy(x, y),
        lambda x: sxt.cross_entropy(x, y.int(), b.float(), z_loss=0.1, reduction="none"),
        lambda x: sxt.cross_entropy(x, soft, label_smoothing=0.1),
        lambda x: sxt.cross_entropy(x.T.contiguous().T, y, weight=b),
        lambda x: sxt.linear_cross_entropy(x, w, y, linear_bias=b),
        lambda x: sxt.binary_cross_entropy_with_logits(x, soft, b, pos_weight=b),
        lambda x: sxt.softmax(x, 1),
        lambda x: sxt.log_softmax(x, 0),
        lambda x: sxt.logsumexp(x, 1),
        lambda x: sxt.softmax(torch.cat([none, x]), 1),
    )
    for i, call in enumerate(calls):
        x = z.clone().requires_grad_()
        value = call(x)
        cotangent = torch.rand_like(value)
        for create in (False, True):
            torch.autograd.grad(value, x, cotangent, retain_graph=True, create_graph=create)
        for tensor in (x, y, w, b, soft, none, cotangent):
            assert tensor.untyped_storage().resizable(), f"call {i}"
            tensor.detach().resize_(1000)


def test_negated_views():
    """PyTorch's lazily negated tensors are what they stand for."""
    z = torch.tensor([[1.0 + 2.0j, 3.0 - 1.0j, 0.5 + 0.25j]]).conj().imag
    assert z.is_neg()
    assert torch.equal(sxt.softmax(z, 1), sxt.softmax(z.clone(), 1))
