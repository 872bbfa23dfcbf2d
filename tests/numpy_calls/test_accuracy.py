"""Every element against ball arithmetic: softmax, log-softmax, log-sum-exp, hard-label loss and gradient.

The bound is the public one: 4 ulps of the exact value of the function at the given floating-point inputs, each element
for itself; within one subnormal spacing below the smallest normal number; 1 ulp in half precision.
"""

from __future__ import annotations

import numpy as np
import oracle
import oracle_loss
import pytest
from cases import CASES, SPREADS, WIDE, WIDTHS, confident_row, spread_row
from ulps import DTYPES, Exact, assert_contract, assert_within_ulps

import softxent
from softxent import reference
from softxent.options import LossOptions

WORKING = ("float32", "float64")
HALF = ("float16", "bfloat16")


# Up to here ball arithmetic judges every class. In longer rows it judges some, and the longdouble reference, which
# tests/reference/test_reference.py holds to a few ulps of 2^-64, judges all of them.
LONG = 200


def judge(got, exact_of, reference_of, row, what):
    """Judge a row's result: exact_of(index) gives the exact values of some classes, reference_of() those of all."""
    if row.size <= LONG:
        assert_contract(got, exact_of(None), row=row, what=what)
        return
    picked = np.unique([0, row.size - 1, np.argmax(row), np.argmin(row), *range(7, row.size, row.size // 25)])
    assert_contract(got[picked], exact_of(picked), row=row, what=f"{what} at {picked}")
    bound = 1.01 if got.dtype.itemsize == 2 else 4.01
    assert_contract(got, Exact.of_longdouble(reference_of()), row=row, what=what, ulps=bound)


def check_softmax(row, label):
    """Judge softmax of a row."""
    got = softxent.softmax(row)
    judge(got, lambda index: oracle.softmax(row, index), lambda: reference.softmax(row), row, "softmax")


def check_log_softmax(row, label):
    """Judge log_softmax of a row."""
    got = softxent.log_softmax(row)
    judge(got, lambda index: oracle.log_softmax(row, index), lambda: reference.log_softmax(row), row, "log_softmax")


def check_logsumexp(row, label):
    """Judge logsumexp of a row, against max(|m|, log S)."""
    exact, scale = oracle.logsumexp(row)
    assert_contract(softxent.logsumexp(row), exact, row=row, scale=scale, what="logsumexp")


def check_hard_label(row, label):
    """Judge the loss and every element of the gradient for a row's label."""
    loss, grad = softxent.cross_entropy_value_and_grad(row, label, reduction="none")
    exact = oracle_loss.cross_entropy(row, label, index=[label])
    assert_contract(loss, exact.loss, row=row, what=f"loss of label {label}", ulps=4.0)
    assert_contract(grad[[label]], exact.grad, row=row, what=f"pull on label {label}")
    judge(
        grad,
        lambda index: oracle_loss.cross_entropy(row, label, index=index).grad,
        lambda: reference.cross_entropy_value_and_grad(row, label, LossOptions())[1],
        row,
        f"gradient for label {label}",
    )


CHECKS = {
    "softmax": check_softmax,
    "log_softmax": check_log_softmax,
    "logsumexp": check_logsumexp,
    "hard-label": check_hard_label,
}


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("dtype", WORKING)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_cases(case, dtype, check):
    """Each row of the table of cases is right to 4 ulps."""
    if dtype == "float32" and max(map(abs, case.row)) > float(np.finfo(np.float32).max):
        pytest.skip("these logits are infinite in float32")
    row = np.array(case.row, dtype)
    CHECKS[check](row, case.label)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_cases_in_half_precision(case, dtype, check):
    """In half precision the result is the exact value rounded, to 1 ulp; the loss is float32 and right to 4."""
    with np.errstate(over="ignore"):
        row = np.array(case.row).astype(DTYPES[dtype])
    if not np.isfinite(row.astype(np.float64)).all():
        pytest.skip(f"these logits are infinite in {dtype}")
    CHECKS[check](row, case.label)


@pytest.mark.parametrize("dtype", WORKING)
@pytest.mark.parametrize("width", WIDTHS)
def test_widths_and_spreads(width, dtype, rng):
    """Any number of classes, any spread: softmax, log-softmax, and the gradient for a likely and an unlikely label."""
    spreads = SPREADS if width < 300 else rng.choice(SPREADS, 2, replace=False)
    for spread in spreads:
        row = spread_row(rng, width, spread).astype(dtype)
        check_softmax(row, None)
        check_log_softmax(row, None)
        check_logsumexp(row, None)
        for label in (int(np.argmax(row)), int(np.argmin(row)), int(rng.integers(width))):
            check_hard_label(row, label)


@pytest.mark.parametrize("dtype", WORKING)
@pytest.mark.parametrize("lead", [0.5, 5.0, 15.0, 17.0, 30.0, 36.0, 37.5, 45.0, 90.0, 300.0])
def test_confident_rows(lead, dtype, rng):
    """However confident the row, the loss and the label's pull are right: they are no 1 − p."""
    for width in (2, 3, 10, 100, 1000):
        row, label = confident_row(rng, width, lead)
        check_hard_label(row.astype(dtype), label)
        check_log_softmax(row.astype(dtype), label)


@pytest.mark.parametrize("dtype", WORKING)
@pytest.mark.parametrize("spread", SPREADS)
def test_many_rows_at_once(spread, dtype, rng):
    """A matrix of rows gives what each row gives, right to 4 ulps."""
    rows = np.stack([spread_row(rng, 10, spread) for _ in range(60)]).astype(dtype)
    labels = rng.integers(10, size=60)
    p, log_p = softxent.softmax(rows), softxent.log_softmax(rows)
    loss, grad = softxent.cross_entropy_value_and_grad(rows, labels, reduction="none")
    for i, row in enumerate(rows):
        exact = oracle_loss.cross_entropy(row, labels[i])
        assert_contract(p[i], oracle.softmax(row), row=row)
        assert_contract(log_p[i], oracle.log_softmax(row), row=row)
        assert_contract(loss[i], exact.loss, row=row)
        assert_contract(grad[i], exact.grad, row=row)


@pytest.mark.parametrize("dtype", WORKING)
@pytest.mark.parametrize("width", WIDE)
def test_vocabularies(width, dtype, rng):
    """A row of a language model's length is right to 4 ulps in every class."""
    row = (rng.normal(size=width) * 4).astype(dtype)
    check_softmax(row, None)
    if dtype == "float64":
        check_log_softmax(row, None)
        check_hard_label(row, int(np.argmax(row)))
    else:
        check_hard_label(row, 17)


@pytest.mark.parametrize("dtype", WORKING)
def test_million_equal_classes(dtype):
    """A million equal classes: each has the probability 1e-6 rounded, and the loss is ln(1e6)."""
    row = np.full(1_000_000, 0.75, dtype)
    loss, grad = softxent.cross_entropy_value_and_grad(row, 3, reduction="none")
    one_row = oracle.settle(lambda: [(oracle.arb(1) / 10**6, None), (oracle.arb(10**6).log(), None)])[0]
    assert_within_ulps(softxent.softmax(row)[:1], one_row[:1], 4)
    assert len(set(softxent.softmax(row).tolist())) == 1
    assert_within_ulps(np.atleast_1d(loss), one_row[1:], 4)
    assert_within_ulps(grad[:1], one_row[:1], 4)


@pytest.mark.parametrize("dtype", WORKING)
def test_jacobian(dtype, rng):
    """Every element of the Jacobian is right to 4 ulps: the diagonal is no p (1 − p) with a cancelled 1 − p."""
    rows = [np.array(case.row, dtype) for case in CASES if len(case.row) <= 10 and max(map(abs, case.row)) < 1e38]
    rows += [spread_row(rng, 20, spread).astype(dtype) for spread in SPREADS]
    for row in rows:
        assert_contract(softxent.softmax_jacobian(row), oracle.softmax_jacobian(row), row=row, what="Jacobian")


@pytest.mark.parametrize("function", ["sigmoid", "log_sigmoid"])
@pytest.mark.parametrize("dtype", [*WORKING, *HALF])
def test_sigmoids(function, dtype, rng):
    """sigmoid and log_sigmoid are right to 4 ulps (1 in half precision) in both tails and where they are subnormal."""
    x = np.concatenate(
        [
            rng.normal(size=200) * 3,
            rng.uniform(-760, 760, 400),
            rng.uniform(-110, 110, 400),
            rng.normal(size=100) * 1e-4,
            [0.0, -0.0, 1e-300, -1e-300, 36.7, -36.7, 709.9, -709.9, -745.1, -745.2, -103.9, -87.4, 1e30, -1e30],
        ]
    )
    with np.errstate(over="ignore", under="ignore"):
        x = x.astype(DTYPES[dtype])
    x = x[np.isfinite(x.astype(np.float64))]
    exact = getattr(oracle, function)(x)
    assert_contract(getattr(softxent, function)(x), exact, row=x, what=function)


@pytest.mark.parametrize("dtype", [*WORKING, *HALF])
def test_jvp_and_vjp(dtype, rng):
    """The products with the Jacobian are right to 4 ulps of the largest term that is added."""
    for width in (1, 2, 3, 10, 65, 1000):
        for offset in (0.0, 1e3):
            p = softxent.softmax(spread_row(rng, width, 10.0)).astype(DTYPES[dtype])
            v = (rng.normal(size=width) + offset).astype(DTYPES[dtype])
            exact, scale = oracle.softmax_jvp(p, v)
            assert_contract(softxent.softmax_jvp(p, v), exact, row=v, scale=scale, what="JVP")
            assert_contract(softxent.softmax_vjp(p, v), exact, row=v, scale=scale, what="VJP")
