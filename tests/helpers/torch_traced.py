"""What the tests of tracers share: all functions in one, so that a compiler is started once for all."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

import softxent.torch as sxt  # noqa: E402  # after the skip

MODIFIERS = {"label_smoothing": 0.1, "z_loss": 0.1, "softcap": 3.0, "temperature": 2.0}


def inputs(dtype=torch.float64):
    """Return logits, labels with one to ignore, probabilities, class weights and a matrix, others with every call."""
    y = torch.cat([torch.randint(0, 3, (3,)), torch.tensor([-100])])
    return (
        torch.randn(4, 3, dtype=dtype), y, torch.rand(4, 3, dtype=dtype), torch.rand(3, dtype=dtype) + 0.1,
        torch.randn(3, 3, dtype=dtype),
    )  # fmt: skip


def everything(z, y, s, w, m):
    """Return what every function gives for inputs()."""
    both = sxt.cross_entropy(z, y, return_lse=True, **MODIFIERS)
    both_linear = sxt.linear_cross_entropy(z, m, s, weight=w, return_lse=True)
    return (
        sxt.softmax(z, 1),
        sxt.log_softmax(z, 0),
        sxt.logsumexp(z, 1),
        sxt.cross_entropy(z, y),
        sxt.cross_entropy(z, y, w, reduction="none", **MODIFIERS),
        sxt.cross_entropy(z, s, w, reduction="sum"),
        both[0],
        both[1],
        sxt.linear_cross_entropy(z, m, y, z_loss=0.1),
        sxt.linear_cross_entropy(z, m, y, linear_bias=w, reduction="none"),
        both_linear[0],
        both_linear[1],
        sxt.binary_cross_entropy_with_logits(z, s, w),
    )


class Everything(torch.nn.Module):
    """The same as a module, which is what torch.export and torch.fx take."""

    def forward(self, z, y, s, w, m):
        """Return everything(…)."""
        return everything(z, y, s, w, m)


def compiled(function, backend="aot_eager", **options):
    """Return function compiled whole: a graph break is an error."""
    torch._dynamo.reset()
    return torch.compile(function, fullgraph=True, backend=backend, **options)


def total(results):
    """Return one number that depends on every element of results, on each in its own way."""
    results = results if isinstance(results, tuple) else (results,)
    return sum((r * torch.arange(1.0, r.numel() + 1, dtype=r.dtype).reshape(r.shape)).sum() for r in results)


def assert_same(got, want):
    """Compare float64 results that were computed in two ways."""
    torch.testing.assert_close(got, want, rtol=1e-11, atol=1e-13)
