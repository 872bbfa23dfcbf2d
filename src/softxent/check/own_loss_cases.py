"""The rows on which a gradient is compared with its own loss.

All logits are short binary fractions, so that a step away from them is exact, in float32 as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from softxent.check.calling import PLAIN, PLAIN_LABELS

__all__ = ["Call", "calls", "shown", "steps"]

Float = npt.NDArray[np.float64]
# Logits have this many binary places. Up to three figures, they fit into float32 even after a step of 2^-11 of the
# largest one.
PLACES = 11
# The derivative is taken at this many elements of a row.
ELEMENTS = 16


@dataclass(frozen=True)
class Call:
    """One call of both functions: logits (N, C), or (C,) for functions of one row, and the second argument."""

    group: str
    first: Float
    extra: Any = None  # labels (N,) or one label, targets of the shape of first, or None

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(self.first) if self.first.ndim == 2 else 1

    def elements(self) -> list[tuple[int, ...]]:
        """Return the elements to compare: of a wide row only the extreme ones, some others, and the label."""
        found: list[tuple[int, ...]] = []
        beside: Any = self.extra
        for r in range(self.rows):
            row = self.first[r] if self.first.ndim == 2 else self.first
            wide = len(row) > ELEMENTS
            columns = set(np.argsort(row)[[0, 1, -2, -1]].tolist()) if wide else set(range(len(row)))
            if wide:
                columns |= set(np.linspace(0, len(row) - 1, ELEMENTS - 5, dtype=int).tolist())
                if beside is not None and np.ndim(beside) < self.first.ndim:
                    columns.add(int(np.atleast_1d(beside)[r]))
            found += [((r, c) if self.first.ndim == 2 else (c,)) for c in sorted(columns)]
        return found


def calls(extra: str, *, batched: bool, probabilities: bool, quick: bool) -> Iterator[Call]:
    """Yield the calls, those that show most first. extra: "none", "labels" or "targets"."""
    for group, rows, labels in _rows(quick=quick):
        if probabilities and group in ("large logits", "a wide spread", "confident rows"):
            continue
        first = _probabilities(rows) if probabilities else np.ldexp(np.round(np.ldexp(rows, PLACES)), -PLACES)
        for i, beside in enumerate(_beside(extra, rows, np.asarray(labels))):
            if i and group not in ("ordinary rows", "batches"):
                break
            if batched:
                yield Call(group, first, beside)
                continue
            for r in range(len(first)):
                at: Any = None if beside is None else beside[r]
                yield Call(group, first[r], at.item() if isinstance(at, np.integer) else at)


def _rows(*, quick: bool) -> Iterator[tuple[str, Float, Any]]:
    rng = np.random.default_rng(61)

    def normal(n: int, c: int, scale: float) -> tuple[Float, Any]:
        return rng.normal(size=(n, c)) * scale, rng.integers(0, c, n)

    yield "ordinary rows", PLAIN, PLAIN_LABELS
    yield "every label", np.array([[0.5, -1.25, 2.0]] * 3), [0, 1, 2]
    for c in (2, 4, 7):
        yield "ordinary rows", *normal(1, c, 2.0)
    yield "ties", np.array([[2.0, 2.0, 1.0], [0.0, 0.0, 0.0]]), [0, 2]
    yield "large logits", np.array([[1000.0, 1001.0, 999.5]]), [0]
    yield "confident rows", np.array([[12.0, 0.0, -2.0]]), [0]
    yield "batches", *normal(4, 3, 1.5)
    yield "confident rows", np.array([[0.0, 12.0, -2.0]]), [0]
    yield "large logits", np.array([[-800.0, -801.0, -800.5]]), [1]
    yield "a wide spread", np.array([[0.0, -20.0, 3.0, 8.0]]), [2]
    yield "ties", np.array([[-3.0, 1.0, 1.0, 1.0]]), [1]
    yield "one class", np.array([[1.5]]), [0]
    yield "batches", *normal(2, 6, 1.5)
    yield "widths", *normal(1, 33, 2.0)
    if quick:
        return
    for c in (3, 5, 6, 8, 9, 16, 17, 64, 100, 257):
        yield "widths", *normal(2, c, 2.0)
    for n in (1, 3, 5, 8, 16, 33):
        yield "batches", *normal(n, 4, 1.5)
    for scale in (0.1, 1.0, 5.0, 20.0):
        yield "a wide spread" if scale > 5 else "ordinary rows", *normal(2, 6, scale)
    yield "large logits", np.array([[100.0, 95.0, 101.0], [-90.0, -88.0, -95.0]]), [1, 0]


def _probabilities(rows: Float) -> Float:
    e = np.exp(rows - rows.max(-1, keepdims=True))
    return np.ldexp(np.maximum(1.0, np.round(np.ldexp(e / e.sum(-1, keepdims=True), 20))), -20)


def _beside(extra: str, rows: Float, labels: npt.NDArray[np.int64]) -> Iterator[Any]:
    if extra == "none":
        yield None
    elif extra == "labels":
        yield labels
    else:
        yield np.asarray(np.arange(rows.shape[1]) == labels[:, None], np.float64)
        # Soft targets that add up to 1 exactly: their fractions are shorter than the rows'.
        share = np.floor(256 * _probabilities(np.sin(7 * rows))) / 256
        share[:, 0] += 1 - share.sum(-1)
        yield share


def steps(call: Call, *, probabilities: bool) -> Float:
    """Return the largest step at each element, a power of two: ¼; for probabilities a quarter of the way to 0 or 1."""
    if not probabilities:
        return np.full(call.first.shape, 0.25)
    room = np.where(call.first < 1, np.minimum(call.first, 1 - call.first), call.first)
    return np.exp2(np.floor(np.log2(room)) - 2)


def shown(call: Call, *, probabilities: bool) -> dict[str, Any]:
    """Return the arguments as text, floats as C99 hex."""

    def hexadecimal(value: Any) -> Any:
        return [hexadecimal(v) for v in value] if np.ndim(value) else float(value).hex()

    found = {"probabilities" if probabilities else "logits": hexadecimal(call.first)}
    if call.extra is not None:
        hot = np.ndim(call.extra) == call.first.ndim
        found["targets" if hot else "labels"] = hexadecimal(call.extra) if hot else np.asarray(call.extra).tolist()
    return found
