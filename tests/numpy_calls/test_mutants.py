"""The judges bite: every wrong function of the zoo below is rejected by the assertions that accept softxent.

A mutant is what people write: no shift, an ε in the logarithm, p − 1, a mean over the wrong number, a sign, an axis, a
small element lost. Each is judged on the rows that the accuracy tests use.
"""

from __future__ import annotations

import numpy as np
import oracle
import oracle_loss
import pytest
from ulps import assert_contract

import softxent

ROWS = (
    np.array([[4.0, -4.0, 3.0], [1.0, 2.0, 3.0], [0.5, 20.0, 3.0]]),
    np.array([[40.0, 0.0], [0.25, 0.5], [-750.0, 0.0]]),
    np.array([[123.0, 456.0, 789.0], [-1e3, -1001.0, -1003.0], [0.1, 77.3, 50.0 / 3]]),
    np.random.default_rng(30).normal(size=(4, 641)) * 3,
)
LABELS = (np.array([2, 0, 1]), np.array([0, 1, 1]), np.array([2, 1, 1]), np.array([0, 640, 77, 300]))
WEIGHT = 3.0 ** np.arange(-1, 2)


def judge_softmax(function) -> None:
    """Assert that a function is softmax, on all rows, and that it leaves its argument alone."""
    for rows in ROWS:
        given = rows.copy()
        with np.errstate(all="ignore"):
            got = function(given)
        for row, p in zip(rows, got, strict=True):
            assert_contract(p, oracle.softmax(row), row=row, what="softmax")
        assert np.array_equal(given, rows), "the argument was written"


def judge_log_softmax(function) -> None:
    """Assert that a function is log_softmax, on all rows."""
    for rows in ROWS:
        with np.errstate(all="ignore"):
            got = function(rows.copy())
        for row, log_p in zip(rows, got, strict=True):
            assert_contract(log_p, oracle.log_softmax(row), row=row, what="log_softmax")


def judge_gradient(function) -> None:
    """Assert that a function of (rows, labels) is the gradient of the mean cross-entropy."""
    for rows, labels in zip(ROWS, LABELS, strict=True):
        with np.errstate(all="ignore"):
            got = function(rows.copy(), labels)
        for i, row in enumerate(rows):
            exact = oracle_loss.cross_entropy(row, labels[i], divisor=float(len(rows)))
            assert_contract(got[i], exact.grad, row=row, what=f"gradient of row {i}")


def judge_options(function) -> None:
    """Assert that a function (rows, labels, weight, smoothing) is the mean loss and gradient, one row being ignored."""
    rows, labels = ROWS[0], np.array([2, -100, 1])
    divisor = WEIGHT[2] + WEIGHT[1]
    loss, grad = function(rows, labels, WEIGHT, 0.1)
    exact = [
        oracle_loss.cross_entropy(rows[i], labels[i], weight=WEIGHT, label_smoothing=0.1, divisor=divisor)
        for i in (0, 2)
    ]
    assert_contract(np.asarray(loss), oracle_loss.total([e.loss for e in exact], divisor), ulps=6.0)
    for i, e in zip((0, 2), exact, strict=True):
        assert_contract(grad[i], e.grad, scale=e.grad_scale, row=rows[i])
    assert (grad[1] == 0).all()


def judge_vjp(function) -> None:
    """Assert that a function (p, cotangent) is softmax's vector-Jacobian product."""
    for rows in ROWS:
        p, g = softxent.softmax(rows), np.random.default_rng(31).normal(size=rows.shape)
        got = function(p, g)
        for i in range(len(rows)):
            exact, scale = oracle.softmax_jvp(p[i], g[i])
            assert_contract(got[i], exact, scale=scale)


def judge_jacobian(function) -> None:
    """Assert that a function of one row is softmax's Jacobian."""
    for row in ROWS[0]:
        assert_contract(function(row), oracle.softmax_jacobian(row), row=row)


def shifted(z):
    """Return the textbook's stable softmax."""
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def hot(z, y):
    """Return one-hot labels."""
    return np.eye(z.shape[-1])[y]


def changed(result, index, value):
    """Return result with one element set."""
    copy = np.array(result)
    copy[index] = value
    return copy


def ours(z, y):
    """Return softxent's gradient of the mean."""
    return softxent.cross_entropy_value_and_grad(z, y)[1]


def in_place(z):
    """Write into the caller's array, as `scores -= scores.max()` does."""
    p = softxent.softmax(z)
    z -= z.max(-1, keepdims=True)
    return p


def half_sum(z):
    """Add the exponentials in half precision."""
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.astype(np.float16).sum(-1, keepdims=True, dtype=np.float16)


def single_sum(z):
    """Add the exponentials in single precision, one after the other."""
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / np.cumsum(e, axis=-1, dtype=np.float32)[..., -1:]


def wide_rows_wrong(z):
    """Be wrong in the last element where the width is odd and over 512."""
    p = softxent.softmax(z)
    return p if z.shape[-1] <= 512 else changed(p, (..., -1), 0.0)


def second_row_wrong(z):
    """Reuse the first row's sum for the second."""
    return changed(softxent.softmax(z), 1, softxent.softmax(z)[1] * (1 + 1e-14))


SOFTMAX_MUTANTS = {
    "no shift": lambda z: np.exp(z) / np.exp(z).sum(-1, keepdims=True),
    "global maximum": lambda z: np.exp(z - z.max()) / np.exp(z - z.max()).sum(-1, keepdims=True),
    "wrong axis": lambda z: np.exp(z - z.max(0)) / np.exp(z - z.max(0)).sum(0),
    "softmax of softmax": lambda z: softxent.softmax(softxent.softmax(z)),
    "rounded difference": shifted,
    "e to the power": lambda z: (
        np.e ** (z - z.max(-1, keepdims=True)) / (np.e ** (z - z.max(-1, keepdims=True))).sum(-1, keepdims=True)
    ),
    "exp of the logarithm": lambda z: np.exp(z - softxent.logsumexp(z, keepdims=True)),
    "half-precision sum": half_sum,
    "single-precision sum": single_sum,
    "in single precision": lambda z: softxent.softmax(z.astype(np.float32)).astype(np.float64),
    "clipped": lambda z: np.clip(softxent.softmax(z), 1e-7, 1 - 1e-7),
    "uniform": lambda z: np.full(z.shape, 1 / z.shape[-1]),
    "log2 instead of log": lambda z: 2.0 ** (z - np.log2((2.0**z).sum(-1, keepdims=True))),
    "flushes subnormals": lambda z: np.where(softxent.softmax(z) < 1e-200, 0.0, softxent.softmax(z)),
    "writes its argument": in_place,
    "wide rows wrong": wide_rows_wrong,
    "second row wrong": second_row_wrong,
    "a thousandth too large": lambda z: softxent.softmax(z) * 1.001,
}
LOG_MUTANTS = {
    "logarithm of softmax": lambda z: np.log(softxent.softmax(z)),
    "epsilon in the logarithm": lambda z: np.log(softxent.softmax(z) + 1e-8),
    "minus logsumexp": lambda z: z - softxent.logsumexp(z, keepdims=True),
    "no log1p": lambda z: (
        (z - z.max(-1, keepdims=True)) - np.log(np.exp(z - z.max(-1, keepdims=True)).sum(-1, keepdims=True))
    ),
    "logarithm to base 2": lambda z: softxent.log_softmax(z) / np.log(2),
}
GRADIENT_MUTANTS = {
    "p − 1": lambda z, y: (softxent.softmax(z) - hot(z, y)) / len(z),
    "p instead of p − y": lambda z, y: softxent.softmax(z) / len(z),
    "y − p": lambda z, y: -ours(z, y),
    "label off by one": lambda z, y: ours(z, (y + 1) % z.shape[-1]),
    "sum instead of mean": lambda z, y: ours(z, y) * len(z),
    "mean over the elements": lambda z, y: ours(z, y) / z.shape[-1],
    "zero": lambda z, y: np.zeros_like(z),
    "a thousandth too large": lambda z, y: ours(z, y) * 1.001,
    "small elements zeroed": lambda z, y: np.where(np.abs(ours(z, y)) < 1e-5, 0.0, ours(z, y)),
    "one small element zeroed": lambda z, y: changed(ours(z, y), (0, np.argmin(np.abs(ours(z, y)[0]))), 0.0),
    "last row stale": lambda z, y: changed(ours(z, y), -1, ours(z, y)[0]),
    "through the Jacobian": lambda z, y: softxent.softmax_vjp(
        softxent.softmax(z), -hot(z, y) / softxent.softmax(z) / len(z)
    ),
    "NaN to zero": lambda z, y: np.nan_to_num((np.exp(z) / np.exp(z).sum(-1, keepdims=True) - hot(z, y)) / len(z)),
    "ten ulps": lambda z, y: ours(z, y) * (1 + 10 * 2.0**-52),
}


def options(divide=None, smooth=None, twice=False, leak=False):
    """Return the loss with weight, smoothing and an ignored row, wrong in one respect."""

    def function(z, y, w, eps):
        c = z.shape[-1]
        kept = y != -100
        t = hot(z, np.where(kept, y, 0))
        t = (1 - eps) * t + eps / c if smooth is None else smooth(t, eps, c)
        t = t * w * (w if twice else 1)
        log_p, p = softxent.log_softmax(z), softxent.softmax(z)
        losses = np.where(kept, -(t * log_p).sum(-1), 0.0)
        grad = t.sum(-1, keepdims=True) * p - t
        total = w[y[kept]].sum() if divide is None else divide(kept, w, z)
        return losses.sum() / total, (grad if leak else np.where(kept[:, None], grad, 0.0)) / total

    return function


OPTION_MUTANTS = {
    "mean over ignored rows too": options(divide=lambda kept, w, z: float(len(kept))),
    "mean over kept rows, weights forgotten": options(divide=lambda kept, w, z: float(kept.sum())),
    "mean over the elements": options(divide=lambda kept, w, z: float(z.size)),
    "smoothing over the other classes": options(smooth=lambda t, eps, c: np.where(t == 1, 1 - eps, eps / (c - 1))),
    "smoothing forgets 1 − ε": options(smooth=lambda t, eps, c: t + eps / c),
    "weights twice": options(twice=True),
    "the ignored row leaks": options(leak=True),
}
VJP_MUTANTS = {
    "diagonal only": lambda p, g: p * (1 - p) * g,
    "without the diagonal's term": lambda p, g: -p * (p * g).sum(-1, keepdims=True),
    "cotangent taken as ones": lambda p, g: p * (1 - p.sum(-1, keepdims=True)),
    "mean instead of sum": lambda p, g: p * (g - (p * g).mean(-1, keepdims=True)),
    "sum over the batch": lambda p, g: p * (g - (p * g).sum()),
    "cotangent not centred": lambda p, g: p * g,
}
JACOBIAN_MUTANTS = {
    "without the diagonal": lambda z: -np.outer(softxent.softmax(z), softxent.softmax(z)),
    "diagonal only": lambda z: np.diag(softxent.softmax(z) * (1 - softxent.softmax(z))),
    "p (1 − p)": lambda z: np.diag(softxent.softmax(z)) - np.outer(softxent.softmax(z), softxent.softmax(z)),
    "columns scaled": lambda z: softxent.softmax_jacobian(z) * (1 + np.arange(z.size) * 1e-12),
}

ZOO = [
    *((judge_softmax, name, mutant) for name, mutant in SOFTMAX_MUTANTS.items()),
    *((judge_log_softmax, name, mutant) for name, mutant in LOG_MUTANTS.items()),
    *((judge_gradient, name, mutant) for name, mutant in GRADIENT_MUTANTS.items()),
    *((judge_options, name, mutant) for name, mutant in OPTION_MUTANTS.items()),
    *((judge_vjp, name, mutant) for name, mutant in VJP_MUTANTS.items()),
    *((judge_jacobian, name, mutant) for name, mutant in JACOBIAN_MUTANTS.items()),
]


@pytest.mark.parametrize(("judge", "name", "mutant"), ZOO, ids=lambda v: v if isinstance(v, str) else "")
def test_mutants_are_killed(judge, name, mutant):
    """A wrong function is rejected by the judge that accepts softxent."""
    with pytest.raises(AssertionError):
        judge(mutant)


@pytest.mark.parametrize(
    ("judge", "function"),
    [
        (judge_softmax, softxent.softmax),
        (judge_log_softmax, softxent.log_softmax),
        (judge_gradient, ours),
        (
            judge_options,
            lambda z, y, w, eps: softxent.cross_entropy_value_and_grad(z, y, weight=w, label_smoothing=eps),
        ),
        (judge_vjp, softxent.softmax_vjp),
        (judge_jacobian, softxent.softmax_jacobian),
    ],
    ids=lambda v: getattr(v, "__name__", "softxent"),
)
def test_softxent_lives(judge, function):
    """The same judges accept softxent: what they reject is not everything."""
    judge(function)
