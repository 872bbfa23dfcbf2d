"""The derivative of a function that nobody gave a formula for, with an error estimate beside each number.

Along one coordinate, f(x + s) is called for s = ±h, ±h/2, ±h/4, … Differences are extrapolated to h → 0 (Richardson
1911; the tableau and its error estimate are those of Ridders, Adv. Eng. Software 4, 1982), from both sides and from
each alone: where the sides disagree, f has a kink. What rounding adds is estimated from f itself, by differences of
order 4 to 6 on points so close that a smooth f shows none (Moré and Wild, SIAM J. Sci. Comput. 33, 2011).

Where f takes complex numbers, Im f(x + ih)/h with h = 1e-200 has no difference in it and is right to f's own rounding
(Squire and Trapp, SIAM Review 40, 1998; Martins, Sturdza and Alonso, ACM TOMS 29, 2003). It is silently wrong where f
takes an absolute value or a real part: who uses it compares it with the differences.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

__all__ = ["LEVELS", "Slope", "noise", "slope"]

LEVELS = 9
STEP = 1e-200
# What f's rounding is multiplied by before it is believed.
SAFETY = 4.0
# The sums of the absolute weights of an extrapolation, from both sides (in h²) and from one (in h).
BOTH, ONE = 2.1, 8.3
UNIT = 2.0**-53
# An error estimate gets so many times better at most from one entry of the tableau to the next.
SUDDEN = 512.0
# Relative steps at which the complex step is taken again: what f's rounding does to it.
NEARBY = (2.0**-50, -(2.0**-50), 3 * 2.0**-51)


class Slope(NamedTuple):
    """∂f/∂x_i: by complex step (NaN where f does not take it), by differences, from the left and the right alone.

    Differences have their error estimates beside them; complex_spread is how much the complex step moves with the last
    bits of x.
    """

    complex_step: float
    complex_spread: float
    central: float
    central_error: float
    left: float
    left_error: float
    right: float
    right_error: float


def noise(values: Sequence[float], order: int = 4) -> float:
    """Return the size of f's rounding errors, from f at seven equally spaced points that are very close.

    order: the lowest order of the differences that are taken for rounding.
    """
    table = np.asarray(values, np.float64)
    largest = float(np.abs(table).max())
    found = UNIT * largest
    gamma = 1.0
    for k in range(1, 7):
        table = np.diff(table)
        gamma *= 0.5 * k / (2 * k - 1)
        if k >= order:
            found = max(found, float(np.sqrt(gamma * np.mean(table**2))))
    return found


def slope(
    f: Callable[[float], float],
    f_complex: Callable[[complex], complex] | None,
    here: float,
    step: float,
    rounding: float,
) -> Slope:
    """Return ∂f/∂x at `here`.

    f: of the one coordinate. f_complex: the same on complex numbers, None where it takes none. step: the largest h, a
    power of two with which here ± h, h/2, … are floating-point numbers. rounding: the size of f's rounding errors.
    """
    steps = [step * 0.5**k for k in range(LEVELS)]
    middle = f(here)
    above = [f(here + h) for h in steps]
    below = [f(here - h) for h in steps]
    # Rounding grows with f, which may be 0 in the middle.
    rough = [
        (rounding + UNIT * max(abs(a), abs(b), abs(middle))) / h for a, b, h in zip(above, below, steps, strict=True)
    ]
    both = [(a - b) / (2 * h) for a, b, h in zip(above, below, steps, strict=True)]
    right = [(a - middle) / h for a, h in zip(above, steps, strict=True)]
    left = [(middle - b) / h for b, h in zip(below, steps, strict=True)]
    return Slope(
        *_by_complex_step(f_complex, here),
        *_extrapolated(both, rough, 4.0, SAFETY * BOTH),
        *_extrapolated(left, rough, 2.0, SAFETY * 2 * ONE),
        *_extrapolated(right, rough, 2.0, SAFETY * 2 * ONE),
    )


def _by_complex_step(f: Callable[[complex], complex] | None, here: float) -> tuple[float, float]:
    nothing = float("nan"), float("inf")
    if f is None:
        return nothing
    try:
        values = [f(complex(here * (1 + t), STEP)) for t in (0.0, *NEARBY)]
    except Exception:  # the function is the user's: it may refuse complex numbers by any exception
        return nothing
    if not all(isinstance(v, complex) for v in values):
        return nothing
    slopes = [v.imag / STEP for v in values]
    return slopes[0], max(abs(s - slopes[0]) for s in slopes)


def _extrapolated(
    quotients: Sequence[float], rough: Sequence[float], ratio: float, weight: float
) -> tuple[float, float]:
    """Return the entry of the tableau that is surest, and its error estimate.

    Entries of two quotients are passed over: two may be equal by chance, as those of the sine at −h/2 are.
    """
    best = float("nan"), float("inf")
    previous: list[tuple[float, float]] = []
    for quotient, rounding in zip(quotients, rough, strict=True):
        row = [(quotient, float("inf"))]
        for j, (before, uncertain) in enumerate(previous):
            factor = ratio ** (j + 1)
            value = (factor * row[j][0] - before) / (factor - 1)
            differ = max(abs(value - row[j][0]), abs(value - before))
            # Numbers that agree much better than those before them may do so by chance.
            error = max(differ, uncertain / SUDDEN if j else 0.0)
            row.append((value, error))
            if j > 0 and error + weight * rounding < best[1]:
                best = value, error + weight * rounding
        previous = row
    return best
