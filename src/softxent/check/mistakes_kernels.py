"""Mistakes of kernels: padding that is counted in the sum, a statistic that is kept in fewer bits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from softxent.check.mistakes import STEP_LOG, STEP_SUM, Mistake, Model, at, hot, lse
from softxent.check.mistakes_stages import NARROW, narrowed

__all__ = ["of_kernels"]

MULTIPLES = (2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


Width = Callable[[int], int]


def _multiple(k: int) -> Width:
    return lambda c: -(-c // k) * k


def _power_of_two(c: int) -> int:
    return 1 << (c - 1).bit_length()


WIDTHS: tuple[tuple[str, Width], ...] = (
    *((f"to a multiple of {k} classes", _multiple(k)) for k in MULTIPLES),
    ("to the next power of two", _power_of_two),
)


def _results(kind: str, d: Any, y: Any, log_sum: Any) -> Any:
    """Return the results of a kind from d, z minus a shift, and the logarithm of the sum of exp(d)."""
    if kind == "cross_entropy":
        return log_sum[:, 0] - at(d, y)
    log_p = d - log_sum
    if kind == "log_softmax":
        return log_p
    return np.exp(log_p) if kind == "softmax" else np.exp(log_p) - hot(d, y)


def _padded(kind: str, width: Width, *, shifted: bool) -> Model:
    """Pad with logits 0; shifted: pad the shifted logits with 0, so that each is a class of the largest logit."""

    def run(z: Any, y: Any, _s: Any) -> Any:
        n, c = z.shape
        tile = np.zeros((n, width(c)), z.dtype)
        tile[:, :c] = z
        m = (tile[:, :c] if shifted else tile).max(-1, keepdims=True)
        d = tile - m
        if shifted:
            d[:, c:] = 0
        log_sum = np.log(np.exp(d).sum(-1, keepdims=True))
        return (m + log_sum)[:, 0] if kind == "logsumexp" else _results(kind, d[:, :c], y, log_sum)

    return run


def of_kernels(kind: str) -> Iterator[Mistake]:
    """Yield the mistakes of kernels for a kind that is made of exponentials and their sum."""
    for how, width in WIDTHS:
        for shifted, what in ((False, "logits 0"), (True, "0 where the largest logit is subtracted already")):
            yield Mistake(
                "padding in the sum",
                STEP_SUM,
                f"It pads each row {how} with {what}, and the padding is counted in the sum: −∞ would not be.",
                _padded(kind, width, shifted=shifted),
            )
    if kind == "logsumexp":
        return
    for name, dtype in NARROW.items():
        said = f"It rounds the logsumexp to {name}, as where it is kept between forward and backward."
        yield Mistake(f"{name} lse", STEP_LOG, said, _rounded(kind, dtype, shifted=False))
        said = f"It rounds log S to {name}."
        yield Mistake(f"{name} logarithm of the sum", STEP_LOG, said, _rounded(kind, dtype, shifted=True))


def _rounded(kind: str, dtype: Any, *, shifted: bool) -> Model:
    def run(z: Any, y: Any, _s: Any) -> Any:
        d = z - z.max(-1, keepdims=True) if shifted else z
        log_sum = np.log(np.exp(d).sum(-1, keepdims=True)) if shifted else lse(z)[:, None]
        return _results(kind, d, y, narrowed(log_sum, dtype))

    return run
