"""The same numbers in another memory layout: transposed, strided, reversed, one row repeated, read-only."""

from __future__ import annotations

from typing import Any

import numpy as np

from softxent.check.calling import Batch, Way
from softxent.check.inputs import sample
from softxent.check.session import Session

__all__ = ["layouts"]

LAYOUTS = (
    ("fortran", "a transposed array"),
    ("strided", "every other column of an array"),
    ("every other row", "every other row of an array"),
    ("a part", "a part of a larger array"),
    ("one row repeated", "one row repeated by broadcasting"),
    ("reversed", "an array read backwards"),
    ("readonly", "an array that cannot be written"),
)
# Two results of the same numbers differ if they are further apart than this share of the largest.
FAR = 1e-5


def layouts(session: Session) -> str:
    """Check that the result depends on an array's numbers only, not on their place in memory."""
    if session.way.container not in ("numpy", "torch"):
        return "nothing to try"
    ordinary = sample(session, 6, 13) if session.way.batched else sample(session, 1, 13)
    equal = Batch(
        np.repeat(ordinary.first[:1], len(ordinary), 0),
        None if ordinary.extra is None else np.repeat(ordinary.extra[:1], len(ordinary), 0),
    )
    for layout, name in LAYOUTS:
        if layout in ("reversed", "readonly") and session.way.container == "torch":
            continue
        batch = equal if layout == "one row repeated" else ordinary
        if layout == "one row repeated" and not session.way.batched:
            continue
        plain, other = (_called(session, batch, how) for how in (None, layout))
        if isinstance(plain, str):
            continue
        if isinstance(other, str):
            session.note(f"layout: {layout}", layout, "float64", None, other, "a result", f"{name} is refused: {other}")
            continue
        if other.shape != plain.shape:
            far = np.ones(plain.shape, bool)
        else:
            size = FAR * float(np.nanmax(np.abs(np.where(np.isfinite(plain), plain, 0)), initial=0.0))
            with np.errstate(all="ignore"):
                far = ~(np.abs(other - plain) <= size) & ~((other == plain) | (np.isnan(other) & np.isnan(plain)))
        if far.any() and not any(f.property.startswith("purity: ") for f in session.findings):
            at = tuple(int(i) for i in np.argwhere(far)[0])
            session.find(
                f"layout: {layout}",
                name,
                "float64",
                batch,
                repr(float(other[at])) if other.shape == plain.shape else f"shape {other.shape}",
                repr(float(plain[at])) if other.shape == plain.shape else f"shape {plain.shape}",
                f"{name} gives another result than its copy: it reads the buffer, not the array",
            )
    return "as a contiguous array"


def _called(session: Session, batch: Batch, layout: str | None) -> Any:
    """Return the result of one call with the whole batch in a layout, or why there is none."""
    way: Way = session.way
    request = way.requests(session.kind, batch, True)[0] | {"layout": layout}
    answer = session.caller.call([request], session.timeout)[0]
    value = answer.get("value")
    if not isinstance(value, np.ndarray) or value.dtype.names:
        return answer.get("error", "no array")
    return value.astype(np.float64)
