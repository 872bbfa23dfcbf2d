"""PyTorch's own sample inputs pass with softxent's functions put in: values, gradients, second ones, forward mode."""

from __future__ import annotations

import warnings

import pytest
from torch_cases import FORWARD_MODE

torch = pytest.importorskip("torch")
pytest.importorskip("expecttest", reason="torch.testing's list of operators needs expecttest")

import softxent.torch as sxt  # noqa: E402  # after the skip

F = torch.nn.functional
FUNCTIONS = {
    "nn.functional.cross_entropy": (F.cross_entropy, sxt.cross_entropy),
    "nn.functional.linear_cross_entropy": (getattr(F, "linear_cross_entropy", None), sxt.linear_cross_entropy),
    "nn.functional.binary_cross_entropy_with_logits": (
        F.binary_cross_entropy_with_logits,
        sxt.binary_cross_entropy_with_logits,
    ),
    "softmax": (torch.softmax, sxt.softmax),
    "log_softmax": (torch.log_softmax, sxt.log_softmax),
    "logsumexp": (torch.logsumexp, sxt.logsumexp),
}
# What PyTorch's results are off by themselves, relative to the largest element.
TOLERANCE = {torch.float64: 1e-11, torch.float32: 1e-4}


def operators():
    """Return PyTorch's entries of these functions."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's own test tools are not under test
        from torch.testing._internal.common_methods_invocations import op_db
    return [op for op in op_db if op.name in FUNCTIONS]


def samples(operator, dtype):
    """Return an operator's samples that softxent has a signature for."""
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = list(operator.sample_inputs("cpu", dtype, requires_grad=True))
    if operator.name == "logsumexp":
        found = [s for s in found if s.input.ndim and s.input.numel()]  # no classes are an error here
    assert found
    return found


def assert_close(got, want, dtype, what):
    """Compare with PyTorch's result, relative to its largest element."""
    want = want.detach()
    got = torch.zeros_like(want) if got is None else got.detach()
    assert got.shape == want.shape, what
    scale = float(want.abs().nan_to_num(0.0, 0.0).max()) if want.numel() else 1.0
    tolerance = TOLERANCE[dtype] * max(scale, 1.0)
    torch.testing.assert_close(got, want, rtol=0, atol=tolerance, equal_nan=True, msg=lambda m: f"{what}: {m}")


def leaves_of(sample):
    """Return the sample's tensors that require a gradient."""
    values = [sample.input, *sample.args, *sample.kwargs.values()]
    return [t for t in values if isinstance(t, torch.Tensor) and t.requires_grad]


def of_leaves(function, sample, options):
    """Return function as one of the sample's leaves alone."""

    def call(*leaves):
        given = iter(leaves)

        def put(value):
            return next(given) if isinstance(value, torch.Tensor) and value.requires_grad else value

        first, rest = put(sample.input), [put(a) for a in sample.args]
        return function(first, *rest, **{k: put(v) for k, v in options.items()})

    return call


@FORWARD_MODE
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("operator", operators(), ids=lambda op: f"{op.name} {op.variant_test_name}".strip())
def test_samples(operator, dtype):
    """Values, gradients with any cotangent, gradients of gradients, and forward mode are PyTorch's."""
    theirs, ours = FUNCTIONS[operator.name]
    for sample in samples(operator, dtype):
        leaves = leaves_of(sample)
        # PyTorch's chunked way has no second derivative: it is held against the plain one.
        options = {k: v for k, v in sample.kwargs.items() if k != "options"}
        what = f"{tuple(sample.input.shape)} {sample.kwargs}"
        want, got = theirs(sample.input, *sample.args, **options), ours(sample.input, *sample.args, **sample.kwargs)
        wide = dtype if want.dtype != torch.float64 else torch.float64
        assert got.dtype == want.dtype, what
        assert_close(got, want, wide, what)
        if not want.numel():
            continue
        cotangent = torch.randn_like(want)
        want_grads = torch.autograd.grad(want, leaves, cotangent, create_graph=True)
        for create in (False, True):
            grads = torch.autograd.grad(got, leaves, cotangent, retain_graph=True, create_graph=create)
            for g, w in zip(grads, want_grads, strict=True):
                assert_close(g, w, wide, what)
        if any(g.requires_grad for g in want_grads):
            directions = [torch.randn_like(g) for g in grads]
            again = torch.autograd.grad(grads, leaves, directions, allow_unused=True)
            want_again = torch.autograd.grad(want_grads, leaves, directions, allow_unused=True)
            for g, w in zip(again, want_again, strict=True):
                if w is not None:
                    assert_close(g, w, wide, what)
        tangents = tuple(torch.randn_like(leaf) for leaf in leaves)
        pairs = [
            torch.func.jvp(of_leaves(f, sample, o), tuple(leaves), tangents)
            for f, o in ((ours, sample.kwargs), (theirs, options))
        ]
        assert_close(pairs[0][1], pairs[1][1], wide, what)
