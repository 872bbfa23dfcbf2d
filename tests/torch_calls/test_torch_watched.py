"""Modes and classes of tensors that look at operators or functions see them, and change no number."""

from __future__ import annotations

import functools

import pytest
from torch_cases import FORWARD_MODE
from torch_traced import assert_same, compiled, everything, inputs, total

torch = pytest.importorskip("torch")

from torch.overrides import TorchFunctionMode  # noqa: E402  # after the skip
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402
from torch.utils.checkpoint import (  # noqa: E402
    CheckpointPolicy,
    checkpoint,
    create_selective_checkpoint_contexts,
)
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

import softxent.torch as sxt  # noqa: E402

pytestmark = FORWARD_MODE
forward_ad = torch.autograd.forward_ad


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(7)


class Operators(TorchDispatchMode):
    """Writes down the operators that it sees."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.seen.append(str(function))
        return function(*args, **(kwargs or {}))


CALLS = {
    "softmax": ("softmax", lambda z, y, m: sxt.softmax(z, 1)),
    "log_softmax": ("log_softmax", lambda z, y, m: sxt.log_softmax(z, 1)),
    "logsumexp": ("logsumexp", lambda z, y, m: sxt.logsumexp(z, 1)),
    "small": ("cross_entropy", lambda z, y, m: sxt.cross_entropy(z, y)),
    "options": ("cross_entropy", lambda z, y, m: sxt.cross_entropy(z, y, z_loss=0.1, label_smoothing=0.1)),
    "inplace": ("cross_entropy", lambda z, y, m: sxt.cross_entropy(z * 1.0, y, inplace=True)),
    "linear": ("linear_cross_entropy_gradients", lambda z, y, m: sxt.linear_cross_entropy(z, m, y)),
    "linear rows": ("linear_cross_entropy", lambda z, y, m: sxt.linear_cross_entropy(z, m, y, reduction="none")),
}


@pytest.mark.parametrize("call", CALLS)
def test_dispatch_modes(call):
    """A mode sees the operator and not what reads memory; value, gradient and second gradient stay."""
    operator, function = CALLS[call]
    z, y, _, _, m = inputs()
    z.requires_grad_()
    results = []
    with Operators() as mode:
        results.append((value := function(z, y, m), *torch.autograd.grad(total(value), z)))
    assert f"softxent.{operator}.default" in mode.seen
    results.append((value := function(z, y, m), *torch.autograd.grad(total(value), z)))
    assert_same(*results)


def test_flops():
    """The products of the linear form count as those of a layer and its loss."""
    z, y, _, _, m = inputs()
    z.requires_grad_()
    m.requires_grad_()
    counts = []
    for loss in (lambda: sxt.linear_cross_entropy(z, m, y), lambda: sxt.cross_entropy(z @ m.T, y)):
        with FlopCounterMode(display=False) as counter:
            loss().backward()
        counts.append(counter.get_total_flops())
    assert counts[0] == counts[1] > 0


def test_checkpoints():
    """Checkpoints that choose by operator what they save; and checkpoints in a compiled function."""
    z, *others = inputs()
    z.requires_grad_()
    seen = set()

    def policy(context, function, *args, **kwargs):
        seen.add(str(function))
        return CheckpointPolicy.MUST_SAVE if "softxent" in str(function) else CheckpointPolicy.PREFER_RECOMPUTE

    contexts = functools.partial(create_selective_checkpoint_contexts, policy)

    def loss(z):
        return total(everything(z.sin(), *others))

    want = torch.autograd.grad(loss(z), z)
    assert_same(torch.autograd.grad(checkpoint(loss, z, use_reentrant=False, context_fn=contexts), z), want)
    assert "softxent.cross_entropy.default" in seen
    again = compiled(lambda z: checkpoint(loss, z, use_reentrant=False))
    assert_same(torch.autograd.grad(again(z), z), want)


def test_fake_tensors_in_transforms():
    """torch.func's transforms of fake tensors have the shapes of those of tensors."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode() as mode:
        z, *others = (mode.from_tensor(t) for t in inputs())
        assert torch.func.grad(lambda a: total(everything(a, *others)))(z).shape == (4, 3)
        assert torch.func.hessian(lambda a: total(everything(a, *others)))(z).shape == (4, 3, 4, 3)
        assert torch.func.vmap(lambda a: sxt.softmax(a, 0))(z).shape == (4, 3)


class Plain(torch.Tensor):
    """A tensor that is only called otherwise."""


class Logged(torch.Tensor):
    """Writes down the functions that it is given to."""

    seen: list = []  # noqa: RUF012  # one for the class

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        cls.seen.append(function)
        return super().__torch_function__(function, types, args, kwargs or {})


class Weight(torch.nn.Parameter):
    """A parameter of one's own."""


@pytest.mark.parametrize("kind", [Plain, Logged, Weight])
def test_subclasses(kind):
    """Values, second derivatives and tangents of classes that derive from Tensor; results are of the class."""
    tensors = inputs()
    z = Weight(tensors[0].clone()) if kind is Weight else tensors[0].clone().as_subclass(kind)
    found = []
    for first in (z.requires_grad_(), tensors[0].requires_grad_()):
        value = everything(first, *tensors[1:])
        assert all(type(v) is (torch.Tensor if kind is Weight else type(first)) for v in value)
        (gradient,) = torch.autograd.grad(total(value), first, create_graph=True)
        (second,) = torch.autograd.grad(total(gradient), first)
        with forward_ad.dual_level():
            dual = forward_ad.make_dual(first, first.detach().cos())
            tangent = forward_ad.unpack_dual(total(everything(dual, *tensors[1:]))).tangent
        found.append([t.detach().as_subclass(torch.Tensor) for t in (*value, gradient, second, tangent)])
    assert_same(*found)


def test_functions_are_seen():
    """A class with __torch_function__ and a TorchFunctionMode see our functions, as they see PyTorch's."""
    z, y, s, _, m = inputs()
    functions = (
        (sxt.softmax, (1,)), (sxt.log_softmax, (1,)), (sxt.logsumexp, (1,)), (sxt.cross_entropy, (y,)),
        (sxt.linear_cross_entropy, (m, y)), (sxt.binary_cross_entropy_with_logits, (s,)),
    )  # fmt: skip

    class Mode(TorchFunctionMode):
        seen: list = []  # noqa: RUF012  # one for the class

        def __torch_function__(self, function, types, args=(), kwargs=None):
            self.seen.append(function)
            return function(*args, **(kwargs or {}))

    for function, others in functions:
        function(z.as_subclass(Logged), *others)
        assert function in Logged.seen
        with Mode():
            function(z, *others)
        assert function in Mode.seen
