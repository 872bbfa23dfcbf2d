"""The table of logit rows that every accuracy test goes through, with the reason for each.

A row is float64; a test that wants another dtype rounds it and asks the oracle about the rounded row. Each row has the
label whose loss and gradient are the point of it.
"""

from __future__ import annotations

import numpy as np

from softxent.check.cases import CASES, Case

__all__ = ["CASES", "SPREADS", "WIDE", "WIDTHS", "Case", "confident_row", "spread_row"]


# Each width is a regime of blocks and vectors: below, at and above powers of two, odd widths (pytorch#147284: some odd
# widths between 512 and 1024 were wrong on a GPU), and blocks of sums that do not divide the width.
# fmt: off
WIDTHS = (2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 127, 128, 129, 255, 256, 257, 500, 511, 512,
          513, 641, 777, 1000, 1023, 1024, 1025, 2047, 2048, 2049, 3001, 4095, 4096)
# fmt: on

# From almost equal logits to more than exp can hold in float64.
SPREADS = (1e-3, 1e-2, 0.1, 1.0, 3.0, 10.0, 30.0, 80.0, 300.0, 700.0)

# One vocabulary of a language model, and one larger than any.
WIDE = (50_000, 200_000)


def spread_row(rng: np.random.Generator, width: int, spread: float) -> np.ndarray:
    """Return a row of width logits, uniform over an interval of that length somewhere near 0."""
    return rng.uniform(0.0, spread, width) + rng.normal()


def confident_row(rng: np.random.Generator, width: int, lead: float) -> tuple[np.ndarray, int]:
    """Return a row whose label leads all others by about lead, and the label."""
    row = rng.normal(size=width)
    label = int(rng.integers(width))
    row[label] = row.max() + lead
    return row, label
