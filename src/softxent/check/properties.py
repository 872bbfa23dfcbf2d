"""The properties other than accuracy: purity, batches, shapes, layouts, dtypes, NaN and infinities, bad labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from softxent.check.axes import more_axes
from softxent.check.calling import Batch
from softxent.check.inputs import dtypes, labels_out_of_range, non_finite, sample, small_losses
from softxent.check.judging import coarser, judge
from softxent.check.label_options import label_options, offered
from softxent.check.layouts import layouts
from softxent.check.remembering import STATE, keeps_state, reused
from softxent.check.session import Session
from softxent.check.sizes import EQUAL, batch_sizes, cotangents, label_types, masks, row_of
from softxent.check.soft_targets import SOFT, soft_targets

__all__ = ["run_properties"]


def run_properties(session: Session) -> None:
    """Check every property in turn; each adds a line to the table."""
    parts: list[tuple[str, Callable[[Session], str]]] = [
        ("purity: deterministic, no shared buffer", _pure),
        ("batch: a row's result is its own", _batch),
        ("shape: one row, one class, three axes, no rows", _shapes),
        ("layout: strided, reversed, Fortran, read-only", layouts),
        ("dtype: float32, half precision, integers", dtypes),
    ]
    if session.kind.first == "logits" and session.kind.extra != "target":
        parts.append(("−inf, +inf, NaN", non_finite))
    if (
        session.kind.first == "logits"
        and session.kind.extra in (None, "label")
        and session.kind.name != "sigmoid"
        and not (session.compiles and session.quick)
    ):
        parts.append(("masked classes: blocks of −inf", masks))
    if session.kind.extra == "cotangent":
        parts.append(("cotangents of all magnitudes", cotangents))
    if session.kind.extra == "label" and session.way.labels == "index" and session.way.container != "list":
        parts.append(("labels of few bits", label_types))
    if session.kind.name == "binary_cross_entropy":
        parts.append(("small losses", small_losses))
        parts.append((SOFT, soft_targets))
    if session.kind.extra == "label" and session.way.labels == "index" and session.kind.name != "linear_cross_entropy":
        parts.append(("labels out of range", labels_out_of_range))
    if offered(session):
        parts.append(("options of the signature", label_options))
    for i, (name, part) in enumerate(parts):
        if session.gone:
            session.properties.append((name, "skipped", "no time, or the target does not survive"))
            continue
        findings, notes = len(session.findings), len(session.notes)
        detail = part(session)
        status = "finding" if len(session.findings) > findings else "note" if len(session.notes) > notes else "ok"
        session.properties.append((name, status, detail))
        session.progress("properties", (i + 1) / len(parts))


def _one(session: Session, batch: Batch, **changes: Any) -> list[dict[str, Any]]:
    requests = session.way.requests(session.kind, batch)
    return session.caller.call([r | changes for r in requests], session.timeout)


def _pure(session: Session) -> str:
    batch = sample(session, 4, 257 if not session.narrow else 33)
    request = session.way.requests(session.kind, batch)[0]
    times = 6 if session.quick else 24
    answers = session.caller.call([request] * times, session.timeout)
    values = [a["value"] for a in answers if "value" in a and not isinstance(a["value"], tuple)]
    if len(values) == times and any(v.tobytes() != values[0].tobytes() for v in values[1:]):
        other = next(v for v in values if v.tobytes() != values[0].tobytes())
        index = int(np.argmax(other.ravel() != values[0].ravel()))
        kept = keeps_state(session, request, values)
        session.find(
            STATE if kept else "purity: deterministic",
            "the same call again",
            "float64",
            batch.rows(slice(0, 1)),
            repr(float(other.ravel()[index])),
            repr(float(values[0].ravel()[index])),
            "the same call again gives another result, by what earlier calls have left behind"
            if kept
            else "the same input gives other bits at another time",
        )
    else:
        reused(session)
    again = session.way.requests(session.kind, sample(session, 4, 257 if not session.narrow else 33, seed=4))
    answer = session.caller.call([request | {"again": again[0]["args"]}], session.timeout)[0]
    if answer.get("stale"):
        session.find(
            "purity: result",
            "two calls",
            "float64",
            batch.rows(slice(0, 1)),
            "another result after the next call",
            "the result unchanged",
            "a later call writes into what an earlier one returned: one buffer is handed out again and again",
        )
    return f"{times} equal calls"


def _batch(session: Session) -> str:
    if not session.way.batched:
        return "it takes one row at a time"
    rng = np.random.default_rng(8)
    z = rng.normal(size=(8, 19)) * 2 + np.array([[0.0], [900.0], [-900.0], [5.0], [3000.0], [-3000.0], [1.0], [60.0]])
    differing = 0
    for dtype in session.dtypes:
        batch = session.batch(z.astype(dtype), seed=9)
        outcome = session.call([batch])[0]
        session.keep(batch, ["rows far apart"] * 8, outcome, dtype)
        alone = session.call([batch.rows(slice(i, i + 1)) for i in range(8)])
        singles = [a.value for a in alone if a.value is not None]
        if outcome.value is None or len(singles) < len(alone):
            continue
        differing += sum(
            not np.array_equal(a[0], v, equal_nan=True) for a, v in zip(singles, outcome.value, strict=True)
        )
        if session.way.reduction != "none" and session.kind.name != "cross_entropy_grad":
            _reduction(session, batch, dtype)
    sizes = batch_sizes(session)
    for n, c in sizes:
        if session.pace > 0.3 and n > 64:
            break  # its time grows with the square of the rows
        for dtype in session.dtypes[: 1 if session.brief and n not in (33, 129) else 2]:
            rows = row_of(session, n, c, dtype, equal=n == EQUAL)
            if session.kind.reducible and session.way.reduction != "none":
                _reduction(session, rows, dtype)
            else:
                session.keep(rows, [f"{n} rows"] * n, session.call([rows])[0], dtype)
    if differing and session.way.reduction == "none":
        session.note(
            "batch: bits",
            "rows far apart",
            "float64",
            None,
            f"{differing} of 16 rows differ in bits",
            "the same bits",
            "a row's last bits depend on the batch that it is in",
        )
    return f"8 rows together and alone, {sizes[0][0]} to {max(n for n, _ in sizes)} rows"


def _reduction(session: Session, batch: Batch, dtype: str) -> None:
    """Check that a reduced loss or gradient of several rows is the mean, or the sum, over the rows."""
    if session.way.reduction == "none":
        return
    outcome = session.call([batch], whole=True)[0]
    if outcome.value is None:
        session._failed(batch, ["reduction"] * len(batch), outcome, dtype)
        return
    worked_in = coarser(dtype, outcome.dtype)
    judged = judge(session.kind, batch, np.zeros_like(judge_shape(session, batch)), worked_in)
    exact, n = judged.exact.hi, len(batch)
    count = exact.size if session.way.elementwise(session.kind) else n
    divisor = count if session.way.reduction == "mean" else 1
    if session.kind.result == "row" and session.kind.name == "cross_entropy_grad":
        wanted, bound = exact / divisor, 1.5 * judged.bound / divisor
        got = outcome.value
    else:
        wanted = np.asarray(exact.sum() / divisor)
        bound = np.asarray(
            (judged.bound.sum() + np.abs(exact).sum() * n * 2.0 ** -(53 if worked_in == "float64" else 24)) / divisor
        )
        got = np.asarray(outcome.value).reshape(())
    with np.errstate(all="ignore"):
        bad = ~(np.abs(got - wanted) <= bound) & np.isfinite(wanted)
    if bad.any():
        index = np.unravel_index(int(np.argmax(bad)), bad.shape)
        session.find(
            "reduction",
            f"{n} rows of {batch.first.shape[-1]} classes",
            dtype,
            batch,
            repr(float(got[index])),
            repr(float(wanted[index])),
            f"it is not the {session.way.reduction} over the rows",
        )


def judge_shape(session: Session, batch: Batch) -> Any:
    """Return zeros of the shape of the unreduced results."""
    n, c = batch.first.shape
    return np.zeros({"row": (n, c), "matrix": (n, c, c)}.get(session.kind.result, (n,)))


def _shapes(session: Session) -> str:
    kind, way = session.kind, session.way
    for n, c, name in (
        (1, 7, "a batch of one row"),
        (5, 1, "one class"),
        (1, 1, "one row of one class"),
        (2, 2, "two by two"),
        (6, 6, "as many rows as classes"),
        (64, 3, "many rows"),
    ):
        z = np.random.default_rng(n * 10 + c).normal(size=(n, c))
        batch = session.batch(z, seed=2)
        outcome = session.call([batch])[0]
        session.keep(batch, [name] * n, outcome, "float64")
    if not way.batched:
        return _of_rows_only(session)
    detail = []
    empty = session.batch(np.zeros((0, 5)))
    answer = session.caller.call([way._request(kind, empty)], session.timeout)[0]
    if "error" in answer:
        session.note(
            "shape: no rows",
            "no rows",
            "float64",
            None,
            answer["error"],
            "an empty result",
            "an empty batch is refused",
        )
    elif way.reduction == "none" and np.size(answer["value"]):
        session.find(
            "shape: no rows",
            "no rows",
            "float64",
            None,
            f"shape {np.shape(answer['value'])}",
            "an empty result",
            "a batch without rows gives numbers",
        )
    detail.append(more_axes(session))
    return "; ".join(d for d in detail if d) or "as expected"


def _of_rows_only(session: Session) -> str:
    """Call a function of one row with several: it should refuse them; note another result."""
    batch = sample(session, 3, 5)
    request = replace(session.way, batched=True, reduction="none")._request(session.kind, batch)
    answer = session.caller.call([request], session.timeout)[0]
    if "value" in answer and not isinstance(answer["value"], tuple):
        shape = answer["value"].shape
        session.note(
            "shape: a batch",
            "3 rows of 5 classes",
            "float64",
            None,
            f"shape {shape}",
            "an error, or the rows' results",
            f"it takes one row; for 3 rows of 5 classes it raises nothing and gives shape {shape}",
        )
    if "error" in answer:
        _square(session)
    return "it takes one row of classes"


def _square(session: Session) -> None:
    """Call with N = C: a per-row number of shape (N,), without keepdims, broadcasts along the classes there."""
    batch = sample(session, 5, 5)
    request = replace(session.way, batched=True, reduction="none")._request(session.kind, batch)
    answer, alone = session.caller.call([request], session.timeout)[0], session.call([batch])[0].value
    value = answer.get("value")
    if isinstance(value, np.ndarray) and isinstance(alone, np.ndarray) and value.shape == alone.shape:
        with np.errstate(all="ignore"):
            far = np.abs(value - alone) > 1e-3 * np.abs(alone)
        if far.any():
            at = tuple(int(k) for k in np.argwhere(far)[0])
            session.find(
                "shape: a square batch",
                "5 rows of 5 classes",
                "float64",
                batch,
                repr(float(value[at])),
                repr(float(alone[at])),
                "as many rows as classes give numbers that are not those of the rows alone, and no error",
            )
