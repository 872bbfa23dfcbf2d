"""Derivatives of derivatives by torch.func, forward mode inside forward mode too: those of PyTorch's own functions."""

from __future__ import annotations

import pytest
from torch_cases import FORWARD_MODE

torch = pytest.importorskip("torch")

from torch.func import hessian, jacfwd, jacrev, jvp, vmap  # noqa: E402  # after the skip
from torch.fx.experimental.proxy_tensor import make_fx  # noqa: E402
from torch.nn import functional  # noqa: E402

import softxent.torch as sxt  # noqa: E402

# PyTorch's log-sigmoid, in vmap of forward mode, warns of what it does to its own buffer.
RESIZED = pytest.mark.filterwarnings("ignore:An output with one or more elements was resized:UserWarning")
pytestmark = [FORWARD_MODE, RESIZED]

POINT = torch.tensor([[1.0, 2.0, 0.5]], dtype=torch.float64)
LABEL, SHARES = torch.tensor([1]), torch.tensor([[0.2, 0.3, 0.5]], dtype=torch.float64)
WEIGHT, TABLE = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64), torch.linspace(-1, 1, 12).double().reshape(4, 3)

# The derivatives here are of 0.01 to 1, or exactly 0 (the loss is linear in its labels), where only atol applies.
TOLERANCES = {"rtol": 1e-10, "atol": 1e-12}
# Ours and PyTorch's, each a function of POINT.
FUNCTIONS = {
    "softmax": (lambda z: sxt.softmax(z, 1)[0, 0], lambda z: z.softmax(1)[0, 0]),
    "log_softmax": (lambda z: sxt.log_softmax(z, 1)[0, 0], lambda z: z.log_softmax(1)[0, 0]),
    "logsumexp": (lambda z: sxt.logsumexp(z, 1).sum(), lambda z: z.logsumexp(1).sum()),
    "mean": (lambda z: sxt.cross_entropy(z, LABEL), lambda z: functional.cross_entropy(z, LABEL)),
    "none": (
        lambda z: sxt.cross_entropy(z, LABEL, reduction="none"),
        lambda z: functional.cross_entropy(z, LABEL, reduction="none"),
    ),
    "probabilities": (lambda z: sxt.cross_entropy(z, SHARES), lambda z: functional.cross_entropy(z, SHARES)),
    "learned labels": (lambda z: sxt.cross_entropy(SHARES, z), lambda z: functional.cross_entropy(SHARES, z)),
    "modifiers": (
        lambda z: sxt.cross_entropy(z, LABEL, WEIGHT, label_smoothing=0.1),
        lambda z: functional.cross_entropy(z, LABEL, WEIGHT, label_smoothing=0.1),
    ),
    "linear": (
        lambda z: sxt.linear_cross_entropy(z, TABLE, LABEL),
        lambda z: functional.cross_entropy(z @ TABLE.T, LABEL),
    ),
    "binary": (
        lambda z: sxt.binary_cross_entropy_with_logits(z, SHARES),
        lambda z: ((1.0 + z.exp()).log() - SHARES * z).mean(),
    ),
}
NESTED = {
    "jacfwd(jacfwd)": lambda f: jacfwd(jacfwd(f)),
    "jacfwd(jacfwd(jacfwd))": lambda f: jacfwd(jacfwd(jacfwd(f))),
    "jacrev(jacfwd)": lambda f: jacrev(jacfwd(f)),
    "jacfwd(jacrev(jacfwd))": lambda f: jacfwd(jacrev(jacfwd(f))),
    "jacrev(jacfwd(jacfwd))": lambda f: jacrev(jacfwd(jacfwd(f))),
    "jacfwd(jacfwd(jacrev))": lambda f: jacfwd(jacfwd(jacrev(f))),
    "jacfwd(hessian)": lambda f: jacfwd(hessian(f)),
    "jvp by its tangent": lambda f: lambda z: jvp(lambda t: jvp(f, (z,), (t,))[1], (z,), (z.cos(),))[1],
    "vmap(jacfwd(jacfwd))": lambda f: lambda z: vmap(jacfwd(jacfwd(f)))(torch.stack([z, z.sin()])),
}


@pytest.mark.parametrize("nested", NESTED)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_nested_transforms(function, nested):
    """The outer tangents of a jvp inside a jvp are not lost."""
    ours, theirs = (NESTED[nested](f)(POINT) for f in FUNCTIONS[function])
    torch.testing.assert_close(ours, theirs, **TOLERANCES)


@pytest.mark.parametrize("recorded", [make_fx, lambda f: torch.compile(f, backend="eager", fullgraph=True)])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_recorded_nested_transforms(function, recorded):
    """The same where the derivatives are recorded, on an input that was not seen."""
    ours, theirs = (jacfwd(jacfwd(f)) for f in FUNCTIONS[function])
    torch._dynamo.reset()
    run = make_fx(ours)(POINT) if recorded is make_fx else recorded(ours)
    torch.testing.assert_close(run(POINT.sin()), theirs(POINT.sin()), **TOLERANCES)


@pytest.mark.parametrize("strategy", ["reverse-mode", "forward-mode"])
@pytest.mark.parametrize("labels", [LABEL, SHARES], ids=["indices", "probabilities"])
def test_vectorised_hessians(labels, strategy):
    """torch.autograd.functional.hessian(vectorize=True), whose batches are those of before torch.func."""
    given = {"vectorize": True, "outer_jacobian_strategy": strategy}
    ours = torch.autograd.functional.hessian(lambda z: sxt.cross_entropy(z, labels), POINT, **given)
    theirs = torch.autograd.functional.hessian(lambda z: functional.cross_entropy(z, labels), POINT)
    torch.testing.assert_close(ours, theirs, **TOLERANCES)
