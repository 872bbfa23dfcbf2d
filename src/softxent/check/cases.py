"""The adversarial rows: on each of them some softmax was wrong, or is likely to be.

A row is float64; a check in another dtype rounds it and asks the oracle about the rounded row. Each row has the label
for which loss and gradient are difficult.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["BIG", "CASES", "Case", "rows_for"]

BIG = float(np.finfo(np.float64).max)


@dataclass(frozen=True)
class Case:
    """A row of logits, a label, and why the row is here."""

    id: str
    row: tuple[float, ...]
    label: int
    reason: str


CASES = (
    Case("example", (4.0, -4.0, 3.0), 2, "the textbook example: every digit is published"),
    Case("shares", (2.0, 3.0, 5.0), 2, "the textbook comparison of linear shares with the softmax"),
    Case("one-two-three", (1.0, 2.0, 3.0), 0, "the label is the least likely class"),
    Case("one-to-five", (1.0, 2.0, 3.0, 4.0, 5.0), 4, "the label is the most likely class"),
    Case("inexact", (0.1, 0.2, 0.3), 1, "differences of decimal fractions are rounded"),
    Case("overflow-naive", (123.0, 456.0, 789.0), 2, "exp(789) overflows; the loss is 2.4e-145, not 0"),
    Case("overflow-naive-far", (123.0, 456.0, 789.0), 0, "the loss is 666, the gradient's pulls 5.8e-290 and 1"),
    Case("two-at-the-top", (800.0, 800.0, 400.0), 0, "pytorch#56340: x − logsumexp(x) loses ln 2"),
    Case("hundred-million", (1e8, 1e8), 1, "pytorch#11752: the loss is ln 2 however large the logits are"),
    Case("ten-quadrillion", (1e16, 1e16), 1, "the same where the spacing of float64 is 2"),
    Case(
        "mps",
        (-16.9397, 74.5907, -245.5731, 57.9282, -59.7757, 26.2957, -27.3786, 71.2639, 57.6391, 54.0626),
        1,
        "pytorch#94043: a row from a bug report, spread over 320",
    ),
    Case("confident", (40.0, 0.0), 0, "pytorch#195531: the loss and the pull are 4.2e-18, not 0"),
    Case("confident-half-ulp", (37.42994775023705, 0.0), 0, "p = 1 − 2^-54: the pull is 5.6e-17"),
    Case("confident-single", (16.942384719848633, 0.0), 0, "pytorch#113708: log p is −4.4e-8 in float32"),
    Case("confident-20", (20.0, 0.0), 0, "the loss and the gradient differ in the ninth digit"),
    Case("confident-16", (16.0, 0.0), 0, "the same near float32's precision"),
    Case("confident-11", (11.1, 0.0), 0, "exp(11.1) overflows float16"),
    Case("confident-88", (88.73, 0.0), 0, "exp(88.73) overflows float32"),
    Case("keras", (14.4, 50.1, 3.5), 0, "keras#17634: the probability of the label is 3e-16"),
    Case("tiny-class", (0.0, -700.0), 1, "a probability near the smallest normal float64"),
    Case("subnormal", (0.0, -708.5), 0, "a subnormal probability, loss and pull"),
    Case("subnormal-least", (0.0, -744.0), 0, "two units of the smallest subnormal"),
    Case("underflow", (0.0, -745.2), 0, "rounds to 0, without a warning"),
    Case("subnormal-single", (100.0, 0.0), 0, "3.8e-44: subnormal in float32"),
    Case("underflow-single", (0.0, -103.9), 1, "near the last subnormal of float32"),
    Case("huge-and-zero", (1.797e308, 0.0), 0, "the difference is exact and enormous"),
    Case("huge-both-signs", (BIG, -BIG), 1, "the difference overflows: loss inf is right, the gradient is still ±1"),
    Case("lowest", (-BIG, -BIG, -BIG), 1, "masked by the lowest number instead of −inf: uniform"),
    Case("tiny-logit", (1e-300, 0.0), 0, "the difference is far below one ulp of 1"),
    Case("negative-zero", (-0.0, 0.0), 0, "−0 is 0"),
    Case("offset", (1e6 + 0.5, 1e6, 1e6 - 3.25), 2, "a large common offset: the differences are exact"),
    Case("cancelling", (1.0, 1.0 - 2**-53, 1.0 + 2**-52), 0, "neighbouring numbers"),
    Case("difference-rounds", (3e-9, 77.3, 50.0 / 3), 0, "77.3 − 3e-9 is rounded: the exponential amplifies it"),
    Case("one-class", (3.7,), 0, "one class: probability 1, loss 0, gradient exactly 0"),
    Case("ties-2", (5.5, 5.5), 0, "two equal classes: exactly ½"),
    Case("ties-3", (1000.0, 1000.0, 1000.0), 2, "three equal classes"),
    Case("ties-7", (-1e3,) * 7, 3, "seven equal classes, far below 0"),
    Case("ties-1000", (0.25,) * 1000, 999, "a thousand equal classes: the loss is ln 1000"),
    Case("tie-at-the-top", (2.0, -1.0, 2.0, 2.0), 2, "the label ties with others at the maximum"),
    Case("one-of-many", (30.0, *(0.0,) * 500), 0, "one confident class against five hundred equal ones"),
    Case("many-small", (20.0, *(-0.01 * i for i in range(3000))), 0, "the others' sum is long and small"),
)

MORE = (
    Case("thousand", (1000.0, 1001.0, 999.5), 1, "exp(1000) overflows without the shift"),
    Case("minus-thousand", (-1000.0, -1001.0, -1000.25), 0, "every exponential underflows without the shift: 0/0"),
    Case("beside-the-label", (0.0, 20.0), 0, "the label's probability is 2e-9: clipping and ε show"),
    Case("far-below", (0.0, 50.0), 0, "the loss is 50: a clipped logarithm stops at 16, 34 or 36"),
    Case("below-underflow", (0.0, 800.0), 0, "the loss is 800; the logarithm of an underflowed probability is −inf"),
    Case("below-underflow-single", (0.0, 120.0), 0, "the same in float32"),
    Case("confident-30", (30.0, 0.0, -1.0), 0, "the loss is 1.3e-13"),
    Case("integers-80", tuple(float(-8 * i) for i in range(11)), 3, "exact differences: only the exponential errs"),
    Case("integers-700", tuple(float(-70 * i) for i in range(11)), 3, "the same, to the end of float64's range"),
    Case("grid", tuple(0.5 * i for i in range(-8, 9)), 16, "a ladder"),
    Case("two-scales", (1e-3, 1e3), 1, "one logit a million times the other"),
    Case("million", (1e6, 1e6 + 1, 1e6 + 2), 2, "a common offset of a million"),
    Case("nearly-tied", (1.0, 1.0 + 2**-20, 1.0), 1, "differences of 1e-6"),
    Case("minimum-mask", (3.0, -1e9, 2.0, -1e9), 2, "masked by −1e9"),
    Case("minimum-mask-single", (0.5, -3.0e38, 1.5), 0, "masked by a number near float32's lowest"),
    Case("zeros-8", (0.0,) * 8, 0, "eight equal classes"),
    Case("ln-halves", (-0.6931471805599453, -0.6931471805599453), 0, "logsumexp is 0 by cancellation"),
    Case("sixteen", (16.0, 16.0, -16.0, 0.0), 3, "powers of two"),
)

# Rows that only the check uses: they are not among the published vectors.
FURTHER = (
    Case("tiny-logits", (1e-30, -2e-30, 3e-30), 1, "what divides by the largest magnitude, or compares with ε"),
    Case("subnormal-logits", (4e-310, -3e-310, 0.0), 0, "subnormal logits are as good as equal"),
    Case("subnormal-logits-single", (3e-40, -1e-40, 0.0), 2, "the same in float32"),
    Case("largest-last", (*(0.5,) * 299, 90.0), 0, "the largest stands in the last, shorter block"),
    Case("all-zero", (0.0, 0.0, 0.0, 0.0, 0.0), 4, "a row that looks like padding"),
    Case("all-minus-one", (-1.0, -1.0, -1.0, -1.0), 3, "a row that looks like a missing value's"),
    Case("hundred", (100.0,) * 6, 5, "an ignored label's favourite number"),
)


def rows_for(dtype: np.dtype[np.floating]) -> list[tuple[Case, npt.NDArray[np.floating]]]:
    """Return the cases in a dtype, with its own largest number; leave out rows that it cannot represent."""
    found = []
    largest = float(np.finfo(dtype).max)
    for case in (*CASES, *MORE, *FURTHER):
        row = np.array([largest * np.sign(v) if abs(v) == BIG else v for v in case.row])
        if np.abs(row).max() <= largest:
            found.append((case, row.astype(dtype)))
    return found
