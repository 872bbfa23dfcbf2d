"""softxent.reference against ball arithmetic: the longdouble definitions are right to a few longdouble ulps."""

from __future__ import annotations

import numpy as np
import oracle
import oracle_loss
import pytest
from cases import CASES, SPREADS, confident_row, spread_row
from ulps import Exact, assert_within_ulps, errors

from softxent import reference
from softxent.errors import DTypeError, LabelError, OptionError, ShapeError
from softxent.options import LossOptions

pytestmark = pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="longdouble is no wider than float64 here")

# Longdouble ulps: the exponential and logarithm of the C library, a sum in pairs, a few operations.
FEW = 24
NONE = LossOptions(reduction="none")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_cases(case):
    """Softmax, log-softmax, loss and gradient of every row of the table, to a few ulps of longdouble."""
    row, index = case.row, None if len(case.row) < 50 else [0, 1, len(case.row) - 1]
    picked = slice(None) if index is None else index
    exact = oracle_loss.cross_entropy(row, case.label, index=index)
    loss, grad = reference.cross_entropy_value_and_grad(row, case.label, NONE)
    assert_within_ulps(reference.softmax(row)[picked], oracle.softmax(row, index), FEW, row=row, what="softmax")
    log_p = reference.log_softmax(row)[picked]
    assert_within_ulps(log_p, oracle.log_softmax(row, index), FEW, row=row, what="log_softmax")
    value, scale = oracle.logsumexp(row)
    assert_within_ulps(reference.logsumexp(row), value, FEW, row=row, scale=scale, what="logsumexp")
    if case.id != "huge-both-signs":  # 3.6e308 is a number in longdouble, and infinite to the oracle's float64
        assert_within_ulps(loss, exact.loss, FEW, row=row, what="loss")
    assert_within_ulps(grad[picked], exact.grad, FEW, row=row, what="gradient")


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("width", [2, 3, 10, 257, 3001])
def test_spreads(width, spread, rng):
    """The bound does not grow with the spread nor with the number of classes."""
    row = spread_row(rng, width, spread)
    label = int(rng.integers(width))
    index = np.unique(rng.integers(width, size=20))
    exact = oracle_loss.cross_entropy(row, label, index=index)
    loss, grad = reference.cross_entropy_value_and_grad(row, label, NONE)
    assert_within_ulps(reference.softmax(row)[index], oracle.softmax(row, index), FEW, row=row, what="softmax")
    assert_within_ulps(loss, exact.loss, FEW, row=row, what="loss")
    assert_within_ulps(grad[index], exact.grad, FEW, row=row, what="gradient")


@pytest.mark.parametrize("lead", [5.0, 17.0, 37.0, 45.0, 300.0, 5000.0])
def test_confident_rows(lead, rng):
    """Confident rows keep all digits, also where float64 has none left."""
    row, label = confident_row(rng, 50, lead)
    exact = oracle_loss.cross_entropy(row, label)
    loss, grad = reference.cross_entropy_value_and_grad(row, label, NONE)
    assert_within_ulps(loss, exact.loss, FEW, row=row, what="loss")
    assert_within_ulps(grad, exact.grad, FEW, row=row, what="gradient")


@pytest.mark.parametrize("soft", [False, True], ids=["index", "soft"])
@pytest.mark.parametrize("softcap", [None, 5.0])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("z_loss", [0.0, 1e-2])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_modifiers(soft, softcap, temperature, z_loss, smoothing, rng):
    """All modifiers together: loss, gradient and Hessian-vector product to a few ulps of the largest term.

    A softcap leaves c 2^-64 of absolute error in a logit, hence more ulps; a judge of float64 has a thousand to spare.
    """
    for _ in range(5):
        row, weight, tangent = rng.normal(size=7) * 4, rng.uniform(0.5, 2.0, 7), rng.normal(size=7)
        label = rng.dirichlet(np.ones(7)) if soft else int(rng.integers(7))
        modifiers = {"softcap": softcap, "temperature": temperature, "z_loss": z_loss, "label_smoothing": smoothing}
        exact = oracle_loss.cross_entropy(row, label, tangent=tangent, weight=weight, **modifiers)
        options = LossOptions(weight=weight, reduction="none", **modifiers)
        loss, grad = reference.cross_entropy_value_and_grad(row, label, options)
        product = reference.cross_entropy_hvp(row, label, tangent, options)
        assert_within_ulps(loss, exact.loss, FEW, row=row, scale=exact.loss_scale, what="loss")
        assert_within_ulps(grad, exact.grad, 2 * FEW, row=row, scale=exact.grad_scale, what="gradient")
        assert_within_ulps(product, exact.hvp, 2 * FEW, row=row, scale=exact.hvp_scale, what="product")


def test_elementwise_functions(rng):
    """Sigmoids and binary cross-entropy to a few ulps."""
    x = np.concatenate([rng.normal(size=50) * 5, rng.uniform(-800, 800, 50), [0.0, 40.0, -40.0]])
    assert_within_ulps(reference.sigmoid(x), oracle.sigmoid(x), FEW, row=x)
    assert_within_ulps(reference.log_sigmoid(x), oracle.log_sigmoid(x), FEW, row=x)
    y = rng.choice([0.0, 1.0, 0.3], x.size)
    loss, grad = reference.binary_cross_entropy_value_and_grad(x, y, pos_weight=1.5, reduction="none")
    for i in range(x.size):
        exact = oracle_loss.binary_cross_entropy(x[i], y[i], pos_weight=1.5)
        assert_within_ulps(loss[i], exact.loss, FEW, scale=exact.loss_scale)
        assert_within_ulps(grad[i], exact.grad, FEW, scale=exact.grad_scale)


def test_divergence_and_products(rng):
    """The K-L divergence, the Jacobian and its products, to a few ulps of their largest terms."""
    row, y, v = rng.normal(size=9) * 5, rng.dirichlet(np.ones(9)), rng.normal(size=9)
    value, scale = oracle_loss.kl_divergence(y, row)
    assert_within_ulps(reference.kl_divergence(y, row, reduction="none"), value, FEW, scale=scale)
    assert_within_ulps(reference.softmax_jacobian(row), oracle.softmax_jacobian(row), FEW)
    p = oracle.softmax(row).rounded(np.float64)
    value, scale = oracle.softmax_jvp(p, v)
    assert_within_ulps(reference.softmax_jvp(p, v), value, FEW, scale=scale)
    assert_within_ulps(reference.softmax_vjp(p, v), value, FEW, scale=scale)


def test_linear_is_the_loss_of_the_product(rng):
    """With whole numbers, whose products are exact, the linear loss is the loss of the logits, its gradients sums."""
    x, weight = rng.integers(-4, 5, (6, 3)).astype(float), rng.integers(-4, 5, (5, 3)).astype(float)
    bias, labels = rng.integers(-4, 5, 5).astype(float), np.array([0, 4, -100, 2, 1, 3])
    x[2] = np.nan  # its row is ignored
    options = LossOptions(reduction="sum")
    loss, (dx, dw, db) = reference.linear_cross_entropy_value_and_grad(x, weight, labels, options, bias=bias)
    kept = labels >= 0
    want, grad = reference.cross_entropy_value_and_grad(x[kept] @ weight.T + bias, labels[kept], options)
    assert loss == want
    assert np.array_equal(dx[kept], grad @ weight)
    assert (dx[2] == 0).all()
    assert np.array_equal(dw, grad.T @ x[kept])
    assert errors(db, Exact.of_longdouble(grad.sum(axis=0))).max() < 4


def test_odd_rows_without_warnings():
    """NaN, ±inf, ignored rows and empty batches give the contract's answers; warnings are errors here."""
    nan, inf = np.nan, np.inf
    rows = np.array([[0.0, -inf], [nan, 0.0], [inf, 0.0], [-inf, -inf], [nan, inf]])
    loss, grad = reference.cross_entropy_value_and_grad(rows, [1, 0, 0, 0, -100], NONE)
    assert loss.tolist()[0] == inf
    assert loss.tolist()[4] == 0.0
    assert np.isnan(loss[1:4]).all()
    assert grad[0].tolist() == [1.0, -1.0]
    assert np.isnan(grad[1:4]).all()
    assert grad[4].tolist() == [0.0, 0.0]
    assert reference.logsumexp(rows)[2:4].tolist() == [inf, -inf]
    loss, grad = reference.cross_entropy_value_and_grad(rows, [-100] * 5, LossOptions())
    assert np.isnan(loss)
    assert (grad == 0).all()
    loss, grad = reference.cross_entropy_value_and_grad(np.zeros((0, 3)), np.zeros(0, int), LossOptions())
    assert np.isnan(loss)
    assert grad.shape == (0, 3)
    assert reference.cross_entropy([0.0, -inf], [1.0, 0.0], NONE) == 0.0


def test_refusals():
    """What has no meaning is refused with the library's own errors."""
    with pytest.raises(LabelError, match=r"\[0, 2\); got 2"):
        reference.cross_entropy([0.0, 1.0], 2, NONE)
    with pytest.raises(DTypeError, match="integers"):
        reference.cross_entropy([[0.0, 1.0]], [1.0], NONE)
    with pytest.raises(ShapeError, match="labels"):
        reference.cross_entropy([[0.0, 1.0]], [1, 1], NONE)
    with pytest.raises(ShapeError, match="at least one class"):
        reference.softmax(np.zeros((2, 0)))
    with pytest.raises(OptionError, match="from_logits"):
        reference.cross_entropy([0.5, 0.5], 1, LossOptions(softcap=3.0), from_logits=False)
