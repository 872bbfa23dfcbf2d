"""The derivative of a function without a known formula, with an error estimate for each number.

Along one coordinate, f(x + s) is called for s = ±h, ±h/2, ±h/4, … Differences are extrapolated to h → 0 (Richardson
1911; the tableau and its error estimate are those of Ridders, Adv. Eng. Software 4, 1982), from both sides and from
each alone: if the sides disagree, f has a kink. The rounding error of f is estimated from f itself, by differences of
order 4 to 6 on points so close that those of a smooth f vanish (Moré and Wild, SIAM J. Sci. Comput. 33, 2011).

If f takes complex numbers, Im f(x + ih)/h with h = 1e-200 needs no difference and is right to f's own rounding (Squire
and Trapp, SIAM Review 40, 1998; Martins, Sturdza and Alonso, ACM TOMS 29, 2003). It is silently wrong if f takes an
absolute value or a real part, so callers compare it with the differences.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

__all__ = ["LEVELS", "Slope", "noise", "slope"]

LEVELS = 9
STEP = 1e-200
# The estimate of f's rounding is multiplied by this.
SAFETY = 4.0
# The sums of the absolute weights of an extrapolation, from both sides (in h²) and from one (in h).
BOTH, ONE = 2.1, 8.3
UNIT = 2.0**-53
# From one entry of the tableau to the next, an error estimate improves at most by this factor.
SUDDEN = 512.0
# The complex step is repeated at these relative distances, to see how f's rounding changes it.
NEARBY = (2.0**-50, -(2.0**-50), 3 * 2.0**-51)


class Slope(NamedTuple):
    """∂f/∂x_i: by complex step (NaN if f refuses it), by central differences, and from the left and the right alone.

    Each difference has an error estimate; complex_spread: how much the complex step varies with the last bits of x.
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
    """Estimate the size of f's rounding errors, from f at seven equally spaced points that are very close.

    order: differences of this order and above count as rounding.
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

    f: a function of one coordinate. f_complex: the same on complex numbers, None if it takes none. step: the largest h,
    a power of two such that here ± h, h/2, … are floating-point numbers. rounding: the size of f's rounding errors.
    """
    steps = [step * 0.5**k for k in range(LEVELS)]
    middle = f(here)
    above = [f(here + h) for h in steps]
    below = [f(here - h) for h in steps]
    # Rounding grows with f; f may be 0 at `here`, so the values on both sides count too.
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
    except Exception:  # a user's function may refuse complex numbers with any exception
        return nothing
    if not all(isinstance(v, complex) for v in values):
        return nothing
    slopes = [v.imag / STEP for v in values]
    return slopes[0], max(abs(s - slopes[0]) for s in slopes)


def _extrapolated(
    quotients: Sequence[float], rough: Sequence[float], ratio: float, weight: float
) -> tuple[float, float]:
    """Return the entry of the tableau with the smallest error estimate, and that estimate.

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
            # Agreement that is suddenly much better may be chance.
            error = max(differ, uncertain / SUDDEN if j else 0.0)
            row.append((value, error))
            if j > 0 and error + weight * rounding < best[1]:
                best = value, error + weight * rounding
        previous = row
    return best
