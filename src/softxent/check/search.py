"""Search for the worst input: change rows at random, and keep those with larger errors."""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt

from softxent.check.session import Session

__all__ = ["climb"]


def climb(session: Session, seconds: float) -> None:
    """Climb from random rows for some seconds, in every dtype; the session keeps the worst result.

    If the target is certainly wrong, no worse input is needed.
    """
    started = time.monotonic()
    for k, dtype in enumerate(session.dtypes):
        if session.gone or (session.condemned and not session.quick):
            return
        rng = np.random.default_rng(14)
        limit = started + seconds * (k + 1) / len(session.dtypes)
        scale = 80.0 if dtype == "float32" else 600.0
        population, c = 32, 6
        z = rng.uniform(-1, 1, (population, c)) * rng.choice([1.0, 10.0, scale], (population, 1))
        labels = rng.integers(0, c, population)
        best = np.zeros(population)
        while time.monotonic() < limit and not session.gone and not session.condemned:
            trial = _changed(rng, z, scale)
            batch = session.batch(trial.astype(dtype), labels)
            outcome = session.call([batch])[0]
            judged = session.keep(batch, ["search"] * population, outcome, dtype)
            if judged is None:
                break
            ratio = judged.ratio.reshape(population, -1).max(-1)
            better = ratio > best
            z[better], best[better] = trial[better], ratio[better]
            # The best third replaces the worst third.
            order = np.argsort(best)
            third = population // 3
            z[order[:third]], best[order[:third]] = z[order[-third:]], best[order[-third:]]
            labels[order[:third]] = labels[order[-third:]]
            session.progress("search", (time.monotonic() - started) / seconds)
    session.coverage.append("a climb to the worst input")


def _changed(rng: np.random.Generator, z: npt.NDArray[np.float64], scale: float) -> npt.NDArray[np.float64]:
    """Return the rows, each with one element changed or all of them."""
    new = z.copy()
    n, c = z.shape
    which = rng.integers(0, c, n)
    rows = np.arange(n)
    kind = rng.integers(0, 4, n)
    new[rows, which] = np.where(kind == 0, rng.uniform(-scale, scale, n), new[rows, which])
    new[rows, which] = np.where(kind == 1, new[rows, which] + rng.normal(size=n), new[rows, which])
    new = np.where((kind == 2)[:, None], new * (1 + 0.1 * rng.normal(size=(n, 1))), new)
    return np.where((kind == 3)[:, None], new + rng.normal(size=(n, c)) * 0.01, new)
