"""The contract's table of bad and odd input, through softxent.torch, loss and gradient alike."""

from __future__ import annotations

import pytest
from torch_cases import FORWARD_MODE

from softxent import DTypeError, LabelError, OptionError, ShapeError

torch = pytest.importorskip("torch")

import softxent.torch as sxt  # noqa: E402  # after the skip

INF, NAN = float("inf"), float("nan")
DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)
# A dense loss, and the same logits from a linear layer with the identity for a weight.
FORMS = ("dense", "linear")
every_form = pytest.mark.parametrize("form", FORMS)


def value_and_grad(form, logits, target, **options):
    """Return the loss and the gradient of its sum with respect to the logits (or to inputs that are the logits)."""
    x = logits.clone().requires_grad_()
    if form == "linear":
        loss = sxt.linear_cross_entropy(x, torch.eye(x.shape[-1], dtype=x.dtype), target, **options)
    else:
        loss = sxt.cross_entropy(x, target, **options)
    (grad,) = torch.autograd.grad(loss.sum(), x)
    return loss.detach(), grad


@every_dtype
def test_impossible_class(dtype):
    """A logit of −inf: p = 0, gradient 0, log p = −inf; the other classes as if it were not there."""
    with_it, without = torch.tensor([[1.0, -INF, 2.5]], dtype=dtype), torch.tensor([[1.0, 2.5]], dtype=dtype)
    assert torch.equal(sxt.softmax(with_it, 1)[:, [0, 2]], sxt.softmax(without, 1))
    assert sxt.softmax(with_it, 1)[0, 1] == 0.0
    assert sxt.log_softmax(with_it, 1)[0, 1] == -INF
    assert torch.equal(sxt.logsumexp(with_it, 1), sxt.logsumexp(without, 1))
    loss, grad = value_and_grad("dense", with_it, torch.tensor([2]))
    want, want_grad = value_and_grad("dense", without, torch.tensor([1]))
    assert torch.equal(loss, want)
    assert torch.equal(grad[:, [0, 2]], want_grad)
    assert grad[0, 1] == 0.0


@every_dtype
def test_label_at_an_impossible_class(dtype):
    """The label's logit is −inf: loss +inf, gradient p − y, finite."""
    loss, grad = value_and_grad("dense", torch.tensor([[0.0, -INF]], dtype=dtype), torch.tensor([1]))
    assert loss == INF
    assert grad.tolist() == [[1.0, -1.0]]


@every_dtype
@pytest.mark.parametrize("learned", [False, True], ids=["given", "learned"])
def test_zero_probability_at_an_impossible_class(dtype, learned):
    """0 · log 0 = 0, also where the labels require a gradient."""
    z = torch.tensor([[0.0, -INF, 0.0]], dtype=dtype, requires_grad=True)
    y = torch.tensor([[0.5, 0.0, 0.5]], dtype=dtype, requires_grad=learned)
    loss = sxt.cross_entropy(z, y)
    assert abs(float(loss.detach()) - 0.6931471805599453) < 1e-6
    (grad,) = torch.autograd.grad(loss, z)
    assert grad.tolist() == [[0.0, 0.0, 0.0]]


@every_dtype
@pytest.mark.parametrize("bad", [(-INF, -INF, -INF), (0.0, INF, 1.0), (NAN, 0.0, 1.0)], ids=str)
def test_undefined_rows(bad, dtype):
    """All −inf, a +inf, a NaN: that row is NaN, no other changes; logsumexp is −inf, +inf, NaN."""
    good = [1.0, 2.0, -1.0]
    z = torch.tensor([good, bad, good], dtype=dtype)
    want_loss, want_grad = value_and_grad("dense", z[:1], torch.tensor([0]), reduction="none")
    loss, grad = value_and_grad("dense", z, torch.tensor([0, 0, 0]), reduction="none")
    for got, want in ((loss, want_loss), (grad, want_grad), (sxt.softmax(z, 1), sxt.softmax(z[:1], 1))):
        assert torch.equal(got[0], want[0])
        assert torch.equal(got[2], want[0])
        assert got[1].isnan().all()
    lse = sxt.logsumexp(z, 1)[1]
    assert lse.isnan() if any(v != v for v in bad) else lse == (INF if INF in bad else -INF)


@every_form
def test_no_rows(form):
    """No rows: empty losses, sum 0, mean NaN; a gradient without elements."""
    z = torch.zeros(0, 3)
    target = torch.zeros(0, dtype=torch.int64)
    loss, grad = value_and_grad(form, z, target, reduction="none")
    assert loss.shape == (0,)
    assert grad.shape == (0, 3)
    assert value_and_grad(form, z, target, reduction="sum")[0] == 0.0
    assert value_and_grad(form, z, target)[0].isnan()
    assert sxt.softmax(z, 1).shape == (0, 3)


@every_form
def test_every_row_ignored(form):
    """Every row to be ignored: the mean is NaN (0/0, as PyTorch), the gradient exactly 0."""
    loss, grad = value_and_grad(form, torch.randn(2, 3), torch.tensor([-100, -100]))
    assert loss.isnan()
    assert grad.tolist() == [[0.0] * 3] * 2


@FORWARD_MODE
@pytest.mark.parametrize("rows", [0, 2])
@pytest.mark.parametrize("form", [*FORMS, "binary"])
def test_the_mean_of_nothing_in_every_mode(form, rows):
    """A mean without rows is NaN and so is its tangent, while every gradient is exactly 0."""
    z, t, target = torch.randn(rows, 3), torch.ones(rows, 3), torch.full((rows,), -100)
    calls = {
        "dense": lambda x: sxt.cross_entropy(x, target),
        "linear": lambda x: sxt.linear_cross_entropy(x, torch.eye(3), target),
        "binary": lambda x: sxt.binary_cross_entropy_with_logits(x[:0], x.detach()[:0]),
    }
    call = calls[form]
    assert torch.func.jvp(call, (z,), (t,))[1].isnan()
    with torch.autograd.forward_ad.dual_level():
        dual = call(torch.autograd.forward_ad.make_dual(z, t))
        assert torch.autograd.forward_ad.unpack_dual(dual).tangent.isnan()
    x = z.clone().requires_grad_()
    gradients = [torch.autograd.grad(call(x), x, create_graph=create)[0] for create in (False, True)]
    batch = torch.autograd.grad(call(x), x, torch.ones(2), is_grads_batched=True)[0]
    for gradient in (*gradients, *batch, torch.func.grad(call)(z)):
        assert torch.equal(gradient, torch.zeros_like(z))


@every_form
def test_ignored_rows_count_nothing(form):
    """An ignored row is nothing, whatever its logits: NaN there changes nothing elsewhere."""
    z = torch.randn(3, 4)
    z[1] = NAN
    loss, grad = value_and_grad(form, z, torch.tensor([0, -100, 3]))
    want, want_grad = value_and_grad(form, z[[0, 2]], torch.tensor([0, 3]))
    assert torch.equal(loss, want)
    assert torch.equal(grad[[0, 2]], want_grad)
    assert grad[1].tolist() == [0.0] * 4


def test_ignored_nan_keeps_out_of_the_weight_gradient():
    """A NaN in an ignored input does not come into ∂W, however it is computed."""
    x = torch.randn(3, 4, dtype=torch.float64)
    x[1] = NAN
    w = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    target = torch.tensor([0, -100, 3])
    (plain,) = torch.autograd.grad(sxt.linear_cross_entropy(x, w, target), w)
    (again,) = torch.autograd.grad(sxt.linear_cross_entropy(x, w, target), w, create_graph=True)
    assert plain.isfinite().all()
    torch.testing.assert_close(plain, again.detach())


@every_form
@pytest.mark.parametrize("label", [3, -1, -101, 2**40])
def test_bad_labels(form, label):
    """A label that is no class: an error that names argument, row, value and range."""
    with pytest.raises(LabelError, match=rf"target\[1\] is {label}, .*\[0, 3\)"):
        value_and_grad(form, torch.zeros(2, 3), torch.tensor([0, label]))


@pytest.mark.parametrize(
    ("error", "match", "call"),
    [
        (DTypeError, "input must be a torch.Tensor", lambda: sxt.cross_entropy([[0.0]], torch.tensor([0]))),
        (DTypeError, "target must be a torch.Tensor", lambda: sxt.cross_entropy(torch.zeros(1, 2), [0])),
        (DTypeError, "input must be float", lambda: sxt.cross_entropy(torch.zeros(1, 2).int(), torch.tensor([0]))),
        (DTypeError, "target must be integers", lambda: sxt.cross_entropy(torch.zeros(1, 2), torch.zeros(1))),
        (DTypeError, "target of the shape", lambda: sxt.cross_entropy(torch.zeros(1, 2), torch.zeros(1, 2).int())),
        (ShapeError, "target must have shape", lambda: sxt.cross_entropy(torch.zeros(1, 2), torch.zeros(3).int())),
        (ShapeError, "scalar", lambda: sxt.cross_entropy(torch.tensor(1.0), torch.tensor(0))),
        (ShapeError, "at least one class", lambda: sxt.cross_entropy(torch.zeros(2, 0), torch.zeros(2).int())),
        (ShapeError, "at least one class", lambda: sxt.softmax(torch.zeros(2, 0), 1)),
        (ShapeError, "at least one class", lambda: sxt.logsumexp(torch.zeros(2, 0), 1)),
        (IndexError, "dim must be in", lambda: sxt.softmax(torch.zeros(2, 3), 2)),
        (ShapeError, "weight must have shape", lambda: sxt.cross_entropy(
            torch.zeros(1, 2), torch.tensor([0]), torch.ones(3))),
        (OptionError, "label_smoothing", lambda: sxt.cross_entropy(
            torch.zeros(1, 2), torch.tensor([0]), label_smoothing=1.5)),
        (OptionError, "temperature", lambda: sxt.cross_entropy(
            torch.zeros(1, 2), torch.tensor([0]), temperature=0.0)),
        (OptionError, "reduction", lambda: sxt.cross_entropy(
            torch.zeros(1, 2), torch.tensor([0]), reduction="average")),
        (OptionError, "ignore_index", lambda: sxt.cross_entropy(
            torch.zeros(1, 2), torch.ones(1, 2), ignore_index=0)),
        (OptionError, "reduction", lambda: sxt.binary_cross_entropy_with_logits(
            torch.zeros(2), torch.zeros(2), reduction="average")),
        (ShapeError, "target must have", lambda: sxt.binary_cross_entropy_with_logits(
            torch.zeros(2), torch.zeros(3))),
        (ShapeError, "pos_weight must broadcast", lambda: sxt.binary_cross_entropy_with_logits(
            torch.zeros(2), torch.zeros(2), pos_weight=torch.ones(3))),
        (ShapeError, "input must have shape", lambda: sxt.linear_cross_entropy(
            torch.zeros(2, 3), torch.zeros(4, 5), torch.zeros(2).int())),
        (ShapeError, "linear_weight must have shape", lambda: sxt.linear_cross_entropy(
            torch.zeros(2, 3), torch.zeros(3), torch.zeros(2).int())),
        (ShapeError, "linear_bias must have shape", lambda: sxt.linear_cross_entropy(
            torch.zeros(2, 3), torch.zeros(4, 3), torch.zeros(2).int(), linear_bias=torch.zeros(5))),
        (ShapeError, "target must have shape", lambda: sxt.linear_cross_entropy(
            torch.zeros(2, 3), torch.zeros(4, 3), torch.zeros(3).int())),
    ],
)  # fmt: skip
def test_refusals(error, match, call):
    """Errors name the argument, what was expected and what came."""
    with pytest.raises(error, match=match):
        call()


def test_single_rows_and_single_classes():
    """(C,) logits with a label without dimensions; one class: loss 0, gradient 0."""
    z = torch.tensor([4.0, -4.0, 3.0], dtype=torch.float64)
    loss, grad = value_and_grad("dense", z, torch.tensor(2))
    assert float(loss) == 1.313506900283053
    assert grad.shape == (3,)
    linear, linear_grad = value_and_grad("linear", z, torch.tensor(2), reduction="none")
    assert torch.equal(linear, loss)
    assert torch.equal(linear_grad, grad)
    loss, grad = value_and_grad("dense", torch.tensor([[7.0]]), torch.tensor([0]))
    assert (loss.item(), grad.tolist()) == (0.0, [[0.0]])
    assert sxt.softmax(torch.tensor(3.0), 0).shape == ()


@pytest.mark.parametrize("dtype", [torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8], ids=str)
def test_label_dtypes(dtype):
    """Labels of any integer dtype."""
    z = torch.randn(3, 4)
    assert torch.equal(
        sxt.cross_entropy(z, torch.tensor([0, 3, 1], dtype=dtype)), sxt.cross_entropy(z, torch.tensor([0, 3, 1]))
    )


def test_half_precision_loss_is_float32():
    """float16 and bfloat16 are computed in float32; the loss is float32, the gradient of the logits' dtype."""
    for dtype in (torch.float16, torch.bfloat16):
        loss, grad = value_and_grad("dense", torch.randn(4, 3).to(dtype), torch.tensor([0, 1, 2, 0]))
        assert loss.dtype == torch.float32
        assert grad.dtype == dtype


def test_legacy_arguments():
    """size_average and reduce mean what they meant, with PyTorch's warning."""
    z, target = torch.randn(3, 4), torch.tensor([0, 1, 2])
    with pytest.warns(UserWarning, match="size_average and reduce"):
        assert torch.equal(
            sxt.cross_entropy(z, target, size_average=False), sxt.cross_entropy(z, target, reduction="sum")
        )
    with pytest.warns(UserWarning, match="guesses its dimension"):
        assert torch.equal(sxt.softmax(z), sxt.softmax(z, 1))
