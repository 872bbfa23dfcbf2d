"""What may be given as labels and as numbers: each kind means the same in every mode, or is refused in every mode."""

from __future__ import annotations

import contextlib
import sys

import pytest
from torch_cases import FORWARD_MODE

torch = pytest.importorskip("torch")

import softxent.torch as sxt  # noqa: E402  # after the skip
from softxent import DTypeError, LabelError, OptionError, ShapeError  # noqa: E402
from softxent.torch.autograd import linear, loss, softmax  # noqa: E402  # after the skip
from softxent.torch.backends import operations  # noqa: E402

pytestmark = FORWARD_MODE
ROWS, CLASSES = 4, 200
Z = torch.linspace(-3.0, 3.0, ROWS * CLASSES, dtype=torch.float64).sin().reshape(ROWS, CLASSES)
X, TABLE = Z[:, :3].contiguous(), Z.T[:, :3].contiguous()
WEIGHT = torch.linspace(0.5, 2.0, CLASSES, dtype=torch.float64)
func = torch.func


def grad(call, x):
    """Return the gradient of a scalar."""
    x = x.clone().requires_grad_()
    return torch.autograd.grad(call(x), x)[0]


def second(call, x):
    """Return the second derivative in one direction."""
    x = x.clone().requires_grad_()
    (first,) = torch.autograd.grad(call(x), x, create_graph=True)
    return torch.autograd.grad(first, x, torch.ones_like(x))[0]


def small_hessian(call, x):
    """Return a Hessian of a few elements."""
    return func.hessian(lambda head: call(torch.cat([head, x[:, 2:]], 1)))(x[:, :2])


def compiled(call, x):
    """Return what a compiled function returns."""
    torch._dynamo.reset()
    return torch.compile(call, fullgraph=True, backend="eager")(x)


@contextlib.contextmanager
def other_device():
    """Let PyTorch's operations compute, as for a device without kernels."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (linear, loss, softmax):
            patch.setattr(module, "backend", lambda *tensors: operations)
        patch.setattr(sys.modules["softxent.torch.cross_entropy"], "small_loss", lambda *arguments: None)
        yield


def elsewhere(way):
    """Return a way with PyTorch's operations in the kernels' place."""

    def run(call, x):
        with other_device():
            return way(call, x)

    return run


WAYS = {
    "value": lambda call, x: call(x),
    "gradient": grad,
    "second derivative": second,
    "func.grad": lambda call, x: func.grad(call)(x),
    "func.jvp": lambda call, x: func.jvp(call, (x,), (torch.ones_like(x),))[1],
    "func.vmap": lambda call, x: func.vmap(call)(torch.stack([x, x + 1.0])),
    "per sample": lambda call, x: func.vmap(func.grad(call))(torch.stack([x, x + 1.0])),
    "func.hessian": small_hessian,
    "compiled": compiled,
    "elsewhere": elsewhere(lambda call, x: call(x)),
    "gradient elsewhere": elsewhere(grad),
}
# Each a function of a tensor of its own and of the labels.
CALLS = {
    "mean": (Z, lambda z, y: sxt.cross_entropy(z, y)),
    "weighted mean": (Z, lambda z, y: sxt.cross_entropy(z, y, WEIGHT, label_smoothing=0.1, z_loss=0.1)),
    "sum of rows": (Z, lambda z, y: sxt.cross_entropy(z, y, WEIGHT, reduction="none").sum()),
    "learned weights": (WEIGHT[None], lambda w, y: sxt.cross_entropy(Z, y, w[0])),
    "linear": (X, lambda x, y: sxt.linear_cross_entropy(x, TABLE, y, weight=WEIGHT)),
    "linear, learned weights": (WEIGHT[None], lambda w, y: sxt.linear_cross_entropy(X, TABLE, y, weight=w[0])),
    "positions": (X, lambda x, y: sxt.linear_cross_entropy(x, TABLE[:, None], y[:, None], weight=WEIGHT)),
}
# 156 and −100 are one byte.
LABELS = {
    torch.uint8: [0, 156, 3, 199], torch.int8: [0, 100, -100, 7], torch.int16: [0, 156, -100, 199],
    torch.int32: [0, 156, -100, 199], torch.uint16: [0, 156, 3, 199], torch.uint32: [0, 156, 3, 199],
    torch.uint64: [0, 156, 3, 199],
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", CALLS)
def test_integers_of_any_size(name, way):
    """Labels of every integer dtype give what int64 gives, in every mode."""
    point, call = CALLS[name]
    few = [torch.uint8] if way == "compiled" else LABELS  # what takes the longest
    for dtype in few:
        y, wide = torch.tensor(LABELS[dtype], dtype=dtype), torch.tensor(LABELS[dtype])
        got, want = (WAYS[way](lambda x, y=y: call(x, y), point) for y in (y, wide))
        assert torch.equal(got, want), dtype


def test_integers_on_the_meta_device():
    """Labels of every integer dtype on a device that computes nothing."""
    z = torch.empty(ROWS, CLASSES, device="meta", requires_grad=True)
    for dtype, labels in LABELS.items():
        y = torch.tensor(labels, dtype=dtype).to("meta")
        assert torch.autograd.grad(sxt.cross_entropy(z, y), z)[0].shape == z.shape
        table = torch.empty(5, CLASSES, device="meta")
        assert torch.autograd.grad(sxt.linear_cross_entropy(z, table, y), z)[0].shape == z.shape


@pytest.mark.parametrize("dtype", [torch.bool, torch.complex64], ids=str)
@pytest.mark.parametrize("way", [way for way in WAYS if way != "compiled"])
def test_labels_that_are_no_labels(way, dtype):
    """Truth values and complex numbers are no labels, in any mode."""
    for point, call in CALLS.values():
        with pytest.raises(DTypeError, match=rf"target must be integers .* got {dtype}"):
            WAYS[way](lambda x, call=call: call(x, torch.zeros(ROWS, dtype=dtype)), point)


@pytest.mark.parametrize("way", [way for way in WAYS if "elsewhere" not in way])
def test_labels_that_are_no_class(way):
    """A label beyond the classes is named with its row (and its place in a batch), in every mode."""
    y = torch.tensor([0, 3, 200, -100])
    for name, (point, call) in CALLS.items():
        row = "(0, )?2, 0" if name == "positions" and way != "compiled" else "(0, )?2"
        with pytest.raises(LabelError, match=rf"target\[{row}\] is 200, .* \[0, 200\), or -100"):
            WAYS[way](lambda x, call=call: call(x, y), point)


def test_labels_that_are_no_class_in_a_compiled_expression():
    """With class weights that are learned too, what is compiled refuses such a row."""
    with pytest.raises(LabelError, match=r"target\[2\] is 200"):
        compiled(
            lambda w: sxt.cross_entropy(Z, torch.tensor([0, 3, 200, -100]), w, reduction="none"),
            WEIGHT.clone().requires_grad_(),
        )


def test_ignore_index_beyond_int64():
    """An ignore_index that no label can have ignores none."""
    y = torch.tensor([0, 3, 5, -100 % CLASSES])
    for point, call in (
        (Z, lambda z, k: sxt.cross_entropy(z, y, WEIGHT, ignore_index=k)),
        (X, lambda x, k: sxt.linear_cross_entropy(x, TABLE, y, ignore_index=k)),
    ):
        for way in WAYS.values():
            want = way(lambda x, call=call: call(x, -1), point)
            for k in (2**70, -(2**64), torch.tensor(-7)) if way is not compiled else (2**70,):
                assert torch.equal(way(lambda x, k=k, call=call: call(x, k), point), want)


NUMBERS = ("label_smoothing", "z_loss", "softcap", "temperature")
LOSSES = {
    "cross_entropy": lambda **given: sxt.cross_entropy(Z, torch.tensor([0, 3, 5, 1]), **given),
    "rows": lambda **given: sxt.cross_entropy(Z, torch.tensor([0, 3, 5, 1]), WEIGHT, reduction="none", **given).sum(),
    "linear_cross_entropy": lambda **given: sxt.linear_cross_entropy(X, TABLE, torch.tensor([0, 3, 5, 1]), **given),
    "CrossEntropyLoss": lambda **given: sxt.CrossEntropyLoss(**given)(Z, torch.tensor([0, 3, 5, 1])),
    "LinearCrossEntropyLoss": lambda **given: sxt.LinearCrossEntropyLoss.of_head(HEAD, **given)(
        X, torch.tensor([0, 3, 5, 1])
    ),
}
HEAD = torch.nn.Linear(3, CLASSES, dtype=torch.float64)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad=True to a scalar:UserWarning")
def test_numbers_get_no_gradient(name, loss):
    """A modifier that wants a gradient is refused in every mode, and a tensor that wants none is its number."""
    call = LOSSES[loss]
    want = call(**{name: 0.5})
    half = torch.tensor(0.5, dtype=torch.float64)
    for number in (half, half.float(), half[None]):
        assert torch.equal(call(**{name: number}), want)
    with torch.no_grad():
        assert torch.equal(call(**{name: torch.nn.Parameter(half)}), want)
    match = rf"{name} is one number, and gets no gradient.* leave {name} out"
    for learned in (torch.nn.Parameter(half), half.clone().requires_grad_(), half.clone().requires_grad_() * 1.0):
        with pytest.raises(DTypeError, match=match):
            call(**{name: learned})
    for way in ("func.grad", "func.jvp", "func.vmap"):
        with pytest.raises(DTypeError, match=match):
            WAYS[way](lambda x: call(**{name: x}), half)
    with torch.autograd.forward_ad.dual_level(), pytest.raises(DTypeError, match=match):
        call(**{name: torch.autograd.forward_ad.make_dual(half, half)})
    with pytest.raises(DTypeError, match=f"{name} must be a number; got a tensor of shape"):
        call(**{name: torch.ones(2)})


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_get_no_gradient_when_compiled(name):
    """A modifier that wants a gradient is refused by a compiled loss too, and never loses it silently."""
    torch._dynamo.reset()
    half = torch.tensor(0.5, requires_grad=True)
    for call in (LOSSES["cross_entropy"], LOSSES["linear_cross_entropy"]):
        with pytest.raises(DTypeError, match=f"{name} is one number"):
            torch.compile(lambda x, call=call: call(**{name: x}), backend="eager")(half)


@pytest.mark.parametrize(
    ("error", "match", "call"),
    [
        (DTypeError, r"target must be integers .* use target\.long\(\)", lambda: sxt.cross_entropy(Z, torch.zeros(4))),
        (DTypeError, r"one-hot .* target\.float\(\)", lambda: sxt.cross_entropy(Z, torch.zeros(4, CLASSES).int())),
        (DTypeError, r"logits input @ .* target\.float\(\)", lambda: sxt.linear_cross_entropy(
            X, TABLE, torch.zeros(4, CLASSES).int())),
        (DTypeError, r"weight must be a torch\.Tensor; got list", lambda: sxt.cross_entropy(
            Z, torch.zeros(4).int(), [1.0] * CLASSES)),
        (DTypeError, r"weight must be a torch\.Tensor; got list", lambda: sxt.linear_cross_entropy(
            X, TABLE, torch.zeros(4).int(), weight=[1.0] * CLASSES)),
        (DTypeError, r"pos_weight must be a torch\.Tensor; got float", lambda: sxt.binary_cross_entropy_with_logits(
            Z, Z, pos_weight=2.0)),
        (DTypeError, r"weight must be a torch\.Tensor; got list", lambda: sxt.binary_cross_entropy_with_logits(
            Z, Z, [1.0] * CLASSES)),
        (DTypeError, "ignore_index must be an integer", lambda: sxt.cross_entropy(
            Z, torch.zeros(4).int(), ignore_index=1.5)),
        (OptionError, "ignore_index must be negative", lambda: sxt.cross_entropy(
            Z, torch.rand(4, CLASSES, requires_grad=True), ignore_index=0)),
        (ShapeError, r"target must have shape \(2, 3, 3\) .* or \(2, 4, 3, 3\)", lambda: sxt.cross_entropy(
            torch.zeros(2, 4, 3, 3).to(memory_format=torch.channels_last), torch.zeros(2, 3, 4, 3))),
        (DTypeError, r"nested tensor. Use input\.values\(\)", lambda: sxt.softmax(
            torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)], layout=torch.jagged), -1)),
        (DTypeError, r"sparse_coo. Use input\.to_dense\(\)", lambda: sxt.softmax(torch.eye(3).to_sparse(), -1)),
        (DTypeError, "dim must be an integer; got 'classes'", lambda: sxt.softmax(Z, "classes")),
        (DTypeError, "dim must be an integer; got 1.0", lambda: sxt.logsumexp(Z, [0, 1.0])),
        (OptionError, r"dim must name each dimension once; got \[1, -1\]", lambda: sxt.logsumexp(Z, [1, -1])),
    ],
)  # fmt: skip
def test_refusals(error, match, call):
    """Errors say what came, and what to do in PyTorch's words."""
    with pytest.raises(error, match=match):
        call()


def test_logsumexp_takes_what_pytorchs_takes():
    """Several dimensions in a tuple or a list; integers, in the default dtype."""
    z = torch.randn(2, 3, 4)
    for dim in (1, -1, (0, 2), [0, 2], [-1], [2, 0, 1], torch.Size((0, 1))):
        for keepdim in (False, True):
            want = torch.logsumexp(z, dim, keepdim)
            torch.testing.assert_close(sxt.logsumexp(z, dim, keepdim), want)
            for whole in ((z * 3).int(), (z * 3).to(torch.int8), z > 0):
                torch.testing.assert_close(
                    sxt.logsumexp(whole, dim, keepdim), torch.logsumexp(whole, dim, keepdim), check_dtype=True
                )
