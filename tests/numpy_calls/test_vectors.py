"""softxent gives the published numbers: 4 ulps of the 17-digit vectors, and the digits that textbooks print."""

from __future__ import annotations

import numpy as np
import oracle
import oracle_loss
import pytest
from ulps import Exact, assert_contract, assert_within_ulps
from vectors import DECIMAL_LABELS, GRADIENTS, HARD_LABELS, MODIFIED, PRINTED_DOUBLE, PRINTED_SINGLE, PROBABILITIES

import softxent
from softxent.arrays.loss import evaluate
from softxent.options import LossOptions

# A shortest representation is the exact value rounded: half an ulp of its own is added to the 4 of the contract.
PUBLISHED = 4.5


def is_published(got, digits, scale=None):
    """Assert that a float64 result has the published digits to 4 ulps."""
    assert_within_ulps(np.asarray(got), Exact.of(np.asarray(digits, float)), PUBLISHED, scale=scale)


@pytest.mark.parametrize("vector", PROBABILITIES, ids=lambda v: str(v.logits[:5]))
def test_probabilities(vector):
    """Softmax, log-softmax and log-sum-exp give the published numbers."""
    if vector.softmax is not None:
        is_published(softxent.softmax(vector.logits), vector.softmax)
    if vector.log_softmax is not None:
        is_published(softxent.log_softmax(vector.logits), vector.log_softmax)
    if vector.logsumexp is not None:
        is_published(softxent.logsumexp(vector.logits), vector.logsumexp)


@pytest.mark.parametrize("vector", [*HARD_LABELS, *GRADIENTS], ids=str)
def test_hard_labels(vector):
    """Losses, pulls and whole gradients give the published numbers."""
    loss, grad = softxent.cross_entropy_value_and_grad(vector.logits, vector.label)
    if vector.gradient is not None:
        is_published(grad, vector.gradient)
        return
    is_published(loss, vector.loss)
    if vector.pull is not None:
        is_published(grad[vector.label], vector.pull)


@pytest.mark.parametrize("vector", [*MODIFIED, *DECIMAL_LABELS], ids=str)
def test_modified(vector):
    """Smoothed and soft labels give the published numbers, to ulps of the largest term."""
    label = vector.label if np.ndim(vector.label) == 0 else np.array(vector.label)
    exact = oracle_loss.cross_entropy(vector.logits, label, **vector.modifiers)
    if np.min(label) >= 0 and (np.ndim(label) == 0 or np.max(label) <= 1):
        loss, grad = softxent.cross_entropy_value_and_grad(vector.logits, label, **vector.modifiers)
    else:  # what softxent.torch gets, whose soft labels may be any numbers
        options = LossOptions(**vector.modifiers)
        loss, grad = evaluate(vector.logits, label, options, axis=-1, from_logits=True, want_grad=True)
    is_published(loss, vector.loss, exact.loss_scale)
    is_published(grad, vector.gradient, exact.grad_scale)


@pytest.mark.parametrize(("logits", "printed"), PRINTED_SINGLE)
def test_digits_that_single_precision_prints(logits, printed):
    """The textbooks' float32 digits lie within an ulp or the printed digits; ours are right."""
    p = softxent.softmax(np.array(logits, np.float32))
    assert p.dtype == np.float32
    np.testing.assert_allclose(p, printed, rtol=3e-5, atol=0)  # 0.00024518 is printed with five digits
    assert_contract(p, oracle.softmax(logits))


@pytest.mark.parametrize(("logits", "printed"), PRINTED_DOUBLE)
def test_digits_that_double_precision_prints(logits, printed):
    """The textbooks' nine float64 digits are ours."""
    assert [float(f"{v:.8e}") for v in softxent.softmax(logits)] == printed


def test_linear_shares_beside_the_softmax():
    """[2, 3, 5]: dividing by the sum gives 0.2, 0.3, 0.5; the softmax favours the largest."""
    x = np.array([2.0, 3.0, 5.0])
    assert (x / x.sum()).tolist() == [0.2, 0.3, 0.5]
    is_published(softxent.softmax(x), PROBABILITIES[1].softmax)


def test_example_in_single_precision():
    """[4, −4, 3] with label 2: the float32 loss is 1.3135068 and the gradient a − y."""
    loss, grad = softxent.cross_entropy_value_and_grad(np.array([4, -4, 3], np.float32), 2)
    assert loss.dtype == np.float32
    assert float(f"{loss:.7f}") in (1.3135068, 1.3135070)
    exact = oracle_loss.cross_entropy([4.0, -4.0, 3.0], 2)
    assert_contract(loss, exact.loss)
    assert_contract(grad, exact.grad)


def test_logits_and_probabilities_agree():
    """Two samples of ten classes: from_logits=True and False give one loss, to the rounding of the probabilities."""
    x = np.array(
        [[0.1, 2.0, -1.0, 0.5, 0.0, 1.0, -2.0, 0.3, 0.7, -0.2], [1.0, 0.2, 0.3, 3.0, -1.0, 0.0, 2.0, 0.1, -3, 1]]
    )
    labels = np.array([1, 3])
    from_logits = softxent.cross_entropy(x, labels)
    from_probabilities = softxent.cross_entropy(softxent.softmax(x), labels, from_logits=False)
    one_hot = softxent.cross_entropy(x, softxent.one_hot(labels, 10, dtype=np.float64))
    np.testing.assert_allclose([from_probabilities, one_hot], from_logits, rtol=1e-15, atol=0)


def test_hardmax_and_sigmoid_of_zero():
    """hardmax([1, 2, 3, 4, 5]) is one-hot at the last; σ(0) = 0.5 exactly."""
    assert softxent.hardmax([1.0, 2.0, 3.0, 4.0, 5.0]).tolist() == [0.0, 0.0, 0.0, 0.0, 1.0]
    assert softxent.sigmoid(0.0) == 0.5


def test_mean_of_two_rows():
    """([4, −4, 3], 2) and ([1, 2, 3], 0): plain, weighted and with one ignored, the published means."""
    x, labels = np.array([[4.0, -4.0, 3.0], [1.0, 2.0, 3.0]]), np.array([2, 0])
    is_published(softxent.cross_entropy(x, labels), 1.8605564323637167)
    is_published(softxent.cross_entropy(x, labels, weight=[1, 2, 3]), 1.587031666323385)
    is_published(softxent.cross_entropy(x, [2, -100]), 1.313506900283053)


def test_loss_of_the_labels_is_linear():
    """∂loss/∂y = lse − z = −log p: the loss of soft labels is their inner product with −log p."""
    x = [4.0, -4.0, 3.0]
    for c in range(3):
        is_published(softxent.cross_entropy(x, np.eye(3)[c]), -softxent.log_softmax(x)[c])
