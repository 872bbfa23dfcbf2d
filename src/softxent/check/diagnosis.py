"""Which classic mistake a function makes: its results on discriminating inputs against those of the zoo's models.

A row speaks for a model where the truth is elsewhere and the model is where the function is (to a fiftieth of the way
between them, or eight times the owed error); a row where the function is right speaks against a model that is wrong there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from softxent.check.calling import Batch
from softxent.check.judging import coarser, judge
from softxent.check.mistakes import Mistake, mistakes_of, naive, shifted
from softxent.check.report import Diagnosis, Finding, Report
from softxent.check.session import Session

__all__ = ["diagnose"]

Float = npt.NDArray[np.float64]
# At least so much of what is wrong must be explained, and so much of everything.
EXPLAINED = 0.8
AGREED = 0.75


@dataclass(frozen=True)
class Evidence:
    """One batch: what came, what is right, how far off is still right, and where it is wrong."""

    batch: Batch
    got: Float
    exact: Float
    bound: Float
    wrong: npt.NDArray[np.bool_]
    raised: bool
    dtype: str


def diagnose(session: Session | None, report: Report) -> Diagnosis | None:
    """Return the mistake that the results match; else what the findings themselves say; None if nothing fits."""
    findings = report.findings if session is None else session.findings
    numeric = [
        f
        for f in findings
        if f.property.startswith(("accuracy", "overflow", "drift", "reduction", "raises", "batch", "NaN", "−inf"))
    ]
    if session is not None and numeric:
        evidence = _gather(session)
        found = _matched(session, evidence)
        if found is None and session.kind.name == "cross_entropy_grad" and session.way.reduction in ("sum", "mean"):
            found = _matched(session, _other_reduction(session, evidence))
        if found is None:
            found = _fitted(session, evidence)
        if found is not None:
            return found
    return _by_property(findings)


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
    ]
    if not session.narrow and session.pace < 0.05:
        rows.append((rng.normal(size=(1, 3000)) * 2, [77]))
        rows.append((np.zeros((1, 4096)), [5]))
        if session.pace < 0.01:
            rows.append((np.zeros((1, 70000)), [5]))
    batches = []
    for dtype in session.dtypes:
        for z, labels in rows:
            array = np.asarray(z)
            batches.append(session.batch(array.astype(dtype), labels, seed=31))
            if session.way.batched and len(array) > 1:
                batches += [batches[-1].rows(slice(i, i + 1)) for i in range(len(array))]
    return batches


def _gather(session: Session) -> list[Evidence]:
    batches = probes(session)
    found = []
    for batch, outcome in zip(batches, session.call(batches), strict=True):
        dtype = coarser(batch.first.dtype.name, outcome.dtype or "float64")
        blank = np.full(_shape(session, batch), np.nan)
        got = blank if outcome.value is None else outcome.value
        judged = judge(session.kind, batch, got, dtype)
        wrong = judged.ratio > 1
        found.append(Evidence(batch, got, judged.exact.hi, judged.bound, wrong, outcome.value is None, dtype))
    return found


def _other_reduction(session: Session, evidence: Sequence[Evidence]) -> list[Evidence]:
    """Return the evidence read as if the gradient were that of the other reduction.

    A wrong gradient can lie nearer to the sum's than to the mean's, which it is meant to be.
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


def _matched(session: Session, evidence: Sequence[Evidence]) -> Diagnosis | None:
    """Return the model that explains most."""
    best: tuple[float, Mistake] | None = None
    for mistake in mistakes_of(session.kind.name):
        for softmax in (shifted, naive):
            explained, agreed = _score(mistake, softmax, evidence, 4)
            if explained < 0.5:
                continue  # not on the first few: not worth the rest
            explained, agreed = _score(mistake, softmax, evidence, None)
            if explained >= EXPLAINED and agreed >= AGREED:
                score = explained + agreed
                if best is None or score > best[0] + 0.02:
                    best = (score, mistake)
    return None if best is None else Diagnosis(best[1].name, best[1].step, best[1].sentence)


def _score(mistake: Mistake, softmax: Any, evidence: Sequence[Evidence], first: int | None) -> tuple[float, float]:
    """Return the share of the wrong rows that a model explains, and of all rows that agree with it."""
    wrong = explained = agreeing = total = 0
    for e in evidence:
        if first is not None:
            if wrong >= first:
                break
            if not e.wrong.any():
                continue
        with np.errstate(all="ignore"):
            try:
                value = np.asarray(mistake.model(e.batch.first, e.batch.extra, softmax), np.float64)
            except (ValueError, IndexError, TypeError):
                value = np.full_like(e.got, 7e77)
            if value.shape != e.got.shape:
                value = np.full_like(e.got, 7e77)
            near = np.isfinite(value) & (
                np.abs(e.got - value) <= np.maximum(8 * e.bound, 0.02 * np.abs(value - e.exact))
            )
        near |= (np.isnan(e.got) & ~np.isfinite(value)) | (~np.isfinite(e.got) & np.isnan(value)) | (e.got == value)
        if e.raised:
            near = ~np.isfinite(value)
        rows = range(len(e.got))
        for r in rows:
            bad = e.wrong[r]
            total += 1
            fits = bool(np.all(near[r]))
            agreeing += fits
            if np.any(bad):
                wrong += 1
                explained += bool(np.all(near[r][bad])) if np.ndim(bad) else fits
    return explained / max(1, wrong), agreeing / max(1, total)


def _fitted(session: Session, evidence: Sequence[Evidence]) -> Diagnosis | None:
    """Return what a few numbers fitted to the wrong results say: a factor, a wrong sum, fewer bits, elements set to 0."""
    usable = [e for e in evidence if not e.raised and e.wrong.any() and np.isfinite(e.got).all()]
    if not usable:
        return None
    got = np.concatenate([e.got[e.wrong] for e in usable])
    exact = np.concatenate([e.exact[e.wrong] for e in usable])
    bound = np.concatenate([e.bound[e.wrong] for e in usable])
    step = session.kind.formula
    if got.size and np.all(got == 0):
        return Diagnosis(
            "elements zeroed", step, f"It sets elements to 0 that are not: up to {np.abs(exact).max():.3g}."
        )
    if session.kind.name == "cross_entropy_grad":
        found = _reduction(usable, evidence)
        if found is not None:
            return found
    big = np.abs(exact) > 1e-3
    if big.sum() >= 3:
        ratio = got[big] / exact[big]
        factor = float(np.median(ratio))
        if np.all(np.abs(got - factor * exact) <= np.maximum(8 * bound, 0.02 * np.abs(factor - 1) * np.abs(exact))):
            return Diagnosis("scaled", step, f"Its results are {factor:.9g} times the right ones.")
    if session.kind.name == "softmax":
        sums = all(np.ptp(_safe_ratio(e)[r]) <= 0.1 * np.abs(_safe_ratio(e)[r] - 1).max() + 1e-15
                   for e in usable for r in range(len(e.got)) if e.wrong[r].any())  # fmt: skip
        if sums:
            return Diagnosis(
                "wrong sum",
                "S = Σ_j exp(z_j − m)",
                "All probabilities of a row are off by one factor: the sum is wrong.",
            )
    for name, bits in (("float16", np.float16), ("float32", np.float32)):
        values = [e.got for e in evidence if e.batch.first.dtype == np.float64 and not e.raised]
        if values and all(np.all((v.astype(bits).astype(np.float64) == v) | np.isnan(v)) for v in values):
            return Diagnosis(
                f"{name} arithmetic", step, f"Its results are all {name} numbers: it computes or rounds to them."
            )
    with np.errstate(all="ignore"):
        relative = np.abs(got - exact) / np.abs(exact)
    relative = relative[np.isfinite(relative)]
    if relative.size and 1e-9 < np.median(relative) < 1e-5 and session.kind.result != "scalar":
        return Diagnosis("lower precision", step, "Its relative errors are those of a narrower format.")
    if relative.size and np.max(relative) < 0.05 and session.kind.name in ("softmax", "cross_entropy_grad", "sigmoid"):
        return Diagnosis(
            "inexact exponential",
            step,
            "Small relative errors beyond all rounding: its exponential is an approximation.",
        )
    return None


def _reduction(usable: Sequence[Evidence], evidence: Sequence[Evidence]) -> Diagnosis | None:
    """Right for one row, and off by one factor a batch that depends on the number of rows."""
    if any(e.wrong.any() for e in evidence if len(e.batch) == 1):
        return None
    for e in usable:
        big = np.abs(e.exact) > 1e-3
        ratio = e.got[big] / e.exact[big]
        if ratio.size and np.ptp(ratio) > 1e-3 * np.abs(ratio).max():
            return None
    return Diagnosis("wrong reduction", "the mean over the rows divides by N, the sum by nothing",
                     "It is right for one row; for several it is neither the gradient of the mean nor of the sum.")  # fmt: skip


def _safe_ratio(e: Evidence) -> Float:
    with np.errstate(all="ignore"):
        ratio = e.got / e.exact
    return np.where(
        np.abs(e.exact) > 1e-12,
        ratio,
        np.nanmedian(np.where(np.abs(e.exact) > 1e-12, ratio, np.nan), -1, keepdims=True),
    )


BY_PROPERTY = (
    ("hang", "does not return", "A call has an end.", "It did not return in the time that it was given."),
    ("crash", "ends the process", "A function returns or raises.", "The process died in the call."),
    ("purity: input", "writes into its argument", "z − m is a new array.", "It writes into the caller's array, as `z -= z.max()` does."),
    ("purity: result", "shared buffer", "A result belongs to the caller.", "It hands out one buffer again and again: an earlier result changes."),
    ("purity: deterministic", "not deterministic", "A function of its arguments.", "The same input gives other bits at another time."),
    ("NaN", "NaN to number", "exp(NaN) is NaN.", "NaN goes in and numbers come out: what went wrong before is hidden."),
    ("drift", "math.e ** x", "exp(x): the base e is no floating-point number", "The base of its exponential is rounded: the error grows with |z − m|."),
    ("labels", "label wraps", "0 ≤ y < C", "A label that names no class is silently taken for another one."),
    ("batch", "rows not independent", "S = Σ_j exp(z_j − m), over the classes of one row", "A row's result depends on the rows beside it."),
    ("reduction", "wrong reduction", "the mean over the rows divides by N, the sum by nothing", "It is right for one row and neither the mean nor the sum for several."),
    ("dtype", "lower precision", "The result has the dtype of the input.", "float64 goes in and a narrower format comes out."),
    ("−inf", "−inf mishandled", "exp(−∞) = 0: an impossible class", "A masked class does not get probability 0."),
    ("prints", "prints", "A function that computes returns its result.", "It writes to stdout."),
    ("shape", "wrong shape", "The classes are the last axis.", "Its result does not have the shape that the kind asks for."),
    ("overflow: threshold", "no shift", "softmax(z) = softmax(z − m)", "It overflows with growing logits."),
    ("raises", "raises", "Every finite input has a result.", "It raises on input that has a result."),
)  # fmt: skip


# These explain no wrong number on finite input.
BESIDE = ("NaN", "−inf", "labels", "dtype", "prints")


def _by_property(findings: Sequence[Finding]) -> Diagnosis | None:
    widths = {f.case.split(",")[0] for f in findings if f.property.startswith(("accuracy", "overflow"))}
    if widths and all(w.startswith("width ") for w in widths):
        return Diagnosis("wrong at some widths", "S = Σ_j exp(z_j − m), over all classes of a row",
                         f"It is wrong at some numbers of classes only: {', '.join(sorted(widths))}.")  # fmt: skip
    numeric = any(
        f.property.startswith(("accuracy", "overflow")) and f.property != "overflow: threshold" for f in findings
    )
    for prefix, name, step, sentence in BY_PROPERTY:
        if numeric and prefix in BESIDE:
            continue
        if any(f.property.startswith(prefix) for f in findings):
            return Diagnosis(name, step, sentence)
    return None
