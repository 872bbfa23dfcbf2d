"""Recognise a function of single numbers that uses a table: neighbouring logits share a value, or a straight line."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from softxent.check.bulk import exact_batch
from softxent.check.calling import Batch
from softxent.check.report import Diagnosis
from softxent.check.session import Session

__all__ = ["tabulated"]

# The number of equally spaced logits, and their range.
COUNT, START, END = 1025, 0.5, 1.5
# If more than this share of neighbours are equal, or on a line, it is a table: a sigmoid's are not.
MOST = 0.5
# Three neighbours with a smaller bend are on a line: the sigmoid bends by 1e-7, rounding by 1e-16.
STRAIGHT = 1e-12
# A table of this function is this close to the truth; other piecewise linear functions are not.
COARSE = 0.15


def tabulated(session: Session) -> Diagnosis | None:
    """Return a diagnosis if a sigmoid or a binary loss uses a table; None otherwise."""
    if session.kind.name not in ("sigmoid", "binary_cross_entropy") or session.pace > 0.05:
        return None
    x = np.linspace(START, END, COUNT)
    f = _results(session, x)
    if f is None or not np.isfinite(f).all():
        return None
    target = np.zeros((1, COUNT)) if session.kind.extra == "target" else None
    exact = exact_batch(session.kind.exact, x[None], target)[0].hi[0]
    if np.abs(f - exact).max() > COARSE:
        return None
    steps = np.abs(np.diff(f))
    if (steps == 0).mean() > MOST and steps.max() > 1e-9:
        width = (END - START) / max(1, len(np.unique(f)) - 1)
        how = f"a staircase with steps of about {width:.3g}"
    elif (np.abs(np.diff(f, 2)) < STRAIGHT).mean() > MOST and (np.abs(np.diff(f, 2)) >= STRAIGHT).any():
        bends = int((np.abs(np.diff(f, 2)) >= STRAIGHT).sum())
        how = f"straight lines, with about {max(1, bends // 2)} corners from {START:g} to {END:g}"
    else:
        return None
    return Diagnosis(
        "look-up table", session.kind.formula, f"Its results are {how}: they are read off a table.{_end(session)}"
    )


def _end(session: Session) -> str:
    """Say where the table ends."""
    if session.kind.name != "sigmoid":
        return ""
    x = np.linspace(1, 36, 351)
    f = _results(session, x)
    if f is None or not (f == 1).any():
        return ""
    end = float(x[np.argmax(f == 1)])
    return f" From {end:.3g} on it is exactly 1." if end < 35 else ""


def _results(session: Session, x: npt.NDArray[np.float64]) -> Any:
    target = np.zeros((1, len(x))) if session.kind.extra == "target" else None
    outcome = session.call([Batch(x[None], target)])[0]
    return None if outcome.value is None else outcome.value[0]
