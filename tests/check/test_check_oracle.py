"""The check's oracle: proved, as 200-digit arithmetic has it, as mpmath's intervals and the bulk values have it."""

from __future__ import annotations

import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest

from softxent.check import oracle
from softxent.check.bulk import exact_batch
from softxent.check.cases import rows_for


def points(rng: np.random.Generator, count: int):
    """Yield rows and labels, adversarial and random, until they have so many elements."""
    seen = 0
    for case, row in rows_for(np.dtype(np.float64)):
        if len(row) <= 20:
            seen += len(row)
            yield row, case.label
    while seen < count:
        c = int(rng.integers(2, 12))
        row = rng.uniform(-1, 1, c) * rng.choice([1e-6, 1.0, 30.0, 300.0, 700.0])
        seen += c
        yield row, int(rng.integers(c))


def nearest(x) -> float:
    """Return an mpf correctly rounded: mpmath's own float() rounds subnormal numbers twice."""
    sign, man, exponent, _ = x._mpf_
    value = int(man) * Fraction(2) ** int(exponent)
    try:
        return float(-value if sign else value)
    except OverflowError:
        return -math.inf if sign else math.inf


def in_digits(row, label):
    """Return softmax, log-softmax and gradient in 200 digits beyond what the spread eats."""
    with np.errstate(over="ignore"):
        spread = float(min(np.ptp(row), 1500.0))
    with mpmath.workdps(200 + int(spread)):
        z = [mpmath.mpf(float(v)) for v in row]
        m = max(z)
        e = [mpmath.exp(v - m) if v - m > -30000 else mpmath.mpf(0) for v in z]
        s = mpmath.fsum(e)
        p = [v / s for v in e]
        log_s = mpmath.log(s)
        others = [mpmath.fsum(e[:i] + e[i + 1 :]) for i in range(len(e))]
        return (
            [nearest(v) for v in p],
            [nearest(v - m - log_s) for v in z],
            [nearest(-others[i] / s if i == label else p[i]) for i in range(len(p))],
        )  # fmt: skip


@pytest.mark.parametrize("count", [1000, 10_000])
def test_it_agrees_with_200_digits(count, rng):
    """Every value is the 200-digit one, rounded."""
    for row, label in points(rng, count):
        p, log_p, grad = in_digits(row, label)
        assert [x.hi for x in oracle.exact("softmax", row)] == p
        assert [x.hi for x in oracle.exact("log_softmax", row)] == log_p
        assert [x.hi for x in oracle.exact("cross_entropy_grad", row, label)] == grad


def test_mpmath_gives_the_same_numbers(rng):
    """Without python-flint the numbers are the same."""
    rows = list(points(rng, 300))
    values = [[x.hi for x in oracle.exact("cross_entropy_grad", row, label)] for row, label in rows]
    oracle.use("mpmath")
    try:
        assert values == [[x.hi for x in oracle.exact("cross_entropy_grad", row, label)] for row, label in rows]
    finally:
        oracle.use(None)


@pytest.mark.parametrize(
    "kind", ["softmax", "log_softmax", "logsumexp", "cross_entropy", "cross_entropy_grad", "sigmoid"]
)
def test_the_bulk_values_agree(kind, rng):
    """The double-double values are the proved ones to 2^-57, relative; below the normal numbers to their spacing."""
    for row, label in points(rng, 600):
        extra = np.array([label]) if kind.startswith("cross") else None
        bulk, _ = exact_batch(kind, row[None], extra)
        for number, hi, lo in zip(
            oracle.exact(kind, row, None if extra is None else label), bulk.hi.ravel(), bulk.lo.ravel(), strict=True
        ):
            if not np.isfinite(number.hi):
                assert hi == number.hi
                continue
            size = max(abs(number.hi), abs(row).max() if kind == "logsumexp" else 0.0)
            error = abs((hi - number.hi) + (lo - number.lo))
            assert error <= max(2.0**-57 * size, 2.0**-1073), (kind, row, hi, number.hi)


def test_nothing_is_guessed():
    """What no precision proves is refused."""
    third = [0]

    def build():
        third[0] += 1
        from flint import arb

        return [arb(1) / 3 + arb(0, 1)]

    with pytest.raises(oracle.OracleError, match="no proof"):
        oracle.settle(build)


def test_published_digits():
    """40 digits of the textbook example: as published, by 400-bit ball arithmetic."""
    numbers = oracle.exact("softmax", [4.0, -4.0, 3.0], bits=160)
    assert numbers[0].digits(25) == "0.7308793357119100018564543"
    assert oracle.exact("cross_entropy", [123.0, 456.0, 789.0], 2)[0].hi == 2.398487868841356e-145
