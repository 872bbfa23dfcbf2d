"""Classic mistakes in the gradient of the loss."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from softxent.check import mistakes as base
from softxent.check.mistakes import Mistake, at, hot, log_shifted, naive

__all__ = ["THRESHOLDS", "cross_entropy_grad", "without_small"]

THRESHOLDS = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-12, 1e-15)


def without_small(value: Any, threshold: float) -> Any:
    """Return an array with its small elements set to 0."""
    return np.where(np.abs(value) < threshold, 0, value)


def _through_clip(z: Any, y: Any, s: Any, eps: float) -> Any:
    p = at(s(z), y)[:, None]
    inside = (p >= z.dtype.type(eps)) & (p <= z.dtype.type(1 - eps))
    return np.where(inside, s(z) - hot(z, y), 0)


def cross_entropy_grad() -> Iterator[Mistake]:
    """Mistakes in the gradient of the loss."""
    step = base.STEP_GRADIENT

    def g(z: Any, y: Any, s: Any) -> Any:
        return s(z) - hot(z, y)

    yield Mistake(
        "no shift",
        base.STEP_SHIFT,
        "Its softmax exponentiates the logits as they are.",
        lambda z, y, _s: g(z, y, naive),
    )
    yield Mistake(
        "global max",
        base.STEP_SUM,
        "Its softmax subtracts the largest logit of the whole batch.",
        lambda z, y, _s: (lambda e: e / e.sum(-1, keepdims=True))(np.exp(z - z.max())) - hot(z, y),
    )
    yield Mistake(
        "a instead of a − y", step, "It returns the probabilities: the label is not subtracted.", lambda z, y, s: s(z)
    )
    yield Mistake("y − a", step, "Its sign is the other one: it climbs.", lambda z, y, s: -g(z, y, s))
    yield Mistake(
        "−y/p",
        step,
        "It is the derivative with respect to the probabilities, −y/p: the softmax's Jacobian is missing.",
        lambda z, y, s: -hot(z, y) / s(z),
    )
    yield Mistake(
        "1/p",
        step,
        "It is y/p: the derivative with respect to p, with the other sign.",
        lambda z, y, s: hot(z, y) / s(z),
    )
    yield Mistake("−y", step, "It returns −y: the push is missing.", lambda z, y, s: -hot(z, y))
    yield Mistake(
        "diagonal-only Jacobian",
        base.STEP_JACOBIAN,
        "It multiplies by the diagonal p(1 − p) of the Jacobian and forgets i ≠ j.",
        lambda z, y, s: -hot(z, y) * (1 - s(z)),
    )
    yield Mistake(
        "only the others", step, "The label's own element is 0.", lambda z, y, s: np.where(hot(z, y) > 0, 0, s(z))
    )
    yield Mistake(
        "gradient of the squared error",
        step,
        "It multiplies p − y by p (1 − p).",
        lambda z, y, s: g(z, y, s) * s(z) * (1 - s(z)),
    )
    yield Mistake(
        "p in place of 1 − p", step, "The label's element is −p.", lambda z, y, s: np.where(hot(z, y) > 0, -s(z), s(z))
    )
    yield Mistake("1 + p", step, "It adds the label: p + y.", lambda z, y, s: s(z) + hot(z, y))
    for o in (1, -1):
        yield Mistake(
            "label off by one",
            step,
            "It subtracts 1 at the class beside the label.",
            lambda z, y, s, o=o: s(z) - hot(z, (np.asarray(y) + o) % z.shape[-1]),
        )
    for cast in (np.uint8, np.int8):
        yield Mistake(
            "labels in 8 bits",
            step,
            f"It converts the labels to {np.dtype(cast)}: those above {np.iinfo(cast).max} wrap round.",
            lambda z, y, s, t=cast: s(z) - hot(z, np.asarray(y).astype(t).astype(np.int64) % z.shape[-1]),
        )
    yield Mistake(
        "0 · ∞",
        base.STEP_LOG,
        "It differentiates log p where a probability has underflowed to 0: 0 · ∞ is NaN, and a jnp.where or a mask "
        "after the logarithm does not help.",
        lambda z, y, s: np.where((s(z) == 0).any(-1, keepdims=True), np.nan, g(z, y, s)),
    )
    yield Mistake(
        "predicted label", step, "It subtracts 1 at the likeliest class.", lambda z, y, s: s(z) - hot(z, z.argmax(-1))
    )
    for k in (0, -1):
        yield Mistake(
            "one class for every label",
            step,
            f"It subtracts 1 at class {'0' if k == 0 else 'C − 1'}, whatever the label is.",
            lambda z, y, s, k=k: s(z) - hot(z, np.full(len(z), k % z.shape[-1])),
        )
    yield Mistake(
        "labels re-encoded",
        step,
        "It numbers the labels of each call anew, as np.unique's inverse does: 2 and 5 become 0 and 1.",
        lambda z, y, s: s(z) - hot(z, np.unique(y, return_inverse=True)[1]),
    )
    yield Mistake(
        "divided by C", base.STEP_MEAN, "It divides by N·C, not by N.", lambda z, y, s: g(z, y, s) / z.shape[-1]
    )
    yield Mistake(
        "softmax of softmax",
        base.STEP_DEFINITION,
        "It applies softmax to probabilities.",
        lambda z, y, s: s(s(z)) - hot(z, y),
    )
    yield Mistake(
        "logits for probabilities", step, "It returns z − y: softmax is missing.", lambda z, y, s: z - hot(z, y)
    )
    yield Mistake("log-softmax for softmax", step, "It returns log p − y.", lambda z, y, s: log_shifted(z) - hot(z, y))
    yield Mistake(
        "not normalised",
        base.STEP_DEFINITION,
        "Its probabilities are not divided by the sum.",
        lambda z, y, s: (np.exp(z) if s is naive else base.exps(z)) - hot(z, y),
    )
    yield Mistake(
        "sigmoid for softmax",
        base.STEP_DEFINITION,
        "It takes the sigmoid of each logit.",
        lambda z, y, s: 1 / (1 + np.exp(-z)) - hot(z, y),
    )
    yield Mistake(
        "wrong axis",
        base.STEP_SUM,
        "Its softmax normalises over the rows of the batch (axis 0).",
        lambda z, y, s: s(z.T).T - hot(z, y),
    )
    yield Mistake(
        "sum over the whole batch",
        base.STEP_SUM,
        "Its softmax sums over all rows.",
        lambda z, y, _s: (lambda e: e / e.sum())(np.exp(z - z.max())) - hot(z, y),
    )
    yield Mistake("zero gradient", step, "It returns zeros.", lambda z, y, s: np.zeros_like(z))
    yield Mistake(
        "pull divided", step, "The label's 1 is divided by C.", lambda z, y, s: s(z) - hot(z, y) / z.shape[-1]
    )
    yield Mistake(
        "weighted by the loss",
        step,
        "It multiplies by the loss.",
        lambda z, y, s: g(z, y, s) * -at(log_shifted(z), y)[:, None],
    )
    yield Mistake("absolute value", step, "It returns |p − y|.", lambda z, y, s: np.abs(g(z, y, s)))
    yield Mistake(
        "wrong reduction",
        base.STEP_MEAN,
        "The label's 1 is divided by N once more: p/N − y/N².",
        lambda z, y, s: s(z) - hot(z, y) / len(z),
    )
    for h in (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8):
        yield Mistake(
            "finite difference",
            step,
            f"It is (L(z + h) − L(z))/h with h = {h:g}, off by h/2 p (1 − p).",
            lambda z, y, s, h=h: g(z, y, s) + h / 2 * s(z) * (1 - s(z)),
        )
    yield Mistake(
        "derivative by the labels",
        step,
        "It is −log p: the derivative by the one-hot labels, not by the logits.",
        lambda z, y, _s: -log_shifted(z),
    )
    yield Mistake(
        "−y/p",
        step,
        "It is (p − y)/(p (1 − p)) or −y/p + …: the derivative by the probabilities.",
        lambda z, y, s: g(z, y, s) / (s(z) * (1 - s(z))),
    )
    for k in (0, -1):
        yield Mistake(
            "a label ignored",
            step,
            f"Rows with label {'0' if k == 0 else 'C − 1'} have the gradient 0.",
            lambda z, y, s, k=k: g(z, y, s) * (np.asarray(y) != k % z.shape[-1])[:, None],
        )
        yield Mistake(
            "a label ignored",
            step,
            f"Rows with label {'0' if k == 0 else 'C − 1'} do not count: alone they give 0/0.",
            lambda z, y, s, k=k: np.where((np.asarray(y) != k % z.shape[-1])[:, None], g(z, y, s), np.nan),
        )
    for eps in base.EPSILONS:
        yield Mistake(
            "clipped probabilities",
            step,
            f"Its loss clips the probabilities to [{eps:g}, 1 − {eps:g}]: beyond, the gradient is 0.",
            lambda z, y, s, e=eps: _through_clip(z, y, s, e),
        )
        yield Mistake(
            "clipped probabilities",
            step,
            f"Its loss raises the probabilities to at least {eps:g}: below, the gradient is 0.",
            lambda z, y, s, e=eps: np.where(at(s(z), y)[:, None] >= z.dtype.type(e), g(z, y, s), 0),
        )
        yield Mistake(
            "ε in the logarithm",
            step,
            f"Its loss is −log(p + {eps:g}): the gradient is (p − y) p_y/(p_y + ε).",
            lambda z, y, s, e=eps: (lambda q: g(z, y, s) * q / (q + z.dtype.type(e)))(at(s(z), y)[:, None]),
        )
    for factor in (1e-4, 1e-3, 1e-2, 0.1, 1.0):
        yield Mistake(
            "z-loss",
            step,
            f"It has the gradient of {factor:g} lse² added.",
            lambda z, y, s, f=factor: g(z, y, s) + 2 * f * base.lse(z)[:, None] * s(z),
        )
    for gamma in (0.5, 1.0, 2.0, 3.0, 5.0):
        yield Mistake(
            "focal loss",
            step,
            f"It weights the gradient by (1 − p_y)^{gamma:g}.",
            lambda z, y, s, k=gamma: (1 - at(s(z), y)[:, None]) ** k * g(z, y, s),
        )
    for eps in (0.1, 0.2, 0.05, 0.01):
        yield Mistake(
            "smoothing with K − 1",
            base.STEP_SMOOTH,
            f"It smooths by {eps:g} and divides ε by C − 1.",
            lambda z, y, s, e=eps: s(z) - (hot(z, y) * (1 - e) + (1 - hot(z, y)) * e / max(1, z.shape[-1] - 1)),
        )
        yield Mistake(
            "smoothing forgets 1 − ε",
            base.STEP_SMOOTH,
            f"It keeps the full 1 at the label and adds ε/C of ε = {eps:g}.",
            lambda z, y, s, e=eps: s(z) - hot(z, y) - e / z.shape[-1],
        )
        yield Mistake(
            "label smoothing",
            base.STEP_SMOOTH,
            f"It smooths the labels by {eps:g}.",
            lambda z, y, s, e=eps: s(z) - hot(z, y) * (1 - e) - e / z.shape[-1],
        )
    for bound in (0.1, 0.25, 0.5):
        yield Mistake(
            "clipped gradient",
            step,
            f"It clips the gradient to ±{bound:g}.",
            lambda z, y, s, b=bound: np.clip(g(z, y, s), -b, b),
        )
    for t in THRESHOLDS:
        yield Mistake(
            "small elements zeroed",
            step,
            f"Elements below {t:g} are set to 0.",
            lambda z, y, s, t=t: without_small(g(z, y, s), t),
        )
        yield Mistake(
            "clipped probabilities",
            step,
            f"It clips the probabilities to [{t:g}, 1 − {t:g}].",
            lambda z, y, s, t=t: np.clip(s(z), z.dtype.type(t), z.dtype.type(1 - t)) - hot(z, y),
        )
    for eps in base.EPSILONS:
        yield Mistake(
            "ε in the denominator",
            base.STEP_DEFINITION,
            f"Its softmax divides by S + {eps:g}.",
            lambda z, y, s, e=eps: (
                (lambda q: q / (q.sum(-1, keepdims=True) + z.dtype.type(e)))(np.exp(z) if s is naive else base.exps(z))
                - hot(z, y)
            ),
        )
    for t in (0.5, 2.0, 10.0):
        yield Mistake(
            "temperature", step, f"It divides the logits by {t:g}.", lambda z, y, s, t=t: g(z / z.dtype.type(t), y, s)
        )
    for k in range(2, 13):
        yield Mistake("rounded", step, f"It rounds to {k} decimals.", lambda z, y, s, k=k: np.round(g(z, y, s), k))
    yield from base.narrow("the gradient", g, step)
    for dtype in (np.float16, np.float32):
        yield Mistake(
            f"{np.dtype(dtype)} sum",
            base.STEP_SUM,
            f"It adds the exponentials in {np.dtype(dtype)}.",
            lambda z, y, _s, t=dtype: (
                (lambda e: e / e.astype(t).sum(-1, keepdims=True, dtype=t).astype(e.dtype))(base.exps(z)) - hot(z, y)
            ),
        )
