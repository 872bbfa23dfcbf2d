"""torch.func, torch.compile, torch.export, autocast, forks and pickles."""

from __future__ import annotations

import copy
import io
import os
import pickle
import shutil
import subprocess
import sys
import threading

import pytest
from torch_cases import FORWARD_MODE, MODIFIERS, REDUCTIONS, tensors

torch = pytest.importorskip("torch")

import softxent.torch as sxt  # noqa: E402  # after the skip

F = torch.nn.functional
pytestmark = FORWARD_MODE


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(2)


def logits(*shape):
    """Return float64 numbers of N(0, 1)."""
    return torch.randn(*shape, dtype=torch.float64)


def plain(function, **modifiers):
    """Return PyTorch's or softxent's loss of (z, target)."""
    return lambda z, y: function(z, y, **modifiers)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("labels", ["indices", "probabilities"])
def test_func(labels, reduction):
    """grad, vmap of grad (gradients of each sample), jacrev, jacfwd and hessian are those of PyTorch's loss."""
    z = logits(4, 3, 5)
    y = torch.randint(0, 5, (4, 3)) if labels == "indices" else torch.rand(4, 3, 5, dtype=torch.float64)
    if labels == "indices":
        y[0, 1] = -100
    weight = torch.rand(5, dtype=torch.float64)
    given = {"reduction": reduction, "weight": weight, "label_smoothing": 0.1}
    ours = plain(sxt.cross_entropy, **given)

    def theirs(z, y):
        """F.cross_entropy, which itself cannot be a part of vmap under these options."""
        known = labels == "indices"
        # As a vector: in vmap PyTorch 2.7 takes a single label for a number, which it may not look at.
        at = y.clamp(min=0).reshape(-1) if known else None
        t = torch.eye(5, dtype=torch.float64)[at].reshape(*y.shape, 5) if known else y
        losses = -((0.9 * t + 0.02) * weight * torch.log_softmax(z, -1)).sum(-1)
        counts = torch.where(y != -100, weight[at].reshape(y.shape), 0.0) if known else torch.ones_like(losses)
        losses = torch.where(counts > 0.0, losses, 0.0)
        total = counts.sum()
        return {"none": losses, "sum": losses.sum(), "mean": losses.sum() / total}[reduction]

    for transform in (
        lambda f: torch.func.vmap(f),
        lambda f: torch.func.vmap(torch.func.grad(lambda a, b: f(a, b).sum())),
        lambda f: torch.func.vmap(torch.func.jacrev(f)),
        lambda f: torch.func.vmap(torch.func.jacfwd(f)),
        lambda f: torch.func.vmap(torch.func.hessian(lambda a, b: f(a, b).sum())),
        lambda f: torch.func.vmap(torch.func.vmap(f, in_dims=(0, 0))),
    ):
        torch.testing.assert_close(
            transform(ours)(z, y), transform(theirs)(z, y), rtol=1e-10, atol=1e-13, equal_nan=True
        )


def test_vmap_over_anything():
    """Batches of logits, of labels, of weights, in any dimension, alone or together."""
    z, y, w = logits(3, 5, 4), torch.randint(0, 5, (4, 3)), torch.rand(4, 5, dtype=torch.float64)
    for in_dims in ((2, None, None), (None, 0, None), (2, 0, None), (2, 0, 0), (None, None, 0)):
        single = (z[..., 0], y[0], w[0])
        arguments = [s if d is None else b for s, b, d in zip(single, (z, y, w), in_dims, strict=True)]
        ours = torch.func.vmap(lambda a, b, c: sxt.cross_entropy(a, b, c), in_dims)(*arguments)
        theirs = torch.func.vmap(lambda a, b, c: F.cross_entropy(a, b, c), in_dims)(*arguments)
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("function", ["softmax", "log_softmax", "logsumexp"])
def test_func_of_softmax(function):
    """vmap, jacrev, jacfwd and hessian of the softmaxes."""
    z = logits(3, 4, 2)
    ours, theirs = getattr(sxt, function), getattr(torch, function)
    for transform in (
        lambda f: torch.func.vmap(lambda a: f(a, 0), in_dims=1),
        lambda f: torch.func.jacrev(lambda a: f(a, 1)),
        lambda f: torch.func.jacfwd(lambda a: f(a, 1)),
        lambda f: torch.func.hessian(lambda a: f(a, 1).sum(0)),
    ):
        torch.testing.assert_close(transform(ours)(z), transform(theirs)(z))
    want = {"softmax": 0.0, "log_softmax": 0.0, "logsumexp": 1.0}[function]
    for derivative in (torch.func.jacfwd, torch.func.jacrev, lambda f: torch.func.vmap(torch.func.grad(f))):
        scalars = z[0, 0] if derivative not in (torch.func.jacfwd, torch.func.jacrev) else z[0, 0, 0]
        assert torch.equal(derivative(lambda a: ours(a, 0))(scalars), torch.full_like(scalars, want))


@pytest.mark.parametrize("name", ["cross_entropy", "softmax", "log_softmax", "logsumexp", "linear_cross_entropy"])
def test_pull_back(name):
    """What torch.func.vjp returns may be called after it is over, differentiated again, and mapped."""
    y, table = torch.tensor([0, 3, 1]), logits(4, 4)
    pairs = {
        "cross_entropy": (lambda z: sxt.cross_entropy(z, y), lambda z: F.cross_entropy(z, y)),
        "softmax": (lambda z: sxt.softmax(z, 1), lambda z: F.softmax(z, 1)),
        "log_softmax": (lambda z: sxt.log_softmax(z, 0), lambda z: F.log_softmax(z, 0)),
        "logsumexp": (lambda z: sxt.logsumexp(z, 1), lambda z: torch.logsumexp(z, 1)),
        "linear_cross_entropy": (
            lambda z: sxt.linear_cross_entropy(z, table, y), lambda z: F.cross_entropy(F.linear(z, table), y),
        ),
    }  # fmt: skip
    point = logits(3, 4)
    results = []
    for function in pairs[name]:
        z = point.clone().requires_grad_()
        value, pull = torch.func.vjp(function, z)
        (grad,) = pull(value.detach() + 1.0)
        with torch.no_grad():
            value, plain = torch.func.vjp(function, point)
            (once,) = plain(value + 1.0)
            mapped = torch.func.vmap(plain)(torch.stack([value, value * 2.0]))[0]
        results.append((value, grad, once, mapped, *torch.autograd.grad((grad**2).sum(), z)))
    for got, want in zip(*results, strict=True):
        torch.testing.assert_close(got, want)


def test_func_of_the_linear_form():
    """Per-sample gradients and a Hessian through the linear form."""
    x, w, b, y = logits(4, 3), logits(5, 3), logits(5), torch.tensor([0, 4, -100, 2])

    def theirs(x, w, b, y):
        return F.cross_entropy(F.linear(x, w, b), y, reduction="sum")

    def ours(x, w, b, y):
        return sxt.linear_cross_entropy(x, w, y, linear_bias=b, reduction="sum")

    def samples(f):
        return torch.func.vmap(torch.func.grad(f, (0, 1, 2)), (0, None, None, 0))(x[:, None], w, b, y[:, None])

    for got, want in zip(samples(ours), samples(theirs), strict=True):
        torch.testing.assert_close(got, want)
    torch.testing.assert_close(torch.func.hessian(ours, 1)(x, w, b, y), torch.func.hessian(theirs, 1)(x, w, b, y))


def test_forward_mode_of_a_module():
    """Dual numbers outside torch.func, and a backward pass through the tangent."""
    forward = torch.autograd.forward_ad
    z, t, y = logits(3, 4).requires_grad_(), logits(3, 4), torch.tensor([0, 3, 1])
    with forward.dual_level():
        tangent = forward.unpack_dual(sxt.cross_entropy(forward.make_dual(z, t), y)).tangent
        (product,) = torch.autograd.grad(tangent, z)
    (grad,) = torch.autograd.grad(F.cross_entropy(z, y), z, create_graph=True)
    torch.testing.assert_close(tangent, (grad * t).sum())
    torch.testing.assert_close(product, torch.autograd.grad(grad, z, t)[0])


def compiled(function, backend="aot_eager", **options):
    """Return function compiled whole: a graph break is an error."""
    torch._dynamo.reset()
    return torch.compile(function, fullgraph=True, backend=backend, **options)


def assert_compiles(function, *inputs, **options):
    """Check value and gradients of a compiled function against the plain one, with a cotangent that is not 1."""
    leaves = [x for x in inputs if isinstance(x, torch.Tensor) and x.requires_grad]
    want, got = function(*inputs), compiled(function, **options)(*inputs)
    torch.testing.assert_close(got, want)
    total = [sum(p.sum() * 1.5 for p in (r if isinstance(r, tuple) else (r,))) for r in (want, got)]
    for g, w in zip(torch.autograd.grad(total[1], leaves), torch.autograd.grad(total[0], leaves), strict=True):
        torch.testing.assert_close(g, w)


@pytest.mark.parametrize("modifiers", MODIFIERS, ids=str)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_compile(modifiers, reduction):
    """torch.compile(fullgraph=True) of every modifier, dense and linear, and of lse."""
    given = {**tensors(modifiers, torch.float32), "reduction": reduction}
    z, y = torch.randn(4, 3, requires_grad=True), torch.tensor([0, 2, -100, 1])
    x, w, b = (torch.randn(s, requires_grad=True) for s in ((4, 2), (3, 2), (3,)))
    assert_compiles(lambda z: sxt.cross_entropy(z, y, **given), z)
    assert_compiles(lambda x, w, b: sxt.linear_cross_entropy(x, w, y, linear_bias=b, **given), x, w, b)
    if reduction == "mean":
        assert_compiles(lambda z: sxt.cross_entropy(z, y, return_lse=True, **given), z)
        assert_compiles(lambda x, w: sxt.linear_cross_entropy(x, w, y, return_lse=True, **given), x, w.detach())
        soft = torch.rand(4, 3)
        assert_compiles(lambda z: sxt.cross_entropy(z, soft, **given), z)
        assert_compiles(lambda z, s: sxt.cross_entropy(z, s, **given), z, soft.clone().requires_grad_())


def test_compile_the_rest():
    """Softmaxes, binary loss, modules, images in channels-last layout."""
    z, y = torch.randn(4, 3, requires_grad=True), torch.tensor([0, 2, -100, 1])
    assert_compiles(lambda z: sxt.softmax(z, -1) + sxt.log_softmax(z, 0) + sxt.logsumexp(z, 1, keepdim=True), z)
    assert_compiles(lambda z: sxt.binary_cross_entropy_with_logits(z, z.detach().sigmoid()), z)
    for module in (sxt.CrossEntropyLoss(label_smoothing=0.1), sxt.LinearCrossEntropyLoss(3, 5, bias=True)):
        assert_compiles(lambda z, module=module: module(z, y), z)
    image = torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last).requires_grad_()
    assert_compiles(lambda z: sxt.cross_entropy(z * 1, torch.ones(2, 4, 4, dtype=torch.int64)), image)


@pytest.mark.skipif(not (shutil.which("g++") or shutil.which("clang++")), reason="inductor needs a C++ compiler")
def test_compile_with_inductor():
    """The default compiler, on one dense and one linear loss."""
    y = torch.tensor([0, 2, -100, 1])
    x, w = torch.randn(4, 2, requires_grad=True), torch.randn(3, 2, requires_grad=True)
    assert_compiles(lambda x, w: sxt.cross_entropy(F.linear(x, w), y, z_loss=0.1), x, w, backend="inductor")
    assert_compiles(lambda x, w: sxt.linear_cross_entropy(x, w, y, z_loss=0.1), x, w, backend="inductor")


def test_dynamic_shapes():
    """One graph for every number of rows and classes."""
    graphs = []

    def count(graph, inputs):
        graphs.append(graph)
        return graph

    torch._dynamo.reset()
    function = torch.compile(lambda z, y: sxt.cross_entropy(z, y), fullgraph=True, dynamic=True, backend=count)
    for rows, classes in ((3, 4), (7, 9), (12, 5), (100, 33)):
        z, y = torch.randn(rows, classes), torch.zeros(rows, dtype=torch.int64)
        assert torch.equal(function(z, y), sxt.cross_entropy(z, y))
    assert len(graphs) == 1


def test_export_and_operators():
    """torch.export records the operators, and PyTorch's own checks of operators pass."""

    class Loss(torch.nn.Module):
        def forward(self, z, y):
            return sxt.cross_entropy(z, y)

    z, y, w = torch.randn(4, 3, requires_grad=True), torch.tensor([0, 2, -100, 1]), torch.rand(3)
    program = torch.export.export(Loss(), (z.detach(), y))
    assert "softxent.cross_entropy" in str(program.graph)
    operators = torch.ops.softxent
    checks = ("test_schema", "test_autograd_registration", "test_faketensor", "test_aot_dispatch_dynamic")
    for name in ("softmax", "log_softmax", "logsumexp"):
        torch.library.opcheck(getattr(operators, name).default, (z, 1), test_utils=checks)
    options = (-100, 0.1, 0.1, None, 1.0, "mean")
    torch.library.opcheck(operators.cross_entropy.default, (z, y, w, 1, *options), test_utils=checks)
    gradient = (z.detach(), y, w, torch.tensor(1.5), 1, *options)
    torch.library.opcheck(operators.cross_entropy_gradient.default, gradient, test_utils=checks)
    table = torch.randn(5, 3, requires_grad=True)
    linear = (z, table, None, y, None, *options)
    torch.library.opcheck(operators.linear_cross_entropy.default, linear, test_utils=checks)
    gradients = (z.detach(), table.detach(), None, y, None, None, True, True, False, *options)
    torch.library.opcheck(operators.linear_cross_entropy_gradients.default, gradients, test_utils=checks)


def test_fake_tensors():
    """Shapes without memory: fake tensors and the meta device give results of the right shape and dtype."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        z, y = torch.empty(4, 3, dtype=torch.bfloat16), torch.empty(4, dtype=torch.int64)
        assert sxt.cross_entropy(z, y, reduction="none").shape == (4,)
        assert sxt.softmax(z, 1).dtype == torch.bfloat16
        assert sxt.linear_cross_entropy(z, torch.empty(9, 3, dtype=torch.bfloat16), y).shape == ()
    z = torch.empty(4, 3, device="meta", requires_grad=True)
    loss = sxt.cross_entropy(z, torch.empty(4, dtype=torch.int64, device="meta"))
    assert (loss.shape, loss.dtype) == ((), torch.float32)
    assert torch.autograd.grad(loss, z)[0].shape == (4, 3)


def test_autocast():
    """Under autocast logits of a layer are bfloat16; the loss is float32, and mixed inputs of the linear form work."""
    layer, x, y = torch.nn.Linear(3, 5), torch.randn(4, 3), torch.tensor([0, 4, 2, 1])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        z = layer(x)
        assert z.dtype == torch.bfloat16
        loss = sxt.cross_entropy(z, y)
        mixed = sxt.linear_cross_entropy(x.bfloat16(), layer.weight, y, linear_bias=layer.bias)
    assert loss.dtype == mixed.dtype == torch.float32
    (loss + mixed).backward()
    assert layer.weight.grad.dtype == torch.float32
    assert torch.equal(loss, sxt.cross_entropy(z.detach().float(), y))


def test_modules_are_copied_and_pickled():
    """deepcopy, pickle and torch.save keep options and parameters."""
    y = torch.tensor([0, 4, -100, 2])
    dense = sxt.CrossEntropyLoss(torch.rand(5), label_smoothing=0.1, z_loss=0.1, softcap=3.0, temperature=2.0)
    linear = sxt.LinearCrossEntropyLoss(3, 5, bias=True, weight=torch.rand(5), reduction="sum")
    for module, x in ((dense, torch.randn(4, 5)), (linear, torch.randn(4, 3))):
        want = module(x, y)
        saved = io.BytesIO()
        torch.save(module, saved)
        saved.seek(0)
        copies = (copy.deepcopy(module), pickle.loads(pickle.dumps(module)), torch.load(saved, weights_only=False))
        for other in copies:
            assert torch.equal(other(x, y), want)
            assert repr(other) == repr(module)


def test_several_threads():
    """Losses from several threads at once, backward passes among them."""
    z, y = torch.randn(300, 200), torch.randint(0, 200, (300,))
    found = []

    def work():
        x = z.clone().requires_grad_()
        sxt.cross_entropy(x, y).backward()
        found.append(x.grad)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    work()
    assert [torch.equal(grad, found[-1]) for grad in found] == [True] * 9


class Losses(torch.utils.data.Dataset):
    """Samples that are losses: each worker of a DataLoader computes its own."""

    def __len__(self):
        return 8

    def __getitem__(self, i):
        z = torch.linspace(-1, 1, 4000 * 20).reshape(4000, 20) * (i + 1)
        return sxt.cross_entropy(z, torch.full((4000,), i % 20))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_workers_after_fork():
    """A DataLoader's forked workers compute what the parent computes, after the parent has used its threads."""
    data = Losses()
    want = torch.stack([data[i] for i in range(8)])
    loader = torch.utils.data.DataLoader(data, num_workers=2, batch_size=4, multiprocessing_context="fork", timeout=60)
    assert torch.equal(torch.cat(list(loader)), want)


def test_imports():
    """`import softxent` loads no torch; without torch, `import softxent.torch` says what to install."""
    code = "import sys, softxent; print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "try:\n    import softxent.torch\n"
        "except ImportError as error:\n    print(error)"
    )
    said = subprocess.check_output([sys.executable, "-c", code], text=True, env={**os.environ})
    assert "pip install torch" in said
