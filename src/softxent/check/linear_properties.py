"""Check that a linear layer's loss neither keeps an earlier weight nor reads the buffer in place of the array."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from softxent.check.calling import plain
from softxent.check.layouts import FAR, LAYOUTS
from softxent.check.linear_calls import Head, Layer, exact, layer
from softxent.check.remembering import STATE
from softxent.check.report import Finding, Report

__all__ = ["layouts", "remembers"]

# No other call has this shape, so nothing is cached for it yet.
NEW = (5, 11, 13)


def remembers(report: Report, head: Head) -> str:
    """Change each argument in turn, in a new array and in place: the result must be that of the new numbers."""
    seed = 70
    for name in ("weight", "x", *(["bias"] if head.bias else [])):
        n, d, c = NEW
        seed += 1
        shape = n, d, c + seed  # a new shape for each argument
        old, other = (layer(*shape, s, bias=head.bias is not None) for s in (seed, seed + 100))
        new = replace(old, **{name: getattr(other, name)})
        first, second, again = head.answers(old, new, old)
        at_once, in_place = _value(second), _value(head.answers(old, reuse=_given(head, new))[0], "reused")
        before, after = _value(first), _value(again)
        if any(v is None for v in (before, at_once, after)) or not _right(before, old):
            continue
        for value, one, how in (
            (at_once, new, f"another {name} of the same shape gives the loss of the earlier one"),
            (after, old, "the first call again gives another loss"),
            (in_place, new, f"other numbers in the same {name}, in place, give the loss of the earlier ones"),
        ):
            if value is not None and not _right(value, one):
                text = f"{float(np.ravel(value)[0])!r}"
                wanted = repr(float(np.ravel(_reduced(value, exact(one, "float64")[0]))[0]))
                case = f"a second {name} of one shape"
                report.findings.append(
                    Finding(STATE, case, "float64", one.described(), text, wanted, None, None, how),
                )
                return "finding"
    return "ok"


def layouts(report: Report, head: Head) -> str:
    """Check that the loss depends on the arrays' numbers only, not on their place in memory."""
    if head.container not in ("numpy", "torch"):
        return "nothing to try"
    found = "ok"
    one = layer(6, 13, 17, 80, bias=head.bias is not None)
    if not _right(_value(head.answers(one)[0]), one):
        return "its copy is wrong as well"
    for layout, name in LAYOUTS:
        if layout == "one row repeated" or (layout in ("reversed", "readonly") and head.container == "torch"):
            continue
        answer = head.answers(one, layout=layout)[0]
        value, given = _value(answer), one.described()
        if value is None:
            error = answer.get("error", "no array")
            said = f"{name} is refused: {error}"
            report.notes.append(
                Finding(f"layout: {layout}", name, "float64", given, error, "a loss", None, None, said),
            )
        elif not _right(value, one):
            wanted = _reduced(value, exact(one, "float64")[0])
            at = int(np.argmax(np.abs(np.ravel(value) - np.ravel(wanted))))
            got, right = (repr(float(np.ravel(a)[at])) for a in (value, wanted))
            said = f"{name} gives another result than its copy: it reads the buffer, not the array"
            report.findings.append(Finding(f"layout: {layout}", name, "float64", given, got, right, None, None, said))
            found = "finding"
    return found


def _given(head: Head, one: Layer) -> list[Any]:
    return [one.x, one.weight, one.labels, *([] if one.bias is None or head.bias is None else [one.bias])]


def _value(answer: dict[str, Any], key: str = "value") -> Any:
    value = answer.get(key)
    return plain(value) if isinstance(value, np.ndarray) else None


def _reduced(value: Any, losses: Any) -> Any:
    """Return the losses; for a reduced value, their mean or their sum, whichever is closer to it."""
    if np.size(value) == len(losses) > 1:
        return losses
    return min((losses.mean(), losses.sum()), key=lambda v: abs(float(np.ravel(value)[0]) - v))


def _right(value: Any, one: Layer) -> bool:
    if value is None:
        return False
    losses = exact(one, "float64")[0]
    wanted = _reduced(value, losses)
    return bool(np.all(np.abs(np.ravel(value) - np.ravel(wanted)) <= FAR * np.abs(losses).max()))
