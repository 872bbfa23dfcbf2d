"""Classic mistakes in the shift: another number than the largest logit, only sometimes, or used in another way.

Each is a number that is subtracted from a row's logits, the same mistake in every kind that is made of exponentials.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from softxent.check.mistakes import STEP_SHIFT, Mistake, Model, at, hot, naive

__all__ = ["shifts", "shifts_of"]

Shift = Callable[[Any, Any], Any]

# Wrong shifts (N, 1), which are subtracted in place of the largest logit.
SUBTRACTED: tuple[tuple[str, str, Shift], ...] = (
    (
        "shift by the mean",
        "It subtracts the mean: what stands far above it still overflows.",
        lambda z, _: z.mean(-1, keepdims=True),
    ),
    (
        "shift by the minimum",
        "It subtracts the smallest logit: the others overflow sooner.",
        lambda z, _: z.min(-1, keepdims=True),
    ),
    (
        "shift by the largest magnitude",
        "It subtracts max |z|: rows of negative logits underflow to 0/0.",
        lambda z, _: np.abs(z).max(-1, keepdims=True),
    ),
    ("shift added", "It adds the largest logit.", lambda z, _: -z.max(-1, keepdims=True)),
    ("shift by the sum", "It subtracts the sum of the logits, not the largest.", lambda z, _: z.sum(-1, keepdims=True)),
    ("shift by the median", "It subtracts the median.", lambda z, _: np.median(z, -1, keepdims=True)),
    ("shift by the first logit", "It subtracts the first logit, not the largest.", lambda z, _: z[:, :1]),
    ("shift by the last logit", "It subtracts the last logit, not the largest.", lambda z, _: z[:, -1:]),
)
LABEL: tuple[tuple[str, str, Shift], ...] = (
    (
        "shift by the label's logit",
        "It subtracts the label's logit, not the largest: exp(z_j − z_y) overflows where the label is far below.",
        lambda z, y: at(z, y)[:, None],
    ),
)
# The largest logit is subtracted only if one of these exceeds a threshold.
COMPARED: tuple[tuple[str, Callable[[Any], Any]], ...] = (
    ("the largest logit of a row", lambda z: z.max(-1, keepdims=True)),
    ("the largest |z| of a row", lambda z: np.abs(z).max(-1, keepdims=True)),
    ("the largest logit of the batch", lambda z: z.max(keepdims=True)),
    ("the largest |z| of the batch", lambda z: np.abs(z).max(keepdims=True)),
)
THRESHOLDS = (700.0, 709.0, 709.78, 500.0, 600.0, 300.0, 200.0, 100.0, 88.0, 88.7, 80.0, 50.0, 30.0, 20.0, 10.0)
SINGLE = 88.72
DOUBLE = 709.78


def _above(of: Callable[[Any], Any], least: float) -> Shift:
    return lambda z, _: np.where(of(z) > least, z.max(-1, keepdims=True), 0).astype(z.dtype)


def _only_above() -> Iterator[tuple[str, str, Shift]]:
    for what, of in COMPARED:
        for least in THRESHOLDS:
            short = f": float32's exponential overflows from {SINGLE} on" if least > SINGLE else ""
            low = "" if "|z|" in what else ", and rows far below 0, which are not shifted, underflow to 0/0"
            yield (
                "shift only above a threshold",
                f"It subtracts the largest logit only where {what} exceeds {least:g}{short}{low}.",
                _above(of, least),
            )


ONLY_ABOVE = tuple(_only_above())


def _results(kind: str, z: Any, y: Any, m: Any) -> Any:
    """Return the results of a kind, with m subtracted."""
    d = z - m
    if kind == "softmax":
        return naive(d)
    if kind == "cross_entropy_grad":
        return naive(d) - hot(z, y)
    log_sum = np.log(np.exp(d).sum(-1, keepdims=True))
    if kind == "logsumexp":
        return (m + log_sum)[:, 0]
    return d - log_sum if kind == "log_softmax" else log_sum[:, 0] - at(d, y)


def _by(kind: str, of: Shift) -> Model:
    return lambda z, y, _s: _results(kind, z, y, of(z, y))


def shifts_of(kind: str) -> Iterator[Mistake]:
    """Mistakes in the shift of a kind."""
    table: tuple[tuple[str, str, Shift], ...] = (*SUBTRACTED, *ONLY_ABOVE)
    if kind.startswith("cross_entropy"):
        table = (*LABEL, *table)
    for name, sentence, of in table:
        yield Mistake(name, STEP_SHIFT, sentence, _by(kind, of))


LARGEST: tuple[tuple[str, Shift], ...] = (
    ("", lambda _, e: e.max(-1, keepdims=True)),
    (" logit", lambda z, _: z.max(-1, keepdims=True)),
)


def _late(of: Shift, part: int) -> Model:
    def run(z: Any, _extra: Any, _s: Any) -> Any:
        e = np.exp(z)
        late = e - of(z, e)
        return late / (e, late)[part].sum(-1, keepdims=True)

    return run


def shifts() -> Iterator[Mistake]:
    """Mistakes in the use of softmax's shift."""
    for what, of in LARGEST:
        yield Mistake(
            "shift after the exponential",
            STEP_SHIFT,
            f"It subtracts the largest{what} after the exponential.",
            _late(of, 0),
        )
        yield Mistake(
            "shift after the exponential",
            STEP_SHIFT,
            f"It subtracts the largest{what} after the exponential, and divides by the sum of what is left.",
            _late(of, 1),
        )
    yield Mistake(
        "shift divides",
        STEP_SHIFT,
        "It divides by the largest logit.",
        lambda z, _, _s: naive(z / z.max(-1, keepdims=True)),
    )
