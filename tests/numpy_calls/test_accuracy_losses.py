"""The losses that are sums of terms of both signs, and the modifiers, against ball arithmetic.

Soft labels, smoothing, z-loss and the Hessian's products cancel by nature: their error is measured in ulps of the
largest term that is added. Softcap, temperature and class weights with an index label cancel nothing: each element for
itself.
"""

from __future__ import annotations

import numpy as np
import oracle_loss
import pytest
from cases import SPREADS, confident_row, spread_row
from ulps import DTYPES, assert_contract

import softxent
from softxent.arrays.loss import evaluate
from softxent.options import LossOptions

WORKING = ("float32", "float64")
SIZES = (2, 3, 10, 65)


def evaluated(row, label, tangent=None, **modifiers):
    """Return what softxent.torch gets, whose soft labels may be any numbers."""
    options = LossOptions(reduction="none", **modifiers)
    return evaluate(row, label, options, axis=-1, from_logits=True, want_grad=tangent is None, tangent=tangent)


def check_row(row, label, *, tangent=None, any_label=False, **modifiers):
    """Judge loss, gradient, and with a tangent the Hessian-vector product of one row."""
    exact = oracle_loss.cross_entropy(row, label, tangent=tangent, **modifiers)
    if any_label:
        loss, grad = evaluated(row, label, **modifiers)
    else:
        loss, grad = softxent.cross_entropy_value_and_grad(row, label, reduction="none", **modifiers)
    text = f"label {label if np.ndim(label) == 0 else 'soft'}, {modifiers}"
    assert_contract(loss, exact.loss, scale=exact.loss_scale, row=row, ulps=4.0, what=f"loss, {text}")
    assert_contract(grad, exact.grad, scale=exact.grad_scale, row=row, what=f"gradient, {text}")
    if tangent is not None:
        if any_label:
            product = evaluated(row, label, tangent, **modifiers)[1]
        else:
            product = softxent.cross_entropy_hvp(row, label, tangent, reduction="none", **modifiers)
        assert_contract(product, exact.hvp, scale=exact.hvp_scale, row=row, what=f"Hessian-vector product, {text}")


def soft_label(rng, width, dtype):
    """Return probabilities with some exact zeros, which need not sum to 1 once they are rounded."""
    y = rng.dirichlet(np.ones(width)) * (rng.random(width) < 0.7)
    return y.astype(dtype)


@pytest.mark.parametrize("dtype", WORKING)
@pytest.mark.parametrize("spread", SPREADS)
def test_soft_labels(spread, dtype, rng):
    """Soft labels, whatever they sum to: loss, gradient and Hessian's product within 4 ulps of the largest term."""
    for width in SIZES:
        row = spread_row(rng, width, spread).astype(dtype)
        tangent = rng.normal(size=width).astype(dtype)
        check_row(row, soft_label(rng, width, dtype), tangent=tangent)
        check_row(row, (2 * soft_label(rng, width, dtype)).astype(dtype), tangent=tangent, any_label=True)
        check_row(row, rng.normal(size=width).astype(dtype), tangent=tangent, any_label=True)


@pytest.mark.parametrize("dtype", WORKING)
@pytest.mark.parametrize("smoothing", [1e-6, 0.1, 0.5, 1.0])
def test_smoothing_and_z_loss(smoothing, dtype, rng):
    """Label smoothing and z-loss, with index labels and soft ones."""
    for width in SIZES:
        for spread in (0.1, 3.0, 30.0, 300.0):
            row = spread_row(rng, width, spread).astype(dtype)
            tangent = rng.normal(size=width).astype(dtype)
            label = int(rng.integers(width))
            check_row(row, label, tangent=tangent, label_smoothing=smoothing)
            check_row(row, label, tangent=tangent, label_smoothing=smoothing, z_loss=1e-4)
            check_row(row, soft_label(rng, width, dtype), tangent=tangent, label_smoothing=smoothing, z_loss=0.5)


@pytest.mark.parametrize("dtype", WORKING)
@pytest.mark.parametrize("temperature", [1e-3, 0.1, 0.7, 2.0, 1e3])
def test_temperature(temperature, dtype, rng):
    """x/T of any size, with an index label: each element right to 4 ulps, though x/T itself is rounded."""
    for width in SIZES:
        for spread in (0.01, 1.0, 30.0, 500.0):
            row = spread_row(rng, width, spread).astype(dtype)
            tangent = rng.normal(size=width).astype(dtype)
            check_row(row, int(rng.integers(width)), temperature=temperature, tangent=tangent)
        row, label = confident_row(rng, width, 20.0)
        check_row((row + 1000).astype(dtype), label, temperature=temperature)


@pytest.mark.parametrize("dtype", WORKING)
@pytest.mark.parametrize("temperature", [0.9, 1.0848, 3.0])
def test_temperature_with_an_offset(temperature, dtype, rng):
    """A large common offset costs nothing, though x/T rounds neighbouring logits to one number."""
    for offset in (1e4, 91204.5, -3e5):
        for width in (2, 4, 10):
            row = (offset + rng.uniform(0, 0.5, width)).astype(dtype)
            tangent = rng.normal(size=width).astype(dtype)
            check_row(row, int(rng.integers(width)), temperature=temperature, tangent=tangent)


@pytest.mark.parametrize("dtype", WORKING)
def test_saturated_softcap(dtype):
    """Where the cap is reached and its slope is hardly a number, the gradient is right to one subnormal spacing."""
    largest = 43.0 if dtype == "float32" else 354.0  # sech² is subnormal from here on
    for softcap in (1.0, 17.5):
        row = (np.array([1.0, 0.5, 1.05, 1.01]) * largest * softcap).astype(dtype)
        check_row(row, 0, softcap=softcap)
        check_row(row, 1, softcap=softcap, z_loss=10.0)


@pytest.mark.parametrize("dtype", WORKING)
@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("softcap", [0.5, 5.0, 30.0, 50.0, 1000.0])
def test_softcap(softcap, temperature, dtype, rng):
    """c tanh(x/c)/T with an index label: each element right to 4 ulps, also where the cap is reached."""
    for width in SIZES:
        for spread in (0.01, 3.0, 30.0, 200.0):
            row = (spread_row(rng, width, spread) - spread / 2).astype(dtype)
            tangent = rng.normal(size=width).astype(dtype)
            check_row(row, int(rng.integers(width)), softcap=softcap, temperature=temperature, tangent=tangent)


@pytest.mark.parametrize("dtype", WORKING)
def test_class_weights(dtype, rng):
    """Class weights multiply the row's loss and gradient: each element right to 4 ulps."""
    for width in SIZES:
        weight = rng.uniform(0.1, 3.0, width)
        row = spread_row(rng, width, 10.0).astype(dtype)
        check_row(row, int(rng.integers(width)), weight=weight, tangent=rng.normal(size=width).astype(dtype))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(dtype, rng):
    """In half precision every modifier's gradient is the exact value rounded, to 1 ulp of the largest term."""
    for width in SIZES:
        row = spread_row(rng, width, 10.0).astype(DTYPES[dtype])
        label = int(rng.integers(width))
        check_row(row, label, softcap=5.0, temperature=0.7)
        check_row(row, label, label_smoothing=0.1, z_loss=1e-3, weight=rng.uniform(0.5, 2.0, width))
        check_row(row, soft_label(rng, width, np.float32))


@pytest.mark.parametrize("dtype", WORKING)
def test_probabilities(dtype, rng):
    """from_logits=False: −Σ t log p, −t/p and t v/p², within 4 ulps, with p = 0 and t = 0 adding nothing."""
    for width in SIZES:
        p = softxent.softmax(spread_row(rng, width, 10.0)).astype(dtype)
        p[rng.integers(width)] = 0.0
        tangent = rng.normal(size=width).astype(dtype)
        for label in (int(np.argmax(p)), (soft_label(rng, width, dtype) * (p > 0)).astype(dtype)):
            exact = oracle_loss.probability_loss(p, label, tangent=tangent)
            loss, grad = softxent.cross_entropy_value_and_grad(p, label, from_logits=False, reduction="none")
            product = softxent.cross_entropy_hvp(p, label, tangent, from_logits=False, reduction="none")
            assert_contract(loss, exact.loss, scale=exact.loss_scale, row=p, what="loss")
            assert_contract(grad, exact.grad, row=p, what="gradient")
            assert_contract(product, exact.hvp, row=p, what="Hessian-vector product")


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("dtype", WORKING)
@pytest.mark.parametrize("num_rows", [1, 7, 64, 1000])
def test_reductions(num_rows, dtype, reduction, rng):
    """Sums and means of hard-label losses are right to 4 + 2 ulps; the mean's gradient is over the number of rows."""
    rows = (rng.normal(size=(num_rows, 4)) * 3).astype(dtype)
    labels = rng.integers(4, size=num_rows)
    loss, grad = softxent.cross_entropy_value_and_grad(rows, labels, reduction=reduction)
    divisor = float(num_rows) if reduction == "mean" else 1.0
    exact = [oracle_loss.cross_entropy(row, y, divisor=divisor) for row, y in zip(rows, labels, strict=True)]
    assert_contract(np.asarray(loss), oracle_loss.total([e.loss for e in exact], divisor), ulps=6.0)
    for i in range(num_rows):
        assert_contract(grad[i], exact[i].grad, row=rows[i], what=f"gradient of row {i}")


@pytest.mark.parametrize("dtype", WORKING)
def test_binary_cross_entropy(dtype, rng):
    """Binary loss and gradient within 4 ulps of their largest term; for a target of 0 or 1 that is the value itself."""
    x = np.concatenate([rng.normal(size=100) * 5, rng.uniform(-750, 750, 60), [0.0, 40.0, -40.0, 1e20]]).astype(dtype)
    y = rng.choice([0.0, 1.0, 0.25, 0.9], x.size).astype(dtype)
    w, q = rng.uniform(0.5, 2.0, x.size), rng.uniform(0.5, 2.0, x.size)
    loss, grad = softxent.binary_cross_entropy_value_and_grad(x, y, weight=w, pos_weight=q, reduction="none")
    for i in range(x.size):
        exact = oracle_loss.binary_cross_entropy(float(x[i]), float(y[i]), weight=w[i], pos_weight=q[i])
        assert_contract(loss[i], exact.loss, scale=exact.loss_scale, row=x[i], what="loss")
        assert_contract(grad[i], exact.grad, scale=exact.grad_scale, row=x[i], what="gradient")


@pytest.mark.parametrize("dtype", WORKING)
def test_kl_divergence(dtype, rng):
    """Σ y (log y − log p) within 4 ulps of its largest term."""
    for width in SIZES:
        for spread in (0.1, 10.0, 300.0):
            row, y = spread_row(rng, width, spread).astype(dtype), soft_label(rng, width, dtype)
            exact, scale = oracle_loss.kl_divergence(y, row)
            assert_contract(softxent.kl_divergence(y, row, reduction="none"), exact, scale=scale, row=row)
