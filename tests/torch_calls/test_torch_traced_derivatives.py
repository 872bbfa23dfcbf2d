"""torch.func's transforms and forward mode in what is recorded, and around it: never another number, never a zero."""

from __future__ import annotations

import pytest
from torch_cases import FORWARD_MODE
from torch_traced import assert_same, compiled, everything, inputs, total

torch = pytest.importorskip("torch")

from torch.fx.experimental.proxy_tensor import make_fx  # noqa: E402  # after the skip

import softxent.torch as sxt  # noqa: E402

# torch.func.linearize warns of the constants in its own graph.
pytestmark = [FORWARD_MODE, pytest.mark.filterwarnings("ignore:Attempted to insert a get_attr Node:UserWarning")]
forward_ad = torch.autograd.forward_ad


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(6)


TRANSFORMS = {
    "grad": lambda f: torch.func.grad(lambda a: total(f(a))),
    "jvp": lambda f: lambda a: torch.func.jvp(f, (a,), (a.cos(),)),
    "vmap": lambda f: lambda a: torch.func.vmap(f)(torch.stack([a, a.sin()])),
    "vmap of grad": lambda f: (
        lambda a: torch.func.vmap(torch.func.grad(lambda b: total(f(b))))(torch.stack([a, a.sin()]))
    ),
    "jacfwd": torch.func.jacfwd,
    "jacrev": torch.func.jacrev,
    "hessian": lambda f: torch.func.hessian(lambda a: total(f(a))),
    "jvp of grad": lambda f: lambda a: torch.func.jvp(torch.func.grad(lambda b: total(f(b))), (a,), (a.cos(),)),
}
RECORDERS = {
    "make_fx": lambda f, seen: make_fx(f)(*seen),
    "make_fx symbolic": lambda f, seen: make_fx(f, tracing_mode="symbolic")(*seen),
    "compile": lambda f, seen: compiled(f),
}
# Recorded once each; every recorder with every transform takes two minutes.
QUICK = {("grad", "compile"), ("jvp", "compile"), ("jvp of grad", "compile"), ("vmap of grad", "make_fx symbolic")}


def some(transform, recorder):
    """Return a pair, marked slow where others have shown nearly the same."""
    quick = recorder == "make_fx" or (transform, recorder) in QUICK
    return pytest.param(transform, recorder, marks=[] if quick else [pytest.mark.slow])


@pytest.mark.parametrize(("transform", "recorder"), [some(t, r) for t in TRANSFORMS for r in RECORDERS])
def test_transforms_in_what_is_recorded(transform, recorder):
    """A recorded transform of all functions, on inputs that were not seen."""
    if transform == "jacrev" and torch.__version__ < (2, 13):
        pytest.skip("PyTorch 2.7 and 2.8 cannot record their own jacrev of several results")

    def derived(z, *others):
        return TRANSFORMS[transform](lambda a: everything(a, *others))(z)

    new = inputs()
    assert_same(RECORDERS[recorder](derived, inputs())(*new), derived(*new))


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_transforms_of_what_was_recorded(transform):
    """A recorded graph has operators, which are differentiated and batched as the calls are."""
    recorded, (z, *others) = make_fx(everything)(*inputs()), inputs()
    got, want = (TRANSFORMS[transform](lambda a, f=f: tuple(f(a, *others)))(z) for f in (recorded, everything))
    assert_same(got, want)


# Which of logits, labels, probabilities, class weights and matrix are differentiated by.
WANTED = {"all": (0, 2, 3, 4), "logits": (0,), "probabilities": (2,), "weights": (3,), "matrix": (4,)}


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("wanted", WANTED)
def test_compiled_gradients_of_each_tensor(wanted, backend):
    """Whatever requires a gradient gets it in torch.compile too, whether or not the others do."""
    tensors = inputs()
    leaves = [tensors[i].requires_grad_() for i in WANTED[wanted]]
    got, want = (torch.autograd.grad(total(f(*tensors)), leaves) for f in (compiled(everything, backend), everything))
    assert_same(got, want)


@pytest.mark.parametrize("wanted", WANTED)
def test_compiled_tangents_of_each_tensor(wanted):
    """The same in forward mode."""
    tensors = inputs()
    chosen = tuple(tensors[i] for i in WANTED[wanted])

    def derived(*chosen):
        def function(*replaced):
            values = dict(zip(WANTED[wanted], replaced, strict=True))
            return everything(*(values.get(i, t) for i, t in enumerate(tensors)))

        return torch.func.jvp(function, chosen, tuple(t.cos() for t in chosen))[1]

    want = derived(*chosen)
    assert_same(compiled(derived)(*chosen), want)
    assert any(t.abs().max() > 0.0 for t in want)


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_dual_numbers_and_compile(backend):
    """Dual numbers made in a compiled function, and given to one."""
    tensors = inputs()

    def tangents(function):
        def derived(*tensors):
            with forward_ad.dual_level():
                duals = [forward_ad.make_dual(t, t.cos()) if t.is_floating_point() else t for t in tensors]
                return forward_ad.unpack_dual(total(function(*duals))).tangent

        return derived

    want = tangents(everything)(*tensors)
    assert_same(compiled(tangents(everything), backend)(*tensors), want)
    given = tangents(compiled(everything, backend))
    if torch.__version__ < (2, 14):
        assert_same(given(*tensors), want)
    else:  # PyTorch refuses it
        with pytest.raises(torch._dynamo.exc.Unsupported, match="dual tensor"):
            given(*tensors)


def test_higher_derivatives_of_operators():
    """A graph that autograd runs operator by operator: its third derivatives are those of the calls."""
    z, *others = inputs()
    z.requires_grad_()

    def third(function):
        derivative = function(z, *others)
        for _ in range(3):
            (derivative,) = torch.autograd.grad(total(derivative), z, create_graph=True)
        return derivative

    assert_same(third(compiled(everything, backend="eager")), third(everything))


def test_derivatives_of_recorded_gradients():
    """A recorded gradient is differentiated by whatever it depends on."""
    z, y, _, c, m = (t.requires_grad_() if t.is_floating_point() else t for t in inputs())

    def dense(z, c, further):
        return torch.autograd.grad(sxt.cross_entropy(z, y, c), z, create_graph=further)

    def linear(z, m, further):
        return torch.autograd.grad(sxt.linear_cross_entropy(z, m, y), (z, m), create_graph=further)

    recorded = make_fx(torch.func.grad(lambda z, c: sxt.cross_entropy(z, y, c)))(z.detach(), c.detach())
    assert_same(*(torch.autograd.grad(total(g), (z, c)) for g in (recorded(z, c), dense(z, c, True))))
    recorded = make_fx(lambda z, m: linear(z, m, False))(z, m)
    assert_same(*(torch.autograd.grad(total(g), (z, m)) for g in (recorded(z, m), linear(z, m, True))))


def test_second_half_of_vjp():
    """What torch.func.vjp returns is differentiated after vjp has returned, when its transform is over."""
    z, *others = inputs()
    z.requires_grad_()
    for i, cotangent in enumerate(everything(z, *others)):
        value, pull = torch.func.vjp(lambda a, i=i: everything(a, *others)[i], z)
        (got,) = torch.autograd.grad(total(pull(cotangent.detach())), z)
        (gradient,) = torch.autograd.grad(everything(z, *others)[i], z, cotangent.detach(), create_graph=True)
        assert_same(value, cotangent)
        assert_same(got, torch.autograd.grad(total(gradient), z)[0])


def test_linearize():
    """torch.func.linearize records a jvp, and runs it with other tangents."""
    z, *others = inputs()
    value, linear = torch.func.linearize(lambda a: everything(a, *others), z)
    for tangent in (z.cos(), z.sin()):
        assert_same((value, linear(tangent)), torch.func.jvp(lambda a: everything(a, *others), (z,), (tangent,)))


def test_dynamic_shapes():
    """One graph of a transform for every number of rows and classes."""
    graphs = []

    def count(graph, inputs):
        graphs.append(graph)
        return graph

    def derived(z, y):
        return torch.func.grad(lambda a: sxt.cross_entropy(a, y))(z)

    function = compiled(derived, count, dynamic=True)
    for rows, classes in ((3, 4), (7, 9), (12, 5)):
        z, y = torch.randn(rows, classes), torch.randint(0, classes, (rows,))
        torch.testing.assert_close(function(z, y), derived(z, y))
    assert len(graphs) == 1
