"""Small, plain calls take a way of their own (softxent.torch.autograd.small): the same answers as the others."""

from __future__ import annotations

import sys
import threading

import pytest
from ulps import assert_same_bits

from softxent import DTypeError, LabelError

torch = pytest.importorskip("torch")

import softxent.torch as sxt  # noqa: E402  # after the skip
from softxent.torch.autograd import small  # noqa: E402

FRONT = sys.modules["softxent.torch.cross_entropy"]  # whose name the function has as well
every_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


def problem(rng, shape, dtype, scale=3.0):
    """Return logits that require a gradient and labels, the first of them ignored where there are several."""
    z = torch.tensor(rng.normal(0.0, scale, shape)).to(dtype).requires_grad_()
    rows = shape[:1] + shape[2:] if len(shape) > 1 else ()
    target = torch.tensor(rng.integers(0, shape[min(1, len(shape) - 1)], rows))
    if target.numel() > 1:
        target.view(-1)[0] = -100
    return z, target


@pytest.fixture
def otherwise(monkeypatch):
    """Return a function that computes a loss the other way."""

    def compute(*arguments, **options):
        with monkeypatch.context() as patch:
            patch.setattr(FRONT, "small_loss", lambda *_: None)
            return sxt.cross_entropy(*arguments, **options)

    return compute


@pytest.fixture
def taken(monkeypatch):
    """Return a list that each call of the small way adds to: whether it answered."""
    answers = []

    def spy(*arguments):
        result = small.small_loss(*arguments)
        answers.append(result is not None)
        return result

    monkeypatch.setattr(FRONT, "small_loss", spy)
    return answers


@every_dtype
@pytest.mark.parametrize("shape", [(7,), (1, 1), (32, 10), (5, 3, 2), (2, 300), (2, 4, 3, 3), (16, 2048)], ids=str)
@pytest.mark.parametrize("options", [{}, {"reduction": "sum"}, {"z_loss": 0.01}, {"ignore_index": 0}], ids=str)
def test_same_bits_as_the_other_way(shape, options, dtype, rng, otherwise, taken):
    """Values, gradients and gradients that are computed again are those of the other way, bit for bit."""
    z, target = problem(rng, shape, dtype)
    if "ignore_index" in options:
        target = target.clamp(min=0)
    if (target == options.get("ignore_index", -100)).all():
        target = target * 0
        options = {k: v for k, v in options.items() if k != "ignore_index"}
    loss = sxt.cross_entropy(z, target, **options)
    plain = sxt.cross_entropy(z.detach(), target, **options)
    assert taken == [True, True]
    other = otherwise(z, target, **options)
    assert_same_bits(loss.detach().numpy(), other.detach().numpy())
    assert_same_bits(plain.numpy(), other.detach().numpy())
    assert not plain.requires_grad
    for scale in (1.0, 0.7):
        (grad,) = torch.autograd.grad(scale * loss, z, retain_graph=True)
        (want,) = torch.autograd.grad(scale * other, z, retain_graph=True)
        assert_same_bits(grad.numpy(), want.numpy())


@every_dtype
def test_each_pass_has_its_own_gradient(dtype, rng):
    """A second backward pass computes the gradient again; a pass that is recorded can be differentiated."""
    z, target = problem(rng, (4, 5), dtype)
    loss = sxt.cross_entropy(z, target)
    (first,) = torch.autograd.grad(loss, z, retain_graph=True)
    (second,) = torch.autograd.grad(loss, z, retain_graph=True)
    assert first.data_ptr() != second.data_ptr()
    assert_same_bits(first.numpy(), second.numpy())
    (recorded,) = torch.autograd.grad(loss, z, create_graph=True)
    (curvature,) = torch.autograd.grad(recorded.square().sum(), z)
    p = torch.softmax(z.detach().double(), 1)
    h = torch.diag_embed(p) - p.unsqueeze(1) * p.unsqueeze(2)
    want = 2 * (h @ first.double().unsqueeze(2)).squeeze(2) / 3
    want[0] = 0.0  # ignored
    torch.testing.assert_close(curvature.double(), want, rtol=1e-4 if dtype == torch.float32 else 1e-12, atol=0.0)
    loss.backward()
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()


def test_gradient_of_a_batch_of_cotangents(rng):
    """is_grads_batched: the gradient that is kept is no batch."""
    z, target = problem(rng, (4, 5), torch.float64)
    loss = sxt.cross_entropy(z, target)
    factors = torch.tensor([1.0, 2.0, -3.0], dtype=torch.float64)
    (grads,) = torch.autograd.grad(loss, z, factors, is_grads_batched=True, retain_graph=True)
    (one,) = torch.autograd.grad(loss, z)
    torch.testing.assert_close(grads, factors[:, None, None] * one, rtol=1e-15, atol=0.0)


def test_what_is_wrong_is_said(rng):
    """A wrong label, a wrong option: the same errors, also where an equal option has been seen."""
    z, target = problem(rng, (4, 5), torch.float32)
    bad = target.clone()
    bad[2] = 5
    for logits in (z, z.detach()):
        with pytest.raises(LabelError, match=r"target\[2\] is 5"):
            sxt.cross_entropy(logits, bad)
    assert sxt.cross_entropy(z, torch.full_like(target, -100)).isnan()
    assert not sxt.cross_entropy(z, target).isnan()
    # Equal to options that have been seen, and hashed alike, but none.
    for name, value in (("ignore_index", -100.0), ("z_loss", 0j), ("label_smoothing", 0j), ("temperature", 1 + 0j)):
        with pytest.raises(DTypeError, match=name):
            sxt.cross_entropy(z, target, **{name: value})
    with pytest.raises(DTypeError, match="reduction"):
        sxt.cross_entropy(z, target, reduction=["mean"])


def test_options_that_change_their_value(rng):
    """A tensor of no dimensions is an option too; what it held in an earlier call is forgotten."""
    z, target = problem(rng, (4, 5), torch.float64)
    for name, values in (("temperature", (2.0, 0.5)), ("z_loss", (0.0, 0.1)), ("softcap", (10.0, 2.0))):
        option = torch.tensor(0.0, dtype=torch.float64)
        for value in values:
            option.fill_(value)
            want = sxt.cross_entropy(z, target, **{name: value})
            assert_same_bits(sxt.cross_entropy(z, target, **{name: option}).detach().numpy(), want.detach().numpy())


def test_layouts_that_are_left_to_the_other_way(rng, otherwise, taken):
    """Logits and labels that are not contiguous, or lazily negated."""
    z, target = problem(rng, (5, 4), torch.float32)
    z = z.detach()
    layouts = [z.T.contiguous().T, z[:, ::2].repeat(1, 2)[:, ::2], torch._neg_view(z), z[:1].expand(5, 4)]
    for logits in layouts:
        want = otherwise(logits.clone() if not logits.is_neg() else -z, target.clamp(max=1))
        assert_same_bits(sxt.cross_entropy(logits, target.clamp(max=1)).numpy(), want.numpy())
    strided = target.repeat_interleave(2)[::2]
    assert_same_bits(sxt.cross_entropy(z, strided).numpy(), otherwise(z, target).numpy())
    assert not any(taken)


def test_parameters_and_modes(rng, taken):
    """Parameters, no_grad and inference_mode take the small way; torch.func does not."""
    z, target = problem(rng, (5, 4), torch.float32)
    parameter = torch.nn.Parameter(z.detach().clone())
    sxt.cross_entropy(parameter, target).backward()
    (want,) = torch.autograd.grad(sxt.cross_entropy(z, target), z)
    assert_same_bits(parameter.grad.numpy(), want.numpy())
    with torch.no_grad():
        assert not sxt.cross_entropy(z, target).requires_grad
    with torch.inference_mode():
        assert sxt.cross_entropy(z, target).is_inference()
    assert taken == [True] * 4
    # A derivative of another kind.
    gradient = torch.func.grad(sxt.cross_entropy)(z.detach(), target)
    torch.testing.assert_close(gradient, want, rtol=1e-6, atol=0.0)
    assert taken == [True] * 4 + [False]


def test_threads_do_not_share_what_they_work_in(rng):
    """Four threads at once have each the gradients that one has alone."""
    problems = [problem(rng, (32, 10), torch.float64) for _ in range(4)]
    wants = [torch.autograd.grad(sxt.cross_entropy(*p), p[0])[0] for p in problems]
    wrong = []

    def work(k):
        z, target = problems[k]
        for _ in range(300):
            (grad,) = torch.autograd.grad(sxt.cross_entropy(z, target), z)
            if not torch.equal(grad, wants[k]):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
