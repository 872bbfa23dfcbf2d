"""Classic mistakes in softmax's shift: another number than the largest logit, or used in another way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from softxent.check.mistakes import STEP_SHIFT, Mistake, Model, naive

__all__ = ["shifts"]

# What is subtracted, (N, 1).
SUBTRACTED: tuple[tuple[str, str, Callable[[Any], Any]], ...] = (
    (
        "shift by the mean",
        "It subtracts the mean: what stands far above it still overflows.",
        lambda z: z.mean(-1, keepdims=True),
    ),
    (
        "shift by the minimum",
        "It subtracts the smallest logit: the others overflow sooner.",
        lambda z: z.min(-1, keepdims=True),
    ),
    (
        "shift by the largest magnitude",
        "It subtracts max |z|: rows of negative logits underflow to 0/0.",
        lambda z: np.abs(z).max(-1, keepdims=True),
    ),
    ("shift added", "It adds the largest logit.", lambda z: -z.max(-1, keepdims=True)),
    ("shift by the sum", "It subtracts the sum of the logits, not the largest.", lambda z: z.sum(-1, keepdims=True)),
    ("shift by the median", "It subtracts the median.", lambda z: np.median(z, -1, keepdims=True)),
    ("shift by the first logit", "It subtracts the first logit, not the largest.", lambda z: z[:, :1]),
    ("shift by the last logit", "It subtracts the last logit, not the largest.", lambda z: z[:, -1:]),
)


def _by(of: Callable[[Any], Any]) -> Model:
    return lambda z, _extra, _s: naive(z - of(z))


def shifts() -> Iterator[Mistake]:
    """Mistakes in the shift of softmax."""
    for name, sentence, of in SUBTRACTED:
        yield Mistake(name, STEP_SHIFT, sentence, _by(of))
    yield Mistake(
        "shift after the exponential",
        STEP_SHIFT,
        "It subtracts the largest after the exponential.",
        lambda z, _, _s: (lambda e: (e - e.max(-1, keepdims=True)) / e.sum(-1, keepdims=True))(np.exp(z)),
    )
    yield Mistake(
        "shift divides",
        STEP_SHIFT,
        "It divides by the largest logit.",
        lambda z, _, _s: naive(z / z.max(-1, keepdims=True)),
    )
