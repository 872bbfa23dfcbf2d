"""Derivatives by identities: what they must satisfy whatever the numbers are, and differences of the definitions.

Finite differences judge only the longdouble reference, with fourth-order stencils. They are too coarse for the last
digits; but a formula that is wrong in the reference and in the oracle alike would show here.
"""

from __future__ import annotations

import itertools

import numpy as np
import oracle
import pytest
from cases import SPREADS, spread_row
from ulps import assert_contract, assert_same_bits

import softxent
from softxent import reference
from softxent.options import LossOptions

DTYPES = ("float32", "float64")
dtypes = pytest.mark.parametrize("dtype", DTYPES)


def eps(dtype) -> float:
    """Return the distance from 1 to the next number."""
    return float(np.finfo(dtype).eps)


@dtypes
@pytest.mark.parametrize("spread", SPREADS)
def test_gradients_sum_to_zero(spread, dtype, rng):
    """A hard label's gradient sums to 0 over the classes: what is pulled is what is pushed."""
    for width in (2, 5, 100, 1001):
        row = spread_row(rng, width, spread).astype(dtype)
        _, grad = softxent.cross_entropy_value_and_grad(row, int(rng.integers(width)))
        wide = grad.astype(np.longdouble)
        # Each element is off by up to 4 ulps of itself, or a subnormal spacing.
        bound = 4 * eps(dtype) * np.abs(wide).sum() + width * float(np.finfo(dtype).smallest_subnormal)
        assert abs(wide.sum()) <= bound


@dtypes
def test_probabilities_sum_to_one(dtype, rng):
    """Softmax sums to 1, and exp(log_softmax) is softmax."""
    for width in (1, 2, 7, 1000):
        row = spread_row(rng, width, 20.0).astype(dtype)
        p = softxent.softmax(row)
        assert abs(p.astype(np.longdouble).sum() - 1) <= 4 * eps(dtype)
        log_p = softxent.log_softmax(row).astype(np.longdouble)
        # exp turns an ulp of log p, at most 20 + ln(width), into as many of p.
        np.testing.assert_allclose(np.exp(log_p), p, rtol=150 * eps(dtype), atol=0)


@dtypes
def test_jacobian_is_symmetric(dtype, rng):
    """The Jacobian is symmetric bit for bit, its rows sum to 0, and no eigenvalue is negative."""
    for width in (1, 2, 3, 17):
        for spread in SPREADS:
            jacobian = softxent.softmax_jacobian(spread_row(rng, width, spread).astype(dtype))
            assert_same_bits(jacobian, jacobian.T)
            wide = jacobian.astype(np.longdouble)
            # Below the smallest normal number an element is off by up to a subnormal spacing.
            subnormal = width * float(np.finfo(dtype).smallest_subnormal)
            assert (np.abs(wide.sum(1)) <= 8 * eps(dtype) * np.abs(wide).sum(1) + subnormal).all()
            assert np.linalg.eigvalsh(jacobian.astype(float)).min() >= -4 * eps(dtype)


@dtypes
def test_products_are_the_jacobian(dtype, rng):
    """JVP and VJP are the Jacobian's product with a vector, and one map; the loss's Hessian is that Jacobian."""
    row, v = (rng.normal(size=9) * 3).astype(dtype), rng.normal(size=9).astype(dtype)
    p = softxent.softmax(row)
    want = reference.softmax_jacobian(row) @ v.astype(np.longdouble)
    size = (np.abs(reference.softmax_jacobian(row)) @ np.abs(v)).astype(float)
    assert_same_bits(softxent.softmax_jvp(p, v), softxent.softmax_vjp(p, v))
    assert (np.abs(softxent.softmax_jvp(p, v) - want) <= 8 * eps(dtype) * size).all()
    hvp = softxent.cross_entropy_hvp(row, 4, v)
    assert (np.abs(hvp - want) <= 8 * eps(dtype) * size).all()
    for label in range(9):
        assert_same_bits(softxent.cross_entropy_hvp(row, label, v), hvp, "a hard label does not enter its Hessian")


@dtypes
def test_hessian_is_symmetric(dtype, rng):
    """⟨u, H v⟩ = ⟨v, H u⟩, with every modifier."""
    row, u, v = (rng.normal(size=8).astype(dtype) for _ in range(3))
    for modifiers in (
        {},
        {"softcap": 2.0},
        {"temperature": 0.5},
        {"z_loss": 0.3},
        {"softcap": 2.0, "label_smoothing": 0.2},
    ):
        left = u.astype(np.longdouble) @ softxent.cross_entropy_hvp(row, 3, v, **modifiers)
        right = v.astype(np.longdouble) @ softxent.cross_entropy_hvp(row, 3, u, **modifiers)
        size = np.abs(u).astype(float) @ np.abs(softxent.cross_entropy_hvp(row, 3, v, **modifiers)).astype(float) + 1
        assert abs(left - right) <= 16 * eps(dtype) * size


@dtypes
def test_two_classes_are_the_sigmoid(dtype, rng):
    """softmax([x, 0]) = [σ(x), σ(−x)], its logarithm log σ, and the loss of two classes the binary one."""
    x = np.concatenate([rng.normal(size=50) * 4, rng.uniform(-100, 100, 50)]).astype(dtype)
    pairs = np.stack([x, np.zeros_like(x)], axis=-1)
    assert_contract(softxent.softmax(pairs)[:, 0], oracle.sigmoid(x))
    assert_contract(softxent.log_softmax(pairs)[:, 0], oracle.log_sigmoid(x))
    loss, grad = softxent.cross_entropy_value_and_grad(pairs, np.zeros(100, int), reduction="none")
    binary, binary_grad = softxent.binary_cross_entropy_value_and_grad(x, np.ones_like(x), reduction="none")
    np.testing.assert_allclose(loss, binary, rtol=8 * eps(dtype), atol=0)
    np.testing.assert_allclose(grad[:, 0], binary_grad, rtol=8 * eps(dtype), atol=0)


@dtypes
def test_divergence_and_cross_entropy_have_one_gradient(dtype, rng):
    """KL(y ‖ p) = H(y, p) − H(y): they differ by a constant of the labels, whatever the logits."""
    y = rng.dirichlet(np.ones(6)).astype(dtype)
    entropy = -(y.astype(np.longdouble) * np.log(y.astype(np.longdouble))).sum()
    for _ in range(20):
        row = (rng.normal(size=6) * 5).astype(dtype)
        difference = softxent.cross_entropy(row, y).astype(np.longdouble) - softxent.kl_divergence(y, row)
        assert abs(difference - entropy) <= 16 * eps(dtype) * (1 + softxent.cross_entropy(row, y))


@dtypes
def test_one_hot_labels_are_index_labels(dtype, rng):
    """The loss of one-hot probabilities is that of the index, and the gradient too, to the contract's ulps."""
    rows, labels = (rng.normal(size=(40, 6)) * 8).astype(dtype), rng.integers(6, size=40)
    hot = softxent.one_hot(labels, 6, dtype=dtype)
    for modifiers in ({}, {"label_smoothing": 0.1}, {"softcap": 5.0}, {"z_loss": 0.1}):
        loss, grad = softxent.cross_entropy_value_and_grad(rows, labels, reduction="none", **modifiers)
        soft, soft_grad = softxent.cross_entropy_value_and_grad(rows, hot, reduction="none", **modifiers)
        np.testing.assert_allclose(soft, loss, rtol=8 * eps(dtype), atol=0)
        # Smoothed gradients cancel: the largest term is below 1 + 2 λ lse.
        np.testing.assert_allclose(soft_grad, grad, rtol=8 * eps(dtype), atol=32 * eps(dtype) * bool(modifiers))


@dtypes
def test_labels_that_are_the_probabilities(dtype, rng):
    """At y = p the loss is the entropy of p, and the gradient vanishes."""
    row = (rng.normal(size=12) * 3).astype(dtype)
    p = softxent.softmax(row)
    loss, grad = softxent.cross_entropy_value_and_grad(row, p)
    wide = p.astype(np.longdouble)
    assert abs(loss + (wide * np.log(wide)).sum()) <= 8 * eps(dtype) * loss
    assert (np.abs(grad) <= 8 * eps(dtype) * p).all()


@dtypes
def test_shift_invariance(dtype, rng):
    """A shift that is exact in floating point changes a result by less than the two results' own errors."""
    rows = rng.integers(-50, 50, (30, 8)).astype(dtype)
    labels = rng.integers(8, size=30)
    for shift in (1.0, -300.0, 4096.0, 2.0**20):
        moved = rows + np.array(shift, dtype)
        for got, want in zip(
            (
                softxent.softmax(moved),
                softxent.log_softmax(moved),
                *softxent.cross_entropy_value_and_grad(moved, labels),
            ),
            (softxent.softmax(rows), softxent.log_softmax(rows), *softxent.cross_entropy_value_and_grad(rows, labels)),
            strict=True,
        ):
            assert (np.abs(got - want) <= 2 * np.spacing(np.abs(want))).all()


def test_hardmax_is_the_limit_of_low_temperature(rng):
    """softmax(x/T) for T → 0 is hardmax where the maximum is unique."""
    row = rng.permutation(10).astype(float)
    assert_same_bits(softxent.softmax(row * 1e4), softxent.hardmax(row))
    loss, grad = softxent.cross_entropy_value_and_grad(row, int(np.argmax(row)), temperature=1e-4)
    assert loss == 0.0
    assert not grad.any()


# Options whose derivatives have different parts; the reference's formulas are checked with each.
CHOICES = [
    {"label_smoothing": s, "z_loss": z, "softcap": c, "temperature": t, "weight": w}
    for s, z, c, t, w in itertools.product(
        (0.0, 0.2), (0.0, 0.3), (None, 2.0), (1.0, 0.6), (None, (0.5, 1.0, 2.0, 1.5))
    )
]


def slope(function, step):
    """Return the fourth-order central difference of a function of one number, at 0."""
    return (8 * (function(step) - function(-step)) - (function(2 * step) - function(-2 * step))) / (12 * step)


@pytest.mark.parametrize("soft", [False, True], ids=["index", "soft"])
@pytest.mark.parametrize("choice", CHOICES, ids=lambda c: "-".join(str(v) for v in c.values()))
def test_reference_against_differences(choice, soft, rng):
    """The reference's gradient is the slope of its loss, and its Hessian's product the slope of its gradient."""
    x, v = rng.normal(size=(3, 4)).astype(np.longdouble), rng.normal(size=(3, 4)).astype(np.longdouble)
    labels = rng.dirichlet(np.ones(4), 3) if soft else np.array([0, -100, 3])
    options = LossOptions(**choice)
    step = np.longdouble(2) ** -13  # h^4 ~ 2e-16, and 2^-64 / h ~ 4e-16
    loss_slope = slope(lambda h: reference.cross_entropy(x + h * v, labels, options), step)
    _, grad = reference.cross_entropy_value_and_grad(x, labels, options)
    np.testing.assert_allclose(float((grad * v).sum()), float(loss_slope), rtol=0, atol=1e-12)
    grad_slope = slope(lambda h: reference.cross_entropy_value_and_grad(x + h * v, labels, options)[1], step)
    product = reference.cross_entropy_hvp(x, labels, v, options)
    np.testing.assert_allclose(product.astype(float), grad_slope.astype(float), rtol=0, atol=1e-12)


@pytest.mark.parametrize("from_logits", [True, False], ids=["logits", "probabilities"])
def test_binary_reference_against_differences(from_logits, rng):
    """The binary gradient is the slope of the binary loss."""
    x, v = rng.uniform(0.2, 0.8, 6).astype(np.longdouble), rng.normal(size=6)
    y, w, q = rng.uniform(size=6), rng.uniform(0.5, 2.0, 6), rng.uniform(0.5, 2.0, 6)
    given = {"weight": w, "pos_weight": q, "from_logits": from_logits}
    difference = slope(lambda h: reference.binary_cross_entropy(x + h * v, y, **given), np.longdouble(2) ** -13)
    _, grad = reference.binary_cross_entropy_value_and_grad(x, y, **given)
    # With probabilities the fifth derivative is 24/p^5, up to 75,000 times the logits'.
    np.testing.assert_allclose(float((grad * v).sum()), float(difference), rtol=0, atol=1e-12 if from_logits else 1e-9)


def test_probability_reference_against_differences(rng):
    """With probabilities, −t/p is the slope of −Σ t log p, and t v/p² that of −t/p."""
    p, v = rng.uniform(0.3, 0.9, (3, 4)).astype(np.longdouble), rng.normal(size=(3, 4)) * 0.1
    labels, options = np.array([0, 1, 3]), LossOptions(label_smoothing=0.1)
    given = {"from_logits": False}
    step = np.longdouble(2) ** -10
    difference = slope(lambda h: reference.cross_entropy(p + h * v, labels, options, **given), step)
    _, grad = reference.cross_entropy_value_and_grad(p, labels, options, **given)
    np.testing.assert_allclose(float((grad * v).sum()), float(difference), rtol=0, atol=1e-11)
    difference = slope(lambda h: reference.cross_entropy_value_and_grad(p + h * v, labels, options, **given)[1], step)
    product = reference.cross_entropy_hvp(p, labels, v, options, **given)
    np.testing.assert_allclose(product.astype(float), difference.astype(float), rtol=0, atol=1e-9)
