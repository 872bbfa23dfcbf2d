"""Name the mistake that a function makes.

Its results on discriminating inputs are compared with the zoo's models. If none matches, a fit to the results is tried,
then the circumstances in which they are wrong, then the findings themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from softxent.check.axes import MORE_AXES
from softxent.check.bounds import ROUNDOFF
from softxent.check.calling import Batch
from softxent.check.divisors import of_divisors
from softxent.check.exponential import exponential
from softxent.check.fitting import differences, fitted, narrow, one_side, scaled
from softxent.check.judging import coarser, judge
from softxent.check.matching import Evidence, matched
from softxent.check.mistakes import STEPS
from softxent.check.mistakes_reduction import of_several_rows
from softxent.check.mistakes_slices import of_buffers, of_slices
from softxent.check.remembering import STATE
from softxent.check.report import Diagnosis, Finding, Report
from softxent.check.session import Session
from softxent.check.soft_targets import SOFT
from softxent.check.tabulated import tabulated

__all__ = ["BY_PROPERTY", "FIRST", "by_property", "diagnose"]


# At most this many of the wrong rows are evidence, and they may be at most this wide.
MOST_FOUND, WIDEST = 8, 4096
# Logits that overflow in float32, and in float64.
MILD = (120.7, 950.3)


def diagnose(session: Session | None, report: Report) -> Diagnosis | None:
    """Return the mistake that the results match, or the one that the findings name; None if nothing fits."""
    findings = report.findings if session is None else session.findings
    first = by_property(findings, FIRST)
    if first is not None or session is None:
        return first or by_property(findings, BY_PROPERTY)
    if any(f.property.startswith(NUMERIC) for f in findings):
        evidence = _gather(session)
        found = matched(session.kind.name, evidence)
        if found is None and session.kind.name == "cross_entropy_grad" and session.way.reduction in ("sum", "mean"):
            found = matched(session.kind.name, _other_reduction(session, evidence))
        found = found or _of_rows(session, evidence, findings) or of_divisors(session) or narrow(session, evidence)
        found = (
            found
            or scaled(session, evidence)
            or differences(session, evidence)
            or tabulated(session)
            or exponential(session)
            or one_side(session, evidence)
            or session.circumstances.explain(
                alone=any(f.property.startswith(("accuracy", "overflow")) for f in findings)
            )
            or fitted(session, evidence)
        )
        if found is not None:
            return found
    if session.kind.name == "cross_entropy" and any(f.property == "−inf" and f.got == "nan" for f in findings):
        return Diagnosis(
            "0 · −∞",
            "H(y, p) = −Σ y_i log p_i, with 0 · log 0 = 0",
            "It multiplies all log-probabilities by one-hot labels: 0 · −∞ is NaN where another class is masked.",
        )
    return by_property(findings, BY_PROPERTY)


def probes(session: Session) -> list[Batch]:
    """Return the discriminating inputs: benign, confident, far apart, overflowing, offset, tied, wide, square."""
    rng = np.random.default_rng(21)
    rows: list[tuple[Any, list[int]]] = [
        ([[4.0, -4.0, 3.0, 0.5, 1.25], [1.0, 2.0, 3.0, -1.5, 0.25], [0.5, -0.25, 2.0, 1.0, 3.0]], [2, 0, 3]),
        ([[0.3, 1.7, -0.6, 0.9], [2.2, -1.1, 0.4, 0.1]], [3, 1]),
        ([[1.5, 0.25, -0.75], [0.0, 1.0, 2.0], [2.0, 0.5, 1.0]], [0, 2, 1]),
        ([[40.0, 0.0, 1.0], [0.0, 20.0, 3.0], [16.0, 0.0, -2.0], [0.0, 50.0, 3.0]], [0, 0, 0, 2]),
        ([[12.0, 0.0], [0.0, 9.0], [25.0, 0.0]], [0, 0, 1]),
        ([[1000.0, 1001.0, 999.5], [800.0, 800.0, 400.0]], [1, 0]),
        ([[-1000.0, -1001.0, -1000.25], [-2000.0, -2000.5, -1999.0]], [0, 2]),
        ([[0.0, -800.0, 3.0], [0.0, 120.0, -5.0]], [1, 0]),
        ([[0.0, 1.0, 2.0], [900.0, 901.0, 899.0], [-900.0, -901.0, -899.5]], [0, 1, 2]),
        ([[1e6, 1e6 + 1, 1e6 + 2], [1e8, 1e8, 1e8]], [2, 0]),
        ([[2.0, 2.0, 1.0], [0.0, 0.0, 0.0], [-3.0, -3.0, -3.0]], [2, 0, 1]),
        (rng.normal(size=(2, 33)) * 3, [4, 30]),
        (rng.normal(size=(4, 4)), [0, 1, 2, 3]),
        (-8.0 * np.arange(11.0)[None], [3]),
        # Ladders: unlikely labels, which show the bound of a clipped probability; and growing logits.
        ([[x, 0.0, x - 2.0] for x in (8.4, 10.3, 12.6, 14.9, 17.3, 19.6, 21.9, 25.0, 31.0, 35.4)], [1] * 10),
        ([[x, 0.0, 1.0] for x in (65.0, 84.0, 95.0, 150.0, 250.0, 400.0, 550.0, 650.0, 704.0, 709.4)], [1, 0] * 5),
    ]
    if session.kind.extra == "target":
        # Logits at which a softplus becomes a straight line, and at which two formulas agree; with both targets.
        far = [9.5, -11.0, 16.0, -18.0, 21.0, -21.0, 24.5, -25.5, 27.0, -28.0, 31.0]
        rows += [([far] * 4, [0, 0, 0, 0])]
    if session.compiles:
        rows = [(z, labels) for z, labels in rows if np.shape(z)[-1] in (2, 3)]
    elif not session.narrow and session.pace < 0.05:
        rows.append((rng.normal(size=(1, 3000)) * 2, [2989]))
        rows.append((np.zeros((1, 4096)), [5]))
    batches = []
    for dtype in session.dtypes:
        for z, labels in rows:
            array = np.asarray(z)
            batch = session.batch(array.astype(dtype), labels, seed=31)
            if session.way.batched:
                batches.append(batch)
            if (len(array) > 1 and not session.compiles) or not session.way.batched:
                batches += [batch.rows(slice(i, i + 1)) for i in range(len(array))]
    return batches


def _gather(session: Session) -> list[Evidence]:
    batches = probes(session)
    reduced = session.kind.result == "scalar" and session.way.reduction != "none"
    found = [] if not reduced else [e for b in batches if len(b) > 1 and (e := _whole(session, b)) is not None]
    if reduced:  # unless it is whole, a call of several rows is made row by row
        batches = [b for b in batches if len(b) == 1]
    batches += _found(session)
    for batch, outcome in zip(batches, session.call(batches), strict=True):
        dtype = coarser(batch.first.dtype.name, outcome.dtype or "float64")
        blank = np.full(_shape(session, batch), np.nan)
        got = blank if outcome.value is None else outcome.value
        judged = judge(session.kind, batch, got, dtype)
        wrong = judged.ratio > 1
        found.append(Evidence(batch, got, judged.exact.hi, judged.bound, wrong, outcome.value is None, dtype))
    return found


def _whole(session: Session, batch: Batch) -> Evidence | None:
    """Return the reduced result of several rows as evidence: a mistake that mixes rows shows in no single row."""
    outcome = session.call([batch], whole=True)[0]
    if outcome.value is None or np.size(outcome.value) != 1:
        return None
    dtype = coarser(batch.first.dtype.name, outcome.dtype or "float64")
    got = np.reshape(np.asarray(outcome.value, np.float64), 1)
    rows = judge(session.kind, batch, np.full(len(batch), np.nan), dtype)
    share = 1 / len(batch) if session.way.reduction == "mean" else 1.0
    exact = rows.exact.hi.sum(keepdims=True) * share
    bound = rows.bound.sum(keepdims=True) * share + len(batch) * ROUNDOFF[dtype] * np.abs(exact)
    with np.errstate(all="ignore"):
        wrong = ~(np.abs(got - exact) <= bound)
    return Evidence(batch, got, exact, bound, wrong, False, dtype, whole=True)


def _found(session: Session) -> list[Batch]:
    """Return the rows that were found to be wrong, which must be explained too, and the same rows clipped.

    Near overflow many mistakes give the same NaN.
    """
    batches: list[Batch] = []
    for c in list(session.candidates.values())[:MOST_FOUND]:
        if c.batch.first.shape[1] > WIDEST or session.compiles:
            continue
        row = c.batch.rows(slice(c.row, c.row + 1))
        batches.append(row)
        if session.kind.first == "logits":
            top = min(float(np.abs(row.first[np.isfinite(row.first)]).max(initial=0.0)), MILD[-1])
            batches += [replace(row, first=np.clip(row.first, -m, m)) for m in MILD if m < 2 * top]
    return batches


def _other_reduction(session: Session, evidence: Sequence[Evidence]) -> list[Evidence]:
    """Return the evidence as if the gradient were that of the other reduction.

    A gradient that is meant to be the mean's may be so wrong that it is closer to the sum's.
    """
    found = []
    for e in evidence:
        factor = float(len(e.batch)) if session.way.reduction == "sum" else 1.0 / len(e.batch)
        judged = judge(session.kind, e.batch, e.got * factor, e.dtype)
        found.append(replace(e, got=e.got * factor, wrong=judged.ratio > 1))
    return found


def _shape(session: Session, batch: Batch) -> tuple[int, ...]:
    n, c = batch.first.shape
    return {"row": (n, c), "matrix": (n, c, c)}.get(session.kind.result, (n,))


def _of_rows(session: Session, evidence: Sequence[Evidence], findings: Sequence[Finding]) -> Diagnosis | None:
    """Return the mistake if every row is right alone and wrong among others."""
    single = [e for e in evidence if len(e.batch) == 1]
    if not single or any(e.wrong.any() for e in single):
        return None
    found = of_several_rows(session) or of_buffers(session) or of_slices(session)
    if found is not None or len(single) == len(evidence):
        return found
    if not any(e.wrong.any() for e in evidence) or any(f.property.startswith("reduction") for f in findings):
        return None
    return Diagnosis(NOT_INDEPENDENT[0], f"{STEPS[session.kind.name]}: each row for itself", NOT_INDEPENDENT[1])


# Findings of these properties are numbers, which a model of a mistake may explain.
NUMERIC = ("accuracy", "overflow", "drift", "reduction", "raises", "batch", "NaN", "−inf", "labels", "dtype")

# These findings explain themselves, whatever the numbers are.
FIRST = (
    ("hang", "does not return", "A call has an end.", "It did not return in the time that it was given."),
    ("crash", "ends the process", "A function returns or raises.", "The process died in the call."),
    (
        STATE,
        "remembers an earlier call",
        "A function of its arguments.",
        "Its result depends on earlier calls: something is kept between them.",
    ),
    (
        "purity: deterministic",
        "not deterministic",
        "A function of its arguments.",
        "The same input gives other bits at another time.",
    ),
)

NOT_INDEPENDENT = "rows not independent", "A row's result depends on the rows beside it."
BY_PROPERTY = (
    (
        "layout",
        "memory order",
        "f(a) = f(a.copy())",
        "It reads the buffer, not the array: it is right for a contiguous array and wrong for the same numbers in "
        "another layout.",
    ),
    (
        "purity: input",
        "writes into its argument",
        "z − m is a new array.",
        "It writes into the caller's array, as `z -= z.max()` does.",
    ),
    (
        "purity: result",
        "shared buffer",
        "A result belongs to the caller.",
        "It hands out one buffer again and again: an earlier result changes.",
    ),
    ("NaN", "NaN to number", "exp(NaN) is NaN.", "NaN goes in and numbers come out: what went wrong before is hidden."),
    (
        "drift",
        "math.e ** x",
        "exp(x): the base e is no floating-point number",
        "The base of its exponential is rounded: the error grows with |z − m|.",
    ),
    (
        "accuracy, small losses",
        "log(1 + x) for log1p",
        "L = log1p(e^−|z|) + max(z, 0) − t z",
        "It takes log(1 + e^−|z|): small losses are rounded to 0, where log1p keeps them.",
    ),
    ("labels", "label wraps", "0 ≤ y < C", "A label that names no class is silently taken for another one."),
    (
        "shape: a square batch",
        "no keepdims",
        "S = Σ_j exp(z_j − m), a number for each row",
        "Its numbers of rows are no column (no keepdims): in a square batch they go to the classes of other rows.",
    ),
    (
        SOFT,
        "soft targets rounded",
        "L = log(1 + e^−|z|) + max(z, 0) − t z, for any t from 0 to 1",
        "It is right for the targets 0 and 1, and wrong between them.",
    ),
    (
        MORE_AXES,
        "more than two axes",
        "The classes are the last axis, however many others there are; these only number the rows.",
        "It is right for rows and classes, and takes logits of more axes for something else.",
    ),
    (
        "batch",
        NOT_INDEPENDENT[0],
        "A row's result is a function of that row.",
        NOT_INDEPENDENT[1],
    ),
    (
        "reduction",
        "wrong reduction",
        "the mean over the rows divides by N, the sum by nothing",
        "It is right for one row and neither the mean nor the sum for several.",
    ),
    (
        "dtype: int",
        "integer result",
        "p_i = exp(z_i − m) / S, a real number",
        "Integer logits give a result in integers, or a wrong one.",
    ),
    (
        "dtype",
        "lower precision",
        "The result has the dtype of the input.",
        "float64 goes in and a narrower format comes out.",
    ),
    ("−inf", "−inf mishandled", "exp(−∞) = 0: an impossible class", "A masked class does not get probability 0."),
    ("prints", "prints", "A function that computes returns its result.", "It writes to stdout."),
    (
        "shape",
        "wrong shape",
        "The classes are the last axis.",
        "Its result does not have the shape that the kind asks for.",
    ),
    ("overflow: threshold", "no shift", "softmax(z) = softmax(z − m)", "It overflows with growing logits."),
    ("raises", "raises", "Every finite input has a result.", "It raises on input that has a result."),
)


# These do not explain a wrong number on finite input.
BESIDE = ("NaN", "−inf", "labels", "dtype", "dtype: int", "prints")


def by_property(findings: Sequence[Finding], table: Sequence[tuple[str, str, str, str]]) -> Diagnosis | None:
    """Return the mistake that the findings themselves name."""
    if table is FIRST:
        for prefix, name, step, sentence in FIRST:
            cause = next((f for f in findings if f.property.startswith(prefix)), None)
            if cause is not None:
                how = f" {cause.message[0].upper()}{cause.message[1:]}." if prefix == STATE else ""
                return Diagnosis(name, step, sentence + how)
        return None
    widths = {f.case.split(",")[0] for f in findings if f.property.startswith(("accuracy", "overflow"))}
    if widths and all(w.startswith("width ") for w in widths):
        return Diagnosis(
            "wrong at some widths",
            "S = Σ_j exp(z_j − m), over all classes of a row",
            f"It is wrong at some numbers of classes only: {', '.join(sorted(widths))}.",
        )
    inaccurate = any(f.property.startswith("accuracy") for f in findings)
    numeric = any(
        f.property.startswith(("accuracy", "overflow")) and f.property != "overflow: threshold" for f in findings
    )
    for prefix, name, step, sentence in table:
        if numeric and prefix in BESIDE:
            continue
        overflown = next((f for f in findings if f.property == "raises" and f.got.startswith("OverflowError")), None)
        if prefix == "raises" and overflown is not None:
            return Diagnosis(
                "exp overflows",
                "exp(x) ≤ 1 for x ≤ 0: shift by the largest, or take e^−|z|",
                f"An exponential overflows, and raises: {overflown.got}.",
            )
        # If results below the threshold are wrong too, a missing shift does not explain them.
        if prefix == "overflow: threshold" and inaccurate:
            continue
        # log(1 + x) spoils small losses only; if others are wrong too, it does not explain them.
        if prefix == "accuracy, small losses" and any(f.property == "accuracy, head" for f in findings):
            continue
        # A wrong reduction is the cause only if each row is right alone.
        if prefix == "reduction" and (inaccurate or any(f.property == "overflow" for f in findings)):
            continue
        several = next((f.case for f in findings if f.property == prefix == "reduction" and " rows of " in f.case), "")
        if several:
            return Diagnosis(name, step, f"It is right for one row, and neither the mean nor the sum with {several}.")
        if any(f.property.startswith(prefix) for f in findings):
            how = next((f.message for f in findings if prefix in (MORE_AXES, SOFT) and f.property == prefix), "")
            return Diagnosis(name, step, f"{sentence} {how[:1].upper()}{how[1:]}." if how else sentence)
    return None
