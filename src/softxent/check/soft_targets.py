"""Binary targets between 0 and 1, as label smoothing, mixup and distillation give them: check their loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from softxent.check.bulk import exact_batch
from softxent.check.calling import Batch
from softxent.check.session import Session

__all__ = ["SOFT", "soft_targets"]

SOFT = "targets between 0 and 1"
LOGITS = np.array([[-3.0, 0.5, 2.25, -0.75], [4.0, -1.5, 0.25, -2.0], [1.0, 6.0, -5.0, 3.0], [-0.5, -1.0, 1.5, 0.75]])
TARGETS = np.array([[0.25, 0.9, 0.1, 0.75], [0.7, 0.05, 0.6, 0.95], [0.3, 0.8, 0.35, 0.02], [0.4, 0.65, 0.55, 0.15]])
# A larger relative error than this is not rounding: the function computes another loss.
ANOTHER = 1e-3
ROUNDED: tuple[tuple[str, Callable[[Any], Any]], ...] = (
    ("it rounds them to 0 or 1", lambda t: (t > 0.5).astype(np.float64)),
    ("it takes all of them but 1 for 0", lambda t: (t == 1).astype(np.float64)),
    ("it takes all of them but 0 for 1", lambda t: (t != 0).astype(np.float64)),
    ("it takes 1 − t for t", lambda t: 1 - t),
)


def soft_targets(session: Session) -> str:
    """Check that a function gives the right loss for targets between 0 and 1, or refuses them."""
    batch = Batch(LOGITS, TARGETS)
    outcome = session.call([batch])[0]
    if outcome.value is None:
        said = f"targets between 0 and 1 are refused: {outcome.error}"
        session.note(SOFT, "soft targets", "float64", batch, outcome.error or "", "a loss", said)
        return "refused"
    exact = exact_batch("binary_cross_entropy", LOGITS, TARGETS)[0].hi
    far = ~(np.abs(outcome.value - exact) <= ANOTHER * exact)
    if far.any():
        at = tuple(int(i) for i in np.argwhere(far)[0])
        how = "their loss is another one"
        for sentence, rounded in ROUNDED:
            other = exact_batch("binary_cross_entropy", LOGITS, rounded(TARGETS))[0].hi
            if np.allclose(outcome.value, other, rtol=ANOTHER, atol=0):
                how = sentence
        got, wanted = repr(float(outcome.value[at])), repr(float(exact[at]))
        session.find(SOFT, "soft targets", "float64", batch, got, wanted, f"targets between 0 and 1: {how}")
    return "as 0 and 1"
