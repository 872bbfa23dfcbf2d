"""Find the mistake of the zoo that explains a function's results: most of them, and most closely.

A wrong row supports a model if the model agrees with the function there: to a fiftieth of the distance from the model
to the truth, or to eight times the error bound. A right row contradicts a model that is wrong there. Of the models that
explain about equally many rows the closest is named, and with it those that are equally close.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from softxent.check.bounds import ROUNDOFF
from softxent.check.calling import Batch
from softxent.check.mistakes import Mistake, mistakes_of, naive, shifted
from softxent.check.report import Diagnosis

__all__ = ["Evidence", "matched"]

Float = npt.NDArray[np.float64]
# A model must explain at least these shares of the wrong rows and of all rows.
EXPLAINED = 0.85
AGREED = 0.8
# The model may be wrong in at most this share of the right rows.
CONTRADICTED = 0.1
# Scores within ABOUT of the best are compared by closeness; models within BITS of the closest count as equally close.
ABOUT = 0.05
EQUAL = 0.005
ROUNDOFFS = 1.0
BITS = 2.0
MOST_BITS = 60.0
NOWHERE = 7e77  # stands for the result of a model that raises: no function returns it


@dataclass(frozen=True)
class Evidence:
    """One batch: the results, the exact values, the error bounds, and where the results are wrong."""

    batch: Batch
    got: Float
    exact: Float
    bound: Float
    wrong: npt.NDArray[np.bool_]
    raised: bool
    dtype: str
    whole: bool = False  # whether the result is one number for several rows: their mean or their sum


@dataclass(frozen=True)
class Match:
    """How well a model explains: its shares of the wrong rows and of all rows, and how many bits closer it is."""

    mistake: Mistake
    explained: float
    agreed: float
    bits: float = 0.0  # the function is this many bits closer to the model than the truth is
    exact: float = 0.0  # the share of all results that equal the model's to a few roundoffs
    contradicted: float = 0.0  # the share of the right rows where the model is wrong

    @property
    def fits(self) -> bool:
        """Whether it explains enough."""
        return self.explained >= EXPLAINED and self.agreed >= AGREED and self.contradicted <= CONTRADICTED

    @property
    def score(self) -> float:
        """The two shares, added."""
        return self.explained + self.agreed


def matched(kind: str, evidence: Sequence[Evidence]) -> Diagnosis | None:
    """Return the mistake that explains best, with the names of others that explain equally well."""
    first = _some_wrong(evidence, 4)
    if not first:
        return None
    found: list[Match] = []
    most = _most_misses(evidence)
    for mistake in mistakes_of(kind):
        for softmax in (shifted, naive):
            start = _match(mistake, softmax, first)
            if start is None or start.explained < 0.5:
                continue
            match = _match(mistake, softmax, evidence, most)
            if match is not None and match.fits and _changes(mistake, softmax, evidence):
                found.append(match)
    if not found:
        return None
    best_score = max(m.score for m in found)
    found = [m for m in found if m.score >= best_score - ABOUT]
    nearest = max(m.bits for m in found)
    found = [m for m in found if m.bits >= nearest - BITS]
    best_score = max(m.score for m in found)
    found = [m for m in found if m.score >= best_score - EQUAL]
    closest = max(m.exact for m in found)
    first_of_best = next(m for m in found if m.exact >= closest)
    best = first_of_best.mistake
    others = dict.fromkeys(
        m.mistake.name for m in found if m.exact >= first_of_best.exact and m.mistake.name != best.name
    )
    return Diagnosis(best.name, best.step, best.sentence, tuple(others)[:3])


def _some_wrong(evidence: Sequence[Evidence], rows: int) -> list[Evidence]:
    """Return the first batches with a wrong row, until they hold this many wrong rows."""
    found, count = [], 0
    for e in evidence:
        if e.wrong.any() and count < rows:
            found.append(e)
            count += int(e.wrong.reshape(len(e.got), -1).any(-1).sum())
    return found


def _changes(mistake: Mistake, softmax: Any, evidence: Sequence[Evidence]) -> bool:
    """Whether the mistake changes the function's results where they are wrong."""
    if mistake.plain is None:
        return True
    plain = replace(mistake, model=mistake.plain)
    return not all(
        np.allclose(
            _values(mistake, softmax, e),
            _values(plain, softmax, e),
            rtol=16 * ROUNDOFF[e.batch.first.dtype.name],
            atol=0,
            equal_nan=True,
        )
        for e in evidence
        if e.wrong.any()
    )


Misses = tuple[float, float, float]


def _most_misses(evidence: Sequence[Evidence]) -> Misses:
    """Return how many wrong rows, rows in all, and right rows a model may miss and still fit."""
    wrong = right = total = 0
    for e in evidence:
        bad = int(e.wrong.reshape(len(e.got), -1).any(-1).sum())
        wrong, total = wrong + bad, total + len(e.got)
        right += 0 if e.raised else len(e.got) - bad
    return (1 - EXPLAINED) * wrong + 1e-6, (1 - AGREED) * total + 1e-6, CONTRADICTED * right + 1e-6


def _match(
    mistake: Mistake, softmax: Any, evidence: Sequence[Evidence], most: Misses = (np.inf, np.inf, np.inf)
) -> Match | None:
    """Return how well a model explains; None as soon as it has missed too many rows to fit."""
    wrong = explained = agreeing = total = right = contradicting = 0
    compared = []
    for e in evidence:
        value = _values(mistake, softmax, e)
        with np.errstate(all="ignore"):
            far, off = np.abs(e.got - value), np.abs(value - e.exact)
            near = np.isfinite(value) & (far <= np.maximum(8 * e.bound, 0.02 * off))
        near |= (np.isnan(e.got) & ~np.isfinite(value)) | (~np.isfinite(e.got) & np.isnan(value)) | (e.got == value)
        compared.append((e, value, far, off, near))
        if e.raised:
            # Where NumPy puts inf or NaN into one row, plain Python raises for the whole call.
            near = np.broadcast_to(~np.isfinite(value).all(), value.shape)
        n = len(e.got)
        flat, bad = near.reshape(n, -1), e.wrong.reshape(n, -1)
        fits, bad_rows = flat.all(-1), bad.any(-1)
        total += n
        agreeing += int(fits.sum())
        if not e.raised:
            right += int((~bad_rows).sum())
            contradicting += int((~bad_rows & ~fits).sum())
        wrong += int(bad_rows.sum())
        explained += int((bad_rows & (flat | ~bad).all(-1)).sum())
        if wrong - explained > most[0] or total - agreeing > most[1] or contradicting > most[2]:
            return None
    match = Match(
        mistake, explained / max(1, wrong), agreeing / max(1, total), contradicted=contradicting / max(1, right)
    )
    if not match.fits:
        return match
    bits, same = _closeness(compared)
    return replace(match, bits=bits, exact=same)


def _closeness(compared: Sequence[tuple[Evidence, Float, Float, Float, npt.NDArray[np.bool_]]]) -> tuple[float, float]:
    """Return how many bits closer than the truth a model is, and the share of results that equal the model's."""
    bits: list[float] = []
    same = numbers = 0
    with np.errstate(all="ignore"):
        for e, value, far, off, near in compared:
            numbers += near.size
            same += int(((far <= ROUNDOFFS * ROUNDOFF[e.dtype] * np.abs(value)) | (near & ~np.isfinite(value))).sum())
            closer = np.clip(np.nan_to_num(np.log2(off / far), nan=MOST_BITS), 0.0, MOST_BITS).reshape(len(e.got), -1)
            bad = e.wrong.reshape(len(e.got), -1)
            bits += [float(np.median(closer[r][bad[r]])) for r in np.flatnonzero(bad.any(-1))]
    return float(np.median(bits)) if bits else 0.0, same / max(1, numbers)


def _values(mistake: Mistake, softmax: Any, e: Evidence) -> Float:
    with np.errstate(all="ignore"):
        try:
            value = np.asarray(mistake.model(e.batch.first, e.batch.extra, softmax), np.float64)
        except (ValueError, IndexError, TypeError):
            return np.full_like(e.got, NOWHERE)
        if e.whole and value.shape == (len(e.batch),):
            # Right results do not tell whether a wrong function takes the mean or the sum: take the closer one.
            either = np.array([[value.mean()], [value.sum()]])
            value = either[int(np.argmin(np.nan_to_num(np.abs(either[:, 0] - e.got[0]), nan=np.inf)))]
    return value if value.shape == e.got.shape else np.full_like(e.got, NOWHERE)
