"""The oracle against numbers published or proved elsewhere: 17 and 25 digits, and identities of its own."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import oracle
import oracle_loss
import pytest
from ulps import Exact, assert_within_ulps, errors
from vectors import DECIMAL_LABELS, GRADIENTS, HARD_LABELS, MODIFIED, PROBABILITIES


@pytest.mark.parametrize("vector", PROBABILITIES, ids=lambda v: str(v.logits))
def test_probabilities(vector):
    """Softmax, log-softmax and log-sum-exp equal the published digits, to the last one."""
    assert vector.softmax is None or oracle.softmax(vector.logits).rounded(np.float64).tolist() == vector.softmax
    if vector.log_softmax is not None:
        assert oracle.log_softmax(vector.logits).rounded(np.float64).tolist() == vector.log_softmax
    if vector.logsumexp is not None:
        assert float(oracle.logsumexp(vector.logits)[0].rounded(np.float64)) == vector.logsumexp


@pytest.mark.parametrize("vector", HARD_LABELS, ids=str)
def test_hard_label_losses(vector):
    """Losses and the label's pull equal the published digits, to the last one."""
    exact = oracle_loss.cross_entropy(vector.logits, vector.label)
    assert float(exact.loss.rounded(np.float64)) == vector.loss
    if vector.pull is not None:
        assert float(exact.grad[vector.label].rounded(np.float64)) == vector.pull


@pytest.mark.parametrize("vector", GRADIENTS, ids=str)
def test_gradients(vector):
    """Whole gradients equal the published digits, to the last one."""
    grad = oracle_loss.cross_entropy(vector.logits, vector.label).grad
    assert grad.rounded(np.float64).tolist() == vector.gradient


@pytest.mark.parametrize("vector", MODIFIED, ids=str)
def test_modified_losses(vector):
    """Smoothed and soft labels equal the published digits, to the last one."""
    exact = oracle_loss.cross_entropy(vector.logits, vector.label, **vector.modifiers)
    assert float(exact.loss.rounded(np.float64)) == vector.loss
    assert exact.grad.rounded(np.float64).tolist() == vector.gradient


@pytest.mark.parametrize("vector", DECIMAL_LABELS, ids=str)
def test_decimal_labels(vector):
    """Labels that float64 rounds give the published digits to an ulp of the largest term."""
    exact = oracle_loss.cross_entropy(vector.logits, vector.label)
    assert_within_ulps(np.array(vector.loss), exact.loss, 1, scale=exact.loss_scale)
    assert_within_ulps(np.array(vector.gradient), exact.grad, 1, scale=exact.grad_scale)


def test_25_digits():
    """The oracle's pairs hold the 25 published digits of the textbook example."""
    a = oracle.softmax([4.0, -4.0, 3.0])
    published = ["0.7308793357119100018564543", "0.0002451827026375594976402523", "0.2688754815854524386459054"]
    for i, digits in enumerate(published):
        assert abs(Fraction(a.hi[i]) + Fraction(a.lo[i]) - Fraction(digits) / Fraction(2) ** int(a.exponent[i])) < 1e-24
    exact = oracle_loss.cross_entropy([4.0, -4.0, 3.0], 2)
    value = (Fraction(float(exact.loss.hi)) + Fraction(float(exact.loss.lo))) * 2 ** int(exact.loss.exponent)
    assert abs(value - Fraction("1.313506900283053150065533")) < 1e-24


def test_single_precision_rounding():
    """Rounded to float32, the textbook examples have the published digits."""
    rounded = oracle.softmax([2.0, 3.0, 5.0]).rounded(np.float32).astype(np.float32)
    assert rounded.tolist() == np.array([0.042010065, 0.1141952, 0.84379476], np.float32).tolist()
    rounded = oracle.softmax([4.0, -4.0, 3.0]).rounded(np.float32).astype(np.float32)
    assert rounded.tolist() == np.array([0.7308793, 0.00024518272, 0.26887548], np.float32).tolist()


def test_jacobian():
    """The Jacobian of the textbook example has the published digits."""
    expected = [
        [0.19669473234122717, -0.00017919897083179024, -0.19651553337039537],
        [-0.00017919897083179024, 0.00024512258807988683, -6.592361724809659e-05],
        [-0.19651553337039537, -6.592361724809659e-05, 0.19658145698764345],
    ]
    assert oracle.softmax_jacobian([4.0, -4.0, 3.0]).rounded(np.float64).tolist() == expected


def test_mean_of_rows():
    """The mean over rows has the published digits."""
    losses = [oracle_loss.cross_entropy([4.0, -4.0, 3.0], 2).loss, oracle_loss.cross_entropy([1.0, 2.0, 3.0], 0).loss]
    assert float(oracle_loss.total(losses, 2.0).rounded(np.float64)) == 1.8605564323637167


def test_impossible_classes():
    """A logit of −inf is a class that does not exist; a label there costs infinity."""
    assert oracle.softmax([-math.inf, 0.0]).rounded(np.float64).tolist() == [0.0, 1.0]
    assert oracle.log_softmax([-math.inf, 0.0]).rounded(np.float64).tolist() == [-math.inf, 0.0]
    exact = oracle_loss.cross_entropy([-math.inf, 0.0], 0)
    assert float(exact.loss.hi) == math.inf
    assert exact.grad.rounded(np.float64).tolist() == [-1.0, 1.0]


def test_undefined_rows():
    """NaN, +inf and nothing but −inf give NaN."""
    for row in ([math.nan, 0.0], [math.inf, 0.0], [-math.inf, -math.inf]):
        assert np.isnan(oracle.softmax(row).hi).all()
        assert np.isnan(oracle_loss.cross_entropy(row, 0).grad.hi).all()


def test_giant_exponents_are_not_converted():
    """A difference of 1e308 neither hangs nor overflows the oracle."""
    assert oracle.softmax([1.797e308, 0.0]).rounded(np.float64).tolist() == [1.0, 0.0]
    big = float(np.finfo(np.float64).max)
    assert float(oracle_loss.cross_entropy([big, -big], 1).loss.rounded(np.float64)) == math.inf


def test_ulps_of_neighbours():
    """A float's neighbour is one ulp away, in every format, also below the smallest normal."""
    for dtype in (np.float16, np.float32, np.float64):
        for value in (1.0, 1.5, 0.1, np.finfo(dtype).smallest_normal, np.finfo(dtype).smallest_subnormal * 3):
            x = dtype(value)
            assert errors(np.nextafter(x, dtype(np.inf)), Exact.of(float(x))) == 1.0
            assert errors(x, Exact.of(float(x))) == 0.0


def test_ulps_of_special_values():
    """NaN matches NaN, an infinity its own sign, and an overflow matches an exact value that rounds to infinity."""
    assert errors(np.float64(np.nan), Exact.of(np.nan)) == 0
    assert errors(np.float64(0.0), Exact.of(np.nan)) == np.inf
    assert errors(np.float64(np.nan), Exact.of(0.0)) == np.inf
    assert errors(np.float64(np.inf), Exact.of(np.inf)) == 0
    assert errors(np.float64(-np.inf), Exact.of(np.inf)) == np.inf
    assert errors(np.float32(np.inf), Exact.of(1e39)) == 0
    assert errors(np.float32(np.inf), Exact.of(1e38)) == np.inf


def test_the_remainder_is_not_lost():
    """Half an ulp beside a float is an error of a half, not of 0 or 1: the exact value is not rounded first."""
    exact = Exact(np.array([0.5]), np.array([2.0**-54]), np.array([1]))  # 1 + 2^-53
    assert errors(np.array([1.0]), exact)[0] == 0.5
    with pytest.raises(AssertionError, match="ulps at"):
        assert_within_ulps(np.array([1.0 + 2**-49]), exact, 4)


def test_rounding_agrees_with_numpy(rng):
    """Rounding a float64 to a narrower format gives what NumPy's conversion gives, ties to even and subnormals too."""
    x = np.concatenate([rng.normal(size=2000), rng.uniform(-1, 1, 2000) * 1e-5, rng.uniform(-1, 1, 2000) * 1e-41])
    x = np.concatenate([x, 1 + np.arange(-8, 9) * 2.0**-12, 2.0**-25 * np.arange(1, 40)])
    with np.errstate(under="ignore"):
        for dtype in (np.float16, np.float32):
            assert Exact.of(x).rounded(dtype).tolist() == x.astype(dtype).astype(np.float64).tolist()
