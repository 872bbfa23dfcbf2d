"""Classic mistakes in the loss."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from softxent.check import mistakes as base
from softxent.check.mistakes import Mistake, at, hot, log_shifted, naive, shifted
from softxent.check.mistakes_log import STEP_LSE, extra_class, log_of, with_epsilon

__all__ = ["cross_entropy"]


def cross_entropy() -> Iterator[Mistake]:
    """Mistakes in the loss."""

    def nll(z: Any, y: Any, s: Any) -> Any:
        return -at(log_of(z, s), y)

    yield Mistake(
        "log of softmax",
        base.STEP_LOG,
        "It takes the logarithm of a probability that has underflowed to 0.",
        lambda z, y, _s: -np.log(at(shifted(z), y)),
    )
    yield Mistake(
        "no shift",
        base.STEP_SHIFT,
        "It takes the logarithm of a softmax without the shift.",
        lambda z, y, _s: -np.log(at(naive(z), y)),
    )
    yield Mistake(
        "no shift",
        base.STEP_SHIFT,
        "It sums the exponentials of the logits as they are.",
        lambda z, y, _s: np.log(np.exp(z).sum(-1)) - at(z, y),
    )
    for eps in (1e-1, 0.2, 0.05, 0.01, 0.3):
        yield Mistake(
            "smoothing with K − 1",
            base.STEP_SMOOTH,
            f"It smooths by {eps:g} and divides ε by C − 1.",
            lambda z, y, s, e=eps: (
                -((hot(z, y) * (1 - e) + (1 - hot(z, y)) * e / max(1, z.shape[-1] - 1)) * log_of(z, s)).sum(-1)
            ),
        )
        yield Mistake(
            "smoothing forgets 1 − ε",
            base.STEP_SMOOTH,
            f"It adds ε/C of ε = {eps:g} and keeps the full weight of the label.",
            lambda z, y, s, e=eps: -((hot(z, y) + e / z.shape[-1]) * log_of(z, s)).sum(-1),
        )
        yield Mistake(
            "label smoothing",
            base.STEP_SMOOTH,
            f"It smooths the labels by {eps:g}.",
            lambda z, y, s, e=eps: -((hot(z, y) * (1 - e) + e / z.shape[-1]) * log_of(z, s)).sum(-1),
        )
        yield Mistake(
            "smoothing without the uniform part",
            base.STEP_SMOOTH,
            f"It scales the label's term by 1 − {eps:g} and adds nothing.",
            lambda z, y, s, e=eps: (1 - e) * nll(z, y, s),
        )
    for offset in (1, -1):
        yield Mistake(
            "label off by one",
            base.STEP_LOSS,
            f"It takes class y {'+' if offset > 0 else '−'} 1.",
            lambda z, y, s, o=offset: nll(z, np.asarray(y) + o, s),
        )
        yield Mistake(
            "label off by one",
            base.STEP_LOSS,
            "It takes the class beside the label, clipped to the range.",
            lambda z, y, s, o=offset: nll(z, np.clip(np.asarray(y) + o, 0, z.shape[-1] - 1), s),
        )
    for cast in (np.uint8, np.int8):
        yield Mistake(
            "labels in 8 bits",
            base.STEP_LOSS,
            f"It converts the labels to {np.dtype(cast)}: those above {np.iinfo(cast).max} wrap round.",
            lambda z, y, s, t=cast: nll(z, np.asarray(y).astype(t).astype(np.int64), s),
        )
    yield Mistake(
        "predicted label",
        base.STEP_LOSS,
        "It takes the likeliest class, not the label.",
        lambda z, y, s: nll(z, z.argmax(-1), s),
    )
    for k in (0, -1):
        yield Mistake(
            "one class for every label",
            base.STEP_LOSS,
            f"It takes class {'0' if k == 0 else 'C − 1'}, whatever the label is.",
            lambda z, y, s, k=k: nll(z, np.full(len(z), k), s),
        )
    yield Mistake(
        "labels re-encoded",
        base.STEP_LOSS,
        "It numbers the labels of each call anew, as np.unique's inverse does: 2 and 5 become 0 and 1.",
        lambda z, y, s: nll(z, np.unique(y, return_inverse=True)[1], s),
    )
    yield Mistake("wrong sign", base.STEP_LOSS, "It returns log p_y, without the minus.", lambda z, y, s: -nll(z, y, s))
    yield Mistake(
        "divided by C",
        base.STEP_MEAN,
        "It takes the mean over the N·C elements.",
        lambda z, y, s: nll(z, y, s) / z.shape[-1],
    )
    yield Mistake(
        "shift not added back",
        STEP_LSE,
        "It subtracts the unshifted logit from log S of the shifted ones.",
        lambda z, y, _s: np.log(base.exps(z).sum(-1)) - at(z, y),
    )
    yield Mistake(
        "an extra class",
        base.STEP_LOSS,
        "Its sum starts at exp(0) = 1: an extra class of logit 0.",
        lambda z, y, s: extra_class(z, s) - at(z, y),
    )
    yield Mistake(
        "shift subtracted twice",
        base.STEP_LOSS,
        "It subtracts m beside log Σ exp(z), which is not shifted.",
        lambda z, y, _s: z.max(-1) + np.log(np.exp(z).sum(-1)) - at(z, y),
    )
    yield Mistake(
        "hinge",
        base.STEP_LOSS,
        "It is a margin: the mean of max(0, 1 + z_i − z_y).",
        lambda z, y, _s: (np.maximum(0, 1 + z - at(z, y)[:, None]) * (1 - hot(z, y))).sum(-1) / z.shape[-1],
    )
    yield Mistake(
        "log base 2",
        base.STEP_LOSS,
        "Its logarithm has base 2: bits, not nats.",
        lambda z, y, s: nll(z, y, s) / np.log(z.dtype.type(2)),
    )
    yield Mistake(
        "log base 10",
        base.STEP_LOSS,
        "Its logarithm has base 10.",
        lambda z, y, s: nll(z, y, s) / np.log(z.dtype.type(10)),
    )
    yield Mistake(
        "softmax of softmax",
        base.STEP_LOSS,
        "It takes probabilities for logits: softmax is applied twice.",
        lambda z, y, s: -at(log_shifted(s(z)), y),
    )
    yield Mistake(
        "probability", base.STEP_LOSS, "It returns 1 − p_y, without the logarithm.", lambda z, y, s: 1 - at(s(z), y)
    )
    yield Mistake(
        "probability", base.STEP_LOSS, "It returns −p_y, without the logarithm.", lambda z, y, s: -at(s(z), y)
    )
    yield Mistake("logit", base.STEP_LOSS, "It returns −z_y, without log S.", lambda z, y, _s: -at(z, y))
    yield Mistake("logsumexp", base.STEP_LOSS, "It returns lse, without − z_y.", lambda z, y, _s: base.lse(z))
    yield Mistake(
        "squared error", base.STEP_LOSS, "It returns Σ (p − y)².", lambda z, y, s: ((s(z) - hot(z, y)) ** 2).sum(-1)
    )
    yield Mistake(
        "squared error",
        base.STEP_LOSS,
        "It returns the mean of (p − y)².",
        lambda z, y, s: ((s(z) - hot(z, y)) ** 2).mean(-1),
    )
    yield Mistake(
        "binary cross-entropy",
        base.STEP_LOSS,
        "It adds −log(1 − p_i) of the other classes.",
        lambda z, y, s: nll(z, y, s) - (np.log1p(-s(z)) * (1 - hot(z, y))).sum(-1),
    )
    for name, sigma in (
        ("1/(1 + e^−z)", lambda z: 1 / (1 + np.exp(-z))),
        ("e^z/(1 + e^z)", lambda z: np.exp(z) / (1 + np.exp(z))),
    ):
        yield Mistake(
            "binary cross-entropy",
            base.STEP_LOSS,
            f"It takes the sigmoid {name} of each logit, and their logarithms.",
            lambda z, y, _s, f=sigma: -(np.where(hot(z, y) > 0, np.log(f(z)), np.log(1 - f(z)))).sum(-1),
        )
        yield Mistake(
            "binary cross-entropy",
            base.STEP_LOSS,
            f"It takes the sigmoid {name} of each logit, and t log p + (1 − t) log(1 − p).",
            lambda z, y, _s, f=sigma: -(hot(z, y) * np.log(f(z)) + (1 - hot(z, y)) * np.log(1 - f(z))).sum(-1),
        )
        yield Mistake(
            "binary cross-entropy",
            base.STEP_LOSS,
            f"It takes the sigmoid {name} of the label's logit.",
            lambda z, y, _s, f=sigma: -np.log(f(at(z, y))),
        )
    yield Mistake(
        "binary cross-entropy",
        base.STEP_LOSS,
        "It takes the sigmoid of each logit.",
        lambda z, y, _s: (np.logaddexp(0, z) - z * hot(z, y)).sum(-1),
    )
    for gamma in (0.5, 1.0, 2.0, 3.0, 5.0):
        yield Mistake(
            "focal loss",
            base.STEP_LOSS,
            f"It weights the loss by (1 − p_y)^{gamma:g}.",
            lambda z, y, s, k=gamma: (1 - at(s(z), y)) ** k * nll(z, y, s),
        )
    for factor in (1e-4, 1e-3, 1e-2, 0.1, 1.0):
        yield Mistake(
            "z-loss",
            base.STEP_LOSS,
            f"It adds {factor:g} lse².",
            lambda z, y, s, f=factor: nll(z, y, s) + f * base.lse(z) ** 2,
        )
    for k in (0, -1):
        what = "0" if k == 0 else "C − 1"
        yield Mistake(
            "a label ignored",
            base.STEP_LOSS,
            f"Rows with label {what} have the loss 0.",
            lambda z, y, s, k=k: np.where(np.asarray(y) == k % z.shape[-1], 0, nll(z, y, s)),
        )
        yield Mistake(
            "a label ignored",
            base.STEP_LOSS,
            f"Rows with label {what} do not count: alone they give 0/0.",
            lambda z, y, s, k=k: np.where(np.asarray(y) == k % z.shape[-1], np.nan, nll(z, y, s)),
        )
    yield Mistake(
        "NaN to number",
        base.STEP_LOSS,
        "It replaces NaN and infinities by numbers.",
        lambda z, y, s: np.nan_to_num(nll(z, y, s)),
    )
    yield Mistake(
        "NaN to number",
        base.STEP_LOG,
        "Its logarithm underflows, and NaN and infinities are replaced by numbers.",
        lambda z, y, s: np.nan_to_num(-np.log(at(s(z), y))),
    )
    yield Mistake(
        "NaN to number",
        base.STEP_LOG,
        "Its logarithm underflows, and NaN and infinities are replaced by float64's numbers.",
        lambda z, y, s: np.nan_to_num(-np.log(at(s(z), y)).astype(np.float64)),
    )
    yield Mistake(
        "NaN to zero",
        base.STEP_LOSS,
        "It replaces NaN and infinite losses by 0: an impossible label costs nothing.",
        lambda z, y, s: np.nan_to_num(nll(z, y, s), posinf=0.0, neginf=0.0),
    )
    yield Mistake(
        "NaN to zero",
        base.STEP_LOG,
        "Its logarithm underflows, and NaN and infinities are replaced by 0.",
        lambda z, y, s: np.nan_to_num(-np.log(at(s(z), y)), posinf=0.0, neginf=0.0),
    )
    yield Mistake(
        "log(1 + x) for log1p",
        base.STEP_LOG,
        "It returns log(1 + p), not −log p.",
        lambda z, y, s: np.log1p(at(s(z), y)),
    )
    yield Mistake("1 − p for p", base.STEP_LOSS, "It is −log(1 − p_y).", lambda z, y, s: -np.log1p(-at(s(z), y)))
    yield Mistake(
        "1 − p for p", base.STEP_LOSS, "It is −log |p_y − 1|.", lambda z, y, s: -np.log(np.abs(at(s(z), y) - 1))
    )
    yield Mistake(
        "weighted by p",
        base.STEP_LOSS,
        "It is −p_y log p_y: weighted by the probability.",
        lambda z, y, s: at(s(z), y) * nll(z, y, s),
    )
    yield Mistake("perplexity", base.STEP_LOSS, "It returns exp of the loss.", lambda z, y, s: np.exp(nll(z, y, s)))
    yield Mistake(
        "entropy", base.STEP_LOSS, "It returns the entropy of p.", lambda z, y, s: -(s(z) * log_of(z, s)).sum(-1)
    )
    yield Mistake(
        "all classes", base.STEP_LOSS, "It adds −log p of all classes.", lambda z, y, s: -log_of(z, s).sum(-1)
    )
    yield Mistake(
        "wrong axis",
        base.STEP_SUM,
        "It normalises over the rows of the batch (axis 0).",
        lambda z, y, _s: -at(log_shifted(z.T).T, y),
    )
    yield Mistake(
        "global max",
        base.STEP_SUM,
        "It subtracts the largest logit of the whole batch.",
        lambda z, y, _s: (lambda d: np.log(np.exp(d).sum(-1)) - at(d, y))(z - z.max()),
    )
    yield Mistake(
        "global max",
        base.STEP_SUM,
        "It subtracts the largest logit of the whole batch, and takes the logarithm of p.",
        lambda z, y, _s: -np.log(at((lambda e: e / e.sum(-1, keepdims=True))(np.exp(z - z.max())), y)),
    )
    yield Mistake(
        "sum over the whole batch",
        base.STEP_SUM,
        "It sums the exponentials of all rows.",
        lambda z, y, _s: np.log(np.exp(z - z.max()).sum()) - at(z - z.max(), y),
    )
    for t in (0.5, 2.0, 10.0):
        yield Mistake(
            "temperature",
            base.STEP_LOSS,
            f"It divides the logits by {t:g}.",
            lambda z, y, s, t=t: nll(z / z.dtype.type(t), y, s),
        )
    for most in (10.0, 20.0, 50.0, 100.0):
        yield Mistake(
            "clipped loss",
            base.STEP_LOSS,
            f"It cuts the loss at {most:g}.",
            lambda z, y, s, b=most: np.minimum(nll(z, y, s), b),
        )
    for bound in (10.0, 20.0, 30.0, 50.0, 80.0, 88.0, 100.0, 500.0, 700.0):
        yield Mistake(
            "clipped logits",
            base.STEP_SHIFT,
            f"It clips the logits to ±{bound:g}.",
            lambda z, y, s, b=bound: nll(np.clip(z, -b, b), y, s),
        )
    for m in with_epsilon(lambda p: np.log(p), base.STEP_LOG):
        yield Mistake(m.name, m.step, m.sentence, lambda z, y, s, f=m.model: -at(f(z, y, s), y))
    yield Mistake(
        "x − lse",
        base.STEP_LOG,
        "A common offset has eaten the digits of log S.",
        lambda z, y, _s: base.lse(z) - at(z, y),
    )
    yield from base.narrow("the loss", nll, base.STEP_LOSS)
    for dtype in (np.float16, np.float32):
        yield Mistake(
            f"{np.dtype(dtype)} sum",
            base.STEP_SUM,
            f"It adds the exponentials in {np.dtype(dtype)}.",
            lambda z, y, _s, t=dtype: (
                np.log(base.exps(z).astype(t).sum(-1, dtype=t)).astype(z.dtype) - at(z - z.max(-1, keepdims=True), y)
            ),
        )
