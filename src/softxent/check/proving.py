"""Turn the worst results into findings: proved by balls, of a single row if that fails alone, shrunk to few classes."""

from __future__ import annotations

import time
from fractions import Fraction
from typing import Any

import numpy as np

from softxent.check import oracle
from softxent.check.calling import Batch
from softxent.check.judging import coarser, judge, plain_first
from softxent.check.remembering import STATE
from softxent.check.report import Finding
from softxent.check.session import Candidate, Session, describe

__all__ = ["prove", "proved_error"]

SECONDS_A_FINDING = 2.0
# An error beyond this multiple of the bound is not rounding.
ONCE = 16.0
# With more classes than this only the bulk oracle is used: balls would take minutes.
MOST_CLASSES = 20_000


def prove(session: Session) -> None:
    """Turn every candidate into a finding, the worst first; drop those that the balls do not confirm."""
    ordered = sorted(session.candidates.values(), key=lambda c: (-c.ratio, c.property))
    for i, candidate in enumerate(ordered):
        finding = _finding(session, candidate, shrinking=i < 8)
        if finding is not None:
            session.findings.append(finding)
        session.progress("proving", (i + 1) / len(ordered))


def _finding(session: Session, candidate: Candidate, *, shrinking: bool) -> Finding | None:
    alone = candidate.batch.rows(slice(candidate.row, candidate.row + 1))
    element = (0, *candidate.element[1:])
    state = _state(session, alone, candidate)
    property_, message = candidate.property, ""
    batch = alone
    if state is None:
        batch, element = _smallest_batch(session, candidate)
        property_ = f"batch: {candidate.property}"
        message = "right for this row alone, wrong in this batch; "
        if _state(session, batch, candidate) is None:
            _once(session, candidate)
            return None
    elif shrinking:
        batch, element = shrink(session, candidate, alone, state)
    return _proved(session, candidate, property_, batch, element, message)


def _once(session: Session, candidate: Candidate) -> None:
    """Report a result that was far off once and is right when the call is repeated: the function keeps state."""
    if candidate.ratio < ONCE or any(f.property.startswith("purity: ") for f in session.findings):
        return
    session.find(
        STATE,
        candidate.case,
        candidate.dtype,
        candidate.batch.rows(slice(candidate.row, candidate.row + 1)),
        "a wrong result",
        "the same result at each call",
        "it was wrong, and is right when the same call is made again: earlier calls show in its results",
    )


def _state(session: Session, batch: Batch, candidate: Candidate) -> tuple[int, ...] | None:
    """Return the worst element of a batch if it still shows the candidate's property, None otherwise."""
    outcome = session.call([batch])[0]
    if outcome.value is None:
        return None
    judged = judge(session.kind, batch, outcome.value, coarser(candidate.dtype, outcome.dtype))
    bad = judged.ratio > 1
    broken = ~np.isfinite(judged.value) & np.isinf(judged.error)
    bad &= broken if candidate.property == "overflow" else ~broken
    if candidate.property.startswith("accuracy, "):
        bad &= judged.region == candidate.property.removeprefix("accuracy, ")
    if not bad.any():
        return None
    return judged.worst(np.where(bad, judged.ratio, -1.0))


def _smallest_batch(session: Session, candidate: Candidate) -> tuple[Batch, tuple[int, ...]]:
    """Return two rows that fail together, if there are such; else the whole batch."""
    n = len(candidate.batch)
    for other in range(n):
        if other == candidate.row or n == 2:
            continue
        both = candidate.batch.rows(np.array(sorted([other, candidate.row])))
        state = _state(session, both, candidate)
        if state is not None:
            return both, state
        if other > 16:
            break
    return candidate.batch, candidate.element


def shrink(
    session: Session, candidate: Candidate, batch: Batch, element: tuple[int, ...]
) -> tuple[Batch, tuple[int, ...]]:
    """Return a shorter and rounder row that still fails: fewer classes, then fewer digits."""
    started = time.monotonic()

    def better(trials: list[Batch]) -> tuple[Batch, tuple[int, ...]] | None:
        for trial in trials:
            if time.monotonic() - started > SECONDS_A_FINDING or session.gone:
                return None
            state = _state(session, trial, candidate)
            if state is not None:
                return trial, state
        return None

    while batch.first.shape[1] > 2:
        found = better(_shorter(batch, element))
        if found is None:
            break
        batch, element = found
    if session.kind.first == "logits":
        for places in (0, 1, 2, 4):
            found = better([_rounded(batch, places)])
            if found is not None:
                batch, element = found
                break
    return batch, element


def _shorter(batch: Batch, element: tuple[int, ...]) -> list[Batch]:
    """Return the row without a half, a quarter, … one of its classes; the worst element's and the label's stay."""
    c = batch.first.shape[1]
    keep = {e for e in element[1:] if e < c}
    keep.add(int(np.argmax(plain_first(batch)[0])))
    label = None
    if batch.extra is not None and batch.extra.ndim == 1:
        label = int(batch.extra[0])
        keep.add(label)
    free = [i for i in range(c) if i not in keep]
    found = []
    size = len(free)
    while size:
        for start in range(0, len(free), size):
            gone = set(free[start : start + size])
            left = np.array([i for i in range(c) if i not in gone])
            extra: Any = batch.extra
            if label is not None:
                extra = np.array([int(np.flatnonzero(left == label)[0])])
            elif extra is not None:
                extra = extra[:, left]
            found.append(Batch(batch.first[:, left], extra))
            if len(found) > 40:
                return found
        size //= 2
    return found


def _rounded(batch: Batch, places: int) -> Batch:
    return Batch(np.round(batch.first.astype(np.float64), places).astype(batch.first.dtype), batch.extra)


def proved_error(
    session: Session, batch: Batch, element: tuple[int, ...], got: float, spacing: float
) -> tuple[oracle.Number, float]:
    """Return the proved value of an element and the error of got in units of spacing."""
    row, extra = plain_first(batch)[element[0]], None
    if batch.extra is not None:
        extra = batch.extra[element[0]]
    numbers = oracle.exact(session.kind.exact, row, extra)
    shape = {"scalar": (), "matrix": (len(row), len(row))}.get(session.kind.result, (len(row),))
    number = numbers[int(np.ravel_multi_index(element[1:], shape)) if shape else 0]
    if number.middle is None or not np.isfinite(got) or not np.isfinite(number.hi):
        same = got == number.hi or (got != got and number.hi != number.hi)
        return number, 0.0 if same else float("inf")
    return number, oracle.to_float(abs(Fraction(got) - number.middle) / Fraction(spacing))


def _proved(
    session: Session, candidate: Candidate, property_: str, batch: Batch, element: tuple[int, ...], message: str
) -> Finding | None:
    outcome = session.call([batch])[0]
    if outcome.value is None:
        return None
    dtype = coarser(candidate.dtype, outcome.dtype)
    judged = judge(session.kind, batch, outcome.value, dtype)
    got = float(outcome.value[element])
    spacing = float(judged.spacing[element])
    if batch.first.shape[1] <= MOST_CLASSES:
        number, ulps = proved_error(session, batch, element, got, spacing)
        expected = repr(number.hi)
    else:
        expected, ulps = repr(float(judged.exact.hi[element])), float(judged.ulps[element])
    bound = float(judged.bound[element]) / spacing
    if ulps <= bound:
        return None
    if property_ == "overflow":
        message += f"{got} where the result is finite"
    elif got == 0.0:
        message += "all of it is lost"
    else:
        message += f"{ulps:.3g} ulps; an ordinary implementation is owed {bound:.3g}"
    place = "" if len(element) == 1 and session.kind.result == "scalar" else f", element {list(element[1:])}"
    if candidate.count > 1:
        message += f"; {candidate.count:,} elements like it"
    return Finding(
        property_,
        candidate.case + place,
        candidate.dtype,
        describe(session.kind, batch),
        repr(got),
        expected,
        ulps,
        bound,
        message,
    )
