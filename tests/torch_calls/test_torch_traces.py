"""What a tracer records computes, on other inputs, what the calls compute."""

from __future__ import annotations

import io
import pickle

import pytest
from torch_traced import Everything, assert_same, compiled, everything, inputs, total

torch = pytest.importorskip("torch")

from torch.fx.experimental.proxy_tensor import make_fx  # noqa: E402  # after the skip

import softxent.torch as sxt  # noqa: E402

pytestmark = [
    # PyTorch has deprecated TorchScript, and its own tracers still use it, and what else it has deprecated.
    pytest.mark.filterwarnings("ignore:.*(torch.jit|LeafSpec).*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*(torch.jit|LeafSpec).*:FutureWarning"),
    # torch.jit.trace says of every check of a shape that it is not repeated.
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(5)


def fx(function=everything, **options):
    """Return the tracer make_fx with options."""
    return lambda seen: make_fx(function, **options)(*seen)


def export(**options):
    """Return the tracer torch.export with options."""
    return lambda seen: torch.export.export(Everything(), seen, **options)


def aot(seen):
    """Return what AOTAutograd records."""
    from functorch.compile import aot_function, nop

    return aot_function(everything, nop)


TRACERS = {
    "make_fx": fx(),
    "make_fx fake": fx(tracing_mode="fake"),
    "make_fx symbolic": fx(tracing_mode="symbolic"),
    "make_fx pre-dispatch": fx(pre_dispatch=True),
    "make_fx pre-dispatch symbolic": fx(pre_dispatch=True, tracing_mode="symbolic"),
    "make_fx functionalize": fx(torch.func.functionalize(everything)),
    "functionalize": lambda seen: torch.func.functionalize(everything),
    "jit.trace": lambda seen: torch.jit.trace(everything, seen),
    "fx.symbolic_trace": lambda seen: torch.fx.symbolic_trace(Everything()),
    "export": lambda seen: export(strict=False)(seen).module(),
    "export strict": lambda seen: export(strict=True)(seen).module(),
    "export decomposed": lambda seen: export()(seen).run_decompositions().module(),
    "aot_function": aot,
    "compile": lambda seen: compiled(everything),
    "compile dynamic": lambda seen: compiled(everything, dynamic=True),
    "compile without autograd": lambda seen: compiled(everything, backend="eager"),
}


@pytest.mark.parametrize("tracer", TRACERS)
def test_traced_value(tracer):
    """All functions through each tracer, on inputs that the tracer has not seen."""
    seen, new = inputs(), inputs()
    assert_same(tuple(TRACERS[tracer](seen)(*new)), everything(*new))


@pytest.mark.parametrize("tracer", TRACERS)
def test_traced_gradient(tracer):
    """The backward pass through what was recorded, by every tensor that can require a gradient."""
    recorded = TRACERS[tracer](inputs())
    new = [t.requires_grad_() if t.is_floating_point() else t for t in inputs()]
    leaves = [t for t in new if t.requires_grad]
    got, want = (torch.autograd.grad(total(tuple(f(*new))), leaves) for f in (recorded, everything))
    assert_same(got, want)


def test_more_rows_than_were_seen():
    """A trace with few rows is right with many, of the linear form too, which takes its rows in chunks."""

    def gradient(x, m):
        return torch.func.grad(lambda x: sxt.linear_cross_entropy(x, m, torch.zeros_like(x[:, 0]).long()))(x)

    m = torch.randn(30_000, 2, dtype=torch.float64)
    recorded = make_fx(gradient, tracing_mode="symbolic")(torch.randn(3, 2, dtype=torch.float64), m)
    x = torch.randn(1000, 2, dtype=torch.float64)
    assert_same(recorded(x, m), gradient(x, m))


def saved(script):
    """Return a script as torch.jit.save and load give it back."""
    file = io.BytesIO()
    torch.jit.save(script, file)
    file.seek(0)
    return torch.jit.load(file)


class Net(torch.nn.Module):
    """Both modules in one."""

    def __init__(self):
        super().__init__()
        self.dense = sxt.CrossEntropyLoss(torch.tensor([1.0, 2.0, 3.0]), z_loss=0.1)
        self.linear = sxt.LinearCrossEntropyLoss(3, 3, bias=True)
        self.double()

    def forward(self, z, y):
        """Return the sum of both losses."""
        return self.dense(z, y) + self.linear(z, y)


def test_traced_modules():
    """The modules as parts of a traced one, which is saved and loaded, and pickled."""
    net, (seen, labels, *_) = Net(), inputs()
    scripted = saved(torch.jit.trace(net, (seen, labels)))
    graph = pickle.loads(pickle.dumps(torch.fx.symbolic_trace(net)))
    z, y, *_ = inputs()
    z.requires_grad_()
    want = net(z, y)
    for other in (scripted, graph):
        assert_same(other(z, y), want)
        assert_same(torch.autograd.grad(other(z, y), z)[0], torch.autograd.grad(net(z, y), z)[0])


def operators(function, *arguments):
    """Return the names of our operators in what make_fx records."""
    targets = [str(node.target) for node in make_fx(function)(*arguments).graph.nodes]
    return [name.split(".")[1] for name in targets if name.startswith("softxent.")]


def test_recorded_operators():
    """A trace has a loss as one operator, and its backward pass one more, or none where gradients come with it."""
    z, y, _, _, m = inputs()
    z.requires_grad_()
    m.requires_grad_()
    assert operators(lambda z: torch.autograd.grad(sxt.cross_entropy(z, y), z), z) == [
        "cross_entropy",
        "cross_entropy_gradient",
    ]
    assert operators(lambda z, m: torch.autograd.grad(sxt.linear_cross_entropy(z, m, y), (z, m)), z, m) == [
        "linear_cross_entropy_gradients"
    ]


def test_refused():
    """torch.jit.script, which compiles source text, says at once that it cannot."""

    def loss(z: torch.Tensor, y: torch.Tensor):
        return sxt.cross_entropy(z, y)

    with pytest.raises(Exception, match="keyword-only arguments"):
        torch.jit.script(loss)
