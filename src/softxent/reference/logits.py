"""The transformation of the logits by softcap and temperature, and its derivatives.

    z = c tanh(x/c) / T,   z' = sech²(x/c) / T,   z'' = −(2/c) tanh(x/c) sech²(x/c) / T

A logit of ±inf or NaN is not changed: the cap is for finite logits, and −inf means an impossible class.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from softxent.options import LossOptions
from softxent.reference.softmax import Exponentials, Wide, exponentials, quiet, wide

__all__ = ["derivatives", "exponentials_of", "transformed_logits"]


def transformed_logits(x: npt.ArrayLike, options: LossOptions) -> tuple[Wide, Wide, Wide]:
    """Let x have any shape: return z, z' and z'' of that shape.

    >>> z, slope, _ = transformed_logits([0.0, 1e9], LossOptions(softcap=30.0, temperature=2.0))
    >>> z.tolist() == [0.0, 15.0], slope.tolist() == [0.5, 0.0]
    (True, True)
    """
    logits = wide(x)
    with quiet():
        z = np.where(np.isfinite(logits), capped(logits, options.softcap) / options.temperature, logits)
    return z, *derivatives(logits, options)


def capped(x: Wide, softcap: float | None) -> Wide:
    """Return c tanh(x/c); x if it is not finite or there is no cap."""
    if softcap is None:
        return x
    return np.where(np.isfinite(x), softcap * np.tanh(x / softcap), x)


def derivatives(x: Wide, options: LossOptions) -> tuple[Wide, Wide]:
    """Return z' and z'', of x's shape; with a cap they are 0 at ±inf, as in the limit."""
    c, temperature = options.softcap, np.longdouble(options.temperature)
    with quiet():
        if c is None:
            return np.full_like(x, 1 / temperature), np.zeros_like(x)
        e = np.exp(-2 * np.abs(x / c))
        sech2 = 4 * e / (1 + e) ** 2
        return sech2 / temperature, -2 * np.tanh(x / c) * sech2 / (c * temperature)


def exponentials_of(x: Wide, options: LossOptions) -> Exponentials:
    """Return the exponentials of the transformed logits."""
    return exponentials(capped(x, options.softcap), options.temperature)
