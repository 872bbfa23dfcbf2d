"""The contract's odd rows get one answer, whether kernels, expressions or PyTorch's operations compute it."""

from __future__ import annotations

import sys

import pytest
from torch_cases import FORWARD_MODE, REDUCTIONS

torch = pytest.importorskip("torch")

import softxent.torch as sxt  # noqa: E402  # after the skip
from softxent.torch.autograd import loss, softmax  # noqa: E402
from softxent.torch.backends import operations  # noqa: E402

pytestmark = FORWARD_MODE
INF, NAN = float("inf"), float("nan")
LOGITS = (
    (1.0, -2.0, 0.5), (1.0, -INF, 0.5), (-INF, 3.0, -INF), (40.0, 0.0, -1e4), (-INF, -INF, -INF), (INF, 0.0, 1.0),
    (-INF, INF, 0.0), (NAN, 0.0, 1.0), (1e30, 0.0, -1e30),
)  # fmt: skip
PROBABILITIES = ((0.2, 0.3, 0.5), (0.0, 0.5, 0.0), (0.7, 0.0, 0.3), (0.0, 0.0, 0.0))
WEIGHTS = {"none": None, "positive": (0.5, 2.0, 1.25), "zero": (0.0, 2.0, 0.0), "cancel": (1.0, -1.0, 1.0)}
OPTIONS = {
    "plain": {}, "smoothing": {"label_smoothing": 0.1}, "z-loss": {"z_loss": 0.1}, "softcap": {"softcap": 3.0},
    "hot": {"temperature": INF}, "cold": {"temperature": 0.5},
    "all": {"label_smoothing": 0.1, "z_loss": 0.1, "softcap": 3.0, "temperature": 0.5},
}  # fmt: skip


def backward(call, z, create=False):
    """Return a loss and its gradient, with a cotangent that is not 1."""
    x = z.clone().requires_grad_()
    loss = call(x)
    return loss, torch.autograd.grad(loss, x, torch.full_like(loss, 0.75), create_graph=create)[0]


def functional(call, z):
    """Return the same by torch.func."""
    pulled = torch.func.vjp(call, z)
    return pulled[0], pulled[1](torch.full_like(pulled[0], 0.75))[0]


def elsewhere(call, z):
    """Return the same by PyTorch's operations, as on a device without kernels."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (loss, softmax):
            patch.setattr(module, "backend", lambda *tensors: operations)
        patch.setattr(sys.modules["softxent.torch.cross_entropy"], "small_loss", lambda *arguments: None)
        return backward(call, z)


def cases(dtype):
    """Return logits of every row with every label, and the labels, of both kinds."""
    rows, indices = torch.tensor(LOGITS, dtype=dtype), torch.tensor([0, 1, 2, -100])
    soft = torch.tensor(PROBABILITIES, dtype=dtype)
    z = rows.repeat_interleave(4, 0)
    return (z, indices.repeat(len(rows))), (z, soft.repeat(len(rows), 1))


def loss_with(y, weight, given):
    """Return the loss as a function of the logits."""
    return lambda z: sxt.cross_entropy(z, y, weight, **given)


def assert_same(got, want, what):
    """Compare a loss and its gradient: NaN and infinity where they are, and the same numbers elsewhere."""
    for g, w in zip(got, want, strict=True):
        tolerance = 1e-12 if w.dtype == torch.float64 else 1e-4
        torch.testing.assert_close(
            g.detach(), w.detach(), rtol=tolerance, atol=tolerance, equal_nan=True, msg=lambda m: f"{what}: {m}"
        )


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("options", OPTIONS)
def test_odd_rows(options, weights, reduction, dtype):
    """Rows alone and all of them together, with every label: the plain call's loss and gradient in every way."""
    given = {**OPTIONS[options], "reduction": reduction}
    weight = None if WEIGHTS[weights] is None else torch.tensor(WEIGHTS[weights], dtype=torch.float64)
    learned = (torch.ones(3, dtype=torch.float64) if weight is None else weight).clone().requires_grad_()
    for z, target in cases(dtype):
        for rows in [slice(None), *([slice(i, i + 1) for i in range(0, len(z), 5)] if reduction == "mean" else [])]:
            x, y = z[rows], target[rows]
            call = loss_with(y, weight, given)
            ways = {
                "create_graph": backward(call, x, True),
                "torch.func": functional(call, x),
                "learned weights": backward(loss_with(y, learned, given), x),
                "elsewhere": elsewhere(call, x),
            }
            if y.is_floating_point():
                ways["learned labels"] = backward(loss_with(y.clone().requires_grad_(), weight, given), x)
            want = backward(call, x)
            for way, got in ways.items():
                assert_same(got, want, f"{way} of {x.tolist()} with {y.tolist()}")


@pytest.mark.parametrize("options", [{}, {"z_loss": 0.5}, {"label_smoothing": 0.5}], ids=str)
@pytest.mark.parametrize("weights", [(0.0, 1.0, 1.0), (1.0, -1.0, 0.0)], ids=str)
def test_a_mean_whose_weights_sum_to_zero(weights, options):
    """It is NaN and so is its gradient, whatever is added up; rows to be ignored get 0."""
    target = torch.tensor([0, -100, 0] if weights[0] == 0.0 else [0, -100, 1])
    for form in (sxt.cross_entropy, lambda z, y, **given: sxt.linear_cross_entropy(z, torch.eye(3), y, **given)):
        for way in (backward, functional):
            loss, grad = way(lambda z, f=form: f(z, target, weight=torch.tensor(weights), **options), torch.randn(3, 3))
            assert loss.isnan()
            assert grad.isnan().tolist() == [[True] * 3, [False] * 3, [True] * 3]
            assert torch.equal(grad[1], torch.zeros(3))
