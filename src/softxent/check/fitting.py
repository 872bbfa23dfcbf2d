"""Diagnoses by a fit to the wrong results: a factor, a wrong sum, fewer bits, elements set to 0."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from softxent.check.bounds import ROUNDOFF
from softxent.check.bulk import exact_batch
from softxent.check.matching import Evidence
from softxent.check.mistakes_stages import NARROW, narrowed
from softxent.check.report import Diagnosis
from softxent.check.session import Session

__all__ = ["differences", "fitted", "narrow", "one_side", "scaled"]

Float = npt.NDArray[np.float64]


# Fewer different results than SAMPLE cannot show a format. A median error of more than ROUNDINGS roundoffs has another
# cause than rounding.
SAMPLE = 20
ROUNDINGS = 1000.0
# Steps of differences, and twice as much. A step that fits is fitted by its multiples too, so the smallest is tried
# first.
STEPS_OF_DIFFERENCES = (*sorted({m * 10.0**-k for k in range(2, 11) for m in (1.0, 2.0)} | {2.0**-26, 2.0**-17}),)
# The numbers by which infinity is replaced, as np.nan_to_num does.
LARGEST_NUMBERS = [float(np.finfo(t).max) for t in (np.float16, np.float32, np.float64)]
# A wrong branch shows at logits up to this, for either target.
MODERATE = 6.0
# A factor must hold at this many widths.
WIDTHS = 3


def narrow(session: Session, evidence: Sequence[Evidence]) -> Diagnosis | None:
    """Return float16, bfloat16 or float32 if all results for float64 are numbers of that format."""
    wide = [e for e in evidence if e.batch.first.dtype == np.float64 and not e.raised and np.isfinite(e.got).all()]
    if not wide:
        return None
    got, exact = (np.concatenate([getattr(e, name).ravel() for e in wide]) for name in ("got", "exact"))
    if len(np.unique(got)) < SAMPLE:
        return None
    some = np.isfinite(exact) & (np.abs(exact) > 1e-3)
    if not some.any():
        return None
    error = float(np.median(np.abs(got[some] - exact[some]) / np.abs(exact[some])))
    for name, dtype in NARROW.items():
        if np.all(narrowed(got, dtype) == got) and error < ROUNDINGS * ROUNDOFF[name]:
            return Diagnosis(
                f"{name} arithmetic",
                session.kind.formula,
                f"Its results are all {name} numbers: it computes or rounds to them.",
            )
    return None


def _usable(evidence: Sequence[Evidence]) -> list[Evidence]:
    return [e for e in evidence if not e.raised and e.wrong.any() and np.isfinite(e.got).all()]


def scaled(session: Session, evidence: Sequence[Evidence]) -> Diagnosis | None:
    """Return the factor or the wrong reduction if nothing else is wrong."""
    usable = _usable(evidence)
    if not usable:
        return None
    if session.kind.name == "cross_entropy_grad" and (found := _reduction(usable, evidence)) is not None:
        return found
    got, exact, bound = (
        np.concatenate([getattr(e, name)[e.wrong] for e in usable]) for name in ("got", "exact", "bound")
    )
    big = np.abs(exact) > 1e-3
    if big.sum() < WIDTHS or len({e.batch.first.shape[1] for e in usable}) < WIDTHS:
        return None
    factor = float(np.median(got[big] / exact[big]))
    if factor != 0 and np.all(
        np.abs(got - factor * exact) <= np.maximum(8 * bound, 0.02 * np.abs(factor - 1) * np.abs(exact))
    ):
        return Diagnosis("scaled", session.kind.formula, f"Its results are {factor:.9g} times the right ones.")
    return None


def differences(session: Session, evidence: Sequence[Evidence]) -> Diagnosis | None:
    """Return the step h of a finite difference.

    Two numbers of the same size are multiples of their last bit, and so is their difference. The division by h hides
    that: the results times h are such multiples again.
    """
    if session.kind.name not in ("cross_entropy_grad", "softmax_jacobian"):
        return None
    got, unit = [], []
    for e in evidence:
        if e.raised or e.dtype != "float64" or len(e.batch) > 1 or not np.isfinite(e.got).all():
            continue
        if session.kind.name == "softmax_jacobian":
            size = np.broadcast_to(_probabilities(session, e)[:, :, None], e.got.shape)
        else:
            loss = exact_batch("cross_entropy", e.batch.first, e.batch.extra)[0].hi
            size = np.broadcast_to(loss[:, None], e.got.shape)
        some = (size > 0.2) & (np.abs(e.exact) > 1e-3)
        got.append(e.got[some])
        # Half of the last bit: the other number may lie below the power of two.
        unit.append(np.exp2(np.floor(np.log2(size[some])) - 53))
    values, units = np.concatenate([*got, np.zeros(0)]), np.concatenate([*unit, np.zeros(0)])
    if len(values) < SAMPLE:
        return None
    for h in STEPS_OF_DIFFERENCES:
        multiple = values * h / units
        off = np.abs(multiple - np.round(multiple))
        if np.median(np.abs(multiple)) > 4 and (off < 1e-3 + 2.0**-50 * np.abs(multiple)).mean() > 0.98:
            said = f"It is a finite difference with a step of {h:.3g} or twice that, and not the derivative."
            return Diagnosis("finite difference", session.kind.formula, said)
    return None


def one_side(session: Session, evidence: Sequence[Evidence]) -> Diagnosis | None:
    """Return the wrong branch of a function of single logits: one sign of the logits, or one target."""
    if session.kind.name not in ("sigmoid", "binary_cross_entropy"):
        return None
    usable = [e for e in evidence if not e.raised and not e.whole]
    if not usable:
        return None
    z = np.concatenate([e.batch.first.ravel() for e in usable]).astype(np.float64)
    wrong = np.concatenate([e.wrong.ravel() for e in usable])
    sides = [("wrong for negative logits", "where the logit is negative", z < 0)]
    sides += [("wrong for positive logits", "where the logit is positive", z > 0)]
    if session.kind.extra == "target":
        t = np.concatenate([np.asarray(e.batch.extra).ravel() for e in usable])
        sides += [("wrong for one target", f"where the target is {k}", t == k) for k in (0, 1)]
    moderate = (np.abs(z) < MODERATE) & (z != 0)
    for name, where, side in sides:
        if not wrong[~side & (z != 0)].any() and (side & moderate).sum() >= SAMPLE and wrong[side & moderate].all():
            return Diagnosis(name, session.kind.formula, f"It is right elsewhere, and wrong {where}.")
    return None


def _probabilities(session: Session, e: Evidence) -> Float:
    if session.kind.first == "probabilities":
        return np.asarray(e.batch.first, np.float64)
    return exact_batch("softmax", e.batch.first)[0].hi


def fitted(session: Session, evidence: Sequence[Evidence]) -> Diagnosis | None:
    """Return a property of all wrong results: they are largest numbers, or 0, or off by one factor per row."""
    usable = _usable(evidence)
    if not usable:
        return None
    got = np.concatenate([e.got[e.wrong] for e in usable])
    if np.isin(np.abs(got), LARGEST_NUMBERS).all():
        said = f"What overflows or underflows comes as the largest number, {np.abs(got).max():.3g}, not as infinity."
        return Diagnosis("NaN to number", session.kind.formula, said)
    if np.all(got == 0):
        most = max(float(np.abs(e.exact[e.wrong & np.isfinite(e.exact)]).max(initial=0.0)) for e in usable)
        return Diagnosis(
            "elements zeroed", session.kind.formula, f"It sets elements to 0 that are not: up to {most:.3g}."
        )
    if session.kind.name == "softmax":
        sums = all(
            np.ptp(_safe_ratio(e)[r]) <= 0.1 * np.abs(_safe_ratio(e)[r] - 1).max() + 1e-15
            for e in usable
            for r in range(len(e.got))
            if e.wrong[r].any()
        )
        if sums:
            return Diagnosis(
                "wrong sum",
                "S = Σ_j exp(z_j − m)",
                "All probabilities of a row are off by one factor: the sum is wrong.",
            )
    return None


def _reduction(usable: Sequence[Evidence], evidence: Sequence[Evidence]) -> Diagnosis | None:
    """Return a wrong reduction: one row is right, and each batch is off by a factor that depends on its row count."""
    if any(e.wrong.any() for e in evidence if len(e.batch) == 1):
        return None
    for e in usable:
        big = np.abs(e.exact) > 1e-3
        ratio = e.got[big] / e.exact[big]
        if ratio.size and np.ptp(ratio) > 1e-3 * np.abs(ratio).max():
            return None
    return Diagnosis(
        "wrong reduction",
        "the mean over the rows divides by N, the sum by nothing",
        "It is right for one row; for several it is neither the gradient of the mean nor of the sum.",
    )


def _safe_ratio(e: Evidence) -> Float:
    with np.errstate(all="ignore"):
        ratio = e.got / e.exact
    return np.where(
        np.abs(e.exact) > 1e-12,
        ratio,
        np.nanmedian(np.where(np.abs(e.exact) > 1e-12, ratio, np.nan), -1, keepdims=True),
    )
