"""Name the mistake by which a gradient differs from its loss's derivative: a sign, a factor, a missing term, a step.

None of the models needs the loss's formula.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from softxent.check.diagnosis import BY_PROPERTY, FIRST, by_property
from softxent.check.mistakes import STEP_MEAN, STEP_SHIFT
from softxent.check.own_loss_verdict import Element
from softxent.check.report import Diagnosis, Finding

if TYPE_CHECKING:
    from softxent.check.own_loss import Examination

__all__ = ["explain"]

Float = npt.NDArray[np.float64]
STEP = "∂L/∂z_i, the slope of the loss itself"
# A model must explain this share of the telling elements.
EXPLAINED = 0.95
# A factor of a batch's gradient as a function of its N rows and C classes.
FACTORS: tuple[tuple[str, Callable[[Any, Any], Any]], ...] = (
    ("1/N", lambda n, _c: 1 / n),
    ("N", lambda n, _c: n),
    ("1/N²", lambda n, _c: 1 / n**2),
    ("1/(N·C)", lambda n, c: 1 / (n * c)),
    ("1/C", lambda _n, c: 1 / c),
    ("C", lambda _n, c: c),
)
STEPS_OF_DIFFERENCES = tuple(10.0**-k for k in range(2, 11))


def explain(session: Examination, elements: Sequence[Element], findings: Sequence[Finding]) -> Diagnosis | None:
    """Return the mistake that explains the gradient; None if none does."""
    found = by_property(findings, FIRST)
    if found is not None:
        return found
    wide = [e for e in elements if e.dtype == "float64" and (e.telling or e.ratio > 1)]
    broken = [e for e in wide if not np.isfinite(e.got)]
    if broken and {e.call.group for e in broken} <= {"large logits", "a wide spread"}:
        return Diagnosis("no shift", STEP_SHIFT, "It gives no number for large logits, where the loss has a slope.")
    wide = [e for e in wide if np.isfinite(e.got)]
    if any(e.ratio > 1 for e in wide):
        for name, step, sentence, model in _models(session, wide):
            if _explains(wide, model):
                return Diagnosis(name, step, sentence)
    return by_property(findings, BY_PROPERTY)


def _explains(elements: Sequence[Element], model: Float) -> bool:
    """Whether a model agrees with the gradient at nearly all elements, and at nearly all of the wrong ones."""
    got, slope = (np.array([getattr(e, name) for e in elements]) for name in ("got", "slope"))
    room = np.array([3 * (e.error + e.owed) for e in elements])
    near = np.abs(got - model) <= np.maximum(room, 0.02 * np.abs(model - slope))
    wrong = np.array([e.ratio > 1 for e in elements])
    return bool(near.mean() >= EXPLAINED and near[wrong].mean() >= EXPLAINED)


def _models(session: Examination, wide: Sequence[Element]) -> Iterator[tuple[str, str, str, Float]]:
    got = np.array([e.got for e in wide])
    slope = np.array([e.slope for e in wide])
    yield "zero gradient", STEP, "It returns zeros.", np.zeros_like(slope)
    yield "wrong sign", STEP, "Its sign is the other one: it climbs.", -slope
    rows, classes = np.array([float(e.call.rows) for e in wide]), np.array([float(_classes(e)) for e in wide])
    if len(set(rows)) > 1 or len(set(classes)) > 1:
        for what, of in FACTORS:
            said = f"It is {what} of the loss's gradient." if what[0] == "1" else f"It is {what} times the gradient."
            yield "wrong reduction" if "N" in what else "scaled", STEP_MEAN, said, of(rows, classes) * slope
    wrong = np.array([e.ratio > 1 for e in wide])
    if np.all(got[wrong] == 0):
        most = np.abs(slope[wrong]).max()
        yield "elements zeroed", STEP, f"It sets elements to 0 that are not: up to {most:.3g}.", got
    big = np.abs(slope) > 1e-3
    if big.any():
        factor = float(np.median(got[big] / slope[big]))
        yield "scaled", STEP, f"It is {factor:.9g} times the loss's gradient.", factor * slope
    yield from _at_the_label(wide, got, slope)
    rounded = got.astype(np.float32).astype(np.float64)
    if np.array_equal(rounded, got) and np.abs(got - slope).max() < 1e-4:
        yield "float32 arithmetic", STEP, "Its results are all float32 numbers: it computes or rounds to them.", got
    yield from _differences(session, wide)
    yield from _regularised(wide, got, slope)
    yield from _by_row(wide, got, slope)
    yield from _where(wide, wrong, got)


def _regularised(wide: Sequence[Element], got: Float, slope: Float) -> Iterator[tuple[str, str, str, Float]]:
    """Yield models with a term that grows with the logit: the derivative of a sum of squares."""
    z = np.array([e.call.first[e.index] for e in wide])
    rows = np.array([1.0 / e.call.rows for e in wide])
    for unit, what in ((np.ones_like(z), ""), (rows, "/N")):
        some = (np.abs(z) > 0.1) & (np.abs(got - slope) > 0)
        if some.any():
            factor = float(np.median((got - slope)[some] / (z * unit)[some]))
            said = f"It is off by {factor:+.6g}{what} times the logit: the derivative of a sum of squares."
            yield "a squared term", STEP, said, slope + factor * unit * z


def _classes(e: Element) -> int:
    return int(e.call.first.shape[-1])


def _label(e: Element) -> int | None:
    """Return the label of an element's row; the likeliest class if the row has targets."""
    if e.call.extra is None:
        return None
    own = np.asarray(e.call.extra)[e.index[:-1]] if e.call.first.ndim == 2 else np.asarray(e.call.extra)
    return int(own if own.ndim == 0 else own.argmax())


def _at_the_label(wide: Sequence[Element], got: Float, slope: Float) -> Iterator[tuple[str, str, str, Float]]:
    """Yield models that are wrong only at the label, or only at the other classes."""
    if wide[0].call.extra is None:
        return
    hot = np.array([e.index[-1] == _label(e) for e in wide])
    rows = np.array([1.0 / e.call.rows for e in wide])
    step = "∂L/∂z_y, at the label"
    if np.allclose(got[hot] - slope[hot], np.median(got[hot] - slope[hot]), rtol=1e-6):
        off = float(np.median(got[hot] - slope[hot]))
        yield "label's term", step, f"At the label it is {off:+.6g} off: a term of y is missing.", slope + off * hot
    off = float(np.median((got[hot] - slope[hot]) / rows[hot]))
    yield (
        "label's term",
        step,
        f"At the label it is {off:+.6g}/N off: a term of y is missing.",
        slope + off * hot * rows,
    )
    yield "wrong at the label", step, "It is right elsewhere, and wrong at the label.", np.where(hot, got, slope)
    yield (
        "wrong at the others", "∂L/∂z_i, i ≠ y", "It is right at the label, and wrong elsewhere.",
        np.where(hot, slope, got),
    )  # fmt: skip


def _differences(session: Examination, wide: Sequence[Element]) -> Iterator[tuple[str, str, str, Float]]:
    """Yield finite differences of the loss itself, with the usual steps."""
    some = [k for k, e in enumerate(wide) if e.ratio > 1][:6]
    for h in STEPS_OF_DIFFERENCES:
        found: list[Float] = []
        for k in some:
            asked = {"op": "differences", "index": wide[k].index, "step": h}
            answer = session.ask_loss(wide[k].call, asked)[0]
            factor = session.factor(wide[k].call.rows)
            found.append(np.full(3, np.nan) if "error" in answer else answer["value"] * factor)
        quotients = np.array(found)
        got, slope = (np.array([getattr(wide[k], name) for k in some]) for name in ("got", "slope"))
        for column, name in enumerate(("forward", "backward", "central")):
            near = np.abs(got - quotients[:, column]) <= 0.02 * np.abs(got - slope)
            if near.all():
                said = f"It is a {name} difference with h = {h:g}, and not the derivative."
                yield "finite difference", STEP, said, np.array([e.got for e in wide])


def _by_row(wide: Sequence[Element], got: Float, slope: Float) -> Iterator[tuple[str, str, str, Float]]:
    """Yield models in which each row is off by its own factor, or by its own number."""
    rows = [(id(e.call), e.index[:-1]) for e in wide]
    factors, offsets = np.ones_like(got), np.zeros_like(got)
    for row in set(rows):
        of_row = np.array([r == row for r in rows])
        top = int(np.argmax(np.where(of_row, np.abs(slope), -1.0)))
        factors[of_row] = got[top] / slope[top] if slope[top] else 1.0
        offsets[of_row] = got[top] - slope[top]
    if len(set(rows)) < len(rows):
        said = "Each row is off by a factor of its own: a weight's own derivative may be missing (the product rule)."
        yield "a factor by row", STEP, said, factors * slope
        yield "an offset by row", STEP, "Each row is off by one number, the same for all classes.", slope + offsets


def _where(wide: Sequence[Element], wrong: npt.NDArray[np.bool_], got: Float) -> Iterator[tuple[str, str, str, Float]]:
    """Yield models that are wrong in one group of inputs only, or only in calls of several rows."""
    of_wrong = {e.call.group for e, bad in zip(wide, wrong, strict=True) if bad}
    of_right = {e.call.group for e, bad in zip(wide, wrong, strict=True) if not bad} - of_wrong
    if len(of_wrong) == 1 and len(of_right) >= 3:
        group = next(iter(of_wrong))
        yield f"wrong: {group}", "one formula for every row", f"It is wrong with {group} only.", got
    single = [bad for e, bad in zip(wide, wrong, strict=True) if e.call.rows == 1]
    if single and not any(single):
        said = "It is right for one row and wrong for several: a row's result depends on the others."
        yield "rows not independent", "one row's loss is a function of that row", said, got
