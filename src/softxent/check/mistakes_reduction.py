"""Mistakes that show only with several rows: a wrong divisor, rows mixed up, rows left out.

If every row is right alone, calls of 2 to 8 rows are compared with these models of reduced losses and of gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from softxent.check.bulk import exact_batch
from softxent.check.mistakes import STEP_GRADIENT, STEP_LOSS, STEP_MEAN
from softxent.check.report import Diagnosis
from softxent.check.session import Session

__all__ = ["SHAPES", "named", "of_several_rows"]

Float = npt.NDArray[np.float64]
# (N rows, C classes, seed): the labels are also valid row numbers.
SHAPES = ((2, 5, 0), (3, 5, 1), (4, 7, 2), (7, 8, 3), (8, 9, 4))
# A model matches the function if their distance is at most this share of the model's distance from the right value.
NEAR = 1e-4
OWN_ROW = "each row's own label, and each row once"

DIVISORS: tuple[tuple[str, Callable[[int], float]], ...] = (
    ("by N twice: the sum over N²", lambda n: 1 / n**2),
    ("by N − 1", lambda n: 1 / max(1, n - 1)),
    ("by N + 1", lambda n: 2 / (n + 1)),
    ("by √N", lambda n: 1 / np.sqrt(n)),
    ("by 1/N: it multiplies", lambda n: float(n)),
)
# Wrong labels of each row, taken from other rows.
MISPLACED: tuple[tuple[str, Callable[[npt.NDArray[np.int64]], npt.NDArray[np.int64]]], ...] = (
    ("the label of the row before", lambda y: np.roll(y, 1)),
    ("the label of the row after", lambda y: np.roll(y, -1)),
    ("the labels in reverse order", lambda y: y[::-1]),
    ("the sorted labels", np.sort),
    ("the first row's label", lambda y: np.full_like(y, y[0])),
    ("the last row's label", lambda y: np.full_like(y, y[-1])),
)


def of_several_rows(session: Session) -> Diagnosis | None:
    """Return the mistake of a function that is right for each row alone and wrong for several; None if none fits."""
    gradient = session.kind.name == "cross_entropy_grad"
    if not session.way.batched or not (
        gradient or (session.kind.name == "cross_entropy" and session.way.reduction != "none")
    ):
        return None
    rng = np.random.default_rng(71)
    seen: list[tuple[Float, Float, npt.NDArray[np.int64]]] = []
    for n, c, seed in SHAPES:
        labels = np.random.default_rng(seed).permutation(n) % c
        z = rng.normal(size=(n, c))
        got = session.call([session.batch(z, labels)], whole=True)[0].value
        if got is None:
            continue
        log_p = exact_batch("log_softmax", z)[0].hi
        seen.append((got, log_p, labels))
    return named(seen, gradient=gradient) if len(seen) >= 3 else None


def named(seen: Sequence[tuple[Float, Float, npt.NDArray[np.int64]]], *, gradient: bool) -> Diagnosis | None:
    """Return the mistake that explains the calls; seen: of each its result, the rows' log-probabilities, the labels."""
    models = _of_gradients if gradient else _of_losses
    tables = [list(models(log_p, y)) for _, log_p, y in seen]
    for column in zip(*tables, strict=True):
        if all(_is(got, value[2], value[3]) for (got, _, _), value in zip(seen, column, strict=True)) and any(
            not np.allclose(value[2], value[3], rtol=1e-9) for value in column
        ):
            name, sentence = column[0][:2]
            step = STEP_MEAN if name == "wrong reduction" else OWN_ROW
            return Diagnosis(name, f"{STEP_GRADIENT if gradient else STEP_LOSS}; {step}", sentence)
    return None


def _is(got: Float, model: Any, right: Any) -> bool:
    return bool(
        np.shape(model) == np.shape(got)
        and np.allclose(got, model, rtol=1e-5, atol=NEAR * float(np.abs(model - right).max()) + 1e-12)
    )


Model = tuple[str, str, Any, Any]


def _of_losses(log_p: Float, y: npt.NDArray[np.int64]) -> Iterator[Model]:
    """Yield wrong reduced losses: name, sentence, value, and the right value."""
    n = len(y)
    own = -log_p[np.arange(n), y]
    every = -log_p[:, y]
    mean, total = own.mean(), own.sum()
    for what, all_of, right in (("mean", every.mean(), mean), ("sum", every.sum(), total)):
        said = f"It takes every row at every label, as lp[:, labels] does, and their {what}: N² numbers, not N."
        yield "every row at every label", said, all_of, right
    for what, factor in DIVISORS:
        yield "wrong reduction", f"It divides the sum of the losses {what}.", factor(n) * total, mean
    for what, part in (("first", own[0]), ("last", own[-1])):
        yield "only one row", f"It returns the loss of the {what} row alone.", part, mean
    for what, part in (("largest", own.max()), ("smallest", own.min()), ("median", np.median(own))):
        yield "wrong reduction", f"It returns the {what} of the rows' losses.", part, mean
    for what, part in (("without the first", total - own[0]), ("without the last", total - own[-1])):
        yield "a row missing", f"Its sum is {what} row's loss.", part, total
        yield "a row missing", f"Its mean is {what} row's loss.", part / n, mean
    yield (
        "wrong reduction",
        "It takes −log of the mean of p_y, not the mean of −log p_y.",
        -np.log(np.exp(-own).mean()),
        mean,
    )
    running = own[0]
    for value in own[1:]:
        running = (running + value) / 2
    yield "wrong reduction", "It averages as it goes, (mean + new)/2: late rows weigh most.", running, mean
    for what, move in MISPLACED:
        moved = -log_p[np.arange(n), move(y)]
        for right, value in ((mean, moved.mean()), (total, moved.sum())):
            yield "labels misplaced", f"Each row takes {what}.", value, right


def _of_gradients(log_p: Float, y: npt.NDArray[np.int64]) -> Iterator[Model]:
    """Yield wrong gradients of the sum and of the mean: name, sentence, value, and the right value."""
    n, c = log_p.shape
    p = np.exp(log_p)
    hot = np.eye(c)[y]
    right = p - hot
    for unit, of in ((1.0, "the sum"), (1 / n, "the mean")):
        for value, how in ((hot.any(0), "as g[:, labels] −= 1 does"), (hot.sum(0), "each as often as it occurs")):
            said = f"It subtracts 1 in every row at every label, {how} (gradient of {of})."
            yield "every row at every label", said, unit * (p - value), unit * right
        if n <= c and y.max() < n:
            rows = np.isin(np.arange(n), y)[:, None]
            said = f"It subtracts 1 from whole rows, as g[labels] −= 1 does: labels index rows (gradient of {of})."
            yield "labels index the rows", said, unit * (p - rows), unit * right
        else:
            yield "labels index the rows", "", np.nan * right, unit * right
        for k, which in ((0, "first"), (-1, "last")):
            only = np.zeros_like(right)
            only[k] = right[k]
            yield (
                "only one row",
                f"Only the {which} row's gradient is there; the others are 0.",
                unit * only,
                unit * right,
            )
        same = np.broadcast_to(right.mean(0), right.shape)
        yield "rows mixed", "Every row has the mean of the rows' gradients.", unit * same, unit * right
        same = np.broadcast_to(right.sum(0), right.shape)
        yield "rows mixed", "Every row has the sum of the rows' gradients.", unit * same, unit * right
        added = np.cumsum(right, 0)
        yield (
            "rows mixed",
            "Each row has the rows before it added: a buffer that is not reset.",
            unit * added,
            unit * right,
        )
        for what, move in MISPLACED:
            yield "labels misplaced", f"Each row takes {what}.", unit * (p - np.eye(c)[move(y)]), unit * right
    for what, factor in DIVISORS:
        yield "wrong reduction", f"It divides the sum's gradient {what}.", factor(n) * right, right / n
