"""Judge a gradient by its loss's slopes: it agrees, it differs, or the slopes are too rough to tell.

The error bound, with u the unit roundoff: 2^15 u of the element, for exp of rounded differences, plus (64 + 4C) u of
the largest elements of the gradient, because p − y and the like cancel.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from softxent.check.bounds import ROUNDOFF
from softxent.check.judging import coarser, ulp
from softxent.check.numeric import Slope
from softxent.check.own_loss_cases import Call, shown
from softxent.check.report import Finding, Report
from softxent.check.targets import TargetError

__all__ = ["Element", "Measured", "judge", "verdict"]

Float = npt.NDArray[np.float64]
RELATIVE = 2.0**15
ABSOLUTE = (64.0, 4.0)
# An element is telling if an error of this share of it would show.
TELLING = 0.01
# If the slopes from the left and from the right differ by more than this share of the largest slopes, and by more than
# their errors, the loss has a kink.
KINK = 1e-4
UNIT = ROUNDOFF["float64"]


@dataclass(frozen=True)
class Measured:
    """One call: the loss's slopes at some elements, and for each dtype the gradient and the dtype of the result."""

    call: Call
    slopes: tuple[tuple[tuple[int, ...], Slope], ...]
    gradients: dict[str, tuple[Float, str]]
    factor: float  # the gradient is this multiple of the slopes: 1/N if it is that of a mean, and the loss gives rows
    rows: int  # the slopes are divided by this: the number of rows if the loss is a mean


@dataclass(frozen=True)
class Element:
    """One element of the gradient in one dtype, with the loss's derivative there."""

    call: Call
    index: tuple[int, ...]
    dtype: str
    got: float
    slope: float
    error: float  # of the slope
    owed: float  # the gradient's error bound
    sides: tuple[float, float]  # the slopes from the left and from the right
    kink: bool
    how: str

    @property
    def known(self) -> bool:
        """Whether the loss's derivative could be taken here."""
        return bool(np.isfinite(self.slope) and np.isfinite(self.error))

    @property
    def telling(self) -> bool:
        """Whether an error of a hundredth would show."""
        return self.known and not self.kink and self.error + self.owed <= TELLING * abs(self.slope)

    @property
    def ratio(self) -> float:
        """The deviation as a multiple of the error bound plus the slope's error; above 1 it is a finding."""
        if not self.known or (self.kink and np.isfinite(self.got)):
            return 0.0
        far = abs(self.got - self.slope)
        return far / max(self.error + self.owed, 1e-320) if np.isfinite(far) else float("inf")


def judge(measured: Sequence[Measured]) -> list[Element]:
    """Return every element with its slope: by complex step, if that agrees with differences wherever they are sure."""
    slopes = [s for m in measured for _, s in m.slopes]
    rows = np.array([m.rows for m in measured for _ in m.slopes])
    ordinary = np.array([m.call.group == "ordinary rows" for m in measured for _ in m.slopes])
    central = np.array([s.central for s in slopes])
    error = np.array([s.central_error for s in slopes])
    known = np.isfinite(central)
    largest = np.max(np.abs(central * rows), where=known & (ordinary | ~ordinary.any()), initial=0.0)
    scale = np.maximum(np.where(known, np.abs(central), 0.0), largest / rows)
    by_step = np.array([s.complex_step for s in slopes])
    step_error = np.array([8 * s.complex_spread for s in slopes]) + 64 * UNIT * np.abs(by_step) + 8 * UNIT * scale
    kinks = np.array([_kink(s, float(c)) for s, c in zip(slopes, scale, strict=True)])
    with np.errstate(all="ignore"):
        sure = known & (np.abs(central) > 100 * error) & ~kinks
        agrees = np.abs(by_step - central) <= 4 * error + step_error
    trusted = bool(sure.any() and agrees[sure].all())
    use = trusted & np.isfinite(by_step)
    slope, off = np.where(use, by_step, central), np.where(use, step_error, error)
    elements, k = [], 0
    for m in measured:
        for index, s in m.slopes:
            for dtype, (value, came) in m.gradients.items():
                u, classes = ROUNDOFF[coarser(dtype, came)], m.call.first.shape[-1]
                owed = RELATIVE * u * abs(slope[k]) + (ABSOLUTE[0] + ABSOLUTE[1] * classes) * u * scale[k]
                elements.append(
                    Element(
                        m.call,
                        index,
                        dtype,
                        float(value[index]),
                        float(slope[k] * m.factor),
                        float(off[k] * m.factor),
                        float(owed * m.factor),
                        (float(s.left * m.factor), float(s.right * m.factor)),
                        bool(kinks[k]),
                        "complex step" if use[k] else "differences",
                    )
                )
            k += 1
    return elements


def _kink(s: Slope, scale: float) -> bool:
    gap = abs(s.left - s.right)
    return bool(gap > 4 * (s.left_error + s.right_error) and gap > KINK * scale)


def verdict(report: Report, elements: Sequence[Element], *, probabilities: bool) -> None:
    """Add findings, notes, a line for each group and dtype, and the summary."""
    for group, dtype, some in _groups(elements):
        wrong = [e for e in some if e.ratio > 1]
        # A group that is wrong in float64 is not reported again for float32.
        if wrong and not (dtype == "float32" and any(f.property == f"gradient, {group}" for f in report.findings)):
            report.findings.append(_finding(group, dtype, wrong, len(some), probabilities=probabilities))
        kinks = [e for e in some if e.kink and np.isfinite(e.got)]
        if kinks and dtype == "float64":
            report.notes.append(_kink_note(group, kinks, probabilities=probabilities))
        telling = [e for e in some if e.telling and e.ratio <= 1]
        dark = sum(not e.telling and not e.kink and e.ratio <= 1 for e in some)
        parts = [
            f"{len(wrong)} of {len(some)} elements wrong" if wrong else "",
            f"{len(telling)} agree, {_digits(telling)}" if telling else "",
            f"0 or too small to tell: {dark}" if dark else "",
            f"at a kink: {len(kinks)}" if kinks else "",
        ]
        status = "finding" if wrong else "ok" if telling and not kinks else "note"
        report.properties.append((f"{group}, {dtype}", status, "; ".join(p for p in parts if p)))
    wide = [e for e in elements if e.dtype == "float64"]
    telling = [e for e in wide if e.telling and e.ratio <= 1]
    if not telling and not report.findings:
        raise TargetError("no element's derivative can be told: the loss is too rough, constant, or not a number")
    dark, kinked = (sum(not e.telling and not e.kink for e in wide), sum(e.kink for e in wide))
    report.summary = (
        f"it is the gradient of the loss: {len(telling)} elements agree with its derivative, "
        + _digits(telling)
        + (f"; 0 or too small to tell: {dark}" if dark else "")
        + (f"; at a kink: {kinked}" if kinked else "")
    )


def _groups(elements: Sequence[Element]) -> Iterator[tuple[str, str, list[Element]]]:
    for key in dict.fromkeys((e.call.group, e.dtype) for e in elements):
        yield *key, [e for e in elements if (e.call.group, e.dtype) == key]


def _finding(group: str, dtype: str, wrong: list[Element], count: int, *, probabilities: bool) -> Finding:
    """Return the finding of the element that exceeds its bound most."""
    e = max(wrong, key=lambda w: w.ratio)
    spacing = float(ulp(np.array(e.slope), dtype))
    far = abs(e.got - e.slope)
    where = f"[{', '.join(map(str, e.index))}]"
    return Finding(
        f"gradient, {group}",
        f"{e.call.rows} row{'s' * (e.call.rows > 1)} of {e.call.first.shape[-1]} classes, element {where}",
        dtype,
        shown(e.call, probabilities=probabilities),
        repr(e.got),
        f"{e.slope!r} ± {e.error:.1g}",
        far / spacing if np.isfinite(far) else float("inf"),
        (e.error + e.owed) / spacing,
        f"element {where} is not the loss's derivative by {e.how}; {len(wrong)} of {count} elements are wrong",
    )


def _kink_note(group: str, kinks: list[Element], *, probabilities: bool) -> Finding:
    e = kinks[0]
    low, high = sorted(e.sides)
    room = e.owed + 1e-9 * (high - low)
    beside = "" if low - room <= e.got <= high + room else ", which is not between them"
    said = (
        f"the loss has a kink here, with slope {e.sides[0]:.6g} on the left and {e.sides[1]:.6g} on the right; the "
        f"gradient says {e.got:.6g}{beside}; elements at a kink, not judged: {len(kinks)}"
    )
    given = shown(e.call, probabilities=probabilities)
    return Finding("kink", group, "float64", given, repr(e.got), f"{low!r} to {high!r}", None, None, said)


def _digits(elements: Sequence[Element]) -> str:
    """Say how many digits certainly agree with the derivative: at the worst element, and at the median."""
    off = [max(abs(e.got - e.slope), e.error) / abs(e.slope) for e in elements] or [1.0]
    worst, middle = (int(np.clip(-np.log10(max(v, 1e-16)), 0.0, 16.0)) for v in (max(off), np.median(off)))
    return f"to {worst} digits or more" + (f", half of them to {middle}" if middle > worst else "")
