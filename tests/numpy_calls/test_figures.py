"""The figures that docs/numerics.md gives, tighter than the contract: half an ulp is the result's own rounding."""

from __future__ import annotations

import numpy as np
import pytest

import softxent
from softxent import reference
from softxent.options import LossOptions

BELOW = {np.float32: 0.65, np.float64: 0.72}


def worst_ulps(got, exact):
    """Return the largest error in ulps of the exact value, which longdouble holds to 2^-11 ulp of a float64."""
    spacing = np.spacing(np.abs(exact).astype(got.dtype))
    return float(np.max(np.abs(got.astype(np.longdouble) - exact) / spacing))


@pytest.mark.parametrize("dtype", BELOW, ids=lambda t: t.__name__)
@pytest.mark.parametrize(
    ("rows", "classes", "spread"), [(4096, 10, 3.0), (256, 1000, 1.0), (8, 50257, 3.0), (2, 200_000, 5.0)]
)
def test_errors_are_within_the_measured_figures(rows, classes, spread, dtype, rng):
    """Softmax, log-softmax, loss and gradient are the exact value rounded, but for a tenth or a fifth of an ulp."""
    z = (rng.standard_normal((rows, classes)) * spread).astype(dtype)
    y = rng.integers(0, classes, rows)
    loss, grad = softxent.cross_entropy_value_and_grad(z, y, reduction="none")
    exact_loss, exact_grad = reference.cross_entropy_value_and_grad(z, y, LossOptions(reduction="none"))
    assert worst_ulps(softxent.softmax(z), reference.softmax(z)) < BELOW[dtype]
    assert worst_ulps(softxent.log_softmax(z), reference.log_softmax(z)) < BELOW[dtype]
    assert worst_ulps(loss, exact_loss) < BELOW[dtype]
    assert worst_ulps(grad, exact_grad) < BELOW[dtype]


def test_float64_is_correctly_rounded_nearly_always(rng):
    """Of a hundred float64 probabilities 98 are the exact value rounded to nearest."""
    z = rng.standard_normal((20_000, 10)) * 3
    exact = reference.softmax(z).astype(np.float64)
    assert (softxent.softmax(z) == exact).mean() > 0.975
