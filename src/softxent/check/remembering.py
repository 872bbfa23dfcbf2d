"""Find state that a function keeps between calls: an earlier result, a running maximum, a gradient that adds up.

Four tests:

- The very first calls are repeated at the end.
- An array gets other numbers in place.
- If equal calls differ, they are repeated in a new process after a call with other numbers: kept state depends on
  those numbers, a random result does not.
- A result that is wrong once, and right when the call is repeated, is distinguished from one that is always wrong.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from softxent.check.calling import Batch
from softxent.check.inputs import sample
from softxent.check.judging import coarser, judge
from softxent.check.session import Session

__all__ = ["STATE", "again", "first_calls", "keeps_state", "reused"]

STATE = "purity: state"
# A rounding that depends on where an array lies in memory stays below this multiple of the bound.
PLAIN = 4.0
Calls = list[tuple[Batch, npt.NDArray[Any]]]


def first_calls(session: Session) -> Calls:
    """Call with ordinary rows before anything else; return the batches and their results."""
    found = []
    for dtype in session.dtypes:
        for n, c in ((1, 5), (3, 5)):
            if session.compiles and n == 1:
                continue
            batch = sample(session, n, c, dtype, seed=17)
            value = session.call([batch])[0].value
            if value is not None:
                found.append((batch, value))
    return found


def again(session: Session, before: Calls) -> None:
    """Repeat the first calls; it is a finding if a result has changed."""
    if any(f.property in (STATE, "purity: deterministic", "hang", "crash") for f in session.findings):
        return
    for batch, first in before:
        value = session.call([batch])[0].value
        if value is None or value.shape != first.shape:
            continue
        owed = judge(session.kind, batch, first, coarser(batch.first.dtype.name, "float64")).bound
        far = ~(np.abs(value - first) <= PLAIN * owed) & ~((value == first) | (np.isnan(value) & np.isnan(first)))
        if far.any():
            at = tuple(int(i) for i in np.argwhere(far)[0])
            session.find(
                STATE,
                "the first call again, after others",
                batch.first.dtype.name,
                batch,
                repr(float(value[at])),
                repr(float(first[at])),
                "the same call gave another result before the other calls were made",
            )
            return


def reused(session: Session) -> None:
    """Put other numbers into the same array; it is a finding if the result is not that of the new numbers."""
    if session.way.container in ("jax", "tensorflow") or session.compiles:
        return
    width = 1 if session.way.elementwise(session.kind) else 9
    batch, other = sample(session, 1, width, seed=41), sample(session, 1, width, seed=42)
    other = Batch(other.first, batch.extra)
    _refilled(session, batch, other, *(session.way.requests(session.kind, b)[0] for b in (batch, other)))
    if session.way.batched and session.way.reduction == "none" and not session.way.gradient:
        # A function of batches may have a branch for one row, and keep state only there.
        way = replace(session.way, batched=False)
        _refilled(session, batch, other, *(way.requests(session.kind, b)[0] for b in (batch, other)))


def _refilled(session: Session, batch: Batch, other: Batch, request: dict[str, Any], new: dict[str, Any]) -> None:
    """Make a call, then the same call with the new numbers in its first argument."""
    answer = session.caller.call([request | {"reuse": new["args"]}], session.timeout)[0]
    right = session.caller.call([new], session.timeout)[0].get("value")
    got, old = answer.get("reused"), answer.get("value")
    if not (isinstance(got, np.ndarray) and isinstance(old, np.ndarray) and isinstance(right, np.ndarray)):
        return
    if {v.dtype.kind for v in (got, old, right)} != {"f"} or not got.shape == old.shape == right.shape:
        return
    stale = np.array_equal(got, old)
    if np.allclose(got, right, rtol=1e-5, atol=1e-9, equal_nan=True):
        # If new numbers in a new array give the old result too, it is cached by shape, or the function is constant.
        first = session.call([batch])[0].value
        if not stale or first is None or (judge(session.kind, batch, first, "float32").ratio > 1).any():
            return
        if old.size != first.size or not np.allclose(old.ravel(), first.ravel(), rtol=1e-5, atol=1e-9):
            return  # for one row in place of a batch the function computes something else
    at = int(np.argmax(np.abs(got - right)))
    session.find(
        STATE,
        "one array, other numbers in it",
        "float64",
        other,
        repr(float(got.ravel()[at])),
        "another result" if np.array_equal(got, right) else repr(float(right.ravel()[at])),
        "other numbers in the same array give the old result" if stale else "an earlier call shows in a later result",
    )


def keeps_state(session: Session, request: dict[str, Any], values: Sequence[npt.NDArray[Any]]) -> bool:
    """Whether equal calls differ because of kept state: they grow steadily, or depend on the call before them.

    A random result, whatever its seed, does not depend on the numbers of an earlier call.
    """
    steps = [np.asarray(b - a, np.float64) for a, b in itertools.pairwise(values)]
    if (
        len(steps) > 1
        and np.abs(steps[0]).max() > 0
        and all(np.allclose(s, steps[0], rtol=1e-3, atol=0) for s in steps)
    ):
        return True
    restart = getattr(session.caller, "restart", None)
    if restart is None:
        return False
    other = request | {"args": [10 * request["args"][0] + 1, *request["args"][1:]]}
    seen = []
    for before in (request, request, other):
        restart()
        answers = session.caller.call([before, request], session.timeout)
        seen.append(answers[1]["value"].tobytes() if isinstance(answers[1].get("value"), np.ndarray) else b"")
    return seen[0] == seen[1] != seen[2]
