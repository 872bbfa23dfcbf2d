"""Two measurements: the logit from which on the target overflows, and the drift of its exponential.

The drift: on integer logits z − m is exact, so only the exponential has an error. If the relative error is proportional
to z_i − m, the base is wrong: e is not a floating-point number, and `math.e ** x` multiplies its rounding error by x
(half a unit of roundoff for each 1 of x).
"""

from __future__ import annotations

import numpy as np

from softxent.check.bounds import ROUNDOFF
from softxent.check.judging import coarser, judge
from softxent.check.session import Session

__all__ = ["drift", "overflow_threshold"]

THRESHOLDED = ("softmax", "log_softmax", "logsumexp", "cross_entropy", "cross_entropy_grad")


def drift(session: Session) -> None:
    """Fit a multiple of z − m to the relative errors of an integer row."""
    if session.kind.name not in ("softmax", "cross_entropy_grad", "sigmoid"):
        return
    for dtype in session.dtypes:
        step, count = (2.0, 43) if dtype == "float32" else (10.0, 71)
        z = -step * np.arange(count)
        # For a function that compiles, a single row would be one more shape.
        rows = 2 if session.compiles else 1
        batch = session.batch(np.repeat(z[None], rows, 0).astype(dtype), [0] * rows)
        outcome = session.call([batch])[0]
        if outcome.value is None or not np.isfinite(outcome.value).all():
            continue
        worked_in = coarser(dtype, outcome.dtype)
        judged = judge(session.kind, batch, outcome.value, worked_in)
        usable = np.flatnonzero((z > (-700 if worked_in == "float64" else -86)) & (z < 0))
        if len(usable) < 8 or (judged.exact.hi[0, usable] <= 0).any():
            continue
        with np.errstate(all="ignore"):
            relative = ((judged.value - judged.exact.hi) - judged.exact.lo)[0, usable] / judged.exact.hi[0, usable]
        if np.abs(relative).max() > 0.1:
            continue  # something else is wrong
        d = z[usable]
        slope = float((relative * d).sum() / (d * d).sum())
        u = ROUNDOFF[worked_in]
        rest = relative - slope * d
        most = abs(slope) * float(np.abs(d).max()) / u
        if most > 16 and float((rest**2).sum()) < 0.05 * float((relative**2).sum()):
            index = int(usable[-1])
            session.find(
                "drift",
                "integer logits",
                dtype,
                batch.rows(slice(0, 1)),
                repr(float(judged.value[0, index])),
                repr(float(judged.exact.hi[0, index])),
                f"the relative error grows by {abs(slope) / u:.2f} units of roundoff for each 1 of z − m, "
                f"to {most:.0f} units "
                f"({float(judged.ulps[0].max()):.0f} ulps) at {abs(d).max():.0f}: the exponential's base is rounded",
            )


def overflow_threshold(session: Session) -> None:
    """Find the smallest logit x, in hundredths, for which [x, 0] has no finite result, and report it."""
    if session.kind.name not in THRESHOLDED or session.kind.first != "logits":
        return
    for dtype in session.dtypes:
        if ("overflow", dtype) not in session.candidates:
            continue

        def fails(hundredths: int, dtype: str = dtype) -> bool:
            outcome = session.call([session.batch(np.array([[hundredths / 100, 0.0]]).astype(dtype), [0])])[0]
            return outcome.value is None or not np.isfinite(outcome.value).all()

        low, high = 100, 1_000_000
        if fails(low) or not fails(high):
            continue
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if fails(middle) else (middle, high)
        batch = session.batch(np.array([[high / 100, 0.0]]).astype(dtype), [0])
        outcome = session.call([batch])[0]
        if outcome.value is None:
            got = outcome.error
        else:
            got = str([float(v) for v in outcome.value.ravel()[:4]])
        judged_in = coarser(dtype, outcome.dtype or dtype)
        exact = (
            judge(session.kind, batch, np.zeros_like(outcome.value), judged_in).exact.hi
            if outcome.value is not None
            else None
        )
        limit = {"float32": 88.7228, "float64": 709.7827}[dtype]
        session.find(
            "overflow: threshold",
            f"[{high / 100:.2f}, 0]",
            dtype,
            batch,
            got,
            "a finite result" if exact is None else str([float(v) for v in exact.ravel()[:4]]),
            f"it overflows from {high / 100:.2f} on: exp in {dtype} does at {limit}",
        )
