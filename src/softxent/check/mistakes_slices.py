"""Mistakes at the end of a slice: rows are processed in slices, and the last one is smaller than the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from softxent.check.bulk import exact_batch
from softxent.check.report import Diagnosis
from softxent.check.session import Session

__all__ = ["of_buffers", "of_slices"]

Float = npt.NDArray[np.float64]
# Divided into slices of 2, 4, 8, … rows, these numbers leave different remainders.
ROWS = (100, 129, 203, 1003)
SIZES = (2, 4, 8, 10, 16, 20, 25, 32, 50, 64, 100, 128, 200, 256, 500, 512, 1000)
NEAR = 1e-5
STEP_ROWS = "each row for itself, and each row once"


def _slices(own: Float, size: int) -> list[Float]:
    return [own[at : at + size] for at in range(0, len(own), size)]


Model = Callable[[Float, int], Any]
# Wrong reductions of the rows' losses: name, sentence, model.
LOSSES: tuple[tuple[str, str, Model], ...] = (
    (
        "mean of means",
        "It averages the means of slices of {} rows: the last slice, which is smaller, weighs as much as the others.",
        lambda own, k: np.mean([s.mean() for s in _slices(own, k)]),
    ),
    (
        "mean of means",
        "It adds the means of slices of {} rows, and does not divide by their number.",
        lambda own, k: np.sum([s.mean() for s in _slices(own, k)]),
    ),
    ("rows missing", "It sums whole slices of {} rows and divides by N.", lambda own, k: _whole(own, k) / len(own)),
    (
        "rows missing",
        "It takes the mean of whole slices of {} rows: the last rows are left out.",
        lambda own, k: _whole(own, k) / max(1, len(own) // k * k),
    ),
    ("rows missing", "It sums whole slices of {} rows: the last rows are left out.", lambda own, k: _whole(own, k)),
    ("rows missing", "It sums the first {} rows only.", lambda own, k: own[:k].sum()),
    ("rows missing", "It takes the mean of the first {} rows only.", lambda own, k: own[:k].mean()),
    ("rows missing", "It returns the mean of the last slice of {} rows.", lambda own, k: _slices(own, k)[-1].mean()),
    ("rows missing", "It returns the sum of the last slice of {} rows.", lambda own, k: _slices(own, k)[-1].sum()),
    (
        "wrong reduction",
        "It divides the sum by the last slice's rows, of slices of {}.",
        lambda own, k: own.sum() / len(_slices(own, k)[-1]),
    ),
)


def _whole(own: Float, size: int) -> float:
    return float(own[: len(own) // size * size].sum())


def _up_to(rows: Float, end: int) -> Float:
    return np.where((np.arange(len(rows)) < end).reshape(-1, *[1] * (rows.ndim - 1)), rows, 0.0)


# Wrong rows of unreduced results: name, sentence, model.
RESULTS: tuple[tuple[str, str, Model], ...] = (
    (
        "rows missing",
        "It fills whole slices of {} rows: the last rows are 0.",
        lambda rows, k: _up_to(rows, len(rows) // k * k),
    ),
    ("rows missing", "It fills the first {} rows only: the others are 0.", lambda rows, k: _up_to(rows, k)),
    (
        "wrong reduction",
        "Each slice of {} rows is divided by its own number of rows, not by N.",
        lambda rows, k: np.concatenate([s * (len(rows) / len(s)) for s in _slices(rows, k)]),
    ),
)


def of_slices(session: Session) -> Diagnosis | None:
    """Return the mistake between slices of a function that is right for few rows; None if none fits."""
    if not session.way.batched or session.way.elementwise(session.kind) or session.pace > 0.1 or session.compiles:
        return None
    reduced = session.way.reduction != "none" and session.kind.result == "scalar"
    seen = []
    for n in ROWS:
        batch = session.batch(np.random.default_rng(n).normal(size=(n, 5)), seed=n)
        got = session.call([batch], whole=True)[0].value
        if got is None:
            return None
        rows = exact_batch(session.kind.exact, batch.first, batch.extra)[0].hi
        if session.way.reduction == "mean" and not reduced:
            rows = rows / n
        seen.append((got, rows))
    for name, sentence, model in LOSSES if reduced else RESULTS:
        for size in SIZES:
            pairs = [(got, model(rows, size), rows) for got, rows in seen]
            if all(_fits(got, value) for got, value, _ in pairs) and not all(
                _fits(_right(session, rows) if reduced else rows, value) for _, value, rows in pairs
            ):
                return Diagnosis(name, STEP_ROWS, sentence.format(size))
    return None


def _right(session: Session, rows: Float) -> Any:
    return rows.mean() if session.way.reduction == "mean" else rows.sum()


def _fits(got: Any, value: Any) -> bool:
    size = float(np.abs(value).max())
    return bool(np.shape(got) == np.shape(value) and np.allclose(got, value, rtol=NEAR, atol=NEAR * size))


# Rows that are mixed up or missing: name, sentence, the results in their wrong order.
MOVED: tuple[tuple[str, str, Callable[[Float], Float]], ...] = (
    (
        "one buffer for all rows",
        "Every row has the last row's result: one buffer is filled again for each row.",
        lambda r: np.broadcast_to(r[-1:], r.shape),
    ),
    (
        "rows mixed",
        "Every row has the first row's result.",
        lambda r: np.broadcast_to(r[:1], r.shape),
    ),
    ("rows mixed", "The rows are in reverse order.", lambda r: r[::-1]),
    ("rows mixed", "Each row has the result of the row before.", lambda r: np.roll(r, 1, 0)),
    ("rows mixed", "Each row has the result of the row after.", lambda r: np.roll(r, -1, 0)),
    ("rows mixed", "Every row has the mean of the rows' results.", lambda r: np.broadcast_to(r.mean(0), r.shape)),
    ("rows mixed", "Every row has the sum of the rows' results.", lambda r: np.broadcast_to(r.sum(0), r.shape)),
    ("rows mixed", "Each row has the rows before it added: a buffer that is not reset.", lambda r: np.cumsum(r, 0)),
    ("rows missing", "Only the first row is there: the others are 0.", lambda r: _up_to(r, 1)),
    ("rows missing", "The last row is 0.", lambda r: _up_to(r, len(r) - 1)),
)


def of_buffers(session: Session) -> Diagnosis | None:
    """Return how the rows of a batch are mixed up, or which are missing; None if nothing fits."""
    if not session.way.batched or session.way.reduction != "none" or session.compiles:
        return None
    seen = []
    for n in (2, 3, 5):
        batch = session.batch(np.random.default_rng(n).normal(size=(n, 6)), seed=n)
        got = session.call([batch])[0].value
        if got is None:
            return None
        seen.append((got, exact_batch(session.kind.exact, batch.first, batch.extra)[0].hi))
    for name, sentence, move in MOVED:
        if all(_fits(got, move(rows)) for got, rows in seen):
            return Diagnosis(name, STEP_ROWS, sentence)
    return None
