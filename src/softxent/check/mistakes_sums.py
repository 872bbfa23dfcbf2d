"""Wrong sums and series: not rescaled, added one by one, cut short."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from softxent.check.mistakes import STEP_SUM, Mistake

__all__ = ["merged", "normalised", "sequential", "series"]


def merged() -> Iterator[Mistake]:
    """Yield running sums, and sums by tile, that are not rescaled when the maximum changes."""
    for tile in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024):
        for which in ("old", "new"):
            yield Mistake(
                "sum not rescaled",
                STEP_SUM,
                f"It goes through the classes by {tile}, and does not multiply the "
                f"{which} sum by exp(m − m_new) when the maximum changes.",
                lambda z, _, _s, t=tile, w=which: _running(z, t, w),
            )
        yield Mistake(
            "sum not rescaled",
            STEP_SUM,
            f"It adds the sums of tiles of {tile} classes, each shifted by its own maximum.",
            lambda z, _, _s, t=tile: _running(z, t, "both"),
        )


def _running(z: Any, tile: int, forgotten: str) -> Any:
    m, total = np.full((len(z), 1), -np.inf, z.dtype), np.zeros((len(z), 1), z.dtype)
    for at in range(0, z.shape[-1], tile):
        part = z[:, at : at + tile]
        top = part.max(-1, keepdims=True)
        new = np.maximum(m, top)
        own = np.exp(part - (top if forgotten in ("new", "both") else new)).sum(-1, keepdims=True)
        total = total * (1 if forgotten in ("old", "both") else np.exp(m - new)) + own
        m = new
    return np.exp(z - m) / total


def series(x: Any, order: int) -> Any:
    """Return the exponential's series up to an order."""
    term, total = np.ones_like(x), np.ones_like(x)
    for k in range(1, order + 1):
        term = term * x / k
        total = total + term
    return total


def normalised(e: Any) -> Any:
    """Return each row divided by its sum."""
    return e / e.sum(-1, keepdims=True)


def sequential(e: Any, dtype: Any) -> Any:
    """Return the sums, added one by one in a dtype."""
    return np.cumsum(e.astype(dtype), -1, dtype=dtype)[..., -1:]
