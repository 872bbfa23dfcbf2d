"""Losses of accuracy within the bound: notes, not findings."""

from __future__ import annotations

from collections.abc import Sequence

from softxent.check.report import Finding, Measure
from softxent.check.session import Session

__all__ = ["information"]

WHAT = {
    ("log_softmax", "confident"): "the log-probability of a confident row: (z − m) − log S loses what log1p keeps",
    (
        "cross_entropy",
        "confident",
    ): "the loss of a confident row: log S − (z_y − m) loses what log1p of the others keeps",
    ("cross_entropy_grad", "confident"): "the pull of a confident row: p − 1 cancels; −(sum of the others)/S does not",
    ("softmax_vjp", "tail"): "the product at an unlikely class",
    ("softmax_jacobian", "head"): "the diagonal: p − p² cancels near 1",
    ("logsumexp", "near 0"): "logsumexp near 0: m and log S cancel by nature",
    ("softmax", "tail"): "unlikely classes: the rounding of z − m is amplified",
    ("cross_entropy_grad", "tail"): "unlikely classes: the rounding of z − m is amplified",
}


REGIONS = {"head": "large results", "tail": "small results", "confident": "results of confident rows"}


def information(session: Session, measures: Sequence[Measure]) -> None:
    """Note every region that is within its bound, but more than 4 ulps off."""
    for m in measures:
        region = m.property.removeprefix("accuracy, ")
        if m.ulps <= 4 or m.ratio > 1:
            continue
        what = WHAT.get((session.kind.name, region), REGIONS.get(region, region))
        if region == "subnormal":
            what = "results below the smallest normal number are flushed or rough"
        lost = "all of it" if m.got in ("0.0", "-0.0") else f"{m.ulps:.3g} ulps"
        session.notes.append(
            Finding(
                f"loss of accuracy, {region}",
                m.case,
                m.dtype,
                m.input,
                m.got,
                m.expected,
                m.ulps,
                m.ulps / max(m.ratio, 1e-300) if m.ratio > 0 else None,
                f"{what}: {lost}, within what an ordinary implementation is owed",
            )
        )
